/*
 * Plays a case against the real chain without sockets: a loop turned by hand, a transport that records what would
 * go upstream and answers from the script, a responder that records what the client would get.
 *
 * How the upstream's body is cut, and how often the client is slow, is the caller's choice (struct rhythm); the
 * outcome must not depend on it.
 */
#ifndef UNIT_CASE_PLAY_H
#define UNIT_CASE_PLAY_H

#include "case_stage.h"

/* ---- the transport ---- */

static void record_credential(struct stage *s, struct sent *to, const struct ccp_upstream_request *r)
{
    if (r->credential == NULL || to->header_n == CASE_HEADERS)
        return;
    /* revealed: this test stands in for the transport that writes the header */
    to->headers[to->header_n++] = (struct ccp_header){keep(s, r->credential_header),
                                                      keep2(s, r->credential_prefix, secret_reveal(r->credential))};
}

static struct ccp_transfer *fake_start(void *self, struct ccp_exchange *x, const struct ccp_upstream_request *r,
                                       const struct ccp_transfer_events *events, void *arg)
{
    struct stage *s = self;
    if (s->sent_n > CASE_UPSTREAMS) {
        broken(s, "endless upstream requests");
        return NULL;
    }
    if (s->in_begin)
        broken(s, "an upstream request was started from inside chain_begin");
    struct sent *to = &s->sent[s->sent_n];
    struct ccp_transfer *t = &s->transfers[s->sent_n];
    to->method = keep(s, r->method);
    to->url = keep(s, r->url);
    for (size_t i = 0; i < r->header_count && i < CASE_HEADERS; i++)
        to->headers[to->header_n++] = (struct ccp_header){keep(s, r->headers[i].name), keep(s, r->headers[i].value)};
    record_credential(s, to, r);
    for (size_t i = 0; i < r->body_pieces; i++)
        to->body = keep2(s, to->body, r->body[i]);
    *t = (struct ccp_transfer){
        .script = s->sent_n < s->c->up_n ? &s->c->up[s->sent_n] : NULL, .events = *events, .arg = arg, .live = true};
    s->sent_n++;
    return t;
}

static void fake_cancel(void *self, struct ccp_transfer *t)
{
    t->live = false;
}

static void fake_pause(void *self, struct ccp_transfer *t)
{
    t->paused = true;
}

static void fake_resume(void *self, struct ccp_transfer *t)
{
    t->paused = false;
}

static const struct ccp_transport fake_transport = {fake_start, fake_cancel, fake_pause, fake_resume};

static void transfer_done(struct ccp_transfer *t, enum ccp_status status, struct ccp_span why)
{
    t->live = false;
    t->events.done(t->arg, status, why);
}

static enum ccp_status status_named(struct ccp_span name)
{
    static const char *const names[] = {
#define X(name, text, http, retry, message) #name,
#include <ccproxy/status.def>
#undef X
    };
    for (int i = 0; i < CCP_STATUS_COUNT; i++)
        if (ccp_span_is(name, names[i]))
            return (enum ccp_status)i;
    return CCP_INTERNAL;
}

static void send_head(struct ccp_transfer *t, const struct message *answer)
{
    struct ccp_header h[CASE_HEADERS];
    size_t n = 0;
    for (size_t i = 0; i < answer->header_n; i++)
        if (ccp_span_is(answer->headers[i].name, ":silence"))
            t->silent = (size_t)number_of(answer->headers[i].value);
        else
            h[n++] = (struct ccp_header){answer->headers[i].name, answer->headers[i].value};
    struct ccp_span first = answer->first;
    t->headed = true;
    t->events.head(t->arg, (int)number_of(take_word(&first)), h, n);
}

static void send_end(struct ccp_transfer *t, const struct message *answer)
{
    if (ccp_span_ends(answer->first, CCP_SPAN(" cut")))
        transfer_done(t, CCP_UPSTREAM, CCP_SPAN("the connection broke"));
    else if (ccp_span_ends(answer->first, CCP_SPAN(" stall")))
        transfer_done(t, CCP_UPSTREAM_TIMEOUT, CCP_SPAN("nothing came for too long"));
    else
        transfer_done(t, CCP_OK, (struct ccp_span){"", 0});
}

/* One step of a transfer: its head, a piece of its body, or its end. */
static void transfer_step(struct stage *s, struct ccp_transfer *t)
{
    if (t->script == NULL) {
        broken(s, "an upstream request that the case does not know");
        transfer_done(t, CCP_UPSTREAM, CCP_SPAN("no script"));
        return;
    }
    const struct message *answer = &t->script->answer;
    struct ccp_span first = answer->first, body = answer->body.exact;
    if (ccp_span_is(take_word(&first), "fail")) {
        struct ccp_span status = take_word(&first);
        transfer_done(t, status_named(status), first);
    } else if (!t->headed) {
        send_head(t, answer);
    } else if (t->at < body.n) {
        size_t n = body.n - t->at;
        if (s->rhythm.cutting == CUT_BYTES)
            n = 1;
        else if (s->rhythm.cutting == CUT_RANDOM)
            n = 1 + dice(s, (unsigned)(n < 300 ? n : 300));
        else if (s->rhythm.cutting == CUT_ONCE && t->at < s->rhythm.cut_at && s->rhythm.cut_at < body.n)
            n = s->rhythm.cut_at - t->at;
        /* the chain may look at these bytes during the call only: they come from a copy that dies after it */
        char *copy = malloc(n);
        memcpy(copy, body.p + t->at, n);
        t->at += n;
        enum ccp_push push = t->events.body(t->arg, ccp_span_of(copy, n));
        free(copy);
        t->paused |= push == CCP_PUSH_PAUSE;
        t->live &= push != CCP_PUSH_GONE;
    } else if (t->silent != 0) {
        t->silent--;
    } else {
        send_end(t, answer);
    }
}

/* ---- the responder ---- */

static void got_head(void *self, int status, const struct ccp_header *headers, size_t n, size_t content_length)
{
    struct stage *s = self;
    if (s->in_begin)
        broken(s, "the responder was called from inside chain_begin");
    if (s->heads++ != 0 || s->ended)
        broken(s, "a second response head");
    s->status = status;
    s->content_length = content_length;
    for (size_t i = 0; i < n && i < CASE_HEADERS; i++)
        s->headers[s->header_n++] = (struct ccp_header){keep(s, headers[i].name), keep(s, headers[i].value)};
}

static enum ccp_push got_body(void *self, struct ccp_span bytes, bool last)
{
    struct stage *s = self;
    if (s->heads == 0 || s->last || s->aborted || s->ended)
        broken(s, "body bytes before the head or after the end");
    buf_add(&s->body, bytes);
    s->last |= last;
    if (last || !s->rhythm.slow_client || dice(s, 3) != 0)
        return CCP_PUSH_MORE;
    s->paused = true;
    return CCP_PUSH_PAUSE;
}

static void got_abort(void *self)
{
    struct stage *s = self;
    if (s->last || s->aborted)
        broken(s, "abort after the end");
    s->aborted = true;
}

static void got_ended(void *self)
{
    struct stage *s = self;
    if (s->ended || (!s->last && !s->aborted))
        broken(s, "ended twice or without an end of the answer");
    s->ended = true;
    s->x = NULL;
}

static const struct chain_responder recorder = {got_head, got_body, got_abort, got_ended};

/* ---- hooks: the events, with what is known then ---- */

static const char *const event_names[] = {
#define X(name, dotted) dotted,
#include <ccproxy/event.def>
#undef X
};

static bool saw_event(void *self, enum ccp_event event, struct ccp_exchange *x)
{
    struct stage *s = self;
    if (s->event_n == CASE_EVENTS || x == NULL)
        return true;
    struct ccp_summary sum = {0};
    static const char *const names[] = {
#define X(name, text, http, retry, message) text,
#include <ccproxy/status.def>
#undef X
    };
    if (event == CCP_EVENT_REQUEST_COMPLETED || event == CCP_EVENT_REQUEST_FAILED)
        x->api->summary(x, &sum);
    struct ccp_span provider = x->api->provider(x), model = x->api->client_model(x), up = x->api->upstream_model(x);
    struct ccp_span key = x->api->key_name(x);
    char text[1024];
    snprintf(text, sizeof(text),
             "%s provider=%.*s model=%.*s upstream_model=%.*s key=%.*s status=%s http=%d attempts=%d streamed=%d ",
             event_names[event], CCP_FMT(provider), CCP_FMT(model), CCP_FMT(up), CCP_FMT(key), names[sum.status],
             sum.http_status, sum.attempts, sum.streamed);
    s->events[s->event_n++] = keep(s, ccp_span_z(text));
    return true;
}

static const struct ccp_hook spy = {.name = "spy", .order = 1000, .on_event = saw_event};

/* The runtime's own hook lists, put aside while the spy listens. */
struct hook_lists {
    struct hook_entry **hooks[CCP_EVENT_COUNT];
    struct hook_entry *with_spy[CCP_EVENT_COUNT][8];
    size_t count[CCP_EVENT_COUNT];
    uint64_t heard;
    struct hook_entry entry;
};

static void spy_on(struct hook_lists *l, struct runtime *rt, struct stage *s)
{
    l->entry = (struct hook_entry){.h = &spy, .self = s, .owner = CCP_SPAN("test")};
    l->heard = rt->heard;
    rt->heard = ~0ull;
    for (int e = 0; e < CCP_EVENT_COUNT; e++) {
        l->hooks[e] = rt->hooks[e];
        l->count[e] = rt->hook_count[e];
        size_t n = l->count[e] < 7 ? l->count[e] : 7;
        for (size_t i = 0; i < n; i++)
            l->with_spy[e][i] = rt->hooks[e][i];
        l->with_spy[e][n] = &l->entry;
        rt->hooks[e] = l->with_spy[e];
        rt->hook_count[e] = n + 1;
    }
}

static void spy_off(struct hook_lists *l, struct runtime *rt)
{
    rt->heard = l->heard;
    for (int e = 0; e < CCP_EVENT_COUNT; e++) {
        rt->hooks[e] = l->hooks[e];
        rt->hook_count[e] = l->count[e];
    }
}

/* ---- one run ---- */

static void no_wake(struct loop *loop)
{
    (void)loop; /* the loop is turned until the exchange ended */
}

/* The case's configuration as an open runtime; NULL with *why filled. */
static struct runtime *runtime_of(const struct test_case *c, char *why, size_t max)
{
    char path[] = "/tmp/ccproxy-case-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, c->config.p, c->config.n) != (ssize_t)c->config.n)
        abort();
    close(fd);
    struct config_source source = {.file = path};
    struct config *config = config_load(&source);
    unlink(path);
    struct runtime *rt = runtime_bind(config);
    struct ccp_span text = {NULL, 0};
    size_t n = 0;
    const struct config_fault *faults = config_faults(rt->config, &n);
    for (size_t i = 0; i < n; i++)
        if (!faults[i].warning)
            text = faults[i].text;
    if (text.p == NULL && runtime_open(rt, chain_core(), &text))
        return rt;
    snprintf(why, max, "configuration: %.*s", CCP_FMT(text));
    runtime_unref(rt);
    return NULL;
}

/* Fills a request; `h` holds its headers. Pseudo headers tell what HTTP does not. */
static struct chain_request request_of(const struct test_case *c, struct ccp_header *h)
{
    struct chain_request r = {.peer = CCP_SPAN("127.0.0.1:5123"), .version = 11, .headers = h, .upgrade = {"", 0}};
    struct ccp_span first = c->client.first;
    r.method = take_word(&first);
    r.target = take_word(&first);
    r.authority = CCP_SPAN("127.0.0.1:8000");
    r.body = c->client.body.exact.p != NULL ? c->client.body.exact : CCP_SPAN("");
    for (size_t i = 0; i < c->client.header_n; i++) {
        const struct want *w = &c->client.headers[i];
        struct ccp_span rest = w->value;
        if (ccp_span_is(w->name, "host"))
            r.authority = w->value;
        else if (ccp_span_is(w->name, ":upgrade"))
            r.upgrade = w->value;
        else if (ccp_span_is(w->name, ":unix"))
            r.unix_socket = true, r.peer = CCP_SPAN("unix");
        else if (ccp_span_is(w->name, ":refusal"))
            r.refusal = status_named(take_word(&rest)), r.refusal_text = rest;
        else
            h[r.header_count++] = (struct ccp_header){w->name, w->any ? CCP_SPAN("*") : w->value};
    }
    return r;
}

static struct ccp_transfer *live_transfer(struct stage *s)
{
    for (size_t i = 0; i < s->sent_n; i++)
        if (s->transfers[i].live)
            return &s->transfers[i];
    return NULL;
}

/* The client leaves, and as with a reset HTTP/2 stream its body is gone before the chain hears of it. */
static void leave(struct stage *s)
{
    free(s->client_body);
    s->client_body = NULL;
    chain_client_gone(s->x);
    s->x = NULL;
}

static void turn(struct stage *s, size_t step)
{
    loop_turn(&s->loop);
    struct ccp_transfer *t = live_transfer(s);
    if (t != NULL && !t->paused)
        transfer_step(s, t);
    if (s->x != NULL && s->paused && dice(s, 2) == 0) {
        s->paused = false;
        chain_writable(s->x);
    }
    if (s->x != NULL && step == s->rhythm.gone_after) {
        leave(s);
        s->ended = true;
    }
    if (step == 2 && s->rhythm.reload != NULL)
        chain_worker_set_runtime(s->worker, runtime_ref(s->rhythm.reload));
    if (step == s->rhythm.abort_after)
        chain_abort_all(s->worker);
    play_us += 1000;
}

static void arm(const char *fault)
{
#ifdef CCP_FAULTS
    fault_arm(fault);
#else
    (void)fault;
#endif
}

/* Plays the whole exchange. The stage keeps what was recorded until stage_release. */
static void stage_play(struct stage *s, const struct test_case *c, struct runtime *runtime, struct rhythm rhythm)
{
    struct ccp_header h[CASE_HEADERS];
    struct hook_lists lists;
    *s = (struct stage){.c = c, .rhythm = rhythm, .content_length = SIZE_MAX};
    clock_replace(play_clock, NULL);
    buf_init(&s->body, 4 << 20);
    buf_reserve(&s->body, 4 << 20);
    s->runtime = runtime;
    loop_init(&s->loop, no_wake, s);
    spy_on(&lists, s->runtime, s);
    s->worker = chain_worker_new(&s->loop, &fake_transport, s, runtime_ref(s->runtime));
    struct chain_request request = request_of(c, h);
    s->client_body = malloc(request.body.n + 1);
    memcpy(s->client_body, request.body.p, request.body.n);
    request.body.p = s->client_body;
    if (rhythm.draining)
        chain_drain(s->worker);
    arm(rhythm.fault);
    s->in_begin = true;
    s->x = chain_begin(s->worker, &request, &recorder, s);
    s->in_begin = false;
    size_t limit = 200000;
    if (s->x != NULL && rhythm.gone_at_once) {
        leave(s);
    }
    if (s->x == NULL)
        s->ended = true;
    for (size_t step = 1; !s->ended && step < limit; step++)
        turn(s, step);
    if (!s->ended) {
        broken(s, "the exchange did not end");
        leave(s);
    }
    arm(NULL);
    free(s->client_body);
    s->client_body = NULL;
    for (int i = 0; i < 3; i++)
        loop_turn(&s->loop);
    if (live_transfer(s) != NULL)
        broken(s, "the exchange is over and its upstream transfer still runs");
    if (chain_in_flight(s->worker) != 0)
        broken(s, "the exchange is over and still counted");
    spy_off(&lists, s->runtime);
    chain_worker_free(s->worker);
    if (s->loop.heap_n != 0 || s->loop.first != NULL)
        broken(s, "a timer or a task outlived the worker");
    loop_release(&s->loop);
}

static void stage_release(struct stage *s)
{
    buf_release(&s->body);
    for (struct kept *next; s->kept != NULL; s->kept = next) {
        next = s->kept->next;
        free(s->kept);
    }
    clock_replace(NULL, NULL);
}

#endif

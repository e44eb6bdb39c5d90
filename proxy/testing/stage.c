/*
 * Playing a case: see stage.h.
 */
#include <testing/stage.h>

#include <base/clock.h>
#include <base/fault.h>

#include <stdlib.h>
#include <unistd.h>

/* The clock of the run; one stage plays at a time, for the clock is the process's. */
static uint64_t play_us = 1000000;

static uint64_t play_clock(void)
{
    return play_us;
}

void stage_broken(struct stage *s, const char *what)
{
    if (s->wrong[0] == '\0')
        snprintf(s->wrong, sizeof(s->wrong), "%s", what);
}

struct ccp_span stage_keep2(struct stage *s, struct ccp_span a, struct ccp_span b)
{
    struct stage_kept *k = malloc(sizeof(*k) + a.n + b.n + 1);
    if (k == NULL)
        abort(); /* a test without memory proves nothing */
    k->next = s->kept;
    s->kept = k;
    if (a.n != 0)
        memcpy(k->bytes, a.p, a.n);
    if (b.n != 0)
        memcpy(k->bytes + a.n, b.p, b.n);
    return (struct ccp_span){k->bytes, a.n + b.n};
}

struct ccp_span stage_keep(struct stage *s, struct ccp_span a)
{
    return stage_keep2(s, a, (struct ccp_span){NULL, 0});
}

unsigned stage_dice(struct stage *s, unsigned sides)
{
    s->rhythm.random = s->rhythm.random * 1103515245u + 12345u;
    return (s->rhythm.random >> 16) % sides;
}

static void got_head(void *self, int status, const struct ccp_header *headers, size_t n, size_t content_length)
{
    struct stage *s = self;
    if (s->in_begin)
        stage_broken(s, "the responder was called from inside chain_begin");
    if (s->heads++ != 0 || s->ended)
        stage_broken(s, "a second response head");
    s->status = status;
    s->content_length = content_length;
    for (size_t i = 0; i < n && i < CASE_HEADERS; i++)
        s->headers[s->header_n++] =
            (struct ccp_header){stage_keep(s, headers[i].name), stage_keep(s, headers[i].value)};
}

static enum ccp_push got_body(void *self, struct ccp_span bytes, bool last)
{
    struct stage *s = self;
    if (s->heads == 0 || s->last || s->aborted || s->ended)
        stage_broken(s, "body bytes before the head or after the end");
    buf_add(&s->body, bytes);
    s->last |= last;
    if (last || !s->rhythm.slow_client || stage_dice(s, 3) != 0)
        return CCP_PUSH_MORE;
    s->paused = true;
    return CCP_PUSH_PAUSE;
}

static void got_abort(void *self)
{
    struct stage *s = self;
    if (s->last || s->aborted)
        stage_broken(s, "abort after the end");
    s->aborted = true;
}

static void got_ended(void *self)
{
    struct stage *s = self;
    if (s->ended || (!s->last && !s->aborted))
        stage_broken(s, "ended twice or without an end of the answer");
    s->ended = true;
    s->x = NULL;
}

static const struct chain_responder recorder = {got_head, got_body, got_abort, got_ended};

/* -- hooks: the events, with what is known then -- */

static const char *const event_names[] = {
#define X(name, dotted) dotted,
#include <ccproxy/event.def>
#undef X
};

/* What cases name: the steps every exchange takes, not the bytes and copies that other events carry. */
#define SPIED                                                                                                          \
    (CCP_HEARS(REQUEST_STARTED) | CCP_HEARS(REQUEST_ROUTED) | CCP_HEARS(REQUEST_COMPLETED) |                           \
     CCP_HEARS(REQUEST_FAILED) | CCP_HEARS(HTTP_RESPONSE) | CCP_HEARS(PROVIDER_REQUEST_PREPARED) |                     \
     CCP_HEARS(PROVIDER_RESPONSE_RECEIVED))

static bool saw_event(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    struct stage *s = self;
    if (s->event_n == CASE_EVENTS || x == NULL || (SPIED & (1ull << event)) == 0)
        return true;
    struct ccp_summary sum = {0};
    static const char *const names[] = {
#define X(name, text, http, retry, message) text,
#include <ccproxy/status.def>
#undef X
    };
    if (event == CCP_EVENT_REQUEST_COMPLETED || event == CCP_EVENT_REQUEST_FAILED)
        x->api->summary(x, &sum, sizeof(sum));
    struct ccp_span provider = x->api->provider(x), model = x->api->client_model(x), up = x->api->upstream_model(x);
    struct ccp_span key = x->api->key_name(x);
    char text[1024];
    snprintf(text, sizeof(text),
             "%s provider=%.*s model=%.*s upstream_model=%.*s key=%.*s status=%s http=%d attempts=%d streamed=%d ",
             event_names[event], CCP_FMT(provider), CCP_FMT(model), CCP_FMT(up), CCP_FMT(key), names[sum.status],
             sum.http_status, sum.attempts, sum.streamed);
    s->events[s->event_n++] = stage_keep(s, ccp_span_z(text));
    return true;
}

static const struct ccp_hook spy = {.name = "spy", .events = SPIED, .order = 1000, .on_event = saw_event};

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
    l->heard = rt->heard_in_line;
    rt->heard_in_line = ~0ull;
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
    rt->heard_in_line = l->heard;
    for (int e = 0; e < CCP_EVENT_COUNT; e++) {
        rt->hooks[e] = l->hooks[e];
        rt->hook_count[e] = l->count[e];
    }
}

/* -- one run -- */

static void no_wake(struct loop *loop)
{
    (void)loop; /* the loop is turned until the exchange ended */
}

struct runtime *case_runtime(const struct test_case *c, const struct ccp_plugin *const *extra, char *why, size_t max)
{
    char path[] = "/tmp/ccproxy-case-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, c->config.p, c->config.n) != (ssize_t)c->config.n)
        abort();
    close(fd);
    struct config_source source = {.file = path};
    struct config *config = config_load(&source);
    unlink(path);
    struct runtime *rt = runtime_bind_with(config, extra);
    struct ccp_span text = {NULL, 0};
    size_t n = 0;
    const struct config_fault *faults = config_faults(rt->config, &n);
    for (size_t i = 0; i < n; i++)
        if (!faults[i].warning)
            text = faults[i].text;
    if (text.p == NULL && runtime_open(rt, &(struct runtime_host){.core = chain_core()}, &text))
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
    r.method = case_word(&first);
    r.target = case_word(&first);
    r.authority = CCP_SPAN("127.0.0.1:8000");
    r.body = c->client.body.exact.p != NULL ? c->client.body.exact : CCP_SPAN("");
    for (size_t i = 0; i < c->client.header_n; i++) {
        const struct case_want *w = &c->client.headers[i];
        struct ccp_span rest = w->value;
        if (ccp_span_is(w->name, "host"))
            r.authority = w->value;
        else if (ccp_span_is(w->name, ":upgrade"))
            r.upgrade = w->value;
        else if (ccp_span_is(w->name, ":unix"))
            r.unix_socket = true, r.peer = CCP_SPAN("unix");
        else if (ccp_span_is(w->name, ":refusal"))
            r.refusal = stage_status_named(case_word(&rest)), r.refusal_text = rest;
        else
            h[r.header_count++] = (struct ccp_header){w->name, w->any ? CCP_SPAN("*") : w->value};
    }
    return r;
}

static struct stage_transfer *live_transfer(struct stage *s)
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
    struct stage_transfer *t = live_transfer(s);
    if (t != NULL && !t->paused)
        stage_transfer_step(s, t);
    if (s->x != NULL && s->paused && stage_dice(s, 2) == 0) {
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

void stage_play(struct stage *s, const struct test_case *c, struct runtime *runtime, struct rhythm rhythm)
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
    s->worker = chain_worker_new(&s->loop, &stage_transport, s, runtime_ref(s->runtime));
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
        stage_broken(s, "the exchange did not end");
        leave(s);
    }
    arm(NULL);
    free(s->client_body);
    s->client_body = NULL;
    for (int i = 0; i < 3; i++)
        loop_turn(&s->loop);
    if (live_transfer(s) != NULL)
        stage_broken(s, "the exchange is over and its upstream transfer still runs");
    if (chain_in_flight(s->worker) != 0)
        stage_broken(s, "the exchange is over and still counted");
    spy_off(&lists, s->runtime);
    chain_worker_free(s->worker);
    if (s->loop.heap_n != 0 || s->loop.first != NULL)
        stage_broken(s, "a timer or a task outlived the worker");
    loop_release(&s->loop);
}

void stage_release(struct stage *s)
{
    buf_release(&s->body);
    for (struct stage_kept *next; s->kept != NULL; s->kept = next) {
        next = s->kept->next;
        free(s->kept);
    }
    clock_replace(NULL, NULL);
}

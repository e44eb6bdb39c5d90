/*
 * The transport of a stage: records requests, answers from the case's script, one step at a time.
 */
#include <testing/stage.h>

#include <base/secret.h>

#include <stdlib.h>

static void record_credential(struct stage *s, struct stage_sent *to, const struct ccp_upstream_request *r)
{
    if (r->credential == NULL || to->header_n == CASE_HEADERS)
        return;
    /* revealed: this test stands in for the transport that writes the header */
    to->headers[to->header_n++] = (struct ccp_header){
        stage_keep(s, r->credential_header), stage_keep2(s, r->credential_prefix, secret_reveal(r->credential))};
}

static struct ccp_transfer *fake_start(void *self, struct ccp_exchange *x, const struct ccp_upstream_request *r,
                                       const struct ccp_transfer_events *events, void *arg)
{
    struct stage *s = self;
    if (s->sent_n > CASE_UPSTREAMS) {
        stage_broken(s, "endless upstream requests");
        return NULL;
    }
    if (s->in_begin)
        stage_broken(s, "an upstream request was started from inside chain_begin");
    struct stage_sent *to = &s->sent[s->sent_n];
    struct stage_transfer *t = &s->transfers[s->sent_n];
    to->method = stage_keep(s, r->method);
    to->url = stage_keep(s, r->url);
    for (size_t i = 0; i < r->header_count && i < CASE_HEADERS; i++)
        to->headers[to->header_n++] =
            (struct ccp_header){stage_keep(s, r->headers[i].name), stage_keep(s, r->headers[i].value)};
    record_credential(s, to, r);
    for (size_t i = 0; i < r->body_pieces; i++)
        to->body = stage_keep2(s, to->body, r->body[i]);
    *t = (struct stage_transfer){
        .script = s->sent_n < s->c->up_n ? &s->c->up[s->sent_n] : NULL, .events = *events, .arg = arg, .live = true};
    s->sent_n++;
    return (struct ccp_transfer *)t;
}

static void fake_cancel(void *self, struct ccp_transfer *t)
{
    ((struct stage_transfer *)t)->live = false;
}

static void fake_pause(void *self, struct ccp_transfer *t)
{
    ((struct stage_transfer *)t)->paused = true;
}

static void fake_resume(void *self, struct ccp_transfer *t)
{
    ((struct stage_transfer *)t)->paused = false;
}

const struct ccp_transport stage_transport = {fake_start, fake_cancel, fake_pause, fake_resume};

static void transfer_done(struct stage_transfer *t, enum ccp_status status, struct ccp_span why)
{
    t->live = false;
    t->events.done(t->arg, status, why);
}

enum ccp_status stage_status_named(struct ccp_span name)
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

static void send_head(struct stage_transfer *t, const struct case_message *answer)
{
    struct ccp_header h[CASE_HEADERS];
    size_t n = 0;
    for (size_t i = 0; i < answer->header_n; i++)
        if (ccp_span_is(answer->headers[i].name, ":silence"))
            t->silent = (size_t)case_number(answer->headers[i].value);
        else
            h[n++] = (struct ccp_header){answer->headers[i].name, answer->headers[i].value};
    struct ccp_span first = answer->first;
    t->headed = true;
    t->events.head(t->arg, (int)case_number(case_word(&first)), h, n);
}

static void send_end(struct stage_transfer *t, const struct case_message *answer)
{
    if (ccp_span_ends(answer->first, CCP_SPAN(" cut")))
        transfer_done(t, CCP_UPSTREAM, CCP_SPAN("the connection broke"));
    else if (ccp_span_ends(answer->first, CCP_SPAN(" stall")))
        transfer_done(t, CCP_UPSTREAM_TIMEOUT, CCP_SPAN("nothing came for too long"));
    else
        transfer_done(t, CCP_OK, (struct ccp_span){"", 0});
}

void stage_transfer_step(struct stage *s, struct stage_transfer *t)
{
    if (t->script == NULL) {
        stage_broken(s, "an upstream request that the case does not know");
        transfer_done(t, CCP_UPSTREAM, CCP_SPAN("no script"));
        return;
    }
    const struct case_message *answer = &t->script->answer;
    struct ccp_span first = answer->first, body = answer->body.exact;
    if (ccp_span_is(case_word(&first), "fail")) {
        struct ccp_span status = case_word(&first);
        transfer_done(t, stage_status_named(status), first);
    } else if (!t->headed) {
        send_head(t, answer);
    } else if (t->at < body.n) {
        size_t n = body.n - t->at;
        if (s->rhythm.cutting == CUT_BYTES)
            n = 1;
        else if (s->rhythm.cutting == CUT_RANDOM)
            n = 1 + stage_dice(s, (unsigned)(n < 300 ? n : 300));
        else if (s->rhythm.cutting == CUT_ONCE && t->at < s->rhythm.cut_at && s->rhythm.cut_at < body.n)
            n = s->rhythm.cut_at - t->at;
        /* the chain may look at these bytes during the call only: they come from a copy that dies after it */
        char *copy = malloc(n);
        if (copy == NULL)
            abort();
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

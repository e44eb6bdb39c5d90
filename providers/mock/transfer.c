/*
 * The mock's transport: plays a prepared reply into the core, driven by one timer.
 *
 * Nothing is called from inside start, pause or resume. A callback that may end the transfer is the last thing a
 * turn does, or its answer is looked at before anything else is touched: the exchange's memory may be gone.
 */
#include "play.h"

#include <inttypes.h>
#include <stdio.h>

/* So many bytes are given in one turn of the loop; others want it too. */
#define TURN_MAX 65536

struct ccp_transfer {
    const struct ccp_transfer_events *events;
    void *arg;
    const struct ccp_api *api;
    struct ccp_timer *timer;
    struct mock_reply reply;
    size_t given;     /* of reply.play.out */
    uint64_t head_ms; /* when the head was given */
    bool head_given, paused;
};

static struct ccp_span content_type(const struct mock_reply *reply)
{
    if (reply->kind != MOCK_REPLY_STREAM || !reply->play.ask.target.sse)
        return CCP_SPAN("application/json");
    return CCP_SPAN("text/event-stream; charset=utf-8");
}

static void give_head(struct ccp_transfer *t)
{
    const struct mock_reply *reply = &t->reply;
    bool anthropic = reply->play.ask.target.format == CCP_FORMAT_ANTHROPIC;
    char id[32], retry_after[24];
    struct ccp_header headers[3];
    size_t n = 0;
    headers[n++] = (struct ccp_header){CCP_SPAN("content-type"), content_type(reply)};
    snprintf(id, sizeof(id), "req_%016" PRIx64, reply->play.ask.hash);
    headers[n++] = (struct ccp_header){anthropic ? CCP_SPAN("request-id") : CCP_SPAN("x-request-id"), ccp_span_z(id)};
    if (reply->retry_after_s != 0) {
        snprintf(retry_after, sizeof(retry_after), "%" PRIu64, reply->retry_after_s);
        headers[n++] = (struct ccp_header){CCP_SPAN("retry-after"), ccp_span_z(retry_after)};
    }
    t->head_given = true;
    t->head_ms = t->api->now_ms();
    t->api->timer_set(t->timer, 0);
    t->events->head(t->arg, reply->status, headers, n);
}

static void give_end(struct ccp_transfer *t)
{
    if (t->reply.play.out.failed)
        t->events->done(t->arg, CCP_INTERNAL, CCP_SPAN("the mock ran out of the request's memory"));
    else if (t->reply.broken)
        t->events->done(t->arg, CCP_UPSTREAM, CCP_SPAN("mock-cut: the answer was broken off on purpose"));
    else
        t->events->done(t->arg, CCP_OK, CCP_SPAN(""));
}

/* Gives what is in the buffer, up to *turn bytes. False: this turn is over, and `t` may be gone. */
static bool give_bytes(struct ccp_transfer *t, size_t *turn)
{
    struct ccp_span rest = ccp_span_skip(mock_out_span(&t->reply.play.out), t->given);
    size_t n = rest.n < MOCK_BATCH ? rest.n : MOCK_BATCH;
    enum ccp_push push;
    if (*turn == 0) {
        t->api->timer_set(t->timer, 0);
        return false;
    }
    *turn -= n < *turn ? n : *turn;
    t->given += n;
    push = t->events->body(t->arg, ccp_span_of(rest.p, n));
    if (push == CCP_PUSH_GONE)
        return false;
    t->paused |= push == CCP_PUSH_PAUSE;
    return !t->paused;
}

static void pump(struct ccp_transfer *t)
{
    struct mock_out *out = &t->reply.play.out;
    size_t turn = TURN_MAX;
    while (!out->failed) {
        uint64_t wait;
        if (t->given < out->n) {
            if (!give_bytes(t, &turn))
                return;
            continue;
        }
        if (t->reply.finished)
            break;
        mock_out_reset(out);
        t->given = 0;
        wait = mock_reply_produce(&t->reply, t->api->now_ms() - t->head_ms);
        if (wait != 0 && out->n == 0 && !out->failed) {
            t->api->timer_set(t->timer, wait);
            return;
        }
    }
    give_end(t);
}

static void fire(void *arg)
{
    struct ccp_transfer *t = arg;
    if (t->paused)
        return;
    if (!t->head_given)
        give_head(t);
    else
        pump(t);
}

static struct ccp_transfer *start(void *self, struct ccp_exchange *x, const struct ccp_upstream_request *request,
                                  const struct ccp_transfer_events *events, void *arg)
{
    struct ccp_transfer *t = x->api->alloc(x, sizeof(*t));
    if (t == NULL)
        return NULL;
    *t = (struct ccp_transfer){.events = events, .arg = arg, .api = x->api};
    if (!mock_reply_make(&t->reply, self, x, request) || (t->timer = x->api->timer(x, fire, t)) == NULL)
        return NULL;
    x->api->timer_set(t->timer, mock_reply_head_due(&t->reply));
    return t;
}

static void cancel(void *self, struct ccp_transfer *t)
{
    (void)self;
    t->paused = true;
    t->api->timer_stop(t->timer);
}

static void pause_transfer(void *self, struct ccp_transfer *t)
{
    (void)self;
    t->paused = true;
    t->api->timer_stop(t->timer);
}

/* Before the head, the wait for it starts anew only if it was due: a pause is for bodies and comes later. */
static void resume_transfer(void *self, struct ccp_transfer *t)
{
    (void)self;
    if (!t->paused)
        return;
    t->paused = false;
    t->api->timer_set(t->timer, t->head_given ? 0 : mock_reply_head_due(&t->reply));
}

const struct ccp_transport mock_transport = {start, cancel, pause_transfer, resume_transfer};

/*
 * The pipe: same-format bytes from the upstream to the client, untouched.
 *
 * For event streams it also keeps two promises. A cut never looks like an event: the unfinished tail of a
 * chunk (up to 16 KiB) is held until its event is complete, which costs the client nothing, since nobody acts
 * on half an event. And a stream that ends without its terminator ends with an error, never as success.
 */
#include <base/fault.h>
#include <chain/exchange_impl.h>

static bool wants_keepalive(const struct exchange *x)
{
    return x->sse && x->rt->settings.server.keepalive_interval != 0 && x->route.format != CCP_FORMAT_NONE &&
           x->route.op == CCP_OP_GENERATE && x->head.status == 200;
}

/* One timer per stream that is moved only when it fires: a chunk just notes the time. */
static void keepalive_fire(struct loop_timer *timer)
{
    struct exchange *x = (struct exchange *)((char *)timer - offsetof(struct exchange, keepalive));
    uint64_t interval = x->rt->settings.server.keepalive_interval;
    uint64_t silent = x->w->loop->now_ms - x->last_byte_ms;
    if (x->state != X_ANSWERING)
        return;
    bool started = x->route.format != CCP_FORMAT_ANTHROPIC || x->tail.any;
    bool open = started && !format_tail_ended(&x->tail);
    if (silent >= interval && open && x->held.n == 0 && !x->split && !x->paused) {
        if (answer_body(x, format_keepalive(x->route.format), false) == CCP_PUSH_GONE) {
            exchange_finish(x);
            return;
        }
        x->last_byte_ms = x->w->loop->now_ms;
        silent = 0;
    }
    loop_timer_set(x->w->loop, &x->keepalive, silent < interval ? interval - silent : interval);
}

void pipe_open(struct exchange *x)
{
    usage_open(x);
    if (!x->sse)
        return;
    format_tail_init(&x->tail, x->route.format);
    x->last_byte_ms = x->w->loop->now_ms;
    if (!wants_keepalive(x))
        return;
    x->keepalive.fire = keepalive_fire;
    loop_timer_set(x->w->loop, &x->keepalive, x->rt->settings.server.keepalive_interval);
}

void pipe_close(struct exchange *x)
{
    loop_timer_stop(x->w->loop, &x->keepalive);
    buf_release(&x->held);
}

/* Where the last complete event in `s` ends; 0 = none. Looks for an empty line from the back. */
static size_t complete_part(struct ccp_span s)
{
    for (size_t i = s.n; i > 1; i--) {
        if (s.p[i - 1] != '\n' && s.p[i - 1] != '\r')
            continue;
        if (s.p[i - 1] == '\n' && (s.p[i - 2] == '\n' || (i > 2 && s.p[i - 2] == '\r' && s.p[i - 3] == '\n')))
            return i;
        if (s.p[i - 1] == '\r' && s.p[i - 2] == '\r')
            return i;
    }
    return 0;
}

/* An empty line may be cut in two: how many of the new bytes complete the event that is held; 0 = none. */
static size_t completes_held(const struct exchange *x, struct ccp_span bytes)
{
    char window[5];
    size_t tail = x->held.n < 3 ? x->held.n : 3;
    if (tail == 0)
        return 0;
    memcpy(window, x->held.p + x->held.n - tail, tail);
    for (size_t n = bytes.n < 2 ? bytes.n : 2; n != 0; n--) {
        memcpy(window + tail, bytes.p, n);
        if (complete_part(ccp_span_of(window, tail + n)) == tail + n)
            return n;
    }
    return 0;
}

static enum ccp_push forward(struct exchange *x, struct ccp_span bytes, bool boundary)
{
    if (bytes.n == 0)
        return CCP_PUSH_MORE;
    format_tail_feed(&x->tail, bytes, boundary);
    usage_feed(x, bytes);
    return answer_body(x, bytes, false);
}

static enum ccp_push worse(enum ccp_push a, enum ccp_push b)
{
    return a > b ? a : b;
}

/* What was held and the new bytes, in order, up to and including `n` of the new ones. */
static enum ccp_push release(struct exchange *x, struct ccp_span bytes, size_t n, bool boundary)
{
    enum ccp_push first = forward(x, buf_span(&x->held), false);
    x->held.n = 0;
    if (first == CCP_PUSH_GONE)
        return first;
    return worse(first, forward(x, ccp_span_of(bytes.p, n), boundary));
}

static enum ccp_push pipe_events(struct exchange *x, struct ccp_span bytes)
{
    bool boundary = sse_boundary_feed(&x->boundary, bytes);
    x->last_byte_ms = x->w->loop->now_ms;
    if (boundary) {
        x->split = false;
        return release(x, bytes, bytes.n, true);
    }
    size_t whole = complete_part(bytes);
    if (whole == 0)
        whole = completes_held(x, bytes);
    enum ccp_push result = CCP_PUSH_MORE;
    if (whole != 0) {
        x->split = false;
        result = release(x, bytes, whole, true);
        bytes = ccp_span_skip(bytes, whole);
    }
    if (result == CCP_PUSH_GONE)
        return result;
    if (!x->split && bytes.n <= x->held.max - x->held.n && !CCP_FAULT("pipe.hold") && buf_add(&x->held, bytes))
        return result;
    /* Too large to hold: it flows, and a cut inside it will break the connection. */
    x->held.failed = false;
    x->split = true;
    return worse(result, release(x, bytes, bytes.n, false));
}

enum ccp_push pipe_give(struct exchange *x, struct ccp_span events)
{
    return forward(x, events, true);
}

enum ccp_push pipe_body(struct exchange *x, struct ccp_span bytes)
{
    if (x->deltas != NULL)
        return deltas_body(x, bytes);
    if (x->sse)
        return pipe_events(x, bytes);
    usage_feed(x, bytes);
    return answer_body(x, bytes, false);
}

/* May the stream end here? What is held counts: clients take an unterminated last event. */
static bool ends_well(struct exchange *x)
{
    if (x->held.n != 0)
        format_tail_feed(&x->tail, buf_span(&x->held), false);
    bool judged = x->route.op == CCP_OP_GENERATE && x->head.status == 200;
    return !judged || format_tail_complete(&x->tail);
}

void pipe_done(struct exchange *x, enum ccp_status status, struct ccp_span why)
{
    usage_feed(x, buf_span(&x->held));
    if (status == CCP_OK && x->sse && !ends_well(x)) {
        status = CCP_UPSTREAM;
        why = CCP_SPAN("the stream ended before it was complete");
        moment_provider_error(x, x->upstream_status, why);
    }
    if (x->sse && format_tail_error(&x->tail))
        moment_provider_error(x, x->upstream_status, CCP_SPAN("its stream ended with an error event"));
    if (status == CCP_OK) {
        answer_body(x, buf_span(&x->held), true);
        exchange_finish(x);
        return;
    }
    exchange_fail(x, status, "provider %.*s: %.*s", CCP_FMT(x->route.provider->id), CCP_FMT(why));
    answer_failure(x);
}

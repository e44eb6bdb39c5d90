/*
 * The attempt: transport, and the judgement of the answer's head before a byte of it reaches the client. What is sent
 * is made in upstream_request.c.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>

/* -- the answer's head -- */

static bool copy_header(struct exchange *x, const struct ccp_header *h)
{
    struct ccp_span pieces[] = {h->name, h->value};
    struct ccp_span both = arena_cat(&x->arena, pieces, 2);
    if (both.p == NULL)
        return false;
    return answer_header(x, ccp_span_of(both.p, h->name.n), ccp_span_skip(both, h->name.n));
}

static size_t content_length(const struct ccp_header *h, size_t n)
{
    struct ccp_span text = headers_get(h, n, CCP_SPAN("content-length"));
    size_t value = 0;
    if (text.n == 0 || text.n > 18)
        return SIZE_MAX;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return SIZE_MAX;
        value = value * 10 + (size_t)(text.p[i] - '0');
    }
    return value;
}

static void open_answer(struct exchange *x)
{
    if (!deltas_open(x)) {
        answer_failure(x);
    } else if (x->crossing != NULL) {
        crossing_open(x);
    } else if (x->deltas != NULL) {
        deltas_begin(x);
    } else {
        answer_head(x, x->waiting_status, x->waiting_length);
        pipe_open(x);
    }
}

static bool is_stream(struct ccp_span type)
{
    return type.n >= 17 && ccp_span_ieq(ccp_span_of(type.p, 17), CCP_SPAN("text/event-stream"));
}

static void on_head(void *arg, int status, const struct ccp_header *h, size_t n)
{
    struct exchange *x = arg;
    if (x->state != X_UPSTREAM)
        return;
    x->upstream_head_us = clock_us() - x->started_us;
    x->upstream_status = status;
    x->waiting_coding = coding_of(headers_get(h, n, CCP_SPAN("content-encoding")));
    bool stream = x->waiting_coding == CODING_IDENTITY && is_stream(headers_get(h, n, CCP_SPAN("content-type")));
    moment_head(x, status, h, n, stream);
    bool give = judge_head(x, status);
    if (!give && !x->judging)
        return;
    struct ccp_span connection = headers_get(h, n, CCP_SPAN("connection"));
    for (size_t i = 0; i < n; i++)
        if (!headers_hop_by_hop(h[i].name, connection) && headers_forward_response(h[i].name) &&
            (x->crossing == NULL || crossing_keeps(h[i].name)) && headers_name_ok(h[i].name) &&
            headers_value_ok(h[i].value) && !copy_header(x, &h[i])) {
            x->upstream_refused = true;
            x->judging = false;
            exchange_fail(x, CCP_OVERLOADED, "out of memory");
            loop_soon(x->w->loop, &x->task);
            return;
        }
    /* A coded stream cannot be read: it passes like any other body. A stream we may add a keep-alive to has no
     * length of its own. */
    x->sse = stream;
    bool empty = ccp_span_is(x->req.method, "HEAD") || status == 204 || status == 304;
    x->waiting_length = empty ? 0 : x->sse ? SIZE_MAX : content_length(h, n);
    if (give)
        open_answer(x);
}

static enum ccp_push on_body(void *arg, struct ccp_span bytes)
{
    struct exchange *x = arg;
    moment_upstream_bytes(x, bytes);
    if (x->judging) {
        if (!judge_body(x, bytes, false))
            return CCP_PUSH_MORE;
        open_answer(x);
        bytes = buf_span(&x->first);
    }
    bool head_may_wait = x->crossing != NULL || x->deltas != NULL;
    if (x->state != X_ANSWERING && (!head_may_wait || x->state != X_UPSTREAM || x->upstream_refused))
        return CCP_PUSH_MORE; /* refused: its body is of no interest, the end is coming */
    enum ccp_push result = x->crossing != NULL ? crossing_body(x, bytes) : pipe_body(x, bytes);
    x->paused = result == CCP_PUSH_PAUSE;
    if (result == CCP_PUSH_GONE)
        exchange_finish(x); /* exchange_end cancels the transfer */
    return result;
}

/* What the end of an attempt means for the exchange. */
static void conclude(struct exchange *x, enum ccp_status status, struct ccp_span why)
{
    if (x->judging && judge_body(x, CCP_SPAN(""), true)) {
        open_answer(x);
        if (x->state != X_FINISHING)
            x->crossing != NULL ? crossing_body(x, buf_span(&x->first)) : pipe_body(x, buf_span(&x->first));
    }
    if (x->state == X_FINISHING) /* its first bytes ended it */
        return;
    if (x->upstream_refused) {
        loop_soon(x->w->loop, &x->task);
    } else if (crossing_answers(x)) {
        crossing_done(x, status, why);
    } else if (x->deltas != NULL && x->crossing == NULL) {
        deltas_done(x, status, why);
    } else if (x->state == X_ANSWERING) {
        pipe_done(x, status, why);
    } else {
        exchange_fail(x, status != CCP_OK ? status : CCP_UPSTREAM, "provider %.*s: %.*s",
                      CCP_FMT(x->route.provider->id), CCP_FMT(why));
        answer_failure(x);
    }
}

static void on_done(void *arg, enum ccp_status status, struct ccp_span why)
{
    struct exchange *x = arg;
    x->transfer = NULL;
    x->upstream_end_us = moment_now(x);
    if (status != CCP_OK)
        moment_provider_error(x, x->upstream_status, why);
    if (x->state != X_FINISHING)
        conclude(x, status, why);
    moment_upstream_end(x, why); /* last: what is wrong with the answer may have been seen just now */
}

static const struct ccp_transfer_events events = {on_head, on_body, on_done};

static bool send(struct exchange *x)
{
    x->attempts++;
    x->head.count = x->own_headers; /* nothing of an answer that was judged away */
    x->transfer =
        CCP_FAULT("attempt.start") ? NULL : x->transport->start(x->transport_self, &x->pub, &x->up, &events, x);
    if (x->transfer == NULL)
        exchange_fail(x, CCP_OVERLOADED, "the upstream request could not be started: out of memory");
    else
        moment_sent(x);
    return x->transfer != NULL;
}

/* Everything is there but the request itself. */
static enum ccp_verdict first(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    if (!attempt_build(x))
        return CCP_FAILED;
    if (x->crossing != NULL && crossing_estimate(x))
        return CCP_DONE;
    if (hooks_heard(x, CCP_EVENT_PROVIDER_REQUEST_PREPARED) && !attempt_offer(x))
        return CCP_FAILED;
    verbose_body(x, "request", 0, x->body);
    x->transport = p->def->transport != NULL ? p->def->transport : x->w->http;
    x->transport_self = p->def->transport != NULL ? p->self : x->w->http_self;
    x->own_headers = x->head.count;
    return send(x) ? CCP_WAIT : CCP_FAILED;
}

static enum ccp_verdict go(struct exchange *x)
{
    enum ccp_verdict verdict = credential_acquire(x);
    if (verdict != CCP_NEXT)
        return verdict;
    if (x->attempts == 0)
        return first(x);
    if (x->credential != NULL)
        credential_describe(x, x->route.provider, &x->up);
    return send(x) ? CCP_WAIT : CCP_FAILED;
}

enum ccp_verdict attempt_start(struct exchange *x)
{
    exchange_state(x, X_UPSTREAM);
    x->credential_news = false; /* of a wait that the router began: nothing to send again for */
    return go(x);
}

void attempt_next(struct exchange *x)
{
    bool again = x->retry || x->credential_news;
    attempt_stop(x);
    x->upstream_refused = x->retry = x->credential_news = false;
    if (!again || go(x) == CCP_FAILED)
        answer_failure(x);
}

void attempt_stop(struct exchange *x)
{
    struct ccp_transfer *t = x->transfer;
    x->transfer = NULL;
    if (t == NULL)
        return;
    x->transport->cancel(x->transport_self, t);
    x->upstream_end_us = moment_now(x);
    moment_upstream_end(x, CCP_SPAN("it was not read to its end"));
}

void chain_writable(struct exchange *x)
{
    if (x->stream != NULL)
        stream_writable(x);
    if (!x->paused || x->transfer == NULL)
        return;
    x->paused = false;
    x->transport->resume(x->transport_self, x->transfer);
}

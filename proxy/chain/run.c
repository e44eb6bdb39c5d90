/*
 * Running the chain: middlewares by layer, then the application (a local route or a provider).
 *
 * A middleware may answer, fail or wait; what it says is a verdict and comes back by return value. Waiting
 * gives control back to the loop until ccp resume.
 */
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>

static enum ccp_verdict failed(struct exchange *x)
{
    if (x->status == CCP_OK)
        exchange_fail(x, CCP_INTERNAL, "a plugin failed without saying why");
    return CCP_FAILED;
}

static enum ccp_verdict unknown_path(struct exchange *x)
{
    const struct route *r = &x->route;
    if (r->allow != NULL) {
        answer_header(x, CCP_SPAN("allow"), ccp_span_z(r->allow));
        exchange_fail(x, CCP_METHOD_NOT_ALLOWED, "%.*s is not possible here; allowed: %s", CCP_FMT(x->req.method),
                      r->allow);
    } else if (r->hint != NULL) {
        exchange_fail(x, CCP_NOT_FOUND, "no such route: %.*s; %s", CCP_FMT(x->path), r->hint);
    } else {
        exchange_fail(x, CCP_NOT_FOUND, "no such route: %.*s", CCP_FMT(x->path));
    }
    return CCP_FAILED;
}

static bool websocket_asked(const struct exchange *x)
{
    return ccp_span_ieq(x->req.upgrade, CCP_SPAN("websocket")) && x->route.format == CCP_FORMAT_OPENAI_RESPONSES;
}

/* The innermost part: what the middlewares stand around. */
static enum ccp_verdict application(struct exchange *x)
{
    enum ccp_verdict verdict;
    if (x->route.local)
        return local_serve(x);
    if (websocket_asked(x)) {
        answer_header(x, CCP_SPAN("upgrade"), CCP_SPAN("HTTP/1.1"));
        exchange_fail(x, CCP_UPGRADE_REQUIRED, "WebSocket is not offered here; use POST with stream: true");
        return CCP_FAILED;
    }
    if (x->route.op == CCP_OP_NONE)
        return unknown_path(x);
    if (x->w->draining) {
        exchange_fail(x, CCP_SHUTTING_DOWN, "ccproxy is shutting down");
        return CCP_FAILED;
    }
    if (models_serve(x, &verdict))
        return verdict;
    verdict = router_choose(x);
    if (verdict != CCP_NEXT)
        return verdict;
    if (!auth_scope(x))
        return CCP_FAILED;
    hooks_emit(x, CCP_EVENT_REQUEST_ROUTED, NULL);
    return attempt_start(x);
}

/* Acts on a verdict that ends the way down. WAIT and an upstream under way simply return to the loop. */
static void conclude(struct exchange *x, enum ccp_verdict verdict)
{
    if (verdict == CCP_FAILED) {
        failed(x);
        answer_failure(x);
    }
}

static bool answered(const struct exchange *x)
{
    return x->state == X_ANSWERING || x->state == X_FINISHING;
}

/* Is it true what a middleware says? If not, its client would get no answer, or two. */
static const char *untrue(const struct exchange *x, enum ccp_verdict verdict)
{
    bool parked = x->park_cancel != NULL;
    switch (verdict) {
    case CCP_FAILED:
        return NULL;
    case CCP_DONE:
        return answered(x) ? NULL : "gave no answer";
    case CCP_WAIT:
        return answered(x)                  ? "answered, and waits"
               : parked || x->resumed_early ? NULL
                                            : "waits without a way to cancel";
    case CCP_NEXT:
        return answered(x) ? "answered, and goes on" : parked ? "parks, but does not wait" : NULL;
    default:
        return "gave a verdict that is none";
    }
}

static enum ccp_verdict settle(struct exchange *x, const struct middleware_entry *m, enum ccp_verdict verdict)
{
    const char *wrong = untrue(x, verdict);
    if (wrong != NULL) {
        guard_failure(m->unit, m->m->name, CCP_SPAN("its verdict was not true"));
        exchange_fail(x, CCP_INTERNAL, "middleware %s %s", m->m->name, wrong);
        verdict = CCP_FAILED;
    }
    if (verdict == CCP_WAIT)
        exchange_state(x, X_PARKED);
    else if (x->resumed_early && !answered(x))
        loop_task_cancel(x->w->loop, &x->task); /* else it would wake the next one that waits */
    x->resumed_early = false;
    return verdict;
}

static enum ccp_verdict enter(struct exchange *x)
{
    while (x->entered < x->rt->chain_count) {
        const struct middleware_entry *m = &x->rt->chain[x->entered++];
        if (!unit_callable(m->unit) && x->entered <= 64)
            x->passed_by |= 1ull << (x->entered - 1);
        if (m->m->on_request == NULL || run_passed_by(x, x->entered - 1))
            continue;
        uint64_t began = guard_begin(m->unit);
        enum ccp_verdict verdict = m->m->on_request(m->self, &x->pub);
        guard_end(m->unit, m->m->name, began);
        verdict = settle(x, m, verdict);
        if (verdict != CCP_NEXT)
            return verdict;
    }
    return application(x);
}

void run_continue(struct exchange *x, enum ccp_verdict verdict)
{
    exchange_state(x, X_ENTERING);
    conclude(x,
             verdict == CCP_NEXT ? enter(x) : CCP_FAILED); /* who answered while it was parked is not there any more */
}

/* Behind a trusted proxy the peer is whom that proxy saw: the last entry of X-Forwarded-For. For logs only. */
static void settle_peer(struct exchange *x)
{
    struct ccp_span entry = {NULL, 0};
    for (size_t i = 0; x->req.peer_trusted_proxy && i < x->header_count; i++)
        if (ccp_span_is(x->headers[i].name, "x-forwarded-for"))
            entry = x->headers[i].value;
    for (size_t comma = ccp_span_find(entry, ','); comma < entry.n; comma = ccp_span_find(entry, ','))
        entry = ccp_span_skip(entry, comma + 1);
    entry = ccp_span_trim(entry);
    if (url_is_ip(entry))
        x->req.peer = entry;
}

static bool prepare(struct exchange *x)
{
    struct ccp_span target = x->req.target;
    size_t mark = ccp_span_find(target, '?');
    x->raw_query = ccp_span_skip(target, mark < target.n ? mark + 1 : target.n);
    x->query = x->raw_query;
    x->path = url_canonical_path(&x->arena, ccp_span_of(target.p, mark));
    watch_hide(x);
    x->headers =
        CCP_FAULT("run.headers") ? NULL : arena_alloc(&x->arena, (x->req.header_count + 1) * sizeof(struct ccp_header));
    if (x->headers == NULL) {
        x->path = x->path.p != NULL ? x->path : CCP_SPAN("/");
        x->query = CCP_SPAN(""); /* nobody has looked for keys in it */
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    if (x->req.header_count != 0)
        memcpy(x->headers, x->req.headers, x->req.header_count * sizeof(struct ccp_header));
    x->header_count = x->req.header_count;
    settle_peer(x);
    x->connection = headers_get(x->headers, x->header_count, CCP_SPAN("connection"));
    bool path_ok = x->path.p != NULL;
    if (!path_ok)
        x->path = CCP_SPAN("/");
    route_classify(x);
    bool taken = auth_take_keys(x);
    if (!path_ok)
        exchange_fail(x, CCP_BAD_REQUEST, "the request path is malformed");
    return path_ok && taken;
}

void run_start(struct exchange *x)
{
    exchange_state(x, X_ENTERING);
    CCP_FAULT_BLOCK("chain.block");
    bool sound = prepare(x);
    core_request_id.on_request(NULL, &x->pub); /* also for what is refused before the chain */
    hooks_emit(x, CCP_EVENT_REQUEST_STARTED, NULL);
    moment_http_request(x);
    if (x->req.refusal == CCP_OVERLOADED && x->route.public)
        x->req.refusal = CCP_OK; /* who watches a full server must still get through */
    if (x->req.refusal != CCP_OK && x->status == CCP_OK)
        exchange_fail(x, x->req.refusal, "%.*s", CCP_FMT(x->req.refusal_text));
    conclude(x, sound && x->req.refusal == CCP_OK ? enter(x) : CCP_FAILED);
}

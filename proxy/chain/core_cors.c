/*
 * Core middleware, order 20: CORS. Answers preflights itself and marks answers for allowed origins.
 */
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>

static struct ccp_span join(struct exchange *x, const struct ccp_list *list)
{
    struct ccp_span out = CCP_SPAN("");
    for (size_t i = 0; i < list->n && out.p != NULL; i++)
        out = CCP_FAULT("cors.join")
                  ? (struct ccp_span){NULL, 0}
                  : arena_printf(&x->arena, "%.*s%s%.*s", CCP_FMT(out), i != 0 ? ", " : "", CCP_FMT(list->v[i]));
    return out;
}

static struct ccp_span origin_of(struct exchange *x)
{
    struct ccp_span origin = headers_get(x->headers, x->header_count, CCP_SPAN("origin"));
    if (origin.p == NULL || !headers_value_ok(origin) || !cors_origin_allowed(x, origin))
        return (struct ccp_span){NULL, 0};
    return origin;
}

static void mark(struct exchange *x, struct ccp_span origin)
{
    answer_header(x, CCP_SPAN("access-control-allow-origin"), origin);
    answer_header(x, CCP_SPAN("vary"), CCP_SPAN("origin"));
    if (x->rt->settings.cors.credentials)
        answer_header(x, CCP_SPAN("access-control-allow-credentials"), CCP_SPAN("true"));
}

/* "*" as header list does not cover Authorization, so the asked names are repeated in its place. */
static struct ccp_span allowed_headers(struct exchange *x)
{
    const struct ccp_list *list = &x->rt->settings.cors.headers;
    struct ccp_span asked = headers_get(x->headers, x->header_count, CCP_SPAN("access-control-request-headers"));
    if (list->n == 1 && ccp_span_is(list->v[0], "*"))
        return asked.p != NULL && headers_value_ok(asked) ? asked : CCP_SPAN("");
    return join(x, list);
}

static enum ccp_verdict preflight(struct exchange *x)
{
    const struct cors_settings *c = &x->rt->settings.cors;
    answer_header(x, CCP_SPAN("access-control-allow-methods"), join(x, &c->methods));
    answer_header(x, CCP_SPAN("access-control-allow-headers"), allowed_headers(x));
    answer_header(x, CCP_SPAN("access-control-max-age"),
                  arena_printf(&x->arena, "%llu", (unsigned long long)(c->max_age / 1000)));
    answer_whole(x, 204, CCP_SPAN(""), CCP_SPAN(""));
    return CCP_DONE;
}

static enum ccp_verdict on_request(void *self, struct ccp_exchange *pub)
{
    struct exchange *x = exchange_of(pub);
    struct ccp_span origin = origin_of(x);
    bool asks = ccp_span_is(x->req.method, "OPTIONS") &&
                headers_get(x->headers, x->header_count, CCP_SPAN("access-control-request-method")).p != NULL;
    if (origin.p != NULL)
        mark(x, origin);
    if (!asks)
        return CCP_NEXT;
    if (origin.p != NULL)
        return preflight(x);
    exchange_fail(x, CCP_FORBIDDEN, "requests from this origin are not allowed; add it to cors.origins");
    return CCP_FAILED;
}

static void on_head(void *self, struct ccp_exchange *pub, struct ccp_response_head *head)
{
    struct exchange *x = exchange_of(pub);
    if (x->rt->settings.cors.origins.n != 0 && origin_of(x).p != NULL)
        answer_header(x, CCP_SPAN("access-control-expose-headers"), join(x, &x->rt->settings.cors.expose_headers));
}

const struct ccp_middleware core_cors = {
    .name = "cors", .layer = CCP_LAYER_CORE, .order = 20, .on_request = on_request, .on_head = on_head};

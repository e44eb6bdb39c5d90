/*
 * Core middleware, order 10: is the request meant for us? Host against the list (DNS rebinding) and Origin on
 * everything that could change something (cross-site requests).
 */
#include <chain/exchange_impl.h>
#include <wire/headers.h>

struct host_port {
    struct ccp_span host;
    struct ccp_span port;
};

static struct host_port split(struct ccp_span authority)
{
    struct host_port hp = {authority, {"", 0}};
    if (authority.n != 0 && authority.p[0] == '[') {
        size_t end = ccp_span_find(authority, ']');
        hp.host = ccp_span_of(authority.p + 1, end < authority.n ? end - 1 : 0);
        authority = ccp_span_skip(authority, end + 1);
        if (authority.n > 1 && authority.p[0] == ':')
            hp.port = ccp_span_skip(authority, 1);
        return hp;
    }
    size_t colon = ccp_span_find(authority, ':');
    hp.host = ccp_span_of(authority.p, colon);
    hp.port = ccp_span_skip(authority, colon < authority.n ? colon + 1 : authority.n);
    /* The root's dot, once: "localhost.." is nobody's name. */
    if (hp.host.n > 1 && hp.host.p[hp.host.n - 1] == '.' && hp.host.p[hp.host.n - 2] != '.')
        hp.host.n--;
    return hp;
}

static bool ends_with_fold(struct ccp_span s, struct ccp_span suffix)
{
    return s.n > suffix.n && ccp_span_ieq(ccp_span_skip(s, s.n - suffix.n), suffix);
}

static bool entry_matches(struct ccp_span entry, struct host_port hp)
{
    if (ccp_span_is(entry, "*"))
        return true;
    struct host_port e = split(entry);
    if (e.port.n != 0 && !ccp_span_eq(e.port, hp.port))
        return false;
    if (e.host.n != 0 && e.host.p[0] == '.')
        return ends_with_fold(hp.host, e.host);
    return ccp_span_ieq(e.host, hp.host);
}

static bool host_allowed(const struct exchange *x)
{
    struct host_port hp = split(x->req.authority);
    const struct ccp_list *list = &x->rt->settings.server.allowed_hosts;
    if (x->req.unix_socket || url_is_ip(hp.host) || url_is_localhost(hp.host))
        return true;
    for (size_t i = 0; i < list->n; i++)
        if (entry_matches(list->v[i], hp))
            return true;
    return false;
}

bool cors_origin_allowed(const struct exchange *x, struct ccp_span origin)
{
    const struct ccp_list *list = &x->rt->settings.cors.origins;
    for (size_t i = 0; i < list->n; i++)
        if (ccp_span_is(list->v[i], "*") || ccp_span_eq(list->v[i], origin))
            return true;
    return false;
}

static bool harmless(struct ccp_span method)
{
    return ccp_span_is(method, "GET") || ccp_span_is(method, "HEAD") || ccp_span_is(method, "OPTIONS");
}

static enum ccp_verdict on_request(void *self, struct ccp_exchange *pub)
{
    struct exchange *x = exchange_of(pub);
    if (!host_allowed(x)) {
        exchange_fail(x, CCP_MISDIRECTED, "host \"%.*s\" is not served here; add it to server.allowed_hosts",
                      (int)(x->req.authority.n < 200 ? x->req.authority.n : 200), x->req.authority.p);
        return CCP_FAILED;
    }
    struct ccp_span origin = headers_get(x->headers, x->header_count, CCP_SPAN("origin"));
    if (origin.p != NULL && !harmless(x->req.method) && !cors_origin_allowed(x, origin)) {
        exchange_fail(x, CCP_FORBIDDEN, "requests from this origin are not allowed; add it to cors.origins");
        return CCP_FAILED;
    }
    return CCP_NEXT;
}

const struct ccp_middleware core_host = {
    .name = "host_and_origin", .layer = CCP_LAYER_CORE, .order = 10, .on_request = on_request};

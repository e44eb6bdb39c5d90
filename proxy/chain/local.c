/*
 * Routes that ccproxy answers itself: which file serves them, and what they share. JSON, without secrets; what needs a
 * key was checked before, what needs an admin's is checked where it is served.
 */
#include <base/fault.h>
#include <chain/local_impl.h>
#include <wire/json.h>

bool local_is_get(const struct exchange *x)
{
    return ccp_span_is(x->req.method, "GET") || ccp_span_is(x->req.method, "HEAD");
}

enum ccp_verdict local_send(struct exchange *x, int status, struct ccp_span type, struct ccp_buf *out)
{
    if (CCP_FAULT("local.text") || out->failed) {
        buf_release(out);
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    answer_header(x, CCP_SPAN("cache-control"), CCP_SPAN("no-store"));
    answer_whole(x, status, type, buf_span(out));
    buf_release(out);
    return CCP_DONE;
}

enum ccp_verdict local_only(struct exchange *x, const char *methods)
{
    answer_header(x, CCP_SPAN("allow"), ccp_span_z(methods));
    exchange_fail(x, CCP_METHOD_NOT_ALLOWED, "%.*s is not possible here; allowed: %s", CCP_FMT(x->req.method), methods);
    return CCP_FAILED;
}

enum ccp_verdict local_not_found(struct exchange *x, struct ccp_span name)
{
    exchange_fail(x, CCP_NOT_FOUND, "there is no plugin or route \"%.*s\"", CCP_FMT(name));
    return CCP_FAILED;
}

void local_text(struct ccp_buf *out, const char *name, struct ccp_span text)
{
    if (text.n == 0)
        return;
    buf_printf(out, ",\"%s\":", name);
    json_quote_to(out, text);
}

void local_text_or_null(struct ccp_buf *out, const char *name, struct ccp_span text)
{
    if (text.n != 0)
        local_text(out, name, text);
    else
        buf_printf(out, ",\"%s\":null", name);
}

static enum ccp_verdict serve_root(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 4096);
    buf_addz(&out, "{\"name\":\"ccproxy\",\"version\":\"" CCP_VERSION "\",\"status\":\"ok\"}");
    return local_send(x, 200, LOCAL_JSON, &out);
}

enum ccp_verdict local_serve(struct exchange *x)
{
    struct ccp_span p = x->route.rest;
    if (x->route.watch != WATCH_NONE)
        return watch_serve(x);
    if (x->route.plugin_route != NULL)
        return local_route(x, x->route.plugin_route);
    if (ccp_span_starts(p, CCP_SPAN("/plugins")))
        return !local_is_get(x) && !admin_allowed(x) ? CCP_FAILED : local_plugins(x, ccp_span_skip(p, 8));
    if (!local_is_get(x))
        return local_only(x, "GET, HEAD");
    if (ccp_span_is(p, "/health") || ccp_span_is(p, "/health/ready"))
        return local_health(x);
    return serve_root(x);
}

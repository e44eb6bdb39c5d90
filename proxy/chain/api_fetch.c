/*
 * A plugin's own request to some server: one connection, no redirect, an answer of bounded size, under the rules that
 * hold for upstreams. Blocks; nothing of the URL but its host is ever written anywhere.
 */
#include <chain/api_impl.h>

#include <base/fault.h>
#include <base/url.h>
#include <upstream/upstream.h>
#include <wire/headers.h>

#include <stdlib.h>

enum { TIMEOUT_MS = 30000, ANSWER_MAX = 1024 * 1024, HEADERS_MAX = 64, GRACE_MS = 5000 };

struct fetch {
    struct ccp_fetch what;
    struct url url;
    struct runtime *rt; /* whose proxy and trust store are used, or NULL */
    struct ccp_header headers[HEADERS_MAX + 1];
    size_t header_count;
    struct ccp_upstream_request request;
    struct ccp_buf body;
    struct upstream_answer answer;
};

static bool header_refused(struct ccp_span name)
{
    static const char *const ours[] = {"host", "content-length", "connection", "transfer-encoding"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (ccp_span_ieq(name, ccp_span_z(ours[i])))
            return true;
    return !headers_token_ok(name);
}

static const char *take_headers(struct fetch *f)
{
    bool agent = false;
    if (f->what.header_count > HEADERS_MAX)
        return "too many headers";
    for (size_t i = 0; i < f->what.header_count; i++) {
        const struct ccp_header *h = &f->what.headers[i];
        if (header_refused(h->name) || !headers_value_ok(h->value))
            return "a header that cannot be sent";
        if (f->what.bearer != NULL && ccp_span_ieq(h->name, CCP_SPAN("authorization")))
            return "authorization and a bearer token";
        agent = agent || ccp_span_ieq(h->name, CCP_SPAN("user-agent"));
        f->headers[f->header_count++] = *h;
    }
    if (!agent)
        f->headers[f->header_count++] = (struct ccp_header){CCP_SPAN("user-agent"), CCP_SPAN("ccproxy/" CCP_VERSION)};
    return NULL;
}

static const char *take_url(struct fetch *f)
{
    const char *wrong = url_parse(f->what.url, &f->url);
    if (wrong != NULL)
        return wrong;
    bool plain = ccp_span_is(f->url.scheme, "http");
    if (plain && !f->what.allow_private && !settings_plain_allowed(&f->url))
        return "http:// is for loopback and private addresses only";
    return NULL;
}

/* With a proxy it is the proxy that is connected to. */
static bool literal(const struct fetch *f, struct ccp_span proxy)
{
    struct url u;
    char as_http[512];
    struct ccp_span host = f->url.host, rest = ccp_span_skip(proxy, ccp_span_find(proxy, ':'));
    if (proxy.n != 0) {
        int n = snprintf(as_http, sizeof(as_http), "http%.*s", CCP_FMT(rest)); /* url_parse knows no socks5:// */
        if (n > 0 && (size_t)n < sizeof(as_http) && url_parse(ccp_span_of(as_http, (size_t)n), &u) == NULL)
            host = u.host;
    }
    return url_is_ip(host) || url_is_localhost(host);
}

static void describe(struct fetch *f)
{
    const struct upstream_settings *s = f->rt != NULL ? &f->rt->settings.upstream : NULL;
    uint64_t ms = f->what.timeout_ms != 0 ? f->what.timeout_ms : TIMEOUT_MS;
    ms = ms < TASK_MOST_MS ? ms : TASK_MOST_MS;
    struct ccp_span method = f->what.body.n != 0 ? CCP_SPAN("POST") : CCP_SPAN("GET");
    struct ccp_upstream_request *r = &f->request;
    *r = (struct ccp_upstream_request){.method = f->what.method.n != 0 ? f->what.method : method,
                                       .url = f->what.url,
                                       .headers = f->headers,
                                       .header_count = f->header_count,
                                       .credential = f->what.bearer,
                                       .body = {f->what.body},
                                       .body_pieces = f->what.body.n != 0,
                                       .limits = {.connect_ms = ms < 10000 ? ms : 10000, .total_ms = ms},
                                       .allow_private = f->what.allow_private || (s != NULL && s->allow_private)};
    if (f->what.bearer != NULL) {
        r->credential_header = CCP_SPAN("authorization");
        r->credential_prefix = CCP_SPAN("Bearer ");
    }
    if (s != NULL) {
        r->proxy = s->proxy;
        r->no_proxy = s->no_proxy;
        r->trust = f->rt->trust;
    }
    r->literal_host = literal(f, r->proxy);
}

static const char *send_it(struct fetch *f)
{
    const char *wrong = take_url(f);
    if (wrong == NULL)
        wrong = take_headers(f);
    if (wrong == NULL && f->what.method.n != 0 && !headers_token_ok(f->what.method))
        wrong = "the method is none";
    if (wrong != NULL)
        return wrong;
    describe(f);
    executor_lend(f->request.limits.total_ms + GRACE_MS);
    bool whole = !CCP_FAULT("api.fetch") && upstream_fetch(NULL, &f->request, &f->body, &f->answer);
    executor_lend(0);
    if (!whole && f->answer.why == NULL)
        return "out of memory";
    return whole ? NULL : f->answer.why;
}

static struct ccp_span phrase(const struct fetch *f, struct arena *a, const char *wrong)
{
    const char *colon = f->answer.detail[0] != '\0' ? ": " : "";
    struct ccp_span text = arena_printf(a, "%s%s%s", wrong, colon, f->answer.detail);
    return text.p != NULL ? text : CCP_SPAN("out of memory");
}

static void tell(struct fetch *f, struct arena *a, const char *wrong, struct ccp_fetched *out)
{
    out->status = f->answer.status;
    out->retry_after_ms = f->answer.retry_after_ms;
    out->content_type = arena_dup(a, ccp_span_z(f->answer.content_type));
    out->body = arena_dup(a, buf_span(&f->body));
    if (wrong == NULL && (out->content_type.p == NULL || out->body.p == NULL))
        wrong = "the answer does not fit into the arena";
    if (wrong != NULL)
        out->why = phrase(f, a, wrong);
}

bool api_fetch(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_fetch *what,
               struct ccp_fetched *out, size_t out_size)
{
    struct ccp_fetched result = {.status = 0};
    struct executor *e = unit_of(env)->executor;
    struct fetch *f = CCP_FAULT("api.fetch_state") ? NULL : calloc(1, sizeof(*f));
    if (f == NULL)
        result.why = CCP_SPAN("out of memory");
    else {
        memcpy(&f->what, what, what->size < sizeof(f->what) ? what->size : sizeof(f->what));
        f->rt = e != NULL ? executor_runtime(e) : NULL;
        buf_init(&f->body, f->what.max_bytes != 0 ? f->what.max_bytes : ANSWER_MAX);
        tell(f, &a->arena, send_it(f), &result);
        buf_release(&f->body);
        runtime_unref(f->rt);
        free(f);
    }
    memset(out, 0, out_size);
    memcpy(out, &result, out_size < sizeof(result) ? out_size : sizeof(result));
    return result.why.n == 0;
}

/*
 * Routes: from method and path alone to the client's format and what it asks for.
 *
 * Runs before anything else, so that every refusal can be written in the client's own shape. Pure: reads the
 * exchange's path and headers, writes x->route.
 */
#include <chain/exchange_impl.h>
#include <wire/headers.h>

struct pattern {
    const char *method, *path;
    enum ccp_format format;
    enum ccp_op op;
};

static const struct pattern patterns[] = {
#define X(method, path, format, op) {method, path, CCP_FORMAT_##format, CCP_OP_##op},
#include <chain/route.def>
#undef X
};

static bool has_header(const struct exchange *x, const char *name)
{
    return headers_get(x->headers, x->headers != NULL ? x->header_count : 0, ccp_span_z(name)).p != NULL;
}

static struct ccp_span first_segment(struct ccp_span path)
{
    path = ccp_span_skip(path, 1);
    return ccp_span_of(path.p, ccp_span_find(path, '/'));
}

static bool contains(struct ccp_span s, const char *what)
{
    return s.n != 0 && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* Model lists have one path for three vendors: headers tell who asks (product reference, model lists). */
static enum ccp_format caller_format(const struct exchange *x, struct ccp_span rest)
{
    if (has_header(x, "anthropic-version"))
        return CCP_FORMAT_ANTHROPIC;
    if (has_header(x, "x-goog-api-key") || has_header(x, "x-goog-api-client") ||
        ccp_span_starts(rest, CCP_SPAN("/v1beta")) || ccp_span_starts(rest, CCP_SPAN("/v1alpha")) ||
        url_query_get(x->query, CCP_SPAN("key")).p != NULL)
        return CCP_FORMAT_GEMINI;
    return CCP_FORMAT_OPENAI_CHAT;
}

/* For a path nobody knows: the shape its sender most likely reads. */
static enum ccp_format nearest_format(const struct exchange *x)
{
    if (contains(x->path, "/messages") || has_header(x, "anthropic-version"))
        return CCP_FORMAT_ANTHROPIC;
    if (contains(x->path, "/responses"))
        return CCP_FORMAT_OPENAI_RESPONSES;
    if (contains(x->path, "/v1beta") || contains(x->path, ":generateContent") ||
        contains(x->path, ":streamGenerateContent") || has_header(x, "x-goog-api-key"))
        return CCP_FORMAT_GEMINI;
    return CCP_FORMAT_OPENAI_CHAT;
}

static bool path_matches(const char *pattern, struct ccp_span path)
{
    struct ccp_span p = ccp_span_z(pattern);
    if (ccp_span_ends(p, CCP_SPAN("/*"))) {
        p.n -= 1;
        return path.n > p.n && ccp_span_starts(path, p);
    }
    return ccp_span_eq(p, path);
}

/* One more method that this path has. */
static void allow(struct exchange *x, const char *method)
{
    struct route *r = &x->route;
    if (r->allow == NULL)
        r->allow = method;
    else if (strstr(r->allow, method) == NULL)
        r->allow = arena_printf(&x->arena, "%s, %s", r->allow, method).p;
}

static bool match_table(struct exchange *x, struct ccp_span rest)
{
    struct route *r = &x->route;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (!path_matches(patterns[i].path, rest))
            continue;
        r->format = patterns[i].format;
        if (ccp_span_is(x->req.method, patterns[i].method)) {
            r->op = patterns[i].op;
            return true;
        }
        allow(x, patterns[i].method);
        /* A WebSocket upgrade is a GET on a POST route; it gets its own answer. */
        if (ccp_span_is(rest, "/v1/responses") && ccp_span_ieq(x->req.upgrade, CCP_SPAN("websocket")))
            r->op = CCP_OP_FAMILY;
    }
    return r->allow != NULL;
}

static const struct {
    const char *verb;
    enum ccp_op op;
} verbs[] = {
    {"generateContent", CCP_OP_GENERATE}, {"streamGenerateContent", CCP_OP_GENERATE},
    {"countTokens", CCP_OP_COUNT},        {"embedContent", CCP_OP_EMBED},
    {"batchEmbedContents", CCP_OP_EMBED}, {"asyncBatchEmbedContent", CCP_OP_FAMILY},
};

/* /<version>/models/<model>:<verb>, also tunedModels. */
static bool match_verb(struct exchange *x, struct ccp_span tail)
{
    struct route *r = &x->route;
    size_t colon = tail.n;
    while (colon > 0 && tail.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    struct ccp_span verb = ccp_span_skip(tail, colon);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!ccp_span_is(verb, verbs[i].verb))
            continue;
        r->format = CCP_FORMAT_GEMINI;
        r->path_model = ccp_span_of(tail.p, colon - 1);
        r->stream_path = i == 1;
        if (ccp_span_is(x->req.method, "POST"))
            r->op = verbs[i].op;
        else
            r->allow = "POST";
        return true;
    }
    return false;
}

static bool match_models(struct exchange *x, struct ccp_span rest)
{
    static const char *const versions[] = {"/v1beta", "/v1alpha", "/v1"};
    struct route *r = &x->route;
    for (size_t i = 0; i < 3; i++) {
        struct ccp_span tail = ccp_span_skip(rest, strlen(versions[i]));
        if (!ccp_span_starts(rest, ccp_span_z(versions[i])))
            continue;
        if (ccp_span_starts(tail, CCP_SPAN("/tunedModels/")) && match_verb(x, ccp_span_skip(tail, 13)))
            return true;
        if (!ccp_span_starts(tail, CCP_SPAN("/models")) || (tail.n > 7 && tail.p[7] != '/'))
            continue;
        struct ccp_span id = ccp_span_skip(tail, 8);
        if (match_verb(x, id))
            return true;
        r->format = caller_format(x, rest);
        r->path_model = id;
        if (ccp_span_is(x->req.method, "GET") || ccp_span_is(x->req.method, "HEAD"))
            r->op = id.n != 0 ? CCP_OP_MODEL : CCP_OP_MODELS;
        else
            r->allow = "GET, HEAD";
        return true;
    }
    return false;
}

static bool match_raw(struct exchange *x, struct ccp_span rest)
{
    struct route *r = &x->route;
    if (r->prefix.n == 0 || r->provider == NULL || !r->provider->s.raw || !ccp_span_starts(rest, CCP_SPAN("/raw/")))
        return false;
    r->op = CCP_OP_RAW;
    r->rest = ccp_span_skip(rest, 4);
    for (int f = 0; f < CCP_FORMAT_COUNT; f++)
        if (r->provider->formats & (1u << f)) {
            r->format = (enum ccp_format)f;
            break;
        }
    return true;
}

/* -- routes of plugins -- */

static bool method_listed(const char *methods, struct ccp_span method)
{
    struct ccp_span rest = ccp_span_z(methods);
    if (ccp_span_is(method, "HEAD"))
        method = CCP_SPAN("GET");
    while (rest.n != 0) {
        struct ccp_span one = ccp_span_of(rest.p, ccp_span_find(rest, ','));
        rest = ccp_span_skip(rest, one.n + 1);
        if (ccp_span_eq(ccp_span_trim(one), method))
            return true;
    }
    return false;
}

/* What of `path` lies below the place of the route; p = NULL: it is elsewhere. */
static struct ccp_span below(const struct route_entry *e, struct ccp_span path)
{
    struct ccp_span at = e->r->prefix != NULL ? ccp_span_z(e->r->prefix) : CCP_SPAN("/plugins/");
    if (!ccp_span_starts(path, at))
        return (struct ccp_span){NULL, 0};
    path = ccp_span_skip(path, at.n);
    if (e->r->prefix != NULL)
        return path.n == 0 || path.p[0] == '/' ? path : (struct ccp_span){NULL, 0};
    if (!ccp_span_starts(path, e->plugin))
        return (struct ccp_span){NULL, 0};
    path = ccp_span_skip(path, e->plugin.n);
    return path.n != 0 && path.p[0] == '/' ? path : (struct ccp_span){NULL, 0};
}

/* The first that fits in the order of plugins and their tables. */
static bool match_plugin_route(struct exchange *x, struct ccp_span path)
{
    struct route *r = &x->route;
    for (size_t i = 0; i < x->rt->route_count; i++) {
        const struct route_entry *e = &x->rt->routes[i];
        struct ccp_span rest = below(e, path);
        size_t fixed = strlen(e->r->path);
        if (e->r->prefix == NULL && plugin_word_reserved(first_segment(rest)))
            continue; /* the core's, whatever a slash-star of the plugin would take */
        if (rest.p == NULL || !path_matches(e->r->path, rest))
            continue;
        if (!method_listed(e->r->methods, x->req.method)) {
            allow(x, e->r->methods);
            continue;
        }
        r->plugin_route = e;
        r->plugin_rest = fixed >= 2 && e->r->path[fixed - 1] == '*' ? ccp_span_skip(rest, fixed - 1) : CCP_SPAN("");
        return true;
    }
    return false;
}

/* Health, plugins, root and a bare prefix: answered by ccproxy itself. */
static bool match_local(struct exchange *x)
{
    struct route *r = &x->route;
    struct ccp_span p = x->path;
    if (ccp_span_is(p, "/v1/plugins") || ccp_span_starts(p, CCP_SPAN("/v1/plugins/")))
        p = ccp_span_skip(p, 3);
    bool health = ccp_span_is(p, "/health") || ccp_span_is(p, "/health/ready") || ccp_span_is(p, "/health/live");
    bool bare = ccp_span_is(p, "/") || (r->prefix.n != 0 && (r->rest.n == 0 || ccp_span_is(r->rest, "/")));
    bool plugins = ccp_span_is(p, "/plugins") || ccp_span_starts(p, CCP_SPAN("/plugins/"));
    bool watch = watch_match(x, p);
    bool of_plugin = !health && !bare && !watch && match_plugin_route(x, p);
    if (!health && !bare && !plugins && !watch && !of_plugin)
        return false;
    r->local = true;
    r->public =
        health || bare || r->watch == WATCH_TAKE || (of_plugin && r->plugin_route->r->access == CCP_ACCESS_PUBLIC);
    r->untold = watch || (plugins && !method_listed("GET", x->req.method)) ||
                (of_plugin && r->plugin_route->r->access == CCP_ACCESS_ADMIN);
    r->rest = p;
    r->format = CCP_FORMAT_NONE;
    return true;
}

static const char *hint(struct exchange *x, struct ccp_span rest)
{
    static const char *const bare[] = {"/messages", "/chat/completions", "/responses", "/embeddings", "/models"};
    if (ccp_span_starts(rest, CCP_SPAN("/v1/v1/")) || ccp_span_starts(rest, CCP_SPAN("/v1/v1beta/")) ||
        ccp_span_starts(rest, CCP_SPAN("/v1beta/v1")))
        return arena_printf(&x->arena,
                            "the version is doubled: this client adds it by itself, use a base URL that ends in "
                            "\"/%.*s\"",
                            CCP_FMT(x->route.prefix))
            .p;
    for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++)
        if (ccp_span_starts(rest, ccp_span_z(bare[i])))
            return arena_printf(&x->arena, "/v1 is missing: use a base URL that ends in \"%s%.*s/v1\"",
                                x->route.prefix.n != 0 ? "/" : "", CCP_FMT(x->route.prefix))
                .p;
    return NULL;
}

void route_classify(struct exchange *x)
{
    struct route *r = &x->route;
    struct ccp_span first = first_segment(x->path);
    *r = (struct route){.format = CCP_FORMAT_NONE, .op = CCP_OP_NONE, .rest = x->path};
    struct provider *p = runtime_prefix(x->rt, first);
    if (p != NULL && p->enabled) {
        r->provider = p;
        r->prefix = first;
        r->rest = ccp_span_skip(x->path, 1 + first.n);
    }
    if (match_local(x) || match_raw(x, r->rest) || match_models(x, r->rest) || match_table(x, r->rest))
        return;
    r->format = nearest_format(x);
    r->hint = hint(x, r->rest);
}

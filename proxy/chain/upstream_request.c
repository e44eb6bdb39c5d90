/*
 * The upstream request: URL, headers, body and credential, as the provider and the client's request make them.
 *
 * Same-format requests keep the client's bytes and headers but for what belongs to one hop; requests that cross
 * formats (crossing.c) are ccproxy's own.
 */
#include <base/assert.h>
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

static bool versioned(const struct exchange *x)
{
    const struct provider *p = x->route.provider;
    if (p->formats & (1u << x->route.format))
        return format_versioned(x->route.format);
    return (p->formats & (CCP_SPEAKS(OPENAI_CHAT) | CCP_SPEAKS(OPENAI_RESPONSES))) != 0;
}

/* A model as it may stand in a path: a slash separates, everything else that could mean something is encoded. */
static struct ccp_span path_text(struct exchange *x, struct ccp_span s)
{
    static const char digits[] = "0123456789ABCDEF", plain[] = "-._~/:@";
    char *out = s.n < SIZE_MAX / 3 && !CCP_FAULT("attempt.model") ? arena_alloc(&x->arena, s.n * 3 + 1) : NULL;
    size_t o = 0;
    for (size_t i = 0; out != NULL && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || memchr(plain, c, sizeof(plain) - 1)) {
            out[o++] = (char)c;
        } else {
            out[o++] = '%';
            out[o++] = digits[c >> 4];
            out[o++] = digits[c & 15];
        }
    }
    return (struct ccp_span){out, o};
}

/* Gemini's model stands in the path; a mapped one replaces it there. */
static struct ccp_span upstream_path(struct exchange *x)
{
    const struct route *r = &x->route;
    struct ccp_span path = r->rest;
    if (r->op != CCP_OP_RAW && versioned(x) && ccp_span_starts(path, CCP_SPAN("/v1/")))
        path = ccp_span_skip(path, 3);
    bool mapped =
        r->format == CCP_FORMAT_GEMINI && r->path_model.n != 0 && !ccp_span_eq(x->client_model, x->upstream_model);
    if (!mapped)
        return path;
    struct ccp_span pieces[] = {
        ccp_span_of(path.p, (size_t)(r->path_model.p - path.p)),
        path_text(x, x->upstream_model),
        ccp_span_skip(path, (size_t)(r->path_model.p - path.p) + r->path_model.n),
    };
    return pieces[1].p != NULL ? arena_cat(&x->arena, pieces, 3) : pieces[1];
}

/* The path of a translated request is its format's to say. False = failed. */
static bool crossing_url(struct exchange *x)
{
    struct ccp_span path,
        base = x->route.provider->def->transport != NULL ? CCP_SPAN("") : x->route.provider->s.base_url;
    if (!crossing_request(x, &path))
        return false;
    while (base.n != 0 && base.p[base.n - 1] == '/')
        base.n--;
    struct ccp_span pieces[] = {base, path};
    x->up.method = CCP_SPAN("POST");
    x->up.url = CCP_FAULT("attempt.url") ? (struct ccp_span){NULL, 0} : arena_cat(&x->arena, pieces, 2);
    return x->up.url.p != NULL;
}

/* A key in the query is a client's credential: only passthrough lets it go on. False = no memory. */
static bool upstream_query(struct exchange *x, struct ccp_span *query)
{
    *query = x->query;
    if (x->route.format != CCP_FORMAT_GEMINI || x->route.provider->auth == AUTH_PASSTHROUGH)
        return true;
    if (CCP_FAULT("attempt.query"))
        return false;
    *query = url_query_remove(&x->arena, x->query, CCP_SPAN("key"));
    return query->p != NULL || x->query.p == NULL;
}

static bool build_url(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    struct ccp_span query;
    if (!upstream_query(x, &query))
        return false;
    struct ccp_span base = p->def->transport != NULL ? CCP_SPAN("") : p->s.base_url;
    while (base.n != 0 && base.p[base.n - 1] == '/')
        base.n--;
    struct ccp_span pieces[] = {base, upstream_path(x), query.n != 0 ? CCP_SPAN("?") : CCP_SPAN(""), query};
    if (pieces[1].p == NULL)
        return false;
    for (size_t i = 0; i < pieces[1].n; i++)
        if ((unsigned char)pieces[1].p[i] <= 0x20 || (unsigned char)pieces[1].p[i] >= 0x7f) {
            exchange_fail(x, CCP_BAD_REQUEST, "the model name cannot stand in a URL");
            return false;
        }
    for (size_t i = 0; i < query.n; i++)
        if ((unsigned char)query.p[i] <= 0x20 || (unsigned char)query.p[i] >= 0x7f) {
            exchange_fail(x, CCP_BAD_REQUEST, "the query has characters that must be percent-encoded");
            return false;
        }
    x->up.url = CCP_FAULT("attempt.url") ? (struct ccp_span){NULL, 0} : arena_cat(&x->arena, pieces, 4);
    return x->up.url.p != NULL;
}

static bool build_body(struct exchange *x)
{
    bool fitted;
    if (!fit_body(x, &fitted))
        return false;
    if (fitted)
        return true;
    x->up.body[0] = x->body;
    x->up.body_pieces = x->body.n != 0;
    if (x->model_raw.n == 0 || ccp_span_eq(x->client_model, x->upstream_model))
        return true;
    struct ccp_span quoted =
        CCP_FAULT("attempt.splice") ? (struct ccp_span){NULL, 0} : json_quote(&x->arena, x->upstream_model);
    if (quoted.p == NULL)
        return false;
    json_splice(x->body, x->model_raw, quoted, x->up.body);
    x->up.body_pieces = 3;
    return true;
}

static bool set_by_operator(const struct provider *p, struct ccp_span name)
{
    for (size_t i = 0; i < p->s.headers.n; i++)
        if (ccp_span_ieq(p->s.headers.v[i].name, name))
            return true;
    return false;
}

static bool goes_upstream(const struct exchange *x, const struct ccp_header *h)
{
    if (headers_credential(h->name))
        return x->route.provider->auth == AUTH_PASSTHROUGH && !ccp_span_is(h->name, "x-ccproxy-token") &&
               !headers_hop_by_hop(h->name, CCP_SPAN("")) && headers_forward_request(h->name) &&
               !set_by_operator(x->route.provider, h->name);
    if (x->body_decoded && ccp_span_is(h->name, "content-encoding"))
        return false;
    return !headers_hop_by_hop(h->name, x->connection) && headers_forward_request(h->name) &&
           !set_by_operator(x->route.provider, h->name);
}

static struct ccp_span lower(struct exchange *x, struct ccp_span name)
{
    struct ccp_span copy = arena_dup(&x->arena, name);
    char *p = (char *)copy.p;
    for (size_t i = 0; i < copy.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] |= 0x20;
    return copy;
}

static size_t defaults(const struct provider *p)
{
    size_t n = 0;
    while (p->def->headers != NULL && p->def->headers[n].name.n != 0)
        n++;
    return n;
}

/* The provider's defaults, the operator's headers, and what ccproxy can read. `h` has room behind n. */
static size_t add_fixed(struct exchange *x, const struct provider *p, struct ccp_header *h, size_t n)
{
    size_t own = defaults(p);
    for (size_t i = 0; i < own; i++)
        if (headers_get(h, n, p->def->headers[i].name).p == NULL && !set_by_operator(p, p->def->headers[i].name))
            h[n++] = p->def->headers[i];
    for (size_t i = 0; i < p->s.headers.n; i++)
        h[n++] = (struct ccp_header){lower(x, p->s.headers.v[i].name), p->s.headers.v[i].value};
    h[n++] = (struct ccp_header){CCP_SPAN("accept-encoding"), CCP_SPAN("identity")};
    return n;
}

static struct ccp_header *room_for(struct exchange *x, const struct provider *p, size_t n)
{
    if (CCP_FAULT("attempt.headers"))
        return NULL;
    return arena_alloc(&x->arena, (n + p->s.headers.n + defaults(p) + 2) * sizeof(struct ccp_header));
}

/* A name that could not be copied would go out as nothing. */
static bool all_named(const struct ccp_header *h, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (h[i].name.p == NULL)
            return false;
    return true;
}

static bool build_headers(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    struct ccp_header *h = room_for(x, p, x->header_count);
    size_t n = 0;
    for (size_t i = 0; h != NULL && i < x->header_count; i++)
        if (goes_upstream(x, &x->headers[i]))
            h[n++] = x->headers[i];
    x->up.headers = h;
    x->up.header_count = h != NULL ? add_fixed(x, p, h, n) : 0;
    return h != NULL && all_named(h, x->up.header_count);
}

static size_t count_kept(const struct provider *p)
{
    size_t n = 0;
    while (p->def->keeps != NULL && p->def->keeps[n] != NULL)
        n++;
    return n;
}

/* What the provider wants of the client's headers whatever its format. `h` has room behind n. */
static size_t add_kept(const struct exchange *x, struct ccp_header *h, size_t n)
{
    for (size_t i = 0, most = count_kept(x->route.provider); i < most; i++) {
        struct ccp_span name = ccp_span_z(x->route.provider->def->keeps[i]);
        struct ccp_header kept = {name, headers_get(x->headers, x->header_count, name)};
        if (kept.value.p != NULL && goes_upstream(x, &kept))
            h[n++] = kept;
    }
    return n;
}

bool attempt_own_headers(struct exchange *x, const struct provider *p, struct ccp_upstream_request *up)
{
    bool asked_for = p == x->route.provider; /* on behalf of this client: who asks is the same here */
    struct ccp_header *h = room_for(x, p, 1 + count_kept(p));
    if (h == NULL)
        return false;
    h[0] = (struct ccp_header){CCP_SPAN("user-agent"), CCP_SPAN("ccproxy/" CCP_VERSION)};
    up->headers = h;
    up->header_count = add_fixed(x, p, h, asked_for ? add_kept(x, h, 1) : 1);
    return all_named(h, up->header_count);
}

/* -- the credential -- */

static const struct ccp_header *key_header(const struct provider *p, enum ccp_format format)
{
    const struct ccp_header *h = &p->def->key_header[format];
    for (int f = 0; h->name.n == 0 && f < CCP_FORMAT_COUNT; f++)
        h = &p->def->key_header[f];
    return h;
}

/* The client's own credential (passthrough) in the header where this upstream looks for it. A bearer token stays one,
 * unless it is plainly a vendor's API key. */
static bool client_credential(struct exchange *x, struct ccp_header *out)
{
    const struct ccp_header *key = key_header(x->route.provider, x->spoken);
    struct ccp_span value =
        x->route.format == CCP_FORMAT_GEMINI ? url_query_get(x->query, CCP_SPAN("key")) : (struct ccp_span){NULL, 0};
    bool bearer = false;
    for (size_t i = 0; value.p == NULL && i < x->header_count; i++)
        if (headers_credential(x->headers[i].name) && goes_upstream(x, &x->headers[i])) {
            value = x->headers[i].value;
            bearer = ccp_span_is(x->headers[i].name, "authorization");
        }
    if (bearer && value.n > 7 && ccp_span_ieq(ccp_span_of(value.p, 7), CCP_SPAN("bearer ")))
        value = ccp_span_trim(ccp_span_skip(value, 7));
    bool api_key = ccp_span_starts(value, CCP_SPAN("sk-ant-api")) || ccp_span_starts(value, CCP_SPAN("AIza"));
    bool plain = key->name.n != 0 && (!bearer || api_key);
    struct ccp_span pieces[] = {plain ? key->value : CCP_SPAN("Bearer "), value};
    *out = (struct ccp_header){plain ? key->name : CCP_SPAN("authorization"), arena_cat(&x->arena, pieces, 2)};
    return out->value.p != NULL;
}

/* None of the client's but its credential (passthrough), x-client-request-id, and what the provider keeps. */
static bool crossing_headers(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    struct ccp_span id = headers_get(x->headers, x->header_count, CCP_SPAN("x-client-request-id"));
    struct ccp_header *h = room_for(x, p, 5 + count_kept(p));
    size_t n = 0;
    if (h == NULL)
        return false;
    h[n++] = (struct ccp_header){CCP_SPAN("user-agent"), CCP_SPAN("ccproxy/" CCP_VERSION)};
    h[n++] = (struct ccp_header){CCP_SPAN("content-type"), CCP_SPAN("application/json")};
    bool stream = x->wants_stream || p->s.stream_only;
    h[n++] =
        (struct ccp_header){CCP_SPAN("accept"), stream ? CCP_SPAN("text/event-stream") : CCP_SPAN("application/json")};
    if (id.p != NULL)
        h[n++] = (struct ccp_header){CCP_SPAN("x-client-request-id"), id};
    n = add_kept(x, h, n);
    if (p->auth == AUTH_PASSTHROUGH && !client_credential(x, &h[n++]))
        return false;
    x->up.headers = h;
    x->up.header_count = add_fixed(x, p, h, n);
    return all_named(h, x->up.header_count);
}

static bool client_credential_left(const struct exchange *x)
{
    for (size_t i = 0; i < x->header_count; i++)
        if (headers_credential(x->headers[i].name) && goes_upstream(x, &x->headers[i]))
            return true;
    return x->route.format == CCP_FORMAT_GEMINI && url_query_get(x->query, CCP_SPAN("key")).p != NULL;
}

static bool acquire(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    if (p->auth == AUTH_PASSTHROUGH && !client_credential_left(x)) {
        exchange_fail(x, CCP_UNAUTHORIZED,
                      "provider %.*s passes the client's own credential on, and none is left; when a ccproxy key is "
                      "needed too, send that as x-ccproxy-token",
                      CCP_FMT(p->id));
        return false;
    }
    if (p->login.login == NULL && !p->usable) {
        exchange_fail(x, CCP_LOGIN_REQUIRED, "provider %.*s has no usable credential: %.*s", CCP_FMT(p->id),
                      CCP_FMT(p->unusable));
        return false;
    }
    return true;
}

bool attempt_describe(struct exchange *x, const struct provider *p, enum ccp_format f, struct ccp_upstream_request *up)
{
    x->described = NULL;
    *up = (struct ccp_upstream_request){
        .limits = p->limits,
        .proxy = p->proxy,
        .no_proxy = p->no_proxy,
        .allow_private = p->allow_private,
        .literal_host = p->literal_host,
        .http2 = p->s.http2 || x->rt->settings.upstream.http2,
        .trust = p->trust != NULL ? p->trust : x->rt->trust,
    };
    if (p->login.login != NULL)
        return credential_describe(x, p, up);
    if (p->auth != AUTH_API_KEY || p->s.api_key == NULL)
        return true;
    up->credential = p->s.api_key;
    up->credential_header = key_header(p, f)->name;
    up->credential_prefix = key_header(p, f)->value;
    return true;
}

bool attempt_build(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    bool described = attempt_describe(x, p, x->spoken, &x->up);
    CCP_ASSERT(described); /* credential_acquire came before */
    x->up.method = x->req.method;
    if (!acquire(x))
        return false;
    bool crossing = crossing_needed(x);
    if (crossing ? !crossing_url(x) || !crossing_headers(x) : !build_url(x) || !build_headers(x) || !build_body(x)) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    return p->def->prepare == NULL || p->def->prepare(p->self, &x->pub, &x->up) == CCP_OK;
}

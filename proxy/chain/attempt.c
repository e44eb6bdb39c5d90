/*
 * The attempt: credential, upstream request, transport, and the judgement of the answer's head before a byte
 * of it reaches the client.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

/* -- the upstream request -- */

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

bool attempt_own_headers(struct exchange *x, const struct provider *p, struct ccp_upstream_request *up)
{
    struct ccp_header *h = room_for(x, p, 1);
    if (h == NULL)
        return false;
    h[0] = (struct ccp_header){CCP_SPAN("user-agent"), CCP_SPAN("ccproxy/" CCP_VERSION)};
    up->headers = h;
    up->header_count = add_fixed(x, p, h, 1);
    return all_named(h, up->header_count);
}

/* -- the credential -- */

static bool client_credential_left(const struct exchange *x)
{
    for (size_t i = 0; i < x->header_count; i++)
        if (headers_credential(x->headers[i].name) && goes_upstream(x, &x->headers[i]))
            return true;
    return x->route.format == CCP_FORMAT_GEMINI && url_query_get(x->query, CCP_SPAN("key")).p != NULL;
}

static const struct ccp_header *key_header(const struct provider *p, enum ccp_format format)
{
    const struct ccp_header *h = &p->def->key_header[format];
    for (int f = 0; h->name.n == 0 && f < CCP_FORMAT_COUNT; f++)
        h = &p->def->key_header[f];
    return h;
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
    if (!p->usable) {
        exchange_fail(x, CCP_LOGIN_REQUIRED, "provider %.*s has no usable credential: %.*s", CCP_FMT(p->id),
                      CCP_FMT(p->unusable));
        return false;
    }
    return true;
}

void attempt_describe(struct exchange *x, const struct provider *p, enum ccp_format f, struct ccp_upstream_request *up)
{
    *up = (struct ccp_upstream_request){
        .limits = p->limits,
        .proxy = p->proxy,
        .no_proxy = p->no_proxy,
        .allow_private = p->allow_private,
        .literal_host = p->literal_host,
        .http2 = p->s.http2 || x->rt->settings.upstream.http2,
        .trust = p->trust != NULL ? p->trust : x->rt->trust,
    };
    if (p->auth != AUTH_API_KEY || p->s.api_key == NULL)
        return;
    up->credential = p->s.api_key;
    up->credential_header = key_header(p, f)->name;
    up->credential_prefix = key_header(p, f)->value;
}

static bool build(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    attempt_describe(x, p, x->route.format, &x->up);
    x->up.method = x->req.method;
    if (!acquire(x))
        return false;
    if (!build_url(x) || !build_headers(x) || !build_body(x)) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    return p->def->prepare == NULL || p->def->prepare(p->self, &x->pub, &x->up) == CCP_OK;
}

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
    answer_head(x, x->waiting_status, x->waiting_length);
    pipe_open(x);
}

static void on_head(void *arg, int status, const struct ccp_header *h, size_t n)
{
    struct exchange *x = arg;
    if (x->state != X_UPSTREAM)
        return;
    x->upstream_head_us = clock_us() - x->started_us;
    bool give = judge_head(x, status);
    if (!give && !x->judging)
        return;
    hooks_emit(x, CCP_EVENT_PROVIDER_ANSWERED);
    struct ccp_span connection = headers_get(h, n, CCP_SPAN("connection"));
    for (size_t i = 0; i < n; i++)
        if (!headers_hop_by_hop(h[i].name, connection) && headers_forward_response(h[i].name) &&
            headers_name_ok(h[i].name) && headers_value_ok(h[i].value) && !copy_header(x, &h[i])) {
            x->upstream_refused = true;
            x->judging = false;
            exchange_fail(x, CCP_OVERLOADED, "out of memory");
            loop_soon(x->w->loop, &x->task);
            return;
        }
    /* A coded stream cannot be read: it passes like any other body. A stream we may add a keep-alive to has no
     * length of its own. */
    struct ccp_span type = headers_get(h, n, CCP_SPAN("content-type"));
    bool coded = coding_of(headers_get(h, n, CCP_SPAN("content-encoding"))) != CODING_IDENTITY;
    x->sse = !coded && type.n >= 17 && ccp_span_ieq(ccp_span_of(type.p, 17), CCP_SPAN("text/event-stream"));
    bool empty = ccp_span_is(x->req.method, "HEAD") || status == 204 || status == 304;
    x->waiting_length = empty ? 0 : x->sse ? SIZE_MAX : content_length(h, n);
    if (give)
        open_answer(x);
}

static enum ccp_push on_body(void *arg, struct ccp_span bytes)
{
    struct exchange *x = arg;
    if (x->judging) {
        if (!judge_body(x, bytes, false))
            return CCP_PUSH_MORE;
        open_answer(x);
        bytes = buf_span(&x->first);
    }
    if (x->state != X_ANSWERING)
        return CCP_PUSH_MORE; /* refused: its body is of no interest, the end is coming */
    enum ccp_push result = pipe_body(x, bytes);
    x->paused = result == CCP_PUSH_PAUSE;
    if (result == CCP_PUSH_GONE)
        exchange_finish(x); /* exchange_end cancels the transfer */
    return result;
}

static void on_done(void *arg, enum ccp_status status, struct ccp_span why)
{
    struct exchange *x = arg;
    x->transfer = NULL;
    if (x->state == X_FINISHING)
        return;
    if (x->judging && judge_body(x, CCP_SPAN(""), true)) {
        open_answer(x);
        pipe_body(x, buf_span(&x->first));
    }
    if (x->upstream_refused) {
        loop_soon(x->w->loop, &x->task);
    } else if (x->state == X_ANSWERING) {
        pipe_done(x, status, why);
    } else {
        exchange_fail(x, status != CCP_OK ? status : CCP_UPSTREAM, "provider %.*s: %.*s",
                      CCP_FMT(x->route.provider->id), CCP_FMT(why));
        answer_failure(x);
    }
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
    return x->transfer != NULL;
}

enum ccp_verdict attempt_start(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    if (!build(x))
        return CCP_FAILED;
    hooks_emit(x, CCP_EVENT_PROVIDER_PREPARED);
    verbose_body(x, "request", 0, x->body);
    x->transport = p->def->transport != NULL ? p->def->transport : x->w->http;
    x->transport_self = p->def->transport != NULL ? p->self : x->w->http_self;
    x->own_headers = x->head.count;
    exchange_state(x, X_UPSTREAM);
    return send(x) ? CCP_WAIT : CCP_FAILED;
}

void attempt_next(struct exchange *x)
{
    attempt_stop(x);
    x->upstream_refused = false;
    if (x->retry) {
        x->retry = false;
        if (send(x))
            return;
    }
    answer_failure(x);
}

void attempt_stop(struct exchange *x)
{
    struct ccp_transfer *t = x->transfer;
    x->transfer = NULL;
    if (t != NULL)
        x->transport->cancel(x->transport_self, t);
}

void chain_writable(struct exchange *x)
{
    if (!x->paused || x->transfer == NULL)
        return;
    x->paused = false;
    x->transport->resume(x->transport_self, x->transfer);
}

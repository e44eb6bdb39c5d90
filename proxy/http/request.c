/*
 * A request's way in: h2o's handler turns h2o_req_t into a chain_request and hands it over; the end of the
 * request (answered, reset, connection lost) comes back through the request pool's finaliser.
 *
 * The record lives in the request's pool, so it never outlives what its spans point to: whatever ends the
 * request in h2o ends the exchange first.
 */
#include <http/http_impl.h>

#include <base/assert.h>
#include <base/budget.h>
#include <base/fault.h>

/* What a request costs besides its body and its arena, about: h2o's pool, ours, the transfer to the upstream. */
#define REQUEST_COST (24 * 1024)

/* Tells the chain once that nobody is there any more. */
void request_unbind(struct request *r)
{
    struct exchange *x = r->x;
    if (r->counted)
        atomic_fetch_sub(&r->w->shared->in_flight, 1);
    r->counted = false;
    r->x = NULL;
    if (x != NULL)
        r->w->backend->client_gone(x);
}

static void dispose(void *arg)
{
    struct request *r = arg;
    struct http_worker *w = r->w;
    request_unbind(r);
    if (r->c->busy == r)
        conn_release(r->c);
    loop_task_cancel(&w->loop, &r->flush);
    loop_timer_stop(&w->loop, &r->stall);
    out_free(w, r->fill);
    out_free(w, r->flight);
    r->fill = r->flight = NULL;
    if (r->c->busy == r) {
        r->c->busy = NULL;
        r->c->state = CONN_IDLE;
    }
    r->c->requests--;
    w->request_n--;
    budget_give(REQUEST_COST);
    trim_consider(w);
}

/* An HTTP/1 client hung up while its answer is being made. */
void request_client_gone(struct request *r)
{
    if (r->gone)
        return;
    r->gone = true;
    request_unbind(r);
    conn_cut(r->c); /* a write that is under way fails; else the flush task ends the request */
    loop_soon(&r->w->loop, &r->flush);
}

static struct ccp_span span_of(h2o_iovec_t v)
{
    return ccp_span_of(v.base, v.len);
}

/* HTTP/2: the Host field, which must say the same as :authority or stands in for it. */
static bool settle_authority(h2o_req_t *req, struct chain_request *out)
{
    bool given = req->input.authority.base != req->hostconf->authority.hostport.base;
    out->authority = given ? span_of(req->input.authority) : (struct ccp_span){0};
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_HOST, -1);
    if (at != -1) {
        struct ccp_span host = span_of(req->headers.entries[at].value);
        if (given && !ccp_span_ieq(host, out->authority))
            return false;
        out->authority = host;
        if (h2o_find_header(&req->headers, H2O_TOKEN_HOST, at) != -1)
            return false;
    }
    return guard_authority_ok(out->authority);
}

static bool hidden(const h2o_header_t *h)
{
    return h->name == &H2O_TOKEN_HOST->buf || h->name == &H2O_TOKEN_EXPECT->buf ||
           h->name == &H2O_TOKEN_CONTENT_LENGTH->buf || h->name == &H2O_TOKEN_TRANSFER_ENCODING->buf ||
           h->name == &H2O_TOKEN_UPGRADE->buf;
}

/* False: a field without a name, which HTTP/2 can spell and h2o lets through (RFC 9113 section 8.2.1). */
static bool take_headers(h2o_req_t *req, struct chain_request *out)
{
    bool named = true;
    size_t n = 0;
    struct ccp_header *list = h2o_mem_alloc_pool(&req->pool, (req->headers.size + 1) * sizeof(*list));
    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *h = &req->headers.entries[i];
        named = h->name->len != 0 && named;
        if (!hidden(h))
            list[n++] = (struct ccp_header){span_of(*h->name), span_of(h->value)};
    }
    out->headers = list;
    out->header_count = n;
    return named;
}

static void refuse(struct chain_request *out, enum ccp_status status, struct ccp_span text)
{
    if (out->refusal == CCP_OK) {
        out->refusal = status;
        out->refusal_text = text;
    }
}

static void judge(struct request *r, struct chain_request *out)
{
    struct http_worker *w = r->w;
    if (!settle_authority(r->req, out))
        refuse(out, CCP_BAD_REQUEST, CCP_SPAN("missing, malformed or contradictory Host or :authority"));
    if (!guard_path_ok(out->target)) {
        refuse(out, CCP_BAD_REQUEST, CCP_SPAN("the request target must be a path"));
        out->target = CCP_SPAN("/");
    }
    if (!guard_method_ok(out->method))
        refuse(out, CCP_BAD_REQUEST, CCP_SPAN("unknown or malformed method"));
    if (out->body.n > w->options.max_body_bytes) {
        refuse(out, CCP_TOO_LARGE, CCP_SPAN("the request body is larger than server.max_body_bytes"));
        out->body = (struct ccp_span){0};
    }
    if (atomic_load(&w->shared->in_flight) >= w->options.max_in_flight)
        refuse(out, CCP_OVERLOADED, CCP_SPAN("too many requests in flight"));
    bool let_in = out->body.n > GUARD_EARNED; /* a large body has its memory already */
    bool lost = guard_body_lost(&r->c->guard, out->body);
    if (lost || (budget_level(0) != BUDGET_FREE && !let_in))
        refuse(out, CCP_OVERLOADED, CCP_SPAN("the server is short of memory"));
    if (lost)
        out->body = (struct ccp_span){0};
}

static void describe(struct request *r, struct chain_request *out)
{
    h2o_req_t *req = r->req;
    *out = (struct chain_request){
        .method = span_of(req->input.method),
        .target = span_of(req->input.path),
        .peer = {r->c->peer, r->c->peer_n},
        .peer_trusted_proxy = r->c->trusted,
        .tls = r->c->tls,
        .unix_socket = r->c->unix_socket,
        .version = req->version >= 0x200   ? 20
                   : req->version == 0x101 ? 11
                                           : 10,
        .upgrade = span_of(req->upgrade),
        .body = span_of(req->entity),
        .refusal = CCP_OK,
    };
    if (!take_headers(req, out))
        refuse(out, CCP_BAD_REQUEST, CCP_SPAN("a header field has no name"));
    judge(r, out);
}

/* h2o keeps an HTTP/1.1 connection only if Connection is absent or says keep-alive; "Connection: upgrade" or
 * "te" does not mean close (RFC 9112 section 9.3). */
static void settle_persistence(h2o_req_t *req, const struct guard *guard)
{
    if (req->version != 0x101 || req->conn->ctx->shutdown_requested)
        return;
    req->http1_is_persistent = !guard_body_lost(guard, span_of(req->entity));
    for (ssize_t at = -1; (at = h2o_find_header(&req->headers, H2O_TOKEN_CONNECTION, at)) != -1;) {
        h2o_iovec_t v = req->headers.entries[at].value;
        if (h2o_contains_token(v.base, v.len, H2O_STRLIT("close"), ','))
            req->http1_is_persistent = 0;
    }
}

static struct request *record_new(struct http_worker *w, struct conn *c, h2o_req_t *req)
{
    struct request *r = h2o_mem_alloc_shared(&req->pool, sizeof(*r), dispose);
    *r = (struct request){
        .w = w,
        .c = c,
        .req = req,
        .generator = {.proceed = response_proceed},
        .flush = {.run = response_flush},
        .stall = {.fire = response_stalled},
        .content_length = SIZE_MAX,
    };
    if (req->version < 0x200) {
        c->busy = r;
        c->state = CONN_BUSY;
    }
    c->requests++;
    w->request_n++;
    budget_take(REQUEST_COST);
    return r;
}

static int no_backend(h2o_req_t *req)
{
    h2o_send_error_503(req, "Service Unavailable", "out of memory", 0);
    return 0;
}

int request_on_req(h2o_handler_t *self, h2o_req_t *req)
{
    struct conn *c = conn_of(req->conn->callbacks->get_socket(req->conn));
    CCP_ASSERT(c != NULL);
    struct http_worker *w = c->w;
    struct request *r = record_new(w, c, req);
    /* The chain may keep the description until the exchange ended. */
    struct chain_request *description = h2o_mem_alloc_pool(&req->pool, sizeof(*description));
    describe(r, description);
    settle_persistence(req, &c->guard);
    c->guard.memory.want = 0; /* what comes from now on belongs to the next request */
    if (w->backend == NULL || CCP_FAULT("http.begin"))
        return no_backend(req);
    r->counted = true;
    atomic_fetch_add(&w->shared->in_flight, 1);
    r->x = w->backend->begin(w->chain, description, &response_responder, r);
    if (r->x == NULL) {
        request_unbind(r);
        return no_backend(req);
    }
    if (c->busy == r) {
        conn_hold(c);
        if (c->half_closed)
            request_client_gone(r);
    }
    return 0;
}

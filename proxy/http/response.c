/*
 * A response's way out: the responder the chain writes to, and the flush that hands it to h2o.
 *
 * The responder only takes bytes and marks the request; one flush per request and turn makes one h2o_send. h2o
 * takes one send at a time: while it has one block the next fills, and above enough() bytes the chain is told to
 * pause until half of that is free: few bytes for a client that has not shown yet that it reads, or was slow. Every
 * send must be taken by the client within write_timeout.
 *
 * What must stay true: after the last h2o_send (FINAL, ERROR) the request may already be freed.
 */
#include <http/http_impl.h>

#include <base/assert.h>
#include <wire/headers.h>

#include <sys/socket.h>

#define HIGH    (64 * 1024)
#define LOW     (16 * 1024)
#define PROVEN  (256 * 1024) /* more than the kernel takes for a client that does not read; see conn.c */
#define SLOW_MS 50           /* a send that takes longer makes the client slow again */

static bool proven(const struct request *r)
{
    return r->body_bytes - r->slow_mark >= PROVEN;
}

static size_t enough(const struct request *r)
{
    return proven(r) ? HIGH : LOW;
}

static void mark(struct request *r)
{
    loop_soon(&r->w->loop, &r->flush);
}

/* Said by us or by h2o, whatever the chain passes on. */
static bool ours(struct ccp_span name)
{
    switch (name.n) {
    case 4:
        return ccp_span_is(name, "date");
    case 7:
        return ccp_span_is(name, "upgrade");
    case 10:
        return ccp_span_is(name, "connection") || ccp_span_is(name, "keep-alive");
    case 14:
        return ccp_span_is(name, "content-length");
    case 17:
        return ccp_span_is(name, "transfer-encoding");
    default:
        return false;
    }
}

/* A field that would break the head is left out. */
static void add_header(h2o_req_t *req, const struct ccp_header *h)
{
    if (ours(h->name) || !headers_name_ok(h->name) || !headers_value_ok(h->value))
        return;
    char *copy = h2o_mem_alloc_pool(&req->pool, h->name.n + h->value.n + 1);
    memcpy(copy, h->name.p, h->name.n);
    if (h->value.n != 0)
        memcpy(copy + h->name.n, h->value.p, h->value.n);
    h2o_add_header_by_str(&req->pool, &req->res.headers, copy, h->name.n, 1, NULL, copy + h->name.n, h->value.n);
}

static void on_head(void *self, int status, const struct ccp_header *headers, size_t n, size_t content_length)
{
    struct request *r = self;
    CCP_ASSERT(!r->headed && status >= 200 && status <= 999);
    r->headed = true;
    r->status = status;
    r->content_length = content_length;
    r->bodiless = status == 204 || status == 304 ||
                  h2o_memis(r->req->input.method.base, r->req->input.method.len, H2O_STRLIT("HEAD"));
    for (size_t i = 0; i < n; i++)
        add_header(r->req, &headers[i]);
    mark(r);
}

static enum ccp_push on_body(void *self, struct ccp_span bytes, bool last)
{
    struct request *r = self;
    CCP_ASSERT(r->headed && !r->last);
    r->body_bytes += bytes.n;
    r->last = last;
    if (!r->broken && !r->bodiless && !out_add(r->w, &r->fill, bytes))
        r->broken = true;
    bool wrong = r->content_length != SIZE_MAX && !r->bodiless &&
                 (r->body_bytes > r->content_length || (last && r->body_bytes != r->content_length));
    if (wrong)
        r->broken = true;
    mark(r);
    if (out_size(r->fill) + out_size(r->flight) < enough(r))
        return CCP_PUSH_MORE;
    r->paused = true;
    return CCP_PUSH_PAUSE;
}

static void on_abort(void *self)
{
    struct request *r = self;
    r->broken = true;
    mark(r);
}

static void on_ended(void *self)
{
    struct request *r = self;
    r->x = NULL;
    request_unbind(r); /* only the count is left */
    r->paused = false;
    if (!r->last) {
        r->broken = true;
        mark(r);
    }
}

static void on_uncount(void *self)
{
    struct request *r = self;
    if (r->counted)
        atomic_fetch_sub(&r->w->shared->in_flight, 1);
    r->counted = false;
}

const struct chain_responder response_responder = {
    .head = on_head,
    .body = on_body,
    .abort = on_abort,
    .ended = on_ended,
    .uncount = on_uncount,
};

/* The length for the head, and whether our own chunk framing is used. */
static void frame_head(struct request *r)
{
    h2o_req_t *req = r->req;
    if (r->content_length == SIZE_MAX && r->last && !r->broken && !(r->bodiless && r->body_bytes == 0))
        r->content_length = r->body_bytes;
    if (r->status == 204 || r->status == 304)
        r->content_length = SIZE_MAX;
    req->res.content_length = r->content_length;
    if (r->content_length != SIZE_MAX || r->bodiless || req->version >= 0x200)
        return;
    r->chunked = req->version == 0x101;
    if (r->chunked)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_TRANSFER_ENCODING, NULL, H2O_STRLIT("chunked"));
    else
        req->http1_is_persistent = 0; /* HTTP/1.0: the end of the connection is the end of the body */
}

static void start(struct request *r)
{
    h2o_req_t *req = r->req;
    req->res.status = r->status;
    req->res.reason = reason_phrase(r->status);
    frame_head(r);
    if (r->w->draining)
        req->http1_is_persistent = 0;
    r->started = true;
    h2o_start_response(req, &r->generator);
}

static void hand_over(struct request *r, h2o_iovec_t *bytes, h2o_send_state_t state)
{
    struct conn *c = r->c;
    uint64_t limit = r->w->options.write_timeout_ms;
    r->sending = true;
    r->sent_ms = r->w->loop.now_ms;
    r->finished = state != H2O_SEND_STATE_IN_PROGRESS;
    if (limit != 0 && !loop_timer_set(&r->w->loop, &r->stall, limit))
        conn_cut(c);
    if (r->finished && c->busy == r)
        conn_release(c);
    if (proven(r))
        conn_trust_reader(c, true);
    conn_enter(c);
    h2o_send(r->req, bytes, bytes->len != 0 ? 1 : 0, state);
    conn_leave(c);
}

/* Nothing was sent yet or the client is gone: the connection is shut down and h2o made to notice. */
static void end_unsent(struct request *r)
{
    h2o_iovec_t none = {NULL, 0};
    r->req->http1_is_persistent = 0;
    conn_cut(r->c);
    out_free(r->w, r->fill);
    r->fill = NULL;
    if (!r->started) {
        r->bodiless = true; /* no framing */
        r->status = 503;
        r->headed = true;
        start(r);
    }
    hand_over(r, &none, H2O_SEND_STATE_ERROR);
}

/* A body that ends with the connection can only be told from a whole one by a reset. */
static void arm_reset(struct request *r)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (r->req->version < 0x101 && r->content_length == SIZE_MAX)
        setsockopt(r->c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static void send_more(struct request *r)
{
    h2o_iovec_t bytes = {NULL, 0};
    bool opening = !r->started;
    if (opening)
        start(r);
    bool last = r->last && !r->broken;
    r->flight = r->fill;
    r->fill = NULL;
    if (r->chunked && (r->flight != NULL || last))
        bytes = out_chunk(r->flight, last);
    else if (r->flight != NULL)
        bytes = out_whole(r->flight);
    if (r->broken)
        arm_reset(r);
    if (bytes.len != 0 || opening || last || r->broken)
        hand_over(r, &bytes,
                  r->broken ? H2O_SEND_STATE_ERROR
                  : last    ? H2O_SEND_STATE_FINAL
                            : H2O_SEND_STATE_IN_PROGRESS);
}

void response_flush(struct loop_task *task)
{
    struct request *r = (struct request *)((char *)task - offsetof(struct request, flush));
    if (r->finished || r->sending)
        return; /* proceed brings us back */
    if (r->gone || (r->broken && !r->headed && !r->c->guard.h2)) {
        end_unsent(r);
        return;
    }
    if (r->broken && !r->headed) { /* HTTP/2: a head must precede the reset */
        r->headed = r->bodiless = true;
        r->status = 503;
    }
    if (r->headed)
        send_more(r);
}

void response_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct request *r = (struct request *)((char *)generator - offsetof(struct request, generator));
    r->sending = false;
    loop_timer_stop(&r->w->loop, &r->stall);
    out_free(r->w, r->flight);
    r->flight = NULL;
    if (r->w->loop.now_ms - r->sent_ms >= SLOW_MS) {
        r->slow_mark = r->body_bytes;
        conn_trust_reader(r->c, false);
    }
    if (r->fill != NULL || r->last || r->broken || r->gone)
        mark(r);
    if (r->paused && out_size(r->fill) < enough(r) / 2 && r->x != NULL) {
        r->paused = false;
        r->w->backend->writable(r->x);
    }
}

/* RFC 9113 section 6.4; h2o tells a stream's number only to its loggers. */
static uint32_t stream_id(h2o_req_t *req)
{
    h2o_iovec_t text = req->conn->callbacks->log_.http2.stream_id(req);
    return (uint32_t)h2o_strtosize(text.base, text.len);
}

/* The client took nothing for write_timeout. On HTTP/2 a shut window ends only its stream; a write that is stuck,
 * or a stream that is not gone after another write_timeout, ends the connection. */
void response_stalled(struct loop_timer *timer)
{
    struct request *r = (struct request *)((char *)timer - offsetof(struct request, stall));
    struct conn *c = r->c;
    bool first = !r->gone && c->guard.h2;
    r->gone = true;
    request_unbind(r);
    if (first && loop_timer_set(&r->w->loop, timer, r->w->options.write_timeout_ms) &&
        guard_reset_stream(&c->guard, c->sock, stream_id(r->req)))
        return; /* the request is gone */
    conn_cut(c);
}

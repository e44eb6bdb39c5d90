/*
 * The direct engine: HTTP/1.1 over kept-alive connections, without libcurl and without a copy of any body.
 *
 * The request's head is written into a block of the worker's and leaves together with the body in one call; the
 * answer is read into another one and handed to the owner from there. So a transfer at rest holds a socket and
 * this struct. Only when the owner pauses in the middle of a read is the rest of that read kept.
 */
#include <upstream/direct_impl.h>

#include <base/assert.h>
#include <base/fault.h>
#include <base/secret.h>
#include <errno.h>

enum { ROUNDS = 4 }; /* full reads of one transfer before the others have their turn */

static void release_head(struct direct *d)
{
    if (d->head == NULL)
        return;
    secret_wipe(d->head, d->head_n);
    if (d->head != d->t.u->out)
        free(d->head);
    d->head = NULL;
}

static void release_rest(struct direct *d)
{
    free(d->rest);
    d->rest = NULL;
    d->rest_n = d->rest_at = 0;
}

/* ---- out --------------------------------------------------------------------------------------------- */

static int gather(const struct direct *d, struct iovec *v)
{
    const struct ccp_upstream_request *r = d->t.request;
    int n = 0;

    if (d->head != NULL)
        v[n++] = (struct iovec){d->head + d->head_at, d->head_n - d->head_at};
    for (size_t i = d->piece; i < r->body_pieces && !d->reader.no_body; i++) {
        struct ccp_span rest = ccp_span_skip(r->body[i], i == d->piece ? d->piece_at : 0);
        if (rest.n != 0)
            v[n++] = (struct iovec){(void *)(uintptr_t)rest.p, rest.n};
    }
    return n;
}

static void advance(struct direct *d, size_t n)
{
    const struct ccp_upstream_request *r = d->t.request;

    if (d->head != NULL) {
        size_t of_head = n < d->head_n - d->head_at ? n : d->head_n - d->head_at;
        d->head_at += of_head;
        n -= of_head;
        if (d->head_at == d->head_n)
            release_head(d);
    }
    while (n != 0) {
        size_t left = r->body[d->piece].n - d->piece_at;
        size_t take = n < left ? n : left;
        d->piece_at += take;
        n -= take;
        if (take == left)
            d->piece++, d->piece_at = 0;
    }
}

/* A failure is not reported here: the server may have answered before it closed, and that is read first. */
static void send_more(struct direct *d)
{
    struct iovec v[4];
    enum io result = IO_DONE;
    int pieces;
    size_t n;

    while (result == IO_DONE && (pieces = gather(d, v)) != 0) {
        result = connection_write(d->conn, v, pieces, &n);
        if (result == IO_DONE)
            advance(d, n);
    }
    d->sending = result == IO_AGAIN;
    if (result == IO_FAILED) {
        d->send_failed = true;
        d->conn->readable = true;
        upstream_mark(&d->t);
    }
}

static void out_of_memory(struct direct *d)
{
    transfer_fail(&d->t, CCP_INTERNAL, "out of memory");
}

/* What is left of the head leaves the worker's block. */
static bool keep_head(struct direct *d)
{
    size_t left = d->head_n - d->head_at;
    char *copy = CCP_FAULT("upstream.headers") ? NULL : malloc(left);

    if (copy != NULL)
        memcpy(copy, d->head + d->head_at, left);
    release_head(d);
    d->head = copy;
    d->head_n = left;
    d->head_at = 0;
    return copy != NULL;
}

static void send_request(struct direct *d)
{
    size_t size = direct_head_size(&d->t);

    d->head = size <= WRITE_BYTES ? d->t.u->out : CCP_FAULT("upstream.headers") ? NULL : malloc(size);
    if (d->head == NULL) {
        out_of_memory(d);
        return;
    }
    d->head_n = direct_head_write(&d->t, d->head);
    CCP_ASSERT(d->head_n <= size);
    d->head_at = d->piece = d->piece_at = 0;
    send_more(d);
    if (d->head != NULL && d->head == d->t.u->out && !keep_head(d))
        out_of_memory(d);
}

void direct_connected(struct direct *d, struct connection *c)
{
    connection_use(c, d);
    d->conn = c;
    d->handed_ms = d->t.u->loop->now_ms;
    send_request(d);
    if (d->conn != NULL && d->conn->readable)
        upstream_mark(&d->t); /* it spoke first, or closed */
}

/* ---- ends -------------------------------------------------------------------------------------------- */

static void let_go(struct direct *d, bool keep)
{
    struct connection *c = d->conn;

    d->conn = NULL;
    release_head(d);
    if (keep)
        pool_give(c);
    else
        connection_close(c);
}

/* The whole answer is here; nothing that follows it belongs to anyone. */
static void whole(struct direct *d, bool clean)
{
    let_go(d, clean && d->reader.keep && !d->sending && !d->send_failed);
    transfer_finish(&d->t, CCP_OK);
}

/* A kept connection may die just as the request is written: then it is sent once more, on a fresh one. One that dies
 * later had been alive: the server may be at work on the request, which must not be done twice (RFC 9110 section
 * 9.2.2). */
static bool try_again(struct direct *d)
{
    if (!d->conn->reused || d->t.again || d->received || d->t.u->loop->now_ms - d->handed_ms > RESEND_MS)
        return false;
    d->t.again = true;
    d->t.u->counters.retried++;
    let_go(d, false);
    d->sending = d->send_failed = false;
    http1_init(&d->reader, d->reader.no_body);
    link_append(&d->t.u->starting, &d->t.queue);
    upstream_wake(d->t.u);
    return true;
}

static void lost(struct direct *d, const char *why)
{
    if (try_again(d))
        return;
    transfer_fail_at_host(&d->t, CCP_UPSTREAM,
                          d->send_failed && !d->received ? "the connection was lost while the request was sent" : why,
                          NULL);
}

/* ---- in ---------------------------------------------------------------------------------------------- */

static bool done_with(const struct direct *d)
{
    return !transfer_open(&d->t) || d->t.finished;
}

/* A pause holds the body and what follows, not the head. An end that needs no more bytes is noted all the same, so
 * that the connection can serve others. */
static bool held_back(const struct direct *d)
{
    return d->t.paused && d->t.head_given && !http1_at_end(&d->reader);
}

static void act(struct direct *d, struct http1_bytes *in)
{
    struct ccp_transfer *t = &d->t;
    struct http1_head head; /* not cleared: 16 KB */
    struct ccp_span body;

    while (!done_with(d) && !held_back(d)) {
        switch (http1_next(&d->reader, in, &head, &body)) {
        case HTTP1_MORE:
            return;
        case HTTP1_HEAD:
            t->head_complete = t->head_given = true;
            t->events.head(t->arg, head.status, head.fields, head.n);
            break;
        case HTTP1_BODY:
            transfer_push(t, body);
            break;
        case HTTP1_END:
            whole(d, in->n == 0);
            return;
        case HTTP1_BROKEN:
            transfer_fail_at_host(t, CCP_UPSTREAM, d->reader.why, NULL);
            return;
        }
    }
}

static void save_rest(struct direct *d, struct http1_bytes in)
{
    d->rest = CCP_FAULT("upstream.rest") ? NULL : malloc(in.n);
    if (d->rest == NULL) {
        out_of_memory(d);
        return;
    }
    memcpy(d->rest, in.p, in.n);
    d->rest_n = in.n;
    d->rest_at = 0;
}

static void took(struct direct *d, bool first_time)
{
    struct ccp_transfer *t = &d->t;

    if (done_with(d))
        return;
    if (first_time && t->head_complete && !transfer_watch_idle(t))
        out_of_memory(d);
    else if (held_back(d)) {
        t->u->counters.paused++;
        d->paused_ms = t->u->loop->now_ms;
    }
}

/* What one read brings the owner has to hold while its client is slow. So reads are small until it kept up for a
 * while, and again once it did not. */
static size_t read_size(const struct direct *d)
{
    return d->kept_up < PROVEN_BYTES ? READ_SMALL : READ_BYTES;
}

static void judge_pause(struct direct *d)
{
    if (d->paused_ms != 0 && d->t.u->loop->now_ms - d->paused_ms >= LATE_MS)
        d->kept_up = 0;
    d->paused_ms = 0;
}

static void consume_read(struct direct *d, size_t n)
{
    struct http1_bytes in = {d->t.u->in, n};
    bool had_head = d->t.head_complete;

    d->received = true;
    d->kept_up += n;
    d->t.last_byte_ms = d->t.u->loop->now_ms;
    act(d, &in);
    if (!done_with(d) && in.n != 0)
        save_rest(d, in);
    took(d, !had_head);
}

static void consume_rest(struct direct *d)
{
    struct http1_bytes in = {d->rest + d->rest_at, d->rest_n - d->rest_at};

    act(d, &in);
    d->rest_at = d->rest_n - in.n;
    if (in.n == 0)
        release_rest(d);
    took(d, false);
}

/* False = nothing more for now. */
static bool read_once(struct direct *d)
{
    size_t n;

    switch (connection_read(d->conn, d->t.u->in, read_size(d), &n)) {
    case IO_DONE:
        consume_read(d, n);
        return true;
    case IO_AGAIN:
        if (d->send_failed) /* the request will never be whole, and no early answer is there */
            lost(d, "the connection was lost while the request was sent");
        return false;
    case IO_END:
        if (http1_eof(&d->reader) == HTTP1_END)
            whole(d, false);
        else
            lost(d, d->reader.why);
        return false;
    case IO_FAILED:
        lost(d, d->t.head_complete ? "the connection was closed in the middle of the answer"
                                   : "the connection was lost before an answer came");
        return false;
    }
    return false;
}

static void deliver(struct ccp_transfer *t)
{
    struct direct *d = direct_of(t);

    if (!held_back(d))
        judge_pause(d);
    if (d->rest != NULL && !held_back(d) && !t->finished)
        consume_rest(d);
    for (int round = 0; d->rest == NULL && !done_with(d) && !held_back(d); round++) {
        if (d->conn == NULL || !d->conn->secured || !d->conn->readable)
            return;
        if (round == ROUNDS) {
            upstream_mark(t);
            return;
        }
        if (!read_once(d))
            return;
    }
}

void direct_event(struct direct *d)
{
    if (!d->conn->secured) {
        dial_event(d->dial);
        return;
    }
    if (d->sending)
        send_more(d);
    if (d->conn->readable)
        transfer_deliver(&d->t);
}

/* ---- the engine -------------------------------------------------------------------------------------- */

static void init(struct ccp_transfer *t)
{
    http1_init(&direct_of(t)->reader, ccp_span_is(t->request->method, "HEAD"));
}

static bool prepare(struct ccp_transfer *t)
{
    const char *why = t->url.host.p == NULL ? request_check(t->request, &t->url) : NULL;

    if (why != NULL) {
        transfer_fail(t, CCP_INTERNAL, "the request cannot be sent: %s", why);
        return false;
    }
    return t->host != NULL || direct_of(t)->dial != NULL || pool_serves(t) || dial_lookup(direct_of(t));
}

static bool begin(struct ccp_transfer *t)
{
    struct direct *d = direct_of(t);
    struct pool *pool = pool_enter(t);

    if (pool == NULL)
        return false;
    struct connection *c = t->again ? NULL : pool_take(pool);
    if (c != NULL) {
        dial_free(d->dial);
        d->dial = NULL;
        direct_connected(d, c);
        return true;
    }
    if (dial_start(d, pool))
        return true;
    pool_leave(t->u, pool);
    return false;
}

static bool held(const struct ccp_transfer *t)
{
    return ((const struct direct *)t)->rest != NULL;
}

/* What is left over once the end is known is not part of the answer. */
static bool drained(const struct ccp_transfer *t)
{
    return t->finished || !held(t);
}

static void detach(struct ccp_transfer *t)
{
    struct direct *d = direct_of(t);

    dial_free(d->dial);
    d->dial = NULL;
    if (d->conn != NULL)
        let_go(d, false);
}

static void drop(struct ccp_transfer *t)
{
    http1_release(&direct_of(t)->reader);
    release_rest(direct_of(t));
}

const struct engine direct_engine = {
    .size = sizeof(struct direct),
    .init = init,
    .prepare = prepare,
    .begin = begin,
    .deliver = deliver,
    .drained = drained,
    .held = held,
    .go_on = NULL,
    .detach = detach,
    .drop = drop,
};

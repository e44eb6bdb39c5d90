/*
 * From curl to the owner: curl's callbacks fill a bounded buffer, the loop task empties it.
 *
 * Memory stays bounded whatever the upstream sends: above BUFFER_HIGH curl is paused and the kernel's window
 * closes; it goes on below BUFFER_LOW. A transfer at rest holds no buffer. (With HTTP/2,
 * which is opt-in, curl itself may hold up to its 32 MB connection window of paused streams.)
 */
#include <upstream/upstream_impl.h>

static size_t waiting_bytes(const struct curl_transfer *c)
{
    return c->body.n - c->body_at;
}

/* ---- called by curl: store and mark, nothing else ----------------------------------------------------- */

static const char *head_problem(enum head_result result)
{
    switch (result) {
    case HEAD_TOO_LARGE:
        return "the head of the upstream's answer is too large";
    case HEAD_NO_MEMORY:
        return "out of memory for the head of the upstream's answer";
    default:
        return "the upstream's answer has a malformed head";
    }
}

size_t curl_on_header(char *p, size_t size, size_t n, void *arg)
{
    struct curl_transfer *c = arg;
    enum head_result result;

    if (c->cancelled)
        return CURL_WRITEFUNC_ERROR;
    if (c->t.head_complete) /* trailers */
        return size * n;
    result = head_line(&c->head, ccp_span_of(p, size * n));
    if (result == HEAD_COMPLETE && !transfer_watch_idle(&c->t))
        result = HEAD_NO_MEMORY;
    if (result == HEAD_COMPLETE) {
        c->t.head_complete = true;
        upstream_mark(&c->t);
    }
    if (result == HEAD_COMPLETE || result == HEAD_MORE)
        return size * n;
    c->refused = head_problem(result);
    return CURL_WRITEFUNC_ERROR;
}

size_t curl_on_body(char *p, size_t size, size_t n, void *arg)
{
    struct curl_transfer *c = arg;

    if (c->cancelled)
        return CURL_WRITEFUNC_ERROR;
    if (waiting_bytes(c) + size * n > BUFFER_HIGH) {
        c->curl_paused = true;
        c->t.u->counters.paused++;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (c->body_at != 0)
        buf_drop(&c->body, c->body_at);
    c->body_at = 0;
    c->t.last_byte_ms = c->t.u->loop->now_ms;
    if (!buf_add(&c->body, ccp_span_of(p, size * n))) {
        c->refused = "out of memory for the upstream's answer";
        return CURL_WRITEFUNC_ERROR;
    }
    upstream_mark(&c->t);
    return size * n;
}

/* ---- to the owner ------------------------------------------------------------------------------------ */

static void give_head(struct curl_transfer *c)
{
    struct ccp_header fields[HEAD_FIELDS_MAX];

    c->t.head_given = true;
    head_fields(&c->head, fields);
    c->t.events.head(c->t.arg, c->head.status, fields, head_count(&c->head));
    buf_release(&c->head.text);
    buf_release(&c->head.fields);
}

static void give_piece(struct curl_transfer *c)
{
    size_t n = waiting_bytes(c) < BUFFER_LOW ? waiting_bytes(c) : BUFFER_LOW;
    struct ccp_span piece = {c->body.p + c->body_at, n};

    c->body_at += n;
    transfer_push(&c->t, piece);
    if (waiting_bytes(c) == 0) {
        buf_release(&c->body);
        c->body_at = 0;
    }
}

bool curl_drained(const struct ccp_transfer *t)
{
    return waiting_bytes((const struct curl_transfer *)t) == 0;
}

void curl_deliver(struct ccp_transfer *t)
{
    if (t->head_complete && !t->head_given)
        give_head(curl_of(t));
    while (transfer_open(t) && !t->paused && !curl_drained(t))
        give_piece(curl_of(t));
}

/* curl may call curl_on_body before this returns, and that may pause again. */
void curl_go_on(struct ccp_transfer *t)
{
    struct curl_transfer *c = curl_of(t);

    if (c->easy == NULL || !c->curl_paused || t->paused || waiting_bytes(c) >= BUFFER_LOW)
        return;
    c->curl_paused = false;
    t->last_byte_ms = t->u->loop->now_ms;
    CURLcode code = curl_easy_pause(c->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK)
        curl_transfer_done(c, code);
}

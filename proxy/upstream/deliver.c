/*
 * From curl to the owner: curl's callbacks fill a bounded buffer, the loop task empties it.
 *
 * Memory stays bounded whatever the upstream sends: above BUFFER_HIGH curl is paused and the kernel's window
 * closes; it goes on below BUFFER_LOW. A transfer at rest holds no buffer. (With HTTP/2,
 * which is opt-in, curl itself may hold up to its 32 MB connection window of paused streams.)
 */
#include <upstream/upstream_impl.h>

static size_t waiting_bytes(const struct ccp_transfer *t)
{
    return t->body.n - t->body_at;
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

static bool watch_idle(struct ccp_transfer *t)
{
    t->last_byte_ms = t->u->loop->now_ms;
    if (t->idle_ms != 0)
        return loop_timer_set(t->u->loop, &t->wait, t->idle_ms);
    loop_timer_stop(t->u->loop, &t->wait);
    return true;
}

size_t transfer_on_header(char *p, size_t size, size_t n, void *arg)
{
    struct ccp_transfer *t = arg;
    enum head_result result;

    if (t->cancelled)
        return CURL_WRITEFUNC_ERROR;
    if (t->head.complete) /* trailers */
        return size * n;
    result = head_line(&t->head, ccp_span_of(p, size * n));
    if (result == HEAD_COMPLETE && !watch_idle(t))
        result = HEAD_NO_MEMORY;
    if (result == HEAD_COMPLETE)
        upstream_mark(t);
    if (result == HEAD_COMPLETE || result == HEAD_MORE)
        return size * n;
    snprintf(t->why, sizeof(t->why), "%s", head_problem(result));
    return CURL_WRITEFUNC_ERROR;
}

size_t transfer_on_body(char *p, size_t size, size_t n, void *arg)
{
    struct ccp_transfer *t = arg;

    if (t->cancelled)
        return CURL_WRITEFUNC_ERROR;
    if (waiting_bytes(t) + size * n > BUFFER_HIGH) {
        t->curl_paused = true;
        t->u->counters.paused++;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (t->body_at != 0)
        buf_drop(&t->body, t->body_at);
    t->body_at = 0;
    t->last_byte_ms = t->u->loop->now_ms;
    if (!buf_add(&t->body, ccp_span_of(p, size * n))) {
        snprintf(t->why, sizeof(t->why), "out of memory for the upstream's answer");
        return CURL_WRITEFUNC_ERROR;
    }
    upstream_mark(t);
    return size * n;
}

/* ---- to the owner ------------------------------------------------------------------------------------ */

static void give_head(struct ccp_transfer *t)
{
    struct ccp_header fields[HEAD_FIELDS_MAX];

    t->head_given = true;
    head_fields(&t->head, fields);
    t->events.head(t->arg, t->head.status, fields, head_count(&t->head));
    buf_release(&t->head.text);
    buf_release(&t->head.fields);
}

static void give_piece(struct ccp_transfer *t)
{
    size_t n = waiting_bytes(t) < BUFFER_LOW ? waiting_bytes(t) : BUFFER_LOW;
    struct ccp_span piece = {t->body.p + t->body_at, n};

    t->body_at += n;
    switch (t->events.body(t->arg, piece)) {
    case CCP_PUSH_MORE:
        break;
    case CCP_PUSH_PAUSE:
        t->paused = true;
        break;
    case CCP_PUSH_GONE:
        t->gone = true;
        break;
    }
    if (waiting_bytes(t) == 0) {
        buf_release(&t->body);
        t->body_at = 0;
    }
}

static void give_done(struct ccp_transfer *t)
{
    t->over = true;
    t->u->counters.finished++;
    t->events.done(t->arg, t->status, ccp_span_z(t->why));
}

static bool open_to_calls(const struct ccp_transfer *t)
{
    return !t->over && !t->gone;
}

static void give(struct ccp_transfer *t)
{
    if (t->head.complete && !t->head_given)
        give_head(t);
    while (open_to_calls(t) && !t->paused && waiting_bytes(t) != 0)
        give_piece(t);
    if (open_to_calls(t) && t->finished && (t->overdue || (!t->paused && waiting_bytes(t) == 0)))
        give_done(t);
}

/* curl may call transfer_on_body before this returns, and that may pause again. */
static void let_curl_go_on(struct ccp_transfer *t)
{
    if (t->easy == NULL || !t->curl_paused || t->paused || waiting_bytes(t) >= BUFFER_LOW)
        return;
    t->curl_paused = false;
    t->last_byte_ms = t->u->loop->now_ms;
    CURLcode code = curl_easy_pause(t->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK)
        transfer_done(t, code);
}

void transfer_deliver(struct ccp_transfer *t)
{
    t->in_events = true;
    if (open_to_calls(t))
        give(t);
    t->in_events = false;
    if (t->over)
        transfer_free(t);
    else if (t->gone)
        transfer_silence(t);
    else
        let_curl_go_on(t);
}

/*
 * Deadlines of a connection: the head must be complete in header_timeout, a body must keep a minimal rate, an
 * idle connection ends after idle_timeout. (How long a client may take to read is watched per request, in
 * response.c.)
 *
 * One timer per connection; it is moved only when the connection changes what it waits for, so that bytes that
 * trickle in never extend a deadline.
 */
#include <http/http_impl.h>

#include <sys/socket.h>

#define BODY_WINDOW_MS 10000

static const char late_answer[] = "HTTP/1.1 408 Request Timeout\r\n"
                                  "connection: close\r\n"
                                  "content-type: text/plain\r\n"
                                  "content-length: 28\r\n\r\n"
                                  "the request came too slowly\n";

static enum conn_deadline wanted(const struct conn *c)
{
    if (c->guard.h2) {
        if (c->guard.head_pending)
            return DEADLINE_HEAD;
        if (c->guard.top_stream == 0)
            return DEADLINE_IDLE;
        return c->guard.body_n != 0 ? DEADLINE_BODY : DEADLINE_NONE; /* h2o ends idle ones */
    }
    switch (c->state) {
    case CONN_NEW:
    case CONN_HEAD:
        return DEADLINE_HEAD;
    case CONN_IDLE:
        return DEADLINE_IDLE;
    case CONN_BODY:
        return DEADLINE_BODY;
    case CONN_BUSY:
        break;
    }
    return DEADLINE_NONE;
}

static uint64_t duration(const struct conn *c)
{
    switch (c->deadline) {
    case DEADLINE_HEAD:
        return c->w->options.header_timeout_ms;
    case DEADLINE_IDLE:
        return c->w->options.idle_timeout_ms;
    case DEADLINE_BODY:
        return c->w->options.body_min_rate != 0 ? BODY_WINDOW_MS : 0;
    case DEADLINE_NONE:
        break;
    }
    return 0;
}

static void start(struct conn *c)
{
    uint64_t ms = duration(c);
    c->body_mark = c->guard.bytes_in;
    if (ms == 0)
        loop_timer_stop(&c->w->loop, &c->timer);
    else if (!loop_timer_set(&c->w->loop, &c->timer, ms))
        conn_cut(c); /* without memory for its deadline it may not stay */
}

void deadline_settle(struct conn *c)
{
    enum conn_deadline want = wanted(c);
    if (want == c->deadline)
        return;
    c->deadline = want;
    start(c);
}

/* A request that has begun is told why it ends (RFC 9110 section 15.5.9). Nothing of an answer was written yet, so the
 * bytes may go past h2o; under TLS they may not, and HTTP/2 has no place for them. */
static void say_late(const struct conn *c)
{
    bool begun = c->deadline == DEADLINE_BODY || (c->deadline == DEADLINE_HEAD && c->guard.bytes_in != 0);
    if (begun && !c->guard.h2 && !c->tls)
        send(c->fd, late_answer, sizeof(late_answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void deadline_fire(struct loop_timer *timer)
{
    struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, timer));
    uint64_t got = c->guard.bytes_in - c->body_mark;
    if (c->deadline == DEADLINE_BODY && got >= c->w->options.body_min_rate * (BODY_WINDOW_MS / 1000)) {
        start(c);
        return;
    }
    say_late(c);
    conn_cut(c);
}

/*
 * A streaming answer of a route: head first, then bytes for as long as its owner has some.
 *
 * The owner writes when it likes; the bytes take the same way as an upstream's, so middlewares see them. What must stay
 * true: the owner hears of the end exactly once, whoever ended it, and nothing that it calls afterwards does harm while
 * the exchange is still there.
 */
#include <base/fault.h>
#include <chain/api_impl.h>
#include <wire/headers.h>
#include <wire/sse.h>

/* What an owner that does not heed PAUSE may pile up in front of a slow client before its stream is cut. */
#define BEYOND_MAX ((size_t)1 << 20)

struct local_stream {
    const struct ccp_stream_events *events; /* may be NULL */
    void *arg;
    struct plugin_unit *unit; /* of the route; NULL = the core's own */
    bool paused;
    bool over; /* stream_end, or GONE was said */
    size_t beyond;
};

static enum ccp_verdict refuse(struct exchange *x, const char *why)
{
    exchange_fail(x, CCP_INTERNAL, "%s", why);
    return CCP_FAILED;
}

/* Answers that have no body end with their head. */
static bool has_body(const struct exchange *x, int status)
{
    return !ccp_span_is(x->req.method, "HEAD") && status != 204 && status != 304;
}

enum ccp_verdict api_stream_open(struct ccp_exchange *pub, int status, struct ccp_span content_type,
                                 const struct ccp_stream_events *events, void *arg)
{
    struct exchange *x = exchange_of(pub);
    if (x->hooked || x->head_sent || x->stream != NULL || (x->state != X_ENTERING && x->state != X_PARKED))
        return refuse(x, "stream_open: the request was answered already");
    if (status < 200 || status > 599 || !headers_value_ok(content_type))
        return refuse(x, "stream_open: this is no status or no content type of an answer");
    struct local_stream *s = CCP_FAULT("stream.open") ? NULL : arena_zalloc(&x->arena, sizeof(*s));
    if (s == NULL || (content_type.n != 0 && !answer_header(x, CCP_SPAN("content-type"), content_type))) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    s->events = events;
    s->arg = arg;
    s->unit = x->route.plugin_route != NULL ? x->route.plugin_route->unit : NULL;
    x->stream = s;
    answer_head(x, status, status == 204 ? 0 : SIZE_MAX);
    if (!has_body(x, status))
        api_stream_end(pub);
    return CCP_DONE;
}

/* Cut off in the middle, so that no client takes it for a whole answer. */
static enum ccp_push cut(struct exchange *x, enum ccp_status status, const char *why)
{
    x->stream->over = true;
    exchange_fail(x, status, "%s", why);
    answer_failure(x);
    return CCP_PUSH_GONE;
}

enum ccp_push api_stream_write(struct ccp_exchange *pub, struct ccp_span bytes)
{
    struct exchange *x = exchange_of(pub);
    struct local_stream *s = x->stream;
    if (s == NULL || s->over || x->client_gone || x->state != X_ANSWERING)
        return CCP_PUSH_GONE;
    s->beyond = s->paused ? s->beyond + bytes.n : 0;
    if (s->beyond > BEYOND_MAX)
        return cut(x, CCP_INTERNAL, "the route went on writing although its client was too slow");
    enum ccp_push push = answer_body(x, bytes, false);
    if (push == CCP_PUSH_GONE)
        return cut(x, CCP_CLIENT_GONE, "a middleware ended the stream");
    s->paused = s->paused || push == CCP_PUSH_PAUSE;
    return s->paused ? CCP_PUSH_PAUSE : CCP_PUSH_MORE;
}

/* Would it end a line, and so begin another field? */
static bool breaks_line(struct ccp_span s)
{
    return ccp_span_find(s, '\n') < s.n || ccp_span_find(s, '\r') < s.n || ccp_span_find(s, '\0') < s.n;
}

static bool write_event(struct ccp_buf *out, struct ccp_span name, struct ccp_span id, struct ccp_span data)
{
    if (CCP_FAULT("stream.event"))
        return false;
    if (id.n != 0 && !(buf_addz(out, "id: ") && buf_add(out, id) && buf_addz(out, "\n")))
        return false;
    return sse_write(out, name, data);
}

enum ccp_push api_stream_event(struct ccp_exchange *pub, struct ccp_span name, struct ccp_span id, struct ccp_span data)
{
    struct exchange *x = exchange_of(pub);
    if (x->stream == NULL || x->stream->over)
        return CCP_PUSH_GONE;
    if (breaks_line(name) || breaks_line(id))
        return cut(x, CCP_INTERNAL, "the name or the id of an event has a line end");
    struct ccp_buf out;
    buf_init(&out, name.n + id.n + 8 * data.n + 64); /* each byte of data may be a line */
    bool fine = write_event(&out, name, id, data);
    enum ccp_push push = fine ? api_stream_write(pub, buf_span(&out)) : cut(x, CCP_OVERLOADED, "out of memory");
    buf_release(&out);
    return push;
}

void api_stream_end(struct ccp_exchange *pub)
{
    struct exchange *x = exchange_of(pub);
    struct local_stream *s = x->stream;
    if (s == NULL || s->over || x->state != X_ANSWERING)
        return;
    s->over = true;
    answer_body(x, CCP_SPAN(""), true);
    exchange_finish(x);
}

void stream_writable(struct exchange *x)
{
    struct local_stream *s = x->stream;
    if (!s->paused || s->over)
        return;
    s->paused = false;
    s->beyond = 0;
    if (s->events == NULL || s->events->writable == NULL)
        return;
    uint64_t began = guard_begin(s->unit);
    s->events->writable(s->arg);
    guard_end(s->unit, "a stream's writable", began);
}

void stream_close(struct exchange *x)
{
    struct local_stream *s = x->stream;
    if (s == NULL)
        return;
    s->over = true;
    const struct ccp_stream_events *events = s->events;
    s->events = NULL;
    if (events == NULL || events->ended == NULL)
        return;
    uint64_t began = guard_begin(s->unit);
    events->ended(s->arg);
    guard_end(s->unit, "a stream's ended", began);
}

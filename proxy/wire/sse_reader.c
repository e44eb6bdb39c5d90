/*
 * Server-sent events, bytes to events.
 *
 * A line that lies whole in the read is taken where it lies, and so is a field whose event ends in the same
 * read: then nothing is copied at all. Only what a read leaves unfinished goes to the buffers. How the bytes
 * are cut must never show in the result, the size limit included.
 */
#include <wire/scan_impl.h>
#include <wire/sse.h>

struct feed {
    struct sse_reader *r;
    bool (*on_event)(void *arg, const struct sse_event *event);
    void *arg;
};

void sse_reader_init(struct sse_reader *r, size_t max_event)
{
    *r = (struct sse_reader){.max = max_event};
    buf_init(&r->line, max_event);
    buf_init(&r->event, max_event);
    buf_init(&r->data, max_event);
    buf_init(&r->id, max_event);
}

void sse_reader_release(struct sse_reader *r)
{
    buf_release(&r->line);
    buf_release(&r->event);
    buf_release(&r->data);
    buf_release(&r->id);
}

static enum sse_result too_large(struct sse_reader *r)
{
    r->too_large = true;
    return SSE_TOO_LARGE;
}

static size_t held(const struct sse_reader *r)
{
    return r->event_at.n + r->data_at.n + r->id_at.n;
}

/* Moves a field into its buffer, unless it is there or empty. */
static bool keep(struct ccp_span *at, struct ccp_buf *in)
{
    if (at->n == 0)
        at->p = "";
    if (at->n == 0 || at->p == in->p)
        return true;
    in->n = 0;
    if (!buf_add(in, *at))
        return false;
    *at = buf_span(in);
    return true;
}

/* Before the bytes that fields may point into go away: the current read, or the line buffer. */
static bool keep_fields(struct sse_reader *r)
{
    return keep(&r->event_at, &r->event) && keep(&r->data_at, &r->data) && keep(&r->id_at, &r->id);
}

static void forget_event(struct sse_reader *r)
{
    r->event_at = r->data_at = r->id_at = (struct ccp_span){"", 0};
    r->has_data = false;
}

static bool add_data(struct sse_reader *r, struct ccp_span value)
{
    if (!r->has_data) {
        r->has_data = true;
        r->data_at = value;
        return true;
    }
    if (!keep(&r->data_at, &r->data))
        return false;
    r->data.n = r->data_at.n;
    if (!buf_add(&r->data, CCP_SPAN("\n")) || !buf_add(&r->data, value))
        return false;
    r->data_at = buf_span(&r->data);
    return true;
}

static bool take_field(struct sse_reader *r, struct ccp_span line)
{
    size_t colon = ccp_span_find(line, ':');
    struct ccp_span name = {line.p, colon}, value = ccp_span_skip(line, colon + 1);
    if (value.n != 0 && value.p[0] == ' ')
        value = ccp_span_skip(value, 1);
    if (ccp_span_eq(name, CCP_SPAN("data")))
        return add_data(r, value);
    if (ccp_span_eq(name, CCP_SPAN("event")))
        r->event_at = value;
    else if (ccp_span_eq(name, CCP_SPAN("id")) && ccp_span_find(value, '\0') == value.n)
        r->id_at = value;
    return true;
}

static enum sse_result dispatch(struct feed *f)
{
    struct sse_reader *r = f->r;
    bool go_on = true;
    if (r->has_data) {
        struct sse_event event = {r->event_at, r->data_at, r->id_at, true};
        go_on = f->on_event(f->arg, &event);
    }
    forget_event(r);
    r->stopped = !go_on;
    return go_on ? SSE_OK : SSE_STOPPED;
}

/* A whole line without its end. */
static enum sse_result take_line(struct feed *f, struct ccp_span line)
{
    if (line.n == 0)
        return dispatch(f);
    if (line.n > f->r->max - held(f->r) || (line.p[0] != ':' && !take_field(f->r, line)))
        return too_large(f->r);
    return SSE_OK;
}

/* More of a line that is not whole in this read. */
static enum sse_result hold_line(struct sse_reader *r, struct ccp_span part)
{
    if (r->line_used) {
        if (!keep_fields(r))
            return too_large(r);
        r->line.n = 0;
        r->line_used = false;
    }
    size_t room = r->max - held(r);
    if (r->line.n > room || part.n > room - r->line.n || !buf_add(&r->line, part))
        return too_large(r);
    return SSE_OK;
}

/* The end of a line was found behind `part`. */
static enum sse_result end_line(struct feed *f, struct ccp_span part)
{
    struct sse_reader *r = f->r;
    if (r->line_used || r->line.n == 0)
        return take_line(f, part);
    enum sse_result result = hold_line(r, part);
    if (result != SSE_OK)
        return result;
    r->line_used = true; /* fields may point into it until the next hold_line */
    return take_line(f, buf_span(&r->line));
}

/* Skips a leading byte order mark, which may come in pieces; gives back what turned out to be none. */
static enum sse_result skip_bom(struct sse_reader *r, struct ccp_span *bytes)
{
    static const char bom[] = "\xef\xbb\xbf";
    while (!r->started && bytes->n != 0 && bytes->p[0] == bom[r->bom]) {
        *bytes = ccp_span_skip(*bytes, 1);
        r->started = ++r->bom == 3;
    }
    if (r->started || bytes->n == 0)
        return SSE_OK;
    r->started = true;
    return r->bom != 0 ? hold_line(r, ccp_span_of(bom, r->bom)) : SSE_OK;
}

static enum sse_result read_lines(struct feed *f, struct ccp_span bytes)
{
    struct sse_reader *r = f->r;
    while (bytes.n != 0) {
        if (r->skip_lf && bytes.p[0] == '\n') {
            bytes = ccp_span_skip(bytes, 1);
            r->skip_lf = false;
            continue;
        }
        r->skip_lf = false;
        const char *end = bytes.p + bytes.n, *eol = scan_eol(bytes.p, end);
        struct ccp_span part = {bytes.p, (size_t)(eol - bytes.p)};
        if (eol == end)
            return hold_line(r, part);
        r->skip_lf = *eol == '\r';
        bytes = ccp_span_skip(bytes, part.n + 1);
        enum sse_result result = end_line(f, part);
        if (result != SSE_OK)
            return result;
    }
    return SSE_OK;
}

enum sse_result sse_read(struct sse_reader *r, struct ccp_span bytes,
                         bool (*on_event)(void *arg, const struct sse_event *event), void *arg)
{
    if (r->too_large || r->stopped)
        return r->too_large ? SSE_TOO_LARGE : SSE_STOPPED;
    struct feed f = {r, on_event, arg};
    enum sse_result result = r->started ? SSE_OK : skip_bom(r, &bytes);
    if (result == SSE_OK)
        result = read_lines(&f, bytes);
    if (result == SSE_OK && !keep_fields(r))
        result = too_large(r);
    return result;
}

enum sse_result sse_finish(struct sse_reader *r, bool (*on_event)(void *arg, const struct sse_event *event), void *arg,
                           bool *unfinished)
{
    struct feed f = {r, on_event, arg};
    enum sse_result result = SSE_OK;
    *unfinished = false;
    if (r->too_large || r->stopped)
        return r->too_large ? SSE_TOO_LARGE : SSE_STOPPED;
    if (!r->line_used && r->line.n != 0) {
        r->line_used = true;
        result = take_line(&f, buf_span(&r->line));
    }
    *unfinished = r->has_data;
    return result == SSE_OK ? dispatch(&f) : result;
}

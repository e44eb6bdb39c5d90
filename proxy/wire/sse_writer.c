/*
 * Server-sent events, events to bytes; and the watch on a stream that only passes through.
 *
 * Whatever the caller puts into data comes out as data: a line end in it begins a new data line and can never
 * begin another field. All or nothing: a refused event leaves no bytes behind.
 */
#include <wire/scan_impl.h>
#include <wire/sse.h>

static const struct ccp_span event_field = CCP_LIT("event: "), data_field = CCP_LIT("data: ");

static struct ccp_span first_line(struct ccp_span text)
{
    return ccp_span_of(text.p, text.n != 0 ? (size_t)(scan_eol(text.p, text.p + text.n) - text.p) : 0);
}

/* Takes a line off the front; false when it was the last (text without a line end has one line). */
static bool take_line(struct ccp_span *text, struct ccp_span *line)
{
    *line = first_line(*text);
    if (line->n == text->n)
        return false;
    bool crlf = text->p[line->n] == '\r' && text->n > line->n + 1 && text->p[line->n + 1] == '\n';
    *text = ccp_span_skip(*text, line->n + (crlf ? 2 : 1));
    return true;
}

static size_t data_size(struct ccp_span data)
{
    struct ccp_span line;
    size_t n = 0;
    bool more;
    do {
        more = take_line(&data, &line);
        n += data_field.n + line.n + 1;
    } while (more);
    return n;
}

/* Room was reserved. */
static void put(struct ccp_buf *out, struct ccp_span s)
{
    if (s.n != 0)
        memcpy(out->p + out->n, s.p, s.n);
    out->n += s.n;
}

static void put_field(struct ccp_buf *out, struct ccp_span name, struct ccp_span value)
{
    put(out, name);
    put(out, value);
    put(out, CCP_SPAN("\n"));
}

bool sse_write(struct ccp_buf *out, struct ccp_span event, struct ccp_span data)
{
    if (first_line(event).n != event.n)
        return false;
    size_t need = data_size(data) + 1 + (event.n != 0 ? event_field.n + event.n + 1 : 0);
    if (out->failed || !buf_reserve(out, need))
        return false;
    if (event.n != 0)
        put_field(out, event_field, event);
    struct ccp_span line;
    bool more;
    do {
        more = take_line(&data, &line);
        put_field(out, data_field, line);
    } while (more);
    put(out, CCP_SPAN("\n"));
    return true;
}

bool sse_write_comment(struct ccp_buf *out, struct ccp_span text)
{
    if (first_line(text).n != text.n || out->failed || !buf_reserve(out, text.n + 3))
        return false;
    put_field(out, CCP_SPAN(":"), text);
    put(out, CCP_SPAN("\n"));
    return true;
}

enum boundary {
    AT_EMPTY_LINE, /* or at the very beginning */
    IN_LINE,
    AT_LINE_START,
    AFTER_CR,       /* which ended a line with something in it */
    AFTER_EMPTY_CR, /* which ended an empty line */
};

static uint8_t boundary_step(uint8_t state, char c)
{
    if (c == '\r')
        return state == IN_LINE ? AFTER_CR : AFTER_EMPTY_CR;
    if (c != '\n')
        return IN_LINE;
    return state == IN_LINE || state == AFTER_CR ? AT_LINE_START : AT_EMPTY_LINE;
}

bool sse_boundary_feed(struct sse_boundary *b, struct ccp_span bytes)
{
    size_t tail = bytes.n;
    while (tail != 0 && (bytes.p[tail - 1] == '\n' || bytes.p[tail - 1] == '\r'))
        tail--;
    /* Only the line ends at the tail matter, and what came before the read if there is nothing else in it. */
    if (tail != 0)
        b->state = IN_LINE;
    for (; tail != bytes.n; tail++)
        b->state = boundary_step(b->state, bytes.p[tail]);
    return b->state == AT_EMPTY_LINE || b->state == AFTER_EMPTY_CR;
}

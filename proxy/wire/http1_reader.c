/*
 * The reader of HTTP/1.1 responses: finds the heads, follows the framing of the body, knows when the end has come.
 *
 * A head that arrives whole is parsed where it lies; only one that arrives in pieces is collected first. Body
 * bytes are handed on as spans of the input. Small chunks are moved together in place, so that the owner gets one
 * span for a read full of them.
 */
#include <wire/http1.h>

#include <base/assert.h>

enum {
    TOGETHER = 2048, /* a piece of a chunk up to this size is moved to the one before it */
    SIZE_DIGITS = 15,
    SIZE_LINE_MAX = 1024, /* with extensions, which nobody uses */
};

void http1_init(struct http1_reader *r, bool no_body)
{
    *r = (struct http1_reader){.no_body = no_body};
    buf_init(&r->saved, HTTP1_HEAD_MAX);
}

void http1_release(struct http1_reader *r)
{
    buf_release(&r->saved);
}

static enum http1_event broken(struct http1_reader *r, const char *why)
{
    r->state = HTTP1_FAILED;
    r->keep = false;
    r->why = why;
    return HTTP1_BROKEN;
}

static void take(struct http1_bytes *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

/* ---- heads ------------------------------------------------------------------------------------------- */

/* Length of the head with its empty line, 0 = not here yet. Everything before `from` is known to hold no end. */
static size_t end_of_head(const char *p, size_t n, size_t from)
{
    for (const char *at = p + from, *lf; (lf = memchr(at, '\n', (size_t)(p + n - at))) != NULL; at = lf + 1) {
        size_t before = (size_t)(lf - p);
        if ((before >= 1 && p[before - 1] == '\n') || (before >= 2 && p[before - 1] == '\r' && p[before - 2] == '\n'))
            return before + 1;
    }
    return 0;
}

static bool looks_like_http(const char *p, size_t n)
{
    return memcmp(p, "HTTP/1.", n < 7 ? n : 7) == 0;
}

/* A 204 has no body (RFC 9110 section 15.3.5), but who announces one may well send it: that connection is spoilt. */
static bool announces_body(const struct http1_fields_of_framing *f)
{
    return f->framing == HTTP1_CHUNKED || (f->framing == HTTP1_LENGTH && f->length != 0);
}

static enum http1_event start_body(struct http1_reader *r, const struct http1_head *head,
                                   const struct http1_fields_of_framing *f)
{
    r->in_final = true;
    r->keep = f->keep && !(head->status == 204 && announces_body(f));
    if (r->no_body || head->status == 204 || head->status == 304 || (f->framing == HTTP1_LENGTH && f->length == 0)) {
        r->state = HTTP1_DONE;
    } else if (f->framing == HTTP1_CHUNKED) {
        r->state = HTTP1_IN_SIZE;
    } else if (f->framing == HTTP1_LENGTH) {
        r->state = HTTP1_IN_LENGTH;
        r->left = f->length;
    } else {
        r->state = HTTP1_IN_CLOSE;
        r->keep = false;
    }
    return HTTP1_HEAD;
}

/* MORE = it was an interim one, which leaves no trace. */
static enum http1_event judge_head(struct http1_reader *r, struct http1_bytes bytes, struct http1_head *head)
{
    struct http1_fields_of_framing f;
    const char *why = http1_parse_head(bytes, head, &f);

    if (why != NULL)
        return broken(r, why);
    if (head->status >= 200)
        return start_body(r, head, &f);
    if (++r->interim > HTTP1_INTERIM_MAX)
        return broken(r, "it sent too many interim answers");
    return HTTP1_MORE;
}

/* Looks for the end in what was saved and the new bytes; saves what is no whole head. */
static enum http1_event collect_head(struct http1_reader *r, struct http1_bytes *in, struct http1_head *head)
{
    size_t old = r->saved.n, room = HTTP1_HEAD_MAX - old, add = in->n < room ? in->n : room;

    if (!buf_add(&r->saved, ccp_span_of(in->p, add)))
        return broken(r, "out of memory for the head of its answer");
    if (!looks_like_http(r->saved.p, r->saved.n))
        return broken(r, "what it answered is not HTTP");
    size_t end = end_of_head(r->saved.p, r->saved.n, old);
    if (end == 0 && r->saved.n == HTTP1_HEAD_MAX)
        return broken(r, "the head of its answer is too large");
    take(in, end != 0 ? end - old : add);
    if (end == 0)
        return HTTP1_MORE;
    enum http1_event event = judge_head(r, (struct http1_bytes){r->saved.p, end}, head);
    r->saved.n = 0;
    return event;
}

static enum http1_event read_head(struct http1_reader *r, struct http1_bytes *in, struct http1_head *head)
{
    enum http1_event event = HTTP1_MORE;

    while (event == HTTP1_MORE && in->n != 0) {
        size_t scan = in->n < HTTP1_HEAD_MAX ? in->n : HTTP1_HEAD_MAX;
        size_t end = r->saved.n == 0 && looks_like_http(in->p, in->n) ? end_of_head(in->p, scan, 0) : 0;
        if (end == 0) {
            event = collect_head(r, in, head);
        } else {
            event = judge_head(r, (struct http1_bytes){in->p, end}, head);
            take(in, end);
        }
    }
    return event;
}

/* ---- chunks ------------------------------------------------------------------------------------------ */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void bad_chunk(struct http1_reader *r)
{
    (void)broken(r, "its answer has a malformed chunk");
}

static void size_byte(struct http1_reader *r, char c)
{
    int digit = hex(c);

    if (digit >= 0 && r->line < SIZE_DIGITS) {
        r->left = r->left << 4 | (unsigned)digit;
        r->line++;
    } else if (r->line == 0) {
        bad_chunk(r);
    } else if (c == '\r') {
        r->state = HTTP1_IN_SIZE_LF;
    } else if (c == ';' || c == ' ' || c == '\t') {
        r->state = HTTP1_IN_EXTENSION;
    } else {
        bad_chunk(r);
    }
}

static void extension_byte(struct http1_reader *r, char c)
{
    if (c == '\r')
        r->state = HTTP1_IN_SIZE_LF;
    else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f || ++r->line > SIZE_LINE_MAX)
        bad_chunk(r);
}

static void trailer_byte(struct http1_reader *r, char c)
{
    bool first = r->state == HTTP1_IN_TRAILER;

    if (++r->line > HTTP1_HEAD_MAX)
        bad_chunk(r);
    else if (c == '\n')
        r->state = first ? HTTP1_DONE : HTTP1_IN_TRAILER;
    else if (c == '\r' && first)
        r->state = HTTP1_IN_TRAILER_LF;
    else
        r->state = HTTP1_IN_TRAILER_LINE;
}

static void expect(struct http1_reader *r, char c, char wanted, enum http1_state then)
{
    if (c == wanted)
        r->state = then;
    else
        bad_chunk(r);
}

/* One byte between the data of two chunks. */
static void framing_byte(struct http1_reader *r, char c)
{
    switch (r->state) {
    case HTTP1_IN_SIZE:
        size_byte(r, c);
        break;
    case HTTP1_IN_EXTENSION:
        extension_byte(r, c);
        break;
    case HTTP1_IN_SIZE_LF:
        expect(r, c, '\n', r->left != 0 ? HTTP1_IN_CHUNK : HTTP1_IN_TRAILER);
        r->line = 0;
        break;
    case HTTP1_IN_CHUNK_CR:
        expect(r, c, '\r', HTTP1_IN_CHUNK_LF);
        break;
    case HTTP1_IN_CHUNK_LF:
        expect(r, c, '\n', HTTP1_IN_SIZE);
        break;
    case HTTP1_IN_TRAILER_LF:
        expect(r, c, '\n', HTTP1_DONE);
        break;
    default:
        trailer_byte(r, c);
        break;
    }
}

/* Appends the next piece of a chunk to *body; false = it would have to be moved too far. */
static bool chunk_piece(struct http1_reader *r, struct http1_bytes *in, struct http1_bytes *body)
{
    size_t n = in->n < r->left ? in->n : (size_t)r->left;

    if (body->n == 0)
        body->p = in->p;
    else if (body->p + body->n != in->p) {
        if (n > TOGETHER)
            return false;
        memmove(body->p + body->n, in->p, n);
    }
    body->n += n;
    take(in, n);
    r->left -= n;
    if (r->left == 0)
        r->state = HTTP1_IN_CHUNK_CR;
    return true;
}

static enum http1_event read_chunks(struct http1_reader *r, struct http1_bytes *in, struct ccp_span *body)
{
    struct http1_bytes together = {in->p, 0};

    while (in->n != 0 && r->state < HTTP1_DONE) {
        if (r->state != HTTP1_IN_CHUNK) {
            framing_byte(r, *in->p);
            take(in, 1);
        } else if (!chunk_piece(r, in, &together)) {
            break;
        }
    }
    *body = ccp_span_of(together.p, together.n);
    if (together.n != 0)
        return HTTP1_BODY;
    return r->state == HTTP1_DONE ? HTTP1_END : r->state == HTTP1_FAILED ? HTTP1_BROKEN : HTTP1_MORE;
}

/* ---- the rest ---------------------------------------------------------------------------------------- */

static enum http1_event read_length(struct http1_reader *r, struct http1_bytes *in, struct ccp_span *body)
{
    size_t n = in->n < r->left ? in->n : (size_t)r->left;

    if (n == 0)
        return HTTP1_MORE;
    *body = ccp_span_of(in->p, n);
    take(in, n);
    r->left -= n;
    if (r->left == 0)
        r->state = HTTP1_DONE;
    return HTTP1_BODY;
}

static enum http1_event read_all(struct http1_bytes *in, struct ccp_span *body)
{
    if (in->n == 0)
        return HTTP1_MORE;
    *body = ccp_span_of(in->p, in->n);
    take(in, in->n);
    return HTTP1_BODY;
}

enum http1_event http1_next(struct http1_reader *r, struct http1_bytes *in, struct http1_head *head,
                            struct ccp_span *body)
{
    r->any |= in->n != 0;
    switch (r->state) {
    case HTTP1_IN_HEAD:
        return read_head(r, in, head);
    case HTTP1_IN_LENGTH:
        buf_release(&r->saved);
        return read_length(r, in, body);
    case HTTP1_IN_CLOSE:
        buf_release(&r->saved);
        return read_all(in, body);
    case HTTP1_DONE:
        return HTTP1_END;
    case HTTP1_FAILED:
        return HTTP1_BROKEN;
    default:
        buf_release(&r->saved);
        return read_chunks(r, in, body);
    }
}

enum http1_event http1_eof(struct http1_reader *r)
{
    if (r->state == HTTP1_FAILED)
        return HTTP1_BROKEN;
    if (r->state == HTTP1_IN_CLOSE)
        r->state = HTTP1_DONE;
    if (r->state == HTTP1_DONE)
        return HTTP1_END;
    return broken(r, !r->any       ? "the connection was closed without an answer"
                     : r->in_final ? "the connection was closed in the middle of the answer"
                                   : "the connection was lost before an answer came");
}

bool http1_at_end(const struct http1_reader *r)
{
    return r->state == HTTP1_DONE;
}

/*
 * JSON strings to text and back.
 *
 * Reading accepts any span and checks it again: callers hand in spans from many places. Writing always gives
 * valid JSON: bytes that are not UTF-8 (an upstream's error page, a file name) come out as U+FFFD.
 */
#include <base/buf.h>
#include <wire/json_lex_impl.h>
#include <wire/scan_impl.h>

static struct ccp_span decode(struct arena *a, struct ccp_span inner)
{
    /* No escape is shorter than what it stands for. */
    char *out = arena_alloc(a, inner.n + 4);
    if (out == NULL)
        return (struct ccp_span){NULL, 0};
    size_t n = 0;
    while (inner.n != 0) {
        const char *stop = memchr(inner.p, '\\', inner.n);
        size_t run = stop != NULL ? (size_t)(stop - inner.p) : inner.n;
        memcpy(out + n, inner.p, run);
        n += run;
        inner = ccp_span_skip(inner, run);
        if (inner.n != 0)
            n += json_take_char(&inner, out + n);
    }
    return (struct ccp_span){out, n};
}

struct ccp_span json_text(struct arena *a, struct ccp_span raw)
{
    struct json_lex l = {.p = raw.p, .end = raw.p + raw.n};
    if (raw.n < 2 || raw.p[0] != '"' || !json_lex_string(&l) || l.p != l.end)
        return (struct ccp_span){NULL, 0};
    struct ccp_span inner = {raw.p + 1, raw.n - 2};
    return l.escaped ? decode(a, inner) : inner;
}

struct ccp_span json_unescape(struct arena *a, struct ccp_span inner)
{
    return inner.n != 0 && memchr(inner.p, '\\', inner.n) != NULL ? decode(a, inner) : inner;
}

/* The escape of one byte that cannot stand for itself; its length. */
static size_t quote_byte(unsigned char c, char out[6])
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    out[0] = '\\';
    const char *at = memchr(from, c, sizeof(from) - 1);
    if (at != NULL) {
        out[1] = to[at - from];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

/* Takes the next piece off the text: bytes that stand for themselves, or one that does not (into `escape`). */
static struct ccp_span quote_piece(struct ccp_span *text, char escape[6])
{
    const char *end = text->p + text->n, *at = scan_plain(text->p, end);
    struct ccp_span piece = {text->p, (size_t)(at - text->p)};
    size_t taken = piece.n;
    if (taken == 0 && (unsigned char)*at < 0x80) {
        piece = (struct ccp_span){escape, quote_byte((unsigned char)*at, escape)};
        taken = 1;
    } else if (taken == 0) {
        taken = piece.n = scan_utf8(at, end);
        if (taken == 0) {
            piece = CCP_SPAN("\xef\xbf\xbd");
            taken = 1;
        }
    }
    *text = ccp_span_skip(*text, taken);
    return piece;
}

#define QUOTE_AT_ONCE 512

static size_t quoted_size(struct ccp_span text)
{
    char escape[6];
    size_t n = 2;
    while (text.n != 0)
        n += quote_piece(&text, escape).n;
    return n;
}

static size_t quote_into(char *out, struct ccp_span text)
{
    char escape[6];
    const char *begin = out;
    *out++ = '"';
    while (text.n != 0) {
        struct ccp_span piece = quote_piece(&text, escape);
        memcpy(out, piece.p, piece.n);
        out += piece.n;
    }
    *out++ = '"';
    return (size_t)(out - begin);
}

struct ccp_span json_quote(struct arena *a, struct ccp_span text)
{
    size_t n = quoted_size(text);
    char *out = arena_alloc(a, n);
    if (out == NULL)
        return (struct ccp_span){NULL, 0};
    quote_into(out, text);
    return (struct ccp_span){out, n};
}

bool json_quote_to(struct ccp_buf *out, struct ccp_span text)
{
    /* Short texts get room for the worst case, which saves the pass that counts. */
    size_t room = text.n * 6 + 2;
    if (text.n > QUOTE_AT_ONCE || room > out->max - out->n)
        room = quoted_size(text);
    if (out->failed || !buf_reserve(out, room))
        return false;
    out->n += quote_into(out->p + out->n, text);
    return true;
}

void json_splice(struct ccp_span text, struct ccp_span hole, struct ccp_span replacement, struct ccp_span out[3])
{
    size_t before = (size_t)(hole.p - text.p);
    out[0] = (struct ccp_span){text.p, before};
    out[1] = replacement;
    out[2] = ccp_span_skip(text, before + hole.n);
}

/*
 * A strict decoder for chunked request bodies (RFC 9112 section 7.1) in place of picohttpparser's.
 *
 * Same contract: decodes in place, keeps its place between calls in the caller's 16 bytes, returns -2 for
 * "more", -1 for an error, else how many bytes follow the message. Sizes are plain hexadecimal, every line ends
 * in CRLF, extensions and trailers are bounded and dropped.
 */
#include <http/guard_impl.h>
#include <wire/headers.h>

#define CHUNK_DIGITS_MAX 16
#define CHUNK_SIZE_MAX   ((size_t)1 << 40)
#define CHUNK_EXT_MAX    4096  /* of all extensions of a message */
#define TRAILER_MAX      32768 /* bytes */

enum state { SIZE, EXT, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER_START, TRAILER_NAME, TRAILER, TRAILER_LF, END_LF };

/* The size and the first three members' places are those of the library's struct phr_chunked_decoder; what is
 * padding there counts lines and extension bytes here (the caller zeroes all of it). */
struct phr_chunked_decoder {
    size_t left;
    char consume_trailer;
    uint8_t digits, state, lines;
    uint16_t ext_bytes, trailer_bytes;
};
_Static_assert(sizeof(struct phr_chunked_decoder) == 16, "as large as the library's");

static int hex(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool in_size(struct phr_chunked_decoder *d, unsigned char c)
{
    int v = hex(c);
    if (v >= 0) {
        if (d->digits++ == CHUNK_DIGITS_MAX || d->left > CHUNK_SIZE_MAX)
            return false;
        d->left = d->left * 16 + (size_t)v;
        return d->left <= CHUNK_SIZE_MAX;
    }
    if (d->digits == 0)
        return false;
    d->digits = 0;
    d->state = c == '\r' ? SIZE_LF : EXT;
    return c == '\r' || c == ';';
}

static bool in_ext(struct phr_chunked_decoder *d, unsigned char c)
{
    if (c == '\r')
        d->state = SIZE_LF;
    return (c >= ' ' || c == '\t' || c == '\r') && c != 0x7f && ++d->ext_bytes <= CHUNK_EXT_MAX;
}

static bool token_char(unsigned char c)
{
    return headers_token_ok(ccp_span_of((const char *)&c, 1));
}

/* A trailer has the form of any field, although it is dropped: "GET / HTTP/1.1" here is somebody's next request. */
static bool in_trailer(struct phr_chunked_decoder *d, unsigned char c)
{
    if (++d->trailer_bytes > TRAILER_MAX)
        return false;
    if (d->state == TRAILER_START) {
        d->state = c == '\r' ? END_LF : TRAILER_NAME;
        return c == '\r' || (token_char(c) && ++d->lines <= GUARD_FIELDS_MAX);
    }
    if (d->state == TRAILER_NAME) {
        if (c == ':')
            d->state = TRAILER;
        return c == ':' || token_char(c);
    }
    if (c == '\r')
        d->state = TRAILER_LF;
    return (c >= ' ' || c == '\t' || c == '\r') && c != 0x7f;
}

static bool expect(struct phr_chunked_decoder *d, unsigned char c, unsigned char wanted, enum state next)
{
    d->state = (uint8_t)next;
    return c == wanted;
}

/* One byte outside of chunk data. False = refuse. */
static bool step(struct phr_chunked_decoder *d, unsigned char c)
{
    switch ((enum state)d->state) {
    case SIZE:
        return in_size(d, c);
    case EXT:
        return in_ext(d, c);
    case SIZE_LF:
        return expect(d, c, '\n', d->left != 0 ? DATA : TRAILER_START);
    case DATA_CR:
        return expect(d, c, '\r', DATA_LF);
    case DATA_LF:
        return expect(d, c, '\n', SIZE);
    case TRAILER_LF:
        return expect(d, c, '\n', TRAILER_START);
    case TRAILER_START:
    case TRAILER_NAME:
    case TRAILER:
        return in_trailer(d, c);
    case DATA:
    case END_LF:
        break;
    }
    return false;
}

static size_t take_data(struct phr_chunked_decoder *d, char *to, const char *from, size_t available)
{
    size_t n = available < d->left ? available : d->left;
    if (to != from)
        memmove(to, from, n);
    if ((d->left -= n) == 0)
        d->state = DATA_CR;
    return n;
}

GUARD_EXPORT ssize_t phr_decode_chunked(struct phr_chunked_decoder *d, char *buf, size_t *size)
{
    size_t in = 0, out = 0, n = *size;
    ssize_t result = -2;
    while (in < n && result == -2) {
        if (d->state == DATA) {
            size_t taken = take_data(d, buf + out, buf + in, n - in);
            in += taken;
            out += taken;
        } else if (d->state == END_LF) {
            result = buf[in++] == '\n' ? (ssize_t)(n - in) : -1;
        } else if (!step(d, (unsigned char)buf[in++])) {
            result = -1;
        }
    }
    if (in != out)
        memmove(buf + out, buf + in, n - in);
    *size = out;
    return result;
}

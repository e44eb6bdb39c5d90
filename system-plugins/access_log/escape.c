/*
 * Text of clients and upstreams, made safe for a log line in either format. The result is pure ASCII: no control
 * byte, no direction override and no look-alike of a line end can come through, and what was valid UTF-8 can be read
 * back from JSON without loss.
 */
#include "access_log_impl.h"

/* Decodes one character at p (RFC 3629: no overlong form, no surrogate); returns its length, 0 = invalid. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t want = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (want == 0 || want > n)
        return 0;
    *c = want == 1 ? p[0] : p[0] & (0xffu >> (want + 1));
    for (size_t i = 1; i < want; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (p[i] & 0x3f);
    }
    if (*c < least[want] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
        return 0;
    return want;
}

/* One character in its escaped form; at most 12 bytes. */
static size_t spell(char out[16], uint32_t c)
{
    int n;
    if (c >= 0x20 && c < 0x7f) { /* nearly all of them; no formatting for these */
        n = c == '"' || c == '\\';
        out[0] = '\\';
        out[n] = (char)c;
        return (size_t)n + 1;
    }
    if (c < 0x10000)
        n = snprintf(out, 16, "\\u%04x", (unsigned)c);
    else
        n = snprintf(out, 16, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
                     (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
    return (size_t)n;
}

/* Bytes that stand for themselves: printable ASCII but the quote and the backslash. */
static const bool plain[256] = {[0x20 ... 0x21] = true, [0x23 ... 0x5b] = true, [0x5d ... 0x7e] = true};

static size_t plain_run(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && plain[(unsigned char)p[i]])
        i++;
    return i;
}

size_t access_escape(char *out, size_t max, struct ccp_span s)
{
    char one[16];
    size_t n = 0, safe = 0; /* safe: where "..." still fits */
    for (size_t i = 0; i < s.n;) {
        size_t run = plain_run(s.p + i, s.n - i);
        if (run != 0 && run + 3 <= max - n) {
            memcpy(out + n, s.p + i, run);
            safe = n += run;
            i += run;
            continue;
        }
        uint32_t c = 0xfffd;
        size_t length = decode((const unsigned char *)s.p + i, s.n - i, &c);
        size_t wide = spell(one, length != 0 ? c : 0xfffd);
        if (n + wide > max) {
            if (max >= 3)
                memcpy(out + safe, "...", 3);
            return max >= 3 ? safe + 3 : n;
        }
        memcpy(out + n, one, wide);
        n += wide;
        if (n + 3 <= max)
            safe = n;
        i += length != 0 ? length : 1;
    }
    return n;
}

/*
 * Text as pointer and length.
 *
 * Every piece of text in ccproxy is a span: a view that owns nothing and promises no NUL. Who owns the
 * bytes is said where a span is handed over (mostly: the exchange's arena). Pass spans by value.
 */
#ifndef CCPROXY_SPAN_H
#define CCPROXY_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Never grows. p = NULL means "not there" where a function says so; an empty text has n = 0. */
struct ccp_span {
    const char *p; /* not NUL-terminated, unless said */
    size_t n;      /* bytes */
};

/* A span over a string literal; usable in static initialisers with CCP_LIT. */
#define CCP_SPAN(lit) ((struct ccp_span){"" lit, sizeof(lit) - 1})
#define CCP_LIT(lit)                                                                                                   \
    {                                                                                                                  \
        "" lit, sizeof(lit) - 1                                                                                        \
    }
/* For printf's "%.*s". */
#define CCP_FMT(s) (int)(s).n, (s).p

/* Of a NUL-terminated text; of NULL: p = NULL. */
static inline struct ccp_span ccp_span_z(const char *z)
{
    return (struct ccp_span){z, z != NULL ? strlen(z) : 0};
}

/* Of n bytes at p. */
static inline struct ccp_span ccp_span_of(const char *p, size_t n)
{
    return (struct ccp_span){p, n};
}

/* The same bytes? */
static inline bool ccp_span_eq(struct ccp_span a, struct ccp_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII case folded; for header names, scheme and host names. */
static inline bool ccp_span_ieq(struct ccp_span a, struct ccp_span b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* The same bytes as a NUL-terminated text? */
static inline bool ccp_span_is(struct ccp_span a, const char *z)
{
    return ccp_span_eq(a, ccp_span_z(z));
}

/* Does it begin so? */
static inline bool ccp_span_starts(struct ccp_span a, struct ccp_span prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

/* Does it end so? */
static inline bool ccp_span_ends(struct ccp_span a, struct ccp_span suffix)
{
    return a.n >= suffix.n && (suffix.n == 0 || memcmp(a.p + a.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* The rest after the first n bytes; empty when there are fewer. */
static inline struct ccp_span ccp_span_skip(struct ccp_span a, size_t n)
{
    return n >= a.n ? (struct ccp_span){a.n != 0 ? a.p + a.n : a.p, 0} : (struct ccp_span){a.p + n, a.n - n};
}

/* Index of byte c, or a.n when it does not occur. */
static inline size_t ccp_span_find(struct ccp_span a, char c)
{
    const char *hit = a.n != 0 ? memchr(a.p, c, a.n) : NULL;
    return hit != NULL ? (size_t)(hit - a.p) : a.n;
}

/* Without leading and trailing spaces and tabs (RFC 9110 OWS). */
static inline struct ccp_span ccp_span_trim(struct ccp_span a)
{
    while (a.n != 0 && (a.p[0] == ' ' || a.p[0] == '\t'))
        a.p++, a.n--;
    while (a.n != 0 && (a.p[a.n - 1] == ' ' || a.p[a.n - 1] == '\t'))
        a.n--;
    return a;
}

/* Writes a number in decimal, with leading zeros up to `width` (at most 20) digits; returns how many bytes, at most
 * 20. For lines and headers that are written with every request: no format string is read. */
static inline size_t ccp_digits(char *out, uint64_t value, size_t width)
{
    char digits[20];
    size_t n = 0;
    for (; (value != 0 || n < width || n == 0) && n < sizeof(digits); value /= 10)
        digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
    memcpy(out, digits + sizeof(digits) - n, n);
    return n;
}

/* One header field or any other pair of texts. */
struct ccp_header {
    struct ccp_span name; /* lower case */
    struct ccp_span value;
};

#endif

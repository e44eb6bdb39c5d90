/*
 * The byte searches of usage_scan.c: where a run inside or outside of a string ends, and where a name of token counts
 * may begin. All bytes of every answer pass here while somebody counts tokens, so the loops look at 16 bytes at a time
 * where there is SSE2; nothing outside of [p, end) is read.
 */
#ifndef CHAIN_USAGE_BYTES_H
#define CHAIN_USAGE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define NAME_BEGINS "\"usage"
enum { NAME_N = sizeof(NAME_BEGINS) - 1 };

#ifdef __SSE2__
static inline unsigned equal(__m128i v, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

static inline __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline unsigned control(__m128i v)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v));
}
#endif

/* The next byte that ends a run inside a string: quote, backslash, or one that cannot stand there. */
static inline const char *skip_text(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        __m128i v = load(p);
        unsigned mask = equal(v, '"') | equal(v, '\\') | control(v);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p != end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

/* The next quote, bracket or brace, or the end of a line. '[' and '{' differ in one bit, as do ']' and '}'. */
static inline const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        __m128i v = load(p), folded = _mm_or_si128(v, _mm_set1_epi8(0x20));
        unsigned mask = equal(v, '"') | equal(folded, '{') | equal(folded, '}') | equal(v, '\n') | equal(v, '\r');
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p != end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}' && *p != '\n' && *p != '\r')
        p++;
    return p;
}

static inline bool begins(const char *p, const char *end, const char *word, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0;
}

/* A quote with what may be the name's beginning behind it, and no null for a value. */
static inline bool promising(const char *p, const char *end)
{
    static const char null[] = NAME_BEGINS "\":null";
    return begins(p, end, NAME_BEGINS, NAME_N) && !begins(p, end, null, sizeof(null) - 1);
}

/* The first such quote in whole lines, or end. */
static inline const char *find_name(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 17; p += 16) {
        unsigned mask = equal(load(p), '"') & equal(load(p + 1), 'u');
        for (; mask != 0; mask &= mask - 1)
            if (promising(p + __builtin_ctz(mask), end))
                return p + __builtin_ctz(mask);
    }
#endif
    for (; p != end; p++)
        if (*p == '"' && promising(p, end))
            return p;
    return end;
}

/* Behind the last end of a line in [p, end), or p. */
static inline const char *last_line(const char *p, const char *end)
{
    const char *lf = memrchr(p, '\n', (size_t)(end - p));
    const char *from = lf != NULL ? lf + 1 : p;
    const char *cr = memrchr(from, '\r', (size_t)(end - from));
    return cr != NULL ? cr + 1 : from;
}

#endif

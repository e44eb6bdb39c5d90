/*
 * Byte scans that the JSON and SSE readers share: runs of plain text, ends of lines, UTF-8.
 *
 * These loops carry nearly all bytes of nearly all requests, so they look at 16 bytes at a time where there is
 * SSE2 and never read outside [p, end). The scalar forms finish the tails and serve other processors; both
 * forms must stop at exactly the same byte.
 */
#ifndef WIRE_SCAN_IMPL_H
#define WIRE_SCAN_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Plain inside a JSON string: printable ASCII but the quote and the backslash. */
static inline bool scan_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#ifdef __SSE2__
/* The sign bit of each byte that is not plain is set. Bytes from 0x80 on have it already. */
static inline __m128i scan_not_plain(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return _mm_or_si128(_mm_or_si128(quote, slash), _mm_or_si128(control, v));
}
#endif

/* First byte of [p, end) that is not plain, or end. */
static inline const char *scan_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        int mask = _mm_movemask_epi8(scan_not_plain(p));
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
        p += 16;
        if (end - p < 64)
            continue;
        /* A long run: four loads for one branch. */
        while (end - p >= 64) {
            __m128i a = scan_not_plain(p), b = scan_not_plain(p + 16);
            __m128i c = scan_not_plain(p + 32), d = scan_not_plain(p + 48);
            if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) != 0)
                break;
            p += 64;
        }
    }
#endif
    while (p != end && scan_is_plain((unsigned char)*p))
        p++;
    return p;
}

/* First byte of [p, end) below 0x20, or 0x7f; or end. */
static inline const char *scan_control(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        int mask = _mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f))));
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p != end && (unsigned char)*p >= 0x20 && *p != 0x7f)
        p++;
    return p;
}

/* First CR or LF of [p, end), or end. */
static inline const char *scan_eol(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        int mask = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p != end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

/* Length of the well-formed UTF-8 sequence of 2 to 4 bytes at p (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF), or 0. */
static inline size_t scan_utf8(const char *at, const char *end)
{
    const unsigned char *p = (const unsigned char *)at;
    size_t room = (size_t)(end - at);
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return room >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if ((p[0] & 0xf0) == 0xe0) {
        if (room < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
            return 0;
        return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
    }
    if (p[0] < 0xf0 || p[0] > 0xf4 || room < 4)
        return 0;
    if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
        return 0;
    return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

#endif

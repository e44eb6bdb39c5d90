/*
 * JSON strings (RFC 8259 section 7): where nearly all bytes of nearly all requests are.
 *
 * Plain runs go by 16 to 64 bytes (scan_plain). From the first backslash of a string on, 64 bytes are classed at
 * once and only the escapes among them are looked at one by one, because source code inside a prompt has one every
 * few words. The block loop only ever skips what is right: whatever is not stays for the plain loop, which knows
 * the exact place and the words for it.
 */
#include <wire/json_lex_impl.h>
#include <wire/scan_impl.h>

/* At a backslash. */
static bool lex_escape(struct json_lex *l)
{
    if (l->end - l->p < 2)
        return json_lex_fail(l, "the text ends inside a string");
    switch (l->p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        l->p += 2;
        return true;
    case 'u':
        if (l->end - l->p < 6 || json_hex4(l->p + 2) < 0)
            return json_lex_fail(l, "\\u needs four hex digits");
        l->p += 6;
        return true;
    default:
        return json_lex_fail(l, "there is no such escape");
    }
}

/* At a byte from 0x80 on: a whole run of them. */
static bool lex_utf8(struct json_lex *l)
{
    do {
        size_t n = scan_utf8(l->p, l->end);
        if (n == 0)
            return json_lex_fail(l, "not UTF-8");
        l->p += n;
    } while (l->p != l->end && (unsigned char)*l->p >= 0x80);
    return true;
}

#ifdef __SSE2__
struct block {               /* one bit for each of 64 bytes */
    uint64_t slashes, stops; /* stops: quotes, control bytes, bytes from 0x80 on */
};

static inline struct block classify(const char *p)
{
    struct block b = {0, 0};
    for (int i = 0; i < 4; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), control), v);
        b.slashes |= (uint64_t)(unsigned)_mm_movemask_epi8(slash) << (16 * i);
        b.stops |= (uint64_t)(unsigned)_mm_movemask_epi8(stop) << (16 * i);
    }
    return b;
}

/* Which bytes stand behind a backslash that is not itself escaped. *carry: the first one does; on return, the
 * first of the next block does. A run of backslashes escapes what follows it when its length is odd: adding each
 * run's start to it carries into the bit behind the run, and odd and even starts are told apart by position. */
static inline uint64_t escaped_bits(uint64_t slashes, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555u;
    slashes &= ~*carry;
    uint64_t follows = slashes << 1 | *carry, sum;
    uint64_t odd_starts = slashes & ~even & ~follows;
    *carry = __builtin_add_overflow(odd_starts, slashes, &sum);
    return (even ^ sum << 1) & follows;
}

static inline bool escape_ok(const char *p, const char *end)
{
    static const char simple[128] = {
        ['"'] = 1, ['\\'] = 1, ['/'] = 1, ['b'] = 1, ['f'] = 1, ['n'] = 1, ['r'] = 1, ['t'] = 1};
    if ((unsigned char)*p < 128 && simple[(unsigned char)*p])
        return true;
    return *p == 'u' && end - p >= 5 && json_hex4(p + 1) >= 0;
}

/* p stands on a backslash. Skips well-formed escapes and plain bytes in whole blocks; where it stops, the next
 * thing begins: the string's end, an escape, UTF-8, something wrong. p itself = nothing was skipped. */
static const char *skip_escapes(const char *p, const char *end)
{
    uint64_t carry = 0;
    while (end - p >= 64) {
        struct block b = classify(p);
        uint64_t escaped = escaped_bits(b.slashes, &carry);
        uint64_t stops = b.stops & ~escaped;
        uint64_t look = stops != 0 ? escaped & ((stops & -stops) - 1) : escaped;
        for (; look != 0; look &= look - 1) {
            int at = __builtin_ctzll(look);
            if (!escape_ok(p + at, end))
                return p + at - 1;
        }
        if (stops != 0)
            return p + __builtin_ctzll(stops);
        p += 64;
    }
    return p - (carry != 0);
}
#else
static const char *skip_escapes(const char *p, const char *end)
{
    (void)end;
    return p;
}
#endif

/* At a backslash: as far as the block loop gets, one escape at least. */
static inline bool lex_escapes(struct json_lex *l)
{
    const char *at = skip_escapes(l->p, l->end);
    l->escaped = true;
    if (at == l->p)
        return lex_escape(l);
    l->p = at;
    return true;
}

bool json_lex_string(struct json_lex *l)
{
    l->escaped = false;
    for (l->p++;;) {
        l->p = scan_plain(l->p, l->end);
        if (l->p == l->end)
            return json_lex_fail(l, "the text ends inside a string");
        if (*l->p == '"') {
            l->p++;
            return true;
        }
        if (*l->p == '\\') {
            if (!lex_escapes(l))
                return false;
        } else if ((unsigned char)*l->p < 0x20) {
            return json_lex_fail(l, "a control byte inside a string");
        } else if (!lex_utf8(l)) {
            return false;
        }
    }
}

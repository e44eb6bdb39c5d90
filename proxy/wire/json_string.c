/*
 * JSON strings (RFC 8259 section 7): where nearly all bytes of nearly all requests are.
 *
 * Sixteen bytes are enough for most keys and words. What is longer goes by blocks of 64: each byte is classed at
 * once, escapes are told from what they escape by arithmetic, and no branch depends on how many there are, because
 * source code inside a prompt has one every few words. The blocks only ever pass what is right: whatever is not stays
 * for the plain loop, which knows the exact place and the words for it.
 */
#include <wire/json_lex_impl.h>
#include <wire/scan_impl.h>

/* At a backslash. */
static bool lex_escape(struct json_lex *l)
{
    l->escaped = true;
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
struct block {                     /* one bit for each of 64 bytes */
    uint64_t slashes, stops, high; /* stops: quotes and control bytes; high: from 0x80 on */
};

static inline uint64_t bits(__m128i v, int at)
{
    return (uint64_t)(unsigned)_mm_movemask_epi8(v) << at;
}

static inline __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline struct block classify(const char *p)
{
    struct block b = {0, 0, 0};
    for (int at = 0; at < 64; at += 16) {
        __m128i v = load(p + at);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        b.slashes |= bits(_mm_cmpeq_epi8(v, _mm_set1_epi8('\\')), at);
        b.stops |= bits(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), control), at);
        b.high |= bits(v, at);
    }
    return b;
}

/* Which bytes may stand behind a backslash; *four: those that want four hex digits behind them. */
static inline uint64_t escapable(const char *p, uint64_t *four)
{
    static const char others[] = "\"\\/bfnrt";
    uint64_t ok = 0;
    *four = 0;
    for (int at = 0; at < 64; at += 16) {
        __m128i v = load(p + at), u = _mm_cmpeq_epi8(v, _mm_set1_epi8('u')), any = u;
        for (unsigned i = 0; i < sizeof(others) - 1; i++)
            any = _mm_or_si128(any, _mm_cmpeq_epi8(v, _mm_set1_epi8(others[i])));
        ok |= bits(any, at);
        *four |= bits(u, at);
    }
    return ok;
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

static inline uint64_t below(uint64_t lowest)
{
    return lowest != 0 ? (lowest & -lowest) - 1 : ~(uint64_t)0;
}

static bool escapes_ok(const char *p, const char *end, uint64_t escaped)
{
    uint64_t four;
    if (escaped & ~escapable(p, &four))
        return false;
    for (four &= escaped; four != 0; four &= four - 1) {
        const char *digits = p + __builtin_ctzll(four) + 1;
        if (end - digits < 4 || json_hex4(digits) < 0)
            return false;
    }
    return true;
}

/* Where the last of the characters ends that begin at one of these bits; NULL = one is not UTF-8. */
static const char *high_end(const char *p, const char *end, uint64_t high)
{
    const char *at = p;
    while (high != 0) {
        at = p + __builtin_ctzll(high);
        do {
            size_t n = scan_utf8(at, end);
            if (n == 0)
                return NULL;
            at += n;
        } while (at != end && (unsigned char)*at >= 0x80);
        if (at - p >= 64)
            break;
        high &= ~(uint64_t)0 << (at - p);
    }
    return at;
}

static inline bool all_plain(const char *p)
{
    __m128i a = scan_not_plain(p), b = scan_not_plain(p + 16), c = scan_not_plain(p + 32), d = scan_not_plain(p + 48);
    return _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) == 0;
}

/* From p, inside a string, on: as far as whole blocks are well formed. True = the string ended, *p is behind it. */
static bool lex_blocks(const char **at, const char *end, bool *any_escape)
{
    const char *p = *at;
    uint64_t carry = 0;
    bool closed = false;
    while (!closed && end - p >= 64) {
        if (carry == 0 && all_plain(p)) {
            p += 64;
            continue;
        }
        uint64_t next = carry;
        struct block b = classify(p);
        uint64_t escaped = (b.slashes | carry) != 0 ? escaped_bits(b.slashes, &next) : 0;
        uint64_t stops = b.stops & ~escaped, region = below(stops);
        const char *behind = p + 64;
        if ((escaped & region) != 0) {
            *any_escape = true;
            if (!escapes_ok(p, end, escaped & region))
                break;
        }
        if (stops != 0) {
            behind = p + __builtin_ctzll(stops);
            if (*behind != '"')
                break;
            behind++;
            closed = true;
        }
        if ((b.high & region) != 0) {
            const char *text = high_end(p, end, b.high & region);
            if (text == NULL) {
                closed = false;
                break;
            }
            if (text > behind) /* a character across the edge of the block */
                behind = text, next = 0;
        }
        p = behind;
        carry = next;
    }
    *at = p - (!closed && carry != 0);
    return closed;
}
#else
static bool lex_blocks(const char **at, const char *end, bool *any_escape)
{
    (void)at, (void)end, (void)any_escape;
    return false;
}
#endif

/* Short, without an escape, and not close to the end of the text. */
static inline bool lex_word(struct json_lex *l)
{
#ifdef __SSE2__
    const char *p = l->p + 1;
    int mask = l->end - p >= 16 ? _mm_movemask_epi8(scan_not_plain(p)) : 0;
    if (mask == 0 || p[__builtin_ctz((unsigned)mask)] != '"')
        return false;
    l->p = p + __builtin_ctz((unsigned)mask) + 1;
    return true;
#else
    return false;
#endif
}

bool json_lex_string(struct json_lex *l)
{
    l->escaped = false;
    if (lex_word(l))
        return true;
    l->p++;
    if (lex_blocks(&l->p, l->end, &l->escaped))
        return true;
    for (;;) {
        l->p = scan_plain(l->p, l->end);
        if (l->p == l->end)
            return json_lex_fail(l, "the text ends inside a string");
        if (*l->p == '"') {
            l->p++;
            return true;
        }
        if (*l->p == '\\') {
            if (!lex_escape(l))
                return false;
        } else if ((unsigned char)*l->p < 0x20) {
            return json_lex_fail(l, "a control byte inside a string");
        } else if (!lex_utf8(l)) {
            return false;
        }
    }
}

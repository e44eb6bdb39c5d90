/*
 * Lengths and numbers of a request: how long a JSON string's value is, how many tokens that makes.
 *
 * The estimate is the documented one (README.md): a token is four bytes of UTF-8 text, rounded up, at least one.
 */
#include "mock.h"

#include <stdlib.h>

uint64_t mock_estimate(uint64_t bytes)
{
    return bytes == 0 ? 1 : (bytes + 3) / 4;
}

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned c = (unsigned char)p[i];
        v = v * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* UTF-8 bytes of one escape at p (n bytes are left); *taken is its length in the text. A pair of surrogates is
 * two escapes: two bytes each add up to the four of the character. */
static uint64_t escape_length(const char *p, size_t n, size_t *taken)
{
    unsigned c;
    *taken = 2;
    if (n < 6 || p[1] != 'u')
        return 1;
    *taken = 6;
    c = hex4(p + 2);
    if (c >= 0xd800 && c <= 0xdfff)
        return 2;
    return c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
}

uint64_t mock_text_length(const struct ccp_json *string)
{
    struct ccp_span inner = ccp_json_inner(string);
    uint64_t length = 0;
    if (string == NULL || !string->escaped)
        return inner.n;
    for (size_t i = 0, taken = 1; i < inner.n; i += taken, taken = 1)
        length += inner.p[i] == '\\' ? escape_length(inner.p + i, inner.n - i, &taken) : 1;
    return length;
}

uint64_t mock_json_count(const struct ccp_json *number)
{
    char text[32];
    long long v;
    if (number == NULL || number->type != CCP_JSON_NUMBER || number->raw.n >= sizeof(text))
        return 0;
    memcpy(text, number->raw.p, number->raw.n);
    text[number->raw.n] = '\0';
    v = strtoll(text, NULL, 10);
    return v > 0 ? (uint64_t)v : 0;
}

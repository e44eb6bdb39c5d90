/*
 * See base64.h.
 */
#include <base/fault.h>
#include <wire/base64.h>

enum { SPACE = -2, OTHER = -1 };

static int digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' ? SPACE : OTHER;
}

/* Padding is not counted against the digits: some encoders leave it out, some write more of it. */
static struct ccp_span without_padding(struct ccp_span text)
{
    while (text.n != 0 && (text.p[text.n - 1] == '=' || digit((unsigned char)text.p[text.n - 1]) == SPACE))
        text.n--;
    return text;
}

enum ccp_status base64_decode(struct arena *a, struct ccp_span text, struct ccp_span *bytes)
{
    text = without_padding(text);
    char *out = CCP_FAULT("base64.decode") ? NULL : arena_alloc(a, text.n / 4 * 3 + 3);
    if (out == NULL)
        return CCP_OVERLOADED;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = digit((unsigned char)text.p[i]);
        if (value == OTHER)
            return CCP_BAD_REQUEST;
        if (value == SPACE)
            continue;
        bits = bits << 6 | (uint32_t)value;
        if ((have += 6) >= 8)
            out[n++] = (char)(bits >> (have -= 8));
    }
    if (have == 6) /* a digit alone is less than a byte */
        return CCP_BAD_REQUEST;
    *bytes = ccp_span_of(out, n);
    return CCP_OK;
}

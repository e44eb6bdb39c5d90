/*
 * Strict reading of what a server sent: JSON objects of sane depth, numbers in the spellings that servers use, tokens
 * that may stand in a header line, texts that may be shown.
 */
#include <auth/protocol_impl.h>
#include <base/log.h>

/* Depth by brackets outside of strings: known before a tree is made. */
static bool shallow(struct ccp_span text)
{
    size_t depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > OAUTH_DEPTH_MAX)
            return false;
        else if (!quoted && (c == '}' || c == ']') && depth != 0)
            depth--;
    }
    return true;
}

enum ccp_status oauth_json(struct arena *a, struct ccp_span text, struct ccp_json **root)
{
    *root = NULL;
    if (!shallow(text))
        return CCP_BAD_JSON;
    enum ccp_status status = json_parse(a, text, root, NULL);
    if (status == CCP_OK && (*root)->type != CCP_JSON_OBJECT)
        status = CCP_BAD_JSON;
    if (status != CCP_OK)
        *root = NULL;
    return status;
}

struct ccp_span oauth_text(struct arena *a, const struct ccp_json *value)
{
    if (value == NULL || value->type != CCP_JSON_STRING)
        return CCP_SPAN("");
    struct ccp_span text = json_text(a, value->raw);
    return text.p != NULL ? text : CCP_SPAN("");
}

static bool digit(struct ccp_span s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

static double scaled(double value, long exponent)
{
    for (; exponent > 0 && value < 1e300; exponent--)
        value *= 10;
    for (; exponent < 0 && value > 1e-300; exponent++)
        value /= 10;
    return value < 1e308 ? value : 1e308;
}

/* JSON's grammar of numbers, leading zeros allowed (they come in strings). No strtod: it follows the locale. */
static bool parse_number(struct ccp_span s, double *out)
{
    bool negative = s.n != 0 && s.p[0] == '-', down;
    size_t i = negative;
    long exponent = 0, fraction = 0;
    double value = 0;

    if (!digit(s, i))
        return false;
    for (; digit(s, i); i++)
        value = value < 1e300 ? value * 10 + (s.p[i] - '0') : value;
    if (i < s.n && s.p[i] == '.') {
        if (!digit(s, ++i))
            return false;
        for (; digit(s, i); i++)
            if (fraction > -18 && value < 1e15)
                value = value * 10 + (s.p[i] - '0'), fraction--;
    }
    if (i < s.n && (s.p[i] | 0x20) == 'e') {
        i++;
        down = i < s.n && s.p[i] == '-';
        i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
        if (!digit(s, i))
            return false;
        for (; digit(s, i); i++)
            exponent = exponent < 1000 ? exponent * 10 + (s.p[i] - '0') : exponent;
        exponent = down ? -exponent : exponent;
    }
    value = scaled(value, exponent + fraction);
    *out = negative ? -value : value;
    return i == s.n;
}

bool oauth_number(const struct ccp_json *value, double *out)
{
    *out = 0;
    if (value == NULL || (value->type != CCP_JSON_NUMBER && value->type != CCP_JSON_STRING))
        return false;
    return parse_number(value->type == CCP_JSON_STRING ? ccp_json_inner(value) : value->raw, out);
}

bool oauth_integer(const struct ccp_json *value, int64_t *out)
{
    double number;

    *out = 0;
    if (!oauth_number(value, &number) || number > 9007199254740992.0 || number < -9007199254740992.0)
        return false;
    *out = (int64_t)number;
    return true;
}

bool oauth_token_ok(struct ccp_span token)
{
    for (size_t i = 0; i < token.n; i++)
        if ((unsigned char)token.p[i] <= 0x20 || (unsigned char)token.p[i] >= 0x7f)
            return false;
    return token.n != 0 && token.n <= OAUTH_TOKEN_MAX;
}

/* Nothing to escape is nothing to hide. */
bool oauth_printable(struct ccp_span text)
{
    char shown[256];

    while (text.n != 0) {
        size_t n = text.n < 64 ? text.n : 64;
        while (n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80 && n < 68) /* do not cut a character */
            n++;
        if (!ccp_span_eq(ccp_span_of(shown, log_escape(shown, sizeof(shown), ccp_span_of(text.p, n), false)),
                         ccp_span_of(text.p, n)))
            return false;
        text = ccp_span_skip(text, n);
    }
    return true;
}

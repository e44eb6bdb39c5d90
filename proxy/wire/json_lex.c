/*
 * The words of JSON: numbers and literals (RFC 8259 sections 3 and 6), and characters of strings; strings as a
 * whole are in json_string.c.
 *
 * Nothing here allocates. Everything is checked where it stands, so what passed the lexer may be taken apart
 * later without a second look: json_take_char and json_key_compare rely on that.
 */
#include <wire/json_lex_impl.h>

static bool lex_digits(struct json_lex *l)
{
    const char *at = l->p;
    while (l->p != l->end && *l->p >= '0' && *l->p <= '9')
        l->p++;
    return l->p != at;
}

bool json_lex_number(struct json_lex *l)
{
    if (*l->p == '-')
        l->p++;
    if (l->p != l->end && *l->p == '0') {
        l->p++;
        if (l->p != l->end && *l->p >= '0' && *l->p <= '9')
            return json_lex_fail(l, "a number may not begin with 0");
    } else if (!lex_digits(l)) {
        return json_lex_fail(l, "a digit should be here");
    }
    if (l->p != l->end && *l->p == '.') {
        l->p++;
        if (!lex_digits(l))
            return json_lex_fail(l, "a digit should be here");
    }
    if (l->p != l->end && (*l->p == 'e' || *l->p == 'E')) {
        l->p++;
        if (l->p != l->end && (*l->p == '+' || *l->p == '-'))
            l->p++;
        if (!lex_digits(l))
            return json_lex_fail(l, "a digit should be here");
    }
    return true;
}

static bool lex_word(struct json_lex *l, struct ccp_span word)
{
    if (!ccp_span_starts(ccp_span_of(l->p, (size_t)(l->end - l->p)), word))
        return json_lex_fail(l, "not a JSON value");
    l->p += word.n;
    return true;
}

bool json_lex_literal(struct json_lex *l, enum ccp_json_type *type)
{
    switch (*l->p) {
    case 'n':
        *type = CCP_JSON_NULL;
        return lex_word(l, CCP_SPAN("null"));
    case 't':
        *type = CCP_JSON_TRUE;
        return lex_word(l, CCP_SPAN("true"));
    case 'f':
        *type = CCP_JSON_FALSE;
        return lex_word(l, CCP_SPAN("false"));
    case '\xef':
        return json_lex_fail(l, "a byte order mark does not belong here");
    case '\'':
        return json_lex_fail(l, "strings are quoted with \"");
    case ']':
    case '}':
    case ',':
        return json_lex_fail(l, "a value should be here");
    default:
        return json_lex_fail(l, "not a JSON value");
    }
}

static size_t put_utf8(unsigned c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* At \uXXXX. */
static size_t take_unicode(struct ccp_span *inner, char out[4])
{
    unsigned c = (unsigned)json_hex4(inner->p + 2);
    *inner = ccp_span_skip(*inner, 6);
    if (c < 0xd800 || c > 0xdfff)
        return put_utf8(c, out);
    int low = c < 0xdc00 && inner->n >= 6 && inner->p[0] == '\\' && inner->p[1] == 'u' ? json_hex4(inner->p + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return put_utf8(0xfffd, out);
    *inner = ccp_span_skip(*inner, 6);
    return put_utf8(0x10000 + ((c - 0xd800) << 10) + ((unsigned)low - 0xdc00), out);
}

size_t json_take_char(struct ccp_span *inner, char out[4])
{
    unsigned char c = (unsigned char)*inner->p;
    if (c != '\\') {
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        memcpy(out, inner->p, n);
        *inner = ccp_span_skip(*inner, n);
        return n;
    }
    if (inner->p[1] == 'u')
        return take_unicode(inner, out);
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at = memchr(from, inner->p[1], sizeof(from) - 1);
    out[0] = at != NULL ? to[at - from] : inner->p[1];
    *inner = ccp_span_skip(*inner, 2);
    return 1;
}

int json_key_compare(struct ccp_span a, struct ccp_span b)
{
    char x[4], y[4];
    while (a.n != 0 && b.n != 0) {
        size_t n = json_take_char(&a, x), m = json_take_char(&b, y);
        int diff = memcmp(x, y, n < m ? n : m);
        if (diff != 0)
            return diff;
        /* UTF-8 sequences of different length differ in their first byte, so n == m here. */
    }
    return (a.n != 0) - (b.n != 0);
}

bool json_key_is(struct ccp_span key, struct ccp_span text)
{
    char c[4] = {0};
    while (key.n != 0) {
        struct ccp_span one = {c, json_take_char(&key, c)};
        if (!ccp_span_starts(text, one))
            return false;
        text = ccp_span_skip(text, one.n);
    }
    return text.n == 0;
}

bool json_key_hides_letters(struct ccp_span key)
{
    while (key.n != 0) {
        bool escape = key.n > 1 && key.p[0] == '\\' && key.p[1] == 'u';
        char c[4] = {0};
        if (json_take_char(&key, c) != 1 || !escape)
            continue;
        if (json_hex_digit(c[0]) >= 0 || (unsigned)((c[0] | 0x20) - 'a') < 26u || c[0] == '_' || c[0] == '-')
            return true;
    }
    return false;
}

void json_locate(struct ccp_span text, size_t offset, struct ccp_json_error *error)
{
    if (offset > text.n)
        offset = text.n;
    error->offset = offset;
    error->line = 1;
    const char *from = text.p, *at = text.p + offset;
    for (const char *lf; from != at && (lf = memchr(from, '\n', (size_t)(at - from))) != NULL; from = lf + 1)
        error->line++;
    error->column = (size_t)(at - from) + 1;
}

enum ccp_status json_lex_error(const struct json_lex *l, struct ccp_span text, struct ccp_json_error *error)
{
    if (l->what == NULL)
        return CCP_OVERLOADED;
    if (error != NULL) {
        error->what = l->what;
        json_locate(text, (size_t)(l->p - text.p), error);
    }
    return CCP_BAD_JSON;
}

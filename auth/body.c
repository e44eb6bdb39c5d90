/*
 * Parameters of requests, as a form (RFC 6749 appendix B) or as the JSON object that some servers want instead.
 */
#include <auth/protocol_impl.h>
#include <base/assert.h>

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static char *encode(char *at, struct ccp_span s)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (unreserved(c)) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    return at;
}

struct ccp_span oauth_form(struct arena *a, const struct oauth_field *fields, size_t n)
{
    size_t room = 1;

    for (size_t i = 0; i < n; i++)
        room += strlen(fields[i].name) + 3 * fields[i].value.n + 2;
    char *out = arena_alloc(a, room), *at = out;
    if (out == NULL)
        return (struct ccp_span){NULL, 0};
    for (size_t i = 0; i < n; i++) {
        if (fields[i].value.n == 0)
            continue;
        if (at != out)
            *at++ = '&';
        at = encode(at, ccp_span_z(fields[i].name));
        *at++ = '=';
        at = encode(at, fields[i].value);
    }
    CCP_ASSERT((size_t)(at - out) < room);
    *at = '\0';
    return ccp_span_of(out, (size_t)(at - out));
}

enum { FIELDS_MAX = 16 };

struct ccp_span oauth_object(struct arena *a, const struct oauth_field *fields, size_t n)
{
    struct ccp_span pieces[FIELDS_MAX * 4 + 2];
    size_t count = 0;

    CCP_ASSERT(n <= FIELDS_MAX);
    pieces[count++] = CCP_SPAN("{");
    for (size_t i = 0; i < n; i++) {
        if (fields[i].value.n == 0)
            continue;
        if (count != 1)
            pieces[count++] = CCP_SPAN(",");
        pieces[count++] = json_quote(a, ccp_span_z(fields[i].name));
        pieces[count++] = CCP_SPAN(":");
        pieces[count++] = json_quote(a, fields[i].value);
        if (pieces[count - 1].p == NULL || pieces[count - 3].p == NULL)
            return (struct ccp_span){NULL, 0};
    }
    pieces[count++] = CCP_SPAN("}");
    return arena_cat(a, pieces, count);
}

/*
 * Members of a record's JSON as values: text, number, a place behind a dotted path. Strict about types, for a login
 * that is half understood is worse than one that is refused; null stands for "not there".
 */
#include <auth/record_impl.h>

bool record_token_ok(struct ccp_span token)
{
    for (size_t i = 0; i < token.n; i++)
        if ((unsigned char)token.p[i] < 0x20 || (unsigned char)token.p[i] > 0x7e)
            return false;
    return token.n != 0 && token.n <= RECORD_TOKEN_MAX;
}

static bool absent(const struct ccp_json *value)
{
    return value == NULL || value->type == CCP_JSON_NULL;
}

bool record_string(struct arena *a, const struct ccp_json *value, struct ccp_span *out)
{
    *out = CCP_SPAN("");
    if (absent(value))
        return true;
    if (value->type != CCP_JSON_STRING)
        return false;
    *out = json_unescape(a, ccp_json_inner(value));
    return out->p != NULL;
}

bool record_number(const struct ccp_json *value, int64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;
    *out = 0;
    if (absent(value))
        return true;
    if (value->type != CCP_JSON_NUMBER)
        return false;
    for (; i < value->raw.n && value->raw.p[i] >= '0' && value->raw.p[i] <= '9'; i++)
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (unsigned)(value->raw.p[i] - '0'), &n) ||
            n > INT64_MAX)
            return false;
    if (i == 0 || memchr(value->raw.p, 'e', value->raw.n) != NULL || memchr(value->raw.p, 'E', value->raw.n) != NULL)
        return false;
    *out = (int64_t)n;
    return true;
}

static struct ccp_json *member(const struct ccp_json *object, struct ccp_span name)
{
    if (object == NULL || object->type != CCP_JSON_OBJECT)
        return NULL;
    for (struct ccp_json *m = object->child; m != NULL; m = m->next)
        if (ccp_span_eq(m->key, name))
            return m;
    return NULL;
}

struct ccp_json *record_find(const struct ccp_json *root, const char *path, struct ccp_json **parent,
                             struct ccp_span *last)
{
    struct ccp_json *at = (struct ccp_json *)root, *above = NULL;
    struct ccp_span rest = ccp_span_z(path), word;
    do {
        word = ccp_span_of(rest.p, ccp_span_find(rest, '.'));
        rest = ccp_span_skip(rest, word.n + 1);
        above = at != NULL && at->type == CCP_JSON_OBJECT ? at : NULL;
        at = member(above, word);
    } while (rest.n != 0);
    if (parent != NULL)
        *parent = above;
    if (last != NULL)
        *last = word;
    return at;
}

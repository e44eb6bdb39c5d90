/*
 * json_scan: validates a whole text and finds a few top-level members, without a tree and without memory.
 *
 * The hot path of every pass-through request: time is spent in the string scan, and everything below the top
 * level is only counted in and out. The keys asked for must be unambiguous, because the provider's parser may
 * choose another of two duplicates than ours did.
 */
#include <wire/json_lex_impl.h>

struct scan {
    const struct ccp_span *keys;
    struct ccp_span *values;
    size_t n;
    size_t at; /* the asked key whose value comes next; n = none */
};

static bool scan_escaped_key(struct scan *s, struct json_lex *l, struct ccp_span key)
{
    for (size_t i = 0; i < s->n; i++) {
        if (json_key_is(key, s->keys[i])) {
            l->p = key.p - 1;
            return json_lex_fail(l, JSON_WHAT_ESCAPED);
        }
    }
    return true;
}

static bool scan_key(void *to, struct json_lex *l, struct ccp_span key, unsigned depth)
{
    struct scan *s = to;
    if (depth != 1)
        return true;
    s->at = s->n;
    if (l->escaped)
        return scan_escaped_key(s, l, key);
    for (size_t i = 0; i < s->n; i++) {
        if (!ccp_span_eq(key, s->keys[i]))
            continue;
        if (s->values[i].p != NULL) {
            l->p = key.p - 1;
            return json_lex_fail(l, JSON_WHAT_DUPLICATE);
        }
        s->at = i;
        return true;
    }
    return true;
}

static bool scan_open(void *to, const char *at, enum ccp_json_type type, unsigned depth)
{
    struct scan *s = to;
    if (depth == 0)
        s->at = s->n; /* elements of a top-level array are nobody's */
    else if (depth == 1 && s->at != s->n)
        s->values[s->at].p = at;
    return true;
}

static bool scan_close(void *to, struct json_lex *l, unsigned depth)
{
    struct scan *s = to;
    if (depth == 1 && s->at != s->n)
        s->values[s->at].n = (size_t)(l->p - s->values[s->at].p);
    return true;
}

static bool scan_leaf(void *to, struct ccp_span raw, enum ccp_json_type type, bool escaped, unsigned depth)
{
    struct scan *s = to;
    if (depth == 1 && s->at != s->n)
        s->values[s->at] = raw;
    return true;
}

enum ccp_status json_scan(struct ccp_span text, const struct ccp_span *keys, struct ccp_span *values, size_t n,
                          struct ccp_json_error *error)
{
    static const struct json_sink sink = {scan_key, scan_open, scan_close, scan_leaf};
    struct json_lex l = json_lex_over(&text);
    struct scan s = {keys, values, n, n};
    for (size_t i = 0; i < n; i++)
        values[i] = (struct ccp_span){NULL, 0};
    if (json_walk(&l, &sink, &s))
        return CCP_OK;
    for (size_t i = 0; i < n; i++)
        values[i] = (struct ccp_span){NULL, 0};
    return json_lex_error(&l, text, error);
}

/*
 * A view of JSON text that keeps the text.
 *
 * One validating pass makes a tree of nodes in an arena; every node holds the span of the input it came
 * from, so what is not touched is emitted byte for byte (number spelling, escapes, key order, white space).
 * Strings are not unescaped until asked for.
 */
#ifndef CCPROXY_JSON_H
#define CCPROXY_JSON_H

#include "span.h"

/* What a value is. */
enum ccp_json_type {
    CCP_JSON_NULL,   /* null */
    CCP_JSON_FALSE,  /* false */
    CCP_JSON_TRUE,   /* true */
    CCP_JSON_NUMBER, /* its spelling is in `raw`, and not followed by a NUL */
    CCP_JSON_STRING, /* ccp_json_inner, ccp_api.json_text */
    CCP_JSON_ARRAY,  /* child, then next */
    CCP_JSON_OBJECT, /* ccp_json_get, or child, then next */
};

/* One value. The tree and the text it was read from live in the same arena or longer; both are read only. */
struct ccp_json {
    struct ccp_json *next;  /* next sibling */
    struct ccp_json *child; /* first member or element */
    struct ccp_span key;    /* members only: raw text between the quotes */
    struct ccp_span raw;    /* the whole value as it stands in the input, quotes and brackets included */
    uint32_t count;         /* members or elements */
    uint8_t type;           /* enum ccp_json_type */
    bool escaped;           /* string: contains a backslash */
    bool key_escaped;       /* the key contains a backslash */
    bool edited;            /* array or object: children were changed, so raw is no longer what will be written */
};

/* Where and why a text is not JSON. offset counts bytes from 0, line and column from 1. */
struct ccp_json_error {
    const char *what; /* static text */
    size_t offset, line, column;
};

/* The text between a string's quotes, still escaped; empty for anything else. */
static inline struct ccp_span ccp_json_inner(const struct ccp_json *v)
{
    if (v == NULL || v->type != CCP_JSON_STRING)
        return (struct ccp_span){"", 0};
    return (struct ccp_span){v->raw.p + 1, v->raw.n - 2};
}

/* Member by name, or NULL. The parser has refused keys that are spelled with escapes where that would be
 * ambiguous, so a byte compare is enough. */
static inline struct ccp_json *ccp_json_get(const struct ccp_json *object, const char *key)
{
    struct ccp_span k = ccp_span_z(key);
    if (object == NULL || object->type != CCP_JSON_OBJECT)
        return NULL;
    for (struct ccp_json *m = object->child; m != NULL; m = m->next)
        if (ccp_span_eq(m->key, k))
            return m;
    return NULL;
}

#endif

/*
 * The tree of one usage object, for the formats' readers: see usage_scan.h.
 *
 * The scan has found where the object ends, so this only tells its members apart; numbers are judged by who reads them.
 * It costs a fifth of the validating parser, with every request, and takes no memory. What lies deeper than any count,
 * and lists, become values without children. An object that is not one, or has more members than any vendor's, is not
 * read at all.
 */
#include <chain/usage_bytes.h>
#include <chain/usage_scan.h>

struct tree {
    const char *p, *end;
    struct usage_nodes *nodes;
};

static void skip_space(struct tree *t)
{
    while (t->p != t->end && (*t->p == ' ' || *t->p == '\n' || *t->p == '\t' || *t->p == '\r'))
        t->p++;
}

static bool next_is(struct tree *t, char c)
{
    skip_space(t);
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

/* Behind the opening quote; to behind the closing one. The text between them; p = NULL: it does not end. */
static struct ccp_span string(struct tree *t, bool *escaped)
{
    const char *began = t->p;
    *escaped = false;
    while ((t->p = skip_text(t->p, t->end)) != t->end && *t->p != '"') {
        *escaped = *escaped || *t->p == '\\';
        t->p += *t->p == '\\' && t->end - t->p > 1 ? 2 : 1;
    }
    if (t->p == t->end)
        return (struct ccp_span){NULL, 0};
    return ccp_span_of(began, (size_t)(t->p++ - began));
}

/* From a bracket to behind its partner. */
static bool skip_container(struct tree *t)
{
    size_t depth = 0;
    bool escaped;
    do {
        char c = *t->p++;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (c == '"' && string(t, &escaped).p == NULL)
            return false;
    } while (depth != 0 && t->p != t->end);
    return depth == 0;
}

static uint8_t scalar(struct tree *t)
{
    char first = *t->p;
    while (t->p != t->end && *t->p != ',' && *t->p != '}' && *t->p != ' ' && *t->p != '\n' && *t->p != '\r' &&
           *t->p != '\t')
        t->p++;
    return first == 'n'   ? CCP_JSON_NULL
           : first == 't' ? CCP_JSON_TRUE
           : first == 'f' ? CCP_JSON_FALSE
                          : CCP_JSON_NUMBER;
}

static struct ccp_json *object(struct tree *t, unsigned depth);

static struct ccp_json *take(struct tree *t)
{
    struct usage_nodes *n = t->nodes;
    return n->n < USAGE_NODES ? &n->v[n->n++] : NULL;
}

static struct ccp_json *value(struct tree *t, unsigned depth)
{
    skip_space(t);
    if (t->p == t->end)
        return NULL;
    if (*t->p == '{' && depth < 2)
        return object(t, depth + 1);
    struct ccp_json *v = take(t);
    const char *began = t->p;
    bool fine = v != NULL;
    if (!fine)
        return NULL;
    *v = (struct ccp_json){.type = CCP_JSON_STRING};
    if (*began == '"') {
        t->p++;
        fine = string(t, &v->escaped).p != NULL;
    } else if (*began == '{' || *began == '[') {
        v->type = *began == '{' ? CCP_JSON_OBJECT : CCP_JSON_ARRAY;
        fine = skip_container(t);
    } else {
        v->type = scalar(t);
    }
    v->raw = ccp_span_of(began, (size_t)(t->p - began));
    return fine && v->raw.n != 0 ? v : NULL;
}

static struct ccp_json *member(struct tree *t, unsigned depth)
{
    bool escaped;
    if (!next_is(t, '"'))
        return NULL;
    struct ccp_span key = string(t, &escaped);
    struct ccp_json *v = key.p != NULL && next_is(t, ':') ? value(t, depth) : NULL;
    if (v != NULL) {
        v->key = key;
        v->key_escaped = escaped;
    }
    return v;
}

/* Which of the two would count? */
static bool is_double(const struct ccp_json *first, const struct ccp_json *last)
{
    while (first != last && !ccp_span_eq(first->key, last->key))
        first = first->next;
    return first != last;
}

static struct ccp_json *object(struct tree *t, unsigned depth)
{
    const char *began = t->p;
    struct ccp_json *o = next_is(t, '{') ? take(t) : NULL;
    if (o == NULL)
        return NULL;
    *o = (struct ccp_json){.type = CCP_JSON_OBJECT};
    struct ccp_json **at = &o->child;
    bool more = !next_is(t, '}');
    while (more) {
        if ((*at = member(t, depth)) == NULL || is_double(o->child, *at))
            return NULL;
        at = &(*at)->next;
        o->count++;
        more = next_is(t, ',');
        if (!more && !next_is(t, '}'))
            return NULL;
    }
    o->raw = ccp_span_of(began, (size_t)(t->p - began));
    return o;
}

const struct ccp_json *usage_tree(struct usage_nodes *nodes, struct ccp_span text)
{
    struct tree t = {text.p, text.p + text.n, nodes};
    nodes->n = 0;
    return object(&t, 0);
}

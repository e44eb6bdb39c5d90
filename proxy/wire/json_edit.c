/*
 * Edits on a JSON tree, and the writer.
 *
 * An edited container is written from its members; everything else is copied from the text it came from, white
 * space included, also around an edit further down. The writer joins neighbouring
 * pieces of the source into one copy, so an untouched tree is one copy.
 */
#include <base/buf.h>
#include <wire/json_lex_impl.h>

struct ccp_json *json_raw(struct arena *a, struct ccp_span raw)
{
    struct ccp_json *node = NULL;
    return json_parse_any(a, raw, &node) == CCP_OK ? node : NULL;
}

struct ccp_json *json_new_string(struct arena *a, struct ccp_span text)
{
    struct ccp_span raw = json_quote(a, text);
    struct ccp_json *node = raw.p != NULL ? arena_alloc(a, sizeof(*node)) : NULL;
    if (node == NULL)
        return NULL;
    *node = (struct ccp_json){.raw = raw, .type = CCP_JSON_STRING};
    node->escaped = memchr(raw.p, '\\', raw.n) != NULL;
    return node;
}

/* Unlinks every further member of that name. */
static bool drop_members(struct ccp_json *object, struct ccp_json **link, struct ccp_span key)
{
    bool found = false;
    while (*link != NULL) {
        if (!json_key_is((*link)->key, key)) {
            link = &(*link)->next;
            continue;
        }
        *link = (*link)->next;
        object->count--;
        found = true;
    }
    return found;
}

bool json_set(struct arena *a, struct ccp_json *object, const char *key, struct ccp_json *value)
{
    if (object == NULL || value == NULL || object->type != CCP_JSON_OBJECT)
        return false;
    struct ccp_span quoted = json_quote(a, ccp_span_z(key));
    if (quoted.p == NULL)
        return false;
    value->key = (struct ccp_span){quoted.p + 1, quoted.n - 2};
    value->key_escaped = memchr(quoted.p, '\\', quoted.n) != NULL;
    struct ccp_json **link = &object->child;
    while (*link != NULL && !json_key_is((*link)->key, ccp_span_z(key)))
        link = &(*link)->next;
    value->next = *link != NULL ? (*link)->next : NULL;
    object->count += *link == NULL;
    object->edited = true;
    *link = value;
    drop_members(object, &value->next, ccp_span_z(key));
    return true;
}

bool json_remove(struct ccp_json *object, const char *key)
{
    if (object == NULL || object->type != CCP_JSON_OBJECT || !drop_members(object, &object->child, ccp_span_z(key)))
        return false;
    object->edited = true;
    return true;
}

bool json_append(struct ccp_json *array, struct ccp_json *value)
{
    if (array == NULL || value == NULL || array->type != CCP_JSON_ARRAY)
        return false;
    struct ccp_json **link = &array->child;
    while (*link != NULL)
        link = &(*link)->next;
    *link = value;
    value->next = NULL;
    array->count++;
    array->edited = true;
    return true;
}

struct writer {
    struct ccp_buf *out;
    struct ccp_span held; /* not yet copied: grows while what follows lies behind it in memory */
};

static bool flush(struct writer *w)
{
    bool ok = w->held.n == 0 || buf_add(w->out, w->held);
    w->held = (struct ccp_span){NULL, 0};
    return ok;
}

static bool emit(struct writer *w, const char *from, const char *to)
{
    if (w->held.n != 0 && from == w->held.p + w->held.n) {
        w->held.n += (size_t)(to - from);
        return true;
    }
    bool ok = flush(w);
    w->held = (struct ccp_span){from, (size_t)(to - from)};
    return ok;
}

static bool emit_lit(struct writer *w, struct ccp_span lit)
{
    return flush(w) && buf_add(w->out, lit);
}

/* Recursion is bounded: what is deeper than the parser would accept is refused. */
static bool write_node(struct writer *w, const struct ccp_json *node, unsigned depth);

/* Do the children still lie, in order, in the span their parent came from? */
static bool in_place(const struct ccp_json *node)
{
    if (node->edited || node->raw.p == NULL)
        return false;
    const char *at = node->raw.p, *end = at + node->raw.n;
    for (const struct ccp_json *c = node->child; c != NULL; c = c->next) {
        if (c->raw.p < at || c->raw.p > end || c->raw.n > (size_t)(end - c->raw.p))
            return false;
        at = c->raw.p + c->raw.n;
    }
    return true;
}

/* The gaps between the children as they stand in the source. */
static bool write_in_place(struct writer *w, const struct ccp_json *node, unsigned depth)
{
    const char *at = node->raw.p, *end = at + node->raw.n;
    for (const struct ccp_json *c = node->child; c != NULL; c = c->next) {
        if (!emit(w, at, c->raw.p) || !write_node(w, c, depth + 1))
            return false;
        at = c->raw.p + c->raw.n;
    }
    return emit(w, at, end);
}

static bool write_members(struct writer *w, const struct ccp_json *node, unsigned depth)
{
    bool object = node->type == CCP_JSON_OBJECT;
    if (!emit_lit(w, object ? CCP_SPAN("{") : CCP_SPAN("[")))
        return false;
    for (const struct ccp_json *c = node->child; c != NULL; c = c->next) {
        if (c != node->child && !emit_lit(w, CCP_SPAN(",")))
            return false;
        if (object && !(emit_lit(w, CCP_SPAN("\"")) && emit_lit(w, c->key) && emit_lit(w, CCP_SPAN("\":"))))
            return false;
        if (!write_node(w, c, depth + 1))
            return false;
    }
    return emit_lit(w, object ? CCP_SPAN("}") : CCP_SPAN("]"));
}

static bool write_node(struct writer *w, const struct ccp_json *node, unsigned depth)
{
    if (node->type != CCP_JSON_ARRAY && node->type != CCP_JSON_OBJECT)
        return emit(w, node->raw.p, node->raw.p + node->raw.n);
    if (depth == JSON_MAX_DEPTH)
        return false;
    return in_place(node) ? write_in_place(w, node, depth) : write_members(w, node, depth);
}

bool json_write(const struct ccp_json *root, struct ccp_buf *out)
{
    struct writer w = {.out = out};
    return write_node(&w, root, 0) && flush(&w);
}

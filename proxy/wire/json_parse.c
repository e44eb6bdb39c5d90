/*
 * json_parse: the grammar's second sink, which builds the tree.
 *
 * Nodes live in the arena and point into the text. The stack of open containers is bounded by JSON_MAX_DEPTH
 * and lies on the C stack; nothing recurses. Objects at depth 0 and 1 hold the keys that ccproxy judges by, so
 * there, and only there, a key may not occur twice and may not hide its letters behind escapes.
 */
#include <wire/json_lex_impl.h>

/* Up to here duplicates are sought pair by pair, beyond by sorting. */
#define PAIRWISE 64

struct builder {
    struct arena *arena;
    struct ccp_json *root;
    struct ccp_json *open[JSON_MAX_DEPTH], *last[JSON_MAX_DEPTH]; /* by depth: container, its last child */
    struct ccp_span key;
    bool key_escaped;
    bool judge_keys;
};

static bool build_key(void *to, struct json_lex *l, struct ccp_span key, unsigned depth)
{
    struct builder *b = to;
    b->key = key;
    b->key_escaped = l->escaped;
    if (b->judge_keys && l->escaped && depth <= 2 && json_key_hides_letters(key)) {
        l->p = key.p - 1;
        return json_lex_fail(l, JSON_WHAT_ESCAPED);
    }
    return true;
}

static struct ccp_json *build_node(struct builder *b, const char *at, enum ccp_json_type type, unsigned depth)
{
    struct ccp_json *node = arena_alloc(b->arena, sizeof(*node));
    if (node == NULL)
        return NULL;
    *node = (struct ccp_json){.raw = {at, 0}, .type = (uint8_t)type};
    if (depth == 0) {
        b->root = node;
        return node;
    }
    struct ccp_json *parent = b->open[depth - 1], *before = b->last[depth - 1];
    if (parent->type == CCP_JSON_OBJECT) {
        node->key = b->key;
        node->key_escaped = b->key_escaped;
    }
    *(before != NULL ? &before->next : &parent->child) = node;
    b->last[depth - 1] = node;
    parent->count++;
    return node;
}

static bool build_open(void *to, const char *at, enum ccp_json_type type, unsigned depth)
{
    struct builder *b = to;
    b->open[depth] = build_node(b, at, type, depth);
    b->last[depth] = NULL;
    return b->open[depth] != NULL;
}

static bool build_leaf(void *to, struct ccp_span raw, enum ccp_json_type type, bool escaped, unsigned depth)
{
    struct ccp_json *node = build_node(to, raw.p, type, depth);
    if (node == NULL)
        return false;
    node->raw = raw;
    node->escaped = escaped;
    return true;
}

static bool same_key(const struct ccp_json *a, const struct ccp_json *b)
{
    if (a->key_escaped || b->key_escaped)
        return json_key_compare(a->key, b->key) == 0;
    return ccp_span_eq(a->key, b->key);
}

/* The later member of a pair with one key, or NULL. */
static const struct ccp_json *twin_pairwise(const struct ccp_json *object)
{
    for (const struct ccp_json *late = object->child; late != NULL; late = late->next)
        for (const struct ccp_json *early = object->child; early != late; early = early->next)
            if (same_key(early, late))
                return late;
    return NULL;
}

static int by_key(const void *x, const void *y)
{
    const struct ccp_json *a = *(const struct ccp_json *const *)x, *b = *(const struct ccp_json *const *)y;
    int diff = json_key_compare(a->key, b->key);
    return diff != 0 ? diff : a->key.p < b->key.p ? -1 : 1;
}

/* Sorting, not hashing: a client cannot choose keys that make it slow. False = memory refused. */
static bool twin_sorted(struct arena *arena, const struct ccp_json *object, const struct ccp_json **twin)
{
    struct arena_mark mark = arena_mark(arena);
    const struct ccp_json **all = arena_alloc(arena, object->count * sizeof(const struct ccp_json *));
    size_t n = 0;
    if (all == NULL)
        return false;
    for (const struct ccp_json *m = object->child; m != NULL; m = m->next)
        all[n++] = m;
    qsort(all, n, sizeof(*all), by_key);
    for (size_t i = 1; i < n; i++)
        if (json_key_compare(all[i - 1]->key, all[i]->key) == 0 && (*twin == NULL || all[i]->key.p < (*twin)->key.p))
            *twin = all[i];
    arena_rewind(arena, mark);
    return true;
}

static bool build_close(void *to, struct json_lex *l, unsigned depth)
{
    struct builder *b = to;
    struct ccp_json *node = b->open[depth];
    node->raw.n = (size_t)(l->p - node->raw.p);
    if (!b->judge_keys || depth > 1 || node->type != CCP_JSON_OBJECT)
        return true;
    const struct ccp_json *twin = NULL;
    if (node->count <= PAIRWISE)
        twin = twin_pairwise(node);
    else if (!twin_sorted(b->arena, node, &twin))
        return false;
    if (twin == NULL)
        return true;
    l->p = twin->key.p - 1;
    return json_lex_fail(l, JSON_WHAT_DUPLICATE);
}

static enum ccp_status build(struct builder *b, struct ccp_span text, struct ccp_json **root,
                             struct ccp_json_error *error)
{
    static const struct json_sink sink = {build_key, build_open, build_close, build_leaf};
    struct json_lex l = json_lex_over(&text);
    *root = NULL;
    if (!json_walk(&l, &sink, b))
        return json_lex_error(&l, text, error);
    *root = b->root;
    return CCP_OK;
}

enum ccp_status json_parse(struct arena *a, struct ccp_span text, struct ccp_json **root, struct ccp_json_error *error)
{
    struct builder b;
    b.arena = a;
    b.judge_keys = true;
    return build(&b, text, root, error);
}

enum ccp_status json_parse_any(struct arena *a, struct ccp_span text, struct ccp_json **root)
{
    struct builder b;
    b.arena = a;
    b.judge_keys = false;
    return build(&b, text, root, NULL);
}

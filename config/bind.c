/*
 * Sections: rows bound into the owner's struct, and what can be asked about a key afterwards.
 */
#include <base/assert.h>
#include <config/config_impl.h>

struct bound *bound_find(const struct config *c, struct ccp_span path, struct ccp_span key)
{
    for (struct bound *b = c->bound; b != NULL; b = b->next)
        if (ccp_span_eq(b->path, path) && ccp_span_eq(ccp_span_z(b->row->key), key))
            return b;
    return NULL;
}

void known_add(struct config *c, struct ccp_span path, const struct ccp_config_row *rows,
               const struct ccp_config_row *more, bool whole)
{
    struct known *k = arena_zalloc(&c->arena, sizeof(*k));
    struct ccp_span own = arena_dup(&c->arena, path);
    if (k == NULL || own.p == NULL) {
        c->no_memory = true;
        return;
    }
    *k = (struct known){c->known, own, rows, more, whole};
    c->known = k;
}

static void bind_row(struct config *c, struct ccp_span path, const struct ccp_config_row *row, void *target)
{
    struct bound *b = arena_zalloc(&c->arena, sizeof(*b));
    if (b == NULL) {
        c->no_memory = true;
        return;
    }
    size_t faults = c->fault_n;
    b->path = path;
    b->row = row;
    b->node = resolve_row(c, path, row);
    if (b->node == NULL && c->fault_n != faults) /* a map that could not be read */
        return;
    struct value_in in = {.c = c,
                          .row = row,
                          .node = b->node,
                          .name = join_path(c, path, ccp_span_z(row->key)),
                          .out = (char *)target + row->offset,
                          .secrets = &b->secrets};
    b->value = value_bind(&in);
    b->next = c->bound;
    c->bound = b;
}

void config_bind(struct config *c, const struct config_section *section)
{
    CCP_ASSERT(!c->finished);
    known_add(c, ccp_span_z(section->path), section->rows, section->more, false);
    if (c->no_memory)
        return;
    struct ccp_span path = c->known->path;
    for (const struct ccp_config_row *row = section->rows; row != NULL && row->key != NULL; row++)
        bind_row(c, path, row, section->target);
    for (const struct ccp_config_row *row = section->more; row != NULL && row->key != NULL; row++)
        bind_row(c, path, row, section->target);
}

void config_claim(struct config *c, const char *path)
{
    known_add(c, ccp_span_z(path), NULL, NULL, true);
}

static bool listed(const struct ccp_span *names, size_t n, const struct config_tree *node)
{
    for (size_t i = 0; i < n; i++)
        if (tree_key_fits(node->layer, node->key, names[i]))
            return true;
    return false;
}

size_t config_tables(struct config *c, const char *path, struct ccp_span *names, size_t max)
{
    size_t n = 0;
    known_add(c, ccp_span_z(path), NULL, NULL, false);
    for (int layer = 0; layer < LAYERS; layer++) {
        struct config_tree *table = tree_find(c->layers[layer], ccp_span_z(path));
        for (struct config_tree *m = table != NULL ? table->child : NULL; m != NULL && n < max; m = m->next) {
            bool is_table = layer_is_toml(layer) ? m->kind == NODE_TABLE : m->child != NULL;
            if (is_table && !listed(names, n, m))
                names[n++] = m->key; /* keys end with a NUL */
        }
    }
    return n;
}

static struct config_tree *winner(struct config *c, const char *path, const char *key)
{
    struct bound *b = bound_find(c, ccp_span_z(path), ccp_span_z(key));
    if (b != NULL)
        return b->node != NULL && b->node->layer != LAYER_DEFAULT ? b->node : NULL;
    for (int layer = LAYERS - 1; layer >= 0; layer--) {
        struct config_tree *node = tree_get(c, layer, ccp_span_z(path), ccp_span_z(key));
        if (node != NULL && node != c->layers[layer])
            return node;
    }
    return NULL;
}

bool config_is_set(struct config *c, const char *path, const char *key, struct ccp_span *origin)
{
    struct config_tree *node = winner(c, path, key);
    if (origin != NULL)
        *origin = origin_text(c, node);
    return node != NULL;
}

/* What came over HTTP is no better than a file of the current folder. */
static bool is_untrusted(const struct config *c, enum config_layer layer)
{
    return layer == LAYER_STATE || (layer == LAYER_FILE && c->untrusted);
}

bool config_set_untrusted(struct config *c, const char *path, const char *key)
{
    struct config_tree *node = winner(c, path, key);
    if (node == NULL)
        return false;
    /* a map may hold entries of the file although the environment added the last one */
    for (struct config_tree *m = node->kind == NODE_TABLE ? node->child : NULL; m != NULL; m = m->next)
        if (is_untrusted(c, m->layer))
            return true;
    return is_untrusted(c, node->layer);
}

static bool borrows(const struct config_tree *node)
{
    for (const struct config_tree *m = node->child; m != NULL; m = m->next)
        if (borrows(m))
            return true;
    return node->foreign && node->layer == LAYER_FILE;
}

bool config_borrows(struct config *c, const char *path)
{
    for (const struct bound *b = c->untrusted ? c->bound : NULL; b != NULL; b = b->next)
        if (ccp_span_is(b->path, path) && b->node != NULL && borrows(b->node))
            return true;
    return false;
}

bool config_same(struct config *a, struct config *b, const char *path, const char *key)
{
    struct bound *x = bound_find(a, ccp_span_z(path), ccp_span_z(key));
    struct bound *y = bound_find(b, ccp_span_z(path), ccp_span_z(key));
    if (x == NULL || y == NULL || x->value == NULL || y->value == NULL)
        return x == NULL && y == NULL;
    if (!json_equal(x->value, y->value))
        return false;
    struct sealed *s = x->secrets, *t = y->secrets;
    for (; s != NULL && t != NULL; s = s->next, t = t->next)
        /* revealed for comparison only: has the secret changed between two snapshots? */
        if (!secret_equals(s->secret, secret_reveal(t->secret)))
            return false;
    return s == NULL && t == NULL;
}

/*
 * The end of binding: keys that nobody claimed.
 *
 * In the file and among flags each of them is a fault; in the state, which may name a plugin that was taken away since,
 * a warning. Of the environment only variables below a table that we know count: SERVER__PROT is a typing error, PATH
 * is not ours.
 */
#include <config/config_impl.h>

struct level {
    struct config *c;
    enum config_layer layer;
    struct ccp_span path;
};

static bool below(enum config_layer layer, struct ccp_span path, struct ccp_span table)
{
    return path.n > table.n && (table.n == 0 || path.p[table.n] == '.') &&
           tree_key_fits(layer, table, ccp_span_of(path.p, table.n));
}

/* Is there a known table at or below this path? */
static bool leads_somewhere(const struct config *c, enum config_layer layer, struct ccp_span path)
{
    for (const struct known *k = c->known; k != NULL; k = k->next)
        if (tree_key_fits(layer, path, k->path) || (k->path.n > path.n && k->path.p[path.n] == '.' &&
                                                    tree_key_fits(layer, path, ccp_span_of(k->path.p, path.n))))
            return true;
    return false;
}

static bool claimed_whole(const struct config *c, enum config_layer layer, struct ccp_span path)
{
    for (const struct known *k = c->known; k != NULL; k = k->next)
        if (k->whole && (tree_key_fits(layer, path, k->path) || below(layer, path, k->path)))
            return true;
    return false;
}

/* Names that may stand in this table. */
struct names {
    const char *v[256];
    size_t n;
};

static void add_name(struct names *names, const char *name)
{
    if (name != NULL && names->n < 256)
        names->v[names->n++] = name;
}

static void collect(const struct level *l, struct names *names)
{
    for (const struct known *k = l->c->known; k != NULL; k = k->next) {
        if (below(l->layer, k->path, l->path)) {
            struct ccp_span rest = ccp_span_skip(k->path, l->path.n + (l->path.n != 0));
            add_name(names, arena_dup(&l->c->arena, ccp_span_of(rest.p, ccp_span_find(rest, '.'))).p);
        }
        if (!tree_key_fits(l->layer, l->path, k->path))
            continue;
        for (const struct ccp_config_row *row = k->rows; row != NULL && row->key != NULL; row++)
            add_name(names, row->key);
        for (const struct ccp_config_row *row = k->more; row != NULL && row->key != NULL; row++)
            add_name(names, row->key);
    }
}

static void report(const struct level *l, struct config_tree *node)
{
    struct names names = {.n = 0};
    struct ccp_span name = join_path(l->c, l->path, node->key);
    bool table = node->kind == NODE_TABLE ||
                 (node->kind == NODE_ARRAY && node->child != NULL && node->child->kind == NODE_TABLE);
    bool warning = l->layer == LAYER_STATE;
    collect(l, &names);
    const char *near = config_nearest(node->key, names.v, names.n);
    const char *what = table ? "unknown table" : "unknown key";
    if (near != NULL && table && ccp_span_is(node->key, near))
        fault_at(l->c, node, name, warning, "is a value, nothing can be set below it");
    else if (near != NULL)
        fault_at(l->c, node, name, warning, "%s (did you mean \"%s\"?)", what, near);
    else
        fault_at(l->c, node, name, warning, "%s", what);
}

static void check(const struct level *l, struct config_tree *table);

/* A node on the way to known tables. `SERVER=x` alone is someone else's; `--set server=x` is not. */
static void check_known(const struct level *l, const struct level *next, struct config_tree *node)
{
    bool ignored = l->layer == LAYER_ENV && l->path.n == 0;
    if (node->kind != NODE_TABLE && !ignored)
        fault_at(l->c, node, next->path, false, "expected a table, found %s", tree_kind_name(node));
    if (node->kind == NODE_TABLE || !layer_is_toml(l->layer))
        check(next, node);
}

static void check_one(const struct level *l, struct config_tree *node)
{
    struct level next = {l->c, l->layer, join_path(l->c, l->path, node->key)};
    if (claimed_whole(l->c, l->layer, next.path))
        return;
    if (node->claimed) {
        if (!layer_is_toml(l->layer))
            check(&next, node); /* a value with more levels below it */
    } else if (leads_somewhere(l->c, l->layer, next.path)) {
        check_known(l, &next, node);
    } else if (l->layer != LAYER_ENV || l->path.n != 0) {
        report(l, node);
    }
}

static void check(const struct level *l, struct config_tree *table)
{
    for (struct config_tree *m = table->child; m != NULL; m = m->next)
        check_one(l, m);
}

void config_finish(struct config *c)
{
    if (c->finished)
        return;
    c->finished = true;
    for (int layer = 0; layer < LAYERS && !c->no_memory; layer++) {
        struct level top = {c, layer, CCP_SPAN("")};
        check(&top, c->layers[layer]);
    }
    /* all that anyone may still ask for is bound or sealed */
    environ_wipe(c);
    for (struct config_tree *node = c->nodes; node != NULL; node = node->all)
        tree_wipe_text(node);
}

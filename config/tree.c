/*
 * The tree: nodes, looking them up, and filling them from TOML and JSON text.
 *
 * Nodes live in the snapshot's arena and are chained, so that the end of the snapshot can wipe every text that was
 * read. A node's text is its own copy; nothing else points into it.
 */
#include <config/config_impl.h>

struct config_tree *tree_new(struct config *c, struct config_tree *parent, enum node_kind kind, struct ccp_span key,
                             enum config_layer layer)
{
    struct config_tree *node = arena_zalloc(&c->arena, sizeof(*node));
    struct ccp_span own = node != NULL ? arena_dup(&c->arena, key) : (struct ccp_span){NULL, 0};
    if (own.p == NULL) {
        c->no_memory = true;
        return NULL;
    }
    node->key = own;
    node->kind = kind;
    node->layer = layer;
    node->tail = &node->child;
    node->all = c->nodes;
    c->nodes = node;
    if (parent != NULL) {
        *parent->tail = node;
        parent->tail = &node->next;
    }
    return node;
}

void tree_wipe_text(struct config_tree *node)
{
    if (node->text.n != 0)
        secret_wipe((char *)node->text.p, node->text.n);
    node->text.n = 0;
}

bool tree_text(struct config *c, struct config_tree *node, struct ccp_span text)
{
    struct ccp_span own = arena_dup(&c->arena, text);
    if (own.p == NULL) {
        c->no_memory = true;
        return false;
    }
    tree_wipe_text(node);
    node->text = own;
    return true;
}

static char fold(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? (char)(ch + 'a' - 'A') : ch == '-' ? '_' : ch;
}

bool tree_key_fits(enum config_layer layer, struct ccp_span own, struct ccp_span wanted)
{
    if (layer != LAYER_ENV)
        return ccp_span_eq(own, wanted);
    if (own.n != wanted.n)
        return false;
    for (size_t i = 0; i < own.n; i++)
        if (fold(own.p[i]) != fold(wanted.p[i]))
            return false;
    return true;
}

struct config_tree *tree_child(const struct config_tree *node, struct ccp_span key)
{
    for (struct config_tree *m = node != NULL ? node->child : NULL; m != NULL; m = m->next)
        if (tree_key_fits(m->layer, m->key, key))
            return m;
    return NULL;
}

struct config_tree *tree_find(struct config_tree *root, struct ccp_span path)
{
    if (root == NULL || path.n == 0)
        return root;
    for (struct config_tree *m = root->child; m != NULL; m = m->next) {
        if (m->key.n > path.n || !tree_key_fits(m->layer, m->key, ccp_span_of(path.p, m->key.n)))
            continue;
        if (m->key.n == path.n)
            return m;
        if (path.p[m->key.n] != '.')
            continue;
        struct config_tree *below = tree_find(m, ccp_span_skip(path, m->key.n + 1));
        if (below != NULL)
            return below;
    }
    return NULL;
}

struct config_tree *tree_get(struct config *c, enum config_layer layer, struct ccp_span path, struct ccp_span key)
{
    struct config_tree *table = tree_find(c->layers[layer], path);
    return key.n == 0 ? table : tree_child(table, key);
}

const char *tree_kind_name(const struct config_tree *node)
{
    static const char *const names[] = {
        [NODE_TABLE] = "a table",  [NODE_ARRAY] = "an array", [NODE_STRING] = "a string", [NODE_INT] = "an integer",
        [NODE_FLOAT] = "a number", [NODE_BOOL] = "a boolean", [NODE_DATE] = "a date",     [NODE_TEXT] = "text",
    };
    return names[node->kind];
}

/* What toml_read's callback needs besides the item. */
struct filling {
    struct config *c;
    enum config_layer layer;
    struct ccp_span via;
};

static void *add_item(void *context, void *parent, const struct toml_item *item)
{
    struct filling *f = context;
    struct config_tree *node =
        tree_new(f->c, parent, (enum node_kind)item->kind, ccp_span_of(item->key, item->key_n), f->layer);
    if (node == NULL)
        return NULL;
    node->via = f->via;
    node->integer = item->integer;
    node->real = item->real;
    node->line = item->line;
    node->column = item->column;
    if (item->kind == TOML_STRING && !tree_text(f->c, node, ccp_span_of(item->text, item->text_n)))
        return NULL;
    return node;
}

enum toml_result tree_parse(struct config *c, struct ccp_span text, struct config_tree *root, struct toml_error *e)
{
    struct filling f = {c, root->layer, root->via};
    const char *what = config_prescan(text, &e->line, &e->column);
    if (what != NULL) {
        snprintf(e->what, sizeof(e->what), "%s", what);
        return TOML_SYNTAX;
    }
    enum toml_result r = toml_read(text.p, text.n, add_item, &f, root, e);
    if (r == TOML_NO_MEMORY)
        c->no_memory = true;
    if (r != TOML_OK) { /* half a document would only cause more faults */
        root->child = NULL;
        root->tail = &root->child;
    }
    return r;
}

struct config_tree *tree_parse_value(struct config *c, struct ccp_span text, enum config_layer layer,
                                     struct ccp_span via)
{
    struct config_tree *root = NULL, *value = NULL;
    struct toml_error e;
    size_t n = text.n + 4;
    char *line = ccp_span_find(text, '\n') == text.n && ccp_span_find(text, '\r') == text.n ? malloc(n) : NULL;
    if (line == NULL || (root = tree_new(c, NULL, NODE_TABLE, CCP_SPAN(""), layer)) == NULL) {
        free(line);
        return NULL;
    }
    root->via = via;
    memcpy(line, "v = ", 4);
    if (text.n != 0)
        memcpy(line + 4, text.p, text.n);
    if (tree_parse(c, ccp_span_of(line, n), root, &e) == TOML_OK && root->child != NULL && root->child->next == NULL)
        value = root->child;
    secret_wipe(line, n);
    free(line);
    return value;
}

static struct config_tree *from_json(struct config *c, struct config_tree *parent, struct config_tree *like,
                                     struct ccp_span key, json_t *v)
{
    enum node_kind kind = json_is_object(v)    ? NODE_TABLE
                          : json_is_array(v)   ? NODE_ARRAY
                          : json_is_string(v)  ? NODE_STRING
                          : json_is_integer(v) ? NODE_INT
                          : json_is_real(v)    ? NODE_FLOAT
                          : json_is_null(v)    ? NODE_DATE /* a kind that no row takes */
                                               : NODE_BOOL;
    struct config_tree *node = tree_new(c, parent, kind, key, like->layer);
    const char *name;
    size_t i;
    json_t *m;
    if (node == NULL)
        return NULL;
    node->via = like->via;
    node->line = like->line;
    node->integer = kind == NODE_BOOL ? json_is_true(v) : json_integer_value(v);
    node->real = json_real_value(v);
    if (kind == NODE_STRING) {
        struct ccp_span text = {json_string_value(v), json_string_length(v)};
        if (!tree_text(c, node, text))
            return NULL;
        secret_wipe((char *)text.p, text.n); /* jansson's copy goes away unwiped */
    }
    json_array_foreach(v, i, m) if (from_json(c, node, like, CCP_SPAN(""), m) == NULL) return NULL;
    json_object_foreach(v, name, m) if (from_json(c, node, like, ccp_span_z(name), m) == NULL) return NULL;
    return node;
}

struct config_tree *tree_from_json(struct config *c, struct config_tree *like, struct ccp_span text)
{
    json_error_t error;
    json_t *v = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    if (v == NULL)
        return NULL;
    struct config_tree *node = from_json(c, NULL, like, like->key, v);
    json_decref(v);
    return node;
}

/*
 * Which value wins for a row, and text from environment and flags read as the row's type.
 *
 * Flag over environment over state over file over default, for each key; for a table of strings (CCP_MAP) also for each
 * entry, so that PLUGINS__X__HEADERS__A adds to what the file says. A table of the state replaces that of the file.
 */
#include <config/config_impl.h>

struct config_tree *resolve_default(struct config *c, const struct ccp_config_row *row)
{
    if (row->def == NULL)
        return NULL;
    struct config_tree *node = tree_parse_value(c, ccp_span_z(row->def), LAYER_DEFAULT, CCP_SPAN(""));
    if (node == NULL)
        fault_plain(c, false, "default of %s is not a TOML value", row->key);
    return node;
}

static void link_copy(struct config *c, struct config_tree *map, struct config_tree *from)
{
    struct config_tree *old = tree_child(map, from->key);
    struct config_tree *entry = old != NULL ? old : tree_new(c, map, from->kind, from->key, from->layer);
    if (entry == NULL)
        return;
    struct config_tree *next = entry->next, *all = entry->all;
    struct ccp_span key = entry->key;
    tree_wipe_text(entry);
    *entry = *from;
    entry->next = next;
    entry->all = all;
    entry->key = key;
    entry->kind = from->kind == NODE_TEXT ? NODE_STRING : from->kind;
    entry->text = CCP_SPAN("");
    tree_text(c, entry, from->text);
    from->claimed = true;
}

/* One map out of the layers; a whole value replaces what lower layers say, entries add to it. */
static struct config_tree *merge_map(struct config *c, struct config_tree **nodes, const struct ccp_config_row *row,
                                     struct ccp_span name)
{
    struct config_tree *map = NULL;
    for (int layer = 0; layer < LAYERS; layer++) {
        struct config_tree *from = nodes[layer], *whole = NULL;
        if (from == NULL)
            continue;
        if (layer_is_toml(layer) && from->kind != NODE_TABLE)
            return from;
        if (from->kind == NODE_TEXT && (whole = interpret(c, row, from, name)) == NULL)
            return NULL;
        if (map == NULL || whole != NULL || layer == LAYER_STATE)
            map = tree_new(c, NULL, NODE_TABLE, from->key, layer);
        if (map == NULL)
            return NULL;
        map->layer = layer;
        map->via = from->via;
        map->line = from->line;
        for (struct config_tree *m = whole != NULL ? whole->child : NULL; m != NULL; m = m->next)
            link_copy(c, map, m);
        for (struct config_tree *m = from->child; m != NULL; m = m->next)
            link_copy(c, map, m);
    }
    return map;
}

struct config_tree *resolve_row(struct config *c, struct ccp_span path, const struct ccp_config_row *row)
{
    struct config_tree *nodes[LAYERS], *best = NULL;
    for (int layer = 0; layer < LAYERS; layer++) {
        struct config_tree *node = nodes[layer] = tree_get(c, layer, path, ccp_span_z(row->key));
        /* a variable or flag that only has children sets no value, unless entries are wanted */
        if (node != NULL && !layer_is_toml(layer) && node->kind == NODE_TABLE && row->type != CCP_MAP)
            nodes[layer] = node = NULL;
        if (node != NULL) {
            node->claimed = true;
            best = node;
        }
    }
    if (best == NULL)
        return resolve_default(c, row);
    return row->type == CCP_MAP ? merge_map(c, nodes, row, join_path(c, path, ccp_span_z(row->key))) : best;
}

/* A new node beside the text, of another kind, with the same origin. */
static struct config_tree *beside(struct config *c, struct config_tree *node, enum node_kind kind)
{
    struct config_tree *made = tree_new(c, NULL, kind, node->key, node->layer);
    if (made != NULL) {
        made->via = node->via;
        made->line = node->line;
        made->foreign = node->foreign;
    }
    return made;
}

static struct config_tree *split(struct config *c, struct config_tree *node)
{
    struct config_tree *list = beside(c, node, NODE_ARRAY);
    struct ccp_span rest = node->text;
    while (list != NULL && rest.n != 0) {
        size_t comma = ccp_span_find(rest, ',');
        struct ccp_span item = ccp_span_trim(ccp_span_of(rest.p, comma));
        struct config_tree *m = item.n != 0 ? tree_new(c, list, NODE_STRING, CCP_SPAN(""), node->layer) : NULL;
        if (m != NULL) {
            m->via = node->via;
            tree_text(c, m, item);
        }
        rest = ccp_span_skip(rest, comma + 1);
    }
    return list;
}

static struct config_tree *read_bool(struct config *c, struct config_tree *node)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (ccp_span_ieq(node->text, ccp_span_z(words[i]))) {
            struct config_tree *made = beside(c, node, NODE_BOOL);
            if (made != NULL)
                made->integer = i & 1;
            return made;
        }
    return NULL;
}

/* The whole text as one TOML number: decimal, hex, with underscores. */
static struct config_tree *read_number(struct config *c, struct config_tree *node)
{
    struct config_tree *made = tree_parse_value(c, ccp_span_trim(node->text), node->layer, node->via);
    if (made == NULL || (made->kind != NODE_INT && made->kind != NODE_FLOAT))
        return NULL;
    made->line = node->line;
    return made;
}

static struct config_tree *read_list(struct config *c, struct config_tree *node)
{
    struct ccp_span text = ccp_span_trim(node->text);
    if (text.n == 0 || text.p[0] != '[')
        return split(c, node);
    struct config_tree *made = tree_from_json(c, node, text);
    return made != NULL && made->kind == NODE_ARRAY ? made : NULL;
}

static struct config_tree *read_json(struct config *c, struct config_tree *node, enum node_kind kind)
{
    struct ccp_span text = ccp_span_trim(node->text);
    struct config_tree *made = text.n == 0 ? beside(c, node, kind) : tree_from_json(c, node, text);
    return made != NULL && made->kind == kind ? made : NULL;
}

static struct config_tree *read_text(struct config *c, const struct ccp_config_row *row, struct config_tree *node)
{
    struct config_tree *made;
    switch (row->type) {
    case CCP_BOOL:
        return read_bool(c, node);
    case CCP_INT:
    case CCP_DOUBLE:
        return read_number(c, node);
    case CCP_LIST:
        return read_list(c, node);
    case CCP_MAP:
        return read_json(c, node, NODE_TABLE);
    case CCP_TABLES:
        return read_json(c, node, NODE_ARRAY);
    default:
        made = beside(c, node, NODE_STRING);
        if (made != NULL && !tree_text(c, made, node->text))
            return NULL;
        return made;
    }
}

/* A flag may also be written in TOML where the row is no text. */
static struct config_tree *read_toml(struct config *c, const struct ccp_config_row *row, struct config_tree *node)
{
    static const unsigned kinds[] = {
        [CCP_SIZE] = 1u << NODE_STRING, [CCP_DURATION] = 1u << NODE_STRING, [CCP_LIST] = 1u << NODE_ARRAY,
        [CCP_MAP] = 1u << NODE_TABLE,   [CCP_TABLES] = 1u << NODE_ARRAY,
    };
    struct config_tree *made;
    if (node->layer != LAYER_FLAG || kinds[row->type] == 0)
        return NULL;
    made = tree_parse_value(c, node->text, node->layer, node->via);
    return made != NULL && (kinds[row->type] >> made->kind & 1) != 0 ? made : NULL;
}

static const char *expected(enum ccp_type type)
{
    switch (type) {
    case CCP_BOOL:
        return "true or false";
    case CCP_INT:
        return "an integer";
    case CCP_DOUBLE:
        return "a number";
    case CCP_LIST:
        return "a list: words with commas between them, or a JSON array of strings";
    case CCP_MAP:
        return "a JSON object of strings";
    default:
        return "a JSON array of objects";
    }
}

struct config_tree *interpret(struct config *c, const struct ccp_config_row *row, struct config_tree *node,
                              struct ccp_span name)
{
    bool scalar = row->type == CCP_BOOL || row->type == CCP_INT || row->type == CCP_DOUBLE;
    struct config_tree *made;
    if (!expand_node(c, node, name))
        return NULL;
    if (node->kind != NODE_TEXT && !(node->kind == NODE_STRING && node->foreign && scalar))
        return node;
    if ((made = read_toml(c, row, node)) == NULL)
        made = read_text(c, row, node);
    if (made == NULL && !c->no_memory)
        fault_at(c, node, name, false, "expected %s", expected(row->type));
    return made;
}

/*
 * The state layer: settings of plugins that were changed while the server ran, and the text they are kept as.
 *
 * Only [plugins.<name>] tables may stand there: what decides who may come, where the server listens and what code is
 * loaded can be changed by whoever owns the configuration file, and by nobody else. The text is written here and by
 * hand in need; reading and replacing its file is the caller's.
 */
#include <config/config_impl.h>

static const char head[] =
    "# Settings of plugins that were changed while ccproxy ran: by its API, or by ccproxy plugins enable and disable.\n"
    "# They replace what the configuration file says. Written as a whole; to undo a change, take its line out.\n";

static void take_out(struct config_tree *table, const struct config_tree *node)
{
    struct config_tree **at = &table->child;
    table->tail = &table->child;
    while (*at != NULL) {
        if (*at == node) {
            *at = node->next;
            continue;
        }
        table->tail = &(*at)->next;
        at = table->tail;
    }
}

/* What does not belong here is a fault, and not looked at again. */
static void refuse(struct config *c, struct config_tree *table, const struct config_tree *node, struct ccp_span name)
{
    fault_at(c, node, name, false, "only tables [plugins.<name>] may stand in this file");
    take_out(table, node);
}

static void check(struct config *c, struct config_tree *root)
{
    struct config_tree *next;
    for (struct config_tree *m = root->child; m != NULL; m = next) {
        next = m->next;
        if (m->kind != NODE_TABLE || !ccp_span_is(m->key, "plugins"))
            refuse(c, root, m, m->key);
    }
    struct config_tree *plugins = root->child;
    for (struct config_tree *m = plugins != NULL ? plugins->child : NULL; m != NULL; m = next) {
        next = m->next;
        if (m->kind != NODE_TABLE)
            refuse(c, plugins, m, join_path(c, CCP_SPAN("plugins"), m->key));
    }
}

void state_load(struct config *c, const struct config_source *source)
{
    struct toml_error e = {.what = ""};
    if (source->state_path == NULL)
        return;
    c->candidate = source->state_candidate;
    c->state = arena_dup(&c->arena, ccp_span_z(source->state_path));
    if (c->state.p == NULL) {
        c->no_memory = true;
        c->state = CCP_SPAN("");
        return;
    }
    if (tree_parse(c, source->state, c->layers[LAYER_STATE], &e) == TOML_SYNTAX)
        fault_plain(c, false, "%.*s:%u:%u: %s%s", CCP_FMT(c->state), e.line, e.column, e.what,
                    c->candidate ? "" : "; ccproxy writes this file: repair or delete it");
    check(c, c->layers[LAYER_STATE]);
}

/* -- editing -- */

/* Strings could be secrets, and jansson frees them as they are. */
static void wipe(json_t *value)
{
    const char *key;
    size_t i;
    json_t *m;
    if (json_is_string(value) && json_string_length(value) != 0)
        secret_wipe((char *)json_string_value(value), json_string_length(value));
    json_array_foreach(value, i, m)
    {
        wipe(m);
    }
    json_object_foreach(value, key, m)
    {
        wipe(m);
    }
}

static void drop(json_t *value)
{
    if (value != NULL)
        wipe(value);
    json_decref(value);
}

/* NULL = no memory: what cannot be kept must not be lost either. */
static json_t *to_json(const struct config_tree *node)
{
    json_t *made;
    switch (node->kind) {
    case NODE_TABLE:
    case NODE_ARRAY:
        made = node->kind == NODE_TABLE ? json_object() : json_array();
        for (const struct config_tree *m = node->child; m != NULL && made != NULL; m = m->next)
            if ((node->kind == NODE_TABLE ? json_object_setn_new(made, m->key.p, m->key.n, to_json(m))
                                          : json_array_append_new(made, to_json(m))) != 0) {
                drop(made);
                made = NULL;
            }
        return made;
    case NODE_STRING:
        return json_stringn(node->text.p, node->text.n);
    case NODE_INT:
        return json_integer(node->integer);
    case NODE_FLOAT:
        return json_real(node->real);
    case NODE_BOOL:
        return json_boolean(node->integer);
    default: /* a date: no row takes one */
        return json_string("");
    }
}

static bool has_null(json_t *value)
{
    const char *key;
    size_t i;
    json_t *m;
    json_array_foreach(value, i, m)
    {
        if (has_null(m))
            return true;
    }
    json_object_foreach(value, key, m)
    {
        if (has_null(m))
            return true;
    }
    return json_is_null(value);
}

static const char *merge(json_t *plugins, const char *plugin, json_t *changes)
{
    const char *key;
    json_t *value, *table = json_object_get(plugins, plugin);
    if (table == NULL && json_object_set_new(plugins, plugin, table = json_object()) != 0)
        return "not enough memory";
    json_object_foreach(changes, key, value)
    {
        if (json_is_null(value))
            json_object_del(table, key);
        else if (has_null(value))
            return "null stands for a whole key (\"as the configuration file says\"), not for a part of its value";
        else if (json_object_set(table, key, value) != 0)
            return "not enough memory";
    }
    if (json_object_size(table) == 0)
        json_object_del(plugins, plugin);
    return NULL;
}

static const char *write(json_t *plugins, struct ccp_buf *out)
{
    const char *plugin, *key;
    json_t *table, *value;
    buf_addz(out, head);
    json_object_foreach(plugins, plugin, table)
    {
        buf_addz(out, "\n[plugins.");
        toml_write_key(out, ccp_span_z(plugin));
        buf_addz(out, "]\n");
        json_object_foreach(table, key, value)
        {
            toml_write_key(out, ccp_span_z(key));
            buf_addz(out, " = ");
            toml_write(out, value, false);
            buf_addz(out, "\n");
        }
    }
    return out->failed ? "the settings are too large, or memory is short" : NULL;
}

static const char *edit(struct config *c, const char *plugin, json_t *changes, struct ccp_buf *out)
{
    if (c->no_memory)
        return "not enough memory";
    if (!config_ok(c))
        return "the file that keeps such settings is damaged: repair or delete it (ccproxy config path names it)";
    struct config_tree *tables = tree_find(c->layers[LAYER_STATE], CCP_SPAN("plugins"));
    json_t *plugins = tables != NULL ? to_json(tables) : json_object();
    const char *wrong = plugins == NULL ? "not enough memory" : merge(plugins, plugin, changes);
    if (wrong == NULL)
        wrong = write(plugins, out);
    drop(plugins);
    return wrong;
}

/* jansson's own words would repeat what it stumbled over, which may be a secret. */
static const char *unreadable(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_numeric_overflow:
        return "the changes have a number that is too large";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "the changes have a text with a NUL character";
    case json_error_duplicate_key:
        return "the changes have a key that occurs twice";
    case json_error_out_of_memory:
        return "not enough memory";
    default:
        return "the changes are not valid JSON";
    }
}

const char *config_state_edit(struct ccp_span text, const char *plugin, struct ccp_span changes, struct ccp_buf *out)
{
    json_error_t error;
    struct config_source source = {.state = text, .state_path = "plugins.toml"};
    struct config *c = config_new();
    json_t *object = json_loadb(changes.p, changes.n, JSON_REJECT_DUPLICATES, &error);
    if (c != NULL)
        state_load(c, &source);
    const char *wrong = c == NULL                 ? "not enough memory"
                        : object == NULL          ? unreadable(&error)
                        : !json_is_object(object) ? "the changes are not a JSON object"
                                                  : edit(c, plugin, object, out);
    drop(object);
    config_unref(c);
    return wrong;
}

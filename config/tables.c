/*
 * Arrays of tables: every element is bound by the row's own rows.
 *
 * Unknown keys are refused here and not in config_finish, because only here is it known what an element may hold.
 */
#include <config/config_impl.h>

static void unknown_member(struct value_in *in, struct config_tree *m)
{
    const char *names[128];
    size_t n = 0;
    for (const struct ccp_config_row *row = in->row->rows; row->key != NULL; row++) {
        if (tree_key_fits(LAYER_FILE, m->key, ccp_span_z(row->key)))
            return;
        if (n < 128)
            names[n++] = row->key;
    }
    const char *near = config_nearest(m->key, names, n);
    struct ccp_span name = join_path(in->c, in->name, m->key);
    if (near != NULL)
        fault_at(in->c, m, name, false, "unknown key (did you mean \"%s\"?)", near);
    else
        fault_at(in->c, m, name, false, "unknown key");
}

/* The node of one sub-row; a plain string stands for the first row. */
static struct config_tree *member(struct value_in *element, const struct ccp_config_row *row)
{
    bool first = row == element->row->rows;
    struct config_tree *m = element->node->kind == NODE_STRING ? (first ? element->node : NULL)
                                                               : tree_child(element->node, ccp_span_z(row->key));
    if (m == NULL && (row->flags & CCP_ROW_REQUIRED) != 0)
        fault_at(element->c, element->node, join_path(element->c, element->name, ccp_span_z(row->key)), false,
                 "missing, every entry needs it");
    return m != NULL || (row->flags & CCP_ROW_REQUIRED) != 0 ? m : resolve_default(element->c, row);
}

static json_t *bind_element(struct value_in *element)
{
    json_t *shown = json_object();
    bool fine = shown != NULL;
    for (const struct ccp_config_row *row = element->row->rows; row->key != NULL && shown != NULL; row++) {
        struct value_in in = {.c = element->c,
                              .row = row,
                              .node = member(element, row),
                              .name = join_path(element->c, element->name, ccp_span_z(row->key)),
                              .out = (char *)element->out + row->offset,
                              .secrets = element->secrets};
        bool missing = in.node == NULL && (row->flags & CCP_ROW_REQUIRED) != 0;
        json_t *value = missing ? NULL : value_bind(&in);
        element->secrets = in.secrets;
        fine = value != NULL && fine;
        if (value != NULL && json_is_null(value))
            json_decref(value);
        else if (value != NULL)
            fine = json_object_set_new(shown, row->key, value) == 0 && fine;
    }
    for (struct config_tree *m = element->node->child; m != NULL; m = m->next)
        unknown_member(element, m);
    if (!fine)
        json_decref(shown);
    return fine ? shown : NULL;
}

static bool element_kind_fine(struct value_in *in, struct config_tree *m)
{
    bool strings = (in->row->flags & CCP_ROW_STRING_ITEM) != 0;
    if (m->kind == NODE_TABLE || (strings && m->kind == NODE_STRING))
        return true;
    fault_at(in->c, m, in->name, false, "expected %s, found %s", strings ? "tables or strings" : "an array of tables",
             tree_kind_name(m));
    return false;
}

json_t *value_tables(struct value_in *in)
{
    size_t n = 0, i = 0;
    bool fine = true;
    if (in->node->kind != NODE_ARRAY)
        return value_wrong_kind(in, in->node, "an array of tables");
    for (struct config_tree *m = in->node->child; m != NULL; m = m->next)
        n++;
    char *v = arena_zalloc(&in->c->arena, n * in->row->row_size + 1);
    json_t *shown = json_array();
    if (v == NULL || shown == NULL)
        in->c->no_memory = true;
    for (struct config_tree *m = in->node->child; m != NULL && !in->c->no_memory; m = m->next, i++) {
        struct value_in element = *in;
        struct ccp_span name = arena_printf(&in->c->arena, "%.*s[%zu]", CCP_FMT(in->name), i);
        element.node = m;
        element.name = name.p != NULL ? name : in->name;
        element.out = v + i * in->row->row_size;
        json_t *value = element_kind_fine(&element, m) ? bind_element(&element) : NULL;
        in->secrets = element.secrets;
        fine = value != NULL && json_array_append_new(shown, value) == 0 && fine;
    }
    if (!fine || in->c->no_memory) {
        json_decref(shown);
        return NULL;
    }
    *(struct ccp_tables *)in->out = (struct ccp_tables){v, n};
    return shown;
}

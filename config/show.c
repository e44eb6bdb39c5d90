/*
 * `config show`: what is in effect and who said so.
 *
 * It prints the canonical values that binding kept, so secrets are masked before they come here.
 */
#include <config/config_impl.h>

static bool is_template(const struct config_section *s)
{
    return strchr(s->path, '<') != NULL;
}

static void show_key(struct config *c, const struct config_section *s, const struct ccp_config_row *row,
                     struct ccp_buf *out)
{
    struct bound *b = bound_find(c, ccp_span_z(s->path), ccp_span_z(row->key));
    if (b == NULL || b->value == NULL) {
        buf_printf(out, "# %s: not usable, see the faults\n", row->key);
        return;
    }
    if (json_is_null(b->value)) {
        buf_printf(out, "# %s is not set\n", row->key);
        return;
    }
    buf_printf(out, "%s = ", row->key);
    toml_write(out, b->value, true);
    buf_printf(out, "  # %.*s\n", CCP_FMT(origin_text(c, b->node)));
}

static void show_rows(struct config *c, const struct config_section *s, struct ccp_buf *out)
{
    for (const struct ccp_config_row *row = s->rows; row != NULL && row->key != NULL; row++)
        show_key(c, s, row, out);
    for (const struct ccp_config_row *row = s->more; row != NULL && row->key != NULL; row++)
        show_key(c, s, row, out);
}

/* "providers.<any>" as a table header; a name with dots or other signs is quoted by its last part. */
static void show_header(struct config *c, const struct config_section *s, struct ccp_buf *out)
{
    struct config_tree *file = tree_find(c->layers[LAYER_FILE], ccp_span_z(s->path));
    struct ccp_span path = ccp_span_z(s->path), last = file != NULL ? file->key : CCP_SPAN("");
    const char *dot = strrchr(s->path, '.');
    if (last.n == 0 || last.n > path.n)
        last = ccp_span_z(dot != NULL ? dot + 1 : s->path);
    buf_printf(out, "\n[%.*s", (int)(path.n - last.n), path.p);
    toml_write_key(out, last);
    buf_addz(out, "]\n");
}

static bool show_toml(struct config *c, const struct config_section *sections, size_t n, struct ccp_buf *out)
{
    if (c->file.n != 0)
        buf_printf(out, "# file: %.*s\n", CCP_FMT(fault_clean(c, c->file)));
    else
        buf_addz(out, "# no file was read\n");
    for (size_t i = 0; i < n; i++) /* top-level keys have to come before the first table */
        if (sections[i].path[0] == '\0')
            show_rows(c, &sections[i], out);
    for (size_t i = 0; i < n; i++)
        if (sections[i].path[0] != '\0' && !is_template(&sections[i])) {
            show_header(c, &sections[i], out);
            show_rows(c, &sections[i], out);
        }
    return !out->failed && !c->no_memory;
}

static bool json_rows(struct config *c, const struct config_section *s, const struct ccp_config_row *row, json_t *table)
{
    for (; row != NULL && row->key != NULL; row++) {
        struct bound *b = bound_find(c, ccp_span_z(s->path), ccp_span_z(row->key));
        struct ccp_span origin = origin_text(c, b != NULL ? b->node : NULL);
        json_t *entry = json_object();
        if (json_object_set_new(entry, "value", b != NULL && b->value != NULL ? json_incref(b->value) : json_null()) ||
            json_object_set_new(entry, "origin", json_stringn(origin.p, origin.n)) != 0 ||
            json_object_set(table, row->key, entry) != 0) {
            json_decref(entry);
            return false;
        }
        json_decref(entry);
    }
    return true;
}

static int dump(const char *bytes, size_t n, void *out)
{
    return buf_add(out, ccp_span_of(bytes, n)) ? 0 : -1;
}

static bool show_json(struct config *c, const struct config_section *sections, size_t n, struct ccp_buf *out)
{
    json_t *root = json_object();
    bool fine = root != NULL;
    for (size_t i = 0; i < n && fine; i++) {
        json_t *table = is_template(&sections[i]) ? NULL : json_object_get(root, sections[i].path);
        if (is_template(&sections[i]))
            continue;
        if (table == NULL)
            fine = json_object_set_new(root, sections[i].path, table = json_object()) == 0;
        fine = fine && json_rows(c, &sections[i], sections[i].rows, table) &&
               json_rows(c, &sections[i], sections[i].more, table);
    }
    fine = fine && json_dump_callback(root, dump, out, JSON_INDENT(2)) == 0 && buf_addz(out, "\n");
    json_decref(root);
    return fine;
}

/* origin_text without the arena: a snapshot in use is asked any number of times. */
static json_t *origin_json(const struct config *c, const struct config_tree *node)
{
    enum config_layer layer = node != NULL ? node->layer : LAYER_DEFAULT;
    struct ccp_span from = layer == LAYER_FILE ? c->file : layer == LAYER_STATE ? c->state : CCP_SPAN("");
    if (layer == LAYER_DEFAULT)
        return json_string("default");
    if (layer_is_toml(layer))
        return json_sprintf("%.*s:%u", CCP_FMT(from), node->line);
    return json_sprintf("%s %.*s", layer == LAYER_ENV ? "env" : "flag", CCP_FMT(node->via));
}

bool config_show_section(const struct config *c, const char *path, const struct ccp_config_row *rows,
                         struct ccp_buf *out)
{
    json_t *table = json_object();
    bool fine = table != NULL;
    for (const struct ccp_config_row *row = rows; row->key != NULL && fine; row++) {
        struct bound *b = bound_find(c, ccp_span_z(path), ccp_span_z(row->key));
        json_t *value = b != NULL && b->value != NULL ? json_incref(b->value) : json_null();
        json_t *origin = origin_json(c, b != NULL ? b->node : NULL);
        if (origin == NULL) /* a path or a name that is not UTF-8 */
            origin = json_string("?");
        json_t *entry = json_pack("{s:o, s:o}", "value", value, "origin", origin);
        fine = entry != NULL && json_object_set_new(table, row->key, entry) == 0;
    }
    fine = fine && json_dump_callback(table, dump, out, JSON_COMPACT) == 0;
    json_decref(table);
    return fine;
}

bool config_show(struct config *c, const struct config_section *sections, size_t n, bool json, struct ccp_buf *out)
{
    return json ? show_json(c, sections, n, out) : show_toml(c, sections, n, out);
}

/*
 * `config example`: the documented file, from the rows alone.
 *
 * Table headers stand as they are, so that a key only loses its "# " to take effect; headers of templates
 * ("providers.<name>") are commented out, since their presence alone means something.
 */
#include <config/config_impl.h>

static const char *type_name(enum ccp_type type)
{
    static const char *const names[] = {
        [CCP_BOOL] = "true or false",
        [CCP_INT] = "integer",
        [CCP_DOUBLE] = "number",
        [CCP_SIZE] = "size",
        [CCP_DURATION] = "duration",
        [CCP_STRING] = "string",
        [CCP_ENUM] = "one of",
        [CCP_SECRET] = "secret",
        [CCP_LIST] = "strings",
        [CCP_MAP] = "table of strings",
        [CCP_TABLES] = "array of tables",
    };
    return names[type];
}

static void write_lines(struct ccp_buf *out, const char *prefix, const char *doc)
{
    struct ccp_span rest = ccp_span_z(doc);
    while (rest.n != 0) {
        size_t n = ccp_span_find(rest, '\n');
        buf_printf(out, "%s%.*s\n", prefix, (int)n, rest.p);
        rest = ccp_span_skip(rest, n + 1);
    }
}

/* A value that binds, for keys whose default is "absent". */
static void write_zero(struct ccp_buf *out, const struct ccp_config_row *row)
{
    char room[32];
    switch (row->type) {
    case CCP_BOOL:
        buf_addz(out, "false");
        return;
    case CCP_INT:
        buf_printf(out, "%lld", (long long)(row->min > 0 ? row->min : 0));
        return;
    case CCP_DOUBLE:
        buf_printf(out, "%lld.0", (long long)(row->min > 0 ? row->min : 0));
        return;
    case CCP_SIZE:
        buf_printf(out, "\"%.*s\"", CCP_FMT(units_show_size((uint64_t)row->min, room, sizeof(room))));
        return;
    case CCP_DURATION:
        buf_printf(out, "\"%.*s\"", CCP_FMT(units_show_duration((uint64_t)row->min, room, sizeof(room))));
        return;
    case CCP_ENUM:
        buf_printf(out, "\"%.*s\"", (int)strcspn(row->choices, "|"), row->choices);
        return;
    case CCP_LIST:
    case CCP_TABLES:
        buf_addz(out, "[]");
        return;
    case CCP_MAP:
        buf_addz(out, "{}");
        return;
    default:
        buf_addz(out, "\"\"");
    }
}

static void write_members(struct ccp_buf *out, const struct ccp_config_row *row)
{
    for (const struct ccp_config_row *m = row->rows; m != NULL && m->key != NULL; m++) {
        buf_printf(out, "#   %s (%s", m->key, type_name(m->type));
        if (m->type == CCP_ENUM)
            buf_printf(out, ": %s", m->choices);
        buf_printf(out, "%s)%s%s\n", (m->flags & CCP_ROW_REQUIRED) != 0 ? ", required" : "", m->doc != NULL ? ": " : "",
                   m->doc != NULL ? m->doc : "");
    }
}

static void write_row(struct ccp_buf *out, const struct ccp_config_row *row)
{
    write_lines(out, "# ", row->doc);
    write_members(out, row);
    buf_printf(out, "# %s = ", row->key);
    if (row->def != NULL)
        buf_addz(out, row->def);
    else
        write_zero(out, row);
    if (row->type == CCP_ENUM)
        buf_printf(out, "  # one of: %s", row->choices);
    else if (row->def == NULL)
        buf_addz(out, "  # not set by default");
    buf_addz(out, "\n");
}

static void write_header(struct ccp_buf *out, const char *path)
{
    if (path[0] == '\0')
        return;
    bool template = strchr(path, '<') != NULL;
    buf_addz(out, template ? "# [" : "[");
    for (const char *p = path; *p != '\0'; p++)
        if (*p != '<' && *p != '>')
            buf_add(out, ccp_span_of(p, 1));
    buf_addz(out, "]\n");
}

static void write_section(struct ccp_buf *out, const struct config_section *s)
{
    buf_addz(out, "\n");
    write_lines(out, "# ", s->doc);
    write_header(out, s->path);
    for (const struct ccp_config_row *row = s->rows; row != NULL && row->key != NULL; row++)
        write_row(out, row);
    for (const struct ccp_config_row *row = s->more; row != NULL && row->key != NULL; row++)
        write_row(out, row);
}

bool config_example(const struct config_section *sections, size_t n, struct ccp_buf *out)
{
    buf_addz(out,
             "# ccproxy configuration. Every key is shown with its default; remove the \"# \" in front to set it.\n"
             "# Environment variables win over this file (SERVER__PORT=9000 sets server.port), flags over both.\n");
    for (size_t i = 0; i < n; i++) /* top-level keys have to come before the first table */
        if (sections[i].path[0] == '\0')
            write_section(out, &sections[i]);
    for (size_t i = 0; i < n; i++)
        if (sections[i].path[0] != '\0')
            write_section(out, &sections[i]);
    return !out->failed;
}

/*
 * Sections of plugins: the rows that all of a kind share and the plugin's own, composed into one table.
 */
#include <plugin/runtime_impl.h>

static size_t count_rows(const struct ccp_config_row *rows)
{
    size_t n = 0;
    while (rows != NULL && rows[n].key != NULL)
        n++;
    return n;
}

/* Appends rows whose struct begins `shift` bytes into the target. */
static size_t append_rows(struct ccp_config_row *out, size_t at, const struct ccp_config_row *rows, size_t shift)
{
    for (size_t i = 0; rows != NULL && rows[i].key != NULL; i++) {
        out[at] = rows[i];
        out[at++].offset += shift;
    }
    return at;
}

/* The shared rows; where the provider has a default of its own, with that. */
static size_t append_shared_rows(struct ccp_config_row *out, size_t at, const struct ccp_provider *p, size_t shift)
{
    size_t end = append_rows(out, at, settings_provider_rows, shift);
    for (; at < end; at++)
        if (p->stream_only && strcmp(out[at].key, "stream_only") == 0)
            out[at].def = "true";
    return end;
}

/* base_url and api_key, whose defaults are the provider's. */
static size_t append_provider_rows(struct arena *a, struct ccp_config_row *out, const struct ccp_provider *p,
                                   size_t shift)
{
    size_t at = 0;
    if (p->transport == NULL)
        out[at++] = (struct ccp_config_row){
            .key = "base_url",
            .type = CCP_STRING,
            .offset = shift + offsetof(struct provider_settings, base_url),
            .def = p->base_url != NULL ? arena_printf(a, "\"%s\"", p->base_url).p : NULL,
            .flags = CCP_ROW_TRUSTED | CCP_ROW_URL,
            .doc = "in the form that vendor's SDK takes",
        };
    if (!p->keyless)
        out[at++] = (struct ccp_config_row){
            .key = "api_key",
            .type = CCP_SECRET,
            .offset = shift + offsetof(struct provider_settings, api_key),
            .def = p->api_key != NULL ? arena_printf(a, "\"%s\"", p->api_key).p : "\"\"",
        };
    return append_shared_rows(out, at, p, shift);
}

bool section_of_plugin(struct config *c, const char *path, const struct ccp_plugin *m, struct config_section *out)
{
    struct arena *a = config_arena(c);
    size_t shared = SWITCH_PART, own = shared + (m->provider != NULL ? PROVIDER_PART : 0);
    size_t most = count_rows(m->config) + count_rows(settings_provider_rows) + 16;
    struct ccp_config_row *rows = arena_zalloc(a, most * sizeof(*rows));
    void *target = arena_zalloc(a, own + m->config_size);
    if (rows == NULL || target == NULL)
        return false;
    size_t n = m->provider != NULL ? append_provider_rows(a, rows, m->provider, shared)
                                   : append_rows(rows, 0, settings_switch_rows, 0);
    if (m->provider == NULL && m->off)
        rows[0].def = "false"; /* settings_switch_rows: enabled */
    n = append_rows(rows, n, settings_plugin_rows, 0);
    if (m->tasks == NULL || m->tasks[0].name == NULL)
        rows[--n] = (struct ccp_config_row){.key = NULL}; /* `tasks`, the last of them */
    append_rows(rows, n, m->config, own);
    *out = (struct config_section){path, rows, NULL, target, m->summary};
    return true;
}

bool section_of_block(struct config *c, struct ccp_span name, struct config_section *out)
{
    struct arena *a = config_arena(c);
    struct ccp_span path = arena_printf(a, "providers.%.*s", CCP_FMT(name));
    void *target = arena_zalloc(a, sizeof(struct provider_settings));
    *out = (struct config_section){path.p, settings_block_rows, NULL, target, "A compatible upstream."};
    return path.p != NULL && target != NULL;
}

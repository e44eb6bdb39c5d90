/*
 * Are a plugin's settings rows sound? A row writes into memory at its offset, so each must lie inside its struct and
 * be aligned: the record may be wrong, the core writes nowhere else.
 */
#include <plugin/adopt_impl.h>
#include <plugin/describe_impl.h>
#include <plugin/runtime_impl.h>

enum { STRUCT_MAX = 1 << 20 };

#define ROW_TYPE(type, c) [type] = {sizeof(c), _Alignof(c)}
static const struct {
    size_t size, align;
} row_types[] = {
    ROW_TYPE(CCP_BOOL, bool),
    ROW_TYPE(CCP_INT, int64_t),
    ROW_TYPE(CCP_DOUBLE, double),
    ROW_TYPE(CCP_SIZE, uint64_t),
    ROW_TYPE(CCP_DURATION, uint64_t),
    ROW_TYPE(CCP_STRING, struct ccp_span),
    ROW_TYPE(CCP_ENUM, int),
    ROW_TYPE(CCP_SECRET, struct ccp_secret *),
    ROW_TYPE(CCP_LIST, struct ccp_list),
    ROW_TYPE(CCP_MAP, struct ccp_map),
    ROW_TYPE(CCP_TABLES, struct ccp_tables),
};

static bool key_ok(const char *key)
{
    size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return key[0] >= 'a' && key[0] <= 'z' && key[n] == '\0' && n <= 64;
}

/* Keys that every section of a plugin has. */
static bool shared_key(const struct ccp_plugin *m, const char *key)
{
    const struct ccp_config_row *sets[] = {settings_plugin_rows, settings_switch_rows,
                                           m->provider != NULL ? settings_provider_rows : NULL};
    for (size_t s = 0; s < 3; s++)
        for (const struct ccp_config_row *r = sets[s]; r != NULL && r->key != NULL; r++)
            if (strcmp(r->key, key) == 0)
                return true;
    return m->provider != NULL && (strcmp(key, "base_url") == 0 || strcmp(key, "api_key") == 0);
}

/* NULL, or what is wrong with a row by itself. */
static const char *fault_of(const struct ccp_config_row *r, size_t size)
{
    const unsigned known = CCP_ROW_SECRET_VALUES * 2 - 1;
    if (!key_ok(r->key))
        return "key: must be [a-z][a-z0-9_]*, at most 64";
    if ((unsigned)r->type > CCP_TABLES)
        return "type: is not known";
    if (r->offset > size || size - r->offset < row_types[r->type].size)
        return "offset: lies outside of the struct (config_size, row_size)";
    if (r->offset % row_types[r->type].align != 0 || size % row_types[r->type].align != 0)
        return "offset: is not aligned for its type";
    if ((r->flags & ~known) != 0)
        return "flags: are not known";
    if (r->min > r->max)
        return "min: is more than max";
    if (r->type == CCP_ENUM && (r->choices == NULL || r->choices[0] == '\0'))
        return "choices: are missing";
    if (r->type == CCP_TABLES && (r->rows == NULL || r->row_size == 0 || r->row_size > STRUCT_MAX))
        return "rows: are missing, or row_size is not that of a struct";
    return NULL;
}

static bool check_rows(const struct ccp_plugin *m, const struct ccp_config_row *rows, size_t size,
                       const struct place *up, char *why, size_t max)
{
    for (size_t i = 0; rows != NULL && rows[i].key != NULL; i++) {
        struct place here = {up, up == NULL ? "config" : "rows", i, 0};
        const char *wrong = fault_of(&rows[i], size);
        if (wrong != NULL)
            return place_say(&here, why, max, "\"%.64s\": %s", rows[i].key, wrong);
        if (up == NULL && shared_key(m, rows[i].key))
            return place_say(&here, why, max, "\"%s\": every such plugin has a key of that name", rows[i].key);
        for (size_t k = 0; k < i; k++)
            if (strcmp(rows[k].key, rows[i].key) == 0)
                return place_say(&here, why, max, "\"%s\": is there twice", rows[i].key);
        if (rows[i].type == CCP_TABLES && !check_rows(m, rows[i].rows, rows[i].row_size, &here, why, max))
            return false;
    }
    return true;
}

bool adopt_check_rows(const struct ccp_plugin *m, char *why, size_t max)
{
    if (m->config_size > STRUCT_MAX)
        return place_say(NULL, why, max, "config_size: is more than 1 MiB");
    return check_rows(m, m->config, m->config_size, NULL, why, max);
}

bool adopt_check_settings(const struct ccp_plugin *m, const char *empty, char *why, size_t max)
{
    struct config_section section;
    size_t n = 0;
    bool ok = false;
    struct config *c = config_load(&(struct config_source){.file = empty});
    snprintf(why, max, "out of memory");
    if (c != NULL && section_of_plugin(c, "plugins.it", m, &section)) {
        config_bind(c, &section);
        const struct config_fault *faults = config_faults(c, &n);
        size_t i = 0;
        while (i < n && faults[i].warning)
            i++;
        ok = i == n || place_say(NULL, why, max, "config: %.*s", CCP_FMT(faults[i].text));
    }
    config_unref(c);
    return ok;
}

/*
 * Flags of plugins beside those of the server: `--name VALUE` is plugins.<plugin>.<key> = VALUE.
 */
#include <app/plugin_commands.h>

#include <base/arena.h>

static size_t count_flags(const struct plugin_commands *all)
{
    size_t n = 0;
    for (size_t i = 0; all->rt != NULL && i < all->rt->plugin_count; i++)
        for (const struct ccp_flag *f = all->rt->plugins[i].manifest->flags; f != NULL && f->name != NULL; f++)
            n += all->rt->plugins[i].state != PLUGIN_FAILED;
    return n;
}

static bool secret(const struct ccp_plugin *m, const char *key)
{
    for (const struct ccp_config_row *row = m->config; row != NULL && row->key != NULL; row++)
        if (strcmp(row->key, key) == 0)
            return row->type == CCP_SECRET;
    return false;
}

static const char *kept(struct arena *memory, const char *text)
{
    return text != NULL ? arena_dup(memory, ccp_span_z(text)).p : NULL;
}

/* Texts are copies: the runtime they come from is gone when the arguments are used. */
static bool add_flag(struct arg_option *out, const struct plugin_instance *p, const struct ccp_flag *f,
                     struct arena *memory)
{
    *out = (struct arg_option){.name = kept(memory, f->name),
                               .kind = f->value == NULL              ? ARG_FLAG
                                       : secret(p->manifest, f->key) ? ARG_SECRET
                                                                     : ARG_VALUE,
                               .value = kept(memory, f->value),
                               .help = kept(memory, f->help),
                               .sets = arena_printf(memory, "%s.%s", p->path, f->key).p};
    return out->name != NULL && out->help != NULL && out->sets != NULL && (f->value == NULL || out->value != NULL);
}

const struct arg_option *const *plugin_flags_tables(const struct plugin_commands *all,
                                                    const struct arg_option *const *tables, struct arena *memory)
{
    size_t n = 0, at = 0;
    struct arg_option *own = arena_zalloc(memory, (count_flags(all) + 1) * sizeof(*own));
    while (tables[n] != NULL)
        n++;
    const struct arg_option **out = arena_zalloc(memory, (n + 2) * sizeof(struct arg_option *));
    if (own == NULL || out == NULL)
        return NULL;
    for (size_t i = 0; all->rt != NULL && i < all->rt->plugin_count; i++) {
        const struct plugin_instance *p = &all->rt->plugins[i];
        for (const struct ccp_flag *f = p->manifest->flags; p->state != PLUGIN_FAILED && f != NULL && f->name; f++)
            if (!add_flag(&own[at++], p, f, memory))
                return NULL;
    }
    memcpy(out, tables, n * sizeof(struct arg_option *));
    out[n] = own;
    return out;
}

void plugin_flags_help(const struct plugin_commands *all, FILE *out)
{
    struct arena memory;
    arena_init(&memory, NULL, 0);
    for (size_t i = 0; all->rt != NULL && i < all->rt->plugin_count; i++) {
        const struct plugin_instance *p = &all->rt->plugins[i];
        const struct ccp_flag *f = p->state != PLUGIN_FAILED ? p->manifest->flags : NULL;
        struct arg_option one[2] = {{.name = NULL}};
        const struct arg_option *const tables[] = {one, NULL};
        if (f != NULL && f->name != NULL)
            fprintf(out, "\nOptions of plugin %s:\n", p->manifest->name);
        for (; f != NULL && f->name != NULL; f++)
            if (add_flag(&one[0], p, f, &memory))
                args_print_help(tables, out);
    }
    arena_end(&memory);
}

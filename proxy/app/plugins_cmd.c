/*
 * ccproxy plugins list, order, dependencies and settings. They read manifests and settings; no plugin is opened, so no
 * credential is needed and nothing can fail but the configuration. `plugins show` is in plugins_show.c.
 */
#include <app/plugins.h>

#include <app/print.h>
#include <chain/chain.h>

static const struct arg_option *const options[] = {config_options, serve_options, json_options, help_options, NULL};

struct plugin_instance *plugins_find(struct runtime *rt, const char *name)
{
    struct plugin_instance *p = runtime_plugin(rt, ccp_span_z(name));
    if (p != NULL)
        return p;
    const char **names = arena_alloc(config_arena(rt->config), (rt->plugin_count + 1) * sizeof(*names));
    for (size_t i = 0; names != NULL && i < rt->plugin_count; i++)
        names[i] = rt->plugins[i].manifest->name;
    const char *nearest = names != NULL ? config_nearest(ccp_span_z(name), names, rt->plugin_count) : NULL;
    if (nearest != NULL)
        complain(EXIT_FAILED, "there is no plugin \"%.60s\" (did you mean \"%s\"?)", name, nearest);
    else
        complain(EXIT_FAILED, "there is no plugin \"%.60s\"; ccproxy plugins list names them", name);
    return NULL;
}

const char *plugins_kind(const struct ccp_plugin *m)
{
    return m->kind == CCP_PLUGIN_PROVIDER ? "provider" : "system";
}

const char *plugins_state(const struct plugin_instance *p)
{
    return p->state == PLUGIN_ACTIVE ? "active" : p->state == PLUGIN_DISABLED ? "disabled" : "failed";
}

static int list_json(const struct runtime *rt)
{
    json_t *all = json_array();
    for (size_t i = 0; i < rt->plugin_count; i++) {
        const struct ccp_plugin *m = rt->plugins[i].manifest;
        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", m->name, "type", plugins_kind(m), "status",
                                        plugins_state(&rt->plugins[i]), "version", m->version, "summary", m->summary));
    }
    return print_json(json_pack("{s:o, s:I}", "plugins", all, "total", (json_int_t)rt->plugin_count));
}

static int list(struct cli *cli)
{
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    int code = EXIT_OK;
    if (args_has(&cli->args, "json")) {
        code = list_json(rt);
    } else {
        printf("%-16s %-9s %-9s %-8s %s\n", "NAME", "TYPE", "STATUS", "VERSION", "SUMMARY");
        for (size_t i = 0; i < rt->plugin_count; i++) {
            const struct ccp_plugin *m = rt->plugins[i].manifest;
            printf("%-16s %-9s %-9s %-8s %s\n", m->name, plugins_kind(m), plugins_state(&rt->plugins[i]), m->version,
                   m->summary);
        }
    }
    runtime_unref(rt);
    return code;
}

static int settings(struct cli *cli)
{
    struct ccp_buf text;
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    struct plugin_instance *p = plugins_find(rt, cli->args.operands[0]);
    int code = EXIT_FAILED;
    buf_init(&text, 1u << 20);
    if (p != NULL) {
        struct config_section section = {p->path, p->rows, NULL, p->target, p->manifest->summary};
        if (config_show(rt->config, &section, 1, args_has(&cli->args, "json"), &text)) {
            fwrite(text.p, 1, text.n, stdout);
            code = EXIT_OK;
        } else {
            complain(code, "out of memory");
        }
    }
    buf_release(&text);
    runtime_unref(rt);
    return code;
}

static int order_json(const struct runtime *rt)
{
    json_t *chain = json_array();
    for (size_t i = 0; i < rt->chain_count; i++) {
        const struct middleware_entry *e = &rt->chain[i];
        json_array_append_new(chain, json_pack("{s:i, s:s, s:o}", "order", (int)e->m->layer + e->m->order, "name",
                                               e->m->name, "owner", json_span(e->owner)));
    }
    return print_json(json_pack("{s:o}", "middlewares", chain));
}

static int order(struct cli *cli)
{
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    int code = EXIT_OK;
    if (!runtime_plan(rt, chain_core())) {
        code = complain(EXIT_FAILED, "out of memory");
    } else if (args_has(&cli->args, "json")) {
        code = order_json(rt);
    } else {
        puts("a request enters from the top, the answer leaves to the top:");
        for (size_t i = 0; i < rt->chain_count; i++)
            printf("%4d  %-24s %.*s\n", (int)rt->chain[i].m->layer + rt->chain[i].m->order, rt->chain[i].m->name,
                   CCP_FMT(rt->chain[i].owner));
    }
    runtime_unref(rt);
    return code;
}

static json_t *list_of(const char *const *names)
{
    json_t *list = json_array();
    for (; names != NULL && *names != NULL; names++)
        json_array_append_new(list, json_string(*names));
    return list;
}

static json_t *dependencies_json(const struct ccp_plugin *m)
{
    json_t *provides = json_array();
    for (const struct ccp_service *s = m->provides; s != NULL && s->name != NULL; s++)
        json_array_append_new(provides, json_string(s->name));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "name", m->name, "needs", list_of(m->needs), "after",
                     list_of(m->after), "requires", list_of(m->requires), "uses", list_of(m->uses), "provides",
                     provides);
}

static void print_names(const char *what, const char *const *names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        printf("%s%s", i == 0 ? what : ", ", names[i]);
}

static void dependencies_text(const struct ccp_plugin *m)
{
    printf("%s", m->name);
    print_names(" needs ", m->needs);
    print_names(" after ", m->after);
    print_names(" requires ", m->requires);
    print_names(" uses ", m->uses);
    for (const struct ccp_service *s = m->provides; s != NULL && s->name != NULL; s++)
        printf("%s%s", s == m->provides ? " provides " : ", ", s->name);
    putchar('\n');
}

static int print_dependencies(struct runtime *rt, bool json)
{
    json_t *all = json_array();
    for (size_t i = 0; i < rt->open_count; i++) {
        const struct ccp_plugin *m = rt->plugins[rt->open_order[i]].manifest;
        if (json)
            json_array_append_new(all, dependencies_json(m));
        else
            dependencies_text(m);
    }
    if (json)
        return print_json(json_pack("{s:o}", "open_order", all));
    json_decref(all);
    return EXIT_OK;
}

static int dependencies(struct cli *cli)
{
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    int code = print_dependencies(rt, args_has(&cli->args, "json"));
    runtime_unref(rt);
    return code;
}

const struct command command_plugins_list = {.name = "plugins list",
                                             .operands = "",
                                             .summary = "all plugins and whether they run",
                                             .options = options,
                                             .run = list};

const struct command command_plugins_settings = {.name = "plugins settings",
                                                 .operands = "NAME",
                                                 .summary = "a plugin's settings and where each came from",
                                                 .options = options,
                                                 .least = 1,
                                                 .most = 1,
                                                 .run = settings};

const struct command command_plugins_order = {.name = "plugins order",
                                              .operands = "",
                                              .summary = "the middlewares around every request, in order",
                                              .options = options,
                                              .run = order};

const struct command command_plugins_dependencies = {.name = "plugins dependencies",
                                                     .operands = "",
                                                     .summary = "active plugins in the order they are opened",
                                                     .options = options,
                                                     .run = dependencies};

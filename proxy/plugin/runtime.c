/*
 * Building a runtime: bind, check, order, open; and taking it down in reverse. See runtime.h.
 */
#include <base/log.h>
#include <plugin/runtime_impl.h>
#include <upstream/upstream.h>

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

static bool listed(const struct ccp_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (ccp_span_is(list->v[i], name))
            return true;
    return false;
}

static bool plugin_enabled(struct runtime *rt, const struct ccp_plugin *m, const void *target)
{
    const struct top_settings *top = &rt->settings.top;
    struct ccp_span origin;
    bool own = m->provider != NULL ? ((const struct provider_settings *)target)->enabled
                                   : ((const struct plugin_switch *)target)->enabled;
    if (!own || listed(&top->disabled_plugins, m->name))
        return false;
    if (m->kind == CCP_PLUGIN_SYSTEM && !top->enable_plugins)
        return false;
    if (config_is_set(rt->config, "", "enabled_plugins", &origin))
        return listed(&top->enabled_plugins, m->name);
    return true;
}

static void check_lists(struct runtime *rt)
{
    const char *known[256];
    size_t n = 0;
    for (; n < rt->plugin_count && n < 256; n++)
        known[n] = rt->plugins[n].manifest->name;
    const struct ccp_list *lists[] = {&rt->settings.top.enabled_plugins, &rt->settings.top.disabled_plugins};
    static const char *const keys[] = {"enabled_plugins", "disabled_plugins"};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            if (runtime_plugin(rt, lists[k]->v[i]) != NULL)
                continue;
            const char *near = config_nearest(lists[k]->v[i], known, n);
            config_fault(rt->config, "", keys[k], k == 1, "there is no plugin \"%.*s\"%s%s%s", CCP_FMT(lists[k]->v[i]),
                         near != NULL ? " (did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?)" : "");
        }
}

static bool bind_plugins(struct runtime *rt)
{
    const struct ccp_plugin *const *all = registry_builtin();
    while (all[rt->plugin_count] != NULL)
        rt->plugin_count++;
    rt->plugins = arena_zalloc(arena_of(rt), (rt->plugin_count + 1) * sizeof(struct plugin_instance));
    if (rt->plugins == NULL)
        return false;
    for (size_t i = 0; i < rt->plugin_count; i++) {
        struct plugin_instance *p = &rt->plugins[i];
        struct config_section section;
        if (!section_of_plugin(rt->config, all[i], &section))
            return false;
        config_bind(rt->config, &section);
        size_t front = all[i]->provider != NULL ? PROVIDER_PART : SWITCH_PART;
        p->manifest = all[i];
        p->provider = -1;
        p->env.name = ccp_span_z(all[i]->name);
        p->env.config = (char *)section.target + front;
        p->state = plugin_enabled(rt, all[i], section.target) ? PLUGIN_ACTIVE : PLUGIN_DISABLED;
    }
    check_lists(rt);
    return true;
}

struct runtime *runtime_bind(struct config *c)
{
    struct runtime *rt = calloc(1, sizeof(*rt));
    struct config_section sections[16];
    if (rt == NULL) {
        config_unref(c);
        return NULL;
    }
    atomic_init(&rt->refs, 1);
    rt->config = c;
    size_t n = settings_sections(&rt->settings, sections);
    for (size_t i = 0; i < n; i++)
        config_bind(c, &sections[i]);
    settings_check(c, &rt->settings);
    if (!bind_plugins(rt) || !logins_bind(rt) || !providers_resolve(rt)) {
        runtime_unref(rt);
        return NULL;
    }
    logins_finish(rt);
    struct ccp_span name = rt->settings.routing.default_provider;
    if (name.n != 0 && runtime_provider(rt, name) == NULL && runtime_prefix(rt, name) == NULL)
        config_fault(c, "routing", "default_provider", false, "there is no provider \"%.*s\"", CCP_FMT(name));
    const struct model_mapping *maps = rt->settings.routing.model_mappings.v;
    for (size_t i = 0; i < rt->settings.routing.model_mappings.n; i++)
        if (maps[i].provider.n != 0 && runtime_provider(rt, maps[i].provider) == NULL &&
            runtime_prefix(rt, maps[i].provider) == NULL)
            config_fault(c, "routing", "model_mappings", false, "there is no provider \"%.*s\"",
                         CCP_FMT(maps[i].provider));
    config_finish(c);
    return rt;
}

static int compare_middleware(const void *a, const void *b)
{
    const struct middleware_entry *x = a, *y = b;
    int left = (int)x->m->layer + x->m->order, right = (int)y->m->layer + y->m->order;
    return left != right ? (left < right ? -1 : 1) : strcmp(x->m->name, y->m->name);
}

static int compare_hooks(const void *a, const void *b)
{
    const struct hook_entry *x = *(struct hook_entry *const *)a, *y = *(struct hook_entry *const *)b;
    if (x->h->order != y->h->order)
        return x->h->order < y->h->order ? -1 : 1;
    return strcmp(x->h->name, y->h->name);
}

static size_t count_all(struct runtime *rt, size_t (*count)(const struct ccp_plugin *))
{
    size_t n = 0;
    for (size_t i = 0; i < rt->plugin_count; i++)
        n += count(rt->plugins[i].manifest);
    return n;
}

static size_t count_middleware(const struct ccp_plugin *m)
{
    size_t n = 0;
    while (m->middleware != NULL && m->middleware[n].name != NULL)
        n++;
    return n;
}

static size_t count_hooks(const struct ccp_plugin *m)
{
    size_t n = 0;
    while (m->hooks != NULL && m->hooks[n].name != NULL)
        n++;
    return n;
}

static size_t count_routes(const struct ccp_plugin *m)
{
    size_t n = 0;
    while (m->routes != NULL && m->routes[n].method != NULL)
        n++;
    return n;
}

bool runtime_plan(struct runtime *rt, const struct runtime_core *core)
{
    size_t most = count_all(rt, count_middleware) + 16;
    rt->chain = arena_zalloc(arena_of(rt), most * sizeof(*rt->chain));
    if (rt->chain == NULL)
        return false;
    for (size_t i = 0; i < 16 && core->middlewares[i] != NULL; i++)
        rt->chain[rt->chain_count++] = (struct middleware_entry){core->middlewares[i], NULL, CCP_SPAN("core")};
    for (size_t i = 0; i < rt->plugin_count; i++) {
        struct plugin_instance *p = &rt->plugins[i];
        for (size_t k = 0; p->state == PLUGIN_ACTIVE && k < count_middleware(p->manifest); k++)
            rt->chain[rt->chain_count++] = (struct middleware_entry){&p->manifest->middleware[k], p->self, p->env.name};
    }
    qsort(rt->chain, rt->chain_count, sizeof(*rt->chain), compare_middleware);
    return true;
}

static bool build_hooks(struct runtime *rt)
{
    size_t total = count_all(rt, count_hooks), n = 0;
    struct hook_entry *entries = arena_zalloc(arena_of(rt), (total + 1) * sizeof(*entries));
    for (int e = 0; e < CCP_EVENT_COUNT; e++)
        if ((rt->hooks[e] = arena_zalloc(arena_of(rt), (total + 1) * sizeof(struct hook_entry *))) == NULL)
            return false;
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < rt->plugin_count; i++) {
        struct plugin_instance *p = &rt->plugins[i];
        for (size_t k = 0; p->state == PLUGIN_ACTIVE && k < count_hooks(p->manifest); k++) {
            struct hook_entry *entry = &entries[n++];
            entry->h = &p->manifest->hooks[k];
            entry->self = p->self;
            entry->owner = p->env.name;
            rt->heard |= entry->h->events;
            for (int e = 0; e < CCP_EVENT_COUNT; e++)
                if (entry->h->events & (1ull << e))
                    rt->hooks[e][rt->hook_count[e]++] = entry;
        }
    }
    for (int e = 0; e < CCP_EVENT_COUNT; e++)
        qsort(rt->hooks[e], rt->hook_count[e], sizeof(struct hook_entry *), compare_hooks);
    return true;
}

static bool build_routes(struct runtime *rt)
{
    rt->routes = arena_zalloc(arena_of(rt), (count_all(rt, count_routes) + 1) * sizeof(*rt->routes));
    for (size_t i = 0; rt->routes != NULL && i < rt->plugin_count; i++) {
        struct plugin_instance *p = &rt->plugins[i];
        for (size_t k = 0; p->state == PLUGIN_ACTIVE && k < count_routes(p->manifest); k++)
            rt->routes[rt->route_count++] = (struct route_entry){&p->manifest->routes[k], p->self, p->env.name};
    }
    return rt->routes != NULL;
}

/* A plugin that cannot open is reported and left out; the server runs without it. */
static void open_plugin(struct runtime *rt, struct plugin_instance *p, const struct runtime_core *core)
{
    const char *refused = abi_refusal(&p->manifest->abi);
    p->env.api = core->api;
    p->env.core = p;
    if (refused != NULL) {
        p->why = ccp_span_z(refused);
    } else if (p->manifest->open == NULL) {
        return;
    } else {
        p->why = CCP_SPAN("it did not say why");
        p->self = p->manifest->open(&p->env, &p->why);
        if (p->self != NULL)
            return;
    }
    p->state = PLUGIN_FAILED;
    log_error("plugin", "%s could not be opened: %.*s", p->manifest->name, CCP_FMT(p->why));
    if (p->provider >= 0) {
        rt->providers[p->provider].usable = false;
        rt->providers[p->provider].login = (struct auth_use){NULL};
        rt->providers[p->provider].unusable = p->why;
    }
}

static bool open_all(struct runtime *rt, const struct runtime_core *core, struct ccp_span *why)
{
    const struct ccp_plugin **active = arena_zalloc(arena_of(rt), (rt->plugin_count + 1) * sizeof(*active));
    size_t *index = arena_zalloc(arena_of(rt), (rt->plugin_count + 1) * sizeof(*index)), n = 0;
    rt->open_order = arena_zalloc(arena_of(rt), (rt->plugin_count + 1) * sizeof(size_t));
    if (active == NULL || index == NULL || rt->open_order == NULL)
        return false;
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (rt->plugins[i].state == PLUGIN_ACTIVE) {
            active[n] = rt->plugins[i].manifest;
            index[n++] = i;
        }
    const char *wrong = order_plugins(active, n, rt->open_order, arena_of(rt));
    if (wrong != NULL) {
        *why = ccp_span_z(wrong);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        rt->open_order[i] = index[rt->open_order[i]];
        struct plugin_instance *p = &rt->plugins[rt->open_order[i]];
        open_plugin(rt, p, core);
        rt->opened = i + 1;
        if (p->provider >= 0)
            rt->providers[p->provider].self = p->self;
    }
    return true;
}

static void detect_programs(struct runtime *rt)
{
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (rt->plugins[i].state == PLUGIN_ACTIVE && rt->plugins[i].manifest->program != NULL)
            rt->plugins[i].program = detect_program(arena_of(rt), rt->plugins[i].manifest->program, getenv("PATH"));
}

bool runtime_open(struct runtime *rt, const struct runtime_core *core, struct ccp_span *why)
{
    detect_programs(rt);
    *why = CCP_SPAN("out of memory");
    return providers_load_trust(rt, why) && logins_load_trust(rt, why) && open_all(rt, core, why) &&
           runtime_plan(rt, core) && build_hooks(rt) && build_routes(rt);
}

struct runtime *runtime_ref(struct runtime *rt)
{
    atomic_fetch_add_explicit(&rt->refs, 1, memory_order_relaxed);
    return rt;
}

void runtime_unref(struct runtime *rt)
{
    if (rt == NULL || atomic_fetch_sub_explicit(&rt->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (rt->opened != 0) {
        struct plugin_instance *p = &rt->plugins[rt->open_order[--rt->opened]];
        if (p->self != NULL && p->manifest->close != NULL)
            p->manifest->close(p->self);
    }
    for (size_t i = 0; i < rt->provider_count; i++)
        if (rt->providers[i].trust != NULL)
            trust_unref(rt->providers[i].trust);
    if (rt->trust != NULL)
        trust_unref(rt->trust);
    config_unref(rt->config);
    free(rt);
}

size_t runtime_sections(struct runtime *rt, struct config_section *out, size_t max)
{
    struct ccp_span names[64];
    size_t n = settings_sections(&rt->settings, out);
    for (size_t i = 0; i < rt->plugin_count && n < max; i++)
        if (section_of_plugin(rt->config, rt->plugins[i].manifest, &out[n]))
            out[n++].target = (char *)rt->plugins[i].env.config -
                              (rt->plugins[i].manifest->provider != NULL ? PROVIDER_PART : SWITCH_PART);
    size_t blocks = config_tables(rt->config, "providers", names, 64);
    for (size_t i = 0; i < blocks && n < max; i++)
        if (section_of_block(rt->config, names[i], &out[n])) {
            struct provider *p = runtime_provider(rt, names[i]);
            if (p != NULL)
                out[n++].target = &p->s;
        }
    for (size_t i = 0; i < rt->login_count && n < max; i++)
        out[n++] = (struct config_section){rt->logins[i].path, settings_oauth_rows, NULL,
                                           (void *)rt->logins[i].settings, "A login."};
    if (n < max) /* documents the keys of a block; bound to nothing */
        out[n++] = (struct config_section){"providers.<name>", settings_block_rows, NULL, NULL,
                                           "A compatible upstream without code: any name, served under /<name>."};
    if (n < max)
        out[n++] = (struct config_section){"oauth.<name>", settings_oauth_rows, NULL, NULL,
                                           "A login of your own, or other values for a built-in one."};
    return n;
}

struct provider *runtime_provider(struct runtime *rt, struct ccp_span id)
{
    for (size_t i = 0; i < rt->provider_count; i++)
        if (ccp_span_eq(rt->providers[i].id, id))
            return &rt->providers[i];
    return NULL;
}

struct provider *runtime_prefix(struct runtime *rt, struct ccp_span prefix)
{
    for (size_t i = 0; i < rt->provider_count; i++)
        if (ccp_span_eq(rt->providers[i].prefix, prefix))
            return &rt->providers[i];
    return NULL;
}

struct plugin_instance *runtime_plugin(struct runtime *rt, struct ccp_span name)
{
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (ccp_span_is(name, rt->plugins[i].manifest->name))
            return &rt->plugins[i];
    return NULL;
}

/*
 * Building a runtime: bind, check, order, open; and taking it down in reverse. See runtime.h.
 */
#include <base/assert.h>
#include <base/log.h>
#include <plugin/runtime_impl.h>
#include <upstream/upstream.h>

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

static void check_routing(struct runtime *rt)
{
    const struct routing_settings *routing = &rt->settings.routing;
    struct ccp_span name = routing->default_provider;
    if (name.n != 0 && runtime_provider(rt, name) == NULL && runtime_prefix(rt, name) == NULL)
        config_fault(rt->config, "routing", "default_provider", false, "there is no provider \"%.*s\"", CCP_FMT(name));
    const struct model_mapping *maps = routing->model_mappings.v;
    for (size_t i = 0; i < routing->model_mappings.n; i++)
        if (maps[i].provider.n != 0 && runtime_provider(rt, maps[i].provider) == NULL &&
            runtime_prefix(rt, maps[i].provider) == NULL)
            config_fault(rt->config, "routing", "model_mappings", false, "there is no provider \"%.*s\"",
                         CCP_FMT(maps[i].provider));
}

struct runtime *runtime_bind(struct config *c)
{
    return runtime_bind_with(c, NULL);
}

struct runtime *runtime_bind_with(struct config *c, const struct ccp_plugin *const *extra)
{
    struct runtime *rt = calloc(1, sizeof(*rt));
    struct config_section sections[16];
    if (rt == NULL) {
        config_unref(c);
        return NULL;
    }
    atomic_init(&rt->refs, 1);
    rt->config = c;
    rt->extra = extra;
    size_t n = settings_sections(&rt->settings, sections);
    for (size_t i = 0; i < n; i++)
        config_bind(c, &sections[i]);
    settings_check(c, &rt->settings);
    if (!plugins_bind(rt) || !logins_bind(rt) || !providers_resolve(rt)) {
        runtime_unref(rt);
        return NULL;
    }
    logins_finish(rt);
    plugins_check(rt);
    check_routing(rt);
    config_finish(c);
    return rt;
}

void provider_without_plugin(struct runtime *rt, struct provider *p, struct ccp_span why)
{
    p->usable = false;
    p->login = (struct auth_use){NULL};
    p->unusable = why;
}

static void detect_programs(struct runtime *rt)
{
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (rt->plugins[i].state == PLUGIN_ACTIVE && rt->plugins[i].manifest->program != NULL)
            rt->plugins[i].program = detect_program(arena_of(rt), rt->plugins[i].manifest->program, getenv("PATH"));
}

bool runtime_open(struct runtime *rt, const struct runtime_host *host, struct ccp_span *why)
{
    detect_programs(rt);
    *why = CCP_SPAN("out of memory");
    return providers_load_trust(rt, why) && logins_load_trust(rt, why) && plugins_open(rt, host, why) &&
           runtime_assemble(rt, host->core);
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
    for (size_t i = rt->open_count; i-- != 0;)
        unit_unref(rt->plugins[rt->open_order[i]].unit);
    for (size_t i = 0; i < rt->provider_count; i++)
        if (rt->providers[i].trust != NULL)
            trust_unref(rt->providers[i].trust);
    if (rt->trust != NULL)
        trust_unref(rt->trust);
    config_unref(rt->config);
    free(rt);
}

static bool of_plugin(const struct runtime *rt, size_t provider)
{
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (rt->plugins[i].provider == (int)provider)
            return true;
    return false;
}

/* [providers.*] tables of the configuration. */
static size_t block_sections(struct runtime *rt, struct config_section *out)
{
    size_t n = 0;
    for (size_t i = 0; i < rt->provider_count; i++) {
        struct provider *p = &rt->providers[i];
        if (!of_plugin(rt, i) && section_of_block(rt->config, p->id, &out[n]))
            out[n++].target = &p->s;
    }
    return n;
}

struct config_section *runtime_sections(struct runtime *rt, size_t *n)
{
    size_t most = 18 /* settings_sections and two more */ + rt->plugin_count + rt->provider_count + rt->login_count;
    struct config_section *out = arena_zalloc(config_arena(rt->config), most * sizeof(*out));
    if (out == NULL)
        return NULL;
    size_t at = settings_sections(&rt->settings, out);
    for (size_t i = 0; i < rt->plugin_count; i++) {
        struct plugin_instance *p = &rt->plugins[i];
        if (section_of_plugin(rt->config, p->path, p->manifest, &out[at]))
            out[at++].target = p->target;
    }
    at += block_sections(rt, out + at);
    for (size_t i = 0; i < rt->login_count; i++)
        out[at++] = (struct config_section){rt->logins[i].path, settings_oauth_rows, NULL,
                                            (void *)rt->logins[i].settings, "A login."};
    /* document the keys of a block; bound to nothing */
    out[at++] = (struct config_section){"providers.<name>", settings_block_rows, NULL, NULL,
                                        "A compatible upstream without code: any name, served under /<name>."};
    out[at++] = (struct config_section){"oauth.<name>", settings_oauth_rows, NULL, NULL,
                                        "A login of your own, or other values for a built-in one."};
    CCP_ASSERT(at <= most);
    *n = at;
    return out;
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

static bool answers_to(const struct ccp_plugin *m, struct ccp_span name)
{
    if (ccp_span_is(name, m->name))
        return true;
    for (size_t k = 0; m->aliases != NULL && m->aliases[k] != NULL; k++)
        if (ccp_span_is(name, m->aliases[k]))
            return true;
    return false;
}

struct plugin_instance *runtime_plugin(struct runtime *rt, struct ccp_span name)
{
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (answers_to(rt->plugins[i].manifest, name))
            return &rt->plugins[i];
    return NULL;
}

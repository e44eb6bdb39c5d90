/*
 * Opening the plugins of a runtime, in order: each is taken from the runtime before if nothing about it changed, else
 * opened anew. What cannot be opened is reported and left out, with what needs it, unless it is required.
 */
#include <plugin/runtime_impl.h>

#include <base/log.h>

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

/* -- what it needs -- */

static struct plugin_instance *provider_of_service(struct runtime *rt, const char *name)
{
    for (size_t i = 0; i < rt->plugin_count; i++)
        for (const struct ccp_service *s = rt->plugins[i].manifest->provides; s != NULL && s->name != NULL; s++)
            if (rt->plugins[i].state == PLUGIN_ACTIVE && strcmp(s->name, name) == 0)
                return &rt->plugins[i];
    return NULL;
}

struct needed {
    struct plugin_unit *units[64];
    size_t n;
    const struct plugin_instance *missing; /* one that failed to open meanwhile */
};

static void need(struct needed *out, const struct plugin_instance *p, bool must)
{
    if (p == NULL || p->unit == NULL) {
        if (must && out->missing == NULL)
            out->missing = p;
        return;
    }
    for (size_t i = 0; i < out->n; i++)
        if (out->units[i] == p->unit)
            return;
    if (out->n < sizeof(out->units) / sizeof(out->units[0]))
        out->units[out->n++] = p->unit;
}

static void gather(struct runtime *rt, const struct ccp_plugin *m, struct needed *out)
{
    *out = (struct needed){.n = 0};
    const char *const *plugins[] = {m->needs, m->after}, *const * services[] = {m->requires, m->uses};
    for (int must = 1; must >= 0; must--) {
        for (const char *const *s = plugins[1 - must]; s != NULL && *s != NULL; s++)
            need(out, runtime_plugin(rt, ccp_span_of(*s, strcspn(*s, " <>="))), must == 1);
        for (const char *const *s = services[1 - must]; s != NULL && *s != NULL; s++)
            need(out, provider_of_service(rt, *s), must == 1);
    }
}

/* -- taken over, or opened -- */

static bool same_settings(struct runtime *rt, const struct plugin_instance *p, const struct plugin_instance *before,
                          struct config *old)
{
    struct config_section section;
    if (strcmp(p->path, before->path) != 0 || !section_of_plugin(rt->config, p->path, p->manifest, &section))
        return false;
    for (const struct ccp_config_row *row = section.rows; row->key != NULL; row++)
        if (!config_same(old, rt->config, p->path, row->key))
            return false;
    return true;
}

static bool same_code(const struct plugin_instance *p, const struct plugin_instance *before)
{
    if (p->source == NULL || before->source == NULL)
        return p->source == before->source && strcmp(p->manifest->name, before->manifest->name) == 0;
    return strcmp(p->source->sha256, before->source->sha256) == 0;
}

static bool same_needs(const struct plugin_unit *u, const struct needed *needed)
{
    bool same = u->need_count == needed->n;
    for (size_t i = 0; same && i < needed->n; i++)
        same = u->needs[i] == needed->units[i];
    return same;
}

static struct plugin_unit *from_before(struct runtime *rt, const struct runtime_host *host,
                                       const struct plugin_instance *p, const struct needed *needed)
{
    struct ccp_span name = ccp_span_z(p->manifest->name);
    struct plugin_instance *before =
        host->previous != NULL ? runtime_plugin((struct runtime *)host->previous, name) : NULL;
    if (before == NULL || before->unit == NULL || ccp_span_eq(host->restart, name))
        return NULL;
    const struct limit_settings *a = &rt->settings.limits, *b = &host->previous->settings.limits;
    if (memcmp(a, b, sizeof(*a)) != 0 || !same_code(p, before) || !same_needs(before->unit, needed) ||
        !same_settings(rt, p, before, host->previous->config))
        return NULL;
    return unit_ref(before->unit);
}

/* As a command wants it: see enum runtime_purpose. */
static const struct ccp_plugin *for_command(struct runtime *rt, enum runtime_purpose purpose,
                                            const struct ccp_plugin *m)
{
    struct ccp_plugin *copy = arena_alloc(arena_of(rt), sizeof(*copy));
    if (copy == NULL)
        return NULL;
    *copy = *m;
    copy->tasks = NULL;
    if (purpose == RUNTIME_CODE) {
        copy->open = NULL;
        copy->close = NULL;
    }
    return copy;
}

static struct plugin_unit *open_new(struct runtime *rt, const struct runtime_host *host,
                                    const struct plugin_instance *p, const struct needed *needed, char *why, size_t max)
{
    const struct limit_settings *l = &rt->settings.limits;
    struct unit_options o = {.manifest = p->manifest,
                             .api = host->core->api,
                             .settings = p->settings,
                             .config = rt->config,
                             .executor = host->executor,
                             .needs = needed->units,
                             .need_count = needed->n,
                             .limits = {l->slow_call * 1000, (unsigned)l->failures, l->window * 1000}};
    const char *refused = abi_refusal(&p->manifest->abi);
    if (p->source != NULL && (o.object = object_load(p->source, &o.manifest, why, max)) == NULL)
        return NULL;
    if (refused != NULL) {
        snprintf(why, max, "%s", refused);
        object_unload(o.object);
        return NULL;
    }
    if (host->purpose != RUNTIME_SERVES && (o.manifest = for_command(rt, host->purpose, o.manifest)) == NULL) {
        snprintf(why, max, "out of memory");
        object_unload(o.object);
        return NULL;
    }
    struct plugin_unit *u = unit_open(&o, why, max);
    if (u == NULL || host->executor == NULL || executor_attach(host->executor, u, &p->switches->tasks))
        return u;
    snprintf(why, max, "its tasks cannot be started: out of memory");
    unit_unref(u);
    return NULL;
}

static bool fail(struct runtime *rt, struct plugin_instance *p, struct ccp_span text, struct ccp_span *why)
{
    p->state = PLUGIN_FAILED;
    p->why = text.p != NULL ? text : CCP_SPAN("out of memory");
    if (p->provider >= 0)
        provider_without_plugin(rt, &rt->providers[p->provider], p->why);
    log_error("plugin", "%s could not be opened: %.*s", p->manifest->name, CCP_FMT(p->why));
    if (!p->switches->required)
        return true;
    *why = arena_printf(arena_of(rt), "plugin %s is required, but could not be opened: %.*s", p->manifest->name,
                        CCP_FMT(p->why));
    return false;
}

/* False: it is required. */
static bool open_one(struct runtime *rt, const struct runtime_host *host, struct plugin_instance *p,
                     struct ccp_span *why)
{
    char text[512] = "";
    struct needed needed;
    gather(rt, p->manifest, &needed);
    if (needed.missing != NULL && host->purpose != RUNTIME_CODE)
        return fail(
            rt, p, arena_printf(arena_of(rt), "it needs %s, which could not be opened", needed.missing->manifest->name),
            why);
    p->unit = from_before(rt, host, p, &needed);
    if (p->unit == NULL)
        p->unit = open_new(rt, host, p, &needed, text, sizeof(text));
    if (p->unit == NULL)
        return fail(rt, p, arena_dup(arena_of(rt), ccp_span_z(text)), why);
    p->manifest = p->unit->manifest;
    if (p->provider >= 0) {
        rt->providers[p->provider].def = p->manifest->provider;
        rt->providers[p->provider].self = p->unit->self;
    }
    return true;
}

static void tell_failures(const struct runtime *rt, struct executor *executor)
{
    for (size_t i = 0; executor != NULL && i < rt->plugin_count; i++)
        if (rt->plugins[i].state == PLUGIN_FAILED)
            executor_plugin_event(executor, CCP_EVENT_PLUGIN_ERROR, rt->plugins[i].manifest->name, rt->plugins[i].why);
}

bool plugins_open(struct runtime *rt, const struct runtime_host *host, struct ccp_span *why)
{
    for (size_t i = 0; i < rt->open_count; i++)
        if (!open_one(rt, host, &rt->plugins[rt->open_order[i]], why))
            return false;
    tell_failures(rt, host->executor);
    return true;
}

/* -- one alone -- */

/* Marks what p needs, and itself. Depth is bounded: what can be opened is in no cycle. */
static void mark_needed(struct runtime *rt, const struct plugin_instance *p, bool *marks)
{
    if (p == NULL || p->state != PLUGIN_ACTIVE || marks[p - rt->plugins])
        return;
    const char *const *plugins[] = {p->manifest->needs, p->manifest->after};
    const char *const *services[] = {p->manifest->requires, p->manifest->uses};
    marks[p - rt->plugins] = true;
    for (int i = 0; i < 2; i++) {
        for (const char *const *s = plugins[i]; s != NULL && *s != NULL; s++)
            mark_needed(rt, runtime_plugin(rt, ccp_span_of(*s, strcspn(*s, " <>="))), marks);
        for (const char *const *s = services[i]; s != NULL && *s != NULL; s++)
            mark_needed(rt, provider_of_service(rt, *s), marks);
    }
}

bool runtime_open_only(struct runtime *rt, struct plugin_instance *p, const struct runtime_host *host,
                       struct ccp_span *why)
{
    bool *marks = arena_zalloc(arena_of(rt), (rt->plugin_count + 1) * sizeof(*marks));
    size_t kept = 0;
    if (marks == NULL) {
        *why = CCP_SPAN("out of memory");
        return false;
    }
    if (host->purpose == RUNTIME_CODE)
        marks[p - rt->plugins] = true;
    else
        mark_needed(rt, p, marks);
    for (size_t i = 0; i < rt->open_count; i++)
        if (marks[rt->open_order[i]])
            rt->open_order[kept++] = rt->open_order[i];
    rt->open_count = kept;
    if (!plugins_open(rt, host, why))
        return false;
    *why = p->why;
    return p->unit != NULL;
}

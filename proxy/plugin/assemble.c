/*
 * Chain, hooks and routes: what the plugins of a runtime declare, gathered and put in order.
 */
#include <plugin/runtime_impl.h>

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

static void *self_of(const struct plugin_instance *p)
{
    return p->unit != NULL ? p->unit->self : NULL;
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
    while (m->routes != NULL && m->routes[n].methods != NULL)
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
        rt->chain[rt->chain_count++] = (struct middleware_entry){core->middlewares[i], NULL, CCP_SPAN("core"), NULL};
    for (size_t i = 0; i < rt->plugin_count; i++) {
        struct plugin_instance *p = &rt->plugins[i];
        for (size_t k = 0; p->state == PLUGIN_ACTIVE && k < count_middleware(p->manifest); k++) {
            const struct ccp_middleware *m = &p->manifest->middleware[k];
            rt->reads_deltas = rt->reads_deltas || m->on_delta != NULL;
            rt->chain[rt->chain_count++] =
                (struct middleware_entry){m, self_of(p), ccp_span_z(p->manifest->name), p->unit};
        }
    }
    qsort(rt->chain, rt->chain_count, sizeof(*rt->chain), compare_middleware);
    return true;
}

static void add_hook(struct runtime *rt, struct hook_entry *entry)
{
    if (entry->h->on_event != NULL)
        rt->heard_in_line |= entry->h->events;
    if (entry->h->observe != NULL)
        rt->observed |= entry->h->events;
    rt->reads_usage = rt->reads_usage || (entry->h->flags & CCP_HOOK_USAGE) != 0;
    for (int e = 0; e < CCP_EVENT_COUNT; e++)
        if (entry->h->events & (1ull << e))
            rt->hooks[e][rt->hook_count[e]++] = entry;
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
            *entry = (struct hook_entry){&p->manifest->hooks[k], self_of(p), ccp_span_z(p->manifest->name), p->unit};
            add_hook(rt, entry);
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
            rt->routes[rt->route_count++] =
                (struct route_entry){&p->manifest->routes[k], self_of(p), ccp_span_z(p->manifest->name), p->unit};
    }
    return rt->routes != NULL;
}

bool runtime_assemble(struct runtime *rt, const struct runtime_core *core)
{
    return runtime_plan(rt, core) && build_hooks(rt) && build_routes(rt);
}

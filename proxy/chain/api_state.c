/*
 * What a plugin may keep with an exchange or ask about its route, and the services of other plugins.
 */
#include <chain/api_impl.h>

/* One pointer of one plugin. Few plugins keep one, so a list is searched. */
struct slot {
    struct slot *next;
    const struct plugin_unit *owner;
    void *value;
};

void **api_slot(struct ccp_exchange *pub, const struct ccp_plugin_env *env)
{
    struct exchange *x = exchange_of(pub);
    struct slot *s = x->slots;
    while (s != NULL && s->owner != unit_of(env))
        s = s->next;
    if (s == NULL && (s = arena_alloc(&x->arena, sizeof(*s))) != NULL) {
        *s = (struct slot){x->slots, unit_of(env), NULL};
        x->slots = s;
    }
    return s != NULL ? &s->value : NULL;
}

struct ccp_span api_route_rest(struct ccp_exchange *pub)
{
    return exchange_of(pub)->route.plugin_rest;
}

bool api_is_admin(struct ccp_exchange *pub)
{
    return exchange_of(pub)->admin;
}

struct ccp_span api_query_get(struct ccp_exchange *pub, struct ccp_span name)
{
    struct exchange *x = exchange_of(pub);
    struct ccp_span raw = url_query_get(x->query, name);
    return raw.p != NULL ? url_decode(&x->arena, raw) : raw;
}

static const void *find_service(const struct plugin_unit *provider, const char *name, void **self)
{
    for (const struct ccp_service *s = provider->manifest->provides; s != NULL && s->name != NULL; s++) {
        if (strcmp(s->name, name) != 0)
            continue;
        if (self != NULL)
            *self = provider->self;
        return s->functions;
    }
    return NULL;
}

static bool declared(const char *const *list, const char *name)
{
    for (; list != NULL && *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* Only what the manifest names: nothing else is sure to be closed later than the one who asks. */
const void *api_service(const struct ccp_plugin_env *env, const char *name, void **self)
{
    const struct plugin_unit *u = unit_of(env);
    const void *functions = NULL;
    if (!declared(u->manifest->requires, name) && !declared(u->manifest->uses, name))
        return NULL;
    for (size_t i = 0; functions == NULL && i < u->need_count; i++)
        functions = find_service(u->needs[i], name, self);
    return functions;
}

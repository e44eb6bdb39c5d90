/*
 * Which key decides whether a plugin runs, when it is not the one that was set. For people: the order is the one in
 * which they would look.
 */
#include <app/plugins.h>

static bool names(const struct ccp_list *list, const struct ccp_plugin *m)
{
    for (size_t i = 0; i < list->n; i++) {
        if (ccp_span_is(list->v[i], m->name))
            return true;
        for (size_t k = 0; m->aliases != NULL && m->aliases[k] != NULL; k++)
            if (ccp_span_is(list->v[i], m->aliases[k]))
                return true;
    }
    return false;
}

static bool own_key(struct runtime *rt, const struct plugin_instance *p)
{
    (void)rt;
    return p->provider_settings != NULL ? p->provider_settings->enabled : p->switches->enabled;
}

static bool say(struct runtime *rt, const char *path, const char *key, const char *what, char *why, size_t max)
{
    struct ccp_span origin;
    config_is_set(rt->config, path, key, &origin);
    snprintf(why, max, "nothing was changed: %s%s%s %s (%.*s)", path, path[0] != '\0' ? "." : "", key, what,
             CCP_FMT(origin));
    return true;
}

bool plugins_decided_otherwise(struct runtime *rt, const struct plugin_instance *p, bool on, char *why, size_t max)
{
    const struct top_settings *top = &rt->settings.top;
    if ((p->state != PLUGIN_DISABLED) == on)
        return false;
    if (own_key(rt, p) != on)
        return say(rt, p->path, "enabled", on ? "is false and outranks it" : "is true and outranks it", why, max);
    if (names(&top->disabled_plugins, p->manifest))
        return say(rt, "", "disabled_plugins", "names the plugin: take it out", why, max);
    if (p->manifest->kind == CCP_PLUGIN_SYSTEM && !top->enable_plugins)
        return say(rt, "", "enable_plugins", "is false: set it to true", why, max);
    return say(rt, "", "enabled_plugins", "does not name the plugin: add it", why, max);
}

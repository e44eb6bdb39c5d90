/*
 * Life of a unit: see unit.h.
 */
#include <plugin/discover.h>
#include <plugin/executor.h>
#include <plugin/unit.h>

#include <base/assert.h>
#include <base/fault.h>
#include <base/log.h>

#include <stdio.h>
#include <stdlib.h>

static void let_go(struct plugin_unit *u)
{
    for (size_t i = u->need_count; i-- != 0;)
        unit_unref(u->needs[i]);
    object_unload(u->object);
    config_unref(u->config);
    free(u->needs);
    free(u);
}

static bool take_needs(struct plugin_unit *u, const struct unit_options *o)
{
    u->needs = calloc(o->need_count + 1, sizeof(struct plugin_unit *));
    for (; u->needs != NULL && u->need_count < o->need_count; u->need_count++)
        u->needs[u->need_count] = unit_ref(o->needs[u->need_count]);
    return u->needs != NULL;
}

static struct plugin_unit *make(const struct unit_options *o)
{
    struct plugin_unit *u = CCP_FAULT("unit.open") ? NULL : calloc(1, sizeof(*u));
    if (u == NULL) {
        object_unload(o->object);
        return NULL;
    }
    *u = (struct plugin_unit){.manifest = o->manifest,
                              .object = o->object,
                              .config = config_ref(o->config),
                              .executor = o->executor,
                              .guard = {.limits = o->limits, .writing = ATOMIC_FLAG_INIT},
                              .opened_unix_us = clock_unix_us()};
    atomic_init(&u->refs, 1);
    u->env = (struct ccp_plugin_env){o->api, ccp_span_z(o->manifest->name), o->settings, u};
    if (take_needs(u, o))
        return u;
    let_go(u);
    return NULL;
}

/* `open` may have begun work before it failed, which holds the unit and its code: what did not run yet is left out. */
static void never_opened(struct plugin_unit *u)
{
    atomic_store(&u->guard.tripped, true);
    if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) == 1)
        let_go(u);
}

struct plugin_unit *unit_open(const struct unit_options *o, char *why, size_t max)
{
    struct ccp_span text = CCP_SPAN("it did not say why");
    struct plugin_unit *u = make(o);
    if (u == NULL) {
        snprintf(why, max, "out of memory");
        return NULL;
    }
    u->opened = u->manifest->open == NULL || (u->self = u->manifest->open(&u->env, &text)) != NULL;
    if (u->opened)
        return u;
    snprintf(why, max, "%.*s", CCP_FMT(text)); /* before its code goes away */
    never_opened(u);
    return NULL;
}

struct plugin_unit *unit_ref(struct plugin_unit *u)
{
    atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    return u;
}

bool unit_close(struct plugin_unit *u)
{
    if (u->executor != NULL && !executor_detach(u->executor, u)) {
        log_error("plugin", "%s is still busy: it stays in memory, unclosed", u->manifest->name);
        return false;
    }
    if (u->self != NULL && u->manifest->close != NULL) {
        if (u->executor == NULL)
            u->manifest->close(u->self);
        else if (!executor_call_close(u->executor, u))
            return false;
    }
    if (u->executor != NULL && u->opened)
        executor_plugin_event(u->executor, CCP_EVENT_PLUGIN_UNLOADED, u->manifest->name, CCP_SPAN(""));
    return true;
}

void unit_free(struct plugin_unit *u)
{
    let_go(u);
}

void unit_unref(struct plugin_unit *u)
{
    if (u == NULL || atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (u->executor != NULL && executor_close(u->executor, u))
        return;
    if (unit_close(u))
        unit_free(u);
}

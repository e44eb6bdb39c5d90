/*
 * A unit: one plugin that is open, with the settings it was opened with.
 *
 * Successive runtimes share it as long as nothing about the plugin changed, so a reload touches only the plugins that
 * it concerns. Counted; the last reference closes the plugin, unloads its object, and then lets go of the units it
 * needed. Everything but the guard is immutable once it is open.
 *
 * The guard isolates a plugin that is slow or fails: whoever calls into one measures the call and reports it here, and
 * does not call one that was tripped. A trip lasts until the plugin is restarted.
 */
#ifndef PLUGIN_UNIT_H
#define PLUGIN_UNIT_H

#include <base/clock.h>
#include <ccproxy/ccproxy.h>
#include <config/config.h>

#include <stdatomic.h>

struct executor;
struct shared_object;

struct guard_limits {
    uint64_t slow_us;  /* a call in line that takes longer counts as a failure; 0 = none is too long */
    unsigned failures; /* so many within the window trip it; 0 = never */
    uint64_t window_us;
};

struct plugin_guard {
    struct guard_limits limits;
    atomic_bool tripped; /* set last, after `reason` */
    char reason[240];
    atomic_flag writing;       /* whoever set it writes the reason */
    atomic_uint recent;        /* failures and slow calls in this window */
    atomic_ullong began_us;    /* of the window */
    atomic_ulong failed, slow; /* in all */
};

struct plugin_unit {
    atomic_uint refs;
    const struct ccp_plugin *manifest;
    struct shared_object *object; /* NULL = built in */
    struct ccp_plugin_env env;    /* env.core is the unit */
    void *self;
    struct config *config;      /* keeps what env.config points to */
    struct executor *executor;  /* NULL in commands that need none */
    struct plugin_unit **needs; /* references: they are closed after this one */
    size_t need_count;
    struct plugin_guard guard;
    uint64_t opened_unix_us;
    bool opened;              /* `open` did not fail */
    bool closed;              /* `close` returned, after the executor's stop; under its lock */
    struct unit_state *state; /* the executor's: tasks, calls under way */
};

struct unit_options {
    const struct ccp_plugin *manifest;
    struct shared_object *object; /* taken over, also on failure */
    const struct ccp_api *api;
    const void *settings;             /* the plugin's own struct */
    struct config *config;            /* referenced */
    struct executor *executor;        /* or NULL */
    struct plugin_unit *const *needs; /* referenced */
    size_t need_count;
    struct guard_limits limits;
};

/* Opens the plugin. NULL on failure, with a text in `why`. Main thread, or a command's. */
struct plugin_unit *unit_open(const struct unit_options *o, char *why, size_t max);
struct plugin_unit *unit_ref(struct plugin_unit *u);
/* Any thread, never waits while the executor runs: the last one has the unit closed there, else here. NULL is fine. */
void unit_unref(struct plugin_unit *u);
/* What the last reference does, in two steps, so that the second is no call into the plugin any more: waits until
 * nothing of it runs and calls its `close`. False: a call is stuck in it, so it stays as it is. */
bool unit_close(struct plugin_unit *u);
void unit_free(struct plugin_unit *u); /* unloads its object, lets go of what it needed */
static inline struct plugin_unit *unit_of(const struct ccp_plugin_env *env)
{
    return env->core;
}

/* May it be called? u NULL = the core's own code: always. */
static inline bool unit_callable(const struct plugin_unit *u)
{
    return u == NULL || !atomic_load_explicit(&u->guard.tripped, memory_order_relaxed);
}
/* Around a call in line: when it begins, and when it is over. `what` names it: "hook x", static or the manifest's. */
void guard_slow(struct plugin_unit *u, const char *what, uint64_t took_us);
static inline uint64_t guard_begin(const struct plugin_unit *u)
{
    return u != NULL && u->guard.limits.slow_us != 0 ? clock_coarse_us() : 0;
}
static inline void guard_end(struct plugin_unit *u, const char *what, uint64_t began_us)
{
    uint64_t took = began_us != 0 ? clock_coarse_us() - began_us : 0;
    if (u != NULL && took > u->guard.limits.slow_us)
        guard_slow(u, what, took);
}
/* A call failed; `why` is for people, may be empty. Any thread. */
void guard_failure(struct plugin_unit *u, const char *what, struct ccp_span why);
/* Trips it at once (a call that never returns). */
void guard_trip(struct plugin_unit *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Failed and slow calls of all plugins so far. */
uint64_t guard_failures(void);
/* Why it was tripped; empty = it was not. Lives as long as the unit. */
struct ccp_span guard_reason(const struct plugin_unit *u);

#endif

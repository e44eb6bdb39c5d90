/*
 * The guard of a unit: counts what goes wrong and trips when it is too much. See unit.h.
 *
 * Nothing is written while all is well, so workers do not share a cache line over it.
 */
#include <plugin/executor.h>
#include <plugin/unit.h>

#include <base/log.h>

#include <stdarg.h>
#include <stdio.h>

/* Over all plugins, since the process began: a figure for whoever watches; restarts of plugins do not reset it. */
static atomic_ullong all_failures;

uint64_t guard_failures(void)
{
    return atomic_load_explicit(&all_failures, memory_order_relaxed);
}

static void trip(struct plugin_unit *u, const char *fmt, va_list ap)
{
    struct plugin_guard *g = &u->guard;
    if (atomic_flag_test_and_set(&g->writing))
        return; /* another thread does */
    vsnprintf(g->reason, sizeof(g->reason), fmt, ap);
    atomic_store_explicit(&g->tripped, true, memory_order_release);
    log_error("plugin", "%s is disabled until it is restarted: %s", u->manifest->name, g->reason);
    if (u->executor != NULL)
        executor_plugin_event(u->executor, CCP_EVENT_PLUGIN_ERROR, u->manifest->name, ccp_span_z(g->reason));
}

void guard_trip(struct plugin_unit *u, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    trip(u, fmt, ap);
    va_end(ap);
}

/* One more in this window; how many there are now. Two threads that begin a window at once lose a count, no more. */
static unsigned count(struct plugin_guard *g)
{
    unsigned long long now = clock_us(), began = atomic_load(&g->began_us);
    if (began == 0 || now - began > g->limits.window_us) {
        atomic_store(&g->began_us, now);
        atomic_store(&g->recent, 0);
    }
    return atomic_fetch_add(&g->recent, 1) + 1;
}

static void judge(struct plugin_unit *u, const char *what, const char *last)
{
    struct plugin_guard *g = &u->guard;
    unsigned n = count(g);
    if (g->limits.failures != 0 && n >= g->limits.failures)
        guard_trip(u, "%u failures within %llu s; the last one: %s%s%s", n,
                   (unsigned long long)(g->limits.window_us / 1000000), what, last[0] != '\0' ? ": " : "", last);
}

void guard_slow(struct plugin_unit *u, const char *what, uint64_t took_us)
{
    char text[64];
    atomic_fetch_add_explicit(&all_failures, 1, memory_order_relaxed);
    unsigned long n = atomic_fetch_add(&u->guard.slow, 1) + 1;
    snprintf(text, sizeof(text), "took %llu ms", (unsigned long long)(took_us / 1000));
    if ((n & (n - 1)) == 0) /* 1, 2, 4, ...: it cannot flood the log */
        log_warn("plugin", "%s: %s %s in line; so far %lu calls were slow", u->manifest->name, what, text, n);
    judge(u, what, text);
}

void guard_failure(struct plugin_unit *u, const char *what, struct ccp_span why)
{
    char text[120];
    if (u == NULL)
        return;
    unsigned long n = atomic_fetch_add(&u->guard.failed, 1) + 1;
    atomic_fetch_add_explicit(&all_failures, 1, memory_order_relaxed);
    text[log_escape(text, sizeof(text) - 1, why, false)] = '\0';
    if ((n & (n - 1)) == 0)
        log_warn("plugin", "%s: %s failed%s%s; so far %lu times", u->manifest->name, what, why.n != 0 ? ": " : "", text,
                 n);
    judge(u, what, text);
}

struct ccp_span guard_reason(const struct plugin_unit *u)
{
    if (u == NULL || !atomic_load_explicit(&u->guard.tripped, memory_order_acquire))
        return (struct ccp_span){"", 0};
    return ccp_span_z(u->guard.reason);
}

/*
 * A runtime with hooks and units made by hand, for tests of the executor: see support_executor.h.
 */
#include "support_executor.h"

#include <time.h>

void test_runtime_init(struct test_runtime *t)
{
    memset((void *)t, 0, sizeof(*t));
    atomic_init(&t->rt.refs, 1000000);
}

void test_runtime_hook(struct test_runtime *t, const struct ccp_hook *h, void *self, struct plugin_unit *u)
{
    t->entries[t->n] = (struct hook_entry){.h = h, .self = self, .unit = u};
    t->order[t->n] = &t->entries[t->n];
    t->n++;
    if (h->observe != NULL)
        t->rt.observed |= h->events;
    if (h->on_event != NULL)
        t->rt.heard_in_line |= h->events;
    for (int e = 0; e < CCP_EVENT_COUNT; e++) {
        t->rt.hooks[e] = t->order; /* all of them: the executor asks each what it wants */
        t->rt.hook_count[e] = t->n;
    }
}

static struct plugin_unit *make(struct executor *e, const struct ccp_plugin *m, const struct ccp_map *intervals,
                                unsigned failures)
{
    char why[200];
    struct config *c = config_load(&(struct config_source){.file = "/dev/null"});
    struct unit_options o = {.manifest = m, .config = c, .executor = e, .limits = {0, failures, 60000000}};
    struct plugin_unit *u = unit_open(&o, why, sizeof(why));
    config_unref(c);
    if (u != NULL && !executor_attach(e, u, intervals)) {
        unit_unref(u);
        return NULL;
    }
    return u;
}

struct plugin_unit *test_unit(struct executor *e, const struct ccp_plugin *m, const struct ccp_map *intervals)
{
    return make(e, m, intervals, 1000);
}

struct plugin_unit *test_unit_weak(struct executor *e, const struct ccp_plugin *m, unsigned failures)
{
    return make(e, m, NULL, failures);
}

void test_sleep_ms(uint64_t ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

bool test_until(bool (*check)(void *arg), void *arg, uint64_t ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end; test_sleep_ms(2))
        if (check(arg))
            return true;
    return check(arg);
}

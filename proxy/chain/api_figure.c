/*
 * Figures of the core, by name:
 *
 * | name               | what                                                                  |
 * | memory.used        | bytes that requests hold (base/budget.h)                              |
 * | memory.limit       | what they may hold together                                           |
 * | requests.in_flight | requests and streams that are being served, on all workers            |
 * | log.dropped        | lines of the log that were lost                                       |
 * | events.published   | events queued for observers since the start                           |
 * | events.dropped     | those that found the queue full                                       |
 * | events.waiting     | those in the queue                                                    |
 * | work.done          | pieces of off-loop work that ended                                    |
 * | work.refused       | those that were not taken                                             |
 * | work.stuck         | calls into plugins that did not return in time                        |
 * | plugins.failed     | plugins that could not be opened or are disabled for their errors     |
 * | plugins.failures   | calls into plugins that failed or took too long, since the start       |
 * | uptime.seconds     | since the server started                                              |
 */
#include <chain/api_impl.h>

#include <base/budget.h>
#include <base/log.h>

static uint64_t plugins_failed(struct executor *e)
{
    struct runtime *rt = executor_runtime(e);
    uint64_t n = 0;
    for (size_t i = 0; rt != NULL && i < rt->plugin_count; i++)
        n += rt->plugins[i].state == PLUGIN_FAILED || !unit_callable(rt->plugins[i].unit);
    runtime_unref(rt);
    return n;
}

static bool of_process(const char *name, uint64_t *out)
{
    if (strcmp(name, "memory.used") == 0)
        *out = budget_used();
    else if (strcmp(name, "memory.limit") == 0)
        *out = budget_limit();
    else if (strcmp(name, "log.dropped") == 0)
        *out = log_dropped();
    else if (strcmp(name, "plugins.failures") == 0)
        *out = guard_failures();
    else
        return false;
    return true;
}

static bool of_executor(struct executor *e, const char *name, uint64_t *out)
{
    struct executor_figures f = executor_figures(e);
    const struct {
        const char *name;
        uint64_t value;
    } table[] = {
        {"events.published", f.published},
        {"events.dropped", f.dropped},
        {"events.waiting", f.waiting},
        {"work.done", f.work_done},
        {"work.refused", f.work_refused},
        {"work.stuck", f.stuck},
        {"requests.in_flight", executor_in_flight(e)},
        {"uptime.seconds", executor_uptime_ms(e) / 1000},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].name, name) == 0) {
            *out = table[i].value;
            return true;
        }
    return false;
}

bool api_figure(const struct ccp_plugin_env *env, const char *name, uint64_t *out)
{
    struct executor *e = unit_of(env)->executor;
    *out = 0;
    if (of_process(name, out))
        return true;
    if (e == NULL)
        return false;
    if (strcmp(name, "plugins.failed") == 0) {
        *out = plugins_failed(e);
        return true;
    }
    return of_executor(e, name, out);
}

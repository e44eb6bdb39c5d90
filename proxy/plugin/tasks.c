/*
 * The setting `tasks` of a plugin: which of its tasks run, and how often. Wrong ones are faults of the configuration.
 */
#include <plugin/executor.h>
#include <plugin/runtime_impl.h>

enum { LEAST_MS = 10 };

static const struct ccp_header *setting_of(const char *name, const struct ccp_map *settings)
{
    for (size_t i = 0; settings != NULL && i < settings->n; i++)
        if (ccp_span_is(settings->v[i].name, name))
            return &settings->v[i];
    return NULL;
}

const char *task_interval(const struct ccp_task *task, const struct ccp_map *settings, uint64_t *ms)
{
    const struct ccp_header *set = setting_of(task->name, settings);
    *ms = task->off ? 0 : task->interval_ms;
    if (set == NULL)
        return NULL;
    if (ccp_span_is(set->value, "off"))
        *ms = 0;
    else if (ccp_span_is(set->value, "on")) {
        *ms = task->interval_ms;
        return *ms != 0 ? NULL : "has no interval of its own: write one, such as \"5m\"";
    } else if (config_duration(set->value, ms) != NULL)
        return "expected \"on\", \"off\" or an interval such as \"30s\", \"5m\" or \"1h\"";
    else if (*ms < LEAST_MS || *ms > TASK_MOST_MS)
        return "an interval is at least 10ms and at most 8784h";
    return NULL;
}

/* Faults stand at `tasks` of the plugin's section. */
void tasks_check(struct runtime *rt, const struct plugin_instance *p)
{
    const struct ccp_task *tasks = p->manifest->tasks;
    const struct ccp_map *set = &p->switches->tasks;
    const char *known[64];
    uint64_t ms;
    size_t n = 0;
    for (; tasks != NULL && tasks[n].name != NULL && n < 64; n++) {
        const char *wrong = task_interval(&tasks[n], set, &ms);
        known[n] = tasks[n].name;
        if (wrong != NULL)
            config_fault(rt->config, p->path, "tasks", false, "%s: %s", tasks[n].name, wrong);
    }
    for (size_t i = 0; tasks != NULL && i < set->n; i++) {
        bool found = false;
        for (size_t k = 0; k < n; k++)
            found = found || ccp_span_is(set->v[i].name, known[k]);
        const char *near = found ? NULL : config_nearest(set->v[i].name, known, n);
        if (!found)
            config_fault(rt->config, p->path, "tasks", false, "%s has no task \"%.*s\"%s%s%s", p->manifest->name,
                         CCP_FMT(set->v[i].name), near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                         near != NULL ? "\"?)" : "");
    }
}

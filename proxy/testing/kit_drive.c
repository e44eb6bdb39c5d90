/*
 * Asking an open test and driving what does not come from a client: tasks, events, the log, cases.
 */
#include <testing/case_judge.h>
#include <testing/kit_impl.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct plugin_unit *unit(struct ccp_test *t)
{
    return runtime_plugin(t->runtime, ccp_span_z(t->plugin->name))->unit;
}

void *ccp_test_self(struct ccp_test *t)
{
    struct plugin_unit *u = unit(t);
    return u != NULL ? u->self : NULL;
}

enum ccp_health ccp_test_check(struct ccp_test *t, struct ccp_span *why)
{
    struct plugin_unit *u = unit(t);
    struct ccp_span text = CCP_SPAN("");
    enum ccp_health health =
        u != NULL && u->manifest->check != NULL ? u->manifest->check(u->self, &text) : CCP_HEALTH_PASS;
    if (why != NULL)
        *why = text;
    return health;
}

bool ccp_test_run_task(struct ccp_test *t, const char *name, struct ccp_span *why)
{
    struct plugin_unit *u = unit(t);
    struct ccp_span text = CCP_SPAN("");
    const struct ccp_task *task = u != NULL ? u->manifest->tasks : NULL;
    while (task != NULL && task->name != NULL && strcmp(task->name, name) != 0)
        task++;
    if (task == NULL || task->name == NULL) {
        ccp_test_fail("ccp_test_run_task", 0, "%s has no task \"%s\"", t->plugin->name, name);
        return false;
    }
    bool fine = task->run(u->self, &text);
    if (why != NULL)
        *why = kit_keep(t, text);
    kit_quiet(t);
    return fine;
}

void ccp_test_flush_events(struct ccp_test *t)
{
    uint64_t began = kit_real_us();
    for (;;) {
        struct executor_figures f = executor_figures(t->executor);
        if (f.waiting == 0 && f.delivered + f.dropped >= f.published)
            return;
        if (kit_real_us() - began > KIT_PATIENCE) {
            ccp_test_fail("ccp_test_flush_events", 0, "%llu events are still waiting", (unsigned long long)f.waiting);
            return;
        }
        kit_turn(t);
        usleep(200);
    }
}

void ccp_test_say(struct ccp_test *t, enum ccp_event event, const struct ccp_moment *moment)
{
    chain_announce(t->runtime, t->executor, event, moment);
}

struct ccp_span ccp_test_events(struct ccp_test *t)
{
    pthread_mutex_lock(&t->lock);
    struct ccp_span now = buf_span(&t->events);
    char *copy = kit_alloc(now.n + 1);
    if (now.n != 0)
        memcpy(copy, now.p, now.n);
    now = (struct ccp_span){copy, now.n};
    pthread_mutex_unlock(&t->lock);
    struct ccp_span kept = kit_keep(t, now);
    free(copy);
    return kept;
}

struct ccp_span ccp_test_log(struct ccp_test *t)
{
    off_t size = lseek(t->log, 0, SEEK_END);
    char *copy = kit_alloc(size > 0 ? (size_t)size + 1 : 1);
    ssize_t n = size > 0 ? pread(t->log, copy, (size_t)size, 0) : 0;
    struct ccp_span kept = kit_keep(t, ccp_span_of(copy, n > 0 ? (size_t)n : 0));
    free(copy);
    return kept;
}

size_t ccp_test_cases(struct ccp_test *t, const char *folder)
{
    const struct ccp_plugin *const extra[] = {t->plugin, NULL};
    char pattern[4096], text[4000];
    glob_t found = {0};
    snprintf(pattern, sizeof(pattern), "%s/*.case", folder);
    glob(pattern, 0, NULL, &found);
    if (found.gl_pathc == 0)
        ccp_test_fail("ccp_test_cases", 0, "there is no %s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (!case_judge_file(found.gl_pathv[i], folder, extra, text, sizeof(text)))
            ccp_test_fail(found.gl_pathv[i], 1, "%s", text);
        else
            ccp_test_expect(found.gl_pathv[i], 1, true, "");
    size_t n = found.gl_pathc;
    globfree(&found);
    kit_clock_resume(); /* cases have a clock of their own */
    return n;
}

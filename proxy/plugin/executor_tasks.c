/*
 * Tasks: when each is due, one run, what came of it. Intervals count from the end of a run; after failures they
 * double up to the task's own maximum. Only the monotonic clock is asked, so a wall clock that jumps moves nothing.
 */
#include <plugin/executor_impl.h>

#include <base/log.h>

#include <stdlib.h>
#include <sys/random.h>

/* -- when -- */

static uint64_t jitter(const struct ccp_task *task)
{
    uint64_t random = 0;
    if (task->jitter_ms == 0 || getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        return 0;
    return random % (task->jitter_ms + 1);
}

static uint64_t interval_now(const struct unit_task *task)
{
    uint64_t ms = task->interval_ms, max = task->task->backoff_max_ms;
    if (max <= ms)
        return ms;
    for (unsigned i = 0; i < task->failed_in_a_row && ms < max; i++)
        ms *= 2;
    return ms < max ? ms : max;
}

static void due_in(struct unit_task *task, uint64_t ms)
{
    task->due_ms = clock_ms() + ms + jitter(task->task);
}

static bool ready(const struct unit_task *task)
{
    return task->on && !task->running && !task->item.queued;
}

uint64_t tasks_due(struct executor *e, uint64_t now_ms)
{
    uint64_t next = UINT64_MAX;
    for (struct unit_state *s = e->units; s != NULL && !e->stopping; s = s->next) {
        bool dead = atomic_load(&s->gone) || !unit_callable(s->unit);
        for (size_t i = 0; i < s->task_count && !dead; i++) {
            struct unit_task *task = &s->tasks[i];
            if (!ready(task))
                continue;
            if (task->due_ms <= now_ms && pool_push(e, &task->item))
                continue;
            uint64_t in = task->due_ms > now_ms ? task->due_ms - now_ms : 1000; /* no thread: later */
            next = in < next ? in : next;
        }
    }
    return next;
}

/* -- one run -- */

static void settle(struct unit_task *task, bool ok, struct ccp_span why)
{
    task->running = false;
    task->ok = ok;
    task->runs++;
    task->last_ms = clock_ms() - task->began_ms;
    task->failed_in_a_row = ok ? 0 : task->failed_in_a_row + 1;
    if (!ok) {
        task->failures++;
        task->why[log_escape(task->why, sizeof(task->why) - 1, why, false)] = '\0';
    }
    due_in(task, interval_now(task));
}

void task_begin(struct unit_task *task)
{
    task->running = true;
    task->began_ms = clock_ms();
    task->last_unix_us = clock_unix_us();
}

void task_run(struct executor_thread *t, struct unit_task *task)
{
    struct executor *e = t->e;
    struct plugin_unit *u = task->item.unit;
    struct ccp_span why = {"", 0};
    char text[sizeof(task->why)] = "";
    bool ok = true, skip = atomic_load(&u->state->gone) || !unit_callable(u);
    if (!skip)
        ok = task->task->run(u->self, &why);
    if (!ok) /* copied while the unit is surely there */
        text[log_escape(text, sizeof(text) - 1, why, false)] = '\0';
    if (!ok && !call_stuck(t))
        guard_failure(u, task->what, ccp_span_z(text));
    pthread_mutex_lock(&e->lock);
    settle(task, ok, ccp_span_z(text));
    keeper_tell(e);
    pthread_mutex_unlock(&e->lock);
    call_end(t);
}

/* -- of a unit -- */

bool tasks_make(struct unit_state *s, const struct ccp_map *intervals)
{
    const struct ccp_task *tasks = s->unit->manifest->tasks;
    size_t n = 0;
    while (tasks != NULL && tasks[n].name != NULL)
        n++;
    s->tasks = calloc(n + 1, sizeof(*s->tasks));
    if (s->tasks == NULL)
        return false;
    for (; s->task_count < n; s->task_count++) {
        struct unit_task *task = &s->tasks[s->task_count];
        task->task = &tasks[s->task_count];
        task->ok = true;
        task->on = task_interval(task->task, intervals, &task->interval_ms) == NULL && task->interval_ms != 0;
        snprintf(task->what, sizeof(task->what), "task %s", task->task->name);
        task->item = (struct pool_item){.kind = ITEM_TASK, .unit = s->unit, .what = task->what};
        due_in(task, task->task->first_ms != 0 ? task->task->first_ms : task->interval_ms);
    }
    return true;
}

static uint64_t unix_of(uint64_t due_ms)
{
    uint64_t now = clock_ms();
    return clock_unix_us() + (due_ms > now ? due_ms - now : 0) * 1000;
}

size_t executor_tasks(struct executor *e, const struct plugin_unit *u, struct task_report *out, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&e->lock);
    for (; u->state != NULL && n < u->state->task_count && n < max; n++) {
        const struct unit_task *task = &u->state->tasks[n];
        bool waits = ready(task) && unit_callable(u);
        out[n] = (struct task_report){.task = task->task,
                                      .on = task->on,
                                      .running = task->running,
                                      .ok = task->ok,
                                      .runs = task->runs,
                                      .failures = task->failures,
                                      .interval_ms = task->interval_ms,
                                      .last_ms = task->last_ms,
                                      .last_unix_us = task->last_unix_us,
                                      .next_unix_us = waits ? unix_of(task->due_ms) : 0};
        memcpy(out[n].why, task->why, sizeof(out[n].why));
    }
    pthread_mutex_unlock(&e->lock);
    return n;
}

/*
 * Life of the executor: its threads begin and end, its runtime changes. Also the keeper, the thread that waits for
 * what time brings: tasks that are due, calls that do not return, threads that ended.
 *
 * The keeper looks around every quarter of the time after which a call is stuck, a second at most, while anything
 * runs; when nothing did for ten rounds it sleeps until the next task is due or until it is told.
 */
#include <plugin/executor_impl.h>

#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>

#include <stdlib.h>

/* -- made and freed -- */

static bool make_locks(struct executor *e)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    bool ok = pthread_mutex_init(&e->lock, NULL) == 0;
    ok = pthread_cond_init(&e->keeper_cond, &monotonic) == 0 && ok;
    ok = pthread_cond_init(&e->pool_cond, &monotonic) == 0 && ok;
    ok = pthread_cond_init(&e->changed_cond, &monotonic) == 0 && ok;
    pthread_condattr_destroy(&monotonic);
    return ok;
}

struct executor *executor_new(const struct executor_port *port)
{
    struct executor *e = CCP_FAULT("executor.new") ? NULL : aligned_alloc(64, sizeof(*e));
    if (e == NULL)
        return NULL;
    memset((void *)e, 0, sizeof(*e));
    if (!make_locks(e)) {
        free(e);
        return NULL;
    }
    e->port = *port;
    e->stuck_ms = port->stuck_ms != 0 ? port->stuck_ms : 10000;
    e->idle_ms = POOL_IDLE_MS;
    e->began_ms = clock_ms();
    atomic_init(&e->ends_ms, UINT64_MAX);
    e->last = &e->first;
    event_queue_init(&e->queue);
    return e;
}

void executor_free(struct executor *e)
{
    if (e == NULL)
        return;
    pthread_mutex_lock(&e->lock);
    threads_reap(e);
    bool alone = e->threads == NULL && !e->abandoned;
    pthread_mutex_unlock(&e->lock);
    if (!alone)
        return; /* a thread that is stuck in a plugin still points here */
    event_queue_drain(&e->queue);
    pthread_cond_destroy(&e->changed_cond);
    pthread_cond_destroy(&e->pool_cond);
    pthread_cond_destroy(&e->keeper_cond);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* -- the keeper -- */

void executor_wait(struct executor *e, pthread_cond_t *cond, uint64_t ms)
{
    struct timespec until;
    if (ms == UINT64_MAX) {
        pthread_cond_wait(cond, &e->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + (ms % 1000) * 1000000;
    until.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(cond, &e->lock, &until);
}

void keeper_tell(struct executor *e)
{
    atomic_store(&e->deep, false);
    pthread_cond_signal(&e->keeper_cond);
}

static bool anything_runs(struct executor *e)
{
    return e->pool_n != e->pool_idle || e->stuck_n != 0 || atomic_load(&e->queue.asleep) == 0;
}

/* How long it may sleep beside its tasks. */
static uint64_t round_ms(struct executor *e, unsigned *quiet)
{
    uint64_t tick = e->stuck_ms / 4;
    *quiet = anything_runs(e) ? 0 : *quiet + 1;
    atomic_store(&e->deep, *quiet > 10);
    if (*quiet > 10 && !anything_runs(e)) /* asked again: the hooks' thread asks `deep` after it woke */
        return UINT64_MAX;
    atomic_store(&e->deep, false);
    return tick < 20 ? 20 : tick > 1000 ? 1000 : tick;
}

static void *keep(void *arg)
{
    struct executor *e = arg;
    unsigned quiet = 0;
    pthread_mutex_lock(&e->lock);
    while (!e->keeper_quits) {
        uint64_t now = clock_ms(), due = tasks_due(e, now);
        calls_judge(e, now, e->stuck_ms);
        threads_reap(e);
        uint64_t round = round_ms(e, &quiet);
        executor_wait(e, &e->keeper_cond, due < round ? due : round);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* -- started and stopped -- */

bool executor_start(struct executor *e)
{
    pthread_mutex_lock(&e->lock);
    e->keeper_runs = !CCP_FAULT("executor.start") && pthread_create(&e->keeper, NULL, keep, e) == 0;
    e->started = e->keeper_runs && thread_start(e, THREAD_HOOKS, hooks_run) != NULL;
    if (e->keeper_runs)
        pthread_setname_np(e->keeper, "plugin-keeper");
    bool ok = e->started;
    pthread_mutex_unlock(&e->lock);
    return ok;
}

static bool hooks_alive(const struct executor *e)
{
    for (const struct executor_thread *t = e->threads; t != NULL; t = t->next)
        if (t->role == THREAD_HOOKS && !t->ended && !t->stuck)
            return true;
    return false;
}

static bool pool_busy(const struct executor *e)
{
    return e->pool_n != e->pool_idle || e->item_n != 0;
}

static bool pool_alive(const struct executor *e)
{
    return e->pool_n != 0;
}

static void wait_while(struct executor *e, bool (*still)(const struct executor *e), uint64_t until_ms)
{
    for (uint64_t now; still(e) && (now = clock_ms()) < until_ms;)
        executor_wait(e, &e->changed_cond, until_ms - now < 50 ? until_ms - now : 50);
}

static void drop_tasks(struct executor *e)
{
    for (struct unit_state *s = e->units; s != NULL; s = s->next)
        for (size_t i = 0; i < s->task_count; i++)
            if (s->tasks[i].item.queued)
                pool_remove(e, &s->tasks[i].item);
}

static void stop_keeper(struct executor *e)
{
    bool runs = e->keeper_runs;
    e->keeper_quits = true;
    e->keeper_runs = false;
    keeper_tell(e);
    pthread_mutex_unlock(&e->lock);
    if (runs)
        pthread_join(e->keeper, NULL);
    pthread_mutex_lock(&e->lock);
}

/* Calls that still run are given up; nobody takes their place. */
static void end_threads(struct executor *e)
{
    e->stopped = true; /* what comes back late finds no workers */
    e->pool_quits = true;
    atomic_store(&e->hooks_quit, 2);
    pthread_cond_broadcast(&e->pool_cond);
    event_queue_wake(&e->queue);
    calls_judge(e, UINT64_MAX >> 8, 0);
    while (hooks_alive(e) || pool_alive(e)) { /* they are between calls: in code of the core */
        executor_wait(e, &e->changed_cond, 20);
        calls_judge(e, UINT64_MAX >> 8, 0);
    }
    threads_reap(e);
}

/* What never began. On the main thread, without the lock. */
static void end_items(struct executor *e)
{
    for (struct pool_item *item; (item = executor_pool_take(e)) != NULL;) {
        pthread_mutex_unlock(&e->lock);
        if (item->kind == ITEM_WORK)
            work_abandon(item);
        else if (item->kind == ITEM_CLOSE && unit_close(item->unit))
            unit_free(item->unit);
        pthread_mutex_lock(&e->lock);
    }
}

void executor_stop(struct executor *e, uint64_t ms)
{
    uint64_t until = clock_ms() + ms;
    struct runtime *old[2];
    if (e == NULL || e->stopped)
        return;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    atomic_store(&e->ends_ms, until - ms / 3);
    drop_tasks(e);
    atomic_fetch_add(&e->waiters, 1);
    if (e->started)
        wait_while(e, pool_busy, until);
    atomic_store(&e->hooks_quit, 1);
    event_queue_wake(&e->queue);
    wait_while(e, hooks_alive, until);
    stop_keeper(e);
    atomic_store(&e->closed, true);
    end_threads(e);
    end_items(e);
    old[0] = e->rt;
    old[1] = e->delivery.rt;
    e->rt = e->delivery.rt = NULL;
    atomic_store(&e->hears, 0);
    event_unref(e->delivery.event);
    e->delivery.event = NULL;
    pthread_mutex_unlock(&e->lock);
    runtime_unref(old[0]);
    runtime_unref(old[1]);
}

/* -- its runtime -- */

void executor_set_runtime(struct executor *e, struct runtime *rt)
{
    pthread_mutex_lock(&e->lock);
    struct runtime *old = e->rt;
    e->rt = rt != NULL && !e->stopped ? runtime_ref(rt) : NULL;
    atomic_store(&e->hears, rt != NULL ? rt->observed | rt->heard_in_line : 0);
    atomic_fetch_add(&e->generation, 1);
    pthread_mutex_unlock(&e->lock);
    event_queue_wake(&e->queue); /* it lets go of the old one */
    runtime_unref(old);
}

struct runtime *executor_runtime(struct executor *e)
{
    pthread_mutex_lock(&e->lock);
    struct runtime *rt = e->rt != NULL ? runtime_ref(e->rt) : NULL;
    pthread_mutex_unlock(&e->lock);
    return rt;
}

/*
 * Units and the executor: their tasks begin with them; closing waits until nothing of them runs here.
 *
 * The last reference to a unit may go on any thread: a worker's, that must not wait, or one of the executor's own, that
 * would wait for itself. While the executor runs, the unit is therefore closed on a thread of the pool; a close that
 * does not return is given up like any other call.
 */
#include <plugin/executor_impl.h>

#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>

#include <stdlib.h>

bool executor_attach(struct executor *e, struct plugin_unit *u, const struct ccp_map *intervals)
{
    struct unit_state *s = CCP_FAULT("executor.attach") ? NULL : calloc(1, sizeof(*s));
    if (s == NULL)
        return false;
    *s = (struct unit_state){.unit = u, .closing = {.kind = ITEM_CLOSE, .unit = u, .what = "close"}};
    if (!tasks_make(s, intervals)) {
        free(s);
        return false;
    }
    pthread_mutex_lock(&e->lock);
    s->next = e->units;
    e->units = s;
    u->state = s;
    keeper_tell(e);
    pthread_mutex_unlock(&e->lock);
    executor_plugin_event(e, CCP_EVENT_PLUGIN_LOADED, u->manifest->name, ccp_span_z(u->manifest->version));
    return true;
}

/* -- detaching -- */

static bool work_waits(const struct executor *e, const struct plugin_unit *u)
{
    for (const struct pool_item *i = e->first; i != NULL; i = i->next)
        if (i->unit == u && i->kind == ITEM_WORK)
            return true;
    return false;
}

static void forget(struct executor *e, struct unit_state *s)
{
    struct unit_state **at = &e->units;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
}

static void take_back(struct executor *e, struct unit_state *s)
{
    atomic_store(&s->gone, true);
    for (size_t i = 0; i < s->task_count; i++)
        if (s->tasks[i].item.queued)
            pool_remove(e, &s->tasks[i].item);
}

bool executor_detach(struct executor *e, struct plugin_unit *u)
{
    struct unit_state *s = u->state;
    if (s == NULL)
        return true;
    pthread_mutex_lock(&e->lock);
    take_back(e, s);
    atomic_fetch_add(&e->waiters, 1);
    while (calls_of(e, u, false) || (work_waits(e, u) && !e->stopped))
        executor_wait(e, &e->changed_cond, 100);
    atomic_fetch_sub(&e->waiters, 1);
    s->orphan = calls_of(e, u, true);
    bool gone = !s->orphan;
    if (gone)
        forget(e, s);
    pthread_mutex_unlock(&e->lock);
    if (gone) {
        u->state = NULL;
        free(s->tasks);
        free(s);
    }
    return gone;
}

/* -- closing -- */

static bool push_closing(struct executor *e, struct unit_state *s)
{
    return e->started && !e->stopping && pool_push(e, &s->closing);
}

bool executor_close(struct executor *e, struct plugin_unit *u)
{
    if (u->state == NULL)
        return false;
    pthread_mutex_lock(&e->lock);
    bool taken = push_closing(e, u->state);
    pthread_mutex_unlock(&e->lock);
    return taken;
}

static void *close_alone(void *arg)
{
    struct plugin_unit *u = arg;
    struct executor *e = u->executor;
    u->manifest->close(u->self);
    pthread_mutex_lock(&e->lock);
    u->closed = true;
    pthread_cond_broadcast(&e->changed_cond);
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

static bool closed_within(struct executor *e, const struct plugin_unit *u, uint64_t ms)
{
    uint64_t until = clock_ms() + ms;
    pthread_mutex_lock(&e->lock);
    for (uint64_t now; !u->closed && (now = clock_ms()) < until;)
        executor_wait(e, &e->changed_cond, until - now);
    bool closed = u->closed;
    e->abandoned = e->abandoned || !closed;
    pthread_mutex_unlock(&e->lock);
    return closed;
}

bool executor_call_close(struct executor *e, struct plugin_unit *u)
{
    pthread_t thread;
    uint64_t ms = e->stuck_ms < CLOSE_MS ? e->stuck_ms : CLOSE_MS;
    pthread_mutex_lock(&e->lock);
    bool stopped = e->stopped;
    pthread_mutex_unlock(&e->lock);
    if (!stopped || CCP_FAULT("executor.close") || pthread_create(&thread, NULL, close_alone, u) != 0) {
        u->manifest->close(u->self);
        return true;
    }
    if (closed_within(e, u, ms)) {
        pthread_join(thread, NULL);
        return true;
    }
    log_error("plugin", "%s: close did not return for %llu ms: the server ends without it", u->manifest->name,
              (unsigned long long)ms);
    pthread_detach(thread);
    return false;
}

void unit_close_run(struct executor_thread *t, struct pool_item *item)
{
    struct executor *e = t->e;
    struct plugin_unit *u = item->unit;
    bool closed = unit_close(u);
    if (!call_end(t)) { /* the keeper has read the unit's name when it lets go of the lock */
        pthread_mutex_lock(&e->lock);
        pthread_mutex_unlock(&e->lock);
    }
    if (closed)
        unit_free(u);
}

void unit_came_back(struct executor *e, struct plugin_unit *u)
{
    if (u == NULL)
        return;
    for (struct unit_state *s = e->units; s != NULL; s = s->next)
        if (s->unit == u && s->orphan && !calls_of(e, u, true)) {
            s->orphan = false;
            push_closing(e, s);
            return;
        }
}

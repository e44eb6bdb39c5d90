/*
 * The threads for tasks, off-loop work and closing: up to four, made when something waits, ended when idle.
 */
#include <plugin/executor_impl.h>

#include <base/log.h>

static bool grow(struct executor *e)
{
    if (e->pool_n >= POOL_THREADS || thread_start(e, THREAD_POOL, pool_run) == NULL)
        return false;
    e->pool_n++;
    return true;
}

bool pool_push(struct executor *e, struct pool_item *item)
{
    if (e->item_n + 1 > e->pool_idle && !grow(e) && e->pool_n == 0)
        return false;
    item->next = NULL;
    item->queued = true;
    *e->last = item;
    e->last = &item->next;
    e->item_n++;
    e->work_n += item->kind == ITEM_WORK;
    pthread_cond_signal(&e->pool_cond);
    return true;
}

bool pool_remove(struct executor *e, struct pool_item *item)
{
    for (struct pool_item **at = &e->first; *at != NULL; at = &(*at)->next) {
        if (*at != item)
            continue;
        *at = item->next;
        if (e->last == &item->next)
            e->last = at;
        item->queued = false;
        e->item_n--;
        e->work_n -= item->kind == ITEM_WORK;
        return true;
    }
    return false;
}

struct pool_item *executor_pool_take(struct executor *e)
{
    struct pool_item *item = e->first;
    if (item != NULL)
        pool_remove(e, item);
    return item;
}

void pool_replace(struct executor *e)
{
    if (!e->stopped && e->item_n > e->pool_idle && !grow(e) && e->pool_n == 0)
        log_error("plugin", "tasks and work of plugins wait: no thread can be made for them");
}

/* Waits for an item for as long as a thread may be idle. */
static struct pool_item *wait_for_item(struct executor *e)
{
    uint64_t until = clock_ms() + e->idle_ms;
    while (e->first == NULL && !e->pool_quits) {
        uint64_t now = clock_ms();
        if (now >= until)
            return NULL;
        e->pool_idle++;
        executor_wait(e, &e->pool_cond, until - now);
        e->pool_idle--;
    }
    return e->pool_quits ? NULL : executor_pool_take(e);
}

void *pool_run(void *thread)
{
    static void (*const run[])(struct executor_thread * t, struct pool_item * item) = {
        [ITEM_TASK] = (void (*)(struct executor_thread *, struct pool_item *))task_run,
        [ITEM_WORK] = (void (*)(struct executor_thread *, struct pool_item *))work_run,
        [ITEM_CLOSE] = unit_close_run,
    };
    struct executor_thread *t = thread;
    struct executor *e = t->e;
    struct pool_item *item;
    pthread_mutex_lock(&e->lock);
    while (!t->stuck && (item = wait_for_item(e)) != NULL) {
        t->work = item->kind == ITEM_WORK ? item : NULL;
        call_begin(t, item->unit, item->what);
        if (item->kind == ITEM_TASK)
            task_begin((struct unit_task *)item);
        if (atomic_load(&e->deep))
            keeper_tell(e);
        pthread_mutex_unlock(&e->lock);
        run[item->kind](t, item);
        pthread_mutex_lock(&e->lock);
    }
    struct plugin_unit *u = t->stuck ? atomic_load(&t->unit) : NULL;
    thread_ended(t);
    unit_came_back(e, u);
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/*
 * The executor's threads, and the call into a plugin that each is in: entered, taken back, or given up.
 *
 * A thread's word `call` is 0, or when the call began with CALL_RUNS. The thread takes its own word back; the keeper
 * may exchange it for the same one with CALL_STUCK. One of the two succeeds, so both know how it ended.
 */
#include <plugin/executor_impl.h>

#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>

#include <signal.h>
#include <stdlib.h>

enum { CALL_RUNS = 1, CALL_STUCK = 2, CALL_SHIFT = 2 };
#define STACK_BYTES ((size_t)1 << 20)

/* Which thread of an executor this is; NULL elsewhere. For calls made from inside of calls. */
static _Thread_local struct executor_thread *current;

/* -- threads -- */

struct start {
    struct executor_thread *t;
    void *(*run)(void *thread);
};

static void *enter(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    current = s.t;
    return s.run(s.t);
}

/* Signals are the main thread's. */
static bool create(pthread_t *id, void *(*run)(void *arg), void *arg)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = !CCP_FAULT("executor.thread") && pthread_create(id, &attributes, run, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return ok;
}

static bool may_start(struct executor *e)
{
    if (e->stuck_n < STUCK_THREADS)
        return true;
    if (!e->exhausted)
        log_error("plugin", "%zu calls into plugins do not return: no thread takes their place any more", e->stuck_n);
    e->exhausted = true;
    return false;
}

struct executor_thread *thread_start(struct executor *e, enum thread_role role, void *(*run)(void *thread))
{
    struct executor_thread *t = may_start(e) ? calloc(1, sizeof(*t)) : NULL;
    struct start *s = t != NULL ? malloc(sizeof(*s)) : NULL;
    if (s != NULL) {
        *t = (struct executor_thread){.next = e->threads, .e = e, .role = role};
        *s = (struct start){t, run};
        if (create(&t->id, enter, s)) {
            pthread_setname_np(t->id, role == THREAD_HOOKS ? "hooks" : "plugin-work");
            return e->threads = t;
        }
    }
    free(s);
    free(t);
    return NULL;
}

void thread_ended(struct executor_thread *t)
{
    struct executor *e = t->e;
    t->ended = true;
    if (t->stuck)
        e->stuck_n--;
    else if (t->role == THREAD_POOL)
        e->pool_n--;
    pthread_cond_broadcast(&e->changed_cond);
}

void threads_reap(struct executor *e)
{
    for (struct executor_thread **at = &e->threads; *at != NULL;) {
        struct executor_thread *t = *at;
        if (!t->ended) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        pthread_join(t->id, NULL); /* it is past its last use of the lock */
        free(t);
    }
}

/* -- calls -- */

void call_begin(struct executor_thread *t, struct plugin_unit *u, const char *what)
{
    t->what = what;
    t->lent_ms = 0;
    atomic_store(&t->unit, u);
    atomic_store(&t->call, (unsigned long long)clock_ms() << CALL_SHIFT | CALL_RUNS);
}

bool call_end(struct executor_thread *t)
{
    struct executor *e = t->e;
    unsigned long long word = atomic_load(&t->call);
    if ((word & CALL_STUCK) != 0 || !atomic_compare_exchange_strong(&t->call, &word, 0))
        return false;
    if (atomic_load(&e->waiters) != 0) {
        pthread_mutex_lock(&e->lock);
        pthread_cond_broadcast(&e->changed_cond);
        pthread_mutex_unlock(&e->lock);
    }
    return true;
}

bool call_stuck(const struct executor_thread *t)
{
    return (atomic_load(&t->call) & CALL_STUCK) != 0;
}

bool calls_of(struct executor *e, const struct plugin_unit *u, bool stuck)
{
    for (const struct executor_thread *t = e->threads; t != NULL; t = t->next)
        if (t != current && !t->ended && atomic_load(&t->unit) == u && atomic_load(&t->call) != 0 &&
            call_stuck(t) == stuck)
            return true;
    return false;
}

static void give_up(struct executor *e, struct executor_thread *t, uint64_t ms)
{
    struct plugin_unit *u = atomic_load(&t->unit);
    const char *hook = t->role == THREAD_HOOKS ? "hook " : "";
    t->stuck = true;
    e->stuck_n++;
    atomic_fetch_add(&e->stuck, 1);
    if (t->event != NULL)
        atomic_fetch_add(&t->event->refs, 1); /* one of the two is the stuck call's */
    if (u != NULL && e->stopped)
        log_warn("plugin", "%s: %s%s did not end before the server did", u->manifest->name, hook, t->what);
    else if (u != NULL)
        guard_trip(u, "%s%s did not return for %llu %s", hook, t->what,
                   (unsigned long long)(ms >= 1000 ? ms / 1000 : ms), ms >= 1000 ? "s" : "ms");
    if (t->work != NULL)
        work_lost(e, t->work);
    if (t->role == THREAD_HOOKS)
        hooks_replace(e);
    else {
        e->pool_n--;
        pool_replace(e);
    }
    pthread_cond_broadcast(&e->changed_cond);
}

void calls_judge(struct executor *e, uint64_t now_ms, uint64_t stuck_ms)
{
    for (struct executor_thread *t = e->threads; t != NULL; t = t->next) {
        unsigned long long word = atomic_load(&t->call);
        uint64_t began = word >> CALL_SHIFT;
        if (t->stuck || word == 0 || began > now_ms || now_ms - began < stuck_ms)
            continue;
        if (atomic_compare_exchange_strong(&t->call, &word, word | CALL_STUCK))
            give_up(e, t, stuck_ms);
    }
}

/* The beginning is moved into the future while the core waits, and back to where the plugin's own time stood. */
void executor_lend(uint64_t ms)
{
    struct executor_thread *t = current;
    uint64_t now = clock_ms();
    if (t == NULL || t->role == THREAD_HOOKS)
        return;
    unsigned long long word = atomic_load(&t->call);
    if (word == 0 || (word & CALL_STUCK) != 0)
        return;
    uint64_t began = word >> CALL_SHIFT;
    if (ms != 0) {
        t->lent_ms = now - began; /* what it used so far */
        began = now + ms;
    } else
        began = now - t->lent_ms;
    atomic_compare_exchange_strong(&t->call, &word, (unsigned long long)began << CALL_SHIFT | CALL_RUNS);
}

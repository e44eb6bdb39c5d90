/*
 * Inside of the executor: what its files share.
 *
 * Locks: one mutex, `lock`, for threads, the pool's items, tasks, units and the current runtime; nothing of a plugin
 * is called while it is held. The queue of events needs none. A call into a plugin is entered in its thread's record,
 * where it ends in one of two ways, decided by one compare-and-swap: the thread takes it back (it returned), or the
 * keeper marks it stuck. Who was marked touches nothing but its own record and its own piece of work any more.
 */
#ifndef PLUGIN_EXECUTOR_IMPL_H
#define PLUGIN_EXECUTOR_IMPL_H

#include <plugin/executor.h>
#include <plugin/runtime.h>

#include <pthread.h>

enum {
    POOL_THREADS = 4,
    POOL_ITEMS = 1000, /* pieces of work that may wait */
    POOL_IDLE_MS = 10000,
    CLOSE_MS = 10000,   /* of one plugin's close when the process ends; less if calls are stuck sooner */
    STUCK_THREADS = 16, /* so many may be stuck; then none is replaced any more */
    EVENTS_MAX = 8192,
    EVENT_BYTES_MAX = 16 * 1024 * 1024,
    EVENT_BODY_MAX = 64 * 1024,
    WORKERS_MAX = 256,
};

/* -- executor_event.c: the copy of an event, one block of memory -- */
struct event {
    _Atomic(struct event *) next;
    atomic_uint refs; /* the queue's, then the hooks' thread's; one more for a call that is stuck with it */
    size_t bytes;     /* of the block */
    bool in_line_too;
    uint64_t dropped; /* when it was queued, in all */
    struct ccp_event_info info;
    struct ccp_moment moment;
    struct ccp_summary summary;
};
struct event *event_copy(const struct ccp_event_info *info); /* NULL: no memory */
void event_unref(struct event *event);

/* -- executor_queue.c: many producers, one consumer (Vyukov's intrusive queue) -- */
struct event_queue {
    _Alignas(64) _Atomic(struct event *) head; /* producers */
    _Alignas(64) atomic_size_t waiting;
    atomic_size_t bytes;
    atomic_ullong dropped, complained_ms;
    _Alignas(64) struct event *tail; /* the consumer's, as is the rest */
    atomic_ullong taken;
    uint64_t gap;
    struct event stub;
    atomic_uint asleep; /* futex: 1 = the consumer sleeps or is about to */
};
void event_queue_init(struct event_queue *q);
bool event_queue_push(struct event_queue *q, struct event *event); /* false: full; the event is dropped and counted */
struct event *event_queue_pop(struct event_queue *q);              /* NULL: empty */
bool event_queue_empty(struct event_queue *q);                     /* the consumer's view */
void event_queue_sleep(struct event_queue *q, bool (*awake)(void *arg), void *arg); /* unless awake() or not empty */
void event_queue_wake(struct event_queue *q);
void event_queue_drain(struct event_queue *q); /* when nobody uses it any more */

/* -- executor_call.c: threads and what they are in -- */
enum thread_role { THREAD_HOOKS, THREAD_POOL };
struct pool_item;
struct executor_thread {
    struct executor_thread *next;
    struct executor *e;
    pthread_t id;
    enum thread_role role;
    bool ended; /* it may be joined */
    bool stuck; /* it was given up */
    atomic_ullong call;
    _Atomic(struct plugin_unit *) unit;
    const char *what;       /* of the call: the hook's name, "task refresh", "work" */
    struct event *event;    /* what the call reads, or NULL */
    struct pool_item *work; /* the piece of work that it is in, or NULL */
    uint64_t lent_ms;       /* see executor_lend */
};
/* Starts a thread of this role. NULL: the system refuses, or too many are stuck. Under the lock. */
struct executor_thread *thread_start(struct executor *e, enum thread_role role, void *(*run)(void *thread));
void thread_ended(struct executor_thread *t); /* its last act. Under the lock */
void threads_reap(struct executor *e);        /* joins those that ended. Under the lock */
void call_begin(struct executor_thread *t, struct plugin_unit *u, const char *what);
bool call_end(struct executor_thread *t); /* false: it was given up meanwhile */
bool call_stuck(const struct executor_thread *t);
/* Gives up calls that began before `before_ms`. Under the lock. */
void calls_judge(struct executor *e, uint64_t now_ms, uint64_t stuck_ms);
/* Is one of the unit's calls under way in another thread than this one? `stuck`: of those given up. Under the lock. */
bool calls_of(struct executor *e, const struct plugin_unit *u, bool stuck);

/* -- executor_pool.c: tasks, work and closing units -- */
enum item_kind { ITEM_TASK, ITEM_WORK, ITEM_CLOSE };
struct pool_item {
    struct pool_item *next;
    enum item_kind kind;
    struct plugin_unit *unit;
    const char *what;
    bool queued;
};
bool pool_push(struct executor *e, struct pool_item *item); /* false: there is no thread for it. Under the lock */
bool pool_remove(struct executor *e, struct pool_item *item);
struct pool_item *executor_pool_take(struct executor *e);
void *pool_run(void *thread);
void pool_replace(struct executor *e); /* after a thread was lost. Under the lock */

/* -- executor_tasks.c -- */
struct unit_task {
    struct pool_item item; /* first */
    const struct ccp_task *task;
    bool on, running;
    uint64_t interval_ms, due_ms;
    unsigned failed_in_a_row;
    uint64_t began_ms, runs, failures, last_ms, last_unix_us;
    bool ok;
    char what[80], why[160];
};
uint64_t tasks_due(struct executor *e, uint64_t now_ms); /* queues them; ms until the next. Under the lock */
void task_begin(struct unit_task *task);                 /* Under the lock */
void task_run(struct executor_thread *t, struct unit_task *task);
bool tasks_make(struct unit_state *s, const struct ccp_map *intervals);

/* -- executor_work.c -- */
void work_run(struct executor_thread *t, struct executor_job *job);
void work_lost(struct executor *e, struct pool_item *item); /* its `run` is stuck. Under the lock */
void work_abandon(struct pool_item *item);                  /* never begun: `done` at once, without an exchange */

/* -- executor_unit.c -- */
struct unit_state {
    struct unit_state *next;
    struct plugin_unit *unit;
    struct pool_item closing;
    atomic_bool gone; /* nothing of it is called any more */
    bool orphan;      /* it would be closed if no call were stuck in it */
    struct unit_task *tasks;
    size_t task_count;
};
void unit_close_run(struct executor_thread *t, struct pool_item *item);
void unit_came_back(struct executor *e, struct plugin_unit *u); /* a stuck call of it did. Under the lock */

/* -- executor_deliver.c: the hooks' thread -- */
struct delivery { /* only of the one that is in charge; another takes it over */
    struct event *event;
    size_t at; /* next hook for it */
    bool turn; /* of that hook: on_event is done, observe is not */
    struct runtime *rt;
    uint64_t generation;
};
void *hooks_run(void *thread);
void hooks_replace(struct executor *e); /* Under the lock */

struct gauge {
    _Alignas(64) atomic_ulong in_flight;
};

struct executor {
    struct event_queue queue;
    atomic_ullong watched, hears;
    atomic_ullong delivered;
    struct executor_port port;
    uint64_t stuck_ms, idle_ms, began_ms;
    void (*tap)(void *self, const struct ccp_event_info *info);
    void *tap_self;

    pthread_mutex_t lock;
    pthread_cond_t keeper_cond, pool_cond, changed_cond; /* changed: a call ended, a thread ended */
    pthread_t keeper;
    bool started, stopping, stopped, keeper_runs, keeper_quits, pool_quits, exhausted;
    bool abandoned;        /* a `close` did not return after the stop: its thread may still come back to this */
    atomic_int hooks_quit; /* 1 = when the queue is empty, 2 = now */
    atomic_ullong ends_ms; /* see executor_ends_ms */
    atomic_bool closed;    /* no event is taken any more */
    atomic_uint waiters;   /* threads in changed_cond */
    atomic_bool deep;      /* the keeper sleeps until it is told */
    struct executor_thread *threads;
    size_t pool_n, pool_idle, stuck_n; /* threads that are not stuck; those that wait; stuck ones that did not return */
    size_t item_n, work_n;             /* queued; work among them */
    struct pool_item *first, **last;
    struct unit_state *units;
    struct runtime *rt; /* a reference */
    atomic_ullong generation;
    struct delivery delivery;
    atomic_ullong work_done, work_refused, stuck;
    struct gauge gauges[WORKERS_MAX];
};

void executor_wait(struct executor *e, pthread_cond_t *cond, uint64_t ms); /* UINT64_MAX = until told. Under the lock */
void keeper_tell(struct executor *e);                                      /* Under the lock */

#endif

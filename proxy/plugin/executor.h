/*
 * The executor: everything of plugins that does not run on a worker's loop.
 *
 * One thread hands out events to observers, a few threads (made when needed, ended when idle) run tasks, off-loop work
 * and closing, and one, the keeper, waits for what time brings: tasks that are due, calls that do not return. Workers
 * queue events without a lock; a full queue drops and counts. A call that does not come back is isolated: its plugin
 * is tripped, and another thread takes the place of the one that is stuck.
 *
 * One per process, made by the composition root before plugins are opened and freed after the last unit.
 */
#ifndef PLUGIN_EXECUTOR_H
#define PLUGIN_EXECUTOR_H

#include <ccproxy/ccproxy.h>

#include <stdatomic.h>

struct executor;
struct plugin_unit;
struct runtime;

struct executor_port {
    /* Runs fn(arg) on a worker's thread. False = it has ended. NULL: there are no workers (commands). */
    bool (*post)(void *self, size_t worker, void (*fn)(void *arg), void *arg);
    void *self;
    uint64_t stuck_ms; /* a call that takes longer is given up; 0 = 10 s */
};

struct executor *executor_new(const struct executor_port *port); /* NULL = no memory or descriptors */
bool executor_start(struct executor *e);                         /* its threads; main thread */
/* No task begins any more, what is queued for observers is delivered, for `ms` at most. Work that runs is waited for
 * within the same time. Main thread, while the workers still take messages. */
void executor_stop(struct executor *e, uint64_t ms);
void executor_free(struct executor *e); /* after every unit was closed. NULL is fine */

/* Whose observers get what comes from now on. References rt; NULL = nobody's. Main thread. */
void executor_set_runtime(struct executor *e, struct runtime *rt);

/* -- units: called by unit_open and unit_unref -- */
/* Starts its tasks. `intervals` are the settings' (name -> "5m", "on", "off"), or NULL. False: *why is a text. */
bool executor_attach(struct executor *e, struct plugin_unit *u, const struct ccp_map *intervals);
/* Afterwards nothing of the unit runs here any more, nor will. Waits for a call that runs, unless it is stuck (then the
 * unit may not be closed: false). Any thread. */
bool executor_detach(struct executor *e, struct plugin_unit *u);

/* The last reference to the unit is gone: it is closed on a thread of the executor. False: it does not run (yet, or any
 * more), the caller closes. Any thread. */
bool executor_close(struct executor *e, struct plugin_unit *u);

/* Calls the plugin's `close`, after executor_detach. While the executor runs this is one of its threads, and the keeper
 * looks at the time; after the stop nobody would, so the call gets a thread of its own and is given up after 10 s at
 * most (false: the unit stays as it is). */
bool executor_call_close(struct executor *e, struct plugin_unit *u);

/* -- off-loop work; see ccp_api.work -- */
struct executor_job; /* one piece of work */
struct executor_piece {
    size_t worker; /* SIZE_MAX: no exchange */
    void (*run)(void *arg);
    void (*done)(void *arg, struct ccp_exchange *x);
    /* On the worker, if `run` does not come back or never began, because the plugin was disabled: nobody will resume
     * the exchange, and `done` will not get it. May be NULL. */
    void (*lost)(void *arg, struct ccp_exchange *x);
    struct ccp_exchange *x;
    void *arg;
};
/* NULL: refused, nothing will be called. If the unit is disabled, or the executor stopped, before `run` began, that is
 * left out. */
struct executor_job *executor_work(struct executor *e, struct plugin_unit *u, const struct executor_piece *piece);
/* The exchange ended before its `done`: that gets NULL instead. On its worker, once, if `done` did not get the
 * exchange: the job is the exchange's, too, until then. */
void executor_forget(struct executor_job *job);
/* By when (clock_ms) what runs must come to its end because the executor stops; UINT64_MAX = it does not. Any thread.
 */
uint64_t executor_ends_ms(struct executor *e);
/* For the core's own blocking calls, made by a plugin's: the next `ms` do not count as being stuck; 0 = it is over. */
void executor_lend(uint64_t ms);

/* -- events -- */
/* Queues a copy for observers (and for whoever watches, see below). Any thread, never blocks. False = dropped. */
bool executor_publish(struct executor *e, const struct ccp_event_info *info);
/* The same for an event where no runtime is at hand: on_event hooks get it too, on the hooks' thread. */
bool executor_announce(struct executor *e, const struct ccp_event_info *info);
/* PLUGIN_LOADED (text: its version), _UNLOADED or _ERROR (text: why) of the plugin of this name. */
void executor_plugin_event(struct executor *e, enum ccp_event event, const char *name, struct ccp_span text);
/* Does somebody hear it: a hook of the current runtime, in line or later, or whoever watches? Any thread. */
bool executor_hears(struct executor *e, enum ccp_event event);
/* Does the hook listen to this event? `name` is "custom.<name>" of CUSTOM. */
bool hook_wants(const struct ccp_hook *h, enum ccp_event event, struct ccp_span name);
/* What else sees each event, on the hooks' thread: the streams of /events. Main thread, before executor_start. */
void executor_set_tap(struct executor *e, void (*tap)(void *self, const struct ccp_event_info *info), void *self);
/* Events wanted by the tap just now; added to what a runtime's observers hear. Any thread may store. */
atomic_ullong *executor_watched(struct executor *e);

struct executor_figures {
    uint64_t published, dropped, delivered;  /* events */
    uint64_t waiting;                        /* events in the queue */
    uint64_t work_done, work_refused, stuck; /* calls */
};
struct executor_figures executor_figures(struct executor *e); /* any thread */
/* The current runtime with a reference, or NULL. Any thread. */
struct runtime *executor_runtime(struct executor *e);
/* Where a worker stores how many requests it has in flight (relaxed, only that worker), and their sum. NULL: there are
 * more workers than that. */
atomic_ulong *executor_gauge(struct executor *e, size_t worker);
uint64_t executor_in_flight(struct executor *e);
uint64_t executor_uptime_ms(struct executor *e);

#define TASK_MOST_MS (366ull * 24 * 3600 * 1000) /* the longest time that a task may name */
/* tasks.c: the interval that a task has with these settings (name -> "5m", "on", "off"; NULL = none); 0 = it is off.
 * NULL = fine, else what is wrong with the setting (static). */
const char *task_interval(const struct ccp_task *task, const struct ccp_map *settings, uint64_t *ms);

/* A task as it stands, for /plugins/<name>. */
struct task_report {
    const struct ccp_task *task;
    bool on, running, ok; /* ok: the last run */
    uint64_t runs, failures;
    uint64_t interval_ms, last_ms;       /* how long the last run took */
    uint64_t last_unix_us, next_unix_us; /* 0 = never */
    char why[160];                       /* of the last failure */
};
size_t executor_tasks(struct executor *e, const struct plugin_unit *u, struct task_report *out, size_t max);

#endif

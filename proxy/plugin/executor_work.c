/*
 * Off-loop work: `run` on a thread of the pool, then `done` on the worker of the exchange, exactly once.
 *
 * A job holds a reference to its unit until `done` returned. What belongs to the exchange (job->x) is only touched on
 * its worker: by the message that brings `done` there, and by executor_forget. A job of an exchange has two owners,
 * the executor and the exchange; one of them frees it.
 */
#include <plugin/executor_impl.h>

#include <base/fault.h>

#include <stdlib.h>

struct executor_job {
    struct pool_item item; /* first */
    struct executor *e;
    atomic_uint refs;
    struct executor_piece p; /* p.x is the worker's; NULL = it ended */
    bool left_out;           /* `run` was: the unit had been disabled */
    bool lost;               /* the worker's: `lost` was called */
};

static void job_unref(struct executor_job *job, unsigned n)
{
    if (atomic_fetch_sub_explicit(&job->refs, n, memory_order_acq_rel) == n)
        free(job);
}

/* The end of a job. `x` NULL: the exchange ended, or can no longer be reached. `t`: the thread that is in the call, or
 * NULL on a worker. The unit may go away with the last line. */
static void finish(struct executor_job *job, struct ccp_exchange *x, struct executor_thread *t)
{
    struct plugin_unit *u = job->item.unit;
    uint64_t began = guard_begin(u);
    atomic_fetch_add_explicit(&job->e->work_done, 1, memory_order_relaxed);
    if (job->p.done != NULL)
        job->p.done(job->p.arg, x);
    if (t == NULL)
        guard_end(u, "the end of work", began);
    else
        call_end(t);
    job_unref(job, x != NULL ? 2 : 1); /* with x, executor_forget will not come */
    unit_unref(u);
}

static void lose(struct executor_job *job)
{
    if (job->p.x != NULL && job->p.lost != NULL && !job->lost)
        job->p.lost(job->p.arg, job->p.x);
    job->lost = true;
}

static void on_worker(void *arg)
{
    struct executor_job *job = arg;
    if (job->left_out)
        lose(job);
    finish(job, job->lost ? NULL : job->p.x, NULL);
}

static void lost_on_worker(void *arg)
{
    lose(arg);
    job_unref(arg, 1);
}

static struct executor_job *make(struct executor *e, struct plugin_unit *u, const struct executor_piece *piece)
{
    struct executor_job *job = CCP_FAULT("executor.job") ? NULL : calloc(1, sizeof(*job));
    if (job == NULL)
        return NULL;
    *job = (struct executor_job){.item = {.kind = ITEM_WORK, .unit = unit_ref(u), .what = "work"}, .e = e, .p = *piece};
    atomic_init(&job->refs, piece->x != NULL ? 2 : 1);
    return job;
}

struct executor_job *executor_work(struct executor *e, struct plugin_unit *u, const struct executor_piece *piece)
{
    struct executor_job *job = unit_callable(u) ? make(e, u, piece) : NULL;
    bool taken = false;
    if (job != NULL) {
        pthread_mutex_lock(&e->lock);
        taken = e->started && !e->stopping && e->work_n < POOL_ITEMS && pool_push(e, &job->item);
        pthread_mutex_unlock(&e->lock);
    }
    if (taken)
        return job;
    atomic_fetch_add_explicit(&e->work_refused, 1, memory_order_relaxed);
    if (job != NULL) {
        free(job);
        unit_unref(u);
    }
    return NULL;
}

void executor_forget(struct executor_job *job)
{
    job->p.x = NULL;
    job_unref(job, 1);
}

static bool post(struct executor *e, struct executor_job *job, void (*fn)(void *arg))
{
    return job->p.worker != SIZE_MAX && e->port.post != NULL && !CCP_FAULT("executor.post") &&
           e->port.post(e->port.self, job->p.worker, fn, job);
}

void work_lost(struct executor *e, struct pool_item *item)
{
    struct executor_job *job = (struct executor_job *)item; /* its thread waits for the lock before it lets go */
    atomic_fetch_add(&job->refs, 1);
    if (e->stopped || !post(e, job, lost_on_worker))
        atomic_fetch_sub(&job->refs, 1);
}

/* True: `done` will be called on the worker, or was. */
static bool bring(struct executor_thread *t, struct executor_job *job)
{
    struct executor *e = t->e;
    if (call_end(t))
        return post(e, job, on_worker);
    /* Late. After a stop there may be no workers: looked at under the lock, which the stop takes. */
    pthread_mutex_lock(&e->lock);
    bool posted = !e->stopped && post(e, job, on_worker);
    pthread_mutex_unlock(&e->lock);
    return posted;
}

void work_run(struct executor_thread *t, struct executor_job *job)
{
    job->left_out = !unit_callable(job->item.unit);
    if (!job->left_out)
        job->p.run(job->p.arg);
    if (bring(t, job))
        return;
    if (!call_stuck(t)) {
        t->work = NULL;
        call_begin(t, job->item.unit, "the end of work");
    }
    finish(job, NULL, t);
}

void work_abandon(struct pool_item *item)
{
    finish((struct executor_job *)item, NULL, NULL);
}

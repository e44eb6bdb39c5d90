/*
 * The watchdog: a thread that looks at the loops' own words (loop_expected) every REPORT_MS, and exactly when a limit
 * would be passed. It never touches a loop.
 *
 * What must stay true: time that the whole process did not run (SIGSTOP, a laptop asleep, a starved machine) is held
 * against nobody. The watchdog knows it by its own lateness, and then begins to count anew. CLOCK_MONOTONIC does not
 * count a suspended machine in the first place.
 */
#include <app/watchdog.h>

#include <app/notify.h>
#include <app/stack.h>

#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>

#define REPORT_MS 1000
#define ABORT_MS  10000
#define LATE_MS   500 /* a watchdog that is woken later than this was not the only one that could not run */
#define FLUSH_MS  200 /* for the log's thread, before the process ends */

struct target {
    struct watchdog_target t;
    uint64_t reported; /* loop_expected of the turn that was reported; 0 = all is well */
};

struct watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;              /* under the lock */
    uint64_t report, abort; /* ms in one turn */
    uint64_t forgiven;      /* clock_ms(): what was before does not count */
    uint64_t keepalive, next_keepalive;
    size_t n;
    struct target v[];
};

static struct timespec at_ms(uint64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

static void report(struct watchdog *d, size_t i, uint64_t ms, bool last)
{
    char stack[1400];
    stack_of(d->v[i].t.thread, stack, sizeof(stack));
    log_error("watchdog", "worker-%zu has been in one turn for %llu ms%s; its stack, for addr2line -f -e FILE: %s", i,
              (unsigned long long)ms, last ? ", the process ends (without a core file: it could hold secrets)" : "",
              stack);
}

static void end_process(struct watchdog *d, size_t i, uint64_t ms)
{
    report(d, i, ms, true);
    struct timespec flush = at_ms(FLUSH_MS);
    nanosleep(&flush, NULL);
    abort();
}

/* Judges one worker; returns when to look at it again. */
static uint64_t look(struct watchdog *d, size_t i, uint64_t now)
{
    struct target *t = &d->v[i];
    uint64_t expected = loop_expected(t->t.loop);
    uint64_t since = expected > d->forgiven ? expected : d->forgiven;
    if (t->reported != 0 && t->reported != expected) {
        log_warn("watchdog", "worker-%zu goes on", i);
        t->reported = 0;
    }
    if (since >= now || now - since < d->report)
        return since < now ? since + d->report : now + d->report;
    if (now - since >= d->abort)
        end_process(d, i, now - since);
    if (t->reported == 0)
        report(d, i, now - since, false);
    t->reported = expected;
    return since + d->abort;
}

/* All workers; returns when to look again. */
static uint64_t round_of(struct watchdog *d, uint64_t now)
{
    uint64_t next = now + d->report;
    bool well = true;
    for (size_t i = 0; i < d->n; i++) {
        uint64_t again = look(d, i, now);
        next = again < next ? again : next;
        well = well && d->v[i].reported == 0;
    }
    if (d->keepalive == 0)
        return next;
    if (well && now >= d->next_keepalive) {
        notify("WATCHDOG=1");
        d->next_keepalive = now + d->keepalive;
    }
    return well && d->next_keepalive < next ? d->next_keepalive : next;
}

static void *run(void *arg)
{
    struct watchdog *d = arg;
    pthread_mutex_lock(&d->lock);
    for (uint64_t next = clock_ms(); !d->stop;) {
        uint64_t now = clock_ms();
        if (now > next + LATE_MS)
            d->forgiven = now;
        next = round_of(d, now);
        struct timespec until = at_ms(next > now ? next : now + 1);
        while (!d->stop && pthread_cond_timedwait(&d->changed, &d->lock, &until) == 0)
            continue;
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* A test build may be told shorter limits: CCP_FAULT_WATCHDOG="REPORT,ABORT" in ms. */
static void set_limits(struct watchdog *d)
{
    d->report = REPORT_MS;
    d->abort = ABORT_MS;
#ifdef CCP_FAULTS
    const char *text = getenv("CCP_FAULT_WATCHDOG");
    char *rest;
    if (text == NULL)
        return;
    d->report = strtoull(text, &rest, 10);
    d->abort = *rest == ',' ? strtoull(rest + 1, NULL, 10) : ABORT_MS;
#endif
}

struct watchdog *watchdog_start(const struct watchdog_target *targets, size_t n)
{
    pthread_condattr_t attributes;
    struct watchdog *d = calloc(1, sizeof(*d) + n * sizeof(d->v[0]));
    if (d == NULL || !stack_prepare()) {
        free(d);
        return NULL;
    }
    set_limits(d);
    d->keepalive = notify_interval_ms() / 2;
    d->n = n;
    for (size_t i = 0; i < n; i++)
        d->v[i].t = targets[i];
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&d->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (CCP_FAULT("watchdog.thread") || pthread_create(&d->thread, NULL, run, d) != 0) {
        free(d);
        return NULL;
    }
    pthread_setname_np(d->thread, "watchdog");
    return d;
}

void watchdog_stop(struct watchdog *d)
{
    if (d == NULL)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

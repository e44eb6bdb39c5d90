/*
 * The log thread: the only one that waits for a slow disk or pipe.
 *
 * It takes whole records from the rings and writes them in batches; what cannot be written is counted, line by line,
 * and told when the sink works again, as is what log_limit.c held back.
 */
#include <base/clock.h>
#include <base/log_impl.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GATHER_MS 2
#define TELL_MS   1000 /* between two lines about what is missing */

static void ring_copy_out(const struct log_ring *r, size_t at, char *p, size_t n)
{
    size_t first = LOG_RING - at % LOG_RING;
    if (first > n)
        first = n;
    memcpy(p, r->bytes + at % LOG_RING, first);
    memcpy(p + first, r->bytes, n - first);
}

/* Moves records of one ring into the batch; returns the batch's new length. */
static size_t drain_ring(struct log_ring *r, char *batch, size_t used, size_t max)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    while (tail != head) {
        struct log_mark mark;
        ring_copy_out(r, tail, (char *)&mark, sizeof(mark));
        if (mark.n > max - used)
            break;
        ring_copy_out(r, tail + sizeof(mark), batch + used, mark.n);
        if (log_tap_is_wanted())
            log_tap_show(&mark, batch + used);
        used += mark.written;
        tail += sizeof(mark) + mark.n;
    }
    atomic_store_explicit(&r->tail, tail, memory_order_release);
    return used;
}

struct writer {
    char *batch;
    size_t max;
    uint64_t told_ms;      /* when what is missing was last looked at */
    uint64_t told_dropped; /* lines lost that a line has told of */
};

/* One round over all rings; true when something was there. */
static bool drain(struct writer *w)
{
    size_t used = 0;
    for (struct log_ring *r = atomic_load(&log_global.rings); r != NULL; r = r->next)
        used = drain_ring(r, w->batch, used, w->max);
    if (used != 0)
        log_write_lines(w->batch, used);
    return used != 0;
}

static void tell_dropped(struct writer *w)
{
    uint64_t dropped = log_dropped();
    char text[100];
    if (dropped == w->told_dropped)
        return;
    snprintf(text, sizeof(text), "%llu lines were lost: the log could not be written fast enough, or not at all",
             (unsigned long long)(dropped - w->told_dropped));
    size_t n = log_format(w->batch, w->max, CCP_LOG_WARN, "log", ccp_span_z(text));
    if (log_write_lines(w->batch, n))
        w->told_dropped = dropped;
    else
        atomic_fetch_sub(&log_global.dropped, 1); /* this line itself is no loss */
}

/* `last`: the log is being stopped, so nothing more will be held back. */
static void tell_missing(struct writer *w, bool last)
{
    uint64_t now = clock_ms();
    if (!last && now - w->told_ms < TELL_MS)
        return;
    w->told_ms = now;
    if (log_limit_pending()) {
        size_t n = log_limit_report(w->batch, w->max, last ? 0 : clock_unix_us() / 1000000u);
        if (n != 0)
            log_write_lines(w->batch, n);
    }
    tell_dropped(w);
}

/* Sleeps until there are lines, or until it is time to tell what is missing; false = the log is being stopped. */
static bool sleep_until_lines(const struct writer *w)
{
    bool owes = log_limit_pending() || log_dropped() != w->told_dropped;
    struct pollfd wake = {.fd = log_global.wake_fd, .events = POLLIN};
    uint64_t count = 0;
    if (poll(&wake, 1, owes ? TELL_MS : -1) > 0 && read(log_global.wake_fd, &count, sizeof(count)) < 0)
        return true;
    return count < UINT32_MAX;
}

/* Lets more lines come before they are written: one wake-up and one write for all of them. A stop ends the pause. */
static void gather(void)
{
    struct pollfd stop = {.fd = log_global.wake_fd, .events = POLLIN};
    poll(&stop, 1, GATHER_MS);
}

static void *run(void *arg)
{
    struct writer *w = arg;
    bool more = true;
    do {
        do
            tell_missing(w, false);
        while (drain(w));
        atomic_store(&log_global.asleep, 1);
        if (drain(w)) {
            atomic_store(&log_global.asleep, 0);
            continue;
        }
        more = sleep_until_lines(w);
        if (more)
            gather();
    } while (more);
    while (drain(w))
        ;
    tell_missing(w, true);
    free(w->batch);
    free(w);
    return NULL;
}

static struct writer *writer_new(void)
{
    struct writer *w = calloc(1, sizeof(*w));
    if (w != NULL) {
        w->max = (size_t)64 * 1024;
        w->batch = malloc(w->max);
        w->told_dropped = log_dropped();
    }
    if (w == NULL || w->batch == NULL) {
        free(w);
        return NULL;
    }
    return w;
}

bool log_start(void)
{
    struct writer *w = writer_new();
    if (w == NULL)
        return false;
    atomic_store(&log_global.give_up_ms, 0);
    log_global.wake_fd = eventfd(0, EFD_CLOEXEC);
    if (log_global.wake_fd >= 0 && pthread_create(&log_global.thread, NULL, run, w) == 0) {
        atomic_store(&log_global.running, true);
        return true;
    }
    if (log_global.wake_fd >= 0)
        close(log_global.wake_fd);
    free(w->batch);
    free(w);
    return false;
}

void log_stop(void)
{
    if (!atomic_exchange(&log_global.running, false))
        return;
    atomic_store(&log_global.give_up_ms, clock_ms() + LOG_STOP_MS);
    uint64_t stop = UINT32_MAX;
    ssize_t written = write(log_global.wake_fd, &stop, sizeof(stop));
    (void)written; /* an eventfd counter this low cannot be full */
    pthread_join(log_global.thread, NULL);
    close(log_global.wake_fd);
    atomic_fetch_add(&log_global.run, 1);
    struct log_ring *r = atomic_exchange(&log_global.rings, NULL);
    while (r != NULL) {
        struct log_ring *next = r->next;
        free(r);
        r = next;
    }
}

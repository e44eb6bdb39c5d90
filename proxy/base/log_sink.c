/*
 * Where log lines go: the descriptor and the thread that writes to it.
 *
 * Only this thread blocks on a slow disk or pipe. It takes whole records from the rings and writes them in
 * batches; on an error the batch is counted as dropped and the next one is tried.
 */
#include <base/log_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define GATHER_MS 2

static bool write_all(int fd, const char *p, size_t n)
{
    while (n != 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, 1000);
            continue;
        }
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

void log_sink_direct(struct ccp_span line)
{
    write_all(atomic_load(&log_global.fd), line.p, line.n);
}

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
        uint32_t length;
        ring_copy_out(r, tail, (char *)&length, sizeof(length));
        if (length > max - used)
            break;
        ring_copy_out(r, tail + sizeof(length), batch + used, length);
        used += length;
        tail += sizeof(length) + length;
    }
    atomic_store_explicit(&r->tail, tail, memory_order_release);
    return used;
}

/* One round over all rings; true when something was written. */
static bool drain(char *batch, size_t max)
{
    size_t used = 0;
    for (struct log_ring *r = atomic_load(&log_global.rings); r != NULL; r = r->next)
        used = drain_ring(r, batch, used, max);
    if (used == 0)
        return false;
    if (!write_all(atomic_load(&log_global.fd), batch, used))
        atomic_fetch_add(&log_global.dropped, 1);
    return true;
}

/* Lets more lines come before they are written: one wake-up and one write for all of them. A stop ends the pause. */
static void gather(void)
{
    struct pollfd stop = {.fd = log_global.wake_fd, .events = POLLIN};
    poll(&stop, 1, GATHER_MS);
}

static void *run(void *arg)
{
    size_t max = 64 * 1024;
    char *batch = malloc(max);
    if (batch == NULL)
        return NULL;
    for (;;) {
        while (drain(batch, max))
            ;
        atomic_store(&log_global.asleep, 1);
        if (drain(batch, max)) {
            atomic_store(&log_global.asleep, 0);
            continue;
        }
        uint64_t count;
        ssize_t got = read(log_global.wake_fd, &count, sizeof(count));
        if (got == sizeof(count) && count >= UINT32_MAX)
            break;
        gather();
    }
    while (drain(batch, max))
        ;
    free(batch);
    return arg;
}

bool log_start(void)
{
    log_global.wake_fd = eventfd(0, EFD_CLOEXEC);
    if (log_global.wake_fd < 0)
        return false;
    if (pthread_create(&log_global.thread, NULL, run, NULL) != 0) {
        close(log_global.wake_fd);
        return false;
    }
    atomic_store(&log_global.running, true);
    return true;
}

void log_stop(void)
{
    if (!atomic_exchange(&log_global.running, false))
        return;
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

static const char *open_file(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return strerror(errno);
    int old = atomic_load(&log_global.fd);
    if (old == STDERR_FILENO) {
        atomic_store(&log_global.fd, fd);
        return NULL;
    }
    /* dup3 replaces the file under the writer atomically. */
    if (dup3(fd, old, O_CLOEXEC) < 0) {
        close(fd);
        return strerror(errno);
    }
    close(fd);
    return NULL;
}

/* Back to standard error: the writer may be using the descriptor, so it changes its meaning, not its number. */
static const char *leave_file(void)
{
    int old = atomic_load(&log_global.fd);
    return old != STDERR_FILENO && dup3(STDERR_FILENO, old, O_CLOEXEC) < 0 ? strerror(errno) : NULL;
}

const char *log_configure(const struct log_options *options)
{
    const char *wrong = options->file != NULL ? open_file(options->file) : leave_file();
    if (wrong != NULL)
        return wrong;
    char *copy = options->file != NULL ? strdup(options->file) : NULL;
    free(log_global.file);
    log_global.file = copy;
    atomic_store(&log_global.level, (int)options->level);
    atomic_store(&log_global.format, (int)options->format);
    return NULL;
}

const char *log_reopen(void)
{
    return log_global.file != NULL ? open_file(log_global.file) : NULL;
}

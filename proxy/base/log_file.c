/*
 * The log's descriptor: writing whole lines to it, opening, reopening and replacing it.
 *
 * Written to by the log thread only, or by whoever logs before it starts and after it ended. A file never keeps
 * half a line. Nothing here waits for ever: a stop ends every wait within LOG_STOP_MS.
 */
#include <base/clock.h>
#include <base/log_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE 100  /* ms between two looks whether the log is being stopped */
#define PIECE    4096 /* where poll sees room for writing, this much does not block (PIPE_BUF) */

/* False = the log is being stopped and the time is up. The descriptor may be shared with other processes, so it is
 * not made non-blocking. */
static bool wait_for_room(int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    while (poll(&room, 1, PATIENCE) == 0) {
        uint64_t limit = atomic_load(&log_global.give_up_ms);
        if (limit != 0 && clock_ms() >= limit)
            return false;
    }
    return true;
}

/* Bytes written; fewer than n only when the sink fails. */
static size_t write_bytes(int fd, const char *p, size_t n, bool regular)
{
    size_t done = 0;
    while (done < n) {
        size_t piece = !regular && n - done > PIECE ? PIECE : n - done;
        if (!regular && !wait_for_room(fd))
            break;
        ssize_t got = write(fd, p + done, piece);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* Takes the last `n` bytes of a file back, if it ends with them: a full disk leaves no half line. */
static void take_back(int fd, size_t n)
{
    struct stat st;
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (n == 0 || at < (off_t)n || fstat(fd, &st) != 0 || st.st_size != at)
        return;
    if (ftruncate(fd, at - (off_t)n) == 0)
        lseek(fd, at - (off_t)n, SEEK_SET);
}

static size_t count_lines(const char *p, size_t n)
{
    size_t lines = 0;
    for (const char *end = p + n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        lines++;
    return lines;
}

bool log_write_lines(const char *p, size_t n)
{
    struct stat st;
    int fd = atomic_load(&log_global.fd);
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    size_t done = write_bytes(fd, p, n, regular), whole = done;
    if (done == n)
        return true;
    while (whole != 0 && p[whole - 1] != '\n')
        whole--;
    if (regular)
        take_back(fd, done - whole);
    atomic_fetch_add(&log_global.dropped, count_lines(p + whole, n - whole));
    return false;
}

void log_sink_direct(struct ccp_span line)
{
    log_write_lines(line.p, line.n);
}

static const char *open_file(const char *file)
{
    /* Not blocking: a pipe without a reader is an error now, not a wait for ever. */
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
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

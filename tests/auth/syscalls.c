/*
 * Makes the n-th file call of a program fail, kills the program before it, or stops it after each one; preloaded into
 * the tool that saves credentials (test_credential_store.py builds it with cc). Counted are the calls below, from
 * syscalls_arm(1) on.
 *
 *   SYSCALLS_FAIL=n    the n-th fails: ENOSPC for a write, EIO for the others; a close is done and then said to fail
 *   SYSCALLS_SHORT=n   the n-th, if it is a write of more than one byte, writes half
 *   SYSCALLS_KILL=n    SIGKILL instead of the n-th
 *   SYSCALLS_STOP=1    SIGSTOP after each
 *   SYSCALLS_LOG=file  "number name" of each, to a descriptor that is opened before
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int armed, number, log_fd = -1;

static int setting(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? (int)strtol(text, NULL, 10) : 0;
}

void syscalls_arm(int on)
{
    const char *path = getenv("SYSCALLS_LOG");
    if (log_fd < 0 && path != NULL)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    armed = on;
}

/* Counts; 1 = the call is to fail. */
static int enter(const char *name)
{
    char line[64];
    if (!armed)
        return 0;
    number++;
    int n = snprintf(line, sizeof(line), "%d %s\n", number, name);
    if (log_fd >= 0)
        syscall(SYS_write, log_fd, line, n);
    if (number == setting("SYSCALLS_KILL"))
        kill(getpid(), SIGKILL);
    if (number != setting("SYSCALLS_FAIL"))
        return 0;
    errno = strcmp(name, "write") == 0 ? ENOSPC : EIO;
    return 1;
}

static void leave(void)
{
    int code = errno;
    if (armed && setting("SYSCALLS_STOP"))
        raise(SIGSTOP);
    errno = code;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRAP(type, name, parameters, arguments)                                                                        \
    type name parameters                                                                                               \
    {                                                                                                                  \
        static type(*real) parameters;                                                                                 \
        if (real == NULL)                                                                                              \
            real = NEXT(name);                                                                                         \
        if (enter(#name))                                                                                              \
            return -1;                                                                                                 \
        type rc = real arguments;                                                                                      \
        leave();                                                                                                       \
        return rc;                                                                                                     \
    }

WRAP(int, fsync, (int fd), (fd))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, fstat, (int fd, struct stat *st), (fd, st))
WRAP(int, fstatat, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags))
WRAP(int, lstat, (const char *path, struct stat *st), (path, st))
WRAP(int, renameat, (int from, const char *a, int to, const char *b), (from, a, to, b))
WRAP(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(ssize_t, readlinkat, (int dir, const char *path, char *out, size_t n), (dir, path, out, n))
WRAP(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP(ssize_t, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags))

ssize_t write(int fd, const void *p, size_t n)
{
    if (enter("write"))
        return -1;
    if (armed && n > 1 && number == setting("SYSCALLS_SHORT"))
        n /= 2;
    ssize_t rc = syscall(SYS_write, fd, p, n);
    leave();
    return rc;
}

int close(int fd)
{
    int bad = enter("close");
    int rc = (int)syscall(SYS_close, fd);
    leave();
    if (bad)
        errno = EIO;
    return bad ? -1 : rc;
}

static int opened(int dir, const char *path, int flags, mode_t mode)
{
    if (enter("openat"))
        return -1;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    leave();
    return fd;
}

#define MODE(flags)                                                                                                    \
    va_list ap;                                                                                                        \
    va_start(ap, flags);                                                                                               \
    mode_t mode = ((flags) & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;                                   \
    va_end(ap)

int openat(int dir, const char *path, int flags, ...)
{
    MODE(flags);
    return opened(dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    MODE(flags);
    return opened(AT_FDCWD, path, flags, mode);
}

int __openat_2(int dir, const char *path, int flags)
{
    return opened(dir, path, flags, 0);
}

int __open_2(const char *path, int flags)
{
    return opened(AT_FDCWD, path, flags, 0);
}

int fcntl(int fd, int command, ...)
{
    va_list ap;
    va_start(ap, command);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    if (enter("fcntl"))
        return -1;
    int rc = (int)syscall(SYS_fcntl, fd, command, argument);
    leave();
    return rc;
}

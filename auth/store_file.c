/*
 * One file in an open directory: read whole, replaced whole, removed.
 *
 * Replacing is: a temporary file of a name that nobody can have taken (O_EXCL), 0600 from birth, beside its target;
 * write, fsync, rename, fsync of the directory. What was told to be stored is stored, and at every instant the name
 * leads to the whole old content or the whole new one. A failed fsync is final for that file: it is thrown away, never
 * synced again, for the kernel may have dropped what it could not write.
 */
#include <auth/store_impl.h>
#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#define TEMPORARY ".ccproxy-"
enum { TEMPORARY_DIGITS = 16 };

/* ---- reading ---- */

static enum store_status judge(const struct stat *st, const char *shown, struct store_error *e)
{
    if (!S_ISREG(st->st_mode))
        return store_fail(e, STORE_UNSAFE, 0, "%s is not a plain file: remove it", shown);
    if (st->st_uid != geteuid())
        return store_fail(e, STORE_UNSAFE, 0,
                          "%s belongs to user %u, not to %u who runs ccproxy: chown it or remove it", shown,
                          (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_nlink > 1)
        return store_fail(e, STORE_UNSAFE, 0,
                          "%s has another name (a hard link): others may read it there, and "
                          "replacing it would part the two; copy it and remove the link",
                          shown);
    return STORE_OK;
}

enum store_status store_file_tighten(int fd, const char *shown, struct store_error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return store_fail(e, STORE_IO, errno, "%s cannot be looked at", shown);
    unsigned mode = st.st_mode & 07777;
    if ((mode & ~0600u) == 0)
        return STORE_OK;
    if (CCP_FAULT("store.mode") || fchmod(fd, 0600) != 0)
        return store_fail(e, STORE_UNSAFE, errno, "others may use %s (mode %04o): chmod 0600 it", shown, mode);
    log_warn("auth", "%s had mode %04o; it is 0600 now. If others can have read it, log in again", shown, mode);
    return STORE_OK;
}

static enum store_status not_opened(int code, const char *shown, struct store_error *e)
{
    if (code == ENOENT)
        return store_fail(e, STORE_MISSING, 0, "there is no %s", shown);
    if (code == ELOOP || code == EACCES || code == EPERM || code == ENXIO || code == ENODEV)
        return store_fail(e, STORE_UNSAFE, code, "%s cannot be opened", shown);
    return store_fail(e, STORE_IO, code, "%s cannot be opened", shown);
}

static enum store_status open_file(int dir, const char *name, const char *shown, int *fd, struct stat *st,
                                   struct store_error *e)
{
    /* O_NONBLOCK: a FIFO must not hold us up before it is seen to be one. */
    *fd = CCP_FAULT("store.open") ? (errno = EIO, -1)
                                  : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*fd < 0)
        return not_opened(errno, shown, e);
    enum store_status status =
        fstat(*fd, st) == 0 ? judge(st, shown, e) : store_fail(e, STORE_IO, errno, "%s cannot be looked at", shown);
    if (status != STORE_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

static enum store_status take(int fd, const char *shown, size_t max, struct ccp_buf *out, struct store_error *e)
{
    for (;;) {
        if (out->n == out->cap && !buf_reserve(out, 1))
            return store_fail(e, STORE_IO, ENOMEM, "%s cannot be read", shown);
        ssize_t n = CCP_FAULT("store.read") ? (errno = EIO, -1) : read(fd, out->p + out->n, out->cap - out->n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return store_fail(e, STORE_IO, errno, "%s cannot be read", shown);
        if (n == 0)
            return STORE_OK;
        out->n += (size_t)n;
        if (out->n > max)
            return store_fail(e, STORE_BROKEN, 0, "%s is larger than such a file can be (%zu bytes)", shown, max);
    }
}

enum store_status store_file_read(int dir, const char *name, const char *shown, size_t max, struct ccp_buf *out,
                                  int *fd, struct store_error *e)
{
    struct stat st;
    buf_init(out, max + 1);
    enum store_status status = open_file(dir, name, shown, fd, &st, e);
    if (status != STORE_OK)
        return status;
    /* Room at once: a buffer that grows leaves copies of tokens behind. */
    size_t size = st.st_size >= 0 && (size_t)st.st_size < max ? (size_t)st.st_size : max;
    status = buf_reserve(out, size + 1) ? take(*fd, shown, max, out, e)
                                        : store_fail(e, STORE_IO, ENOMEM, "%s cannot be read", shown);
    if (status != STORE_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

/* ---- writing ---- */

static bool sync_fd(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

static bool sync_directory(int dir)
{
    if (CCP_FAULT("store.sync_directory")) {
        errno = EIO;
        return false;
    }
    return sync_fd(dir) || errno == EINVAL; /* EINVAL: a file system that has nothing to sync there */
}

static int temporary(int dir, const char *name, char out[256])
{
    for (int tries = 0; tries < 4; tries++) {
        uint64_t random;
        if (CCP_FAULT("store.random") || getrandom(&random, sizeof(random), 0) != sizeof(random)) {
            errno = EIO;
            return -1;
        }
        snprintf(out, 256, "%.220s" TEMPORARY "%016llx", name, (unsigned long long)random);
        int fd = CCP_FAULT("store.temporary")
                     ? (errno = ENOSPC, -1)
                     : openat(dir, out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static bool put(int fd, struct ccp_span text)
{
    while (text.n != 0) {
        ssize_t n = CCP_FAULT("store.write") ? (errno = ENOSPC, -1) : write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return false;
        }
        text = ccp_span_skip(text, (size_t)n);
    }
    return true;
}

/* Whole and on the disk under its temporary name. `what`: the step that failed. */
static bool prepare(int fd, struct ccp_span content, const char **what)
{
    struct stat st;
    *what = "written";
    bool ok = fstat(fd, &st) == 0;
    if (ok && (st.st_mode & 07777) != 0600) /* an umask that takes from the owner too */
        ok = fchmod(fd, 0600) == 0;
    ok = ok && put(fd, content);
    if (ok) {
        *what = "written safely";
        ok = CCP_FAULT("store.sync") ? (errno = EIO, false) : sync_fd(fd);
    }
    int code = errno;
    if (close(fd) != 0 && ok)
        return false;
    errno = code;
    return ok;
}

enum store_status store_file_replace(int dir, const char *name, const char *shown, struct ccp_span content,
                                     struct store_error *e)
{
    char temp[256];
    const char *what = "replaced";
    int fd = temporary(dir, name, temp);
    if (fd < 0)
        return store_fail(e, STORE_IO, errno, "%s cannot be written", shown);
    bool ok = prepare(fd, content, &what);
    if (ok && (CCP_FAULT("store.rename") ? (errno = EIO, -1) : renameat(dir, temp, dir, name)) != 0) {
        what = "replaced";
        ok = false;
    }
    if (!ok) {
        int code = errno;
        unlinkat(dir, temp, 0); /* what stays is swept by the next lock */
        return store_fail(e, STORE_IO, code, "%s cannot be %s", shown, what);
    }
    if (!sync_directory(dir))
        return store_fail(e, STORE_IO, errno, "%s was written, but its folder cannot be synced", shown);
    return STORE_OK;
}

enum store_status store_file_remove(int dir, const char *name, const char *shown, struct store_error *e)
{
    if ((CCP_FAULT("store.remove") ? (errno = EIO, -1) : unlinkat(dir, name, 0)) != 0)
        return errno == ENOENT ? STORE_OK : store_fail(e, STORE_IO, errno, "%s cannot be removed", shown);
    if (!sync_directory(dir))
        return store_fail(e, STORE_IO, errno, "%s was removed, but its folder cannot be synced", shown);
    return STORE_OK;
}

static bool is_temporary(const char *entry, const char *name)
{
    size_t n = strlen(name), mark = sizeof(TEMPORARY) - 1;
    return strncmp(entry, name, n) == 0 && strncmp(entry + n, TEMPORARY, mark) == 0 &&
           strspn(entry + n + mark, "0123456789abcdef") == TEMPORARY_DIGITS &&
           entry[n + mark + TEMPORARY_DIGITS] == '\0';
}

static bool old_enough(int dir, const char *entry, unsigned age_s)
{
    struct stat st;
    if (age_s == 0)
        return true;
    return fstatat(dir, entry, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (int64_t)(clock_unix_us() / 1000000) - st.st_mtim.tv_sec >= (int64_t)age_s;
}

void store_file_sweep(int dir, const char *name, unsigned age_s)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a position of its own */
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *d = readdir(list); d != NULL; d = readdir(list))
        if (is_temporary(d->d_name, name) && old_enough(dir, d->d_name, age_s) && unlinkat(dir, d->d_name, 0) == 0)
            log_info("auth", "removed %s, which a crash had left", d->d_name);
    closedir(list);
}

/*
 * Files of the state folder, read and replaced as a whole: see state_file.h.
 *
 * Replacing: a temporary file of a name that nobody can have taken (O_EXCL, 0600 from birth) beside its target; write,
 * fsync, rename, fsync of the folder. A failed fsync is final for that file: it is thrown away, for the kernel may have
 * dropped what it could not write.
 */
#include <base/fault.h>
#include <base/state_file.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static bool refuse(char why[STATE_WHY], int code, const char *name, const char *what)
{
    char text[128] = "";
    snprintf(why, STATE_WHY, "%s %s%s%s", name, what, code != 0 ? ": " : "",
             code != 0 ? strerror_r(code, text, sizeof(text)) : "");
    return false;
}

bool state_name_ok(struct ccp_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != '-' && (c != '.' || i == 0))
            return false;
    }
    return name.n != 0 && name.n <= 200;
}

/* -- reading -- */

static bool judge(int folder, int fd, const char *name, char why[STATE_WHY])
{
    struct stat st, up;
    if (fstat(fd, &st) != 0 || fstat(folder, &up) != 0)
        return refuse(why, errno, name, "cannot be looked at");
    if (!S_ISREG(st.st_mode))
        return refuse(why, 0, name, "is not a plain file");
    if (st.st_uid != geteuid() && !(geteuid() == 0 && st.st_uid == up.st_uid))
        return refuse(why, 0, name, "belongs to another user");
    if ((st.st_mode & 022) != 0)
        return refuse(why, 0, name, "can be written by others: chmod 0600 it");
    return true;
}

static bool take(int fd, const char *name, size_t max, struct ccp_buf *out, char why[STATE_WHY])
{
    for (;;) {
        if (out->n == out->cap && !buf_reserve(out, 1))
            return refuse(why, ENOMEM, name, "cannot be read");
        ssize_t n = CCP_FAULT("state.read") ? (errno = EIO, -1) : read(fd, out->p + out->n, out->cap - out->n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(why, errno, name, "cannot be read");
        if (n == 0)
            return true;
        out->n += (size_t)n;
        if (out->n > max)
            return refuse(why, 0, name, "is larger than asked for");
    }
}

bool state_read(int folder, const char *name, size_t max, struct ccp_buf *out, bool *missing, char why[STATE_WHY])
{
    *missing = false;
    buf_init(out, max + 1);
    if (!state_name_ok(ccp_span_z(name)))
        return refuse(why, 0, "the name", "is not a plain file name ([A-Za-z0-9._-], no leading dot)");
    /* O_NONBLOCK: a FIFO must not hold us up before it is seen to be one. */
    int fd = CCP_FAULT("state.open") ? (errno = EIO, -1)
                                     : openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return *missing = true;
    if (fd < 0)
        return refuse(why, errno, name, "cannot be opened");
    bool ok = judge(folder, fd, name, why) && take(fd, name, max, out, why);
    close(fd);
    return ok;
}

/* -- writing -- */

static bool sync_fd(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

static int temporary(int folder, const char *name, char out[256])
{
    uint64_t random;
    if (CCP_FAULT("state.random") || getrandom(&random, sizeof(random), 0) != sizeof(random)) {
        errno = EIO;
        return -1;
    }
    snprintf(out, 256, ".%.200s.%016llx", name, (unsigned long long)random);
    if (CCP_FAULT("state.temporary")) {
        errno = ENOSPC;
        return -1;
    }
    return openat(folder, out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static bool put(int fd, struct ccp_span text)
{
    while (text.n != 0) {
        ssize_t n = CCP_FAULT("state.write") ? (errno = ENOSPC, -1) : write(fd, text.p, text.n);
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

/* What root makes belongs to whom the folder belongs to. */
static bool give(int folder, int fd)
{
    struct stat up;
    return fstat(folder, &up) == 0 && (up.st_uid == geteuid() || fchown(fd, up.st_uid, up.st_gid) == 0);
}

/* Whole and on the disk under its temporary name; closes fd. */
static bool prepare(int folder, int fd, struct ccp_span content)
{
    bool ok = fchmod(fd, 0600) == 0 && give(folder, fd) && put(fd, content) &&
              (CCP_FAULT("state.sync") ? (errno = EIO, false) : sync_fd(fd));
    int code = errno;
    if (close(fd) != 0 && ok)
        return false;
    errno = code;
    return ok;
}

static bool sync_folder(int folder)
{
    if (CCP_FAULT("state.sync_folder")) {
        errno = EIO;
        return false;
    }
    return sync_fd(folder) || errno == EINVAL; /* EINVAL: a file system that has nothing to sync there */
}

bool state_write(int folder, const char *name, struct ccp_span content, char why[STATE_WHY])
{
    char temp[256];
    if (!state_name_ok(ccp_span_z(name)))
        return refuse(why, 0, "the name", "is not a plain file name ([A-Za-z0-9._-], no leading dot)");
    int fd = temporary(folder, name, temp);
    if (fd < 0)
        return refuse(why, errno, name, "cannot be written");
    bool ok = prepare(folder, fd, content) &&
              (CCP_FAULT("state.rename") ? (errno = EIO, -1) : renameat(folder, temp, folder, name)) == 0;
    if (!ok) {
        int code = errno;
        unlinkat(folder, temp, 0);
        return refuse(why, code, name, "cannot be written");
    }
    return sync_folder(folder) || refuse(why, errno, name, "was written, but its folder cannot be synced");
}

bool state_remove(int folder, const char *name, char why[STATE_WHY])
{
    if (!state_name_ok(ccp_span_z(name)))
        return refuse(why, 0, "the name", "is not a plain file name ([A-Za-z0-9._-], no leading dot)");
    if ((CCP_FAULT("state.remove") ? (errno = EIO, -1) : unlinkat(folder, name, 0)) != 0)
        return errno == ENOENT || refuse(why, errno, name, "cannot be removed");
    return sync_folder(folder) || refuse(why, errno, name, "was removed, but its folder cannot be synced");
}

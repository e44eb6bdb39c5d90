/*
 * Directories: the store's own, which is made and kept ours alone, and those that links and vendors' files lead to,
 * which are judged and left as they are.
 */
#include <auth/store_impl.h>
#include <base/fault.h>
#include <base/log.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* A new folder is there after a power cut only if the one above it was synced. Best effort: that one may be another
 * user's, whom we may not even read. */
static void sync_above(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        *slash = '\0';
    int fd = open(slash == NULL ? "." : slash == path ? "/" : path, OPEN_DIRECTORY);
    if (slash != NULL)
        *slash = '/';
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static int make_one(char *path, mode_t mode)
{
    if (CCP_FAULT("store.mkdir") ? (errno = EIO, true) : mkdir(path, mode) != 0)
        return errno;
    sync_above(path);
    return 0;
}

/* Parents as mkdir -p makes them, but never writable by others; the last one for us alone. */
static bool make(const char *path)
{
    char part[STORE_PATH];
    size_t n = strlen(path);
    if (n >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(part, path, n + 1);
    while (n > 1 && part[n - 1] == '/')
        part[--n] = '\0';
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/' || part[i - 1] == '/')
            continue;
        part[i] = '\0';
        make_one(part, 0755); /* if it is not there now, the last one says why */
        part[i] = '/';
    }
    errno = make_one(part, 0700);
    return errno == 0 || errno == EEXIST;
}

static enum store_status refuse(int code, const char *path, struct store_error *e)
{
    switch (code) {
    case ENOENT:
        return store_fail(e, STORE_MISSING, 0, "there is no %s", path);
    case ENOTDIR:
        return store_fail(e, STORE_UNSAFE, 0, "%s is not a folder: remove it, or set auth.directory", path);
    case EACCES:
        return store_fail(e, STORE_UNSAFE, code, "%s cannot be opened", path);
    default:
        return store_fail(e, STORE_IO, code, "%s cannot be opened", path);
    }
}

/* A link as the last part of the path is followed if nobody else can have put it there. */
static enum store_status link_ok(const char *path, struct store_error *e)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && st.st_uid != geteuid() && st.st_uid != 0)
        return store_fail(e, STORE_UNSAFE, 0, "%s is a link that another user made: remove it", path);
    return STORE_OK;
}

static enum store_status tighten(int fd, const char *path, struct store_error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return store_fail(e, STORE_IO, errno, "%s cannot be looked at", path);
    if (st.st_uid != geteuid())
        return store_fail(e, STORE_UNSAFE, 0, "%s belongs to user %u, not to %u who runs ccproxy: chown it", path,
                          (unsigned)st.st_uid, (unsigned)geteuid());
    if ((st.st_mode & S_ISVTX) != 0 && (st.st_mode & S_IWOTH) != 0) /* /tmp, of root: not to be taken from the others */
        return store_fail(e, STORE_UNSAFE, 0, "%s is a folder for everybody: set auth.directory to one of its own",
                          path);
    unsigned loose = st.st_mode & (S_IWGRP | S_IWOTH | S_ISGID | S_ISUID);
    if (loose == 0)
        return STORE_OK;
    if (CCP_FAULT("store.tighten") || fchmod(fd, st.st_mode & 07777 & ~loose) != 0)
        return store_fail(e, STORE_UNSAFE, errno, "others may write to %s (mode %04o): chmod 0700 it", path,
                          (unsigned)(st.st_mode & 07777));
    log_warn("auth",
             "%s had mode %04o, with which others may write to it or its files are given to a group; it is "
             "%04o now",
             path, (unsigned)(st.st_mode & 07777), (unsigned)(st.st_mode & 07777 & ~loose));
    return STORE_OK;
}

enum store_status store_home(const struct store *s, bool create, int *fd, struct store_error *e)
{
    enum store_status status = link_ok(s->directory, e);
    *fd = -1;
    if (status != STORE_OK)
        return status;
    *fd = CCP_FAULT("store.home") ? (errno = EIO, -1) : open(s->directory, OPEN_DIRECTORY);
    if (*fd < 0 && errno == ENOENT && create) {
        if (!make(s->directory))
            return store_fail(e, STORE_IO, errno, "%s cannot be made", s->directory);
        *fd = open(s->directory, OPEN_DIRECTORY);
        if (*fd < 0 && errno == ENOENT) /* a link that leads nowhere: mkdir does not follow it */
            return store_fail(e, STORE_UNSAFE, 0, "%s is a link to nothing: make its target or remove it",
                              s->directory);
    }
    if (*fd < 0)
        return refuse(errno, s->directory, e);
    status = tighten(*fd, s->directory, e);
    if (status != STORE_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

enum store_status store_directory_ok(int fd, const char *shown, struct store_error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return store_fail(e, STORE_IO, errno, "the folder of %s cannot be looked at", shown);
    if (st.st_uid != geteuid())
        return store_fail(e, STORE_UNSAFE, 0, "the folder that %s leads to belongs to another user", shown);
    /* Many systems give each user a group of his own and an umask of 002. */
    if ((st.st_mode & S_IWOTH) != 0 || ((st.st_mode & S_IWGRP) != 0 && st.st_gid != getegid()))
        return store_fail(e, STORE_UNSAFE, 0, "others may write to the folder that %s leads to: chmod go-w it", shown);
    return STORE_OK;
}

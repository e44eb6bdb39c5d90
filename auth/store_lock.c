/*
 * The lock of an account: an open-file-description lock of the kernel on a file that is never deleted.
 *
 * The kernel gives it up when its holder ends in whatever way, so it is never stale; and it belongs to the open file,
 * not to the process, so that two threads exclude each other and no close elsewhere drops it. It is asked for again
 * and again instead of waited for, because waiting could not be stopped.
 */
#include <auth/store_impl.h>
#include <base/clock.h>
#include <base/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { NAP_LEAST_MS = 10, NAP_MOST_MS = 50, FOREIGN_AGE_S = 60 };

static enum store_status open_lock(const struct store_spot *spot, int *fd, struct store_error *e)
{
    char name[256];
    struct stat st;
    snprintf(name, sizeof(name), "%.240s.lock", spot->side);
    *fd = CCP_FAULT("store.lock_file")
              ? (errno = EIO, -1)
              : openat(spot->home, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (*fd < 0)
        return store_fail(e, errno == ELOOP ? STORE_UNSAFE : STORE_IO, errno, "the lock of %s cannot be opened",
                          spot->shown);
    if (fstat(*fd, &st) != 0)
        return store_fail(e, STORE_IO, errno, "the lock of %s cannot be looked at", spot->shown);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return store_fail(e, STORE_UNSAFE, 0, "the lock file of %s is not a plain file of ours: remove it",
                          spot->shown);
    if ((st.st_mode & 07777) != 0600 && fchmod(*fd, 0600) != 0) /* it holds nothing: no word about it */
        return store_fail(e, STORE_UNSAFE, errno, "others may use the lock of %s", spot->shown);
    return STORE_OK;
}

static bool nap(uint64_t left_ms, unsigned round, uint64_t *slept_ms)
{
    uint64_t ms = NAP_LEAST_MS << (round < 3 ? round : 3);
    uint8_t jitter = 0;
    if (getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK) != sizeof(jitter))
        jitter = 0;
    ms = (ms < NAP_MOST_MS ? ms : NAP_MOST_MS) - jitter % NAP_LEAST_MS;
    ms = ms < left_ms ? ms : left_ms;
    if (ms == 0)
        return false;
    struct timespec t = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&t, NULL);
    *slept_ms += ms;
    return true;
}

static enum store_status wait_for(int fd, uint64_t wait_ms, bool (*stop)(void *arg), void *arg, const char *shown,
                                  struct store_error *e)
{
    uint64_t begun = clock_ms(), slept = 0; /* slept: the clock may be one that stands still */
    for (unsigned round = 0;; round++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if ((CCP_FAULT("store.lock") ? (errno = ENOLCK, -1) : fcntl(fd, F_OFD_SETLK, &lock)) == 0)
            return STORE_OK;
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return store_fail(e, STORE_IO, errno, "%s cannot be locked: its disk must support locks", shown);
        if (stop != NULL && stop(arg))
            return store_fail(e, STORE_STOPPED, 0, "stopped while waiting for the lock of %s", shown);
        uint64_t gone = clock_ms() - begun;
        gone = gone > slept ? gone : slept;
        if (gone >= wait_ms || !nap(wait_ms - gone, round, &slept))
            return store_fail(e, STORE_BUSY, 0,
                              "another process has held the lock of %s for %llu ms: is a ccproxy stopped or stuck?",
                              shown, (unsigned long long)gone);
    }
}

/* Is the file that is locked the one that others will lock? Somebody may have removed it, or the whole directory. */
static bool still_there(const struct store *s, const struct store_spot *spot, int fd)
{
    char path[STORE_PATH + 256];
    struct stat mine, named;
    snprintf(path, sizeof(path), "%s/%.240s.lock", s->directory, spot->side);
    return fstat(fd, &mine) == 0 && lstat(path, &named) == 0 && mine.st_dev == named.st_dev &&
           mine.st_ino == named.st_ino;
}

/* A file outside of the store may be written through another store as well, under another lock: what is young there
 * may be its work. */
static unsigned least_age(const struct store_spot *spot)
{
    struct stat home, record;
    bool same = fstat(spot->home, &home) == 0 && fstat(spot->directory, &record) == 0 && home.st_dev == record.st_dev &&
                home.st_ino == record.st_ino;
    return same ? 0 : FOREIGN_AGE_S;
}

static void sweep(const struct store_spot *spot)
{
    static const char *const notes[] = {"intent", "state"};
    char name[256];
    store_file_sweep(spot->directory, spot->name, least_age(spot));
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%.240s.%s", spot->side, notes[i]);
        store_file_sweep(spot->home, name, 0);
    }
}

static void hand_over(struct store_spot *spot, const struct store_place *at, int fd, struct store_lock *out)
{
    *out = (struct store_lock){
        .fd = fd, .home = spot->home, .directory = spot->directory, .layout = at->file != NULL ? at->layout : NULL};
    memcpy(out->name, spot->name, sizeof(out->name));
    memcpy(out->side, spot->side, sizeof(out->side));
}

enum store_status store_lock(struct store *s, const struct store_place *at, uint64_t wait_ms, bool (*stop)(void *arg),
                             void *arg, struct store_lock *out, struct store_error *e)
{
    struct store_spot spot;
    enum store_status status = STORE_OK;
    *out = (struct store_lock){.fd = -1, .home = -1, .directory = -1};
    store_fine(e);
    for (int tries = 0; tries < 8; tries++) {
        int fd = -1;
        status = store_spot_open(s, at, true, &spot, e);
        if (status != STORE_OK)
            return status;
        status = open_lock(&spot, &fd, e);
        if (status == STORE_OK)
            status = wait_for(fd, wait_ms, stop, arg, spot.shown, e);
        if (status == STORE_OK && still_there(s, &spot, fd)) {
            sweep(&spot);
            hand_over(&spot, at, fd, out);
            return STORE_OK;
        }
        if (fd >= 0)
            close(fd);
        store_spot_close(&spot);
        if (status != STORE_OK)
            return status;
    }
    return store_fail(e, STORE_IO, 0, "the lock files in %s vanish: does another program clean that folder up?",
                      s->directory);
}

void store_unlock(struct store_lock *lock)
{
    if (lock->fd < 0)
        return;
    close(lock->fd); /* gives the lock up */
    close(lock->home);
    close(lock->directory);
    *lock = (struct store_lock){.fd = -1, .home = -1, .directory = -1};
}

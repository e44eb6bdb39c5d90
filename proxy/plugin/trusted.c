/*
 * Who could have written this file? See trusted_impl.h.
 *
 * Permissions of the group count as the world's: who is in a group changes behind our back.
 */
#include <plugin/trusted_impl.h>

#include <base/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum place { ABOVE, LAST, INSIDE };

/* NULL, or why it is not ours alone; `path` names it. */
static bool sound(const struct stat *st, enum place place, const char *path, char *why, size_t max)
{
    bool sticky = (st->st_mode & S_ISVTX) != 0 && st->st_uid == 0 && place == ABOVE;
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        snprintf(why, max, "%s belongs to user %u, who could change what is loaded: chown %u '%s'", path,
                 (unsigned)st->st_uid, (unsigned)geteuid(), path);
        return false;
    }
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky) {
        snprintf(why, max, "%s can be written by %s: chmod go-w '%s'", path,
                 (st->st_mode & S_IWOTH) != 0 ? "everybody" : "its group", path);
        return false;
    }
    return true;
}

/* One step down: opened without following a link, then looked at. */
static enum trusted_result step(int folder, const char *name, int flags, enum place place, const char *path, int *fd,
                                char *why, size_t max)
{
    struct stat st;
    *fd = CCP_FAULT("plugin.open") ? (errno = EMFILE, -1) : openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0) {
        int error = errno;
        bool link = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
        if (link)
            snprintf(why, max, "%s is a symbolic link: put the real one there", path);
        else
            snprintf(why, max, "%s: %s", path, strerror(error));
        return error == ENOENT && !link ? TRUSTED_MISSING : TRUSTED_REFUSED;
    }
    /* O_PATH opens the link itself. */
    if (fstat(*fd, &st) != 0)
        snprintf(why, max, "%s: %s", path, strerror(errno));
    else if (S_ISLNK(st.st_mode))
        snprintf(why, max, "%s is a symbolic link: put the real one there", path);
    else if ((flags & O_DIRECTORY) == 0 && !S_ISREG(st.st_mode))
        snprintf(why, max, "%s is not a regular file", path);
    else if (sound(&st, place, path, why, max))
        return TRUSTED_OK;
    close(*fd);
    *fd = -1;
    return TRUSTED_REFUSED;
}

/* Walks the resolved path; `path` is cut into its components on the way and whole again afterwards. */
static enum trusted_result walk(char *path, int *fd, char *why, size_t max)
{
    enum trusted_result r =
        step(AT_FDCWD, "/", O_PATH | O_DIRECTORY, path[1] == '\0' ? LAST : ABOVE, "/", fd, why, max);
    for (char *at = path + 1; r == TRUSTED_OK && *at != '\0';) {
        char *end = at + strcspn(at, "/"), kept = *end;
        int folder = *fd;
        *end = '\0';
        r = step(folder, at, kept != '\0' ? O_PATH | O_DIRECTORY : O_RDONLY | O_DIRECTORY, kept != '\0' ? ABOVE : LAST,
                 path, fd, why, max);
        close(folder);
        *end = kept;
        at = kept != '\0' ? end + 1 : end;
    }
    return r;
}

enum trusted_result trusted_folder(const char *path, int *fd, char **resolved, char *why, size_t max)
{
    *fd = -1;
    *resolved = CCP_FAULT("plugin.path") ? (errno = ENOMEM, NULL) : realpath(path, NULL);
    if (*resolved == NULL) {
        int error = errno;
        snprintf(why, max, "%s: %s", path, strerror(error));
        return error == ENOENT || error == ENOTDIR ? TRUSTED_MISSING : TRUSTED_REFUSED;
    }
    enum trusted_result r = walk(*resolved, fd, why, max);
    if (r != TRUSTED_OK) {
        free(*resolved);
        *resolved = NULL;
    }
    return r;
}

enum trusted_result trusted_below(int folder, const char *at, const char *name, bool directory, int *fd, char *why,
                                  size_t max)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", at, name) >= (int)sizeof(path)) {
        snprintf(why, max, "the path of %.64s is too long", name);
        return TRUSTED_REFUSED;
    }
    return step(folder, name, directory ? O_RDONLY | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY, INSIDE, path, fd,
                why, max);
}

/*
 * The state folder and those below it: found, made, and refused when somebody else could write there. See state_file.h.
 *
 * The home may be reached through links of the operator's (~/.local on another disk); below it none is followed, and
 * each step is judged by its open descriptor, so nothing can be exchanged between the look and the use.
 */
#include <base/fault.h>
#include <base/state_file.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *absolute(const char *variable)
{
    const char *v = getenv(variable);
    return v != NULL && v[0] == '/' ? v : NULL;
}

bool state_home(char out[PATH_MAX], char why[STATE_WHY])
{
    const char *own = absolute("STATE_DIRECTORY"), *xdg = absolute("XDG_STATE_HOME"), *home = absolute("HOME");
    int n = -1;
    if (own != NULL)
        n = snprintf(out, PATH_MAX, "%.*s", (int)strcspn(own, ":"), own);
    else if (xdg != NULL)
        n = snprintf(out, PATH_MAX, "%s/ccproxy", xdg);
    else if (home != NULL)
        n = snprintf(out, PATH_MAX, "%s/.local/state/ccproxy", home);
    if (n > 0 && n < PATH_MAX)
        return true;
    snprintf(why, STATE_WHY,
             n < 0 ? "there is no folder for state: neither STATE_DIRECTORY nor XDG_STATE_HOME nor "
                     "HOME is an absolute path"
                   : "the path of the state folder is too long");
    return false;
}

static int refuse(char why[STATE_WHY], int code, const char *path, const char *what)
{
    char text[128] = "";
    snprintf(why, STATE_WHY, "the state folder %.150s %s%s%s", path, what, code != 0 ? ": " : "",
             code != 0 ? strerror_r(code, text, sizeof(text)) : "");
    return -1;
}

/* Does it belong to `owner` alone? Closes the descriptor if not. */
static int judge(int fd, uid_t owner, const char *path, char why[STATE_WHY])
{
    struct stat st;
    const char *wrong = NULL;
    if (fstat(fd, &st) != 0)
        wrong = "cannot be looked at";
    else if (st.st_uid != owner)
        wrong = "belongs to another user";
    else if ((st.st_mode & 022) != 0)
        wrong = "can be written by others: chmod go-w it";
    if (wrong == NULL)
        return fd;
    close(fd);
    return refuse(why, 0, path, wrong);
}

/* Makes what is missing above the last name, as any program does: 0755, less by the umask. */
static bool make_parents(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        int rc = mkdir(path, 0755), code = errno;
        *p = '/';
        if (rc != 0 && code != EEXIST && access(path, F_OK) != 0 && code != EACCES && code != EROFS) {
            errno = code;
            return false;
        }
    }
    return true;
}

static int open_home(char path[PATH_MAX], char why[STATE_WHY])
{
    if (!state_home(path, why))
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (CCP_FAULT("state.folder") || !make_parents(path) || (mkdir(path, 0700) != 0 && errno != EEXIST))
            return refuse(why, errno, path, "cannot be made");
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return refuse(why, errno, path, "cannot be opened");
    struct stat st;
    uid_t us = geteuid();
    return judge(fd, us == 0 && fstat(fd, &st) == 0 ? st.st_uid : us, path, why);
}

static int step(int parent, const char *name, const char *shown, char why[STATE_WHY])
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct stat up;
    if (fstat(parent, &up) != 0)
        return refuse(why, errno, shown, "cannot be looked at");
    int fd = openat(parent, name, flags);
    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
            return refuse(why, errno, shown, "cannot be made");
        fd = openat(parent, name, flags);
        if (fd >= 0 && up.st_uid != geteuid() && fchown(fd, up.st_uid, up.st_gid) != 0) {
            close(fd);
            return refuse(why, errno, shown, "cannot be given to its owner");
        }
    }
    return fd < 0 ? refuse(why, errno, shown, "cannot be opened") : judge(fd, up.st_uid, shown, why);
}

int state_open(const char *below, char why[STATE_WHY])
{
    char path[PATH_MAX], name[256];
    int fd = open_home(path, why);
    while (fd >= 0 && *below != '\0') {
        size_t n = strcspn(below, "/"), at = strlen(path);
        if (!state_name_ok(ccp_span_of(below, n)) || at + n + 2 > sizeof(path)) {
            close(fd);
            return refuse(why, 0, path, "cannot hold such a name");
        }
        snprintf(name, sizeof(name), "%.*s", (int)n, below);
        snprintf(path + at, sizeof(path) - at, "/%s", name);
        int next = step(fd, name, path, why);
        close(fd);
        fd = next;
        below += n + (below[n] == '/');
    }
    return fd;
}

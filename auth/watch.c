/*
 * Noticing that another program changed a login: inotify on the folders, and the clock for what inotify cannot see (a
 * folder that is missing or was replaced, file systems of other machines).
 *
 * It only says "look": what changed is found by comparing stamps.
 */
#include <auth/service_impl.h>

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    FOLDERS_MAX = 32,
    GONE = IN_DELETE_SELF | IN_MOVE_SELF,
    COMES = IN_CREATE | IN_MOVED_TO | GONE | IN_MASK_ADD, /* one folder may be watched for several */
    CHANGES = COMES | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB,
    LOOK_MS = 30 * 1000, /* every folder is watched */
    BLIND_MS = 1500,     /* one cannot be: what changes there is still seen within 2 s */
};

/* A folder of interest. While it is missing the nearest one above it is watched, for its coming. */
struct folder {
    char *path;
    int wd; /* -1 = not watched now */
    bool above;
};

struct watch {
    int fd;
    struct folder v[FOLDERS_MAX];
    size_t n;
    bool more; /* folders that found no place */
};

struct watch *watch_new(void)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (w != NULL)
        w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return w;
}

void watch_free(struct watch *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i].path);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

/* Folders under one that is missing share a watch: the last one takes it along. */
static void stop_watching(struct watch *w, int wd)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].wd == wd)
            return;
    if (wd >= 0)
        inotify_rm_watch(w->fd, wd);
}

static void watch_above(struct watch *w, struct folder *f)
{
    char path[4096];
    size_t n = strlen(f->path);
    if (n >= sizeof(path))
        return;
    memcpy(path, f->path, n + 1);
    for (char *slash = strrchr(path, '/'); slash != NULL && f->wd < 0; slash = strrchr(path, '/')) {
        slash[slash == path] = '\0'; /* the root keeps its own */
        f->wd = inotify_add_watch(w->fd, path, COMES);
        if (slash == path)
            break;
    }
    f->above = true;
}

void watch_again(struct watch *w)
{
    for (size_t i = 0; w->fd >= 0 && i < w->n; i++) {
        struct folder *f = &w->v[i];
        if (f->wd >= 0 && !f->above)
            continue;
        int before = f->wd;
        f->wd = inotify_add_watch(w->fd, f->path, CHANGES);
        f->above = false;
        if (f->wd < 0 && errno == ENOENT)
            watch_above(w, f);
        stop_watching(w, before); /* that is an event, too: never of a watch that stays */
        /* It may have come between the two calls. */
        if (f->above && access(f->path, F_OK) == 0)
            i--;
    }
}

void watch_folder(struct watch *w, const char *path)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->v[i].path, path) == 0)
            return;
    char *copy = w->n < FOLDERS_MAX ? strdup(path) : NULL;
    w->more = w->more || copy == NULL;
    if (copy != NULL)
        w->v[w->n++] = (struct folder){copy, -1, false};
    watch_again(w);
}

static void watch_folder_of(struct watch *w, const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    watch_folder(w, folder[0] != '\0' ? folder : "/");
}

void watch_file(struct watch *w, const char *path)
{
    char *real = realpath(path, NULL);
    watch_folder_of(w, path);
    if (real != NULL)
        watch_folder_of(w, real);
    free(real);
}

static void on_event(struct watch *w, const struct inotify_event *e)
{
    if ((e->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) == 0)
        return;
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].wd == e->wd) {
            if ((e->mask & IN_MOVE_SELF) != 0)
                inotify_rm_watch(w->fd, e->wd);
            w->v[i].wd = -1;
        }
}

bool watch_read(struct watch *w)
{
    char bytes[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool any = false;
    for (ssize_t n; (n = read(w->fd, bytes, sizeof(bytes))) > 0; any = true)
        for (char *p = bytes; p < bytes + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
            on_event(w, e);
            p += sizeof(*e) + e->len;
        }
    return any;
}

uint64_t watch_interval(const struct watch *w)
{
    bool all = w->fd >= 0 && !w->more;
    for (size_t i = 0; i < w->n; i++)
        all = all && w->v[i].wd >= 0;
    return all ? LOOK_MS : BLIND_MS;
}

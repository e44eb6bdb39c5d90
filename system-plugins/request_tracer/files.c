/*
 * The folder of traces: <folder>/2026-11-21/172703.123456-<id>.http, files 0600 in folders 0700.
 *
 * Names sort by time, so no index is kept: the oldest file is the first one, and what a crash or an operator does to
 * the folder is seen at the next look. Only names of this shape are ever opened or removed. A file that could not be
 * written whole is removed again.
 */
#include "request_tracer_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DAY = 10, CLOCK = 13 }; /* "2026-11-21", "172703.123456" */
#define ENDING ".http"

struct names {
    char (*v)[FILES_NAME_MAX + 1];
    size_t n, room;
};

/* -- names -- */

static bool id_byte(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' || c == '_' || c == '-';
}

void files_name(char out[FILES_NAME_MAX + 1], uint64_t unix_us, struct ccp_span id)
{
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, FILES_NAME_MAX, "%Y-%m-%d-%H%M%S.", &tm);
    n += ccp_digits(out + n, unix_us % 1000000, 6);
    out[n++] = '-';
    for (size_t i = 0; i < id.n && n < FILES_NAME_MAX; i++)
        out[n++] = id_byte(id.p[i]) ? id.p[i] : '_';
    out[n] = '\0';
}

/* Does it have the shape of `shape`, in which a '0' stands for any digit? */
static bool shaped(const char *s, const char *shape)
{
    for (; *shape != '\0'; s++, shape++)
        if (*shape == '0' ? *s < '0' || *s > '9' : *s != *shape)
            return false;
    return true;
}

static bool is_name(struct ccp_span s)
{
    char text[FILES_NAME_MAX + 1];
    if (s.n < 25 || s.n > FILES_NAME_MAX)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    for (size_t i = 24; i < s.n; i++)
        if (!id_byte(text[i]))
            return false;
    return shaped(text, "0000-00-00-000000.000000-");
}

static struct ccp_span id_of(const char *name)
{
    return ccp_span_z(name + DAY + 1 + CLOCK + 1);
}

/* "<day>/<file>" of a name. */
static void split(const char *name, char day[DAY + 1], char file[FILES_NAME_MAX + 8])
{
    memcpy(day, name, DAY);
    day[DAY] = '\0';
    snprintf(file, FILES_NAME_MAX + 8, "%s" ENDING, name + DAY + 1);
}

/* -- folders -- */

static int open_folder(const struct tracer *t)
{
    return open(t->folder.p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_day(const struct tracer *t, const char *day)
{
    int top = open_folder(t), fd = -1;
    if (top < 0)
        return -1;
    fd = openat(top, day, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close(top);
    return fd;
}

/* The folder may have been removed while we run. */
static int make_day(const struct tracer *t, const char *day)
{
    int top = open_folder(t);
    if (top < 0 && errno == ENOENT && (mkdir(t->folder.p, 0700) == 0 || errno == EEXIST)) /* or another thread did */
        top = open_folder(t);
    if (top < 0)
        return -1;
    int fd = mkdirat(top, day, 0700) == 0 || errno == EEXIST
                 ? openat(top, day, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                 : -1;
    int error = errno;
    close(top);
    errno = error;
    return fd;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool add_name(struct names *l, const char *text)
{
    if (l->n == l->room) {
        size_t room = l->room != 0 ? l->room * 2 : 64;
        void *bigger = realloc(l->v, room * sizeof(*l->v));
        if (bigger == NULL)
            return false;
        l->v = bigger;
        l->room = room;
    }
    snprintf(l->v[l->n++], sizeof(*l->v), "%s", text);
    return true;
}

static void free_names(struct names *l)
{
    free(l->v);
    *l = (struct names){NULL, 0, 0};
}

/* Entries of an open folder, which is closed. `day` NULL: days; else names of its traces. Sorted. */
static bool read_entries(int fd, const char *day, struct names *out)
{
    bool fine = true;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    *out = (struct names){NULL, 0, 0};
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (struct dirent *e; fine && (e = readdir(dir)) != NULL;) {
        char name[FILES_NAME_MAX + 1];
        size_t n = strlen(e->d_name);
        if (day == NULL) {
            if (n == DAY && shaped(e->d_name, "0000-00-00"))
                fine = add_name(out, e->d_name);
        } else if (n > 5 && n + DAY + 1 - 5 <= FILES_NAME_MAX && strcmp(e->d_name + n - 5, ENDING) == 0) {
            int size = snprintf(name, sizeof(name), "%s-%.*s", day, (int)(n - 5), e->d_name);
            if (is_name(ccp_span_of(name, (size_t)size)))
                fine = add_name(out, name);
        }
    }
    closedir(dir);
    if (out->n != 0)
        qsort(out->v, out->n, sizeof(*out->v), by_name);
    if (!fine)
        free_names(out);
    return fine;
}

static bool read_days(const struct tracer *t, struct names *out)
{
    return read_entries(open_folder(t), NULL, out);
}

static bool read_names(const struct tracer *t, const char *day, struct names *out)
{
    return read_entries(open_day(t, day), day, out);
}

static uint64_t size_at(int day, const char *file)
{
    struct stat st;
    return fstatat(day, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

bool files_count(struct tracer *t)
{
    struct names days, names;
    if (!read_days(t, &days))
        return false;
    uint64_t files = 0, bytes = 0;
    for (size_t i = 0; i < days.n; i++) {
        int fd = open_day(t, days.v[i]);
        if (!read_names(t, days.v[i], &names)) {
            if (fd >= 0)
                close(fd);
            continue;
        }
        for (size_t k = 0; k < names.n; k++) {
            char day[DAY + 1], file[FILES_NAME_MAX + 8];
            split(names.v[k], day, file);
            files++;
            bytes += fd >= 0 ? size_at(fd, file) : 0;
        }
        free_names(&names);
        if (fd >= 0)
            close(fd);
    }
    free_names(&days);
    pthread_mutex_lock(&t->lock);
    t->files = files;
    t->bytes = bytes;
    pthread_mutex_unlock(&t->lock);
    return true;
}

/* -- removing; with the lock held -- */

static bool remove_locked(struct tracer *t, const char *name)
{
    char day[DAY + 1], file[FILES_NAME_MAX + 8];
    split(name, day, file);
    int fd = open_day(t, day);
    if (fd < 0)
        return false;
    uint64_t size = size_at(fd, file);
    bool gone = unlinkat(fd, file, 0) == 0;
    close(fd);
    if (gone) {
        t->files -= t->files != 0;
        t->bytes -= size < t->bytes ? size : t->bytes;
    }
    return gone;
}

static void remove_day(struct tracer *t, const char *day)
{
    int top = open_folder(t);
    if (top < 0)
        return;
    unlinkat(top, day, AT_REMOVEDIR); /* only an empty one goes */
    close(top);
}

static bool too_much(const struct tracer *t, bool over)
{
    uint64_t files = (uint64_t)t->config->max_files, bytes = t->config->max_total;
    if (over) /* once it is too much, a twentieth more goes: else every new file would look through the folder */
        files -= files / 20, bytes -= bytes / 20;
    return t->files > files || t->bytes > bytes;
}

static void remove_oldest_locked(struct tracer *t, const char *cutoff)
{
    struct names days, names;
    bool over = too_much(t, false);
    if (!read_days(t, &days))
        return;
    for (size_t i = 0; i < days.n && (too_much(t, over) || strncmp(days.v[i], cutoff, DAY) <= 0); i++) {
        if (!read_names(t, days.v[i], &names))
            continue;
        for (size_t k = 0; k < names.n && (too_much(t, over) || strcmp(names.v[k], cutoff) < 0); k++)
            remove_locked(t, names.v[k]);
        free_names(&names);
        remove_day(t, days.v[i]);
    }
    free_names(&days);
}

void files_prune(struct tracer *t)
{
    char cutoff[FILES_NAME_MAX + 1];
    uint64_t now = t->api->now_unix_us(), age = t->config->retention * 1000;
    files_name(cutoff, now > age ? now - age : 0, CCP_SPAN(""));
    pthread_mutex_lock(&t->lock);
    remove_oldest_locked(t, cutoff);
    pthread_mutex_unlock(&t->lock);
}

bool files_remove(struct tracer *t, const char *name)
{
    pthread_mutex_lock(&t->lock);
    bool gone = remove_locked(t, name);
    pthread_mutex_unlock(&t->lock);
    return gone;
}

size_t files_clear(struct tracer *t)
{
    struct names days, names;
    size_t n = 0;
    if (!read_days(t, &days))
        return 0;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < days.n; i++) {
        if (!read_names(t, days.v[i], &names))
            continue;
        for (size_t k = 0; k < names.n; k++)
            n += remove_locked(t, names.v[k]);
        free_names(&names);
        remove_day(t, days.v[i]);
    }
    pthread_mutex_unlock(&t->lock);
    free_names(&days);
    return n;
}

/* -- writing -- */

static const char *trouble(void)
{
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
        return "the disk is full";
    case EACCES:
    case EPERM:
    case EROFS:
        return "its folder may not be written";
    case EFBIG:
        return "a limit of the file system or of the process forbids it";
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
        return "its folder is gone";
    default:
        return "its file cannot be written";
    }
}

static bool write_all(int fd, struct ccp_span text)
{
    while (text.n != 0) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = ccp_span_skip(text, (size_t)n);
    }
    return true;
}

static const char *write_at(int day, const char *file, struct ccp_span text)
{
    int fd = openat(day, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return trouble();
    const char *why = write_all(fd, text) ? NULL : trouble();
    if (close(fd) != 0 && why == NULL)
        why = trouble();
    if (why != NULL)
        unlinkat(day, file, 0);
    return why;
}

const char *files_write(struct tracer *t, const char *name, struct ccp_span text)
{
    char day[DAY + 1], file[FILES_NAME_MAX + 8];
    split(name, day, file);
    int fd = make_day(t, day);
    if (fd < 0)
        return trouble();
    const char *why = write_at(fd, file, text);
    close(fd);
    if (why != NULL)
        return why;
    pthread_mutex_lock(&t->lock);
    t->files++;
    t->bytes += text.n;
    if (too_much(t, false))
        remove_oldest_locked(t, "");
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* -- looking -- */

static bool listed(const char *name, struct ccp_span before, struct ccp_span id)
{
    size_t n = strlen(name), most = n < before.n ? n : before.n;
    int order = before.n != 0 ? memcmp(name, before.p, most) : -1;
    bool behind = order < 0 || (order == 0 && n < before.n);
    return behind && (id.n == 0 || ccp_span_eq(id_of(name), id));
}

size_t files_list(const struct tracer *t, struct ccp_span before, struct ccp_span id, struct files_found *out,
                  size_t max)
{
    struct names days, names;
    size_t n = 0;
    if (!read_days(t, &days))
        return 0;
    for (size_t i = days.n; n < max && i-- != 0;) {
        if (!read_names(t, days.v[i], &names))
            continue;
        int fd = open_day(t, days.v[i]);
        for (size_t k = names.n; n < max && k-- != 0;) {
            char day[DAY + 1], file[FILES_NAME_MAX + 8];
            if (!listed(names.v[k], before, id))
                continue;
            split(names.v[k], day, file);
            memcpy(out[n].name, names.v[k], sizeof(out[n].name));
            out[n++].size = fd >= 0 ? size_at(fd, file) : 0;
        }
        if (fd >= 0)
            close(fd);
        free_names(&names);
    }
    free_names(&days);
    return n;
}

static bool exists(const struct tracer *t, const char *name, uint64_t *size)
{
    char day[DAY + 1], file[FILES_NAME_MAX + 8];
    struct stat st;
    split(name, day, file);
    int fd = open_day(t, day);
    bool there = fd >= 0 && fstatat(fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    *size = there ? (uint64_t)st.st_size : 0;
    if (fd >= 0)
        close(fd);
    return there;
}

bool files_find(const struct tracer *t, struct ccp_span what, struct files_found *out)
{
    if (is_name(what)) {
        snprintf(out->name, sizeof(out->name), "%.*s", CCP_FMT(what));
        if (exists(t, out->name, &out->size))
            return true;
    }
    for (size_t i = 0; i < what.n; i++)
        if (!id_byte(what.p[i]))
            return false;
    return what.n != 0 && what.n <= 128 && files_list(t, CCP_SPAN(""), what, out, 1) == 1;
}

struct ccp_span files_read(const struct tracer *t, const char *name, size_t max)
{
    char day[DAY + 1], file[FILES_NAME_MAX + 8];
    struct ccp_span out = {NULL, 0};
    struct stat st;
    split(name, day, file);
    int folder = open_day(t, day);
    int fd = folder >= 0 ? openat(folder, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (folder >= 0)
        close(folder);
    if (fd < 0)
        return out;
    size_t want = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
    want = want < max ? want : max;
    char *p = malloc(want + 1);
    for (ssize_t n = 1; p != NULL && n > 0 && out.n < want;) {
        n = read(fd, p + out.n, want - out.n);
        out.n += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    out.p = p;
    return out;
}

/*
 * Descriptions of objects that were seen before: <folder>/<sha256>.json, 0600 in a folder of ours.
 *
 * A file that is not ours alone, of another ccproxy or of another table of members is as good as none; so is one that
 * is not JSON, which is why nothing is synced. What it says is read as carefully as what the child process says.
 */
#include <plugin/describe_impl.h>
#include <plugin/discover_impl.h>

#include <base/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_FORMAT = 1 };

static bool ours(int fd, mode_t kind, mode_t forbidden)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind && st.st_uid == geteuid() &&
           (st.st_mode & forbidden) == 0;
}

/* Descriptor of the folder, made with what is missing of its way when `make`; -1 = none. */
static int open_folder(struct ccp_span folder, bool make)
{
    char path[PATH_MAX];
    if (folder.n == 0 || folder.p[0] != '/' || folder.n >= sizeof(path) || CCP_FAULT("plugin.cache"))
        return -1;
    memcpy(path, folder.p, folder.n);
    path[folder.n] = '\0';
    for (char *at = path + 1; make && *at != '\0'; at++)
        if (*at == '/') {
            *at = '\0';
            mkdir(path, 0700); /* it may be there, or not be allowed: the last open tells */
            *at = '/';
        }
    if (make)
        mkdir(path, 0700);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && !ours(fd, S_IFDIR, 0077)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static json_t *header(const char *name)
{
    char print[24];
    snprintf(print, sizeof(print), "%016" PRIx64, describe_fingerprint());
    return json_pack("{s:i, s:s, s:s, s:s}", "format", CACHE_FORMAT, "ccproxy", CCP_VERSION, "members", print, "name",
                     name);
}

/* Does the file say of itself what it must? */
static bool fits(const json_t *file, const char *name)
{
    json_t *want = header(name);
    const char *key;
    json_t *v;
    bool same = want != NULL;
    json_object_foreach(want, key, v) same = same && json_equal(json_object_get(file, key), v);
    json_decref(want);
    return same;
}

static json_t *read_file(int folder, const char *file)
{
    struct stat st;
    int fd = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    json_t *v = NULL;
    if (ours(fd, S_IFREG, 0022) && fstat(fd, &st) == 0 && st.st_size <= DESCRIBE_JSON_MAX + 1024)
        v = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
    close(fd);
    return v;
}

json_t *cache_load(struct ccp_span folder, const char *sum, const char *name)
{
    char file[OBJECT_SUM + 8];
    int dir = open_folder(folder, false);
    if (dir < 0)
        return NULL;
    snprintf(file, sizeof(file), "%s.json", sum);
    json_t *v = read_file(dir, file);
    close(dir);
    const json_t *answer = fits(v, name) ? json_object_get(v, "answer") : NULL;
    json_t *out = json_is_object(answer) ? json_incref((json_t *)answer) : NULL;
    json_decref(v);
    return out;
}

static void write_file(int dir, const char *file, const json_t *v)
{
    char temporary[OBJECT_SUM + 40];
    snprintf(temporary, sizeof(temporary), ".%s.%ld", file, (long)getpid());
    unlinkat(dir, temporary, 0); /* of a process that died and had our number */
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    bool written = !CCP_FAULT("plugin.cache.write") && json_dumpfd(v, fd, JSON_COMPACT) == 0;
    written = close(fd) == 0 && written;
    if (!written || renameat(dir, temporary, dir, file) != 0)
        unlinkat(dir, temporary, 0);
}

void cache_store(struct ccp_span folder, const char *sum, const char *name, const json_t *answer)
{
    char file[OBJECT_SUM + 8];
    int dir = open_folder(folder, true);
    json_t *v = dir >= 0 ? header(name) : NULL;
    snprintf(file, sizeof(file), "%s.json", sum);
    if (v != NULL && json_object_set(v, "answer", (json_t *)answer) == 0)
        write_file(dir, file, v);
    json_decref(v);
    if (dir >= 0)
        close(dir);
}

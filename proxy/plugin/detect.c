/*
 * See detect.h. What is read here was installed by somebody who may run programs as this user, so it is believed, but
 * it is only ever shown: bounded reads, printable versions.
 */
#include <plugin/detect.h>

#include <base/buf.h>
#include <base/fault.h>
#include <wire/json.h>

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PACKAGE_MAX = 256 * 1024, LEVELS = 5 };

/* Digits, a dot, digits, a dot, and a digit, then what a version may have: "2.1.197", "0.169.0-alpha.1". */
static bool like_version(struct ccp_span s)
{
    size_t i = 0, dots = 0;
    for (; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.') && dots < 3; i++)
        dots += s.p[i] == '.';
    if (dots < 2 || s.n > 40 || s.p[0] == '.')
        return false;
    for (i = 0; i < s.n; i++)
        if (memchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-+_", s.p[i], 66) == NULL)
            return false;
    return true;
}

static bool runnable(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The first one in PATH, as a shell would find it; folders that are not absolute are left out. */
static struct ccp_span find(struct arena *a, const char *name, const char *path_list)
{
    struct ccp_span rest = ccp_span_z(path_list != NULL ? path_list : "");
    while (rest.n != 0) {
        struct ccp_span folder = ccp_span_of(rest.p, ccp_span_find(rest, ':'));
        rest = ccp_span_skip(rest, folder.n < rest.n ? folder.n + 1 : rest.n);
        if (folder.n == 0 || folder.n >= PATH_MAX || folder.p[0] != '/')
            continue;
        struct ccp_span path = arena_printf(a, "%.*s/%s", CCP_FMT(folder), name);
        if (path.p != NULL && runnable(path.p))
            return path;
    }
    return (struct ccp_span){"", 0};
}

static bool read_whole(const char *path, struct ccp_buf *out)
{
    char piece[8192];
    struct stat st;
    int fd = CCP_FAULT("detect.open") ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    for (ssize_t n; ok && (n = read(fd, piece, sizeof(piece))) != 0;)
        ok = n > 0 && buf_add(out, ccp_span_of(piece, (size_t)n));
    close(fd);
    return ok;
}

/* The version in this package.json, when it is the package's own. */
static struct ccp_span package_version(struct arena *a, const char *file, const char *package)
{
    struct ccp_span version = {"", 0};
    struct ccp_json *root;
    struct ccp_buf text;
    buf_init(&text, PACKAGE_MAX);
    struct ccp_span kept = read_whole(file, &text) ? arena_dup(a, buf_span(&text)) : (struct ccp_span){NULL, 0};
    buf_release(&text);
    if (kept.p == NULL || json_parse(a, kept, &root, NULL) != CCP_OK ||
        !ccp_span_is(ccp_json_inner(ccp_json_get(root, "name")), package))
        return version;
    struct ccp_span found = ccp_json_inner(ccp_json_get(root, "version"));
    return like_version(found) ? arena_dup(a, found) : version;
}

/* The folder that `path` stands in, without the slash; empty at the root. */
static struct ccp_span parent(struct ccp_span path)
{
    while (path.n != 0 && path.p[path.n - 1] != '/')
        path.n--;
    return ccp_span_of(path.p, path.n != 0 ? path.n - 1 : 0);
}

static struct ccp_span version_of(struct arena *a, const char *real, const char *package)
{
    struct ccp_span at = parent(ccp_span_z(real)), found;
    for (int i = 0; i < LEVELS && at.n != 0; i++, at = parent(at)) {
        struct ccp_span file = arena_printf(a, "%.*s/package.json", CCP_FMT(at));
        if (file.p != NULL && (found = package_version(a, file.p, package)).n != 0)
            return found;
    }
    at = ccp_span_z(real);
    for (int i = 0; i < LEVELS && at.n != 0; i++, at = parent(at)) {
        struct ccp_span up = parent(at), name = ccp_span_skip(at, up.n + 1);
        if (like_version(name))
            return arena_dup(a, name);
    }
    return (struct ccp_span){"", 0};
}

struct detection detect_program(struct arena *a, const struct ccp_program *program, const char *path_list)
{
    struct detection d = {find(a, program->name, path_list), {"", 0}};
    char *real = d.path.n != 0 ? realpath(d.path.p, NULL) : NULL;
    if (real != NULL)
        d.version = version_of(a, real, program->package);
    free(real);
    if (d.version.p == NULL) /* no memory: not known */
        d.version = (struct ccp_span){"", 0};
    return d;
}

/*
 * From an account to the directory and name of its files.
 *
 * A record may be a symbolic link that its user made, for folders that are kept in step or backed up: then the target
 * is what is read and replaced, and the link stays. Each link on the way must be ours, and so must the directory it
 * leads to; a link to nothing is refused, because a file would then appear in a place that nobody looks after.
 */
#include <auth/store_impl.h>
#include <base/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <unistd.h>

enum { HOPS = 8 };

bool store_label_ok(struct ccp_span label)
{
    for (size_t i = 0; i < label.n; i++) {
        unsigned char c = (unsigned char)label.p[i], low = c | 0x20;
        if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && (c == 0 || strchr("._@+-", c) == NULL))
            return false;
    }
    return label.n != 0 && label.n <= STORE_LABEL_MAX && label.p[0] != '.';
}

bool store_provider_ok(struct ccp_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return name.n != 0 && name.n <= 64;
}

/* The path as everybody spells it who means the same file, so that all of them take the same lock. */
static bool true_path(const char *file, char out[PATH_MAX])
{
    char copy[PATH_MAX], folder[PATH_MAX];
    size_t n = strlen(file);
    if (realpath(file, out) != NULL)
        return true;
    if (n >= sizeof(copy))
        return false;
    memcpy(copy, file, n + 1);
    char *slash = strrchr(copy, '/');
    const char *last = slash != NULL ? slash + 1 : copy;
    if (slash != NULL)
        *slash = '\0';
    if (realpath(slash == NULL ? "." : slash == copy ? "/" : copy, folder) == NULL)
        return false;
    return snprintf(out, PATH_MAX, "%s/%s", folder, last) < PATH_MAX;
}

static bool foreign_side(const char *file, char out[256])
{
    char path[PATH_MAX];
    unsigned char digest[EVP_MAX_MD_SIZE];
    const char *name = true_path(file, path) ? path : file;
    if (EVP_Digest(name, strlen(name), digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    size_t n = (size_t)snprintf(out, 256, "foreign.");
    for (size_t i = 0; i < 8; i++)
        n += (size_t)snprintf(out + n, 256 - n, "%02x", digest[i]);
    return true;
}

bool store_side(const struct store_place *at, char out[256])
{
    if (at->file != NULL)
        return foreign_side(at->file, out);
    if (!store_provider_ok(at->provider) || !store_label_ok(at->account))
        return false;
    snprintf(out, 256, "%.*s.%.*s", CCP_FMT(at->provider), CCP_FMT(at->account));
    return true;
}

void store_path(const struct store *s, const struct store_place *at, char *out, size_t max)
{
    if (at->file != NULL)
        snprintf(out, max, "%s", at->file);
    else
        snprintf(out, max, "%s/%.*s.%.*s.json", s->directory, CCP_FMT(at->provider), CCP_FMT(at->account));
}

/* Splits a path into the directory, which is opened below `from`, and the name in it. */
static enum store_status enter(int from, char *path, int *dir, char name[256], const char *shown, struct store_error *e)
{
    char *slash = strrchr(path, '/');
    const char *last = slash != NULL ? slash + 1 : path;
    const char *folder = slash == NULL ? "." : slash == path ? "/" : path;
    if (slash != NULL && slash != path)
        *slash = '\0';
    if (last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || strlen(last) > 200)
        return store_fail(e, STORE_UNSAFE, 0, "%s does not lead to a file", shown);
    *dir = openat(from, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*dir < 0)
        return store_fail(e, errno == ENOENT ? STORE_MISSING : STORE_UNSAFE, errno == ENOENT ? 0 : errno,
                          "the folder of %s cannot be opened", shown);
    snprintf(name, 256, "%s", last);
    enum store_status status = store_directory_ok(*dir, shown, e);
    if (status != STORE_OK) {
        close(*dir);
        *dir = -1;
    }
    return status;
}

/* One link: `link` is its own descriptor, so that what is judged is what is read. */
static enum store_status follow(struct store_spot *spot, int link, const struct stat *st, struct store_error *e)
{
    char target[PATH_MAX];
    int next = -1;
    if (st->st_uid != geteuid())
        return store_fail(e, STORE_UNSAFE, 0, "%s is a link that another user made: remove it", spot->shown);
    ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
    if (n < 0)
        return store_fail(e, STORE_IO, errno, "the link %s cannot be read", spot->shown);
    target[n] = '\0';
    enum store_status status = enter(spot->directory, target, &next, spot->name, spot->shown, e);
    if (status == STORE_MISSING)
        status = store_fail(e, STORE_UNSAFE, 0, "%s is a link to nothing: remove it or make its target", spot->shown);
    if (status == STORE_OK) {
        close(spot->directory);
        spot->directory = next;
    }
    return status;
}

static enum store_status resolve(struct store_spot *spot, struct store_error *e)
{
    for (int hops = 0; hops <= HOPS; hops++) {
        struct stat st;
        int fd = CCP_FAULT("store.resolve") ? (errno = EIO, -1)
                                            : openat(spot->directory, spot->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && hops == 0)
            return STORE_OK;
        if (fd < 0 && errno == ENOENT)
            return store_fail(e, STORE_UNSAFE, 0, "%s is a link to nothing: remove it or make its target", spot->shown);
        if (fd < 0)
            return store_fail(e, errno == EACCES ? STORE_UNSAFE : STORE_IO, errno, "%s cannot be opened", spot->shown);
        enum store_status status = STORE_OK;
        bool link = false;
        if (fstat(fd, &st) != 0)
            status = store_fail(e, STORE_IO, errno, "%s cannot be looked at", spot->shown);
        else if ((link = S_ISLNK(st.st_mode)))
            status = follow(spot, fd, &st, e);
        close(fd);
        if (status != STORE_OK || !link)
            return status;
    }
    return store_fail(e, STORE_UNSAFE, 0, "%s is a chain of too many links", spot->shown);
}

static enum store_status open_foreign(const char *file, struct store_spot *spot, struct store_error *e)
{
    char path[PATH_MAX];
    if (strlen(file) >= sizeof(path))
        return store_fail(e, STORE_UNSAFE, ENAMETOOLONG, "%s cannot be opened", spot->shown);
    memcpy(path, file, strlen(file) + 1);
    return enter(AT_FDCWD, path, &spot->directory, spot->name, spot->shown, e);
}

static enum store_status open_own(struct store_spot *spot, struct store_error *e)
{
    spot->directory = fcntl(spot->home, F_DUPFD_CLOEXEC, 0);
    snprintf(spot->name, sizeof(spot->name), "%.240s.json", spot->side);
    return spot->directory >= 0 ? STORE_OK : store_fail(e, STORE_IO, errno, "%s cannot be opened", spot->shown);
}

enum store_status store_spot_open(const struct store *s, const struct store_place *at, bool create,
                                  struct store_spot *spot, struct store_error *e)
{
    *spot = (struct store_spot){.home = -1, .directory = -1};
    store_path(s, at, spot->shown, sizeof(spot->shown));
    if (!store_side(at, spot->side))
        return store_fail(e, STORE_UNSAFE, 0, "\"%.*s\" cannot be the name of an account: letters, digits and ._@+-",
                          CCP_FMT(at->account));
    /* A vendor's file is read without the store; only its lock and notes need the directory. */
    enum store_status status = at->file != NULL && !create ? STORE_OK : store_home(s, create, &spot->home, e);
    if (status == STORE_OK)
        status = at->file != NULL ? open_foreign(at->file, spot, e) : open_own(spot, e);
    if (status == STORE_OK)
        status = resolve(spot, e);
    if (status != STORE_OK)
        store_spot_close(spot);
    return status;
}

void store_spot_close(struct store_spot *spot)
{
    if (spot->home >= 0)
        close(spot->home);
    if (spot->directory >= 0)
        close(spot->directory);
    spot->home = spot->directory = -1;
}

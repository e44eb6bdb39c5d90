/*
 * Shared objects in memory: see object_impl.h, and object_load in discover.h.
 */
#include <plugin/adopt_impl.h>
#include <plugin/discover.h>
#include <plugin/object_impl.h>
#include <plugin/trusted_impl.h>

#include <base/fault.h>
#include <base/log.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

struct shared_object {
    struct arena arena; /* the record in this core's layout */
    void *handle;
    int fd;
    char name[OBJECT_NAME_MAX + 1];
};

bool object_name_ok(struct ccp_span name)
{
    if (name.n == 0 || name.n > OBJECT_NAME_MAX || name.p[0] < 'a' || name.p[0] > 'z')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '_' ||
              name.p[i] == '-'))
            return false;
    return true;
}

/* -- the content -- */

static int memory_file(const char *name)
{
    int fd = CCP_FAULT("plugin.memfd") ? (errno = ENOMEM, -1)
                                       : memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) /* a kernel that does not know MFD_EXEC; there all of them are executable */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n != 0) {
        ssize_t done = CCP_FAULT("plugin.copy") ? (errno = ENOSPC, -1) : write(fd, p, n);
        if (done < 0 && errno != EINTR)
            return false;
        p += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

/* NULL, or what went wrong. */
static const char *copy(int file, int to, EVP_MD_CTX *sum, size_t *total)
{
    char bytes[32768];
    for (;;) {
        ssize_t got = CCP_FAULT("plugin.read") ? (errno = EIO, -1) : read(file, bytes, sizeof(bytes));
        if (got == 0)
            return NULL;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return strerror(errno);
        if ((*total += (size_t)got) > OBJECT_MAX)
            return "it is larger than 64 MiB";
        if (!write_all(to, bytes, (size_t)got))
            return strerror(errno);
        if (EVP_DigestUpdate(sum, bytes, (size_t)got) != 1)
            return "out of memory";
    }
}

static void hex(const unsigned char *bytes, char *out)
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static const char *fill(int file, int to, char sum[OBJECT_SUM])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t total = 0;
    EVP_MD_CTX *ctx = CCP_FAULT("plugin.sum") ? NULL : EVP_MD_CTX_new();
    const char *wrong = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? NULL : "out of memory";
    if (wrong == NULL)
        wrong = copy(file, to, ctx, &total);
    if (wrong == NULL && EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        wrong = "out of memory";
    if (wrong == NULL && fcntl(to, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        wrong = strerror(errno);
    if (wrong == NULL)
        hex(digest, sum);
    EVP_MD_CTX_free(ctx);
    return wrong;
}

int object_freeze(int file, const char *name, char sum[OBJECT_SUM], char *why, size_t max)
{
    int fd = memory_file(name);
    if (fd < 0) {
        snprintf(why, max, "it cannot be copied into memory: %s%s", strerror(errno),
                 errno == EACCES || errno == EPERM ? " (sysctl vm.memfd_noexec must not be 2)" : "");
        return -1;
    }
    const char *wrong = fill(file, fd, sum);
    if (wrong == NULL)
        return fd;
    snprintf(why, max, "it cannot be read: %s", wrong);
    close(fd);
    return -1;
}

/* -- loading -- */

/* What the dynamic linker says begins with our name of the file, which tells nobody anything. */
static const char *linker_words(const char *name)
{
    const char *text = dlerror();
    size_t n = strlen(name);
    if (text == NULL)
        return "the dynamic linker refuses it";
    if (strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2;
    return text;
}

static const struct ccp_plugin *find_record(void *handle, const char *name, char *why, size_t max)
{
    char symbol[sizeof("ccp_plugin_") + OBJECT_NAME_MAX];
    snprintf(symbol, sizeof(symbol), "ccp_plugin_%s", name);
    for (char *p = symbol; *p != '\0'; p++)
        if (*p == '-')
            *p = '_';
    const struct ccp_plugin *record = dlsym(handle, symbol);
    if (record == NULL)
        snprintf(why, max, "it has no symbol %s: a plugin ends with CCP_PLUGIN(%s), and its file is named %s.so",
                 symbol, symbol + strlen("ccp_plugin_"), name);
    return record;
}

const struct ccp_plugin *object_open(int fd, const char *name, void **handle, char *why, size_t max)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *handle = CCP_FAULT("plugin.dlopen") ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*handle == NULL) {
        snprintf(why, max, "it cannot be loaded: %s; build it for this system, with what it needs installed",
                 linker_words(path));
        return NULL;
    }
    const struct ccp_plugin *record = find_record(*handle, name, why, max);
    if (record == NULL) {
        dlclose(*handle);
        *handle = NULL;
    }
    return record;
}

/* The file at the same place with the same content? Descriptor of its frozen copy, or -1. */
static int open_again(const struct plugin_source *source, const char *name, char *why, size_t max)
{
    char path[PATH_MAX], sum[OBJECT_SUM], *resolved = NULL;
    int dir = -1, folder = -1, file = -1, fd = -1;
    snprintf(path, sizeof(path), "%.*s", (int)source->path.n, source->path.p);
    for (int i = 0; i < 2; i++) { /* <directory>/<name>/<name>.so: the directory is what the walk begins with */
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path) {
            snprintf(why, max, "%s is not below a directory of plugins", source->path.p);
            return -1;
        }
        *slash = '\0';
    }
    const char *leaf = path + strlen(path) + 1; /* the cut path's next component */
    const char *last = leaf + strlen(leaf) + 1;
    if (trusted_folder(path, &dir, &resolved, why, max) == TRUSTED_OK &&
        trusted_below(dir, path, leaf, true, &folder, why, max) == TRUSTED_OK &&
        trusted_below(folder, path, last, false, &file, why, max) == TRUSTED_OK)
        fd = object_freeze(file, name, sum, why, max);
    if (fd >= 0 && strcmp(sum, source->sha256) != 0) {
        snprintf(why, max, "%s was changed since it was checked: reload", source->path.p);
        close(fd);
        fd = -1;
    }
    for (int i = 0, fds[] = {dir, folder, file}; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(resolved);
    return fd;
}

struct shared_object *object_load(const struct plugin_source *source, const struct ccp_plugin **manifest, char *why,
                                  size_t max)
{
    struct shared_object *o = CCP_FAULT("plugin.object") ? NULL : calloc(1, sizeof(*o));
    const struct ccp_plugin *record;
    snprintf(why, max, "out of memory");
    if (o == NULL)
        return NULL;
    o->fd = -1;
    CCP_FAULT_BLOCK("plugin.load");
    arena_init(&o->arena, NULL, 0);
    snprintf(o->name, sizeof(o->name), "%s", source->manifest->name);
    if ((o->fd = open_again(source, o->name, why, max)) >= 0 &&
        (record = object_open(o->fd, o->name, &o->handle, why, max)) != NULL &&
        adopt_record(record, &o->arena, manifest, why, max))
        return o;
    object_unload(o);
    return NULL;
}

void object_unload(struct shared_object *o)
{
    char path[40];
    if (o == NULL)
        return;
    if (o->handle != NULL)
        dlclose(o->handle);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
    void *still = o->handle != NULL ? dlopen(path, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    if (still != NULL) {
        dlclose(still);
        log_warn("plugin", "%s cannot be unloaded (it is marked so, or has unique symbols): its code stays in memory",
                 o->name);
    } else if (o->fd >= 0) {
        close(o->fd); /* only now may the number mean another object */
    }
    arena_end(&o->arena);
    free(o);
}

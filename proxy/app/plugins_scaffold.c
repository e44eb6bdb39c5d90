/*
 * ccproxy plugins scaffold: writes the folder of a new plugin that builds, with a test, against the installed SDK.
 *
 * Nothing is ever overwritten: the folder must not be there. If a file cannot be written, what was made is removed.
 */
#include <app/app.h>
#include <app/scaffold.h>

#include <base/fault.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LENGTH 64

struct names {
    const char *name; /* "my-plugin" */
    char id[NAME_MAX_LENGTH + 1], upper[NAME_MAX_LENGTH + 1], abi[16];
};

/* -- names -- */

/* Names of the build's own targets, and first path segments of the server. */
static const char *const taken[] = {"all",    "clean",   "help",        "install", "package", "test",   "config",
                                    "health", "plugins", "usage",       "events",  "raw",     "status", "v1",
                                    "v1beta", "v1alpha", "permissions", "core",    NULL};

/* NULL = fine, else what is wrong with it. */
static const char *name_fault(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (name[0] < 'a' || name[0] > 'z' || name[n] != '\0' || n > NAME_MAX_LENGTH)
        return "a name begins with a lower case letter; lower case letters, digits, '_' and '-' follow, 64 in all";
    for (size_t i = 0; taken[i] != NULL; i++)
        if (strcmp(name, taken[i]) == 0)
            return "the server or the build needs this name itself";
    for (const struct ccp_plugin *const *m = registry_builtin(); *m != NULL; m++)
        if (strcmp((*m)->name, name) == 0 || ((*m)->provider != NULL && strcmp((*m)->provider->prefix, name) == 0))
            return "a built-in plugin has this name or prefix";
    return NULL;
}

static void derive(struct names *n, const char *name)
{
    size_t i = 0;
    n->name = name;
    for (; name[i] != '\0'; i++) {
        n->id[i] = name[i] == '-' ? '_' : name[i];
        n->upper[i] = (char)toupper((unsigned char)n->id[i]);
    }
    n->id[i] = n->upper[i] = '\0';
    snprintf(n->abi, sizeof(n->abi), "%d.%d", CCP_ABI_MAJOR, CCP_ABI_MINOR);
}

/* -- texts -- */

/* What the placeholder at p stands for; NULL = none begins there. */
static const char *meaning(const struct names *n, const char *p, size_t left, size_t *length)
{
    const struct {
        const char *mark, *text;
    } all[] = {{"@NAME@", n->name}, {"@ID@", n->id}, {"@UPPER@", n->upper}, {"@ABI@", n->abi}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *length = strlen(all[i].mark);
        if (*length <= left && memcmp(p, all[i].mark, *length) == 0)
            return all[i].text;
    }
    return NULL;
}

static bool expand(const struct names *n, const struct scaffold_file *f, struct ccp_buf *out)
{
    for (size_t i = 0; i < f->n;) {
        size_t length;
        const char *text = meaning(n, f->text + i, f->n - i, &length);
        if (text != NULL)
            buf_addz(out, text);
        else
            buf_add(out, ccp_span_of(f->text + i, length = 1));
        i += length;
    }
    return !out->failed;
}

static void target_path(char *out, size_t max, const char *folder, const struct names *n, const char *path)
{
    const char *mark = strstr(path, "NAME");
    if (mark != NULL)
        snprintf(out, max, "%s/%.*s%s%s", folder, (int)(mark - path), path, n->name, mark + 4);
    else
        snprintf(out, max, "%s/%s", folder, path);
}

/* -- files -- */

static bool write_all(int fd, struct ccp_span s)
{
    while (s.n != 0) {
        ssize_t n = CCP_FAULT("scaffold.write") ? (errno = ENOSPC, -1) : write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        s = ccp_span_skip(s, (size_t)n);
    }
    return true;
}

static bool write_file(const char *path, struct ccp_span text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return false;
    bool fine = write_all(fd, text);
    int kept = errno;
    fine = close(fd) == 0 && fine;
    errno = fine ? 0 : kept;
    return fine;
}

static bool write_one(const char *folder, const struct names *n, const struct scaffold_file *f)
{
    char path[PATH_MAX];
    struct ccp_buf text;
    target_path(path, sizeof(path), folder, n, f->path);
    buf_init(&text, 1 << 20);
    bool fine = expand(n, f, &text) && write_file(path, buf_span(&text));
    int kept = text.failed ? ENOMEM : errno;
    buf_release(&text);
    if (!fine)
        complain(EXIT_FAILED, "%s: %s", path, strerror(kept));
    return fine;
}

static int erase(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    return remove(path);
}

static bool write_folder(const char *folder, const struct names *n, const char *kind)
{
    static const char *const below[] = {"tests", "cases"};
    bool fine = true;
    for (int i = 0; i < 2 && fine; i++) {
        char path[PATH_MAX];
        target_path(path, sizeof(path), folder, n, below[i]);
        fine = mkdir(path, 0777) == 0;
        if (!fine)
            complain(EXIT_FAILED, "%s: %s", path, strerror(errno));
    }
    for (const struct scaffold_file *f = scaffold_files; f->kind != NULL && fine; f++)
        if (strcmp(f->kind, kind) == 0 || strcmp(f->kind, "both") == 0)
            fine = write_one(folder, n, f);
    if (!fine)
        nftw(folder, erase, 8, FTW_DEPTH | FTW_PHYS); /* it is ours: mkdir made it */
    return fine;
}

/* -- the command -- */

static void print_next(const char *folder, const char *name, const char *kind)
{
    printf("%s: a %s plugin, with a test. Next:\n\n"
           "  cd %s\n"
           "  cmake -S . -B build && cmake --build build\n"
           "  ctest --test-dir build --output-on-failure\n"
           "  ccproxy plugins check build/plugins/%s/%s.so\n"
           "  ccproxy serve --set plugin_discovery.directories=\"$PWD/build/plugins\"\n\n"
           "docs/plugins.md is the guide; %s/%s.c is where it begins.\n",
           folder, kind, folder, name, name, folder, name);
}

static int scaffold(struct cli *cli)
{
    const char *name = cli->args.operands[0], *kind = args_get(&cli->args, "type");
    const char *where = args_get(&cli->args, "path"), *fault = name_fault(name);
    struct names n;
    char folder[PATH_MAX - 256];
    if (kind == NULL || (strcmp(kind, "provider") != 0 && strcmp(kind, "system") != 0))
        return complain(EXIT_USAGE, "plugins scaffold: --type provider or --type system%s",
                        kind != NULL ? "" : " is needed");
    if (fault != NULL)
        return complain(EXIT_USAGE, "\"%.80s\": %s", name, fault);
    int length = snprintf(folder, sizeof(folder), "%s%s%s", where != NULL ? where : "", where != NULL ? "/" : "", name);
    if (length < 0 || (size_t)length >= sizeof(folder))
        return complain(EXIT_USAGE, "--path: too long");
    derive(&n, name);
    if (mkdir(folder, 0777) != 0)
        return complain(EXIT_FAILED, "%s: %s%s", folder, strerror(errno),
                        errno == EEXIST ? "; nothing is overwritten" : "");
    if (!write_folder(folder, &n, kind))
        return EXIT_FAILED;
    print_next(folder, name, kind);
    return EXIT_OK;
}

static const struct arg_option own_options[] = {
    {"type", 0, ARG_VALUE, "KIND", "provider or system", NULL},
    {"path", 0, ARG_VALUE, "DIR", "where its folder is made; default: here", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {own_options, help_options, NULL};

const struct command command_plugins_scaffold = {
    .name = "plugins scaffold",
    .operands = "NAME",
    .summary = "write the folder of a new plugin",
    .details = "The folder NAME gets sources, a test, a build file and a README. It builds against the installed SDK.\n"
               "Nothing is overwritten: a folder of this name is refused.",
    .options = options,
    .least = 1,
    .most = 1,
    .run = scaffold,
};

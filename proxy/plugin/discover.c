/*
 * Looking through the directories of plugins: see discover.h.
 *
 * An object goes through its checks in the order of what each one costs and risks: who could have written it, its
 * content's sum, the allow list, plugin.json; only then is it loaded by a process that may die of it.
 */
#include <plugin/describe_impl.h>
#include <plugin/discover_impl.h>
#include <plugin/trusted_impl.h>

#include <base/fault.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct scan {
    const struct discover_options *o;
    struct arena *a;
    struct plugin_source *found;
    size_t n, room;
};

static void warn(const struct scan *s, const char *text)
{
    if (s->o->warn != NULL)
        s->o->warn(s->o->self, ccp_span_z(text));
}

/* -- one object -- */

static const char *keep(struct arena *a, const char *text)
{
    const char *kept = arena_dup(a, ccp_span_z(text)).p;
    return kept != NULL ? kept : "";
}

static const struct ccp_plugin unnamed = {CCP_ABI_HERE, .name = "", .version = "", .summary = ""};

/* As much of a manifest as is known of an object that is refused. */
static const struct ccp_plugin *bare(struct arena *a, const char *name, const char *version)
{
    struct ccp_plugin *m = arena_zalloc(a, sizeof(*m));
    if (m == NULL)
        return &unnamed;
    *m = unnamed;
    m->name = keep(a, name);
    m->version = keep(a, version);
    m->kind = CCP_PLUGIN_SYSTEM;
    return m;
}

/* One more problem; all but the first stand behind a semicolon. */
static void refuse(struct arena *a, struct plugin_source *out, const char *why)
{
    struct ccp_span text =
        out->refused.n == 0 ? arena_dup(a, ccp_span_z(why)) : arena_printf(a, "%.*s; %s", CCP_FMT(out->refused), why);
    out->refused = text.p != NULL && text.n != 0 ? text : CCP_SPAN("out of memory");
}

static bool allowed(const struct discover_options *o, const char *sum)
{
    bool any = o->allow == NULL || o->allow->n == 0;
    for (size_t i = 0; !any && i < o->allow->n; i++)
        any = ccp_span_ieq(o->allow->v[i], ccp_span_z(sum));
    return any;
}

struct subject {
    const struct discover_options *o;
    struct arena *a;
    const char *name, *at; /* `at`: path of the folder it lies in */
    int folder;            /* its descriptor */
    bool alone;            /* plugins check: plugin.json may be missing, and every problem is told */
    struct about about;
    bool has_about;
};

static void look_at_about(struct subject *s, struct plugin_source *out)
{
    char why[DISCOVER_WHY];
    bool missing;
    s->has_about = about_read(s->folder, s->at, s->name, &s->about, &missing, why, sizeof(why));
    if (!s->has_about && !(missing && s->alone))
        refuse(s->a, out, why);
    else if (s->has_about && !about_fits_sum(&s->about, s->name, out->sha256, why, sizeof(why)))
        refuse(s->a, out, why);
}

static void look_inside(struct subject *s, int object, struct plugin_source *out)
{
    char why[DISCOVER_WHY];
    unsigned abi[2];
    const struct ccp_plugin *m = NULL;
    if (!describe_object(s->o, object, out->sha256, s->name, s->a, &m, abi, why, sizeof(why))) {
        refuse(s->a, out, why);
        return;
    }
    out->manifest = m;
    snprintf(out->abi, sizeof(out->abi), "%u.%u", abi[0], abi[1]);
    if (s->has_about && !about_fits_manifest(&s->about, m, abi[0], abi[1], why, sizeof(why)))
        refuse(s->a, out, why);
}

static void look_at_object(struct subject *s, int file, struct plugin_source *out)
{
    char why[DISCOVER_WHY];
    int object = object_freeze(file, s->name, out->sha256, why, sizeof(why));
    if (object < 0) {
        out->sha256[0] = '\0';
        refuse(s->a, out, why);
        return;
    }
    if (!allowed(s->o, out->sha256)) {
        snprintf(why, sizeof(why), "its SHA-256 is not in plugin_discovery.allow: add \"%s\" if it may be loaded",
                 out->sha256);
        refuse(s->a, out, why);
    }
    look_at_about(s, out);
    if (out->refused.n == 0 || s->alone)
        look_inside(s, object, out);
    close(object);
}

static void look_at(struct subject *s, const char *file_name, struct plugin_source *out)
{
    char why[DISCOVER_WHY];
    int file = -1;
    *out = (struct plugin_source){.path = arena_printf(s->a, "%s/%s", s->at, file_name)};
    enum trusted_result r = out->path.p != NULL
                                ? trusted_below(s->folder, s->at, file_name, false, &file, why, sizeof(why))
                                : TRUSTED_REFUSED;
    if (out->path.p == NULL) {
        out->path = CCP_SPAN("");
        refuse(s->a, out, "out of memory");
    } else if (r == TRUSTED_MISSING) {
        snprintf(why, sizeof(why), "%s/%s is missing: a plugin's file has the name of its folder", s->at, file_name);
        refuse(s->a, out, why);
    } else if (r != TRUSTED_OK) {
        refuse(s->a, out, why);
    } else {
        look_at_object(s, file, out);
        close(file);
    }
    if (out->manifest == NULL)
        out->manifest = bare(s->a, s->name, s->about.version);
}

/* -- directories -- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the sub-folders and of whatever else is named like a plugin, sorted. Returns how many. */
static size_t list_names(struct scan *s, int folder, const char *path, const char ***out)
{
    char why[DISCOVER_WHY];
    size_t n = 0, room = 0;
    const char **names = NULL;
    int copy =
        CCP_FAULT("plugin.list") ? (errno = EMFILE, -1) : openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (d == NULL) {
        snprintf(why, sizeof(why), "%s: %s", path, strerror(errno));
        warn(s, why);
        if (copy >= 0)
            close(copy);
    }
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (!object_name_ok(ccp_span_z(e->d_name)) || e->d_type == DT_REG)
            continue;
        if (n == room) {
            const char **more = arena_alloc(s->a, (room + 32) * sizeof(*more));
            if (more == NULL)
                break;
            if (n != 0)
                memcpy(more, names, n * sizeof(*more));
            names = more;
            room += 32;
        }
        names[n++] = keep(s->a, e->d_name);
    }
    if (d != NULL)
        closedir(d);
    if (n != 0)
        qsort(names, n, sizeof(*names), by_name);
    *out = names;
    return n;
}

static struct plugin_source *next_source(struct scan *s)
{
    if (s->n == s->room) {
        struct plugin_source *more = arena_alloc(s->a, (s->room * 2 + 16) * sizeof(*more));
        if (more == NULL)
            return NULL;
        if (s->n != 0)
            memcpy(more, s->found, s->n * sizeof(*more));
        s->found = more;
        s->room = s->room * 2 + 16;
    }
    return &s->found[s->n];
}

static bool known(const struct scan *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->found[i].manifest->name, name) == 0)
            return true;
    return false;
}

static void scan_plugin(struct scan *s, int directory, const char *path, const char *name)
{
    char why[DISCOVER_WHY];
    struct plugin_source *out = next_source(s);
    if (out == NULL || known(s, name))
        return;
    struct ccp_span at = arena_printf(s->a, "%s/%s", path, name), file = arena_printf(s->a, "%s.so", name);
    struct subject subject = {.o = s->o, .a = s->a, .name = name, .at = at.p, .folder = -1};
    enum trusted_result r = at.p != NULL && file.p != NULL
                                ? trusted_below(directory, path, name, true, &subject.folder, why, sizeof(why))
                                : TRUSTED_MISSING;
    if (r == TRUSTED_MISSING)
        return; /* it went away meanwhile, or memory did */
    if (r == TRUSTED_OK) {
        look_at(&subject, file.p, out);
        close(subject.folder);
    } else {
        *out =
            (struct plugin_source){.path = arena_printf(s->a, "%s/%s", at.p, file.p), .manifest = bare(s->a, name, "")};
        refuse(s->a, out, why);
    }
    s->n++;
}

static void scan_directory(struct scan *s, struct ccp_span directory, bool named)
{
    char why[DISCOVER_WHY], text[DISCOVER_WHY + 64], *path = NULL;
    const char **names;
    int fd;
    enum trusted_result r = trusted_folder(directory.p, &fd, &path, why, sizeof(why));
    if (r != TRUSTED_OK) {
        snprintf(text, sizeof(text), "no plugin is looked for in %.*s: %s", CCP_FMT(directory), why);
        if (r == TRUSTED_REFUSED || named)
            warn(s, text);
        return;
    }
    size_t n = list_names(s, fd, path, &names);
    for (size_t i = 0; i < n; i++)
        scan_plugin(s, fd, path, names[i]);
    close(fd);
    free(path);
}

size_t discover_plugins(const struct discover_options *o, struct arena *a, struct plugin_source **out)
{
    struct scan s = {.o = o, .a = a};
    for (size_t i = 0; i < o->directory_count; i++)
        scan_directory(&s, o->directories[i], i < o->named);
    *out = s.found;
    return s.n;
}

/* -- one file -- */

void discover_file(const struct discover_options *o, const char *path, struct arena *a, struct plugin_source *out)
{
    char why[DISCOVER_WHY], *folder = NULL;
    const char *slash = strrchr(path, '/'), *leaf = slash != NULL ? slash + 1 : path;
    struct ccp_span name = ccp_span_z(leaf),
                    dir = slash == NULL ? CCP_SPAN(".") : ccp_span_of(path, (size_t)(slash - path));
    int fd = -1;
    *out = (struct plugin_source){.path = arena_dup(a, ccp_span_z(path))};
    dir = arena_dup(a, dir.n != 0 ? dir : CCP_SPAN("/"));
    if (ccp_span_ends(name, CCP_SPAN(".so")))
        name.n -= 3;
    name = arena_dup(a, name);
    snprintf(why, sizeof(why), "out of memory");
    if (name.p != NULL && !object_name_ok(name))
        snprintf(why, sizeof(why), "%s is not named like a plugin: [a-z][a-z0-9_-]*.so", leaf);
    else if (name.p != NULL && dir.p != NULL && trusted_folder(dir.p, &fd, &folder, why, sizeof(why)) == TRUSTED_OK) {
        struct subject s = {.o = o, .a = a, .name = name.p, .at = folder, .folder = fd, .alone = true};
        look_at(&s, leaf, out);
        close(fd);
        free(folder);
        return;
    }
    refuse(a, out, why);
    out->manifest = bare(a, name.p != NULL && object_name_ok(name) ? name.p : "", "");
}

struct ccp_span discover_manifest_json(const struct ccp_plugin *m, struct arena *a)
{
    char why[DISCOVER_WHY];
    json_t *v = describe_write(m, why, sizeof(why));
    char *text = v != NULL ? json_dumps(v, JSON_COMPACT) : NULL;
    struct ccp_span out = text != NULL ? arena_dup(a, ccp_span_z(text)) : (struct ccp_span){NULL, 0};
    free(text);
    json_decref(v);
    return out;
}

/*
 * The plugins of one configuration: those built in and those found, each bound to its section, switched on or off.
 */
#include <plugin/runtime_impl.h>

#include <base/log.h>

#include <limits.h>
#include <unistd.h>

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

static bool listed(const struct ccp_list *list, const struct ccp_plugin *m)
{
    for (size_t i = 0; i < list->n; i++) {
        if (ccp_span_is(list->v[i], m->name))
            return true;
        for (size_t k = 0; m->aliases != NULL && m->aliases[k] != NULL; k++)
            if (ccp_span_is(list->v[i], m->aliases[k]))
                return true;
    }
    return false;
}

static bool enabled(struct runtime *rt, const struct plugin_instance *p)
{
    const struct top_settings *top = &rt->settings.top;
    bool own = p->provider_settings != NULL ? p->provider_settings->enabled : p->switches->enabled;
    if (!own || listed(&top->disabled_plugins, p->manifest))
        return false;
    if (p->manifest->kind == CCP_PLUGIN_SYSTEM && !top->enable_plugins)
        return false;
    if (config_is_set(rt->config, "", "enabled_plugins", NULL))
        return listed(&top->enabled_plugins, p->manifest);
    return true;
}

void plugin_fail(struct runtime *rt, struct plugin_instance *p, struct ccp_span why)
{
    bool required = p->switches != NULL && p->switches->required;
    p->state = PLUGIN_FAILED;
    p->why = why.p != NULL ? why : CCP_SPAN("out of memory");
    config_fault(rt->config, p->path, required ? "required" : NULL, !required, "plugin %s%s: %.*s", p->manifest->name,
                 required ? "" : " is left out", CCP_FMT(p->why));
}

/* -- lists -- */

static void check_lists(struct runtime *rt)
{
    const char **known = arena_alloc(arena_of(rt), (rt->plugin_count + 1) * sizeof(*known));
    size_t n = 0;
    for (; known != NULL && n < rt->plugin_count; n++)
        known[n] = rt->plugins[n].manifest->name;
    const struct ccp_list *lists[] = {&rt->settings.top.enabled_plugins, &rt->settings.top.disabled_plugins};
    static const char *const keys[] = {"enabled_plugins", "disabled_plugins"};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            if (runtime_plugin(rt, lists[k]->v[i]) != NULL)
                continue;
            const char *near = config_nearest(lists[k]->v[i], known, n);
            config_fault(rt->config, "", keys[k], k == 1, "there is no plugin \"%.*s\"%s%s%s", CCP_FMT(lists[k]->v[i]),
                         near != NULL ? " (did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?)" : "");
        }
}

/* -- binding -- */

/* [plugins.<name>], or that of an alias when it is the one that is there. */
static const char *path_of(struct runtime *rt, const struct ccp_plugin *m)
{
    struct ccp_span names[256];
    size_t n = config_tables(rt->config, "plugins", names, 256);
    const char *path = arena_printf(arena_of(rt), "plugins.%s", m->name).p, *found = NULL;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; m->aliases != NULL && m->aliases[k] != NULL; k++)
            if (ccp_span_is(names[i], m->aliases[k]))
                found = arena_printf(arena_of(rt), "plugins.%s", m->aliases[k]).p;
    for (size_t i = 0; i < n && found != NULL; i++)
        if (ccp_span_is(names[i], m->name)) {
            config_fault(rt->config, found, NULL, false, "is another name of plugins.%s, which is there too", m->name);
            config_claim(rt->config, found);
            return path;
        }
    return found != NULL ? found : path;
}

static bool bind(struct runtime *rt, struct plugin_instance *p)
{
    struct config_section section;
    p->provider = -1;
    p->path = path_of(rt, p->manifest);
    if (p->path == NULL || !section_of_plugin(rt->config, p->path, p->manifest, &section))
        return false;
    config_bind(rt->config, &section);
    p->rows = section.rows;
    char *at = p->target = section.target;
    p->switches = (const void *)at;
    at += SWITCH_PART;
    if (p->manifest->provider != NULL) {
        p->provider_settings = (const void *)at;
        at += PROVIDER_PART;
    }
    p->settings = at;
    tasks_check(rt, p);
    return true;
}

/* A shared object that may not be used: what is configured for it is nobody's fault, whether it is missed is. */
static bool bind_refused(struct runtime *rt, struct plugin_instance *p)
{
    struct ccp_plugin *bare = arena_zalloc(arena_of(rt), sizeof(*bare));
    if (bare == NULL)
        return false;
    *bare = (struct ccp_plugin){.abi = p->manifest->abi,
                                .name = p->manifest->name,
                                .version = p->manifest->version,
                                .summary = p->manifest->summary,
                                .kind = CCP_PLUGIN_SYSTEM,
                                .aliases = NULL};
    p->manifest = bare;
    if (!bind(rt, p))
        return false;
    config_claim(rt->config, p->path);
    return true;
}

static struct plugin_instance *taken_by(struct runtime *rt, const struct ccp_plugin *m)
{
    return runtime_plugin(rt, ccp_span_z(m->name));
}

static bool add(struct runtime *rt, const struct ccp_plugin *m, const struct plugin_source *source)
{
    struct plugin_instance *p = &rt->plugins[rt->plugin_count];
    struct plugin_instance *other = taken_by(rt, m);
    if (other != NULL) {
        struct ccp_span from = other->source != NULL ? other->source->path : CCP_SPAN("this program");
        config_fault(rt->config, "plugin_discovery", "directories", true,
                     "%.*s is left out: there is already a plugin %s, of %.*s", CCP_FMT(source->path), m->name,
                     CCP_FMT(from));
        return true;
    }
    *p = (struct plugin_instance){.manifest = m, .source = source};
    rt->plugin_count++;
    if (source != NULL && source->refused.n != 0 ? !bind_refused(rt, p) : !bind(rt, p))
        return false;
    p->state = enabled(rt, p) ? PLUGIN_ACTIVE : PLUGIN_DISABLED;
    if (p->state == PLUGIN_ACTIVE && source != NULL && source->refused.n != 0)
        plugin_fail(rt, p, source->refused);
    return true;
}

/* -- shared objects -- */

static void warn(void *self, struct ccp_span text)
{
    struct runtime *rt = self;
    config_fault(rt->config, "plugin_discovery", "directories", true, "%.*s", CCP_FMT(text));
}

static void add_directory(struct runtime *rt, struct ccp_span *dirs, size_t *n, struct ccp_span text)
{
    if (text.p != NULL)
        dirs[(*n)++] = text;
    else
        config_fault(rt->config, "plugin_discovery", "directories", true, "out of memory");
}

/* What a plugin's `cmake --install` fills when this program stands in <prefix>/bin; empty = it does not, or the prefix
 * is the usual one. */
static struct ccp_span beside_program(struct arena *a)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
    size_t at = n > 0 && (size_t)n < sizeof(path) ? (size_t)n : 0;
    while (at != 0 && path[at - 1] != '/')
        at--;
    struct ccp_span folder = ccp_span_of(path, at);
    if (!ccp_span_ends(folder, CCP_SPAN("/bin/")) || ccp_span_is(folder, "/usr/bin/"))
        return CCP_SPAN("");
    return arena_printf(a, "%.*s/lib/ccproxy/plugins", (int)(folder.n - 5), folder.p);
}

enum { DIRECTORIES_MAX = 30 };

/* What the operator named, or the usual places; and the folder beside the file, if that is wanted. */
static size_t directories(struct runtime *rt, struct ccp_span *dirs)
{
    const struct ccp_list *named = &rt->settings.discovery.directories;
    struct arena *a = arena_of(rt);
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    size_t n = 0;
    if (named->n > DIRECTORIES_MAX)
        config_fault(rt->config, "plugin_discovery", "directories", false, "at most %d", (int)DIRECTORIES_MAX);
    for (size_t i = 0; i < named->n && n < DIRECTORIES_MAX; i++) {
        if (named->v[i].n == 0 || named->v[i].p[0] != '/')
            config_fault(rt->config, "plugin_discovery", "directories", false, "\"%.*s\" is not an absolute path",
                         CCP_FMT(named->v[i]));
        else
            dirs[n++] = named->v[i];
    }
    if (!config_is_set(rt->config, "plugin_discovery", "directories", NULL)) {
        if (xdg != NULL && xdg[0] == '/')
            add_directory(rt, dirs, &n, arena_printf(a, "%s/ccproxy/plugins", xdg));
        else if (home != NULL && home[0] == '/')
            add_directory(rt, dirs, &n, arena_printf(a, "%s/.config/ccproxy/plugins", home));
        struct ccp_span beside = beside_program(a);
        if (beside.p == NULL || beside.n != 0)
            add_directory(rt, dirs, &n, beside);
        add_directory(rt, dirs, &n, CCP_SPAN("/usr/lib/ccproxy/plugins"));
    }
    struct ccp_span file = config_file(rt->config);
    if (!rt->settings.top.plugins_disable_local_discovery && file.n != 0 && !config_untrusted(rt->config)) {
        while (file.n != 0 && file.p[file.n - 1] != '/')
            file.n--;
        add_directory(rt, dirs, &n, arena_printf(a, "%.*splugins", CCP_FMT(file)));
    }
    return n;
}

static struct ccp_span cache_folder(struct runtime *rt)
{
    struct arena *a = arena_of(rt);
    if (geteuid() == 0 && rt->settings.server.user.n != 0)
        return (struct ccp_span){"",
                                 0}; /* what root makes now, the server could not use when it has become that user */
    const char *service = getenv("CACHE_DIRECTORY"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (service != NULL && service[0] == '/') /* systemd may name several, separated by colons */
        return arena_printf(a, "%.*s/plugins", (int)strcspn(service, ":"), service);
    if (xdg != NULL && xdg[0] == '/')
        return arena_printf(a, "%s/ccproxy/plugins", xdg);
    if (home != NULL && home[0] == '/')
        return arena_printf(a, "%s/.cache/ccproxy/plugins", home);
    return (struct ccp_span){"", 0};
}

static void refuse_untrusted(struct runtime *rt)
{
    static const char *const keys[] = {"directories", "allow"};
    for (int i = 0; i < 2; i++)
        if (config_set_untrusted(rt->config, "plugin_discovery", keys[i]))
            config_fault(
                rt->config, "plugin_discovery", keys[i], false,
                "a file of the current folder may not say what code is loaded; pass --config to trust the file");
}

static size_t discover(struct runtime *rt, struct plugin_source **found)
{
    struct ccp_span dirs[DIRECTORIES_MAX + 4];
    struct discover_options o = {.directories = dirs,
                                 .named = rt->settings.discovery.directories.n,
                                 .allow = &rt->settings.discovery.allow,
                                 .cache = cache_folder(rt),
                                 .probe_ms = rt->settings.discovery.probe_timeout,
                                 .warn = warn,
                                 .self = rt};
    refuse_untrusted(rt);
    o.directory_count = directories(rt, dirs);
    return config_ok(rt->config) || !config_untrusted(rt->config) ? discover_plugins(&o, arena_of(rt), found) : 0;
}

static bool named_in(const struct ccp_plugin *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->name, name) == 0)
            return true;
    return false;
}

/* Those of the build and those of runtime_bind_with. */
static bool add_compiled_in(struct runtime *rt, const struct ccp_plugin *const *all, size_t n, size_t extra)
{
    for (size_t i = 0; i < extra; i++)
        if (!add(rt, rt->extra[i], NULL))
            return false;
    for (size_t i = 0; i < n; i++)
        if (!named_in(rt->extra, extra, all[i]->name) && !add(rt, all[i], NULL))
            return false;
    return true;
}

bool plugins_bind(struct runtime *rt)
{
    const struct ccp_plugin *const *all = registry_builtin();
    size_t extra = 0;
    struct plugin_source *found = NULL;
    size_t built_in = 0, n = discover(rt, &found);
    while (all[built_in] != NULL)
        built_in++;
    while (rt->extra != NULL && rt->extra[extra] != NULL)
        extra++;
    rt->plugins = arena_zalloc(arena_of(rt), (extra + built_in + n + 1) * sizeof(struct plugin_instance));
    if (rt->plugins == NULL)
        return false;
    if (!add_compiled_in(rt, all, built_in, extra))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!add(rt, found[i].manifest, &found[i]))
            return false;
    check_lists(rt);
    return true;
}

/*
 * What a shared object declares and may not have, because it is the core's, or another plugin's that came before. Such
 * a plugin is left out whole: half of one would surprise more than none.
 */
#include <plugin/runtime_impl.h>

#include <ctype.h>
#include <wire/schema.h>

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

#define SAY(rt, ...) arena_printf(arena_of(rt), __VA_ARGS__)

static const struct ccp_span fine = {NULL, 0};

/* "/metrics" -> "metrics"; empty when it is not one segment. */
static struct ccp_span segment_of(const char *prefix)
{
    struct ccp_span s = ccp_span_z(prefix);
    if (s.n < 2 || s.p[0] != '/')
        return (struct ccp_span){"", 0};
    s = ccp_span_skip(s, 1);
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return (struct ccp_span){"", 0};
    return s;
}

/* -- first path segments -- */

/* Those that come before `self` and are enabled; for a path that is no provider's all providers come before. */
static struct ccp_span prefix_owner(struct runtime *rt, const struct plugin_instance *self, bool provider,
                                    struct ccp_span segment)
{
    size_t before = provider ? (size_t)self->provider : rt->provider_count;
    for (size_t i = 0; i < before; i++)
        if ((int)i != self->provider && rt->providers[i].enabled && ccp_span_eq(rt->providers[i].prefix, segment))
            return SAY(rt, "provider %.*s", CCP_FMT(rt->providers[i].id));
    for (const struct plugin_instance *p = rt->plugins; p < self; p++)
        for (const struct ccp_route *r = p->manifest->routes; p->state == PLUGIN_ACTIVE && r != NULL && r->methods; r++)
            if (r->prefix != NULL && ccp_span_eq(segment_of(r->prefix), segment))
                return SAY(rt, "plugin %s", p->manifest->name);
    return fine;
}

static struct ccp_span check_prefix(struct runtime *rt, struct plugin_instance *p, const char *prefix)
{
    struct ccp_span segment = segment_of(prefix);
    if (segment.n == 0)
        return SAY(rt, "the prefix \"%s\" of its routes is not one segment such as \"/ratings\"", prefix);
    if (p->source != NULL && name_is_reserved(segment))
        return SAY(rt, "the prefix %s is reserved for ccproxy itself", prefix);
    struct ccp_span owner = prefix_owner(rt, p, false, segment);
    if (owner.p != NULL)
        return SAY(rt, "the prefix %s belongs to %.*s: disable one of the two", prefix, CCP_FMT(owner));
    return fine;
}

bool plugin_word_reserved(struct ccp_span word)
{
    static const char *const words[] = {"config", "enable",  "disable", "restart", "reload",
                                        "events", "streams", "health",  "status"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (ccp_span_is(word, words[i]))
            return true;
    return false;
}

static struct ccp_span first_word(const char *path)
{
    struct ccp_span s = ccp_span_skip(ccp_span_z(path), 1);
    return ccp_span_of(s.p, ccp_span_find(s, '/'));
}

static struct ccp_span check_routes(struct runtime *rt, struct plugin_instance *p)
{
    struct ccp_span why = fine;
    for (const struct ccp_route *r = p->manifest->routes; why.p == NULL && r != NULL && r->methods != NULL; r++) {
        if (r->path == NULL || (r->path[0] != '/' && (r->path[0] != '\0' || r->prefix == NULL)))
            return SAY(rt, "the path \"%s\" of a route does not begin with a slash", r->path != NULL ? r->path : "");
        if (r->prefix != NULL)
            why = check_prefix(rt, p, r->prefix);
        else if (plugin_word_reserved(first_word(r->path)))
            why = SAY(rt, "the path /plugins/%s%s is ccproxy's own", p->manifest->name, r->path);
    }
    return why;
}

/* -- actions -- */

static bool action_name_ok(const char *name)
{
    size_t n = strlen(name);
    for (const char *c = name; *c != '\0'; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-' && *c != '_')
            return false;
    return n != 0 && n <= 64;
}

static bool has_route(const struct ccp_plugin *m, const char *name)
{
    for (const struct ccp_route *r = m->routes; r != NULL && r->methods != NULL; r++)
        if (r->prefix == NULL && strcmp(r->path + 1, name) == 0)
            return true;
    return false;
}

/* After check_routes: paths begin with a slash. */
static struct ccp_span check_actions(struct runtime *rt, struct plugin_instance *p)
{
    for (const struct ccp_action *a = p->manifest->actions; a != NULL && a->name != NULL; a++) {
        if (!action_name_ok(a->name))
            return SAY(rt, "the name of its action \"%s\" is not up to 64 of a-z, 0-9, - and _", a->name);
        if (plugin_word_reserved(ccp_span_z(a->name)))
            return SAY(rt, "the action \"%s\" is ccproxy's own", a->name);
        if (has_route(p->manifest, a->name))
            return SAY(rt, "its action \"%s\" and one of its routes have the same path", a->name);
        for (const struct ccp_action *o = p->manifest->actions; o < a; o++)
            if (strcmp(o->name, a->name) == 0)
                return SAY(rt, "its action \"%s\" is declared twice", a->name);
        const char *wrong = a->input != NULL ? schema_check(ccp_span_z(a->input)) : NULL;
        if (wrong != NULL)
            return SAY(rt, "the input of its action \"%s\" is no schema: %s", a->name, wrong);
    }
    return fine;
}

/* -- providers and logins -- */

static struct ccp_span check_provider(struct runtime *rt, struct plugin_instance *p)
{
    const struct ccp_provider *def = p->manifest->provider;
    if (def == NULL)
        return fine;
    if (def->formats == 0 || def->formats >= 1u << CCP_FORMAT_COUNT)
        return SAY(rt, "its provider speaks no format, or one that this version of ccproxy does not know");
    if (def->prefix == NULL || def->label == NULL || segment_of(SAY(rt, "/%s", def->prefix).p).n == 0)
        return SAY(rt, "its provider has no label, or its prefix is not one path segment");
    if (name_is_reserved(ccp_span_z(def->prefix)))
        return SAY(rt, "the prefix /%s is reserved for ccproxy itself", def->prefix);
    struct ccp_span owner = prefix_owner(rt, p, true, ccp_span_z(def->prefix));
    return owner.p != NULL ? SAY(rt, "the prefix /%s belongs to %.*s", def->prefix, CCP_FMT(owner)) : fine;
}

/* -- commands -- */

static bool has_command(const struct ccp_command *c, const char *name)
{
    for (; c != NULL && c->name != NULL; c++)
        if (strcmp(c->name, name) == 0)
            return true;
    return false;
}

bool runtime_core_command(const char *name, bool auth)
{
    static const char *const top[] = {"serve", "status",  "doctor", "env",   "config",  "plugins",
                                      "auth",  "version", "help",   "usage", "pricing", "permissions"};
    static const char *const below_auth[] = {"providers", "login", "status", "refresh", "logout", "rekey"};
    size_t word = strcspn(name, " "), n = auth ? sizeof(below_auth) / sizeof(*top) : sizeof(top) / sizeof(*top);
    for (size_t i = 0; i < n; i++) {
        const char *taken = auth ? below_auth[i] : top[i];
        if (strlen(taken) == word && memcmp(taken, name, word) == 0)
            return true;
    }
    return false;
}

bool runtime_core_option(const char *name)
{
    static const char *const names[] = {"help",       "version",       "json",          "config",    "set",
                                        "host",       "port",          "workers",       "log-level", "log-file",
                                        "auth-token", "enable-plugin", "disable-plugin"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool option_name_ok(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && (*c != '-' || c == name))
            return false;
    return name[0] != '\0';
}

static struct ccp_span check_options(struct runtime *rt, const struct ccp_command *c)
{
    for (const struct ccp_option *o = c->options; o != NULL && o->name != NULL; o++)
        if (!option_name_ok(o->name) || o->help == NULL || runtime_core_option(o->name))
            return SAY(rt, "the option --%s of its command \"%s\" is ccproxy's own, lacks a help text, or is no word",
                       o->name, c->name);
    return fine;
}

static bool command_name_ok(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-' && *c != '_' &&
            !(*c == ' ' && c > name && c[1] != '\0' && c[1] != ' '))
            return false;
    return islower((unsigned char)name[0]);
}

static struct ccp_span check_commands(struct runtime *rt, struct plugin_instance *self, bool auth)
{
    const struct ccp_command *own = auth ? self->manifest->auth_commands : self->manifest->commands;
    for (; own != NULL && own->name != NULL; own++) {
        if (!command_name_ok(own->name) || own->summary == NULL || own->operands == NULL)
            return SAY(rt, "its command \"%s\" lacks a summary or operands, or its name is not lower case words",
                       own->name);
        if (runtime_core_command(own->name, auth))
            return SAY(rt, "the command \"%s%s\" is ccproxy's own", auth ? "auth " : "", own->name);
        struct ccp_span why = check_options(rt, own);
        if (why.p != NULL)
            return why;
        for (const struct plugin_instance *p = rt->plugins; p < self; p++)
            if (p->state == PLUGIN_ACTIVE &&
                has_command(auth ? p->manifest->auth_commands : p->manifest->commands, own->name))
                return SAY(rt, "the command \"%s%s\" belongs to plugin %s: disable one of the two", auth ? "auth " : "",
                           own->name, p->manifest->name);
    }
    return fine;
}

/* -- flags -- */

static bool has_row(const struct plugin_instance *p, const char *key)
{
    for (const struct ccp_config_row *row = p->manifest->config; row != NULL && row->key != NULL; row++)
        if (strcmp(row->key, key) == 0)
            return true;
    return false;
}

static struct ccp_span check_flags(struct runtime *rt, struct plugin_instance *self)
{
    for (const struct ccp_flag *f = self->manifest->flags; f != NULL && f->name != NULL; f++) {
        if (!option_name_ok(f->name) || f->help == NULL || f->key == NULL || !has_row(self, f->key))
            return SAY(rt, "its flag --%s lacks a help text, sets no setting of it, or is no word", f->name);
        if (runtime_core_option(f->name))
            return SAY(rt, "the flag --%s is ccproxy's own", f->name);
        for (const struct plugin_instance *p = rt->plugins; p < self; p++)
            for (const struct ccp_flag *o = p->manifest->flags; p->state == PLUGIN_ACTIVE && o && o->name; o++)
                if (strcmp(o->name, f->name) == 0)
                    return SAY(rt, "the flag --%s belongs to plugin %s: disable one of the two", f->name,
                               p->manifest->name);
    }
    return fine;
}

/* -- services -- */

static struct ccp_span check_services(struct runtime *rt, struct plugin_instance *self)
{
    for (const struct ccp_service *s = self->manifest->provides; s != NULL && s->name != NULL; s++)
        for (const struct plugin_instance *p = rt->plugins; p < self; p++)
            for (const struct ccp_service *o = p->manifest->provides; p->state == PLUGIN_ACTIVE && o && o->name; o++)
                if (strcmp(s->name, o->name) == 0)
                    return SAY(rt, "service %s is provided by plugin %s: disable one of the two", s->name,
                               p->manifest->name);
    return fine;
}

/* -- names and versions -- */

static struct ccp_span check_core(struct runtime *rt, const struct ccp_plugin *m)
{
    if (ccp_span_is(ccp_span_z(m->name), "status")) /* /plugins/status is not a plugin */
        return SAY(rt, "the name \"status\" is reserved for ccproxy itself");
    if (m->core == NULL || version_fits(CCP_VERSION, ccp_span_z(m->core)))
        return fine;
    return SAY(rt, "it needs ccproxy %s, this is " CCP_VERSION, m->core);
}

/* -- what it needs -- */

/* Those that are left, in the order in which they can be opened. */
static void settle_order(struct runtime *rt)
{
    struct arena *a = arena_of(rt);
    const struct ccp_plugin **active = arena_zalloc(a, (rt->plugin_count + 1) * sizeof(*active));
    size_t *index = arena_zalloc(a, (rt->plugin_count + 1) * sizeof(*index)), n = 0;
    struct ccp_span *why = arena_zalloc(a, (rt->plugin_count + 1) * sizeof(*why));
    rt->open_order = arena_zalloc(a, (rt->plugin_count + 1) * sizeof(size_t));
    if (active == NULL || index == NULL || why == NULL || rt->open_order == NULL) {
        config_fault(rt->config, "", NULL, false, "out of memory");
        return;
    }
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (rt->plugins[i].state == PLUGIN_ACTIVE) {
            active[n] = rt->plugins[i].manifest;
            index[n++] = i;
        }
    size_t placed = order_plugins(active, n, rt->open_order, why, a);
    if (placed == SIZE_MAX) {
        config_fault(rt->config, "", NULL, false, "out of memory");
        return;
    }
    rt->open_count = placed;
    for (size_t i = 0; i < rt->open_count; i++)
        rt->open_order[i] = index[rt->open_order[i]];
    for (size_t i = 0; i < n; i++)
        if (why[i].p != NULL)
            plugin_fail(rt, &rt->plugins[index[i]], why[i]);
}

void plugins_check(struct runtime *rt)
{
    for (size_t i = 0; i < rt->plugin_count; i++) {
        struct plugin_instance *p = &rt->plugins[i];
        if (p->state != PLUGIN_ACTIVE)
            continue;
        struct ccp_span why = check_core(rt, p->manifest);
        if (why.p == NULL)
            why = check_provider(rt, p);
        if (why.p == NULL)
            why = check_routes(rt, p);
        if (why.p == NULL)
            why = check_actions(rt, p);
        if (why.p == NULL)
            why = check_commands(rt, p, false);
        if (why.p == NULL)
            why = check_commands(rt, p, true);
        if (why.p == NULL)
            why = check_flags(rt, p);
        if (why.p == NULL)
            why = check_services(rt, p);
        if (why.p != NULL)
            plugin_fail(rt, p, why);
    }
    settle_order(rt);
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (rt->plugins[i].state == PLUGIN_FAILED && rt->plugins[i].provider >= 0)
            provider_without_plugin(rt, &rt->providers[rt->plugins[i].provider], rt->plugins[i].why);
}

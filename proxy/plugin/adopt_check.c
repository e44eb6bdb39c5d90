/*
 * Is what a record says sound in itself? What clashes with others is judged in conflicts.c, what its settings say
 * where they are bound.
 */
#include <plugin/adopt_impl.h>
#include <plugin/describe_impl.h>
#include <plugin/executor.h>
#include <plugin/object_impl.h>
#include <plugin/runtime.h>

#include <ctype.h>

struct check {
    const struct ccp_plugin *m;
    bool functions; /* are they there? */
    char *why;
    size_t max;
};

/* A list's element that is wrong, and how. */
#define WRONG(c, list, i, ...) place_say(&(const struct place){NULL, (list), (i), 0}, (c)->why, (c)->max, __VA_ARGS__)
#define BAD(c, ...)            place_say(NULL, (c)->why, (c)->max, __VA_ARGS__)

static bool printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text))
            return false;
    return true;
}

/* "ratings" or "ratings >= 1.2". */
static bool want_ok(const char *want)
{
    size_t n = strcspn(want, " <>=");
    struct ccp_span version = ccp_span_trim(ccp_span_z(want + n));
    while (version.n != 0 && strchr("<>=", version.p[0]) != NULL)
        version = ccp_span_skip(version, 1);
    version = ccp_span_trim(version);
    return object_name_ok(ccp_span_of(want, n)) && (want[n] == '\0' || version_fits(version.p, CCP_SPAN(">= 0")));
}

/* "ratings/1" */
static bool service_ok(const char *name)
{
    size_t n = strcspn(name, "/");
    const char *version = name + n + 1;
    return object_name_ok(ccp_span_of(name, n)) && name[n] == '/' && *version != '\0' &&
           strspn(version, "0123456789") == strlen(version);
}

static bool check_names(struct check *c, const char *member, const char *const *v, bool (*fits)(const char *),
                        const char *like)
{
    for (size_t i = 0; v != NULL && v[i] != NULL; i++) {
        if (i == DESCRIBE_LIST_MAX)
            return BAD(c, "%s has no end: it must end with NULL", member);
        if (!fits(v[i]))
            return WRONG(c, member, i, "\"%.80s\" is not like %s", v[i], like);
    }
    return true;
}

static bool alias_ok(const char *name)
{
    return object_name_ok(ccp_span_z(name));
}

static bool check_head(struct check *c, const char *called)
{
    const struct ccp_plugin *m = c->m;
    if (m->name == NULL || !object_name_ok(ccp_span_z(m->name)))
        return BAD(c, "name: must be [a-z][a-z0-9_-]*, at most 64");
    if (strcmp(m->name, called) != 0)
        return BAD(c, "name: it calls itself \"%s\", its file is named %s.so: rename one of them", m->name, called);
    if (m->version == NULL || strlen(m->version) > 32 || !version_fits(m->version, CCP_SPAN(">= 0")))
        return BAD(c, "version: must be numbers such as \"1.2.3\"");
    if (m->summary == NULL || strlen(m->summary) > 400 || !printable(m->summary))
        return BAD(c, "summary: must be one line");
    if (m->kind != CCP_PLUGIN_PROVIDER && m->kind != CCP_PLUGIN_SYSTEM)
        return BAD(c, "kind: %d is not known", (int)m->kind);
    if ((m->kind == CCP_PLUGIN_PROVIDER) != (m->provider != NULL))
        return BAD(c, "kind: CCP_PLUGIN_PROVIDER is for plugins with a provider, CCP_PLUGIN_SYSTEM for all others");
    return check_names(c, "needs", m->needs, want_ok, "\"ratings\" or \"ratings >= 1.2\"") &&
           check_names(c, "after", m->after, want_ok, "\"ratings\" or \"ratings >= 1.2\"") &&
           check_names(c, "requires", m->requires, service_ok, "\"ratings/1\"") &&
           check_names(c, "uses", m->uses, service_ok, "\"ratings/1\"") &&
           check_names(c, "aliases", m->aliases, alias_ok, "a plugin's name");
}

/* Is element i's name (its first member) that of one before it? */
static bool twice(const void *list, size_t size, size_t i)
{
    const char *name, *other;
    memcpy(&name, (const char *)list + i * size, sizeof(name));
    for (size_t k = 0; k < i; k++) {
        memcpy(&other, (const char *)list + k * size, sizeof(other));
        if (strcmp(name, other) == 0)
            return true;
    }
    return false;
}

/* -- provider and login -- */

static bool check_rules(struct check *c, const struct ccp_body_rule *rules)
{
    for (size_t i = 0; rules != NULL && rules[i].what != CCP_BODY_END; i++) {
        const struct ccp_body_rule *r = &rules[i];
        bool valued = r->what == CCP_BODY_SET || r->what == CCP_BODY_DEFAULT || r->what == CCP_BODY_REFUSE ||
                      r->what == CCP_BODY_DROP_PARTS;
        bool json = r->what == CCP_BODY_SET || r->what == CCP_BODY_DEFAULT || r->what == CCP_BODY_DROP;
        if ((unsigned)r->what > CCP_BODY_DROP_PARTS)
            return WRONG(c, "provider.body_rules", i, "what: %d is not known", (int)r->what);
        if (r->member == NULL || (valued && r->value == NULL))
            return WRONG(c, "provider.body_rules", i, "%s is missing", r->member == NULL ? "member" : "value");
        json_t *value = json && r->value != NULL ? json_loads(r->value, JSON_DECODE_ANY, NULL) : NULL;
        if (json && r->value != NULL && value == NULL)
            return WRONG(c, "provider.body_rules", i, "value: is not JSON");
        json_decref(value);
    }
    return true;
}

static bool check_provider(struct check *c)
{
    const struct ccp_provider *p = c->m->provider;
    if (p == NULL)
        return true;
    if (p->label == NULL || p->prefix == NULL)
        return BAD(c, "provider.%s: is missing", p->label == NULL ? "label" : "prefix");
    if (p->formats == 0 || p->formats >= 1u << CCP_FORMAT_COUNT)
        return BAD(c, "provider.formats: none, or one that this ccproxy does not know");
    if (p->transport == NULL && p->base_url == NULL)
        return BAD(c, "provider.base_url: is missing, and there is no transport of its own");
    if (c->functions && p->transport != NULL &&
        (p->transport->start == NULL || p->transport->cancel == NULL || p->transport->pause == NULL ||
         p->transport->resume == NULL))
        return BAD(c, "provider.transport: lacks one of its four functions");
    const struct ccp_model_list *list = p->list;
    if (list != NULL && (list->path == NULL || list->list == NULL || list->id == NULL))
        return BAD(c, "provider.list: path, list or id is missing");
    if (p->choose_by_list && (list == NULL || list->endpoints == NULL))
        return BAD(c, "provider.choose_by_list: needs list with endpoints");
    for (int f = 0; f < CCP_FORMAT_MAX; f++)
        if (!check_rules(c, p->body_rules[f]))
            return false;
    return true;
}

static bool check_login(struct check *c)
{
    const struct ccp_oauth_provider *o = c->m->oauth;
    const unsigned known = CCP_OAUTH_NO_PKCE * 2 - 1;
    if (o != NULL && (o->name == NULL || !object_name_ok(ccp_span_z(o->name)) || o->label == NULL))
        return BAD(c, "oauth: name or label is missing, or name is not [a-z][a-z0-9_-]*");
    if (o != NULL && (o->flags & ~known) != 0)
        return BAD(c, "oauth.flags: 0x%x is not known", o->flags & ~known);
    if (o != NULL && o->file != NULL && (o->file->owner == NULL || o->file->folder == NULL || o->file->name == NULL))
        return BAD(c, "oauth.file: owner, folder or name is missing");
    if (c->m->program != NULL && c->m->program->name == NULL)
        return BAD(c, "program.name: is missing");
    return check_names(c, "oauth.aliases", o != NULL ? o->aliases : NULL, alias_ok, "a login's name");
}

/* -- the chain -- */

static bool check_middleware(struct check *c)
{
    const struct ccp_middleware *v = c->m->middleware;
    for (size_t i = 0; v != NULL && v[i].name != NULL; i++) {
        bool any = v[i].on_request || v[i].on_head || v[i].open_stage || v[i].on_end || v[i].on_delta;
        if (v[i].layer % 100 != 0 || v[i].layer < CCP_LAYER_SECURITY || v[i].layer > CCP_LAYER_APPLICATION)
            return WRONG(c, "middleware", i, "layer: %d is none that plugins may have", (int)v[i].layer);
        if (v[i].order < 0 || v[i].order > 99)
            return WRONG(c, "middleware", i, "order: %d is not within 0 and 99", v[i].order);
        if (twice(v, sizeof(*v), i))
            return WRONG(c, "middleware", i, "name: \"%s\" is there twice", v[i].name);
        if ((v[i].flags & ~(unsigned)CCP_MIDDLEWARE_TAP) != 0)
            return WRONG(c, "middleware", i, "flags: 0x%x is not known", v[i].flags);
        if (c->functions && !any)
            return WRONG(c, "middleware", i, "\"%s\" has no function", v[i].name);
    }
    return true;
}

static bool check_hooks(struct check *c)
{
    const struct ccp_hook *v = c->m->hooks;
    for (size_t i = 0; v != NULL && v[i].name != NULL; i++) {
        if (v[i].events == 0 || v[i].events >> CCP_EVENT_COUNT != 0)
            return WRONG(c, "hooks", i, "events: none, or one that this ccproxy does not know");
        if (twice(v, sizeof(*v), i))
            return WRONG(c, "hooks", i, "name: \"%s\" is there twice", v[i].name);
        if ((v[i].flags & ~(unsigned)CCP_HOOK_USAGE) != 0)
            return WRONG(c, "hooks", i, "flags: 0x%x is not known", v[i].flags);
        if (v[i].custom != NULL && (v[i].events & CCP_HEARS(CUSTOM)) == 0)
            return WRONG(c, "hooks", i, "custom: needs CCP_HEARS(CUSTOM) in events");
        if (c->functions && v[i].on_event == NULL && v[i].observe == NULL)
            return WRONG(c, "hooks", i, "\"%s\" has neither on_event nor observe", v[i].name);
    }
    return true;
}

static bool methods_ok(const char *methods)
{
    for (;;) {
        size_t n = strspn(methods, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n == 0)
            return false;
        methods += n;
        if (*methods == '\0')
            return true;
        if (strncmp(methods, ", ", 2) != 0)
            return false;
        methods += 2;
    }
}

static bool check_routes(struct check *c)
{
    const struct ccp_route *v = c->m->routes;
    for (size_t i = 0; v != NULL && v[i].methods != NULL; i++) {
        const char *star = v[i].path != NULL ? strchr(v[i].path, '*') : NULL;
        if (!methods_ok(v[i].methods))
            return WRONG(c, "routes", i, "methods: \"%.40s\" is not like \"GET, POST\"", v[i].methods);
        if (v[i].path == NULL || !printable(v[i].path) ||
            !(v[i].path[0] == '/' || (v[i].path[0] == '\0' && v[i].prefix != NULL)))
            return WRONG(c, "routes", i, "path: must begin with a slash; only with a prefix it may be empty");
        if (star != NULL && (star[1] != '\0' || star[-1] != '/'))
            return WRONG(c, "routes", i, "path: a star stands at the end, behind a slash");
        if ((unsigned)v[i].access > CCP_ACCESS_PUBLIC)
            return WRONG(c, "routes", i, "access: %d is not known", (int)v[i].access);
        if (c->functions && v[i].serve == NULL)
            return WRONG(c, "routes", i, "serve: is missing");
    }
    return true;
}

static bool input_ok(const char *schema)
{
    json_t *v = json_loads(schema, 0, NULL);
    bool object = json_is_object(v);
    json_decref(v);
    return object;
}

static bool check_actions(struct check *c)
{
    static const char *const reserved[] = {"config", "enable", "disable", "restart", "streams", "events", NULL};
    const struct ccp_action *v = c->m->actions;
    for (size_t i = 0; v != NULL && v[i].name != NULL; i++) {
        if (!object_name_ok(ccp_span_z(v[i].name)) || twice(v, sizeof(*v), i))
            return WRONG(c, "actions", i, "name: \"%.80s\" is there twice, or not [a-z][a-z0-9_-]*", v[i].name);
        for (size_t k = 0; reserved[k] != NULL; k++)
            if (strcmp(reserved[k], v[i].name) == 0)
                return WRONG(c, "actions", i, "name: \"%s\" is ccproxy's own", v[i].name);
        if (v[i].input != NULL && !input_ok(v[i].input))
            return WRONG(c, "actions", i, "input: is not a JSON object");
        if (c->functions && v[i].run == NULL)
            return WRONG(c, "actions", i, "run: is missing");
    }
    return true;
}

/* -- the rest -- */

static bool check_tasks(struct check *c)
{
    const struct ccp_task *v = c->m->tasks;
    for (size_t i = 0; v != NULL && v[i].name != NULL; i++) {
        if (!object_name_ok(ccp_span_z(v[i].name)) || twice(v, sizeof(*v), i))
            return WRONG(c, "tasks", i, "name: \"%.80s\" is there twice, or not [a-z][a-z0-9_-]*", v[i].name);
        if (v[i].interval_ms == 0 && !v[i].off)
            return WRONG(c, "tasks", i, "interval_ms: is 0");
        if (v[i].interval_ms > TASK_MOST_MS || v[i].first_ms > TASK_MOST_MS || v[i].jitter_ms > TASK_MOST_MS ||
            v[i].backoff_max_ms > TASK_MOST_MS)
            return WRONG(c, "tasks", i, "a time is more than 8784 hours");
        if (c->functions && v[i].run == NULL)
            return WRONG(c, "tasks", i, "run: is missing");
    }
    return true;
}

static bool check_services(struct check *c)
{
    const struct ccp_service *v = c->m->provides;
    for (size_t i = 0; v != NULL && v[i].name != NULL; i++) {
        if (!service_ok(v[i].name) || twice(v, sizeof(*v), i))
            return WRONG(c, "provides", i, "name: \"%.80s\" is there twice, or not like \"ratings/1\"", v[i].name);
        if (c->functions && v[i].functions == NULL)
            return WRONG(c, "provides", i, "functions: is missing");
    }
    return true;
}

static bool check_commands(struct check *c, const char *member, const struct ccp_command *v)
{
    for (size_t i = 0; v != NULL && v[i].name != NULL; i++) {
        if (v[i].name[0] == '\0' || v[i].summary == NULL || v[i].operands == NULL || twice(v, sizeof(*v), i))
            return WRONG(c, member, i, "\"%.80s\" is there twice, or has no summary or operands", v[i].name);
        if (v[i].least > v[i].most)
            return WRONG(c, member, i, "least: is more than most");
        if (c->functions && v[i].run == NULL)
            return WRONG(c, member, i, "run: is missing");
        for (size_t k = 0; v[i].options != NULL && v[i].options[k].name != NULL; k++)
            if (!object_name_ok(ccp_span_z(v[i].options[k].name)) || twice(v[i].options, sizeof(v[i].options[0]), k))
                return WRONG(c, member, i, "option \"%.80s\" is there twice, or its name is not [a-z][a-z0-9_-]*",
                             v[i].options[k].name);
    }
    return true;
}

static bool has_key(const struct ccp_config_row *rows, const char *key)
{
    for (; rows != NULL && rows->key != NULL; rows++)
        if (strcmp(rows->key, key) == 0)
            return true;
    return false;
}

static bool check_flags(struct check *c)
{
    const struct ccp_flag *v = c->m->flags;
    for (size_t i = 0; v != NULL && v[i].name != NULL; i++) {
        if (!object_name_ok(ccp_span_z(v[i].name)) || twice(v, sizeof(*v), i))
            return WRONG(c, "flags", i, "name: \"%.80s\" is there twice, or not [a-z][a-z0-9_-]*", v[i].name);
        if (v[i].key == NULL || v[i].help == NULL)
            return WRONG(c, "flags", i, "%s: is missing", v[i].key == NULL ? "key" : "help");
        if (!has_key(c->m->config, v[i].key) && strcmp(v[i].key, "enabled") != 0)
            return WRONG(c, "flags", i, "key: the plugin has no setting \"%.80s\"", v[i].key);
    }
    return true;
}

bool adopt_check(const struct ccp_plugin *m, const char *called, bool functions, char *why, size_t max)
{
    struct check c = {m, functions, why, max};
    return check_head(&c, called) && check_provider(&c) && check_login(&c) && check_middleware(&c) && check_hooks(&c) &&
           check_routes(&c) && check_actions(&c) && check_tasks(&c) && check_services(&c) &&
           check_commands(&c, "commands", m->commands) && check_commands(&c, "auth_commands", m->auth_commands) &&
           check_flags(&c) && adopt_check_rows(m, why, max);
}

/*
 * ccproxy plugins show: all that one manifest declares, and what became of it with this configuration.
 */
#include <app/plugins.h>

#include <app/print.h>

static const struct arg_option *const options[] = {config_options, serve_options, json_options, help_options, NULL};

static const char *const event_names[] = {
#define X(name, dotted) dotted,
#include <ccproxy/event.def>
#undef X
};

static const char *const format_names[] = {
#define X(name, id, versioned) id,
#include <ccproxy/format.def>
#undef X
};

static const char *const auth_names[] = {"none set", "oauth", "api_key", "passthrough", "none"};

static const char *const access_names[] = {"key", "admin", "public"};

static json_t *events_of(const struct ccp_hook *h)
{
    json_t *events = json_array();
    for (int e = 0; e < CCP_EVENT_COUNT; e++)
        if ((h->events & (1ull << e)) != 0)
            json_array_append_new(events, json_string(event_names[e]));
    return events;
}

static json_t *provider_json(struct runtime *rt, const struct provider *p)
{
    bool ready = credentials_stored(rt, p);
    json_t *formats = json_array();
    for (int f = 0; f < CCP_FORMAT_COUNT; f++)
        if ((p->formats & (1u << f)) != 0)
            json_array_append_new(formats, json_string(format_names[f]));
    return json_pack("{s:o, s:o, s:o, s:o, s:s, s:b, s:o}", "label", json_span(p->label), "prefix",
                     json_span(p->prefix), "formats", formats, "base_url", json_span(p->s.base_url), "auth",
                     auth_names[p->auth], "ready", ready, "missing", ready ? json_null() : json_span(p->unusable));
}

static json_t *names_of(const char *const *names)
{
    json_t *list = json_array();
    for (; names != NULL && *names != NULL; names++)
        json_array_append_new(list, json_string(*names));
    return list;
}

/* -- lists of what is declared; of what there is none, none is printed -- */

static json_t *middlewares_of(const struct ccp_plugin *m)
{
    json_t *list = json_array();
    for (const struct ccp_middleware *w = m->middleware; w != NULL && w->name != NULL; w++)
        json_array_append_new(list, json_pack("{s:s, s:i}", "name", w->name, "order", (int)w->layer + w->order));
    return list;
}

static json_t *hooks_of(const struct ccp_plugin *m)
{
    json_t *list = json_array();
    for (const struct ccp_hook *h = m->hooks; h != NULL && h->name != NULL; h++) {
        json_t *hook = json_pack("{s:s, s:o}", "name", h->name, "events", events_of(h));
        if (h->custom != NULL)
            json_object_set_new(hook, "custom", names_of(h->custom));
        json_array_append_new(list, hook);
    }
    return list;
}

static json_t *routes_of(const struct ccp_plugin *m)
{
    json_t *list = json_array();
    for (const struct ccp_route *r = m->routes; r != NULL && r->methods != NULL; r++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "methods", r->methods, "prefix",
                                              r->prefix != NULL ? r->prefix : "", "path", r->path, "access",
                                              access_names[r->access]));
    return list;
}

static json_t *tasks_of(const struct ccp_plugin *m)
{
    json_t *list = json_array();
    for (const struct ccp_task *t = m->tasks; t != NULL && t->name != NULL; t++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:b, s:s?}", "name", t->name, "interval_ms",
                                              (json_int_t)t->interval_ms, "off", t->off, "summary", t->summary));
    return list;
}

static json_t *actions_of(const struct ccp_plugin *m)
{
    json_t *list = json_array();
    for (const struct ccp_action *a = m->actions; a != NULL && a->name != NULL; a++) {
        json_t *input = a->input != NULL ? json_loads(a->input, 0, NULL) : NULL;
        json_array_append_new(list, json_pack("{s:s, s:s?, s:o}", "name", a->name, "summary", a->summary, "input",
                                              input != NULL ? input : json_null()));
    }
    return list;
}

static json_t *commands_of(const struct ccp_command *c, const char *before)
{
    json_t *list = json_array();
    for (; c != NULL && c->name != NULL; c++) {
        char name[96];
        snprintf(name, sizeof(name), "%s%s", before, c->name);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s}", "name", name, "operands", c->operands, "summary", c->summary));
    }
    return list;
}

static json_t *flags_of(const struct ccp_plugin *m)
{
    json_t *list = json_array();
    for (const struct ccp_flag *f = m->flags; f != NULL && f->name != NULL; f++) {
        char name[80];
        snprintf(name, sizeof(name), "--%s", f->name);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", name, "sets", f->key, "help", f->help));
    }
    return list;
}

static void add_declared(json_t *out, const struct ccp_plugin *m)
{
    json_t *services = json_array(), *commands = commands_of(m->commands, "");
    json_t *below_auth = commands_of(m->auth_commands, "auth ");
    for (const struct ccp_service *s = m->provides; s != NULL && s->name != NULL; s++)
        json_array_append_new(services, json_string(s->name));
    json_array_extend(commands, below_auth);
    json_decref(below_auth);
    json_object_set_new(out, "middlewares", middlewares_of(m));
    json_object_set_new(out, "hooks", hooks_of(m));
    json_object_set_new(out, "routes", routes_of(m));
    json_object_set_new(out, "tasks", tasks_of(m));
    json_object_set_new(out, "actions", actions_of(m));
    json_object_set_new(out, "commands", commands);
    json_object_set_new(out, "flags", flags_of(m));
    json_object_set_new(out, "provides", services);
    json_object_set_new(out, "needs", names_of(m->needs));
    json_object_set_new(out, "after", names_of(m->after));
    json_object_set_new(out, "requires", names_of(m->requires));
    json_object_set_new(out, "uses", names_of(m->uses));
    json_object_set_new(out, "aliases", names_of(m->aliases));
}

static json_t *describe(struct runtime *rt, const struct plugin_instance *p)
{
    const struct ccp_plugin *m = p->manifest;
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", m->name, "type", plugins_kind(m), "status",
                            plugins_state(p), "version", m->version, "summary", m->summary);
    if (out == NULL)
        return NULL;
    if (p->state == PLUGIN_FAILED)
        json_object_set_new(out, "why", json_span(p->why));
    if (p->source != NULL) {
        json_object_set_new(out, "file", json_span(p->source->path));
        json_object_set_new(out, "sha256", json_string(p->source->sha256));
    }
    if (p->provider >= 0)
        json_object_set_new(out, "provider", provider_json(rt, &rt->providers[p->provider]));
    add_declared(out, m);
    return out;
}

/* The same object for people: one line for each member, lists of objects by their first texts. */
static void print_value(const json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(value)) {
        printf("%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        printf("%lld", (long long)json_integer_value(value));
    } else if (json_is_array(value)) {
        json_array_foreach((json_t *)value, i, item)
        {
            printf("%s", i != 0 ? ", " : "");
            print_value(item);
        }
    } else if (json_is_object(value)) {
        bool first = true;
        json_object_foreach((json_t *)value, key, item)
        {
            printf("%s", first ? "" : " ");
            print_value(item);
            first = false;
        }
    } else {
        printf("%s", json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
    }
}

static void print_members(json_t *object, const char *indent)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
            continue;
        if (json_is_object(value)) {
            printf("%s:\n", key);
            print_members(value, "  ");
            continue;
        }
        printf("%s%s: ", indent, key);
        print_value(value);
        putchar('\n');
    }
}

static int run(struct cli *cli)
{
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    struct plugin_instance *p = plugins_find(rt, cli->args.operands[0]);
    int code = EXIT_FAILED;
    json_t *about = p != NULL ? describe(rt, p) : NULL;
    if (about != NULL && args_has(&cli->args, "json")) {
        code = print_json(about);
    } else if (about != NULL) {
        print_members(about, "");
        json_decref(about);
        code = EXIT_OK;
    }
    runtime_unref(rt);
    return code;
}

const struct command command_plugins_show = {.name = "plugins show",
                                             .operands = "NAME",
                                             .summary = "all that a plugin declares",
                                             .options = options,
                                             .least = 1,
                                             .most = 1,
                                             .run = run};

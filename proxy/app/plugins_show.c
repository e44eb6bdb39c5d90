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

/* Lists of names; a plugin without any has none of these members. */
static void add_declared(json_t *out, const struct ccp_plugin *m)
{
    json_t *list = json_array();
    for (const struct ccp_middleware *w = m->middleware; w != NULL && w->name != NULL; w++)
        json_array_append_new(list, json_pack("{s:s, s:i}", "name", w->name, "order", (int)w->layer + w->order));
    json_object_set_new(out, "middlewares", list);
    list = json_array();
    for (const struct ccp_hook *h = m->hooks; h != NULL && h->name != NULL; h++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "name", h->name, "events", events_of(h)));
    json_object_set_new(out, "hooks", list);
    list = json_array();
    for (const struct ccp_route *r = m->routes; r != NULL && r->method != NULL; r++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:b}", "method", r->method, "path", r->path, "admin", r->admin));
    json_object_set_new(out, "routes", list);
    list = json_array();
    for (size_t i = 0; m->needs != NULL && m->needs[i] != NULL; i++)
        json_array_append_new(list, json_string(m->needs[i]));
    json_object_set_new(out, "needs", list);
}

static json_t *describe(struct runtime *rt, const struct plugin_instance *p)
{
    const struct ccp_plugin *m = p->manifest;
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", m->name, "type", plugins_kind(m), "status",
                            plugins_state(p), "version", m->version, "summary", m->summary);
    if (out == NULL)
        return NULL;
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

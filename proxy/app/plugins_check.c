/*
 * ccproxy plugins check FILE.so: what a shared object declares, its sum, and what is wrong with it, as the server would
 * judge it. Reads no configuration; the object is loaded by a process of its own only.
 */
#include <app/plugins.h>

#include <app/print.h>

static const struct arg_option *const options[] = {json_options, help_options, NULL};

enum { PROBE_MS = 30000 }; /* an author's machine may be slow: the server's own limit is a setting */

struct checked {
    struct plugin_source source;
    json_t *manifest; /* an object */
};

static int print_report_json(const struct checked *c)
{
    const struct ccp_plugin *m = c->source.manifest;
    return print_json(json_pack(
        "{s:s, s:s, s:o, s:s, s:s, s:b, s:o, s:O}", "name", m->name, "version", m->version, "path",
        json_span(c->source.path), "abi", c->source.abi, "sha256", c->source.sha256, "ok", c->source.refused.n == 0,
        "refused", c->source.refused.n != 0 ? json_span(c->source.refused) : json_null(), "manifest", c->manifest));
}

/* "routes: GET /stats, POST /reset" */
static void print_member(const char *key, const json_t *v)
{
    size_t i;
    json_t *one;
    if (!json_is_array(v)) {
        printf("%-14s %s\n", key, json_is_string(v) ? json_string_value(v) : "yes");
        return;
    }
    printf("%-14s", key);
    json_array_foreach(v, i, one)
    {
        static const char *const names[] = {"name", "key", "methods"};
        const char *text = json_string_value(one);
        for (size_t k = 0; text == NULL && k < 3; k++)
            text = json_string_value(json_object_get(one, names[k]));
        const char *prefix = json_string_value(json_object_get(one, "prefix"));
        const char *path = json_string_value(json_object_get(one, "path"));
        printf("%s%s%s%s%s", i == 0 ? " " : ", ", text != NULL ? text : "?", path != NULL ? " " : "",
               prefix != NULL ? prefix : "", path != NULL ? path : "");
    }
    putchar('\n');
}

static void print_provider(const json_t *p)
{
    const char *label = json_string_value(json_object_get(p, "label"));
    const char *prefix = json_string_value(json_object_get(p, "prefix"));
    printf("%-14s %s, /%s\n", "provider", label != NULL ? label : "?", prefix != NULL ? prefix : "?");
}

static void print_report(const struct checked *c)
{
    static const char *const shown[] = {"summary",  "core",     "needs",      "after",         "requires", "uses",
                                        "provides", "aliases",  "config",     "hooks",         "routes",   "tasks",
                                        "actions",  "commands", "middleware", "auth_commands", "flags",    NULL};
    printf("%-14s %s\n%-14s %s\n%-14s %s\n%-14s %s\n", "name", c->source.manifest->name, "version",
           c->source.manifest->version, "abi", c->source.abi, "sha256", c->source.sha256);
    for (size_t i = 0; shown[i] != NULL; i++) {
        const json_t *v = json_object_get(c->manifest, shown[i]);
        if (v != NULL && !(json_is_string(v) && json_string_length(v) == 0))
            print_member(shown[i], v);
    }
    if (json_object_get(c->manifest, "provider") != NULL)
        print_provider(json_object_get(c->manifest, "provider"));
    const char *login = json_string_value(json_object_get(json_object_get(c->manifest, "oauth"), "name"));
    if (login != NULL)
        printf("%-14s %s\n", "login", login);
}

static int report(const struct checked *c, bool json)
{
    if (json) {
        int code = print_report_json(c);
        return code == EXIT_OK && c->source.refused.n != 0 ? EXIT_FAILED : code;
    }
    print_report(c);
    if (c->source.refused.n != 0)
        return complain(EXIT_FAILED, "%.*s: refused: %.*s", CCP_FMT(c->source.path), CCP_FMT(c->source.refused));
    puts("ok");
    return EXIT_OK;
}

static int check(struct cli *cli)
{
    const struct discover_options o = {.probe_ms = PROBE_MS};
    struct checked c = {.manifest = NULL};
    struct arena a;
    arena_init(&a, NULL, 0);
    discover_file(&o, cli->args.operands[0], &a, &c.source);
    struct ccp_span text = discover_manifest_json(c.source.manifest, &a);
    c.manifest = text.p != NULL ? json_loadb(text.p, text.n, 0, NULL) : NULL;
    int code = c.manifest != NULL ? report(&c, args_has(&cli->args, "json")) : complain(EXIT_FAILED, "out of memory");
    json_decref(c.manifest);
    arena_end(&a);
    return code;
}

const struct command command_plugins_check = {
    .name = "plugins check",
    .operands = "FILE.so",
    .summary = "what a shared object declares, and whether it may be loaded",
    .details =
        "Prints name, version, plugin interface and SHA-256 of the object, what it declares, and every problem.\n"
        "plugin.json is compared with it if it lies beside it. Exit code 1: the server would refuse it.",
    .options = options,
    .least = 1,
    .most = 1,
    .run = check};

/*
 * ccproxy status: asks a running server how it is. Blocking, one or two small requests.
 */
#include <app/app.h>

#include <app/ask.h>
#include <app/print.h>
#include <upstream/upstream.h>

#include <signal.h>

static const struct arg_option status_options[] = {
    {"url", 0, ARG_VALUE, "URL", "the server's address; default from the configuration", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {status_options, config_options, json_options, help_options, NULL};

/* The answer as JSON; NULL = code says why. */
static json_t *ask_json(const struct question *q, const char *path, int *code)
{
    struct ccp_buf text;
    const char *why = NULL;
    json_t *value = NULL;
    buf_init(&text, ASK_ANSWER_MAX);
    int status = ask(q, path, &text, &why);
    *code = EXIT_OK;
    if (status == 0)
        *code = complain(EXIT_UNAVAILABLE, "no answer from %s: %s",
                         q->address.unix_socket != NULL ? q->address.unix_socket : q->address.url, why);
    else if (status == 401 || status == 403)
        *code = complain(EXIT_DENIED, "%s%s was refused (%d): does the configuration hold a key of this server?",
                         q->address.url, path, status);
    else if ((value = json_loadb(text.n != 0 ? text.p : "", text.n, 0, NULL)) == NULL || !json_is_object(value))
        *code = complain(EXIT_FAILED, "%s%s answered %d, but not as ccproxy does", q->address.url, path, status);
    if (*code != EXIT_OK) {
        json_decref(value);
        value = NULL;
    }
    buf_release(&text);
    return value;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* A remote text on a terminal: control bytes become '?'. */
static void print_safe(const char *text)
{
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

/* ", login acme/work ready until 2026-11-21T10:00:00Z" */
static void print_login(const json_t *login)
{
    static const struct {
        const char *before, *key;
    } parts[] = {{", login ", "name"}, {"/", "account"}, {" ", "state"}, {" until ", "expires_at"}};
    for (size_t i = 0; login != NULL && i < sizeof(parts) / sizeof(parts[0]); i++) {
        const char *text = text_of(login, parts[i].key);
        fputs(*text != '\0' ? parts[i].before : "", stdout);
        print_safe(text);
    }
}

static void print_checks(const json_t *checks)
{
    const char *name;
    json_t *list, *check;
    size_t i;
    json_object_foreach((json_t *)checks, name, list)
    {
        json_array_foreach(list, i, check)
        {
            fputs("  ", stdout);
            print_safe(name);
            fputs(": ", stdout);
            print_safe(text_of(check, "status"));
            print_login(json_object_get(check, "login"));
            if (text_of(check, "output")[0] != '\0')
                fputs(", ", stdout);
            print_safe(text_of(check, "output"));
            putchar('\n');
        }
    }
}

static void print_plugins(const json_t *plugins)
{
    json_t *plugin;
    size_t i;
    json_array_foreach(json_object_get(plugins, "plugins"), i, plugin)
    {
        fputs("  plugin ", stdout);
        print_safe(text_of(plugin, "name"));
        fputs(": ", stdout);
        print_safe(text_of(plugin, "status"));
        putchar('\n');
    }
}

static int report(struct cli *cli, const struct question *q)
{
    int code, second;
    json_t *health = ask_json(q, "/health", &code);
    if (health == NULL)
        return code;
    json_t *plugins = ask_json(q, "/plugins", &second);
    bool failing = strcmp(text_of(health, "status"), "fail") == 0;
    if (args_has(&cli->args, "json")) {
        code = print_json(json_pack("{s:s, s:o, s:o}", "url", q->address.url, "health", health, "plugins",
                                    plugins != NULL ? plugins : json_null()));
    } else {
        printf("%s: ", q->address.unix_socket != NULL ? q->address.unix_socket : q->address.url);
        print_safe(text_of(health, "status"));
        putchar('\n');
        print_checks(json_object_get(health, "checks"));
        print_plugins(plugins);
        json_decref(health);
        json_decref(plugins);
    }
    if (second == EXIT_DENIED)
        return second;
    return code == EXIT_OK && failing ? EXIT_FAILED : code;
}

static int run(struct cli *cli)
{
    struct question q = {.key = NULL};
    const char *url = args_get(&cli->args, "url");
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    const char *wrong = url != NULL ? address_parse(url, &q.address) : address_of(&rt->settings.server, &q.address);
    int code;
    signal(SIGPIPE, SIG_IGN);
    if (wrong != NULL) {
        code = complain(EXIT_USAGE, "%s%s%s", url != NULL ? "--url: " : "", wrong, url != NULL ? "" : "; give --url");
    } else if (!upstream_global_init()) {
        code = complain(EXIT_FAILED, "out of memory");
    } else {
        q.key = ask_key(&rt->settings.security);
        ask_trust(&q, &rt->settings.server);
        code = report(cli, &q);
        trust_unref(q.trust);
        upstream_global_release();
    }
    runtime_unref(rt);
    return code;
}

const struct command command_status = {
    .name = "status",
    .operands = "",
    .summary = "ask a running server how it is",
    .details = "Exits with 69 when nothing answers, 77 when the server refuses the key, 1 when its health is \"fail\".",
    .options = options,
    .run = run};

/*
 * ccproxy status: asks a running server how it is. Blocking, one or two small requests; the only command besides
 * serve that uses the network.
 */
#include <app/app.h>

#include <app/address.h>
#include <app/print.h>
#include <upstream/upstream.h>

#include <signal.h>

#define ANSWER_MAX (1u << 20)

static const struct arg_option status_options[] = {
    {"url", 0, ARG_VALUE, "URL", "the server's address; default from the configuration", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {status_options, config_options, json_options, help_options, NULL};

struct question {
    struct address address;
    const struct ccp_secret *key;
    struct trust *trust; /* or NULL: the system's */
};

/* auth_token, else an admin key, else any. */
static const struct ccp_secret *best_key(const struct security_settings *s)
{
    const struct security_key *keys = s->keys.v;
    for (size_t i = 0; s->auth_token == NULL && i < s->keys.n; i++)
        if (keys[i].admin)
            return keys[i].token;
    return s->auth_token != NULL ? s->auth_token : s->keys.n != 0 ? keys[0].token : NULL;
}

static int ask(const struct question *q, const char *path, struct ccp_buf *out, const char **why)
{
    char url[400];
    struct ccp_header headers[] = {{CCP_SPAN("accept"), CCP_SPAN("application/json")}};
    snprintf(url, sizeof(url), "%s%s", q->address.url, path);
    struct ccp_upstream_request request = {
        .method = CCP_SPAN("GET"),
        .url = ccp_span_z(url),
        .headers = headers,
        .header_count = 1,
        .credential = q->key,
        .credential_header = CCP_SPAN("x-ccproxy-token"),
        .credential_prefix = CCP_SPAN(""),
        .limits = {.connect_ms = 3000, .first_byte_ms = 5000, .idle_ms = 5000, .total_ms = 10000},
        .allow_private = true,
        .literal_host = true,
        .trust = q->trust,
    };
    return upstream_fetch(q->address.unix_socket, &request, out, why);
}

/* The answer as JSON; NULL = code says why. */
static json_t *ask_json(const struct question *q, const char *path, int *code)
{
    struct ccp_buf text;
    const char *why = NULL;
    json_t *value = NULL;
    buf_init(&text, ANSWER_MAX);
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

/* A server with a certificate of its own making is believed when it is the one of the configuration. */
static struct trust *own_certificate(const struct question *q, const struct server_settings *s)
{
    const char *why;
    bool tls = strncmp(q->address.url, "https:", 6) == 0;
    return tls && s->tls_cert.n != 0 ? trust_load(s->tls_cert.p, &why) : NULL;
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
        q.key = best_key(&rt->settings.security);
        q.trust = own_certificate(&q, &rt->settings.server);
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

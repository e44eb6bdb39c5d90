/*
 * ccproxy plugins enable, disable: asks the running server, which keeps and applies it; without one, or when that one
 * does not take orders from here, the change is written down for the next start.
 */
#include <app/plugins.h>

#include <app/ask.h>
#include <app/print.h>
#include <app/state.h>
#include <base/secret.h>
#include <upstream/upstream.h>

#include <signal.h>

static const struct arg_option switch_options[] = {
    {"url", 0, ARG_VALUE, "URL", "address of the running server; default from the configuration", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {switch_options, config_options, json_options, help_options, NULL};

static bool turns_on(const struct cli *cli)
{
    return strcmp(cli->command->name, "plugins enable") == 0;
}

static int said(const struct cli *cli, const char *name, const char *server, const char *file, const char *note)
{
    const char *word = turns_on(cli) ? "enabled" : "disabled";
    if (args_has(&cli->args, "json"))
        return print_json(json_pack("{s:s, s:s, s:s?, s:s?, s:s?}", "plugin", name, "status", word, "server", server,
                                    "file", file, "note", note));
    if (server != NULL)
        printf("%s is %s, in the server at %s too\n", name, word, server);
    else
        printf("%s is %s from the next start on, as %s says now\n", name, word, file);
    if (note != NULL)
        printf("%s\n", note);
    return EXIT_OK;
}

/* -- the running server -- */

/* What a server says when it refuses. */
static int repeat(const struct ccp_buf *answer, int status)
{
    json_t *root = json_loadb(answer->n != 0 ? answer->p : "", answer->n, 0, NULL);
    json_t *error = json_object_get(root, "error"), *fault;
    const char *message = json_string_value(json_object_get(error, "message"));
    size_t i;
    complain(EXIT_FAILED, "the server refused (%d): %s", status, message != NULL ? message : "it did not say why");
    json_array_foreach(json_object_get(error, "faults"), i, fault)
    {
        complain(EXIT_FAILED, "  %s", json_is_string(fault) ? json_string_value(fault) : "");
    }
    json_decref(root);
    return EXIT_FAILED;
}

/* Exit code, or -1: nobody there who would do it; *note says so if there is somebody. */
static int ask_server(const struct cli *cli, const struct question *q, const char *name, const char **note)
{
    char path[128];
    struct ccp_buf answer;
    const char *why = NULL, *where = q->address.unix_socket != NULL ? q->address.unix_socket : q->address.url;
    int code = -1;
    snprintf(path, sizeof(path), "/plugins/%s/%s", name, turns_on(cli) ? "enable" : "disable");
    buf_init(&answer, ASK_ANSWER_MAX);
    int status = ask_post(q, path, &answer, &why);
    if (status == 200)
        code = said(cli, name, where, NULL, NULL);
    else if (status == 401 || status == 403)
        *note = "a server runs there, but takes no changes with the keys of this configuration: send it SIGHUP";
    else if (status == 400 || status == 409 || status == 500 || status == 503)
        code = repeat(&answer, status);
    else if (status != 0)
        *note = "what answers at the server's address is no ccproxy that knows this plugin: it was not told";
    buf_release(&answer);
    return code;
}

/* -- the file -- */

static int keep(const struct cli *cli, struct state *state, const struct plugin_instance *p, const char *note)
{
    char why[400];
    struct ccp_buf text;
    struct runtime *fresh = NULL;
    bool on = turns_on(cli);
    buf_init(&text, 5u << 20);
    const char *wrong = config_state_edit(buf_span(&state->text), p->path + strlen("plugins."),
                                          on ? CCP_SPAN("{\"enabled\":true}") : CCP_SPAN("{\"enabled\":false}"), &text);
    int code = wrong != NULL ? complain(EXIT_CONFIG, "%s: %s", state->path, wrong) : EXIT_CONFIG;
    if (wrong == NULL)
        fresh = load_candidate(cli, buf_span(&text), load_print, NULL);
    if (fresh != NULL &&
        plugins_decided_otherwise(fresh, runtime_plugin(fresh, ccp_span_z(p->manifest->name)), on, why, sizeof(why)))
        code = complain(EXIT_FAILED, "%s", why);
    else if (fresh != NULL && !state_keep(state, buf_span(&text)))
        code = complain(EXIT_FAILED, "nothing was changed: %s", state->why);
    else if (fresh != NULL)
        code = said(cli, p->manifest->name, NULL, state->path, note);
    runtime_unref(fresh);
    if (text.n != 0)
        secret_wipe(text.p, text.n);
    buf_release(&text);
    return code;
}

static int write_down(const struct cli *cli, const struct plugin_instance *p, const char *note)
{
    struct state state;
    bool busy;
    int code = EXIT_FAILED;
    if (state_hold(&state, &busy))
        code = keep(cli, &state, p, note);
    else
        complain(code, "%s", state.why);
    state_release(&state);
    return code;
}

static int run(struct cli *cli)
{
    struct question q = {.key = NULL};
    const char *url = args_get(&cli->args, "url"), *note = NULL;
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    struct plugin_instance *p = plugins_find(rt, cli->args.operands[0]);
    const char *wrong = url != NULL ? address_parse(url, &q.address) : address_of(&rt->settings.server, &q.address);
    int code = p == NULL ? EXIT_FAILED : -1;
    signal(SIGPIPE, SIG_IGN);
    if (code == -1 && wrong != NULL && url != NULL) {
        code = complain(EXIT_USAGE, "--url: %s", wrong);
    } else if (code == -1 && wrong == NULL && upstream_global_init()) {
        q.key = ask_admin_key(&rt->settings.security);
        ask_trust(&q, &rt->settings.server);
        code = ask_server(cli, &q, p->manifest->name, &note);
        trust_unref(q.trust);
        upstream_global_release();
    }
    if (code == -1)
        code = write_down(cli, p, note);
    runtime_unref(rt);
    return code;
}

const struct command command_plugins_enable = {
    .name = "plugins enable",
    .operands = "NAME",
    .summary = "switch a plugin on, also in the running server",
    .details = "Asks the running server with an admin key of the configuration; it keeps the change over restarts.\n"
               "Without a server the change is written down for the next start (ccproxy config path tells where).",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run};

const struct command command_plugins_disable = {
    .name = "plugins disable",
    .operands = "NAME",
    .summary = "switch a plugin off, also in the running server",
    .details = "Asks the running server with an admin key of the configuration; it keeps the change over restarts.\n"
               "Without a server the change is written down for the next start (ccproxy config path tells where).",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run};

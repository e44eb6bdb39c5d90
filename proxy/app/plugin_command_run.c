/*
 * Running one command of a plugin: its options, its code, what it is called with, and the way out.
 *
 * The command's own plugin is loaded, and opened with what it needs if the command says so; tasks of plugins do not
 * run.
 */
#include <app/plugin_commands.h>

#include <app/help.h>
#include <app/server.h>
#include <chain/chain.h>
#include <signal.h>
#include <upstream/upstream.h>

#define OPTIONS_MAX 64
#define STOP_MS     2000 /* for work off the loop that the command left behind */

struct made {
    struct arg_option own[OPTIONS_MAX + 1];
    const struct arg_option *tables[5];
    struct command command;
};

/* The plugin's command as one of this program. */
static void make(struct made *m, const struct plugin_command *which)
{
    const struct ccp_command *c = which->command;
    size_t n = 0, tables = 0;
    *m = (struct made){.command = {.name = which->name,
                                   .operands = c->operands,
                                   .summary = c->summary,
                                   .details = c->details,
                                   .options = m->tables,
                                   .least = c->least,
                                   .most = c->most}};
    for (const struct ccp_option *o = c->options; o != NULL && o->name != NULL && n < OPTIONS_MAX; o++)
        m->own[n++] = (struct arg_option){o->name, 0, o->value != NULL ? ARG_VALUE : ARG_FLAG, o->value, o->help, NULL};
    m->tables[tables++] = m->own;
    m->tables[tables++] = config_options;
    if (c->json)
        m->tables[tables++] = json_options;
    m->tables[tables] = help_options;
}

void plugin_command_help(const struct plugin_command *which, FILE *out)
{
    struct made m;
    make(&m, which);
    help_command(&m.command, out);
    fprintf(out, "\nA command of plugin %s.\n", which->plugin->manifest->name);
}

/* -- what the function gets -- */

static const char *option(const struct ccp_cli *cli, const char *name)
{
    const struct cli *c = cli->core;
    return args_get(&c->args, name);
}

static void print(const struct ccp_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void print(const struct ccp_cli *cli, const char *fmt, ...)
{
    va_list ap;
    (void)cli;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
}

static int say(const struct ccp_cli *cli, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int say(const struct ccp_cli *cli, int code, const char *fmt, ...)
{
    va_list ap;
    (void)cli;
    fflush(stdout);
    va_start(ap, fmt);
    fputs("ccproxy: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

/* -- the call -- */

/* The same command in the manifest whose functions are there. */
static const struct ccp_command *loaded(const struct plugin_command *which)
{
    const struct ccp_plugin *m = which->plugin->unit->manifest;
    const struct ccp_command *c = which->auth ? m->auth_commands : m->commands;
    for (; c != NULL && c->name != NULL; c++)
        if (strcmp(c->name, which->command->name) == 0)
            return c;
    return NULL;
}

static int call(const struct plugin_command *which, struct cli *cli)
{
    const struct ccp_command *c = loaded(which);
    if (c == NULL || c->run == NULL)
        return complain(EXIT_FAILED, "plugin %s declares the command \"%s\", but has no function for it",
                        which->plugin->manifest->name, which->name);
    struct ccp_cli out = {.size = sizeof(out),
                          .env = &which->plugin->unit->env,
                          .self = which->plugin->unit->self,
                          .operands = (const char *const *)cli->args.operands,
                          .operand_count = cli->args.operand_n,
                          .json = c->json && args_has(&cli->args, "json"),
                          .option = option,
                          .print = print,
                          .complain = say,
                          .core = cli};
    int code = c->run(&out);
    return code >= 0 && code <= 255 ? code : EXIT_FAILED;
}

static int open_and_call(struct plugin_commands *all, const struct plugin_command *which, struct cli *cli)
{
    struct executor *executor = executor_new(&(struct executor_port){.post = NULL});
    struct runtime_host host = {
        .core = chain_core(), .executor = executor, .purpose = which->command->opens ? RUNTIME_COMMAND : RUNTIME_CODE};
    struct ccp_span why = CCP_SPAN("out of memory");
    int code;
    if (executor == NULL || !executor_start(executor))
        code = complain(EXIT_FAILED, "cannot set up plugins: out of memory or descriptors");
    else if (!runtime_open_only(all->rt, which->plugin, &host, &why))
        code =
            complain(EXIT_FAILED, "plugin %s could not be opened: %.*s", which->plugin->manifest->name, CCP_FMT(why));
    else
        code = call(which, cli);
    if (executor != NULL)
        executor_stop(executor, STOP_MS);
    plugin_commands_release(all); /* closes what was opened */
    executor_free(executor);
    return code;
}

/* Why a plugin's command cannot run although it is there; EXIT_OK = it can. */
static int usable(const struct plugin_commands *all, const struct plugin_command *which)
{
    const struct plugin_instance *p = which->plugin;
    if (!config_ok(all->rt->config))
        return complain(EXIT_CONFIG, "%s", all->why);
    if (p->state == PLUGIN_DISABLED)
        return complain(EXIT_CONFIG,
                        "\"%s\" is a command of plugin %s, which is disabled: enable it (ccproxy plugins enable %s)",
                        which->name, p->manifest->name, p->manifest->name);
    if (p->state == PLUGIN_FAILED)
        return complain(EXIT_CONFIG, "\"%s\" is a command of plugin %s, which cannot be used: %.*s", which->name,
                        p->manifest->name, CCP_FMT(p->why));
    return EXIT_OK;
}

int plugin_command_run(struct plugin_commands *all, const struct plugin_command *which, struct cli *cli, int argc,
                       char **argv)
{
    struct made m;
    int code;
    make(&m, which);
    cli->command = &m.command; // cppcheck-suppress autoVariables ; nobody reads it after this call
    if (!command_args(cli, m.command.options, argc - which->words, argv + which->words, &code))
        return code;
    if (args_has(&cli->args, "help")) {
        plugin_command_help(which, stdout);
        return EXIT_OK;
    }
    code = usable(all, which);
    if (code != EXIT_OK || !command_operands(cli, &code))
        return code;
    privilege_harden();
    signal(SIGPIPE, SIG_IGN);
    if (!upstream_global_init())
        return complain(EXIT_FAILED, "cannot set up the process");
    code = open_and_call(all, which, cli);
    upstream_global_release();
    return code;
}

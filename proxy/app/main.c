/*
 * The program's entry: finds the command, reads its options, runs it.
 *
 * No command and only options means `serve`. Nothing here knows what a command does.
 */
#include <app/app.h>

#include <app/help.h>
#include <app/plugin_commands.h>
#include <app/server.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct command *const commands[] = {
    &command_serve,          &command_status,
    &command_doctor,         &command_env,
    &command_config_show,    &command_config_check,
    &command_config_example, &command_config_path,
    &command_config_token,   &command_plugins_list,
    &command_plugins_show,   &command_plugins_settings,
    &command_plugins_order,  &command_plugins_dependencies,
    &command_plugins_enable, &command_plugins_disable,
    &command_plugins_check,  &command_plugins_scaffold,
    &command_auth_providers, &command_auth_login,
    &command_auth_status,    &command_auth_refresh,
    &command_auth_logout,    &command_auth_rekey,
    &command_version,        NULL,
};

int complain(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("ccproxy: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

/* How many words of argv the name takes: 0 = another command. */
static int words_matched(const char *name, int argc, char **argv)
{
    int words = 0;
    for (; *name != '\0'; words++) {
        size_t n = strcspn(name, " ");
        if (words >= argc || strlen(argv[words]) != n || memcmp(argv[words], name, n) != 0)
            return 0;
        name += name[n] == ' ' ? n + 1 : n;
    }
    return words;
}

static const struct command *find(int argc, char **argv, int *words)
{
    *words = 0;
    if (argc == 0 || argv[0][0] == '-')
        return &command_serve;
    for (size_t i = 0; commands[i] != NULL; i++)
        if ((*words = words_matched(commands[i]->name, argc, argv)) != 0)
            return commands[i];
    return NULL;
}

bool command_args(struct cli *cli, const struct arg_option *const *tables, int argc, char **argv, int *code)
{
    bool parsed = args_parse(tables, argc, argv, &cli->args);
    if (cli->args.hits == NULL || cli->args.operands == NULL)
        *code = complain(EXIT_FAILED, "%s", cli->args.error);
    else if (!parsed)
        *code = complain(EXIT_USAGE, "%s\nTry: ccproxy %s --help", cli->args.error, cli->command->name);
    return parsed;
}

bool command_operands(const struct cli *cli, int *code)
{
    const struct command *c = cli->command;
    if (cli->args.operand_n < c->least)
        *code = complain(EXIT_USAGE, "usage: ccproxy %s %s", c->name, c->operands);
    else if (cli->args.operand_n > c->most)
        *code = complain(EXIT_USAGE, "%s takes no \"%.60s\"\nTry: ccproxy %s --help", c->name,
                         cli->args.operands[c->most], c->name);
    else
        return true;
    return false;
}

/* Does the command take the options of the server? Then it takes the flags of plugins, too. */
static bool takes_flags(const struct command *c)
{
    for (const struct arg_option *const *table = c->options; *table != NULL; table++)
        if (*table == serve_options)
            return true;
    return false;
}

/* The command's options; which flags plugins bring is looked up only when one is there that may be such a flag. */
static const struct arg_option *const *options_of(struct cli *cli, int argc, char **argv)
{
    const struct arg_option *const *tables = cli->command->options, *const * with;
    struct plugin_commands all;
    if (!takes_flags(cli->command) || !args_unknown(tables, argc, argv))
        return tables;
    plugin_commands_load(&all, cli, argc, argv);
    with = plugin_flags_tables(&all, tables, &cli->memory);
    plugin_commands_release(&all);
    return with != NULL ? with : tables;
}

static int help_about_itself(struct cli *cli, int argc, char **argv)
{
    struct plugin_commands all;
    help_command(cli->command, stdout);
    if (!takes_flags(cli->command))
        return EXIT_OK;
    plugin_commands_load(&all, cli, argc, argv);
    plugin_flags_help(&all, stdout);
    plugin_commands_release(&all);
    return EXIT_OK;
}

static int run(struct cli *cli, int argc, char **argv)
{
    int code;
    if (!command_args(cli, options_of(cli, argc, argv), argc, argv, &code))
        return code;
    if (args_has(&cli->args, "help"))
        return help_about_itself(cli, argc, argv);
    return command_operands(cli, &code) ? cli->command->run(cli) : code;
}

/* No command of our own: one of a plugin, or a mistake. */
static int run_foreign(struct cli *cli, int argc, char **argv)
{
    struct plugin_commands all;
    struct plugin_command which;
    plugin_commands_load(&all, cli, argc, argv);
    int code = plugin_commands_find(&all, argc, argv, &which) ? plugin_command_run(&all, &which, cli, argc, argv)
                                                              : help_unknown(commands, &all, argc, argv);
    plugin_commands_release(&all);
    return code;
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    int words, code;
    if (help_wanted(commands, cli, argc, argv, &code))
        return code;
    cli->command = find(argc, argv, &words);
    return cli->command != NULL ? run(cli, argc - words, argv + words) : run_foreign(cli, argc, argv);
}

/* Who starts us without a standard stream must not find the log in the lock of a login, or an answer in a socket that
 * got its number. The other way round, so that reading and writing fails as it did. */
static bool fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    struct cli cli = {.command = NULL};
    if (discover_is_probe(argc, argv))
        return discover_probe_main(argc, argv);
    if (!fill_standard_streams())
        return EXIT_FAILED; /* nobody to tell */
    if (!vault_open(&cli.vault, environ))
        return complain(EXIT_FAILED, "out of memory");
    arena_init(&cli.memory, NULL, 0);
    int code = dispatch(&cli, argc > 0 ? argc - 1 : 0, argv + 1);
    args_release(&cli.args);
    arena_end(&cli.memory);
    vault_close(&cli.vault);
    privilege_soften();
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK)
        code = complain(EXIT_FAILED, "standard output: %s", strerror(errno));
    return code;
}

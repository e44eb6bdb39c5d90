/*
 * The program's entry: finds the command, reads its options, runs it.
 *
 * No command and only options means `serve`. Nothing here knows what a command does.
 */
#include <app/app.h>

#include <app/help.h>
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

static int run(struct cli *cli, int argc, char **argv)
{
    const struct command *c = cli->command;
    bool parsed = args_parse(c->options, argc, argv, &cli->args);
    if (cli->args.hits == NULL || cli->args.operands == NULL)
        return complain(EXIT_FAILED, "%s", cli->args.error);
    if (!parsed)
        return complain(EXIT_USAGE, "%s\nTry: ccproxy %s --help", cli->args.error, c->name);
    if (args_has(&cli->args, "help")) {
        help_command(c, stdout);
        return EXIT_OK;
    }
    if (cli->args.operand_n < c->least)
        return complain(EXIT_USAGE, "usage: ccproxy %s %s", c->name, c->operands);
    if (cli->args.operand_n > c->most)
        return complain(EXIT_USAGE, "%s takes no \"%.60s\"\nTry: ccproxy %s --help", c->name,
                        cli->args.operands[c->most], c->name);
    return c->run(cli);
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    int words, code;
    if (help_wanted(commands, argc, argv, &code))
        return code;
    cli->command = find(argc, argv, &words);
    if (cli->command == NULL)
        return help_unknown(commands, argc, argv);
    return run(cli, argc - words, argv + words);
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
    if (!fill_standard_streams())
        return EXIT_FAILED; /* nobody to tell */
    if (!vault_open(&cli.vault, environ))
        return complain(EXIT_FAILED, "out of memory");
    int code = dispatch(&cli, argc > 0 ? argc - 1 : 0, argv + 1);
    args_release(&cli.args);
    vault_close(&cli.vault);
    privilege_soften();
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK)
        code = complain(EXIT_FAILED, "standard output: %s", strerror(errno));
    return code;
}

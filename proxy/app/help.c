/*
 * Help: see help.h. What is printed on request goes to standard output with exit 0; what answers a mistake goes to
 * standard error with exit 2.
 */
#include <app/help.h>

#define NAMES_MAX 64

static void print_row(const struct command *c, FILE *out)
{
    char left[64];
    snprintf(left, sizeof(left), "%s %s", c->name, c->operands);
    fprintf(out, "  %-28s %s\n", left, c->summary);
}

static void help_program(const struct command *const *commands, FILE *out)
{
    fputs("ccproxy " CCP_VERSION ": one address in front of AI providers\n\n"
          "usage: ccproxy [COMMAND] [OPTIONS]\n\n",
          out);
    for (size_t i = 0; commands[i] != NULL; i++)
        print_row(commands[i], out);
    fputs("  help [COMMAND]\n\nWithout a command: serve. Every command has --help.\n"
          "Exit: 0 ok, 1 failed, 2 usage, 69 unavailable, 77 refused, 78 configuration.\n",
          out);
}

void help_command(const struct command *c, FILE *out)
{
    fprintf(out, "usage: ccproxy %s%s%s [OPTIONS]\n\n%s\n", c->name, c->operands[0] != '\0' ? " " : "", c->operands,
            c->summary);
    if (c->details != NULL)
        fprintf(out, "\n%s\n", c->details);
    fputs("\nOptions:\n", out);
    args_print_help(c->options, out);
}

/* Is `word` the first word of commands with two ("config")? */
static bool is_group(const struct command *const *commands, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strncmp(commands[i]->name, word, n) == 0 && commands[i]->name[n] == ' ')
            return true;
    return false;
}

static void help_group(const struct command *const *commands, const char *word, FILE *out)
{
    size_t n = strlen(word);
    fprintf(out, "usage: ccproxy %s COMMAND [OPTIONS]\n\n", word);
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strncmp(commands[i]->name, word, n) == 0 && commands[i]->name[n] == ' ')
            print_row(commands[i], out);
}

static const struct command *named(const struct command *const *commands, const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void join_words(char *out, size_t max, int argc, char **argv)
{
    snprintf(out, max, "%.60s%s%.60s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
             argc > 1 && argv[1][0] != '-' ? argv[1] : "");
}

static int help_about(const struct command *const *commands, int argc, char **argv)
{
    char name[128];
    if (argc == 0) {
        help_program(commands, stdout);
        return EXIT_OK;
    }
    join_words(name, sizeof(name), argc, argv);
    const struct command *c = named(commands, name);
    if (c != NULL) {
        help_command(c, stdout);
        return EXIT_OK;
    }
    if (argc == 1 && is_group(commands, argv[0])) {
        help_group(commands, argv[0], stdout);
        return EXIT_OK;
    }
    return help_unknown(commands, argc, argv);
}

bool help_wanted(const struct command *const *commands, int argc, char **argv, int *code)
{
    if (argc == 0)
        return false;
    bool asks = strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0;
    bool group = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (strcmp(argv[0], "help") == 0)
        *code = help_about(commands, group ? 0 : argc - 1, argv + 1);
    else if (asks)
        *code = help_about(commands, 0, argv);
    else if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0)
        *code = puts("ccproxy " CCP_VERSION) >= 0 ? EXIT_OK : EXIT_FAILED;
    else if (group && is_group(commands, argv[0]))
        *code = help_about(commands, 1, argv);
    else
        return false;
    return true;
}

static const char *nearest_command(const struct command *const *commands, const char *name)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; commands[n] != NULL && n + 1 < NAMES_MAX; n++)
        names[n] = commands[n]->name;
    names[n++] = "help";
    return config_nearest(ccp_span_z(name), names, n);
}

int help_unknown(const struct command *const *commands, int argc, char **argv)
{
    char name[128];
    join_words(name, sizeof(name), argc, argv);
    const char *nearest = nearest_command(commands, name);
    if (nearest == NULL && argc > 1 && !is_group(commands, argv[0]))
        nearest = nearest_command(commands, argv[0]);
    if (is_group(commands, argv[0])) {
        if (argc == 1 || argv[1][0] == '-')
            complain(EXIT_USAGE, "%s needs a command", argv[0]);
        else
            complain(EXIT_USAGE, "there is no command \"%s\"%s%s%s", name, nearest != NULL ? " (did you mean \"" : "",
                     nearest != NULL ? nearest : "", nearest != NULL ? "\"?)" : "");
        help_group(commands, argv[0], stderr);
        return EXIT_USAGE;
    }
    if (nearest != NULL)
        return complain(EXIT_USAGE, "there is no command \"%.60s\" (did you mean \"%s\"?)", argv[0], nearest);
    return complain(EXIT_USAGE, "there is no command \"%.60s\"; ccproxy help lists them", argv[0]);
}

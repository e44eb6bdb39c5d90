/*
 * Help: see help.h. What is printed on request goes to standard output with exit 0; what answers a mistake goes to
 * standard error with exit 2.
 */
#include <app/help.h>

#define NAMES_MAX 128

static void print_row(const char *name, const char *operands, const char *summary, FILE *out)
{
    char left[160];
    snprintf(left, sizeof(left), "%s %s", name, operands);
    fprintf(out, "  %-28s %s\n", left, summary);
}

/* -- commands of plugins -- */

struct listing {
    FILE *out;
    const char *word; /* only those that begin with it, or NULL */
    const char *title;
    size_t n;
};

static void print_foreign(void *arg, const struct plugin_instance *p, const struct ccp_command *c, const char *name)
{
    struct listing *l = arg;
    char summary[200];
    size_t word = l->word != NULL ? strlen(l->word) : 0;
    if (l->word != NULL && (strncmp(name, l->word, word) != 0 || name[word] != ' '))
        return;
    if (l->n++ == 0 && l->title != NULL)
        fprintf(l->out, "\n%s\n", l->title);
    snprintf(summary, sizeof(summary), "%s (%s)", c->summary, p->manifest->name);
    print_row(name, c->operands, summary, l->out);
}

/* `word` NULL: all, those of `auth` too. */
static void list_foreign(const struct plugin_commands *all, const char *word, FILE *out)
{
    struct listing l = {.out = out, .word = word, .title = "Commands of plugins:"};
    plugin_commands_each(all, false, print_foreign, &l);
    plugin_commands_each(all, true, print_foreign, &l);
}

/* Help must come whatever the configuration is like. */
static void load_for_help(struct plugin_commands *all, struct cli *cli, int argc, char **argv)
{
    plugin_commands_load(all, cli, argc, argv);
    if (all->why[0] != '\0')
        fprintf(stderr, "ccproxy: commands of plugins may be missing here: %s\n", all->why);
}

static void help_program(const struct command *const *commands, struct cli *cli, int argc, char **argv, FILE *out)
{
    struct plugin_commands all;

    fputs("ccproxy " CCP_VERSION ": one address in front of AI providers\n\n"
          "usage: ccproxy [COMMAND] [OPTIONS]\n\n",
          out);
    for (size_t i = 0; commands[i] != NULL; i++)
        print_row(commands[i]->name, commands[i]->operands, commands[i]->summary, out);
    fputs("  help [COMMAND]\n", out);
    load_for_help(&all, cli, argc, argv);
    list_foreign(&all, NULL, out);
    plugin_commands_release(&all);
    fputs("\nWithout a command: serve. Every command has --help.\n"
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
            print_row(commands[i]->name, commands[i]->operands, commands[i]->summary, out);
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

static bool asks_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* A group of our own; plugins may have commands in "auth". */
static int help_own_group(const struct command *const *commands, struct cli *cli, int argc, char **argv)
{
    const char *word = argv[0];
    struct plugin_commands all;
    help_group(commands, word, stdout);
    if (strcmp(word, "auth") != 0)
        return EXIT_OK;
    load_for_help(&all, cli, argc, argv);
    list_foreign(&all, word, stdout);
    plugin_commands_release(&all);
    return EXIT_OK;
}

/* `words` of argv name a command, the rest is options. */
static int help_foreign(const struct command *const *commands, struct cli *cli, int words, int argc, char **argv)
{
    struct plugin_commands all;
    struct plugin_command which;
    int code = EXIT_OK;
    plugin_commands_load(&all, cli, argc, argv);
    if (plugin_commands_find(&all, words, argv, &which) && which.words == words)
        plugin_command_help(&which, stdout);
    else if (words == 1 && plugin_commands_group(&all, argv[0]))
        list_foreign(&all, argv[0], stdout);
    else
        code = help_unknown(commands, &all, words, argv);
    plugin_commands_release(&all);
    return code;
}

static int help_about(const struct command *const *commands, struct cli *cli, int argc, char **argv)
{
    char name[128];
    int words = 0;
    while (words < argc && argv[words][0] != '-')
        words++;
    if (words == 0) {
        help_program(commands, cli, argc, argv, stdout);
        return EXIT_OK;
    }
    join_words(name, sizeof(name), words, argv);
    const struct command *c = named(commands, name);
    if (c != NULL) {
        help_command(c, stdout);
        return EXIT_OK;
    }
    if (words == 1 && is_group(commands, argv[0]))
        return help_own_group(commands, cli, argc, argv);
    return help_foreign(commands, cli, words, argc, argv);
}

bool help_wanted(const struct command *const *commands, struct cli *cli, int argc, char **argv, int *code)
{
    if (argc == 0)
        return false;
    bool group = argc > 1 && asks_help(argv[1]);
    if (strcmp(argv[0], "help") == 0)
        *code = help_about(commands, cli, argc - 1, argv + 1);
    else if (asks_help(argv[0]))
        *code = help_about(commands, cli, argc, argv);
    else if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0)
        *code = puts("ccproxy " CCP_VERSION) >= 0 ? EXIT_OK : EXIT_FAILED;
    else if (group && is_group(commands, argv[0]))
        *code = help_about(commands, cli, argc, argv);
    else
        return false;
    return true;
}

/* -- mistakes -- */

struct known {
    const char *names[NAMES_MAX];
    char foreign[NAMES_MAX][96];
    size_t n, foreign_n;
};

static void know(void *arg, const struct plugin_instance *p, const struct ccp_command *c, const char *name)
{
    struct known *k = arg;
    (void)p;
    (void)c;
    if (k->n == NAMES_MAX)
        return;
    snprintf(k->foreign[k->foreign_n], sizeof(k->foreign[0]), "%s", name);
    k->names[k->n++] = k->foreign[k->foreign_n++];
}

static void know_all(struct known *k, const struct command *const *commands, const struct plugin_commands *all)
{
    k->n = k->foreign_n = 0;
    for (; commands[k->n] != NULL && k->n + 1 < NAMES_MAX; k->n++)
        k->names[k->n] = commands[k->n]->name;
    k->names[k->n++] = "help";
    plugin_commands_each(all, false, know, k);
    plugin_commands_each(all, true, know, k);
}

static int unknown_in_group(const struct command *const *commands, const struct plugin_commands *all, const char *name,
                            const char *nearest, int argc, char **argv)
{
    bool own = is_group(commands, argv[0]), asked = argc > 1 && asks_help(argv[1]);
    FILE *out = asked ? stdout : stderr;
    if (argc == 1 || (argv[1][0] == '-' && !asked))
        complain(EXIT_USAGE, "%s needs a command", argv[0]);
    else if (!asked)
        complain(EXIT_USAGE, "there is no command \"%s\"%s%s%s", name, nearest != NULL ? " (did you mean \"" : "",
                 nearest != NULL ? nearest : "", nearest != NULL ? "\"?)" : "");
    if (own)
        help_group(commands, argv[0], out);
    if (!own || strcmp(argv[0], "auth") == 0)
        list_foreign(all, argv[0], out);
    return asked ? EXIT_OK : EXIT_USAGE;
}

int help_unknown(const struct command *const *commands, const struct plugin_commands *all, int argc, char **argv)
{
    char name[128];
    struct known k;
    know_all(&k, commands, all);
    join_words(name, sizeof(name), argc, argv);
    bool group = is_group(commands, argv[0]) || plugin_commands_group(all, argv[0]);
    const char *nearest = config_nearest(ccp_span_z(name), k.names, k.n);
    if (nearest == NULL && argc > 1 && !group)
        nearest = config_nearest(ccp_span_z(argv[0]), k.names, k.n);
    if (group)
        return unknown_in_group(commands, all, name, nearest, argc, argv);
    if (nearest != NULL)
        return complain(EXIT_USAGE, "there is no command \"%.60s\" (did you mean \"%s\"?)", argv[0], nearest);
    if (all->why[0] != '\0')
        return complain(EXIT_USAGE, "there is no command \"%.60s\"; plugins may have more, but: %s", argv[0], all->why);
    return complain(EXIT_USAGE, "there is no command \"%.60s\"; ccproxy help lists them", argv[0]);
}

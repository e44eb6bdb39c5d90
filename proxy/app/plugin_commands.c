/*
 * Finding commands of plugins: see plugin_commands.h.
 *
 * The words of a command line come before its options are understood, since those of the command are its plugin's to
 * say; only --config and --set are looked for on the way, so that the configuration is the one that was asked for.
 */
#include <app/plugin_commands.h>

/* -- the configuration -- */

/* Notes an option as if it had been read; the text stays where it is, for the reading that follows. */
static char *note_hit(struct args *args, const struct arg_option *o, char *text, char *next)
{
    size_t n = strlen(o->name);
    bool longer = strncmp(text, "--", 2) == 0 && strncmp(text + 2, o->name, n) == 0;
    char *value = longer && text[2 + n] == '='                                                     ? text + n + 3
                  : longer && text[2 + n] == '\0'                                                  ? next
                  : o->letter != '\0' && text[0] == '-' && text[1] == o->letter && text[2] != '\0' ? text + 2
                  : o->letter != '\0' && text[0] == '-' && text[1] == o->letter                    ? next
                                                                                                   : NULL;
    if (value != NULL)
        args->hits[args->hit_n++] = (struct arg_hit){.option = o, .value = value};
    return value;
}

static void look_for_config(struct args *args, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        for (const struct arg_option *o = config_options; o->name != NULL; o++)
            if (note_hit(args, o, argv[i], i + 1 < argc ? argv[i + 1] : NULL) != NULL)
                break;
}

static void first_fault(void *arg, bool warning, struct ccp_span text)
{
    struct plugin_commands *all = arg;
    if (!warning && all->why[0] == '\0')
        snprintf(all->why, sizeof(all->why), "%.*s", CCP_FMT(text));
}

void plugin_commands_load(struct plugin_commands *all, struct cli *cli, int argc, char **argv)
{
    static const struct command any = {.name = "", .operands = "", .summary = ""};
    struct cli asked = {.command = cli->command != NULL ? cli->command : &any, .vault = cli->vault};
    *all = (struct plugin_commands){.rt = NULL};
    asked.args.hits = calloc((size_t)argc + 1, sizeof(*asked.args.hits));
    if (asked.args.hits == NULL) {
        snprintf(all->why, sizeof(all->why), "out of memory");
        return;
    }
    look_for_config(&asked.args, argc, argv);
    all->rt = load_faulty(&asked, first_fault, all);
    free(asked.args.hits);
}

void plugin_commands_release(struct plugin_commands *all)
{
    runtime_unref(all->rt);
    all->rt = NULL;
}

/* -- names -- */

/* How many words of argv a name takes; its first one may be given as one of the plugin's aliases. 0 = another one. */
static int words_taken(const struct ccp_plugin *m, const char *name, int argc, char **argv)
{
    int words = 0;
    for (const char *at = name; *at != '\0'; words++) {
        size_t n = strcspn(at, " ");
        if (words >= argc)
            return 0;
        bool same = strlen(argv[words]) == n && memcmp(argv[words], at, n) == 0;
        bool own = words == 0 && strlen(m->name) == n && memcmp(m->name, at, n) == 0;
        for (size_t i = 0; own && !same && m->aliases != NULL && m->aliases[i] != NULL; i++)
            same = strcmp(argv[0], m->aliases[i]) == 0;
        if (!same)
            return 0;
        at += at[n] == ' ' ? n + 1 : n;
    }
    return words;
}

static void consider(struct plugin_command *best, struct plugin_instance *p, bool auth, int argc, char **argv)
{
    const struct ccp_command *c = auth ? p->manifest->auth_commands : p->manifest->commands;
    for (; c != NULL && c->name != NULL; c++) {
        int words = words_taken(p->manifest, c->name, argc, argv);
        if (words == 0 || words + auth < best->words)
            continue;
        if (words + auth == best->words && (best->plugin->state == PLUGIN_ACTIVE || p->state != PLUGIN_ACTIVE))
            continue;
        *best = (struct plugin_command){.plugin = p, .command = c, .auth = auth, .words = words + auth};
        snprintf(best->name, sizeof(best->name), "%s%s", auth ? "auth " : "", c->name);
    }
}

bool plugin_commands_find(const struct plugin_commands *all, int argc, char **argv, struct plugin_command *out)
{
    *out = (struct plugin_command){.plugin = NULL};
    bool auth = argc > 0 && strcmp(argv[0], "auth") == 0;
    for (size_t i = 0; all->rt != NULL && i < all->rt->plugin_count; i++)
        consider(out, &all->rt->plugins[i], auth, argc - auth, argv + auth);
    return out->plugin != NULL;
}

void plugin_commands_each(const struct plugin_commands *all, bool auth,
                          void (*on_one)(void *arg, const struct plugin_instance *p, const struct ccp_command *c,
                                         const char *name),
                          void *arg)
{
    for (size_t i = 0; all->rt != NULL && i < all->rt->plugin_count; i++) {
        const struct plugin_instance *p = &all->rt->plugins[i];
        const struct ccp_command *c = auth ? p->manifest->auth_commands : p->manifest->commands;
        for (; p->state == PLUGIN_ACTIVE && c != NULL && c->name != NULL; c++) {
            char name[96];
            snprintf(name, sizeof(name), "%s%s", auth ? "auth " : "", c->name);
            on_one(arg, p, c, name);
        }
    }
}

struct group {
    const char *word;
    bool found;
};

static void look_at_group(void *arg, const struct plugin_instance *p, const struct ccp_command *c, const char *name)
{
    struct group *g = arg;
    size_t n = strlen(g->word);
    g->found = g->found || (strncmp(name, g->word, n) == 0 && name[n] == ' ');
}

bool plugin_commands_group(const struct plugin_commands *all, const char *word)
{
    struct group g = {.word = word};
    plugin_commands_each(all, false, look_at_group, &g);
    return g.found;
}

/*
 * Commands and flags that plugins declare (ccp_command, ccp_flag), as far as the rest of the program knows of them.
 *
 * They are known once a configuration was read, so nothing here is done unless a command line cannot be understood
 * without it. No code of a shared object runs but that of the one command that was asked for.
 */
#ifndef APP_PLUGIN_COMMANDS_H
#define APP_PLUGIN_COMMANDS_H

#include <app/app.h>

/* A plugin's command that stands in a command line. */
struct plugin_command {
    struct plugin_instance *plugin;
    const struct ccp_command *command;
    bool auth;     /* `ccproxy auth <name>` */
    int words;     /* of the command line that name it, "auth" included */
    char name[96]; /* as it was called, for messages */
};

/* What a configuration's plugins bring; the runtime is bound, not open, and may have faults. */
struct plugin_commands {
    struct runtime *rt; /* NULL = no memory, or a state file that cannot be read */
    char why[200];      /* the first fault of the configuration, or empty */
};

/* Reads the configuration as the command line says, --config and --set among the words of argv. Release in any case. */
void plugin_commands_load(struct plugin_commands *all, struct cli *cli, int argc, char **argv);
void plugin_commands_release(struct plugin_commands *all);

/* The command that these words begin with, whether its plugin is enabled or not; the longest name wins. */
bool plugin_commands_find(const struct plugin_commands *all, int argc, char **argv, struct plugin_command *out);
/* Runs it; returns the exit code. */
int plugin_command_run(struct plugin_commands *all, const struct plugin_command *which, struct cli *cli, int argc,
                       char **argv);

/* -- help -- */
/* Calls on_one for each command of active plugins: the full name ("auth ratings"). */
void plugin_commands_each(const struct plugin_commands *all, bool auth,
                          void (*on_one)(void *arg, const struct plugin_instance *p, const struct ccp_command *c,
                                         const char *name),
                          void *arg);
/* Is `word` the first of a plugin's command with several? */
bool plugin_commands_group(const struct plugin_commands *all, const char *word);
void plugin_command_help(const struct plugin_command *which, FILE *out);

/* -- flags -- */
/* Option tables for a command that takes those of the server (serve_options): its own and the plugins'. NULL = no
 * memory. `memory` keeps everything and must live as long as args that were read with them. */
const struct arg_option *const *plugin_flags_tables(const struct plugin_commands *all,
                                                    const struct arg_option *const *tables, struct arena *memory);
/* Prints them below the plugins' names. */
void plugin_flags_help(const struct plugin_commands *all, FILE *out);

#endif

/*
 * Help texts, made from the command tables.
 */
#ifndef APP_HELP_H
#define APP_HELP_H

#include <app/plugin_commands.h>

#include <stdio.h>

/* `help [COMMAND]`, `--help`, `--version`, and a group without a command of it ("config --help"): prints and fills
 * *code. False = a command was asked for. */
bool help_wanted(const struct command *const *commands, struct cli *cli, int argc, char **argv, int *code);
void help_command(const struct command *c, FILE *out);
/* An unknown command, or the first word of plugins' commands: names the nearest one; returns the exit code. */
int help_unknown(const struct command *const *commands, const struct plugin_commands *all, int argc, char **argv);

#endif

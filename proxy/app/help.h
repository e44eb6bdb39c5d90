/*
 * Help texts, made from the command tables.
 */
#ifndef APP_HELP_H
#define APP_HELP_H

#include <app/app.h>

#include <stdio.h>

/* `help [COMMAND]`, `--help`, `--version`, and a group without a command of it ("config --help"): prints and fills
 * *code. False = a command was asked for. */
bool help_wanted(const struct command *const *commands, int argc, char **argv, int *code);
void help_command(const struct command *c, FILE *out);
/* An unknown command: names the nearest one; returns the exit code. */
int help_unknown(const struct command *const *commands, int argc, char **argv);

#endif

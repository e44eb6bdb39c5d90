/*
 * What the files of the program share: a command as data, the invocation it gets, and the exit codes.
 *
 * One file per command; main.c finds it, reads its options and prints its help. This folder is the composition root:
 * it may name every other folder, and no other folder names it.
 */
#ifndef APP_APP_H
#define APP_APP_H

#include <app/args.h>
#include <app/vault.h>
#include <base/arena.h>
#include <plugin/runtime.h>

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNAVAILABLE = 69, /* no running server, address in use */
    EXIT_DENIED = 77,      /* refused, no right */
    EXIT_CONFIG = 78,      /* configuration, unsafe file, guard self-test */
};

struct cli;

struct command {
    const char *name;     /* "serve", "config show" */
    const char *operands; /* "[FILE]", or "" */
    const char *summary;
    const char *details; /* further help lines, or NULL */
    const struct arg_option *const *options;
    size_t least, most; /* operands */
    bool cwd;           /* reads a configuration file of the current folder */
    int (*run)(struct cli *cli);
};

/* One invocation of the program. */
struct cli {
    const struct command *command;
    struct args args;
    struct vault vault;
    struct arena memory; /* what args point to, if it is not in the command line */
};

/* Option tables; every command ends its list with help_options. */
extern const struct arg_option help_options[];   /* --help */
extern const struct arg_option json_options[];   /* --json */
extern const struct arg_option config_options[]; /* --config, --set */
extern const struct arg_option serve_options[];  /* those of the server that have a name of their own */

extern const struct command command_serve, command_config_show, command_config_check, command_config_example,
    command_config_path, command_config_token, command_plugins_list, command_plugins_show, command_plugins_settings,
    command_plugins_order, command_plugins_dependencies, command_plugins_enable, command_plugins_disable,
    command_plugins_scaffold, command_plugins_check, command_status, command_doctor, command_env, command_version,
    command_auth_providers, command_auth_login, command_auth_status, command_auth_refresh, command_auth_logout,
    command_auth_rekey;

/* Reads a command's options into cli->args; its operands are as many as it takes. False: *code, and it was said why. */
bool command_args(struct cli *cli, const struct arg_option *const *tables, int argc, char **argv, int *code);
bool command_operands(const struct cli *cli, int *code);

/* Prints "ccproxy: ..." to standard error and returns `code`. */
int complain(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Called for each fault; warnings too. */
typedef void load_report(void *arg, bool warning, struct ccp_span text);
void load_print(void *arg, bool warning, struct ccp_span text); /* to standard error */

/* Reads the configuration as the invocation asks (`file` NULL = --config or the search) and binds it. NULL when it
 * has faults; they were reported. Any number of times; not before the vault is open. */
struct runtime *load_runtime(const struct cli *cli, const char *file, load_report *report, void *arg);
/* The same as if `state` were what the state file holds. */
struct runtime *load_candidate(const struct cli *cli, struct ccp_span state, load_report *report, void *arg);
/* The same, with or without faults. NULL = no memory, or a state file that cannot be read. */
struct runtime *load_faulty(const struct cli *cli, load_report *report, void *arg);
/* The same with --config and faults printed. NULL = leave with EXIT_CONFIG. */
struct runtime *load_or_complain(const struct cli *cli);

/* Has this provider a key, or a login whose record is stored? For commands, which have no credential service. */
bool credentials_stored(struct runtime *rt, const struct provider *p);

/* Flags as texts for config_source.sets, may hold secrets and are wiped by sets_release. */
struct sets {
    char **v;
    size_t n, cap;
};

bool sets_add(struct sets *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sets_release(struct sets *s);
/* --enable-plugin and --disable-plugin as new values of the two lists: reads what the configuration says first. */
bool sets_add_switches(struct sets *s, const struct args *args, const struct config_source *source);

#endif

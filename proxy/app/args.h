/*
 * Command line options: a table in, hits in the order of the command line out.
 *
 * `--name value`, `--name=value`, `-n value`, `-nvalue`; flags may be bundled (`-ab`); `--` ends the options;
 * options and operands may be mixed. A value that may hold a secret is moved into locked memory and overwritten
 * where the system put it, so that it does not stay visible in the list of processes.
 */
#ifndef APP_ARGS_H
#define APP_ARGS_H

#include <ccproxy/span.h>

#include <stdio.h>

enum arg_kind {
    ARG_FLAG,   /* no value */
    ARG_VALUE,  /* the last one wins */
    ARG_SECRET, /* as ARG_VALUE, overwritten after reading */
    ARG_LIST,   /* may be given again and again */
    ARG_SET,    /* ARG_LIST of key=value; overwritten after reading where the key may hold a secret */
};

struct arg_option {
    const char *name; /* "port" */
    char letter;      /* 'p', or 0 */
    enum arg_kind kind;
    const char *value; /* "PORT", for the help text */
    const char *help;
    const char *sets; /* configuration key that the option stands for, or NULL */
};

struct ccp_secret;

struct arg_hit {
    const struct arg_option *option;
    const char *value;         /* "" for flags; NUL-terminated */
    struct ccp_secret *locked; /* owner of value if it was moved */
};

struct args {
    struct arg_hit *hits;
    size_t hit_n;
    char **operands;
    size_t operand_n;
    char error[200]; /* what is wrong, without the value of an option */
};

/* `tables` is a NULL-terminated list of option tables, each ending with a NULL name. argv[0] is the first
 * argument, not the program. False with text in out->error; call args_release in either case. */
bool args_parse(const struct arg_option *const *tables, int argc, char **argv, struct args *out);
void args_release(struct args *a);
/* Is there a long option that the tables do not have? Nothing is read or overwritten. */
bool args_unknown(const struct arg_option *const *tables, int argc, char **argv);

/* The value of the last hit, or NULL. */
const char *args_get(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);
/* May a configuration key of this name hold a secret? "server.port" no, "plugins.x.api_key" yes. */
bool args_key_is_secret(struct ccp_span key);

/* Prints the tables as help text. */
void args_print_help(const struct arg_option *const *tables, FILE *out);

#endif

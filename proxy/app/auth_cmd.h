/*
 * What the `auth` commands share: the configuration, the store, a login by its name, and words for people.
 */
#ifndef APP_AUTH_CMD_H
#define APP_AUTH_CMD_H

#include <app/app.h>
#include <auth/protocol.h>
#include <auth/store.h>

#include <jansson.h>

struct trust;

struct auth_run {
    struct cli *cli;
    struct runtime *rt;
    struct store *store;
    struct trust *trust;
    bool online;
};

extern const struct arg_option auth_account_options[]; /* --account */

/* Reads the configuration and opens the store; core dumps are off from here on. EXIT_OK, or a code after a complaint;
 * auth_end in either case. `options` may be NULL: as the configuration says. */
int auth_begin(struct auth_run *r, struct cli *cli, const struct store_options *options);
void auth_end(struct auth_run *r);
/* The whole of a command: auth_begin as the configuration says, `work`, auth_end. */
int auth_with(struct cli *cli, int (*work)(struct auth_run *r));

/* The login that the first operand names; NULL after a complaint. */
const struct oauth_provider *auth_named(const struct auth_run *r);
/* Prepares for requests: *out is a copy of p with its trust store. EXIT_OK, or a code after a complaint. */
int auth_online(struct auth_run *r, const struct oauth_provider *p, struct oauth_provider *out);

/* Can the store be looked into? Without this one that cannot be read would pass for an empty one. EXIT_OK, or a code
 * after a complaint. */
int auth_store_ok(const struct auth_run *r);

/* A stored login, or a vendor's file that the configuration uses in place. */
struct auth_found {
    const struct oauth_provider *login;
    char label[STORE_LABEL_MAX + 1]; /* "" for a file without a label */
    const char *file;                /* NULL = in our own store */
};
struct store_place auth_place(const struct auth_found *f);
/* All of `login` (NULL = of all logins) with this account (NULL = any). Returns how many, at most max. */
size_t auth_find(const struct auth_run *r, const struct oauth_provider *login, const char *account,
                 struct auth_found *out, size_t max);
/* The one that the command means. EXIT_OK, or a code after a complaint: none, or several and no --account. */
int auth_find_one(const struct auth_run *r, const struct oauth_provider *login, struct auth_found *out);

enum { AUTH_FOUND_MAX = 256, AUTH_WORDS = 64, AUTH_ACCOUNT_TEXT = 400 };

/* "in 3 hours 20 minutes", "2 days ago", "now"; out is returned. */
const char *auth_when(char out[AUTH_WORDS], int64_t at, int64_t now);
int64_t auth_now(void); /* Unix seconds */
/* ", me@example.org, max": the facts that say whose login it is; visible characters only. */
const char *auth_whose(char out[AUTH_ACCOUNT_TEXT], const struct record *r);
/* Bytes of a server's as visible text; out is returned. */
const char *auth_visible(char *out, size_t max, struct ccp_span text);
/* Can it be renewed without the user? */
bool auth_renewable(const struct oauth_provider *p, const struct record *r);
int auth_exit_code(enum store_status status);

/* Ctrl-C, SIGTERM and SIGHUP set a flag once; the second one ends the program. */
void auth_catch_signals(void);
bool auth_interrupted(void *unused);

/* auth_revoke.c: revokes what the removed record held, in a process of its own that goes on when the server does not
 * answer at once. Says how it went. Nothing may have gone online before. */
void auth_revoke(struct auth_run *r, const struct oauth_provider *p, struct record *gone);

#endif

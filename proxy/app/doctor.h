/*
 * ccproxy doctor: what its parts share, the findings above all.
 *
 * A part looks at one subject and reports what it found; it changes nothing, neither files nor servers. No finding
 * holds a secret. One thread; texts live until the end of the command.
 */
#ifndef APP_DOCTOR_H
#define APP_DOCTOR_H

#include <app/app.h>
#include <jansson.h>

enum doctor_mark { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_MARKS };

struct doctor {
    const struct cli *cli;
    struct arena arena;
    struct runtime *rt;  /* NULL: the configuration has faults, so parts that need one are left out */
    struct store *store; /* set by the part "files"; NULL = logins cannot be read */
    struct trust *trust; /* set by the part "trust": system and [upstream] ca_file; NULL = not usable */
    json_t *checks;      /* --json: what was found so far; else NULL and it is printed at once */
    const char *part;    /* the one at work */
    size_t counts[DOCTOR_MARKS];
    int code; /* of the failures so far, see doctor_fail */
    bool offline, no_memory;
    int64_t date; /* Unix seconds by the clock of a server that answered, at clock_unix_us() `dated`; 0 = unknown */
    int64_t dated;
};

/* `remedy`: what to do, or NULL. Control bytes in texts are shown as '?'. */
void doctor_ok(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_warn(struct doctor *d, const char *remedy, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* `code`: EXIT_CONFIG outweighs EXIT_FAILED, and that EXIT_UNAVAILABLE. */
void doctor_fail(struct doctor *d, int code, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A text that stays, for remedies; never NULL. */
const char *doctor_text(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The parts, in this order. */
void doctor_config(struct doctor *d);
void doctor_system(struct doctor *d);
void doctor_ports(struct doctor *d);
void doctor_callbacks(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_logins(struct doctor *d);
void doctor_imports(struct doctor *d);
void doctor_trust(struct doctor *d);
void doctor_environment(struct doctor *d);
void doctor_reach(struct doctor *d);
void doctor_clock(struct doctor *d);

/* -- shared by parts -- */

/* errno of a bind that was tried and undone at once; 0 = nobody listens there. */
struct sockaddr;
int doctor_try_bind(const struct sockaddr *address, unsigned size);
/* Reports what the server at this address ("127.0.0.1:8000", or the path of a unix socket) says of itself, with `whole`
 * its health too. False = it is no ccproxy, nothing was reported. */
bool doctor_running(struct doctor *d, const char *where, bool unix_socket, bool whole);
/* False, and reported, when others than its owner can read (`mask` 077) or change (022) the file or folder, or when it
 * belongs to somebody else; with 022 root may own it. */
struct stat;
bool doctor_owned(struct doctor *d, const char *what, const char *path, const struct stat *st, unsigned mask);
/* Will requests be sent to this provider: is there a key or a login, or was one asked for? */
bool doctor_in_use(const struct doctor *d, const struct provider *p);
/* The account that a provider's login means: its label, or the first one stored into `label`. False = none is stored;
 * `at` is filled in any case. */
bool doctor_place(const struct doctor *d, const struct auth_use *use, struct store_place *at,
                  char label[STORE_LABEL_MAX + 1]);

#endif

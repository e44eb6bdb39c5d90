/*
 * Making a login: the flows of the CLI, without its printing. The caller (app/) shows what login_events tells and asks
 * the user; the core never names a provider.
 *
 * Blocking, CLI thread only. Nothing is stored before the token is whole; then the old record of that account is
 * replaced, generation + 1. A stale grant is never sent.
 */
#ifndef AUTH_LOGIN_H
#define AUTH_LOGIN_H

#include <auth/protocol.h>
#include <auth/store.h>

enum { LOGIN_LIMIT_MS = 600 * 1000 }; /* of an attempt, and of its state */

enum login_way {
    LOGIN_BROWSER, /* loopback redirect */
    LOGIN_PASTE,   /* code or whole redirect URL by hand */
    LOGIN_DEVICE,
    LOGIN_IMPORT, /* from the vendor's own file */
};

enum login_result {
    LOGIN_OK,
    LOGIN_REFUSED,     /* by the user or the server: exit 77 */
    LOGIN_FAILED,      /* exit 1 */
    LOGIN_UNAVAILABLE, /* server or network not reachable, callback ports taken: exit 69 */
    LOGIN_STORAGE,     /* unsafe file, no room: exit 78 for unsafe ones */
    LOGIN_TIMEOUT,     /* nobody came within 600 s: exit 1 */
    LOGIN_INTERRUPTED, /* `stop` */
};

struct login_events {
    void *arg;
    /* The URL to open, already checked; `opened` = a browser was started. */
    void (*visit)(void *arg, struct ccp_span url, bool opened);
    void (*device)(void *arg, const struct ccp_oauth_device *device, bool opened);
    void (*waiting)(void *arg); /* about four times a second while waiting: the spinner */
    /* One line the user pasted into `out` (NUL-terminated, at most max - 1 bytes). False = end of input, or nobody
     * typed one in time. */
    bool (*ask)(void *arg, char *out, size_t max);
    /* May be NULL. Does a line wait for `ask`? While a browser login waits, the user may paste the answer too. */
    bool (*typed)(void *arg);
    void (*say)(void *arg, const char *text); /* a line for people: a wrong paste, a refused callback */
    bool (*stop)(void *arg);                  /* may be NULL; asked at least every 250 ms */
    /* Starts the browser with this URL as one argument, no shell. False = none was started. */
    bool (*open)(void *arg, const char *url);
};

struct login_request {
    struct store *store;
    const struct oauth_provider *provider;
    struct ccp_span account; /* label; empty = "default" */
    enum login_way way;
    bool no_browser;
    const char *import_file; /* LOGIN_IMPORT: path; NULL = the vendor's own place by `home` and the environment */
    const char *home;
    char *const *environ;
    uint64_t timeout_ms; /* 0 = LOGIN_LIMIT_MS */
};

struct login_outcome {
    enum login_result result;
    enum store_status storage;
    struct record record; /* LOGIN_OK: what was stored. Released by the caller in any case */
    char text[640];       /* what went wrong, for people; or a warning that goes with LOGIN_OK */
};

void login_run(const struct login_request *request, const struct login_events *events, struct login_outcome *out);
/* The ways this provider offers (bits 1 << enum login_way), the best one for a terminal first into *best. */
unsigned login_ways(const struct oauth_provider *p, enum login_way *best);

/* Path of the vendor's own file into out; false = unknown (no layout, no home). */
bool foreign_path(const struct ccp_oauth_file *layout, const char *home, char *const *environ, char *out, size_t max);

/* ---- the loopback listener (RFC 8252 section 7.3): callback.c --------------------------------------------------- */

struct callback;

/* Binds 127.0.0.1 and, where the machine has IPv6, ::1 on the same port: both or none. Ports in order, 0-terminated,
 * NULL = any free one. NULL with a text in `why` that names the ports. */
struct callback *callback_open(const uint16_t *ports, char why[256]);
uint16_t callback_port(const struct callback *c);
/* Serves for up to ms. A request with another state, method, Host or path gets an answer and changes nothing; the right
 * one is answered with a redirect to a clean page, fills *out (texts in `a`) and gives true. Call callback_close soon
 * after. */
bool callback_wait(struct callback *c, struct ccp_span path, struct ccp_span state, uint64_t ms, struct arena *a,
                   struct pasted *out);
/* Serves the clean page for up to a second to the browser that was redirected, then closes. */
void callback_close(struct callback *c, bool good);

#endif

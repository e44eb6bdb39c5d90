/*
 * Credentials of logins in a running server: the service thread that keeps them fresh, and each worker's view of them.
 *
 * One `struct auth` per process. Its thread reads the store, sees changes within 2 s, renews in time (each renewal on a
 * short-lived thread of its own, since lock, network and disk may block) and sends every worker a message when an
 * account changes. A worker asks only its own view: no lock, no wait. An exchange whose credential is not there is
 * parked by the caller and resumed by its view's next message.
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <auth/provider.h>
#include <auth/store.h>
#include <ccproxy/hook.h>

#include <stdatomic.h>

struct auth;      /* the service */
struct auth_view; /* one worker's */

/* Which credential a provider of the configuration uses. Immutable, in the configuration's arena. */
struct auth_use {
    const struct oauth_provider *login;
    struct ccp_span account; /* label, or empty: the only or first one */
    struct ccp_span file;    /* auth_file: a vendor's file in place; or empty */
    struct ccp_span origin;  /* where it would be sent; the record must allow it */
    size_t slot;             /* the service's number for login, account and file: set by auth_set_uses */
};

/* One credential, immutable and counted; any thread. Texts live behind it. */
struct auth_credential {
    atomic_uint refs;
    struct ccp_secret *secret; /* what goes behind "Bearer " */
    struct ccp_span account;
    uint64_t generation;
    uint64_t serial;    /* of this publication, grows; what auth_acquire is told of a refused one. Never 0 */
    int64_t expires_at; /* Unix seconds, 0 = unknown */
    int64_t wait_from;  /* from here on a request waits for the renewal, unless that fails; 0 = never */
    struct record_fact facts[RECORD_FACTS];
    size_t fact_count;
    struct ccp_span origins[RECORD_ORIGINS]; /* where it may be sent */
    size_t origin_count;
    bool anywhere; /* a vendor's file, which does not say: its owner chose the provider that uses it in place */
    char texts[];
};
struct auth_credential *auth_credential_ref(struct auth_credential *c);
void auth_credential_unref(struct auth_credential *c); /* NULL is fine */
struct ccp_span auth_credential_fact(const struct auth_credential *c, const char *name);

enum auth_state {
    AUTH_UNKNOWN,     /* not read yet */
    AUTH_READY,       /* there is a credential */
    AUTH_ABSENT,      /* no such login stored */
    AUTH_NEEDS_LOGIN, /* the grant is gone, or the record may not be used; `text` says why and what to run */
    AUTH_LATER,       /* it could not be renewed now and has expired; `text` says why, waiting may help */
};

/* What the health routes tell; spans live until the view's next message. */
struct auth_report {
    enum auth_state state;
    struct ccp_span account, text;       /* text: why not ready, or why the last renewal failed; may be empty */
    int64_t expires_at, next_attempt_at; /* Unix seconds, 0 = none */
    bool degraded;                       /* ready, but the last renewal failed or could not be stored */
};

/* What an oauth.* event or credential.changed tells: never a token, a code or a body. Spans are valid during the call.
 */
struct auth_event {
    struct ccp_span provider, account; /* name of the login, label */
    const char *request;   /* "token", "refresh", "session", "revoke", "device"; NULL for credential.changed */
    int status;            /* HTTP, 0 = no answer */
    struct ccp_span error; /* printable text, or empty */
    uint64_t generation;   /* of the account, when known */
};

/* How the service reaches workers and observers: filled by app/. */
struct auth_port {
    /* Runs fn(arg) on worker `number`'s thread, in order. False = it has ended. */
    bool (*post)(void *self, size_t number, void (*fn)(void *arg), void *arg);
    /* A hook event with its payload; on the service thread. */
    void (*announce)(void *self, enum ccp_event event, const struct auth_event *what);
    void *self;
    size_t workers;
};

/* `store` is taken over unless the result is NULL (no memory). The views are made after this and before auth_start.
 * Main thread. */
struct auth *auth_new(struct store *store, const struct auth_port *port);
bool auth_start(struct auth *a);
/* All accounts that are of interest now, and the reference that keeps them alive; earlier ones stay known to requests
 * that came before, and are no longer renewed by the clock. Any number of times, main thread; before auth_start too.
 * Sets their slots: call it before workers see them. */
bool auth_set_uses(struct auth *a, struct config *c, struct auth_use *const *uses, size_t n,
                   uint64_t refresh_before_ms);
/* Waits (bounded) until every account was read once: so that the banner tells the truth and the first request finds its
 * credential. Main thread. */
void auth_settle(struct auth *a, uint64_t ms);
/* Report for the banner; texts into the arena. Any thread, takes a lock: not for workers. */
struct auth_report auth_report_copy(struct auth *a, const struct auth_use *use, struct arena *arena);
/* Ends the thread; a renewal whose request is out is waited for, so that its answer is not lost. */
void auth_stop(struct auth *a);
void auth_free(struct auth *a);

/* -- a worker's side: on its thread only -- */

struct auth_view *auth_view_new(struct auth *a, size_t number);
void auth_view_free(struct auth_view *v); /* after the worker's loop ended and auth_stop */

/* Embedded in the one who waits. */
struct auth_wait {
    void (*resume)(struct auth_wait *w); /* from a message of the view; ask again */
    struct auth_wait *next, **prev;      /* prev NULL = not waiting */
};

/* How long a request waits for a newer token while the one that is there is still good; its owner asks again then. */
enum { AUTH_PATIENCE_MS = 5000 };

enum auth_answer {
    AUTH_GRANTED, /* *out is a reference */
    AUTH_WAITS,   /* `wait` is queued; auth_wait_cancel when its owner ends first */
    AUTH_DENIED,  /* *why is filled */
};
/* `refused`: serial of the credential that upstream just refused with 401, or 0. The answer is then a newer one, or a
 * wait for it, or a denial; never the refused one. `asked`: this exchange has waited before; it is not made to wait for
 * a second renewal of a credential that is still good. */
enum auth_answer auth_acquire(struct auth_view *v, const struct auth_use *use, uint64_t refused, bool asked,
                              struct auth_wait *wait, struct auth_credential **out, struct auth_report *why);
void auth_wait_cancel(struct auth_wait *wait);
/* For routing and health. AUTH_UNKNOWN for what the service was not told of. */
struct auth_report auth_report(struct auth_view *v, const struct auth_use *use);

#endif

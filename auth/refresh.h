/*
 * Renewing a stored login, safely against crashes, other processes and bad servers. The one procedure that the
 * service thread and the CLI use.
 *
 * Under the account's lock: re-read (somebody else may have renewed it: adopt) -> intent -> request -> write, fsync,
 * rename, fsync -> clear the intent. A failed refresh never changes the record. After a lost answer the same token is
 * sent once more within 5 s; after a crash with an open intent once more at the next call. A grant that the server
 * refuses is re-read once, then noted as "login needed" for this generation; no further request is made for it.
 *
 * The notes beside a record: the intent {"generation","refresh_hash","at","sent"} (`sent` counts the requests that went
 * out with this refresh token since `at`), removed by every definite answer (a 2xx without a usable token is none), and
 * the state {"generation","refresh_hash","at","reason"}. Either counts only for the generation and the token that it
 * names, so a stale one does no harm.
 *
 * A login with a session (ccp_oauth_provider.read_session) is renewed by buying a new session with the long-lived
 * token, which uses nothing up: no intent.
 *
 * Blocking, up to lock wait + two requests; any thread.
 */
#ifndef AUTH_REFRESH_H
#define AUTH_REFRESH_H

#include <auth/protocol.h>
#include <auth/store.h>

enum refresh_result {
    REFRESH_DONE,        /* renewed and durable: `record` is the new one */
    REFRESH_ADOPTED,     /* another process or program had renewed it: `record` is that one; no request was made */
    REFRESH_NEEDS_LOGIN, /* `text` says why and what to run; the record is as it was */
    REFRESH_MISSING,     /* there is no such login */
    REFRESH_RETRY,   /* server or network: later; `retry_after_ms` is the least wait, 0 = the caller's own back-off */
    REFRESH_BUSY,    /* the lock was held all the time: nothing was sent */
    REFRESH_STORAGE, /* disk or files: nothing was sent, or see `unsaved` */
    REFRESH_CONFIG,  /* client or request refused: the configuration is wrong */
    REFRESH_STOPPED,
};

struct refresh_job {
    struct store *store;
    const struct oauth_provider *provider;
    struct store_place place;
    uint64_t generation;     /* what the caller has; another one in the file is adopted if it is not expired */
    struct ccp_span seen;    /* access (or session) token that the caller has, or empty: one that differs is adopted */
    bool force;              /* renew although it is not expired: upstream refused it, or the user asks */
    bool insist;             /* the user asks (`auth refresh --force`): one request even if "login needed" is noted */
    uint64_t lock_wait_ms;   /* 0 = 15 s */
    bool (*stop)(void *arg); /* asked before anything is sent and while waiting; may be NULL */
    void *stop_arg;
    const struct oauth_watch *watch; /* may be NULL */
    bool wait_for_disk; /* service: keep the lock and a received token that cannot be written, try every 5 s until
                           `stop`, then once more; `blocked` tells of each failure. Else: up to 10 s */
    void (*blocked)(void *arg, const char *text);
    void *blocked_arg;
};

struct refresh_outcome {
    enum refresh_result result;
    struct record record; /* DONE, ADOPTED: released by the caller in any case */
    uint64_t retry_after_ms;
    bool unsaved;   /* REFRESH_STORAGE: the server gave a new token, which is lost; the stored one may be refused now */
    char code[64];  /* the server's error code, or empty */
    char text[640]; /* for people, no secrets: names login and account; empty when all is well */
};

void refresh_run(const struct refresh_job *job, struct refresh_outcome *out);

/* What a reader without the lock should know of an account: the state note for the record's generation. */
struct refresh_state {
    bool needs_login;
    int64_t at; /* Unix seconds */
    char reason[512];
};
/* False: could not be read (treat as unknown). No note, or one of another generation: needs_login false. */
bool refresh_state_read(struct store *s, const struct store_place *at, uint64_t generation, struct refresh_state *out);

#endif

/*
 * One renewal as it goes through the files refresh*.c: what is held, what was read, what the server said.
 *
 * Lives on the stack of refresh_run. Every function that gives false has filled `out` with how the renewal ended.
 */
#ifndef AUTH_REFRESH_IMPL_H
#define AUTH_REFRESH_IMPL_H

#include <auth/refresh.h>

enum {
    REFRESH_LOCK_WAIT_MS = 15000,
    REFRESH_REPEAT_MS = 1000,   /* pause before the one repeat of a request whose answer was lost; at most 5 s */
    REFRESH_DISK_MS = 5000,     /* between two tries to store a new token, in the service */
    REFRESH_DISK_CLI_MS = 10000 /* how long the CLI tries */
};

/* What an intent or a state note names. */
struct refresh_note {
    bool found;
    uint64_t generation;
    char hash[65];
    int64_t at;
    int64_t sent;     /* intent: requests so far */
    char reason[512]; /* state */
};

struct refresh_try {
    const struct refresh_job *job;
    struct refresh_outcome *out;
    struct oauth_provider provider; /* a copy whose token URL is known */
    struct arena arena;             /* texts of that copy */
    struct store_lock lock;
    struct record stored; /* what is on disk */
    char hash[65];        /* names the token that renews it */
    bool session;         /* upstreams get a second token */
    bool rotated;         /* the login's own token is new in this renewal */
    bool unanswered;      /* an earlier request with this refresh token never got a definite answer */
    struct refresh_note intent;
    struct oauth_answer answer;
};

/* ---- refresh.c -------------------------------------------------------------------------------------------------- */

bool refresh_stopped(const struct refresh_try *r);
/* Waits; false at once when `stop` says so. */
bool refresh_pause(const struct refresh_try *r, uint64_t ms);
/* Does the token that upstreams get (or, for `grant`, the login's own one) end by the clock? */
bool refresh_expired(const struct refresh_try *r, bool grant);
/* A new token of the login itself, where it has a refresh token that may be sent. */
bool refresh_grant(struct refresh_try *r);
/* r->stored becomes the outcome's record. */
void refresh_finish(struct refresh_try *r, enum refresh_result result);

/* ---- refresh_text.c: how a renewal ended, for people. All give false. -------------------------------------------- */

bool refresh_failed(struct refresh_try *r, enum refresh_result result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the command that makes a new login; fits into refresh_state.reason. */
bool refresh_needs_login(struct refresh_try *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool refresh_store_failed(struct refresh_try *r, const struct store_error *e);

/* ---- refresh_note.c --------------------------------------------------------------------------------------------- */

/* 64 hex digits of the token that renews the login: the refresh token, or without one the access token. */
void refresh_hash(const struct record *record, char out[65]);
/* found = false: none, not readable, or of another generation or token. */
struct refresh_note refresh_note_read(const struct refresh_try *r, enum store_note kind);
bool refresh_note_write(struct refresh_try *r, enum store_note kind, const struct refresh_note *note);

/* ---- refresh_send.c, refresh_refused.c, refresh_save.c
 * ----------------------------------------------------------------------------- */

/* Intent, request, write: the new record is r->stored. */
bool refresh_rotate(struct refresh_try *r);
bool refresh_session(struct refresh_try *r);
/* The server refuses the grant: somebody else's newer one is adopted, else it is noted that a login is needed. */
bool refresh_refused(struct refresh_try *r);
/* Puts a token answer, or a session and the facts of `t`, into r->stored and the file, and removes the notes. */
bool refresh_save(struct refresh_try *r, const struct record_token *t, const struct ccp_oauth_session *session);

#endif

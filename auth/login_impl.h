/*
 * What the files of a login share: one attempt, from its first random bytes to the stored record.
 */
#ifndef AUTH_LOGIN_IMPL_H
#define AUTH_LOGIN_IMPL_H

#include <auth/login.h>

struct login_try {
    const struct login_request *request;
    const struct login_events *events;
    struct login_outcome *out;
    struct arena arena; /* wiped: codes, verifier, state */
    struct oauth_metadata meta;
    struct oauth_token token; /* of the exchange, the device or the import */
    uint64_t end_ms;          /* clock_ms() when the attempt is given up */
    char verifier[PKCE_CHARS + 1], challenge[PKCE_CHARS + 1], state[PKCE_CHARS + 1], nonce[PKCE_CHARS + 1];
    struct ccp_span redirect_uri;
};

/* Every function that gives bool: false = out->result and out->text are set, the attempt is over. */

/* login.c */
bool login_fail(struct login_try *t, enum login_result result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* After a request: what its answer means for the login. */
bool login_fail_answer(struct login_try *t, enum oauth_result result, const struct oauth_answer *answer);
/* The storage's refusal. */
bool login_fail_store(struct login_try *t, const struct store_error *e);
bool login_stopped(const struct login_try *t);
/* Waits for ms in small steps with the spinner; false = stopped or past end_ms, and out is set. */
bool login_pause(struct login_try *t, uint64_t ms);

/* login_grant.c: the authorization code's way, the same for a browser and for pasting. */

/* Fresh state, verifier and nonce, and the authorization URL; t->redirect_uri is set. p = NULL: out is set. */
struct ccp_span login_authorize(struct login_try *t);
/* Shows the URL and opens a browser where that is wanted. */
void login_visit(struct login_try *t, struct ccp_span url);
/* Is this the answer to our request? NULL = yes, else a static text; nothing was sent. */
const char *login_foreign(const struct login_try *t, const struct pasted *answer);
/* An answer with our state: refusals of the server, issuer, then the exchange into t->token. */
bool login_redeem(struct login_try *t, const struct pasted *answer);
/* One line of the user: true with an answer of ours in *answer; else `say` was called, or at the end of input *ended
 * is set. */
bool login_ask(struct login_try *t, struct pasted *answer, bool *ended);

/* login_browser.c, login_paste.c, login_device.c, foreign.c: all fill t->token. */
bool login_browser(struct login_try *t);
bool login_paste(struct login_try *t);
bool login_device(struct login_try *t);
bool login_import(struct login_try *t);
/* login_browser.c: can the redirect come to this machine? */
bool login_can_listen(const struct oauth_provider *p);
/* "http://127.0.0.1:1455/callback"; p = NULL: no memory. */
struct ccp_span login_redirect_uri(const struct oauth_provider *p, struct arena *a, uint16_t port);

/* login_store.c */

/* Can the account be stored at all? Before the user is sent anywhere. */
bool login_store_check(struct login_try *t);
/* t->token into the store, as generation + 1; the stored record is in out->record. */
bool login_store(struct login_try *t);

#endif

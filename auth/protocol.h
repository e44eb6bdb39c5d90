/*
 * The requests of OAuth and what their answers mean, written once: code exchange, refresh, device, session, revocation,
 * discovery, and the parts they are made of (PKCE, state, pasted codes, id_tokens).
 *
 * Blocking; any thread. Whatever a server sends ends in a value of these types: nothing is believed that was not
 * checked, no text of a server is shown unescaped, and no token reaches a text. Buffers that held secrets are wiped.
 */
#ifndef AUTH_PROTOCOL_H
#define AUTH_PROTOCOL_H

#include <auth/provider.h>
#include <auth/record.h>

/* ---- PKCE and state (RFC 7636, RFC 9700): pkce.c ---------------------------------------------------------------- */

enum { PKCE_CHARS = 43 };

/* 32 random bytes, base64url: for verifiers and states. False = no randomness, nothing may go on. */
bool pkce_random(char out[PKCE_CHARS + 1]);
void pkce_challenge(struct ccp_span verifier, char out[PKCE_CHARS + 1]); /* S256 */
bool pkce_same(struct ccp_span a, struct ccp_span b);                    /* constant time for equal lengths */

/* ---- what the user pasted: paste.c ------------------------------------------------------------------------------ */

struct pasted {
    struct ccp_span code, state, iss, error, error_description; /* decoded, in the arena; empty = absent */
};

/* "code#state", a whole redirect URL, or its query; white space around it is ignored. NULL = fine, else a static text.
 * The state is read, not judged; text of more than 8 KiB is refused. Also for the loopback listener's query strings. */
const char *paste_read(struct arena *a, struct ccp_span text, struct pasted *out);
const char *paste_read_query(struct arena *a, struct ccp_span query, struct pasted *out);

/* ---- id_tokens (RFC 7519, OpenID Connect Core 3.1.3.7): jwt.c --------------------------------------------------- */

enum { JWT_MAX = 64 * 1024 };

/* The payload as JSON in the arena, unverified. NULL = not a JWT of sane size and depth. */
struct ccp_json *jwt_claims(struct arena *a, struct ccp_span token);
bool jwt_expiry(struct ccp_span token, int64_t *exp); /* of an access token that happens to be a JWT */

struct jwt_expect {
    struct ccp_span issuer, audience, nonce; /* empty = not compared */
    int64_t now;                             /* Unix seconds; 300 s of skew are allowed */
};
/* Verifies signature (RS256, PS256, ES256, EdDSA; never none or HS*) with the key set, and the claims. NULL = valid. */
const char *jwt_verify(struct ccp_span token, struct ccp_span jwks, const struct jwt_expect *expect);

/* ---- requests: exchange.c, answer.c ----------------------------------------------------------------------------- */

enum oauth_result {
    OAUTH_OK,
    OAUTH_NOT_SENT, /* nothing reached the server: name, connection, TLS, URL refused */
    OAUTH_LOST,     /* it may have been carried out, the answer did not come whole */
    OAUTH_RETRY,    /* 5xx, 429, an answer that is not one: the grant may be fine, try again later */
    OAUTH_GRANT,    /* the grant is no longer good: a new login is needed */
    OAUTH_CLIENT,   /* client, scope or request refused: the configuration is wrong; the grant may be fine */
};

struct oauth_answer {
    enum oauth_result result;
    int status;              /* HTTP, 0 = none */
    uint64_t retry_after_ms; /* from Retry-After, 0 = not said */
    char code[64];           /* the server's error code as printable ASCII, or empty */
    char text[512];          /* for people: printable, escaped, at most this long; what failed and how */
};

/* A token that was received; `arena` holds it and is wiped at release. */
struct oauth_token {
    struct arena arena;
    struct record_token token;
};
void oauth_token_init(struct oauth_token *t);
void oauth_token_release(struct oauth_token *t);

/* Observer of requests, for hook events; called on the calling thread, nothing in it is secret. May be NULL. */
struct oauth_watch {
    void (*on)(void *arg, const struct oauth_provider *p,
               const char *what /* "token","refresh","session","revoke","device" */,
               const struct oauth_answer *answer /* NULL = the request goes out now */);
    void *arg;
};

/* The endpoints that are missing in the provider, from discovery (RFC 8414, then OpenID's path); issuer compared byte
 * for byte, every URL checked. Fills a copy whose new texts live in `a`. OAUTH_OK without a request when nothing
 * misses. `iss_required` (may be NULL): authorization_response_iss_parameter_supported. */
struct oauth_metadata {
    struct oauth_provider provider; /* the copy */
    struct ccp_span jwks_uri;
    bool iss_required;
    bool discovered;
};
enum oauth_result oauth_discover(const struct oauth_provider *p, struct arena *a, struct oauth_metadata *out,
                                 struct oauth_answer *answer);

/* The authorization URL (RFC 6749 section 4.1.1). p = NULL: no memory. */
struct ccp_span oauth_authorize_url(const struct oauth_provider *p, struct arena *a, struct ccp_span redirect_uri,
                                    struct ccp_span state, struct ccp_span challenge, struct ccp_span nonce);

struct oauth_code {
    struct ccp_span code, redirect_uri, verifier, state;
    struct ccp_span nonce;    /* of the authorization request, or empty */
    struct ccp_span jwks_uri; /* verify the id_token with it, or empty */
};
enum oauth_result oauth_exchange(const struct oauth_provider *p, const struct oauth_code *code,
                                 const struct oauth_watch *watch, struct oauth_token *out, struct oauth_answer *answer);
/* RFC 6749 section 6. */
enum oauth_result oauth_refresh(const struct oauth_provider *p, struct ccp_span refresh_token,
                                const struct oauth_watch *watch, struct oauth_token *out, struct oauth_answer *answer);
/* The second token (def->read_session). Texts of *out live in t's arena, facts in t->token.facts. */
enum oauth_result oauth_session(const struct oauth_provider *p, struct ccp_span access_token,
                                const struct oauth_watch *watch, struct oauth_token *t, struct ccp_oauth_session *out,
                                struct oauth_answer *answer);
/* RFC 7009; the refresh token if there is one, else the access token. OAUTH_OK also when the server does not know it.
 */
enum oauth_result oauth_revoke(const struct oauth_provider *p, const struct record *r, const struct oauth_watch *watch,
                               struct oauth_answer *answer);

/* ---- device flow (RFC 8628): device.c --------------------------------------------------------------------------- */

/* Begins: *d filled, texts in t's arena, URLs checked (https only, or literal loopback). */
enum oauth_result oauth_device_begin(const struct oauth_provider *p, const struct oauth_watch *watch,
                                     struct oauth_token *t, struct ccp_oauth_device *d, struct oauth_answer *answer);
/* One poll. CCP_OAUTH_APPROVED: the token is in *t. *d's interval is kept up to date (slow_down: 5 s more, or what
 * the server says if that is longer). A lost connection is CCP_OAUTH_PENDING. */
enum ccp_oauth_poll oauth_device_poll(const struct oauth_provider *p, const struct oauth_watch *watch,
                                      struct oauth_token *t, struct ccp_oauth_device *d, struct oauth_answer *answer);

#endif

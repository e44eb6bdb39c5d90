/*
 * A stored login in memory: the whole JSON object as it was read, with a view of the members ccproxy knows.
 *
 * Members it does not know are kept byte for byte through any number of saves. The text lives in an arena that is wiped
 * when the record is released. Two layouts: our own, and a vendor's file (struct ccp_oauth_file), which is edited in
 * place by the paths that it names. No I/O here, no clock. One thread at a time.
 *
 * Our own layout, version 1, times in Unix seconds:
 *   {"version":1,"provider":"claude-api","account":"default","generation":7,"access_token":"..","refresh_token":"..",
 *    "id_token":"..","token_type":"Bearer","scope":"a b","obtained_at":1,"expires_in":2,"expires_at":3,
 *    "token_url":"..","client_id":"..","origins":["https://.."],"facts":{"email":".."},
 *    "session":{"token":"..","obtained_at":1,"expires_at":2,"refresh_at":3}}
 */
#ifndef AUTH_RECORD_H
#define AUTH_RECORD_H

#include <base/arena.h>
#include <base/buf.h>
#include <ccproxy/oauth.h>
#include <wire/json.h>

enum { RECORD_VERSION = 1, RECORD_FACTS = 16, RECORD_ORIGINS = 16, RECORD_MAX = 1024 * 1024 };

struct record_fact {
    struct ccp_span name, value;
};

struct record {
    struct arena arena;                  /* wiped at release */
    const struct ccp_oauth_file *layout; /* NULL = our own */
    struct ccp_span text;                /* as it was read */
    struct ccp_json *root;               /* its tree; written are the members below and what they do not cover */
    struct ccp_span provider, account;
    uint64_t generation; /* counts up with every change of tokens; 0 in foreign files */
    struct ccp_span access_token, refresh_token, id_token, token_type, scope;
    int64_t obtained_at, expires_at;      /* 0 = unknown: never expires by the clock */
    struct ccp_span token_url, client_id; /* where it came from: a refresh token goes nowhere else */
    struct ccp_span origins[RECORD_ORIGINS];
    size_t origin_count;
    struct record_fact facts[RECORD_FACTS];
    size_t fact_count;
    struct ccp_span session_token;
    int64_t session_obtained_at, session_expires_at, session_refresh_at;
};

/* What a token endpoint answered, checked (token.h), or what an import brought. Spans are the caller's. */
struct record_token {
    struct ccp_span access_token, refresh_token, id_token, token_type,
        scope;                              /* empty refresh_token = keep the old one */
    int64_t obtained_at, expires_in;        /* expires_in 0 = not said */
    struct record_fact facts[RECORD_FACTS]; /* a fact that is not here keeps its old value on refresh */
    size_t fact_count;
};

/* What fills a record (new, parse, copy) initialises it first, whatever it held: release it before. After a failure it
 * is empty. */
void record_init(struct record *r);
void record_release(struct record *r); /* wipes; harmless when released */

/* An empty record of our own layout with generation 0. False = no memory. */
bool record_new(struct record *r, struct ccp_span provider, struct ccp_span account);
/* Reads text of this layout (copied). NULL = fine, else a static text that says what is wrong, without quoting it:
 * not JSON, a duplicate or mistyped member, no access token, a version from the future. */
const char *record_parse(struct record *r, const struct ccp_oauth_file *layout, struct ccp_span text);
/* The text as it is to be stored: own layout: one line and a line feed; a vendor's: its text with the changed members
 * replaced where they stand. The caller wipes `out`. False = no memory, or more than `out` may hold. */
bool record_write(const struct record *r, struct ccp_buf *out);
/* A copy that shares nothing. */
bool record_copy(struct record *to, const struct record *from);

/* Puts a token answer in: generation + 1, tokens, times, facts. `fresh` = a new login: what the old tokens said of the
 * account goes, unknown members stay. Without expires_in the token's own exp counts, if it is a JWT. False = no memory
 * or a token that could not be read back; the record is to be dropped. */
bool record_set_token(struct record *r, const struct record_token *t, bool fresh);
/* The second token; the generation stays. In a vendor's file there is no place for it: it is kept in memory only. */
bool record_set_session(struct record *r, const struct ccp_oauth_session *s, int64_t now);
/* Where the login came from and where it may be sent. Not stored in a vendor's file. False = no memory, or more than
 * RECORD_ORIGINS. */
bool record_set_source(struct record *r, struct ccp_span token_url, struct ccp_span client_id,
                       const struct ccp_span *origins, size_t n);

struct ccp_span record_fact(const struct record *r, const char *name); /* empty = unknown */
bool record_may_go_to(const struct record *r, struct ccp_span origin); /* foreign layouts: true */
/* The token that upstreams get, and when it ends: the session's if the provider has sessions. */
struct ccp_span record_bearer(const struct record *r, bool session, int64_t *expires_at);
/* SHA-256 of the refresh token as 64 hex digits and a NUL: names it in an intent without telling it. */
void record_refresh_hash(const struct record *r, char out[65]);

#endif

/*
 * Inside of the protocol: what the files that talk to OAuth servers share.
 *
 * One request is one `struct oauth_turn` on the stack of whoever asks: its memory is wiped when the turn ends, whatever
 * came of it. What outlives it (tokens, facts, a device's texts) is copied into the caller's struct oauth_token.
 */
#ifndef AUTH_PROTOCOL_IMPL_H
#define AUTH_PROTOCOL_IMPL_H

#include <auth/protocol.h>
#include <base/buf.h>
#include <upstream/upstream.h>

enum {
    OAUTH_ANSWER_MAX = 64 * 1024, /* of a server; one byte more is no answer */
    OAUTH_DEPTH_MAX = 32,         /* containers inside each other */
    OAUTH_TOKEN_MAX = 32 * 1024,
    OAUTH_TEXT_MAX = 200, /* of a server's words, as shown */
    OAUTH_SECRETS = 4,    /* per request */
    OAUTH_FACT_MAX = 512,
};

/* ---- values.c: strict JSON and what its members may be ---------------------------------------------------------- */

/* An object, at most OAUTH_DEPTH_MAX deep. CCP_BAD_JSON, CCP_OVERLOADED: *root is NULL. */
enum ccp_status oauth_json(struct arena *a, struct ccp_span text, struct ccp_json **root);
/* Text of a string, else empty (also when memory is refused: see the _has form). */
struct ccp_span oauth_text(struct arena *a, const struct ccp_json *value);
/* A number, or a string that is one; saturates at +-1e308. False: neither. */
bool oauth_number(const struct ccp_json *value, double *out);
bool oauth_integer(const struct ccp_json *value, int64_t *out); /* truncated; false beyond 2^53 */
/* Printable ASCII without spaces, 1 to OAUTH_TOKEN_MAX bytes: what may go into a header line. */
bool oauth_token_ok(struct ccp_span token);
/* Text that can be shown as it is: UTF-8 without control bytes and bidirectional marks. */
bool oauth_printable(struct ccp_span text);

/* ---- body.c: parameters of requests ----------------------------------------------------------------------------- */

struct oauth_field {
    const char *name;
    struct ccp_span value; /* empty: the parameter is left out */
};
/* application/x-www-form-urlencoded, also for queries. p = NULL: no memory. */
struct ccp_span oauth_form(struct arena *a, const struct oauth_field *fields, size_t n);
struct ccp_span oauth_object(struct arena *a, const struct oauth_field *fields, size_t n); /* JSON */

/* ---- turn.c: one request ---------------------------------------------------------------------------------------- */

struct oauth_turn {
    const struct oauth_provider *p;
    const struct oauth_watch *watch;
    const char *what; /* for the watch; NULL = it is not told */
    struct oauth_answer *answer;
    struct arena scratch; /* secret: body of the request, parsed answer */
    struct ccp_buf body;  /* of the answer */
    struct upstream_answer http;
    struct ccp_json *root;                  /* of the answer; NULL: no JSON object */
    struct ccp_span secrets[OAUTH_SECRETS]; /* never shown, even if the server repeats them */
    size_t secret_count;
    char origin[300];
    struct ccp_span server; /* its origin, for people: never path or query */
    bool begun;             /* the watch was told */
};

struct oauth_request {
    struct ccp_span url;
    struct ccp_span body; /* with it POST, else GET */
    struct ccp_span content_type;
    const struct ccp_secret *credential; /* Authorization header: prefix and this; or NULL */
    struct ccp_span credential_prefix;
};

/* *answer is reset. */
void oauth_turn_init(struct oauth_turn *t, const struct oauth_provider *p, const struct oauth_watch *watch,
                     const char *what, struct oauth_answer *answer);
/* Tells the watch and wipes; gives answer->result back. */
enum oauth_result oauth_turn_end(struct oauth_turn *t);
void oauth_turn_secret(struct oauth_turn *t, struct ccp_span secret); /* empty ones are fine */
/* client_id, and the secret when there is one (client_secret_post): up to two fields; returns how many. */
size_t oauth_turn_client_fields(struct oauth_turn *t, struct oauth_field *out);
/* Checks the URL and sends. True: an answer is here, whole, t->root is set if it is an object; it is not judged yet.
 * False: answer says NOT_SENT, LOST or (too large, cut error answers) RETRY. */
bool oauth_turn_send(struct oauth_turn *t, const struct oauth_request *r);
/* Fields as form or JSON, then turn_send. */
bool oauth_turn_post(struct oauth_turn *t, struct ccp_span url, const struct oauth_field *fields, size_t n);
/* Sets result and text, which is cut, and escaped as a whole; returns the result. */
enum oauth_result oauth_turn_fail(struct oauth_turn *t, enum oauth_result result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
enum oauth_result oauth_answer_fail(struct oauth_answer *answer, enum oauth_result result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- answer.c: what answers mean -------------------------------------------------------------------------------- */

/* Judges an answer that is here: OAUTH_OK = a good status and an object without `error`; else answer is filled. */
enum oauth_result oauth_answer_judge(struct oauth_turn *t);
/* The same for a known code alone: the table. OAUTH_OK = the code is not in it. */
enum oauth_result oauth_answer_of_code(struct ccp_span code);
/* answer.code from the error in the JSON, if it has one: RFC 6749 or {code,type,message}. */
void oauth_answer_read_code(struct oauth_turn *t);
/* The server's own words, shown safely; empty when there are none. */
void oauth_answer_words(struct oauth_turn *t, char out[OAUTH_TEXT_MAX + 16]);
/* Puts a server's text into `out`: printable, without the turn's secrets and without words long enough to be one. */
void oauth_answer_show(const struct oauth_turn *t, struct ccp_span text, char *out, size_t max);

/* ---- token.c: tokens in answers --------------------------------------------------------------------------------- */

/* Reads t->root, which answer_judge found good, into *out and asks the provider for facts. */
enum oauth_result oauth_token_read(struct oauth_turn *t, struct oauth_token *out);

/* ---- call.c: what the provider's functions are given ------------------------------------------------------------ */

struct oauth_call {
    struct ccp_oauth_call call; /* first */
    struct arena *arena;        /* of what the functions make */
    struct oauth_token *facts;  /* where facts go; NULL = they are dropped */
};
void oauth_call_init(struct oauth_call *c, const struct oauth_provider *p, struct arena *a, struct oauth_token *facts);

/* ---- jwt.c, jwt_key.c ------------------------------------------------------------------------------------------- */

struct jwt {
    struct ccp_span signed_text;                /* header.payload, as it came */
    struct ccp_span header, payload, signature; /* decoded */
};
/* NULL = fine, else a static text. */
const char *jwt_split(struct arena *a, struct ccp_span token, struct jwt *out);
/* exp, nbf and iat against now. NULL = fine. */
const char *jwt_times(const struct ccp_json *claims, int64_t now);

#endif

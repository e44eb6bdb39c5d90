/*
 * An OAuth provider: a login that ccproxy can make, store, refresh and end. Data, and at most four functions for the
 * ways in which servers deviate from the RFCs; flows, storage, refresh and commands are the core's and the same for
 * all.
 *
 * Every text may be replaced by the operator in [oauth.<name>]. The functions run in the CLI or on a thread that may
 * block, never on a worker; they see JSON that holds tokens, so they keep nothing and log nothing.
 */
#ifndef CCPROXY_OAUTH_H
#define CCPROXY_OAUTH_H

#include "json.h"

/* What kinds of login there are, and how the server differs; or-ed into `flags`. */
enum ccp_oauth_flag {
    CCP_OAUTH_BROWSER = 1,         /* authorization code with PKCE S256 (RFC 6749 section 4.1, RFC 7636) */
    CCP_OAUTH_PASTE = 2,           /* paste_redirect is a page that shows a code for pasting */
    CCP_OAUTH_DEVICE = 4,          /* device flow (RFC 8628, or device_request and device_answer) */
    CCP_OAUTH_REFRESH = 8,         /* access tokens are renewed with a refresh token */
    CCP_OAUTH_JSON = 16,           /* token requests have a JSON body instead of a form */
    CCP_OAUTH_STATE_IN_TOKEN = 32, /* the code exchange repeats `state` */
    CCP_OAUTH_NO_PKCE = 64,        /* for servers that refuse the parameters */
};

/* What the core lends to the functions below. Memory lives as long as the call's. */
struct ccp_oauth_call {
    struct ccp_span client_id, issuer, token_url, device_url;
    /* Payload of the answer's id_token as JSON, or NULL. Shape and times are checked, its signature only where the
     * server publishes keys: it may name an account, never grant anything. */
    const struct ccp_json *claims;
    struct ccp_span (*text)(const struct ccp_oauth_call *call, const struct ccp_json *string); /* empty: not a string */
    bool (*number)(const struct ccp_json *value, int64_t *out); /* of a number or of a string of digits */
    struct ccp_span (*print)(const struct ccp_oauth_call *call, const char *fmt, ...); /* p = NULL: no memory */
    /* Remembers a fact about the account that is no secret ("email", "plan", "account_id", "endpoint"); shown by
     * `auth status` and given to providers by ccp_api.credential_fact. At most 512 bytes of printable text, else it is
     * left out. */
    void (*fact)(const struct ccp_oauth_call *call, const char *name, struct ccp_span value);
};

/* A request that the core sends: https, or http to a literal loopback address. */
struct ccp_oauth_request {
    struct ccp_span url;
    struct ccp_span body; /* with it POST, without GET */
    struct ccp_span content_type;
};

/* How a device login stands. */
enum ccp_oauth_poll {
    CCP_OAUTH_PENDING,   /* ask again after the interval */
    CCP_OAUTH_SLOW_DOWN, /* the same, and the interval grows by 5 s */
    CCP_OAUTH_APPROVED,  /* `code` is set: exchange it; or it is empty: the answer is the token answer */
    CCP_OAUTH_DENIED,    /* the person said no */
    CCP_OAUTH_EXPIRED,   /* nobody answered in time: begin again */
    CCP_OAUTH_BROKEN,    /* not an answer that can be understood */
};

/* State of a device login. */
struct ccp_oauth_device {
    struct ccp_span device_code; /* empty: not begun */
    struct ccp_span user_code, verification_uri, verification_uri_complete;
    int64_t interval, expires_in;                      /* seconds */
    struct ccp_span code, code_verifier, redirect_uri; /* after CCP_OAUTH_APPROVED, for the exchange */
};

/* A short-lived token that is bought with the login's own one and that upstreams want instead. */
struct ccp_oauth_session {
    struct ccp_span token;
    int64_t expires_at; /* Unix seconds */
    int64_t refresh_in; /* seconds from now, 0 = by expires_at alone */
};

/* The vendor's own file with such a login: where its members stand, as dotted paths. */
struct ccp_oauth_file {
    const char *owner;                                            /* "Claude Code" */
    const char *folder_env;                                       /* "CLAUDE_CONFIG_DIR", or NULL */
    const char *folder;                                           /* below the home folder: ".claude" */
    const char *name;                                             /* ".credentials.json" */
    const char *access_token, *refresh_token, *id_token, *scopes; /* scopes: an array, or one text with spaces */
    const char *expires_ms;        /* Unix milliseconds; NULL: the access token is a JWT with exp */
    const char *updated;           /* RFC 3339 text that is set with every change, or NULL */
    const char *plan, *account_id; /* facts, or NULL */
};

/* The login. All of it is static and const. */
struct ccp_oauth_provider {
    const char *name;           /* "claude-api" */
    const char *const *aliases; /* NULL-terminated, or NULL */
    const char *label;          /* for people: "Claude plan" */
    const char *note;           /* one line that `auth login` prints, or NULL: "logs into ChatGPT, for /codex" */
    const char *consent;        /* name that the consent page will show, or NULL */
    const char *terms;          /* one line about the provider's terms for plan accounts, or NULL */
    unsigned flags;             /* enum ccp_oauth_flag */
    const char *issuer;         /* expected `iss`; discovery (RFC 8414) is asked only when URLs are missing */
    const char *authorize_url, *token_url, *revoke_url, *device_url, *session_url; /* NULL = not there, or discovered */
    const char *client_id, *client_secret; /* public ones of this program; the second one mostly NULL */
    const char *scopes;                    /* separated by spaces */
    const char *refresh_scopes;            /* sent with a refresh; NULL = none */
    const char *authorize_extra;           /* further query parameters, ready encoded: "code=true" */
    const char *redirect_host;             /* as registered: "localhost" or "127.0.0.1" (default) */
    const char *redirect_path;             /* "/callback" */
    const uint16_t *ports;                 /* registered ones in order, ending with 0; NULL = any free one */
    const char *paste_redirect;            /* redirect URI of the page that shows a code */
    const char *session_scheme;            /* of the Authorization header at session_url: "token " */
    const struct ccp_oauth_file *file;     /* the vendor's own file, for `auth login --import`; or NULL */

    /* Every token answer of a login or refresh, after its standard members were read: facts. False = no login with this
     * answer; tokens of a refresh are kept all the same, for there is no other copy. */
    bool (*read_token)(const struct ccp_oauth_call *call, const struct ccp_json *answer);
    /* Fills the next request of a device login: the first while device->device_code is empty, then polls. */
    bool (*device_request)(const struct ccp_oauth_call *call, const struct ccp_oauth_device *device,
                           struct ccp_oauth_request *out);
    /* Its answer; the first one fills the device (CCP_OAUTH_PENDING), a poll says how it stands. `answer` may be NULL.
     */
    enum ccp_oauth_poll (*device_answer)(const struct ccp_oauth_call *call, int status, const struct ccp_json *answer,
                                         struct ccp_oauth_device *device);
    /* The answer of session_url with a good status. False = not one. */
    bool (*read_session)(const struct ccp_oauth_call *call, const struct ccp_json *answer,
                         struct ccp_oauth_session *out);
};

#endif

/*
 * Hook events: named moments in the life of the server and of every exchange.
 */
#ifndef CCPROXY_HOOK_H
#define CCPROXY_HOOK_H

#include "exchange.h"

enum ccp_event {
#define X(name, dotted) CCP_EVENT_##name,
#include "event.def"
#undef X
    CCP_EVENT_COUNT
};

#define CCP_HEARS(event) (1ull << CCP_EVENT_##event)

/* Payload of the oauth.* events and of credential.changed: never a token, a code or a body. Spans are valid during the
 * call only. */
struct ccp_oauth_event {
    struct ccp_span provider, account; /* name of the login, label */
    const char *request;   /* "token", "refresh", "session", "revoke", "device"; NULL for credential.changed */
    int status;            /* HTTP, 0 = no answer */
    struct ccp_span error; /* printable text, or empty */
    uint64_t generation;   /* of the account, when known */
};

struct ccp_hook {
    const char *name;
    uint64_t events; /* CCP_HEARS(...) | ... */
    int order;       /* then by name */
    /* x is NULL for server events. Returning false counts as a failure of the subscriber, nothing else. */
    bool (*on_event)(void *self, enum ccp_event event, struct ccp_exchange *x);
    /* The same for events with this payload, on the service thread. NULL: not wanted. */
    bool (*on_oauth)(void *self, enum ccp_event event, const struct ccp_oauth_event *what);
};

#endif

/*
 * Hook events: named moments in the life of the server and of every exchange.
 *
 * A hook listens in one of two ways, or both. `on_event` runs in line, on the thread where the event happens, sees the
 * exchange itself and, of PROVIDER_REQUEST_PREPARED, may change what goes upstream; it must not block: its time is
 * measured, and a plugin that is slow or fails too often is disabled. `observe` runs later on a thread of its own, one
 * event after the other in the order of each worker, gets a copy of what happened and may block for a moment; when it
 * falls behind, events are dropped and counted. An event that nobody hears costs one test of a bit.
 */
#ifndef CCPROXY_HOOK_H
#define CCPROXY_HOOK_H

#include "exchange.h"
#include "transport.h"

/* The events, CCP_EVENT_REQUEST_STARTED and so on; event.def says what each is. */
enum ccp_event {
#define X(name, dotted) CCP_EVENT_##name,
#include "event.def"
#undef X
    CCP_EVENT_COUNT /* of this SDK; a newer core knows more */
};

/* The bit of an event in ccp_hook.events: CCP_HEARS(REQUEST_COMPLETED). */
#define CCP_HEARS(event) (1ull << CCP_EVENT_##event)

/* What an event brings beside its exchange. Everything is valid during the call only; what an event does not have is
 * zero or empty. */
struct ccp_moment {
    uint32_t size;
    struct ccp_upstream_request *request; /* PROVIDER_REQUEST_PREPARED: to be changed (ccp_api.set_upstream_header, or
                                             pieces of the exchange's memory); PROVIDER_REQUEST_SENT: to be read */
    int status;                           /* HTTP: HTTP_RESPONSE, HTTP_ERROR, PROVIDER_*, OAUTH_*_RESPONSE */
    const struct ccp_header *headers;     /* HTTP_REQUEST, HTTP_RESPONSE, PROVIDER_RESPONSE_RECEIVED; of answers to
                                             administrators none */
    size_t header_count;
    struct ccp_span bytes; /* HTTP_REQUEST: the body, but of an administrator's; PROVIDER_STREAM_CHUNK, *_RESPONSE_BODY:
                              the bytes; CUSTOM: the payload, JSON */
    struct ccp_span name;  /* PLUGIN_*: which; OAUTH_*, CREDENTIAL_CHANGED: the login; CUSTOM: "custom.<name>" */
    struct ccp_span text;  /* what went wrong, printable and without secrets */
    /* OAUTH_* and CREDENTIAL_CHANGED: never a token, a code or a body. */
    struct ccp_span account;
    const char *request_kind; /* "token", "refresh", "session", "revoke", "device"; NULL for CREDENTIAL_CHANGED */
    uint64_t generation;      /* of the account, when known */
};

/* The copy that `observe` gets. Spans live until it returns. Headers that can hold a credential are left out of the
 * copy, whatever they are called: see ccp_api.header_is_secret. */
struct ccp_event_info {
    uint32_t size;
    enum ccp_event event;
    struct ccp_span dotted;          /* "request.completed", "custom.cache.hit" */
    uint64_t unix_us;                /* when it happened */
    uint64_t sequence;               /* counts events as they were queued; a gap = some were dropped */
    struct ccp_span source;          /* of CUSTOM and PLUGIN_*: the plugin's name */
    const struct ccp_moment *moment; /* without `request` */
    bool of_exchange;                /* the rest is filled in */
    /* As the functions of ccp_api of the same names; empty = not known yet. */
    struct ccp_span request_id, method, path, peer, key_name, provider, client_model, upstream_model;
    struct ccp_span upstream_url;      /* PROVIDER_REQUEST_PREPARED, _SENT: without query */
    enum ccp_format client_format;     /* CCP_FORMAT_NONE = no provider call */
    enum ccp_op op;                    /* CCP_OP_NONE = no provider call */
    const struct ccp_summary *summary; /* as far as it is known */
};

/* Or-ed into a hook's `flags`. */
enum ccp_hook_flag {
    CCP_HOOK_USAGE = 1, /* wants summary.usage: answers are looked through for their token counts */
};

/* One listener. A list ends with one whose name is NULL. */
struct ccp_hook {
    const char *name; /* for logs and for the order among equals */
    uint64_t events;  /* CCP_HEARS(...) | ... */
    int order;        /* lower first, then by name */
    /* x is NULL for events of no exchange. Returning false counts as a failure of the plugin, nothing else. */
    bool (*on_event)(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m);
    bool (*observe)(void *self, const struct ccp_event_info *info);
    /* With CCP_HEARS(CUSTOM): which ones, "custom.cache.hit" or "custom.cache.*", NULL-terminated; NULL = all. */
    const char *const *custom;
    unsigned flags; /* enum ccp_hook_flag */
};

#endif

/*
 * The upstream port: how a prepared request leaves and its answer comes back.
 *
 * `start` never calls back before it returned. `done` is called exactly once for every successful start,
 * unless `cancel` was called first; after either, the handle is gone. A consumer that answered GONE calls
 * `cancel` itself. All calls and callbacks happen on the
 * worker that started the transfer. libcurl implements it for HTTP; a plugin may bring its own (a child
 * process, a mock).
 */
#ifndef CCPROXY_TRANSPORT_H
#define CCPROXY_TRANSPORT_H

#include "exchange.h"

/* Answer of a byte consumer. */
enum ccp_push {
    CCP_PUSH_MORE,  /* taken, go on */
    CCP_PUSH_PAUSE, /* taken, but hold the source until resume */
    CCP_PUSH_GONE,  /* the consumer ended: nothing more is wanted, `cancel` follows */
};

/* Never grows. */
struct ccp_upstream_limits {
    uint64_t connect_ms, first_byte_ms, idle_ms, total_ms; /* 0 = none */
};

/* Everything a transport needs; all memory stays valid and unchanged until the transfer ended. */
struct ccp_upstream_request {
    struct ccp_span method;
    struct ccp_span url;              /* absolute, no user, no fragment */
    const struct ccp_header *headers; /* no host, content-length, connection or transfer-encoding */
    size_t header_count;
    const struct ccp_secret *credential; /* value of credential_header, or NULL; never copied by plugins */
    struct ccp_span credential_header;   /* e.g. "authorization"; the transport writes "name: <prefix><secret>" */
    struct ccp_span credential_prefix;   /* e.g. "Bearer " or "" */
    struct ccp_span body[3];             /* sent one after the other; a splice needs three pieces at most */
    size_t body_pieces;                  /* used ones of the three */
    struct ccp_upstream_limits limits;   /* whoever transports keeps them */
    struct ccp_span proxy;               /* URL or empty */
    struct ccp_span no_proxy;            /* names that go past it, separated by commas */
    bool allow_private;                  /* names may resolve to private addresses */
    bool literal_host; /* the operator wrote the host as IP literal or localhost: allowed as written */
    bool http2;        /* may be spoken, by ALPN */
    const void *trust; /* opaque trust store of this provider, or NULL for the default one */
};

/* Calls into the owner of a transfer. */
struct ccp_transfer_events {
    /* The final response head (no 1xx), header names in lower case. Spans are valid during the call only. */
    void (*head)(void *arg, int status, const struct ccp_header *headers, size_t n);
    /* Body bytes; valid during the call only. */
    enum ccp_push (*body)(void *arg, struct ccp_span bytes);
    /* The end. CCP_OK = the whole answer arrived. Otherwise CCP_UPSTREAM, CCP_UPSTREAM_TIMEOUT or
     * CCP_INTERNAL and a static or transfer-owned text for people, without secrets. */
    void (*done)(void *arg, enum ccp_status status, struct ccp_span why);
};

struct ccp_transfer; /* the transport's own */

/* One way to send requests and get answers. Static and const. */
struct ccp_transport {
    /* NULL = could not start (memory); nothing will be called. `self` is the transport's instance. */
    struct ccp_transfer *(*start)(void *self, struct ccp_exchange *x, const struct ccp_upstream_request *request,
                                  const struct ccp_transfer_events *events, void *arg);
    void (*cancel)(void *self, struct ccp_transfer *transfer); /* no callback after this */
    void (*pause)(void *self, struct ccp_transfer *transfer);
    void (*resume)(void *self, struct ccp_transfer *transfer); /* callbacks follow in a later turn of the loop */
};

#endif

/*
 * The chain: an exchange's way from the client's request to its answer.
 *
 * This is the port between http/ (which owns connections) and everything below it. http/ calls chain_begin
 * for each request and hands over a responder; the chain answers through it. After chain_begin http/ may tell
 * two things: the client left, or the client can take more. All on the worker's thread; the chain never
 * calls the responder from inside chain_begin (it starts its work from the loop's next turn, so that a request
 * that is reset in the same read never reaches an upstream).
 */
#ifndef CHAIN_CHAIN_H
#define CHAIN_CHAIN_H

#include <base/arena.h>
#include <base/loop.h>
#include <ccproxy/ccproxy.h>

struct exchange;     /* chain/exchange_impl.h */
struct chain_worker; /* per worker: snapshot pointer, arena cache, counters, transport */
struct runtime;      /* plugin/registry.h: one immutable configuration with its open plugins */

/* What http/ knows of a request; all memory stays valid until the end was reported by `ended`, or until
 * chain_client_gone returned; the body only until that is called. */
struct chain_request {
    struct ccp_span method;
    struct ccp_span target;    /* origin-form as received, starts with '/' */
    struct ccp_span authority; /* Host or :authority */
    struct ccp_span peer;      /* "127.0.0.1:5123", "unix" */
    bool peer_trusted_proxy;
    bool tls, unix_socket;
    int version; /* 10, 11, 20 */
    const struct ccp_header
        *headers; /* names lower case; without host, content-length, transfer-encoding, expect, upgrade */
    size_t header_count;
    struct ccp_span upgrade; /* value of Upgrade on HTTP/1, or empty */
    struct ccp_span body;
    /* Set when http/ itself refuses the request (too large, malformed, overloaded): the chain then only
     * shapes the error in the client's format and reports the events. CCP_OK = a normal request. */
    enum ccp_status refusal;
    struct ccp_span refusal_text;
};

/* The way back to the client; http/ implements it. Bytes are copied or written before the call returns. */
struct chain_responder {
    /* The head. content_length SIZE_MAX = unknown: a stream. Header names in lower case; http/ adds date,
     * connection, framing. `flush` = send at once even if no body byte follows in this turn. */
    void (*head)(void *self, int status, const struct ccp_header *headers, size_t n, size_t content_length);
    /* Body bytes; last = the answer is complete (bytes may be empty). */
    enum ccp_push (*body)(void *self, struct ccp_span bytes, bool last);
    /* Breaks the answer off: RST_STREAM, or closing without the final chunk. */
    void (*abort)(void *self);
    /* The exchange is over and its memory gone; `self` is never used again by the chain. */
    void (*ended)(void *self);
    /* This answer waits more than it works, and there is a limit for its like: it no longer counts as a request in
     * flight. May be NULL. */
    void (*uncount)(void *self);
};

/* `http` and `http_self` carry requests of providers without a transport of their own (upstream/, or a test).
 * Takes over the caller's reference to `runtime`. NULL = no memory. */
struct chain_worker *chain_worker_new(struct loop *loop, const struct ccp_transport *http, void *http_self,
                                      struct runtime *runtime);
void chain_worker_free(struct chain_worker *w); /* no exchange may be running */
/* Where credentials of stored logins come from; before the first exchange. Without it there are none. */
struct auth_view;
void chain_worker_set_auth(struct chain_worker *w, struct auth_view *view);
/* Threads of plugins, and this worker's number there; before the first exchange. Without it there are none. */
struct executor;
void chain_worker_set_executor(struct chain_worker *w, struct executor *executor, size_t number);
/* Whose events are watched here (hub.h); after the executor, before the first exchange. Without it nobody can watch. */
struct hub;
void chain_worker_set_hub(struct chain_worker *w, struct hub *hub);
/* A new configuration: exchanges that run keep theirs, but those that watch events. Takes over the caller's reference.
 */
void chain_worker_set_runtime(struct chain_worker *w, struct runtime *runtime);
struct runtime *chain_worker_runtime(struct chain_worker *w); /* borrowed */

/* NULL = no memory: http/ answers 503 by itself. */
struct exchange *chain_begin(struct chain_worker *w, const struct chain_request *request,
                             const struct chain_responder *responder, void *self);
/* The client is gone (FIN, RST, stream reset). The responder is not used any more, not even `ended`. */
void chain_client_gone(struct exchange *x);
/* After a PAUSE: the client took what was queued. */
void chain_writable(struct exchange *x);

/* Answers everything that comes from now on with 503 + Connection: close semantics in /health/ready. */
void chain_drain(struct chain_worker *w);
/* Ends all exchanges now, streams with an error event (drain deadline). */
void chain_abort_all(struct chain_worker *w);
size_t chain_in_flight(const struct chain_worker *w);

/* What the chain brings into every runtime: core middlewares and the plugins' API. */
struct runtime_core;
const struct runtime_core *chain_core(void);

/* An event of no exchange, for in-line subscribers on this thread and for observers; any thread that owns a runtime
 * reference. `m` NULL = nothing to add; `executor` NULL = no observers. */
void chain_announce(struct runtime *runtime, struct executor *executor, enum ccp_event event,
                    const struct ccp_moment *m);

#endif

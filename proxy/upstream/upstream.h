/*
 * Upstream: HTTP requests to providers, on the worker's own loop: our own HTTP/1.1 client on kept-alive
 * connections, and libcurl for proxies, HTTP/2 and blocking requests.
 *
 * The only folder that names libcurl. One `struct upstream` per worker, driven by the worker's loop through
 * one file descriptor (a private epoll set that holds all sockets) and the loop's timers.
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <base/loop.h>
#include <ccproxy/transport.h>

struct upstream;
struct resolver; /* resolve.h */
struct trust;

struct upstream_options {
    size_t max_connections_per_host; /* requests at work per host; the others wait, first come; 0 = no limit */
    const char *user_agent;          /* when the request has none */
    bool curl_only;                  /* libcurl also for what our own HTTP/1.1 client can do */
    struct resolver *resolver;       /* outlives the upstream; NULL: curl looks names up, a thread for each */
};

/* Process-wide set-up, once, before threads. SIGPIPE must be ignored by the program: OpenSSL writes plainly. */
bool upstream_global_init(void);
void upstream_global_release(void);

/* A trust store: the system's bundle plus `ca_file` (may be NULL), parsed once, shared read-only by any number
 * of threads; counted. NULL on failure with a text in *why (static). */
struct trust *trust_load(const char *ca_file, const char **why);
struct trust *trust_ref(struct trust *trust);
void trust_unref(struct trust *trust);
size_t trust_count(struct trust *trust); /* certificates in it */

struct upstream *upstream_new(struct loop *loop, const struct upstream_options *options, struct trust *trust);
/* Cancels what is still running (no callback), closes all connections. */
void upstream_free(struct upstream *u);
/* Replaces the limit and the default trust store for what starts from now on, and closes idle connections (reload). */
void upstream_reconfigure(struct upstream *u, size_t max_connections_per_host, struct trust *trust);

/* To be watched for readability; when it is readable call upstream_ready from inside a loop callback. */
int upstream_fd(const struct upstream *u);
void upstream_ready(struct upstream *u);

/* The port of <ccproxy/transport.h>; `self` is the struct upstream. Callbacks come from a loop task or from
 * upstream_ready, never from inside a call of the port, so every call of the port is allowed inside them, cancel of the
 * same transfer included. After CCP_PUSH_GONE the transfer rests, silent and without connection, until cancel is
 * called. pause holds body and done, not head; only the total timeout's done comes through a pause. What arrived before
 * a failure is delivered before done. Returning CCP_PUSH_PAUSE outweighs a resume made inside the same callback. */
extern const struct ccp_transport upstream_transport;

struct upstream_counters {
    uint64_t started, finished, cancelled; /* each start ends in one of the other two */
    uint64_t connections_opened;
    uint64_t retried; /* sent again because a reused connection had died */
    uint64_t paused;  /* times a full buffer, or an owner in the middle of an answer, stopped the upstream */
    size_t active;
};
struct upstream_counters upstream_counters(const struct upstream *u);

/* How a blocking request ended. */
struct upstream_answer {
    int status;              /* of the final head, 0 = none came; it may have come without a whole body */
    const char *why;         /* NULL = the whole answer is here, else what went wrong: static, for people */
    char detail[128];        /* why a certificate was refused, in OpenSSL's words: printable, may be empty */
    bool sent;               /* the request may have reached the server; false = it certainly did not */
    bool timed_out;          /* a limit of the request ran out */
    bool too_large;          /* the body did not fit into the buffer */
    uint64_t retry_after_ms; /* from Retry-After, 0 = not said */
    bool used_up;            /* "x-ratelimit-remaining: 0": a limit of the server's was reached */
    int64_t date;            /* Unix seconds from Date: the server's clock; 0 = not said */
    char content_type[64];   /* media type in lower case without parameters; may be empty */
};

/* Blocking, any thread: for the CLI and for logins. One request on a connection of its own, sent once at most. The body
 * goes into `out`, whose maximum is its limit; what arrived before a failure stays there. `unix_socket` may be NULL.
 * True = the whole answer came, whatever its status. */
struct ccp_buf;
bool upstream_fetch(const char *unix_socket, const struct ccp_upstream_request *request, struct ccp_buf *out,
                    struct upstream_answer *answer);

#endif

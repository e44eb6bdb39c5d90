/*
 * Upstream: HTTP requests to providers over libcurl, on the worker's own loop.
 *
 * The only folder that names libcurl. One `struct upstream` per worker, driven by the worker's loop through
 * one file descriptor (a private epoll set that holds all of curl's sockets) and the loop's timers.
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <base/loop.h>
#include <ccproxy/transport.h>

struct upstream;
struct trust;

struct upstream_options {
    size_t max_connections_per_host;
    const char *user_agent; /* when the request has none */
};

/* Process-wide set-up, once, before threads. */
bool upstream_global_init(void);
void upstream_global_release(void);

/* A trust store: the system's bundle plus `ca_file` (may be NULL), parsed once, shared read-only by any number
 * of threads; counted. NULL on failure with a text in *why (static). */
struct trust *trust_load(const char *ca_file, const char **why);
struct trust *trust_ref(struct trust *trust);
void trust_unref(struct trust *trust);

struct upstream *upstream_new(struct loop *loop, const struct upstream_options *options, struct trust *trust);
/* Cancels what is still running (no callback), closes all connections. */
void upstream_free(struct upstream *u);
/* Replaces the default trust store for connections made from now on (reload). */
void upstream_set_trust(struct upstream *u, struct trust *trust);

/* To be watched for readability; when it is readable call upstream_ready from inside a loop callback. */
int upstream_fd(const struct upstream *u);
void upstream_ready(struct upstream *u);

/* The port of <ccproxy/transport.h>; `self` is the struct upstream. */
extern const struct ccp_transport upstream_transport;

struct upstream_counters {
    uint64_t started, finished, cancelled, connections_opened, paused;
    size_t active;
};
struct upstream_counters upstream_counters(const struct upstream *u);

/* Blocking variant for the CLI: one request, answer body into `out` (NULL-terminated is not promised).
 * Returns the HTTP status, or 0 with a static text in *why. `unix_socket` may be NULL. */
struct ccp_buf;
int upstream_fetch(const char *unix_socket, const struct ccp_upstream_request *request, struct ccp_buf *out,
                   const char **why);

#endif

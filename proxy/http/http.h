/*
 * The server side: listeners, TLS, connections, requests in and answers out. The only folder that knows h2o.
 *
 * Order of a start: http_guard_check, http_bind (everything is bound before anything is served), one
 * http_worker_new per worker, http_worker_set_backend, then http_worker_run on a thread of its own (stack at
 * least 1 MiB). A worker and all that belongs to it is used on its thread only, except http_worker_post,
 * http_worker_drain, http_worker_stop and the calls before http_worker_run.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <base/loop.h>
#include <chain/chain.h>

#define HTTP_ERRBUF 512

enum http_h2c {
    HTTP_H2C_OFF,
    HTTP_H2C_LOOPBACK, /* prior knowledge on loopback addresses and the unix socket */
    HTTP_H2C_ON,
};

/* Plain data; every span and string stays the caller's and must live until http_listeners_free. */
struct http_options {
    const struct ccp_span *hosts; /* names or IP literals; none = no TCP */
    size_t host_count;
    uint16_t port; /* 0 = pick one, the same for every host */
    const char *unix_socket;
    unsigned unix_socket_mode;
    const char *tls_cert, *tls_key; /* PEM files; both or none. The unix socket stays plain */
    bool http2;
    enum http_h2c h2c;
    size_t max_connections, max_in_flight; /* of all workers together */
    size_t max_streams_per_connection;     /* 100 at most: h2o announces that many */
    size_t max_body_bytes;
    uint64_t header_timeout_ms, idle_timeout_ms, write_timeout_ms, drain_timeout_ms;
    uint64_t memory_limit;                  /* of the whole process, bytes; 0 = automatic (base/budget.h) */
    size_t body_min_rate;                   /* bytes per second a request body must arrive with, 0 = no check */
    const struct ccp_span *trusted_proxies; /* "10.0.0.0/8", "::1", "unix" */
    size_t trusted_proxy_count;
};

/* The documented defaults, without any listener. */
void http_options_init(struct http_options *options);

struct http_listeners;
struct http_worker;

/* What http/ calls; filled with the functions of chain.h by the composition root, with fakes by tests. */
struct http_backend {
    struct exchange *(*begin)(struct chain_worker *w, const struct chain_request *request,
                              const struct chain_responder *responder, void *self);
    void (*client_gone)(struct exchange *x);
    void (*writable)(struct exchange *x);
    void (*drain)(struct chain_worker *w);     /* may be NULL */
    void (*abort_all)(struct chain_worker *w); /* may be NULL */
};

/* Process settings that must stand before the first listener: SIGPIPE ignored, descriptor limit raised, h2o
 * kept from writing bodies to disk. Once, from the main thread, before any worker. */
void http_process_init(void);

/* Binds everything and loads the certificate. Main thread. False: `why` says what failed ("127.0.0.1:8000:
 * address already in use"); nothing stays bound. `options` is copied (not what it points to). */
bool http_bind(const struct http_options *options, struct http_listeners **out, char why[HTTP_ERRBUF]);
/* Before a drain: once the workers have closed their duplicates too, connecting is refused, instead of waiting in a
 * queue that nobody reads. Main thread, after every http_worker_new; may be repeated. */
void http_listeners_close(struct http_listeners *l);
/* Closes what workers have not taken over and removes the unix socket. After the workers were freed. */
void http_listeners_free(struct http_listeners *l);
/* "127.0.0.1:8000", "[::1]:8000", "unix:/run/ccproxy.sock"; index 0 .. http_bound_count - 1. */
size_t http_bound_count(const struct http_listeners *l);
struct ccp_span http_bound(const struct http_listeners *l, size_t i);
uint16_t http_port(const struct http_listeners *l); /* 0 = no TCP */
bool http_has_tls(const struct http_listeners *l);
/* Is any TCP address beyond loopback bound? */
bool http_beyond_loopback(const struct http_listeners *l);
/* Reads the certificate files that `options` names (and its http2); connections from now on use them. Main thread.
 * False: the old pair stays and `why` tells the reason. Whether there is TLS at all was settled by http_bind. */
bool http_tls_reload(struct http_listeners *l, const struct http_options *options, char why[HTTP_ERRBUF]);

/* NULL = no memory or descriptors. `listeners` may be NULL: a worker that serves adopted sockets only. */
struct http_worker *http_worker_new(const struct http_options *options, struct http_listeners *listeners);
struct loop *http_worker_loop(struct http_worker *w);
/* Before http_worker_run. */
void http_worker_set_backend(struct http_worker *w, const struct http_backend *backend, struct chain_worker *chain);
/* A new configuration: limits, timeouts and h2c count for what comes from now on; addresses, the unix socket's mode
 * and trusted_proxies stay as they were bound. Only numbers of `options` are read. On the worker's thread
 * (http_worker_post). */
void http_worker_reconfigure(struct http_worker *w, const struct http_options *options);
/* Calls ready(arg) from the loop whenever fd (an epoll fd, an eventfd) is readable; level-triggered. The fd
 * stays the caller's and must stay open until http_worker_free. False = no memory or too many. */
bool http_worker_watch(struct http_worker *w, int fd, void (*ready)(void *arg), void *arg);
/* Serves a connected stream socket as if it had been accepted from a unix socket; takes the fd over.
 * On the worker's thread. False = no memory (the fd is closed). */
bool http_worker_adopt(struct http_worker *w, int fd);
/* Runs fn(arg) on the worker's thread, in order. Any thread. False = no memory or the worker has ended. */
bool http_worker_post(struct http_worker *w, void (*fn)(void *arg), void *arg);
/* Serves until stopped or drained. */
void http_worker_run(struct http_worker *w);
/* One turn that sleeps at most max_ms; for tests and the self-test. */
void http_worker_turn(struct http_worker *w, uint64_t max_ms);
/* Stops listening, lets what runs finish, breaks off what is left at the drain deadline, then http_worker_run
 * returns. Any thread. */
void http_worker_drain(struct http_worker *w);
/* http_worker_run returns soon; connections are cut by http_worker_free. Any thread. */
void http_worker_stop(struct http_worker *w);
/* Ends every connection (the backend is told that its clients are gone) and runs what that queued; the loop stays
 * usable, so that what lives on it (backend, transport) can be freed before the worker. After http_worker_run.
 * False = some connection would not end. */
bool http_worker_close(struct http_worker *w);
/* Closes if that was not done, then frees. On the worker's thread, or any thread after http_worker_run returned.
 * The backend's own worker must outlive the close. */
void http_worker_free(struct http_worker *w);
size_t http_worker_connections(const struct http_worker *w);
size_t http_worker_requests(const struct http_worker *w);

/* Start-up check of the functions that replace h2o's weak ones (see guard_impl.h): they are the ones h2o calls,
 * a smuggled HTTP/1 head gets 400, and an HTTP/2 header bomb ends its connection. False: do not serve; `why`
 * says what failed (exit 78). */
bool http_guard_check(char why[HTTP_ERRBUF]);
/* Which libh2o this process runs with, into `text`. False: not one that the guard was written for; `text` says so. Call
 * it after http_guard_check. */
bool http_guard_version(char text[HTTP_ERRBUF]);

#endif

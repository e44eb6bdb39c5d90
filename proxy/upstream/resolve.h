/*
 * Names to addresses, off the loop: one resolver for the process, a bounded number of threads that may wait for
 * getaddrinfo, one cache that all workers share, and on each worker a `names` that answers from counted lists
 * without a lock.
 *
 * A lookup that is already under way is joined, not repeated. Failures are remembered for a short while; an answer
 * that is past its time serves on while a fresh one is fetched (resolve_names.c). Literal addresses and "localhost"
 * never reach a thread. Whether an address may be connected to is not decided here (address_impl.h), and is decided
 * again for each connection.
 */
#ifndef UPSTREAM_RESOLVE_H
#define UPSTREAM_RESOLVE_H

#include <base/loop.h>
#include <ccproxy/span.h>

#include <netdb.h>
#include <sys/socket.h>

enum { RESOLVE_ADDRESSES_MAX = 16 };

struct resolver;

struct resolver_options {             /* zeroes = the defaults in brackets */
    size_t threads;                   /* at most so many lookups at once [16] */
    size_t queue;                     /* lookups that may wait for a thread [256]; more fail at once */
    uint64_t ttl_ms, negative_ttl_ms; /* how long an answer [60 s] or a failure [5 s] is believed */
    int (*lookup)(const char *host, const struct addrinfo *hints, struct addrinfo **out); /* [getaddrinfo] */
    void (*release)(struct addrinfo *list);                                               /* [freeaddrinfo] */
};

/* Starts no thread before the first lookup. NULL = no memory. */
struct resolver *resolver_new(const struct resolver_options *options);
/* After every host_names_free. Does not wait for a lookup that hangs: its thread frees what is left when it returns. */
void resolver_free(struct resolver *r);

/* Immutable, counted; port 0 in every entry. */
struct addresses {
    _Atomic unsigned refs;
    size_t n;
    struct address {
        socklen_t len;
        struct sockaddr_storage addr;
    } v[];
};
void addresses_unref(struct addresses *list); /* NULL is allowed */

/* One per worker, used on its thread only. `fd` (an eventfd) becomes readable when answers wait; host_names_ready then
 * calls those who asked. */
struct host_names;
struct host_names *host_names_new(struct resolver *r, struct loop *loop);
void host_names_free(struct host_names *names); /* no waiter may be left */
int host_names_fd(const struct host_names *names);
void host_names_ready(struct host_names *names);

/* Embedded by who asks; lives until `done` was called or host_names_cancel. */
struct name_wait {
    /* found NULL = failed, `why` is a static text without the name ("no such host", "the name lookup failed",
     * "too many name lookups are waiting", "out of memory"). The callee owns `found` and unrefs it. */
    void (*done)(struct name_wait *wait, struct addresses *found, const char *why);
    struct name_wait *next, **prev; /* prev NULL = does not wait; zero it before the first use */
    struct host_names *names;
    struct name *name;
};

enum name_answer { NAME_FOUND, NAME_WAIT, NAME_FAILED };

/* host: without port and brackets. FOUND: *found is the caller's to unref. FAILED: *why as above. WAIT: done
 * comes later from host_names_ready, never from inside this call. */
enum name_answer host_names_find(struct host_names *names, struct ccp_span host, struct name_wait *wait,
                                 struct addresses **found, const char **why);
void host_names_cancel(struct name_wait *wait); /* harmless when it does not wait */

#endif

/*
 * Inside of the resolver: what its three files share.
 *
 * resolve.c owns the table of names and everything under the lock, resolve_thread.c waits for getaddrinfo,
 * resolve_names.c is a worker's side and takes the lock only to ask and to collect.
 */
#ifndef UPSTREAM_RESOLVE_IMPL_H
#define UPSTREAM_RESOLVE_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <upstream/resolve.h>

enum {
    RESOLVE_BUCKETS = 64,
    RESOLVE_NAMES_MAX = 1024, /* names come from the configuration; this is a belt */
    RESOLVE_NAME_BYTES = 254, /* RFC 1035 section 3.1 in text, with a final dot */
};

extern const char resolve_no_host[], resolve_failed[], resolve_busy[], resolve_no_memory[];

/* ---- resolve.c --------------------------------------------------------------------------------------- */

/* Where a worker's answers are put; its fields are guarded by the resolver's lock. */
struct mailbox {
    struct ask *first;
    int fd; /* eventfd */
};

/* A worker's question about one name; the memory is the worker's. `found` is a reference of the holder. */
struct ask {
    struct ask *next, **prev; /* in its lookup's list or in its mailbox; prev NULL = in none */
    struct mailbox *to;
    struct lookup *lookup; /* while it waits */
    struct addresses *found;
    const char *why;     /* when found is NULL */
    uint64_t expires_ms; /* clock_ms value; 0 = not worth remembering */
};

struct lookup { /* one name and what is known of it */
    struct lookup *next;
    struct lookup *queue_next, **queue_prev; /* queue_prev NULL = not queued */
    bool running;
    struct ask *asks;
    struct addresses *found;
    const char *why;
    uint64_t expires_ms;
    size_t n;
    char name[]; /* lower case, NUL-terminated */
};

struct resolver {
    struct resolver_options options; /* complete, never changed */
    pthread_mutex_t lock;
    pthread_cond_t work;
    /* The rest under the lock. */
    size_t holders; /* the owner and every thread; the last one frees */
    bool closing;
    size_t threads, idle, queued, running, known;
    struct lookup *first, **last; /* queue */
    struct lookup *buckets[RESOLVE_BUCKETS];
};

/* FOUND and FAILED: the result is in *ask. WAIT: it comes into ask->to. `name` in lower case. Takes the lock. */
enum name_answer resolver_ask(struct resolver *r, struct ccp_span name, struct ask *ask);
/* Takes the ask out of wherever it is; drops a lookup that nobody waits for and no thread has begun. */
void resolver_withdraw(struct resolver *r, struct ask *ask);
/* Moves what has come in to *first. */
void resolver_collect(struct resolver *r, struct mailbox *box, struct ask **first);

/* For the threads, with the lock held. */
struct lookup *resolver_next(struct resolver *r); /* the oldest queued one, now running; NULL = none */
void resolver_settle(struct resolver *r, struct lookup *l, struct addresses *found, const char *why);
void resolver_let_go(struct resolver *r); /* gives the lock back; *r may be gone */

size_t resolve_hash(struct ccp_span name);
void addresses_ref(struct addresses *list);

/* ---- resolve_thread.c -------------------------------------------------------------------------------- */

/* Sees to it that a queued lookup finds a thread; lock held. False = there is none and none could be made. */
bool resolver_staff(struct resolver *r);
/* List of getaddrinfo to ours; NULL with *why when there is no usable address or no memory. */
struct addresses *addresses_copy(const struct addrinfo *list, const char **why);

#endif

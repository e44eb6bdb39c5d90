/*
 * Inside of the hub, shared by hub.c (who gets what), hub_text.c (events as text), hub_filter.c (what a watcher wants),
 * hub_ticket.c (streams in two steps), watch*.c (the worker's side) and watch_route.c (the routes).
 */
#ifndef CHAIN_HUB_IMPL_H
#define CHAIN_HUB_IMPL_H

#include <base/buf.h>
#include <base/loop.h>
#include <chain/hub.h>
#include <plugin/settings.h>

#include <pthread.h>

/* Kinds are the numbers of hook events, and one for lines of the log. */
enum { HUB_LOG = 63, HUB_KINDS = 64 };
#define HUB_BIT(kind) (1ull << (kind))

#define HUB_WATCHERS_MAX 1000 /* of the process */
#define HUB_TICKETS_MAX  1000 /* made and not yet used */
#define HUB_TICKET_MS    300000
#define HUB_TICKET_CHARS 32 /* 24 random bytes as base64url */
#define HUB_NAME_MAX     64 /* of a plugin */
#define HUB_PATTERNS     16
#define HUB_PATTERN_MAX  96
#define HUB_RECORD_MAX   ((size_t)192 << 10) /* one event as text */
#define HUB_BODY_MAX     ((size_t)16 << 10)  /* of a body that is shown */
#define DESK_EVENTS      2048
#define DESK_BYTES       ((size_t)4 << 20)

/* One event as all watchers get it. Counted; immutable. */
struct hub_record {
    atomic_uint refs;
    unsigned kind;
    enum ccp_log_level level; /* of a line */
    bool bulk;                /* a line that is part of a body: only for who may see bodies */
    struct ccp_span dotted, source;
    struct ccp_span plain, full; /* server-sent events; full shows bodies, p = NULL: the same as plain */
    size_t size;
    char bytes[];
};

/* What somebody wants to see; plain data. */
struct watch_filter {
    uint64_t kinds;                /* HUB_BIT(...) */
    enum ccp_log_level level;      /* of lines: this and above */
    bool bodies;                   /* asked for; the configuration has a say too */
    char plugin[HUB_NAME_MAX + 1]; /* "" = any source */
    size_t custom_n;               /* patterns that custom events are compared with */
    char custom[HUB_PATTERNS][HUB_PATTERN_MAX + 1];
};

/* Why somebody may watch: an admin key, or (token NULL) the unix socket of a server without one. */
struct watch_right {
    struct ccp_secret *token; /* a reference */
};

struct watcher;
struct chain_worker;

/* What waits for one worker, and who waits there. */
struct desk {
    struct hub *hub;
    size_t number;
    atomic_ullong wants; /* kinds that its watchers want; written under the hub's lock */
    pthread_mutex_t lock;
    struct hub_record *ring[DESK_EVENTS]; /* references; under lock, as all up to `posted` */
    size_t first, n, bytes;
    uint64_t missed[HUB_KINDS]; /* by kind, since the worker last asked */
    bool posted;                /* the worker will come by itself */
    /* the worker's alone */
    struct chain_worker *w; /* NULL: none, or it has gone */
    struct watcher *watchers, *ready;
    struct loop_task task;
    unsigned counts[HUB_KINDS], bodies;
};

struct ticket;

struct hub {
    struct hub_port port;
    pthread_mutex_t lock; /* of all up to `closed` */
    unsigned counts[HUB_KINDS];
    unsigned bodies; /* watchers that asked for them */
    uint64_t sequence;
    bool closed;
    atomic_ullong wants; /* union over all desks */
    atomic_uint watchers;
    atomic_ullong told, dropped;
    pthread_mutex_t ticket_lock;
    struct ticket *tickets;
    size_t ticket_n;
    struct desk desks[];
};

/* -- hub.c -- */
struct desk *hub_desk(struct hub *h, size_t worker);
/* A place for one more watcher; false = there are HUB_WATCHERS_MAX. Any thread. */
bool hub_admit(struct hub *h);
void hub_dismiss(struct hub *h);
/* One more (or one less) at this desk who wants this. On its worker. */
void hub_join(struct desk *d, const struct watch_filter *f);
void hub_part(struct desk *d, const struct watch_filter *f);
/* Takes up to max records that wait (references), and what was missed since the last call. *more: call again without
 * being asked to. On the desk's worker. */
size_t desk_fetch(struct desk *d, struct hub_record **out, size_t max, uint64_t missed[HUB_KINDS], bool *more);
void record_unref(struct hub_record *r);
static inline struct hub_record *record_ref(struct hub_record *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

/* -- hub_text.c. NULL = no memory, or larger than HUB_RECORD_MAX -- */
struct hub_record *record_of_event(const struct ccp_event_info *info, uint64_t id, bool bodies);
struct hub_record *record_of_line(const struct log_tapped *line, uint64_t id);
/* What a stream says about itself: an `event: note` with this JSON object. */
struct hub_record *record_of_note(const char *json);

/* -- hub_filter.c -- */
void filter_init(struct watch_filter *f); /* everything but what carries each piece of a body */
/* Each returns NULL, or a static text that says what is wrong. filter_type adds one type or pattern; the first call
 * takes away the default. */
struct filter_types {
    size_t n;
};
const char *filter_type(struct watch_filter *f, struct filter_types *so_far, struct ccp_span type);
const char *filter_plugin(struct watch_filter *f, struct ccp_span name);
const char *filter_level(struct watch_filter *f, struct ccp_span level);
bool filter_wants(const struct watch_filter *f, const struct hub_record *r);

/* -- hub_ticket.c -- */
/* Makes an id that is good for one stream with this filter. `right` is taken over if it was made. 0 = made, else
 * CCP_RATE_LIMITED (too many are not used yet) or CCP_OVERLOADED. */
enum ccp_status ticket_make(struct hub *h, const struct watch_filter *f, struct watch_right right,
                            char id[HUB_TICKET_CHARS + 1], uint64_t *expires_unix_us);
/* Is it one, made for this plugin ("" = none), not too old? Then *f and *right (to be released) are its own. With `use`
 * it is one no longer. */
bool ticket_take(struct hub *h, struct ccp_span id, struct ccp_span plugin, bool use, struct watch_filter *f,
                 struct watch_right *right);
void tickets_free(struct hub *h);

/* -- watch_desk.c: is it still a right under these settings? *key: the client's key there. -- */
bool right_holds(const struct watch_right *right, const struct security_settings *s, const struct security_key **key);
void right_release(struct watch_right *right);

#endif

/*
 * Inside of proxy/upstream: the structs its files share.
 *
 * Rules that hold everywhere here:
 *   - libcurl's callbacks only store bytes and flags; owners of transfers are called from the loop task, and by
 *     the direct engine also from upstream_ready, never from inside a call of the port;
 *   - curl_multi_add_handle happens in the loop task, curl_multi_remove_handle in curl_transfer.c alone;
 *   - a multi ("shard") serves requests of one key only, so that a connection opened under looser rules
 *     (trust store, private addresses) is never reused by a request with stricter ones.
 */
#ifndef UPSTREAM_UPSTREAM_IMPL_H
#define UPSTREAM_UPSTREAM_IMPL_H

#include <base/buf.h>
#include <base/url.h>
#include <upstream/address_impl.h>
#include <upstream/head_impl.h>
#include <upstream/resolve.h>
#include <upstream/upstream.h>

#include <curl/curl.h>

enum {
    SHARD_TRANSFERS = 128, /* curl searches a host's connections one by one: keep the lists short */
    POOL_IDLE = 64,        /* idle easy handles kept */
    BUFFER_HIGH = 256 * 1024,
    BUFFER_LOW = 64 * 1024,
    HOST_BUCKETS = 64,
};

/* Circular list with a head; a link that is in no list points at itself. */
struct link {
    struct link *next, *prev;
};

static inline void link_init(struct link *l)
{
    l->next = l->prev = l;
}

static inline bool link_alone(const struct link *l)
{
    return l->next == l;
}

static inline void link_remove(struct link *l)
{
    l->next->prev = l->prev;
    l->prev->next = l->next;
    link_init(l);
}

static inline void link_append(struct link *head, struct link *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

#define LINK_OWNER(l, type, member) ((type *)((char *)(l)-offsetof(type, member)))

/* ---- call.c, apply.c: the request as libcurl wants it ---------------------------------------------------------- */

/* A host to connect to, or one whose address the proxy wants to be told. */
struct target {
    struct ccp_span host; /* borrowed from the request */
    uint16_t port;
    struct addresses *found; /* a reference; NULL = not looked up: a literal, localhost, or left to curl */
    struct curl_slist pin;   /* the same as an entry of CURLOPT_RESOLVE; data is allocated */
};

/* One request in an easy handle's hands; embedded in a transfer and in a fetch. Its address must not change. */
struct call {
    const struct ccp_upstream_request *request;
    struct trust *trust;      /* the owner holds the reference; NULL trusts nobody */
    const char *user_agent;   /* when the request has none; may be NULL */
    const char *unix_socket;  /* fetch only */
    struct upstream *sockets; /* who watches the sockets; NULL: curl itself does */
    struct url url;           /* spans of request->url */
    struct target targets[2]; /* [0] is connected to */
    size_t target_n;
    bool proxied;       /* a proxy is set and no_proxy does not list the host */
    bool literal_host;  /* what is connected to was written as an IP literal or localhost */
    uint64_t lookup_ms; /* of the connect timeout, spent on names */
    char *block;        /* header lines and their list nodes; holds the credential, so it is wiped */
    size_t block_size;
    struct curl_slist *headers;
    size_t body_total, body_piece, body_at; /* what the next read gives */
    unsigned sends;                         /* connections the request was given to; 2 = curl retried */
    int socket_errno;                       /* why no socket could be made; curl does not keep it */
    char refused[48];                       /* an address that the rules refused, or "" */
    char error[CURL_ERROR_SIZE];
};

/* Checks the request and builds the header lines. NULL = fine, else a static text. Release in any case. */
const char *call_init(struct call *c, const struct ccp_upstream_request *request);
void call_release(struct call *c); /* wipes and frees; may be called twice */
/* Sets everything that differs from request to request. False = no memory. */
bool call_apply(struct call *c, CURL *easy);

/* ---- proxy.c ----------------------------------------------------------------------------------------- */

/* host: a literal without brackets, or a name. Entries of no_proxy end at a comma or a space. */
bool proxy_bypassed(struct ccp_span host, struct ccp_span no_proxy);
/* Sets targets, proxied and literal_host from request and url. */
void call_find_targets(struct call *c);

/* ---- lookup.c ---------------------------------------------------------------------------------------- */

/* Gives curl the addresses that were found. False = no memory. */
bool call_pin(struct call *c, CURL *easy);
void call_unpin(struct call *c); /* after the easy handle let go of them; may be called twice */
/* Finds what the transfer's targets need, from where it was left. NULL with *waits = it is queued to `starting`
 * again when there is an answer; else a static text that says why not. */
struct curl_transfer;
const char *transfer_lookup(struct curl_transfer *c, bool *waits);

/* ---- curl_easy.c ------------------------------------------------------------------------------------- */

CURL *easy_new(void); /* the only maker of easy handles */
CURL *easy_take(struct upstream *u);
void easy_recycle(struct upstream *u, CURL *easy);

/* ---- failure.c --------------------------------------------------------------------------------------- */

/* What a result means, in a few words and without names; static. `begun` = a final head had arrived. */
const char *failure_phrase(const struct call *c, CURL *easy, CURLcode code, bool begun);
const char *failure_unreachable(long os_error);                      /* why no connection came about */
void failure_address(const struct sockaddr *a, char *out, size_t n); /* in figures */
/* The full text for people, "host:port: phrase[: detail]"; returns the status that goes with it. */
enum ccp_status curl_failure_text(struct call *c, CURL *easy, CURLcode code, bool begun, char *out, size_t n);

/* ---- trust.c ----------------------------------------------------------------------------------------- */

void trust_apply(const struct trust *trust, void *ssl_ctx);
void *trust_context(struct trust *trust); /* the direct engine's SSL_CTX; NULL = no memory. Any thread */
struct trust *trust_nobody(void);         /* a store without certificates; NULL = no memory */

/* ---- sockets.c: the private epoll set -------------------------------------------------------------------- */

struct shard;

/* Who hears of a socket of ours. Events come once per change (EPOLLET). */
struct watcher {
    void (*ready)(struct watcher *w, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR */
};

struct watched {
    struct shard *shard;
    struct watcher *watcher;     /* ours; else it is curl's */
    uint32_t wanted, registered; /* EPOLLIN, EPOLLOUT */
    uint32_t generation;         /* tells a stale event from one of the fd's next life */
    bool own;                    /* opened by us, so we also see it close */
};

struct sockets {
    int epoll;
    struct watched *table; /* by descriptor */
    size_t cap;
};

bool sockets_init(struct sockets *s);
void sockets_release(struct sockets *s);
/* For CURLOPT_OPENSOCKETFUNCTION and CLOSESOCKETFUNCTION. */
bool sockets_opened(struct sockets *s, int fd);
void sockets_close(struct sockets *s, int fd);
/* A socket of ours: in the set until sockets_close. False = no memory, nothing is watched. */
bool sockets_watch(struct sockets *s, int fd, struct watcher *w);
void sockets_rewatch(struct sockets *s, int fd, struct watcher *w); /* somebody else hears of it from now on */
void sockets_forget(struct sockets *s, int fd);                     /* leaves the set; the descriptor stays open */
/* For CURLMOPT_SOCKETFUNCTION: what = CURL_POLL_... */
bool sockets_want(struct sockets *s, struct shard *shard, int fd, int what);
/* One batch of events: ours to their watchers, curl's to `act`. True = `act` was called. */
bool sockets_poll(struct sockets *s, void (*act)(struct shard *shard, int fd, int curl_flags));

/* ---- multi.c ----------------------------------------------------------------------------------------- */

struct shard_key {
    struct trust *trust; /* the shard holds a reference */
    bool allow_private, literal_host, http2;
};

struct shard {
    struct upstream *u;
    CURLM *multi;
    struct shard_key key;
    size_t active;
    bool run_now; /* curl asked to be run at once */
    uint64_t idle_since;
    struct loop_timer timer;
};

struct shard *shard_take(struct upstream *u, const struct shard_key *key); /* NULL = no memory */
void shard_give_back(struct shard *shard);
void shards_run(struct upstream *u);                         /* those that asked for it */
void shards_collect(struct upstream *u);                     /* finished transfers */
void shards_drop_idle(struct upstream *u, uint64_t idle_ms); /* those without a transfer for so long */
void shards_release(struct upstream *u);
void shard_act(struct shard *shard, int fd, int curl_flags);

/* ---- request.c: what both engines check and leave out -------------------------------------------------------- */

/* NULL = fine, else a static text; fills *url. */
const char *request_check(const struct ccp_upstream_request *r, struct url *url);
/* Is this header of the request written by us (framing, credential) and so left out of what the caller gave? */
bool request_skips(const struct ccp_upstream_request *r, struct ccp_span name);
bool request_has(const struct ccp_upstream_request *r, struct ccp_span name);
/* A credential's bytes, to be written into its header line and nowhere else. */
struct ccp_span request_credential(const struct ccp_upstream_request *r);
/* Methods whose requests carry a length even when they have no body (RFC 9110 section 8.6). */
bool request_expects_body(struct ccp_span method);
size_t request_body_size(const struct ccp_upstream_request *r);

/* ---- hosts.c: requests at work per host, and those that wait for their turn ------------------------------ */

struct pool;

struct host {
    struct host *next;
    size_t active;
    struct link waiting;
    struct pool *pools; /* connections of the direct engine; pool.c */
    uint16_t port;
    bool tls;
    size_t n;
    char name[]; /* lower case */
};

enum host_turn { HOST_GO, HOST_WAIT, HOST_NO_MEMORY };
enum host_turn host_enter(struct upstream *u, struct ccp_transfer *t);
void host_leave(struct upstream *u, struct host *host);
struct host *host_known(struct upstream *u, const struct url *url); /* NULL = no request or connection has one */
void host_unused(struct upstream *u, struct host *host);            /* frees it when nothing refers to it any more */

/* ---- transfer.c: what the two engines have in common -------------------------------------------------------- */

/* How a transfer gets its answer: libcurl (curl_transfer.c) or our own HTTP/1.1 client (direct.c). */
struct engine {
    size_t size;                                   /* of the struct that begins with struct ccp_transfer */
    void (*init)(struct ccp_transfer *t);          /* cannot fail */
    bool (*prepare)(struct ccp_transfer *t);       /* checks the request, sets t->url. False = it waits or has failed */
    bool (*begin)(struct ccp_transfer *t);         /* has its place at the host; false = no memory. No callback */
    void (*deliver)(struct ccp_transfer *t);       /* tells the owner what there is, as long as it listens */
    bool (*drained)(const struct ccp_transfer *t); /* nothing waits but the end */
    bool (*held)(const struct ccp_transfer *t);    /* a full buffer holds the upstream back */
    void (*go_on)(struct ccp_transfer *t);         /* after deliver, outside of callbacks; may be NULL */
    void (*detach)(struct ccp_transfer *t);        /* lets go of connection and request; may come twice */
    void (*drop)(struct ccp_transfer *t);          /* frees what is buffered; may come twice */
};
extern const struct engine curl_engine, direct_engine;

struct ccp_transfer {
    struct upstream *u;
    const struct engine *engine;
    struct ccp_transfer_events events;
    void *arg;
    const struct ccp_upstream_request *request;
    struct url url;      /* spans of request->url; empty before prepare */
    struct trust *trust; /* a reference; NULL trusts nobody */
    struct host *host;
    struct link all, queue, dirty; /* memberships: every transfer; starting or waiting; has news */
    struct loop_timer wait, total; /* first byte or idle; whole transfer */
    uint64_t idle_ms, last_byte_ms;
    char *why;          /* of a failure; owned, NULL = memory ended or there is nothing to say */
    bool head_complete; /* the final head is here */
    bool head_given;    /* events.head was called */
    bool paused;        /* by the owner */
    bool again;         /* this is the second try, on a connection of its own */
    bool finished;      /* status and why are set; done follows when the owner has all bytes */
    bool overdue;       /* done does not wait for a paused owner */
    bool gone;          /* the owner said so; waits for its cancel */
    bool over;          /* no callback any more */
    bool in_events;     /* inside a callback of the owner: freeing waits */
    enum ccp_status status;
};

/* ---- for the engines */
void transfer_finish(struct ccp_transfer *t, enum ccp_status status); /* detaches; the owner hears of it later */
void transfer_fail(struct ccp_transfer *t, enum ccp_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void transfer_fail_at_host(struct ccp_transfer *t, enum ccp_status status, const char *phrase, const char *detail);
bool transfer_open(const struct ccp_transfer *t); /* the owner still listens */
bool transfer_watch_idle(struct ccp_transfer *t); /* bytes came: from first-byte to idle timeout. False = no memory */
void transfer_push(struct ccp_transfer *t, struct ccp_span bytes); /* events.body, and what it answered */

/* ---- for upstream.c */
void transfer_begin(struct ccp_transfer *t);
void transfer_deliver(struct ccp_transfer *t); /* calls the owner; *t may be freed */
void transfer_free(struct ccp_transfer *t);    /* from any state, no callback */

/* ---- curl_transfer.c, deliver.c ------------------------------------------------------------------------ */

struct curl_transfer {
    struct ccp_transfer t; /* first */
    struct call call;
    CURL *easy; /* NULL before the loop task gave it to curl and after detach */
    struct shard *shard;
    struct head head;
    struct ccp_buf body;
    size_t body_at;      /* what the owner took of body */
    const char *refused; /* why our callback would not take what came; static */
    bool curl_paused;    /* a full buffer stopped curl */
    bool cancelled;      /* curl's callbacks fail from now on */
    /* lookup.c */
    struct name_wait name;
    struct loop_timer connect; /* runs while a name is waited for */
    size_t looked_up;          /* targets that are done with */
    uint64_t lookup_began;
    const char *lookup_why; /* a name failed */
};

static inline struct curl_transfer *curl_of(struct ccp_transfer *t)
{
    return (struct curl_transfer *)t;
}

void curl_transfer_done(struct curl_transfer *c, CURLcode code); /* curl says it ended */
void curl_lookup_late(struct curl_transfer *c);                  /* no name within the connect timeout */
size_t curl_on_header(char *p, size_t size, size_t n, void *arg);
size_t curl_on_body(char *p, size_t size, size_t n, void *arg);
void curl_deliver(struct ccp_transfer *t);
bool curl_drained(const struct ccp_transfer *t);
void curl_go_on(struct ccp_transfer *t);

/* ---- upstream.c -------------------------------------------------------------------------------------- */

enum {
    READ_BYTES = 64 * 1024, /* one read of the direct engine at most */
    READ_SMALL = 16 * 1024, /* until PROVEN_BYTES went to an owner who never paused for LATE_MS: see direct.c */
    PROVEN_BYTES = 256 * 1024,
    LATE_MS = 50,
    WRITE_BYTES = 16 * 1024, /* a request head, or what goes into one TLS record */
};

struct upstream {
    struct loop *loop;
    size_t max_per_host;
    char *user_agent;
    struct trust *trust;
    struct sockets sockets;
    struct shard **shards; /* lowest first is filled first; holes are NULL */
    size_t shard_n;
    CURL *pool[POOL_IDLE];
    size_t pool_n;
    struct host *hosts[HOST_BUCKETS];
    struct link all, starting, dirty;
    struct loop_task task;
    struct upstream_counters counters;
    /* the direct engine's */
    bool curl_only;
    char *in, *out;   /* READ_BYTES and 2 * WRITE_BYTES, for the duration of one call */
    struct link kept; /* idle connections, oldest first; pool.c */
    size_t kept_n;
    unsigned era;             /* connections opened before the last reload are not kept */
    struct loop_timer reaper; /* closes idle connections */
    struct trust *nobody;     /* for requests without a trust store; made when one comes */
    struct host_names *names; /* NULL: curl looks names up, and the direct engine is not used */
    struct watcher names_watcher;
};

void upstream_wake(struct upstream *u);
void upstream_mark(struct ccp_transfer *t); /* it has news for its owner */

#endif

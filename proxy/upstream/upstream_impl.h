/*
 * Inside of proxy/upstream: the structs its files share.
 *
 * Rules that hold everywhere here:
 *   - libcurl's callbacks only store bytes and flags; owners of transfers are called from the loop task alone;
 *   - curl_multi_add_handle happens in the loop task, curl_multi_remove_handle in transfer_detach alone;
 *   - a multi ("shard") serves requests of one key only, so that a connection opened under looser rules
 *     (trust store, private addresses) is never reused by a request with stricter ones.
 */
#ifndef UPSTREAM_UPSTREAM_IMPL_H
#define UPSTREAM_UPSTREAM_IMPL_H

#include <base/buf.h>
#include <base/url.h>
#include <upstream/address_impl.h>
#include <upstream/head_impl.h>
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

/* One request in an easy handle's hands; embedded in a transfer and in a fetch. Its address must not change. */
struct call {
    const struct ccp_upstream_request *request;
    struct trust *trust;      /* the owner holds the reference; NULL trusts nobody */
    const char *user_agent;   /* when the request has none; may be NULL */
    const char *unix_socket;  /* fetch only */
    struct upstream *sockets; /* who watches the sockets; NULL: curl itself does */
    struct url url;           /* spans of request->url */
    char *block;              /* header lines and their list nodes; holds the credential, so it is wiped */
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

/* ---- curl_easy.c ------------------------------------------------------------------------------------- */

CURL *easy_new(void); /* the only maker of easy handles */
CURL *easy_take(struct upstream *u);
void easy_recycle(struct upstream *u, CURL *easy);

/* ---- failure.c --------------------------------------------------------------------------------------- */

/* What a result means, in a few words and without names; static. `begun` = a final head had arrived. */
const char *failure_phrase(const struct call *c, CURL *easy, CURLcode code, bool begun);
/* The full text for people, "host:port: phrase[: detail]"; returns the status that goes with it. */
enum ccp_status failure_text(struct call *c, CURL *easy, CURLcode code, bool begun, char *out, size_t n);

/* ---- trust.c ----------------------------------------------------------------------------------------- */

void trust_apply(const struct trust *trust, void *ssl_ctx);

/* ---- sockets.c: curl's sockets in the private epoll set ------------------------------------------------ */

struct shard;

struct watched {
    struct shard *shard;
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
/* For CURLMOPT_SOCKETFUNCTION: what = CURL_POLL_... */
bool sockets_want(struct sockets *s, struct shard *shard, int fd, int what);
/* One batch of events, each given to `act`. */
void sockets_poll(struct sockets *s, void (*act)(struct shard *shard, int fd, int curl_flags));

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

/* ---- hosts.c: requests at work per host, and those that wait for their turn ------------------------------ */

struct host {
    struct host *next;
    size_t active;
    struct link waiting;
    size_t n;
    char key[];
};

enum host_turn { HOST_GO, HOST_WAIT, HOST_NO_MEMORY };
enum host_turn host_enter(struct upstream *u, struct ccp_transfer *t);
void host_leave(struct upstream *u, struct host *host);

/* ---- transfer.c -------------------------------------------------------------------------------------- */

struct ccp_transfer {
    struct upstream *u;
    struct ccp_transfer_events events;
    void *arg;
    struct call call;
    CURL *easy; /* NULL before the loop task gave it to curl and after transfer_detach */
    struct shard *shard;
    struct host *host;
    struct link all, queue, dirty; /* memberships: every transfer; starting or waiting; has news */
    struct loop_timer wait, total; /* first byte or idle; whole transfer */
    uint64_t idle_ms, last_byte_ms;
    struct head head;
    struct ccp_buf body;
    size_t body_at;   /* what the owner took of body */
    bool head_given;  /* events.head was called */
    bool paused;      /* by the owner */
    bool curl_paused; /* a full buffer stopped curl */
    bool again;       /* this is the second try, on a connection of its own */
    bool cancelled;   /* curl's callbacks fail from now on */
    bool finished;    /* status and why are set; done follows when the buffer is empty */
    bool overdue;     /* done does not wait for a paused owner */
    bool gone;        /* the owner said so; waits for its cancel */
    bool over;        /* no callback any more */
    bool in_events;   /* inside a callback of the owner: freeing waits */
    enum ccp_status status;
    char why[320];
};

void transfer_begin(struct ccp_transfer *t);               /* loop task: hands it to curl */
void transfer_deliver(struct ccp_transfer *t);             /* loop task: calls the owner */
void transfer_done(struct ccp_transfer *t, CURLcode code); /* curl says it ended */
void transfer_silence(struct ccp_transfer *t);             /* after CCP_PUSH_GONE */
void transfer_free(struct ccp_transfer *t);                /* from any state, no callback */
size_t transfer_on_header(char *p, size_t size, size_t n, void *arg);
size_t transfer_on_body(char *p, size_t size, size_t n, void *arg);

/* ---- upstream.c -------------------------------------------------------------------------------------- */

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
};

void upstream_wake(struct upstream *u);
void upstream_mark(struct ccp_transfer *t); /* it has news for its owner */

#endif

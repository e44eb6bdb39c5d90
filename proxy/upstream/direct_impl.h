/*
 * Inside of the direct engine: our own HTTP/1.1 client on kept-alive connections, plain and TLS.
 *
 * direct.c leads a transfer, dial.c makes connections, connection.c moves bytes over them, tls.c secures them, pool.c
 * keeps those that may serve again, direct_head.c writes the request's head; the answer's meaning is wire/http1's.
 *
 * Rules: a connection belongs to one transfer or is idle in its pool; its socket is read only while its owner
 * listens, so a paused transfer holds nothing but what came in the read that it paused in.
 */
#ifndef UPSTREAM_DIRECT_IMPL_H
#define UPSTREAM_DIRECT_IMPL_H

#include <upstream/upstream_impl.h>
#include <wire/http1.h>

#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/uio.h>

enum {
    KEPT_MS = 60 * 1000, /* idle connections are closed after that long */
    KEPT_MAX = 512,      /* per worker */
    RESEND_MS = 3000,    /* a kept connection that was dead when the request was written says so by then */
    HEAD_START_MS = 250, /* RFC 8305 section 5: before the next address is tried beside this one */
};

/* ---- connection.c ------------------------------------------------------------------------------------------ */

struct direct;

struct connection {
    struct watcher watcher;
    struct upstream *u;
    struct pool *pool;
    struct direct *user; /* NULL while idle */
    SSL *ssl;            /* NULL = plain */
    struct link idle;    /* in pool->idle, newest first */
    struct link kept;    /* in upstream.kept, oldest first */
    uint64_t idle_since;
    unsigned era;
    int fd;
    bool reused;   /* served a request before */
    bool secured;  /* plain, or the handshake is done */
    bool readable; /* a read may give something */
    bool hup;      /* the end or an error was announced: it comes after the bytes */
    bool drained;  /* TLS: the last read of the socket emptied it */
    bool broken;   /* TLS cannot go on */
};

enum io { IO_DONE, IO_AGAIN, IO_END, IO_FAILED };

/* Takes the watched descriptor, also when it fails (NULL, no memory), and the caller's place in the pool. */
struct connection *connection_new(struct upstream *u, struct pool *pool, int fd);
void connection_use(struct connection *c, struct direct *d); /* events go to this transfer */
void connection_close(struct connection *c);
/* Nothing has come but what TLS itself sends, which is taken. */
bool connection_silent(struct connection *c);
/* DONE: *n > 0 bytes were read. END: in order. FAILED: errno (plain) or the connection's TLS broke. */
enum io connection_read(struct connection *c, char *p, size_t room, size_t *n);
/* DONE: *n bytes of the pieces were taken, perhaps not all. */
enum io connection_write(struct connection *c, const struct iovec *v, int pieces, size_t *n);

/* ---- tls.c ------------------------------------------------------------------------------------------- */

/* A client context that trusts `store` (X509_STORE, counted); shared by all threads. NULL = no memory. */
SSL_CTX *tls_context(void *store);
/* False = no memory. */
bool tls_attach(struct connection *c, const struct ccp_transfer *t);
/* DONE: secured. FAILED: *why and *detail (static or in `text`) say what is wrong. */
enum io tls_handshake(struct connection *c, const char **why, char *text, size_t n);
enum io tls_read(struct connection *c, char *p, size_t room, size_t *n);
enum io tls_write(struct connection *c, const struct iovec *v, int pieces, size_t *n);
bool tls_idle_ok(struct connection *c); /* for connection_silent */
void tls_detach(struct connection *c);  /* harmless on a plain one */

/* ---- pool.c ------------------------------------------------------------------------------------------ */

/* Connections of one host that were opened under the same rules. */
struct pool {
    struct pool *next;
    struct host *host;
    struct trust *trust; /* a reference */
    bool allow_private, literal_host;
    size_t users;         /* connections, and dials for them */
    struct link idle;     /* newest first */
    SSL_SESSION *session; /* the last ticket of this host under this trust */
};

/* The pool for this transfer, used by one more; NULL = no memory. */
struct pool *pool_enter(struct ccp_transfer *t);
void pool_leave(struct upstream *u, struct pool *pool);
struct connection *pool_take(struct pool *pool); /* the connection used last, or NULL */
bool pool_serves(const struct ccp_transfer *t);  /* an idle connection is there for it */
void pool_give(struct connection *c);            /* idle from now on */
void pools_drop_idle(struct upstream *u);        /* and nothing that is open now is kept later */
void pool_fire(struct loop_timer *timer);        /* upstream.reaper */

/* ---- dial.c ------------------------------------------------------------------------------------------ */

/* Looks the name up, before the transfer has its place at the host: nobody's place is taken meanwhile. False = it
 * waits (and is queued to `starting` when there is an answer) or has failed. */
struct dial;
bool dial_lookup(struct direct *d);
/* Connects, and looks the name up if that was not done; then direct_connected, or the transfer fails. False = no
 * memory. */
bool dial_start(struct direct *d, struct pool *pool);
void dial_free(struct dial *dial);  /* NULL is allowed; takes back what is under way */
void dial_event(struct dial *dial); /* its connection, not yet secured, has news */

/* ---- direct_head.c ----------------------------------------------------------------------------------- */

size_t direct_head_size(const struct ccp_transfer *t);             /* an upper bound */
size_t direct_head_write(const struct ccp_transfer *t, char *out); /* how much it was; holds the credential */

/* ---- direct.c ---------------------------------------------------------------------------------------- */

struct direct {
    struct ccp_transfer t; /* first */
    struct connection *conn;
    struct dial *dial; /* while there is no secured connection */
    struct http1_reader reader;
    char *rest; /* bytes that came in the read the owner paused in */
    size_t rest_n, rest_at;
    char *head; /* what of the head could not be sent at once; holds the credential, so it is wiped */
    size_t head_n, head_at;
    size_t piece, piece_at; /* what of the body is next */
    uint64_t handed_ms;     /* when the connection was given the request */
    uint64_t paused_ms;     /* when the owner paused; 0 = it did not */
    size_t kept_up;         /* bytes since the owner last took long to go on, or the beginning */
    bool sending;           /* the request is not all out */
    bool send_failed;
    bool received; /* a byte of the answer came */
};

static inline struct direct *direct_of(struct ccp_transfer *t)
{
    return (struct direct *)t;
}

void direct_connected(struct direct *d, struct connection *c);
void direct_event(struct direct *d); /* its connection's flags changed */

#endif

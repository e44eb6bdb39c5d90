/*
 * Private types of http/: the worker, the connection record, the request and what its files share.
 *
 * Ownership: h2o owns sockets, connections and h2o_req_t. We hang a `conn` on each socket (freed by its
 * on_close) and a `request` in each request's pool (freed by the pool). Nothing here calls h2o from inside a
 * call of the chain: the responder only notes what is to be sent and queues the request's flush task.
 */
#ifndef HTTP_HTTP_IMPL_H
#define HTTP_HTTP_IMPL_H

#include <http/guard_impl.h>
#include <http/http.h>

#include <h2o.h>
#include <h2o/http1.h>
#include <h2o/http2.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#define HTTP_MAX_LISTENERS 32
#define HTTP_MAX_WATCHES   8
#define HTTP_PEER_TEXT     64

struct peer_net { /* a network of trusted proxies */
    bool unix_socket;
    int family;
    unsigned char addr[16];
    unsigned bits;
};

struct listener {
    int fd;
    bool unix_socket, loopback;
    char text[160];
};

/* The certificate in use; replaced as a whole. */
struct tls {
    pthread_mutex_t lock;
    SSL_CTX *ctx; /* NULL = plain */
    bool http2;
    char *cert, *key; /* paths */
};

/* Server-wide counts, shared by the workers. */
struct shared {
    atomic_size_t connections, in_flight;
};

struct http_listeners {
    struct http_options options;
    struct listener list[HTTP_MAX_LISTENERS];
    size_t n;
    uint16_t port;
    struct tls tls;
    struct shared shared;
    struct peer_net *trusted;
    size_t trusted_count;
    dev_t unix_dev;
    ino_t unix_ino;
};

/* What an HTTP/1 connection is doing; decides which deadline runs. */
enum conn_state {
    CONN_NEW,  /* accepted, no complete head yet (TLS handshake included) */
    CONN_IDLE, /* kept alive, nothing of the next request has arrived */
    CONN_HEAD, /* a part of the next head has arrived */
    CONN_BODY, /* head complete, body on its way */
    CONN_BUSY, /* a request is being answered */
};

enum conn_deadline { DEADLINE_NONE, DEADLINE_HEAD, DEADLINE_IDLE, DEADLINE_BODY };

struct conn {
    struct http_worker *w;
    struct conn *next, **prev;
    h2o_socket_t *sock;
    int fd;
    struct guard guard; /* first of what the interposed functions touch */
    enum conn_state state;
    enum conn_deadline deadline;
    struct loop_timer timer;
    uint64_t body_mark;   /* guard.bytes_in when the running body window began */
    struct request *busy; /* HTTP/1: the request being answered */
    size_t requests;      /* open requests of this connection */
    bool tls, unix_socket, trusted;
    bool trusted_reader; /* see conn_trust_reader */
    bool half_closed;    /* FIN or RST was seen */
    bool held;           /* HTTP/1: registered for reading although nobody reads, see conn_hold */
    size_t peer_n;
    char peer[HTTP_PEER_TEXT];
};

struct out; /* out.c: a block of outgoing bytes */

struct request {
    struct http_worker *w;
    struct conn *c;
    h2o_req_t *req;
    struct exchange *x; /* NULL = ended, or the client was reported gone */
    h2o_generator_t generator;
    struct loop_task flush;
    struct loop_timer stall; /* runs from h2o_send until h2o asks for more */
    struct out *fill, *flight;
    size_t content_length; /* as the chain said, SIZE_MAX = unknown */
    uint64_t body_bytes;   /* taken from the chain so far */
    uint64_t slow_mark;    /* body_bytes when the client was last slow */
    uint64_t sent_ms;      /* when h2o got what it is sending */
    int status;
    bool counted;  /* in shared.in_flight */
    bool headed;   /* the chain gave the head */
    bool started;  /* h2o has the head */
    bool sending;  /* h2o has bytes; proceed will come */
    bool last;     /* the chain said: complete */
    bool broken;   /* break off instead of finishing */
    bool gone;     /* the client left (HTTP/1) */
    bool finished; /* the last h2o_send was made */
    bool paused;
    bool bodiless; /* HEAD, 204, 304 */
    bool chunked;  /* own chunk framing */
};

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct watch {
    struct http_worker *w;
    h2o_socket_t *sock;
    void (*ready)(void *arg);
    void *arg;
};

struct http_worker {
    struct http_options options;
    struct http_listeners *listeners; /* NULL for the self-test */
    struct shared own_shared, *shared;
    size_t max_connections; /* options.max_connections within the descriptor limit */
    const struct http_backend *backend;
    struct chain_worker *chain;

    h2o_evloop_t *evloop;
    h2o_globalconf_t conf;
    h2o_context_t ctx;
    h2o_accept_ctx_t accept;
    h2o_hostconf_t *host;
    h2o_timeout_t turn_timeout; /* zero; ours alone, so that a clock step cannot hold our entry back */
    h2o_timeout_entry_t turn_entry;
    struct loop loop;
    bool in_turn;

    struct watch watches[HTTP_MAX_WATCHES];
    size_t watch_n;
    int gone_ep; /* EPOLLRDHUP of every accepted socket */
    int post_fd;
    pthread_mutex_t post_lock;
    struct post *posts, **posts_last;
    bool ended; /* under post_lock: takes no more posts */
    atomic_bool stop;

    h2o_socket_t *listening[HTTP_MAX_LISTENERS];
    size_t listening_n;
    bool accepting;
    struct loop_timer accept_retry;
    uint64_t accept_complained; /* when a failed accept was last logged, 0 = never */

    struct conn *conns;
    size_t conn_n, request_n;
    struct out *spare; /* free standard blocks */
    size_t spare_n;
    struct loop_timer trim_timer;
    unsigned trims;                          /* memory_trims() when this worker last looked */
    struct guard *memory_slots[GUARD_SLOTS]; /* guard_memory.c: connections by the address of their input */

    bool draining, aborted;
    uint64_t drain_began;
    struct loop_timer drain_timer;
};

/* accept.c */
bool accept_open(struct http_worker *w);
void accept_close(struct http_worker *w);

/* conn.c */
bool conn_new(struct http_worker *w, int fd, const struct listener *from, const struct sockaddr *peer, socklen_t len);
struct conn *conn_of(h2o_socket_t *sock);
void conn_cut(struct conn *c); /* shuts the socket down; h2o then closes by itself */
/* A client that keeps up may have all that the kernel buffers; others, and new ones, only a little. */
void conn_trust_reader(struct conn *c, bool trust);
/* HTTP/1, while a request is answered: keeps the socket registered, so that h2o's stop and start of reading
 * cost no system calls. Released before the last h2o_send. */
void conn_hold(struct conn *c);
void conn_release(struct conn *c);
void conn_ready_gone(void *worker); /* events of gone_ep */
/* Around every entry into h2o that may parse this connection's input. */
void conn_enter(struct conn *c);
void conn_leave(struct conn *c);

/* deadline.c */
void deadline_settle(struct conn *c);
void deadline_fire(struct loop_timer *timer);

/* request.c */
int request_on_req(h2o_handler_t *self, h2o_req_t *req);
void request_client_gone(struct request *r);
void request_unbind(struct request *r);

/* response.c */
extern const struct chain_responder response_responder;
void response_proceed(h2o_generator_t *generator, h2o_req_t *req);
void response_flush(struct loop_task *task);
void response_stalled(struct loop_timer *timer);

/* reason.c */
const char *reason_phrase(int status);

/* out.c */
bool out_add(struct http_worker *w, struct out **o, struct ccp_span bytes);
size_t out_size(const struct out *o); /* 0 for NULL */
h2o_iovec_t out_whole(struct out *o);
/* One chunk, with the final one behind it when `last`; o NULL with last = only the final chunk (static). */
h2o_iovec_t out_chunk(struct out *o, bool last);
void out_free(struct http_worker *w, struct out *o);
void out_drop_spare(struct http_worker *w);

/* peer.c */
size_t peer_print(char *out, size_t max, const struct sockaddr *a);
bool peer_is_loopback(const struct sockaddr *a);
bool peer_net_parse(struct ccp_span text, struct peer_net *net);
bool peer_trusted(const struct peer_net *nets, size_t n, const struct sockaddr *a); /* a NULL = unix socket */

/* tls.c */
bool tls_init(struct tls *t, const struct http_options *options, char why[HTTP_ERRBUF]);
void tls_release(struct tls *t);
SSL_CTX *tls_ref(struct tls *t); /* NULL = plain; give back with SSL_CTX_free */

/* settings.c */
void settings_configure(struct http_worker *w);
void settings_limit_connections(struct http_worker *w);

/* ports.c */
bool ports_open(struct http_worker *w);
void ports_wake(struct http_worker *w);                 /* any thread: ends the loop's sleep */
void ports_run_posts(struct http_worker *w, bool last); /* last = no more are taken */
void ports_close(struct http_worker *w);

/* trim.c */
void trim_consider(struct http_worker *w); /* after something was freed */
void trim_fire(struct loop_timer *timer);

/* drain.c */
void drain_begin(void *worker);
void drain_tick(struct loop_timer *timer);

#endif

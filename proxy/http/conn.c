/*
 * Connection records: one per accepted socket, from accept to the socket's on_close, whatever protocol h2o
 * speaks on it in between.
 *
 * A record notices two things h2o does not tell: that the client of an HTTP/1 request hung up while the answer
 * is being made (h2o does not read then; a second epoll set watches for FIN and RST), and which step of a
 * request is under way (deadline.c). Records never close sockets: they shut them down and h2o does the rest.
 */
#include <http/http_impl.h>

#include <base/assert.h>
#include <base/budget.h>
#include <base/clock.h>
#include <base/fault.h>

#include <limits.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#define UNSENT (128 * 1024) /* what the kernel takes of an answer that it cannot send yet */

/* What h2o, OpenSSL and we hold for a connection besides buffers, about. */
static size_t conn_cost(const struct conn *c)
{
    return sizeof(*c) + (c->tls ? 40 * 1024 : 2 * 1024);
}

static void conn_closed(void *arg)
{
    struct conn *c = arg;
    struct http_worker *w = c->w;
    CCP_ASSERT(c->requests == 0);
    if (guard_current() == &c->guard)
        guard_set_current(NULL);
    loop_timer_stop(&w->loop, &c->timer);
    guard_memory_close(&c->guard);
    budget_give(conn_cost(c));
    *c->prev = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    w->conn_n--;
    atomic_fetch_sub(&w->shared->connections, 1);
    free(c);
}

struct conn *conn_of(h2o_socket_t *sock)
{
    return sock != NULL && sock->on_close.cb == conn_closed ? sock->on_close.data : NULL;
}

struct guard *guard_of(struct st_h2o_socket_t *sock)
{
    struct conn *c = conn_of(sock);
    return c != NULL ? &c->guard : NULL;
}

static struct conn *conn_of_guard(const struct guard *g)
{
    return (struct conn *)((char *)g - offsetof(struct conn, guard));
}

void guard_enter(struct guard *g)
{
    CCP_ASSERT(guard_current() == NULL);
    conn_of_guard(g)->w->loop.now_ms = clock_ms(); /* the loop may have slept since its last turn */
    guard_set_current(g);
}

void guard_leave(struct guard *g)
{
    if (guard_current() != g)
        return; /* the connection is gone */
    guard_set_current(NULL);
    guard_memory_handled(g, conn_of_guard(g)->sock);
    deadline_settle(conn_of_guard(g));
}

void conn_enter(struct conn *c)
{
    guard_enter(&c->guard);
}

void conn_leave(struct conn *c)
{
    guard_leave(&c->guard);
}

uint64_t guard_now(const struct guard *g)
{
    return conn_of_guard(g)->w->loop.now_ms;
}

void guard_head_seen(struct guard *g, enum guard_head what)
{
    struct conn *c = conn_of_guard(g);
    if (what == GUARD_HEAD_COMPLETE)
        c->state = CONN_BODY;
    else if (c->state == CONN_IDLE)
        c->state = CONN_HEAD;
}

void conn_cut(struct conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

void conn_trust_reader(struct conn *c, bool trust)
{
    int unsent = trust ? INT_MAX : UNSENT;
    if (c->trusted_reader == trust)
        return;
    c->trusted_reader = trust;
    if (!c->unix_socket)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

/* Something came while the answer is made: the next request, or the end. It has to wait, unregistered. */
static void held_event(h2o_socket_t *sock, const char *err)
{
    conn_release(conn_of(sock));
}

void conn_hold(struct conn *c)
{
    c->held = true;
    h2o_socket_dont_read(c->sock, 1);
    h2o_socket_read_start(c->sock, held_event);
}

void conn_release(struct conn *c)
{
    if (!c->held)
        return;
    c->held = false;
    h2o_socket_read_stop(c->sock);
    h2o_socket_dont_read(c->sock, 0);
}

static struct conn *record_new(struct http_worker *w, int fd, const struct listener *from, const struct sockaddr *peer)
{
    struct conn *c = CCP_FAULT("http.conn") ? NULL : calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    const struct sockaddr *net = from != NULL && !from->unix_socket ? peer : NULL;
    c->w = w;
    c->fd = fd;
    c->unix_socket = net == NULL;
    c->timer.fire = deadline_fire;
    c->guard.allow_preface = w->options.h2c == HTTP_H2C_ON ||
                             (w->options.h2c == HTTP_H2C_LOOPBACK && (net == NULL || peer_is_loopback(net)));
    if (w->listeners != NULL)
        c->trusted = peer_trusted(w->listeners->trusted, w->listeners->trusted_count, net);
    c->peer_n = net != NULL ? peer_print(c->peer, sizeof(c->peer), net) : 4;
    if (net == NULL)
        memcpy(c->peer, "unix", 4);
    return c;
}

static void record_link(struct conn *c)
{
    struct http_worker *w = c->w;
    c->next = w->conns;
    c->prev = &w->conns;
    if (c->next != NULL)
        c->next->prev = &c->next;
    w->conns = c;
    w->conn_n++;
    atomic_fetch_add(&w->shared->connections, 1);
}

static bool watch_gone(struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data = {.ptr = c}};
    return epoll_ctl(c->w->gone_ep, EPOLL_CTL_ADD, c->fd, &ev) == 0;
}

bool conn_new(struct http_worker *w, int fd, const struct listener *from, const struct sockaddr *peer, socklen_t len)
{
    struct conn *c = record_new(w, fd, from, peer);
    if (c == NULL || !watch_gone(c)) {
        free(c);
        close(fd);
        return false;
    }
    int on = 1;
    if (!c->unix_socket)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->trusted_reader = true;
    conn_trust_reader(c, false);
    record_link(c);
    c->sock = h2o_evloop_socket_create(w->evloop, fd, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    c->sock->on_close.cb = conn_closed;
    c->sock->on_close.data = c;
    guard_memory_open(&c->guard, c->sock);
    SSL_CTX *ssl = from != NULL && !from->unix_socket ? tls_ref(&w->listeners->tls) : NULL;
    c->tls = ssl != NULL;
    if (c->tls)
        c->guard.allow_preface = false;
    budget_take(conn_cost(c));
    w->accept.ssl_ctx = ssl;
    conn_enter(c);
    h2o_accept(&w->accept, c->sock);
    conn_leave(c);
    SSL_CTX_free(ssl); /* the handshake holds its own reference */
    return true;
}

static void went_away(struct conn *c)
{
    c->half_closed = true;
    if (c->guard.h2)
        conn_cut(c); /* h2o may have stopped reading; this way its writes fail */
    else if (c->busy != NULL)
        request_client_gone(c->busy);
}

void conn_ready_gone(void *worker)
{
    struct http_worker *w = worker;
    struct epoll_event events[64];
    int n = epoll_wait(w->gone_ep, events, 64, 0);
    for (int i = 0; i < n; i++)
        went_away(events[i].data.ptr);
}

/*
 * Accepting: each worker listens on its own duplicate of every listening socket; whoever is awake takes the
 * connection. At the connection limit, or when the system refuses descriptors, the worker stops listening and
 * tries again a moment later: no busy loop, and what waits in the backlog is served when room is made.
 */
#include <http/http_impl.h>

#include <base/budget.h>
#include <base/log.h>

#include <errno.h>
#include <fcntl.h>

#define ACCEPTS_PER_TURN 2 /* few, so that the other workers get their share of a burst */
#define RETRY_MS         50
#define COMPLAIN_MS      10000

static void listen_on(struct http_worker *w);

static void stop_listening(struct http_worker *w)
{
    for (size_t i = 0; i < w->listening_n; i++)
        h2o_socket_read_stop(w->listening[i]);
    w->accepting = false;
    loop_timer_set(&w->loop, &w->accept_retry, RETRY_MS);
}

static bool full(const struct http_worker *w)
{
    return atomic_load(&w->shared->connections) >= w->max_connections || budget_level(0) == BUDGET_FULL;
}

/* At the limit of descriptors this would be said with every retry. */
static void complain(struct http_worker *w, int error)
{
    if (w->accept_complained != 0 && w->loop.now_ms - w->accept_complained < COMPLAIN_MS)
        return;
    w->accept_complained = w->loop.now_ms;
    log_warn("http", "accept: %s", strerror(error));
}

/* False = nothing more to take now. */
static bool accept_one(struct http_worker *w, h2o_socket_t *sock, const struct listener *from)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    if (full(w)) {
        stop_listening(w);
        return false;
    }
    int fd = accept4(h2o_socket_get_fd(sock), (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        return conn_new(w, fd, from, (struct sockaddr *)&peer, len);
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        complain(w, errno);
        stop_listening(w);
        return false;
    }
    return errno == ECONNABORTED || errno == EINTR;
}

static void on_listener(h2o_socket_t *sock, const char *err)
{
    struct http_worker *w = sock->data;
    if (err != NULL)
        return;
    loop_works(&w->loop);
    for (size_t i = 0; i < w->listening_n; i++)
        if (w->listening[i] == sock)
            for (int n = 0; n < ACCEPTS_PER_TURN && accept_one(w, sock, &w->listeners->list[i]);)
                n++;
}

static void retry(struct loop_timer *timer)
{
    struct http_worker *w = (struct http_worker *)((char *)timer - offsetof(struct http_worker, accept_retry));
    if (full(w))
        loop_timer_set(&w->loop, timer, RETRY_MS);
    else
        listen_on(w);
}

static void listen_on(struct http_worker *w)
{
    w->accepting = true;
    for (size_t i = 0; i < w->listening_n; i++)
        h2o_socket_read_start(w->listening[i], on_listener);
}

bool accept_open(struct http_worker *w)
{
    w->accept_retry.fire = retry;
    for (size_t i = 0; w->listeners != NULL && i < w->listeners->n; i++) {
        int fd = fcntl(w->listeners->list[i].fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
            return false;
        w->listening[i] = h2o_evloop_socket_create(w->evloop, fd, H2O_SOCKET_FLAG_DONT_READ);
        w->listening[i]->data = w;
        w->listening_n = i + 1;
    }
    listen_on(w);
    return true;
}

void accept_close(struct http_worker *w)
{
    loop_timer_stop(&w->loop, &w->accept_retry);
    for (size_t i = 0; i < w->listening_n; i++)
        h2o_socket_close(w->listening[i]);
    w->listening_n = 0;
    w->accepting = false;
}

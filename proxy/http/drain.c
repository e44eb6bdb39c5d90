/*
 * Draining: no new connections, idle ones closed, HTTP/2 told in two steps (h2o sends GOAWAY twice, a second
 * apart), running answers finished. At the deadline what is left is broken off by the chain, which still may
 * say why; a moment later the worker stops whatever is open.
 */
#include <http/http_impl.h>

#include <sys/socket.h>

#define TICK_MS   20
#define GOAWAY_MS 1200 /* both GOAWAY frames are out */
#define LAST_MS   1000 /* for the chain's last words after the deadline */

static bool idle(const struct conn *c)
{
    return !c->guard.h2 && (c->state == CONN_IDLE || (c->state == CONN_NEW && c->guard.bytes_in == 0));
}

static void close_idle(struct http_worker *w, bool http2_too)
{
    for (struct conn *c = w->conns; c != NULL; c = c->next)
        if (idle(c))
            shutdown(c->fd, SHUT_RD); /* h2o reads the end and closes */
        else if (http2_too && c->guard.h2 && c->requests == 0)
            conn_cut(c);
}

void drain_begin(void *worker)
{
    struct http_worker *w = worker;
    if (w->draining)
        return;
    w->draining = true;
    w->drain_began = w->loop.now_ms;
    w->drain_timer.fire = drain_tick;
    accept_close(w);
    if (w->backend != NULL && w->backend->drain != NULL)
        w->backend->drain(w->chain);
    h2o_context_request_shutdown(&w->ctx);
    close_idle(w, false);
    if (!loop_timer_set(&w->loop, &w->drain_timer, TICK_MS))
        atomic_store(&w->stop, true);
}

void drain_tick(struct loop_timer *timer)
{
    struct http_worker *w = (struct http_worker *)((char *)timer - offsetof(struct http_worker, drain_timer));
    uint64_t passed = w->loop.now_ms - w->drain_began, deadline = w->options.drain_timeout_ms;
    close_idle(w, passed >= GOAWAY_MS);
    if (passed >= deadline && !w->aborted && w->request_n != 0) {
        w->aborted = true;
        if (w->backend != NULL && w->backend->abort_all != NULL)
            w->backend->abort_all(w->chain);
    }
    bool over = w->conn_n == 0 || passed >= deadline + LAST_MS;
    if (over || !loop_timer_set(&w->loop, timer, TICK_MS))
        atomic_store(&w->stop, true);
}

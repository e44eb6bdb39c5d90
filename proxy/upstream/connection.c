/*
 * One connection: bytes in, bytes out, and what its socket has announced.
 *
 * The socket is edge-triggered, so `readable` stays set until a read found nothing more. A read that did not fill
 * its room took all there was, unless the end was announced too: then one more is due.
 */
#include <upstream/direct_impl.h>

#include <base/fault.h>
#include <errno.h>
#include <unistd.h>

static void on_event(struct watcher *w, uint32_t events)
{
    struct connection *c = LINK_OWNER(w, struct connection, watcher);

    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        c->hup = true;
    if (c->hup || (events & EPOLLIN) != 0)
        c->readable = true;
    direct_event(c->user);
}

struct connection *connection_new(struct upstream *u, struct pool *pool, int fd)
{
    struct connection *c = CCP_FAULT("upstream.conn") ? NULL : calloc(1, sizeof(*c));

    if (c == NULL) {
        sockets_close(&u->sockets, fd);
        return NULL;
    }
    c->watcher.ready = on_event;
    c->u = u;
    c->pool = pool;
    c->fd = fd;
    c->era = u->era;
    c->secured = true; /* tls_attach says otherwise */
    link_init(&c->idle);
    link_init(&c->kept);
    sockets_rewatch(&u->sockets, fd, &c->watcher);
    return c;
}

void connection_use(struct connection *c, struct direct *d)
{
    c->user = d;
    c->watcher.ready = on_event;
}

void connection_close(struct connection *c)
{
    tls_detach(c);
    sockets_close(&c->u->sockets, c->fd);
    pool_leave(c->u, c->pool);
    free(c);
}

static enum io after(struct connection *c, ssize_t done, size_t *n)
{
    if (done > 0) {
        *n = (size_t)done;
        return IO_DONE;
    }
    return done < 0 && errno == EAGAIN ? IO_AGAIN : IO_FAILED;
}

static enum io plain_read(struct connection *c, char *p, size_t room, size_t *n)
{
    ssize_t got;

    do
        got = CCP_FAULT("upstream.recv") ? (errno = ECONNRESET, -1) : recv(c->fd, p, room, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return IO_END;
    if (got < 0 || (!c->hup && (size_t)got < room))
        c->readable = false;
    return after(c, got, n);
}

bool connection_silent(struct connection *c)
{
    char byte;

    if (c->ssl != NULL)
        return tls_idle_ok(c);
    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

enum io connection_read(struct connection *c, char *p, size_t room, size_t *n)
{
    return c->ssl != NULL ? tls_read(c, p, room, n) : plain_read(c, p, room, n);
}

enum io connection_write(struct connection *c, const struct iovec *v, int pieces, size_t *n)
{
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)pieces};
    ssize_t sent;

    if (c->ssl != NULL)
        return tls_write(c, v, pieces, n);
    do
        sent = CCP_FAULT("upstream.send") ? (errno = EPIPE, -1) : sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return after(c, sent, n);
}

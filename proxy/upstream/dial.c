/*
 * From a name to a connection: lookup, address rules, connect, and for https the handshake.
 *
 * Addresses are tried in the order the resolver gave them, each HEAD_START_MS before the next joins in (RFC 8305
 * section 5); the first that connects wins and the others are closed. Every address is judged right before it is
 * connected to. One deadline covers all of it, but not the wait for a place between name and connect. Gone as soon as
 * the connection can be used.
 */
#include <upstream/direct_impl.h>

#include <base/fault.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

struct attempt {
    struct watcher watcher;
    struct dial *dial;
    int fd;
};

struct dial {
    struct direct *d;
    struct pool *pool; /* one of its users, until the connection is; NULL before the transfer has its place */
    struct name_wait name;
    struct addresses *found;
    size_t next; /* address to be tried */
    size_t open; /* attempts under way */
    struct loop_timer limit, head_start;
    uint64_t began_ms, spent_ms; /* of the connect timeout */
    int error;                   /* errno of the last attempt that failed */
    char refused[64];
    struct attempt attempts[RESOLVE_ADDRESSES_MAX];
};

static struct upstream *upstream_of(const struct dial *dial)
{
    return dial->d->t.u;
}

static void attempt_end(struct attempt *a)
{
    if (a->fd < 0)
        return;
    sockets_close(&upstream_of(a->dial)->sockets, a->fd);
    a->fd = -1;
    a->dial->open--;
}

void dial_free(struct dial *dial)
{
    if (dial == NULL)
        return;
    struct upstream *u = upstream_of(dial);
    host_names_cancel(&dial->name);
    loop_timer_stop(u->loop, &dial->limit);
    loop_timer_stop(u->loop, &dial->head_start);
    for (size_t i = 0; i < dial->next; i++)
        attempt_end(&dial->attempts[i]);
    addresses_unref(dial->found);
    if (dial->pool != NULL)
        pool_leave(u, dial->pool);
    free(dial);
}

/* ---- ends -------------------------------------------------------------------------------------------- */

static void on_limit(struct loop_timer *timer)
{
    struct dial *dial = LINK_OWNER(timer, struct dial, limit);
    struct ccp_transfer *t = &dial->d->t;
    int shown = (int)(t->url.host.n < 128 ? t->url.host.n : 128);

    if (dial->found == NULL)
        transfer_fail(t, CCP_UPSTREAM_TIMEOUT, "%.*s: name not resolved within the connect timeout of %llu ms", shown,
                      t->url.host.p, (unsigned long long)t->request->limits.connect_ms);
    else
        transfer_fail_at_host(t, CCP_UPSTREAM_TIMEOUT, "no connection within the connect timeout", NULL);
}

/* Every address was refused by the rules, or failed. */
static void give_up(struct dial *dial)
{
    struct ccp_transfer *t = &dial->d->t;

    if (dial->error == ENOMEM)
        transfer_fail(t, CCP_INTERNAL, "out of memory");
    else if (dial->error == 0 && dial->refused[0] != 0)
        transfer_fail(t, CCP_UPSTREAM, "the address %s of %.*s is private; set allow_private = true", dial->refused,
                      (int)(t->url.host.n < 128 ? t->url.host.n : 128), t->url.host.p);
    else
        transfer_fail_at_host(t, CCP_UPSTREAM, failure_unreachable(dial->error), NULL);
}

static void handshake(struct dial *dial)
{
    struct direct *d = dial->d;
    struct connection *c = d->conn;
    const char *why = NULL;
    char detail[160] = "";

    switch (tls_handshake(c, &why, detail, sizeof(detail))) {
    case IO_DONE:
        d->conn = NULL;
        d->dial = NULL;
        dial_free(dial);
        direct_connected(d, c);
        return;
    case IO_AGAIN:
        return;
    default:
        transfer_fail_at_host(&d->t, CCP_UPSTREAM, why, detail[0] != 0 ? detail : NULL);
        return;
    }
}

void dial_event(struct dial *dial)
{
    handshake(dial);
}

static void connected(struct attempt *a, uint32_t events)
{
    struct dial *dial = a->dial;
    struct direct *d = dial->d;
    struct connection *c = connection_new(d->t.u, dial->pool, a->fd);

    a->fd = -1;
    dial->open--;
    if (c == NULL) {
        transfer_fail(&d->t, CCP_INTERNAL, "out of memory");
        return;
    }
    dial->pool = NULL; /* the connection has taken this place */
    c->hup = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    c->readable = c->hup || (events & EPOLLIN) != 0;
    for (size_t i = 0; i < dial->next; i++)
        attempt_end(&dial->attempts[i]);
    loop_timer_stop(d->t.u->loop, &dial->head_start);
    if (d->t.url.scheme.n != 5) { /* http */
        d->dial = NULL;
        dial_free(dial);
        direct_connected(d, c);
        return;
    }
    connection_use(c, d);
    d->conn = c;
    if (tls_attach(c, &d->t))
        handshake(dial);
    else
        transfer_fail(&d->t, CCP_INTERNAL, "out of memory");
}

/* ---- attempts ---------------------------------------------------------------------------------------- */

static void try_next(struct dial *dial);

static void on_event(struct watcher *w, uint32_t events)
{
    struct attempt *a = LINK_OWNER(w, struct attempt, watcher);
    struct dial *dial = a->dial;
    int error = 0;
    socklen_t n = sizeof(error);

    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) == 0)
        return;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
        error = errno;
    if (error == 0 && (events & EPOLLOUT) != 0) {
        connected(a, events);
        return;
    }
    dial->error = error != 0 ? error : ECONNREFUSED;
    attempt_end(a);
    try_next(dial);
}

static int socket_for(const struct address *address)
{
    int one = 1;
    int fd = CCP_FAULT("upstream.socket")
                 ? -1
                 : socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    return fd;
}

/* 0 = under way, else errno. */
static int attempt_begin(struct attempt *a, const struct address *address, uint16_t port)
{
    struct upstream *u = upstream_of(a->dial);
    struct sockaddr_storage to = address->addr;
    int fd = socket_for(address);

    if (fd < 0)
        return errno != 0 ? errno : EMFILE;
    u->counters.connections_opened++;
    if (to.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&to)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&to)->sin_port = htons(port);
    int error = connect(fd, (const struct sockaddr *)&to, address->len) == 0 || errno == EINPROGRESS ? 0 : errno;
    a->watcher.ready = on_event;
    if (error == 0 && !sockets_watch(&u->sockets, fd, &a->watcher))
        error = ENOMEM;
    if (error != 0) {
        close(fd);
        return error;
    }
    a->fd = fd;
    a->dial->open++;
    return 0;
}

/* Starts the next attempt that can be started; gives up when there is none and none is under way. */
static void try_next(struct dial *dial)
{
    const struct ccp_upstream_request *r = dial->d->t.request;
    struct loop *loop = upstream_of(dial)->loop;
    bool begun = false;

    while (!begun && dial->next < dial->found->n) {
        struct attempt *a = &dial->attempts[dial->next];
        const struct address *address = &dial->found->v[dial->next++];
        *a = (struct attempt){.dial = dial, .fd = -1};
        if (!upstream_address_allowed((const struct sockaddr *)&address->addr, r->allow_private, r->literal_host)) {
            failure_address((const struct sockaddr *)&address->addr, dial->refused, sizeof(dial->refused));
            continue;
        }
        int error = attempt_begin(a, address, dial->d->t.url.port);
        begun = error == 0;
        if (!begun)
            dial->error = error;
    }
    loop_timer_stop(loop, &dial->head_start);
    if (dial->open == 0)
        give_up(dial);
    else if (dial->next < dial->found->n) /* without a timer the next waits for this one's failure */
        (void)loop_timer_set(loop, &dial->head_start, HEAD_START_MS);
}

static void on_head_start(struct loop_timer *timer)
{
    try_next(LINK_OWNER(timer, struct dial, head_start));
}

/* ---- names ------------------------------------------------------------------------------------------- */

static void not_found(struct dial *dial, const char *why)
{
    struct ccp_transfer *t = &dial->d->t;

    transfer_fail(t, CCP_UPSTREAM, "%.*s: name not resolved: %s", (int)(t->url.host.n < 128 ? t->url.host.n : 128),
                  t->url.host.p, why);
}

/* The clock of the connect timeout: it stands while the transfer waits for its place. False = no memory. */
static bool clock_runs(struct dial *dial)
{
    uint64_t limit = dial->d->t.request->limits.connect_ms;

    dial->began_ms = upstream_of(dial)->loop->now_ms;
    if (limit == 0)
        return true;
    return loop_timer_set(upstream_of(dial)->loop, &dial->limit, limit > dial->spent_ms ? limit - dial->spent_ms : 0);
}

static void clock_stands(struct dial *dial)
{
    dial->spent_ms += upstream_of(dial)->loop->now_ms - dial->began_ms;
    loop_timer_stop(upstream_of(dial)->loop, &dial->limit);
}

static void on_found(struct name_wait *wait, struct addresses *found, const char *why)
{
    struct dial *dial = LINK_OWNER(wait, struct dial, name);
    struct ccp_transfer *t = &dial->d->t;

    dial->found = found;
    if (found == NULL) {
        not_found(dial, why);
    } else if (dial->pool != NULL) {
        try_next(dial);
    } else { /* goes for its place in the loop task */
        clock_stands(dial);
        link_append(&t->u->starting, &t->queue);
        upstream_wake(t->u);
    }
}

/* NULL = no memory. */
static struct dial *dial_new(struct direct *d)
{
    struct dial *dial = CCP_FAULT("upstream.dial") ? NULL : calloc(1, sizeof(*dial));

    if (dial == NULL)
        return NULL;
    dial->d = d;
    dial->limit.fire = on_limit;
    dial->head_start.fire = on_head_start;
    dial->name.done = on_found;
    d->dial = dial;
    return dial;
}

static enum name_answer find_name(struct dial *dial)
{
    struct direct *d = dial->d;
    const char *why = NULL;
    enum name_answer answer = host_names_find(d->t.u->names, d->t.url.host, &dial->name, &dial->found, &why);

    if (answer == NAME_FAILED)
        not_found(dial, why);
    return answer;
}

bool dial_lookup(struct direct *d)
{
    struct dial *dial = dial_new(d);

    if (dial != NULL && clock_runs(dial)) {
        enum name_answer answer = find_name(dial);
        if (answer == NAME_FOUND)
            clock_stands(dial);
        return answer == NAME_FOUND;
    }
    transfer_fail(&d->t, CCP_INTERNAL, "out of memory");
    return false;
}

bool dial_start(struct direct *d, struct pool *pool)
{
    struct dial *dial = d->dial != NULL ? d->dial : dial_new(d);

    if (dial == NULL || !clock_runs(dial))
        return false;
    dial->pool = pool;
    if (dial->found != NULL || find_name(dial) == NAME_FOUND)
        try_next(dial);
    return true;
}

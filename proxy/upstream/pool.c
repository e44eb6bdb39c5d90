/*
 * Kept-alive connections: per host and per set of rules they were opened under, the one used last first.
 *
 * A connection opened under one trust store, or with private addresses allowed, never serves a request with other
 * rules. Idle ones are watched: what the server closes is closed here, and what stays idle for KEPT_MS too. Taking
 * and giving cost the same however many there are.
 */
#include <upstream/direct_impl.h>

#include <base/assert.h>
#include <base/fault.h>

static struct pool *pool_new(struct ccp_transfer *t)
{
    struct pool *pool = CCP_FAULT("upstream.pool") ? NULL : calloc(1, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    pool->host = t->host;
    pool->trust = trust_ref(t->trust);
    pool->allow_private = t->request->allow_private;
    pool->literal_host = t->request->literal_host;
    link_init(&pool->idle);
    pool->next = t->host->pools;
    t->host->pools = pool;
    return pool;
}

static struct pool *pool_of(const struct host *host, const struct ccp_transfer *t)
{
    const struct ccp_upstream_request *r = t->request;
    struct pool *pool = host->pools;

    while (pool != NULL && (pool->trust != t->trust || pool->allow_private != r->allow_private ||
                            pool->literal_host != r->literal_host))
        pool = pool->next;
    return pool;
}

bool pool_serves(const struct ccp_transfer *t)
{
    const struct host *host = host_known(t->u, &t->url);
    const struct pool *pool = host != NULL ? pool_of(host, t) : NULL;

    return pool != NULL && !link_alone(&pool->idle);
}

struct pool *pool_enter(struct ccp_transfer *t)
{
    struct pool *pool = pool_of(t->host, t);

    if (pool == NULL)
        pool = pool_new(t);
    if (pool != NULL)
        pool->users++;
    return pool;
}

static void pool_free(struct upstream *u, struct pool *pool)
{
    struct host *host = pool->host;
    struct pool **at = &host->pools;

    while (*at != pool)
        at = &(*at)->next;
    *at = pool->next;
    SSL_SESSION_free(pool->session);
    trust_unref(pool->trust);
    free(pool);
    host_unused(u, host);
}

void pool_leave(struct upstream *u, struct pool *pool)
{
    CCP_ASSERT(pool->users != 0);
    if (--pool->users == 0 && pool->session == NULL) /* with a session it waits for the next reload */
        pool_free(u, pool);
}

static void leave_idle(struct connection *c)
{
    link_remove(&c->idle);
    link_remove(&c->kept);
    c->u->kept_n--;
}

struct connection *pool_take(struct pool *pool)
{
    if (link_alone(&pool->idle))
        return NULL;
    struct connection *c = LINK_OWNER(pool->idle.next, struct connection, idle);
    leave_idle(c);
    pool->users--; /* the connection was one, and so was who takes it */
    c->reused = true;
    return c;
}

static void drop(struct connection *c)
{
    leave_idle(c);
    connection_close(c);
}

static void on_idle_event(struct watcher *w, uint32_t events)
{
    struct connection *c = LINK_OWNER(w, struct connection, watcher);

    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
        return;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 || !connection_silent(c))
        drop(c);
}

static void arm(struct upstream *u)
{
    const struct connection *oldest = LINK_OWNER(u->kept.next, struct connection, kept);
    uint64_t due = oldest->idle_since + KEPT_MS, now = u->loop->now_ms;

    /* Without memory the next give tries again; until then the server's own limit closes them. */
    (void)loop_timer_set(u->loop, &u->reaper, due > now ? due - now : 0);
}

void pool_give(struct connection *c)
{
    struct upstream *u = c->u;

    /* Bytes that nobody asked for would be taken for the next answer. */
    if (c->era != u->era || c->hup || (c->readable && !connection_silent(c))) {
        connection_close(c);
        return;
    }
    c->user = NULL;
    c->watcher.ready = on_idle_event;
    c->idle_since = u->loop->now_ms;
    link_append(c->pool->idle.next, &c->idle); /* before the first: newest first */
    link_append(&u->kept, &c->kept);
    if (++u->kept_n > KEPT_MAX)
        drop(LINK_OWNER(u->kept.next, struct connection, kept));
    if (u->reaper.slot == 0)
        arm(u);
}

void pool_fire(struct loop_timer *timer)
{
    struct upstream *u = LINK_OWNER(timer, struct upstream, reaper);

    while (!link_alone(&u->kept)) {
        struct connection *c = LINK_OWNER(u->kept.next, struct connection, kept);
        if (u->loop->now_ms - c->idle_since < KEPT_MS) {
            arm(u);
            return;
        }
        drop(c);
    }
}

void pools_drop_idle(struct upstream *u)
{
    u->era++;
    while (!link_alone(&u->kept))
        drop(LINK_OWNER(u->kept.next, struct connection, kept));
    for (size_t i = 0; i < HOST_BUCKETS; i++)
        for (struct host *host = u->hosts[i], *after; host != NULL; host = after) {
            after = host->next;
            host->active++; /* stays until its pools are done with */
            for (struct pool *pool = host->pools, *next; pool != NULL; pool = next) {
                next = pool->next;
                SSL_SESSION_free(pool->session);
                pool->session = NULL;
                if (pool->users == 0)
                    pool_free(u, pool);
            }
            host->active--;
            host_unused(u, host);
        }
}

/*
 * One upstream per worker: its transfers, its connections, and the one loop task that does all the work.
 *
 * A turn starts what was queued, lets curl run, collects what ended and then calls the owners; so whatever an
 * owner does in a callback (start, cancel, pause, resume) finds curl at rest.
 */
#include <upstream/upstream_impl.h>

#include <base/assert.h>

bool upstream_global_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void upstream_global_release(void)
{
    curl_global_cleanup();
}

void upstream_wake(struct upstream *u)
{
    loop_soon(u->loop, &u->task);
}

void upstream_mark(struct ccp_transfer *t)
{
    if (link_alone(&t->dirty))
        link_append(&t->u->dirty, &t->dirty);
    upstream_wake(t->u);
}

static void begin_queued(struct upstream *u)
{
    while (!link_alone(&u->starting)) {
        struct ccp_transfer *t = LINK_OWNER(u->starting.next, struct ccp_transfer, queue);
        link_remove(&t->queue);
        transfer_begin(t);
    }
}

/* Those that get news while this runs wait for the next turn. */
static void deliver_dirty(struct upstream *u)
{
    struct link now;

    link_init(&now);
    if (link_alone(&u->dirty))
        return;
    link_append(&u->dirty, &now);
    link_remove(&u->dirty); /* `now` heads the list from here on */
    while (!link_alone(&now)) {
        struct ccp_transfer *t = LINK_OWNER(now.next, struct ccp_transfer, dirty);
        link_remove(&t->dirty);
        transfer_deliver(t);
    }
}

static void run(struct loop_task *task)
{
    struct upstream *u = LINK_OWNER(task, struct upstream, task);

    begin_queued(u);
    shards_run(u);
    shards_collect(u);
    deliver_dirty(u);
}

struct upstream *upstream_new(struct loop *loop, const struct upstream_options *options, struct trust *trust)
{
    struct upstream *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return NULL;
    u->loop = loop;
    u->task.run = run;
    u->max_per_host = options->max_connections_per_host;
    u->trust = trust_ref(trust);
    link_init(&u->all);
    link_init(&u->starting);
    link_init(&u->dirty);
    bool ok = sockets_init(&u->sockets);
    if (ok && options->user_agent != NULL)
        ok = (u->user_agent = strdup(options->user_agent)) != NULL;
    if (ok)
        return u;
    upstream_free(u);
    return NULL;
}

void upstream_free(struct upstream *u)
{
    if (u == NULL)
        return;
    while (!link_alone(&u->all))
        transfer_free(LINK_OWNER(u->all.next, struct ccp_transfer, all));
    shards_release(u);
    while (u->pool_n != 0)
        curl_easy_cleanup(u->pool[--u->pool_n]);
    for (size_t i = 0; i < HOST_BUCKETS; i++)
        CCP_ASSERT(u->hosts[i] == NULL);
    loop_task_cancel(u->loop, &u->task);
    sockets_release(&u->sockets);
    trust_unref(u->trust);
    free(u->user_agent);
    free(u);
}

void upstream_reconfigure(struct upstream *u, size_t max_connections_per_host, struct trust *trust)
{
    struct trust *old = u->trust;

    u->max_per_host = max_connections_per_host;
    u->trust = trust_ref(trust);
    trust_unref(old);
    shards_drop_idle(u, 0); /* nothing will ask for the old store again */
}

int upstream_fd(const struct upstream *u)
{
    return u->sockets.epoll;
}

void upstream_ready(struct upstream *u)
{
    sockets_poll(&u->sockets, shard_act);
    upstream_wake(u);
}

struct upstream_counters upstream_counters(const struct upstream *u)
{
    return u->counters;
}

/*
 * One upstream per worker: its transfers, its connections, and the one loop task that does all the work.
 *
 * A turn starts what was queued, lets curl run, collects what ended and then calls the owners; so whatever an
 * owner does in a callback (start, cancel, pause, resume) finds curl at rest. What comes in on a connection of the
 * direct engine is told at once, from upstream_ready.
 */
#include <upstream/direct_impl.h>

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

static void on_names(struct watcher *w, uint32_t events)
{
    if ((events & EPOLLIN) != 0)
        host_names_ready(LINK_OWNER(w, struct upstream, names_watcher)->names);
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
    link_init(&u->kept);
    u->reaper.fire = pool_fire;
    u->names_watcher.ready = on_names;
    u->curl_only = options->curl_only;
    bool ok =
        sockets_init(&u->sockets) && (u->in = malloc(READ_BYTES)) != NULL && (u->out = malloc(2 * WRITE_BYTES)) != NULL;
    if (ok && options->resolver != NULL)
        ok = (u->names = host_names_new(options->resolver, loop)) != NULL &&
             sockets_watch(&u->sockets, host_names_fd(u->names), &u->names_watcher);
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
    pools_drop_idle(u);
    loop_timer_stop(u->loop, &u->reaper);
    while (u->pool_n != 0)
        curl_easy_cleanup(u->pool[--u->pool_n]);
    for (size_t i = 0; i < HOST_BUCKETS; i++)
        CCP_ASSERT(u->hosts[i] == NULL);
    loop_task_cancel(u->loop, &u->task);
    sockets_release(&u->sockets);
    host_names_free(u->names);
    trust_unref(u->trust);
    trust_unref(u->nobody);
    free(u->user_agent);
    free(u->in);
    free(u->out);
    free(u);
}

void upstream_reconfigure(struct upstream *u, size_t max_connections_per_host, struct trust *trust)
{
    struct trust *old = u->trust;

    u->max_per_host = max_connections_per_host;
    u->trust = trust_ref(trust);
    trust_unref(old);
    shards_drop_idle(u, 0); /* nothing will ask for the old store again */
    pools_drop_idle(u);
}

int upstream_fd(const struct upstream *u)
{
    return u->sockets.epoll;
}

void upstream_ready(struct upstream *u)
{
    loop_works(u->loop); /* what comes now is told to its owner at once, with the right time */
    if (sockets_poll(&u->sockets, shard_act))
        upstream_wake(u);
}

struct upstream_counters upstream_counters(const struct upstream *u)
{
    return u->counters;
}

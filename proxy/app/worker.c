/*
 * A worker: puts http, chain and upstream on one loop, and runs it.
 *
 * Built and taken apart on the main thread; in between only its own thread touches it, except by messages.
 */
#include <app/server.h>

#include <base/log.h>
#include <chain/admin.h>

#include <unistd.h>

#define STACK_BYTES ((size_t)4 << 20)

static const struct http_backend backend = {chain_begin, chain_client_gone, chain_writable, chain_drain,
                                            chain_abort_all};

static void on_upstream(void *arg)
{
    upstream_ready(arg);
}

/* What one worker may use of the limit that all have together. */
static size_t share_of_host(const struct server *s, const struct runtime *rt)
{
    size_t limit = (size_t)rt->settings.upstream.max_connections_per_host;
    return (limit + s->worker_n - 1) / s->worker_n; /* 0 stays 0: no limit */
}

/* The view outlives the worker: the service's last messages still reach it. */
static bool open_view(struct worker *w, struct server *s, struct loop *loop)
{
    if (s->auth == NULL)
        return true;
    w->auth = auth_view_new(s->auth, (size_t)(w - s->workers));
    if (w->auth != NULL)
        chain_worker_set_auth(w->chain, w->auth);
    return w->auth != NULL;
}

bool worker_open(struct worker *w, struct server *s)
{
    struct upstream_options options = {.max_connections_per_host = share_of_host(s, s->rt),
                                       .curl_only = s->rt->settings.upstream.transport == UPSTREAM_CURL,
                                       .resolver = s->resolver};
    w->server = s;
    w->http = http_worker_new(&s->options, s->listeners);
    if (w->http == NULL)
        return false;
    struct loop *loop = http_worker_loop(w->http);
    w->upstream = upstream_new(loop, &options, s->rt->trust);
    if (w->upstream == NULL || !http_worker_watch(w->http, upstream_fd(w->upstream), on_upstream, w->upstream))
        return false;
    w->chain = chain_worker_new(loop, &upstream_transport, w->upstream, runtime_ref(s->rt));
    if (w->chain == NULL || !open_view(w, s, loop))
        return false;
    chain_worker_set_executor(w->chain, s->executor, (size_t)(w - s->workers));
    chain_worker_set_hub(w->chain, s->hub);
    chain_worker_set_admin(w->chain, admin_port_of(s->admin));
    http_worker_set_backend(w->http, &backend, w->chain);
    return true;
}

static void *run(void *arg)
{
    struct worker *w = arg;
    uint64_t one = 1;
    http_worker_run(w->http);
    if (write(w->server->ended_fd, &one, sizeof(one)) != sizeof(one))
        log_error("main", "a worker could not report its end");
    return NULL;
}

bool worker_start(struct worker *w, size_t number)
{
    char name[16];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    w->running = pthread_create(&w->thread, &attributes, run, w) == 0;
    pthread_attr_destroy(&attributes);
    snprintf(name, sizeof(name), "worker-%zu", number);
    if (w->running)
        pthread_setname_np(w->thread, name);
    return w->running;
}

struct change {
    struct worker *worker;
    struct runtime *rt;
};

static void apply(void *arg)
{
    struct change *c = arg;
    struct http_options options;
    server_options(&options, &c->rt->settings.server);
    http_worker_reconfigure(c->worker->http, &options);
    upstream_reconfigure(c->worker->upstream, share_of_host(c->worker->server, c->rt), c->rt->trust);
    chain_worker_set_runtime(c->worker->chain, c->rt);
    free(c);
}

void worker_set_runtime(struct worker *w, struct runtime *rt)
{
    struct change *c = malloc(sizeof(*c));
    if (c != NULL) {
        *c = (struct change){w, rt};
        if (http_worker_post(w->http, apply, c))
            return;
    }
    free(c);
    runtime_unref(rt);
    log_error("main", "a worker could not be told of the new configuration and keeps the old one");
}

void worker_close(struct worker *w)
{
    if (w->running)
        pthread_join(w->thread, NULL);
    w->running = false;
    if (w->http != NULL && !http_worker_close(w->http))
        return; /* a connection that will not end still points at all of this */
    if (w->chain != NULL)
        chain_worker_free(w->chain);
    upstream_free(w->upstream);
    if (w->http != NULL)
        http_worker_free(w->http);
    auth_view_free(w->auth); /* after http_worker_free has run what was posted */
    *w = (struct worker){.http = NULL};
}

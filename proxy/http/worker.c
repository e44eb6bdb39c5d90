/*
 * A worker: one h2o context and event loop with our timers and tasks on top.
 *
 * loop_turn runs from a zero timeout of h2o's loop, because whatever calls h2o_send must run inside
 * h2o_evloop_run. What is queued during a turn runs in the next round of the loop, so that tasks cannot starve
 * sockets.
 */
#include <http/http_impl.h>

#include <base/assert.h>
#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>

#include <errno.h>

#define SLEEP_MAX_MS 60000
#define NAP_MAX_MS   1000 /* with connections open: h2o's callbacks do not say that they begin (loop_works) */
#define FREE_TURNS   200
#define FREE_TURN_MS 5

static void turn(h2o_timeout_entry_t *entry)
{
    struct http_worker *w = (struct http_worker *)((char *)entry - offsetof(struct http_worker, turn_entry));
    w->in_turn = true;
    loop_turn(&w->loop);
    w->in_turn = false;
}

static void link_turn(struct http_worker *w)
{
    if (w->in_turn || h2o_timeout_is_linked(&w->turn_entry))
        return;
    h2o_timeout_link(w->evloop, &w->turn_timeout, &w->turn_entry);
    w->turn_entry.registered_at = 0; /* due whatever the wall clock, which h2o goes by, does */
}

static void wake(struct loop *loop)
{
    link_turn(loop->owner);
}

struct http_worker *http_worker_new(const struct http_options *options, struct http_listeners *listeners)
{
    struct http_worker *w = CCP_FAULT("http.worker") ? NULL : calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    guard_init();
    w->options = *options;
    w->listeners = listeners;
    w->shared = listeners != NULL ? &listeners->shared : &w->own_shared;
    w->posts_last = &w->posts;
    pthread_mutex_init(&w->post_lock, NULL);
    settings_limit_connections(w);
    settings_configure(w);
    w->evloop = h2o_evloop_create();
    h2o_context_init(&w->ctx, w->evloop, &w->conf);
    w->accept = (h2o_accept_ctx_t){.ctx = &w->ctx, .hosts = w->conf.hosts};
    h2o_timeout_init(w->evloop, &w->turn_timeout, 0);
    w->turn_entry.cb = turn;
    w->trim_timer.fire = trim_fire;
    loop_init(&w->loop, wake, w);
    if (!ports_open(w) || !accept_open(w)) {
        http_worker_free(w);
        return NULL;
    }
    return w;
}

struct loop *http_worker_loop(struct http_worker *w)
{
    return &w->loop;
}

void http_worker_set_backend(struct http_worker *w, const struct http_backend *backend, struct chain_worker *chain)
{
    w->backend = backend;
    w->chain = chain;
}

bool http_worker_adopt(struct http_worker *w, int fd)
{
    return conn_new(w, fd, NULL, NULL, 0);
}

void http_worker_turn(struct http_worker *w, uint64_t max_ms)
{
    uint64_t wait = loop_wait(&w->loop, w->conn_n != 0 && max_ms > NAP_MAX_MS ? NAP_MAX_MS : max_ms);
    if (wait == 0)
        link_turn(w);
    w->loop.now_ms = clock_ms();
    guard_memory_serve(w->memory_slots);
    loop_sleeps(&w->loop, w->loop.now_ms + wait);
    if (h2o_evloop_run(w->evloop, (int32_t)wait) != 0 && errno != EINTR) {
        log_error("http", "event loop: %s", strerror(errno));
        CCP_ASSERT(errno == EINTR);
    }
}

void http_worker_run(struct http_worker *w)
{
    while (!atomic_load(&w->stop))
        http_worker_turn(w, SLEEP_MAX_MS);
    (void)http_worker_close(w); /* here: h2o's buffers point to what belongs to the thread that began them */
    loop_sleeps(&w->loop, LOOP_NEVER);
    guard_memory_drop_spare();
}

static void stop(void *worker)
{
    struct http_worker *w = worker;
    atomic_store(&w->stop, true);
}

/* Without memory for a message the flag must do, and the loop may be asleep for a minute. */
static void stop_unasked(struct http_worker *w)
{
    atomic_store(&w->stop, true);
    ports_wake(w);
}

void http_worker_stop(struct http_worker *w)
{
    if (!http_worker_post(w, stop, w))
        stop_unasked(w);
}

void http_worker_drain(struct http_worker *w)
{
    if (!http_worker_post(w, drain_begin, w))
        stop_unasked(w);
}

size_t http_worker_connections(const struct http_worker *w)
{
    return w->conn_n;
}

size_t http_worker_requests(const struct http_worker *w)
{
    return w->request_n;
}

/* h2o frees connections by itself once their sockets fail; it only needs to be run. */
static bool end_connections(struct http_worker *w)
{
    for (int i = 0; i < FREE_TURNS && w->conn_n != 0; i++) {
        for (struct conn *c = w->conns; c != NULL; c = c->next) {
            conn_cut(c);
            if (c->busy != NULL)
                request_client_gone(c->busy);
        }
        http_worker_turn(w, FREE_TURN_MS);
    }
    return w->conn_n == 0;
}

static void dispose_h2o(struct http_worker *w)
{
    h2o_timeout_unlink(&w->ctx.http2._graceful_shutdown_timeout);
    h2o_timeout_unlink(&w->turn_entry);
    h2o_timeout_dispose(w->evloop, &w->turn_timeout);
    h2o_context_dispose(&w->ctx);
    h2o_evloop_destroy(w->evloop);
    h2o_config_dispose(&w->conf);
}

/* What the ends of the connections queued has run when nothing is due any more. */
bool http_worker_close(struct http_worker *w)
{
    accept_close(w);
    loop_timer_stop(&w->loop, &w->drain_timer);
    loop_timer_stop(&w->loop, &w->trim_timer);
    bool ended = end_connections(w);
    for (int i = 0; i < FREE_TURNS && loop_wait(&w->loop, 1) == 0; i++)
        http_worker_turn(w, 0);
    return ended;
}

void http_worker_free(struct http_worker *w)
{
    bool ended = http_worker_close(w);
    ports_run_posts(w, true);
    ports_close(w);
    out_drop_spare(w);
    if (!ended) {
        log_error("http", "%zu connections would not end; their memory is left alone", w->conn_n);
        return;
    }
    dispose_h2o(w);
    guard_memory_drop_spare();
    guard_memory_serve(NULL);
    loop_release(&w->loop);
    pthread_mutex_destroy(&w->post_lock);
    free(w);
}

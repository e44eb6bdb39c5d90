/*
 * A worker: one h2o context and event loop with our timers and tasks on top, and the ways in from outside
 * (watched descriptors, posted calls).
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
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define SLEEP_MAX_MS   60000
#define H2O_NEVER_MS   ((uint64_t)365 * 24 * 3600 * 1000) /* our own deadlines act instead */
#define FD_RESERVE     64
#define FREE_TURNS     200
#define FREE_TURN_MS   5

void http_options_init(struct http_options *o)
{
    *o = (struct http_options){
        .port = 8000,
        .unix_socket_mode = 0600,
        .http2 = true,
        .h2c = HTTP_H2C_LOOPBACK,
        .max_connections = 4096,
        .max_in_flight = 1000,
        .max_streams_per_connection = 100,
        .max_body_bytes = 32u << 20,
        .header_timeout_ms = 10000,
        .idle_timeout_ms = 75000,
        .write_timeout_ms = 60000,
        .drain_timeout_ms = 30000,
        .body_min_rate = 1024,
    };
}

void http_process_init(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            log_warn("http", "cannot raise the limit of open files: %s", strerror(errno));
    }
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX; /* prompts never reach a disk */
    guard_init();
}

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

static void on_watched(h2o_socket_t *sock, const char *err)
{
    struct watch *watch = sock->data;
    watch->w->loop.now_ms = clock_ms(); /* the loop may have slept since its last turn */
    watch->ready(watch->arg);
}

bool http_worker_watch(struct http_worker *w, int fd, void (*ready)(void *arg), void *arg)
{
    if (w->watch_n == HTTP_MAX_WATCHES || CCP_FAULT("http.watch"))
        return false;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* h2o closes what it is given */
    if (copy < 0)
        return false;
    struct watch *watch = &w->watches[w->watch_n++];
    *watch = (struct watch){.w = w, .ready = ready, .arg = arg};
    watch->sock = h2o_evloop_socket_create(w->evloop, copy, H2O_SOCKET_FLAG_DONT_READ);
    watch->sock->data = watch;
    h2o_socket_read_start(watch->sock, on_watched);
    return true;
}

static struct post *take_posts(struct http_worker *w, bool last)
{
    pthread_mutex_lock(&w->post_lock);
    struct post *list = w->posts;
    w->posts = NULL;
    w->posts_last = &w->posts;
    w->ended = w->ended || last;
    pthread_mutex_unlock(&w->post_lock);
    return list;
}

static void run_posts(struct http_worker *w, bool last)
{
    for (struct post *p = take_posts(w, last); p != NULL;) {
        struct post *next = p->next;
        p->fn(p->arg);
        free(p);
        p = next;
    }
}

static void on_posted(void *arg)
{
    struct http_worker *w = arg;
    uint64_t count;
    if (read(w->post_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
        log_error("http", "eventfd: %s", strerror(errno));
    run_posts(w, false);
}

bool http_worker_post(struct http_worker *w, void (*fn)(void *arg), void *arg)
{
    struct post *p = CCP_FAULT("http.post") ? NULL : malloc(sizeof(*p));
    if (p == NULL)
        return false;
    *p = (struct post){.fn = fn, .arg = arg};
    pthread_mutex_lock(&w->post_lock);
    bool taken = !w->ended;
    if (taken) {
        *w->posts_last = p;
        w->posts_last = &p->next;
        uint64_t one = 1;
        if (write(w->post_fd, &one, sizeof(one)) < 0) { /* full: the reader is awake anyway */
        }
    }
    pthread_mutex_unlock(&w->post_lock);
    if (!taken)
        free(p);
    return taken;
}

/* h2o's chunked filter makes three buffers of each chunk and closes after errors; response.c frames by itself. */
static void drop_filters(h2o_pathconf_t *path)
{
    for (size_t i = 0; i < path->filters.size; i++)
        free(path->filters.entries[i]);
    path->filters.size = 0;
}

static void configure(struct http_worker *w)
{
    const struct http_options *o = &w->options;
    h2o_config_init(&w->conf);
    w->conf.server_name = h2o_iovec_init(NULL, 0);
    w->conf.max_request_entity_size = o->max_body_bytes * 2;
    w->conf.handshake_timeout = o->header_timeout_ms != 0 ? o->header_timeout_ms : H2O_NEVER_MS;
    w->conf.http1.req_timeout = H2O_NEVER_MS;
    w->conf.http1.upgrade_to_http2 = 1; /* the guard lets only "PRI *" through, and only where allowed */
    w->conf.http2.idle_timeout = o->idle_timeout_ms != 0 ? o->idle_timeout_ms : H2O_NEVER_MS;
    if (o->max_streams_per_connection < w->conf.http2.max_concurrent_requests_per_connection)
        w->conf.http2.max_concurrent_requests_per_connection = o->max_streams_per_connection;
    w->host = h2o_config_register_host(&w->conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(w->host, "/", 0);
    drop_filters(path);
    path->error_log.emit_request_errors = 0;
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = request_on_req;
    /* A target without '/' matches no path; it must reach the handler to be refused in the client's format. */
    drop_filters(&w->host->fallback_path);
    w->host->fallback_path.error_log.emit_request_errors = 0;
    h2o_create_handler(&w->host->fallback_path, sizeof(h2o_handler_t))->on_req = request_on_req;
}

static void limit_connections(struct http_worker *w)
{
    struct rlimit files;
    w->max_connections = w->options.max_connections;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return;
    /* Each connection may need a second descriptor for its upstream. */
    size_t room = files.rlim_cur > 2 * FD_RESERVE ? (files.rlim_cur - FD_RESERVE) / 2 : FD_RESERVE / 2;
    if (room < w->max_connections) {
        w->max_connections = room;
        log_warn("http", "server.max_connections is cut to %zu by the limit of open files (%llu)", room,
                 (unsigned long long)files.rlim_cur);
    }
}

static bool open_parts(struct http_worker *w)
{
    w->gone_ep = epoll_create1(EPOLL_CLOEXEC);
    w->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->gone_ep >= 0 && w->post_fd >= 0 && http_worker_watch(w, w->gone_ep, conn_ready_gone, w) &&
           http_worker_watch(w, w->post_fd, on_posted, w) && accept_open(w);
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
    limit_connections(w);
    configure(w);
    w->evloop = h2o_evloop_create();
    h2o_context_init(&w->ctx, w->evloop, &w->conf);
    w->accept = (h2o_accept_ctx_t){.ctx = &w->ctx, .hosts = w->conf.hosts};
    h2o_timeout_init(w->evloop, &w->turn_timeout, 0);
    w->turn_entry.cb = turn;
    loop_init(&w->loop, wake, w);
    if (!open_parts(w)) {
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
    uint64_t wait = loop_wait(&w->loop, max_ms);
    if (wait == 0)
        link_turn(w);
    w->loop.now_ms = clock_ms();
    if (h2o_evloop_run(w->evloop, (int32_t)wait) != 0 && errno != EINTR) {
        log_error("http", "event loop: %s", strerror(errno));
        CCP_ASSERT(errno == EINTR);
    }
}

void http_worker_run(struct http_worker *w)
{
    while (!atomic_load(&w->stop))
        http_worker_turn(w, SLEEP_MAX_MS);
}

static void stop(void *worker)
{
    struct http_worker *w = worker;
    atomic_store(&w->stop, true);
}

void http_worker_stop(struct http_worker *w)
{
    if (!http_worker_post(w, stop, w))
        atomic_store(&w->stop, true);
}

void http_worker_drain(struct http_worker *w)
{
    if (!http_worker_post(w, drain_begin, w))
        atomic_store(&w->stop, true);
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

static void close_watches(struct http_worker *w)
{
    for (size_t i = 0; i < w->watch_n; i++)
        h2o_socket_close(w->watches[i].sock);
    w->watch_n = 0;
    if (w->gone_ep >= 0)
        close(w->gone_ep);
    if (w->post_fd >= 0)
        close(w->post_fd);
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
    bool ended = end_connections(w);
    for (int i = 0; i < FREE_TURNS && loop_wait(&w->loop, 1) == 0; i++)
        http_worker_turn(w, 0);
    return ended;
}

void http_worker_free(struct http_worker *w)
{
    bool ended = http_worker_close(w);
    run_posts(w, true);
    close_watches(w);
    out_drop_spare(w);
    if (!ended) {
        log_error("http", "%zu connections would not end; their memory is left alone", w->conn_n);
        return;
    }
    dispose_h2o(w);
    loop_release(&w->loop);
    pthread_mutex_destroy(&w->post_lock);
    free(w);
}

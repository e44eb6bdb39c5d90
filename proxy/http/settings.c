/*
 * Settings: the documented defaults, the process's own limits, and what of them h2o is told. Where h2o's setting
 * is coarser than ours (one timer for head and body, one limit for bodies) h2o gets a wide value and our own
 * checks act first.
 */
#include <http/http_impl.h>

#include <base/budget.h>
#include <base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#define H2O_NEVER_MS ((uint64_t)365 * 24 * 3600 * 1000) /* our own deadlines act instead */
#define FD_RESERVE   64
#define STREAMS_MAX  100

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
        .memory_limit = 0,
    };
}

void http_process_init(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log at the limit of its size is a failed write, not the end */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0)
            log_warn("http", "cannot raise the limit of open files: %s", strerror(errno));
    }
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX; /* prompts never reach a disk */
    guard_init();
}

/* h2o's chunked filter makes three buffers of each chunk and closes after errors; response.c frames by itself. */
static void drop_filters(h2o_pathconf_t *path)
{
    for (size_t i = 0; i < path->filters.size; i++)
        free(path->filters.entries[i]);
    path->filters.size = 0;
}

static uint64_t or_never(uint64_t ms)
{
    return ms != 0 ? ms : H2O_NEVER_MS;
}

/* h2o announces 100 streams whatever is set; more than that it refuses by itself. */
static void limit_streams(struct http_worker *w)
{
    size_t wanted = w->options.max_streams_per_connection;
    w->conf.http2.max_concurrent_requests_per_connection = wanted < STREAMS_MAX ? wanted : STREAMS_MAX;
}

/* The limit is the process's; every worker sets the same. */
static void limit_memory(const struct http_options *o)
{
    uint64_t limit = budget_set_limit(o->memory_limit);
    if (o->memory_limit != 0 && limit > o->memory_limit)
        log_warn("http", "server.memory_limit is raised to %" PRIu64 ": less would serve nothing", limit);
}

void settings_configure(struct http_worker *w)
{
    const struct http_options *o = &w->options;
    h2o_config_init(&w->conf);
    w->conf.server_name = h2o_iovec_init(NULL, 0);
    w->conf.max_request_entity_size = o->max_body_bytes * 2;
    w->conf.handshake_timeout = or_never(o->header_timeout_ms);
    w->conf.http1.req_timeout = H2O_NEVER_MS;
    w->conf.http1.upgrade_to_http2 = 1; /* the guard lets only "PRI *" through, and only where allowed */
    w->conf.http2.idle_timeout = or_never(o->idle_timeout_ms);
    limit_streams(w);
    limit_memory(o);
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

void settings_limit_connections(struct http_worker *w)
{
    struct rlimit files;
    w->max_connections = w->options.max_connections;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return;
    /* Each connection may need a second descriptor for its upstream. */
    size_t room = files.rlim_cur > 2 * FD_RESERVE ? (files.rlim_cur - FD_RESERVE) / 2 : files.rlim_cur / 4;
    if (room < w->max_connections) {
        w->max_connections = room;
        log_warn("http", "server.max_connections is cut to %zu by the limit of open files (%llu)", room,
                 (unsigned long long)files.rlim_cur);
    }
}

void http_worker_reconfigure(struct http_worker *w, const struct http_options *fresh)
{
    struct http_options *o = &w->options;
    o->max_connections = fresh->max_connections;
    o->max_in_flight = fresh->max_in_flight;
    o->max_body_bytes = fresh->max_body_bytes;
    o->header_timeout_ms = fresh->header_timeout_ms;
    o->idle_timeout_ms = fresh->idle_timeout_ms;
    o->write_timeout_ms = fresh->write_timeout_ms;
    o->drain_timeout_ms = fresh->drain_timeout_ms;
    o->body_min_rate = fresh->body_min_rate;
    o->h2c = fresh->h2c;
    o->max_streams_per_connection = fresh->max_streams_per_connection;
    o->memory_limit = fresh->memory_limit;
    limit_streams(w);
    limit_memory(o);
    settings_limit_connections(w);
    w->conf.max_request_entity_size = o->max_body_bytes * 2;
    w->ctx.handshake_timeout.timeout = or_never(o->header_timeout_ms);
    w->ctx.http2.idle_timeout.timeout = or_never(o->idle_timeout_ms);
}

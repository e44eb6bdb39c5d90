/*
 * The steps of a start, and the way down. Each step leaves a state that server_close can take apart.
 */
#include <app/server.h>

#include <base/log.h>
#include <base/memory.h>
#include <upstream/resolve.h>

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PLUGINS_STOP_MS = 3000 };

static const char *text_or_null(struct ccp_span s)
{
    return s.n != 0 ? s.p : NULL; /* bound texts end with a NUL */
}

static enum http_h2c h2c_of(int mode)
{
    return mode == H2C_ON ? HTTP_H2C_ON : mode == H2C_OFF ? HTTP_H2C_OFF : HTTP_H2C_LOOPBACK;
}

void server_options(struct http_options *o, const struct server_settings *s)
{
    http_options_init(o);
    o->hosts = s->host.v;
    o->host_count = s->host.n;
    o->port = (uint16_t)s->port;
    o->unix_socket = text_or_null(s->unix_socket);
    o->unix_socket_mode = (unsigned)strtoul(s->unix_socket_mode.p, NULL, 8);
    o->tls_cert = text_or_null(s->tls_cert);
    o->tls_key = text_or_null(s->tls_key);
    o->http2 = s->http2;
    o->h2c = h2c_of(s->h2c);
    o->max_connections = (size_t)s->max_connections;
    o->max_in_flight = (size_t)s->max_in_flight;
    o->max_streams_per_connection = (size_t)s->max_streams_per_connection;
    o->max_body_bytes = s->max_body_bytes;
    o->header_timeout_ms = s->header_timeout;
    o->idle_timeout_ms = s->idle_timeout;
    o->write_timeout_ms = s->write_timeout;
    o->drain_timeout_ms = s->drain_timeout;
    o->body_min_rate = s->body_min_rate;
    o->memory_limit = s->memory_limit;
    o->trusted_proxies = s->trusted_proxies.v;
    o->trusted_proxy_count = s->trusted_proxies.n;
}

bool server_is_open_to_all(const struct server *s, const struct settings *settings)
{
    const struct security_settings *security = &settings->security;
    return http_beyond_loopback(s->listeners) && security->auth_token == NULL && security->keys.n == 0 &&
           !security->allow_unauthenticated;
}

static int become_user(const struct server *s)
{
    const struct server_settings *settings = &s->rt->settings.server;
    if (settings->user.n == 0 || geteuid() != 0)
        return EXIT_OK;
    const char *wrong = privilege_drop(settings->user.p, s->options.unix_socket);
    return wrong == NULL ? EXIT_OK : complain(EXIT_CONFIG, "server.user \"%s\": %s", settings->user.p, wrong);
}

/* Faults of the configuration that only binding finds; everything else is about the address, or the right to it. */
static int bind_code(const char *why)
{
    static const char *const ours[] = {"certificate ", "key ", "server.", "tls_", "TLS "};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strncmp(why, ours[i], strlen(ours[i])) == 0)
            return EXIT_CONFIG;
    return strstr(why, ": no right ") != NULL ? EXIT_DENIED : EXIT_UNAVAILABLE;
}

int server_bind(struct server *s)
{
    char why[HTTP_ERRBUF];
    s->bound = config_ref(s->rt->config);
    server_options(&s->options, &s->rt->settings.server);
    if (!http_bind(&s->options, &s->listeners, why))
        return complain(bind_code(why), "cannot listen: %s", why);
    if (http_bound_count(s->listeners) == 0)
        return complain(EXIT_CONFIG, "server.host is empty and there is no server.unix_socket: nothing to listen on");
    if (server_is_open_to_all(s, &s->rt->settings))
        return complain(EXIT_CONFIG, "server.host reaches beyond this machine, but no key is asked for: set "
                                     "security.auth_token (ccproxy config generate-token makes one), or "
                                     "security.allow_unauthenticated = true if everyone who reaches it may use it");
    return become_user(s);
}

int server_open(struct server *s)
{
    struct ccp_span why;
    const struct logging_settings *l = &s->rt->settings.logging;
    const char *wrong = logging_apply(l);
    if (wrong != NULL)
        return complain(EXIT_CONFIG, "logging.file \"%.*s\": %s", CCP_FMT(l->file), wrong);
    s->logging = log_start();
    if (!s->logging)
        return complain(EXIT_FAILED, "cannot start the log's thread: %s", strerror(errno));
    int code = plugins_open_executor(s);
    if (code != EXIT_OK)
        return code;
    struct runtime_host host = plugins_host(s, CCP_SPAN(""));
    if (!runtime_open(s->rt, &host, &why))
        return complain(EXIT_CONFIG, "%.*s", CCP_FMT(why));
    executor_set_runtime(s->executor, s->rt);
    chain_announce(s->rt, s->executor, CCP_EVENT_APP_STARTUP, NULL);
    return EXIT_OK;
}

static size_t count_workers(int64_t wanted)
{
    cpu_set_t cores;
    if (wanted > 0)
        return (size_t)wanted;
    CPU_ZERO(&cores);
    int n = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
    return n > 0 && n < 256 ? (size_t)n : 1;
}

static bool watch(struct server *s)
{
    struct watchdog_target *targets = calloc(s->worker_n, sizeof(*targets));
    for (size_t i = 0; targets != NULL && i < s->worker_n; i++)
        targets[i] = (struct watchdog_target){http_worker_loop(s->workers[i].http), s->workers[i].thread};
    s->watchdog = targets != NULL ? watchdog_start(targets, s->worker_n) : NULL;
    free(targets);
    return s->watchdog != NULL;
}

int server_start(struct server *s)
{
    s->ended_fd = eventfd(0, EFD_CLOEXEC);
    s->signal_fd = signals_open();
    s->worker_n = count_workers(s->rt->settings.server.workers);
    memory_tune(s->worker_n);
    s->workers = calloc(s->worker_n, sizeof(*s->workers));
    s->resolver = resolver_new(&(struct resolver_options){0});
    if (s->ended_fd < 0 || s->signal_fd < 0 || s->workers == NULL || s->resolver == NULL)
        return complain(EXIT_FAILED, "cannot start workers: %s", strerror(errno));
    int code = credentials_open(s);
    if (code == EXIT_OK)
        code = events_open(s);
    if (code != EXIT_OK)
        return code;
    if (!admin_open(s))
        return complain(EXIT_FAILED, "cannot take changes: %s", strerror(errno));
    for (size_t i = 0; i < s->worker_n; i++)
        if (!worker_open(&s->workers[i], s))
            return complain(EXIT_FAILED, "cannot make worker %zu: no memory or too many open files", i);
    code = credentials_start(s); /* what it finds waits for the workers */
    if (code != EXIT_OK)
        return code;
    if (!executor_start(s->executor))
        return complain(EXIT_FAILED, "cannot start the thread of plugins");
    for (size_t i = 0; i < s->worker_n; i++)
        if (!worker_start(&s->workers[i], i))
            return complain(EXIT_FAILED, "cannot start the thread of worker %zu", i);
    if (!watch(s))
        return complain(EXIT_FAILED, "cannot start the watchdog's thread");
    chain_announce(s->rt, s->executor, CCP_EVENT_APP_READY, NULL);
    return EXIT_OK;
}

void server_close(struct server *s)
{
    watchdog_stop(s->watchdog); /* every loop has ended, or never began */
    for (size_t i = 0; i < s->worker_n; i++)
        if (s->workers != NULL && s->workers[i].running)
            http_worker_stop(s->workers[i].http); /* a start that failed half-way; harmless otherwise */
    auth_stop(s->auth);                           /* it posts to workers: they go after it */
    executor_stop(s->executor, PLUGINS_STOP_MS);  /* so does this */
    events_close(s);                              /* and this */
    for (size_t i = 0; i < s->worker_n && s->workers != NULL; i++)
        worker_close(&s->workers[i]);
    admin_close(s);
    if (s->draining)
        log_info("main", "stopped");
    auth_free(s->auth);
    free(s->workers);
    resolver_free(s->resolver);
    http_listeners_free(s->listeners);
    runtime_unref(s->rt);
    config_unref(s->bound);
    executor_free(s->executor);
    hub_free(s->hub);
    if (s->logging)
        log_stop();
    if (s->ended_fd >= 0)
        close(s->ended_fd);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    pthread_mutex_destroy(&s->rt_lock);
    *s = (struct server){.ended_fd = -1, .signal_fd = -1};
}

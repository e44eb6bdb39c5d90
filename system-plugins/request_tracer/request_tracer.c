/*
 * request_tracer: the bytes of requests and answers, of the client's side and of every attempt upstream, in one file
 * for each exchange; for whoever has to see what was really said.
 *
 * Off unless it is switched on: its files hold prompts and answers. They never hold a credential: a client's is hidden
 * by its place, ccproxy's own never come here, and where an upstream echoes one the core overwrites it.
 */
#include "request_tracer_impl.h"

#include <stdlib.h>

#define T struct tracer_config
static const struct ccp_config_row rows[] = {
    {"sample", CCP_DOUBLE, offsetof(T, sample), "1.0", 0, 1,
     .doc = "share of the requests that are traced, chosen by request id"},
    {"only_errors", CCP_BOOL, offsetof(T, only_errors), "false",
     .doc = "keep only traces of what failed, or answered with 400 and above"},
    {"providers", CCP_LIST, offsetof(T, providers), "[]", .doc = "only what went to these; empty = all"},
    {"paths", CCP_LIST, offsetof(T, paths), "[]",
     .doc = "only these paths; a trailing * takes all that begin so; empty = all"},
    {"exclude_paths", CCP_LIST, offsetof(T, exclude_paths),
     "[\"/health*\", \"/metrics*\", \"/plugins*\", \"/events*\"]"},
    {"max_body", CCP_SIZE, offsetof(T, max_body), "\"64KiB\"", 0, 1 << 20, .doc = "bytes that are kept of each body"},
    {"max_files", CCP_INT, offsetof(T, max_files), "10000", 1, 1000000, .doc = "the oldest make room"},
    {"max_total", CCP_SIZE, offsetof(T, max_total), "\"1GiB\"", 1 << 16, INT64_MAX, .doc = "bytes of all files"},
    {"retention", CCP_DURATION, offsetof(T, retention), "\"7d\"", 60000, 3650ll * 86400000,
     .doc = "older ones are removed"},
    {.key = NULL},
};
#undef T

static void close_tracer(void *self)
{
    struct tracer *t = self;
    pthread_mutex_destroy(&t->lock);
    free((char *)t->folder.p);
    free(t);
}

static bool keep_folder(struct tracer *t, struct ccp_span *why)
{
    struct ccp_span folder = t->api->state_folder(t->env, why);
    if (folder.n == 0)
        return false;
    t->folder = (struct ccp_span){strndup(folder.p, folder.n), folder.n};
    if (t->folder.p == NULL)
        *why = CCP_SPAN("out of memory");
    return t->folder.p != NULL;
}

static void *open_tracer(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    struct tracer *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        *why = CCP_SPAN("out of memory");
        return NULL;
    }
    t->env = env;
    t->api = env->api;
    t->config = env->config;
    t->folder = (struct ccp_span){NULL, 0};
    pthread_mutex_init(&t->lock, NULL);
    if (!keep_folder(t, why)) {
        close_tracer(t);
        return NULL;
    }
    if (!files_count(t)) {
        *why = CCP_SPAN("its folder cannot be read");
        close_tracer(t);
        return NULL;
    }
    t->api->log(env, CCP_LOG_WARN, "requests and answers are written to %s, prompts included; credentials are not",
                t->folder.p);
    return t;
}

static enum ccp_health check(void *self, struct ccp_span *why)
{
    const struct tracer *t = self;
    *why = atomic_load(&t->broken) ? CCP_SPAN("the last trace could not be written; the log says why")
                                   : CCP_SPAN("traces are written");
    return atomic_load(&t->broken) ? CCP_HEALTH_WARN : CCP_HEALTH_PASS;
}

static bool prune(void *self, struct ccp_span *why)
{
    files_count(self); /* what others did to the folder */
    files_prune(self);
    return true;
}

static const struct ccp_hook hooks[] = {
    {"request_tracer",
     CCP_HEARS(HTTP_REQUEST) | CCP_HEARS(PROVIDER_REQUEST_SENT) | CCP_HEARS(PROVIDER_RESPONSE_RECEIVED) |
         CCP_HEARS(PROVIDER_RESPONSE_BODY) | CCP_HEARS(PROVIDER_ERROR) | CCP_HEARS(HTTP_RESPONSE) |
         CCP_HEARS(HTTP_RESPONSE_BODY) | CCP_HEARS(HTTP_ERROR) | CCP_HEARS(REQUEST_COMPLETED) |
         CCP_HEARS(REQUEST_FAILED),
     900, trace_event},
    {.name = NULL},
};

static const struct ccp_route routes[] = {
    {"GET", "/requests", NULL, CCP_ACCESS_ADMIN, "traces", "traces, newest first", routes_list},
    {"GET", "/requests/*", NULL, CCP_ACCESS_ADMIN, "traces", "one trace, by request id or name", routes_get},
    {"DELETE", "/requests/*", NULL, CCP_ACCESS_ADMIN, "traces", "removes one", routes_delete},
    {.methods = NULL},
};

static const struct ccp_action actions[] = {
    {"clear", "removes all traces", NULL, routes_clear},
    {.name = NULL},
};

static const struct ccp_task tasks[] = {
    {.name = "prune",
     .summary = "removes traces that are too old",
     .interval_ms = 10 * 60 * 1000,
     .first_ms = 10 * 1000,
     .run = prune},
    {.name = NULL},
};

static const char *const aliases[] = {"raw_http_logger", NULL};

CCP_PLUGIN(request_tracer) = {
    CCP_ABI_HERE,
    .name = "request_tracer",
    .version = "1.0.0",
    .summary = "writes the bytes of requests and answers, without credentials, one file for each request",
    .kind = CCP_PLUGIN_SYSTEM,
    .config = rows,
    .config_size = sizeof(struct tracer_config),
    .hooks = hooks,
    .routes = routes,
    .open = open_tracer,
    .check = check,
    .close = close_tracer,
    .tasks = tasks,
    .actions = actions,
    .aliases = aliases,
    .off = true,
};

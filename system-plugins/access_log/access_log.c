/*
 * access_log: one line for every exchange, when it ended, however it ended.
 *
 * It records who asked for what, where it went, how it ended and how long that took. It never records a query, a
 * header that may hold a credential, or a byte of a body.
 */
#include "access_log_impl.h"

enum { FORMAT_AUTO, FORMAT_TEXT, FORMAT_JSON };

struct access_config {
    int format;
    struct ccp_list exclude_paths;
};

struct access_log {
    const struct ccp_plugin_env *env;
    const struct access_config *config;
};

static const char *const status_names[] = {
#define X(name, text, http, retry, message) text,
#include <ccproxy/status.def>
#undef X
};

static const struct ccp_span format_names[] = {
#define X(name, id, versioned) CCP_LIT(id),
#include <ccproxy/format.def>
#undef X
    CCP_LIT(""),
};

static const struct ccp_config_row rows[] = {
    {"format", CCP_ENUM, offsetof(struct access_config, format), "\"auto\"", .choices = "auto|text|json",
     .doc = "auto = as [logging] writes its lines"},
    {"exclude_paths", CCP_LIST, offsetof(struct access_config, exclude_paths),
     "[\"/health\", \"/health/live\", \"/health/ready\"]",
     .doc = "no line for these paths while they answer well; a trailing * takes all that begin so"},
    {.key = NULL},
};

static void *open_log(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    struct access_log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        *why = CCP_SPAN("out of memory");
        return NULL;
    }
    log->env = env;
    log->config = env->config;
    return log;
}

static bool path_matches(struct ccp_span pattern, struct ccp_span path)
{
    if (pattern.n != 0 && pattern.p[pattern.n - 1] == '*')
        return ccp_span_starts(path, ccp_span_of(pattern.p, pattern.n - 1));
    return ccp_span_eq(pattern, path);
}

static bool excluded(const struct access_log *log, const struct access_record *r)
{
    const struct ccp_list *list = &log->config->exclude_paths;
    if (r->sum.status != CCP_OK || r->sum.http_status >= 400)
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (path_matches(list->v[i], r->path))
            return true;
    return false;
}

static void gather(struct access_record *r, struct ccp_exchange *x)
{
    const struct ccp_api *api = x->api;
    *r = (struct access_record){
        .unix_us = api->now_unix_us(),
        .id = api->request_id(x),
        .peer = api->peer(x),
        .method = api->method(x),
        .path = api->path(x),
        .provider = api->provider(x),
        .model = api->client_model(x),
        .upstream_model = api->upstream_model(x),
        .key = api->key_name(x),
        .agent = api->header(x, CCP_SPAN("user-agent")),
        .http_version = api->http_version(x),
    };
    api->summary(x, &r->sum, sizeof(r->sum));
    enum ccp_format format = api->client_format(x);
    r->format = format_names[format < CCP_FORMAT_COUNT ? format : CCP_FORMAT_COUNT];
    r->status_name = status_names[r->sum.status < CCP_STATUS_COUNT ? r->sum.status : CCP_INTERNAL];
}

/* The core's own lines and these should look alike, so "auto" asks it at every line: a reload may change that. */
static bool wants_json(const struct access_log *log)
{
    const struct ccp_api *api = log->env->api;
    return log->config->format != FORMAT_AUTO ? log->config->format == FORMAT_JSON : api->log_json();
}

/* What went upstream is always recorded. What we answered ourselves costs a stranger nothing to cause, so its lines
 * are limited for each outcome. */
static bool has_room(const struct access_log *log, const struct access_record *r)
{
    const struct ccp_api *api = log->env->api;
    return r->sum.attempts != 0 || api->log_room(log->env, ccp_span_z(r->status_name));
}

static bool on_event(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    struct access_log *log = self;
    struct access_record record;
    char line[ACCESS_LINE_MAX];
    if (x == NULL)
        return false;
    gather(&record, x);
    if (!excluded(log, &record) && has_room(log, &record))
        log->env->api->log_record(log->env, ccp_span_of(line, access_line(line, &record, wants_json(log))));
    return true;
}

static const struct ccp_hook hooks[] = {
    {"access_log", CCP_HEARS(REQUEST_COMPLETED) | CCP_HEARS(REQUEST_FAILED), 100, on_event},
    {.name = NULL},
};

CCP_PLUGIN(access_log) = {
    CCP_ABI_HERE,
    .name = "access_log",
    .version = "1.0.0",
    .summary = "one line per request: who, what, where to, how it ended, how long it took",
    .kind = CCP_PLUGIN_SYSTEM,
    .config = rows,
    .config_size = sizeof(struct access_config),
    .hooks = hooks,
    .open = open_log,
    .close = free,
};

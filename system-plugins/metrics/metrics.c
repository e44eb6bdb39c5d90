/*
 * metrics: what the server does, as Prometheus reads it.
 *
 * An exchange is counted when it ended, on its own worker: a few look-ups by its labels, and additions into memory that
 * no other thread writes. Nothing waits, and nothing is taken from the heap. What it counts is what the core tells
 * every plugin; bodies, queries and headers are not looked at.
 */
#include "metrics_impl.h"

#include <stdlib.h>

static const struct ccp_config_row rows[] = {
    {"max_series", CCP_INT, offsetof(struct metrics_config, max_series), "1000", 10, 100000,
     .doc = "different sets of labels in one family; what comes beyond is counted under \"other\""},
    {"label_models", CCP_BOOL, offsetof(struct metrics_config, label_models), "true",
     .doc = "models in labels; they are what clients ask for"},
    {"label_keys", CCP_BOOL, offsetof(struct metrics_config, label_keys), "false",
     .doc = "the name of the client's key in labels of requests and tokens"},
    {"exclude_paths", CCP_LIST, offsetof(struct metrics_config, exclude_paths),
     "[\"/metrics\", \"/health\", \"/health/live\", \"/health/ready\"]",
     .doc = "these are not counted while they answer well; a trailing * takes all that begin so"},
    {.key = NULL},
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

static struct ccp_span op_name(enum ccp_op op)
{
    static const struct ccp_span names[] = {CCP_LIT("none"),   CCP_LIT("generate"), CCP_LIT("count"),  CCP_LIT("embed"),
                                            CCP_LIT("models"), CCP_LIT("model"),    CCP_LIT("family"), CCP_LIT("raw")};
    return (size_t)op < sizeof(names) / sizeof(names[0]) ? names[op] : CCP_SPAN("other");
}

/* -- life -- */

static void release(void *self)
{
    struct metrics *m = self;
    service_close(m);
    families_close(m);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void *open_metrics(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    struct metrics *m = calloc(1, sizeof(*m));
    *why = CCP_SPAN("out of memory");
    if (m == NULL || pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return NULL;
    }
    m->env = env;
    m->config = env->config;
    if (families_open(m))
        return m;
    release(m);
    return NULL;
}

/* -- an exchange -- */

struct facts {
    struct ccp_exchange *x;
    struct ccp_summary sum;
    enum ccp_op op;
    struct ccp_span provider, key;
};

static bool matches(struct ccp_span pattern, struct ccp_span path)
{
    if (pattern.n != 0 && pattern.p[pattern.n - 1] == '*')
        return ccp_span_starts(path, ccp_span_of(pattern.p, pattern.n - 1));
    return ccp_span_eq(pattern, path);
}

static bool excluded(const struct metrics *m, struct ccp_exchange *x)
{
    const struct ccp_list *list = &m->config->exclude_paths;
    struct ccp_span path = x->api->path(x);
    for (size_t i = 0; i < list->n; i++)
        if (matches(list->v[i], path))
            return true;
    return false;
}

static bool failed(const struct facts *f)
{
    return f->sum.status != CCP_OK || f->sum.http_status >= 400;
}

/* "ok", our own word for a failure, or that the provider said no. */
static struct ccp_span outcome_of(const struct facts *f)
{
    size_t status = f->sum.status < CCP_STATUS_COUNT ? f->sum.status : CCP_INTERNAL;
    if (status == CCP_OK && f->sum.http_status >= 400)
        return f->sum.attempts != 0 ? CCP_SPAN("provider_error") : CCP_SPAN("error");
    return ccp_span_z(status_names[status]);
}

static struct ccp_span status_text(char digits[20], int status)
{
    return ccp_span_of(digits, ccp_digits(digits, status > 0 ? (uint64_t)status : 0, 1));
}

static void count_request(struct metrics *m, const struct facts *f)
{
    char digits[20];
    struct group *g = &m->groups[REQUESTS];
    enum ccp_format format = f->x->api->client_format(f->x);
    const struct ccp_span values[] = {
        f->provider,    format_names[format < CCP_FORMAT_COUNT ? format : CCP_FORMAT_COUNT],
        op_name(f->op), status_text(digits, f->sum.http_status),
        outcome_of(f),  f->key};
    group_add(g, group_series(g, values), 0, 1);
    group_add(&m->groups[SERVER], 0, SERVER_IN, f->sum.bytes_in);
    group_add(&m->groups[SERVER], 0, SERVER_OUT, f->sum.bytes_out);
}

/* What of the time was not spent waiting for the provider. */
static uint64_t overhead(const struct ccp_summary *s)
{
    uint64_t theirs = s->us_upstream_end > s->us_upstream_sent ? s->us_upstream_end - s->us_upstream_sent : 0;
    return s->us_total > theirs ? s->us_total - theirs : 0;
}

static void count_provider(struct metrics *m, const struct facts *f)
{
    struct group *g = &m->groups[PROVIDERS];
    size_t series = group_series(g, &f->provider);
    group_add(g, series, PROVIDERS_ATTEMPTS, (uint64_t)f->sum.attempts);
    if (f->sum.dropped != 0)
        group_add(g, series, PROVIDERS_DROPPED, f->sum.dropped);
    if (f->sum.status == CCP_OK && f->sum.us_upstream_end != 0)
        group_observe(g, series, PROVIDERS_OVERHEAD, overhead(&f->sum));
}

/* The semantic conventions' names of vendors; a provider that they do not know is called as it is. */
static struct ccp_span system_of(struct ccp_span provider)
{
    static const struct {
        struct ccp_span provider, vendor;
    } known[] = {{CCP_LIT("claude_api"), CCP_LIT("anthropic")},
                 {CCP_LIT("openai"), CCP_LIT("openai")},
                 {CCP_LIT("codex"), CCP_LIT("openai")},
                 {CCP_LIT("gemini"), CCP_LIT("gcp.gemini")}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (ccp_span_eq(provider, known[i].provider))
            return known[i].vendor;
    return provider;
}

enum { OPERATION, PROVIDER, SYSTEM, REQUEST_MODEL, RESPONSE_MODEL, ERROR_TYPE, KEY, MODEL_VALUES };

static void model_values(const struct metrics *m, const struct facts *f, struct ccp_span *values)
{
    const struct ccp_api *api = f->x->api;
    bool models = m->config->label_models;
    values[OPERATION] = f->op == CCP_OP_EMBED ? CCP_SPAN("embeddings") : CCP_SPAN("chat");
    values[PROVIDER] = f->provider;
    values[SYSTEM] = system_of(f->provider);
    values[REQUEST_MODEL] = models ? api->client_model(f->x) : CCP_SPAN("");
    values[RESPONSE_MODEL] = models ? api->upstream_model(f->x) : CCP_SPAN("");
}

static void count_tokens(struct group *g, size_t series, const struct ccp_usage *u)
{
    group_observe(g, series, MODELS_INPUT, u->input);
    group_observe(g, series, MODELS_OUTPUT, u->output);
    if (u->cache_read != 0)
        group_observe(g, series, MODELS_CACHE_READ, u->cache_read);
    if (u->cache_write != 0)
        group_observe(g, series, MODELS_CACHE_WRITE, u->cache_write);
}

static void count_speed(struct group *g, size_t series, const struct ccp_summary *s)
{
    if (!s->streamed || s->us_first_byte == 0)
        return;
    group_observe(g, series, MODELS_FIRST, s->us_first_byte);
    if (s->usage.known && s->usage.output > 1 && s->us_total > s->us_first_byte)
        group_observe(g, series, MODELS_EACH, (s->us_total - s->us_first_byte) / (s->usage.output - 1));
}

/* "upstream_timeout", or the status a provider refused with. */
static struct ccp_span error_type(const struct facts *f, char digits[20])
{
    if (!failed(f))
        return CCP_SPAN("");
    return f->sum.status == CCP_OK ? status_text(digits, f->sum.http_status) : outcome_of(f);
}

static void count_model(struct metrics *m, const struct facts *f)
{
    char digits[20];
    struct ccp_span values[MODEL_VALUES];
    struct group *g = &m->groups[MODELS];
    model_values(m, f, values);
    values[ERROR_TYPE] = error_type(f, digits);
    values[KEY] = f->key;
    size_t series = group_series(g, values);
    group_observe(g, series, MODELS_DURATION, f->sum.us_total);
    if (f->sum.usage.known)
        count_tokens(g, series, &f->sum.usage);
    if (!failed(f))
        count_speed(g, series, &f->sum);
}

static void count(struct metrics *m, struct ccp_exchange *x)
{
    struct facts f = {.x = x, .op = x->api->op(x), .provider = x->api->provider(x), .key = x->api->key_name(x)};
    x->api->summary(x, &f.sum, sizeof(f.sum));
    if (!failed(&f) && excluded(m, x))
        return;
    count_request(m, &f);
    if (f.provider.n == 0 || f.sum.attempts == 0)
        return;
    count_provider(m, &f);
    if (f.op == CCP_OP_GENERATE || f.op == CCP_OP_EMBED)
        count_model(m, &f);
}

static bool on_event(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *moment)
{
    struct metrics *m = self;
    if (x == NULL)
        return false;
    if (event == CCP_EVENT_PROVIDER_STREAM_START)
        group_add(&m->groups[SERVER], 0, SERVER_STREAMS, 1);
    else if (event == CCP_EVENT_PROVIDER_STREAM_END)
        group_add(&m->groups[SERVER], 0, SERVER_STREAMS, (uint64_t)-1);
    else
        count(m, x);
    return true;
}

/* -- logins: on the hooks' thread -- */

/* A refusal comes as an answer and as an error; an error with a good status is an answer that cannot be used. */
static bool observe(void *self, const struct ccp_event_info *info)
{
    struct group *g = &((struct metrics *)self)->groups[REFRESHES];
    const struct ccp_moment *moment = info->moment;
    bool good = moment->status >= 200 && moment->status < 300;
    bool error = info->event == CCP_EVENT_OAUTH_ERROR;
    if ((error && (moment->request_kind == NULL || strcmp(moment->request_kind, "refresh") != 0)) || (!error && !good))
        return true;
    const struct ccp_span values[] = {moment->name, !error ? CCP_SPAN("ok")
                                                    : good ? CCP_SPAN("unusable")
                                                           : CCP_SPAN("error")};
    group_add(g, group_series(g, values), 0, 1);
    return true;
}

static const struct ccp_hook hooks[] = {
    {"metrics",
     CCP_HEARS(REQUEST_COMPLETED) | CCP_HEARS(REQUEST_FAILED) | CCP_HEARS(PROVIDER_STREAM_START) |
         CCP_HEARS(PROVIDER_STREAM_END),
     90, .on_event = on_event, .flags = CCP_HOOK_USAGE},
    {"metrics_logins", CCP_HEARS(OAUTH_REFRESH_RESPONSE) | CCP_HEARS(OAUTH_ERROR), 90, .observe = observe},
    {.name = NULL},
};

static const struct ccp_route routes[] = {
    {.methods = "GET",
     .path = "",
     .prefix = "/metrics",
     .access = CCP_ACCESS_KEY,
     .tag = "metrics",
     .summary = "Prometheus text, or OpenMetrics for who accepts it",
     .serve = scrape_serve},
    {.methods = NULL},
};

static const struct ccp_service services[] = {{CCP_METRICS, &metrics_service}, {.name = NULL}};

CCP_PLUGIN(metrics) = {
    CCP_ABI_HERE,
    .name = "metrics",
    .version = "1.0.0",
    .summary = "requests, tokens, times and streams for Prometheus, at /metrics",
    .kind = CCP_PLUGIN_SYSTEM,
    .config = rows,
    .config_size = sizeof(struct metrics_config),
    .hooks = hooks,
    .routes = routes,
    .provides = services,
    .open = open_metrics,
    .close = release,
};

/*
 * The built-in families, as data. Names and bounds of the gen_ai ones are those of OpenTelemetry's semantic conventions
 * for generative AI, in Prometheus' spelling. docs/metrics.md describes each of them; a test compares the two.
 */
#include "metrics_impl.h"

#include <unistd.h>

static const uint64_t token_bounds[] = {1,     4,     16,     64,      256,     1024,     4096,
                                        16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
/* Microseconds. */
static const uint64_t duration_bounds[] = {10000,   20000,   40000,   80000,    160000,   320000,   640000,
                                           1280000, 2560000, 5120000, 10240000, 20480000, 40960000, 81920000};
static const uint64_t first_bounds[] = {1000,   5000,   10000,  20000,   40000,   60000,   80000,   100000,
                                        250000, 500000, 750000, 1000000, 2500000, 5000000, 7500000, 10000000};
static const uint64_t each_bounds[] = {10000,  25000,  50000,  75000,  100000,  150000, 200000,
                                       300000, 400000, 500000, 750000, 1000000, 2500000};
static const uint64_t overhead_bounds[] = {50,    100,   250,   500,    1000,   2500,    5000,
                                           10000, 25000, 50000, 100000, 250000, 1000000, 5000000};

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define BOUNDS(array) .bounds = array, .bound_count = COUNT(array)
#define SECONDS       .kind = CCP_METRIC_HISTOGRAM, .decimals = 6

#define TOKENS_OF(type)                                                                                                \
    {                                                                                                                  \
        .kind = CCP_METRIC_HISTOGRAM, .name = "gen_ai_client_token_usage",                                             \
        .help = "Tokens of an answer, by type; input counts what no cache had a part in.",                             \
        .fixed = "gen_ai_token_type=\"" type "\"", BOUNDS(token_bounds)                                                \
    }

#define BYTES(direction)                                                                                               \
    {                                                                                                                  \
        .name = "ccproxy_bytes", .help = "Bytes of bodies on the clients' side.",                                      \
        .fixed = "direction=\"" direction "\""                                                                         \
    }

#define MODEL_LABELS                                                                                                   \
    "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_system", "gen_ai_request_model", "gen_ai_response_model"
#define MODEL_FOLD (1u << 3 | 1u << 4)

static const struct group families[GROUPS] = {
    [REQUESTS] = {.labels = {"provider", "format", "op", "status", "outcome", "key"},
                  .label_count = 5,
                  .fold = 1u << 3 | 1u << 5,
                  .metrics = {{.name = "ccproxy_requests", .help = "Requests, by how they ended."}},
                  .metric_count = 1},
    [PROVIDERS] = {.labels = {"provider"},
                   .label_count = 1,
                   .metrics = {[PROVIDERS_ATTEMPTS] = {.name = "ccproxy_upstream_attempts",
                                                       .help = "Requests that were sent to a provider."},
                               [PROVIDERS_DROPPED] = {.name = "ccproxy_dropped_fields",
                                                      .help = "Members of requests that the provider's format cannot "
                                                              "carry."},
                               [PROVIDERS_OVERHEAD] = {SECONDS, .name = "ccproxy_overhead_seconds",
                                                       .help = "Time of a request that was not the provider's.",
                                                       BOUNDS(overhead_bounds)}},
                   .metric_count = 3},
    [MODELS] = {.labels = {MODEL_LABELS, "error_type", "key"},
                .label_count = 6,
                .fold = MODEL_FOLD | 1u << 6,
                .metrics = {[MODELS_INPUT] = TOKENS_OF("input"),
                            [MODELS_OUTPUT] = TOKENS_OF("output"),
                            [MODELS_CACHE_READ] = TOKENS_OF("cache_read"),
                            [MODELS_CACHE_WRITE] = TOKENS_OF("cache_write"),
                            [MODELS_DURATION] = {SECONDS, .name = "gen_ai_server_request_duration",
                                                 .help = "Seconds from a request to the end of its answer.",
                                                 BOUNDS(duration_bounds)},
                            [MODELS_FIRST] = {SECONDS, .name = "gen_ai_server_time_to_first_token",
                                              .help =
                                                  "Seconds from a request to the first byte of its streamed answer.",
                                              BOUNDS(first_bounds)},
                            [MODELS_EACH] = {SECONDS, .name = "gen_ai_server_time_per_output_token",
                                             .help = "Seconds per token behind the first one of a streamed answer.",
                                             BOUNDS(each_bounds)}},
                .metric_count = 7},
    [REFRESHES] = {.labels = {"login", "result"},
                   .label_count = 2,
                   .fold = 1u << 0,
                   .metrics = {{.name = "ccproxy_token_refreshes", .help = "Renewals of logins."}},
                   .metric_count = 1},
    [SERVER] = {.metrics = {[SERVER_IN] = BYTES("in"),
                            [SERVER_OUT] = BYTES("out"),
                            [SERVER_STREAMS] = {.kind = CCP_METRIC_GAUGE,
                                                .name = "ccproxy_open_streams",
                                                .help = "Event streams of providers that are open."}},
                .metric_count = 3},
};

/* What can be asked for in labels decides how many sets there can be. */
static size_t limit_of(const struct metrics *m, size_t i)
{
    return i == SERVER ? 1 : (size_t)m->config->max_series;
}

bool families_open(struct metrics *m)
{
    long cores = sysconf(_SC_NPROCESSORS_CONF);
    m->shards = cores > 0 ? (size_t)cores + 2 : 4; /* workers, the hooks' thread, main */
    for (size_t i = 0; i < GROUPS; i++) {
        struct group *g = &m->groups[i];
        *g = families[i];
        if (m->config->label_keys && (i == REQUESTS || i == MODELS))
            g->label_count++;
        if (!group_open(g, limit_of(m, i), m->shards))
            return false;
    }
    return true;
}

void families_close(struct metrics *m)
{
    for (size_t i = 0; i < GROUPS; i++)
        group_close(&m->groups[i]);
}

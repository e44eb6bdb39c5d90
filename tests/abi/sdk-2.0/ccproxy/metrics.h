/*
 * The service "metrics/1": figures of your own on the server's /metrics page, brought by the plugin `metrics`.
 *
 *     .uses = (const char *const[]){CCP_METRICS, NULL}                      in the manifest
 *     metrics = api->service(env, CCP_METRICS, &metrics_self);              in `open`; NULL = it is not there
 *     hits = metrics->family(metrics_self, &family, &why);
 *     metrics->add(hits, (struct ccp_span[]){CCP_SPAN("memory")}, 1);       anywhere, any thread
 *
 * Counting takes no lock, no memory and never blocks. What counts is how many different sets of label values there are:
 * beyond a family's limit all further ones are shown as "other", so never make a label of what a client may write
 * without thinking of that.
 */
#ifndef CCPROXY_METRICS_H
#define CCPROXY_METRICS_H

#include "span.h"

/* The name of the service, for `requires` or `uses` of a manifest. */
#define CCP_METRICS "metrics/1"

/* What a family counts. */
enum ccp_metric_kind {
    CCP_METRIC_COUNTER,   /* only grows; shown as <name>_total */
    CCP_METRIC_GAUGE,     /* the last value that was set */
    CCP_METRIC_HISTOGRAM, /* <name>_bucket, _sum and _count */
};

/* Everything is copied. */
struct ccp_metric_family {
    uint32_t size; /* sizeof(struct ccp_metric_family) */
    enum ccp_metric_kind kind;
    /* [a-z][a-z0-9_]*, at most 64; with the unit (bytes, seconds) but without _total. Not beginning with ccproxy_,
     * gen_ai_ or process_. Two plugins may share a family if they describe it alike. */
    const char *name;
    const char *help;          /* one line without quotes and backslashes */
    const char *const *labels; /* names, NULL-terminated, at most 8; NULL = none */
    const uint64_t *bounds;    /* HISTOGRAM: upper bounds, rising, at most 24 */
    size_t bound_count;
    unsigned decimals; /* values are integers; shown divided by 10^decimals. Microseconds as seconds: 6. At most 9 */
    size_t max_series; /* sets of label values; 0 = the plugin's setting `max_series` */
};

struct ccp_metric; /* the handle of a family */

/* The functions of the service; `self` is its instance. */
struct ccp_metrics {
    uint32_t size; /* of this table; newer ones append */
    /* In `open` only. NULL: refused, *why says why. The handle is good until the plugin is closed. */
    struct ccp_metric *(*family)(void *self, const struct ccp_metric_family *family, struct ccp_span *why);
    /* `values`: one per label, in the same order; text that is too long (128 bytes) is cut, what is not UTF-8 replaced.
     * A call that does not fit the family's kind does nothing. */
    void (*add)(struct ccp_metric *metric, const struct ccp_span *values, uint64_t n);
    void (*set)(struct ccp_metric *metric, const struct ccp_span *values, int64_t value);
    void (*observe)(struct ccp_metric *metric, const struct ccp_span *values, uint64_t value);
};

#endif

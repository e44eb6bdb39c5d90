/*
 * Families of other plugins: the service "metrics/1" (<ccproxy/metrics.h>). A family lives as long as this plugin: who
 * comes back after a reload with the same description goes on counting where it was.
 */
#include "metrics_impl.h"

#include <stdlib.h>

static bool word(const char *name, size_t max)
{
    size_t n = name != NULL ? strlen(name) : 0;
    if (n == 0 || n > max || name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static bool reserved(const char *name)
{
    static const char *const fronts[] = {"ccproxy_", "gen_ai_", "process_"};
    static const char *const ends[] = {"_total", "_sum", "_count", "_bucket", "_created", "_info"};
    for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++)
        if (ccp_span_starts(ccp_span_z(name), ccp_span_z(fronts[i])))
            return true;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (ccp_span_ends(ccp_span_z(name), ccp_span_z(ends[i])))
            return true;
    return false;
}

static size_t label_count(const struct ccp_metric_family *f)
{
    size_t n = 0;
    while (f->labels != NULL && f->labels[n] != NULL)
        n++;
    return n;
}

static bool labels_sound(const struct ccp_metric_family *f)
{
    size_t n = label_count(f);
    for (size_t i = 0; i < n; i++) {
        if (!word(f->labels[i], 64) || strcmp(f->labels[i], "le") == 0)
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(f->labels[i], f->labels[k]) == 0)
                return false;
    }
    return n < GROUP_LABELS;
}

static bool bounds_sound(const struct ccp_metric_family *f)
{
    if (f->kind != CCP_METRIC_HISTOGRAM)
        return f->bound_count == 0;
    for (size_t i = 1; i < f->bound_count; i++)
        if (f->bounds[i] <= f->bounds[i - 1])
            return false;
    return f->bound_count != 0 && f->bound_count <= GROUP_BOUNDS;
}

static const char *refusal(const struct ccp_metric_family *f)
{
    if (f->size < sizeof(*f))
        return "the description is smaller than this version's";
    if (f->kind > CCP_METRIC_HISTOGRAM)
        return "no such kind of metric";
    if (!word(f->name, 64) || reserved(f->name))
        return "the name is not one that a plugin may use";
    if (f->help == NULL || f->help[0] == '\0' || strpbrk(f->help, "\\\"\n") != NULL || strlen(f->help) > 240)
        return "help must be one line without quotes";
    if (!labels_sound(f))
        return "the labels are no names, too many, or the same";
    if (!bounds_sound(f))
        return "the bounds do not rise, or there are none or too many";
    if (f->decimals > 9 || f->max_series > 100000)
        return "decimals or max_series are too large";
    return NULL;
}

static bool described_alike(const struct ccp_metric *metric, const struct ccp_metric_family *f)
{
    const struct group *g = &metric->group;
    const struct metric *m = &g->metrics[0];
    if (m->kind != f->kind || m->decimals != f->decimals || m->bound_count != f->bound_count ||
        g->label_count != label_count(f) ||
        (f->bound_count != 0 && memcmp(metric->bounds, f->bounds, f->bound_count * sizeof(f->bounds[0])) != 0))
        return false;
    for (size_t i = 0; i < g->label_count; i++)
        if (strcmp(g->labels[i], f->labels[i]) != 0)
            return false;
    return true;
}

/* Copies `z` behind what is in the texts already; all of them were counted before. */
static const char *keep(char **at, const char *z)
{
    size_t n = strlen(z) + 1;
    char *copy = memcpy(*at, z, n);
    *at += n;
    return copy;
}

static void describe(struct ccp_metric *metric, const struct ccp_metric_family *f, char *at)
{
    struct group *g = &metric->group;
    if (f->bound_count != 0)
        memcpy(metric->bounds, f->bounds, f->bound_count * sizeof(f->bounds[0]));
    g->metric_count = 1;
    g->metrics[0] = (struct metric){.kind = f->kind,
                                    .name = keep(&at, f->name),
                                    .help = keep(&at, f->help),
                                    .bounds = metric->bounds,
                                    .bound_count = f->bound_count,
                                    .decimals = f->decimals};
    g->label_count = label_count(f);
    g->fold = (1u << g->label_count) - 1;
    for (size_t i = 0; i < g->label_count; i++)
        g->labels[i] = keep(&at, f->labels[i]);
}

static void release(struct ccp_metric *metric)
{
    group_close(&metric->group);
    free(metric->texts);
    free(metric);
}

static struct ccp_metric *make(const struct metrics *m, const struct ccp_metric_family *f)
{
    size_t texts = strlen(f->name) + strlen(f->help) + 2;
    for (size_t i = 0; i < label_count(f); i++)
        texts += strlen(f->labels[i]) + 1;
    struct ccp_metric *metric = calloc(1, sizeof(*metric));
    if (metric == NULL)
        return NULL;
    metric->texts = malloc(texts);
    if (metric->texts != NULL) {
        describe(metric, f, metric->texts);
        size_t max = f->max_series != 0 ? f->max_series : (size_t)m->config->max_series;
        if (group_open(&metric->group, metric->group.label_count != 0 ? max : 1, m->shards))
            return metric;
    }
    release(metric);
    return NULL;
}

static struct ccp_metric *existing(const struct metrics *m, const char *name)
{
    size_t n = atomic_load_explicit(&m->extra_count, memory_order_relaxed);
    for (size_t i = 0; i < n; i++)
        if (strcmp(m->extra[i]->group.metrics[0].name, name) == 0)
            return m->extra[i];
    return NULL;
}

/* With the lock. */
static struct ccp_metric *find_or_make(struct metrics *m, const struct ccp_metric_family *f, const char **why)
{
    size_t n = atomic_load_explicit(&m->extra_count, memory_order_relaxed);
    struct ccp_metric *metric = existing(m, f->name);
    if (metric != NULL) {
        *why = "another plugin has a family of this name that is described otherwise";
        return described_alike(metric, f) ? metric : NULL;
    }
    *why = "too many families";
    if (n == METRICS_EXTRA)
        return NULL;
    *why = "out of memory";
    metric = make(m, f);
    if (metric == NULL)
        return NULL;
    m->extra[n] = metric;
    atomic_store_explicit(&m->extra_count, n + 1, memory_order_release);
    return metric;
}

static struct ccp_metric *family(void *self, const struct ccp_metric_family *f, struct ccp_span *why)
{
    struct metrics *m = self;
    const char *text = refusal(f);
    struct ccp_metric *metric = NULL;
    if (text == NULL) {
        pthread_mutex_lock(&m->lock);
        metric = find_or_make(m, f, &text);
        pthread_mutex_unlock(&m->lock);
    }
    if (metric == NULL && why != NULL)
        *why = ccp_span_z(text);
    return metric;
}

static bool is(const struct ccp_metric *metric, enum ccp_metric_kind kind)
{
    return metric != NULL && metric->group.metrics[0].kind == kind;
}

static void add(struct ccp_metric *metric, const struct ccp_span *values, uint64_t n)
{
    if (is(metric, CCP_METRIC_COUNTER))
        group_add(&metric->group, group_series(&metric->group, values), 0, n);
}

static void set(struct ccp_metric *metric, const struct ccp_span *values, int64_t value)
{
    if (is(metric, CCP_METRIC_GAUGE))
        group_set(&metric->group, group_series(&metric->group, values), 0, value);
}

static void observe(struct ccp_metric *metric, const struct ccp_span *values, uint64_t value)
{
    if (is(metric, CCP_METRIC_HISTOGRAM))
        group_observe(&metric->group, group_series(&metric->group, values), 0, value);
}

const struct ccp_metrics metrics_service = {sizeof(struct ccp_metrics), family, add, set, observe};

void service_close(struct metrics *m)
{
    for (size_t i = 0; i < atomic_load(&m->extra_count); i++)
        release(m->extra[i]);
}

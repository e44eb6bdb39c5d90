/*
 * The page: Prometheus text 0.0.4, or OpenMetrics 1.0 for who asks for it.
 *
 * The two differ in how a counter's family is called and in the last line; everything else is written so that it is
 * valid in both, which also keeps the labels the same when a server changes its mind. It is written in steps: each
 * ends between two sets of labels, and the numbers of one histogram are always read together.
 */
#include "metrics_impl.h"

struct text {
    char *p;
    size_t n;
};

static void put(struct text *t, const char *p, size_t n)
{
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void put_z(struct text *t, const char *z)
{
    put(t, z, strlen(z));
}

static void put_int(struct text *t, uint64_t n)
{
    char digits[20];
    put(t, digits, ccp_digits(digits, n, 1));
}

/* value / 10^decimals, without zeros at the end, but at least one digit behind the point. */
static void put_fixed(struct text *t, uint64_t value, unsigned decimals)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++)
        unit *= 10;
    char digits[20];
    size_t n = decimals != 0 ? ccp_digits(digits, value % unit, decimals) : 0;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    put_int(t, value / unit);
    put(t, ".", 1);
    put(t, n != 0 ? digits : "0", n != 0 ? n : 1);
}

static void put_value(struct text *t, const struct metric *m, uint64_t value)
{
    if (m->kind == CCP_METRIC_GAUGE && (int64_t)value < 0) {
        put(t, "-", 1);
        value = 0 - value;
    }
    if (m->decimals != 0)
        put_fixed(t, value, m->decimals);
    else
        put_int(t, value);
    put(t, "\n", 1);
}

/* -- heads -- */

static const char *const kinds[] = {
    [CCP_METRIC_COUNTER] = "counter", [CCP_METRIC_GAUGE] = "gauge", [CCP_METRIC_HISTOGRAM] = "histogram"};

static void put_head_line(struct text *t, const char *what, const struct metric *m, bool total, const char *rest)
{
    put_z(t, what);
    put_z(t, m->name);
    put_z(t, total ? "_total " : " ");
    put_z(t, rest);
    put(t, "\n", 1);
}

static void put_head(struct text *t, const struct page *page, const struct metric *m)
{
    bool total = m->kind == CCP_METRIC_COUNTER && !page->open_metrics;
    put_head_line(t, "# HELP ", m, total, m->help);
    put_head_line(t, "# TYPE ", m, total, kinds[m->kind]);
}

/* -- samples -- */

struct labels {
    const char *set, *fixed;
    size_t set_n;
};

static void put_sample(struct text *t, const char *name, const char *suffix, struct labels l,
                       const struct metric *bucket, size_t bound)
{
    const char *before = "{";
    put_z(t, name);
    put_z(t, suffix);
    if (l.set_n != 0) {
        put_z(t, before);
        put(t, l.set, l.set_n);
        before = ",";
    }
    if (l.fixed != NULL) {
        put_z(t, before);
        put_z(t, l.fixed);
        before = ",";
    }
    if (bucket != NULL) {
        put_z(t, before);
        put_z(t, "le=\"");
        if (bound < bucket->bound_count)
            put_fixed(t, bucket->bounds[bound], bucket->decimals);
        else
            put_z(t, "+Inf");
        put_z(t, "\"");
        before = ",";
    }
    put_z(t, *before == ',' ? "} " : " ");
}

static void put_histogram(struct text *t, const struct metric *m, struct labels l, const uint64_t *cells)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= m->bound_count; i++) {
        count += cells[i];
        put_sample(t, m->name, "_bucket", l, m, i);
        put_int(t, count);
        put(t, "\n", 1);
    }
    put_sample(t, m->name, "_sum", l, NULL, 0);
    put_fixed(t, cells[m->bound_count + 1], m->decimals);
    put(t, "\n", 1);
    put_sample(t, m->name, "_count", l, NULL, 0);
    put_int(t, count);
    put(t, "\n", 1);
}

static void put_metric(struct text *t, const struct metric *m, struct labels l, const uint64_t *cells)
{
    if (m->kind == CCP_METRIC_HISTOGRAM) {
        put_histogram(t, m, l, cells);
        return;
    }
    put_sample(t, m->name, m->kind == CCP_METRIC_COUNTER ? "_total" : "", l, NULL, 0);
    put_value(t, m, cells[0]);
}

/* Is there anything to show? A set is made for all metrics of its group at once, and the first one is there from the
 * start: those count when they were counted. What has no labels, or a group of its own, may well be 0. */
static bool counted(const struct group *g, size_t series, const uint64_t *cells, size_t n)
{
    bool any = g->label_count == 0 || (g->metric_count == 1 && series != 0);
    for (size_t i = 0; i < n && !any; i++)
        any = cells[i] != 0;
    return any;
}

static void put_series(struct text *t, const struct group *g, size_t metric, size_t series)
{
    const struct metric *m = &g->metrics[metric];
    const struct series *s = &g->series[series];
    uint64_t cells[GROUP_BOUNDS + 2];
    group_read(g, series, metric, cells);
    if (counted(g, series, cells, group_cells(m)))
        put_metric(t, m, (struct labels){s->text, m->fixed, s->text_n}, cells);
}

/* -- what is not counted here -- */

struct single {
    struct metric metric;
    const char *figure; /* of ccp_api.figure, or NULL */
};

static const struct single of_core[] = {
    {{.kind = CCP_METRIC_GAUGE, .name = "ccproxy_requests_in_flight", .help = "Requests that are being worked on."},
     "requests.in_flight"},
    {{.kind = CCP_METRIC_GAUGE, .name = "ccproxy_memory_bytes", .help = "Memory that requests hold."}, "memory.used"},
    {{.kind = CCP_METRIC_COUNTER, .name = "ccproxy_log_lines_dropped", .help = "Log lines that were lost."},
     "log.dropped"},
    {{.kind = CCP_METRIC_COUNTER, .name = "ccproxy_events_dropped", .help = "Events that observers lost."},
     "events.dropped"},
    {{.kind = CCP_METRIC_GAUGE,
      .name = "ccproxy_plugins_failed",
      .help = "Plugins that are not in use for their errors."},
     "plugins.failed"},
    {{.kind = CCP_METRIC_COUNTER, .name = "ccproxy_plugin_failures", .help = "Failed or slow calls into plugins."},
     "plugins.failures"},
};

static void put_single(struct text *t, const struct page *page, const struct metric *m, const char *fixed,
                       uint64_t value)
{
    put_head(t, page, m);
    put_metric(t, m, (struct labels){NULL, fixed, 0}, &value);
}

static void put_figures(struct text *t, const struct page *page)
{
    const struct ccp_plugin_env *env = page->m->env;
    for (size_t i = 0; i < sizeof(of_core) / sizeof(of_core[0]); i++) {
        uint64_t value;
        if (env->api->figure != NULL && env->api->figure(env, of_core[i].figure, &value))
            put_single(t, page, &of_core[i].metric, NULL, value);
    }
}

static void put_overflow(struct text *t, const struct page *page)
{
    static const struct metric overflow = {.name = "ccproxy_series_overflow",
                                           .help = "How often a set of labels was counted as other."};
    uint64_t n = 0;
    for (size_t i = 0; i < GROUPS; i++)
        n += atomic_load_explicit(&page->m->groups[i].overflow, memory_order_relaxed);
    for (size_t i = 0; i < atomic_load_explicit(&page->m->extra_count, memory_order_acquire); i++)
        n += atomic_load_explicit(&page->m->extra[i]->group.overflow, memory_order_relaxed);
    put_single(t, page, &overflow, NULL, n);
}

static void put_process(struct text *t, const struct page *page)
{
    static const struct metric cpu = {.name = "process_cpu_seconds", .help = "CPU time in seconds.", .decimals = 6};
#define GAUGE(id, text)                                                                                                \
    {                                                                                                                  \
        .kind = CCP_METRIC_GAUGE, .name = "process_" id, .help = text                                                  \
    }
    static const struct metric resident = GAUGE("resident_memory_bytes", "Resident memory."),
                               size = GAUGE("virtual_memory_bytes", "Virtual memory."),
                               fds = GAUGE("open_fds", "Open file descriptors."),
                               max_fds = GAUGE("max_fds", "Most file descriptors that may be open."),
                               start = {.kind = CCP_METRIC_GAUGE,
                                        .name = "process_start_time_seconds",
                                        .help = "When the process began, in Unix seconds.",
                                        .decimals = 6};
    const struct process_figures *p = &page->process;
    if (p->has_cpu)
        put_single(t, page, &cpu, NULL, p->cpu_us);
    if (p->has_memory) {
        put_single(t, page, &resident, NULL, p->resident);
        put_single(t, page, &size, NULL, p->virtual);
        put_single(t, page, &start, NULL, p->start_unix_us);
    }
    if (p->has_fds)
        put_single(t, page, &fds, NULL, p->fds);
    if (p->has_max_fds)
        put_single(t, page, &max_fds, NULL, p->max_fds);
}

/* A plugin that was built elsewhere knows no version of the server. */
#ifndef CCP_VERSION
#define CCP_VERSION "unknown"
#endif

static void put_rest(struct text *t, const struct page *page)
{
    static const struct metric build = {.kind = CCP_METRIC_GAUGE,
                                        .name = "ccproxy_build_info",
                                        .help = "Always 1; the labels tell which build this is."};
    put_figures(t, page);
    put_overflow(t, page);
    put_process(t, page);
    put_single(t, page, &build, "version=\"" CCP_VERSION "\"", 1);
    if (page->open_metrics)
        put_z(t, "# EOF\n");
}

/* -- the steps -- */

void page_begin(struct page *page, struct metrics *m, bool open_metrics)
{
    *page = (struct page){.m = m, .open_metrics = open_metrics};
}

static const struct group *group_at(const struct page *page)
{
    size_t extra = atomic_load_explicit(&page->m->extra_count, memory_order_acquire);
    if (page->part < GROUPS)
        return &page->m->groups[page->part];
    return page->part - GROUPS < extra ? &page->m->extra[page->part - GROUPS]->group : NULL;
}

/* Families stand once: metrics of one name follow each other. */
static bool begins_family(const struct group *g, size_t metric)
{
    return metric == 0 || strcmp(g->metrics[metric - 1].name, g->metrics[metric].name) != 0;
}

static void next_metric(struct page *page, const struct group *g)
{
    page->series = 0;
    page->headed = false;
    if (++page->metric == g->metric_count) {
        page->metric = 0;
        page->part++;
    }
}

/* One set of one metric, or one head. */
static void one(struct page *page, const struct group *g, struct text *t)
{
    if (!page->headed && begins_family(g, page->metric))
        put_head(t, page, &g->metrics[page->metric]);
    page->headed = true;
    if (page->series == atomic_load_explicit(&g->count, memory_order_acquire))
        next_metric(page, g);
    else
        put_series(t, g, page->metric, page->series++);
}

size_t page_next(struct page *page, char *out)
{
    struct text t = {out, 0};
    while (!page->done && t.n < PAGE_STEP) {
        const struct group *g = group_at(page);
        if (g != NULL) {
            one(page, g, &t);
            continue;
        }
        put_rest(&t, page);
        page->done = true;
    }
    return t.n;
}

/*
 * What the files of the plugin share: metrics.c (manifest, settings, what an exchange counts), families.c (the built-in
 * families), service.c (those of other plugins), page.c (the text), scrape.c (the route), process.c (/proc).
 */
#ifndef METRICS_IMPL_H
#define METRICS_IMPL_H

#include "group.h"

#include <ccproxy/ccproxy.h>

enum { METRICS_EXTRA = 64 }; /* families of other plugins */

struct metrics_config {
    int64_t max_series;
    bool label_models, label_keys;
    struct ccp_list exclude_paths;
};

/* Built-in groups and the metrics in them, in the order of families.c. */
enum { REQUESTS, PROVIDERS, MODELS, REFRESHES, SERVER, GROUPS };
enum { PROVIDERS_ATTEMPTS, PROVIDERS_DROPPED, PROVIDERS_OVERHEAD };
enum { MODELS_INPUT, MODELS_OUTPUT, MODELS_CACHE_READ, MODELS_CACHE_WRITE, MODELS_DURATION, MODELS_FIRST, MODELS_EACH };
enum { SERVER_IN, SERVER_OUT, SERVER_STREAMS };

struct metrics {
    const struct ccp_plugin_env *env;
    const struct metrics_config *config;
    size_t shards;
    struct group groups[GROUPS];
    struct ccp_metric *extra[METRICS_EXTRA]; /* filled from the front, under `lock` */
    atomic_size_t extra_count;
    pthread_mutex_t lock;
};

/* families.c. False: no memory. */
bool families_open(struct metrics *m);
void families_close(struct metrics *m);

/* service.c */
struct ccp_metric {
    struct group group; /* one metric in it */
    char *texts;        /* name, help and labels */
    uint64_t bounds[GROUP_BOUNDS];
};
extern const struct ccp_metrics metrics_service;
void service_close(struct metrics *m);

/* process.c: figures of the process; a member is false in `has` when the system does not tell. */
struct process_figures {
    uint64_t cpu_us, resident, virtual, fds, max_fds, start_unix_us;
    bool has_cpu, has_memory, has_fds, has_max_fds;
};
void process_read(struct process_figures *p);

/* page.c: the page, piece by piece, so that nobody waits for all of it. */
struct page {
    struct metrics *m;
    bool open_metrics; /* OpenMetrics 1.0, else Prometheus text 0.0.4 */
    struct process_figures process;
    size_t part, metric, series; /* where it stands */
    bool headed, done;
};
enum {
    PAGE_STEP = 64 * 1024, /* a step ends when it has written so much */
    /* The largest that may still be begun then: a histogram whose name, labels and values are as long as can be. */
    PAGE_LINE = GROUP_SET_TEXT + 64 + 160,
    PAGE_ROOM = PAGE_STEP + (GROUP_BOUNDS + 3) * PAGE_LINE
};
void page_begin(struct page *page, struct metrics *m, bool open_metrics);
/* Writes whole lines into out, which has room for PAGE_ROOM; returns how many bytes. 0 = page->done. */
size_t page_next(struct page *page, char *out);

/* scrape.c */
enum ccp_verdict scrape_serve(void *self, struct ccp_exchange *x);

#endif

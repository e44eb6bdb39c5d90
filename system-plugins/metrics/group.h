/*
 * A group: metrics that share their labels, counted per set of label values.
 *
 * Every thread adds in a shard of its own, with relaxed atomics in cache lines that no other thread writes; the page
 * adds the shards up. A set of values is found by a hash table that only grows; making a new one, which happens once
 * for each, takes a lock. All memory is there from the start. Sets beyond `max` are counted as "other".
 */
#ifndef METRICS_GROUP_H
#define METRICS_GROUP_H

#include <ccproxy/metrics.h>

#include <pthread.h>
#include <stdatomic.h>

enum {
    GROUP_LABELS = 9,                                           /* of a set */
    GROUP_METRICS = 8,                                          /* of a group */
    GROUP_BOUNDS = 24,                                          /* of a histogram */
    GROUP_VALUE = 128,                                          /* bytes of a label's value */
    GROUP_SHARDS = 32,                                          /* threads beyond share them */
    GROUP_OTHER = 32,                                           /* sets beyond max, in which some labels say "other" */
    GROUP_SET_TEXT = GROUP_LABELS * (2 * GROUP_VALUE + 4 + 64), /* label text of one set, at most */
    GROUP_TEXT = 320, /* bytes of label text of a set, on the average; when it is spent the group is full */
};

struct metric {
    enum ccp_metric_kind kind;
    const char *name, *help;
    const char *fixed; /* a label beside the set's, as text: direction="in"; or NULL */
    const uint64_t *bounds;
    size_t bound_count;
    unsigned decimals;
    size_t cell; /* the first one: value, or the buckets and the sum */
};

struct series {
    uint64_t hash;
    const char *key;  /* the values, each with a NUL behind it */
    const char *text; /* as it is written: provider="mock",format="gemini" */
    uint32_t key_n, text_n;
};

struct group {
    const char *labels[GROUP_LABELS];
    size_t label_count;
    unsigned fold; /* bit i: label i says "other" when the group is full */
    struct metric metrics[GROUP_METRICS];
    size_t metric_count;
    /* from group_open on */
    size_t max, capacity, cells, shards;
    struct series *series;
    atomic_size_t count;
    atomic_uint *slots; /* index + 1; 0 = free */
    size_t slot_mask;
    char *text;
    size_t text_n, text_max;
    void *memory;
    atomic_ullong *values;  /* [shard][series][cell] */
    atomic_ullong overflow; /* how often "other" was counted */
    pthread_mutex_t lock;   /* held while a set is added */
};

/* Lays out the cells and takes the memory; labels and metrics are filled in. False: no memory. */
bool group_open(struct group *g, size_t max, size_t shards);
void group_close(struct group *g);

/* The set of these values, made if need be. Never fails: a full group gives its "other". */
size_t group_series(struct group *g, const struct ccp_span *values);
void group_add(struct group *g, size_t series, size_t metric, uint64_t n);
void group_set(struct group *g, size_t series, size_t metric, int64_t value); /* not mixed with group_add */
void group_observe(struct group *g, size_t series, size_t metric, uint64_t value);

/* Sums over the shards: `out` gets the cells of one metric (group_cells of them). */
void group_read(const struct group *g, size_t series, size_t metric, uint64_t *out);
size_t group_cells(const struct metric *m);

#endif

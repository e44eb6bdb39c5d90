/*
 * See group.h.
 */
#include "group.h"

#include <stdlib.h>

enum { LINE = 64, CELLS_OF_LINE = LINE / sizeof(atomic_ullong) };

/* Threads get a number when they first count. Process-wide: it says nothing about any one plugin instance. */
static atomic_uint threads;
static _Thread_local unsigned thread_number;

static size_t shard_of(const struct group *g)
{
    if (thread_number == 0)
        thread_number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    return thread_number < g->shards ? thread_number - 1 : g->shards - 1;
}

size_t group_cells(const struct metric *m)
{
    return m->kind == CCP_METRIC_HISTOGRAM ? m->bound_count + 2 : 1;
}

static void lay_out(struct group *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->metric_count; i++) {
        g->metrics[i].cell = n;
        n += group_cells(&g->metrics[i]);
    }
    g->cells = (n + CELLS_OF_LINE - 1) / CELLS_OF_LINE * CELLS_OF_LINE;
}

static size_t power_above(size_t n)
{
    size_t p = 16;
    while (p < n)
        p *= 2;
    return p;
}

/* The set that takes what finds no other place. It is there from the start, and shown only when it was counted. */
static void add_last_resort(struct group *g);

bool group_open(struct group *g, size_t max, size_t shards)
{
    lay_out(g);
    g->max = max;
    g->capacity = max + GROUP_OTHER;
    g->shards = shards < 1 ? 1 : shards > GROUP_SHARDS ? GROUP_SHARDS : shards;
    g->slot_mask = power_above(2 * g->capacity) - 1;
    g->text_max = g->capacity * GROUP_TEXT + 4 * GROUP_LABELS * GROUP_VALUE;
    g->series = calloc(g->capacity, sizeof(*g->series));
    g->slots = calloc(g->slot_mask + 1, sizeof(*g->slots));
    g->text = malloc(g->text_max);
    /* What is never counted stays untouched, and so costs no memory. */
    g->memory = calloc(g->shards * g->capacity * g->cells + CELLS_OF_LINE, sizeof(atomic_ullong));
    if (g->series == NULL || g->slots == NULL || g->text == NULL || g->memory == NULL ||
        pthread_mutex_init(&g->lock, NULL) != 0) {
        free(g->series);
        free(g->slots);
        free(g->text);
        free(g->memory);
        g->memory = NULL;
        return false;
    }
    g->values = (atomic_ullong *)(((uintptr_t)g->memory + LINE - 1) / LINE * LINE);
    add_last_resort(g);
    return true;
}

void group_close(struct group *g)
{
    if (g->memory == NULL)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g->series);
    free(g->slots);
    free(g->text);
    free(g->memory);
    g->memory = NULL;
}

/* -- keys -- */

/* A well-formed sequence of two to four bytes (RFC 3629), or 0. */
static size_t utf8(const unsigned char *p, size_t n)
{
    size_t want = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (want == 0 || want > n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || beyond ? 0 : want;
}

/* Has one of eight bytes its high bit set, or is it a control character? Each byte by itself: those below 0x20 borrow
 * from the high bit, 0x7f is the only one that adding one carries into it. */
static bool odd(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, high = ones * 0x80;
    return ((word | (word + ones) | (word - ones * 0x20)) & high) != 0;
}

/* How many bytes at the beginning are plain ASCII, in steps of eight; they are copied. */
static size_t copy_plain(char *out, struct ccp_span value)
{
    size_t n = 0;
    for (uint64_t word; value.n - n >= sizeof(word); n += sizeof(word)) {
        memcpy(&word, value.p + n, sizeof(word));
        if (odd(word))
            return n;
        memcpy(out + n, &word, sizeof(word));
    }
    return n;
}

/* Valid UTF-8 without control characters, cut at GROUP_VALUE bytes: one bad value would make a whole page unreadable.
 * Two values that look the same afterwards are the same. */
static size_t clean(char *out, struct ccp_span value)
{
    size_t n = value.n <= GROUP_VALUE ? copy_plain(out, value) : 0;
    for (size_t i = n; i < value.n;) {
        unsigned char c = (unsigned char)value.p[i];
        if (c >= 0x20 && c < 0x7f && n < GROUP_VALUE) {
            out[n++] = (char)c;
            i++;
            continue;
        }
        size_t wide = c < 0x80 ? 1 : utf8((const unsigned char *)value.p + i, value.n - i);
        if (n + (wide != 0 ? wide : 1) > GROUP_VALUE)
            break;
        if (wide == 0 || c < 0x20 || c == 0x7f)
            out[n++] = '?';
        else
            for (size_t k = 0; k < wide; k++)
                out[n++] = value.p[i + k];
        i += wide != 0 ? wide : 1;
    }
    return n;
}

struct key {
    char p[GROUP_LABELS * (GROUP_VALUE + 1)];
    size_t n;
    uint64_t hash;
};

/* Eight bytes at a time; the keys are short and nobody gains much by making two of them collide: the table is small,
 * and its size is limited. */
static uint64_t hash_of(const char *p, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ n;
    uint64_t word;
    for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, p, n);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static void make_key(struct key *key, const struct group *g, const struct ccp_span *values, unsigned folded)
{
    key->n = 0;
    for (size_t i = 0; i < g->label_count; i++) {
        struct ccp_span value = folded >> i & 1 ? CCP_SPAN("other") : values[i];
        key->n += clean(key->p + key->n, value);
        key->p[key->n++] = '\0';
    }
    key->hash = hash_of(key->p, key->n);
}

/* -- the table -- */

static bool find(const struct group *g, const struct key *key, size_t *series)
{
    for (size_t i = key->hash & g->slot_mask;; i = (i + 1) & g->slot_mask) {
        unsigned index = atomic_load_explicit(&g->slots[i], memory_order_acquire);
        if (index == 0)
            return false;
        const struct series *s = &g->series[index - 1];
        if (s->hash == key->hash && s->key_n == key->n && memcmp(s->key, key->p, key->n) == 0) {
            *series = index - 1;
            return true;
        }
    }
}

static size_t escape(char *out, const char *value)
{
    size_t n = 0;
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            out[n++] = '\\';
        out[n++] = *value;
    }
    return n;
}

/* name="value",...; a label without a value is left out, which is the same to Prometheus. */
static size_t write_labels(char *out, const struct group *g, const struct key *key)
{
    size_t n = 0;
    const char *value = key->p;
    for (size_t i = 0; i < g->label_count; i++, value += strlen(value) + 1) {
        if (*value == '\0')
            continue;
        size_t name = strlen(g->labels[i]);
        if (n != 0)
            out[n++] = ',';
        memcpy(out + n, g->labels[i], name);
        n += name;
        out[n++] = '=';
        out[n++] = '"';
        n += escape(out + n, value);
        out[n++] = '"';
    }
    return n;
}

/* With the lock. False: no room. */
static bool insert(struct group *g, const struct key *key, size_t limit, size_t *series)
{
    char text[GROUP_SET_TEXT];
    size_t index = atomic_load_explicit(&g->count, memory_order_relaxed), slot = key->hash & g->slot_mask;
    size_t n = write_labels(text, g, key);
    if (index >= limit || key->n + n > g->text_max - g->text_n)
        return false;
    char *at = g->text + g->text_n;
    memcpy(at, key->p, key->n);
    memcpy(at + key->n, text, n);
    g->text_n += key->n + n;
    g->series[index] = (struct series){key->hash, at, at + key->n, (uint32_t)key->n, (uint32_t)n};
    while (atomic_load_explicit(&g->slots[slot], memory_order_relaxed) != 0)
        slot = (slot + 1) & g->slot_mask;
    atomic_store_explicit(&g->slots[slot], (unsigned)index + 1, memory_order_release);
    atomic_store_explicit(&g->count, index + 1, memory_order_release);
    *series = index;
    return true;
}

static void add_last_resort(struct group *g)
{
    static const struct ccp_span none[GROUP_LABELS];
    struct key key;
    size_t series;
    make_key(&key, g, none, g->fold != 0 ? ~0u : 0);
    insert(g, &key, g->capacity, &series); /* the first: series 0 */
}

static bool full(const struct group *g, size_t limit)
{
    return atomic_load_explicit(&g->count, memory_order_relaxed) >= limit;
}

/* False: there is no room for one more. */
static bool find_or_add(struct group *g, const struct key *key, size_t limit, size_t *series)
{
    if (find(g, key, series))
        return true;
    if (full(g, limit))
        return false;
    pthread_mutex_lock(&g->lock);
    bool there = find(g, key, series) || insert(g, key, limit, series);
    pthread_mutex_unlock(&g->lock);
    return there;
}

size_t group_series(struct group *g, const struct ccp_span *values)
{
    struct key key;
    size_t series = 0;
    make_key(&key, g, values, 0);
    if (find_or_add(g, &key, g->max + 1, &series)) /* one is the last resort */
        return series;
    atomic_fetch_add_explicit(&g->overflow, 1, memory_order_relaxed);
    make_key(&key, g, values, g->fold);
    return find_or_add(g, &key, g->capacity, &series) ? series : 0;
}

/* -- values -- */

static atomic_ullong *cell(const struct group *g, size_t shard, size_t series, size_t metric)
{
    return g->values + (shard * g->capacity + series) * g->cells + g->metrics[metric].cell;
}

/* All shards but the last have one writer, who needs no locked instruction; readers see the old value or the new one.
 */
static void add(const struct group *g, size_t shard, atomic_ullong *cell, uint64_t n)
{
    if (shard + 1 == g->shards)
        atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
    else
        atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n, memory_order_relaxed);
}

void group_add(struct group *g, size_t series, size_t metric, uint64_t n)
{
    size_t shard = shard_of(g);
    add(g, shard, cell(g, shard, series, metric), n);
}

/* In one place, since the last one counts, whoever said it. */
void group_set(struct group *g, size_t series, size_t metric, int64_t value)
{
    atomic_store_explicit(cell(g, 0, series, metric), (uint64_t)value, memory_order_relaxed);
}

void group_observe(struct group *g, size_t series, size_t metric, uint64_t value)
{
    const struct metric *m = &g->metrics[metric];
    size_t shard = shard_of(g);
    atomic_ullong *cells = cell(g, shard, series, metric);
    size_t i = 0;
    while (i < m->bound_count && value > m->bounds[i])
        i++;
    add(g, shard, &cells[i], 1);
    add(g, shard, &cells[m->bound_count + 1], value);
}

void group_read(const struct group *g, size_t series, size_t metric, uint64_t *out)
{
    size_t n = group_cells(&g->metrics[metric]);
    memset(out, 0, n * sizeof(*out));
    for (size_t shard = 0; shard < g->shards; shard++)
        for (size_t i = 0; i < n; i++)
            out[i] += atomic_load_explicit(cell(g, shard, series, metric) + i, memory_order_relaxed);
}

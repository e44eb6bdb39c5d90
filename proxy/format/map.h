/*
 * A hash map from text to pointer, in an arena. It only grows; keys are compared byte for byte and borrowed.
 *
 * For lists that a client can make long (tool calls of a history, tool names), where looking through the list for each
 * would take quadratic time.
 */
#ifndef FORMAT_MAP_H
#define FORMAT_MAP_H

#include <base/arena.h>

struct map_slot {
    struct ccp_span key;
    void *value;
};

struct map {
    struct arena *a;
    struct map_slot *slots;
    size_t n, capacity; /* capacity is a power of two */
    uint64_t seed;
};

void map_init(struct map *m, struct arena *a);           /* cannot fail */
void *map_get(const struct map *m, struct ccp_span key); /* NULL = absent */
/* Adds or replaces; value is not NULL. False when memory was refused. */
bool map_put(struct map *m, struct ccp_span key, void *value);

/* FNV-1a, for ids that must be the same in every process. */
uint64_t map_hash(uint64_t seed, struct ccp_span text);

#endif

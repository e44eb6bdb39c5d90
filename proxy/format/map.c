/*
 * Open addressing with linear probing; doubled when three quarters full.
 */
#include <base/fault.h>
#include <format/map.h>

uint64_t map_hash(uint64_t seed, struct ccp_span text)
{
    /* A small seed must not be the same as another first byte. */
    uint64_t h = (seed * 0x9e3779b97f4a7c15u) ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)text.p[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

void map_init(struct map *m, struct arena *a)
{
    /* The address differs from run to run: whoever writes the keys cannot know which of them will collide. */
    *m = (struct map){.a = a, .seed = (uintptr_t)m * 0x9e3779b97f4a7c15u};
}

/* The slot that has the key, or the free one where it belongs. */
static struct map_slot *slot_of(const struct map *m, struct ccp_span key)
{
    size_t i = map_hash(m->seed, key) & (m->capacity - 1);
    while (m->slots[i].value != NULL && !ccp_span_eq(m->slots[i].key, key))
        i = (i + 1) & (m->capacity - 1);
    return &m->slots[i];
}

void *map_get(const struct map *m, struct ccp_span key)
{
    return m->n != 0 ? slot_of(m, key)->value : NULL;
}

static bool grow(struct map *m)
{
    struct map bigger = *m;
    bigger.capacity = m->capacity != 0 ? m->capacity * 2 : 16;
    bigger.slots = CCP_FAULT("map.grow") ? NULL : arena_zalloc(m->a, bigger.capacity * sizeof(struct map_slot));
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i].value != NULL)
            *slot_of(&bigger, m->slots[i].key) = m->slots[i];
    *m = bigger;
    return true;
}

bool map_put(struct map *m, struct ccp_span key, void *value)
{
    if (m->n * 4 >= m->capacity * 3 && !grow(m))
        return false;
    struct map_slot *slot = slot_of(m, key);
    m->n += slot->value == NULL;
    *slot = (struct map_slot){key, value};
    return true;
}

/*
 * Arena: see arena.h. Chunks are linked newest first; allocations above half a chunk get a block of their own
 * on the `large` list, so that a big body does not waste the chunk in use.
 */
#include <base/arena.h>
#include <base/assert.h>
#include <base/budget.h>
#include <base/fault.h>
#include <base/secret.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* whole block */
};

struct arena_defer {
    struct arena_defer *next;
    void (*release)(void *arg);
    void *arg;
};

#define SHORT_OF (64 * 1024)
#define ALIGN    16
#define HEADER   ((sizeof(struct arena_chunk) + ALIGN - 1) / ALIGN * ALIGN)

void arena_cache_init(struct arena_cache *cache, size_t keep)
{
    *cache = (struct arena_cache){.keep = keep};
}

static void release(struct arena_chunk *c)
{
    budget_give(c->size);
    free(c);
}

void arena_cache_release(struct arena_cache *cache)
{
    while (cache->free != NULL) {
        struct arena_chunk *c = cache->free;
        cache->free = c->next;
        release(c);
    }
    cache->count = 0;
}

void arena_init(struct arena *a, struct arena_cache *cache, size_t budget)
{
    *a = (struct arena){.cache = cache, .budget = budget == 0 ? SIZE_MAX : budget};
}

void arena_init_secret(struct arena *a, size_t budget)
{
    arena_init(a, NULL, budget);
    a->wipes = true;
}

static bool charge(struct arena *a, size_t n)
{
    if (n > a->budget - a->used || CCP_FAULT("arena.alloc"))
        return false;
    a->used += n;
    return true;
}

static struct arena_chunk *take_chunk(struct arena *a)
{
    struct arena_chunk *c;
    if (a->cache != NULL && a->cache->free != NULL) {
        c = a->cache->free;
        a->cache->free = c->next;
        a->cache->count--;
    } else if ((c = malloc(ARENA_CHUNK)) != NULL) {
        c->size = ARENA_CHUNK;
        budget_take(ARENA_CHUNK);
    }
    return c;
}

/* What held secrets leaves nothing behind. */
static void wipe(const struct arena *a, struct arena_chunk *c)
{
    if (a->wipes)
        secret_wipe((char *)c + HEADER, c->size - HEADER);
}

static void give_chunk(struct arena *a, struct arena_chunk *c)
{
    wipe(a, c);
    if (a->cache == NULL || a->cache->count >= a->cache->keep) {
        release(c);
        return;
    }
    c->next = a->cache->free;
    a->cache->free = c;
    a->cache->count++;
}

/* An exchange (what has a budget of its own) gets no large block any more when memory is short. */
static bool too_much(const struct arena *a, size_t n)
{
    return a->budget != SIZE_MAX && n >= SHORT_OF && budget_level(n) == BUDGET_FULL;
}

static void *alloc_large(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - HEADER || too_much(a, n) || !charge(a, n + HEADER))
        return NULL;
    struct arena_chunk *c = malloc(n + HEADER);
    if (c == NULL) {
        a->used -= n + HEADER;
        return NULL;
    }
    c->size = n + HEADER;
    budget_take(c->size);
    c->next = a->large;
    a->large = c;
    return (char *)c + HEADER;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGN || CCP_FAULT("arena.any"))
        return NULL;
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    if (n == 0)
        n = ALIGN;
    if (n <= (size_t)(a->end - a->at)) {
        void *p = a->at;
        a->at += n;
        return p;
    }
    if (n > (ARENA_CHUNK - HEADER) / 2)
        return alloc_large(a, n);
    if (!charge(a, ARENA_CHUNK))
        return NULL;
    struct arena_chunk *c = take_chunk(a);
    if (c == NULL) {
        a->used -= ARENA_CHUNK;
        return NULL;
    }
    c->next = a->chunks;
    a->chunks = c;
    a->at = (char *)c + HEADER + n;
    a->end = (char *)c + ARENA_CHUNK;
    return (char *)c + HEADER;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    if (p != NULL)
        memset(p, 0, n);
    return p;
}

struct ccp_span arena_dup(struct arena *a, struct ccp_span s)
{
    return arena_cat(a, &s, 1);
}

struct ccp_span arena_cat(struct arena *a, const struct ccp_span *pieces, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].n > SIZE_MAX - 1 - total)
            return (struct ccp_span){NULL, 0};
        total += pieces[i].n;
    }
    char *p = arena_alloc(a, total + 1);
    if (p == NULL)
        return (struct ccp_span){NULL, 0};
    char *at = p;
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].n != 0)
            memcpy(at, pieces[i].p, pieces[i].n);
        at += pieces[i].n;
    }
    *at = '\0';
    return (struct ccp_span){p, total};
}

struct ccp_span arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
    if (p != NULL)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct ccp_span){p, p != NULL ? (size_t)n : 0};
}

struct ccp_span arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ccp_span s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->chunks, a->large, a->at, a->end, a->used};
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    while (a->chunks != mark.chunk) {
        CCP_ASSERT(a->chunks != NULL);
        struct arena_chunk *c = a->chunks;
        a->chunks = c->next;
        give_chunk(a, c);
    }
    while (a->large != mark.large) {
        CCP_ASSERT(a->large != NULL);
        struct arena_chunk *c = a->large;
        a->large = c->next;
        wipe(a, c);
        release(c);
    }
    a->at = mark.at;
    a->end = mark.end;
    a->used = mark.used;
}

bool arena_defer(struct arena *a, void (*release)(void *arg), void *arg)
{
    struct arena_defer *d = arena_alloc(a, sizeof(*d));
    if (d == NULL)
        return false;
    *d = (struct arena_defer){a->defers, release, arg};
    a->defers = d;
    return true;
}

void arena_end(struct arena *a)
{
    for (struct arena_defer *d = a->defers; d != NULL; d = d->next)
        d->release(d->arg);
    a->defers = NULL;
    arena_rewind(a, (struct arena_mark){NULL, NULL, NULL, NULL, 0});
}

/*
 * Arena: the memory of one exchange.
 *
 * Bump allocation from 4 KiB chunks that a per-worker freelist recycles; larger requests get a block of their
 * own. A byte budget is checked before anything is taken: NULL when it is spent (or memory ends), and the
 * caller turns that into an answer. All of it is charged to the process's budget (budget.h). mark/rewind give back
 * per-event work so that a long stream stays flat. arena_end runs the deferred releases in reverse order and returns
 * everything; it is the only clean-up path. Not thread-safe: arena and cache belong to one worker.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <ccproxy/span.h>

#include <stdarg.h>

#define ARENA_CHUNK 4096

struct arena_chunk;
struct arena_defer;

/* Freelist of standard chunks; one per worker. */
struct arena_cache {
    struct arena_chunk *free;
    size_t count, keep; /* at most `keep` chunks are held back */
};

struct arena {
    struct arena_cache *cache; /* may be NULL: plain malloc */
    struct arena_chunk *chunks, *large;
    char *at, *end;
    size_t used, budget; /* bytes charged, bytes allowed */
    bool wipes;          /* memory is overwritten before it is given back: for secrets; no cache */
    struct arena_defer *defers;
};

struct arena_mark {
    struct arena_chunk *chunk, *large;
    char *at, *end;
    size_t used;
};

void arena_cache_init(struct arena_cache *cache, size_t keep);
void arena_cache_release(struct arena_cache *cache);

/* budget 0 = unlimited (configuration, CLI). */
void arena_init(struct arena *a, struct arena_cache *cache, size_t budget);
/* The same for memory that holds secrets: rewind and end overwrite it. */
void arena_init_secret(struct arena *a, size_t budget);
/* Zeroed? No. Aligned to 16. n = 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((malloc, alloc_size(2)));
void *arena_zalloc(struct arena *a, size_t n);
/* Copies, and adds a NUL that the span does not count. p = NULL when refused. */
struct ccp_span arena_dup(struct arena *a, struct ccp_span s);
struct ccp_span arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct ccp_span arena_vprintf(struct arena *a, const char *fmt, va_list ap);
/* Joins; p = NULL when refused. */
struct ccp_span arena_cat(struct arena *a, const struct ccp_span *pieces, size_t n);

struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark); /* no defer may have been added since the mark */

/* Runs `release(arg)` at arena_end, last added first. False when refused (then nothing will run). */
bool arena_defer(struct arena *a, void (*release)(void *arg), void *arg);
void arena_end(struct arena *a);

#endif

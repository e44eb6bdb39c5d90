/*
 * Counts a program's calls of malloc, calloc and realloc, preloaded into it (test_metrics_cost.py). The number stands
 * in the file that MALLOC_COUNT names, eight bytes, and can be read while the program runs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static atomic_ullong nowhere, *count = &nowhere;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MALLOC_COUNT");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (page != MAP_FAILED)
        count = page;
    if (fd >= 0)
        close(fd);
}

void *malloc(size_t n)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    return __libc_realloc(p, n);
}

/*
 * See memory.h. glibc's allocator by default maps blocks above a moving threshold one by one and gives the top of
 * each heap back as soon as it is free, so that a proxy of 1 MB bodies pays some 250 page faults for each request.
 */
#include <base/memory.h>

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAP_FROM    (8 << 20)  /* larger blocks are mapped, and gone when freed */
#define KEEP_TOP    (32 << 20) /* of each heap, until memory_trim */
#define TRIMMED_TOP (64 << 10)

static atomic_uint trims; /* of the process, whose allocator it is */

static bool address_space_is_limited(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY;
}

void memory_tune(size_t workers)
{
    mallopt(M_MMAP_THRESHOLD, MAP_FROM);
    mallopt(M_TRIM_THRESHOLD, KEEP_TOP);
    /* Each arena reserves 64 MiB of address space; where that is rationed, threads share one and its lock. */
    mallopt(M_ARENA_MAX, address_space_is_limited() ? 1 : (int)workers + 1);
}

/* malloc_trim leaves the top of every heap but main's alone; a free on the heap's own thread gives it back. */
void memory_trim_thread(void)
{
    mallopt(M_TRIM_THRESHOLD, TRIMMED_TOP);
    void *volatile block = malloc(2 * TRIMMED_TOP); /* volatile: the compiler may not leave both calls out */
    free(block);
    mallopt(M_TRIM_THRESHOLD, KEEP_TOP);
}

void memory_trim(void)
{
    memory_trim_thread();
    malloc_trim(0);
    atomic_fetch_add(&trims, 1);
}

unsigned memory_trims(void)
{
    return atomic_load(&trims);
}

struct mapping {
    uintptr_t from, to;
    bool of_a_file, readable_only;
};

/* "55d0c0a00000-55d0c0a8b000 r-xp 00042000 fe:00 1234  /usr/bin/ccproxy"; false = a line about the mapping before. */
static bool parse_mapping(const char *line, struct mapping *m)
{
    unsigned long from, to, inode;
    char rights[5];
    if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &from, &to, rights, &inode) != 4)
        return false;
    *m = (struct mapping){from, to, inode != 0, rights[0] == 'r' && rights[1] == '-'};
    return true;
}

/* What a debugger or the dynamic linker wrote into a page makes it anonymous, and such mappings stay as they are. */
void memory_drop_code(void)
{
    char line[512];
    unsigned long anonymous;
    struct mapping m = {0};
    FILE *f = fopen("/proc/self/smaps", "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (parse_mapping(line, &m) || sscanf(line, "Anonymous: %lu kB", &anonymous) != 1)
            continue;
        if (m.of_a_file && m.readable_only && anonymous == 0)
            madvise((void *)m.from, m.to - m.from, MADV_DONTNEED);
    }
    if (f != NULL)
        fclose(f);
}

static uint64_t statm(int field)
{
    unsigned long long n[2] = {0, 0};
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    int got = fscanf(f, "%llu %llu", &n[0], &n[1]);
    fclose(f);
    return got == 2 ? n[field] * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

uint64_t memory_mapped(void)
{
    return statm(0);
}

uint64_t memory_resident(void)
{
    return statm(1);
}

/*
 * The memory budget: one limit for the whole process, shared by all threads.
 *
 * Those who hold much memory at a stranger's wish charge it here (request bodies, connections, arenas, buffers,
 * outgoing blocks); small and bounded things are not counted one by one. Each thread keeps what it took or gave back
 * to itself until that makes BUDGET_BATCH bytes, so that a charge is an addition and almost never an atomic: what is
 * said here of the use is exact to BUDGET_BATCH bytes for each thread. What is freed by another thread than the one
 * that charged it still adds up.
 *
 * Nothing here refuses anything: callers ask for the level. HIGH = who comes new is refused; FULL = whoever wants
 * more is ended.
 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_BATCH        (64 * 1024)
#define BUDGET_HIGH_PERCENT 80
#define BUDGET_FULL_PERCENT 95
#define BUDGET_ROOM_MIN     ((uint64_t)32 << 20) /* a limit leaves at least so much beside what the program itself is */

enum budget_level { BUDGET_FREE, BUDGET_HIGH, BUDGET_FULL };

/* The limit in bytes; 0 = budget_automatic(). What the process occupies at the first call counts as used for good.
 * A limit too small to serve anything is raised to that plus BUDGET_ROOM_MIN. Returns the limit in force.
 * Any thread; all callers of one configuration give the same number. */
uint64_t budget_set_limit(uint64_t limit);
/* 80 % of the least of: the cgroup's limit (v2 or v1, with its parents'), what RLIMIT_AS still allows, physical
 * memory. */
uint64_t budget_automatic(void);

void budget_take(size_t n); /* n bytes more are held */
void budget_give(size_t n); /* n bytes were freed */
/* The level as it would be with `more` bytes. */
enum budget_level budget_level(size_t more);
uint64_t budget_limit(void);
uint64_t budget_used(void);
uint64_t budget_peak(void); /* the highest use since budget_fallen was last true */
/* Has the use fallen by `least` bytes and by half of its peak (both without what the program itself is)? Then the peak
 * begins afresh, and exactly one caller gets true: freed memory is worth giving back to the system. */
bool budget_fallen(uint64_t least);

/* The least limit that the cgroup files below `mount` (/sys/fs/cgroup) set for the group named by `membership` (a
 * file like /proc/self/cgroup); UINT64_MAX = none. For budget_automatic and its tests. */
uint64_t budget_cgroup_limit(const char *mount, const char *membership);

#endif

/*
 * The memory budget: levels, batches, threads, the peak; where an automatic limit comes from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/arena.h>
#include <base/budget.h>
#include <base/buf.h>
#include <base/memory.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static void a_limit_leaves_room_to_work(void **state)
{
    uint64_t least = budget_set_limit(1);
    assert_true(least >= BUDGET_ROOM_MIN);
    assert_int_equal(budget_set_limit(least + MIB), least + MIB);
    assert_int_equal(budget_limit(), least + MIB);
    assert_true(budget_automatic() > least);
    uint64_t automatic = budget_automatic();
    assert_true(budget_set_limit(0) == automatic);
    assert_true(budget_used() > 0); /* the program itself */
}

static void levels_follow_the_use(void **state)
{
    uint64_t before = budget_used(), limit = budget_set_limit(before + 100 * MIB);
    size_t high = (size_t)(limit / 100 * BUDGET_HIGH_PERCENT - before);
    size_t full = (size_t)(limit / 100 * BUDGET_FULL_PERCENT - before);
    assert_int_equal(budget_level(0), BUDGET_FREE);
    assert_int_equal(budget_level(high - 1), BUDGET_FREE);
    assert_int_equal(budget_level(high), BUDGET_HIGH);
    assert_int_equal(budget_level(full), BUDGET_HIGH);
    assert_int_equal(budget_level(full + 1), BUDGET_FULL);
    assert_int_equal(budget_level(SIZE_MAX), BUDGET_FULL);
    budget_take(high);
    assert_int_equal(budget_level(0), BUDGET_HIGH);
    budget_take(full - high + 1);
    assert_int_equal(budget_level(0), BUDGET_FULL);
    budget_give(full + 1);
    assert_int_equal(budget_level(0), BUDGET_FREE);
    assert_int_equal(budget_used(), before);
}

#define THREADS 4
#define ROUNDS  20000
#define PIECE   1000

static pthread_barrier_t barrier;

/* Takes what the next thread gives back. */
static void *take_and_give(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        budget_take(PIECE);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < ROUNDS; i++)
        budget_give(PIECE);
    return NULL;
}

static void threads_agree_but_for_a_batch(void **state)
{
    pthread_t threads[THREADS];
    uint64_t before = budget_used();
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&barrier);
    uint64_t after = budget_used(), off = after > before ? after - before : before - after;
    assert_true(off < (uint64_t)THREADS * BUDGET_BATCH);
    assert_true(budget_peak() + (uint64_t)THREADS * BUDGET_BATCH >= before + (uint64_t)PIECE * ROUNDS);
}

static void a_fall_is_told_once(void **state)
{
    while (budget_fallen(1))
        ;
    uint64_t before = budget_used();
    budget_take(64 * MIB);
    assert_true(budget_peak() >= before + 63 * MIB);
    assert_false(budget_fallen(MIB));
    budget_give(16 * MIB);
    assert_false(budget_fallen(MIB)); /* not by half yet */
    budget_give(48 * MIB);
    assert_false(budget_fallen(100 * MIB)); /* not by so much */
    assert_true(budget_fallen(MIB));
    assert_false(budget_fallen(MIB));
    assert_int_equal(budget_used(), before);
}

static void what_holds_memory_is_charged(void **state)
{
    struct arena a;
    struct arena_cache cache;
    struct ccp_buf b;
    uint64_t before = budget_used();
    arena_cache_init(&cache, 4);
    arena_init(&a, &cache, 8 * MIB);
    assert_non_null(arena_alloc(&a, 1 * MIB));
    assert_non_null(arena_alloc(&a, 100));
    assert_true(budget_used() >= before + MIB + ARENA_CHUNK);
    arena_end(&a);
    assert_int_equal(budget_used(), before + ARENA_CHUNK); /* kept for the next one */
    arena_cache_release(&cache);
    buf_init(&b, 1 << 20);
    assert_true(buf_reserve(&b, 1000) && buf_reserve(&b, 100000));
    assert_true(budget_used() >= before + 100000);
    buf_release(&b);
    buf_release(&b);
    assert_int_equal(budget_used(), before);
}

static void a_full_budget_refuses_large_blocks_of_exchanges(void **state)
{
    struct arena exchange, configuration;
    uint64_t before = budget_used(), limit = budget_set_limit(before + 64 * MIB);
    size_t most = (size_t)(limit - before);
    arena_init(&exchange, NULL, 8 * MIB);
    arena_init(&configuration, NULL, 0);
    budget_take(most);
    assert_null(arena_alloc(&exchange, MIB));
    assert_non_null(arena_alloc(&exchange, 100)); /* an answer can still be made */
    assert_non_null(arena_alloc(&configuration, MIB));
    budget_give(most);
    assert_non_null(arena_alloc(&exchange, MIB));
    arena_end(&exchange);
    arena_end(&configuration);
    assert_int_equal(budget_used(), before);
}

/* ---- cgroups ------------------------------------------------------------------------------------------- */

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s", in_folder(name));
    for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static uint64_t limit_for(const char *membership)
{
    char path[256];
    put("membership", membership);
    snprintf(path, sizeof(path), "%s", in_folder("membership"));
    return budget_cgroup_limit(folder, path);
}

static void the_least_limit_of_a_group_and_its_parents(void **state)
{
    put("memory.max", "max\n");
    put("a/memory.max", "1000000\n");
    put("a/b/memory.max", "2000000\n");
    put("a/c/memory.max", "500000\n");
    put("a/d/memory.max", "nonsense\n");
    put("memory/v1/memory.limit_in_bytes", "300000\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(limit_for("0::/a/b\n") == 1000000);
    assert_true(limit_for("0::/a/c\n") == 500000);
    assert_true(limit_for("0::/a/d\n") == 1000000);
    assert_true(limit_for("0::/\n") == UINT64_MAX);
    assert_true(limit_for("0::/not/mounted/here\n") == UINT64_MAX);
    assert_true(limit_for("7:cpu,cpuacct:/v1\n9:memory:/v1\n0::/a\n") == 300000);
    assert_true(limit_for("9:memory:/v1/deeper\n") == 300000);
    assert_true(limit_for("9:memory:/elsewhere\n") == UINT64_MAX);
    assert_true(limit_for("") == UINT64_MAX);
    assert_true(limit_for(":\n::\nx\n") == UINT64_MAX);
    put("memory.max", "700000\n");
    assert_true(limit_for("0::/../outside\n") == 700000); /* a container that sees only its own group */
    assert_true(budget_cgroup_limit(folder, "/nonexistent") == UINT64_MAX);
}

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/ccp-cgroup-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int drop_folder(void **state)
{
    static const char *const files[] = {"membership",
                                        "memory.max",
                                        "a/memory.max",
                                        "a/b/memory.max",
                                        "a/c/memory.max",
                                        "a/d/memory.max",
                                        "memory/v1/memory.limit_in_bytes",
                                        "memory/memory.limit_in_bytes",
                                        "a/b",
                                        "a/c",
                                        "a/d",
                                        "a",
                                        "memory/v1",
                                        "memory",
                                        ""};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        remove(in_folder(files[i]));
    return 0;
}

static void dropped_code_still_runs(void **state)
{
    assert_true(memory_mapped() > memory_resident() && memory_resident() > 0);
    memory_drop_code();
    memory_trim();
    assert_true(memory_resident() > 0);
    assert_int_equal(strtol("42", NULL, 10), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_leaves_room_to_work),
        cmocka_unit_test(levels_follow_the_use),
        cmocka_unit_test(threads_agree_but_for_a_batch),
        cmocka_unit_test(a_fall_is_told_once),
        cmocka_unit_test(what_holds_memory_is_charged),
        cmocka_unit_test(a_full_budget_refuses_large_blocks_of_exchanges),
        cmocka_unit_test_setup_teardown(the_least_limit_of_a_group_and_its_parents, make_folder, drop_folder),
        cmocka_unit_test(dropped_code_still_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

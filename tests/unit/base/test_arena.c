/*
 * The arena: budget, large blocks, marks, deferred releases and the bounded cache of chunks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/arena.h>
#include <base/fault.h>

static void aligned_and_distinct(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    char *before = NULL;
    for (size_t n = 0; n < 300; n++) {
        char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_ptr_not_equal(p, before);
        memset(p, 0x5a, n);
        before = p;
    }
    char *zero = arena_zalloc(&a, 777);
    for (size_t i = 0; i < 777; i++)
        assert_int_equal(zero[i], 0);
    arena_end(&a);
}

static void budget_is_exact(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 3 * ARENA_CHUNK);
    size_t given = 0;
    while (arena_alloc(&a, 1000) != NULL)
        given++;
    assert_int_equal(given, 3 * (ARENA_CHUNK / 1024));
    assert_int_equal(a.used, 3 * ARENA_CHUNK);
    assert_null(arena_alloc(&a, 1000));
    assert_null(arena_dup(&a, ccp_span_of((char[2000]){0}, 2000)).p);
    assert_int_equal(a.used, 3 * ARENA_CHUNK);
    arena_end(&a);
    assert_int_equal(a.used, 0);
}

static void large_blocks(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 1 << 20);
    char *small = arena_alloc(&a, 16);
    char *big = arena_alloc(&a, 500000);
    assert_non_null(big);
    memset(big, 1, 500000);
    char *next = arena_alloc(&a, 16);
    assert_ptr_equal(next, small + 16); /* the chunk in use was not wasted */
    assert_null(arena_alloc(&a, 600000));
    /* volatile: the compiler knows that no such object can exist */
    for (volatile size_t less = 0; less < 80; less += 8)
        assert_null(arena_alloc(&a, SIZE_MAX - less));
    arena_end(&a);
}

static void text(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    struct ccp_span s = arena_dup(&a, CCP_SPAN("abc"));
    assert_true(ccp_span_is(s, "abc"));
    assert_int_equal(s.p[3], '\0');
    s = arena_dup(&a, (struct ccp_span){NULL, 0});
    assert_non_null(s.p);
    assert_int_equal(s.n, 0);
    struct ccp_span pieces[] = {CCP_LIT("a"), {NULL, 0}, CCP_LIT("bc")};
    assert_true(ccp_span_is(arena_cat(&a, pieces, 3), "abc"));
    struct ccp_span huge[] = {{"x", SIZE_MAX - 1}, {"x", 1}};
    assert_null(arena_cat(&a, huge, 2).p);
    assert_true(ccp_span_is(arena_printf(&a, "%d-%s", 42, "x"), "42-x"));
    arena_end(&a);
}

static void marks(void **state)
{
    struct arena_cache cache;
    struct arena a;
    arena_cache_init(&cache, 4);
    arena_init(&a, &cache, 0);
    char *kept = arena_alloc(&a, 100);
    memset(kept, 7, 100);
    struct arena_mark mark = arena_mark(&a);
    size_t used = a.used;
    char *first = NULL;
    for (int round = 0; round < 1000; round++) {
        char *p = arena_alloc(&a, 50);
        first = round == 0 ? p : first;
        assert_ptr_equal(p, first);
        assert_non_null(arena_alloc(&a, 3000));
        for (int i = 0; i < 8; i++)
            assert_non_null(arena_alloc(&a, 1500));
        arena_rewind(&a, mark);
        assert_int_equal(a.used, used);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(kept[i], 7);
    arena_end(&a);
    arena_cache_release(&cache);
}

static char order[16];
static void note(void *arg)
{
    size_t n = strlen(order);
    order[n] = *(const char *)arg;
    order[n + 1] = '\0';
}

static void defers(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    order[0] = '\0';
    assert_true(arena_defer(&a, note, "1"));
    assert_true(arena_defer(&a, note, "2"));
    assert_true(arena_defer(&a, note, "3"));
    arena_end(&a);
    assert_string_equal(order, "321");
    arena_end(&a);
    assert_string_equal(order, "321");

    arena_init(&a, NULL, 1);
    assert_false(arena_defer(&a, note, "4"));
    arena_end(&a);
    assert_string_equal(order, "321");
}

static void cache_is_bounded(void **state)
{
    struct arena_cache cache;
    struct arena a;
    arena_cache_init(&cache, 3);
    arena_init(&a, &cache, 0);
    for (int i = 0; i < 10; i++)
        assert_non_null(arena_alloc(&a, 2000));
    arena_end(&a);
    assert_int_equal(cache.count, 3);
    arena_init(&a, &cache, 0);
    assert_non_null(arena_alloc(&a, 2000));
    assert_int_equal(cache.count, 2);
    arena_end(&a);
    assert_int_equal(cache.count, 3);
    arena_cache_release(&cache);
    assert_int_equal(cache.count, 0);
    assert_null(cache.free);
}

#ifdef CCP_FAULTS
static void refused_memory(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    fault_arm("arena.alloc:2");
    assert_non_null(arena_alloc(&a, 10));
    assert_null(arena_alloc(&a, 10000));
    assert_int_equal(a.used, ARENA_CHUNK);
    assert_non_null(arena_alloc(&a, 10000));
    fault_arm(NULL);
    arena_end(&a);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_and_distinct),
        cmocka_unit_test(budget_is_exact),
        cmocka_unit_test(large_blocks),
        cmocka_unit_test(text),
        cmocka_unit_test(marks),
        cmocka_unit_test(defers),
        cmocka_unit_test(cache_is_bounded),
#ifdef CCP_FAULTS
        cmocka_unit_test(refused_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Header blocks before they are decoded, at every cut and by the random; and which h2o is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/clock.h>
#include <cmocka.h>
#include <http/guard_impl.h>
#include <http/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}

/* In memory of its own, so that a byte read behind the end is seen. */
static enum guard_block judge(const char *block, size_t n)
{
    uint8_t *copy = malloc(n != 0 ? n : 1);
    memcpy(copy, block, n);
    enum guard_block result = guard_block_judge(copy, n);
    free(copy);
    return result;
}

#define BLOCK                                                                                                          \
    "\x3f\xe1\x1f\x82\x86\x84\x41\x01"                                                                                 \
    "a"                                                                                                                \
    "\x00\x01"                                                                                                         \
    "b"                                                                                                                \
    "\x02"                                                                                                             \
    "cd"                                                                                                               \
    "\x10\x81\x1f\x01"                                                                                                 \
    "e"                                                                                                                \
    "\x7f\x80\x01\x01"                                                                                                 \
    "f"

static void blocks_pass_at_every_cut(void **state)
{
    static const char block[] = BLOCK;
    for (size_t n = 0; n < sizeof(block); n++)
        assert_int_equal(judge(block, n), GUARD_BLOCK_FINE);
}

static void fields_are_counted(void **state)
{
    char block[400];
    memset(block, '\x82', sizeof(block));
    assert_int_equal(judge(block, GUARD_FIELDS_MAX), GUARD_BLOCK_FINE);
    assert_int_equal(judge(block, GUARD_FIELDS_MAX + 1), GUARD_BLOCK_TOO_MANY);
    for (size_t i = 0; i + 3 <= sizeof(block); i += 3)
        memcpy(block + i, "\x40\x00\x00", 3); /* empty name, empty value */
    assert_int_equal(judge(block, 3 * GUARD_FIELDS_MAX), GUARD_BLOCK_FINE);
    assert_int_equal(judge(block, 3 * (GUARD_FIELDS_MAX + 1)), GUARD_BLOCK_TOO_MANY);
}

static void table_updates_have_a_place(void **state)
{
    assert_int_equal(judge("\x20\x3f\xe1\x1f\x82", 5), GUARD_BLOCK_FINE);
    assert_int_equal(judge("\x20\x20\x20\x82", 4), GUARD_BLOCK_BROKEN);
    assert_int_equal(judge("\x82\x20", 2), GUARD_BLOCK_BROKEN);
}

static void what_cannot_be_walked_is_left_to_h2o(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } cut[] = {{"\xff", 1},
               {"\xff\xff\xff\xff\xff\xff\xff", 7},
               {"\x00", 1},
               {"\x00\x7f\xff\xff\xff\x7f", 6},
               {"\x00\x05"
                "ab",
                4},
               {"\x3f", 1},
               {"\x40\x01"
                "a",
                3}};
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++)
        assert_int_equal(judge(cut[i].p, cut[i].n), GUARD_BLOCK_FINE);
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        char block[64];
        size_t n = (size_t)random() % sizeof(block);
        for (size_t k = 0; k < n; k++)
            block[k] = (char)random();
        judge(block, n);
    }
}

static void versions(void **state)
{
    static const char *const known[] = {"2.2.5+dfsg2-7", "2.2.5+dfsg2-7+b1", "2.2.5+dfsg2-7+deb12u1",
                                        "2.2.5+dfsg2-7~bpo1"};
    static const char *const unknown[] = {"", "2.2.5+dfsg2-6", "2.2.5+dfsg2-70", "2.2.6", "2.3.0-1"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_true(guard_version_known(known[i]));
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_false(guard_version_known(unknown[i]));
}

static void the_self_test_is_quick(void **state)
{
    char why[HTTP_ERRBUF] = "";
    uint64_t start = clock_ms();
    assert_true(http_guard_check(why));
    uint64_t took = clock_ms() - start;
    assert_true(took < 1000);
    printf("figure H2-16 the start-up self-test (smuggling, bomb, chunk, resets) took %d ms\n", (int)took);
}

int main(void)
{
    http_process_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_pass_at_every_cut),
        cmocka_unit_test(fields_are_counted),
        cmocka_unit_test(table_updates_have_a_place),
        cmocka_unit_test(what_cannot_be_walked_is_left_to_h2o),
        cmocka_unit_test(versions),
        cmocka_unit_test(the_self_test_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

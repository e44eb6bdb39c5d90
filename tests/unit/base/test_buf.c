/*
 * The buffer with a maximum: growth, the exact limit, the sticky failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/buf.h>
#include <base/fault.h>

static void grows(void **state)
{
    struct ccp_buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 10000; i++)
        assert_true(buf_printf(&b, "%d,", i));
    assert_true(ccp_span_starts(buf_span(&b), CCP_SPAN("0,1,2,")));
    assert_true(ccp_span_ends(buf_span(&b), CCP_SPAN(",9998,9999,")));
    assert_int_equal(b.n, 10 * 2 + 90 * 3 + 900 * 4 + 9000 * 5);
    buf_release(&b);
    assert_null(b.p);
    assert_int_equal(b.max, 1 << 20);
}

static void maximum_is_exact(void **state)
{
    struct ccp_buf b;
    buf_init(&b, 8);
    assert_true(buf_addz(&b, "12345"));
    assert_true(buf_printf(&b, "%s", "678"));
    assert_true(ccp_span_is(buf_span(&b), "12345678"));
    assert_true(buf_addz(&b, ""));
    assert_false(b.failed);
    assert_false(buf_addz(&b, "9"));
    assert_true(b.failed);
    assert_true(ccp_span_is(buf_span(&b), "12345678"));
    buf_release(&b);
}

static void failure_sticks(void **state)
{
    struct ccp_buf b;
    buf_init(&b, 10);
    assert_true(buf_addz(&b, "ab"));
    assert_false(buf_addz(&b, "123456789"));
    assert_false(buf_addz(&b, "c")); /* would fit, but the text has a hole now */
    assert_false(buf_printf(&b, "c"));
    assert_true(ccp_span_is(buf_span(&b), "ab"));
    assert_false(buf_reserve(&b, SIZE_MAX));
    buf_release(&b);
    assert_false(b.failed);
    assert_true(buf_addz(&b, "fresh"));
    buf_release(&b);
}

static void nothing_is_fine(void **state)
{
    struct ccp_buf b;
    buf_init(&b, 0);
    assert_true(buf_add(&b, (struct ccp_span){NULL, 0}));
    assert_true(buf_printf(&b, "%s", ""));
    assert_false(b.failed);
    assert_false(buf_addz(&b, "x"));
    buf_release(&b);
}

static void drops(void **state)
{
    struct ccp_buf b;
    buf_init(&b, 100);
    buf_addz(&b, "abcdef");
    buf_drop(&b, 2);
    assert_true(ccp_span_is(buf_span(&b), "cdef"));
    buf_drop(&b, 0);
    assert_int_equal(b.n, 4);
    buf_drop(&b, 99);
    assert_int_equal(b.n, 0);
    buf_release(&b);
}

#ifdef CCP_FAULTS
static void refused_memory(void **state)
{
    struct ccp_buf b;
    buf_init(&b, 1000);
    assert_true(buf_addz(&b, "kept"));
    fault_arm("buf.reserve:1");
    char big[500] = {0};
    assert_false(buf_add(&b, ccp_span_of(big, sizeof(big))));
    fault_arm(NULL);
    assert_true(b.failed);
    assert_true(ccp_span_is(buf_span(&b), "kept"));
    buf_release(&b);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),          cmocka_unit_test(maximum_is_exact),
        cmocka_unit_test(failure_sticks), cmocka_unit_test(nothing_is_fine),
        cmocka_unit_test(drops),
#ifdef CCP_FAULTS
        cmocka_unit_test(refused_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

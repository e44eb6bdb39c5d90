/*
 * Secrets: comparison, references, limits, wiping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>
#include <base/secret.h>

static void compares(void **state)
{
    struct ccp_secret *s = secret_new(CCP_SPAN("sk-test-0123456789"));
    assert_non_null(s);
    assert_true(secret_equals(s, CCP_SPAN("sk-test-0123456789")));
    assert_false(secret_equals(s, CCP_SPAN("sk-test-012345678")));
    assert_false(secret_equals(s, CCP_SPAN("sk-test-01234567890")));
    assert_false(secret_equals(s, CCP_SPAN("")));
    assert_false(secret_equals(s, (struct ccp_span){NULL, 0}));
    assert_false(secret_equals(NULL, CCP_SPAN("")));
    /* a difference in any byte and any bit is seen */
    char copy[18];
    for (size_t i = 0; i < sizeof(copy) * 8; i++) {
        memcpy(copy, "sk-test-0123456789", sizeof(copy));
        copy[i / 8] ^= (char)(1 << i % 8);
        assert_false(secret_equals(s, ccp_span_of(copy, sizeof(copy))));
    }
    secret_unref(s);
}

static void counted(void **state)
{
    char text[] = "abc";
    struct ccp_secret *s = secret_new(ccp_span_z(text));
    text[0] = 'X'; /* it is a copy */
    assert_ptr_equal(secret_ref(s), s);
    secret_unref(s);
    /* test: is the content still there? */
    assert_true(ccp_span_is(secret_reveal(s), "abc"));
    secret_unref(s);
    secret_unref(NULL);
    assert_null(secret_ref(NULL));
    assert_int_equal(secret_reveal(NULL).n, 0);
    assert_non_null(secret_reveal(NULL).p);
}

static void limits(void **state)
{
    static char big[64 * 1024 + 1];
    memset(big, 'k', sizeof(big));
    assert_null(secret_new(ccp_span_of(big, sizeof(big))));
    struct ccp_secret *s = secret_new(ccp_span_of(big, sizeof(big) - 1));
    assert_non_null(s);
    assert_true(secret_equals(s, ccp_span_of(big, sizeof(big) - 1)));
    secret_unref(s);
    s = secret_new((struct ccp_span){NULL, 0});
    assert_non_null(s);
    secret_unref(s);
}

static void wipes(void **state)
{
    char text[] = "secret!";
    secret_wipe(text, 6);
    assert_memory_equal(text, "\0\0\0\0\0\0!", 7);
    secret_wipe(NULL, 0);
}

#ifdef CCP_FAULTS
static void refused_memory(void **state)
{
    fault_arm("secret.new:1");
    assert_null(secret_new(CCP_SPAN("x")));
    fault_arm(NULL);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),       cmocka_unit_test(counted), cmocka_unit_test(limits), cmocka_unit_test(wipes),
#ifdef CCP_FAULTS
        cmocka_unit_test(refused_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Fault points: which call fails, and that nothing fails when nothing is armed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Passes a point ten times; "..x......." when the third failed. */
static const char *ten(const char *name)
{
    static char seen[11];
    for (int i = 0; i < 10; i++)
        seen[i] = CCP_FAULT(name) ? 'x' : '.';
    return seen;
}

#ifdef CCP_FAULTS
static void nth(void **state)
{
    assert_string_equal(ten("a"), "..........");
    fault_arm("a:3");
    assert_string_equal(ten("a"), "..x.......");
    assert_string_equal(ten("b"), "..........");
    fault_arm("a:1");
    assert_string_equal(ten("a"), "x.........");
    fault_arm(NULL);
    assert_string_equal(ten("a"), "..........");
}

static void always_and_several(void **state)
{
    fault_arm("a:*,b:2,c");
    assert_string_equal(ten("a"), "xxxxxxxxxx");
    assert_string_equal(ten("b"), ".x........");
    assert_string_equal(ten("c"), "xxxxxxxxxx");
    assert_string_equal(ten("ab"), "..........");
    fault_arm("");
    assert_string_equal(ten("a"), "..........");
}

static void bounded(void **state)
{
    char spec[4000] = "";
    for (int i = 0; i < 40; i++)
        snprintf(spec + strlen(spec), sizeof(spec) - strlen(spec), "p%d:1,", i);
    fault_arm(spec);
    assert_string_equal(ten("p15"), "x.........");
    assert_string_equal(ten("p16"), "..........");
    memset(spec, 'n', 100);
    spec[100] = '\0';
    fault_arm(spec);
    assert_string_equal(ten("n"), "..........");
    fault_arm(NULL);
}
#else
static void compiled_out(void **state)
{
    assert_string_equal(ten("a"), "..........");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef CCP_FAULTS
        cmocka_unit_test(nth),
        cmocka_unit_test(always_and_several),
        cmocka_unit_test(bounded),
#else
        cmocka_unit_test(compiled_out),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

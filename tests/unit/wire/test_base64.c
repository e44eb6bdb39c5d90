/*
 * base64: the vectors of RFC 4648, what encoders make of them, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/fault.h>
#include <cmocka.h>
#include <string.h>
#include <wire/base64.h>

static void decodes(const char *text, const char *wanted, size_t n)
{
    struct arena a;
    struct ccp_span got = {NULL, 0};
    arena_init(&a, NULL, 0);
    assert_int_equal(base64_decode(&a, ccp_span_z(text), &got), CCP_OK);
    assert_int_equal(got.n, n);
    if (n != 0)
        assert_memory_equal(got.p, wanted, n);
    arena_end(&a);
}

static void vectors(void **state)
{
    static const char *const rfc[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++)
        decodes(rfc[i][1], rfc[i][0], strlen(rfc[i][0]));
}

static void spellings(void **state)
{
    decodes("Zg", "f", 1);
    decodes("Zm8", "fo", 2);
    decodes("Zm9v\r\nYg==\n", "foob", 4);
    decodes("Zg==\r\n", "f", 1);
    decodes("-_-_", "\xfb\xff\xbf", 3);
    decodes("+/+/", "\xfb\xff\xbf", 3);
    decodes("AAECAw==", "\0\1\2\3", 4);
}

static void no_base64(void **state)
{
    static const char *const wrong[] = {"Z", "Zm9vY", "Zm9v!", "Zg==Zg==", "Zm\\/v", "Zm9v\"", "\xc3\xa4"};
    struct arena a;
    struct ccp_span got;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(base64_decode(&a, ccp_span_z(wrong[i]), &got), CCP_BAD_REQUEST);
    assert_int_equal(base64_decode(&a, CCP_SPAN("AA\0A"), &got), CCP_BAD_REQUEST);
    arena_end(&a);
}

static void refused(void **state)
{
    struct arena a;
    struct ccp_span got;
    arena_init(&a, NULL, 0);
#ifdef CCP_FAULTS
    fault_arm("base64.decode:1");
    assert_int_equal(base64_decode(&a, CCP_SPAN("Zm9v"), &got), CCP_OVERLOADED);
    fault_arm(NULL);
#endif
    assert_int_equal(base64_decode(&a, CCP_SPAN("Zm9v"), &got), CCP_OK);
    arena_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(spellings),
        cmocka_unit_test(no_base64),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The vault: what is secret leaves the environment's memory and stays readable through the vault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>

/* The program's own files are not in a library. */
#include "../../../proxy/app/args.c"
#include "../../../proxy/app/vault.c"

static void test_moves_secrets(void **state)
{
    char home[] = "HOME=/root", key[] = "OPENAI_API_KEY=sk-123", empty[] = "SOME_TOKEN=", odd[] = "NOTHING_SECRET";
    char token[] = "SECURITY__AUTH_TOKEN=a=b=c";
    char *environ[] = {home, key, empty, odd, token, NULL};
    struct vault v;
    assert_true(vault_open(&v, environ));
    assert_string_equal(home, "HOME=/root");
    assert_string_equal(key, "OPENAI_API_KEY=");
    assert_memory_equal(key + 15, "\0\0\0\0\0\0", 6);
    assert_string_equal(token, "SECURITY__AUTH_TOKEN=");
    assert_string_equal(odd, "NOTHING_SECRET");
    assert_int_equal(v.secret_n, 2);
    assert_ptr_equal(v.environ[0], home);
    assert_string_equal(v.environ[1], "OPENAI_API_KEY=sk-123");
    assert_string_equal(v.environ[2], "SOME_TOKEN=");
    assert_string_equal(v.environ[4], "SECURITY__AUTH_TOKEN=a=b=c");
    assert_null(v.environ[5]);
    vault_close(&v);
}

static void test_no_memory_overwrites_nothing(void **state)
{
#ifdef CCP_FAULTS
    char first[] = "A_TOKEN=one", second[] = "B_TOKEN=two";
    char *environ[] = {first, second, NULL};
    struct vault v;
    fault_arm("secret.new:2");
    assert_false(vault_open(&v, environ));
    fault_arm(NULL);
    assert_string_equal(first, "A_TOKEN=one");
    assert_string_equal(second, "B_TOKEN=two");
#else
    skip();
#endif
}

static void test_giant_is_left(void **state)
{
    size_t n = 100 * 1024;
    char *giant = malloc(n);
    memset(giant, 'x', n);
    memcpy(giant, "A_KEY=", 6);
    giant[n - 1] = '\0';
    char *environ[] = {giant, NULL};
    struct vault v;
    assert_true(vault_open(&v, environ));
    assert_int_equal(v.secret_n, 0);
    assert_ptr_equal(v.environ[0], giant);
    vault_close(&v);
    free(giant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_secrets),
        cmocka_unit_test(test_no_memory_overwrites_nothing),
        cmocka_unit_test(test_giant_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

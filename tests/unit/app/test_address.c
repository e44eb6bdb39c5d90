/*
 * Addresses for clients: from settings, from what a user wrote, from what was bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The program's own files are not in a library. */
#include "../../../proxy/app/address.c"

static void from_settings(const char *host, int port, const char *cert, const char *expected)
{
    struct ccp_span hosts[] = {ccp_span_z(host)};
    struct server_settings s = {.host = {hosts, 1}, .port = port, .tls_cert = ccp_span_z(cert)};
    struct address a;
    assert_null(address_of(&s, &a));
    assert_string_equal(a.url, expected);
    assert_null(a.unix_socket);
}

static void test_settings(void **state)
{
    from_settings("127.0.0.1", 8000, "", "http://127.0.0.1:8000");
    from_settings("::1", 80, "", "http://[::1]:80");
    from_settings("[::1]", 80, "", "http://[::1]:80");
    from_settings("0.0.0.0", 443, "cert.pem", "https://127.0.0.1:443");
    from_settings("::", 1, "", "http://[::1]:1");
    from_settings("proxy.example", 65535, "", "http://proxy.example:65535");
}

static void test_settings_without_address(void **state)
{
    struct ccp_span host = CCP_SPAN("127.0.0.1");
    struct server_settings none = {.port = 1}, picked = {.host = {&host, 1}, .port = 0};
    struct server_settings sock = {.unix_socket = CCP_SPAN("/run/x.sock"), .port = 1};
    struct address a;
    assert_non_null(address_of(&none, &a));
    assert_non_null(address_of(&picked, &a));
    assert_null(address_of(&sock, &a));
    assert_string_equal(a.unix_socket, "/run/x.sock");
    assert_string_equal(a.url, "http://localhost");
}

static void test_user(void **state)
{
    static const char *const bad[] = {"", "127.0.0.1:8000", "ftp://x", "http://u@x/", "http://x/?q=1", "http://x#f"};
    struct address a;
    assert_null(address_parse("http://127.0.0.1:8000///", &a));
    assert_string_equal(a.url, "http://127.0.0.1:8000");
    assert_null(address_parse("https://proxy.example/base", &a));
    assert_string_equal(a.url, "https://proxy.example/base");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (address_parse(bad[i], &a) == NULL)
            fail_msg("\"%s\" was taken", bad[i]);
    char longest[400];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "http://", 7);
    longest[399] = '\0';
    assert_non_null(address_parse(longest, &a));
}

static void bound(const char *text, bool tls, const char *expected)
{
    struct address a;
    address_bound(ccp_span_z(text), tls, &a);
    assert_string_equal(a.url, expected);
}

static void test_bound(void **state)
{
    bound("127.0.0.1:4711", false, "http://127.0.0.1:4711");
    bound("[::1]:4711", true, "https://[::1]:4711");
    bound("[::]:4711", false, "http://[::1]:4711");
    bound("0.0.0.0:1", false, "http://127.0.0.1:1");
    bound("nothing", false, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_settings_without_address),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

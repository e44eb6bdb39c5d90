/*
 * URLs, canonical request paths, query parameters, and what counts as an address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/arena.h>
#include <base/url.h>

static const struct {
    const char *text, *scheme, *host;
    unsigned port;
    bool has_port, ipv6;
    const char *path, *query;
} good[] = {
    {"https://api.example.com", "https", "api.example.com", 443, false, false, "", ""},
    {"http://a", "http", "a", 80, false, false, "", ""},
    {"https://a/", "https", "a", 443, false, false, "/", ""},
    {"https://a:8443/v1", "https", "a", 8443, true, false, "/v1", ""},
    {"https://a:443", "https", "a", 443, true, false, "", ""},
    {"http://127.0.0.1:65535/x/y?q=1&r=2", "http", "127.0.0.1", 65535, true, false, "/x/y", "q=1&r=2"},
    {"http://[::1]:8000/", "http", "::1", 8000, true, true, "/", ""},
    {"http://[2001:db8::1]", "http", "2001:db8::1", 80, false, true, "", ""},
    {"http://[::ffff:127.0.0.1]/p", "http", "::ffff:127.0.0.1", 80, false, true, "/p", ""},
    {"https://a?x", "https", "a", 443, false, false, "", "x"},
    {"https://a/?", "https", "a", 443, false, false, "/", ""},
    {"https://a/p?x=?y/z", "https", "a", 443, false, false, "/p", "x=?y/z"},
    {"https://my_host-1.example.", "https", "my_host-1.example.", 443, false, false, "", ""},
    {"https://a/b@c;d=e:f", "https", "a", 443, false, false, "/b@c;d=e:f", ""}, /* user info is before the path only */
};

static const char *const bad[] = {
    "",
    "a",
    "api.example.com",
    "/v1",
    "//a/b",
    "ftp://a",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https:/a",
    "https:a",
    "HTTPS://a",
    "https://",
    "https:///x",
    "https://?x",
    "https://:80",
    "http://user@a",
    "http://u:p@a/",
    "http://a:",
    "http://a:0",
    "http://a:65536",
    "http://a:99999",
    "http://a:123456",
    "http://a:80x",
    "http://a:-1",
    "http://a:+1",
    "http://a: 1",
    "http://a b/",
    " http://a",
    "http://a ",
    "http://a\n",
    "http://a\r\nx: y",
    "http://a/\t",
    "http://a/\x7f",
    "http://\xc3\xa4/",
    "http://a/\xc3\xa4",
    "http://a#f",
    "http://a/p#",
    "http://a\\b",
    "http://a/\\b",
    "http://[::1",
    "http://[]",
    "http://[::1]x",
    "http://[::1]:",
    "http://[127.0.0.1]",
    "http://[fe80::1%25eth0]",
    "http://[:::]",
    "http://::1/",
    "http://a%2e/",
    "http://a~b/",
    "http://a,b/",
    "http://*/",
};

static void good_urls(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct url u;
        const char *wrong = url_parse(ccp_span_z(good[i].text), &u);
        if (wrong != NULL)
            fail_msg("%s: %s", good[i].text, wrong);
        assert_true(ccp_span_is(u.scheme, good[i].scheme));
        assert_true(ccp_span_is(u.host, good[i].host));
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.has_port, good[i].has_port);
        assert_int_equal(u.ipv6, good[i].ipv6);
        assert_true(ccp_span_is(u.path, good[i].path));
        assert_true(ccp_span_is(u.query, good[i].query));
    }
}

static void bad_urls(void **state)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct url u;
        if (url_parse(ccp_span_z(bad[i]), &u) == NULL)
            fail_msg("accepted: %s", bad[i]);
    }
    struct url u;
    char name[300];
    memset(name, 'a', sizeof(name));
    memcpy(name, "http://", 7);
    assert_non_null(url_parse(ccp_span_of(name, 7 + 254), &u));
    assert_null(url_parse(ccp_span_of(name, 7 + 253), &u));
    assert_non_null(url_parse(ccp_span_of("http://a\0b", 10), &u));
}

static const struct {
    const char *raw, *want; /* NULL = refused */
} paths[] = {
    {"/", "/"},
    {"/v1/messages", "/v1/messages"},
    {"/v1//messages", "/v1//messages"},
    {"//v1", "//v1"},
    {"/a/./b", "/a/b"},
    {"/./a", "/a"},
    {"/a/.", "/a/"},
    {"/.", "/"},
    {"/a/%2e/b", "/a/b"},
    {"/a/.b", "/a/.b"},
    {"/a/...", "/a/..."},
    {"/a/b..", "/a/b.."},
    {"/%76%31/messages", "/v1/messages"},
    {"/v1/%6Dessages", "/v1/messages"},
    {"/%7e%2D%5f", "/~-_"},
    {"/models/x%3agenerateContent", "/models/x:generateContent"},
    {"/models/x:generateContent", "/models/x:generateContent"},
    {"/a%20b", "/a%20b"},
    {"/a%c3%a4", "/a%C3%A4"},
    {"/a%25b", "/a%25b"},
    {"/a%252e%252e/b", "/a%252e%252e/b"},
    {"/a;b=c,d!$&'()*+@", "/a;b=c,d!$&'()*+@"},
    {"/a%3Fb", "/a%3Fb"},
    {"", NULL},
    {"a", NULL},
    {"*", NULL},
    {"http://x/", NULL},
    {"/..", NULL},
    {"/../a", NULL},
    {"/a/..", NULL},
    {"/a/../b", NULL},
    {"/a/%2e%2e/b", NULL},
    {"/a/.%2e/b", NULL},
    {"/a/%2E./b", NULL},
    {"/a%2fb", NULL},
    {"/a%2Fb", NULL},
    {"/a%5cb", NULL},
    {"/a\\b", NULL},
    {"/a%00", NULL},
    {"/a%0ab", NULL},
    {"/a%7f", NULL},
    {"/a%", NULL},
    {"/a%4", NULL},
    {"/a%4x", NULL},
    {"/a%%41", NULL},
    {"/a b", NULL},
    {"/a\tb", NULL},
    {"/a\x7f", NULL},
    {"/a\xc3\xa4", NULL},
    {"/a#b", NULL},
    {"/a?b", NULL},
};

static void canonical_paths(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct ccp_span got = url_canonical_path(&a, ccp_span_z(paths[i].raw));
        if ((got.p == NULL) != (paths[i].want == NULL))
            fail_msg("%s: %s", paths[i].raw, got.p == NULL ? "refused" : "accepted");
        if (got.p != NULL) {
            assert_string_equal(got.p, paths[i].want);
            assert_int_equal(got.n, strlen(paths[i].want));
            /* canonical means: a second pass changes nothing */
            assert_true(ccp_span_eq(url_canonical_path(&a, got), got));
        }
    }
    assert_null(url_canonical_path(&a, ccp_span_of("/a\0b", 4)).p);
    arena_end(&a);
    arena_init(&a, NULL, 1);
    assert_null(url_canonical_path(&a, CCP_SPAN("/a")).p);
    arena_end(&a);
}

static void query_get(void **state)
{
    struct ccp_span q = CCP_SPAN("alt=sse&key=AIza%2Fx&flag&empty=&key=second&a=b=c");
    assert_true(ccp_span_is(url_query_get(q, CCP_SPAN("key")), "AIza%2Fx"));
    assert_true(ccp_span_is(url_query_get(q, CCP_SPAN("alt")), "sse"));
    assert_true(ccp_span_is(url_query_get(q, CCP_SPAN("a")), "b=c"));
    assert_non_null(url_query_get(q, CCP_SPAN("flag")).p);
    assert_int_equal(url_query_get(q, CCP_SPAN("flag")).n, 0);
    assert_non_null(url_query_get(q, CCP_SPAN("empty")).p);
    assert_null(url_query_get(q, CCP_SPAN("ke")).p);
    assert_null(url_query_get(q, CCP_SPAN("keys")).p);
    assert_null(url_query_get(q, CCP_SPAN("KEY")).p);
    assert_null(url_query_get((struct ccp_span){NULL, 0}, CCP_SPAN("key")).p);
}

static void query_remove(void **state)
{
    static const char *const table[][2] = {
        {"key=1", ""},
        {"key=1&alt=sse", "alt=sse"},
        {"alt=sse&key=1", "alt=sse"},
        {"a=1&key=x&b=2&key=y&c", "a=1&b=2&c"},
        {"key", ""},
        {"keys=1&xkey=2", "keys=1&xkey=2"},
        {"a=key&key=1", "a=key"},
        {"", ""},
    };
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct ccp_span got = url_query_remove(&a, ccp_span_z(table[i][0]), CCP_SPAN("key"));
        if (!ccp_span_is(got, table[i][1]))
            fail_msg("%s -> %.*s", table[i][0], CCP_FMT(got));
        assert_null(url_query_get(got, CCP_SPAN("key")).p);
    }
    struct ccp_span same = CCP_SPAN("a=1&&b=%zz");
    assert_ptr_equal(url_query_remove(&a, same, CCP_SPAN("key")).p, same.p);
    arena_end(&a);
    /* without memory the key must not survive */
    arena_init(&a, NULL, 1);
    assert_int_equal(url_query_remove(&a, CCP_SPAN("a=1&key=2"), CCP_SPAN("key")).n, 0);
    arena_end(&a);
}

static void decode(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    assert_true(ccp_span_is(url_decode(&a, CCP_SPAN("a%20b%2Fc+d")), "a b/c+d"));
    assert_true(ccp_span_is(url_decode(&a, CCP_SPAN("")), ""));
    assert_non_null(url_decode(&a, CCP_SPAN("")).p);
    assert_int_equal(url_decode(&a, CCP_SPAN("%00")).n, 1);
    assert_null(url_decode(&a, CCP_SPAN("%")).p);
    assert_null(url_decode(&a, CCP_SPAN("%4")).p);
    assert_null(url_decode(&a, CCP_SPAN("a%4g")).p);
    assert_true(ccp_span_is(url_decode(&a, CCP_SPAN("%41")), "A"));
    arena_end(&a);
}

static void addresses(void **state)
{
    static const char *const yes[] = {
        "127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1", "::ffff:1.2.3.4"};
    static const char *const no[] = {
        "",           "localhost", "127.1",     "127.0.0.01",   "0127.0.0.1", "0x7f.0.0.1", "2130706433",
        "127.0.0.1.", "127.0.0",   "1.2.3.4.5", "256.1.1.1",    " 127.0.0.1", "127.0.0.1 ", "[::1]",
        ":::",        "1::2::3",   "12345::",   "fe80::1%eth0", "::1.2.3",
    };
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (!url_is_ip(ccp_span_z(yes[i])))
            fail_msg("no address: %s", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (url_is_ip(ccp_span_z(no[i])))
            fail_msg("an address: %s", no[i]);
    assert_false(url_is_ip(ccp_span_of("127.0.0.1\0.evil", 15)));
    char longer[80];
    memset(longer, '1', sizeof(longer));
    assert_false(url_is_ip(ccp_span_of(longer, sizeof(longer))));
}

static void localhost(void **state)
{
    assert_true(url_is_localhost(CCP_SPAN("localhost")));
    assert_true(url_is_localhost(CCP_SPAN("LocalHost")));
    assert_true(url_is_localhost(CCP_SPAN("localhost.")));
    assert_true(url_is_localhost(CCP_SPAN("a.localhost")));
    assert_true(url_is_localhost(CCP_SPAN("a.b.localhost.")));
    assert_false(url_is_localhost(CCP_SPAN("")));
    assert_false(url_is_localhost(CCP_SPAN(".")));
    assert_false(url_is_localhost(CCP_SPAN("localhost..")));
    assert_false(url_is_localhost(CCP_SPAN(".localhost")));
    assert_false(url_is_localhost(CCP_SPAN("notlocalhost")));
    assert_false(url_is_localhost(CCP_SPAN("localhost.example")));
    assert_false(url_is_localhost(CCP_SPAN("localhost:80")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls), cmocka_unit_test(bad_urls),     cmocka_unit_test(canonical_paths),
        cmocka_unit_test(query_get), cmocka_unit_test(query_remove), cmocka_unit_test(decode),
        cmocka_unit_test(addresses), cmocka_unit_test(localhost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

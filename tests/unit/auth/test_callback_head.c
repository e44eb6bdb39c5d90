/*
 * Heads of requests to the loopback listener, well and badly formed, cut at each byte; and the pages with hostile text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <auth/callback_impl.h>

/* ---- heads ------------------------------------------------------------------------------------------------------- */

#define HOST "Host: 127.0.0.1:1455\r\n"

static const struct {
    const char *head;
    int status;
} heads[] = {
    {"GET /callback?code=1&state=2 HTTP/1.1\r\n" HOST "\r\n", 200},
    {"GET /callback?code=1&state=2 HTTP/1.0\r\n" HOST "\r\n", 200},
    {"GET / HTTP/1.1\r\nhost:localhost:1455 \r\n\r\n", 200},
    {"GET / HTTP/1.1\r\nHost: LOCALHOST:1455\r\n\r\n", 200},
    {"GET / HTTP/1.1\r\nHost: [::1]:1455\r\nAccept: text/html\r\n\r\n", 200},
    {"GET / HTTP/1.1\r\n" HOST "Origin: http://127.0.0.1:1455\r\n\r\n", 200},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200},
    {"POST /callback HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n", 405},
    {"HEAD / HTTP/1.1\r\n" HOST "\r\n", 405},
    {"PUT / HTTP/1.1\r\n" HOST "\r\n", 405},
    {"get / HTTP/1.1\r\n" HOST "\r\n", 405},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: evil.example:1455\r\n\r\n", 421},
    {"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421},
    {"GET / HTTP/1.1\r\nHost: 127.0.0.1:1456\r\n\r\n", 421},
    {"GET / HTTP/1.1\r\nHost: 127.0.0.1:1455@evil\r\n\r\n", 421},
    {"GET / HTTP/1.1\r\nHost: localhost.:1455\r\n\r\n", 421},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 421},
    {"GET / HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Origin: null\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Origin:\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Origin: https://127.0.0.1:1455\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Origin: http://127.0.0.1:1455\r\nOrigin: http://evil\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 00\r\n\r\n", 400},
    {"GET http://127.0.0.1:1455/callback HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 400},
    {"GET /\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\n" HOST "\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : 127.0.0.1:1455\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", 400},
    {"\r\n\r\n", 400},
    {" / HTTP/1.1\r\n" HOST "\r\n", 400},
};

static void test_heads(void **state)
{
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct ccp_span path, query, text = ccp_span_z(heads[i].head);
        int status = callback_head(text, 1455, &path, &query);
        if (status != heads[i].status)
            fail_msg("%d instead of %d for %s", status, heads[i].status, heads[i].head);
        for (size_t n = 0; n < text.n; n++) /* not judged before it is whole */
            if (memmem(text.p, n, "\r\n\r\n", 4) == NULL)
                assert_int_equal(callback_head(ccp_span_of(text.p, n), 1455, &path, &query), 0);
    }
}

static void test_head_parts(void **state)
{
    struct ccp_span path, query;
    assert_int_equal(callback_head(CCP_SPAN("GET /a/b?x=1?y HTTP/1.1\r\nHost: localhost\r\n\r\n"), 80, &path, &query),
                     200);
    assert_true(ccp_span_is(path, "/a/b"));
    assert_true(ccp_span_is(query, "x=1?y"));
}

static void test_head_lengths(void **state)
{
    static char text[CALLBACK_HEAD_MAX];
    struct ccp_span path, query, whole = ccp_span_of(text, sizeof(text));
    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", 5);
    assert_int_equal(callback_head(whole, 1455, &path, &query), 414);
    whole.n--;
    assert_int_equal(callback_head(whole, 1455, &path, &query), 0);
    whole.n++;
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(callback_head(whole, 1455, &path, &query), 431);
}

static void test_pages(void **state)
{
    static char out[CALLBACK_PAGE_MAX], note[CALLBACK_NOTE_MAX];
    memset(note, '&', sizeof(note) - 1); /* grows most */
    size_t n = callback_outcome(out, false, note);
    assert_int_equal(n, strlen(out));
    assert_non_null(strstr(out, "</html>"));
    n = callback_outcome(out, false, "<script>alert(1)</script>\"'&\x1b[31m\n");
    assert_null(strstr(out, "<script"));
    assert_null(memchr(out, '\x1b', n));
    assert_non_null(strstr(out, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
    n = callback_refusal(out, 405, true);
    assert_null(strstr(out, "<html"));
    assert_non_null(strstr(out, "\r\nAllow: GET\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_head_parts),
        cmocka_unit_test(test_head_lengths),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The guard's rules as pure functions: heads, authorities, and the chunk decoder at every split.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <http/guard_impl.h>
#include <http/http.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}

static int parse(const char *text, struct phr_header *headers, size_t *n)
{
    const char *method, *path;
    size_t method_n, path_n;
    int minor;
    char *copy = strdup(text);
    *n = 100;
    int result = phr_parse_request(copy, strlen(copy), &method, &method_n, &path, &path_n, &minor, headers, n, 0);
    free(copy);
    return result;
}

static void heads_that_are_ambiguous_are_refused(void **state)
{
    static const char *const bad[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "G(ET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
    };
    struct phr_header headers[100];
    size_t n;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(bad[i], headers, &n) != -1)
            fail_msg("accepted: %s", bad[i]);
}

static void plain_heads_pass(void **state)
{
    static const char *const good[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x?y=z HTTP/1.0\r\nhost: [::1]:80\r\nContent-Length: 5\r\n\r\n",
        "POST /v1 HTTP/1.1\r\nHost: a.b:8000\r\nTransfer-Encoding: Chunked\r\n\r\n",
    };
    struct phr_header headers[100];
    size_t n;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(parse(good[i], headers, &n), (int)strlen(good[i]));
}

static void upgrade_to_h2c_is_taken_out(void **state)
{
    struct phr_header headers[100];
    size_t n;
    assert_true(parse("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AA\r\nX: 1\r\n\r\n",
                      headers, &n) > 0);
    assert_int_equal(n, 2);
    assert_true(parse("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", headers, &n) > 0);
    assert_int_equal(n, 2);
}

static void heads_have_a_size(void **state)
{
    struct phr_header headers[100];
    size_t n;
    char *text = calloc(1, 70000);
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    memcpy(text, start, sizeof(start) - 1);
    memset(text + sizeof(start) - 1, 'x', 256);
    memcpy(text + sizeof(start) - 1 + 256, ": 1\r\n\r\n", 8);
    assert_true(parse(text, headers, &n) > 0); /* a name of 256 bytes */
    memset(text + sizeof(start) - 1, 'x', 257);
    memcpy(text + sizeof(start) - 1 + 257, ": 1\r\n\r\n", 8);
    assert_int_equal(parse(text, headers, &n), -1);
    memset(text + sizeof(start) - 1, 'x', 60000); /* not yet complete, already too long */
    assert_int_equal(parse(text, headers, &n), -1);
    free(text);
}

static void authorities(void **state)
{
    static const char *const good[] = {"a", "localhost:8000", "127.0.0.1", "[::1]", "[::1]:65535", "a.b-c_d~:1"};
    static const char *const bad[] = {"",    "a:",   "a:0", "a:65536", "a:x", "u@a", "a/b", "a b",
                                      ":80", "[::1", "[]",  "[::1]x",  "[g]", "a,b", "a\\", "a:123456"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!guard_authority_ok(ccp_span_z(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (guard_authority_ok(ccp_span_z(bad[i])))
            fail_msg("accepted: %s", bad[i]);
}

/* Decodes text in two pieces; returns the result, the decoded text in out. */
static ssize_t decode(const char *text, size_t n, size_t cut, char *out, size_t *out_n)
{
    uint64_t memory[2] = {0, 1}; /* consume_trailer */
    struct phr_chunked_decoder *d = (struct phr_chunked_decoder *)memory;
    size_t piece = cut;
    memcpy(out, text, cut);
    ssize_t result = phr_decode_chunked(d, out, &piece);
    *out_n = piece;
    if (result != -2)
        return result;
    size_t rest = n - cut;
    memcpy(out + piece, text + cut, rest);
    result = phr_decode_chunked(d, out + piece, &rest);
    *out_n += rest;
    return result;
}

static void chunks_decode_at_every_split(void **state)
{
    static const char text[] = "3;a=\"b\"\r\nabc\r\n00a\r\n0123456789\r\n0\r\nx-t: 1\r\ny: 2\r\n\r\nGET";
    char out[128];
    size_t n = sizeof(text) - 1, got;
    for (size_t cut = 0; cut < n - 3; cut++) {
        assert_int_equal(decode(text, n, cut, out, &got), 3);
        assert_int_equal(got, 13);
        assert_memory_equal(out, "abc0123456789GET", 16);
    }
}

static void broken_chunks_are_refused_at_every_split(void **state)
{
    static const char *const bad[] = {"0x3\r\nabc\r\n0\r\n\r\n",
                                      "+3\r\nabc\r\n0\r\n\r\n",
                                      "3 xyz\r\nabc\r\n",
                                      "00000000000000003\r\nabc",
                                      "FFFFFFFFFFFFFFFF\r\n",
                                      "1_0\r\n",
                                      "3\nabc\r\n",
                                      "3\rXabc",
                                      "3\r\nabcd\r\n",
                                      "3;a\nb\r\n",
                                      "0\r\n x\r\n\r\n",
                                      "0\r\nx: y\n\r\n",
                                      "0\r\nGET / HTTP/1.1\r\n\r\n",
                                      "0\r\nx : y\r\n\r\n",
                                      "0\r\nnothing\r\n\r\n",
                                      "0\r\n: y\r\n\r\n",
                                      "\r\n",
                                      ";\r\n",
                                      "0\r\n\rX"};
    char out[128];
    size_t got;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (size_t cut = 0; cut < strlen(bad[i]); cut++)
            if (decode(bad[i], strlen(bad[i]), cut, out, &got) != -1)
                fail_msg("accepted: %s", bad[i]);
}

static void trailers_are_bounded(void **state)
{
    char text[1024] = "0\r\n", out[1024];
    size_t n = 3, got;
    for (int i = 0; i < 100; i++, n += 6)
        memcpy(text + n, "a: b\r\n", 6);
    memcpy(text + n, "\r\n", 2);
    assert_int_equal(decode(text, n + 2, 0, out, &got), 0);
    memcpy(text + n, "a: b\r\n\r\n", 8);
    assert_int_equal(decode(text, n + 8, 0, out, &got), -1);
}

static void start_up_check_passes(void **state)
{
    char why[HTTP_ERRBUF] = "";
    if (!http_guard_check(why))
        fail_msg("%s", why);
}

int main(void)
{
    http_process_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_that_are_ambiguous_are_refused),
        cmocka_unit_test(plain_heads_pass),
        cmocka_unit_test(upgrade_to_h2c_is_taken_out),
        cmocka_unit_test(heads_have_a_size),
        cmocka_unit_test(authorities),
        cmocka_unit_test(chunks_decode_at_every_split),
        cmocka_unit_test(broken_chunks_are_refused_at_every_split),
        cmocka_unit_test(trailers_are_bounded),
        cmocka_unit_test(start_up_check_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

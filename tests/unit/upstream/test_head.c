/* Response heads line by line: names, folds, interim blocks, trailers, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <upstream/head_impl.h>

static enum head_result feed(struct head *h, const char *const *lines)
{
    enum head_result r = HEAD_MORE;

    for (; *lines != NULL && (r == HEAD_MORE || r == HEAD_COMPLETE); lines++)
        r = head_line(h, ccp_span_z(*lines));
    return r;
}

static void expect(const char *const *lines, enum head_result result)
{
    struct head h;

    head_init(&h);
    assert_int_equal(feed(&h, lines), result);
    head_release(&h);
}

static void names_are_lowered_and_values_trimmed(void **state)
{
    const char *const lines[] = {"HTTP/1.1 404 Not Found\r\n",
                                 "Content-TYPE: \t Text/Plain \t\r\n",
                                 "X-Empty:\r\n",
                                 "X-Fold: one\r\n",
                                 "\t two \r\n",
                                 " \r\n",
                                 "A:b:c\n",
                                 "\r\n",
                                 NULL};
    const char *const want[] = {"content-type", "Text/Plain", "x-empty", "", "x-fold", "one two", "a", "b:c"};
    struct ccp_header out[8];
    struct head h;

    head_init(&h);
    assert_int_equal(feed(&h, lines), HEAD_COMPLETE);
    assert_int_equal(h.status, 404);
    assert_int_equal(head_count(&h), 4);
    head_fields(&h, out);
    for (size_t i = 0; i < 4; i++) {
        assert_true(ccp_span_is(out[i].name, want[2 * i]));
        assert_true(ccp_span_is(out[i].value, want[2 * i + 1]));
    }
    /* Trailers and whatever else follows change nothing. */
    assert_int_equal(head_line(&h, CCP_SPAN("Late: 1\r\n")), HEAD_MORE);
    assert_int_equal(head_line(&h, CCP_SPAN("HTTP/1.1 500 No\r\n")), HEAD_MORE);
    assert_int_equal(h.status, 404);
    assert_int_equal(head_count(&h), 4);
    head_release(&h);
}

static void interim_blocks_start_over(void **state)
{
    const char *const lines[] = {"HTTP/1.1 100 Continue\r\n",
                                 "\r\n",
                                 "HTTP/1.1 103 Early\r\n",
                                 "Link: x\r\n",
                                 "\r\n",
                                 "HTTP/2 200 \r\n",
                                 "a: b\r\n",
                                 "\r\n",
                                 NULL};
    struct head h;

    head_init(&h);
    assert_int_equal(feed(&h, lines), HEAD_COMPLETE);
    assert_int_equal(h.status, 200);
    assert_int_equal(head_count(&h), 1);
    head_release(&h);
}

static void malformed_heads_are_refused(void **state)
{
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", "no colon\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", ": v\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", "a b: v\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", "a : v\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", "a: v\rx\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", "a: \x7f\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", " fold first\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 200 OK\r\n", "a: b\r\n", " c\x01\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 2000 OK\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 20\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 099 x\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 777 x\r\n", NULL}, HEAD_MALFORMED);
    expect((const char *const[]){"HTTP/1.1 101 Switching\r\n", "\r\n", NULL}, HEAD_MALFORMED);
}

/* Two lengths, or a length beside chunks: curl would follow one of them and the client the other. */
static void two_framings_are_refused(void **state)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\n", length[] = "Content-Length: 2\r\n", end[] = "\r\n";
    expect((const char *const[]){ok, length, "content-length: 3\r\n", end, NULL}, HEAD_MALFORMED);
    expect((const char *const[]){ok, length, "transfer-encoding: chunked\r\n", end, NULL}, HEAD_MALFORMED);
    expect((const char *const[]){ok, "transfer-encoding: chunked\r\n", length, end, NULL}, HEAD_MALFORMED);
    expect((const char *const[]){ok, length, "Content-Length: 2\r\n", end, NULL}, HEAD_COMPLETE);
    expect((const char *const[]){"HTTP/1.1 103 Hints\r\n", "content-length: 9\r\n", end, ok, length, end, NULL},
           HEAD_COMPLETE);
}

static void a_nul_byte_is_refused(void **state)
{
    struct head h;

    head_init(&h);
    assert_int_equal(head_line(&h, CCP_SPAN("HTTP/1.1 200 OK\r\n")), HEAD_MORE);
    assert_int_equal(head_line(&h, CCP_SPAN("a: b\0c\r\n")), HEAD_MALFORMED);
    assert_int_equal(head_line(&h, CCP_SPAN("a\0b: c\r\n")), HEAD_MALFORMED);
    head_release(&h);
}

static void limits_hold(void **state)
{
    static char line[33000];
    struct head h;

    memset(line, 'x', sizeof(line));
    line[1] = ':';
    head_init(&h);
    assert_int_equal(head_line(&h, CCP_SPAN("HTTP/1.1 200 OK\r\n")), HEAD_MORE);
    assert_int_equal(head_line(&h, ccp_span_of(line, sizeof(line))), HEAD_MORE);
    assert_int_equal(head_line(&h, ccp_span_of(line, sizeof(line))), HEAD_TOO_LARGE);
    /* An interim block does not count against the final one. */
    assert_int_equal(head_line(&h, CCP_SPAN("HTTP/1.1 200 OK\r\n")), HEAD_MORE);
    for (int i = 0; i < HEAD_FIELDS_MAX; i++)
        assert_int_equal(head_line(&h, CCP_SPAN("a: b\r\n")), HEAD_MORE);
    assert_int_equal(head_line(&h, CCP_SPAN("a: b\r\n")), HEAD_TOO_LARGE);
    head_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_lowered_and_values_trimmed),
        cmocka_unit_test(interim_blocks_start_over),
        cmocka_unit_test(malformed_heads_are_refused),
        cmocka_unit_test(two_framings_are_refused),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests_name("upstream/head", tests, NULL, NULL);
}

/* The reader of HTTP/1.1 answers: what each stream means, the same however it is cut, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <base/fault.h>
#include <wire/http1.h>

#define OK     "HTTP/1.1 200 OK\r\n"
#define CHUNKS OK "Transfer-Encoding: chunked\r\n\r\n"

/* What a stream came to, as text: "200 name=value; ... | body | end keep" or "| why". */
struct outcome {
    char text[4096];
    size_t n;
    char body[70000];
    size_t body_n;
};

static void say(struct outcome *o, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(o->text + o->n, sizeof(o->text) - o->n, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && (size_t)n < sizeof(o->text) - o->n);
    o->n += (size_t)n;
}

static void say_head(struct outcome *o, const struct http1_head *head)
{
    say(o, "%d", head->status);
    for (size_t i = 0; i < head->n && head->n < 20; i++)
        say(o, " %.*s=%.*s;", CCP_FMT(head->fields[i].name), CCP_FMT(head->fields[i].value));
}

/* One piece; each in memory of its own, so that a read behind it is seen. False = the answer has ended. */
static bool feed(struct http1_reader *r, struct outcome *o, const char *p, size_t n)
{
    static struct http1_head head;
    char *copy = malloc(n != 0 ? n : 1);
    struct http1_bytes in = {copy, n};
    struct ccp_span body;
    enum http1_event e;

    memcpy(copy, p, n);
    while ((e = http1_next(r, &in, &head, &body)) == HTTP1_HEAD || e == HTTP1_BODY) {
        if (e == HTTP1_HEAD) {
            say_head(o, &head);
        } else {
            assert_true(body.n != 0);
            assert_true(o->body_n + body.n <= sizeof(o->body));
            memcpy(o->body + o->body_n, body.p, body.n);
            o->body_n += body.n;
        }
    }
    if (e == HTTP1_END)
        assert_true(http1_at_end(r));
    free(copy);
    return e == HTTP1_MORE;
}

static void finish(struct http1_reader *r, struct outcome *o, bool ended, size_t left)
{
    enum http1_event e = ended ? (r->state == HTTP1_DONE ? HTTP1_END : HTTP1_BROKEN) : http1_eof(r);

    (void)left;
    say(o, " | %.*s | %s%s", (int)(o->body_n < 100 ? o->body_n : 0), o->body, e == HTTP1_END ? "end" : r->why,
        e == HTTP1_END && ended && r->keep ? " keep" : "");
    http1_release(r);
}

/* Cuts at the places given, or after every byte. */
static void run(struct outcome *o, const char *p, size_t n, bool no_body, const size_t *cuts, size_t cut_n,
                bool bytewise)
{
    struct http1_reader r;
    bool ended = false;
    size_t at = 0;

    memset(o, 0, offsetof(struct outcome, body));
    o->body_n = 0;
    http1_init(&r, no_body);
    for (size_t i = 0; !ended && at < n; i++) {
        size_t end = bytewise ? at + 1 : i < cut_n ? cuts[i] : n;
        ended = !feed(&r, o, p + at, end - at);
        at = end;
    }
    finish(&r, o, ended, n - at);
}

static void expect(const char *name, const char *p, size_t n, bool no_body, const char *want)
{
    static struct outcome whole, cut;

    run(&whole, p, n, no_body, NULL, 0, false);
    if (strcmp(whole.text, want) != 0)
        fail_msg("%s: '%s', not '%s'", name, whole.text, want);
    run(&cut, p, n, no_body, NULL, 0, true);
    if (strcmp(cut.text, want) != 0)
        fail_msg("%s, byte by byte: '%s', not '%s'", name, cut.text, want);
    for (size_t i = 1; i < n && n < 2000; i++) {
        run(&cut, p, n, no_body, &i, 1, false);
        if (strcmp(cut.text, want) != 0)
            fail_msg("%s, cut at %zu: '%s', not '%s'", name, i, cut.text, want);
    }
}

struct row {
    const char *bytes, *want;
};

static const struct row good[] = {
    {OK "Content-Length: 5\r\n\r\nhello", "200 content-length=5; | hello | end keep"},
    {OK "Content-Length: 0\r\n\r\n", "200 content-length=0; |  | end keep"},
    {OK "content-LENGTH:5 \t\r\nX-A:  b c \r\n\r\nhello", "200 content-length=5; x-a=b c; | hello | end keep"},
    {OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
     "200 content-length=5; content-length=5; | hello | end keep"},
    {OK "Content-Length: 5\r\nConnection: x, Close\r\n\r\nhello",
     "200 content-length=5; connection=x, Close; | hello | end"},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 content-length=2; | hi | end"},
    {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "200 content-length=2; | hi | end keep"},
    {"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", "200 content-length=2; | hi | end keep"},
    {"HTTP/1.1 204 No\r\n\r\n", "204 |  | end keep"},
    {"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", "204 content-length=0; |  | end keep"},
    {"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", "204 content-length=2; |  | end"}, /* they will come */
    {"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", "204 transfer-encoding=chunked; |  | end"},
    {"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", "304 content-length=9; |  | end keep"},
    {OK "\r\nuntil the end", "200 | until the end | end"},
    {OK "\nX", "200 | X | end"}, /* LF alone may end a line */
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\nContent-Length: 4\r\n\r\n" OK
     "Content-Length: 2\r\n\r\nok",
     "200 content-length=2; | ok | end keep"},
    {CHUNKS "5\r\nfirst\r\n7\r\n second\r\n0\r\n\r\n", "200 transfer-encoding=chunked; | first second | end keep"},
    {CHUNKS "5;a=b\r\nfirst\r\n0000A \r\n0123456789\r\n000\r\nX-T: late\r\nY: \r\n\r\n",
     "200 transfer-encoding=chunked; | first0123456789 | end keep"},
    {CHUNKS "0\r\n\r\n", "200 transfer-encoding=chunked; |  | end keep"},
    {OK "A:\r\nB: \r\nC:\xc3\xa9\r\nContent-Length: 0\r\n\r\n",
     "200 a=; b=; c=\xc3\xa9; content-length=0; |  | end keep"},
};

#define CUT_HEAD  "the connection was lost before an answer came"
#define CUT_BODY  "the connection was closed in the middle of the answer"
#define BAD_HEAD  " |  | its answer has a malformed head"
#define BAD_CHUNK "its answer has a malformed chunk"
#define CHUNKED   "200 transfer-encoding=chunked; | "

static const struct row refused[] = {
    {"", " |  | the connection was closed without an answer"},
    {"HTT", " |  | " CUT_HEAD},
    {OK "Content-Length: 5\r\n", " |  | " CUT_HEAD},
    {OK "Content-Length: 5\r\n\r\nhell", "200 content-length=5; | hell | " CUT_BODY},
    {CHUNKS "5\r\nfir", CHUNKED "fir | " CUT_BODY},
    {CHUNKS "5\r\nfirst\r\n", CHUNKED "first | " CUT_BODY},
    {CHUNKS "5\r\nfirst\r\n0\r\n", CHUNKED "first | " CUT_BODY},
    {"HTTP/1.1 100 Continue\r\n\r\n", " |  | " CUT_HEAD},
    {"I am no server\r\n\r\n", " |  | what it answered is not HTTP"},
    {"HTTP/2 200\r\n\r\n", " |  | what it answered is not HTTP"},
    {"\r\n" OK "\r\n", " |  | what it answered is not HTTP"},
    {"HTTP/1.2 200 OK\r\n\r\n", BAD_HEAD},
    {"HTTP/1.1  200 OK\r\n\r\n", BAD_HEAD},
    {"HTTP/1.1 2000 OK\r\n\r\n", BAD_HEAD},
    {"HTTP/1.1 20\r\n\r\n", BAD_HEAD},
    {"HTTP/1.1 099 X\r\n\r\n", BAD_HEAD},
    {"HTTP/1.1 777 X\r\n\r\n", BAD_HEAD},
    {"HTTP/1.1 200 O\x01K\r\n\r\n", BAD_HEAD},
    {"HTTP/1.1 101 Switching\r\n\r\n", BAD_HEAD},
    {OK "no colon\r\n\r\n", BAD_HEAD},
    {OK ": v\r\n\r\n", BAD_HEAD},
    {OK "a b: v\r\n\r\n", BAD_HEAD},
    {OK "a : v\r\n\r\n", BAD_HEAD},
    {OK "a: v\rx\r\n\r\n", BAD_HEAD},
    {OK "a: \x7f\r\n\r\n", BAD_HEAD},
    {OK "a\xc3: b\r\n\r\n", BAD_HEAD},
    {OK "a: b\r\n c\r\n\r\n", BAD_HEAD ": a folded line"},
    {OK "a: b\r\n\tc\r\n\r\n", BAD_HEAD ": a folded line"},
    {OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     " |  | its answer has both a content-length and a transfer coding"},
    {OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", " |  | its answer has two different content-lengths"},
    {OK "Content-Length: 5, 5\r\n\r\nhello", " |  | its answer has a malformed content-length"},
    {OK "Content-Length: -5\r\n\r\n", " |  | its answer has a malformed content-length"},
    {OK "Content-Length: +5\r\n\r\n", " |  | its answer has a malformed content-length"},
    {OK "Content-Length: 0x5\r\n\r\n", " |  | its answer has a malformed content-length"},
    {OK "Content-Length:\r\n\r\n", " |  | its answer has a malformed content-length"},
    {OK "Content-Length: 99999999999999999999\r\n\r\n", " |  | its answer has a malformed content-length"},
    {OK "Transfer-Encoding: gzip, chunked\r\n\r\n", " |  | its answer has a transfer coding that nobody asked for"},
    {OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     " |  | its answer has a transfer coding that nobody asked for"},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", " |  | its answer has a transfer coding in HTTP/1.0"},
    {CHUNKS "\r\n", CHUNKED " | " BAD_CHUNK},
    {CHUNKS "zz\r\n", CHUNKED " | " BAD_CHUNK},
    {CHUNKS "-5\r\nfirst\r\n", CHUNKED " | " BAD_CHUNK},
    {CHUNKS "0x5\r\nfirst\r\n", CHUNKED " | " BAD_CHUNK},
    {CHUNKS "5\nfirst\n", CHUNKED " | " BAD_CHUNK},
    {CHUNKS "5\r\nfirstX\n0\r\n\r\n", CHUNKED "first | " BAD_CHUNK},
    {CHUNKS "5\r\nfirst\rX0\r\n\r\n", CHUNKED "first | " BAD_CHUNK},
    {CHUNKS "5;\x01\r\nfirst\r\n", CHUNKED " | " BAD_CHUNK},
    {CHUNKS "ffffffffffffffff\r\nx", CHUNKED " | " BAD_CHUNK},
    {CHUNKS "0\r\n\rX", CHUNKED " | " BAD_CHUNK},
};

static void whole_answers_are_read(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        expect(good[i].want, good[i].bytes, strlen(good[i].bytes), false, good[i].want);
}

static void broken_answers_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        expect(refused[i].want, refused[i].bytes, strlen(refused[i].bytes), false, refused[i].want);
    static const char nul[] = OK "a: b\0c\r\n\r\n";
    expect("NUL", nul, sizeof(nul) - 1, false, " |  | its answer has a malformed head");
}

static void an_answer_to_head_has_no_body(void **state)
{
    static const char long_one[] = OK "Content-Length: 1234\r\n\r\n", chunked[] = CHUNKS;

    expect("length", long_one, sizeof(long_one) - 1, true, "200 content-length=1234; |  | end keep");
    expect("chunked", chunked, sizeof(chunked) - 1, true, "200 transfer-encoding=chunked; |  | end keep");
}

/* What follows an answer stays where it is: the owner of the connection must know that it came. */
static void bytes_behind_the_end_are_left(void **state)
{
    static const char *const rows[] = {OK "Content-Length: 2\r\n\r\nok", CHUNKS "2\r\nok\r\n0\r\n\r\n",
                                       "HTTP/1.1 204 X\r\n\r\n"};
    static struct http1_head head;

    for (size_t i = 0; i < 3; i++) {
        char bytes[256];
        int n = snprintf(bytes, sizeof(bytes), "%sHTTP/1.1", rows[i]);
        struct http1_bytes in = {bytes, (size_t)n};
        struct http1_reader r;
        struct ccp_span body;
        enum http1_event e;
        http1_init(&r, false);
        while ((e = http1_next(&r, &in, &head, &body)) != HTTP1_END)
            assert_true(e == HTTP1_HEAD || e == HTTP1_BODY);
        assert_int_equal(in.n, 8);
        assert_memory_equal(in.p, "HTTP/1.1", 8);
        http1_release(&r);
    }
}

/* A read full of small chunks is one piece for the owner; large ones are not moved. */
static void small_chunks_come_together(void **state)
{
    static char bytes[40000];
    static struct http1_head head;
    int n = snprintf(bytes, sizeof(bytes), CHUNKS);
    struct http1_reader r;
    struct ccp_span body;

    for (int i = 0; i < 50; i++)
        n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "9\r\ndata: %02d\n\r\n", i);
    int small = n;
    n += snprintf(bytes + n, sizeof(bytes) - (size_t)n, "2000\r\n%08192d\r\n0\r\n\r\n", 7);
    struct http1_bytes in = {bytes, (size_t)n};
    http1_init(&r, false);
    assert_int_equal(http1_next(&r, &in, &head, &body), HTTP1_HEAD);
    assert_int_equal(http1_next(&r, &in, &head, &body), HTTP1_BODY);
    assert_int_equal(body.n, 50 * 9);
    assert_memory_equal(body.p + 49 * 9, "data: 49\n", 9);
    assert_int_equal(http1_next(&r, &in, &head, &body), HTTP1_BODY);
    assert_int_equal(body.n, 8192);
    assert_ptr_equal(body.p, bytes + small + 6); /* where it lay */
    assert_int_equal(http1_next(&r, &in, &head, &body), HTTP1_END);
    http1_release(&r);
}

static void limits_hold(void **state)
{
    static char bytes[200000];
    size_t n, start = (size_t)snprintf(bytes, sizeof(bytes), OK "A: ");

    /* 64 KiB with the empty line are taken, one byte more is not. */
    memset(bytes + start, 'x', HTTP1_HEAD_MAX);
    memcpy(bytes + HTTP1_HEAD_MAX - 4, "\r\n\r\n", 4);
    static struct outcome o;
    size_t cuts[] = {100, 30000, HTTP1_HEAD_MAX - 1};
    for (int i = 0; i < 2; i++) {
        memset(&o, 0, sizeof(o));
        struct http1_reader r;
        static struct http1_head head;
        struct ccp_span body;
        http1_init(&r, false);
        size_t at = 0;
        enum http1_event e = HTTP1_MORE;
        for (size_t k = 0; e == HTTP1_MORE && k < 4; k++) {
            size_t end = i == 0 ? (k == 0 ? HTTP1_HEAD_MAX : 0) : k < 3 ? cuts[k] : HTTP1_HEAD_MAX;
            struct http1_bytes in = {bytes + at, end - at};
            e = http1_next(&r, &in, &head, &body);
            at = end;
        }
        assert_int_equal(e, HTTP1_HEAD);
        http1_release(&r);
    }
    memset(bytes + HTTP1_HEAD_MAX - 4, 'x', 4);
    memcpy(bytes + HTTP1_HEAD_MAX - 3, "\r\n\r\n", 4);
    expect("one more", bytes, HTTP1_HEAD_MAX + 1, false, " |  | the head of its answer is too large");

    n = (size_t)snprintf(bytes, sizeof(bytes), OK);
    for (int i = 0; i < HTTP1_FIELDS_MAX + 1; i++)
        n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "a: b\r\n");
    n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "\r\n");
    expect("fields", bytes, n, false, " |  | the head of its answer is too large");

    for (int interim = HTTP1_INTERIM_MAX; interim <= HTTP1_INTERIM_MAX + 1; interim++) {
        n = 0;
        for (int i = 0; i < interim; i++)
            n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "HTTP/1.1 100 C\r\n\r\n");
        n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, OK "Content-Length: 0\r\n\r\n");
        expect("interim", bytes, n, false,
               interim == HTTP1_INTERIM_MAX ? "200 content-length=0; |  | end keep"
                                            : " |  | it sent too many interim answers");
    }
    n = (size_t)snprintf(bytes, sizeof(bytes), CHUNKS "5;");
    memset(bytes + n, 'x', 2000);
    expect("extension", bytes, n + 2000, false, CHUNKED " | " BAD_CHUNK);
    n = (size_t)snprintf(bytes, sizeof(bytes), CHUNKS "0\r\nX: ");
    memset(bytes + n, 'x', 70000);
    expect("trailers", bytes, n + 70000, false, CHUNKED " | " BAD_CHUNK);
}

/* Many cuts at once, at random, over a stream that has everything. */
static void random_cuts_change_nothing(void **state)
{
    static char bytes[60000];
    static struct outcome whole, cut;
    size_t n = (size_t)snprintf(bytes, sizeof(bytes),
                                "HTTP/1.1 103 E\r\nA: b\r\n\r\n" OK "X: y\r\nTransfer-Encoding: chunked\r\n\r\n");
    unsigned seed = 1;

    for (int i = 0; i < 60; i++) {
        int size = i % 7 == 6 ? 5000 : 3 + i * 11;
        n +=
            (size_t)snprintf(bytes + n, sizeof(bytes) - n, "%x%s\r\n%0*d\r\n", size, i % 5 == 0 ? ";q=1" : "", size, i);
    }
    n += (size_t)snprintf(bytes + n, sizeof(bytes) - n, "0\r\nT: u\r\n\r\n");
    run(&whole, bytes, n, false, NULL, 0, false);
    assert_non_null(strstr(whole.text, "end keep"));
    for (int round = 0; round < 400; round++) {
        size_t cuts[200], k = 0, at = 0;
        while (k < 200) {
            seed = seed * 1664525 + 1013904223;
            at += 1 + (seed >> 8) % (round % 2 != 0 ? 2000 : 40);
            if (at >= n)
                break;
            cuts[k++] = at;
        }
        run(&cut, bytes, n, false, cuts, k, false);
        assert_string_equal(cut.text, whole.text);
        assert_int_equal(cut.body_n, whole.body_n);
        assert_memory_equal(cut.body, whole.body, whole.body_n);
    }
}

#ifdef CCP_FAULTS
static void no_memory_for_a_cut_head_is_said(void **state)
{
    static struct http1_head head;
    struct http1_reader r;
    char bytes[] = OK;
    struct http1_bytes in = {bytes, sizeof(bytes) - 1};
    struct ccp_span body;

    http1_init(&r, false);
    fault_arm("buf.reserve:1");
    assert_int_equal(http1_next(&r, &in, &head, &body), HTTP1_BROKEN);
    fault_arm(NULL);
    assert_non_null(strstr(r.why, "out of memory"));
    http1_release(&r);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_answers_are_read),           cmocka_unit_test(broken_answers_are_refused),
        cmocka_unit_test(an_answer_to_head_has_no_body),    cmocka_unit_test(bytes_behind_the_end_are_left),
        cmocka_unit_test(small_chunks_come_together),       cmocka_unit_test(limits_hold),
        cmocka_unit_test(random_cuts_change_nothing),
#ifdef CCP_FAULTS
        cmocka_unit_test(no_memory_for_a_cut_head_is_said),
#endif
    };
    return cmocka_run_group_tests_name("wire/http1", tests, NULL, NULL);
}

/*
 * HTTP/2 by raw frames: what is answered, what is refused, and what floods come to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server.c.inc"

#include <base/buf.h>
#include <base/fault.h>

enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PING = 6, GOAWAY, UPDATE, CONTINUATION, UNKNOWN = 0xbb };
enum { END_STREAM = 1, END_HEADERS = 4 };

static void frame(struct ccp_buf *b, int type, int flags, uint32_t stream, struct ccp_span payload)
{
    unsigned char h[9] = {(unsigned char)(payload.n >> 16),
                          (unsigned char)(payload.n >> 8),
                          (unsigned char)payload.n,
                          (unsigned char)type,
                          (unsigned char)flags,
                          (unsigned char)(stream >> 24),
                          (unsigned char)(stream >> 16),
                          (unsigned char)(stream >> 8),
                          (unsigned char)stream};
    buf_add(b, ccp_span_of((char *)h, 9));
    buf_add(b, payload);
}

static void literal(struct ccp_buf *b, const char *name, const char *value)
{
    char head[2] = {0x10, (char)strlen(name)}, length = (char)strlen(value);
    buf_add(b, ccp_span_of(head, 2));
    buf_addz(b, name);
    buf_add(b, ccp_span_of(&length, 1));
    buf_addz(b, value);
}

/* A header block: GET, http, the path, and :authority unless NULL. */
static void block(struct ccp_buf *b, const char *path, const char *authority)
{
    char length = (char)strlen(path);
    buf_init(b, 1 << 20);
    buf_addz(b, "\x82\x86\x04");
    buf_add(b, ccp_span_of(&length, 1));
    buf_addz(b, path);
    if (authority != NULL) {
        length = (char)strlen(authority);
        buf_addz(b, "\x01");
        buf_add(b, ccp_span_of(&length, 1));
        buf_addz(b, authority);
    }
}

static void opening(struct ccp_buf *b)
{
    buf_init(b, 16 << 20);
    buf_addz(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(b, SETTINGS, 0, 0, (struct ccp_span){0});
}

static void request(struct ccp_buf *b, uint32_t stream, const char *path, const char *authority, int flags)
{
    struct ccp_buf h;
    block(&h, path, authority);
    frame(b, HEADERS, flags, stream, buf_span(&h));
    buf_release(&h);
}

/* What came back. */
struct heard {
    bool closed;
    unsigned resets, heads, reset_code, goaway_code;
    char goaway[128], data[512];
};

static void note_answer(struct heard *h, int type, const unsigned char *p, size_t n)
{
    if (type == HEADERS)
        h->heads++;
    if (type == RST && n == 4) {
        h->resets++;
        h->reset_code = p[3];
    }
    if (type == GOAWAY && n >= 8) {
        h->goaway_code = p[7];
        copy(h->goaway, sizeof(h->goaway), ccp_span_of((const char *)p + 8, n - 8));
    }
    if (type == DATA && n != 0)
        copy(h->data, sizeof(h->data), ccp_span_of((const char *)p, n));
}

/* Sends all (as far as the server takes it) and reads until the connection ends or nothing comes for `quiet`. */
static struct heard talk(int fd, const struct ccp_buf *b, int quiet)
{
    struct heard h = {0};
    struct ccp_buf in;
    size_t sent = 0, at = 0;
    buf_init(&in, 64 << 20);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN | (sent < b->n ? POLLOUT : 0)};
        char more[65536];
        if (poll(&p, 1, quiet) == 0)
            break;
        if (p.revents & POLLOUT) {
            ssize_t n = send(fd, b->p + sent, b->n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            sent = n > 0 ? sent + (size_t)n : b->n;
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t n = recv(fd, more, sizeof(more), MSG_DONTWAIT);
            if (n <= 0 && !(n < 0 && errno == EAGAIN)) {
                h.closed = true;
                break;
            }
            if (n > 0)
                buf_add(&in, ccp_span_of(more, (size_t)n));
        }
    }
    for (const unsigned char *p = (unsigned char *)in.p; at + 9 <= in.n;) {
        size_t n = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | p[at + 2];
        if (at + 9 + n <= in.n)
            note_answer(&h, p[at + 3], p + at + 9, n);
        at += 9 + n;
    }
    buf_release(&in);
    return h;
}

static struct heard exchange_once(struct server *s, struct ccp_buf *b, int quiet)
{
    int fd = dial(s);
    struct heard h = talk(fd, b, quiet);
    close(fd);
    buf_release(b);
    return h;
}

static void requests_are_answered(void **state)
{
    struct server s;
    struct ccp_buf b;
    defaults(&s);
    up(&s);
    opening(&b);
    request(&b, 1, "/hello", "Name:80", END_STREAM | END_HEADERS);
    struct heard h = exchange_once(&s, &b, 300);
    assert_int_equal(h.heads, 1);
    assert_string_equal(h.data, "hello\n");
    assert_int_equal(look(&s)->version, 20);
    assert_string_equal(s.seen.authority, "Name:80");
    opening(&b);
    request(&b, 1, "/echo", "a", END_HEADERS);
    frame(&b, DATA, 0, 1, CCP_SPAN("ab"));
    frame(&b, DATA, END_STREAM, 1, CCP_SPAN("c"));
    h = exchange_once(&s, &b, 300);
    assert_string_equal(h.data, "abc");
    opening(&b);
    for (uint32_t i = 0; i < 200; i++)
        frame(&b, UNKNOWN, 0, i, CCP_SPAN("grease"));
    request(&b, 1, "/stream/3/10", "a", END_STREAM | END_HEADERS);
    h = exchange_once(&s, &b, 300);
    assert_string_equal(h.data, "data: 2\n\n");
    assert_false(h.closed);
    down(&s);
}

static void host_and_authority_must_agree(void **state)
{
    static const struct {
        const char *authority, *host;
        bool ok;
    } cases[] = {{"a", "A", true}, {NULL, "a", true}, {"a", "b", false}, {NULL, NULL, false}, {"u@a", NULL, false}};
    struct server s;
    defaults(&s);
    up(&s);
    for (size_t i = 0; i < 5; i++) {
        struct ccp_buf b, h;
        opening(&b);
        block(&h, "/hello", cases[i].authority);
        if (cases[i].host != NULL)
            literal(&h, "host", cases[i].host);
        frame(&b, HEADERS, END_STREAM | END_HEADERS, 1, buf_span(&h));
        buf_release(&h);
        struct heard got = exchange_once(&s, &b, 200);
        assert_int_equal(got.heads, 1);
        assert_int_equal(strcmp(got.data, "hello\n") == 0, cases[i].ok);
        assert_int_equal(look(&s)->refusal == CCP_OK, cases[i].ok);
        assert_int_equal(s.seen.header_count, 0);
    }
    down(&s);
}

static void targets_and_lengths_are_checked(void **state)
{
    static const char *const paths[] = {"", "x", "*", "/a b", "http://a/"};
    struct server s;
    struct ccp_buf b, h;
    defaults(&s);
    up(&s);
    for (size_t i = 0; i < 5; i++) {
        opening(&b);
        request(&b, 1, paths[i], "a", END_STREAM | END_HEADERS);
        struct heard got = exchange_once(&s, &b, 200);
        assert_string_equal(got.data, "the request target must be a path");
    }
    unsigned begun = look(&s)->begun;
    for (int body = 0; body < 2; body++) { /* a length without, or with another, body */
        opening(&b);
        block(&h, "/echo", "a");
        literal(&h, "content-length", "5");
        frame(&b, HEADERS, END_HEADERS | (body ? 0 : END_STREAM), 1, buf_span(&h));
        buf_release(&h);
        if (body)
            frame(&b, DATA, END_STREAM, 1, CCP_SPAN("abc"));
        struct heard got = exchange_once(&s, &b, 200);
        assert_int_equal(got.resets, 1);
        assert_int_equal(got.reset_code, 1);
    }
    assert_int_equal(look(&s)->begun, begun);
    down(&s);
}

static void trailers_add_nothing(void **state)
{
    struct server s;
    struct ccp_buf b, h;
    defaults(&s);
    up(&s);
    opening(&b);
    request(&b, 1, "/echo", "a", END_HEADERS);
    frame(&b, DATA, 0, 1, CCP_SPAN("abc"));
    buf_init(&h, 1024);
    literal(&h, "x-probe", "late");
    frame(&b, HEADERS, END_STREAM | END_HEADERS, 1, buf_span(&h));
    buf_release(&h);
    struct heard got = exchange_once(&s, &b, 200);
    assert_string_equal(got.data, "abc");
    assert_string_equal(look(&s)->header, "");
    down(&s);
}

enum flood { RAPID, ZERO_UPDATE, OVERFLOW_UPDATE, LATE_DATA, FLOODS };

static void stream_floods_end_the_connection(void **state)
{
    struct server s;
    defaults(&s);
    up(&s);
    for (enum flood f = 0; f < FLOODS; f++) {
        struct ccp_buf b;
        unsigned before = look(&s)->begun;
        opening(&b);
        for (uint32_t i = 1; i < 2000; i += 2) {
            request(&b, i, "/hang", "a", END_STREAM | END_HEADERS);
            if (f == RAPID)
                frame(&b, RST, 0, i, ccp_span_of("\0\0\0\x08", 4));
            else if (f == LATE_DATA)
                frame(&b, DATA, 0, i, CCP_SPAN("x"));
            else
                frame(&b, UPDATE, 0, i,
                      f == ZERO_UPDATE ? ccp_span_of("\0\0\0\0", 4) : ccp_span_of("\x7f\xff\xff\xff", 4));
        }
        struct heard h = exchange_once(&s, &b, 2000);
        assert_true(h.closed);
        WAIT_FOR(&s, s.seen.open == 0 && s.conns == 0);
        if (s.seen.begun - before > 120)
            fail_msg("flood %d: %u requests were begun", (int)f, s.seen.begun - before);
    }
    assert_int_equal(s.seen.gone, s.seen.begun);
    down(&s);
}

static void header_floods_end_the_connection(void **state)
{
    struct server s;
    char many[16000];
    memset(many, '\x90', sizeof(many));
    defaults(&s);
    up(&s);
    for (int f = 0; f < 5; f++) {
        struct ccp_buf b, h;
        opening(&b);
        block(&h, "/hang", "a");
        if (f == 0 || f == 1) /* many fields, with and without END_STREAM */
            buf_add(&h, ccp_span_of(many, 400));
        frame(&b, HEADERS, f == 0 ? END_STREAM | END_HEADERS : f == 1 ? END_HEADERS : 0, 1, buf_span(&h));
        for (int i = 0; f == 2 && i < 50; i++)
            frame(&b, CONTINUATION, 0, 1, (struct ccp_span){0});
        for (int i = 0; f == 3 && i < 5; i++)
            frame(&b, CONTINUATION, 0, 1, ccp_span_of(many, sizeof(many)));
        if (f == 4)
            frame(&b, CONTINUATION, END_HEADERS, 1, ccp_span_of(many, sizeof(many)));
        buf_release(&h);
        struct heard got = exchange_once(&s, &b, 2000);
        assert_true(got.closed);
        assert_int_equal(got.goaway_code, 11);
    }
    assert_int_equal(look(&s)->begun, 0);
    down(&s);
}

static void control_floods_end_the_connection(void **state)
{
    static const struct {
        int type;
        uint32_t stream;
        struct ccp_span payload;
    } floods[] = {{PING, 0, CCP_LIT("12345678")},
                  {SETTINGS, 0, CCP_LIT("\0\4\0\0\xff\xff")},
                  {PRIORITY, 1, CCP_LIT("\0\0\0\0\1")}};
    struct server s;
    defaults(&s);
    up(&s);
    for (size_t f = 0; f < 3; f++) {
        struct ccp_buf b;
        opening(&b);
        for (int i = 0; i < 3000; i++)
            frame(&b, floods[f].type, 0, floods[f].stream, floods[f].payload);
        struct heard h = exchange_once(&s, &b, 2000);
        assert_true(h.closed);
    }
    struct ccp_buf b;
    opening(&b);
    frame(&b, SETTINGS, 0, 0, ccp_span_of("\0\1\0\0\0\0", 6)); /* a header table we could not honour */
    struct heard h = exchange_once(&s, &b, 2000);
    assert_true(h.closed && strstr(h.goaway, "header table") != NULL);
    down(&s);
}

static void a_dribbled_head_is_cut(void **state)
{
    struct server s;
    defaults(&s);
    s.options.header_timeout_ms = 150;
    up(&s);
    for (int f = 0; f < 2; f++) {
        struct ccp_buf b;
        opening(&b);
        request(&b, 1, "/hang", "a", f == 0 ? END_STREAM | END_HEADERS : 0);
        if (f == 0)
            b.n -= 3;
        struct heard h = exchange_once(&s, &b, 2000);
        assert_true(h.closed);
    }
    assert_int_equal(look(&s)->begun, 0);
    down(&s);
}

static void a_shut_window_ends_its_stream(void **state)
{
    struct server s;
    struct ccp_buf b;
    defaults(&s);
    s.options.write_timeout_ms = 200;
    up(&s);
    opening(&b);
    frame(&b, SETTINGS, 0, 0, ccp_span_of("\0\4\0\0\0\0", 6));
    request(&b, 1, "/big/10000000", "a", END_STREAM | END_HEADERS);
    request(&b, 3, "/hello", "a", END_STREAM | END_HEADERS);
    request(&b, 5, "/hang", "a", END_STREAM | END_HEADERS);
    int fd = dial(&s);
    struct heard h = talk(fd, &b, 1000);
    assert_true(!h.closed && h.resets == 2 && h.reset_code == 8);
    WAIT_FOR(&s, s.seen.open == 1);
    assert_true(s.seen.pushed < 200000);
    b.n = 0; /* the connection still serves */
    frame(&b, SETTINGS, 0, 0, ccp_span_of("\0\4\0\0\xff\xff", 6));
    request(&b, 7, "/hello", "a", END_STREAM | END_HEADERS);
    h = talk(fd, &b, 200);
    assert_string_equal(h.data, "hello\n");
    buf_release(&b);
    close(fd);
    down(&s);
}

/* Its socket takes nothing any more: no stream can be reset there, the connection ends. */
static void a_client_that_takes_nothing_is_cut(void **state)
{
    struct server s;
    struct ccp_buf b;
    defaults(&s);
    s.options.write_timeout_ms = 200;
    up(&s);
    opening(&b);
    frame(&b, SETTINGS, 0, 0, ccp_span_of("\0\4\x7f\xff\xff\xff", 6));
    frame(&b, UPDATE, 0, 0, ccp_span_of("\x7f\xff\0\0", 4));
    request(&b, 1, "/big/100000000", "a", END_STREAM | END_HEADERS);
    int fd = dial(&s);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
    WAIT_FOR(&s, s.seen.begun == 1 && s.conns == 0 && s.seen.open == 0);
    buf_release(&b);
    close(fd);
    down(&s);
}

/* While it closes, h2o takes no CONTINUATION: it would look at the same one for ever. */
static void a_header_block_across_a_drain_does_not_spin(void **state)
{
    struct server s;
    struct ccp_buf b, rest;
    defaults(&s);
    up(&s);
    opening(&b);
    request(&b, 1, "/stream/30/100", "a", END_STREAM | END_HEADERS);
    request(&b, 3, "/hello", "a", END_STREAM);
    int fd = dial(&s);
    assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
    WAIT_FOR(&s, s.seen.begun == 1);
    http_worker_drain(s.w);
    usleep(1300 * 1000); /* h2o's second GOAWAY */
    buf_init(&rest, 64);
    frame(&rest, CONTINUATION, END_HEADERS, 3, (struct ccp_span){0});
    assert_true(talk(fd, &rest, 3000).closed); /* in time */
    close(fd);
    buf_release(&rest);
    buf_release(&b);
    free_all(&s);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    struct server s;
    struct ccp_buf b;
    defaults(&s);
    up(&s);
    for (unsigned i = 0; i < 3; i++) {
        opening(&b);
        request(&b, 1, "/hang", "a", END_STREAM | END_HEADERS);
        request(&b, 3, "/stream/100000/1", "a", END_STREAM | END_HEADERS);
        int fd = dial(&s);
        assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
        WAIT_FOR(&s, s.seen.begun == 2 * i + 2);
        if (i == 0) {
            struct ccp_buf r;
            buf_init(&r, 1024);
            frame(&r, RST, 0, 1, ccp_span_of("\0\0\0\x08", 4));
            assert_int_equal(write(fd, r.p, r.n), (ssize_t)r.n);
            WAIT_FOR(&s, s.seen.gone == 1);
            buf_release(&r);
        }
        if (i == 2)
            shutdown(fd, SHUT_WR);
        else
            close(fd);
        WAIT_FOR(&s, s.seen.gone == 2 * i + 2 && s.conns == 0);
        if (i == 2)
            close(fd);
        buf_release(&b);
    }
    down(&s);
}

static void draining_says_goaway(void **state)
{
    struct server s;
    struct ccp_buf b, none;
    defaults(&s);
    up(&s);
    opening(&b);
    request(&b, 1, "/stream/10/30", "a", END_STREAM | END_HEADERS);
    int fd = dial(&s);
    assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
    WAIT_FOR(&s, s.seen.begun == 1);
    http_worker_drain(s.w);
    buf_init(&none, 16);
    struct heard h = talk(fd, &none, 3000);
    assert_true(h.closed);
    assert_string_equal(h.data, "data: 9\n\n");
    assert_int_equal(h.goaway_code, 0);
    assert_int_equal(h.resets, 0);
    close(fd);
    buf_release(&b);
    free_all(&s);
    assert_int_equal(s.fake.gone, 0);
}

#ifdef CCP_FAULTS
/* No room for a body: the stream may be tried again. A refusal elsewhere says nothing of other streams. */
static void only_a_refused_body_is_a_refused_stream(void **state)
{
    struct server s;
    struct ccp_buf b;
    defaults(&s);
    up(&s);
    opening(&b);
    request(&b, 1, "/hello", "a", END_HEADERS);
    int fd = dial(&s);
    struct heard h = talk(fd, &b, 200); /* the input's block is there from now on, and free again */
    b.n = 0;
    frame(&b, DATA, END_STREAM, 1, CCP_SPAN("x"));
    fault_arm("http.buffer:1");
    h = talk(fd, &b, 300);
    fault_arm(NULL);
    assert_int_equal(h.resets, 1);
    assert_int_equal(h.reset_code, 7);
    b.n = 0;
    request(&b, 3, "/abort", "a", END_HEADERS | END_STREAM);
    h = talk(fd, &b, 300);
    assert_int_equal(h.resets, 1);
    assert_int_not_equal(h.reset_code, 7);
    close(fd);
    buf_release(&b);
    down(&s);
}
#endif

int main(void)
{
    http_process_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered),
        cmocka_unit_test(host_and_authority_must_agree),
        cmocka_unit_test(targets_and_lengths_are_checked),
        cmocka_unit_test(trailers_add_nothing),
        cmocka_unit_test(stream_floods_end_the_connection),
        cmocka_unit_test(header_floods_end_the_connection),
        cmocka_unit_test(control_floods_end_the_connection),
        cmocka_unit_test(a_dribbled_head_is_cut),
        cmocka_unit_test(a_shut_window_ends_its_stream),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut),
        cmocka_unit_test(a_client_that_leaves_is_noticed),
        cmocka_unit_test(draining_says_goaway),
        cmocka_unit_test(a_header_block_across_a_drain_does_not_spin),
#ifdef CCP_FAULTS
        cmocka_unit_test(only_a_refused_body_is_a_refused_stream),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

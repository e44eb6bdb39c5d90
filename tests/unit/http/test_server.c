/*
 * A worker on its own thread behind real loopback sockets, with the fake chain: requests, framing, limits,
 * clients that leave, deadlines, draining.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server.c.inc"

#include <base/fault.h>

static void a_small_answer_has_a_length(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    say(fd, "GET /hello?q=1 HTTP/1.1\r\nHost: Example:80\r\nX-Probe: seen\r\nConnection: keep-alive\r\n\r\n");
    hear(fd, got, sizeof(got), "hello\n");
    assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(got, "Content-Length: 6\r\n"));
    assert_non_null(strstr(got, "x-test: yes\r\n"));
    assert_null(strstr(got, "chunked"));
    assert_null(strstr(got, "injected"));
    assert_null(strstr(got, "upgrade"));
    const struct fake *f = look(&s);
    assert_string_equal(f->target, "/hello?q=1");
    assert_string_equal(f->authority, "Example:80");
    assert_string_equal(f->header, "seen");
    assert_int_equal(f->header_count, 2);
    assert_int_equal(f->version, 11);
    assert_true(strncmp(f->peer, "127.0.0.1:", 10) == 0);
    say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"); /* the same connection */
    hear(fd, got, sizeof(got), "\r\n\r\nabc");
    close(fd);
    WAIT_FOR(&s, s.conns == 0);
    down(&s);
}

static void a_stream_is_chunked(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    say(fd, "GET /stream/3/20 HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, got, sizeof(got), "0\r\n\r\n");
    assert_non_null(strstr(got, "transfer-encoding: chunked\r\n"));
    assert_non_null(strstr(got, "\r\n\r\n9\r\ndata: 0\n\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
    say(fd, "GET /stream/2/1 HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_true(hear(fd, got, sizeof(got), NULL));
    assert_non_null(strstr(got, "\r\n\r\ndata: 0\n\ndata: 1\n\n"));
    assert_null(strstr(got, "chunked"));
    close(fd);
    down(&s);
}

static void answers_without_a_body(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    say(fd, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n"
            "GET /status/404 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(hear(fd, got, sizeof(got), NULL));
    char *second = strstr(got, "HTTP/1.1 204 No Content"), *third = strstr(got, "HTTP/1.1 404 Not Found");
    assert_true(second != NULL && third != NULL && second < third);
    assert_non_null(strstr(got, "Content-Length: 6\r\n"));
    assert_true(strstr(got, "hello") == NULL);
    assert_memory_equal(second - 4, "\r\n\r\n", 4);
    assert_memory_equal(third - 4, "\r\n\r\n", 4);
    close(fd);
    down(&s);
}

static void a_broken_answer_is_seen_as_broken(void **state)
{
    static const char *const paths[] = {"/abort", "/early", "/short"};
    struct server s;
    char got[2048], ask[128];
    defaults(&s);
    up(&s);
    for (size_t i = 0; i < 3; i++) {
        int fd = dial(&s);
        snprintf(ask, sizeof(ask), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
        say(fd, ask);
        assert_true(hear(fd, got, sizeof(got), NULL));
        assert_null(strstr(got, "0\r\n\r\n"));
        close(fd);
    }
    WAIT_FOR(&s, s.conns == 0 && s.seen.ended == 3);
    assert_int_equal(s.seen.gone, 0);
    down(&s);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    static const char *const paths[] = {"/hang", "/stream/100000/5"};
    struct linger hard = {.l_onoff = 1};
    struct server s;
    char ask[128];
    defaults(&s);
    up(&s);
    for (unsigned i = 0; i < 6; i++) {
        int fd = dial(&s);
        snprintf(ask, sizeof(ask), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i % 2]);
        say(fd, ask);
        WAIT_FOR(&s, s.seen.begun == i + 1);
        if (i / 2 == 1)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        if (i / 2 == 2)
            shutdown(fd, SHUT_WR);
        else
            close(fd);
        WAIT_FOR(&s, s.seen.gone == i + 1 && s.conns == 0 && s.requests == 0);
        if (i / 2 == 2)
            close(fd);
    }
    down(&s);
}

static void a_slow_reader_pauses_the_chain(void **state)
{
    struct server s;
    char block[65536];
    size_t total = 0;
    ssize_t n;
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    say(fd, "GET /big/50000000/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    usleep(200000);
    uint64_t pushed = look(&s)->pushed;
    usleep(100000);
    assert_int_equal(look(&s)->pushed, pushed);
    assert_true(pushed < 40000000);
    while ((n = read(fd, block, sizeof(block))) > 0)
        total += (size_t)n;
    assert_true(total > 50000000 && total < 50001000);
    close(fd);
    WAIT_FOR(&s, s.seen.ended == 1 && s.conns == 0);
    assert_int_equal(s.seen.gone, 0);
    down(&s);
}

static void a_reader_that_stops_is_cut(void **state)
{
    struct server s;
    defaults(&s);
    s.options.write_timeout_ms = 200;
    up(&s);
    int fd = dial(&s);
    say(fd, "GET /big/500000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_FOR(&s, s.seen.gone == 1 && s.conns == 0);
    close(fd);
    down(&s);
}

static void limits(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    s.options.max_body_bytes = 10;
    s.options.max_in_flight = 1;
    up(&s);
    int fd = dial(&s), other = dial(&s);
    say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    hear(fd, got, sizeof(got), "0123456789");
    say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n0123456789a");
    hear(fd, got, sizeof(got), "too large");
    assert_int_equal(look(&s)->refusal, CCP_TOO_LARGE);
    assert_int_equal(s.seen.body_n, 0);
    say(fd, "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_FOR(&s, s.seen.begun == 3);
    say(other, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(other, got, sizeof(got), "overloaded");
    close(fd);
    WAIT_FOR(&s, s.seen.gone == 1);
    say(other, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(other, got, sizeof(got), "hello\n");
    say(other, "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(other, got, sizeof(got), "out of memory");
    say(other, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"); /* the count went down again */
    hear(other, got, sizeof(got), "hello\n");
    close(other);
    down(&s);
}

static void reconfigure_there(void *arg)
{
    struct server *s = arg;
    struct http_options fresh = s->options;
    fresh.max_body_bytes = 2;
    http_worker_reconfigure(s->w, &fresh);
}

static void limits_can_change(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    hear(fd, got, sizeof(got), "\r\n\r\nabc");
    assert_true(http_worker_post(s.w, reconfigure_there, &s));
    look(&s);
    say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    hear(fd, got, sizeof(got), "too large");
    close(fd);
    down(&s);
}

static void connections_over_the_limit_wait(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    s.options.max_connections = 2;
    up(&s);
    int a = dial(&s), b = dial(&s);
    WAIT_FOR(&s, s.conns == 2);
    int c = dial(&s);
    say(c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    struct pollfd p = {.fd = c, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 200), 0);
    close(a);
    hear(c, got, sizeof(got), "hello\n");
    close(b);
    close(c);
    down(&s);
}

static void deadlines(void **state)
{
    static const char *const dribbles[] = {"GET / HTTP/1.1\r\n", "", "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nG",
                                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0",
                                           "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"};
    struct server s;
    char got[2048];
    defaults(&s);
    s.options.header_timeout_ms = 150;
    s.options.idle_timeout_ms = 300;
    up(&s);
    for (size_t i = 0; i < 5; i++) {
        int fd = dial(&s);
        say(fd, dribbles[i]);
        assert_true(hear(fd, got, sizeof(got), NULL));
        close(fd);
    }
    int fd = dial(&s); /* an answer that takes longer than either is not cut */
    say(fd, "GET /stream/3/300 HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, got, sizeof(got), "0\r\n\r\n");
    close(fd);
    down(&s);
}

static void bad_heads_never_reach_the_chain(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    s.options.h2c = HTTP_H2C_OFF;
    up(&s);
    static const char *const bad[] = {
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
         "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n"};
    for (size_t i = 0; i < 3; i++) {
        int fd = dial(&s);
        say(fd, bad[i]);
        assert_true(hear(fd, got, sizeof(got), NULL));
        assert_true(strncmp(got, "HTTP/1.1 400", 12) == 0);
        assert_null(strstr(got + 12, "HTTP/1.1"));
        close(fd);
    }
    assert_int_equal(look(&s)->begun, 0);
    down(&s);
}

static void the_upgrade_field_is_told(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    hear(fd, got, sizeof(got), "hello\n");
    assert_string_equal(look(&s)->upgrade, "websocket");
    say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    hear(fd, got, sizeof(got), "hello\n");
    assert_true(strncmp(got, "HTTP/1.1 200", 12) == 0);
    assert_string_equal(look(&s)->upgrade, "");
    close(fd);
    down(&s);
}

static void draining_finishes_what_runs(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int idle = dial(&s), busy = dial(&s);
    say(busy, "GET /stream/10/30 HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_FOR(&s, s.seen.begun == 1 && s.conns == 2);
    http_worker_drain(s.w);
    assert_true(hear(idle, got, sizeof(got), NULL));
    assert_true(hear(busy, got, sizeof(got), NULL));
    assert_non_null(strstr(got, "data: 9\n\n\r\n0\r\n\r\n"));
    close(idle);
    close(busy);
    free_all(&s);
    assert_int_equal(s.fake.aborted, 0);
    assert_int_equal(s.fake.gone, 0);
}

static void draining_ends_at_its_deadline(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    s.options.drain_timeout_ms = 100;
    up(&s);
    int fd = dial(&s);
    say(fd, "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_FOR(&s, s.seen.begun == 1);
    http_worker_drain(s.w);
    assert_true(hear(fd, got, sizeof(got), NULL));
    close(fd);
    free_all(&s);
    assert_int_equal(s.fake.aborted, 1);
}

static void stopping_tells_every_exchange(void **state)
{
    struct server s;
    defaults(&s);
    up(&s);
    int fd[3];
    for (unsigned i = 0; i < 3; i++) {
        fd[i] = dial(&s);
        say(fd[i], i == 0   ? "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n"
                   : i == 1 ? "GET /stream/100000/1 HTTP/1.1\r\nHost: a\r\n\r\n"
                            : "GET /big/900000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    WAIT_FOR(&s, s.seen.begun == 3);
    down(&s);
    assert_int_equal(s.fake.gone, 3);
    for (unsigned i = 0; i < 3; i++)
        close(fd[i]);
}

static void a_unix_socket_is_served_and_removed(void **state)
{
    struct server s;
    struct stat st;
    char path[] = "/tmp/ccp-http-XXXXXX", file[64], got[2048], why[HTTP_ERRBUF];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof(file), "%s/s", path);
    memcpy(a.sun_path, file, strlen(file));
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&a, sizeof(a)), 0);
    close(stale); /* a file nobody answers on */
    defaults(&s);
    s.options.host_count = 0;
    s.options.unix_socket = file;
    struct ccp_span trusted[] = {CCP_SPAN("unix")};
    s.options.trusted_proxies = trusted;
    s.options.trusted_proxy_count = 1;
    up(&s);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct http_listeners *second;
    assert_false(http_bind(&s.options, &second, why));
    assert_non_null(strstr(why, "another server answers"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, got, sizeof(got), "hello\n");
    assert_true(look(&s)->unix_socket && s.seen.trusted);
    assert_string_equal(s.seen.peer, "unix");
    close(fd);
    down(&s);
    assert_int_equal(stat(file, &st), -1);
    rmdir(path);
}

static void a_second_server_is_refused(void **state)
{
    struct server s;
    char why[HTTP_ERRBUF];
    struct http_listeners *second;
    defaults(&s);
    up(&s);
    struct http_options again = s.options;
    again.port = http_port(s.listeners);
    assert_false(http_bind(&again, &second, why));
    assert_non_null(strstr(why, "address already in use"));
    assert_null(second);
    down(&s);
}

#ifdef CCP_FAULTS
/* Each place that can run out of memory or descriptors fails once; nothing leaks and the server goes on. */
static void every_refusal_is_survived(void **state)
{
    static const char *const faults[] = {"http.conn:1", "http.begin:1", "http.out:1", "http.out:3"};
    struct server s;
    char got[65536];
    defaults(&s);
    up(&s);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fault_arm(faults[i]);
        int fd = dial(&s);
        say(fd, i == 3 ? "GET /stream/50/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                       : "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_true(hear(fd, got, sizeof(got), NULL));
        assert_null(strstr(got, "hello\n"));
        assert_null(strstr(got, "0\r\n\r\n"));
        close(fd);
        fault_arm(NULL);
        WAIT_FOR(&s, s.conns == 0 && s.requests == 0 && s.seen.open == 0);
        fd = dial(&s);
        say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_true(hear(fd, got, sizeof(got), NULL));
        assert_non_null(strstr(got, "hello\n"));
        close(fd);
    }
    fault_arm("http.post:1");
    assert_false(http_worker_post(s.w, look_there, &s));
    fault_arm("http.worker:1");
    assert_null(http_worker_new(&s.options, s.listeners));
    fault_arm("http.watch:2");
    assert_null(http_worker_new(&s.options, s.listeners));
    fault_arm(NULL);
    down(&s);
}
#endif

int main(void)
{
    http_process_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_answer_has_a_length),
        cmocka_unit_test(a_stream_is_chunked),
        cmocka_unit_test(answers_without_a_body),
        cmocka_unit_test(a_broken_answer_is_seen_as_broken),
        cmocka_unit_test(a_client_that_leaves_is_noticed),
        cmocka_unit_test(a_slow_reader_pauses_the_chain),
        cmocka_unit_test(a_reader_that_stops_is_cut),
        cmocka_unit_test(limits),
        cmocka_unit_test(limits_can_change),
        cmocka_unit_test(connections_over_the_limit_wait),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(bad_heads_never_reach_the_chain),
        cmocka_unit_test(the_upgrade_field_is_told),
        cmocka_unit_test(draining_finishes_what_runs),
        cmocka_unit_test(draining_ends_at_its_deadline),
        cmocka_unit_test(stopping_tells_every_exchange),
        cmocka_unit_test(a_unix_socket_is_served_and_removed),
        cmocka_unit_test(a_second_server_is_refused),
#ifdef CCP_FAULTS
        cmocka_unit_test(every_refusal_is_survived),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

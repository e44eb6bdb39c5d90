/*
 * Request bodies under the memory budget: what a client must send before it is given room, what is refused and how,
 * and that everything is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server.c.inc"

#include <base/budget.h>
#include <base/fault.h>

#define MIB    ((size_t)1 << 20)
#define NEARLY (4 * (uint64_t)BUDGET_BATCH) /* threads keep so much of what they took to themselves */

static char *filler;

static void head(int fd, size_t length)
{
    char text[256];
    snprintf(text, sizeof(text), "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", length);
    say(fd, text);
}

static void body(int fd, size_t n)
{
    while (n != 0) {
        ssize_t put = write(fd, filler, n < MIB ? n : MIB);
        assert_true(put > 0);
        n -= (size_t)put;
    }
}

static uint64_t grown(uint64_t since)
{
    uint64_t now = budget_used();
    return now > since ? now - since : 0;
}

static void wait_for_use(uint64_t before, uint64_t least, uint64_t most)
{
    for (int i = 0; i < 300 && (grown(before) < least || grown(before) > most); i++)
        usleep(10000);
    assert_in_range(grown(before), least, most);
}

static void bodies_of_all_sizes_arrive(void **state)
{
    static const size_t sizes[] = {0, 1, 4095, 8000, 8192, 20000, 65535, 65536, 70000, MIB, 5 * MIB + 1};
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        head(fd, sizes[i]);
        body(fd, sizes[i]);
        hear(fd, got, sizeof(got), "hello\n");
        assert_int_equal(look(&s)->body_n, sizes[i]);
        assert_int_equal(s.seen.refusal, CCP_OK);
    }
    assert_int_equal(look(&s)->begun, sizeof(sizes) / sizeof(sizes[0]));
    close(fd);
    down(&s);
}

static void pipelined_bodies_are_kept_apart(void **state)
{
    struct server s;
    char got[8192];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    for (int i = 0; i < 5; i++) {
        head(fd, 100000);
        body(fd, 100000);
    }
    for (int i = 0; i < 5; i++)
        say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_FOR(&s, s.seen.ended == 10);
    assert_int_equal(s.seen.body_n, 0);
    hear(fd, got, sizeof(got), "hello\n");
    close(fd);
    down(&s);
}

static void announcing_earns_nothing(void **state)
{
    struct server s;
    int fds[50];
    defaults(&s);
    up(&s);
    uint64_t before = budget_used();
    for (int i = 0; i < 50; i++) {
        fds[i] = dial(&s);
        head(fds[i], 30 * MIB);
    }
    WAIT_FOR(&s, s.conns == 50);
    wait_for_use(before, 0, 50 * 16384 + NEARLY);
    for (int i = 0; i < 50; i++)
        body(fds[i], 20000); /* not enough for the whole length either */
    wait_for_use(before, 0, 50 * 100000 + NEARLY);
    body(fds[0], 100000);
    wait_for_use(before, 30 * MIB - NEARLY, 30 * MIB + 50 * 100000 + NEARLY);
    for (int i = 0; i < 50; i++)
        close(fds[i]);
    WAIT_FOR(&s, s.conns == 0);
    wait_for_use(before, 0, NEARLY);
    down(&s);
}

/* As if others held it. On the worker's thread. */
static void take_there(void *n)
{
    budget_take((size_t)(uintptr_t)n);
}

static void give_there(void *n)
{
    budget_give((size_t)(uintptr_t)n);
}

static void fill(struct server *s, unsigned percent, uintptr_t *taken)
{
    look(s);
    *taken = (uintptr_t)(budget_limit() / 100 * percent - budget_used());
    assert_true(http_worker_post(s->w, take_there, (void *)*taken));
    look(s);
}

static void above_80_percent_new_requests_are_refused(void **state)
{
    struct server s;
    char got[2048];
    uintptr_t taken;
    defaults(&s);
    s.options.memory_limit = 256 * MIB;
    up(&s);
    int fd = dial(&s);
    fill(&s, 85, &taken);
    head(fd, 10);
    body(fd, 10);
    WAIT_FOR(&s, s.seen.refusal == CCP_OVERLOADED);
    hear(fd, got, sizeof(got), "\r\n\r\n");
    /* A large one is not kept, and still gets its answer; nothing else is read from that connection. */
    int large = dial(&s);
    uint64_t before = budget_used();
    head(large, 20 * MIB);
    body(large, 20 * MIB);
    WAIT_FOR(&s, s.seen.begun == 2);
    assert_int_equal(s.seen.refusal, CCP_OVERLOADED);
    assert_int_equal(s.seen.body_n, 0);
    assert_true(grown(before) < MIB);
    assert_true(hear(large, got, sizeof(got), NULL));
    assert_non_null(strstr(got, "HTTP/1.1 503"));
    assert_non_null(strstr(got, "overloaded"));
    assert_true(http_worker_post(s.w, give_there, (void *)taken));
    look(&s);
    head(fd, 2 * MIB);
    body(fd, 2 * MIB);
    WAIT_FOR(&s, s.seen.begun == 3);
    assert_int_equal(s.seen.refusal, CCP_OK);
    assert_int_equal(s.seen.body_n, 2 * MIB);
    close(fd);
    close(large);
    down(&s);
}

static void above_95_percent_growth_ends_the_connection(void **state)
{
    struct server s;
    char got[2048];
    uintptr_t taken;
    static const char chunk[] = "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n";
    defaults(&s);
    s.options.memory_limit = 256 * MIB;
    up(&s);
    int growing = dial(&s), quiet = dial(&s);
    say(growing, chunk);
    body(growing, 200000);
    WAIT_FOR(&s, s.conns == 2);
    fill(&s, 96, &taken);
    for (int i = 0; i < 100 && s.conns == 2; i++, look(&s)) {
        ssize_t put = send(growing, filler, 65536, MSG_NOSIGNAL);
        if (put < 0)
            break;
        usleep(10000);
    }
    WAIT_FOR(&s, s.conns == 1);
    assert_int_equal(s.seen.begun, 0);
    assert_true(http_worker_post(s.w, give_there, (void *)taken));
    look(&s);
    say(quiet, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(quiet, got, sizeof(got), "hello\n");
    close(growing);
    close(quiet);
    down(&s);
}

static void nothing_new_is_accepted_when_full(void **state)
{
    struct server s;
    char got[2048];
    uintptr_t taken;
    defaults(&s);
    s.options.memory_limit = 256 * MIB;
    up(&s);
    fill(&s, 97, &taken);
    int fd = dial(&s); /* the kernel takes it */
    say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(200000);
    look(&s);
    assert_int_equal(s.conns, 0);
    assert_true(http_worker_post(s.w, give_there, (void *)taken));
    look(&s);
    hear(fd, got, sizeof(got), "hello\n");
    close(fd);
    down(&s);
}

static void what_is_too_large_is_not_kept(void **state)
{
    struct server s;
    defaults(&s);
    s.options.max_body_bytes = 4 * MIB;
    up(&s);
    int fd = dial(&s);
    uint64_t before = budget_used();
    head(fd, 6 * MIB);
    body(fd, 5 * MIB);
    usleep(100000);
    assert_true(grown(before) < MIB);
    body(fd, MIB);
    WAIT_FOR(&s, s.seen.begun == 1);
    assert_int_equal(s.seen.refusal, CCP_TOO_LARGE);
    assert_int_equal(s.seen.body_n, 0);
    close(fd);
    down(&s);
}

/* A worker's end on the thread that ran it: h2o's buffers point to that thread's own storage. */
static void connections_end_with_their_thread(void **state)
{
    struct server s;
    defaults(&s);
    up(&s);
    int partial = dial(&s), busy = dial(&s);
    say(partial, "GET /hello HTTP/1.1\r\nHo");
    say(busy, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_FOR(&s, s.conns == 2 && s.seen.begun == 1);
    http_worker_stop(s.w);
    assert_int_equal(pthread_join(s.thread, NULL), 0);
    assert_int_equal(http_worker_connections(s.w), 0);
    s.thread = 0;
    http_worker_free(s.w);
    http_listeners_free(s.listeners);
    sem_destroy(&s.looked);
    close(partial);
    close(busy);
}

static void what_requests_cost_is_given_back(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s);
    uint64_t before = budget_used();
    for (int i = 0; i < 100; i++) {
        say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(fd, got, sizeof(got), "hello\n");
    }
    wait_for_use(before, 0, NEARLY); /* a tenth of what 100 requests cost */
    close(fd);
    down(&s);
}

#ifdef CCP_FAULTS
static void a_refused_block_ends_one_connection(void **state)
{
    struct server s;
    char got[2048];
    defaults(&s);
    up(&s);
    int fd = dial(&s), other = dial(&s);
    head(fd, MIB);
    WAIT_FOR(&s, s.conns == 2);
    usleep(100000); /* the head has its block now */
    fault_arm("http.buffer:1");
    body(fd, MIB); /* its room is refused: the body is read, but not kept */
    WAIT_FOR(&s, s.seen.begun == 1);
    assert_int_equal(s.seen.refusal, CCP_OVERLOADED);
    assert_true(hear(fd, got, sizeof(got), NULL));
    fault_arm(NULL);
    say(other, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(other, got, sizeof(got), "hello\n");
    close(fd);
    close(other);
    down(&s);
}
#endif

int main(void)
{
    http_process_init();
    filler = malloc(MIB);
    if (filler == NULL)
        return 1;
    memset(filler, 'x', MIB);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_all_sizes_arrive),
        cmocka_unit_test(pipelined_bodies_are_kept_apart),
        cmocka_unit_test(announcing_earns_nothing),
        cmocka_unit_test(above_80_percent_new_requests_are_refused),
        cmocka_unit_test(above_95_percent_growth_ends_the_connection),
        cmocka_unit_test(nothing_new_is_accepted_when_full),
        cmocka_unit_test(what_is_too_large_is_not_kept),
        cmocka_unit_test(connections_end_with_their_thread),
        cmocka_unit_test(what_requests_cost_is_given_back),
#ifdef CCP_FAULTS
        cmocka_unit_test(a_refused_block_ends_one_connection),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(filler);
    return failed;
}

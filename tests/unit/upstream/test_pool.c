/* The direct engine's connections: which are kept, for whom, how long; how they are made and what is sent on them. */
#include "harness.h"

#include <base/fault.h>

static struct server *server;
static struct worker *w;

static int setup(void **state)
{
    (void)state;
    server = server_start(NULL);
    w = worker_new((struct upstream_options){0}, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    worker_free(w);
    server_stop(server);
    return 0;
}

static void run_ok(struct owner *o, const char *path)
{
    owner_init(o, w, "http", "127.0.0.1", server->port, path);
    owner_run(o);
    assert_int_equal(o->result, CCP_OK);
    owner_release(o);
}

static void only_clean_ends_are_kept(void **state)
{
    static const struct {
        const char *path;
        size_t kept;
    } rows[] = {{"/hello", 1}, {"/chunked", 1}, {"/one-zero", 0},  {"/last", 0},
                {"/extra", 0}, {"/echo", 1},    {"/no-content", 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct owner o;
        upstream_reconfigure(w->u, 0, NULL);
        run_ok(&o, rows[i].path);
        if (w->u->kept_n != rows[i].kept)
            fail_msg("%s: %zu kept", rows[i].path, w->u->kept_n);
    }
}

static void an_idle_one_that_speaks_or_ends_is_closed(void **state)
{
    struct owner o;

    run_ok(&o, "/late");
    assert_int_equal(w->u->kept_n, 1);
    worker_run_ms(w, 100);
    assert_int_equal(w->u->kept_n, 0);
    run_ok(&o, "/hello");
    assert_int_equal(w->u->kept_n, 1);
    server_stop(server);
    worker_run_ms(w, 50);
    assert_int_equal(w->u->kept_n, 0);
    server = server_start(NULL);
}

static void idle_time_is_limited(void **state)
{
    struct owner o;

    run_ok(&o, "/hello");
    assert_true(w->u->reaper.slot != 0);
    LINK_OWNER(w->u->kept.next, struct connection, kept)->idle_since -= KEPT_MS - 30;
    loop_timer_stop(&w->loop, &w->u->reaper);
    pool_fire(&w->u->reaper);
    assert_int_equal(w->u->kept_n, 1);
    worker_run_ms(w, 20);
    assert_int_equal(w->u->kept_n, 1);
    worker_run_ms(w, 60);
    assert_int_equal(w->u->kept_n, 0);
    assert_true(w->u->reaper.slot == 0);
}

static void the_newest_is_taken_and_the_number_is_limited(void **state)
{
    enum { N = KEPT_MAX + 20 };
    struct owner *o = calloc(N, sizeof(*o)), one;

    for (size_t i = 0; i < N; i++) {
        owner_init(&o[i], w, "http", "127.0.0.1", server->port, "/slow");
        owner_start(&o[i]);
    }
    for (size_t i = 0; i < N; i++) {
        owner_finish(&o[i]);
        assert_int_equal(o[i].result, CCP_OK);
        owner_release(&o[i]);
    }
    free(o);
    assert_int_equal(w->u->kept_n, KEPT_MAX);
    int newest = LINK_OWNER(w->u->kept.prev, struct connection, kept)->fd;
    owner_init(&one, w, "http", "127.0.0.1", server->port, "/stall");
    owner_start(&one);
    assert_int_equal(direct_of(one.t)->conn->fd, newest);
    assert_int_equal(w->u->kept_n, KEPT_MAX - 1);
    upstream_transport.cancel(w->u, one.t);
    assert_int_equal(w->u->kept_n, KEPT_MAX - 1); /* in the middle of an answer: closed, not kept */
}

static void rules_are_not_mixed(void **state)
{
    struct owner o;

    owner_init(&o, w, "http", "127.0.0.1", server->port, "/hello");
    o.request.allow_private = true;
    owner_run(&o);
    o.dones = o.heads = 0;
    o.request.allow_private = false;
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_int_equal(server_connections(server), 2);
    o.dones = o.heads = 0;
    o.request.literal_host = false; /* a literal that nobody wrote: no connection is good enough */
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "private"));
    assert_int_equal(w->u->kept_n, 2);
    owner_release(&o);
}

static void a_reload_closes_idle_and_keeps_none_of_before(void **state)
{
    struct owner idle, busy;

    owner_init(&busy, w, "http", "127.0.0.1", server->port, "/slow");
    owner_start(&busy);
    run_ok(&idle, "/hello");
    assert_int_equal(w->u->kept_n, 1);
    upstream_reconfigure(w->u, 0, NULL);
    assert_int_equal(w->u->kept_n, 0);
    owner_finish(&busy);
    assert_int_equal(busy.result, CCP_OK);
    assert_int_equal(w->u->kept_n, 0);
    owner_release(&busy);
}

static void a_second_death_is_an_error(void **state)
{
    struct owner o;

    run_ok(&o, "/hello");
    owner_init(&o, w, "http", "127.0.0.1", server->port, "/close");
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "closed without an answer"));
    assert_int_equal(atomic_load(&server->requests), 3);
    assert_int_equal(upstream_counters(w->u).retried, 1);
    owner_release(&o);
}

static void what_a_server_had_for_long_is_not_sent_twice(void **state)
{
    struct owner o;

    run_ok(&o, "/hello");
    owner_init(&o, w, "http", "127.0.0.1", server->port, "/die-slowly");
    o.request.method = CCP_SPAN("POST");
    owner_start(&o);
    assert_true(direct_of(o.t)->conn->reused);
    direct_of(o.t)->handed_ms -= RESEND_MS;
    owner_finish(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "closed without an answer"));
    assert_int_equal(atomic_load(&server->requests), 2);
    assert_int_equal(upstream_counters(w->u).retried, 0);
    owner_release(&o);
}

/* ---- several addresses ----------------------------------------------------------------------------------- */

static struct addrinfo answers[3];
static struct sockaddr_in sockets[3];

static int lookup(const char *host, const struct addrinfo *hints, struct addrinfo **out)
{
    (void)host, (void)hints;
    *out = answers;
    return 0;
}

static void release(struct addrinfo *list)
{
    (void)list;
}

static void answer_with(const char *first, const char *second)
{
    const char *const texts[] = {first, second};

    for (size_t i = 0; i < 2; i++) {
        sockets[i] = (struct sockaddr_in){.sin_family = AF_INET};
        assert_int_equal(inet_pton(AF_INET, texts[i], &sockets[i].sin_addr), 1);
        answers[i] = (struct addrinfo){.ai_family = AF_INET,
                                       .ai_socktype = SOCK_STREAM,
                                       .ai_addr = (struct sockaddr *)&sockets[i],
                                       .ai_addrlen = sizeof(sockets[i]),
                                       .ai_next = i == 0 ? &answers[1] : NULL};
    }
}

static uint64_t time_to_answer(void)
{
    struct resolver *all = names_of_all;
    struct owner o;

    names_of_all = resolver_new(&(struct resolver_options){.lookup = lookup, .release = release});
    struct worker *fresh = worker_new((struct upstream_options){0}, NULL);
    owner_init(&o, fresh, "http", "two.example", server->port, "/hello");
    o.request.allow_private = true;
    uint64_t began = clock_ms();
    owner_run(&o);
    if (o.result != CCP_OK)
        fail_msg("%s", o.why);
    began = clock_ms() - began;
    owner_release(&o);
    worker_free(fresh);
    resolver_free(names_of_all);
    names_of_all = all;
    return began;
}

static void a_refused_address_costs_no_time(void **state)
{
    answer_with("127.0.0.3", "127.0.0.1");
    assert_in_range(time_to_answer(), 0, HEAD_START_MS - 1);
}

static void a_silent_address_costs_its_head_start(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[4];

    inet_pton(AF_INET, "127.0.0.2", &a.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 4; i++) { /* a full backlog: the kernel drops further SYNs */
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
    }
    answer_with("127.0.0.2", "127.0.0.1");
    assert_in_range(time_to_answer(), HEAD_START_MS, HEAD_START_MS + 700);
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(fd);
}

/* ---- large requests -------------------------------------------------------------------------------------- */

struct reader {
    int listener, status;
    bool early; /* answers before it has read the body, and closes */
    unsigned long long want, got;
    bool same;
};

static void *read_main(void *arg)
{
    struct reader *r = arg;
    int fd = accept(r->listener, NULL, NULL);
    static char piece[70000];
    char text[256], *end = NULL;
    size_t head = 0;

    while (end == NULL && head < sizeof(piece) - 1) {
        ssize_t n = recv(fd, piece + head, sizeof(piece) - 1 - head, 0);
        if (n <= 0)
            break;
        head += (size_t)n;
        piece[head] = 0;
        end = strstr(piece, "\r\n\r\n");
    }
    int n = snprintf(text, sizeof(text), "HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok", r->status);
    if (r->early && send(fd, text, (size_t)n, MSG_NOSIGNAL) == n)
        usleep(50000);
    r->same = true;
    for (char *p = end + 4; !r->early;) {
        for (; p < piece + head; p++, r->got++)
            r->same = r->same && *p == body_byte(r->got);
        if (r->got >= r->want)
            break;
        if (r->got % 3 == 0)
            usleep(1000);
        ssize_t more = recv(fd, piece, sizeof(piece), 0);
        if (more <= 0)
            break;
        head = (size_t)more;
        p = piece;
    }
    if (!r->early && send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        r->same = false;
    close(fd);
    return NULL;
}

static void send_large(struct reader *r, struct owner *o, char *body, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    pthread_t thread;

    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(listen(r->listener, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_main, r), 0);
    owner_init(o, w, "http", "127.0.0.1", ntohs(a.sin_port), "/");
    o->request.method = CCP_SPAN("POST");
    o->request.body[0] = ccp_span_of(body, 1000);
    o->request.body[1] = ccp_span_of(body + 1000, n - 2000);
    o->request.body[2] = ccp_span_of(body + n - 1000, 1000);
    o->request.body_pieces = 3;
    owner_run(o);
    pthread_join(thread, NULL);
    close(r->listener);
}

static void a_large_body_goes_out_in_parts(void **state)
{
    enum { N = 12 << 20 };
    char *body = malloc(N);
    struct reader r = {.status = 200, .want = N};
    struct owner o;

    for (size_t i = 0; i < N; i++)
        body[i] = body_byte(i);
    send_large(&r, &o, body, N);
    assert_int_equal(o.result, CCP_OK);
    assert_true(r.same && r.got == N);
    owner_release(&o);
    r = (struct reader){.status = 413, .want = N, .early = true};
    send_large(&r, &o, body, N);
    assert_int_equal(o.result, CCP_OK); /* told, although the connection broke under the request */
    assert_int_equal(o.status, 413);
    assert_int_equal(w->u->kept_n, 0);
    owner_release(&o);
    free(body);
}

static void a_head_larger_than_the_block_is_sent(void **state)
{
    char *value = malloc(40001);
    struct owner o;

    memset(value, 'v', 40000);
    value[40000] = 0;
    owner_init(&o, w, "http", "127.0.0.1", server->port, "/echo");
    owner_header(&o, "x-long", value);
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_true(owner_has(&o, value));
    owner_release(&o);
#ifdef CCP_FAULTS
    o.dones = o.heads = 0;
    fault_arm("upstream.headers:1");
    owner_run(&o);
    fault_arm(NULL);
    assert_int_equal(o.result, CCP_INTERNAL);
#endif
    free(value);
}

static void a_transfer_is_small(void **state)
{
    printf("%zu bytes a transfer, %zu a connection\n", sizeof(struct direct), sizeof(struct connection));
    assert_true(sizeof(struct direct) <= 600);
    assert_true(sizeof(struct connection) <= 200);
}

#ifdef CCP_FAULTS
static void broken_calls_end_cleanly(void **state)
{
    static const char *const points[] = {"upstream.recv:1", "upstream.send:1"};
    struct owner o;

    for (size_t i = 0; i < 2; i++) {
        owner_init(&o, w, "http", "127.0.0.1", server->port, "/hello");
        fault_arm(points[i]);
        owner_run(&o);
        fault_arm(NULL);
        /* After a failed send the answer is looked for all the same: none can come. */
        assert_int_equal(o.result, CCP_UPSTREAM);
        assert_non_null(strstr(o.why, "lost"));
        owner_release(&o);
    }
    owner_init(&o, w, "http", "127.0.0.1", server->port, "/big/3000000");
    o.pause_each = true;
    fault_arm("upstream.rest:1");
    owner_start(&o);
    worker_run_ms(w, 50);
    for (int i = 0; i < 200 && o.dones == 0; i++) {
        upstream_transport.resume(w->u, o.t);
        worker_turn(w);
    }
    fault_arm(NULL);
    assert_int_equal(o.dones, 1);
    owner_release(&o);
}
#endif

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(only_clean_ends_are_kept),
        T(an_idle_one_that_speaks_or_ends_is_closed),
        T(idle_time_is_limited),
        T(the_newest_is_taken_and_the_number_is_limited),
        T(rules_are_not_mixed),
        T(a_reload_closes_idle_and_keeps_none_of_before),
        T(a_second_death_is_an_error),
        T(what_a_server_had_for_long_is_not_sent_twice),
        T(a_refused_address_costs_no_time),
        T(a_silent_address_costs_its_head_start),
        T(a_large_body_goes_out_in_parts),
        T(a_head_larger_than_the_block_is_sent),
        T(a_transfer_is_small),
#ifdef CCP_FAULTS
        T(broken_calls_end_cleanly),
#endif
    };
    return cmocka_run_group_tests_name("upstream/pool", tests, group_setup, group_teardown);
}

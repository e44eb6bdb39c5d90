/* Time and quantity: pause and bounded memory, cancel in every state, timeouts, many transfers at once. */
#include "harness.h"

#include <base/fault.h>

static struct server *server;
static struct worker *w;

static int setup(void **state)
{
    (void)state;
    server = server_start(NULL);
    w = worker_new((struct upstream_options){.max_connections_per_host = 0}, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    worker_free(w);
    server_stop(server);
    return 0;
}

static void get(struct owner *o, const char *path)
{
    owner_init(o, w, "http", "127.0.0.1", server->port, path);
}

static void a_paused_fast_upstream_stays_bounded(void **state)
{
    struct owner o;
    unsigned long long total = 24ull << 20;

    get(&o, "/big/25165824");
    o.pause_each = o.check_pattern = true;
    o.request.limits.idle_ms = 150;
    owner_start(&o);
    for (int i = 0; i < 200 && o.bodies == 0; i++)
        worker_turn(w);
    assert_int_equal(o.bodies, 1);
    worker_run_ms(w, 500); /* longer than the idle limit, which must not count while we hold it back */
    assert_int_equal(o.dones, 0);
    assert_int_equal(o.bodies, 1);
    assert_true(stopped(o.t));
    assert_true(buffered(o.t) <= BUFFER_HIGH);
    unsigned long long sent = atomic_load(&server->sent);
    assert_true(sent < total / 2); /* the kernel's buffers and ours, not the rest */
    worker_run_ms(w, 50);
    assert_int_equal(atomic_load(&server->sent), sent);
    while (o.dones == 0) {
        if (o.t->paused)
            upstream_transport.resume(w->u, o.t);
        worker_turn(w);
        assert_true(o.dones != 0 || buffered(o.t) <= BUFFER_HIGH);
    }
    assert_int_equal(o.result, CCP_OK);
    assert_true(o.bytes == total);
    assert_true(upstream_counters(w->u).paused > 0);
    owner_release(&o);
}

static void a_fast_reader_gets_every_byte(void **state)
{
    struct owner o;

    get(&o, "/big/10000000");
    o.check_pattern = true;
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_true(o.bytes == 10000000);
    owner_release(&o);
}

static void pause_holds_body_and_done(void **state)
{
    struct owner o;

    get(&o, "/hello");
    owner_start(&o);
    upstream_transport.pause(w->u, o.t);
    worker_run_ms(w, 100);
    assert_int_equal(o.heads, 1);
    assert_int_equal(o.bodies + o.dones, 0);
    upstream_transport.resume(w->u, o.t);
    assert_int_equal(o.bodies + o.dones, 0); /* in a later turn */
    owner_finish(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_true(ccp_span_is(buf_span(&o.body), "hello"));
    owner_release(&o);
}

static void what_follows_a_pause_may_be_wrong(void **state)
{
    static const struct {
        const char *path;
        enum ccp_status result;
    } rows[] = {{"/two-extra", CCP_OK}, {"/two-broken", CCP_UPSTREAM}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct owner o;
        get(&o, rows[i].path);
        o.pause_each = true;
        owner_start(&o);
        for (uint64_t end = clock_ms() + 2000; o.dones == 0 && clock_ms() < end;) {
            worker_turn(w);
            if (o.dones == 0)
                upstream_transport.resume(w->u, o.t);
        }
        assert_int_equal(o.dones, 1);
        assert_int_equal(o.result, rows[i].result);
        assert_int_equal(o.bytes, 6000);
        owner_release(&o);
    }
}

static void a_stream_at_rest_holds_no_buffer(void **state)
{
    struct owner o;

    get(&o, "/stall");
    owner_start(&o);
    worker_run_ms(w, 100);
    assert_true(ccp_span_is(buf_span(&o.body), "start"));
    assert_int_equal(buffered(o.t), 0);
    assert_null(over_curl ? curl_of(o.t)->head.text.p : direct_of(o.t)->reader.saved.p);
    assert_true(over_curl || direct_of(o.t)->head == NULL);
    upstream_transport.cancel(w->u, o.t);
    owner_release(&o);
}

static void nothing_spins(void **state)
{
    struct owner paused, stalled, closed;

    get(&paused, "/big/25165824");
    paused.pause_each = true;
    get(&stalled, "/stall");
    get(&closed, "/once"); /* its connection idles, then the server closes it */
    owner_start(&paused);
    owner_start(&stalled);
    owner_run(&closed);
    worker_run_ms(w, 300);
    assert_true(stopped(paused.t));
    w->turns = 0;
    worker_run_ms(w, 400); /* 20 naps, and a few turns for curl's own timers */
    assert_in_range(w->turns, 1, 40);
    server_stop(server);
    w->turns = 0;
    worker_run_ms(w, 400);
    assert_in_range(w->turns, 1, 60);
    assert_int_equal(stalled.dones, 1);
    assert_int_equal(paused.dones, 0);
    upstream_transport.resume(w->u, paused.t);
    paused.pause_each = false;
    owner_finish(&paused);
    assert_int_equal(paused.result, CCP_UPSTREAM);
    assert_true(paused.bytes >= BUFFER_HIGH / 2);
    owner_release(&paused);
    owner_release(&stalled);
    owner_release(&closed);
    server = server_start(NULL);
}

static void nothing_after_cancel(struct owner *o, int heads, int bodies)
{
    upstream_transport.cancel(w->u, o->t);
    worker_run_ms(w, 60);
    assert_int_equal(o->heads, heads);
    assert_int_equal(o->bodies, bodies);
    assert_int_equal(o->dones, 0);
    assert_int_equal(upstream_counters(w->u).active, 0);
    owner_release(o);
}

static void cancel_while_queued_never_reaches_curl(void **state)
{
    struct owner o;

    get(&o, "/hello");
    owner_start(&o);
    nothing_after_cancel(&o, 0, 0);
    if (!over_curl) /* it may have begun to connect */
        return;
    assert_int_equal(server_connections(server), 0);
    assert_int_equal(upstream_counters(w->u).connections_opened, 0);
}

static void cancel_before_the_head(void **state)
{
    struct owner o;

    get(&o, "/silent");
    owner_start(&o);
    worker_run_ms(w, 60);
    assert_int_equal(atomic_load(&server->requests), 1);
    nothing_after_cancel(&o, 0, 0);
}

static void cancel_in_the_body(void **state)
{
    struct owner o;

    get(&o, "/stall");
    owner_start(&o);
    worker_run_ms(w, 60);
    nothing_after_cancel(&o, 1, 1);
}

static void cancel_while_paused(void **state)
{
    struct owner o;

    get(&o, "/big/25165824");
    o.pause_each = true;
    owner_start(&o);
    worker_run_ms(w, 200);
    assert_true(stopped(o.t));
    nothing_after_cancel(&o, 1, 1);
}

static void cancel_when_finished_but_not_told(void **state)
{
    struct owner o;

    get(&o, "/hello");
    owner_start(&o);
    upstream_transport.pause(w->u, o.t);
    worker_run_ms(w, 60);
    assert_true(over_curl ? o.t->finished : buffered(o.t) == 5);
    nothing_after_cancel(&o, 1, 0);
}

static void cancel_inside_callbacks(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct owner o;
        get(&o, "/hello");
        o.cancel_on_head = i == 0;
        o.cancel_on_body = i == 1;
        owner_start(&o);
        worker_run_ms(w, 60);
        assert_int_equal(o.heads, 1);
        assert_int_equal(o.bodies, i);
        assert_int_equal(o.dones, 0);
        assert_int_equal(upstream_counters(w->u).active, 0);
        owner_release(&o);
    }
}

static void gone_then_cancel(void **state)
{
    struct owner o;

    get(&o, "/big/25165824");
    o.gone_on_body = true;
    owner_start(&o);
    worker_run_ms(w, 100);
    assert_false(connected(o.t));
    nothing_after_cancel(&o, 1, 1);
}

static void cancel_while_waiting_for_a_place(void **state)
{
    struct owner a, b;
    struct worker *one = worker_new((struct upstream_options){.max_connections_per_host = 1}, NULL);

    owner_init(&a, one, "http", "127.0.0.1", server->port, "/silent");
    owner_init(&b, one, "http", "127.0.0.1", server->port, "/hello");
    owner_start(&a);
    owner_start(&b);
    worker_run_ms(one, 60);
    assert_int_equal(atomic_load(&server->requests), 1);
    upstream_transport.cancel(one->u, b.t);
    owner_start(&b);
    worker_run_ms(one, 60);
    assert_int_equal(b.dones, 0);
    upstream_transport.cancel(one->u, a.t); /* makes room */
    owner_finish(&b);
    assert_int_equal(b.result, CCP_OK);
    owner_release(&a);
    owner_release(&b);
    worker_free(one);
}

static void cancel_while_resolving(void **state)
{
    struct owner o;

    owner_init(&o, w, "http", "no-such-name.invalid", 80, "/");
    owner_start(&o);
    loop_turn(&w->loop); /* the resolver's thread has just begun */
    uint64_t began = clock_ms();
    upstream_transport.cancel(w->u, o.t);
    assert_in_range(clock_ms() - began, 0, 200);
    worker_run_ms(w, 60);
    assert_int_equal(o.dones, 0);
}

static void free_with_transfers_in_every_state(void **state)
{
    static const char *const paths[] = {"/silent", "/stall", "/big/25165824", "/hello"};
    struct owner o[5];

    for (int i = 0; i < 4; i++) {
        get(&o[i], paths[i]);
        o[i].pause_each = i == 2;
        owner_start(&o[i]);
    }
    upstream_transport.pause(w->u, o[3].t);
    worker_run_ms(w, 100);
    get(&o[4], "/hello");
    owner_start(&o[4]);
    upstream_free(w->u);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(o[i].dones, 0);
        owner_release(&o[i]);
    }
    w->u = NULL;
}

/* ---- timeouts ---------------------------------------------------------------------------------------- */

static void expect_timeout(struct owner *o, const char *which)
{
    uint64_t began = clock_ms();

    owner_run(o);
    assert_int_equal(o->result, CCP_UPSTREAM_TIMEOUT);
    if (strstr(o->why, which) == NULL)
        fail_msg("%s", o->why);
    assert_in_range(clock_ms() - began, 80, 2000);
    assert_null(strstr(o->why, "secret"));
    owner_release(o);
}

static void connect_times_out(void **state)
{
    struct owner o;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[4];

    /* A full backlog: the kernel drops further SYNs, so connecting hangs. */
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (struct sockaddr *)&a, n);
    }
    owner_init(&o, w, "http", "127.0.0.1", ntohs(a.sin_port), "/?secret");
    o.request.limits.connect_ms = 100;
    expect_timeout(&o, "connect timeout");
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(fd);
}

static void first_byte_times_out(void **state)
{
    struct owner o;

    get(&o, "/silent?secret");
    o.request.limits.first_byte_ms = 100;
    expect_timeout(&o, "first byte timeout of 100 ms");
}

static void idle_times_out(void **state)
{
    struct owner o;

    get(&o, "/stall?secret");
    o.request.limits.first_byte_ms = 5000;
    o.request.limits.idle_ms = 100;
    expect_timeout(&o, "idle timeout of 100 ms");
    assert_int_equal(o.bytes, 5);
}

static void slow_bytes_are_not_idle(void **state)
{
    struct owner o;

    get(&o, "/drip?secret");
    o.request.limits.idle_ms = 150;
    o.request.limits.total_ms = 500;
    expect_timeout(&o, "total timeout of 500 ms");
    assert_true(o.bytes > 5);
}

static void total_comes_through_a_pause(void **state)
{
    struct owner o;

    get(&o, "/drip?secret");
    o.pause_each = true;
    o.request.limits.total_ms = 150;
    expect_timeout(&o, "total timeout of 150 ms");
}

/* ---- many -------------------------------------------------------------------------------------------- */

static void many_at_once_over_several_shards(void **state)
{
    enum { N = 300 };
    struct owner *o = calloc(N, sizeof(*o));
    size_t done = 0;

    for (size_t i = 0; i < N; i++) {
        get(&o[i], "/slow");
        owner_start(&o[i]);
    }
    worker_turn(w);
    assert_true(over_curl ? w->u->shard_n >= 3 : w->u->shard_n == 0);
    for (size_t i = 0; i < w->u->shard_n; i++)
        assert_true(w->u->shards[i]->active <= SHARD_TRANSFERS);
    for (size_t i = 0; i < N; i++) {
        owner_finish(&o[i]);
        assert_int_equal(o[i].result, CCP_OK);
        assert_true(ccp_span_is(buf_span(&o[i].body), "slow"));
        owner_release(&o[i]);
        done++;
    }
    assert_int_equal(done, N);
    assert_int_equal(atomic_load(&server->requests), N);
    assert_true(w->u->pool_n <= POOL_IDLE);
    free(o);
}

static void the_host_limit_queues(void **state)
{
    enum { N = 40 };
    struct owner o[N];
    struct worker *four = worker_new((struct upstream_options){.max_connections_per_host = 4}, NULL);

    for (size_t i = 0; i < N; i++) {
        owner_init(&o[i], four, "http", "127.0.0.1", server->port, "/slow");
        owner_start(&o[i]);
    }
    for (size_t i = 0; i < N; i++) {
        owner_finish(&o[i]);
        assert_int_equal(o[i].result, CCP_OK);
        owner_release(&o[i]);
    }
    assert_in_range(atomic_load(&server->most_at_once), 2, 4);
    assert_int_equal(server_connections(server), 4);
    for (size_t i = 1; i < N; i++) /* first come, first served: batches of four end in order */
        assert_true(o[i].done_at >= o[i - 1].done_at || o[i - 1].done_at - o[i].done_at < 25);
    worker_free(four);
}

#ifdef CCP_FAULTS
static void memory_failures_end_cleanly(void **state)
{
    static const char *const of_curl[] = {"upstream.easy:1",    "upstream.shard:1",  "upstream.host:1",
                                          "upstream.headers:1", "upstream.option:1", "upstream.socket:1",
                                          "upstream.sockets:1", "buf.reserve:1",     NULL};
    static const char *const of_direct[] = {"upstream.host:1",
                                            "upstream.pool:1",
                                            "upstream.dial:1",
                                            "upstream.conn:1",
                                            "upstream.sockets:1",
                                            "upstream.socket:1",
                                            NULL};
    const char *const *points = over_curl ? of_curl : of_direct;
    struct owner o;

    for (size_t i = 0; points[i] != NULL; i++) {
        struct worker *fresh = worker_new((struct upstream_options){0}, NULL);
        owner_init(&o, fresh, "http", "127.0.0.1", server->port, "/hello");
        fault_arm(points[i]);
        owner_run(&o);
        fault_arm(NULL);
        if (o.result == CCP_OK)
            fail_msg("%s: did not fail", points[i]);
        assert_int_equal(upstream_counters(fresh->u).active, 0);
        o.dones = o.heads = 0; /* and the next one works */
        owner_run(&o);
        assert_int_equal(o.result, CCP_OK);
        owner_release(&o);
        worker_free(fresh);
    }
    get(&o, "/hello");
    fault_arm("upstream.start:1");
    assert_null(upstream_transport.start(w->u, NULL, &o.request, &recording, &o));
    fault_arm("loop.timer:1");
    struct worker *fresh = worker_new((struct upstream_options){0}, NULL);
    o.request.limits.total_ms = 5;
    assert_null(upstream_transport.start(fresh->u, NULL, &o.request, &recording, &o));
    fault_arm(NULL);
    worker_free(fresh);
}
#endif

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_paused_fast_upstream_stays_bounded),
        T(a_fast_reader_gets_every_byte),
        T(pause_holds_body_and_done),
        T(what_follows_a_pause_may_be_wrong),
        T(a_stream_at_rest_holds_no_buffer),
        T(nothing_spins),
        T(cancel_while_queued_never_reaches_curl),
        T(cancel_before_the_head),
        T(cancel_in_the_body),
        T(cancel_while_paused),
        T(cancel_when_finished_but_not_told),
        T(cancel_inside_callbacks),
        T(gone_then_cancel),
        T(cancel_while_waiting_for_a_place),
        T(cancel_while_resolving),
        T(free_with_transfers_in_every_state),
        T(connect_times_out),
        T(first_byte_times_out),
        T(idle_times_out),
        T(slow_bytes_are_not_idle),
        T(total_comes_through_a_pause),
        T(many_at_once_over_several_shards),
        T(the_host_limit_queues),
#ifdef CCP_FAULTS
        T(memory_failures_end_cleanly),
#endif
    };
    return RUN_WITH_BOTH("upstream/flow", tests, group_setup, group_teardown);
}

/* Transfers whose names must be looked up first, over both engines: joined, judged, replaced, late, left alone. */
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>

/* ---- lookups as told ---------------------------------------------------------------------------------------- */

static atomic_uint answer; /* IPv4 address in host order; 0 = no such host */
static atomic_bool held;   /* lookups wait */
static atomic_uint lookups, of_proxy, of_target;

static int as_told(const char *host, const struct addrinfo *hints, struct addrinfo **out)
{
    atomic_fetch_add(&lookups, 1);
    atomic_fetch_add(&of_proxy, strcmp(host, "proxy.example") == 0);
    atomic_fetch_add(&of_target, strcmp(host, "up.example") == 0);
    for (unsigned ms = 0; atomic_load(&held) && ms < 20000; ms++)
        usleep(1000);
    if (atomic_load(&answer) == 0)
        return EAI_NONAME;
    struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (void *)(a + 1);
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(atomic_load(&answer))};
    a->ai_family = AF_INET;
    a->ai_socktype = hints->ai_socktype;
    a->ai_addrlen = sizeof(*in);
    a->ai_addr = (void *)in;
    *out = a;
    return 0;
}

static void release(struct addrinfo *list)
{
    free(list);
}

static struct server *server;
static struct worker *w;
static struct owner o;

static int setup(void **state)
{
    atomic_store(&answer, INADDR_LOOPBACK);
    atomic_store(&held, false);
    atomic_store(&lookups, 0);
    atomic_store(&of_proxy, 0);
    atomic_store(&of_target, 0);
    names_of_all = resolver_new(
        &(struct resolver_options){.lookup = as_told, .release = release, .ttl_ms = 30, .negative_ttl_ms = 10});
    server = server_start(NULL);
    w = worker_new((struct upstream_options){0}, NULL);
    owner_init(&o, w, "http", "up.example", server->port, "/hello");
    o.request.literal_host = false;
    o.request.allow_private = true;
    return names_of_all == NULL;
}

static int teardown(void **state)
{
    atomic_store(&held, false);
    owner_release(&o);
    worker_free(w);
    server_stop(server);
    resolver_free(names_of_all);
    return 0;
}

static int setup_group(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    return upstream_global_init() ? 0 : -1;
}

static int teardown_group(void **state)
{
    upstream_global_release();
    return 0;
}

static void once_more(void)
{
    o.dones = o.heads = 0;
    o.why[0] = 0;
    buf_release(&o.body);
    owner_run(&o);
}

/* ---- the tests ---------------------------------------------------------------------------------------------- */

static void many_requests_one_lookup(void **state)
{
    struct owner owners[20];

    atomic_store(&held, true);
    for (int i = 0; i < 20; i++) {
        owner_init(&owners[i], w, "http", i % 2 ? "up.example" : "UP.Example", server->port, "/hello");
        owners[i].request.allow_private = true;
        owner_start(&owners[i]);
    }
    worker_run_ms(w, 30);
    atomic_store(&held, false);
    for (int i = 0; i < 20; i++) {
        owner_finish(&owners[i]);
        assert_int_equal(owners[i].result, CCP_OK);
        owner_release(&owners[i]);
    }
    assert_int_equal(atomic_load(&lookups), 1);
}

static void each_connection_is_judged(void **state)
{
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    size_t before = server_connections(server);
    o.request.allow_private = false; /* a name is no literal, whoever has connected to it before */
    once_more();
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_string_equal(o.why, "the address 127.0.0.1 of up.example is private; set allow_private = true");
    assert_int_equal(server_connections(server), before);
}

static void new_answers_replace_old_ones(void **state)
{
    atomic_store(&answer, INADDR_LOOPBACK + 76); /* nobody listens there */
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "connection refused"));
    atomic_store(&answer, INADDR_LOOPBACK);
    for (int turns = 0; turns < 200 && o.result != CCP_OK; turns++) {
        worker_run_ms(w, 10); /* the old answer serves while the new one is fetched */
        once_more();
    }
    assert_int_equal(o.result, CCP_OK);
    assert_in_range(atomic_load(&lookups), 2, 20);
}

static void a_name_that_is_gone(void **state)
{
    atomic_store(&answer, 0);
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_string_equal(o.why, "up.example: name not resolved: no such host");
}

static void late_names_end_with_the_connect_timeout(void **state)
{
    uint64_t began = clock_ms();

    atomic_store(&held, true);
    o.request.limits.connect_ms = 150;
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM_TIMEOUT);
    assert_string_equal(o.why, "up.example: name not resolved within the connect timeout of 150 ms");
    assert_in_range(o.done_at - began, 149, 3000);
    atomic_store(&held, false);
    o.request.limits.connect_ms = 10000;
    once_more();
    assert_int_equal(o.result, CCP_OK);
    assert_in_range(atomic_load(&lookups), 1, 2); /* the second one joined, unless the answer had aged by then */
}

static void no_place_is_taken_meanwhile(void **state)
{
    struct owner owners[3];

    upstream_reconfigure(w->u, 1, NULL);
    atomic_store(&held, true);
    for (int i = 0; i < 3; i++) {
        owner_init(&owners[i], w, "http", "up.example", server->port, "/slow");
        owners[i].request.allow_private = true;
        owner_start(&owners[i]);
    }
    worker_run_ms(w, 30);
    for (int i = 0; i < 3; i++)
        assert_null(owners[i].t->host);
    assert_null(host_known(w->u, &owners[0].t->url));
    upstream_transport.cancel(w->u, owners[1].t);
    atomic_store(&held, false);
    for (int i = 0; i < 3; i += 2) {
        owner_finish(&owners[i]);
        assert_int_equal(owners[i].result, CCP_OK);
    }
    for (int i = 0; i < 3; i++)
        owner_release(&owners[i]);
    assert_int_equal(owners[1].dones, 0);
    assert_int_equal(atomic_load(&server->most_at_once), 1);
    assert_int_equal(server_connections(server), 1);
    assert_int_equal(atomic_load(&lookups), 1);
}

static void nobody_waits_for_a_held_lookup(void **state)
{
    uint64_t began;

    atomic_store(&held, true);
    owner_start(&o);
    worker_run_ms(w, 30);
    began = clock_us();
    upstream_transport.cancel(w->u, o.t);
    worker_run_ms(w, 5);
    assert_true(clock_us() - began < 1000 * 1000);
    owner_start(&o);
    worker_run_ms(w, 30);
    struct owner quick; /* localhost needs no thread, an address neither */
    owner_init(&quick, w, "http", "localhost", server->port, "/hello");
    owner_run(&quick);
    assert_int_equal(quick.result, CCP_OK);
    owner_release(&quick);
    assert_int_equal(o.dones, 0); /* and goes with the worker, which does not wait for the lookup */
}

static void a_proxy_is_looked_up_instead(void **state)
{
    char proxy[64];

    snprintf(proxy, sizeof(proxy), "http://proxy.example:%u", server->port);
    owner_init(&o, w, "http", "name.invalid", 80, "/echo");
    o.request.proxy = ccp_span_z(proxy);
    o.request.allow_private = true;
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_true(owner_has(&o, "GET http://name.invalid/echo HTTP/1.1\r\n"));
    assert_int_equal(atomic_load(&of_proxy), 1);
    assert_int_equal(atomic_load(&lookups), 1);
    snprintf(o.url, sizeof(o.url), "http://up.example:%u/hello", server->port);
    o.request.url = ccp_span_z(o.url);
    o.request.no_proxy = CCP_SPAN("other.example, .example");
    once_more();
    assert_int_equal(o.result, CCP_OK);
    assert_true(ccp_span_is(buf_span(&o.body), "hello"));
    assert_int_equal(atomic_load(&of_target), 1);
    atomic_store(&answer, 0);
    o.request.no_proxy = (struct ccp_span){NULL, 0};
    o.request.proxy = CCP_SPAN("http://none.example");
    once_more();
    assert_string_equal(o.why, "up.example: the proxy's name was not resolved: no such host");
}

static void a_bypassed_proxy_lends_no_rights(void **state)
{
    char proxy[64];

    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", server->port);
    o.request.proxy = ccp_span_z(proxy);
    o.request.no_proxy = CCP_SPAN("up.example");
    o.request.literal_host = true; /* of the proxy */
    o.request.allow_private = false;
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "is private"));
    assert_int_equal(server_connections(server), 0);
}

#ifdef CCP_FAULTS
#include <base/fault.h>

static void no_memory_is_an_answer(void **state)
{
    static const char *const points[] = {"resolve.thread:1",    "resolve.name:1",   "resolve.lookup:1",
                                         "resolve.addresses:1", "resolve.system:1", "upstream.pin:1"};

    /* The first one first: later there is an idle thread. */
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        char host[32];
        snprintf(host, sizeof(host), "up%zu.example", i);
        owner_release(&o);
        owner_init(&o, w, "http", host, server->port, "/hello");
        o.request.allow_private = true;
        fault_arm(points[i]);
        owner_run(&o);
        fault_arm(NULL);
        if (strncmp(points[i], "upstream.pin", 12) != 0 || over_curl)
            assert_int_not_equal(o.result, CCP_OK);
        assert_int_equal(o.heads, o.result == CCP_OK);
        for (int turns = 0; turns < 50 && o.result != CCP_OK; turns++) {
            worker_run_ms(w, 15); /* a failure is not remembered for long */
            once_more();
        }
        assert_int_equal(o.result, CCP_OK);
    }
}
#endif

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(many_requests_one_lookup),
        ONE(each_connection_is_judged),
        ONE(new_answers_replace_old_ones),
        ONE(a_name_that_is_gone),
        ONE(late_names_end_with_the_connect_timeout),
        ONE(no_place_is_taken_meanwhile),
        ONE(nobody_waits_for_a_held_lookup),
        ONE(a_proxy_is_looked_up_instead),
        ONE(a_bypassed_proxy_lends_no_rights),
#ifdef CCP_FAULTS
        ONE(no_memory_is_an_answer),
#endif
    };
    return RUN_WITH_BOTH("upstream/lookup", tests, setup_group, teardown_group);
}

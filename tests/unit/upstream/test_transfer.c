/* One transfer at a time: what goes out, what comes back, and every way it can fail. */
#include "harness.h"

static struct server *server;
static struct worker *w;

static int setup(void **state)
{
    (void)state;
    server = server_start(NULL);
    w = worker_new((struct upstream_options){.user_agent = "ccproxy-test"}, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(upstream_counters(w->u).active, 0);
    worker_free(w);
    server_stop(server);
    return 0;
}

static void get(struct owner *o, const char *path)
{
    owner_init(o, w, "http", "127.0.0.1", server->port, path);
}

static void body_and_head_arrive(void **state)
{
    struct owner o;

    get(&o, "/hello");
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_int_equal(o.status, 200);
    assert_int_equal(o.bodies, 1);
    assert_string_equal(o.head_text, "x-thing=Some Value\ncontent-length=5\n");
    assert_true(ccp_span_is(buf_span(&o.body), "hello"));
    assert_string_equal(o.why, "");
    owner_release(&o);
}

/* RFC 9112 section 5.2: a proxy joins the lines or answers 502. */
static void folded_lines_are_joined_or_refused(void **state)
{
    struct owner o;

    get(&o, "/folded");
    owner_run(&o);
    assert_int_equal(o.result, over_curl ? CCP_OK : CCP_UPSTREAM);
    if (over_curl)
        assert_string_equal(o.head_text, "x-folded=a b\ncontent-length=0\n");
    else
        assert_non_null(strstr(o.why, "a folded line"));
    owner_release(&o);
}

static void get_is_byte_exact(void **state)
{
    struct owner o;
    char want[512];

    get(&o, "/echo/../a%2fb?key=%20v&x");
    owner_header(&o, "x-one", "1");
    owner_header(&o, "x-empty", "");
    owner_header(&o, "accept-encoding", "identity");
    owner_run(&o);
    snprintf(want, sizeof(want),
             "GET /echo/../a%%2fb?key=%%20v&x HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nuser-agent: ccproxy-test\r\n"
             "x-one: 1\r\nx-empty:\r\naccept-encoding: identity\r\n\r\n",
             server->port);
    assert_true(ccp_span_is(buf_span(&o.body), want));
    owner_release(&o);
}

static void post_is_byte_exact(void **state)
{
    struct owner o;
    char want[512];

    get(&o, "/echo");
    o.request.method = CCP_SPAN("POST");
    o.request.body[0] = CCP_SPAN("{\"a\":1}");
    o.request.body_pieces = 1;
    owner_header(&o, "content-type", "application/json");
    owner_header(&o, "accept", "*/*");
    owner_header(&o, "user-agent", "me");
    owner_run(&o);
    snprintf(want, sizeof(want),
             "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%u\r\ncontent-type: application/json\r\naccept: */*\r\n"
             "user-agent: me\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
             server->port);
    assert_true(ccp_span_is(buf_span(&o.body), want));
    owner_release(&o);
}

static void three_pieces_are_joined(void **state)
{
    struct owner o;

    get(&o, "/echo");
    o.request.method = CCP_SPAN("PUT");
    o.request.body[0] = CCP_SPAN("one,");
    o.request.body[1] = CCP_SPAN("");
    o.request.body[2] = CCP_SPAN("three");
    o.request.body_pieces = 3;
    owner_run(&o);
    assert_true(owner_has(&o, "PUT /echo HTTP/1.1\r\n"));
    assert_true(owner_has(&o, "\r\nContent-Length: 9\r\n"));
    assert_true(ccp_span_ends(buf_span(&o.body), CCP_SPAN("\r\n\r\none,three")));
    assert_false(owner_has(&o, "Expect"));
    assert_false(owner_has(&o, "ontent-Type"));
    owner_release(&o);
}

static void methods_keep_their_shape(void **state)
{
    static const struct {
        const char *method, *body;
        bool length;
    } rows[] = {{"DELETE", "", false}, {"DELETE", "x", true},  {"PUT", "", true}, {"POST", "", true},
                {"PATCH", "", true},   {"OPTIONS", "", false}, {"GET", "q", true}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct owner o;
        char line[64];
        get(&o, "/echo");
        o.request.method = ccp_span_z(rows[i].method);
        o.request.body[0] = ccp_span_z(rows[i].body);
        o.request.body_pieces = 1;
        owner_run(&o);
        assert_int_equal(o.result, CCP_OK);
        snprintf(line, sizeof(line), "%s /echo HTTP/1.1\r\n", rows[i].method);
        assert_true(ccp_span_starts(buf_span(&o.body), ccp_span_z(line)));
        snprintf(line, sizeof(line), "Content-Length: %zu\r\n", strlen(rows[i].body));
        assert_int_equal(owner_has(&o, line), rows[i].length);
        assert_int_equal(owner_has(&o, "Content-Length"), rows[i].length);
        owner_release(&o);
    }
}

static void head_has_no_body(void **state)
{
    struct owner o;

    get(&o, "/head");
    o.request.method = CCP_SPAN("HEAD");
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_int_equal(o.bodies, 0);
    assert_string_equal(o.head_text, "content-length=1234\n");
    owner_release(&o);
}

static void credential_is_written(void **state)
{
    struct owner o;
    struct ccp_secret *key = secret_new(CCP_SPAN("sk-12345"));

    get(&o, "/echo");
    o.request.credential = key;
    o.request.credential_header = CCP_SPAN("authorization");
    o.request.credential_prefix = CCP_SPAN("Bearer ");
    owner_header(&o, "Authorization", "Bearer from-client");
    owner_header(&o, "host", "evil.example");
    owner_header(&o, "content-length", "999");
    owner_run(&o);
    assert_true(owner_has(&o, "\r\nauthorization: Bearer sk-12345\r\n"));
    assert_false(owner_has(&o, "from-client"));
    assert_false(owner_has(&o, "evil.example"));
    assert_false(owner_has(&o, "999"));
    owner_release(&o);
    secret_unref(key);
}

static void injection_is_refused(void **state)
{
    static const char *const names[] = {"x\r\ny", "x y", "", "x:", "x\x7f"};
    static const char *const values[] = {"a\r\nx-evil: 1", "a\nb",
                                         ("a\x01"
                                          "b")};
    size_t before = atomic_load(&server->requests);

    for (size_t i = 0; i < 8; i++) {
        struct owner o;
        get(&o, "/hello");
        owner_header(&o, i < 5 ? names[i] : "x-good", i < 5 ? "v" : values[i - 5]);
        owner_run(&o);
        assert_int_equal(o.result, CCP_INTERNAL);
        assert_non_null(strstr(o.why, "request header"));
        assert_null(strstr(o.why, "evil"));
        owner_release(&o);
    }
    struct owner o;
    get(&o, "/hello HTTP/1.1\r\nx: y");
    owner_run(&o);
    assert_int_equal(o.result, CCP_INTERNAL);
    get(&o, "/hello");
    o.request.method = CCP_SPAN("GET /x");
    owner_run(&o);
    assert_int_equal(o.result, CCP_INTERNAL);
    struct ccp_secret *key = secret_new(CCP_SPAN("sk\r\nx-evil: 1"));
    get(&o, "/hello");
    o.request.credential = key;
    o.request.credential_header = CCP_SPAN("x-api-key");
    owner_run(&o);
    assert_int_equal(o.result, CCP_INTERNAL);
    assert_null(strstr(o.why, "evil"));
    secret_unref(key);
    assert_int_equal(atomic_load(&server->requests), before);
}

static void chunked_with_trailers(void **state)
{
    struct owner o;

    get(&o, "/chunked");
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_true(ccp_span_is(buf_span(&o.body), "first second"));
    assert_int_equal(o.bodies, 2);
    assert_null(strstr(o.head_text, "trailer"));
    owner_release(&o);
}

static void interim_heads_leave_no_trace(void **state)
{
    struct owner o;

    get(&o, "/early");
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_int_equal(o.status, 201);
    assert_string_equal(o.head_text, "x-final=yes\ncontent-length=2\n");
    owner_release(&o);
}

static void redirects_are_not_followed(void **state)
{
    struct owner o;

    get(&o, "/redirect");
    owner_run(&o);
    assert_int_equal(o.status, 302);
    assert_int_equal(o.result, CCP_OK);
    owner_release(&o);
}

static void broken_answers_fail(void **state)
{
    static const struct {
        const char *path, *why;
        int heads;
        const char *body;
    } rows[] = {
        {"/cut", "closed in the middle of the answer", 1, "part"},
        {"/cut-chunk", "closed in the middle of the answer", 1, "only this"},
        {"/close", "closed without an answer", 0, ""},
        {"/garbage", "not HTTP", 0, ""},
        {"/ctl-header", "malformed head", 0, ""},
        {"/many", "too large", 0, ""},
        {"/fat-head", "too large", 0, ""},
        {"/long-line", "too large", 0, ""},
        {"/switch", "malformed head", 0, ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct owner o;
        get(&o, rows[i].path);
        owner_run(&o);
        if (o.result != CCP_UPSTREAM || strstr(o.why, rows[i].why) == NULL)
            fail_msg("%s: %d %s", rows[i].path, o.result, o.why);
        assert_int_equal(o.heads, rows[i].heads);
        assert_true(ccp_span_is(buf_span(&o.body), rows[i].body));
        owner_release(&o);
    }
}

static void nobody_listens(void **state)
{
    struct owner o;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char want[64];

    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0); /* bound, not listening: the port stays refused */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    owner_init(&o, w, "http", "127.0.0.1", ntohs(a.sin_port), "/secret-path?key=secret");
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    snprintf(want, sizeof(want), "127.0.0.1:%u: connection refused", ntohs(a.sin_port));
    assert_string_equal(o.why, want);
    close(fd);
    owner_init(&o, w, "http", "no-such-name.invalid", 80, "/?key=secret");
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "no-such-name.invalid: name not resolved: "));
}

static void private_names_are_refused(void **state)
{
    struct owner o;

    owner_init(&o, w, "http", "localhost", server->port, "/hello");
    o.request.literal_host = false;
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_non_null(strstr(o.why, "of localhost is private; set allow_private = true"));
    assert_int_equal(server_connections(server), 0);
    o.dones = 0;
    o.request.allow_private = true;
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    /* The connection that allow_private opened is alive; a stricter request must not get it. */
    o.dones = o.heads = 0;
    o.request.allow_private = false;
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    owner_release(&o);
}

static void proxies_are_used_and_judged(void **state)
{
    struct owner o;
    char proxy[64];

    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", server->port);
    owner_init(&o, w, "http", "name.invalid", 80, "/echo");
    o.request.proxy = ccp_span_z(proxy);
    owner_run(&o);
    assert_int_equal(o.result, CCP_OK);
    assert_true(owner_has(&o, "GET http://name.invalid/echo HTTP/1.1\r\nHost: name.invalid\r\n"));
    owner_release(&o);
    owner_init(&o, w, "https", "name.invalid", 443, "/echo");
    owner_header(&o, "x-private", "not for the proxy");
    o.request.proxy = ccp_span_z(proxy);
    owner_run(&o);
    assert_int_equal(o.result, CCP_UPSTREAM);
    assert_string_equal(o.why, "name.invalid:443: the proxy refused the tunnel");
    assert_int_equal(o.heads, 0);
    o.dones = 0;
    o.request.literal_host = false;
    owner_run(&o);
    assert_string_equal(o.why, "the address 127.0.0.1 of the proxy is private; set allow_private = true");
    o.dones = 0;
    o.request.no_proxy = CCP_SPAN("name.invalid");
    owner_run(&o);
    assert_non_null(strstr(o.why, "name.invalid: name not resolved: "));
}

static void connections_are_reused(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct owner o;
        get(&o, i % 2 != 0 ? "/hello" : "/chunked");
        owner_run(&o);
        assert_int_equal(o.result, CCP_OK);
        owner_release(&o);
    }
    assert_int_equal(server_connections(server), 1);
    assert_int_equal(upstream_counters(w->u).connections_opened, 1);
    assert_int_equal(upstream_counters(w->u).finished, 20);
}

static void a_dead_reused_connection_is_retried(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct owner o;
        get(&o, "/once");
        o.request.method = CCP_SPAN("POST");
        o.request.body[0] = CCP_SPAN("first,");
        o.request.body[1] = CCP_SPAN("second");
        o.request.body_pieces = 2;
        owner_run(&o);
        assert_int_equal(o.result, CCP_OK);
        assert_true(ccp_span_is(buf_span(&o.body), "once"));
        owner_release(&o);
    }
    assert_int_equal(upstream_counters(w->u).retried, 1);
    assert_int_equal(server_connections(server), 2);
}

static void fetch_blocks_and_answers(void **state)
{
    struct owner o;
    struct ccp_buf out;
    struct upstream_answer answer;

    get(&o, "/hello");
    buf_init(&out, 1024);
    assert_true(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_int_equal(answer.status, 200);
    assert_true(ccp_span_is(buf_span(&out), "hello"));
    assert_true(answer.sent && answer.why == NULL && !answer.timed_out && !answer.too_large);
    get(&o, "/big/100000");
    assert_false(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_string_equal(answer.why, "the answer is too large");
    assert_true(answer.sent && answer.too_large && answer.status == 200);
    get(&o, "/silent");
    o.request.limits.total_ms = 100;
    assert_false(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_string_equal(answer.why, "the answer did not arrive in time");
    assert_true(answer.sent && answer.timed_out && answer.status == 0);
    get(&o, "/die");
    assert_false(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_true(answer.sent && !answer.timed_out && answer.status == 0);
    get(&o, "/hello");
    o.request.literal_host = false;
    assert_false(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_non_null(strstr(answer.why, "private"));
    assert_false(answer.sent);
    get(&o, "/hello");
    o.request.url = CCP_SPAN("http://127.0.0.1:1/");
    assert_false(upstream_fetch(NULL, &o.request, &out, &answer));
    assert_string_equal(answer.why, "connection refused");
    assert_false(answer.sent);
    buf_release(&out);
}

static void fetch_over_a_unix_socket(void **state)
{
    struct server *s = calloc(1, sizeof(*s));
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/ccp-test-XXXXXX";
    struct owner o;
    struct ccp_buf out;
    struct upstream_answer answer;

    assert_non_null(mkdtemp(dir));
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    server_listen(s, fd);
    owner_init(&o, w, "http", "localhost", 80, "/hello");
    o.request.literal_host = false;
    buf_init(&out, 1024);
    assert_true(upstream_fetch(a.sun_path, &o.request, &out, &answer));
    assert_int_equal(answer.status, 200);
    assert_true(ccp_span_is(buf_span(&out), "hello"));
    buf_release(&out);
    server_stop(s);
    unlink(a.sun_path);
    rmdir(dir);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(body_and_head_arrive),
        T(folded_lines_are_joined_or_refused),
        T(get_is_byte_exact),
        T(post_is_byte_exact),
        T(three_pieces_are_joined),
        T(methods_keep_their_shape),
        T(head_has_no_body),
        T(credential_is_written),
        T(injection_is_refused),
        T(chunked_with_trailers),
        T(interim_heads_leave_no_trace),
        T(redirects_are_not_followed),
        T(broken_answers_fail),
        T(nobody_listens),
        T(private_names_are_refused),
        T(proxies_are_used_and_judged),
        T(connections_are_reused),
        T(a_dead_reused_connection_is_retried),
        T(fetch_blocks_and_answers),
        T(fetch_over_a_unix_socket),
    };
    return RUN_WITH_BOTH("upstream/transfer", tests, group_setup, group_teardown);
}

/*
 * The hub and its watchers: events written down as JSON whatever they hold, handed to who wants them and to nobody
 * else, bounded for who is slow; tickets that work once; watchers that outlive configurations but not their rights.
 */
#include "watch_stage.h"

#include <chain/hub_impl.h>
#include <jansson.h>

static struct hub *hub;
static atomic_ullong watched;
static struct {
    void (*fn)(void *arg);
    void *arg;
} posts[64];
static size_t post_n, post_refused;

static bool post(void *self, size_t number, void (*fn)(void *arg), void *arg)
{
    if (post_refused != 0) {
        post_refused--;
        return false;
    }
    assert_true(post_n < 64);
    posts[post_n].fn = fn;
    posts[post_n++].arg = arg;
    return true;
}

static void run_posts(void)
{
    size_t n = post_n;
    post_n = 0;
    for (size_t i = 0; i < n; i++)
        posts[i].fn(posts[i].arg);
    turns(400);
}

static void start(const char *config)
{
    open_stage(config);
    post_n = post_refused = 0;
    hub = hub_new(&(struct hub_port){.post = post, .workers = 2, .watched = &watched});
    chain_worker_set_hub(worker, hub);
}

static void stop(void)
{
    run_posts();
    assert_int_equal(hub_figures(hub).watchers, 0);
    assert_int_equal(atomic_load(&watched), 0);
    hub_close(hub);
    close_stage();
    hub_free(hub);
}

static void say(enum ccp_event event, const char *dotted, const char *source, const struct ccp_moment *m)
{
    static const struct ccp_moment nothing = {.size = sizeof(nothing)};
    struct ccp_event_info info = {.size = sizeof(info),
                                  .event = event,
                                  .dotted = ccp_span_z(dotted),
                                  .unix_us = 1800000000123456,
                                  .source = ccp_span_z(source),
                                  .moment = m != NULL ? m : &nothing};
    hub_event(hub, &info);
}

static void say_ready(void)
{
    say(CCP_EVENT_APP_READY, "app.ready", "", NULL);
}

static json_t *data_of(struct ccp_span record)
{
    const char *at = memmem(record.p, record.n, "data: ", 6);
    assert_non_null(at);
    json_error_t error;
    json_t *o =
        json_loadb(at + 6, record.n - (size_t)(at + 6 - record.p) - 2, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (o == NULL)
        fail_msg("%s in %.*s", error.text, CCP_FMT(record));
    return o;
}

/* ---- texts ---- */

static void texts_are_json(void **state)
{
    char hostile[256];
    for (unsigned i = 0; i < sizeof(hostile); i++)
        hostile[i] = (char)(i * 37 + 11);
    struct ccp_span h = {hostile, sizeof(hostile)};
    struct ccp_header headers[] = {{CCP_SPAN("x-a"), h},
                                   {CCP_SPAN("authorization"), CCP_SPAN("Bearer canary")},
                                   {CCP_SPAN("x-team-token"), CCP_SPAN("canary")}};
    struct ccp_moment m = {.size = sizeof(m),
                           .status = 502,
                           .headers = headers,
                           .header_count = 3,
                           .bytes = h,
                           .name = h,
                           .text = h,
                           .account = h,
                           .request_kind = "token",
                           .generation = 3};
    struct ccp_summary sum = {.status = CCP_UPSTREAM, .error = h, .usage = {.known = true, .input = 5}};
    struct ccp_event_info info = {.size = sizeof(info),
                                  .event = CCP_EVENT_HTTP_REQUEST,
                                  .dotted = CCP_SPAN("http.request"),
                                  .unix_us = 1800000000123456,
                                  .source = h,
                                  .moment = &m,
                                  .of_exchange = true,
                                  .request_id = h,
                                  .method = h,
                                  .path = h,
                                  .peer = h,
                                  .key_name = h,
                                  .client_model = h,
                                  .upstream_url = h,
                                  .summary = &sum,
                                  .client_format = CCP_FORMAT_GEMINI,
                                  .op = CCP_OP_GENERATE};
    struct hub_record *r = record_of_event(&info, 42, true);
    assert_non_null(r);
    assert_true(ccp_span_starts(r->plain, CCP_SPAN("id: 42\nevent: http.request\ndata: {")));
    assert_null(memmem(r->full.p, r->full.n, "canary", 6));
    json_t *plain = data_of(r->plain), *full = data_of(r->full);
    assert_null(json_object_get(plain, "body"));
    assert_int_equal(json_integer_value(json_object_get(plain, "bytes")), 256);
    assert_non_null(json_object_get(full, "body"));
    assert_int_equal(json_array_size(json_object_get(plain, "headers")), 1);
    assert_string_equal(json_string_value(json_object_get(plain, "at")), "2027-01-15T08:00:00.123456Z");
    assert_string_equal(json_string_value(json_object_get(json_object_get(plain, "summary"), "status")), "upstream");
    json_decref(plain);
    json_decref(full);
    record_unref(r);
}

static void lines_are_json(void **state)
{
    struct log_tapped line = {CCP_LOG_WARN, CCP_SPAN("a\"b"), CCP_SPAN("x\\x0a \"\xff"), false, false, 1};
    struct hub_record *r = record_of_line(&line, 1);
    json_t *o = data_of(r->plain);
    assert_string_equal(json_string_value(json_object_get(o, "message")), "x\\x0a \"\xef\xbf\xbd");
    json_decref(o);
    record_unref(r);
    line.text = CCP_SPAN("x\\u000a \\\"");
    line.json = true;
    r = record_of_line(&line, 1);
    o = data_of(r->plain);
    assert_string_equal(json_string_value(json_object_get(o, "message")), "x\n \"");
    json_decref(o);
    record_unref(r);
}

static void a_payload_is_json_or_a_string(void **state)
{
    static const struct {
        const char *payload, *expected;
    } rows[] = {{"{\"a\":\n1}", "{\"a\":1}"}, {"7", "7"}, {"{\"a\":", "\"{\\\"a\\\":\""}, {"", "\"\""}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ccp_moment m = {.size = sizeof(m), .bytes = ccp_span_z(rows[i].payload)};
        struct ccp_event_info info = {
            .size = sizeof(info), .event = CCP_EVENT_CUSTOM, .dotted = CCP_SPAN("custom.t"), .moment = &m};
        struct hub_record *r = record_of_event(&info, 1, false);
        char text[200];
        size_t n = 0;
        for (size_t k = 0; k < r->plain.n && n + 1 < sizeof(text); k++)
            if (ccp_span_starts(ccp_span_skip(r->plain, k), CCP_SPAN("\ndata: ")) && k > 30)
                k += 6; /* lines of one datum */
            else
                text[n++] = r->plain.p[k];
        text[n] = '\0';
        assert_non_null(strstr(text, rows[i].expected));
        record_unref(r);
    }
}

/* ---- filters ---- */

static void filters(void **state)
{
    static const char *const sound[] = {
        "request.started", "request.*",         "*", "log", "l*", "custom", "custom.*", "custom.My-Plugin.x_1", "cust*",
        "plugin.loaded",   "http.response.body"};
    static const char *const wrong[] = {"",        "reqest.*",   "*.started", "request.**",      "a b",
                                        "custom.", "request.\n", "logs",      "request.started,"};
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
        struct watch_filter f;
        struct filter_types so_far = {0};
        filter_init(&f);
        if (filter_type(&f, &so_far, ccp_span_z(sound[i])) != NULL)
            fail_msg("%s was refused", sound[i]);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct watch_filter f;
        struct filter_types so_far = {0};
        filter_init(&f);
        if (filter_type(&f, &so_far, ccp_span_z(wrong[i])) == NULL)
            fail_msg("%s was taken", wrong[i]);
    }
    struct watch_filter f;
    struct filter_types so_far = {0};
    filter_init(&f);
    assert_false(f.kinds & CCP_HEARS(PROVIDER_STREAM_CHUNK));
    for (int i = 0; i < HUB_PATTERNS; i++)
        assert_null(filter_type(&f, &so_far, CCP_SPAN("custom.a")));
    assert_non_null(filter_type(&f, &so_far, CCP_SPAN("custom.a")));
    assert_true(f.kinds == CCP_HEARS(CUSTOM));
}

/* ---- handing out ---- */

static void who_wants_gets(void **state)
{
    struct client all, custom, plugin;
    start("");
    assert_int_equal(atomic_load(&watched), 0);
    say_ready();
    assert_int_equal(post_n, 0); /* nobody watches */
    ask(&all, "GET", "/events", "");
    ask(&custom, "GET", "/events?type=custom.a.*,app.reloaded", "");
    ask(&plugin, "GET", "/plugins/access_log/events", "");
    assert_true(all.uncounted);
    assert_true(atomic_load(&watched) & CCP_HEARS(APP_READY));
    struct ccp_moment m = {.size = sizeof(m), .bytes = CCP_SPAN("{}")};
    say_ready();
    say(CCP_EVENT_CUSTOM, "custom.a.b", "access_log", &m);
    say(CCP_EVENT_CUSTOM, "custom.b", "access_log", &m);
    say(CCP_EVENT_CUSTOM, "custom.a.b", "other", &m);
    hub_log(hub, &(struct log_tapped){CCP_LOG_DEBUG, CCP_SPAN("access_log"), CCP_SPAN("quiet"), false, false, 1});
    hub_log(hub, &(struct log_tapped){CCP_LOG_INFO, CCP_SPAN("access_log"), CCP_SPAN("loud"), false, false, 1});
    hub_log(hub, &(struct log_tapped){CCP_LOG_INFO, CCP_SPAN("api"), CCP_SPAN("body"), false, true, 1});
    assert_int_equal(post_n, 1); /* one message, however many events */
    run_posts();
    assert_int_equal(count_of(&all, "\nevent: "), 5);
    assert_int_equal(count_of(&custom, "\nevent: custom.a.b\n"), 2);
    assert_int_equal(count_of(&custom, "\nevent: "), 2);
    assert_int_equal(count_of(&plugin, "\nevent: custom."), 2);
    assert_int_equal(count_of(&plugin, "\nevent: log\n"), 1);
    assert_false(has(&all, "quiet") || has(&all, "body\""));
    leave(&all);
    leave(&plugin);
    assert_true(atomic_load(&watched) == (CCP_HEARS(CUSTOM) | CCP_HEARS(APP_RELOADED)));
    leave(&custom);
    stop();
}

static void bounded_for_a_worker_that_sleeps(void **state)
{
    struct client c;
    start("");
    ask(&c, "GET", "/events?type=app.*", "");
    for (int i = 0; i < 5000; i++)
        say_ready();
    assert_int_equal(post_n, 1);
    run_posts();
    size_t came = count_of(&c, "event: app.ready\n");
    assert_int_equal(came, DESK_EVENTS);
    char note[64];
    snprintf(note, sizeof(note), "data: {\"dropped\":%zu}", 5000 - came);
    assert_true(has(&c, note));
    assert_int_equal(hub_figures(hub).dropped, 5000 - came);
    post_refused = 1; /* a message that was not taken is tried again with the next event */
    say_ready();
    say_ready();
    run_posts();
    assert_int_equal(count_of(&c, "event: app.ready\n"), came + 2);
    leave(&c);
    stop();
}

static void bounded_for_a_client_that_is_slow(void **state)
{
    struct client slow, quick;
    start("");
    ask(&slow, "GET", "/events?type=app.*", "");
    ask(&quick, "GET", "/events?type=app.*", "");
    slow.slow = true;
    for (int i = 0; i < 5000; i++) {
        say_ready();
        if (i % 500 == 0)
            run_posts();
    }
    run_posts();
    assert_int_equal(count_of(&quick, "event: app.ready\n"), 5000);
    assert_int_equal(count_of(&slow, "event: app.ready\n"), 1); /* the one that was answered with PAUSE */
    slow.slow = false;
    chain_writable(slow.x);
    turns(100);
    size_t came = count_of(&slow, "event: app.ready\n");
    assert_int_equal(came, 1001);
    char note[64];
    snprintf(note, sizeof(note), "event: note\ndata: {\"dropped\":%d}\n\n", 5000 - 1001);
    assert_true(ccp_span_ends(buf_span(&slow.body), ccp_span_z(note)));
    say_ready();
    run_posts();
    assert_int_equal(count_of(&slow, "event: app.ready\n"), 1002);
    leave(&slow);
    leave(&quick);
    stop();
}

static void patience_ends(void **state)
{
    struct client c;
    start("[server]\nkeepalive_interval = \"15s\"\n");
    ask(&c, "GET", "/events?type=app.*", "");
    pass_ms(15000);
    assert_int_equal(count_of(&c, ":\n\n"), 1);
    pass_ms(14000);
    assert_int_equal(count_of(&c, ":\n\n"), 1);
    pass_ms(1000);
    assert_int_equal(count_of(&c, ":\n\n"), 2);
    c.slow = true;
    say_ready();
    run_posts();
    pass_ms(29000);
    assert_false(c.last);
    pass_ms(1001);
    assert_true(c.last && c.ended);
    assert_true(has(&c, "event: note\ndata: {\"closed\":\"nothing was read for 30 seconds\"}"));
    leave(&c);
    stop();
}

static void draining_ends_them(void **state)
{
    struct client c, late;
    start("");
    ask(&c, "GET", "/events?type=app.*", "");
    say_ready();
    chain_drain(worker);
    turns(3);
    assert_true(c.last && c.ended);
    assert_int_equal(count_of(&c, "event: app.ready\n"), 1);
    assert_true(has(&c, "{\"closed\":\"ccproxy is shutting down\"}"));
    ask(&late, "GET", "/events", "");
    assert_int_equal(late.status, 503);
    leave(&c);
    leave(&late);
    stop();
}

static void as_many_as_can_be(void **state)
{
    static struct client many[HUB_WATCHERS_MAX + 1];
    start("");
    for (int i = 0; i <= HUB_WATCHERS_MAX; i++)
        ask(&many[i], "GET", "/events?type=app.*", "");
    assert_int_equal(many[HUB_WATCHERS_MAX - 1].status, 200);
    assert_int_equal(many[HUB_WATCHERS_MAX].status, 503);
    say_ready();
    run_posts();
    for (int i = 0; i < HUB_WATCHERS_MAX; i++)
        assert_int_equal(count_of(&many[i], "event: app.ready\n"), 1);
    for (int i = 0; i <= HUB_WATCHERS_MAX; i++)
        leave(&many[i]);
    stop();
}

/* ---- configurations ---- */

#define WITH_KEY "[[security.keys]]\nname = \"a\"\ntoken = \"an-admin-key-0123456789abcdef\"\nadmin = true\n"

/* An old configuration is not kept alive by who watches; a right that is gone ends the stream. */
static void outlives_configurations(void **state)
{
    struct client c, old_id;
    start("");
    struct runtime *first = runtime_ref(worker->current->rt);
    ask(&c, "GET", "/events?type=app.*", "");
    ask(&old_id, "POST", "/events/streams", "");
    assert_int_equal(old_id.status, 201);
    assert_int_equal(atomic_load(&first->refs), 2);
    chain_worker_set_runtime(worker, runtime_of(""));
    turns(3);
    assert_int_equal(atomic_load(&first->refs), 1);
    runtime_unref(first);
    say_ready();
    run_posts();
    assert_int_equal(count_of(&c, "event: app.ready\n"), 1);
    assert_false(c.last);
    chain_worker_set_runtime(worker, runtime_of(WITH_KEY)); /* now the socket alone is no right any more */
    turns(3);
    assert_true(c.last && has(&c, "\"closed\":\"this key may no longer watch events\""));
    leave(&c);
    leave(&old_id);
    stop();
}

/* ---- tickets ---- */

static void make(struct client *c, char url[128])
{
    ask(c, "POST", "/events/streams", "{\"type\":[\"app.*\"]}");
    assert_int_equal(c->status, 201);
    json_t *o = json_loadb(c->body.p, c->body.n, 0, NULL);
    snprintf(url, 128, "%s", json_string_value(json_object_get(o, "url")));
    json_decref(o);
    leave(c);
}

static void tickets_work_once(void **state)
{
    struct client c, again;
    char url[128], other[128];
    start("");
    make(&c, url);
    ask(&c, "HEAD", url, "");
    assert_int_equal(c.status, 200);
    turns(3);
    leave(&c);
    ask(&c, "GET", url, "");
    assert_int_equal(c.status, 200);
    ask(&again, "GET", url, "");
    assert_int_equal(again.status, 404);
    leave(&again);
    say_ready();
    run_posts();
    assert_true(has(&c, "event: app.ready"));
    leave(&c);
    make(&c, other);
    other[strlen(other) - 1] ^= 1;
    ask(&c, "GET", other, "");
    assert_int_equal(c.status, 404);
    leave(&c);
    stop();
}

static void tickets_get_old(void **state)
{
    struct client c;
    char mono[128], wall[128], fresh[128];
    start("");
    make(&c, mono);
    make(&c, fresh);
    pass_ms(HUB_TICKET_MS - 1);
    ask(&c, "GET", fresh, "");
    assert_int_equal(c.status, 200);
    leave(&c);
    pass_ms(1);
    ask(&c, "GET", mono, "");
    assert_int_equal(c.status, 404);
    leave(&c);
    make(&c, wall);
    wall_us += HUB_TICKET_MS * 1000ull;
    ask(&c, "GET", wall, "");
    assert_int_equal(c.status, 404);
    leave(&c);
    stop();
}

static void tickets_without_random_or_memory(void **state)
{
#ifdef CCP_FAULTS
    static const char *const points[] = {"ticket.random:*", "ticket.new:*"};
    struct client c;
    start("");
    for (size_t i = 0; i < 2; i++) {
        fault_arm(points[i]);
        ask(&c, "POST", "/events/streams", "{}");
        assert_int_equal(c.status, 503);
        leave(&c);
    }
    fault_arm(NULL);
    stop();
#endif
}

/* Whatever refuses memory, a watcher gets its event, a note, or a stream that ends; and nothing is left. */
static void memory_ends(void **state)
{
#ifdef CCP_FAULTS
    static const char *const points[] = {"watch.open:1", "stream.open:1", "watch.queue:1", "hub.record:1",
                                         "hub.text:1"};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct client c;
        start("");
        fault_arm(points[i]);
        ask(&c, "GET", "/events?type=app.*", "");
        assert_int_equal(c.status, i < 2 ? 503 : 200);
        say_ready();
        say_ready();
        run_posts();
        if (i >= 2)
            assert_true(has(&c, "\"dropped\":1}") && count_of(&c, "event: app.ready\n") == 1);
        fault_arm(NULL);
        leave(&c);
        stop();
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_json),
        cmocka_unit_test(lines_are_json),
        cmocka_unit_test(a_payload_is_json_or_a_string),
        cmocka_unit_test(filters),
        cmocka_unit_test(who_wants_gets),
        cmocka_unit_test(bounded_for_a_worker_that_sleeps),
        cmocka_unit_test(bounded_for_a_client_that_is_slow),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(draining_ends_them),
        cmocka_unit_test(as_many_as_can_be),
        cmocka_unit_test(outlives_configurations),
        cmocka_unit_test(tickets_work_once),
        cmocka_unit_test(tickets_get_old),
        cmocka_unit_test(tickets_without_random_or_memory),
        cmocka_unit_test(memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

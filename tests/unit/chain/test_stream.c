/*
 * Streaming answers of routes: whatever the client, the route or the worker does, the route hears of the end exactly
 * once, and what it calls too late does nothing.
 */
#include "watch_stage.h"

#include <chain/api_impl.h>

struct route_log {
    struct ccp_exchange *x;
    int opened, writable, ended;
    bool ends_in_ended;
    enum ccp_verdict verdict;
    int status;
    const char *type;
};

static struct route_log seen;

static void on_writable(void *arg)
{
    assert_ptr_equal(arg, &seen);
    seen.writable++;
}

static void on_ended(void *arg)
{
    assert_ptr_equal(arg, &seen);
    seen.ended++;
    assert_int_equal(api_stream_write(seen.x, CCP_SPAN("late")), CCP_PUSH_GONE);
    api_stream_end(seen.x);
    seen.x = NULL;
}

static const struct ccp_stream_events callbacks = {on_writable, on_ended};

static enum ccp_verdict serve(void *self, struct ccp_exchange *x)
{
    seen.opened++;
    seen.x = x;
    seen.verdict = x->api->stream_open(x, seen.status != 0 ? seen.status : 200,
                                       ccp_span_z(seen.type != NULL ? seen.type : "text/plain"), &callbacks, &seen);
    return seen.verdict;
}

static const struct ccp_route route = {"GET, POST", "/s", NULL, CCP_ACCESS_PUBLIC, NULL, NULL, serve};
static struct route_entry entry = {&route, NULL, CCP_LIT("access_log"), NULL};
static struct client c;

static enum ccp_push write_z(const char *text)
{
    return api_stream_write(seen.x, ccp_span_z(text));
}

static void begin(const char *method)
{
    worker->current->rt->routes = &entry;
    worker->current->rt->route_count = 1;
    ask(&c, method, "/plugins/access_log/s", "");
}

static int set_up(void **state)
{
    seen = (struct route_log){.x = NULL};
    open_stage("");
    return 0;
}

static int tear_down(void **state)
{
    leave(&c);
    worker->current->rt->route_count = 0;
    close_stage();
    return 0;
}

static void flows(void **state)
{
    begin("GET");
    assert_int_equal(c.status, 200);
    assert_int_equal(c.content_length, SIZE_MAX);
    assert_string_equal(c.type, "text/plain");
    assert_int_equal(write_z("one "), CCP_PUSH_MORE);
    turns(3);
    pass_ms(3600000); /* a quiet one is not cut */
    assert_int_equal(write_z("two"), CCP_PUSH_MORE);
    assert_int_equal(seen.ended, 0);
    api_stream_end(seen.x);
    api_stream_end(seen.x);
    assert_int_equal(write_z("three"), CCP_PUSH_GONE);
    assert_true(c.last);
    turns(3);
    assert_true(c.ended);
    assert_int_equal(seen.ended, 1);
    assert_true(ccp_span_is(buf_span(&c.body), "one two"));
}

static void heeds_a_slow_client(void **state)
{
    begin("GET");
    c.slow = true;
    assert_int_equal(write_z("a"), CCP_PUSH_PAUSE);
    c.slow = false;
    assert_int_equal(write_z("b"), CCP_PUSH_PAUSE); /* until it is writable again */
    chain_writable(c.x);
    assert_int_equal(seen.writable, 1);
    chain_writable(c.x);
    assert_int_equal(seen.writable, 1);
    assert_int_equal(write_z("c"), CCP_PUSH_MORE);
    assert_true(ccp_span_is(buf_span(&c.body), "abc"));
}

/* A route that ignores PAUSE fills no memory without end. */
static void cuts_who_does_not_heed(void **state)
{
    static char block[65536];
    begin("GET");
    c.slow = true;
    int n = 0;
    while (api_stream_write(seen.x, ccp_span_of(block, sizeof(block))) != CCP_PUSH_GONE)
        assert_true(++n < 40);
    assert_true(c.aborted);
    assert_true(c.body.n <= sizeof(block) * 18);
    turns(3);
    assert_int_equal(seen.ended, 1);
}

static void client_leaves(void **state)
{
    begin("GET");
    write_z("x");
    struct exchange *x = c.x;
    c.x = NULL;
    chain_client_gone(x);
    assert_int_equal(seen.ended, 1);
    turns(3);
    assert_int_equal(seen.ended, 1);
}

static void worker_ends_it(void **state)
{
    begin("GET");
    write_z("x");
    chain_abort_all(worker);
    assert_true(c.aborted);
    assert_false(c.last);
    turns(3);
    assert_int_equal(seen.ended, 1);
}

static void head_only(void **state)
{
    begin("HEAD");
    assert_int_equal(c.status, 200);
    turns(3);
    assert_true(c.last && c.ended);
    assert_int_equal(c.body.n, 0);
    assert_int_equal(seen.ended, 1);
}

static void wrong_calls(void **state)
{
    seen.status = 99;
    begin("GET");
    assert_int_equal(c.status, 500);
    leave(&c);
    seen = (struct route_log){.type = "a\nb"};
    begin("GET");
    assert_int_equal(c.status, 500);
    turns(3);
    assert_int_equal(seen.ended, 0);
    leave(&c);
    seen = (struct route_log){.x = NULL};
    begin("GET");
    assert_int_equal(api_stream_open(seen.x, 200, CCP_SPAN("text/plain"), &callbacks, &seen), CCP_FAILED);
    assert_int_equal(c.status, 200);
}

static void events_are_framed(void **state)
{
    begin("GET");
    api_stream_event(seen.x, CCP_SPAN("tick"), CCP_SPAN("7"), CCP_SPAN("a\nid: 9\r\nb"));
    api_stream_event(seen.x, CCP_SPAN(""), CCP_SPAN(""), CCP_SPAN(""));
    assert_true(ccp_span_is(buf_span(&c.body), "id: 7\nevent: tick\ndata: a\ndata: id: 9\ndata: b\n\ndata: \n\n"));
    assert_int_equal(api_stream_event(seen.x, CCP_SPAN("a\nb"), CCP_SPAN(""), CCP_SPAN("x")), CCP_PUSH_GONE);
    assert_true(c.aborted);
    turns(3);
    assert_int_equal(seen.ended, 1);
}

static void memory_ends(void **state)
{
#ifdef CCP_FAULTS
    fault_arm("stream.open:*");
    begin("GET");
    assert_int_equal(c.status, 503);
    assert_int_equal(seen.ended, 0);
    leave(&c);
    fault_arm("stream.event:*");
    begin("GET");
    assert_int_equal(api_stream_event(seen.x, CCP_SPAN("a"), CCP_SPAN(""), CCP_SPAN("x")), CCP_PUSH_GONE);
    assert_true(c.aborted);
    fault_arm(NULL);
    turns(3);
    assert_int_equal(seen.ended, 1);
#endif
}

static char read_text[256];

static bool note_event(void *arg, struct ccp_span name, struct ccp_span data)
{
    size_t n = strlen(read_text);
    snprintf(read_text + n, sizeof(read_text) - n, "[%.*s|%.*s]", CCP_FMT(name), CCP_FMT(data));
    return !ccp_span_is(data, "stop");
}

static void reads_events(void **state)
{
    begin("GET");
    struct ccp_sse_reader *r = api_sse_reader(seen.x, 64, note_event, NULL);
    assert_true(api_sse_feed(r, CCP_SPAN("event: a\nda")));
    assert_true(api_sse_feed(r, CCP_SPAN("ta: 1\n\ndata: 2\ndata: 3\n\n")));
    assert_string_equal(read_text, "[a|1][|2\n3]");
    assert_false(api_sse_feed(r, CCP_SPAN("data: stop\n\ndata: 4\n\n")));
    assert_string_equal(read_text, "[a|1][|2\n3][|stop]");
    r = api_sse_reader(seen.x, 16, note_event, NULL);
    assert_false(api_sse_feed(r, CCP_SPAN("data: far more than sixteen bytes\n\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(heeds_a_slow_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cuts_who_does_not_heed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(client_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worker_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(head_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_are_framed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_events, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A renewal in a changing world: it is told to stop, a vendor's program touches the file meanwhile, disk and memory are
 * refused.
 */
#include "refresh_stage.h"

static void test_stop(void **state)
{
    put_record(1, "old", "rt", -1);
    job.stop = stop;
    asked = 0, stop_from = 1;
    assert_int_equal(run(), REFRESH_STOPPED);
    assert_int_equal(server.requests, 0);
}

/* A process that is about to end repeats a lost request at once: a grace period is short. */
static void test_stop_hurries_the_repeat(void **state)
{
    put_record(1, "old", "rt", -1);
    server.answers[0] = OAUTH_LOST;
    server.meanwhile = stop_now;
    stop_never();
    uint64_t began = clock_ms();
    assert_int_equal(run(), REFRESH_DONE);
    assert_true(clock_ms() - began < 900);
    assert_int_equal(server.requests, 2);
}

static void vendor_logs_in(void)
{
    put_vendor("fresh", "fresh-rt", 100);
}

static void vendor_logs_in_late(void)
{
    put_vendor("fresh", "fresh-rt", -1);
}

static void test_refused_but_replaced(void **state)
{
    job.place.file = vendor_path;
    job.place.layout = &vendor;
    put_vendor("old", "rt", -1);
    server.answers[0] = server.answers[1] = OAUTH_GRANT;
    server.meanwhile = vendor_logs_in;
    assert_int_equal(run(), REFRESH_ADOPTED);
    assert_access("fresh");
    put_vendor("old", "rt", -1);
    server.meanwhile = vendor_logs_in_late;
    assert_int_equal(run(), REFRESH_RETRY);
    server.meanwhile = NULL;
    assert_int_equal(run(), REFRESH_DONE);
    assert_string_equal(server.last_token, "fresh-rt");
}

static void vendor_logs_out(void)
{
    unlink(vendor_path);
}

static void test_vendor_logs_out(void **state)
{
    job.place.file = vendor_path;
    job.place.layout = &vendor;
    put_vendor("old", "rt", -1);
    server.meanwhile = vendor_logs_out;
    assert_int_equal(run(), REFRESH_MISSING);
    assert_int_not_equal(access(vendor_path, F_OK), 0);
}

static bool read_session(const struct ccp_oauth_call *call, const struct ccp_json *answer, struct ccp_oauth_session *to)
{
    return false; /* the double of oauth_session does not ask */
}

static void test_session_of_a_vendor_file_stays_in_memory(void **state)
{
    static const struct ccp_oauth_provider with_session = {.name = "test", .read_session = read_session};
    provider.def = &with_session;
    provider.session_url = CCP_SPAN("https://idp.test/session");
    job.place.file = vendor_path;
    job.place.layout = &vendor;
    put_vendor("old", "rt", 100);
    char *before = content(vendor_path);
    assert_int_equal(run(), REFRESH_DONE);
    assert_true(ccp_span_is(out.record.session_token, "session-1"));
    assert_string_equal(content(vendor_path), before);
}

/* The clock may be wrong, or the token was revoked alone: the refresh token says whether the login is over. */
static void test_refused_session_asks_the_refresh_token(void **state)
{
    static const struct ccp_oauth_provider with_session = {.name = "test", .read_session = read_session};
    provider.def = &with_session;
    provider.session_url = CCP_SPAN("https://idp.test/session");
    provider.token_url = CCP_SPAN(""); /* known from the record alone */
    job.seen = CCP_SPAN("");
    put_record(1, "old", "rt", 100);
    server.refusals = 1;
    assert_int_equal(run(), REFRESH_DONE);
    assert_int_equal(server.requests, 3);
    assert_string_equal(server.last_token, "rt");
    assert_true(ccp_span_is(out.record.session_token, "session-1"));
    assert_access("at-2");
    assert_false(exists("state"));
    put_record(1, "old", "rt", 100);
    calm();
    server.refusals = 2;
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    assert_int_equal(server.requests, 3);
    assert_non_null(strstr(content(path_of("json")), "\"access_token\":\"at-2\""));
    assert_true(exists("state"));
}

#ifdef CCP_FAULTS
static unsigned told;

static void blocked(void *arg, const char *text)
{
    assert_non_null(strstr(text, "waits for the disk"));
    told++;
    stop_from = 0;
}

static void test_last_try_when_stopped(void **state)
{
    put_record(1, "old", "rt", -1);
    char *before = content(path_of("json"));
    job.wait_for_disk = true;
    job.blocked = blocked;
    stop_never();
    told = 0;
    fault_arm("refresh.write:*");
    assert_int_equal(run(), REFRESH_STORAGE);
    fault_arm(NULL);
    assert_true(out.unsaved && told == 1);
    assert_string_equal(content(path_of("json")), before);
    assert_true(exists("intent"));
    stop_never();
    assert_int_equal(run(), REFRESH_DONE);
}

static void test_no_intent_no_request(void **state)
{
    put_record(1, "old", "rt", -1);
    fault_arm("refresh.intent:1");
    assert_int_equal(run(), REFRESH_STORAGE);
    fault_arm(NULL);
    assert_int_equal(server.requests, 0);
}

/* Whatever allocation is refused: what is used is on disk, and the next call works. */
static void test_memory(void **state)
{
    unsigned refused = 0, done = 0;
    char spec[32];
    for (unsigned n = 1; n < 400; n++) {
        unlink(path_of("intent"));
        put_record(1, "old", "rt", -1);
        calm();
        snprintf(spec, sizeof(spec), "alloc:%u", n);
        fault_arm(spec);
        enum refresh_result result = run();
        fault_arm(NULL);
        char *now = content(path_of("json"));
        if (result == REFRESH_DONE) {
            done++;
            assert_non_null(strstr(now, "\"generation\":2"));
        } else {
            refused++;
            assert_true(result == REFRESH_STORAGE || result == REFRESH_RETRY || result == REFRESH_CONFIG);
            assert_int_not_equal(out.text[0], '\0');
            assert_non_null(strstr(now, "\"generation\":1"));
        }
        assert_int_equal(run(), result == REFRESH_DONE ? REFRESH_ADOPTED : REFRESH_DONE);
        if (done >= 20 + refused)
            break;
    }
    assert_true(refused > 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_stop),
        ON_STAGE(test_stop_hurries_the_repeat),
        ON_STAGE(test_refused_but_replaced),
        ON_STAGE(test_vendor_logs_out),
        ON_STAGE(test_session_of_a_vendor_file_stays_in_memory),
        ON_STAGE(test_refused_session_asks_the_refresh_token),
#ifdef CCP_FAULTS
        ON_STAGE(test_last_try_when_stopped),
        ON_STAGE(test_no_intent_no_request),
        ON_STAGE(test_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

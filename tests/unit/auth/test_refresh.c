/*
 * The procedure of a renewal: what is adopted, what each kind of answer leaves in record, intent and state, and what
 * people read.
 */
#include "refresh_stage.h"

/* ---- adopting ---- */

static void test_who_is_adopted(void **state)
{
    static const struct {
        unsigned generation; /* in the file; the caller has 1 and "old" */
        const char *access;
        long expires_in;
        bool force, adopted;
    } rows[] = {
        {1, "old", 100, false, false}, {2, "new", 100, false, true}, {2, "new", -1, false, false},
        {1, "new", 100, false, true},  {2, "old", 100, false, true}, {1, "old", 100, true, false},
        {2, "new", 100, true, true},   {2, "old", 100, true, false}, {2, "new", -1, true, false},
        {1, "old", -1, false, false},  {0, "new", 100, false, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_record(rows[i].generation, rows[i].access, "rt", rows[i].expires_in);
        calm();
        job.force = rows[i].force;
        assert_int_equal(run(), rows[i].adopted ? REFRESH_ADOPTED : REFRESH_DONE);
        assert_int_equal(server.requests, !rows[i].adopted);
        assert_access(rows[i].adopted ? rows[i].access : "at-1");
        if (!rows[i].adopted)
            assert_int_equal(out.record.generation, rows[i].generation + 1);
    }
}

static void test_a_caller_that_knows_nothing(void **state)
{
    job.generation = 0;
    job.seen = CCP_SPAN("");
    put_record(5, "there", "rt", 100);
    assert_int_equal(run(), REFRESH_ADOPTED);
    job.force = true; /* the user wants a new one */
    assert_int_equal(run(), REFRESH_DONE);
    assert_int_equal(server.requests, 1);
}

static void test_vendor_file_is_adopted_by_its_token(void **state)
{
    job.place.file = vendor_path;
    job.place.layout = &vendor;
    job.generation = 0;
    put_vendor("new", "rt", 100);
    assert_int_equal(run(), REFRESH_ADOPTED);
    put_vendor("old", "rt", 100);
    assert_int_equal(run(), REFRESH_DONE);
    assert_access("at-1");
    assert_non_null(strstr(content(vendor_path), "\"more\":1"));
    assert_non_null(strstr(content(vendor_path), "\"rt-1\""));
}

/* ---- answers ---- */

static void test_what_answers_leave(void **state)
{
    static const struct {
        enum oauth_result answers[2];
        int status;
        enum refresh_result result;
        unsigned requests;
        bool intent, state;
    } rows[] = {
        {{OAUTH_NOT_SENT}, 0, REFRESH_RETRY, 1, false, false},
        {{OAUTH_RETRY}, 503, REFRESH_RETRY, 1, false, false},
        {{OAUTH_RETRY}, 200, REFRESH_RETRY, 1, true, false},
        {{OAUTH_CLIENT}, 401, REFRESH_CONFIG, 1, false, false},
        {{OAUTH_GRANT}, 400, REFRESH_NEEDS_LOGIN, 1, false, true},
        {{OAUTH_LOST, OAUTH_LOST}, 0, REFRESH_RETRY, 2, true, false},
        {{OAUTH_LOST, OAUTH_NOT_SENT}, 0, REFRESH_RETRY, 2, true, false},
        {{OAUTH_LOST, OAUTH_RETRY}, 503, REFRESH_RETRY, 2, true, false},
        {{OAUTH_LOST, OAUTH_CLIENT}, 401, REFRESH_CONFIG, 2, true, false},
        {{OAUTH_LOST, OAUTH_GRANT}, 400, REFRESH_NEEDS_LOGIN, 2, false, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        calm();
        memcpy(server.answers, rows[i].answers, sizeof(rows[i].answers));
        server.status = rows[i].status;
        server.meanwhile = stop_now; /* so that a repeat follows at once */
        stop_never();
        unlink(path_of("intent"));
        unlink(path_of("state"));
        put_record(1, "old", "rt", -1);
        char *before = content(path_of("json"));
        assert_int_equal(run(), rows[i].result);
        assert_int_equal(server.requests, rows[i].requests);
        assert_string_equal(content(path_of("json")), before);
        assert_int_equal(exists("intent"), rows[i].intent);
        assert_int_equal(exists("state"), rows[i].state);
        assert_non_null(strstr(out.text, "login test, account default: "));
        assert_non_null(strstr(out.text, "the server said"));
        assert_int_equal(out.record.access_token.n, 0);
        assert_int_equal(out.retry_after_ms, rows[i].state ? 0 : 7000);
        calm();
        stop_never();
        job.insist = true; /* also after a refusal that was noted */
        assert_int_equal(run(), REFRESH_DONE);
        job.insist = false;
        assert_string_equal(server.last_token, "rt");
        assert_false(exists("intent") || exists("state"));
    }
}

static void test_open_intent_is_sent_once(void **state)
{
    put_record(1, "old", "rt", -1);
    server.answers[0] = server.answers[1] = server.answers[2] = OAUTH_LOST;
    server.answers[3] = OAUTH_GRANT;
    assert_int_equal(run(), REFRESH_RETRY);
    assert_int_equal(server.requests, 2);
    assert_int_equal(run(), REFRESH_RETRY);
    assert_int_equal(server.requests, 3);
    assert_non_null(strstr(content(path_of("intent")), "\"sent\":3"));
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    assert_non_null(strstr(out.text, "interrupted"));
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    assert_int_equal(server.requests, 4);
}

static void test_intent_of_another_token_counts_for_nothing(void **state)
{
    put_record(2, "old", "rt", -1);
    job.generation = 2;
    put_file(path_of("intent"), "{\"generation\":1,\"refresh_hash\":\"00\",\"at\":5,\"sent\":1}");
    server.answers[0] = OAUTH_GRANT;
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    assert_null(strstr(out.text, "interrupted"));
}

static void test_broken_notes_count_for_nothing(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "7", "{\"generation\":\"1\",\"refresh_hash\":7,\"reason\":[]}", "{\"generation\":1}"};
    struct refresh_state s;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put_record(1, "old", "rt", -1);
        put_file(path_of("intent"), texts[i]);
        put_file(path_of("state"), texts[i]);
        assert_true(refresh_state_read(store, &job.place, 1, &s));
        assert_false(s.needs_login);
        assert_int_equal(run(), REFRESH_DONE);
    }
}

/* ---- needs login ---- */

static void test_state_belongs_to_a_token(void **state)
{
    struct refresh_state s;
    put_record(1, "old", "rt", -1);
    server.answers[0] = OAUTH_GRANT;
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    assert_true(refresh_state_read(store, &job.place, 1, &s));
    assert_true(s.needs_login && s.at >= time(NULL) - 5);
    assert_string_equal(s.reason, out.text);
    assert_true(refresh_state_read(store, &job.place, 2, &s));
    assert_false(s.needs_login);
    put_record(1, "old", "another", -1); /* removed and made anew: it counts from one again */
    assert_true(refresh_state_read(store, &job.place, 1, &s));
    assert_false(s.needs_login);
    assert_int_equal(run(), REFRESH_DONE);
}

static char long_text[512];

static void test_command_is_never_cut(void **state)
{
    struct ccp_span label = CCP_SPAN("a23456789.123456789.123456789.123456789.123456789.123456789.1234");
    char path[200], text[400];
    memset(long_text, 'x', sizeof(long_text) - 1);
    job.place.account = label;
    snprintf(path, sizeof(path), "%s/test.%.*s.json", folder, CCP_FMT(label));
    snprintf(text, sizeof(text),
             "{\"version\":1,\"provider\":\"test\",\"account\":\"%.*s\",\"generation\":1,\"access_token\":\"old\","
             "\"refresh_token\":\"r\",\"expires_at\":5,\"token_url\":\"https://idp.test/token\",\"client_id\":\"me\"}",
             CCP_FMT(label));
    put_file(path, text);
    server.answers[0] = OAUTH_GRANT;
    server.more = long_text;
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    snprintf(text, sizeof(text), "; run: ccproxy auth login test --account %.*s", CCP_FMT(label));
    assert_true(ccp_span_ends(ccp_span_z(out.text), ccp_span_z(text)));
    assert_true(strlen(out.text) < sizeof(((struct refresh_state *)0)->reason));
}

static void test_token_goes_nowhere_else(void **state)
{
    put_record(1, "old", "rt", -1);
    provider.token_url = CCP_SPAN("https://elsewhere.test/token");
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    assert_non_null(strstr(out.text, "token_url"));
    provider.token_url = CCP_SPAN("https://idp.test/token");
    provider.client_id = CCP_SPAN("somebody");
    assert_int_equal(run(), REFRESH_NEEDS_LOGIN);
    assert_int_equal(server.requests, 0);
    assert_false(exists("state") || exists("intent"));
    provider.client_id = CCP_SPAN("me");
    provider.token_url = CCP_SPAN(""); /* known by its issuer: the record says where */
    assert_int_equal(run(), REFRESH_DONE);
    assert_int_equal(server.discoveries, 0);
}

static void test_vendor_file_needs_the_discovery(void **state)
{
    job.place.file = vendor_path;
    job.place.layout = &vendor;
    provider.token_url = CCP_SPAN("");
    put_vendor("old", "rt", -1);
    assert_int_equal(run(), REFRESH_DONE);
    assert_int_equal(server.discoveries, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_who_is_adopted),
        ON_STAGE(test_a_caller_that_knows_nothing),
        ON_STAGE(test_vendor_file_is_adopted_by_its_token),
        ON_STAGE(test_what_answers_leave),
        ON_STAGE(test_open_intent_is_sent_once),
        ON_STAGE(test_intent_of_another_token_counts_for_nothing),
        ON_STAGE(test_broken_notes_count_for_nothing),
        ON_STAGE(test_state_belongs_to_a_token),
        ON_STAGE(test_command_is_never_cut),
        ON_STAGE(test_token_goes_nowhere_else),
        ON_STAGE(test_vendor_file_needs_the_discovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

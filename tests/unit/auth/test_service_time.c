/*
 * The credential service over hours and days of a clock that the test moves: when renewing begins, how often a server
 * is asked, and what a wall clock that jumps does to it.
 */
#include "service_stage.h"

/* RFR-08: an API that refuses everything, asked each second for an hour. */
static void test_api_that_refuses_everything(void **state)
{
    put_record("default", 1, LIFE * 3, RENEWABLE);
    server.life = LIFE * 3;
    start();
    for (unsigned s = 0; s < 3600; s += 5) {
        struct asker a = one(s % WORKERS, &use_default);
        get(&a);
        if (a.answer == AUTH_GRANTED) {
            a.refused = a.credential->serial;
            auth_credential_unref(a.credential);
            a.credential = NULL;
            a.asked = false;
            get(&a);
        }
        assert_int_not_equal(a.answer, AUTH_WAITS);
        done(&a);
        advance(5);
    }
    printf("figure RFR-08 an API that refuses all, 720 requests in an hour of the clock: %u renewals\n", requests());
    assert_in_range(requests(), 2, 20);
}

/* RFR-12 */
static void test_idle_day(void **state)
{
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    unsigned longest = 0;
    for (unsigned minute = 0; minute < 24 * 60; minute++) {
        unsigned before = requests();
        advance(60);
        longest = requests() - before > longest ? requests() - before : longest;
        struct auth_report r = auth_report(workers[0].view, &use_default);
        assert_int_equal(r.state, AUTH_READY);
        assert_true(r.expires_at > now_s() && r.next_attempt_at < r.expires_at);
    }
    assert_int_equal(longest, 1);
    assert_in_range(requests(), 24, 32); /* 10 to 15 minutes before each end */
    printf("figure RFR-12 idle for 24 h of the clock, tokens of 1 h: %u renewals, never expired\n", requests());
}

/* RFR-07 */
static void test_early_window(void **state)
{
    unsigned n = 0;
    int64_t least = LIFE, begun = 0;
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    server_set(OAUTH_RETRY, 0);
    int64_t end = auth_report(workers[0].view, &use_default).expires_at;
    advance((uint64_t)(end - now_s() - 905));
    assert_int_equal(requests(), 0);
    while (now_s() < end - 301) {
        struct asker a = one(n % WORKERS, &use_default);
        ask(&a);
        assert_true(sends(&a, "at-default-1")); /* nobody waits */
        done(&a);
        advance(1);
        if (begun == 0 && requests() != 0)
            begun = end - now_s();
        n++;
    }
    assert_in_range(begun, 598, 900);
    for (unsigned i = 1; i < requests(); i++)
        least = server.at[i] - server.at[i - 1] < least ? server.at[i] - server.at[i - 1] : least;
    assert_in_range(requests(), 2, 10);
    assert_true(least >= 60);
    printf("figure RFR-07 early window of 10 min, failing server: %u requests none of which waited, %u attempts, "
           ">= %lld s apart\n",
           n, requests(), (long long)least);
    server_set(OAUTH_OK, 0);
    advance(400);
    struct asker a = one(0, &use_default);
    get(&a);
    assert_int_equal(a.answer, AUTH_GRANTED);
    done(&a);
}

/* RFR-09 */
static void test_back_off_to_five_minutes(void **state)
{
    int64_t longest = 0;
    put_record("default", 1, -10, RENEWABLE);
    server_set(OAUTH_RETRY, 0);
    start();
    for (unsigned s = 0; s < 2 * 3600; s++) {
        struct asker a = one(0, &use_default);
        ask(&a);
        assert_int_not_equal(a.answer, AUTH_GRANTED);
        done(&a);
        advance(1);
    }
    for (unsigned i = 1; i < requests(); i++) {
        int64_t gap = server.at[i] - server.at[i - 1], most = i - 1 < 9 ? 1ll << (i - 1) : 300;
        most = most < 300 ? most : 300;
        assert_in_range(gap, most / 2, most + 2);
        longest = gap > longest ? gap : longest;
    }
    struct auth_report r = auth_report(workers[0].view, &use_default);
    assert_int_equal(r.state, AUTH_LATER);
    assert_true(r.degraded && r.next_attempt_at > now_s() && r.text.n != 0);
    printf("figure RFR-09 two hours of failures, asked each second: %u attempts, gaps 1 to %lld s\n", requests(),
           (long long)longest);
    assert_in_range(longest, 151, 302);
    server_set(OAUTH_OK, 0);
    advance(301);
    assert_int_equal(auth_report(workers[0].view, &use_default).state, AUTH_READY);
}

/* RFR-10 */
static void test_grant_that_is_gone(void **state)
{
    struct asker a = one(0, &use_default);
    put_record("default", 1, 400, RENEWABLE);
    put_record("work", 7, LIFE, RENEWABLE);
    server_set(OAUTH_GRANT, 0);
    start();
    advance(1);
    assert_int_equal(requests(), 1);
    ask(&a); /* within the last margin, but there is nothing to wait for */
    assert_true(sends(&a, "at-default-1"));
    done(&a);
    assert_true(auth_report(workers[0].view, &use_default).degraded);
    advance(500);
    for (unsigned i = 0; i < 50; i++) {
        get(&a);
        assert_int_equal(a.answer, AUTH_DENIED);
        assert_int_equal(a.state, AUTH_NEEDS_LOGIN);
        assert_non_null(strstr(a.text, "ccproxy auth login test"));
        done(&a);
        advance(60);
    }
    assert_true(requests() <= 2); /* the other account's turn came meanwhile */
    assert_true(stored_is("default", "at-default-1"));
    put_record("default", 2, LIFE, RENEWABLE);
    server_set(OAUTH_OK, 0);
    for (unsigned i = 0; i < 200 && !sends(&a, "at-default-2"); i++) {
        nap_ms(10);
        settle();
        done(&a);
        ask(&a);
    }
    assert_true(sends(&a, "at-default-2"));
    done(&a);
}

static void test_token_that_cannot_be_renewed(void **state)
{
    struct asker a = one(0, &use_default);
    put_record("default", 1, 600, "");
    start();
    advance(590);
    ask(&a);
    assert_true(sends(&a, "at-default-1"));
    done(&a);
    advance(70);
    get(&a);
    assert_int_equal(a.answer, AUTH_DENIED);
    assert_int_equal(a.state, AUTH_NEEDS_LOGIN);
    assert_int_equal(requests(), 0);
}

/* FLT-20: only the wall clock jumps. */
static void test_wall_clock_jumps(void **state)
{
    static const int64_t jumps[] = {3600, -3600, 86400, -86400, 315576000, -315576000};
    unsigned most = 0;
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    for (unsigned i = 0; i < 60; i++) {
        unsigned before = requests();
        atomic_fetch_add(&wall_ahead, (uint64_t)(jumps[i % 6] * 1000000));
        struct asker a = one(i % WORKERS, &use_default);
        get(&a);
        assert_int_equal(a.answer, AUTH_GRANTED);
        done(&a);
        atomic_fetch_add(&mono_ahead, 61 * 1000000); /* the service looks at the time */
        settle();
        most = requests() - before > most ? requests() - before : most;
    }
    assert_true(most <= 1);
    printf("figure FLT-20 60 jumps of 1 h to 10 years, back and forth: at most %u renewal each, %u in all\n", most,
           requests());
}

static void test_account_out_of_use(void **state)
{
    put_record("default", 1, LIFE, RENEWABLE);
    put_record("work", 1, LIFE, RENEWABLE);
    start();
    assert_true(use(&use_work, NULL));
    for (unsigned minute = 0; minute < 180; minute++)
        advance(60);
    assert_false(stored_is("work", "at-work-1"));
    assert_true(stored_is("default", "at-default-1"));
    struct asker a = one(0, &use_default); /* a request with the old configuration */
    get(&a);
    assert_int_equal(a.answer, AUTH_GRANTED);
    assert_false(sends(&a, "at-default-1"));
    done(&a);
    assert_true(use(&use_default, &use_work));
    settle();
    unsigned before = requests();
    for (unsigned minute = 0; minute < 60; minute++)
        advance(60);
    assert_in_range(requests() - before, 2, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_api_that_refuses_everything),
        ON_STAGE(test_idle_day),
        ON_STAGE(test_early_window),
        ON_STAGE(test_back_off_to_five_minutes),
        ON_STAGE(test_grant_that_is_gone),
        ON_STAGE(test_token_that_cannot_be_renewed),
        ON_STAGE(test_wall_clock_jumps),
        ON_STAGE(test_account_out_of_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

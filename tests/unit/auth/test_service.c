/*
 * The credential service and its views: who gets what at once, who waits and who is resumed, what a refusal costs, and
 * how it all ends. Threads are real: this program also runs under ThreadSanitizer.
 */
#include "service_stage.h"

static void test_good_token_at_once(void **state)
{
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    for (size_t w = 0; w < WORKERS; w++) {
        struct asker a = one(w, &use_default);
        ask(&a);
        assert_true(sends(&a, "at-default-1"));
        assert_true(ccp_span_is(auth_credential_fact(a.credential, "email"), "me@test"));
        assert_true(ccp_span_is(a.credential->account, "default"));
        done(&a);
        assert_int_equal(auth_report(workers[w].view, &use_default).state, AUTH_READY);
        assert_int_equal(auth_report(workers[w].view, &use_work).state, AUTH_ABSENT);
    }
    assert_int_equal(requests(), 0);
}

static void test_many_wait_for_one_request(void **state)
{
    struct asker many[200];
    put_record("default", 1, -10, RENEWABLE);
    server_set(OAUTH_OK, 300);
    assert_true(use(&use_default, NULL) && auth_start(service));
    auth_settle(service, 5000);
    barrier();
    pump_all();
    for (size_t i = 0; i < 200; i++) {
        many[i] = one(i % WORKERS, &use_default);
        ask(&many[i]);
        assert_int_equal(many[i].answer, AUTH_WAITS);
    }
    settle();
    for (size_t i = 0; i < 200; i++) {
        assert_true(sends(&many[i], "at-1"));
        assert_int_equal(many[i].resumed, 1);
        done(&many[i]);
    }
    assert_int_equal(requests(), 1);
    assert_true(stored_is("default", "at-1"));
}

static void test_who_leaves_is_not_resumed(void **state)
{
    struct asker stays = one(0, &use_default), leaves = one(0, &use_default), last = one(0, &use_default);
    put_record("default", 1, -10, RENEWABLE);
    server_set(OAUTH_OK, 200);
    assert_true(use(&use_default, NULL) && auth_start(service));
    auth_settle(service, 5000);
    barrier();
    pump_all();
    ask(&last);
    ask(&leaves);
    ask(&stays);
    auth_wait_cancel(&leaves.wait);
    auth_wait_cancel(&leaves.wait);
    settle();
    assert_true(sends(&stays, "at-1") && sends(&last, "at-1"));
    assert_int_equal(leaves.resumed, 0);
    done(&stays);
    done(&last);
}

static void test_absent_until_it_comes(void **state)
{
    struct asker a = one(0, &use_default);
    start();
    ask(&a);
    assert_int_equal(a.answer, AUTH_DENIED);
    assert_int_equal(a.state, AUTH_ABSENT);
    put_record("default", 1, LIFE, RENEWABLE);
    for (unsigned i = 0; i < 200 && !sends(&a, "at-default-1"); i++) { /* 2 s */
        nap_ms(10);
        pump_all();
        ask(&a);
    }
    assert_true(sends(&a, "at-default-1"));
    done(&a);
}

static void test_address_of_the_login(void **state)
{
    struct auth_use elsewhere = use_default;
    struct asker a = one(0, &elsewhere);
    elsewhere.origin = CCP_SPAN("https://elsewhere.test");
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    elsewhere.slot = use_default.slot;
    ask(&a);
    assert_int_equal(a.answer, AUTH_DENIED);
    assert_int_equal(a.state, AUTH_NEEDS_LOGIN);
    assert_non_null(strstr(a.text, "base_url"));
    struct arena arena; /* the banner says the same */
    arena_init(&arena, NULL, 0);
    assert_int_equal(auth_report_copy(service, &elsewhere, &arena).state, AUTH_NEEDS_LOGIN);
    assert_int_equal(auth_report_copy(service, &use_default, &arena).state, AUTH_READY);
    arena_end(&arena);
}

/* A vendor's file does not say since when its token lives: its end is believed, and nothing is renewed before. */
static void test_vendor_file_lives_as_long_as_it_says(void **state)
{
    static const struct ccp_oauth_file layout = {
        .owner = "Vendor CLI", .access_token = "o.access", .refresh_token = "o.refresh", .expires_ms = "o.expires"};
    static const struct ccp_oauth_provider with_file = {.name = "test", .flags = CCP_OAUTH_REFRESH, .file = &layout};
    struct asker a = one(0, &use_default);
    char path[96];
    int64_t end = now_s() + 8 * LIFE;
    snprintf(path, sizeof(path), "%s/vendor", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "{\"o\":{\"access\":\"at-vendor\",\"refresh\":\"rt-0\",\"expires\":%lld}}", (long long)end * 1000);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    fclose(f);
    provider.def = &with_file;
    use_default.file = ccp_span_z(path);
    start();
    advance(2 * LIFE);
    ask(&a);
    assert_true(sends(&a, "at-vendor"));
    assert_int_equal(a.credential->expires_at, end);
    assert_int_equal(requests(), 0);
    done(&a);
    advance(6 * LIFE);
    get(&a);
    assert_true(sends(&a, "at-1"));
    done(&a);
}

/* The last second that there is, by hand or by a program: nothing overflows. */
static void test_end_of_time(void **state)
{
    struct asker a = one(0, &use_default);
    char path[96];
    snprintf(path, sizeof(path), "%s/test.default.json", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "{\"version\":1,\"provider\":\"test\",\"account\":\"default\",\"generation\":1,\"access_token\":\"at-far\","
            "\"refresh_token\":\"rt-0\",\"obtained_at\":1,\"expires_at\":%lld,\"token_url\":\"https://idp.test/token\","
            "\"client_id\":\"me\",\"origins\":[\"https://api.test\"]}\n",
            (long long)INT64_MAX);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    fclose(f);
    start();
    advance(LIFE);
    ask(&a);
    assert_true(sends(&a, "at-far"));
    assert_int_equal(requests(), 0);
    done(&a);
}

/* Retry-After may be days, or a date of another clock: it is tried again within the hour. */
static void test_server_that_asks_for_days(void **state)
{
    struct asker a = one(0, &use_default);
    put_record("default", 1, -10, RENEWABLE);
    server.retry_after_ms = 30ull * 86400 * 1000;
    server_set(OAUTH_RETRY, 0);
    start();
    get(&a);
    assert_int_equal(a.answer, AUTH_DENIED);
    assert_int_equal(a.state, AUTH_LATER);
    unsigned before = requests();
    assert_true(before >= 1);
    server_set(OAUTH_OK, 0);
    advance(3000);
    assert_int_equal(requests(), before);
    advance(700);
    get(&a);
    assert_true(sends(&a, "at-2"));
    done(&a);
}

/* RFR-08 */
static void test_refused_token(void **state)
{
    struct asker a = one(0, &use_default), b = one(1, &use_default);
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    ask(&a);
    uint64_t refused = a.credential->serial;
    done(&a);
    a.refused = b.refused = refused;
    ask(&a);
    ask(&b);
    assert_int_equal(a.answer, AUTH_WAITS);
    settle();
    assert_true(sends(&a, "at-1") && sends(&b, "at-1"));
    assert_int_equal(requests(), 1);
    assert_int_not_equal(a.credential->serial, refused);
    done(&b);

    uint64_t young = a.credential->serial; /* the new one is refused, too */
    done(&a);
    a.refused = young;
    get(&a);
    assert_int_equal(a.answer, AUTH_DENIED);
    assert_int_equal(a.state, AUTH_NEEDS_LOGIN);
    assert_non_null(strstr(a.text, "ccproxy auth login test --force"));
    done(&a);
    get(&a); /* who does not know yet gets it */
    assert_true(sends(&a, "at-1"));
    done(&a);
    assert_int_equal(requests(), 1);
}

/* The same token read anew is the same token: a refusal of it still counts. */
static void test_refused_and_read_anew(void **state)
{
    struct asker a = one(0, &use_default);
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    ask(&a);
    uint64_t refused = a.credential->serial;
    done(&a);
    unsigned before = atomic_load(&changes);
    put_record("default", 1, LIFE - 5, RENEWABLE);
    nap_ms(50);
    settle();
    assert_int_equal(atomic_load(&changes), before);
    a.refused = refused;
    get(&a);
    assert_true(sends(&a, "at-1"));
    done(&a);
}

static void test_stop_waits_for_the_answer(void **state)
{
    put_record("default", 1, -10, RENEWABLE);
    server_set(OAUTH_OK, 500);
    assert_true(use(&use_default, NULL) && auth_start(service));
    for (unsigned i = 0; i < 2000 && requests() == 0; i++)
        nap_ms(1);
    auth_stop(service);
    assert_int_equal(requests(), 1);
    assert_true(stored_is("default", "at-1"));
}

static void test_stop_with_waiters(void **state)
{
    struct asker a = one(0, &use_default);
    put_record("default", 1, -10, RENEWABLE);
    server_set(OAUTH_RETRY, 300);
    assert_true(use(&use_default, NULL) && auth_start(service));
    auth_settle(service, 5000);
    barrier();
    pump_all();
    ask(&a);
    assert_int_equal(a.answer, AUTH_WAITS);
    auth_stop(service);
    auth_wait_cancel(&a.wait);
    assert_int_equal(a.resumed, 0);
}

/* Workers on threads of their own: they ask, refuse, wait and leave while tokens end every second of the clock. */
static atomic_bool over;
static atomic_uint granted, denied;

static void *work(void *arg)
{
    struct worker *w = arg;
    size_t number = (size_t)(w - workers);
    struct asker many[8];
    uint64_t refused = 0;
    for (size_t i = 0; i < 8; i++)
        many[i] = one(number, i % 2 ? &use_work : &use_default);
    for (unsigned turn = 0; !atomic_load(&over); turn++) {
        struct asker *a = &many[turn % 8];
        pump(number);
        if (a->answer == AUTH_WAITS && a->wait.prev != NULL && turn % 64 != 0)
            continue;
        if (a->answer == AUTH_GRANTED && a->credential != NULL) {
            atomic_fetch_add(&granted, 1);
            refused = a->credential->serial;
        }
        if (a->answer == AUTH_DENIED)
            atomic_fetch_add(&denied, 1);
        done(a);
        a->refused = turn % 200 == 0 ? refused : 0;
        ask(a);
        auth_report(w->view, &use_work);
        nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    for (size_t i = 0; i < 8; i++)
        done(&many[i]);
    return NULL;
}

static void test_all_at_once(void **state)
{
    pthread_t threads[WORKERS];
    struct arena a;
    server.life = 20;
    put_record("default", 1, 5, RENEWABLE);
    put_record("work", 1, 5, RENEWABLE);
    assert_true(use(&use_default, &use_work) && auth_start(service));
    auth_settle(service, 5000);
    atomic_store(&over, false);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    for (unsigned i = 0; i < 150; i++) {
        server_set(i % 10 == 9 ? OAUTH_RETRY : OAUTH_OK, i % 3);
        atomic_fetch_add(&mono_ahead, 1000000);
        atomic_fetch_add(&wall_ahead, 1000000);
        struct auth_use fresh[] = {use_default, use_work}; /* as a reload makes them */
        if (i % 5 == 0)
            assert_true(use(&fresh[0], i % 10 == 0 ? &fresh[1] : NULL));
        if (i % 7 == 0)
            put_record("work", 100 + i, 5, RENEWABLE);
        arena_init(&a, NULL, 0);
        assert_int_not_equal(auth_report_copy(service, &use_default, &a).state, AUTH_ABSENT);
        arena_end(&a);
        nap_ms(5);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(requests() >= 10 && atomic_load(&granted) > 100);
}

#ifdef CCP_FAULTS
/* Memory is refused at each point for a while: afterwards all is as if nothing had been. */
static void test_refused_memory(void **state)
{
    static const char *const points[] = {"auth.publish", "auth.credential", "auth.renewal", "auth.event", "auth.view"};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct asker a = one(0, &use_default);
        char spec[48];
        put_record("default", 1, -10, RENEWABLE);
        fault_arm((snprintf(spec, sizeof(spec), "%s:*", points[i]), spec));
        assert_true(use(&use_default, NULL) && auth_start(service));
        nap_ms(100);
        pump_all();
        ask(&a);
        nap_ms(100);
        pump_all();
        assert_true(a.answer != AUTH_GRANTED || strcmp(points[i], "auth.event") == 0);
        fault_arm(NULL);
        for (unsigned k = 0; k < 100 && a.answer != AUTH_GRANTED; k++) {
            advance(1);
            if (a.answer == AUTH_DENIED) {
                done(&a);
                ask(&a);
            }
        }
        assert_int_equal(a.answer, AUTH_GRANTED);
        done(&a);
        tear_down(state);
        set_up(state);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_good_token_at_once),
        ON_STAGE(test_many_wait_for_one_request),
        ON_STAGE(test_who_leaves_is_not_resumed),
        ON_STAGE(test_absent_until_it_comes),
        ON_STAGE(test_address_of_the_login),
        ON_STAGE(test_vendor_file_lives_as_long_as_it_says),
        ON_STAGE(test_end_of_time),
        ON_STAGE(test_server_that_asks_for_days),
        ON_STAGE(test_refused_token),
        ON_STAGE(test_refused_and_read_anew),
        ON_STAGE(test_stop_waits_for_the_answer),
        ON_STAGE(test_stop_with_waiters),
        ON_STAGE(test_all_at_once),
#ifdef CCP_FAULTS
        ON_STAGE(test_refused_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Moments of the credential service that a run seldom meets: a message that was on its way already, a verdict that
 * comes late, a wish that nobody reads any more, a folder that is not there.
 */
#include "service_stage.h"

#include <poll.h>

static struct asker holder_of_a_token(void)
{
    struct asker a = {.use = &use_default};
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    ask(&a);
    assert_true(sends(&a, "at-default-1"));
    return a;
}

/* What was sent before the service heard of a refusal is no answer to it. */
static void test_message_from_before(void **state)
{
    struct asker a = holder_of_a_token();
    struct view_update *old = calloc(1, sizeof(*old) + 2);
    assert_non_null(old);
    *old = (struct view_update){.a = service, .slot = use_default.slot, .credential = a.credential};
    old->report = (struct auth_report){.state = AUTH_READY, .account = {"", 0}, .text = {"", 0}};
    a.credential = NULL; /* the message has it */
    a.refused = old->credential->serial;
    ask(&a);
    assert_int_equal(a.answer, AUTH_WAITS);
    view_apply(old);
    assert_int_equal(a.resumed, 1);
    assert_int_equal(a.answer, AUTH_WAITS);
    settle();
    assert_true(sends(&a, "at-1"));
    assert_int_equal(requests(), 1);
    done(&a);
}

/* Of two refusals the newer one counts, in whichever order they are told. */
static void test_refusal_of_an_older_token(void **state)
{
    struct asker a = holder_of_a_token(), late = {.use = &use_default};
    uint64_t serial = a.credential->serial;
    done(&a);
    a.refused = serial;
    late.refused = serial - 1;
    ask(&a);
    late.asked = true; /* it waits with the other one */
    ask(&late);
    settle();
    assert_true(sends(&a, "at-1"));
    assert_true(late.answer == AUTH_GRANTED);
    assert_int_equal(requests(), 1);
    done(&a);
    done(&late);
}

/* A token that was seen in its file is used, and refused, before the renewal has ended that ends with it. */
static void test_refusal_of_what_a_renewal_brings(void **state)
{
    struct asker a = {.use = &use_default};
    put_record("default", 1, -10, RENEWABLE);
    server_set(OAUTH_GRANT, 400);
    assert_true(use(&use_default, NULL) && auth_start(service));
    ask(&a);
    while (requests() == 0)
        nap_ms(1);
    put_record("default", 2, LIFE, RENEWABLE);
    for (int i = 0; i < 200 && a.answer != AUTH_GRANTED; i++) {
        nap_ms(1);
        pump_all();
    }
    assert_true(sends(&a, "at-default-2"));
    assert_int_not_equal(atomic_load(&renewals), 0);
    server_set(OAUTH_OK, 0);
    a.refused = a.credential->serial;
    auth_credential_unref(a.credential);
    a.credential = NULL;
    a.asked = false;
    ask(&a);
    assert_int_equal(a.answer, AUTH_WAITS);
    settle();
    assert_true(sends(&a, "at-2"));
    assert_int_equal(requests(), 2);
    done(&a);
}

/* The login was made anew while the server refused the old grant. */
static void test_late_verdict(void **state)
{
    struct refresh_outcome out = {.result = REFRESH_NEEDS_LOGIN, .text = "the grant is gone"};
    put_record("default", 1, -10, RENEWABLE);
    assert_true(use(&use_default, NULL));
    struct account *c = account_new(service, use_default.slot);
    assert_non_null(c);
    account_use(c, &use_default, config, 300000);
    record_init(&out.record);
    c->renewed_serial = c->credential->serial;
    put_record("default", 2, LIFE, RENEWABLE);
    account_look(c);
    account_renewed(c, &out);
    assert_int_equal(c->state, AUTH_READY);
    assert_true(c->credential != NULL && secret_equals(c->credential->secret, CCP_SPAN("at-default-2")));
    assert_false(c->dead);

    c->renewed_serial = c->credential->serial; /* and when it is about this one */
    c->force = true;
    account_renewed(c, &out);
    assert_int_equal(c->state, AUTH_NEEDS_LOGIN);
    account_release(c);
    pump_all();
}

/* A worker ends with a wish that the service never read: nobody looks at it afterwards. */
static void test_wish_that_is_left(void **state)
{
    struct asker a = {.use = &use_default}, b = {.worker = 1, .use = &use_default};
    assert_true(use(&use_default, NULL));
    ask(&a);
    ask(&b);
    assert_int_equal(a.answer, AUTH_WAITS);
    auth_wait_cancel(&a.wait);
    auth_wait_cancel(&b.wait);
    assert_int_equal(service->first->kind, MSG_USES);
    assert_non_null(service->first->next);
    assert_non_null(service->first->next->next);
} /* tear_down frees the views first */

/* A login that no provider used when it was made has no address that it may be sent to. */
static void test_login_for_no_address(void **state)
{
    struct auth_use plain = use_default;
    struct auth_report r = {.state = AUTH_READY};
    struct auth_credential c = {.origin_count = 0};
    assert_false(credential_may_go(&c, CCP_SPAN("https://api.test"), &r));
    assert_int_equal(r.state, AUTH_NEEDS_LOGIN);
    c.anywhere = true; /* a vendor's file in place */
    assert_true(credential_may_go(&c, CCP_SPAN("https://api.test"), &r));
    assert_true(credential_may_go(NULL, CCP_SPAN("https://api.test"), &r));

    struct asker a = {.use = &plain};
    put_record("default", 1, LIFE, RENEWABLE);
    start();
    plain.slot = use_default.slot;
    plain.origin = CCP_SPAN(""); /* http:// to another machine */
    ask(&a);
    assert_int_equal(a.answer, AUTH_DENIED);
    assert_non_null(strstr(a.text, "https"));
    done(&a);
}

#ifdef CCP_FAULTS
/* Without memory for a login the configuration is refused, and nobody is left to wait for what will not come. */
static void test_no_memory_for_a_login(void **state)
{
    struct asker a = {.use = &use_work};
    put_record("work", 1, LIFE, RENEWABLE);
    put_record("default", 1, LIFE, RENEWABLE);
    fault_arm("auth.account:2");
    bool taken = use(&use_default, &use_work);
    fault_arm(NULL);
    assert_false(taken);
    assert_true(use(&use_work, NULL)); /* the other one is known, but nobody uses it */
    assert_true(auth_start(service));
    auth_settle(service, 100);
    settle();
    ask(&a);
    assert_true(sends(&a, "at-work-1"));
    done(&a);
}
#endif

/* Does looking again make events of its own? Then the service would never sleep. */
static bool is_quiet(struct watch *w)
{
    for (int i = 0; i < 5; i++) {
        watch_again(w);
        watch_read(w);
    }
    watch_again(w);
    struct pollfd p = {.fd = watch_fd(w), .events = POLLIN};
    return poll(&p, 1, 20) == 0;
}

static bool sees(struct watch *w)
{
    struct pollfd p = {.fd = watch_fd(w), .events = POLLIN};
    bool any = poll(&p, 1, 1000) == 1 && watch_read(w);
    watch_again(w);
    return any;
}

static void test_missing_folders(void **state)
{
    char above[128], missing[160], other[128], path[200];
    struct watch *w = watch_new();
    assert_non_null(w);
    snprintf(above, sizeof(above), "%s/above", folder);
    snprintf(missing, sizeof(missing), "%s/missing", above);
    snprintf(other, sizeof(other), "%s/other", folder);
    watch_folder(w, missing);
    assert_true(is_quiet(w));
    watch_folder(w, other); /* shares the watch of the nearest folder above */
    assert_true(is_quiet(w));
    assert_int_equal(mkdir(above, 0700), 0);
    assert_true(sees(w));
    assert_true(is_quiet(w));
    assert_int_equal(mkdir(missing, 0700), 0);
    assert_true(sees(w));
    assert_true(is_quiet(w));
    snprintf(path, sizeof(path), "%s/file", missing);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_true(sees(w));
    unlink(path);
    rmdir(missing);
    assert_true(sees(w));
    assert_true(is_quiet(w));
    rmdir(above);
    assert_true(sees(w));
    assert_true(is_quiet(w));
    assert_int_equal(mkdir(other, 0700), 0);
    assert_true(sees(w));
    assert_true(is_quiet(w));
    rmdir(other);
    watch_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_message_from_before),
        ON_STAGE(test_refusal_of_an_older_token),
        ON_STAGE(test_refusal_of_what_a_renewal_brings),
        ON_STAGE(test_late_verdict),
        ON_STAGE(test_wish_that_is_left),
#ifdef CCP_FAULTS
        ON_STAGE(test_no_memory_for_a_login),
#endif
        ON_STAGE(test_login_for_no_address),
        ON_STAGE(test_missing_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

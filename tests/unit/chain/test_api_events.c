/*
 * Events that nobody hears cost nothing; events of plugins are checked before they are said; names of headers that
 * may hold a credential.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <base/fault.h>
#include <chain/api_impl.h>
#include <wire/headers.h>

static struct executor *executor;
static struct runtime rt;
static struct chain_worker worker;
static struct exchange x;
static const struct ccp_plugin manifest = {.name = "sayer", .version = "1.0.0"};
static struct plugin_unit unit = {.manifest = &manifest};
static struct ccp_plugin_env env = {.core = &unit};

static int make(void **state)
{
    executor = executor_new(&(struct executor_port){.stuck_ms = 1000}); /* not started: what is queued stays */
    unit.executor = executor;
    env.api = &chain_api;
    env.name = CCP_SPAN("sayer");
    rt.refs = 1000;
    worker = (struct chain_worker){.executor = executor, .watched = executor_watched(executor)};
    x = (struct exchange){.pub.api = &chain_api, .rt = &rt, .w = &worker, .request_id = CCP_SPAN("r1")};
    x.route.format = CCP_FORMAT_NONE;
    return executor == NULL;
}

static int unmake(void **state)
{
    executor_stop(executor, 100);
    executor_free(executor);
    return 0;
}

static uint64_t touched(void)
{
    struct executor_figures f = executor_figures(executor);
    return f.published + f.dropped;
}

#ifdef CCP_FAULTS
static void what_nobody_hears_allocates_nothing(void **state)
{
    struct ccp_moment m = {.size = sizeof(m), .bytes = CCP_SPAN("bytes")};
    fault_arm("alloc:*"); /* any allocation fails, and an event that was tried counts as dropped */
    for (int round = 0; round < 1000; round++)
        for (int e = 0; e < CCP_EVENT_COUNT; e++) {
            hooks_emit(&x, (enum ccp_event)e, &m);
            chain_announce(&rt, executor, (enum ccp_event)e, &m);
        }
    assert_true(api_emit(&env, &x.pub, "quiet", CCP_SPAN("{}")) && api_emit(&env, NULL, "quiet", CCP_SPAN("{}")));
    assert_int_equal(touched(), 0);
    rt.observed = CCP_HEARS(HTTP_REQUEST);
    hooks_emit(&x, CCP_EVENT_HTTP_REQUEST, &m);
    hooks_emit(&x, CCP_EVENT_HTTP_RESPONSE, &m);
    assert_int_equal(touched(), 1); /* so it would have been seen */
    fault_arm(NULL);
    rt.observed = 0;
    printf("    %d unheard events: 0 allocations, 0 queued\n", 2000 * CCP_EVENT_COUNT);
}
#endif

static void custom_events_are_checked(void **state)
{
    static char large[64 * 1024 + 3], name[102];
    uint64_t before = touched();
    memset(large, ' ', sizeof(large));
    large[0] = '1';
    memset(name, 'n', sizeof(name) - 1);
    atomic_store(executor_watched(executor), CCP_HEARS(CUSTOM));
    assert_false(api_emit(&env, NULL, name, CCP_SPAN("1")) || api_emit(&env, &x.pub, "A", CCP_SPAN("1")));
    assert_false(api_emit(&env, NULL, "", CCP_SPAN("1")) || api_emit(&env, NULL, "a/b", CCP_SPAN("1")));
    assert_false(api_emit(&env, NULL, "a", CCP_SPAN("")) || api_emit(&env, NULL, "a", CCP_SPAN("{\"a\":}")));
    assert_false(api_emit(&env, NULL, "a", ccp_span_of(large, 64 * 1024 + 1)));
    assert_int_equal(touched(), before);
    executor_set_runtime(executor, &rt);
    name[100] = '\0';
    assert_true(api_emit(&env, NULL, name, CCP_SPAN("1")) && api_emit(&env, &x.pub, "a.b-c_9", CCP_SPAN("[]")));
    assert_true(api_emit(&env, NULL, "a", ccp_span_of(large, 64 * 1024)));
    assert_int_equal(touched(), before + 3);
    assert_true(api_heard(&env, CCP_EVENT_CUSTOM));
    assert_false(api_heard(&env, CCP_EVENT_HTTP_REQUEST) || api_heard(&env, (enum ccp_event)200));
}

static void names_of_secrets(void **state)
{
    static const char *const secret[] = {"authorization",
                                         "Authorization",
                                         "proxy-authorization",
                                         "cookie",
                                         "set-cookie",
                                         "x-api-key",
                                         "x-goog-api-key",
                                         "api-key",
                                         "x-ccproxy-token",
                                         "x-amz-security-token",
                                         "x_vault_token",
                                         "x-client-secret",
                                         "x-auth",
                                         "x-authtoken",
                                         "openai-apikey",
                                         "x-hub-signature",
                                         "x-password",
                                         "private-token"},
                             *const plain[] = {"accept",
                                               "content-type",
                                               "idempotency-key",
                                               "sec-websocket-key",
                                               "user-agent",
                                               "anthropic-ratelimit-tokens-limit",
                                               "x-ratelimit-remaining-tokens",
                                               "x-request-id",
                                               "session_id",
                                               "author",
                                               "x-keyboard",
                                               ""};
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        if (!headers_secret(ccp_span_z(secret[i])))
            fail_msg("%s is thought to be none", secret[i]);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (headers_secret(ccp_span_z(plain[i])))
            fail_msg("%s is thought to be a secret", plain[i]);
}

static void the_table_is_whole(void **state)
{
    static const size_t mine[] = {offsetof(struct ccp_api, work),         offsetof(struct ccp_api, emit),
                                  offsetof(struct ccp_api, heard),        offsetof(struct ccp_api, arena_new),
                                  offsetof(struct ccp_api, fetch),        offsetof(struct ccp_api, run),
                                  offsetof(struct ccp_api, state_read),   offsetof(struct ccp_api, state_write),
                                  offsetof(struct ccp_api, state_folder), offsetof(struct ccp_api, json_quote),
                                  offsetof(struct ccp_api, figure)};
    for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
        assert_non_null(*(void *const *)((const char *)&chain_api + mine[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef CCP_FAULTS
        cmocka_unit_test(what_nobody_hears_allocates_nothing),
#endif
        cmocka_unit_test(custom_events_are_checked),
        cmocka_unit_test(names_of_secrets),
        cmocka_unit_test(the_table_is_whole),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}

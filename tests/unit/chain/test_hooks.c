/*
 * Events of the credential service on their way to subscribers: who listens gets them, in order; who fails is counted.
 */
#include <chain/chain.h>
#include <plugin/runtime.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char seen[256];

static bool note(void *self, enum ccp_event event, const struct ccp_oauth_event *what)
{
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof(seen) - n, "%s%s:%d:%.*s", n != 0 ? " " : "", (const char *)self, (int)event,
             CCP_FMT(what->provider));
    return ((const char *)self)[0] != 'f';
}

static bool never(void *self, enum ccp_event event, struct ccp_exchange *x)
{
    fail_msg("an event with a payload came without it");
    return true;
}

static const struct ccp_hook wanting = {
    .name = "w", .events = CCP_HEARS(OAUTH_ERROR), .on_event = never, .on_oauth = note};
static const struct ccp_hook deaf = {.name = "d", .events = CCP_HEARS(OAUTH_ERROR), .on_event = never};

static void who_listens_gets_them(void **state)
{
    struct hook_entry first = {.h = &wanting, .self = "fails", .owner = CCP_SPAN("t")},
                      second = {.h = &deaf, .owner = CCP_SPAN("t")}, third = {.h = &wanting, .self = "ok"};
    struct hook_entry *all[] = {&first, &second, &third};
    struct runtime rt = {.heard = CCP_HEARS(OAUTH_ERROR)};
    rt.hooks[CCP_EVENT_OAUTH_ERROR] = all;
    rt.hook_count[CCP_EVENT_OAUTH_ERROR] = 3;
    struct ccp_oauth_event what = {.provider = CCP_SPAN("acme")};
    char expected[64];
    chain_announce_oauth(&rt, CCP_EVENT_OAUTH_ERROR, &what);
    snprintf(expected, sizeof(expected), "fails:%d:acme ok:%d:acme", CCP_EVENT_OAUTH_ERROR, CCP_EVENT_OAUTH_ERROR);
    assert_string_equal(seen, expected);
    assert_int_equal(first.failures, 1);
    assert_int_equal(third.failures, 0);
}

static void nobody_hears_what_nobody_wants(void **state)
{
    struct runtime rt = {.heard = 0};
    struct hook_entry *none = NULL;
    rt.hooks[CCP_EVENT_CREDENTIAL_CHANGED] = &none;
    rt.hook_count[CCP_EVENT_CREDENTIAL_CHANGED] = 1; /* would be read if the mask were not asked first */
    chain_announce_oauth(&rt, CCP_EVENT_CREDENTIAL_CHANGED, &(struct ccp_oauth_event){.status = 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_listens_gets_them),
        cmocka_unit_test(nobody_hears_what_nobody_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Events of no exchange on their way to in-line subscribers: who listens gets them, in order; who fails is counted, who
 * fails too often is not called any more.
 */
#include <chain/chain.h>
#include <plugin/runtime.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char seen[256];

static bool note(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    size_t n = strlen(seen);
    assert_null(x);
    snprintf(seen + n, sizeof(seen) - n, "%s%s:%d:%.*s", n != 0 ? " " : "", (const char *)self, (int)event,
             CCP_FMT(m->name));
    return ((const char *)self)[0] != 'f';
}

static bool look(void *self, const struct ccp_event_info *info)
{
    fail_msg("observers are not called in line");
    return true;
}

static const struct ccp_hook wanting = {.name = "w", .events = CCP_HEARS(OAUTH_ERROR), .on_event = note};
static const struct ccp_hook later = {.name = "l", .events = CCP_HEARS(OAUTH_ERROR), .observe = look};
static const struct ccp_plugin manifest = {.name = "t"};

static void who_listens_gets_them(void **state)
{
    struct plugin_unit unit = {.manifest = &manifest, .guard = {.limits = {0, 3, 60000000}}};
    struct hook_entry first = {.h = &wanting, .self = "fails", .unit = &unit}, second = {.h = &later},
                      third = {.h = &wanting, .self = "ok"};
    struct hook_entry *all[] = {&first, &second, &third};
    struct runtime rt = {.heard_in_line = CCP_HEARS(OAUTH_ERROR)};
    rt.hooks[CCP_EVENT_OAUTH_ERROR] = all;
    rt.hook_count[CCP_EVENT_OAUTH_ERROR] = 3;
    struct ccp_moment m = {.size = sizeof(m), .name = CCP_SPAN("acme")};
    char expected[64];
    chain_announce(&rt, NULL, CCP_EVENT_OAUTH_ERROR, &m);
    snprintf(expected, sizeof(expected), "fails:%d:acme ok:%d:acme", CCP_EVENT_OAUTH_ERROR, CCP_EVENT_OAUTH_ERROR);
    assert_string_equal(seen, expected);
    assert_int_equal(unit.guard.failed, 1);
    assert_true(unit_callable(&unit));
    chain_announce(&rt, NULL, CCP_EVENT_OAUTH_ERROR, &m);
    chain_announce(&rt, NULL, CCP_EVENT_OAUTH_ERROR, &m);
    assert_false(unit_callable(&unit));
    assert_non_null(strstr(guard_reason(&unit).p, "3 failures within 60 s; the last one: w"));
    seen[0] = '\0';
    chain_announce(&rt, NULL, CCP_EVENT_OAUTH_ERROR, NULL);
    snprintf(expected, sizeof(expected), "ok:%d:", CCP_EVENT_OAUTH_ERROR);
    assert_string_equal(seen, expected);
}

static void nobody_hears_what_nobody_wants(void **state)
{
    struct runtime rt = {.heard_in_line = 0};
    struct hook_entry *none = NULL;
    rt.hooks[CCP_EVENT_CREDENTIAL_CHANGED] = &none;
    rt.hook_count[CCP_EVENT_CREDENTIAL_CHANGED] = 1; /* would be read if the mask were not asked first */
    chain_announce(&rt, NULL, CCP_EVENT_CREDENTIAL_CHANGED, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_listens_gets_them),
        cmocka_unit_test(nobody_hears_what_nobody_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

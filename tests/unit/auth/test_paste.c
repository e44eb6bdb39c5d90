/*
 * What users paste and what browsers bring: the fixtures, and whatever else a clipboard may hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <auth/protocol.h>
#include <cmocka.h>

#include "fixture.h"

static struct arena arena;

static int set_up(void **state)
{
    arena_init(&arena, NULL, 0);
    return 0;
}

static int tear_down(void **state)
{
    arena_end(&arena);
    return 0;
}

static void pasted_fixtures(void **state)
{
    size_t n = 0;

    for (const struct ccp_json *c = ccp_json_get(fixture(&arena, "paste-code.json"), "cases")->child; c != NULL;
         c = c->next, n++) {
        struct pasted got;
        assert_null(paste_read(&arena, fixture_text(&arena, c, "input"), &got));
        assert_true(ccp_span_eq(got.code, fixture_text(&arena, c, "code")));
        assert_true(ccp_span_eq(got.state, fixture_text(&arena, c, "state"))); /* null = absent = empty */
        assert_int_equal(got.error.n, 0);
    }
    assert_int_equal(n, 4);
}

static void callback_fixtures(void **state)
{
    size_t n = 0;

    for (const struct ccp_json *c = ccp_json_get(fixture(&arena, "callback.json"), "cases")->child; c != NULL;
         c = c->next, n++) {
        struct pasted got;
        struct ccp_span target = fixture_text(&arena, c, "target");
        assert_null(paste_read_query(&arena, ccp_span_skip(target, ccp_span_find(target, '?') + 1), &got));
        bool ok = ccp_json_get(c, "ok")->type == CCP_JSON_TRUE;
        struct ccp_span iss = fixture_text(&arena, c, "expected_iss"), code = fixture_text(&arena, c, "code");
        bool taken = got.code.n != 0 && ccp_span_is(got.state, "st4te") &&
                     (iss.n == 0 || got.iss.n == 0 || ccp_span_eq(got.iss, iss));
        assert_int_equal(taken, ok);
        assert_true(ccp_span_eq(got.error, fixture_text(&arena, c, "error")));
        if (code.n != 0)
            assert_true(ccp_span_eq(got.code, code));
    }
    assert_int_equal(n, 7);
}

static void spellings(void **state)
{
    static const struct {
        const char *text, *code, *state, *iss, *error, *description;
    } rows[] = {
        {"code=a&state=b", "a", "b", "", "", ""},
        {"?code=a&state=b", "a", "b", "", "", ""},
        {"\r\n\t state=b&code=a \r\n", "a", "b", "", "", ""},
        {"http://localhost:1455/auth/callback?code=a%20b+c&state=%62", "a b c", "b", "", "", ""},
        {"https://x.example/cb?code=a&state=b#fragment", "a", "b", "", "", ""},
        {"https://x.example/cb?error=access_denied&error_description=No+way%21&state=b", "", "b", "", "access_denied",
         "No way!"},
        {"https://x.example/cb?code=a&iss=https%3A%2F%2Fx.example&state=b&other=1&other=2", "a", "b",
         "https://x.example", "", ""},
        {"localhost:1455/auth/callback?code=a&state=b", "a", "b", "", "", ""},
        {"code=&error=x", "", "", "", "x", ""},
        {"ab#", "ab", "", "", "", ""},
        {"4/0Ab_c-d~#s", "4/0Ab_c-d~", "s", "", "", ""},
        {"a+b#c%20d", "a+b", "c%20d", "", "", ""}, /* a pair is not encoded */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pasted got;
        const char *why = paste_read(&arena, ccp_span_z(rows[i].text), &got);
        if (why != NULL)
            fail_msg("%s: %s", rows[i].text, why);
        assert_true(ccp_span_is(got.code, rows[i].code));
        assert_true(ccp_span_is(got.state, rows[i].state));
        assert_true(ccp_span_is(got.iss, rows[i].iss));
        assert_true(ccp_span_is(got.error, rows[i].error));
        assert_true(ccp_span_is(got.error_description, rows[i].description));
    }
}

static void refuses(struct ccp_span text, const char *why)
{
    struct pasted got;
    const char *said = paste_read(&arena, text, &got);

    if (said == NULL || strstr(said, why) == NULL)
        fail_msg("%.40s: %s", text.p, said != NULL ? said : "taken");
    assert_int_equal(got.code.n, 0);
    assert_int_equal(got.iss.n + got.error.n, 0);
}

static void refused(void **state)
{
    static char big[10 * 1024];

    refuses(CCP_SPAN(""), "empty");
    refuses(CCP_SPAN(" \r\n\t"), "empty");
    refuses(CCP_SPAN("#state"), "neither");
    refuses(CCP_SPAN("a#b#c"), "neither");
    refuses(CCP_SPAN("code with spaces"), "spaces");
    refuses(CCP_SPAN("code\x1b[31m#s"), "control");
    refuses(CCP_SPAN("co\0de#s"), "control");
    refuses(CCP_SPAN("c\xc3\xb6"
                     "de#s"),
            "control");
    refuses(CCP_SPAN("https://x.example/cb"), "no code");
    refuses(CCP_SPAN("https://x.example/cb?state=b"), "no code");
    refuses(CCP_SPAN("https://x.example/cb?code=a&code=b&state=c"), "twice");
    refuses(CCP_SPAN("https://x.example/cb?code=a&state=c&state=c"), "twice");
    refuses(CCP_SPAN("code=a%2&state=c"), "percent");
    refuses(CCP_SPAN("code=a%zz&state=c"), "percent");
    refuses(CCP_SPAN("code=a%0d%0aX-Evil%3a1&state=c"), "control");
    refuses(CCP_SPAN("code=a%00b&state=c"), "control");
    refuses(CCP_SPAN("code=a&state=c%1b"), "control");
    memset(big, 'a', sizeof(big));
    refuses(ccp_span_of(big, sizeof(big)), "8 KiB"); /* OAU-20: 10 KiB */
    refuses(ccp_span_of(big, 8 * 1024 + 1), "8 KiB");
    struct pasted got;
    assert_null(paste_read(&arena, ccp_span_of(big, 8 * 1024), &got));
    assert_int_equal(got.code.n, 8 * 1024);
    assert_non_null(paste_read_query(&arena, ccp_span_of(big, sizeof(big)), &got));
}

static void memory_ends(void **state)
{
    struct arena small;
    struct pasted got;

    arena_init(&small, NULL, 1);
    assert_non_null(paste_read(&small, CCP_SPAN("abc#def"), &got));
    assert_int_equal(got.code.n, 0);
    assert_non_null(paste_read(&small, CCP_SPAN("code=abc&state=def"), &got));
    assert_int_equal(got.code.n, 0);
    arena_end(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pasted_fixtures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(callback_fixtures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spellings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_ends, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

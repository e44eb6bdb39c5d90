/*
 * The table of statuses: complete, unique and consistent with what clients are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/status.h>
#include <string.h>

static void every_row(void **state)
{
    for (int i = 0; i < CCP_STATUS_COUNT; i++) {
        enum ccp_status s = (enum ccp_status)i;
        assert_true(status_text(s)[0] != '\0');
        assert_true(status_message(s)[0] != '\0');
        int http = status_http(s);
        assert_true(s == CCP_CLIENT_GONE ? http == 0 : http >= 200 && http <= 504);
        /* what a client may send again is never its own fault */
        if (status_retryable(s))
            assert_true(http == 429 || http >= 500);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(status_text(s), status_text((enum ccp_status)j));
    }
}

static void promises(void **state)
{
    assert_int_equal(status_http(CCP_OK), 200);
    assert_int_equal(status_http(CCP_UNAUTHORIZED), 401);
    assert_int_equal(status_http(CCP_FORBIDDEN), 403);
    assert_int_equal(status_http(CCP_TOO_LARGE), 413);
    assert_int_equal(status_http(CCP_BAD_ENCODING), 415);
    assert_int_equal(status_http(CCP_MISDIRECTED), 421);
    assert_int_equal(status_http(CCP_UPGRADE_REQUIRED), 426);
    assert_int_equal(status_http(CCP_UPSTREAM), 502);
    assert_int_equal(status_http(CCP_UPSTREAM_TIMEOUT), 504);
    /* a missing login does not heal by asking again */
    assert_int_equal(status_http(CCP_LOGIN_REQUIRED), 503);
    assert_false(status_retryable(CCP_LOGIN_REQUIRED));
    assert_true(status_retryable(CCP_OVERLOADED));
    assert_string_equal(status_text(CCP_UPSTREAM_TIMEOUT), "upstream_timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_row), cmocka_unit_test(promises)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

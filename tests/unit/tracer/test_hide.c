/*
 * Heads without credentials: what is hidden by its place, what by its look, and what stays as it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <wire/headers.h>

#include "../../../system-plugins/request_tracer/request_tracer_impl.h"

static const struct ccp_api api = {.header_is_secret = headers_secret};

static const char *header(const char *name, const char *value)
{
    static char out[1000];
    struct sink s = {out, 0};
    struct sink counted = {NULL, 0};
    struct ccp_header h = {ccp_span_z(name), ccp_span_z(value)};
    hide_header(&api, &counted, &h);
    hide_header(&api, &s, &h);
    assert_int_equal(counted.n, s.n);
    out[s.n] = '\0';
    return out;
}

static const char *url(const char *text)
{
    static char out[1000];
    struct sink s = {out, 0};
    hide_url(&api, &s, ccp_span_z(text));
    out[s.n] = '\0';
    return out;
}

static void headers(void **state)
{
    static const char *const rows[][3] = {
        {"authorization", "Bearer abc", "authorization: Bearer [redacted]\n"},
        {"authorization", "abc def", "authorization: [redacted]\n"},
        {"proxy-authorization", "Basic dTpw", "proxy-authorization: Basic [redacted]\n"},
        {"cookie", "a=b", "cookie: [redacted]\n"},
        {"set-cookie", "a=b", "set-cookie: [redacted]\n"},
        {"x-api-key", "k", "x-api-key: [redacted]\n"},
        {"x-amz-security-token", "t", "x-amz-security-token: [redacted]\n"},
        {"x-private", "sk-proj-0123456789", "x-private: [redacted]\n"},
        {"x-private", "id=ghp_0123456789abcdef;x", "x-private: [redacted]\n"},
        {"x-private", "plain text", "x-private: plain text\n"},
        {"user-agent", "task-management/1.0 (risk-assessment)", "user-agent: task-management/1.0 (risk-assessment)\n"},
        {"referer", "https://a.example/p?token=x&a=b", "referer: https://a.example/p?token=[redacted]&a=b\n"},
        {"anthropic-version", "2023-06-01", "anthropic-version: 2023-06-01\n"},
        {"content-type", "application/json", "content-type: application/json\n"},
        {"x-empty", "", "x-empty: \n"},
        {"sk-proj-0123456789", "v", "[redacted]: v\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(header(rows[i][0], rows[i][1]), rows[i][2]);
}

static void urls(void **state)
{
    static const char *const rows[][2] = {
        {"/v1/messages", "/v1/messages"},
        {"/v1/messages?beta=true", "/v1/messages?beta=true"},
        {"/m:g?key=abc&alt=sse", "/m:g?key=[redacted]&alt=sse"},
        {"/m?k%65y=abc", "/m?k%65y=[redacted]"},
        {"/m?a=1&access_token=x&b=2", "/m?a=1&access_token=[redacted]&b=2"},
        {"/m?code=x&state=y", "/m?code=[redacted]&state=[redacted]"},
        {"/m?q=%73%6B-0123456789ab", "/m?q=[redacted]"},
        {"/m?sk-0123456789ab", "/m?[redacted]"},
        {"/m?a=b&", "/m?a=b&"},
        {"/m?", "/m?"},
        {"/x/sk-0123456789ab/y", "/x/[redacted]/y"},
        {"https://api.example/v1/x?api_key=1", "https://api.example/v1/x?api_key=[redacted]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(url(rows[i][0]), rows[i][1]);
}

/* Wherever it stands in a long value, as it is or escaped. */
static void far_behind(void **state)
{
    static const char *const forms[] = {".sk-0123456789ab", "%2e%73%6B%2d%30123456789ab"};
    char text[1000];
    for (size_t i = 0; i < 2; i++)
        for (size_t at = 0; at < 900; at++) {
            size_t n = (size_t)snprintf(text, sizeof(text), "/m?q=");
            memset(text + n, 'x', at);
            snprintf(text + n + at, sizeof(text) - n - at, "%s", forms[i]);
            assert_string_equal(url(text), "/m?q=[redacted]");
        }
    memset(text + 5, 'x', 990);
    text[995] = '\0';
    assert_string_equal(url(text), text);
}

static void the_sample(void **state)
{
    unsigned taken = 0, again = 0;
    for (int i = 0; i < 20000; i++) {
        char id[40];
        int n = snprintf(id, sizeof(id), "req_%024x", (unsigned)i);
        bool first = trace_sampled(ccp_span_of(id, (size_t)n), 0.1);
        taken += first;
        again += trace_sampled(ccp_span_of(id, (size_t)n), 0.1) == first;
        assert_true(trace_sampled(ccp_span_of(id, (size_t)n), 1.0));
        assert_false(trace_sampled(ccp_span_of(id, (size_t)n), 0.0));
        assert_true(!first ||
                    trace_sampled(ccp_span_of(id, (size_t)n), 0.2)); /* a larger sample holds the smaller one */
    }
    assert_int_equal(again, 20000);
    assert_true(taken > 1850 && taken < 2150);
    printf("a sample of 0.1 took %u of 20000\n", taken);
}

static void paths(void **state)
{
    assert_true(trace_path_matches(CCP_SPAN("/health*"), CCP_SPAN("/health/live")));
    assert_true(trace_path_matches(CCP_SPAN("/a"), CCP_SPAN("/a")));
    assert_false(trace_path_matches(CCP_SPAN("/a"), CCP_SPAN("/ab")));
    assert_false(trace_path_matches(CCP_SPAN(""), CCP_SPAN("/ab")));
    assert_true(trace_path_matches(CCP_SPAN("*"), CCP_SPAN("/ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),    cmocka_unit_test(urls),  cmocka_unit_test(far_behind),
        cmocka_unit_test(the_sample), cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

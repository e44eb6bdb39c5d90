/*
 * Header rules: what stays on its hop, what travels, what is legal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <wire/headers.h>

static bool has(const char *const *set, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(set[i], name) == 0)
            return true;
    return false;
}
#define IN(set, name) has(set, sizeof(set) / sizeof(*(set)), name)

static const char *const hop[] = {
    "connection",        "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",    "http2-settings"};
static const char *const not_up[] = {"host",
                                     "content-length",
                                     "expect",
                                     "accept-encoding",
                                     "cookie",
                                     "cookie2",
                                     "forwarded",
                                     "x-forwarded-for",
                                     "x-forwarded-host",
                                     "x-forwarded-proto",
                                     "x-forwarded",
                                     "x-real-ip",
                                     "cf-ray",
                                     "cf-connecting-ip",
                                     "via",
                                     "true-client-ip",
                                     "x-client-ip",
                                     "x-cluster-client-ip",
                                     "x-ccproxy-token",
                                     "x-ccproxy-strict",
                                     ":path"};
static const char *const not_down[] = {"set-cookie",
                                       "set-cookie2",
                                       "date",
                                       "server",
                                       "content-length",
                                       "alt-svc",
                                       "strict-transport-security",
                                       "clear-site-data",
                                       "access-control-allow-origin",
                                       "x-ccproxy-provider",
                                       ":status"};
static const char *const secret[] = {"authorization", "proxy-authorization", "x-api-key", "x-goog-api-key",
                                     "api-key",       "x-ccproxy-token",     "cookie",    "set-cookie"};
static const char *const free_names[] = {"accept",
                                         "user-agent",
                                         "content-type",
                                         "content-encoding",
                                         "anthropic-version",
                                         "anthropic-beta",
                                         "openai-organization",
                                         "x-stainless-lang",
                                         "x-app",
                                         "x-request-id",
                                         "request-id",
                                         "retry-after",
                                         "x-should-retry",
                                         "a",
                                         "tee",
                                         "x-forward",
                                         "cfx",
                                         "dates",
                                         "servers",
                                         "hosts",
                                         "cookie3",
                                         "x-api-keys",
                                         "xx-api-key",
                                         "upgraded",
                                         "trailers",
                                         "vib",
                                         "expecu",
                                         "x-real-iq",
                                         "access-control",
                                         "openai-processing-ms",
                                         "anthropic-ratelimit-requests-remaining",
                                         "x-ccproxy",
                                         "te-",
                                         "keep-alivf"};

/* ccproxy's own fields and pseudo fields go nowhere. */
static bool own(const char *name)
{
    return name[0] == ':' || strncmp(name, "x-ccproxy-", 10) == 0;
}

static void judge(const char *name)
{
    struct ccp_span n = ccp_span_z(name);
    assert_int_equal(headers_hop_by_hop(n, CCP_SPAN("")), IN(hop, name));
    assert_int_equal(headers_forward_request(n), !IN(hop, name) && !IN(not_up, name) && !own(name));
    assert_int_equal(headers_forward_response(n), !IN(hop, name) && !IN(not_down, name) && !own(name));
    assert_int_equal(headers_credential(n), IN(secret, name));
}

static void sets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hop) / sizeof(*hop); i++)
        judge(hop[i]);
    for (size_t i = 0; i < sizeof(not_up) / sizeof(*not_up); i++)
        judge(not_up[i]);
    for (size_t i = 0; i < sizeof(not_down) / sizeof(*not_down); i++)
        judge(not_down[i]);
    for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++)
        judge(secret[i]);
    for (size_t i = 0; i < sizeof(free_names) / sizeof(*free_names); i++)
        judge(free_names[i]);
    assert_false(headers_forward_request(CCP_SPAN("")));
    assert_false(headers_forward_response(CCP_SPAN("")));
}

static void connection(void **state)
{
    (void)state;
    struct ccp_span list = CCP_SPAN("close,X-Foo , ,\tx-bar\t,authorization, x-api-key, X-Goog-Api-Key, api-key, "
                                    "x-ccproxy-token, host, content-type, Content-Length, cookie");
    assert_true(headers_hop_by_hop(CCP_SPAN("x-foo"), list));
    assert_true(headers_hop_by_hop(CCP_SPAN("x-bar"), list));
    assert_true(headers_hop_by_hop(CCP_SPAN("te"), list));
    static const char *const kept[] = {"x-fo",
                                       "x-fooo",
                                       "authorization",
                                       "x-api-key",
                                       "x-goog-api-key",
                                       "api-key",
                                       "x-ccproxy-token",
                                       "host",
                                       "content-type",
                                       "content-length",
                                       "cookie",
                                       "x",
                                       ""};
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        if (kept[i][0] != '\0')
            assert_false(headers_hop_by_hop(ccp_span_z(kept[i]), list));
    assert_true(headers_hop_by_hop(CCP_SPAN("x-one"), CCP_SPAN("x-one")));
    assert_false(headers_hop_by_hop(CCP_SPAN("x-one"), CCP_SPAN("x-one x-two")));
    assert_false(headers_hop_by_hop(CCP_SPAN("x-one"), CCP_SPAN(",,,")));
    assert_false(headers_hop_by_hop(CCP_SPAN("x-one"), (struct ccp_span){NULL, 0}));
}

static void get(void **state)
{
    (void)state;
    const struct ccp_header h[] = {
        {CCP_LIT("a"), CCP_LIT("1")}, {CCP_LIT("b"), CCP_LIT("")}, {CCP_LIT("a"), CCP_LIT("2")}};
    assert_true(ccp_span_is(headers_get(h, 3, CCP_SPAN("a")), "1"));
    assert_true(headers_get(h, 3, CCP_SPAN("b")).p != NULL && headers_get(h, 3, CCP_SPAN("b")).n == 0);
    assert_null(headers_get(h, 3, CCP_SPAN("c")).p);
    assert_null(headers_get(NULL, 0, CCP_SPAN("a")).p);
}

static void legal(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        assert_int_equal(headers_value_ok(ccp_span_of(text, 3)), (c >= 0x20 && c != 0x7f) || c == '\t');
        bool token =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        assert_int_equal(headers_name_ok(ccp_span_of(text, 3)), token);
    }
    assert_true(headers_value_ok(CCP_SPAN("")));
    assert_false(headers_name_ok(CCP_SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sets), cmocka_unit_test(connection), cmocka_unit_test(get),
                                       cmocka_unit_test(legal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

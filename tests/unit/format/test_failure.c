/*
 * Errors of upstreams, read: every shape there is, what must not come through, and what happens without memory.
 *
 * The bodies of tests/fixtures/wire/errors are what providers send.
 */
#include "failure.h"

#include <base/clock.h>
#include <base/fault.h>
#include <stdlib.h>

#define HEADERS 8

static uint64_t fixed_clock(void)
{
    return (uint64_t)1700000000 * 1000000;
}

/* -- the fixtures -- */

static size_t headers_of(const struct ccp_json *c, struct ccp_header *headers)
{
    size_t n = 0;
    const struct ccp_json *list = ccp_json_get(c, "headers");
    for (const struct ccp_json *h = list != NULL ? list->child : NULL; h != NULL && n < HEADERS; h = h->next)
        headers[n++] = (struct ccp_header){h->key, ccp_json_inner(h)};
    return n;
}

static void one_fixture(struct arena *a, const struct ccp_json *c)
{
    struct ccp_header headers[HEADERS];
    size_t n = headers_of(c, headers);
    const struct ccp_json *body = ccp_json_get(c, "body"), *want = ccp_json_get(c, "expect");
    struct ccp_span text = body->type == CCP_JSON_STRING ? json_text(a, body->raw) : body->raw;
    int64_t http;
    assert_true(prompt_int(ccp_json_get(c, "status"), &http));
    struct failure f;
    failure_read(&f, a, (int)http, headers, n, text);
    assert_int_equal(f.kind, kind_named(ccp_json_inner(ccp_json_get(want, "kind"))));
    if (ccp_json_get(want, "message") != NULL)
        assert_true(ccp_span_eq(f.message, ccp_json_inner(ccp_json_get(want, "message"))));
    assert_false(contains(f.message, "<"));
    const struct ccp_json *retry = ccp_json_get(want, "retry_after_s");
    if (retry == NULL)
        assert_int_equal(f.retry_after_ms, 0);
    else if (ccp_span_is(retry->raw, "1.25"))
        assert_int_equal(f.retry_after_ms, 1250);
    else
        assert_int_equal((f.retry_after_ms + 999) / 1000, strtoul(retry->raw.p, NULL, 10));
}

static void upstream_fixtures(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    struct ccp_json *root;
    assert_int_equal(json_parse(&a, load(&a, "upstream-errors.json"), &root, NULL), CCP_OK);
    assert_true(root->count >= 20);
    for (const struct ccp_json *c = root->child; c != NULL; c = c->next)
        one_fixture(&a, c);
    arena_end(&a);
}

/* -- shapes that the fixtures do not have -- */

static const struct {
    int http;
    const char *body;
    enum failure_kind kind;
    const char *message, *code;
} shapes[] = {
    {502, "", FAILURE_UPSTREAM, "the provider answered with status 502 and no reason", ""},
    {0, "", FAILURE_UPSTREAM, "the provider reported an error without a reason", ""},
    {503, "  <!DOCTYPE html><p>down</p>", FAILURE_OVERLOADED, "the provider answered with status 503 and no reason",
     ""},
    {403, "error\n<HTML>blocked</HTML>", FAILURE_PERMISSION, "the provider answered with status 403 and no reason", ""},
    {500, "\x1f\x8b\x08 packed", FAILURE_UPSTREAM, "the provider answered with status 500 and no reason", ""},
    {500, " plain\n", FAILURE_UPSTREAM, "plain", ""},
    {500, "\"quoted\"", FAILURE_UPSTREAM, "quoted", ""},
    {500, "null", FAILURE_UPSTREAM, "null", ""},
    {500, "{\"error\":null}", FAILURE_UPSTREAM, "{\\\"error\\\":null}", ""},
    {500, "{\"error\":{\"message\":\"<html>\"}}", FAILURE_UPSTREAM,
     "the provider answered with status 500 and no reason", ""},
    {422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\",\"type\":\"missing\"}]}", FAILURE_INVALID,
     "field required", ""},
    {400, "{\"error\":\"invalid_grant\",\"error_description\":\"gone\"}", FAILURE_INVALID, "gone", "invalid_grant"},
    {400, "{\"error\":{\"error\":\"x\"}}", FAILURE_INVALID, "{\\\"error\\\":\\\"x\\\"}", ""},
    {400, "\xef\xbb\xbf{\"message\":\"marked\"}", FAILURE_INVALID, "marked", ""},
    {429, "event: error\ndata: {\"error\":{\"message\":\"as an event\"}}\n\n", FAILURE_RATE, "as an event", ""},
    {0, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", FAILURE_OVERLOADED,
     "Overloaded", ""},
    {0, "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":null}", FAILURE_RATE,
     "slow", "rate_limit_exceeded"},
    {0, "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}",
     FAILURE_UPSTREAM, "m", "server_error"},
    {0, "{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}", FAILURE_OVERLOADED, "m", ""},
    {0, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}", FAILURE_INVALID, "m", ""},
    {400, "{\"__type\":\"com.amazon.coral.service#UnrecognizedClientException\",\"message\":\"m\"}", FAILURE_AUTH, "m",
     ""},
    {400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\",\"details\":{\"error_code\":"
     "\"thread_not_found\"}}}",
     FAILURE_INVALID, "m", "thread_not_found"},
    {401, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\",\"code\":null}}", FAILURE_AUTH, "m", ""},
    {500, "{\"error\":{\"message\":\"m\",\"code\":\"not a word\"}}", FAILURE_UPSTREAM, "m", ""},
};

static void other_shapes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct failure f = read_text(&a, shapes[i].http, shapes[i].body);
        message_is(&f, shapes[i].message);
        assert_int_equal(f.kind, shapes[i].kind);
        assert_true(ccp_span_is(f.code, shapes[i].code));
    }
    arena_end(&a);
}

static void good_status(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool error;
    } bodies[] = {
        {"{\"error\":{\"code\":502,\"message\":\"m\"}}", true},
        {"{\"error\":\"text\"}", true},
        {"[{\"error\":{\"code\":400}}]", true},
        {"{\"type\":\"error\",\"message\":\"m\"}", true},
        {"{\"object\":\"error\",\"message\":\"m\"}", true},
        {"{\"detail\":\"m\"}", true},
        {"{\"error\":null,\"output\":[]}", false},
        {"{\"choices\":[],\"message\":\"m\"}", false},
        {"{\"candidates\":[]}", false},
        {"[{\"candidates\":[]}]", false},
        {"{\"content\":[],\"type\":\"message\"}", false},
        {"{\"totalTokens\":3}", false},
        {"{}", false},
        {"[]", false},
        {"3", false},
    };
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct ccp_json *root;
        assert_int_equal(json_parse(&a, ccp_span_z(bodies[i].body), &root, NULL), CCP_OK);
        assert_int_equal(failure_in_body(root), bodies[i].error);
    }
    arena_end(&a);
}

/* -- when to try again -- */

static const struct {
    const char *name, *value, *body;
    uint64_t ms;
} retries[] = {
    {"retry-after", "17", "", 17000},
    {"retry-after", "1.5", "", 1500},
    {"retry-after", "1.0001", "", 1001},
    {"retry-after", "0", "", 0},
    {"retry-after", "-3", "", 0},
    {"retry-after", "soon", "", 0},
    {"retry-after", "99999999999999999999999999", "", 0},
    {"retry-after", "Tue, 14 Nov 2023 22:13:30 GMT", "", 10000},
    {"retry-after", "Tue, 14 Nov 2023 22:13:10 GMT", "", 0}, /* gone by */
    {"retry-after-ms", "1250", "", 1250},
    {"retry-after-ms", "0.2", "", 1},
    {"x-ratelimit-reset-requests", "1m3.2s", "", 63200},
    {"x-ratelimit-reset-tokens", "6m0s", "", 360000},
    {"x-ratelimit-reset-tokens", "12ms", "", 12},
    {"x-ratelimit-reset-tokens", "1h", "", 3600000},
    {"x-ratelimit-reset-tokens", "1x", "", 0},
    {"anthropic-ratelimit-unified-reset", "1700000060", "", 60000},
    {"x", "", "{\"error\":{\"message\":\"m\",\"resets_in_seconds\":3600}}", 3600000},
    {"x", "", "{\"error\":{\"message\":\"m\",\"resets_at\":1700000009}}", 9000},
    {"x", "", "{\"error\":{\"message\":\"m\",\"resets_at\":1600000000}}", 0},
    {"x", "", "{\"error\":{\"message\":\"m\",\"details\":[{},{\"retryDelay\":\"34.0701s\"}]}}", 34071},
    {"x", "", "{\"error\":{\"message\":\"m\",\"details\":[{\"retryDelay\":\"0.0000000001s\"}]}}", 1},
    {"retry-after", "2", "{\"error\":{\"message\":\"m\",\"resets_in_seconds\":3600}}", 2000},
};

static void try_again(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    clock_replace(NULL, fixed_clock);
    for (size_t i = 0; i < sizeof(retries) / sizeof(retries[0]); i++) {
        struct ccp_header h = {ccp_span_z(retries[i].name), ccp_span_z(retries[i].value)};
        struct failure f;
        failure_read(&f, &a, 429, &h, 1, ccp_span_z(retries[i].body));
        assert_int_equal(f.retry_after_ms, retries[i].ms);
    }
    struct ccp_header both[] = {{CCP_SPAN("x-ratelimit-reset-requests"), CCP_SPAN("2s")},
                                {CCP_SPAN("x-ratelimit-reset-tokens"), CCP_SPAN("50s")},
                                {CCP_SPAN("x-ratelimit-remaining-tokens"), CCP_SPAN("9")}};
    struct failure f;
    failure_read(&f, &a, 429, both, 3, CCP_SPAN(""));
    assert_int_equal(f.retry_after_ms, 2000); /* neither says that it is spent */
    both[2].value = CCP_SPAN("0");
    failure_read(&f, &a, 429, both, 3, CCP_SPAN(""));
    assert_int_equal(f.retry_after_ms, 50000);
    failure_read(&f, &a, 400, both, 3, CCP_SPAN(""));
    assert_int_equal(f.retry_after_ms, 0); /* no limit was met */
    clock_replace(NULL, NULL);
    arena_end(&a);
}

/* -- hostile bodies -- */

static struct ccp_span filled(struct arena *a, const char *before, const char *unit, size_t times, const char *behind)
{
    size_t n = strlen(before), u = strlen(unit), b = strlen(behind);
    char *out = arena_alloc(a, n + u * times + b);
    assert_non_null(out);
    memcpy(out, before, n);
    for (size_t i = 0; i < times; i++)
        memcpy(out + n + i * u, unit, u);
    memcpy(out + n + u * times, behind, b);
    return ccp_span_of(out, n + u * times + b);
}

static void large_bodies(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    struct failure f = read_body(&a, 502, filled(&a, "<html>", "<p>blah</p>", 100000, "</html>"));
    message_is(&f, "the provider answered with status 502 and no reason");
    f = read_body(&a, 400, filled(&a, "", "\xf0\x9f\x98\x80", 300000, ""));
    assert_int_equal(f.message.n, FAILURE_TEXT_MAX);
    f = read_body(&a, 400, filled(&a, "x", "\xf0\x9f\x98\x80", 300000, ""));
    assert_int_equal(f.message.n, FAILURE_TEXT_MAX - 3); /* no half of a code point */
    f = read_body(&a, 400, filled(&a, "{\"error\":{\"message\":\"", "\\ud83d\\ude00", 100000, "\"}}"));
    assert_int_equal(f.message.n, FAILURE_TEXT_MAX);
    f = read_body(&a, 400, filled(&a, "{\"message\":\"a", "b\\u0001", 100000, "\"}"));
    assert_int_equal(f.message.n, 1 + 7 * 1023 + 1); /* counted before they are escaped again */
    f = read_body(&a, 400, filled(&a, "", "[", 100000, ""));
    assert_int_equal(f.message.n, FAILURE_TEXT_MAX);
    f = read_body(&a, 400, filled(&a, "", "{\"error\":", 600, "1"));
    assert_int_equal(f.kind, FAILURE_INVALID);
    arena_end(&a);
}

static void broken_text(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    struct failure f = read_text(&a, 500, "caf\xe9 \xf0\x9f\x98");
    message_is(&f, "caf\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    f = read_text(&a, 500, "{\"message\":\"say \\\"no\\\" \\u0000 \\ud800\"}");
    message_is(&f, "say \\\"no\\\" \\u0000 \xef\xbf\xbd");
    f = read_body(&a, 500, CCP_SPAN("nul \0 here"));
    message_is(&f, "the provider answered with status 500 and no reason");
    arena_end(&a);
}

/* Assembled here, so that no scanner takes the source for a leak. */
#define KEY                                                                                                            \
    "FIXTURE"                                                                                                          \
    "0123456789"                                                                                                       \
    "abcdefABCDEF"
#define GONE "[redacted]"

static const struct {
    const char *upstream, *shown;
} secrets[] = {
    {"Incorrect API key provided: sk-" KEY ". See", "Incorrect API key provided: " GONE ". See"},
    {"sk-ant-oat01-" KEY, GONE},
    {"sk-proj-" KEY "_" KEY "-x", GONE},
    {"(AIza" KEY ")", "(" GONE ")"},
    {"Authorization: Bearer " KEY ", sent", "Authorization: Bearer " GONE ", sent"},
    {"Basic " KEY "==", "Basic " GONE},
    {"https://x/y?alt=sse&key=" KEY "&z=1", "https://x/y?alt=sse&key=" GONE "&z=1"},
    {"access_token=" KEY, "access_token=" GONE},
    {"X-Api-Key: " KEY, "X-Api-Key: " GONE},
    {"ya29." KEY " gho_" KEY " github_pat_" KEY, GONE " " GONE " " GONE},
    {"eyJhbGci." KEY "." KEY, GONE},
    {"hf_" KEY "|gsk_" KEY "|xai-" KEY, GONE "|" GONE "|" GONE},
    /* What is none stays readable. */
    {"Incorrect API key provided: sk-proj-****abcd.", "Incorrect API key provided: sk-proj-****abcd."},
    {"Bearer authentication is required", "Bearer authentication is required"},
    {"Basic information, risk-assessment-of-this-size", "Basic information, risk-assessment-of-this-size"},
    {"tasks-aaaaaaaaaaaaaaaaaaaaaaaaa", "tasks-aaaaaaaaaaaaaaaaaaaaaaaaa"},
};

static void no_credentials(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        struct failure f = read_text(&a, 500, secrets[i].upstream);
        message_is(&f, secrets[i].shown);
        f = read_body(&a, 401, arena_printf(&a, "{\"error\":{\"message\":\"%s\"}}", secrets[i].upstream));
        message_is(&f, secrets[i].shown);
    }
    /* One that the limit would cut in two, and one in the code. */
    struct failure f = read_body(&a, 500, filled(&a, "", "x ", FAILURE_TEXT_MAX / 2 - 5, "sk-" KEY KEY));
    assert_true(contains(f.message, GONE) && !contains(f.message, "FIXTURE"));
    f = read_body(&a, 500, CCP_SPAN("{\"error\":{\"message\":\"m\",\"code\":\"sk-" KEY "\"}}"));
    assert_int_equal(f.code.n, 0);
    arena_end(&a);
}

/* -- without memory -- */

static void no_memory(void **state)
{
    (void)state;
    static const char body[] = "{\"error\":{\"message\":\"a\\u0062c\",\"code\":\"slow_down\",\"details\":[]}}";
    size_t refused = 0;
    for (size_t budget = 1; budget < 8192; budget += 16) {
        struct arena a;
        arena_init(&a, NULL, budget);
        struct failure f;
        failure_read(&f, &a, 503, NULL, 0, ccp_span_z(body));
        assert_int_equal(f.kind, FAILURE_OVERLOADED);
        assert_true(f.message.n != 0);
        refused += !ccp_span_is(f.message, "abc");
        arena_end(&a);
    }
    assert_true(refused != 0);
    for (size_t max = 0; max < 200; max++) {
        struct failure f = {.kind = FAILURE_RATE, .message = CCP_SPAN("m")};
        struct ccp_buf out;
        buf_init(&out, max);
        bool ok = failure_body(CCP_FORMAT_ANTHROPIC, &f, CCP_SPAN("r"), &out);
        assert_int_equal(ok, !out.failed);
        buf_release(&out);
    }
}

#ifdef CCP_FAULTS
static void refused_allocations(void **state)
{
    (void)state;
    for (int nth = 1; nth < 12; nth++) {
        char point[32];
        snprintf(point, sizeof(point), "alloc:%d", nth);
        struct arena a;
        struct ccp_buf out;
        struct failure f;
        arena_init(&a, NULL, 0);
        buf_init(&out, 1 << 16);
        fault_arm(point);
        failure_read(&f, &a, 429, NULL, 0, CCP_SPAN("{\"error\":{\"message\":\"slow \\u0064own\"}}"));
        struct format_error e = {CCP_RATE_LIMITED, 429, CCP_SPAN("m"), CCP_SPAN("r"), CCP_SPAN("")};
        bool ok = failure_body(CCP_FORMAT_GEMINI, &f, CCP_SPAN("r"), &out) &&
                  format_error_event(CCP_FORMAT_OPENAI_RESPONSES, &e, &out);
        fault_arm(NULL);
        assert_int_equal(f.kind, FAILURE_RATE);
        assert_true(f.message.n != 0);
        assert_true(ok || nth < 10);
        buf_release(&out);
        arena_end(&a);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upstream_fixtures),   cmocka_unit_test(other_shapes), cmocka_unit_test(good_status),
        cmocka_unit_test(try_again),           cmocka_unit_test(large_bodies), cmocka_unit_test(broken_text),
        cmocka_unit_test(no_credentials),      cmocka_unit_test(no_memory),
#ifdef CCP_FAULTS
        cmocka_unit_test(refused_allocations),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

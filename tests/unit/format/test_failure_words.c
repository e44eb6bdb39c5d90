/*
 * Errors in the words of the four vendors: upstreams' and our own, with and without a status.
 *
 * The table of rows is wire reference F.8.
 */
#include "failure.h"

static struct ccp_span body_for(struct ccp_buf *out, enum ccp_format to, const struct failure *f)
{
    buf_release(out);
    buf_init(out, 1 << 16);
    assert_true(failure_body(to, f, CCP_SPAN("req_ccp_1"), out));
    struct arena a;
    struct ccp_json *root;
    arena_init(&a, NULL, 0);
    assert_int_equal(json_parse(&a, buf_span(out), &root, NULL), CCP_OK);
    arena_end(&a);
    return buf_span(out);
}

/* The same value without the white space of the fixture. */
static struct ccp_span squeezed(struct arena *a, struct ccp_span json)
{
    char *out = arena_alloc(a, json.n + 1);
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < json.n; i++) {
        inside = inside != (json.p[i] == '"');
        if (inside || !strchr(" \n", json.p[i]))
            out[n++] = json.p[i];
    }
    return ccp_span_of(out, n);
}

static void downstream_fixture(void **state)
{
    (void)state;
    static const char *const names[] = {"anthropic", "chat", "responses", "gemini"};
    struct arena a;
    arena_init(&a, NULL, 0);
    struct ccp_buf out = {0};
    struct ccp_json *root;
    assert_int_equal(json_parse(&a, load(&a, "downstream-shapes.json"), &root, NULL), CCP_OK);
    struct failure f = {.kind = kind_named(ccp_json_inner(ccp_json_get(root, "kind"))),
                        .message = ccp_json_inner(ccp_json_get(root, "message"))};
    for (int to = 0; to < CCP_FORMAT_COUNT; to++) {
        const struct ccp_json *want = ccp_json_get(root, names[to]);
        int64_t status;
        assert_true(prompt_int(ccp_json_get(want, "status"), &status));
        assert_int_equal(failure_http(to, &f), status);
        struct ccp_span body = squeezed(&a, ccp_json_get(want, "body")->raw);
        struct ccp_span got = squeezed(&a, body_for(&out, to, &f));
        assert_true(ccp_span_eq(got, body));
    }
    buf_release(&out);
    arena_end(&a);
}

/* -- wire reference F.8, row by row -- */

static const struct {
    int upstream;
    const char *code; /* upstream's, to tell quota and context apart */
    const char *anthropic, *type, *openai_code, *gemini;
    int anthropic_http, other_http;
} rows[] = {
    {400, "", "invalid_request_error", "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT", 400, 400},
    {400, "unsupported_value", "invalid_request_error", "invalid_request_error", "unsupported_value",
     "INVALID_ARGUMENT", 400, 400},
    {400, "context_length_exceeded", "invalid_request_error", "invalid_request_error", "context_length_exceeded",
     "INVALID_ARGUMENT", 400, 400},
    {400, "content_filter", "invalid_request_error", "invalid_request_error", "content_filter", "INVALID_ARGUMENT", 400,
     400},
    {401, "", "authentication_error", "invalid_request_error", "invalid_api_key", "UNAUTHENTICATED", 401, 401},
    {402, "", "billing_error", "insufficient_quota", "insufficient_quota", "FAILED_PRECONDITION", 402, 402},
    {403, "", "permission_error", "permission_denied", "permission_denied", "PERMISSION_DENIED", 403, 403},
    {404, "", "not_found_error", "invalid_request_error", "model_not_found", "NOT_FOUND", 404, 404},
    {408, "", "timeout_error", "timeout", "timeout", "DEADLINE_EXCEEDED", 408, 408},
    {504, "", "timeout_error", "timeout", "timeout", "DEADLINE_EXCEEDED", 504, 504},
    {409, "", "conflict_error", "conflict", "conflict", "ABORTED", 409, 409},
    {413, "", "request_too_large", "invalid_request_error", "request_too_large", "INVALID_ARGUMENT", 413, 413},
    {422, "", "invalid_request_error", "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT", 422, 422},
    {429, "", "rate_limit_error", "requests", "rate_limit_exceeded", "RESOURCE_EXHAUSTED", 429, 429},
    {429, "insufficient_quota", "rate_limit_error", "insufficient_quota", "insufficient_quota", "RESOURCE_EXHAUSTED",
     429, 429},
    {499, "", "invalid_request_error", "invalid_request_error", "invalid_request_error", "CANCELLED", 499, 499},
    {500, "", "api_error", "server_error", "server_error", "INTERNAL", 500, 500},
    {501, "", "api_error", "server_error", "server_error", "UNIMPLEMENTED", 501, 501},
    {502, "", "api_error", "server_error", "server_error", "INTERNAL", 502, 502},
    {503, "", "overloaded_error", "server_error", "server_is_overloaded", "UNAVAILABLE", 529, 503},
    {529, "", "overloaded_error", "server_error", "server_is_overloaded", "UNAVAILABLE", 529, 503},
};

static void every_row(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    struct ccp_buf out = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ccp_span upstream =
            arena_printf(&a, "{\"error\":{\"message\":\"As it \\u00e9s\",\"code\":\"%s\"}}", rows[i].code);
        struct failure f = read_body(&a, rows[i].upstream, upstream);
        assert_int_equal(failure_http(CCP_FORMAT_ANTHROPIC, &f), rows[i].anthropic_http);
        const char *prefix = f.kind == FAILURE_CONTEXT ? "prompt is too long: " : "";
        struct ccp_span want = arena_printf(&a,
                                            "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%sAs it "
                                            "\xc3\xa9s\"},\"request_id\":\"req_ccp_1\"}",
                                            rows[i].anthropic, prefix);
        assert_true(ccp_span_eq(body_for(&out, CCP_FORMAT_ANTHROPIC, &f), want));
        want = arena_printf(&a,
                            "{\"error\":{\"message\":\"As it \xc3\xa9s\",\"type\":\"%s\",\"param\":null,"
                            "\"code\":\"%s\"}}",
                            rows[i].type, rows[i].openai_code);
        for (int to = CCP_FORMAT_OPENAI_CHAT; to <= CCP_FORMAT_OPENAI_RESPONSES; to++) {
            assert_int_equal(failure_http(to, &f), rows[i].other_http);
            assert_true(ccp_span_eq(body_for(&out, to, &f), want));
        }
        assert_int_equal(failure_http(CCP_FORMAT_GEMINI, &f), rows[i].other_http);
        want = arena_printf(&a, "{\"error\":{\"code\":%d,\"message\":\"As it \xc3\xa9s\",\"status\":\"%s\"}}",
                            rows[i].other_http, rows[i].gemini);
        assert_true(ccp_span_eq(body_for(&out, CCP_FORMAT_GEMINI, &f), want));
    }
    buf_release(&out);
    arena_end(&a);
}

/* In a stream there is no status: the kind alone speaks, and no kind is without words. */
static void every_kind(void **state)
{
    (void)state;
    struct ccp_buf out = {0};
    for (int kind = 0; kind <= FAILURE_GARBLED; kind++)
        for (int to = 0; to < CCP_FORMAT_COUNT; to++) {
            struct failure f = {.kind = (enum failure_kind)kind};
            struct ccp_span body = body_for(&out, to, &f);
            assert_false(contains(body, "\"message\":\"\""));
            assert_in_range(failure_http(to, &f), 400, 529);
        }
    /* A status of one vendor's own does not reach clients of the others. */
    struct failure odd = {.kind = FAILURE_UPSTREAM, .http = 529};
    assert_int_equal(failure_http(CCP_FORMAT_OPENAI_CHAT, &odd), 500);
    buf_release(&out);
}

/* -- the context window -- */

static const struct {
    const char *upstream, *anthropic, *gemini;
} overflows[] = {
    {"prompt is too long: 208310 tokens > 200000 maximum", "prompt is too long: 208310 tokens > 200000 maximum",
     "The input token count (208310) exceeds the maximum number of tokens allowed (200000)."},
    {"This model's maximum context length is 128000 tokens. However, your messages resulted in 130,512 tokens.",
     "prompt is too long: 130512 tokens > 128000 maximum",
     "The input token count (130512) exceeds the maximum number of tokens allowed (128000)."},
    {"The input token count (1200345) exceeds the maximum number of tokens allowed (1048576).",
     "prompt is too long: 1200345 tokens > 1048576 maximum",
     "The input token count (1200345) exceeds the maximum number of tokens allowed (1048576)."},
    {"prompt token count of 140000 exceeds the limit of 128000", "prompt is too long: 140000 tokens > 128000 maximum",
     "The input token count (140000) exceeds the maximum number of tokens allowed (128000)."},
    {"Your input exceeds the context window of this model. Please adjust your input and try again.",
     "prompt is too long: Your input exceeds the context window of this model. Please adjust your input and try again.",
     "Your input exceeds the context window of this model. Please adjust your input and try again."},
    {"This model's maximum context length is 128000 tokens.",
     "prompt is too long: This model's maximum context length is 128000 tokens.",
     "This model's maximum context length is 128000 tokens."},
    {"gpt-4-32768: maximum context length is 8192 tokens, in 3 of 4096.5 runs",
     "prompt is too long: gpt-4-32768: maximum context length is 8192 tokens, in 3 of 4096.5 runs",
     "gpt-4-32768: maximum context length is 8192 tokens, in 3 of 4096.5 runs"},
};

static void context_overflow(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    struct ccp_buf out = {0};
    for (size_t i = 0; i < sizeof(overflows) / sizeof(overflows[0]); i++) {
        struct ccp_span body = arena_printf(&a, "{\"error\":{\"message\":\"%s\"}}", overflows[i].upstream);
        struct failure f = read_body(&a, 400, body);
        assert_int_equal(f.kind, FAILURE_CONTEXT);
        struct ccp_span want = arena_printf(&a, "\"message\":\"%s\"}", overflows[i].anthropic);
        assert_true(contains(body_for(&out, CCP_FORMAT_ANTHROPIC, &f), want.p));
        want = arena_printf(&a, "\"message\":\"%s\"", overflows[i].gemini);
        assert_true(contains(body_for(&out, CCP_FORMAT_GEMINI, &f), want.p));
        want = arena_printf(&a, "\"message\":\"%s\"", overflows[i].upstream);
        assert_true(contains(body_for(&out, CCP_FORMAT_OPENAI_CHAT, &f), want.p));
        assert_true(contains(body_for(&out, CCP_FORMAT_OPENAI_RESPONSES, &f), "\"code\":\"context_length_exceeded\""));
    }
    /* The wording does not make another error of what is none of this. */
    struct failure f = read_text(&a, 429, "{\"error\":{\"message\":\"maximum context length is charged\"}}");
    assert_int_equal(f.kind, FAILURE_RATE);
    buf_release(&out);
    arena_end(&a);
}

static void retry_for_gemini(void **state)
{
    (void)state;
    struct ccp_buf out = {0};
    struct failure f = {.kind = FAILURE_RATE, .message = CCP_SPAN("m"), .retry_after_ms = 34070};
    assert_true(
        ccp_span_is(body_for(&out, CCP_FORMAT_GEMINI, &f),
                    "{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{"
                    "\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"34.070s\"}]}}"));
    buf_release(&out);
}

/* -- ccproxy's own errors take the same words -- */

static void own_errors(void **state)
{
    (void)state;
    static const struct {
        enum ccp_status status;
        const char *anthropic, *openai, *gemini;
    } own[] = {
        {CCP_BAD_JSON, "\"invalid_request_error\"", "\"invalid_request_error\",\"param\":null,\"code\":\"bad_json\"",
         "\"INVALID_ARGUMENT\""},
        {CCP_UNAUTHORIZED, "\"authentication_error\"",
         "\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"", "\"UNAUTHENTICATED\""},
        {CCP_FORBIDDEN, "\"permission_error\"", "\"permission_denied\",\"param\":null,\"code\":\"forbidden\"",
         "\"PERMISSION_DENIED\""},
        {CCP_NO_MODEL, "\"not_found_error\"", "\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"",
         "\"NOT_FOUND\""},
        {CCP_TOO_LARGE, "\"request_too_large\"", "\"invalid_request_error\",\"param\":null,\"code\":\"too_large\"",
         "\"INVALID_ARGUMENT\""},
        {CCP_RATE_LIMITED, "\"rate_limit_error\"", "\"requests\",\"param\":null,\"code\":\"rate_limit_exceeded\"",
         "\"RESOURCE_EXHAUSTED\""},
        {CCP_UPSTREAM, "\"api_error\"", "\"server_error\",\"param\":null,\"code\":\"upstream\"", "\"INTERNAL\""},
        {CCP_LOGIN_REQUIRED, "\"api_error\"", "\"server_error\",\"param\":null,\"code\":\"login_required\"",
         "\"UNAVAILABLE\""},
        {CCP_OVERLOADED, "\"overloaded_error\"", "\"server_error\",\"param\":null,\"code\":\"server_is_overloaded\"",
         "\"UNAVAILABLE\""},
        {CCP_UPSTREAM_TIMEOUT, "\"timeout_error\"", "\"timeout\",\"param\":null,\"code\":\"upstream_timeout\"",
         "\"DEADLINE_EXCEEDED\""},
        {CCP_UPGRADE_REQUIRED, "\"invalid_request_error\"",
         "\"invalid_request_error\",\"param\":null,\"code\":\"upgrade_required\"", "\"INVALID_ARGUMENT\""},
    };
    struct ccp_buf out;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        for (int to = 0; to <= CCP_FORMAT_COUNT; to++) { /* the last is CCP_FORMAT_NONE */
            struct format_error e = {own[i].status, format_http_status(to, own[i].status), CCP_SPAN("it \"is\" so"),
                                     CCP_SPAN("r"), CCP_SPAN("")};
            buf_init(&out, 1 << 12);
            assert_true(format_error_body(to, &e, &out));
            assert_true(contains(buf_span(&out), "it \\\"is\\\" so"));
            assert_true(contains(buf_span(&out), to == CCP_FORMAT_ANTHROPIC ? own[i].anthropic
                                                 : to == CCP_FORMAT_GEMINI  ? own[i].gemini
                                                                            : own[i].openai));
            buf_release(&out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(downstream_fixture), cmocka_unit_test(every_row),        cmocka_unit_test(every_kind),
        cmocka_unit_test(context_overflow),   cmocka_unit_test(retry_for_gemini), cmocka_unit_test(own_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

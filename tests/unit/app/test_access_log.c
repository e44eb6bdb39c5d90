/*
 * The access log: lines in both formats, escaping, limits, and the plugin with a core made of literals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <system-plugins/access_log/access_log_impl.h>

extern const struct ccp_plugin ccp_plugin_access_log;

static void escapes(const char *in, size_t n, size_t max, const char *expected)
{
    char out[256];
    size_t length = access_escape(out, max, ccp_span_of(in, n));
    assert_true(length <= max);
    out[length] = '\0';
    assert_string_equal(out, expected);
}

#define ESCAPES(literal, expected) escapes(literal, sizeof(literal) - 1, 200, expected)

static void test_escape(void **state)
{
    ESCAPES("", "");
    ESCAPES("plain ~!", "plain ~!");
    ESCAPES("a\"b\\c", "a\\\"b\\\\c");
    ESCAPES("a\r\nb\0c\x7f", "a\\u000d\\u000ab\\u0000c\\u007f");
    ESCAPES("\xc3\xa9", "\\u00e9");
    ESCAPES("\xe2\x80\xae\xe2\x80\xa8", "\\u202e\\u2028");
    ESCAPES("\xf0\x9f\x98\x80", "\\ud83d\\ude00");
    ESCAPES("\xff\xc3(\xc0\x80", "\\ufffd\\ufffd(\\ufffd\\ufffd");
    ESCAPES("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"); /* a surrogate */
    ESCAPES("\xe0\x80\x80", "\\ufffd\\ufffd\\ufffd"); /* too long a form */
    ESCAPES("\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd");
    ESCAPES("\xe2\x82", "\\ufffd\\ufffd"); /* cut */
}

static void test_escape_cuts(void **state)
{
    escapes("12345", 5, 5, "12345");
    escapes("123456", 6, 5, "12...");
    escapes("\n\n\n", 3, 12, "\\u000a...");
    escapes("\n", 1, 5, "...");
    escapes("abc", 3, 2, "ab");
    escapes("abc", 3, 0, "");
}

static struct access_record full(void)
{
    return (struct access_record){
        .unix_us = 1700000000123456,
        .id = CCP_SPAN("req_1"),
        .peer = CCP_SPAN("127.0.0.1:5000"),
        .method = CCP_SPAN("POST"),
        .path = CCP_SPAN("/claude/v1/messages"),
        .provider = CCP_SPAN("claude_api"),
        .format = CCP_SPAN("anthropic"),
        .model = CCP_SPAN("fast"),
        .upstream_model = CCP_SPAN("claude-x"),
        .key = CCP_SPAN("default"),
        .agent = CCP_SPAN("claude-cli/2 (external)"),
        .http_version = 11,
        .status_name = "upstream",
        .sum = {.http_status = 502,
                .status = CCP_UPSTREAM,
                .error = CCP_SPAN("connection \"refused\"\n"),
                .bytes_in = 10,
                .bytes_out = 20,
                .us_total = 12345,
                .us_first_byte = 999,
                .attempts = 2,
                .streamed = true},
    };
}

static void test_text(void **state)
{
    char out[ACCESS_LINE_MAX];
    struct access_record r = full();
    out[access_line(out, &r, false)] = '\0';
    assert_string_equal(out, "2023-11-14T22:13:20.123Z access peer=127.0.0.1:5000 method=POST path=/claude/v1/messages "
                             "status=502 total=12.3ms first_byte=0.9ms bytes_in=10 bytes_out=20 protocol=HTTP/1.1 "
                             "provider=claude_api format=anthropic model=fast upstream_model=claude-x attempts=2 "
                             "stream=true key=default request_id=req_1 failure=upstream "
                             "error=\"connection \\\"refused\\\"\\u000a\" user_agent=\"claude-cli/2 (external)\"");
}

static json_t *as_json(const struct access_record *r)
{
    char out[ACCESS_LINE_MAX];
    size_t n = access_line(out, r, true);
    json_t *line = json_loadb(out, n, JSON_REJECT_DUPLICATES, NULL);
    if (line == NULL)
        fail_msg("not JSON: %.*s", (int)n, out);
    return line;
}

static void test_json(void **state)
{
    struct access_record r = full();
    json_t *line = as_json(&r);
    assert_string_equal(json_string_value(json_object_get(line, "time")), "2023-11-14T22:13:20.123Z");
    assert_string_equal(json_string_value(json_object_get(line, "error")), "connection \"refused\"\n");
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 502);
    assert_true(json_real_value(json_object_get(line, "total_ms")) > 12.34);
    assert_true(json_real_value(json_object_get(line, "total_ms")) < 12.35);
    assert_null(json_object_get(line, "upstream_head_ms"));
    assert_string_equal(json_string_value(json_object_get(line, "upstream_model")), "claude-x");
    json_decref(line);
}

static void test_empty_and_equal(void **state)
{
    struct access_record r = {.model = CCP_SPAN("m"), .upstream_model = CCP_SPAN("m"), .status_name = "ok"};
    json_t *line = as_json(&r);
    assert_null(json_object_get(line, "upstream_model"));
    assert_null(json_object_get(line, "peer"));
    assert_null(json_object_get(line, "failure"));
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 0);
    json_decref(line);
}

/* Every text at its worst: a line must still fit and still be JSON. */
static void test_limits(void **state)
{
    static char hostile[20000];
    memset(hostile, '\n', sizeof(hostile));
    struct ccp_span big = ccp_span_of(hostile, sizeof(hostile)), other = ccp_span_of(hostile, sizeof(hostile) - 1);
    struct access_record r = {.unix_us = INT64_MAX,
                              .id = big,
                              .peer = big,
                              .method = big,
                              .path = big,
                              .provider = big,
                              .format = big,
                              .model = big,
                              .upstream_model = other,
                              .key = big,
                              .agent = big,
                              .http_version = 11,
                              .status_name = "upstream_timeout",
                              .sum = {.http_status = 999,
                                      .status = CCP_UPSTREAM_TIMEOUT,
                                      .error = big,
                                      .bytes_in = INT64_MAX,
                                      .bytes_out = INT64_MAX,
                                      .us_total = INT64_MAX,
                                      .us_first_byte = INT64_MAX,
                                      .us_upstream_head = INT64_MAX,
                                      .attempts = INT32_MAX,
                                      .streamed = true}};
    char out[ACCESS_LINE_MAX];
    assert_true(access_line(out, &r, false) < ACCESS_LINE_MAX);
    r.unix_us = 0;
    json_t *line = as_json(&r);
    assert_non_null(json_object_get(line, "user_agent"));
    json_decref(line);
}

/* -- the plugin -- */

static struct {
    char line[ACCESS_LINE_MAX];
    size_t lines;
    bool json;
    const char *path;
    struct ccp_summary sum;
} core;

static struct ccp_span fake_text(struct ccp_exchange *x)
{
    return CCP_SPAN("text");
}

static struct ccp_span fake_path(struct ccp_exchange *x)
{
    return ccp_span_z(core.path);
}

static struct ccp_span fake_header(struct ccp_exchange *x, struct ccp_span name)
{
    assert_true(ccp_span_is(name, "user-agent")); /* no other header may be looked at */
    return CCP_SPAN("agent");
}

static int fake_version(struct ccp_exchange *x)
{
    return 20;
}

static enum ccp_format fake_format(struct ccp_exchange *x)
{
    return CCP_FORMAT_NONE;
}

static void fake_summary(struct ccp_exchange *x, struct ccp_summary *out, size_t size)
{
    assert_int_equal(size, sizeof(*out));
    *out = core.sum;
}

static uint64_t fake_now(void)
{
    return 0;
}

static bool fake_json(void)
{
    return core.json;
}

static void fake_record(const struct ccp_plugin_env *env, struct ccp_span line)
{
    assert_true(line.n < sizeof(core.line));
    memcpy(core.line, line.p, line.n);
    core.line[line.n] = '\0';
    core.lines++;
}

static bool fake_room(const struct ccp_plugin_env *env, struct ccp_span kind)
{
    return true;
}

static const struct ccp_api api = {
    .log_room = fake_room,
    .size = sizeof(struct ccp_api),
    .path = fake_path,
    .method = fake_text,
    .header = fake_header,
    .peer = fake_text,
    .request_id = fake_text,
    .key_name = fake_text,
    .http_version = fake_version,
    .client_format = fake_format,
    .provider = fake_text,
    .client_model = fake_text,
    .upstream_model = fake_text,
    .summary = fake_summary,
    .now_unix_us = fake_now,
    .log_record = fake_record,
    .log_json = fake_json,
};

/* The plugin's own struct, filled as its rows say. */
static void make_config(void *config, int format, const struct ccp_list *exclude)
{
    for (const struct ccp_config_row *row = ccp_plugin_access_log.config; row->key != NULL; row++)
        if (strcmp(row->key, "format") == 0)
            memcpy((char *)config + row->offset, &format, sizeof(format));
        else if (strcmp(row->key, "exclude_paths") == 0)
            memcpy((char *)config + row->offset, exclude, sizeof(*exclude));
}

static size_t ask(int format, const char *path, int status, enum ccp_status failure)
{
    static const struct ccp_span paths[] = {CCP_LIT("/health"), CCP_LIT("/quiet/*")};
    const struct ccp_list exclude = {paths, 2};
    _Alignas(16) char config[256] = {0};
    struct ccp_exchange x = {.api = &api};
    struct ccp_plugin_env env = {.api = &api, .config = config};
    struct ccp_span why = {0};
    assert_true(ccp_plugin_access_log.config_size <= sizeof(config));
    make_config(config, format, &exclude);
    core.path = path;
    core.sum = (struct ccp_summary){.http_status = status, .status = failure};
    core.lines = 0;
    void *self = ccp_plugin_access_log.open(&env, &why);
    assert_non_null(self);
    enum ccp_event event = failure == CCP_OK ? CCP_EVENT_REQUEST_COMPLETED : CCP_EVENT_REQUEST_FAILED;
    const struct ccp_hook *hook = ccp_plugin_access_log.hooks;
    assert_true((hook->events & (1ull << event)) != 0);
    assert_true(hook->on_event(self, event, &x, &(struct ccp_moment){.size = sizeof(struct ccp_moment)}));
    ccp_plugin_access_log.close(self);
    return core.lines;
}

static void test_excluded_paths(void **state)
{
    assert_int_equal(ask(1, "/claude/v1/messages", 200, CCP_OK), 1);
    assert_int_equal(ask(1, "/health", 200, CCP_OK), 0);
    assert_int_equal(ask(1, "/health/live", 200, CCP_OK), 1);
    assert_int_equal(ask(1, "/quiet/x", 200, CCP_OK), 0);
    assert_int_equal(ask(1, "/quie", 200, CCP_OK), 1);
    assert_int_equal(ask(1, "/health", 503, CCP_OK), 1);
    assert_int_equal(ask(1, "/health", 200, CCP_CLIENT_GONE), 1);
}

static void test_format(void **state)
{
    core.json = false;
    ask(0, "/x", 200, CCP_OK);
    assert_true(core.line[0] != '{');
    core.json = true;
    ask(0, "/x", 200, CCP_OK);
    assert_true(core.line[0] == '{');
    ask(1, "/x", 200, CCP_OK);
    assert_true(core.line[0] != '{');
    core.json = false;
    ask(2, "/x", 200, CCP_OK);
    assert_true(core.line[0] == '{');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),         cmocka_unit_test(test_escape_cuts),     cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),           cmocka_unit_test(test_empty_and_equal), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_excluded_paths), cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

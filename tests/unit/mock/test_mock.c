/*
 * The mock provider, played through its transport: each behaviour in each format, streamed and whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect.h"

static void ask(enum shape shape, enum mode mode, const char *model, bool result, unsigned limit, struct got *got)
{
    struct core core;
    void *mock = mock_open(NULL);
    core_init(&core, 0);
    core_play(&core, mock, url_of(shape, mode, model), body_of(shape, mode, model, result, limit));
    collect(&core, shape, mode, got);
    core_end(&core);
    ccp_plugin_mock.close(mock);
}

static bool same_text(const struct str *a, const struct str *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

/* Asks in every format and mode; all must say the same and count the same. Leaves the last one in *got. */
static void everywhere(const char *model, bool result, unsigned limit, const char *const finish[SHAPES],
                       struct got *got)
{
    static struct got first;
    ask(C, WHOLE, model, result, limit, &first);
    for (int shape = A; shape < SHAPES; shape++) {
        for (int mode = WHOLE; mode <= (shape == G ? ARRAY : STREAM); mode++) {
            ask(shape, mode, model, result, limit, got);
            assert_true(same_text(&got->text, &first.text));
            assert_true(same_text(&got->thinking, &first.thinking));
            assert_true(same_text(&got->arguments, &first.arguments));
            assert_string_equal(got->tool, first.tool);
            assert_string_equal(got->finish, finish[shape]);
            assert_int_equal(got->in, first.in);
            assert_int_equal(got->out, first.out);
            assert_int_equal(got->reasoning, first.reasoning);
            if (mode != WHOLE && got->tool[0] == '\0')
                assert_int_equal(got->tokens, got->out);
        }
    }
}

static const char *const ends[] = {"end_turn", "stop", "completed", "STOP"};
static const char *const calls[] = {"tool_use", "tool_calls", "completed", "STOP"};
static const char *const limits[] = {"max_tokens", "length", "incomplete", "MAX_TOKENS"};
static struct got got;

static void assert_text(const struct str *str, const char *want)
{
    assert_int_equal(str->n, strlen(want));
    assert_memory_equal(str->p, want, str->n);
}

static void echo_repeats_the_last_user_text(void **state)
{
    everywhere("mock-echo", false, 1000, ends, &got);
    assert_text(&got.text, USER_WANT);
    /* "Be kind" "One" "Two", the text, "weather", "Tells it" */
    assert_int_equal(got.in, (7 + 3 + 3 + strlen(USER_WANT) + 7 + 8 + 3) / 4);
    everywhere("some-model-9", false, 1000, ends, &got);
    assert_text(&got.text, USER_WANT);
}

static void lorem_is_long(void **state)
{
    everywhere("mock-lorem", false, 1000, ends, &got);
    assert_int_equal(got.out, 69);
}

static void think_thinks_first(void **state)
{
    everywhere("mock-think", false, 1000, ends, &got);
    assert_true(got.thinking.n != 0 && got.reasoning != 0 && got.reasoning < got.out);
    assert_text(&got.text, USER_WANT);
}

static void tool_is_called_then_reported(void **state)
{
    everywhere("mock-tool", false, 1000, calls, &got);
    assert_string_equal(got.tool, "weather");
    assert_text(&got.arguments, ARGUMENTS);
    everywhere("mock-tool", true, 1000, ends, &got);
    assert_text(&got.text, "The tool answered: sunny");
}

static void max_tokens_cuts(void **state)
{
    everywhere("mock-lorem", false, 5, limits, &got);
    assert_text(&got.text, "Lorem ipsum dolor sit amet,");
    assert_int_equal(got.out, 5);
    everywhere("mock-think", false, 3, limits, &got);
    assert_int_equal(got.text.n, 0);
    assert_int_equal(got.reasoning, 3);
}

static void same_request_same_bytes(void **state)
{
    struct core core[2];
    void *mock = mock_open(NULL);
    for (int i = 0; i < 2; i++) {
        core_init(&core[i], 0);
        core[i].pause_every = i == 1 ? 1 : 0; /* pauses change when bytes come, never which */
        core_play(&core[i], mock, url_of(R, STREAM, ""), body_of(R, STREAM, "mock-think", false, 99));
        assert_int_equal(core[i].dones, 1);
        fake_now += 12345;
    }
    assert_int_equal(core[0].body_n, core[1].body_n);
    assert_memory_equal(core[0].body, core[1].body, core[0].body_n);
    for (int i = 0; i < 2; i++)
        core_end(&core[i]);
    ccp_plugin_mock.close(mock);
}

static void chat_usage_only_when_asked(void **state)
{
    struct core core;
    void *mock = mock_open(NULL);
    core_init(&core, 0);
    core_play(&core, mock, url_of(C, STREAM, ""),
              "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_null(strstr(core.body, "usage"));
    assert_non_null(strstr(core.body, "data: [DONE]\n\n"));
    core_end(&core);
    ccp_plugin_mock.close(mock);
}

static void errors_have_the_formats_shape(void **state)
{
    static const char *const type[] = {"error.type", "error.type", "error.code", "error.status"};
    static const char *const want[] = {"rate_limit_error", "requests", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"};
    void *mock = mock_open(NULL);
    for (int shape = A; shape < SHAPES; shape++) {
        for (int mode = WHOLE; mode <= STREAM; mode++) {
            struct core core;
            core_init(&core, 0);
            core_play(&core, mock, url_of(shape, mode, "mock-error-429"),
                      body_of(shape, mode, "mock-error-429", false, 9));
            const struct ccp_json *root = parse(&core, ccp_span_of(core.body, core.body_n));
            assert_int_equal(core.status, 429);
            assert_string_equal(core.retry_after, "1");
            assert_true(is(root, type[shape], want[shape]));
            assert_true(string(root, "error.message").n != 0);
            core_end(&core);
        }
    }
    ccp_plugin_mock.close(mock);
}

static int status_of(void *mock, const char *url, const char *body)
{
    struct core core;
    int status;
    core_init(&core, 0);
    core_play(&core, mock, url, body);
    assert_int_equal(core.dones, 1);
    parse(&core, ccp_span_of(core.body, core.body_n));
    status = core.status;
    core_end(&core);
    return status;
}

static void bad_requests_are_refused(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
    } cases[] = {
        {"v1/messages", "{", 400},
        {"v1/messages", "[]", 400},
        {"v1/messages", "", 400},
        {"v1/messages", "{\"messages\":[]}", 400},
        {"v1/messages", "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[]}", 400},
        {"v1/messages", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 400},
        {"v1/messages", "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{}]}", 400},
        {"v1/responses", "{\"model\":\"m\"}", 400},
        {"v1/responses", "{\"model\":\"mock-error-418\",\"input\":\"x\"}", 418},
        {"v1/responses", "{\"model\":\"mock-error-999\",\"input\":\"x\"}", 500},
        {"v1/responses", "{\"model\":\"mock-error-529\",\"input\":\"x\"}", 529},
        {"v1/embeddings", "{\"model\":\"m\"}", 400},
        {"v1/embeddings", "{\"model\":\"m\",\"input\":[]}", 400},
        {"v1/embeddings", "{\"model\":\"m\",\"input\":[\"a\",{}]}", 400},
        {"v1/embeddings", "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":5000}", 400},
        {"v1beta/models/m:generateContent", "{\"contents\":{}}", 400},
        {"v1beta/models/m:embedContent", "{}", 400},
        {"v1beta/models/m:nothing", "{}", 404},
        {"v1/batches", "{}", 404},
    };
    void *mock = mock_open(NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char url[128];
        snprintf(url, sizeof(url), "http://h/%s", cases[i].path);
        assert_int_equal(status_of(mock, url, cases[i].body), cases[i].status);
    }
    ccp_plugin_mock.close(mock);
}

static void configured_failures_are_even(void **state)
{
    struct settings settings;
    const char *body = "{\"model\":\"m\",\"input\":\"x\"}";
    config_defaults(&settings);
    config_set(&settings, "error_rate", 25);
    void *mock = mock_open(&settings);
    for (int i = 1; i <= 12; i++)
        assert_int_equal(status_of(mock, "http://h/v1/responses", body), i % 4 == 0 ? 500 : 200);
    ccp_plugin_mock.close(mock);
    config_defaults(&settings);
    config_set(&settings, "rate_limit_every", 3);
    config_set(&settings, "rate_limit_retry_after", 7200);
    mock = mock_open(&settings);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(status_of(mock, "http://h/v1/responses", body), i % 3 == 0 ? 429 : 200);
    struct core core;
    core_init(&core, 0);
    core_play(&core, mock, "http://h/v1/responses", body);
    assert_string_equal(core.retry_after, "8");
    core_end(&core);
    ccp_plugin_mock.close(mock);
}

static bool is_broken_json(struct core *core)
{
    struct ccp_json *root;
    struct ccp_json_error error;
    return json_parse(&core->arena, ccp_span_of(core->body, core->body_n), &root, &error) == CCP_BAD_JSON;
}

static void cut_breaks_in_the_middle(void **state)
{
    void *mock = mock_open(NULL);
    for (int shape = A; shape < SHAPES; shape++) {
        for (int mode = WHOLE; mode <= STREAM; mode++) {
            struct core core;
            core_init(&core, 0);
            core_play(&core, mock, url_of(shape, mode, "mock-cut"), body_of(shape, mode, "mock-cut", false, 1000));
            assert_int_equal(core.status, 200);
            assert_int_equal(core.dones, 1);
            assert_int_equal(core.end, CCP_UPSTREAM);
            assert_true(core.body_n > 100);
            assert_true(core.body[core.body_n - 1] != '\n');
            assert_non_null(strstr(core.body, "Lorem"));
            if (mode == STREAM)
                assert_null(strstr(core.body, "laborum"));
            else
                assert_true(is_broken_json(&core));
            core_end(&core);
        }
    }
    ccp_plugin_mock.close(mock);
}

static void count_is_the_usage(void **state)
{
    static const char *const urls[] = {"http://h/v1/messages/count_tokens", NULL, "http://h/v1/responses/input_tokens",
                                       "http://h/v1beta/models/m:countTokens"};
    static const char *const member[] = {"input_tokens", NULL, "input_tokens", "totalTokens"};
    void *mock = mock_open(NULL);
    ask(C, WHOLE, "m", false, 9, &got);
    for (int shape = A; shape < SHAPES; shape++) {
        struct core core;
        if (urls[shape] == NULL)
            continue;
        core_init(&core, 0);
        core_play(&core, mock, urls[shape], body_of(shape, WHOLE, "m", false, 9));
        assert_int_equal(number(parse(&core, ccp_span_of(core.body, core.body_n)), member[shape]), got.in);
        core_end(&core);
    }
    ccp_plugin_mock.close(mock);
}

static double length_of(const struct ccp_json *vector)
{
    double sum = 0;
    for (const struct ccp_json *v = vector->child; v != NULL; v = v->next) {
        char text[32];
        snprintf(text, sizeof(text), "%.*s", CCP_FMT(v->raw));
        double x = strtod(text, NULL);
        sum += x * x;
    }
    return sum;
}

static void assert_unit(const struct ccp_json *vector, unsigned dimensions)
{
    assert_non_null(vector);
    assert_int_equal(vector->count, dimensions);
    assert_true(length_of(vector) > 0.9999 && length_of(vector) < 1.0001);
}

static void embeddings_are_unit_vectors(void **state)
{
    struct core core;
    void *mock = mock_open(NULL);
    core_init(&core, 0);
    core_play(&core, mock, "http://h/v1/embeddings",
              "{\"model\":\"mock-embed\",\"input\":[\"A b\",\"other text\",\"\\u0041 b\",[1,2,3]]}");
    const struct ccp_json *root = parse(&core, ccp_span_of(core.body, core.body_n));
    assert_int_equal(at(root, "data")->count, 4);
    assert_unit(at(root, "data.0.embedding"), 256);
    assert_unit(at(root, "data.3.embedding"), 256);
    assert_int_equal(number(root, "data.2.index"), 2);
    assert_true(ccp_span_eq(at(root, "data.0.embedding")->raw, at(root, "data.2.embedding")->raw));
    assert_false(ccp_span_eq(at(root, "data.0.embedding")->raw, at(root, "data.1.embedding")->raw));
    assert_int_equal(number(root, "usage.prompt_tokens"), 1 + 3 + 1 + 3);
    core_end(&core);
    core_init(&core, 0);
    core_play(&core, mock, "http://h/v1beta/models/e:batchEmbedContents",
              "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"outputDimensionality\":16},"
              "{\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}");
    root = parse(&core, ccp_span_of(core.body, core.body_n));
    assert_unit(at(root, "embeddings.0.values"), 16);
    assert_unit(at(root, "embeddings.1.values"), 256);
    core_end(&core);
    core_init(&core, 0);
    core_play(&core, mock, "http://h/v1beta/models/e:embedContent", "{\"content\":{\"parts\":[{\"text\":\"a\"}]}}");
    assert_unit(at(parse(&core, ccp_span_of(core.body, core.body_n)), "embedding.values"), 256);
    core_end(&core);
    ccp_plugin_mock.close(mock);
}

static unsigned digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *hit = strchr(digits, c);
    return hit != NULL ? (unsigned)(hit - digits) : 0;
}

static void base64_holds_the_same_floats(void **state)
{
    static const char *const bodies[] = {
        "{\"model\":\"e\",\"input\":\"a\",\"dimensions\":5}",
        "{\"model\":\"e\",\"input\":\"a\",\"dimensions\":5,\"encoding_format\":\"base64\"}"};
    struct core core[2];
    void *mock = mock_open(NULL);
    unsigned char bytes[21] = {0};
    for (int i = 0; i < 2; i++) {
        core_init(&core[i], 0);
        core_play(&core[i], mock, "http://h/v1/embeddings", bodies[i]);
    }
    const struct ccp_json *list = at(parse(&core[0], ccp_span_of(core[0].body, core[0].body_n)), "data.0.embedding");
    struct ccp_span text = string(parse(&core[1], ccp_span_of(core[1].body, core[1].body_n)), "data.0.embedding");
    assert_unit(list, 5);
    assert_int_equal(text.n, 28);
    for (size_t i = 0; i < 7; i++) {
        const char *q = text.p + 4 * i;
        unsigned v = digit(q[0]) << 18 | digit(q[1]) << 12 | digit(q[2]) << 6 | digit(q[3]);
        bytes[3 * i] = (unsigned char)(v >> 16);
        bytes[3 * i + 1] = (unsigned char)(v >> 8);
        bytes[3 * i + 2] = (unsigned char)v;
    }
    const struct ccp_json *v = list->child;
    for (size_t i = 0; i < 5; i++, v = v->next) {
        float f;
        char number_text[32];
        memcpy(&f, bytes + 4 * i, 4);
        snprintf(number_text, sizeof(number_text), "%.*s", CCP_FMT(v->raw));
        assert_true(f == strtof(number_text, NULL));
    }
    for (int i = 0; i < 2; i++)
        core_end(&core[i]);
    ccp_plugin_mock.close(mock);
}

static void pace_is_kept(void **state)
{
    struct settings settings;
    struct core core;
    config_defaults(&settings);
    config_set(&settings, "first_token_delay", 300);
    config_set(&settings, "tokens_per_second", 20);
    void *mock = mock_open(&settings);
    for (int mode = WHOLE; mode <= STREAM; mode++) {
        uint64_t start = fake_now;
        core_init(&core, 0);
        core_play(&core, mock, url_of(A, mode, ""), body_of(A, mode, "mock-lorem", false, 11));
        assert_int_equal(core.dones, 1);
        assert_int_equal(core.head_at - start, mode == STREAM ? 0 : 300 + 11 * 50);
        assert_int_equal(core.first_body_at - core.head_at, 0); /* message_start does not wait */
        assert_int_equal(core.done_at - start, mode == STREAM ? 300 + 10 * 50 : 300 + 11 * 50);
        core_end(&core);
    }
    ccp_plugin_mock.close(mock);
}

/* A long answer comes in many batches, survives a pause after each, and takes bounded memory. */
static void long_stream_is_flat(void **state)
{
    enum { WORDS = 20000 };
    struct core core;
    void *mock = mock_open(NULL);
    char *body = malloc(WORDS * 5 + 256), *p;
    p = body + snprintf(body, 256, "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < WORDS; i++, p += 5)
        memcpy(p, "abcd ", 5);
    memcpy(p, "\"}]}", 5);
    core_init(&core, 1 << 20);
    core.pause_every = 1;
    core_play(&core, mock, url_of(C, STREAM, ""), body);
    assert_int_equal(core.dones, 1);
    assert_int_equal(core.end, CCP_OK);
    assert_true(core.body_n > (size_t)WORDS * 100);
    assert_true(core.body_calls > 100);
    assert_true(core.arena.used < 256 * 1024); /* the joined body and one batch */
    core_end(&core);
    free(body);
    ccp_plugin_mock.close(mock);
}

static void gone_and_cancel_are_silent(void **state)
{
    struct core core;
    void *mock = mock_open(NULL);
    core_init(&core, 0);
    core.gone_after = 1;
    core_play(&core, mock, url_of(R, STREAM, ""), body_of(R, STREAM, "mock-lorem", false, 1000));
    assert_int_equal(core.dones, 0);
    assert_int_equal(core.body_calls, 1);
    core_end(&core);
    for (int turns = 0; turns < 2; turns++) {
        core_init(&core, 0);
        core_start(&core, mock, url_of(R, STREAM, ""), body_of(R, STREAM, "mock-lorem", false, 1000));
        for (int i = 0; i < turns; i++)
            assert_true(core_turn(&core));
        ccp_plugin_mock.provider->transport->cancel(mock, core.transfer);
        assert_false(core_turn(&core));
        assert_int_equal(core.heads, turns);
        assert_int_equal(core.dones, 0);
        core_end(&core);
    }
    ccp_plugin_mock.close(mock);
}

/* With any memory budget a call ends: refused at the start, failed at the end, or answered. */
static void little_memory_ends_cleanly(void **state)
{
    void *mock = mock_open(NULL);
    int refused = 0, failed = 0, answered = 0;
    for (size_t budget = 64; budget < 65536; budget += 487) {
        struct core core;
        core_init(&core, budget);
        core_play(&core, mock, url_of(R, STREAM, ""), body_of(R, STREAM, "mock-tool", false, 1000));
        refused += core.transfer == NULL;
        failed += core.dones == 1 && core.end == CCP_INTERNAL;
        answered += core.dones == 1 && core.end == CCP_OK;
        assert_int_equal(core.dones, core.transfer != NULL);
        core_end(&core);
    }
    assert_true(refused > 0 && failed > 0 && answered > 0);
    ccp_plugin_mock.close(mock);
}

static void manifest_is_complete(void **state)
{
    const struct ccp_provider *p = ccp_plugin_mock.provider;
    struct ccp_span why;
    assert_int_equal(ccp_plugin_mock.abi.magic, CCP_ABI_MAGIC);
    assert_int_equal(p->formats, (1 << CCP_FORMAT_COUNT) - 1);
    assert_true(p->keyless);
    assert_string_equal(p->prefix, "mock");
    assert_string_equal(p->models[0], "mock-echo");
    assert_int_equal(ccp_plugin_mock.check(NULL, &why), CCP_HEALTH_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_is_complete),
        cmocka_unit_test(echo_repeats_the_last_user_text),
        cmocka_unit_test(lorem_is_long),
        cmocka_unit_test(think_thinks_first),
        cmocka_unit_test(tool_is_called_then_reported),
        cmocka_unit_test(max_tokens_cuts),
        cmocka_unit_test(same_request_same_bytes),
        cmocka_unit_test(chat_usage_only_when_asked),
        cmocka_unit_test(errors_have_the_formats_shape),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(configured_failures_are_even),
        cmocka_unit_test(cut_breaks_in_the_middle),
        cmocka_unit_test(count_is_the_usage),
        cmocka_unit_test(embeddings_are_unit_vectors),
        cmocka_unit_test(base64_holds_the_same_floats),
        cmocka_unit_test(pace_is_kept),
        cmocka_unit_test(long_stream_is_flat),
        cmocka_unit_test(gone_and_cancel_are_silent),
        cmocka_unit_test(little_memory_ends_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

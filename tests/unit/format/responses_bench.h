/*
 * What the tests of OpenAI Responses stand on: one request or answer through the product, streams as lists of events
 * with what every stream must keep, and the request of an agent.
 */
#ifndef UNIT_FORMAT_RESPONSES_BENCH_H
#define UNIT_FORMAT_RESPONSES_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <format/responses.h>
#include <format/translate.h>
#include <jansson.h>
#include <wire/json.h>

#define A CCP_FORMAT_ANTHROPIC
#define R CCP_FORMAT_OPENAI_RESPONSES

struct bench {
    struct arena a, scratch;
    struct names *names;
    struct prompt p;
    struct ccp_buf body;
    struct translation t;
    json_t *json;
    const char *model;
    bool compatible, count;
};

static inline int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    arena_init(&b->a, NULL, 0);
    arena_init(&b->scratch, NULL, 0);
    b->names = names_new(&b->a);
    b->model = "gpt-test-1";
    *state = b;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *b = *state;
    json_decref(b->json);
    translation_release(&b->t);
    buf_release(&b->body);
    arena_end(&b->scratch);
    arena_end(&b->a);
    free(b);
    return 0;
}

/* -- requests -- */

static inline bool ask(struct bench *b, enum ccp_format from, enum ccp_format to, const char *body)
{
    struct prompt_target target = {.format = to,
                                   .provider = CCP_SPAN("prov"),
                                   .model = ccp_span_z(b->model),
                                   .compatible = b->compatible,
                                   .count = b->count};
    struct ccp_json *root;
    assert_int_equal(json_parse(&b->a, arena_dup(&b->a, ccp_span_z(body)), &root, NULL), CCP_OK);
    prompt_init(&b->p, &b->a, from, &target, b->names);
    buf_release(&b->body);
    buf_init(&b->body, 64 << 20);
    return translate_request(&b->p, root, &b->body);
}

static inline json_t *asked(struct bench *b, enum ccp_format from, enum ccp_format to, const char *body)
{
    json_error_t error;
    if (!ask(b, from, to, body))
        fail_msg("refused: %.*s", CCP_FMT(b->p.error));
    json_decref(b->json);
    b->json = json_loadb(b->body.p, b->body.n, JSON_REJECT_DUPLICATES, &error);
    if (b->json == NULL)
        fail_msg("%s in %.*s", error.text, CCP_FMT(buf_span(&b->body)));
    return b->json;
}

static const char *text_at(json_t *list, size_t index, const char *key)
{
    return json_string_value(json_object_get(json_array_get(list, index), key));
}

static inline bool lost(const struct bench *b, const char *name)
{
    for (const struct loss *l = b->p.dropped; l != NULL; l = l->next)
        if (ccp_span_is(l->name, name))
            return true;
    return false;
}

/* -- answers -- */

static inline struct ccp_span answer(struct bench *b, enum ccp_format from, enum ccp_format to, bool stream,
                                     const char *text)
{
    struct answer_from source = {.format = from, .provider = CCP_SPAN("prov"), .names = b->names, .stream = stream};
    struct answer_to target = {.model = CCP_SPAN("mine"), .request_id = CCP_SPAN("req-1"), .created = 1700000000};
    translation_release(&b->t);
    assert_true(translation_init(&b->t, &source, to, &target, stream, &b->scratch, 64 << 20));
    assert_true(translation_feed(&b->t, ccp_span_z(text)));
    assert_true(translation_finish(&b->t, NULL));
    return buf_span(&b->t.out);
}

/* The events of a stream as a JSON array; each one's name, type and number are checked. */
static inline json_t *events(struct bench *b, struct ccp_span out)
{
    json_decref(b->json);
    b->json = json_array();
    while (out.n != 0) {
        const char *end = memmem(out.p, out.n, "\n\n", 2), *data = memmem(out.p, out.n, "\ndata: ", 7);
        assert_non_null(end);
        assert_non_null(data);
        assert_memory_equal(out.p, "event: ", 7);
        json_t *event = json_loadb(data + 7, (size_t)(end - data) - 7, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(event);
        const char *type = json_string_value(json_object_get(event, "type"));
        assert_int_equal(strlen(type), data - out.p - 7);
        assert_memory_equal(type, out.p + 7, strlen(type));
        assert_int_equal(json_integer_value(json_object_get(event, "sequence_number")), json_array_size(b->json));
        json_array_append_new(b->json, event);
        out = ccp_span_skip(out, (size_t)(end - out.p) + 2);
    }
    return b->json;
}

static const char *type_at(json_t *list, size_t index)
{
    return text_at(list, index, "type");
}

static inline void assert_types(json_t *list, const char *const *types)
{
    size_t i = 0;
    for (; types[i] != NULL; i++)
        assert_string_equal(type_at(list, i), types[i]);
    assert_int_equal(json_array_size(list), i);
}

/* The response of the last event; its output is what the items said when they were done. */
static inline json_t * final(json_t *list)
{
    size_t n = json_array_size(list), index = 0;
    json_t *response = json_object_get(json_array_get(list, n - 1), "response");
    json_t *output = json_object_get(response, "output");
    for (size_t i = 0; i < n; i++) {
        json_t *event = json_array_get(list, i);
        if (strcmp(type_at(list, i), "response.output_item.done") != 0)
            continue;
        assert_int_equal(json_integer_value(json_object_get(event, "output_index")), index);
        assert_true(json_equal(json_object_get(event, "item"), json_array_get(output, index++)));
    }
    assert_int_equal(json_array_size(output), index);
    return response;
}

#define CODEX                                                                                                          \
    "{\"model\":\"m\",\"instructions\":\"Be brief.\",\"input\":["                                                      \
    "{\"type\":\"message\",\"role\":\"developer\",\"content\":[{\"type\":\"input_text\",\"text\":\"rules\"}]},"        \
    "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"q\"}]}" \
    ","                                                                                                                \
    "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"a\"},"                 \
    "{\"type\":\"summary_text\",\"text\":\"b\"}],\"encrypted_content\":\"gAAA\"},"                                     \
    "{\"type\":\"function_call\",\"name\":\"read\",\"namespace\":\"mcp.files\",\"arguments\":\"{\\\"p\\\":1}\","       \
    "\"call_id\":\"call_1\"},"                                                                                         \
    "{\"type\":\"custom_tool_call\",\"call_id\":\"call_2\",\"name\":\"apply_patch\",\"input\":\"*** Begin\\n\"},"      \
    "{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":\"text\"},"                                  \
    "{\"type\":\"custom_tool_call_output\",\"call_id\":\"call_2\",\"output\":[{\"type\":\"input_text\",\"text\":"      \
    "\"ok\"},"                                                                                                         \
    "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AAAA\"}]}],"                                      \
    "\"tools\":[{\"type\":\"function\",\"name\":\"shell\",\"description\":\"d\",\"strict\":false,"                     \
    "\"parameters\":{\"type\":\"object\",\"properties\":{}}},"                                                         \
    "{\"type\":\"namespace\",\"name\":\"mcp.files\",\"description\":\"Files.\",\"tools\":[{\"type\":\"function\","     \
    "\"name\":\"read\","                                                                                               \
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"p\":{\"type\":\"number\"}}}}]},"                            \
    "{\"type\":\"custom\",\"name\":\"apply_patch\",\"description\":\"e\",\"format\":{\"type\":\"grammar\","            \
    "\"syntax\":\"lark\",\"definition\":\"start: x\"}},{\"type\":\"web_search\",\"external_web_access\":true}],"       \
    "\"tool_choice\":\"auto\",\"parallel_tool_calls\":true,\"reasoning\":{\"effort\":\"medium\",\"summary\":\"auto\"}" \
    ","                                                                                                                \
    "\"store\":false,\"stream\":true,\"include\":[\"reasoning.encrypted_content\"],\"prompt_cache_key\":\"k\","        \
    "\"text\":{\"verbosity\":\"low\"},\"client_metadata\":{\"x\":\"y\"}}"

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

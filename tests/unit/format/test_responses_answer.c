/*
 * Answers of OpenAI Responses: streams that repeat, rotate and skip; errors wherever they stand; the ladder of events,
 * valid whatever comes.
 */
#include "responses_bench.h"

/* -- answers: reading -- */

#define EVENT(json) "data: " json "\n\n"
#define CREATED                                                                                                        \
    EVENT("{\"type\":\"response.created\",\"response\":{\"id\":\"resp_up\",\"model\":\"up\",\"output\":[]}}")

static void what_no_delta_told_comes_from_the_end(void **state)
{
    static const char *const ends[] = {
        /* .done of the text and the arguments */
        EVENT("{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\"}}") EVENT(
            "{\"type\":\"response.output_text.done\",\"output_index\":0,\"content_index\":0,\"text\":\"hi\"}")
            EVENT("{\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\","
                  "\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"\"}}")
                EVENT("{\"type\":\"response.function_call_arguments.done\",\"output_index\":1,"
                      "\"arguments\":\"{\\\"a\\\":1}\"}")
                    EVENT("{\"type\":\"response.completed\",\"response\":{\"output\":[]}}"),
        /* the items alone */
        EVENT("{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\","
              "\"content\":[{\"type\":\"output_text\",\"text\":\"hi\"}]}}")
            EVENT("{\"type\":\"vendor.news\",\"output_index\":9}")
                EVENT("{\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"function_call\","
                      "\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}")
                    EVENT("{\"type\":\"response.completed\",\"response\":{\"output\":[]}}") EVENT("[DONE]"),
        /* the final response alone */
        EVENT("{\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"message\","
              "\"content\":[{\"type\":\"output_text\",\"text\":\"hi\"}]},{\"type\":\"function_call\",\"call_id\":\"c\","
              "\"name\":\"f\",\"arguments\":{\"a\":1}}]}}"),
        /* everything, three times */
        EVENT("{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\"}}") EVENT(
            "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}")
            EVENT("{\"type\":\"response.output_text.done\",\"output_index\":0,\"content_index\":0,\"text\":\"hi\"}")
                EVENT("{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\","
                      "\"content\":[{\"type\":\"output_text\",\"text\":\"hi\"}]}}")
                    EVENT("{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\","
                          "\"content\":[{\"type\":\"output_text\",\"text\":\"hi\"}]}}")
                        EVENT("{\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"message\","
                              "\"content\":[{\"type\":\"output_text\",\"text\":\"hi\"}]},{\"type\":\"function_call\","
                              "\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}]}}"),
    };
    struct bench *b = *state;
    char text[8192];
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(text, sizeof(text), "%s%s", CREATED, ends[i]);
        json_t *output = json_object_get(final(events(b, answer(b, R, R, true, text))), "output");
        assert_int_equal(json_array_size(output), 2);
        assert_string_equal(text_at(json_object_get(json_array_get(output, 0), "content"), 0, "text"), "hi");
        assert_string_equal(text_at(output, 1, "arguments"), "{\"a\":1}");
        assert_string_equal(text_at(output, 1, "call_id"), "c");
        assert_true(b->t.done && !b->t.broken);
    }
}

static void errors_are_read_wherever_they_stand(void **state)
{
    static const struct {
        const char *text;
        enum failure_kind kind;
    } cases[] = {
        {EVENT("{\"type\":\"error\",\"code\":\"context_length_exceeded\",\"message\":\"m\",\"param\":null}"),
         FAILURE_CONTEXT},
        {EVENT("{\"type\":\"error\",\"error\":{\"type\":\"insufficient_quota\",\"message\":\"m\"}}"), FAILURE_QUOTA},
        {CREATED EVENT("{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":"
                       "\"rate_limit_exceeded\",\"message\":\"m\"}}}"),
         FAILURE_RATE},
        {EVENT("{\"error\":{\"message\":\"m\",\"code\":\"server_is_overloaded\"}}"), FAILURE_OVERLOADED},
        {CREATED EVENT("{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\"}}"), FAILURE_UPSTREAM},
        {CREATED EVENT("{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"m\"}"), FAILURE_CUT},
        {CREATED EVENT("[DONE]"), FAILURE_CUT},
        {CREATED EVENT("no json"), FAILURE_GARBLED},
        {CREATED EVENT("{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":"
                       "\"function_call\",\"arguments\":\"{}\"}}"),
         FAILURE_GARBLED},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *list = events(b, answer(b, R, R, true, cases[i].text));
        const char *last = type_at(list, json_array_size(list) - 1);
        bool begun = json_array_size(list) > 1;
        assert_true(b->t.broken && !b->t.done);
        if (b->t.failure.kind != cases[i].kind)
            fail_msg("%s: kind %d", cases[i].text, b->t.failure.kind);
        assert_string_equal(last, begun ? "response.failed" : "error");
    }
}

static void summaries_and_proofs_are_one_thinking(void **state)
{
    struct bench *b = *state;
    json_t *list = events(
        b, answer(b, R, R, true,
                  CREATED EVENT("{\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,"
                                "\"summary_index\":0,\"delta\":\"a\"}")
                      EVENT("{\"type\":\"response.reasoning_summary_text.done\",\"output_index\":0,"
                            "\"summary_index\":0,\"text\":\"a\"}") EVENT("{\"type\":\"response.reasoning_summary_part."
                                                                         "done\",\"output_index\":0,\"summary_index\":"
                                                                         "1,\"part\":{\"text\":\"b\"}}")
                          EVENT("{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":"
                                "\"reasoning\",\"summary\":[{\"text\":\"a\"},{\"text\":\"b\"}],"
                                "\"encrypted_content\":\"gAAA\"}}")
                              EVENT("{\"type\":\"response.completed\",\"response\":{}}")));
    json_t *output = json_object_get(final(list), "output");
    assert_int_equal(json_array_size(output), 1);
    assert_string_equal(text_at(json_object_get(json_array_get(output, 0), "summary"), 0, "text"), "a\n\nb");
    assert_string_equal(text_at(output, 0, "encrypted_content"), "gAAA");
}

static void an_old_item_gives_way_to_many_open_ones(void **state)
{
    struct bench *b = *state;
    struct ccp_buf text;
    buf_init(&text, 1 << 20);
    buf_addz(&text, CREATED);
    for (int i = 0; i < 40; i++)
        buf_printf(&text,
                   EVENT("{\"type\":\"response.output_item.added\",\"output_index\":%d,\"item\":{\"type\":"
                         "\"function_call\",\"call_id\":\"c%d\",\"name\":\"f\"}}"),
                   i, i);
    buf_addz(&text, EVENT("{\"type\":\"response.completed\",\"response\":{}}"));
    buf_add(&text, ccp_span_of("", 1));
    json_t *output = json_object_get(final(events(b, answer(b, R, R, true, text.p))), "output");
    buf_release(&text);
    assert_int_equal(json_array_size(output), 40);
    assert_string_equal(text_at(output, 39, "call_id"), "c39");
    assert_string_equal(text_at(output, 39, "arguments"), "{}");
}

static void usage_is_disjoint_and_never_negative(void **state)
{
    struct bench *b = *state;
    answer(b, R, A, false,
           "{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":100,"
           "\"input_tokens_details\":{\"cached_tokens\":70,\"cache_write_tokens\":20},\"output_tokens\":9,"
           "\"output_tokens_details\":{\"reasoning_tokens\":4}}}");
    assert_int_equal(b->t.deltas.usage.input, 10);
    assert_int_equal(b->t.deltas.usage.reasoning, 4);
    answer(b, R, A, false,
           "{\"output\":[],\"usage\":{\"input_tokens\":5,\"input_tokens_details\":{\"cached_tokens\":70}}}");
    assert_int_equal(b->t.deltas.usage.input, 0);
    assert_int_equal(b->t.deltas.usage.cache_read, 70);
}

/* -- answers: writing -- */

static void the_ladder_is_whole(void **state)
{
    static const char *const types[] = {
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
        NULL,
    };
    struct bench *b = *state;
    assert_true(ask(b, R, R, CODEX)); /* the names of its tools */
    json_t *list = events(
        b, answer(b, R, R, true,
                  CREATED EVENT(
                      "{\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"reasoning\","
                      "\"summary\":[{\"text\":\"s\"}],\"encrypted_content\":\"e\"},{\"type\":\"message\","
                      "\"content\":[{\"type\":\"output_text\",\"text\":\"t\"}]},{\"type\":"
                      "\"custom_tool_call\",\"call_id\":\"c1\",\"name\":\"apply_patch\",\"input\":\"raw\"},"
                      "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"shell\",\"arguments\":\"\"}]}}")));
    assert_types(list, types);
    json_t *response = final(list), *output = json_object_get(response, "output");
    assert_string_equal(json_string_value(json_object_get(response, "id")), "resp_up");
    assert_string_equal(json_string_value(json_object_get(response, "model")), "mine");
    assert_string_equal(text_at(output, 2, "input"), "raw");
    assert_string_equal(text_at(output, 3, "arguments"), "{}");
    assert_non_null(json_object_get(json_object_get(response, "usage"), "input_tokens_details"));
}

static void an_item_that_was_cut_off_says_so(void **state)
{
    struct bench *b = *state;
    json_t *list = events(
        b, answer(b, R, R, true,
                  CREATED EVENT("{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"t\"}")
                      EVENT("{\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"output\":[],"
                            "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}}}")));
    json_t *output = json_object_get(final(list), "output"); /* the same in output_item.done */
    assert_string_equal(text_at(output, 0, "status"), "incomplete");
    assert_string_equal(type_at(list, json_array_size(list) - 1), "response.incomplete");
}

static void a_tool_comes_back_in_its_namespace(void **state)
{
    struct bench *b = *state;
    char text[2048];
    json_t *tools = json_object_get(asked(b, R, R, CODEX), "tools");
    snprintf(text, sizeof(text),
             EVENT("{\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"function_call\","
                   "\"call_id\":\"c\",\"name\":\"%s\",\"arguments\":\"{}\"}]}}"),
             text_at(tools, 1, "name"));
    json_t *output = json_object_get(final(events(b, answer(b, R, R, true, text))), "output");
    assert_string_equal(text_at(output, 0, "name"), "read");
    assert_string_equal(text_at(output, 0, "namespace"), "mcp.files");
}

/* Upstream saw a function with one string; the client sees its free-text tool again. */
static void free_text_comes_back_free(void **state)
{
    struct bench *b = *state;
    json_t *tools = json_object_get(asked(b, R, A, CODEX), "tools");
    char text[1024];
    assert_string_equal(text_at(tools, 2, "name"), "apply_patch");
    snprintf(text, sizeof(text),
             "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":"
             "\"apply_patch\",\"input\":{\"input\":\"*** a \\\"b\\\"\\n\"}},{\"type\":\"tool_use\",\"id\":\"t2\","
             "\"name\":\"%s\",\"input\":{\"p\":2}}],\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":1,"
             "\"output_tokens\":1}}",
             text_at(tools, 1, "name"));
    struct answer_from source = {.format = A, .provider = CCP_SPAN("prov"), .names = b->names};
    struct answer_to target = {.model = CCP_SPAN("mine"), .request_id = CCP_SPAN("r")};
    assert_true(translation_init(&b->t, &source, R, &target, true, &b->scratch, 1 << 20));
    assert_true(translation_feed(&b->t, ccp_span_z(text)));
    assert_true(translation_finish(&b->t, NULL));
    json_t *output = json_object_get(final(events(b, buf_span(&b->t.out))), "output");
    assert_string_equal(type_at(output, 0), "custom_tool_call");
    assert_string_equal(text_at(output, 0, "input"), "*** a \"b\"\n");
    assert_string_equal(text_at(output, 1, "name"), "read");
    assert_string_equal(text_at(output, 1, "namespace"), "mcp.files");
}

static struct delta call_with_proof(enum proof_kind kind)
{
    return (struct delta){.type = DELTA_OPEN,
                          .kind = PART_CALL,
                          .id = CCP_SPAN("c"),
                          .name = CCP_SPAN("f"),
                          .proof = {kind, CCP_SPAN("prov"), CCP_SPAN("sig")}};
}

static void proofs_of_calls_and_texts_stand_apart(void **state)
{
    struct bench *b = *state;
    struct answer_to to = {.model = CCP_SPAN("mine"), .request_id = CCP_SPAN("r")};
    struct delta open = call_with_proof(PROOF_THOUGHT), close = {.type = DELTA_CLOSE, .kind = PART_CALL};
    struct delta text = {.type = DELTA_OPEN, .kind = PART_TEXT},
                 proof = {.type = DELTA_PROOF, .proof = {PROOF_THOUGHT, CCP_SPAN("prov"), CCP_SPAN("sig")}},
                 stop = {.type = DELTA_STOP, .stop = STOP_TOOL};
    const struct delta *all[] = {&open, &close, &text, &proof, &close, &stop};
    struct responses_writer w = {0};
    buf_init(&b->body, 1 << 20);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_true(responses_write_delta(&w, &to, all[i], &b->body));
    json_t *output = json_object_get(final(events(b, buf_span(&b->body))), "output");
    responses_writer_release(&w);
    assert_int_equal(json_array_size(output), 4);
    assert_string_equal(type_at(output, 0), "reasoning");
    assert_memory_equal(text_at(output, 0, "encrypted_content"), "ccp1.prov.", 10);
    assert_string_equal(type_at(output, 1), "function_call");
    assert_string_equal(type_at(output, 2), "message");
    assert_string_equal(type_at(output, 3), "reasoning");
}

static void any_order_of_deltas_gives_a_valid_stream(void **state)
{
    struct bench *b = *state;
    struct answer_to to = {.model = CCP_SPAN("mine"), .request_id = CCP_SPAN("r")};
    uint32_t seed = 7;
    for (int round = 0; round < 500; round++) {
        struct responses_writer w = {0};
        struct failure f = {.kind = FAILURE_RATE, .message = CCP_SPAN("slow"), .retry_after_ms = 1500};
        buf_release(&b->body);
        buf_init(&b->body, 1 << 20);
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525 + 1013904223;
            static const enum part_kind kinds[] = {PART_TEXT, PART_REFUSAL, PART_THINKING, PART_CALL};
            struct delta d = {.type = i == 11 ? DELTA_STOP : (enum delta_type)((seed >> 24) % 5),
                              .kind = kinds[(seed >> 20) % 4],
                              .id = CCP_SPAN("c"),
                              .name = CCP_SPAN("f"),
                              .custom = seed >> 19 & 1,
                              .text = CCP_SPAN("t"),
                              .stop = (enum stop)((seed >> 10) % (STOP_MALFORMED + 1)),
                              .failure = &f};
            if ((seed >> 12) % 31 == 0)
                d.type = DELTA_ERROR;
            assert_true(responses_write_delta(&w, &to, &d, &b->body));
        }
        json_t *list = events(b, buf_span(&b->body));
        const char *last = type_at(list, json_array_size(list) - 1);
        assert_true(strcmp(last, "error") == 0 || strcmp(last, "response.completed") == 0 ||
                    strcmp(last, "response.incomplete") == 0 || strcmp(last, "response.failed") == 0);
        responses_writer_release(&w);
    }
}

static void the_time_to_wait_is_in_the_message(void **state)
{
    struct bench *b = *state;
    struct answer_to to = {.model = CCP_SPAN("mine"), .request_id = CCP_SPAN("r")};
    struct failure f = {.kind = FAILURE_RATE, .message = CCP_SPAN("slow"), .retry_after_ms = 1500};
    struct responses_writer w = {0};
    buf_init(&b->body, 1 << 20);
    assert_true(responses_write_delta(&w, &to, &(struct delta){.type = DELTA_ERROR, .failure = &f}, &b->body));
    json_t *list = events(b, buf_span(&b->body));
    assert_string_equal(text_at(list, 0, "code"), "rate_limit_exceeded");
    assert_string_equal(text_at(list, 0, "message"), "slow Please try again in 1.500s.");
    responses_writer_release(&w);
}

static void ends_are_told_in_this_formats_words(void **state)
{
    static const struct {
        enum stop stop;
        const char *status, *reason;
    } cases[] = {
        {STOP_END, "completed", NULL},
        {STOP_TOOL, "completed", NULL},
        {STOP_LENGTH, "incomplete", "max_output_tokens"},
        {STOP_CONTEXT, "incomplete", "max_output_tokens"},
        {STOP_REFUSAL, "incomplete", "content_filter"},
        {STOP_MALFORMED, "failed", NULL},
    };
    struct bench *b = *state;
    struct answer_to to = {.model = CCP_SPAN("mine"), .request_id = CCP_SPAN("r e\"q")};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct collect c;
        collect_init(&c, 1 << 20);
        c.stop = cases[i].stop;
        buf_release(&b->body);
        buf_init(&b->body, 1 << 20);
        assert_true(responses_write_whole(&to, &c, &b->scratch, &b->body));
        collect_release(&c);
        json_decref(b->json);
        b->json = json_loadb(b->body.p, b->body.n, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(b->json, "status")), cases[i].status);
        assert_string_equal(json_string_value(json_object_get(b->json, "id")), "resp_req");
        const char *reason =
            json_string_value(json_object_get(json_object_get(b->json, "incomplete_details"), "reason"));
        assert_int_equal(reason != NULL, cases[i].reason != NULL);
        if (reason != NULL)
            assert_string_equal(reason, cases[i].reason);
        assert_int_equal(json_is_object(json_object_get(b->json, "error")), cases[i].stop == STOP_MALFORMED);
    }
}

static void a_full_buffer_ends_the_stream(void **state)
{
    struct answer_to to = {.model = CCP_SPAN("mine"), .request_id = CCP_SPAN("r")};
    struct delta all[] = {{.type = DELTA_START},
                          {.type = DELTA_OPEN},
                          {.type = DELTA_TEXT, .text = CCP_SPAN("t")},
                          {.type = DELTA_CLOSE},
                          {.type = DELTA_STOP, .stop = STOP_END}};
    size_t failed = 0;
    (void)state;
    for (size_t max = 0; max < 6000; max += 61) {
        struct responses_writer w = {0};
        struct ccp_buf out;
        bool ok = true;
        buf_init(&out, max);
        for (size_t i = 0; ok && i < sizeof(all) / sizeof(all[0]); i++)
            ok = responses_write_delta(&w, &to, &all[i], &out);
        assert_int_equal(ok, !out.failed);
        failed += !ok;
        buf_release(&out);
        responses_writer_release(&w);
    }
    assert_in_range(failed, 10, 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_no_delta_told_comes_from_the_end),
        T(errors_are_read_wherever_they_stand),
        T(summaries_and_proofs_are_one_thinking),
        T(an_old_item_gives_way_to_many_open_ones),
        T(usage_is_disjoint_and_never_negative),
        T(the_ladder_is_whole),
        T(an_item_that_was_cut_off_says_so),
        T(a_tool_comes_back_in_its_namespace),
        T(free_text_comes_back_free),
        T(proofs_of_calls_and_texts_stand_apart),
        T(any_order_of_deltas_gives_a_valid_stream),
        T(the_time_to_wait_is_in_the_message),
        T(ends_are_told_in_this_formats_words),
        T(a_full_buffer_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

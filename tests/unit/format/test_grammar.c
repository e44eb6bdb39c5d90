/*
 * The judge of tests/grammar, judged: every scenario's request, answer and stream is valid; and for each rule of
 * answers there is a text, one small change away from a valid one, that is refused for that reason. Requests: see
 * test_grammar_requests.c.
 */
#include "mutation.h"

static void scenarios_are_valid(void **state)
{
    static const char *const all[] = {"text",      "system-multi", "image-base64", "image-url",      "pdf",
                                      "tool-call", "tool-no-args", "tool-result",  "parallel-tools", "thinking",
                                      "refusal",   "max-tokens",   "stop-sequence"};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        for (int f = 0; f < CCP_FORMAT_COUNT; f++)
            for (enum question q = REQUEST; q <= WHOLE; q++) {
                char *text = fixture(all[i], f, q);
                const char *wrong = ask(f, q, ccp_span_z(text), false);
                if (wrong != NULL)
                    fail_msg("%s %s.%s: %s", all[i], names[f], files[q], wrong);
                free(text);
            }
}

/* -- answers -- */

#define CHUNK_C(delta, rest)                                                                                           \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":["    \
    "{\"index\":0,\"delta\":{" delta "},\"finish_reason\":" rest "}]}\n\n"
#define STREAM_C CHUNK_C("\"role\":\"assistant\",\"content\":\"\"", "null") CHUNK_C("", "\"stop\"") "data: [DONE]\n\n"
#define BROKEN_C                                                                                                       \
    CHUNK_C("\"role\":\"assistant\"", "null")                                                                          \
    "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":null}}\n\n"

static const struct mutation chat_answers[] = {
    {C, STREAM, "text", "data: [DONE]\n\n", "", "no end"},
    {C, STREAM, "text", "data: [DONE]\n\n", "data: [DONE]\n", "inside a line"},
    {C, STREAM, "text", "data: [DONE]", "data: [DONE]\n\ndata: [DONE]", "behind the end"},
    {C, STREAM, "text", "\n\n", "\n", "no empty line"},
    {C, STREAM, "text", "\n\n", "\r\n\r\n", "end differently"},
    {C, STREAM, "text", "\n\ndata", "\n\nevent: x\ndata", "named event"},
    {C, STREAM, "text", "1:chatcmpl-", "chatcmpl-x", "changed"},
    {C, STREAM, "text", "1:1760000000", "1760000001", "changed"},
    {C, STREAM, "text", "1:gpt-test-1", "gpt-test-2", "changed"},
    {C, STREAM, "text", "chat.completion.chunk", "chat.completion", "wrong object"},
    {C, STREAM, "text", "\"role\":\"assistant\",", "", "no role"},
    {C, STREAM, "text", "1:\"delta\":{", "\"delta\":{\"role\":\"assistant\",", "role twice"},
    {C, STREAM, "text", "\"stop\"", "null", "not the one usage"},
    {C, STREAM, "text", "\"stop\"", "\"end_turn\"", "finish_reason is none"},
    {C, STREAM, "text", "\"stop\"", "\"tool_calls\"", "without a call"},
    {C, STREAM, "text", "1:\"finish_reason\":null", "\"finish_reason\":\"stop\"", "behind the finish"},
    {C, STREAM, "text", "1:,\"usage\":null", "", "not null everywhere"},
    {C, STREAM, "text", "\"total_tokens\":", "\"total_tokens\":1", "not the sum"},
    {C, STREAM, "text", "\"cached_tokens\":", "\"cached_tokens\":9999", "more cached"},
    {C, STREAM, "tool-call", "\"finish_reason\":\"tool_calls\"", "\"finish_reason\":\"stop\"", "behind a call"},
    {C, STREAM, "tool-call", "\"id\":\"call_", "\"xd\":\"call_", "latest"},
    {C, STREAM, "parallel-tools", "1:\"index\":1", "\"index\":0", "not the latest"},
    {C, STREAM, "parallel-tools", "{\"index\":1,\"id\"", "{\"index\":2,\"id\"", "not the latest"},
    {C, STREAM, "parallel-tools", "{\"index\":1,\"function\"", "{\"index\":1,\"id\":\"x\",\"function\"", "twice"},
    {C, STREAM, "parallel-tools", "\"name\":\"get_weather\",", "", "without a name"},
    {C, STREAM, STREAM_C, "\"content\":\"\"", "\"content\":\"\\ud83d\"", "character in two"},
    {C, STREAM, STREAM_C, "\"content\":\"\"", "\"content\":\"\xff\"", "UTF-8"},
    {C, STREAM, STREAM_C, "\"content\":\"\"", "\"content\":\"\t\"", "control character"},
    {C, STREAM, STREAM_C, "data: [DONE]", "retry: 5", "neither"},
    {C, STREAM, BROKEN_C, "\n\ndata: {\"error", "\n\ndata: [DONE]\n\ndata: {\"error", "[DONE] without"},
    {C, STREAM, BROKEN_C, "\"code\":null}}\n\n", "\"code\":null}}\n\ndata: [DONE]\n\n", "behind the end"},
    {C, STREAM, BROKEN_C, "\"type\":\"t\",", "", "missing"},
    {C, WHOLE, "text", "\"finish_reason\": \"stop\"", "\"finish_reason\": \"tool_calls\"", "without a call"},
    {C, WHOLE, "text", "\"refusal\": null", "\"refuzal\": null", "missing"},
    {C, WHOLE, "text", "chatcmpl-", "cmpl-", "chatcmpl-"},
    {C, WHOLE, "text", "\"total_tokens\": ", "\"total_tokens\": 1", "not the sum"},
    {C, WHOLE, "tool-call", "\"arguments\"", "\"input\"", "without arguments"},
    {C, WHOLE, "tool-call", "\"id\": \"call_", "\"xd\": \"call_", "without an id"},
    {C, ERROR, "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":null}}", ",\"param\":null", "",
     "missing"},
    {C, ERROR, "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":null}}", "null}", "5}",
     "wrong type"},
};

#define ERROR_A "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}\n\n"

static const struct mutation anthropic_answers[] = {
    {A, STREAM, "text", "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", "", "no end"},
    {A, STREAM, "text", "event: message_start", "event: message_begin", "event: is not the type"},
    {A, STREAM, "text", "event: message_start\n", "", "event: is not the type"},
    {A, STREAM, "text", "\"content\":[]", "\"content\":[1]", "with content"},
    {A, STREAM, "text", "\"stop_reason\":null", "\"stop_reason\":\"end_turn\"", "reason to stop"},
    {A, STREAM, "text", "\"id\":\"msg_", "\"id\":\"chatcmpl-", "msg_"},
    {A, STREAM, "text", "\"index\":0,\"content_block\"", "\"index\":1,\"content_block\"", "index is not 0"},
    {A, STREAM, "text", "\"index\":0,\"delta\"", "\"index\":1,\"delta\"", "index is not 0"},
    {A, STREAM, "text", "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n", "",
     "message_delta may not stand here"},
    {A, STREAM, "text", "text_delta", "thinking_delta", "without thinking"},
    {A, STREAM, "text", "\"text\":\"\"", "\"text\":\"a\"", "text at start"},
    {A, STREAM, "text", "end_turn", "tool_use", "without a call"},
    {A, STREAM, "text", "end_turn", "stop", "not one of"},
    {A, STREAM, "text", "1:\"stop_sequence\":null", "\"stop_sequence\":\"x\"", "stop_sequence without"},
    {A, STREAM, "text", "1:\"usage\":{", "\"uzage\":{", "usage is not an object"},
    {A, STREAM, "text", "event: ping\ndata: {\"type\":\"ping\"}", "event: pong\ndata: {\"type\":\"pong\"}",
     "nobody knows"},
    {A, STREAM, "text", "{\"type\":\"message_stop\"}\n\n",
     "{\"type\":\"message_stop\"}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n", "may not stand here"},
    {A, STREAM, "text", "event: content_block_start", ERROR_A "event: content_block_start", "an error"},
    {A, STREAM, "thinking",
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\"",
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}"
     "\n\nevent: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\"",
     "behind the signature"},
    {A, STREAM, "tool-call", "\"input\":{}", "\"input\":{\"a\":1}", "input at start"},
    {A, STREAM, "tool-call", "\"id\":\"call_", "\"id\":\"call.", "pattern"},
    {A, STREAM, "tool-call", "\"stop_reason\":\"tool_use\"", "\"stop_reason\":\"end_turn\"", "behind a call"},
    {A, STREAM, ERROR_A, ERROR_A, ERROR_A ERROR_A, "may not stand here"},
    {A, STREAM, ERROR_A, "api_error", "server_error", "not one of"},
    {A, WHOLE, "text", "\"assistant\"", "\"user\"", "role"},
    {A, WHOLE, "text", "\"end_turn\"", "null", "wrong type"},
    {A, WHOLE, "tool-call", "\"stop_reason\": \"tool_use\"", "\"stop_reason\": \"end_turn\"", "behind a call"},
    {A, WHOLE, "thinking", "\"signature\"", "\"sig\"", "missing"},
    {A, WHOLE, "thinking", "\"thinking_tokens\": 60", "\"thinking_tokens\": 6000", "more thinking"},
    {A, ERROR, "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}", "\"type\":\"error\",", "",
     "missing"},
};

#define FAILED_R                                                                                                       \
    "event: error\ndata: "                                                                                             \
    "{\"type\":\"error\",\"sequence_number\":0,\"code\":null,\"message\":\"m\",\"param\":null}\n\n"

static const struct mutation responses_answers[] = {
    {R, STREAM, "text", "event: response.created", "event: response.begun", "event: is not the type"},
    {R, STREAM, "text", "\"sequence_number\":3", "\"sequence_number\":4", "sequence_number is not 3"},
    {R, STREAM, "text", "1:\"id\":\"resp_", "\"id\":\"resp_x", "changed"},
    {R, STREAM, "text", "\"id\":\"resp_", "\"id\":\"re_", "resp_"},
    {R, STREAM, "text", "\"status\":\"in_progress\"", "\"status\":\"completed\"", "not in_progress"},
    {R, STREAM, "text", "\"output\":[]", "\"outputs\":[]", "missing"},
    {R, STREAM, "text", "\"output_index\":0", "\"output_index\":1", "output_index is not 0"},
    {R, STREAM, "text", "\"item_id\":\"msg_", "\"item_id\":\"msg_x", "another one"},
    {R, STREAM, "text", "\"content_index\":0", "\"content_index\":1", "content_index is not 0"},
    {R, STREAM, "text", "\"delta\":\"", "\"delta\":\"x", "not what the deltas told"},
    {R, STREAM, "text", "\"content\":[]", "\"content\":[{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}]",
     "with its content"},
    {R, STREAM, "text", "\"type\":\"response.completed\"", "\"type\":\"response.failed\"", "event: is not the type"},
    {R, STREAM, "text", "\"status\":\"completed\",\"background\"", "\"status\":\"incomplete\",\"background\"",
     "status is not completed"},
    {R, STREAM, "text", "\"total_tokens\":", "\"total_tokens\":1", "not the sum"},
    {R, STREAM, "text", "\"logprobs\":[]}\n\nevent: response.output_text.done",
     "\"log\":[]}\n\nevent: response.output_text.done", "logprobs"},
    {R, STREAM, "tool-call", "\"arguments\":\"{", "\"arguments\":\"{ ", "not what the deltas told"},
    {R, STREAM, "tool-call", "1:\"arguments\":\"{", "\"arguments\":\"{ ", "not that of its deltas"},
    {R, STREAM, "tool-call", "2:\"arguments\":\"{", "\"arguments\":\"{ ", "is not the item that was done"},
    {R, STREAM, "tool-call", "\"arguments\":\"\"", "\"arguments\":\"{}\"", "with its arguments"},
    {R, STREAM, "tool-call", "\"id\":\"fc_", "\"id\":\"call_", "prefix"},
    {R, STREAM, "tool-call", "\"call_id\"", "\"id_of_call\"", "missing"},
    {R, STREAM, "parallel-tools", "\"id\":\"fc_02\"", "\"id\":\"fc_01\"", "two items of one id"},
    {R, STREAM, "thinking", "\"summary_index\":0", "\"summary_index\":1", "summary_index is not 0"},
    {R, STREAM, "thinking", "1:\"summary\":[{", "\"summary\":[{\"type\":\"summary_text\",\"text\":\"\"},{",
     "is not the item that was done"},
    {R, STREAM, "thinking", "\"summary\":[{", "\"summary\":[{\"type\":\"summary_text\",\"text\":\"\"},{",
     "not those that were done"},
    {R, STREAM, "max-tokens", "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}",
     "\"incomplete_details\":null", "goes with incomplete"},
    {R, STREAM, FAILED_R, "\"sequence_number\":0", "\"sequence_number\":1", "sequence_number is not 0"},
    {R, STREAM, FAILED_R, ",\"param\":null", "", "missing"},
    {R, STREAM, FAILED_R, FAILED_R, FAILED_R "data: [DONE]\n\n", "not JSON"},
    {R, WHOLE, "text", "\"annotations\": []", "\"annotation\": []", "missing"},
    {R, WHOLE, "text", "\"status\": \"completed\"", "\"status\": \"in_progress\"", "not completed"},
    {R, WHOLE, "text", "\"input_tokens_details\"", "\"details\"", "missing"},
    {R, ERROR, "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":null}}", "\"message\"", "\"text\"",
     "missing"},
};

#define CHUNK_G(rest) "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]},\"index\":0" rest
#define IDS_G         "\"modelVersion\":\"m\",\"responseId\":\"r\"}"
#define LAST_G                                                                                                         \
    CHUNK_G(",\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1,\"totalTokenCount\":1},") IDS_G
#define ARRAY_G "[" CHUNK_G("}],") IDS_G "\n,\n" LAST_G "]"
#define ERROR_G "{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}"

static const struct mutation gemini_answers[] = {
    {G, STREAM, "text", "\"finishReason\"", "\"finish_reason\"", "no end"},
    {G, STREAM, "text", "\r\n\r\n", "\n\n", "end differently"},
    {G, STREAM, "text", "1:gemini-fixture-", "gemini-fixture-x", "changed"},
    {G, STREAM, "text", "1:gemini-test-", "gemini-test-x", "changed"},
    {G, STREAM, "text", "\"role\":\"model\"", "\"role\":\"assistant\"", "somebody else"},
    {G, STREAM, "text", "\"totalTokenCount\":", "\"totalTokenCount\":1", "not the sum"},
    {G, STREAM, "text", "\"index\":0", "\"index\":1", "out of range"},
    {G, STREAM, "tool-call", "\"args\":{", "\"args\":[{", "not JSON"},
    {G, STREAM, "tool-call", "\"name\":", "\"nome\":", "missing"},
    {G, STREAM, "thinking", "\"thoughtSignature\":\"", "\"thoughtSignature\":\"*", "base64"},
    {G, STREAM, ARRAY_G, "]", "", "JSON"},
    {G, STREAM, ARRAY_G, "\"}\n,\n", "\"}\n\n", "JSON"},
    {G, STREAM, ARRAY_G, "[{\"text\":\"a\"}]", "[]", "empty list of parts"},
    {G, STREAM, ARRAY_G, "{\"text\":\"a\"}", "{\"text\":\"a\",\"functionCall\":{\"name\":\"f\"}}", "one kind"},
    {G, STREAM, ARRAY_G, "\"index\":0}]", "\"index\":0,\"finishReason\":\"STOP\"}]", "behind the finish"},
    {G, STREAM, ARRAY_G, "\n,\n", "\n,\n" LAST_G ",", "behind the finish"},
    {G, STREAM, ARRAY_G, "\n,\n", "\n,\n" ERROR_G ",", "an error"},
    {G, STREAM, "[" ERROR_G "]", "UNAVAILABLE", "OVERLOADED", "not one of"},
    {G, WHOLE, LAST_G, "\"STOP\"", "\"stop\"", "not one of"},
    {G, WHOLE, LAST_G, "\"finishReason\":\"STOP\"", "\"x\":1", "no finishReason"},
    {G, WHOLE, LAST_G, "\"responseId\":\"r\"", "\"responseId\":\"\"", "empty"},
    {G, ERROR, ERROR_G, "503", "200", "out of range"},
    {G, ERROR, ERROR_G, ",\"status\":\"UNAVAILABLE\"", "", "missing"},
};

static void answers_are_judged(void **state)
{
    RUN(anthropic_answers);
    RUN(chat_answers);
    RUN(responses_answers);
    RUN(gemini_answers);
}

/* Random bytes taken out of good texts: the judge never crashes, and hardly anything still passes. */
static void cut_texts(void **state)
{
    uint32_t seed = 1;
    for (int f = 0; f < CCP_FORMAT_COUNT; f++)
        for (enum question q = REQUEST; q <= WHOLE; q++) {
            char *text = fixture("parallel-tools", f, q);
            size_t n = strlen(text), passed = 0;
            for (int i = 0; i < 300; i++) {
                seed = seed * 1664525u + 1013904223u;
                size_t keep = (seed >> 8) % n;
                char *exact = malloc(keep + 1); /* so that reading beyond is seen */
                memcpy(exact, text, keep);
                passed += ask(f, q, ccp_span_of(exact, keep), true) == NULL;
                free(exact);
            }
            assert_true(passed <= 6); /* only the white space at the end may go */
            free(text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenarios_are_valid),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(cut_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Gemini clients' requests: both spellings, calls without ids, fragments of a streamed answer that come back, tools and
 * choices, what is refused, paths, counts.
 */
#include "gemini_request.h"

#include <base/fault.h>
#include <stdio.h>

static void both_spellings_mean_the_same(void **state)
{
    static const char want[] =
        "{\"generationConfig\":{\"maxOutputTokens\":9,\"topP\":0.5,\"topK\":3,\"stopSequences\":[\"x\"],"
        "\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":600}},\"safetySettings\":[1],"
        "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parametersJsonSchema\":{\"a\":1}}]}],"
        "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}},"
        "\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]},"
        "\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{\"mimeType\":\"image/"
        "png\",\"data\":\"AA==\"}}]}]}";
    translated(
        "gemini-2.5-flash",
        "{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image\\/png\",\"data\":\"AA==\"}}]}],"
        "\"systemInstruction\":\"s\",\"safetySettings\":[1],\"tools\":[{\"functionDeclarations\":[{\"name\":"
        "\"f\",\"parametersJsonSchema\":{\"a\":1}}]}],\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\","
        "\"allowedFunctionNames\":[\"f\"]}},\"generationConfig\":{\"maxOutputTokens\":\"9\",\"topP\":0.5,\"topK\":"
        "3,\"stopSequences\":[\"x\"],\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":600}}}",
        want);
    translated("gemini-2.5-flash",
               "{\"contents\":[{\"parts\":[{\"inline_data\":{\"mime_type\":\"image/png\",\"data\":\"AA==\"}}]}],"
               "\"system_instruction\":{\"parts\":[{\"text\":\"s\"}]},\"safety_settings\":[1],\"tools\":[{"
               "\"function_declarations\":[{\"name\":\"f\",\"parameters_json_schema\":{\"a\":1}}]}],\"tool_config\":{"
               "\"function_calling_config\":{\"mode\":\"ANY\",\"allowed_function_names\":[\"f\"]}},"
               "\"generation_config\":{\"max_output_tokens\":9,\"top_p\":0.5,\"top_k\":3,\"stop_sequences\":[\"x\"],"
               "\"thinking_config\":{\"include_thoughts\":true,\"thinking_budget\":600}}}",
               want);
}

static void nothing_is_dropped_for_its_spelling(void **state)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_GEMINI, "gemini-2.5-flash");
    assert_true(translate_request(
        &r.p, parsed(&r.a, CCP_SPAN(WITH("\"generation_config\":{\"top_p\":1,\"seed\":null},\"safety_settings\":[]"))),
        &r.out));
    assert_int_equal(r.p.dropped_count, 0);
    request_end(&r);
}

/* -- calls without ids -- */

static const struct part *nth(const struct prompt *p, enum part_kind kind, int n)
{
    for (const struct turn *t = p->turns; t != NULL; t = t->next)
        for (const struct part *part = t->parts; part != NULL; part = part->next)
            if (part->kind == kind && n-- == 0)
                return part;
    fail_msg("there is no such part");
    return NULL;
}

static void settled(struct request *r, const char *body)
{
    request_begin(r, CCP_FORMAT_GEMINI, "gemini-2.5-flash");
    if (!format_gemini.prompt_read(&r->p, parsed(&r->a, ccp_span_z(body))) || !prompt_settle(&r->p, true))
        fail_msg("refused: %.*s", CCP_FMT(r->p.error));
}

#define CALL(name, n)        "{\"functionCall\":{\"name\":\"" name "\",\"args\":{\"n\":" n "}}}"
#define RESPONSE(name, text) "{\"functionResponse\":{\"name\":\"" name "\",\"response\":{\"output\":\"" text "\"}}}"
#define STEP                                                                                                           \
    USER ",{\"role\":\"model\",\"parts\":[" CALL("f", "1") "," CALL("g", "1") "," CALL(                                \
        "f", "1") "]},"                                                                                                \
                  "{\"role\":\"function\",\"parts\":[" RESPONSE("f", "f1") "," RESPONSE("f", "f2") "," RESPONSE(       \
                      "g", "g1") "]}"

static void responses_find_their_calls_by_name_and_order(void **state)
{
    static const char *const texts[] = {"f1", "g1", "f2"};
    struct request r;
    settled(&r, "{\"contents\":[" STEP "]}");
    for (int i = 0; i < 3; i++) {
        const struct part *call = nth(&r.p, PART_CALL, i), *result = nth(&r.p, PART_RESULT, i);
        assert_int_equal(call->id.n, 29);
        assert_true(ccp_span_eq(call->id, result->id));
        if (!ccp_span_is(result->parts->text, texts[i]))
            fail_msg("%d %.*s", i, CCP_FMT(result->parts->text));
        for (int k = 0; k < i; k++)
            assert_false(ccp_span_eq(call->id, nth(&r.p, PART_CALL, k)->id));
    }
    assert_int_equal(r.p.dropped_count, 0);
    request_end(&r);
}

static void ids_stay_when_the_history_grows(void **state)
{
    struct request a, b;
    settled(&a, "{\"contents\":[" STEP "]}");
    settled(&b, "{\"contents\":[" STEP ",{\"role\":\"model\",\"parts\":[" CALL("f", "1") "]}]}");
    for (int i = 0; i < 3; i++)
        assert_true(ccp_span_eq(nth(&a.p, PART_CALL, i)->id, nth(&b.p, PART_CALL, i)->id));
    assert_false(ccp_span_eq(nth(&b.p, PART_CALL, 0)->id, nth(&b.p, PART_CALL, 3)->id));
    request_end(&a);
    request_end(&b);
}

static void an_interrupted_call_does_not_take_a_later_response(void **state)
{
    struct request r;
    settled(&r, "{\"contents\":[" USER
                ",{\"role\":\"model\",\"parts\":[" CALL("f", "1") "]}," USER ",{\"role\":\"model\",\"parts\":[" CALL(
                    "f", "2") "]},{\"role\":\"tool\",\"parts\":[" RESPONSE("f", "late") "]}]}");
    assert_true(ccp_span_is(nth(&r.p, PART_RESULT, 0)->parts->text, "(no result)"));
    assert_true(ccp_span_is(nth(&r.p, PART_RESULT, 1)->parts->text, "late"));
    request_end(&r);
}

static void ids_that_came_are_kept_and_matched(void **state)
{
    struct request r;
    settled(&r,
            "{\"contents\":[" USER ",{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"i1\",\"name\":\"f\"}},"
            "{\"functionCall\":{\"id\":\"i2\",\"name\":\"f\"}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{"
            "\"id\":\"i2\",\"name\":\"f\",\"response\":{\"error\":\"two\"}}},{\"functionResponse\":{\"name\":\"f\","
            "\"response\":{\"a\":1,\"b\":\"\\u00e9\"}}}]}]}");
    assert_true(ccp_span_is(nth(&r.p, PART_RESULT, 0)->id, "i1"));
    assert_true(ccp_span_is(nth(&r.p, PART_RESULT, 0)->parts->text, "{\\\"a\\\":1,\\\"b\\\":\\\"\\\\u00e9\\\"}"));
    assert_true(ccp_span_is(nth(&r.p, PART_RESULT, 1)->id, "i2"));
    assert_true(ccp_span_is(nth(&r.p, PART_RESULT, 1)->parts->text, "two"));
    assert_true(nth(&r.p, PART_RESULT, 1)->failed);
    assert_true(ccp_span_is(nth(&r.p, PART_CALL, 0)->args.raw, "{}"));
    request_end(&r);
}

/* -- fragments -- */

static void fragments_of_a_stream_are_joined_again(void **state)
{
    struct request r;
    settled(&r,
            "{\"contents\":[" USER ",{\"role\":\"model\",\"parts\":[{\"text\":\"th\",\"thought\":true}]}"
            ",{\"role\":\"model\",\"parts\":[{\"text\":\"ink\",\"thought\":true}]}"
            ",{\"role\":\"model\",\"parts\":[{\"text\":\"\",\"thought\":true,\"thoughtSignature\":\"c2ln\"}]}"
            ",{\"role\":\"model\",\"parts\":[{\"text\":\"Hel\"}]},{\"role\":\"model\",\"parts\":[{\"text\":\"lo\"}]}"
            ",{\"role\":\"model\",\"parts\":[{\"text\":\" you\"},{\"text\":\"other\"}]}"
            ",{\"role\":\"model\",\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"bGF0ZQ==\"}]}]}");
    assert_true(ccp_span_is(nth(&r.p, PART_THINKING, 0)->text, "think"));
    assert_true(ccp_span_is(nth(&r.p, PART_THINKING, 0)->proof.text, "c2ln"));
    assert_true(ccp_span_is(nth(&r.p, PART_TEXT, 1)->text, "Hello you"));
    assert_int_equal(nth(&r.p, PART_TEXT, 1)->proof.kind, PROOF_NONE);
    assert_true(ccp_span_is(nth(&r.p, PART_TEXT, 2)->text, "other"));
    assert_true(ccp_span_is(nth(&r.p, PART_TEXT, 2)->proof.text, "bGF0ZQ=="));
    request_end(&r);
}

/* -- tools, paths, limits -- */

static void tools_and_choices(void **state)
{
#define F(name, more) "{\"name\":\"" name "\"" more "}"
#define TOOLS(list)   "\"tools\":[{\"functionDeclarations\":[" list "]}]"
#define CHOICE(text)  ",\"toolConfig\":{\"functionCallingConfig\":{" text "}}"
#define SAID(more)    "{" more ",\"contents\":[" USER "]}"
    translated("m", WITH(TOOLS(F("f", ",\"parameters\":{\"type\":\"OBJECT\"}")) CHOICE("\"mode\":\"NONE\"")),
               SAID(TOOLS(F("f", ",\"parameters\":{\"type\":\"OBJECT\"}")) CHOICE("\"mode\":\"NONE\"")));
    translated(
        "m", WITH(TOOLS(F("f", "") "," F("g", "")) CHOICE("\"mode\":\"AUTO\",\"allowedFunctionNames\":[\"g\"]")),
        SAID(TOOLS(F("f", "") "," F("g", "")) CHOICE("\"mode\":\"VALIDATED\",\"allowedFunctionNames\":[\"g\"]")));
    translated("m", WITH(TOOLS(F("f", "")) CHOICE("\"mode\":\"VALIDATED\"")),
               SAID(TOOLS(F("f", "")) CHOICE("\"mode\":\"VALIDATED\"")));
    translated("gemini-3-pro", WITH("\"tools\":[{\"googleSearch\":{}},{\"functionDeclarations\":[" F("f", "") "]}]"),
               SAID("\"tools\":[{\"functionDeclarations\":[" F("f", "") "]},{\"googleSearch\":{}}]"));
    translated("gemini-2.5-pro", WITH("\"tools\":[{\"googleSearch\":{}},{\"functionDeclarations\":[" F("f", "") "]}]"),
               SAID(TOOLS(F("f", ""))));
    refused(WITH("\"tools\":[{\"googleSearch\":{}}]" CHOICE("\"mode\":\"ANY\"")), "toolConfig");
    refused(WITH(TOOLS(F("f", "")) CHOICE("\"mode\":\"ANY\",\"allowedFunctionNames\":[\"h\"]")), "toolConfig");
    refused(WITH(TOOLS(F("f", "")) CHOICE("\"mode\":\"SOME\"")), "functionCallingConfig.mode");
}

static void what_cannot_be_said_is_refused_with_its_path(void **state)
{
    refused("{}", "contents");
    refused("{\"contents\":\"x\"}", "contents");
    refused("{\"contents\":[]}", "contents");
    refused("{\"contents\":[{\"role\":\"system\",\"parts\":[{\"text\":\"x\"}]}]}", "contents[0].role");
    refused("{\"contents\":[" USER ",{\"parts\":[{\"text\":\"a\"},{\"text\":1}]}]}", "contents[1].parts[1]");
    refused("{\"contents\":[{\"parts\":[{\"hologram\":{}}]}]}", "contents[0].parts[0]");
    refused("{\"contents\":[{\"parts\":[{\"inlineData\":{\"data\":\"AA==\"}}]}]}", "contents[0].parts[0]");
    refused("{\"contents\":[{\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]}]}", "contents[0].parts[0]");
    refused("{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":[]}}]}]}",
            "args");
    refused("{\"contents\":[{\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":\"x\"}}]}]}", "response");
    refused(WITH("\"generationConfig\":{\"candidateCount\":2}"), "candidateCount");
    refused(WITH("\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"]}"), "responseModalities");
    refused(WITH("\"generationConfig\":{\"responseMimeType\":\"text/x.enum\"}"), "responseMimeType");
    refused(WITH("\"generationConfig\":{\"temperature\":[]}"), "generationConfig.temperature");
    refused(WITH("\"cachedContent\":\"cachedContents/1\""), "cachedContent");
    refused(WITH("\"tools\":[{\"functionDeclarations\":[{}]}]"), "tools");
}

static void five_stops_and_the_rest_is_named(void **state)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_GEMINI, "m");
    const char *body = WITH("\"generationConfig\":{\"stopSequences\":[\"1\",\"\",\"2\",\"3\",\"4\",\"5\",\"6\"]}");
    assert_true(translate_request(&r.p, parsed(&r.a, ccp_span_z(body)), &r.out));
    expect_text(&r.a, buf_span(&r.out),
                "{\"generationConfig\":{\"stopSequences\":[\"1\",\"2\",\"3\",\"4\",\"5\"]},\"contents\":[" USER "]}");
    assert_int_equal(r.p.dropped_count, 1);
    assert_true(ccp_span_is(r.p.dropped->name, "generationConfig.stopSequences"));
    request_end(&r);
}

static void path_is(const char *model, bool stream, bool count, const char *want)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_OPENAI_CHAT, model);
    r.p.to.stream = stream;
    r.p.to.count = count;
    struct ccp_span got = format_gemini.path(&r.p);
    if (!ccp_span_is(got, want))
        fail_msg("%.*s is not %s", CCP_FMT(got), want);
    request_end(&r);
}

static void paths(void **state)
{
    path_is("gemini-3", false, false, "/v1beta/models/gemini-3:generateContent");
    path_is("gemini-3", true, false, "/v1beta/models/gemini-3:streamGenerateContent?alt=sse");
    path_is("models/x", true, true, "/v1beta/models/x:countTokens");
    path_is("tunedModels/x y?z", false, false, "/v1beta/tunedModels/x%20y%3Fz:generateContent");
}

static void a_count_wraps_the_request_and_is_unwrapped(void **state)
{
    struct request r;
    request_begin(&r, CCP_FORMAT_GEMINI, "gemini-3");
    r.p.to.count = true;
    assert_true(translate_request(
        &r.p,
        parsed(&r.a, CCP_SPAN("{\"generateContentRequest\":{\"model\":\"models/other\",\"contents\":[" USER "]}}")),
        &r.out));
    expect_text(&r.a, buf_span(&r.out),
                "{\"generateContentRequest\":{\"model\":\"models/gemini-3\",\"contents\":[" USER "]}}");
    uint64_t n = 0;
    assert_true(format_gemini.read_count(parsed(&r.a, CCP_SPAN("{\"totalTokens\":\"31\"}")), &n));
    assert_int_equal(n, 31);
    assert_false(format_gemini.read_count(parsed(&r.a, CCP_SPAN("{\"totalTokens\":-1}")), &n));
    request_end(&r);
}

/* A history as long as clients make them: reading and writing it must not look things up one by one. */
static void a_long_history_is_read_in_one_go(void **state)
{
    enum { CALLS = 20000 };
    struct ccp_buf body;
    struct request r;
    buf_init(&body, SIZE_MAX / 2);
    buf_addz(&body, "{\"contents\":[" USER ",{\"role\":\"model\",\"parts\":[");
    for (int i = 0; i < CALLS; i++)
        buf_addz(&body, i != 0 ? "," CALL("f", "1") : CALL("f", "1"));
    buf_addz(&body, "]},{\"parts\":[");
    for (int i = 0; i < CALLS; i++)
        buf_addz(&body, i != 0 ? "," RESPONSE("f", "x") : RESPONSE("f", "x"));
    buf_addz(&body, "]}");
    for (int i = 0; i < CALLS; i++)
        buf_addz(&body, ",{\"role\":\"model\",\"parts\":[{\"text\":\"fragment \"}]}");
    buf_addz(&body, "]}");
    request_begin(&r, CCP_FORMAT_GEMINI, "gemini-3-flash");
    assert_true(translate_request(&r.p, parsed(&r.a, buf_span(&body)), &r.out));
    assert_int_equal(r.p.dropped_count, 0);
    parsed(&r.a, buf_span(&r.out));
    assert_int_equal(r.p.last_turn->parts->text.n, CALLS * strlen("fragment "));
    request_end(&r);
    buf_release(&body);
}

#ifdef CCP_FAULTS
/* Whatever allocation is refused, and wherever the reader or the writer stops: an answer, and nothing is lost. */
static void memory_may_be_refused_anywhere(void **state)
{
    static const char *const points[] = {"gemini.pieces:1", "gemini.join:1",   "gemini.call:2",    "gemini.queue:2",
                                         "gemini.id:1",     "gemini.number:1", "gemini.allowed:1", "base64.decode:1",
                                         "gemini.base64:1", "gemini.tier:1",   "gemini.code:1"};
    static const char body[] =
        "{\"contents\":[" STEP
        ",{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]},{\"role\":\"model\",\"parts\":[{\"text\":\"b\"}]},"
        "{\"parts\":[{\"inlineData\":{\"mimeType\":\"text/csv\",\"data\":\"YQ\"}},{\"inlineData\":{\"mimeType\":"
        "\"image/png\",\"data\":\"_-8=\"}},{\"executableCode\":{\"code\":\"1\"}}]}],\"tools\":[{"
        "\"functionDeclarations\":[{\"name\":\"f\"},{\"name\":\"g\"}]}],\"toolConfig\":{"
        "\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\",\"g\"]}},"
        "\"serviceTier\":\"flex\",\"generationConfig\":{\"topK\":\"3\"}}";
    size_t refusals = 0;
    bool good = false;
    for (int i = 0; !good; i++) {
        char spec[32];
        struct request r;
        request_begin(&r, CCP_FORMAT_GEMINI, "gemini-3-flash");
        struct ccp_json *root = parsed(&r.a, ccp_span_z(body));
        bool named = i < (int)(sizeof(points) / sizeof(points[0]));
        snprintf(spec, sizeof(spec), "alloc:%d", i - (int)(sizeof(points) / sizeof(points[0])) + 1);
        fault_arm(named ? points[i] : spec);
        good = translate_request(&r.p, root, &r.out);
        fault_arm(NULL);
        if (!good && r.p.status != CCP_OVERLOADED)
            fail_msg("%s: %.*s", named ? points[i] : spec, CCP_FMT(r.p.error));
        if (named && good)
            fail_msg("%s was not reached", points[i]);
        refusals += !good;
        request_end(&r);
    }
    assert_true(refusals > sizeof(points) / sizeof(points[0]));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_spellings_mean_the_same),
        cmocka_unit_test(nothing_is_dropped_for_its_spelling),
        cmocka_unit_test(responses_find_their_calls_by_name_and_order),
        cmocka_unit_test(ids_stay_when_the_history_grows),
        cmocka_unit_test(an_interrupted_call_does_not_take_a_later_response),
        cmocka_unit_test(ids_that_came_are_kept_and_matched),
        cmocka_unit_test(fragments_of_a_stream_are_joined_again),
        cmocka_unit_test(tools_and_choices),
        cmocka_unit_test(what_cannot_be_said_is_refused_with_its_path),
        cmocka_unit_test(five_stops_and_the_rest_is_named),
        cmocka_unit_test(paths),
        cmocka_unit_test(a_count_wraps_the_request_and_is_unwrapped),
        cmocka_unit_test(a_long_history_is_read_in_one_go),
#ifdef CCP_FAULTS
        cmocka_unit_test(memory_may_be_refused_anywhere),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

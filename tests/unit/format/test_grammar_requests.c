/*
 * The judge of tests/grammar, judged: for each rule of requests there is a text, one small change away from a valid
 * one, that is refused for that reason.
 */
#include "mutation.h"

#define USER_A       "{\"role\":\"user\",\"content\":\"x\"}"
#define ASKS_A(more) "{\"model\":\"m\",\"max_tokens\":5000,\"messages\":[" USER_A "]" more "}"
#define TOOL_A       "{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}"
#define LOOP_A                                                                                                         \
    "{\"model\":\"m\",\"max_tokens\":5000,\"messages\":[" USER_A ",{\"role\":\"assistant\",\"content\":["              \
    "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}},"                                               \
    "{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":["             \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"r\"},"                                             \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"r\"}]},"              \
    "{\"type\":\"text\",\"text\":\"go\"}]}]}"

static const struct mutation anthropic_requests[] = {
    {A, REQUEST, "text", "\"max_tokens\"", "\"max_tokenz\"", "nobody knows"},
    {A, REQUEST, ASKS_A(""), "\"max_tokens\":5000,", "", "missing"},
    {A, REQUEST, ASKS_A(""), "5000", "5000.5", "wrong type"},
    {A, REQUEST, ASKS_A(""), "5000", "-1", "out of range"},
    {A, REQUEST, ASKS_A(""), "\"max_tokens\":5000", "\"max_tokens\":5000,\"max_tokens\":5000", "twice"},
    {A, REQUEST, ASKS_A(""), USER_A, "", "no messages"},
    {A, REQUEST, ASKS_A(""), "user", "assistant", "begin with the user"},
    {A, REQUEST, ASKS_A(""), "user", "tool", "a role nobody knows"},
    {A, REQUEST, ASKS_A(""), USER_A, USER_A "," USER_A, "two turns of one role"},
    {A, REQUEST, ASKS_A(""), "\"x\"", "\"\"", "empty content"},
    {A, REQUEST, ASKS_A(""), "\"x\"", "[]", "empty content"},
    {A, REQUEST, ASKS_A(""), "\"x\"", "[{\"type\":\"text\",\"text\":\"\"}]", "empty text"},
    {A, REQUEST, ASKS_A(""), "\"x\"", "[{\"type\":\"input_text\",\"text\":\"x\"}]", "may not stand here"},
    {A, REQUEST, ASKS_A(",\"stream\":false"), "false", "true", "stream is not"},
    {A, REQUEST, ASKS_A(",\"temperature\":1"), "1}", "1.1}", "out of range"},
    {A, REQUEST, ASKS_A(",\"top_p\":1"), "1}", "2}", "out of range"},
    {A, REQUEST, ASKS_A(",\"top_k\":1"), "1}", "-1}", "out of range"},
    {A, REQUEST, ASKS_A(",\"stop_sequences\":[\"x\"]"), "\"x\"]}", "\" \"]}", "stop sequence"},
    {A, REQUEST, ASKS_A(",\"service_tier\":\"auto\""), "auto", "flex", "not one of"},
    {A, REQUEST, ASKS_A(",\"metadata\":{\"user_id\":\"u\"}"), "user_id", "team", "nobody knows"},
    {A, REQUEST, ASKS_A(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), "1024", "1023", "1024"},
    {A, REQUEST, ASKS_A(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), "1024", "5000", "1024"},
    {A, REQUEST, ASKS_A(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), "enabled", "adaptive",
     "goes with enabled"},
    {A, REQUEST, ASKS_A(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},\"temperature\":1"), "ture\":1",
     "ture\":0.5", "temperature with thinking"},
    {A, REQUEST, ASKS_A(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},\"top_p\":1"), "top_p", "top_k",
     "top_k with thinking"},
    {A, REQUEST, ASKS_A(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), USER_A,
     USER_A ",{\"role\":\"assistant\",\"content\":\"a\"}", "prefilled"},
    {A, REQUEST, ASKS_A(",\"thinking\":{\"type\":\"adaptive\"}"), "adaptive", "on", "not one of"},
    {A, REQUEST, ASKS_A(",\"output_config\":{\"effort\":\"low\"}"), "low", "minimal", "not one of"},
    {A, REQUEST, ASKS_A(",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}}"), ",\"schema\":{}",
     "", "missing"},
    {A, REQUEST, ASKS_A(",\"system\":[{\"type\":\"text\",\"text\":\"s\"}]"), "\"s\"", "\"\"", "empty text"},
    {A, REQUEST, ASKS_A(",\"tools\":[" TOOL_A "]"), "\"f\"", "\"f.g\"", "pattern"},
    {A, REQUEST, ASKS_A(",\"tools\":[" TOOL_A "]"), "object", "string", "type object"},
    {A, REQUEST, ASKS_A(",\"tools\":[" TOOL_A "]"), TOOL_A, TOOL_A "," TOOL_A, "two tools"},
    {A, REQUEST, ASKS_A(",\"tools\":[" TOOL_A "],\"tool_choice\":{\"type\":\"any\"}"), "any", "required",
     "nobody knows"},
    {A, REQUEST, ASKS_A(",\"tools\":[" TOOL_A "],\"tool_choice\":{\"type\":\"any\"}"), ",\"tools\":[" TOOL_A "]", "",
     "without tools"},
    {A, REQUEST, ASKS_A(",\"tools\":[" TOOL_A "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}"), "1:\"f\"",
     "\"g\"", "names no tool"},
    {A, REQUEST,
     ASKS_A(",\"tools\":[" TOOL_A "],\"tool_choice\":{\"type\":\"auto\"},\"thinking\":{\"type\":\"enabled\","
            "\"budget_tokens\":1024}"),
     "auto", "any", "forced tool_choice"},
    {A, REQUEST, ASKS_A(""), USER_A, USER_A ",{\"role\":\"assistant\",\"content\":\"a \"}", "white space"},
    {A, REQUEST, "image-base64", "image/png", "image/bmp", "not one of"},
    {A, REQUEST, "image-base64", "iVBOR", "iV*OR", "base64"},
    {A, REQUEST, "image-url", "https://", "file://", "web address"},
    {A, REQUEST, "pdf", "application/pdf", "application/zip", "not one of"},
    {A, REQUEST, LOOP_A, "\"id\":\"c1\"", "\"id\":\"c.1\"", "pattern"},
    {A, REQUEST, LOOP_A, "\"id\":\"c2\"", "\"id\":\"c1\"", "two calls of one id"},
    {A, REQUEST, LOOP_A, "tool_use_id\":\"c2\"", "tool_use_id\":\"c1\"", "two results"},
    {A, REQUEST, LOOP_A, "tool_use_id\":\"c2\"", "tool_use_id\":\"c3\"", "without its tool_use"},
    {A, REQUEST, LOOP_A, "{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"r\"},", "",
     "has no tool_result"},
    {A, REQUEST, LOOP_A, "{\"type\":\"tool_result\"", "{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"tool_result\"",
     "behind another block"},
    {A, REQUEST, LOOP_A, "\"input\":{}", "\"input\":\"{}\"", "wrong type"},
    {A, REQUEST, LOOP_A, "5000", "5000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}", "has none"},
    {A, REQUEST, LOOP_A, "{\"type\":\"tool_use\"",
     "{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"\"},{\"type\":\"tool_use\"", "signature"},
    {A, REQUEST, LOOP_A, ",{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"",
     ",{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"tool_result\"", "empty text"},
    {A, SHAPE, LOOP_A, "tool_use_id\":\"c2\"", "tool_use_id\":\"c3\"", "without its tool_use"},
    {A, SHAPE, ASKS_A(""), "5000", "\"5000\"", "wrong type"},
};

#define USER_C       "{\"role\":\"user\",\"content\":\"x\"}"
#define ASKS_C(more) "{\"model\":\"m\",\"messages\":[" USER_C "]" more "}"
#define TOOL_C       "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}"
#define LOOP_C                                                                                                         \
    "{\"model\":\"m\",\"messages\":[" USER_C ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["              \
    "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"                        \
    "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"                      \
    "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"},"                                                   \
    "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"r\"},{\"role\":\"user\",\"content\":\"go\"}]}"
#define LONG_ID "0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct mutation chat_requests[] = {
    {C, REQUEST, ASKS_C(""), "\"model\":\"m\",", "", "missing"},
    {C, REQUEST, ASKS_C(""), USER_C, "", "no messages"},
    {C, REQUEST, ASKS_C(""), "\"x\"", "null", "no content"},
    {C, REQUEST, ASKS_C(""), "\"x\"", "[]", "empty list"},
    {C, REQUEST, ASKS_C(""), "\"x\"", "[{\"type\":\"input_text\",\"text\":\"x\"}]", "may not stand here"},
    {C, REQUEST, ASKS_C(""), "user", "model", "a role nobody knows"},
    {C, REQUEST, ASKS_C(",\"top_p\":1"), "top_p", "top_q", "nobody knows"},
    {C, REQUEST, ASKS_C(",\"temperature\":2"), "2}", "2.5}", "out of range"},
    {C, REQUEST, ASKS_C(",\"n\":1"), "1}", "0}", "out of range"},
    {C, REQUEST, ASKS_C(",\"stop\":[\"a\",\"b\",\"c\",\"d\"]"), "\"d\"", "\"d\",\"e\"", "more than 4"},
    {C, REQUEST, ASKS_C(",\"max_tokens\":1"), "1}", "1,\"max_completion_tokens\":1}", "two limits"},
    {C, REQUEST, ASKS_C(",\"stream\":false"), "\"stream\":false", "\"stream_options\":{}", "without stream"},
    {C, REQUEST, ASKS_C(",\"reasoning_effort\":\"low\""), "low", "deep", "not one of"},
    {C, REQUEST, ASKS_C(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\"}}"), "\"n\"",
     "\"n n\"", "name"},
    {C, REQUEST, ASKS_C(",\"response_format\":{\"type\":\"json_object\"}"), "json_object", "json_schema",
     "nobody knows"},
    {C, REQUEST, ASKS_C(",\"metadata\":{\"a\":\"b\"}"), "\"b\"", "5", "metadata"},
    {C, REQUEST, ASKS_C(",\"tools\":[" TOOL_C "]"), TOOL_C, "", "empty list of tools"},
    {C, REQUEST, ASKS_C(",\"tools\":[" TOOL_C "]"), TOOL_C, TOOL_C "," TOOL_C, "two tools"},
    {C, REQUEST, ASKS_C(",\"tools\":[" TOOL_C "]"), "\"f\"", "\"" LONG_ID "\"", "name does not fit"},
    {C, REQUEST, ASKS_C(",\"tools\":[" TOOL_C "],\"tool_choice\":\"required\""), ",\"tools\":[" TOOL_C "]", "",
     "without tools"},
    {C, REQUEST, ASKS_C(",\"tools\":[" TOOL_C "],\"tool_choice\":\"required\""), "required", "any", "word of its own"},
    {C, REQUEST,
     ASKS_C(",\"tools\":[" TOOL_C "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"), "1:\"f\"",
     "\"g\"", "names no tool"},
    {C, REQUEST, ASKS_C(",\"tools\":[" TOOL_C "],\"parallel_tool_calls\":true"), ",\"tools\":[" TOOL_C "]", "",
     "parallel_tool_calls without"},
    {C, REQUEST, "image-base64", "data:image/png", "data:text/png", "nor an image"},
    {C, REQUEST, "image-url", "https://", "gs://", "nor an image"},
    {C, REQUEST, "pdf", "\"filename\"", "\"name\"", "nobody knows"},
    {C, REQUEST, LOOP_C, "\"tool_call_id\":\"c2\"", "\"tool_call_id\":\"c1\"", "two answers"},
    {C, REQUEST, LOOP_C, "\"tool_call_id\":\"c2\"", "\"tool_call_id\":\"c9\"", "does not follow its call"},
    {C, REQUEST, LOOP_C, "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"},", "", "no tool message"},
    {C, REQUEST, LOOP_C, "{\"role\":\"tool\"", USER_C ",{\"role\":\"tool\"", "no tool message"},
    {C, REQUEST, LOOP_C, "\"id\":\"c2\"", "\"id\":\"c1\"", "two calls of one id"},
    {C, REQUEST, LOOP_C, "\"id\":\"c2\"", "\"id\":\"" LONG_ID "\"", "too long"},
    {C, REQUEST, LOOP_C, "\"arguments\":\"{}\"", "\"arguments\":{}", "wrong type"},
    {C, REQUEST, LOOP_C, "\"content\":\"r\"", "\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]",
     "may not stand here"},
    {C, SHAPE, LOOP_C, "\"tool_call_id\":\"c2\"", "\"tool_call_id\":\"c1\"", "no tool message"},
};

#define USER_R       "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"x\"}]}"
#define ASKS_R(more) "{\"model\":\"m\",\"input\":[" USER_R "]" more "}"
#define TOOL_R       "{\"type\":\"function\",\"name\":\"f\",\"parameters\":{},\"strict\":false}"
#define CALL_R       "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{}\"}"
#define DONE_R       "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"r\"}"
#define LOOP_R       "{\"model\":\"m\",\"input\":[" USER_R "," CALL_R "," DONE_R "]}"

static const struct mutation responses_requests[] = {
    {R, REQUEST, ASKS_R(""), USER_R, "", "no input"},
    {R, REQUEST, ASKS_R(""), "input_text", "output_text", "may not stand here"},
    {R, REQUEST, ASKS_R(""), "user", "assistant", "may not stand here"},
    {R, REQUEST, ASKS_R(""), "user", "tool", "a role nobody knows"},
    {R, REQUEST, ASKS_R(""), "\"type\":\"message\"", "\"type\":\"item_reference\"", "nobody knows"},
    {R, REQUEST, ASKS_R(",\"max_output_tokens\":16"), "16", "15", "out of range"},
    {R, REQUEST, ASKS_R(",\"store\":false"), "store", "stop", "nobody knows"},
    {R, REQUEST, ASKS_R(",\"stream\":false"), "false", "true", "stream is not"},
    {R, REQUEST, ASKS_R(",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{}}}"), "\"n\"",
     "\"\"", "pattern"},
    {R, REQUEST, ASKS_R(",\"text\":{\"verbosity\":\"low\"}"), "low", "none", "not one of"},
    {R, REQUEST, ASKS_R(",\"reasoning\":{\"effort\":\"low\"}"), "low", "deep", "not one of"},
    {R, REQUEST, ASKS_R(",\"include\":[\"x\"]"), "\"x\"]}", "1]}", "include"},
    {R, REQUEST, ASKS_R(",\"tools\":[" TOOL_R "]"), "\"parameters\":{},", "", "missing"},
    {R, REQUEST, ASKS_R(",\"tools\":[" TOOL_R "]"), "\"f\"", "\"f:g\"", "pattern"},
    {R, REQUEST, ASKS_R(",\"tools\":[" TOOL_R "]"), TOOL_R, TOOL_R "," TOOL_R, "two tools"},
    {R, REQUEST, ASKS_R(",\"tools\":[" TOOL_R "],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}"), "1:\"f\"",
     "\"g\"", "names no tool"},
    {R, REQUEST, ASKS_R(",\"tools\":[" TOOL_R "],\"tool_choice\":\"required\""), ",\"tools\":[" TOOL_R "]", "",
     "without tools"},
    {R, REQUEST, LOOP_R, "," DONE_R, "", "has no output"},
    {R, REQUEST, LOOP_R, CALL_R ",", "", "without its call"},
    {R, REQUEST, LOOP_R, DONE_R, DONE_R "," DONE_R, "two outputs"},
    {R, REQUEST, LOOP_R, CALL_R, CALL_R "," CALL_R, "two calls"},
    {R, REQUEST, LOOP_R, "\"c1\"", "\"" LONG_ID "\"", "too long"},
    {R, REQUEST, LOOP_R, "\"output\":\"r\"", "\"output\":[]", "empty list"},
    {R, REQUEST, "image-base64", "\"image_url\": \"data:image", "\"image_url\": \"data:text", "nor an image"},
    {R, REQUEST, "pdf", "\"filename\": \"empty.pdf\",", "", "without a name"},
    {R, SHAPE, LOOP_R, "," DONE_R, "", "has no output"},
};

#define TEXT_G        "{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]}"
#define ASKS_G(more)  "{\"contents\":[" TEXT_G "]" more "}"
#define TOOLS_G(more) ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"" more "}]}]"
#define CALL_G        "{\"functionCall\":{\"name\":\"f\",\"args\":{}}}"
#define DONE_G        "{\"functionResponse\":{\"name\":\"f\",\"response\":{}}}"
#define LOOP_G                                                                                                         \
    "{\"contents\":[" TEXT_G ",{\"role\":\"model\",\"parts\":[" CALL_G "," CALL_G                                      \
    "]},{\"role\":\"user\",\"parts\":[" DONE_G "," DONE_G "]}]}"

static const struct mutation gemini_requests[] = {
    {G, REQUEST, ASKS_G(""), TEXT_G, "", "no contents"},
    {G, REQUEST, ASKS_G(""), "user", "model", "begin with the user"},
    {G, REQUEST, ASKS_G(""), "user", "assistant", "a role nobody knows"},
    {G, REQUEST, ASKS_G(""), TEXT_G, TEXT_G "," TEXT_G, "two turns"},
    {G, REQUEST, ASKS_G(""), "{\"text\":\"x\"}", "", "no parts"},
    {G, REQUEST, ASKS_G(""), "{\"text\":\"x\"}", "{}", "one kind"},
    {G, REQUEST, ASKS_G(""), "{\"text\":\"x\"}", "{\"text\":\"x\",\"inlineData\":{}}", "one kind"},
    {G, REQUEST, ASKS_G(""), "\"text\"", "\"type\"", "nobody knows"},
    {G, REQUEST, ASKS_G(",\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]}"), "{\"text\":\"s\"}", "",
     "without parts"},
    {G, REQUEST, ASKS_G(",\"generationConfig\":{\"temperature\":1}"), "1}", "3}", "out of range"},
    {G, REQUEST, ASKS_G(",\"generationConfig\":{\"maxOutputTokens\":1}"), "maxOutput", "max_output", "nobody knows"},
    {G, REQUEST, ASKS_G(",\"generationConfig\":{\"maxOutputTokens\":1}"), "1}", "0}", "out of range"},
    {G, REQUEST, ASKS_G(",\"generationConfig\":{\"stopSequences\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}"), "\"e\"",
     "\"e\",\"f\"", "more than 5"},
    {G, REQUEST, ASKS_G(",\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":1}}"), "1}",
     "1,\"thinkingLevel\":\"LOW\"}", "thinkingBudget and"},
    {G, REQUEST, ASKS_G(",\"generationConfig\":{\"responseMimeType\":\"application/json\",\"responseJsonSchema\":{}}"),
     "\"responseMimeType\":\"application/json\",", "", "without responseMimeType"},
    {G, REQUEST, ASKS_G(TOOLS_G("")), "\"f\"", "\"1f\"", "pattern"},
    {G, REQUEST, ASKS_G(TOOLS_G("")), "{\"name\":\"f\"", "{\"name\":\"f\"},{\"name\":\"f\"", "two functions"},
    {G, REQUEST, ASKS_G(TOOLS_G(",\"parameters\":{\"type\":\"OBJECT\"}")), "\"type\":\"OBJECT\"",
     "\"additionalProperties\":false", "not of the subset"},
    {G, REQUEST, ASKS_G(TOOLS_G(",\"parameters\":{}")), "\"parameters\":{}",
     "\"parameters\":{},\"parametersJsonSchema\":{}", "two schemas"},
    {G, REQUEST,
     ASKS_G(
         TOOLS_G("") ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}}"),
     "[\"f\"]", "[\"g\"]", "names no function"},
    {G, REQUEST, ASKS_G(TOOLS_G("") ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\"}}"), TOOLS_G(""), "",
     "without functions"},
    {G, REQUEST, LOOP_G, "," DONE_G, "", "not as many"},
    {G, REQUEST, LOOP_G, "," CALL_G, "", "not as many"},
    {G, REQUEST, LOOP_G, ",{\"role\":\"user\",\"parts\":[" DONE_G "," DONE_G "]}", "", "no responses"},
    {G, REQUEST, LOOP_G, "\"functionResponse\":{\"name\":\"f\"", "\"functionResponse\":{\"name\":\"g\"",
     "not that of its call"},
    {G, REQUEST, LOOP_G, "\"functionCall\":{\"name\":\"f\"", "\"functionCall\":{\"id\":\"1\",\"name\":\"f\"",
     "not that of its call"},
    {G, REQUEST, LOOP_G, "\"response\":{}", "\"response\":\"r\"", "wrong type"},
    {G, REQUEST, LOOP_G, "\"args\":{}", "\"args\":[]", "wrong type"},
    {G, REQUEST, LOOP_G, DONE_G, CALL_G, "a call of the user"},
    {G, REQUEST, "image-base64", "iVBOR", "iV*OR", "base64"},
    {G, SHAPE, LOOP_G, "," DONE_G, "", "not as many"},
};

static void requests_are_judged(void **state)
{
    RUN(anthropic_requests);
    RUN(chat_requests);
    RUN(responses_requests);
    RUN(gemini_requests);
}

/* What shape leaves to the upstream: ranges and words of single values. */
static void shape_is_more_lenient(void **state)
{
    static const char *const texts[CCP_FORMAT_COUNT] = {
        [A] = ASKS_A(",\"temperature\":1.5,\"service_tier\":\"flex\""),
        [C] = ASKS_C(",\"temperature\":3,\"reasoning_effort\":\"deep\""),
        [R] = ASKS_R(",\"temperature\":3,\"text\":{\"verbosity\":\"none\"}"),
        [G] = ASKS_G(",\"generationConfig\":{\"temperature\":3}"),
    };
    for (int f = 0; f < CCP_FORMAT_COUNT; f++) {
        assert_non_null(ask(f, REQUEST, ccp_span_z(texts[f]), false));
        assert_null(ask(f, SHAPE, ccp_span_z(texts[f]), false));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_judged),
        cmocka_unit_test(shape_is_more_lenient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

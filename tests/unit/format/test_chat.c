/*
 * Chat requests, read and written: what is special in this format. Whole conversations between formats are compared in
 * test_scenarios; here each rule stands alone, in the bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/fault.h>
#include <cmocka.h>
#include <format/translate.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/json.h>

#define CHAT      CCP_FORMAT_OPENAI_CHAT
#define ANTHROPIC CCP_FORMAT_ANTHROPIC

struct outcome {
    bool ok;
    enum ccp_status status;
    char *body; /* or the error */
    char dropped[512];
};

static struct outcome translate(enum ccp_format from, const char *model, bool compatible, const char *request)
{
    struct outcome r = {0};
    struct arena a;
    struct ccp_buf out;
    struct ccp_json *root = NULL;
    struct prompt p;
    struct prompt_target to = {
        .format = CHAT, .provider = CCP_SPAN("prov"), .model = ccp_span_z(model), .compatible = compatible};
    arena_init(&a, NULL, 0);
    buf_init(&out, SIZE_MAX / 2);
    struct names *names = names_new(&a);
    r.status = json_parse(&a, ccp_span_z(request), &root, NULL);
    if (names != NULL && r.status == CCP_OK) {
        prompt_init(&p, &a, from, &to, names);
        r.ok = translate_request(&p, root, &out);
        r.status = p.status;
        struct ccp_span said = r.ok ? buf_span(&out) : p.error;
        r.body = said.n != 0 ? strndup(said.p, said.n) : NULL;
        for (const struct loss *l = p.dropped; l != NULL; l = l->next) {
            size_t n = strlen(r.dropped);
            snprintf(r.dropped + n, sizeof(r.dropped) - n, "%s%.*s", n != 0 ? " " : "", CCP_FMT(l->name));
        }
    } else if (r.status == CCP_OK) {
        r.status = CCP_OVERLOADED;
    }
    buf_release(&out);
    arena_end(&a);
    return r;
}

static void expect_in(struct outcome r, const char *wanted, bool ok)
{
    if (r.ok != ok || r.body == NULL || strstr(r.body, wanted) == NULL)
        fail_msg("wanted %s\nin     %s", wanted, r.body != NULL ? r.body : "nothing");
    free(r.body);
}

/* What stands behind "messages": for one user message unless the request says more. */
static void messages(enum ccp_format from, const char *model, bool compatible, const char *request, const char *wanted)
{
    char *all = NULL;
    assert_true(asprintf(&all, "\"messages\":[%s]}", wanted) > 0);
    expect_in(translate(from, model, compatible, request), all, true);
    free(all);
}

static void refused(const char *request, const char *wanted)
{
    struct outcome r = translate(CHAT, "gpt-4o", false, request);
    assert_int_equal(r.status, CCP_BAD_REQUEST);
    expect_in(r, wanted, false);
}

#define USER "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"
#define SAID "{\"role\":\"user\",\"content\":\"x\"}"

/* -- parameters -- */

static void params(const char *model, bool compatible, const char *members, const char *wanted, const char *dropped)
{
    char *request = NULL, *body = NULL;
    assert_true(asprintf(&request, "{\"model\":\"m\",%s%s" USER "}", members, *members != '\0' ? "," : "") > 0);
    assert_true(asprintf(&body, "{\"model\":\"%s\"%s%s," USER "}", model, *wanted != '\0' ? "," : "", wanted) > 0);
    struct outcome r = translate(CHAT, model, compatible, request);
    assert_string_equal(r.body, body);
    assert_string_equal(r.dropped, dropped);
    free(r.body);
    free(request);
    free(body);
}

static void limits_are_named_as_the_server_knows_them(void **state)
{
    params("gpt-4o", false, "\"max_tokens\":9", "\"max_completion_tokens\":9", "");
    params("llama-3", true, "\"max_completion_tokens\":9,\"max_tokens\":5", "\"max_tokens\":9", "");
    params("openai/gpt-5", true, "\"max_tokens\":9", "\"max_completion_tokens\":9", "");
}

static void reasoning_models_keep_their_own_sampling(void **state)
{
    const char *sampling = "\"temperature\":0.5,\"top_p\":1,\"presence_penalty\":0,\"logit_bias\":{\"1\":1}";
    params("gpt-5-mini", false, sampling, "\"top_p\":1,\"presence_penalty\":0", "temperature logit_bias");
    params("o1", false, sampling, "\"top_p\":1,\"presence_penalty\":0", "temperature logit_bias");
    params("gpt-9", false, sampling, "\"top_p\":1,\"presence_penalty\":0", "temperature logit_bias");
    params("gpt-oss-120b", false, sampling,
           "\"temperature\":0.5,\"top_p\":1,\"presence_penalty\":0,\"logit_bias\":{\"1\":1}", "");
    params("o3", false, "\"stop\":\"a\"", "", "stop");
    params("o1", false, "\"stop\":\"a\"", "\"stop\":[\"a\"]", "");
}

static void stop_is_a_list_of_four(void **state)
{
    params("gpt-4o", false, "\"stop\":[\"a\",\"\",\"b\",\"c\",\"d\"]", "\"stop\":[\"a\",\"b\",\"c\",\"d\"]", "");
    params("gpt-4o", false, "\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]", "\"stop\":[\"a\",\"b\",\"c\",\"d\"]", "stop");
}

static void depth_is_the_nearest_that_the_model_takes(void **state)
{
    params("gpt-5.2", false, "\"reasoning_effort\":\"xhigh\"", "\"reasoning_effort\":\"xhigh\"", "");
    params("gpt-5", false, "\"reasoning_effort\":\"xhigh\"", "\"reasoning_effort\":\"high\"", "reasoning_effort");
    params("o3", false, "\"reasoning_effort\":\"none\"", "\"reasoning_effort\":\"low\"", "reasoning_effort");
    params("gpt-4o", false, "\"reasoning_effort\":\"low\"", "", "reasoning_effort");
    params("gpt-4o", false, "\"reasoning_effort\":\"none\"", "", "");
    params("llama", true, "\"thinking\":{\"type\":\"disabled\"}", "", "thinking");
    params("x", true, "\"reasoning\":{\"max_tokens\":8000}", "\"reasoning_effort\":\"medium\"", "");
    params("x", false, "\"extra_body\":{\"google\":{\"thinking_config\":{\"thinking_budget\":0}}}",
           "\"reasoning_effort\":\"none\"", "");
    params("x", false, "\"enable_thinking\":true", "", "");
}

static void what_only_the_vendor_knows(void **state)
{
    const char *all = "\"verbosity\":\"low\",\"user\":\"u\",\"service_tier\":\"flex\",\"prompt_cache_key\":\"k\"";
    params("gpt-4o", false, all,
           "\"verbosity\":\"low\",\"prompt_cache_key\":\"k\",\"service_tier\":\"flex\",\"safety_identifier\":\"u\"",
           "");
    params("llama", true, all, "\"user\":\"u\"", "verbosity prompt_cache_key service_tier");
    params("gpt-4o", false, "\"metadata\":{\"a\":\"b\"}", "", "metadata");
    params("gpt-4o", false, "\"metadata\":{\"a\":\"b\"},\"store\":true", "\"store\":true,\"metadata\":{\"a\":\"b\"}",
           "");
    params("gpt-4o", false, "\"top_k\":5,\"logprobs\":true", "", "top_k logprobs");
    params("llama", true,
           "\"top_k\":5,\"logprobs\":false,\"n\":1,\"modalities\":[\"text\"],\"store\":false,\"seed\":null",
           "\"top_k\":5", "");
    params("gpt-4o", false,
           "\"min_p\":0.1,\"user\":\"0123456789012345678901234567890123456789012345678901234567890123456\"",
           "\"safety_identifier\":\"user_e45155d94d10a1141b5c2101a5e6ea68\"", "min_p user");
}

static void structured_output(void **state)
{
    struct outcome r = translate(CHAT, "gpt-4o", false,
                                 "{\"model\":\"m\",\"response_format\":{\"type\":\"json_schema\","
                                 "\"json_schema\":{\"name\":\"a b\",\"schema\":{},\"strict\":true}}," USER "}");
    expect_in(r, "\"schema\":{},\"strict\":true}}", true);
    params("gpt-4o", false, "\"response_format\":{\"type\":\"json_object\"}",
           "\"response_format\":{\"type\":\"json_object\"}", "");
    params("gpt-4o", false, "\"response_format\":{\"type\":\"text\"}", "", "");
}

/* -- messages -- */

static void system_text_has_the_role_that_the_model_knows(void **state)
{
    const char *request = "{\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":\"developer\",\"content\":"
                          "[{\"type\":\"text\",\"text\":\"b\"}]}," SAID ",{\"role\":\"system\",\"content\":\"late\"}]}";
    messages(CHAT, "gpt-5", false, request,
             "{\"role\":\"developer\",\"content\":\"a\\n\\nb\"}," SAID
             ",{\"role\":\"developer\",\"content\":\"late\"}");
    messages(CHAT, "gpt-5", true, request,
             "{\"role\":\"system\",\"content\":\"a\\n\\nb\"}," SAID ",{\"role\":\"system\",\"content\":\"late\"}");
    messages(CHAT, "gpt-4o", false, request,
             "{\"role\":\"system\",\"content\":\"a\\n\\nb\"}," SAID ",{\"role\":\"system\",\"content\":\"late\"}");
}

#define CALL(id)         "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"
#define CALLS(list)      "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" list "]}"
#define ANSWER(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"
#define PNG              "\"data:image/png;base64,AA==\""

static void results_follow_their_calls_in_order(void **state)
{
    messages(CHAT, "gpt-4o", false,
             "{\"messages\":[" SAID
             "," CALLS(CALL("1") "," CALL("2")) "," ANSWER("2", "two") "," ANSWER("1", "one") "," SAID "]}",
             SAID "," CALLS(CALL("1") "," CALL("2")) "," ANSWER("1", "one") "," ANSWER("2", "two") "," SAID);
    messages(CHAT, "gpt-4o", false, "{\"messages\":[" SAID "," CALLS(CALL("1")) "]}",
             SAID "," CALLS(CALL("1")) "," ANSWER("1", "(no result)"));
}

static void images_of_results_move_behind_all_tool_messages(void **state)
{
    messages(
        ANTHROPIC, "gpt-4o", false,
        "{\"max_tokens\":5,\"messages\":[" SAID
        ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"1\",\"name\":\"f\",\"input\":{}},"
        "{\"type\":\"tool_use\",\"id\":\"2\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":["
        "{\"type\":\"tool_result\",\"tool_use_id\":\"1\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},"
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA==\"}}]},"
        "{\"type\":\"tool_result\",\"tool_use_id\":\"2\",\"is_error\":true,\"content\":\"no\"},"
        "{\"type\":\"text\",\"text\":\"more\"}]}]}",
        SAID "," CALLS(CALL("1") "," CALL("2")) "," ANSWER(
            "1", "see\\n[attachment 1 is in the next user message]") "," ANSWER("2",
                                                                                "Error: no") ",{\"role\":\"user\","
                                                                                             "\"content\":[{\"type\":"
                                                                                             "\"image_url\",\"image_"
                                                                                             "url\":{\"url\":" PNG "}},"
                                                                                             "{\"type\":\"text\","
                                                                                             "\"text\":\"more\"}]}");
}

static void parts_of_a_user(void **state)
{
    messages(
        CHAT, "gpt-4o", false,
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https:\\/\\/"
        "a\\/b\",\"detail\":\"low\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA==\",\"format\":"
        "\"mp3\"}},{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}},{\"type\":\"text\",\"text\":\"\\u0041\","
        "\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}}]}]}",
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https:\\/\\/a\\/b\","
        "\"detail\":\"low\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA==\",\"format\":\"mp3\"}},"
        "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}},{\"type\":\"text\",\"text\":\"\\u0041\","
        "\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}}]}");
}

static void deprecated_functions_become_tools(void **state)
{
    struct outcome r = translate(
        CHAT, "gpt-4o", false,
        "{\"functions\":[{\"name\":\"f\",\"parameters\":{}}],\"function_call\":{\"name\":\"f\"},\"messages\":[" SAID
        ",{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
        "{\"role\":\"function\",\"name\":\"f\",\"content\":\"ok\"}]}");
    assert_string_equal(r.dropped, "");
    assert_non_null(strstr(r.body,
                           "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],"
                           "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"));
    char *id = strstr(r.body, "\"id\":\"call_"), *answer = strstr(r.body, "\"tool_call_id\":\"call_");
    assert_non_null(id);
    assert_non_null(answer);
    assert_memory_equal(id + 6, answer + 16, 29);
    free(r.body);
}

/* -- tools -- */

#define SHELL "{\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"format\":{\"type\":\"text\"}}}"

static void free_text_tools_are_functions_for_compatible_servers(void **state)
{
    const char *request =
        "{\"tools\":[" SHELL "],\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"sh\"}},\"messages\":[" SAID
        ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type\":\"custom\",\"custom\":{"
        "\"name\":\"sh\",\"input\":\"ls \\\"a\\\"\"}}]}," ANSWER("1", "ok") "]}";
    expect_in(translate(CHAT, "gpt-5", false, request),
              "\"tools\":[" SHELL "],\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"sh\"}}", true);
    expect_in(translate(CHAT, "gpt-5", false, request),
              "{\"id\":\"1\",\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"input\":\"ls \\\"a\\\"\"}}", true);
    expect_in(
        translate(CHAT, "llama", true, request),
        "{\"type\":\"function\",\"function\":{\"name\":\"sh\",\"parameters\":{\"type\":\"object\",\"properties\":{"
        "\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}}}],\"tool_choice\":{\"type\":\"function\"",
        true);
    expect_in(translate(CHAT, "llama", true, request),
              "\"arguments\":\"{\\\"input\\\":\\\"ls \\\\\\\"a\\\\\\\"\\\"}\"}}", true);
}

#define TOOL(n) "{\"type\":\"function\",\"function\":{\"name\":\"" n "\"}}"

static void allowed_tools_are_a_choice_or_all_there_is(void **state)
{
    const char *request = "{\"tools\":[" TOOL("a") "," TOOL(
        "b") "],\"tool_choice\":{\"type\":\"allowed_tools\","
             "\"allowed_tools\":{\"mode\":\"required\",\"tools\":[" TOOL("b") "]}}," USER "}";
    expect_in(translate(CHAT, "gpt-5", false, request),
              "\"tools\":[" TOOL("a") "," TOOL("b") "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{"
                                                    "\"mode\":\"required\",\"tools\":[" TOOL("b") "]}}",
              true);
    expect_in(translate(CHAT, "llama", true, request), "\"tools\":[" TOOL("b") "],\"tool_choice\":\"required\"", true);
}

static void web_search_is_for_search_models(void **state)
{
    const char *request = "{\"web_search_options\":{\"search_context_size\":\"low\"}," USER "}";
    expect_in(translate(CHAT, "gpt-4o-search-preview", false, request),
              "\"web_search_options\":{\"search_context_size\":\"low\"}", true);
    struct outcome r = translate(CHAT, "gpt-4o", false, request);
    assert_string_equal(r.dropped, "web_search_options");
    free(r.body);
}

/* -- thinking that comes back -- */

#define THOUGHT(members)                                                                                               \
    "{\"messages\":[" SAID ",{\"role\":\"assistant\",\"content\":null," members                                        \
    ",\"tool_calls\":[" CALL("1") "]}," ANSWER("1", "ok") "]}"

static void thinking_goes_back_to_those_who_want_it(void **state)
{
    const char *request = THOUGHT("\"reasoning_content\":\"hm\"");
    expect_in(translate(CHAT, "gpt-5", false, request), "\"content\":null,\"tool_calls\"", true);
    expect_in(translate(CHAT, "deepseek-chat", true, request), "\"reasoning_content\":\"hm\",\"tool_calls\"", true);
    expect_in(translate(CHAT, "deepseek-chat", true, THOUGHT("\"refusal\":null")),
              "\"reasoning_content\":\"\",\"tool_calls\"", true);
}

/* The wrapped texts are "d" and the packed item: "sfmt||c2ln", "efmt|rs_1|AAAA", "o||XYZ". */
static void proofs_go_back_to_their_maker_alone(void **state)
{
    const char *mine = THOUGHT("\"reasoning\":\"hm\",\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":"
                               "\"ccp1.prov.ZHNmbXR8fGMybG4\"},{\"type\":\"reasoning.encrypted\",\"data\":"
                               "\"ccp1.prov.ZGVmbXR8cnNfMXxBQUFB\"}]");
    expect_in(translate(CHAT, "m", true, mine),
              "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\",\"signature\":\"c2ln\",\"format\":"
              "\"fmt\",\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":\"AAAA\",\"id\":\"rs_1\",\"format\":"
              "\"fmt\",\"index\":1}],\"tool_calls\"",
              true);
    const char *others = THOUGHT("\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":"
                                 "\"ccp1.other.ZHNmbXR8fGMybG4\"}]");
    expect_in(translate(CHAT, "m", true, others), "\"content\":null,\"tool_calls\"", true);
    const char *two = THOUGHT("\"reasoning\":\"hm\",\"reasoning_details\":[{\"data\":\"ccp1.prov.ZHNmbXR8fGMybG4\"},"
                              "{\"data\":\"ccp1.prov.ZHNmbXR8fGMybG4\"}]");
    expect_in(translate(CHAT, "m", true, two), "\"content\":null,\"tool_calls\"", true);
    /* The text is as long as it was, however it is escaped; or it is only a piece of what was signed. */
    const char *same = THOUGHT("\"reasoning\":\"\\u0068m\\ud83c\\udf0d\",\"reasoning_details\":[{\"data\":"
                               "\"ccp1.prov.ZHNmbXR8fGMybG4\",\"id\":\"units-4\"}]");
    expect_in(translate(CHAT, "m", true, same), "\"signature\":\"c2ln\"", true);
    const char *piece = THOUGHT("\"reasoning\":\"m\",\"reasoning_details\":[{\"data\":"
                                "\"ccp1.prov.ZHNmbXR8fGMybG4\",\"id\":\"units-4\"}]");
    expect_in(translate(CHAT, "m", true, piece), "\"content\":null,\"tool_calls\"", true);
    expect_in(translate(CHAT, "m", true, THOUGHT("\"reasoning_opaque\":\"ccp1.prov.ZG98fFhZWg\"")),
              "\"reasoning_text\":\"\",\"reasoning_opaque\":\"XYZ\",\"tool_calls\"", true);
}

/* -- the conversation grows at its end -- */

static void a_longer_conversation_begins_like_the_shorter(void **state)
{
    static const char *const turns[] = {SAID, CALLS(CALL("1")) "," ANSWER("1", "a"),
                                        "{\"role\":\"assistant\",\"content\":\"y\"}", SAID};
    char request[2048] =
        "{\"tools\":[" TOOL("f") "],\"temperature\":0,\"messages\":[{\"role\":\"system\",\"content\":\"s\"}";
    char *before = NULL;
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        size_t n = strlen(request);
        snprintf(request + n, sizeof(request) - n, ",%s", turns[i]);
        char whole[2100];
        snprintf(whole, sizeof(whole), "%s]}", request);
        struct outcome r = translate(CHAT, "gpt-4o", false, whole);
        assert_true(r.ok);
        if (before != NULL)
            assert_memory_equal(before, r.body, strlen(before) - 2);
        free(before);
        before = r.body;
    }
    free(before);
}

/* -- what cannot be said -- */

#define CONTENT(parts) "{\"messages\":[{\"role\":\"user\",\"content\":" parts "}]}"

static void refusals_name_the_place(void **state)
{
    static const char *const rows[][2] = {
        {"{}", "messages must be an array"},
        {"{\"messages\":[]}", "messages must be an array"},
        {"{\"messages\":[3]}", "messages[0] must be an object"},
        {"{\"messages\":[{\"role\":\"robot\"}]}", "messages[0].role must be"},
        {CONTENT("7"), "messages[0].content must be a string or an array"},
        {CONTENT("null"), "messages[0].content must be a string or an array"},
        {CONTENT("[{}]"), "messages[0].content[0].type must be a string"},
        {CONTENT("[{\"type\":\"text\",\"text\":1}]"), "messages[0].content[0]: text must be a string"},
        {CONTENT("[{\"type\":\"hologram\"}]"), "messages[0].content[0]: parts of type hologram"},
        {CONTENT("[{\"type\":\"image_url\",\"image_url\":{}}]"), "messages[0].content[0]: image_url.url must"},
        {CONTENT("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,x\"}}]"),
         "messages[0].content[0]: a data: URL"},
        {CONTENT("[{\"type\":\"file\",\"file\":{}}]"), "messages[0].content[0]: file must have"},
        {CONTENT("[{\"type\":\"file\",\"file\":{\"file_data\":\"data:video/mp4;base64,AA==\"}}]"), "content[0]: video"},
        {CONTENT("[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\"}}]"),
         "input_audio.format must be wav or mp3"},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].tool_call_id must be"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":{}}]}", "messages[0].tool_calls must be an array"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\"}]}]}",
         "messages[0].tool_calls[0]: the func"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}]}",
         "tool_calls[0]: id"},
        {"{\"messages\":[{\"role\":\"assistant\",\"audio\":{\"id\":\"a\"}}]}", "messages[0].audio"},
        {"{\"n\":2," USER "}", "n: more than one answer"},
        {"{\"modalities\":[\"text\",\"audio\"]," USER "}", "modalities: only text"},
        {"{\"stop\":{}," USER "}", "stop must be"},
        {"{\"max_tokens\":0," USER "}", "max_tokens must be a positive integer"},
        {"{\"temperature\":\"1\"," USER "}", "temperature must be a number"},
        {"{\"reasoning_effort\":\"much\"," USER "}", "reasoning_effort must be"},
        {"{\"response_format\":{\"type\":\"xml\"}," USER "}", "response_format.type must be"},
        {"{\"response_format\":{\"type\":\"json_schema\"}," USER "}", "response_format.json_schema must be"},
        {"{\"tools\":[{\"type\":\"function\",\"function\":{}}]," USER "}", "tools[0].function.name must be"},
        {"{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]," USER "}",
         "tools[0].function.para"},
        {"{\"tool_choice\":\"maybe\"," USER "}", "tool_choice must be"},
        {"{\"tool_choice\":\"required\"," USER "}", "tool_choice: a call is required"},
        {"{\"tool_choice\":{\"type\":\"web_search\"}," USER "}", "tool_choice: a hosted tool"},
        {"{\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{}}," USER "}",
         "tool_choice.allowed_tools.tools"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refused(rows[i][0], rows[i][1]);
}

/* Each fault point of this format, and each allocation: a clear answer, and the sanitizer sees no leak. */
static void every_refused_allocation_is_an_answer(void **state)
{
    static const char *const rows[][2] = {
        {"chat.detail", THOUGHT("\"reasoning_details\":[{\"data\":\"x\"}]")},
        {"chat.stop", "{\"stop\":\"a\"," USER "}"},
        {"chat.allowed", "{\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[" TOOL("b") "]}," USER "}"},
        {"chat.function_id", "{\"messages\":[{\"role\":\"assistant\",\"function_call\":{\"name\":\"f\"}}]}"},
        {"carry.user", "{\"user\":\"01234567890123456789012345678901234567890123456789012345678901234\"," USER "}"},
        {"chat.media",
         "{\"messages\":[" CALLS(CALL("1")) ",{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":["
                                            "{\"type\":\"image_url\",\"image_url\":{\"url\":" PNG "}}]}]}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fault_arm(rows[i][0]);
        struct outcome r = translate(CHAT, "m", false, rows[i][1]);
        fault_arm(NULL);
        assert_int_equal(r.status, CCP_OVERLOADED);
        free(r.body);
        for (int n = 1; n < 40; n++) {
            char spec[32];
            snprintf(spec, sizeof(spec), "alloc:%d", n);
            fault_arm(spec);
            r = translate(CHAT, "m", false, rows[i][1]);
            fault_arm(NULL);
            assert_int_equal(r.ok ? CCP_OK : CCP_OVERLOADED, r.status);
            free(r.body);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_named_as_the_server_knows_them),
        cmocka_unit_test(reasoning_models_keep_their_own_sampling),
        cmocka_unit_test(stop_is_a_list_of_four),
        cmocka_unit_test(depth_is_the_nearest_that_the_model_takes),
        cmocka_unit_test(what_only_the_vendor_knows),
        cmocka_unit_test(structured_output),
        cmocka_unit_test(system_text_has_the_role_that_the_model_knows),
        cmocka_unit_test(results_follow_their_calls_in_order),
        cmocka_unit_test(images_of_results_move_behind_all_tool_messages),
        cmocka_unit_test(parts_of_a_user),
        cmocka_unit_test(deprecated_functions_become_tools),
        cmocka_unit_test(free_text_tools_are_functions_for_compatible_servers),
        cmocka_unit_test(allowed_tools_are_a_choice_or_all_there_is),
        cmocka_unit_test(web_search_is_for_search_models),
        cmocka_unit_test(thinking_goes_back_to_those_who_want_it),
        cmocka_unit_test(proofs_go_back_to_their_maker_alone),
        cmocka_unit_test(a_longer_conversation_begins_like_the_shorter),
        cmocka_unit_test(refusals_name_the_place),
        cmocka_unit_test(every_refused_allocation_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

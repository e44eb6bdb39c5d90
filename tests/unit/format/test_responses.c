/*
 * Requests of OpenAI Responses: items and turns, namespaces and free-text tools, what is refused, lost or no loss, what
 * models take, the conversation's stable beginning.
 */
#include "responses_bench.h"

/* -- requests: reading -- */

static void an_agents_request_is_kept_whole(void **state)
{
    struct bench *b = *state;
    json_t *body = asked(b, R, R, CODEX), *input = json_object_get(body, "input");
    json_t *tools = json_object_get(body, "tools");
    assert_null(b->p.dropped);
    assert_string_equal(json_string_value(json_object_get(body, "instructions")), "Be brief.\n\nrules");
    assert_int_equal(json_array_size(input), 6);
    assert_string_equal(type_at(input, 1), "reasoning");
    assert_string_equal(text_at(input, 1, "encrypted_content"), "gAAA");
    assert_string_equal(text_at(json_object_get(json_array_get(input, 1), "summary"), 0, "text"), "a\n\nb");
    assert_null(json_object_get(json_array_get(input, 1), "id"));
    assert_string_equal(type_at(input, 2), "function_call");
    assert_string_equal(text_at(input, 2, "arguments"), "{\"p\":1}");
    assert_string_equal(text_at(input, 2, "name"), text_at(tools, 1, "name"));
    assert_string_equal(type_at(input, 3), "custom_tool_call");
    assert_string_equal(text_at(input, 3, "input"), "*** Begin\n");
    assert_string_equal(type_at(input, 4), "function_call_output");
    assert_string_equal(text_at(input, 4, "output"), "text");
    assert_string_equal(type_at(input, 5), "custom_tool_call_output");
    json_t *output = json_object_get(json_array_get(input, 5), "output");
    assert_string_equal(type_at(output, 0), "input_text");
    assert_string_equal(text_at(output, 1, "image_url"), "data:image/png;base64,AAAA");
    assert_string_equal(text_at(tools, 1, "description"), "Files.");
    assert_string_equal(type_at(tools, 3), "web_search");
    assert_true(json_is_true(json_object_get(json_array_get(tools, 3), "external_web_access")));
    json_t *grammar = json_object_get(json_array_get(tools, 2), "format");
    assert_string_equal(json_string_value(json_object_get(grammar, "syntax")), "lark");
    assert_string_equal(json_string_value(json_object_get(json_object_get(body, "text"), "verbosity")), "low");
    assert_true(json_is_false(json_object_get(body, "store")));
}

static void neighbours_of_the_assistant_are_one_turn(void **state)
{
    struct bench *b = *state;
    assert_true(ask(b, R, R, CODEX));
    size_t turns = 0, parts = 0;
    for (const struct turn *t = b->p.turns; t != NULL; t = t->next, turns++)
        for (const struct part *part = t->parts; t->role == ROLE_ASSISTANT && part != NULL; part = part->next)
            parts++;
    assert_int_equal(turns, 5); /* instructions, developer, user, assistant, results */
    assert_int_equal(parts, 3);
}

static void refusals_name_the_place(void **state)
{
    static const char *const cases[][2] = {
        {"{\"model\":\"m\"}", "input"},
        {"{\"model\":\"m\",\"input\":7}", "input"},
        {"{\"model\":\"m\",\"input\":[]}", "input"},
        {"{\"model\":\"m\",\"input\":[7]}", "input[0]"},
        {"{\"model\":\"m\",\"input\":\"x\",\"previous_response_id\":\"resp_1\"}", "previous_response_id"},
        {"{\"model\":\"m\",\"input\":\"x\",\"conversation\":{\"id\":\"c\"}}", "conversation"},
        {"{\"model\":\"m\",\"input\":\"x\",\"prompt\":{\"id\":\"c\"}}", "prompt"},
        {"{\"model\":\"m\",\"input\":\"x\",\"background\":true}", "background"},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]}", "item_reference"},
        {"{\"model\":\"m\",\"input\":[{\"id\":\"msg_1\"}]}", "item_reference"},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"compaction\",\"encrypted_content\":\"x\"}]}", "compaction"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"critic\",\"content\":\"x\"}]}", "input[0].role"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":7}]}", "input[0].content"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]}",
         "input[0].content[0]"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_hologram\"}]}]}",
         "input[0].content[0]"},
        {"{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"x\"},{\"type\":\"function_call\","
         "\"name\":\"f\",\"arguments\":\"{}\"}]}",
         "input[1]"},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
         "\"arguments\":{}}]}",
         "input[0].arguments"},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\"}]}", "input[0].output"},
        {"{\"model\":\"m\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[{}]}]}",
         "input[0].output[0]"},
        {"{\"model\":\"m\",\"input\":\"x\",\"tools\":{}}", "tools"},
        {"{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"function\"}]}", "tools[0].name"},
        {"{\"model\":\"m\",\"input\":\"x\",\"tool_choice\":\"always\"}", "tool_choice"},
        {"{\"model\":\"m\",\"input\":\"x\",\"tool_choice\":\"required\"}", "tool_choice"},
        {"{\"model\":\"m\",\"input\":\"x\",\"text\":{\"format\":{\"type\":\"xml\"}}}", "text.format"},
        {"{\"model\":\"m\",\"input\":\"x\",\"instructions\":[]}", "instructions"},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (ask(b, R, R, cases[i][0]))
            fail_msg("taken: %s", cases[i][0]);
        assert_int_equal(b->p.status, CCP_BAD_REQUEST);
        if (memmem(b->p.error.p, b->p.error.n, cases[i][1], strlen(cases[i][1])) == NULL)
            fail_msg("%s: %.*s", cases[i][0], CCP_FMT(b->p.error));
    }
}

static void defaults_are_no_loss(void **state)
{
    struct bench *b = *state;
    asked(b, R, A,
          "{\"model\":\"m\",\"input\":\"x\",\"background\":false,\"previous_response_id\":null,\"conversation\":null,"
          "\"store\":false,\"truncation\":\"disabled\",\"text\":{\"format\":{\"type\":\"text\"}},"
          "\"reasoning\":{\"effort\":null,\"summary\":null},\"parallel_tool_calls\":true,\"max_output_tokens\":99}");
    assert_null(b->p.dropped);
}

static void losses_are_named(void **state)
{
    static const char *const names[] = {"max_tool_calls", "truncation",  "store",           "reasoning.context",
                                        "moderation",     "phase",       "web_search_call", "annotations",
                                        "file_search",    "top_logprobs"};
    struct bench *b = *state;
    asked(b, R, A,
          "{\"model\":\"m\",\"max_tool_calls\":3,\"truncation\":\"auto\",\"store\":true,\"moderation\":{\"a\":1},"
          "\"top_logprobs\":2,\"reasoning\":{\"context\":\"all_turns\"},\"tools\":[{\"type\":\"file_search\"}],"
          "\"input\":[{\"role\":\"user\",\"content\":\"x\"},{\"type\":\"web_search_call\",\"id\":\"ws\"},"
          "{\"role\":\"assistant\",\"phase\":\"commentary\",\"content\":[{\"type\":\"output_text\",\"text\":\"y\","
          "\"annotations\":[{\"type\":\"url_citation\"}]}]},{\"role\":\"user\",\"content\":\"z\"}]}");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!lost(b, names[i]))
            fail_msg("%s is not named", names[i]);
}

static void built_in_calls_become_functions(void **state)
{
    struct bench *b = *state;
    json_t *body = asked(b, R, R,
                         "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"x\"},"
                         "{\"type\":\"local_shell_call\",\"call_id\":\"c1\",\"action\":{\"command\":[\"ls\"]}},"
                         "{\"type\":\"local_shell_call_output\",\"id\":\"c1\",\"output\":\"a b\"},"
                         "{\"type\":\"shell_call\",\"call_id\":\"c2\",\"action\":{}},"
                         "{\"type\":\"shell_call_output\",\"call_id\":\"c2\",\"output\":[{\"stdout\":\"o\"}]}]}");
    json_t *input = json_object_get(body, "input");
    assert_int_equal(json_array_size(input), 5);
    assert_string_equal(text_at(input, 1, "name"), "local_shell");
    assert_string_equal(text_at(input, 1, "arguments"), "{\"command\":[\"ls\"]}");
    assert_string_equal(text_at(input, 2, "output"), "a b");
    assert_string_equal(text_at(input, 4, "output"), "[{\"stdout\":\"o\"}]");
}

/* -- requests: writing -- */

static void models_get_what_they_take(void **state)
{
    static const struct {
        const char *model, *effort;
        bool samples, includes, talks;
    } cases[] = {
        {"gpt-4.1", NULL, true, false, false}, {"gpt-5", "minimal", false, true, true},
        {"gpt-5.1", "low", false, true, true}, {"openai/o3-mini", "low", false, true, false},
        {"gpt-9", "low", false, true, true},   {"my-model", "minimal", true, true, true},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        b->model = cases[i].model;
        json_t *body =
            asked(b, R, R,
                  "{\"model\":\"m\",\"input\":\"x\",\"temperature\":0.5,\"top_p\":0.25,"
                  "\"max_output_tokens\":3,\"reasoning\":{\"effort\":\"minimal\"},\"text\":{\"verbosity\":\"low\"}}");
        const char *effort = json_string_value(json_object_get(json_object_get(body, "reasoning"), "effort"));
        assert_int_equal(json_integer_value(json_object_get(body, "max_output_tokens")), 16);
        assert_true(lost(b, "max_output_tokens"));
        assert_int_equal(lost(b, "text.verbosity"), !cases[i].talks);
        assert_int_equal(json_object_get(body, "temperature") != NULL, cases[i].samples);
        assert_int_equal(lost(b, "top_p"), !cases[i].samples);
        assert_int_equal(json_object_get(body, "include") != NULL, cases[i].includes);
        assert_int_equal(effort != NULL, cases[i].effort != NULL);
        if (effort != NULL)
            assert_string_equal(effort, cases[i].effort);
        assert_int_equal(lost(b, "reasoning"), effort == NULL || strcmp(effort, "minimal") != 0);
    }
}

static void late_system_text_stays_in_its_place(void **state)
{
    struct bench *b = *state;
    json_t *body = asked(b, R, R,
                         "{\"model\":\"m\",\"input\":[{\"role\":\"system\",\"content\":\"one\"},"
                         "{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"system\",\"content\":\"two\"},"
                         "{\"role\":\"user\",\"content\":\"y\"}]}");
    json_t *input = json_object_get(body, "input");
    assert_string_equal(json_string_value(json_object_get(body, "instructions")), "one");
    assert_int_equal(json_array_size(input), 3);
    assert_string_equal(text_at(input, 1, "role"), "developer");
    body = asked(b, R, R, "{\"model\":\"m\",\"instructions\":\"alone\",\"input\":[]}");
    assert_null(json_object_get(body, "instructions"));
    assert_int_equal(json_array_size(json_object_get(body, "input")), 1);
}

static void a_choice_finds_its_tool(void **state)
{
    struct bench *b = *state;
    json_t *body = asked(b, R, R,
                         "{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\"},"
                         "{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]},"
                         "{\"type\":\"web_search_preview\"}],\"tool_choice\":{\"type\":\"allowed_tools\","
                         "\"mode\":\"required\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\"},"
                         "{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"web_search_preview\"}]}}");
    json_t *choice = json_object_get(body, "tool_choice"), *tools = json_object_get(choice, "tools");
    assert_string_equal(json_string_value(json_object_get(choice, "mode")), "required");
    assert_string_equal(type_at(tools, 0), "custom");
    assert_string_equal(type_at(tools, 1), "function");
    assert_string_equal(text_at(tools, 1, "name"), "n__f");
    assert_string_equal(type_at(tools, 2), "web_search_preview");
    body = asked(b, R, R,
                 "{\"model\":\"m\",\"input\":\"x\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\"}],"
                 "\"tool_choice\":{\"type\":\"custom\",\"name\":\"c\"},\"parallel_tool_calls\":false}");
    assert_string_equal(json_string_value(json_object_get(json_object_get(body, "tool_choice"), "type")), "custom");
    assert_true(json_is_false(json_object_get(body, "parallel_tool_calls")));
}

static void a_count_asks_for_no_answer(void **state)
{
    struct bench *b = *state;
    b->count = true;
    json_t *body = asked(b, R, R,
                         "{\"model\":\"m\",\"input\":\"x\",\"temperature\":1,\"max_output_tokens\":99,\"stream\":true,"
                         "\"reasoning\":{\"effort\":\"low\"}}");
    assert_int_equal(json_object_size(body), 3); /* model, reasoning, input */
    struct ccp_span path = format_openai_responses.path(&b->p);
    assert_true(ccp_span_is(path, "/responses/input_tokens"));
    uint64_t tokens = 0;
    struct ccp_json *root;
    assert_int_equal(
        json_parse(&b->a, CCP_SPAN("{\"object\":\"response.input_tokens\",\"input_tokens\":7}"), &root, NULL), CCP_OK);
    assert_true(format_openai_responses.read_count(root, &tokens));
    assert_int_equal(tokens, 7);
}

/* Each request begins with the one before up to its closing brackets. */
static void requests_of_a_conversation_share_their_beginning(void **state)
{
    struct bench *b = *state;
    char history[8192];
    size_t n = (size_t)snprintf(history, sizeof(history),
                                "{\"model\":\"m\",\"instructions\":\"i\",\"tools\":[{\"type\":"
                                "\"function\",\"name\":\"f\"}],\"input\":[{\"role\":\"user\",\"content\":\"q\"}");
    struct ccp_span before = CCP_SPAN("");
    for (int turn = 0; turn < 20; turn++) {
        snprintf(history + n, sizeof(history) - n, "]}");
        assert_true(ask(b, R, R, history));
        assert_true(before.n < 2 || ccp_span_starts(buf_span(&b->body), ccp_span_of(before.p, before.n - 2)));
        before = arena_dup(&b->a, buf_span(&b->body));
        n += (size_t)snprintf(history + n, sizeof(history) - n,
                              ",{\"type\":\"function_call\",\"call_id\":\"c%d\",\"name\":\"f\",\"arguments\":\"{}\"},"
                              "{\"type\":\"function_call_output\",\"call_id\":\"c%d\",\"output\":\"r\"},"
                              "{\"role\":\"user\",\"content\":\"more\"}",
                              turn, turn);
    }
}

/* -- memory -- */

static void refused_memory_is_an_answer(void **state)
{
    struct bench *b = *state;
    size_t refused = 0;
    for (size_t budget = 512; budget < 98304; budget += 512) {
        struct prompt_target to = {.format = R, .provider = CCP_SPAN("prov"), .model = CCP_SPAN("gpt-5")};
        struct ccp_json *root;
        struct arena a;
        struct ccp_buf out;
        struct prompt p;
        assert_int_equal(json_parse(&b->a, CCP_SPAN(CODEX), &root, NULL), CCP_OK);
        arena_init(&a, NULL, budget);
        buf_init(&out, 1 << 20);
        prompt_init(&p, &a, R, &to, names_new(&b->a));
        bool ok = translate_request(&p, root, &out);
        assert_int_equal(p.status, ok ? CCP_OK : CCP_OVERLOADED);
        refused += !ok;
        buf_release(&out);
        arena_end(&a);
        if (ok && refused != 0)
            return;
    }
    fail_msg("the budget was never too small, or never enough: %zu", refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_agents_request_is_kept_whole),
        T(neighbours_of_the_assistant_are_one_turn),
        T(refusals_name_the_place),
        T(defaults_are_no_loss),
        T(losses_are_named),
        T(built_in_calls_become_functions),
        T(models_get_what_they_take),
        T(late_system_text_stays_in_its_place),
        T(a_choice_finds_its_tool),
        T(a_count_asks_for_no_answer),
        T(requests_of_a_conversation_share_their_beginning),
        T(refused_memory_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

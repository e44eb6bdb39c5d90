/*
 * docs/translation.md tells the truth: every field of every format is sent to every other, and what the page says is
 * what happens. "Carried" must hold for at least one model of the target, a loss for all.
 *
 * A field without a sample here is a failed test: who adds one to a table says what it looks like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../../translation/outcome.h"
#include <cmocka.h>
#include <stdio.h>
#include <wire/json.h>

#define TOOLS_A         "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]"
#define TOOLS_C         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define TOOLS_R         "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}]"
#define TOOLS_G         "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}]"
#define SCHEMA          "{\"type\":\"object\",\"properties\":{}}"
#define CONFIG(members) "\"generationConfig\":{" members "}"

static const char *const bases[] = {
    [CCP_FORMAT_ANTHROPIC] = "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]",
    [CCP_FORMAT_OPENAI_CHAT] = "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]",
    [CCP_FORMAT_OPENAI_RESPONSES] = "\"model\":\"m\",\"input\":\"hi\"",
    [CCP_FORMAT_GEMINI] = "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]",
};

/* The field with a value that no target has to change, and what it needs beside it. NULL: it is in each request, or in
 * none (Gemini's model). */
struct sample {
    const char *field, *members;
};

static const struct sample anthropic[] = {
    {"model", NULL},
    {"messages", NULL},
    {"max_tokens", "\"max_tokens\":100"},
    {"stream", "\"stream\":true"},
    {"temperature", "\"temperature\":0.5"},
    {"top_p", "\"top_p\":0.5"},
    {"top_k", "\"top_k\":5"},
    {"stop_sequences", "\"stop_sequences\":[\"x\"]"},
    {"thinking", "\"max_tokens\":20000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}"},
    {"output_config.effort", "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"}"},
    {"output_config.format", "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA "}}"},
    {"output_format", "\"output_format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA "}"},
    {"output_config.task_budget", "\"output_config\":{\"task_budget\":{\"type\":\"tokens\",\"total\":1000}}"},
    {"metadata.user_id", "\"metadata\":{\"user_id\":\"u\"}"},
    {"service_tier", "\"service_tier\":\"standard_only\""},
    {"cache_control", "\"cache_control\":{\"type\":\"ephemeral\"}"},
    {"tool_choice", TOOLS_A ",\"tool_choice\":{\"type\":\"any\"}"},
    {"tool_choice.disable_parallel_tool_use",
     TOOLS_A ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}"},
    {"tools", TOOLS_A},
    {"system", "\"system\":\"s\""},
    {"container", "\"container\":\"c\""},
    {"thread", "\"thread\":{\"id\":\"t\"}"},
    {"compaction", "\"compaction\":{\"type\":\"x\"}"},
    {"context_management", "\"context_management\":{\"edits\":[]}"},
    {"mcp_servers", "\"mcp_servers\":[{\"type\":\"url\",\"url\":\"https://x\",\"name\":\"n\"}]"},
    {"fallbacks", "\"fallbacks\":[{\"model\":\"x\"}]"},
    {"fallback_credit_token", "\"fallback_credit_token\":\"x\""},
    {"billing_policy", "\"billing_policy\":\"x\""},
    {"diagnostics", "\"diagnostics\":{}"},
    {"speed", "\"speed\":\"fast\""},
    {"inference_geo", "\"inference_geo\":\"eu\""},
    {NULL, NULL},
};

static const struct sample chat[] = {
    {"model", NULL},
    {"messages", NULL},
    {"messages[].role", NULL},
    {"stream", "\"stream\":true"},
    {"stream_options", "\"stream\":true,\"stream_options\":{\"include_usage\":true}"},
    {"max_completion_tokens", "\"max_completion_tokens\":100"},
    {"max_tokens", "\"max_tokens\":100"},
    {"temperature", "\"temperature\":0.5"},
    {"top_p", "\"top_p\":0.5"},
    {"top_k", "\"top_k\":5"},
    {"stop", "\"stop\":[\"x\"]"},
    {"n", "\"n\":2"},
    {"seed", "\"seed\":1"},
    {"frequency_penalty", "\"frequency_penalty\":0.5"},
    {"presence_penalty", "\"presence_penalty\":0.5"},
    {"logit_bias", "\"logit_bias\":{\"1\":1}"},
    {"logprobs", "\"logprobs\":true"},
    {"top_logprobs", "\"logprobs\":true,\"top_logprobs\":2"},
    {"response_format",
     "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":" SCHEMA "}}"},
    {"reasoning_effort", "\"reasoning_effort\":\"high\""},
    {"reasoning", "\"reasoning\":{\"effort\":\"high\"}"},
    {"include_reasoning", "\"reasoning_effort\":\"high\",\"include_reasoning\":true"},
    {"thinking", "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8192}"},
    {"enable_thinking", "\"enable_thinking\":true,\"reasoning_effort\":\"high\""},
    {"extra_body", "\"extra_body\":{\"google\":{\"thinking_config\":{\"thinking_budget\":8192}}}"},
    {"google", "\"google\":{\"thinking_config\":{\"thinking_budget\":8192}}"},
    {"verbosity", "\"verbosity\":\"low\""},
    {"safety_identifier", "\"safety_identifier\":\"u\""},
    {"user", "\"user\":\"u\""},
    {"service_tier", "\"service_tier\":\"default\""},
    {"prompt_cache_key", "\"prompt_cache_key\":\"k\""},
    {"prompt_cache_retention", "\"prompt_cache_retention\":\"24h\""},
    {"store", "\"store\":true"},
    {"metadata", "\"metadata\":{\"a\":\"b\"}"},
    {"prediction", "\"prediction\":{\"type\":\"content\",\"content\":\"x\"}"},
    {"modalities", "\"modalities\":[\"text\",\"audio\"]"},
    {"tools", TOOLS_C},
    {"functions", "\"functions\":[{\"name\":\"f\"}]"},
    {"web_search_options", "\"web_search_options\":{}"},
    {"tool_choice", TOOLS_C ",\"tool_choice\":\"required\""},
    {"function_call", "\"functions\":[{\"name\":\"f\"}],\"function_call\":{\"name\":\"f\"}"},
    {"parallel_tool_calls", TOOLS_C ",\"parallel_tool_calls\":false"},
    {NULL, NULL},
};

static const struct sample responses[] = {
    {"model", NULL},
    {"input", NULL},
    {"stream", "\"stream\":true"},
    {"stream_options", "\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}"},
    {"max_output_tokens", "\"max_output_tokens\":100"},
    {"temperature", "\"temperature\":0.5"},
    {"top_p", "\"top_p\":0.5"},
    {"safety_identifier", "\"safety_identifier\":\"u\""},
    {"user", "\"user\":\"u\""},
    {"metadata", "\"metadata\":{\"a\":\"b\"}"},
    {"service_tier", "\"service_tier\":\"default\""},
    {"prompt_cache_key", "\"prompt_cache_key\":\"k\""},
    {"prompt_cache_retention", "\"prompt_cache_retention\":\"24h\""},
    {"store", "\"store\":true"},
    {"include", "\"include\":[\"reasoning.encrypted_content\"]"},
    {"client_metadata", "\"client_metadata\":{\"a\":\"b\"}"},
    {"reasoning", "\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"}"},
    {"text.format", "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":" SCHEMA "}}"},
    {"text.verbosity", "\"text\":{\"verbosity\":\"low\"}"},
    {"tools", TOOLS_R},
    {"tool_choice", TOOLS_R ",\"tool_choice\":\"required\""},
    {"parallel_tool_calls", TOOLS_R ",\"parallel_tool_calls\":false"},
    {"instructions", "\"instructions\":\"s\""},
    {"previous_response_id", "\"previous_response_id\":\"resp_1\""},
    {"conversation", "\"conversation\":\"c\""},
    {"prompt", "\"prompt\":{\"id\":\"p\"}"},
    {"background", "\"background\":true"},
    {"max_tool_calls", "\"max_tool_calls\":3"},
    {"truncation", "\"truncation\":\"auto\""},
    {"context_management", "\"context_management\":[{\"type\":\"compaction\"}]"},
    {NULL, NULL},
};

static const struct sample gemini[] = {
    {"model", NULL},
    {"contents", NULL},
    {"systemInstruction", "\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]}"},
    {"tools", TOOLS_G},
    {"toolConfig", TOOLS_G ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\"}}"},
    {"safetySettings", "\"safetySettings\":[{\"category\":\"x\",\"threshold\":\"OFF\"}]"},
    {"serviceTier", "\"serviceTier\":\"standard\""},
    {"generationConfig.maxOutputTokens", CONFIG("\"maxOutputTokens\":100")},
    {"generationConfig.temperature", CONFIG("\"temperature\":0.5")},
    {"generationConfig.topP", CONFIG("\"topP\":0.5")},
    {"generationConfig.topK", CONFIG("\"topK\":5")},
    {"generationConfig.seed", CONFIG("\"seed\":1")},
    {"generationConfig.presencePenalty", CONFIG("\"presencePenalty\":0.5")},
    {"generationConfig.frequencyPenalty", CONFIG("\"frequencyPenalty\":0.5")},
    {"generationConfig.stopSequences", CONFIG("\"stopSequences\":[\"x\"]")},
    {"generationConfig.candidateCount", CONFIG("\"candidateCount\":2")},
    {"generationConfig.responseModalities", CONFIG("\"responseModalities\":[\"IMAGE\"]")},
    {"generationConfig.responseJsonSchema",
     CONFIG("\"responseMimeType\":\"application/json\",\"responseJsonSchema\":" SCHEMA)},
    {"generationConfig.responseSchema",
     CONFIG("\"responseMimeType\":\"application/json\",\"responseSchema\":{\"type\":\"OBJECT\",\"properties\":{}}")},
    {"generationConfig.responseMimeType",
     CONFIG("\"responseMimeType\":\"application/json\",\"responseJsonSchema\":" SCHEMA)},
    {"generationConfig.responseFormat",
     CONFIG("\"responseFormat\":{\"text\":{\"mimeType\":\"APPLICATION_JSON\",\"schema\":" SCHEMA "}}")},
    {"generationConfig.thinkingConfig", CONFIG("\"thinkingConfig\":{\"thinkingBudget\":8192}")},
    {NULL, NULL},
};

static const struct sample *const samples[] = {anthropic, chat, responses, gemini};

/* Models of each target that differ in what they take, and a compatible server. */
static const struct {
    const char *model;
    bool compatible;
} models[][4] = {
    {{"claude-opus-4-1", false},
     {"claude-sonnet-4-6", false},
     {"claude-3-5-haiku-latest", false},
     {"claude-opus-5", false}},
    {{"gpt-4o", false}, {"gpt-5", false}, {"gpt-4o-search-preview", false}, {"llama-3", true}},
    {{"gpt-4.1", false}, {"gpt-5", false}, {"o3", false}, {"llama-3", true}},
    {{"gemini-2.5-flash", false},
     {"gemini-3-pro-preview", false},
     {"gemini-2.0-flash", false},
     {"gemini-2.5-pro", false}},
};
#define MODELS 4

static const struct sample *sample_of(int f, const char *field)
{
    const struct sample *s = samples[f];
    while (s->field != NULL && strcmp(s->field, field) != 0)
        s++;
    if (s->field == NULL)
        fail_msg("%s: no sample of %s", format_of((enum ccp_format)f)->id, field);
    return s;
}

struct tried {
    bool ok, named, present;
    enum ccp_status status;
    char error[300];
};

static bool in_list(const struct prompt *p, const char *name)
{
    for (const struct loss *l = p->dropped; l != NULL; l = l->next)
        if (ccp_span_is(l->name, name))
            return true;
    return false;
}

/* Is there a member at the path "a.b.c"? "messages[].role" and the model of a path stand for what always is. */
static bool has_path(const struct ccp_json *v, const char *path)
{
    char key[64];
    while (v != NULL && *path != '\0') {
        size_t n = strcspn(path, ".[");
        if (path[n] == '[' || n >= sizeof(key))
            return true;
        memcpy(key, path, n);
        key[n] = '\0';
        v = ccp_json_get(v, key);
        path += n + (path[n] == '.');
    }
    return v != NULL;
}

static struct tried try(int from, int to, const char *members, const char *field, const char *target, size_t model)
{
    struct tried t = {0};
    struct arena a;
    struct ccp_buf out;
    struct ccp_json *root;
    arena_init(&a, NULL, 0);
    buf_init(&out, 1 << 20);
    struct ccp_span text = arena_printf(&a, "{%s,%s}", bases[from], members);
    if (json_parse(&a, text, &root, NULL) != CCP_OK)
        fail_msg("not JSON: %s", text.p);
    struct prompt p;
    struct prompt_target target_model = {.format = (enum ccp_format)to,
                                         .provider = CCP_SPAN("other"),
                                         .model = ccp_span_z(models[to][model].model),
                                         .compatible = models[to][model].compatible,
                                         .stream = strstr(members, "\"stream\":true") != NULL};
    prompt_init(&p, &a, (enum ccp_format)from, &target_model, names_new(&a));
    t.ok = translate_request(&p, root, &out);
    t.status = p.status;
    t.named = in_list(&p, field);
    snprintf(t.error, sizeof(t.error), "%.*s", CCP_FMT(p.error));
    if (t.ok && target != NULL) {
        struct ccp_json *body;
        assert_int_equal(json_parse(&a, buf_span(&out), &body, NULL), CCP_OK);
        t.present = has_path(body, target);
    }
    buf_release(&out);
    arena_end(&a);
    return t;
}

static const char *told(enum outcome o)
{
    static const char *const words[] = {"dropped", "refused", "left out silently", "carried"};
    return words[o];
}

/* What one field did in one direction; the number of models for which the page was right. */
static size_t right_for(int f, int t, const struct field *row, const char *members, enum outcome says, char *why,
                        size_t n)
{
    const struct field *to = fields_find(format_of((enum ccp_format)t)->fields, row->param);
    size_t right = 0;
    for (size_t m = 0; m < MODELS; m++) {
        struct tried got = try(f, t, members, row->name, says == CARRIED ? to->name : NULL, m);
        bool as_said = says == REJECT   ? !got.ok && got.status == CCP_BAD_REQUEST
                       : says == DROP   ? got.ok && got.named
                       : says == SILENT ? got.ok && !got.named
                                        : got.ok && !got.named && got.present;
        right += as_said;
        if (!as_said)
            snprintf(why, n, "%s: ok %d named %d present %d %s", models[t][m].model, got.ok, got.named, got.present,
                     got.error);
    }
    return right;
}

static void every_field(void **state)
{
    (void)state;
    size_t cells = 0, wrong = 0;
    for (int f = 0; f < CCP_FORMAT_COUNT; f++) {
        const struct field *table = format_of((enum ccp_format)f)->fields;
        for (const struct field *row = table; row->name != NULL; row++) {
            const struct sample *s = seen_before(table, row) ? NULL : sample_of(f, row->name);
            if (s == NULL || s->members == NULL)
                continue;
            for (int t = 0; t < CCP_FORMAT_COUNT; t++) {
                if (t == f)
                    continue;
                char why[400] = "";
                enum outcome says = outcome_of(row, format_of((enum ccp_format)t)->fields);
                size_t right = right_for(f, t, row, s->members, says, why, sizeof(why));
                cells++;
                if (says == CARRIED ? right == 0 : right != MODELS) {
                    wrong++;
                    print_error("%s %s to %s: should be %s; %s\n", format_of((enum ccp_format)f)->id, row->name,
                                format_of((enum ccp_format)t)->id, told(says), why);
                }
            }
        }
    }
    assert_true(cells > 300);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_field)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Reads what the mock needs from a request of any of the four formats: the last text of the user, the tools,
 * whether a tool has just answered, and how much text there is.
 *
 * It is not a validator: what it does not know it passes over. The count of text bytes sees the same texts in
 * every format (instructions, messages, tool results, names and descriptions of tools), so that the same
 * conversation costs the same tokens everywhere.
 */
#include "mock.h"

static void note_text(struct mock_ask *ask, const struct ccp_json *text)
{
    ask->text_bytes += mock_text_length(text);
}

static bool is_string(const struct ccp_json *v)
{
    return v != NULL && v->type == CCP_JSON_STRING;
}

static bool text_is(const struct ccp_json *v, const char *text)
{
    return ccp_span_is(ccp_json_inner(v), text);
}

static const struct ccp_json *first_of(const struct ccp_json *v)
{
    return v != NULL && (v->type == CCP_JSON_ARRAY || v->type == CCP_JSON_OBJECT) ? v->child : NULL;
}

/* A result is a string, an array of blocks with texts (Anthropic, OpenAI) or an object (Gemini). */
static void note_result(struct mock_ask *ask, const struct ccp_json *result)
{
    ask->tool_answered = true;
    ask->tool_result = result;
    note_text(ask, result);
    for (const struct ccp_json *v = first_of(result); v != NULL; v = v->next) {
        const struct ccp_json *text = v->type == CCP_JSON_OBJECT ? ccp_json_get(v, "text") : v;
        note_text(ask, text);
        if (is_string(text) && ask->tool_result == result)
            ask->tool_result = text;
    }
}

static void note_tool(struct mock_ask *ask, const struct ccp_json *tool, const struct ccp_json *schema)
{
    struct ccp_span name = ccp_json_inner(ccp_json_get(tool, "name"));
    if (name.n == 0)
        return;
    note_text(ask, ccp_json_get(tool, "name"));
    note_text(ask, ccp_json_get(tool, "description"));
    if (ask->tool_name.n != 0 && !ccp_span_eq(name, ask->wanted_tool))
        return;
    ask->tool_name = name;
    ask->tool_schema = schema;
}

static void note_said(struct mock_ask *ask, const struct ccp_json *role, const struct ccp_json *text)
{
    note_text(ask, text);
    if (is_string(text) && (role == NULL || text_is(role, "user")))
        ask->user_text = text;
}

/* A string, or blocks with a `text`; Anthropic's tool results stand among them. */
static void read_content(struct mock_ask *ask, const struct ccp_json *role, const struct ccp_json *content)
{
    if (is_string(content))
        note_said(ask, role, content);
    for (const struct ccp_json *v = first_of(content); v != NULL; v = v->next) {
        if (text_is(ccp_json_get(v, "type"), "tool_result"))
            note_result(ask, ccp_json_get(v, "content"));
        else
            note_said(ask, role, ccp_json_get(v, "text"));
    }
}

static const char *read_messages(struct mock_ask *ask)
{
    const struct ccp_json *messages = ccp_json_get(ask->root, "messages");
    if (messages == NULL || messages->type != CCP_JSON_ARRAY || messages->count == 0)
        return "messages: a list with at least one message is required";
    for (const struct ccp_json *m = messages->child; m != NULL; m = m->next) {
        const struct ccp_json *role = ccp_json_get(m, "role"), *content = ccp_json_get(m, "content");
        if (role == NULL)
            return "messages: every message needs a role";
        if (text_is(role, "assistant"))
            ask->tool_answered = false;
        if (text_is(role, "tool"))
            note_result(ask, content);
        else
            read_content(ask, role, content);
    }
    return NULL;
}

static const char *read_anthropic(struct mock_ask *ask)
{
    const struct ccp_json *choice = ccp_json_get(ask->root, "tool_choice");
    static const char system_role[] = "\"system\"";
    const struct ccp_json role = {.type = CCP_JSON_STRING, .raw = {system_role, sizeof(system_role) - 1}};
    ask->wanted_tool = ccp_json_inner(ccp_json_get(choice, "name"));
    ask->tools_forbidden = text_is(ccp_json_get(choice, "type"), "none");
    ask->max_tokens = mock_json_count(ccp_json_get(ask->root, "max_tokens"));
    if (ask->target.call == MOCK_GENERATE && ask->max_tokens == 0)
        return "max_tokens: a positive number is required";
    read_content(ask, &role, ccp_json_get(ask->root, "system"));
    /* Tools that the vendor runs itself have no schema of their own and cannot be called by the mock. */
    for (const struct ccp_json *t = first_of(ccp_json_get(ask->root, "tools")); t != NULL; t = t->next)
        if (ccp_json_get(t, "input_schema") != NULL)
            note_tool(ask, t, ccp_json_get(t, "input_schema"));
    return read_messages(ask);
}

static const char *read_chat(struct mock_ask *ask)
{
    const struct ccp_json *choice = ccp_json_get(ask->root, "tool_choice");
    const struct ccp_json *usage = ccp_json_get(ccp_json_get(ask->root, "stream_options"), "include_usage");
    ask->include_usage = usage != NULL && usage->type == CCP_JSON_TRUE;
    ask->wanted_tool = ccp_json_inner(ccp_json_get(ccp_json_get(choice, "function"), "name"));
    ask->tools_forbidden = text_is(choice, "none");
    ask->max_tokens = mock_json_count(ccp_json_get(ask->root, "max_completion_tokens"));
    if (ask->max_tokens == 0)
        ask->max_tokens = mock_json_count(ccp_json_get(ask->root, "max_tokens"));
    for (const struct ccp_json *t = first_of(ccp_json_get(ask->root, "tools")); t != NULL; t = t->next) {
        const struct ccp_json *function = ccp_json_get(t, "function");
        note_tool(ask, function, ccp_json_get(function, "parameters"));
    }
    return read_messages(ask);
}

/* Input items besides messages: "..._call" is the model's turn, "..._call_output" a result. */
static void read_item(struct mock_ask *ask, const struct ccp_json *item)
{
    const struct ccp_json *role = ccp_json_get(item, "role");
    struct ccp_span type = ccp_json_inner(ccp_json_get(item, "type"));
    if (text_is(role, "assistant") || ccp_span_ends(type, CCP_SPAN("_call")))
        ask->tool_answered = false;
    if (ccp_span_ends(type, CCP_SPAN("_output")))
        note_result(ask, ccp_json_get(item, "output"));
    else if (role != NULL)
        read_content(ask, role, ccp_json_get(item, "content"));
}

static const char *read_responses(struct mock_ask *ask)
{
    const struct ccp_json *choice = ccp_json_get(ask->root, "tool_choice");
    const struct ccp_json *input = ccp_json_get(ask->root, "input");
    if (input == NULL || (input->type != CCP_JSON_STRING && input->type != CCP_JSON_ARRAY))
        return "input: a text or a list of items is required";
    ask->wanted_tool = ccp_json_inner(ccp_json_get(choice, "name"));
    ask->tools_forbidden = text_is(choice, "none");
    ask->max_tokens = mock_json_count(ccp_json_get(ask->root, "max_output_tokens"));
    note_text(ask, ccp_json_get(ask->root, "instructions"));
    if (is_string(input))
        note_said(ask, NULL, input);
    for (const struct ccp_json *item = first_of(input); item != NULL; item = item->next)
        read_item(ask, item);
    for (const struct ccp_json *t = first_of(ccp_json_get(ask->root, "tools")); t != NULL; t = t->next)
        if (text_is(ccp_json_get(t, "type"), "function"))
            note_tool(ask, t, ccp_json_get(t, "parameters"));
    return NULL;
}

static void read_parts(struct mock_ask *ask, const struct ccp_json *role, const struct ccp_json *parts)
{
    for (const struct ccp_json *p = first_of(parts); p != NULL; p = p->next) {
        const struct ccp_json *result = ccp_json_get(p, "functionResponse");
        const struct ccp_json *thought = ccp_json_get(p, "thought");
        if (result != NULL)
            note_result(ask, ccp_json_get(result, "response"));
        else if (thought == NULL || thought->type != CCP_JSON_TRUE)
            note_said(ask, role, ccp_json_get(p, "text"));
    }
}

static void read_declarations(struct mock_ask *ask, const struct ccp_json *tools)
{
    for (const struct ccp_json *t = first_of(tools); t != NULL; t = t->next) {
        for (const struct ccp_json *f = first_of(ccp_json_get(t, "functionDeclarations")); f != NULL; f = f->next) {
            const struct ccp_json *schema = ccp_json_get(f, "parametersJsonSchema");
            note_tool(ask, f, schema != NULL ? schema : ccp_json_get(f, "parameters"));
        }
    }
}

static void read_gemini_settings(struct mock_ask *ask, const struct ccp_json *request)
{
    const struct ccp_json *calling = ccp_json_get(ccp_json_get(request, "toolConfig"), "functionCallingConfig");
    const struct ccp_json *limit = ccp_json_get(ccp_json_get(request, "generationConfig"), "maxOutputTokens");
    ask->wanted_tool = ccp_json_inner(first_of(ccp_json_get(calling, "allowedFunctionNames")));
    ask->tools_forbidden = text_is(ccp_json_get(calling, "mode"), "NONE");
    ask->max_tokens = mock_json_count(limit);
    read_declarations(ask, ccp_json_get(request, "tools"));
}

static const char *read_gemini(struct mock_ask *ask)
{
    static const char model_role[] = "\"model\"";
    const struct ccp_json not_user = {.type = CCP_JSON_STRING, .raw = {model_role, sizeof(model_role) - 1}};
    const struct ccp_json *wrapped = ccp_json_get(ask->root, "generateContentRequest"); /* countTokens */
    const struct ccp_json *request = wrapped != NULL ? wrapped : ask->root;
    const struct ccp_json *contents = ccp_json_get(request, "contents");
    const struct ccp_json *instruction = ccp_json_get(request, "systemInstruction");
    if (contents == NULL || contents->type != CCP_JSON_ARRAY || contents->count == 0)
        return "contents: a list with at least one content is required";
    read_gemini_settings(ask, request);
    read_parts(ask, &not_user, ccp_json_get(instruction, "parts"));
    for (const struct ccp_json *c = contents->child; c != NULL; c = c->next) {
        const struct ccp_json *role = ccp_json_get(c, "role");
        if (text_is(role, "model"))
            ask->tool_answered = false;
        read_parts(ask, role, ccp_json_get(c, "parts"));
    }
    return NULL;
}

const char *mock_prompt_read(struct mock_ask *ask)
{
    const struct ccp_json *stream = ccp_json_get(ask->root, "stream");
    ask->stream = ask->target.stream ||
                  (ask->target.format != CCP_FORMAT_GEMINI && stream != NULL && stream->type == CCP_JSON_TRUE);
    switch (ask->target.format) {
    case CCP_FORMAT_ANTHROPIC:
        return read_anthropic(ask);
    case CCP_FORMAT_OPENAI_CHAT:
        return read_chat(ask);
    case CCP_FORMAT_OPENAI_RESPONSES:
        return read_responses(ask);
    default:
        return read_gemini(ask);
    }
}

/*
 * Tools and tool choice of a Chat request (wire reference B.4), the deprecated functions included.
 */
#include <base/fault.h>
#include <format/chat.h>
#include <format/fields.h>

static bool wrong(struct prompt *p, const char *list, uint32_t i, const char *member, const char *wanted)
{
    return prompt_fail(p, "%s[%u].%s must be %s", list, i, member, wanted);
}

static bool read_function(struct prompt *p, const char *list, uint32_t i, const struct ccp_json *body,
                          const struct ccp_json *node)
{
    const struct ccp_json *schema = chat_get(body, "parameters"), *anthropic = chat_get(body, "input_schema"),
                          *strict = chat_get(body, "strict");
    struct tool *tool = prompt_tool(p, TOOL_FUNCTION);
    if (tool == NULL)
        return false;
    if (schema == NULL)
        schema = anthropic;
    tool->node = node;
    tool->name = prompt_ctext(chat_get(body, "name"));
    tool->description = prompt_ctext(chat_get(body, "description"));
    tool->schema = schema;
    tool->strict = strict == NULL ? UNSET : prompt_true(strict) ? YES : NO;
    tool->cache = chat_get(node, "cache_control") != NULL;
    static const char *const known[] = {"type",         "function", "name",          "description", "parameters",
                                        "input_schema", "strict",   "cache_control", NULL};
    fields_drop_rest(p, body, "tools.", known);
    if (body != node)
        fields_drop_rest(p, node, "tools.", known);
    if (tool->name.n == 0)
        return wrong(p, list, i, "function.name", "a string that is not empty");
    if (schema != NULL && schema->type != CCP_JSON_OBJECT)
        return wrong(p, list, i, "function.parameters", "an object");
    return true;
}

static bool read_custom(struct prompt *p, uint32_t i, const struct ccp_json *node)
{
    const struct ccp_json *body = chat_get(node, "custom");
    struct tool *tool = prompt_tool(p, TOOL_CUSTOM);
    if (tool == NULL)
        return false;
    tool->node = node;
    tool->name = prompt_ctext(chat_get(body, "name"));
    tool->description = prompt_ctext(chat_get(body, "description"));
    return tool->name.n != 0 || wrong(p, "tools", i, "custom.name", "a string that is not empty");
}

static bool read_hosted(struct prompt *p, const struct ccp_json *type, const struct ccp_json *node)
{
    ctext word = prompt_ctext(type);
    bool search = ccp_span_starts(word, CCP_SPAN("web_search"));
    struct tool *tool = prompt_tool(p, search ? TOOL_WEB_SEARCH : TOOL_HOSTED);
    if (tool == NULL)
        return false;
    tool->node = node;
    tool->name = word;
    return true;
}

static bool read_tool(struct prompt *p, uint32_t i, const struct ccp_json *node)
{
    const struct ccp_json *type = chat_get(node, "type"), *function = chat_get(node, "function");
    if (node->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "tools[%u] must be an object", i);
    /* Some clients define tools as Anthropic does, when the model is called claude. */
    bool bare = type == NULL && (function != NULL || chat_get(node, "input_schema") != NULL);
    if (prompt_is(type, "function") || bare)
        return read_function(p, "tools", i, function != NULL ? function : node, node);
    if (prompt_is(type, "custom"))
        return read_custom(p, i, node);
    if (type == NULL || type->type != CCP_JSON_STRING || type->raw.n == 2)
        return wrong(p, "tools", i, "type", "function or custom");
    return read_hosted(p, type, node);
}

static bool read_list(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *tools = chat_get(root, "tools"), *functions = chat_get(root, "functions"),
                          *search = chat_get(root, "web_search_options");
    uint32_t i = 0;
    for (const struct ccp_json *t = tools != NULL ? tools->child : NULL; t != NULL; t = t->next)
        if (!read_tool(p, i++, t))
            return false;
    i = 0;
    for (const struct ccp_json *f = functions != NULL ? functions->child : NULL; f != NULL; f = f->next)
        if (!read_function(p, "functions", i++, f, f))
            return false;
    if (search == NULL)
        return true;
    struct tool *tool = prompt_tool(p, TOOL_WEB_SEARCH);
    if (tool == NULL)
        return false;
    tool->node = search;
    tool->name = CCP_SPAN("web_search_options");
    return true;
}

/* -- choice -- */

static bool choose(struct prompt *p, ctext name)
{
    p->choice = CHOICE_NAMED;
    p->choice_name = name;
    return name.n != 0 || prompt_fail(p, "tool_choice: the function's name must be a string that is not empty");
}

static ctext name_of(const struct ccp_json *node)
{
    const struct ccp_json *name = chat_get(chat_get(node, "function"), "name");
    if (name == NULL)
        name = chat_get(chat_get(node, "custom"), "name");
    if (name == NULL)
        name = chat_get(node, "name");
    return prompt_ctext(name);
}

static bool read_allowed(struct prompt *p, const struct ccp_json *allowed)
{
    const struct ccp_json *tools = chat_get(allowed, "tools");
    if (tools == NULL || tools->type != CCP_JSON_ARRAY || tools->count == 0)
        return prompt_fail(p, "tool_choice.allowed_tools.tools must be an array with at least one tool");
    p->choice = prompt_is(chat_get(allowed, "mode"), "required") ? CHOICE_ANY : CHOICE_AUTO;
    p->allowed.v = CCP_FAULT("chat.allowed") ? NULL : arena_alloc(p->a, tools->count * sizeof(*p->allowed.v));
    if (p->allowed.v == NULL)
        return prompt_no_memory(p);
    for (const struct ccp_json *t = tools->child; t != NULL; t = t->next) {
        ctext name = name_of(t);
        if (name.n == 0)
            return prompt_fail(p, "tool_choice.allowed_tools.tools[%zu] must name a function", p->allowed.n);
        p->allowed.v[p->allowed.n++] = name;
    }
    return true;
}

static bool read_word(struct prompt *p, const char *member, const struct ccp_json *choice)
{
    static const struct {
        const char *word;
        enum choice choice;
    } words[] = {{"auto", CHOICE_AUTO}, {"none", CHOICE_NONE}, {"required", CHOICE_ANY}, {"any", CHOICE_ANY}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (prompt_is(choice, words[i].word)) {
            p->choice = words[i].choice;
            return true;
        }
    return prompt_fail(p, "%s must be none, auto, required or an object that names a tool", member);
}

static bool read_choice(struct prompt *p, const struct ccp_json *choice)
{
    const struct ccp_json *type = chat_get(choice, "type");
    if (choice->type != CCP_JSON_OBJECT)
        return read_word(p, "tool_choice", choice);
    if (prompt_is(type, "allowed_tools"))
        return read_allowed(p, chat_get(choice, "allowed_tools") != NULL ? chat_get(choice, "allowed_tools") : choice);
    if (prompt_is(type, "function") || prompt_is(type, "custom") || prompt_is(type, "tool") ||
        (type == NULL && chat_get(choice, "function") != NULL))
        return choose(p, name_of(choice));
    if (prompt_is(type, "auto") || prompt_is(type, "any") || prompt_is(type, "none"))
        return read_word(p, "tool_choice.type", type);
    return prompt_fail(p, "tool_choice: a hosted tool cannot be forced at this provider");
}

bool chat_read_tools(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *choice = chat_get(root, "tool_choice"), *call = chat_get(root, "function_call");
    if (!read_list(p, root))
        return false;
    if (choice != NULL)
        return read_choice(p, choice);
    if (call == NULL)
        return true;
    return call->type == CCP_JSON_OBJECT ? choose(p, prompt_ctext(chat_get(call, "name")))
                                         : read_word(p, "function_call", call);
}

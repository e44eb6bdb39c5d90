/*
 * Gemini's tools and toolConfig to the neutral prompt (wire reference D.5).
 *
 * Functions come with a schema in one of two languages; which one is remembered, not translated. Everything else in
 * `tools` runs at the provider: web search has a counterpart in other formats, the rest is for writers to judge.
 */
#include <base/fault.h>
#include <format/fields.h>
#include <format/gemini.h>

static bool read_schema(struct prompt *p, struct tool *tool, const struct ccp_json *node)
{
    const struct ccp_json *json = gemini_get(node, "parametersJsonSchema"), *openapi = gemini_get(node, "parameters");
    tool->schema = json != NULL ? json : openapi;
    tool->openapi = json == NULL && openapi != NULL;
    if (tool->schema != NULL && tool->schema->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "tools: the parameters of function \"%.*s\" are no object", CCP_FMT(tool->name));
    return true;
}

static bool read_function(struct prompt *p, const struct ccp_json *node)
{
    struct tool *tool = prompt_tool(p, TOOL_FUNCTION);
    if (tool == NULL)
        return false;
    tool->name = prompt_ctext(gemini_get(node, "name"));
    tool->description = prompt_ctext(gemini_get(node, "description"));
    tool->node = node;
    if (tool->name.n == 0)
        return prompt_fail(p, "tools: a function declaration without a name");
    static const char *const known[] = {
        "name", "description", "parameters", "parametersJsonSchema", "parameters_json_schema", NULL};
    fields_drop_rest(p, node, "tools.functionDeclarations.", known);
    return read_schema(p, tool, node);
}

static bool read_hosted(struct prompt *p, const struct ccp_json *member)
{
    static const char *const searches[] = {"googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"};
    enum tool_kind kind = TOOL_HOSTED;
    for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++)
        if (gemini_named(member->key, searches[i]))
            kind = TOOL_WEB_SEARCH;
    struct tool *tool = prompt_tool(p, kind);
    if (tool == NULL)
        return false;
    tool->name = kind == TOOL_WEB_SEARCH ? CCP_SPAN("web_search") : member->key;
    tool->node = member;
    return true;
}

static bool read_tool(struct prompt *p, const struct ccp_json *tool)
{
    if (tool->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "tools: a list of objects is expected");
    for (const struct ccp_json *m = tool->child; m != NULL; m = m->next) {
        if (m->type == CCP_JSON_NULL)
            continue;
        if (!gemini_named(m->key, "functionDeclarations")) {
            if (!read_hosted(p, m))
                return false;
            continue;
        }
        if (!gemini_is_list(m))
            return prompt_fail(p, "tools: functionDeclarations is no list");
        for (const struct ccp_json *f = gemini_first(m); f != NULL; f = gemini_next(m, f))
            if (!read_function(p, f))
                return false;
    }
    return true;
}

bool gemini_read_tools(struct prompt *p, const struct ccp_json *tools)
{
    if (!gemini_is_list(tools))
        return prompt_fail(p, "tools: a list of objects is expected");
    for (const struct ccp_json *t = gemini_first(tools); t != NULL; t = gemini_next(tools, t))
        if (!read_tool(p, t))
            return false;
    return true;
}

static bool read_allowed(struct prompt *p, const struct ccp_json *names)
{
    if (names == NULL || names->count == 0)
        return true;
    if (names->type != CCP_JSON_ARRAY)
        return prompt_fail(p, "toolConfig.functionCallingConfig.allowedFunctionNames: a list of names is expected");
    p->allowed.v = CCP_FAULT("gemini.allowed") ? NULL : arena_alloc(p->a, names->count * sizeof(*p->allowed.v));
    if (p->allowed.v == NULL)
        return prompt_no_memory(p);
    for (const struct ccp_json *n = names->child; n != NULL; n = n->next) {
        p->allowed.v[p->allowed.n] = prompt_ctext(n);
        if (p->allowed.v[p->allowed.n++].n == 0)
            return prompt_fail(p, "toolConfig.functionCallingConfig.allowedFunctionNames: a list of names is expected");
    }
    return true;
}

/* One allowed name that must be called is what others call a named choice. */
static bool must_call(struct prompt *p)
{
    p->choice = CHOICE_ANY;
    if (p->allowed.n == 1) {
        p->choice = CHOICE_NAMED;
        p->choice_name = p->allowed.v[0];
        p->allowed.n = 0;
    }
    return true;
}

static bool read_mode(struct prompt *p, struct ccp_span mode)
{
    if (mode.n == 0 || ccp_span_is(mode, "MODE_UNSPECIFIED"))
        return true;
    if (ccp_span_ieq(mode, CCP_SPAN("ANY")))
        return must_call(p);
    bool validated = ccp_span_ieq(mode, CCP_SPAN("VALIDATED"));
    if (ccp_span_ieq(mode, CCP_SPAN("AUTO")) || validated)
        p->choice = CHOICE_AUTO;
    else if (ccp_span_ieq(mode, CCP_SPAN("NONE")))
        p->choice = CHOICE_NONE;
    else
        return prompt_fail(p, "toolConfig.functionCallingConfig.mode: AUTO, ANY, NONE or VALIDATED is expected");
    /* Others promise valid arguments tool by tool, and then take part of JSON Schema only. */
    if (validated && p->to.format != CCP_FORMAT_GEMINI)
        prompt_drop(p, "toolConfig.functionCallingConfig.mode");
    for (struct tool *t = p->tools; validated && p->to.format == CCP_FORMAT_GEMINI && t != NULL; t = t->next)
        t->strict = YES;
    return true;
}

bool gemini_read_choice(struct prompt *p, const struct ccp_json *config)
{
    const struct ccp_json *calling = gemini_get(config, "functionCallingConfig");
    if (config != NULL && config->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "toolConfig: an object is expected");
    if (gemini_get(config, "retrievalConfig") != NULL)
        prompt_drop(p, "toolConfig.retrievalConfig");
    if (calling == NULL)
        return true;
    if (calling->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "toolConfig.functionCallingConfig: an object is expected");
    return read_allowed(p, gemini_get(calling, "allowedFunctionNames")) &&
           read_mode(p, ccp_json_inner(gemini_get(calling, "mode")));
}

/*
 * Reading the tools of a Responses request and the choice among them (wire reference C.3, F.3).
 */
#include <base/fault.h>
#include <format/fields.h>
#include <format/responses.h>

static bool web_search(const struct ccp_json *type)
{
    return ccp_span_starts(prompt_ctext(type), CCP_SPAN("web_search"));
}

static enum tri tri_of(const struct ccp_json *node)
{
    if (node == NULL || node->type == CCP_JSON_NULL)
        return UNSET;
    return prompt_true(node) ? YES : NO;
}

static bool read_function(struct prompt *p, const struct ccp_json *node, ctext space, enum tool_kind kind,
                          const char *path, uint32_t at)
{
    const struct ccp_json *nested = ccp_json_get(node, "function"); /* Chat's shape, which some clients send here */
    if (nested != NULL && nested->type == CCP_JSON_OBJECT && ccp_json_get(node, "name") == NULL)
        node = nested;
    const struct ccp_json *name = ccp_json_get(node, "name"), *schema = ccp_json_get(node, "parameters");
    if (prompt_ctext(name).n == 0)
        return prompt_fail(p, "%s[%u].name: must be a string", path, at);
    if (schema != NULL && schema->type != CCP_JSON_OBJECT && schema->type != CCP_JSON_NULL)
        return prompt_fail(p, "%s[%u].parameters: must be an object", path, at);
    struct tool *tool = prompt_tool(p, kind);
    if (tool == NULL)
        return false;
    tool->name = prompt_ctext(name);
    tool->space = space;
    tool->description = prompt_ctext(ccp_json_get(node, "description"));
    tool->schema = kind == TOOL_FUNCTION && schema != NULL && schema->type == CCP_JSON_OBJECT ? schema : NULL;
    tool->strict = tri_of(ccp_json_get(node, "strict"));
    tool->node = node;
    static const char *const known[] = {"type", "name", "description", "parameters", "strict", "format", NULL};
    if (p->to.format != p->from)
        fields_drop_rest(p, node, "tools.", known);
    return true;
}

static bool read_hosted(struct prompt *p, const struct ccp_json *node, const struct ccp_json *type)
{
    struct tool *tool = prompt_tool(p, web_search(type) ? TOOL_WEB_SEARCH : TOOL_HOSTED);
    if (tool == NULL)
        return false;
    tool->name = tool->kind == TOOL_WEB_SEARCH ? CCP_SPAN("web_search") : prompt_ctext(type);
    tool->node = node;
    return true;
}

static bool read_tool(struct prompt *p, const struct ccp_json *node, ctext space, const char *path, uint32_t at)
{
    const struct ccp_json *type = ccp_json_get(node, "type");
    if (prompt_ctext(type).n == 0)
        return prompt_fail(p, "%s[%u].type: must be a string", path, at);
    if (prompt_is(type, "function"))
        return read_function(p, node, space, TOOL_FUNCTION, path, at);
    if (prompt_is(type, "custom"))
        return read_function(p, node, space, TOOL_CUSTOM, path, at);
    return read_hosted(p, node, type);
}

/* What a namespace says of itself stands in front of what its first tool says: no other format has a place for it. */
static bool describe(struct prompt *p, struct tool *first, ctext space)
{
    struct ccp_span pieces[] = {space, CCP_SPAN("\\n\\n"), first != NULL ? first->description : CCP_SPAN("")};
    if (first == NULL || space.n == 0)
        return true;
    ctext text =
        CCP_FAULT("responses.describe") ? (ctext){NULL, 0} : arena_cat(p->a, pieces, first->description.n != 0 ? 3 : 1);
    first->description = text;
    return text.p != NULL || prompt_no_memory(p);
}

static bool read_namespace(struct prompt *p, const struct ccp_json *node, const char *path, uint32_t at)
{
    const struct ccp_json *tools = ccp_json_get(node, "tools");
    ctext space = prompt_ctext(ccp_json_get(node, "name"));
    if (space.n == 0 || tools == NULL || tools->type != CCP_JSON_ARRAY)
        return prompt_fail(p, "%s[%u]: a namespace needs a name, a string, and tools, an array", path, at);
    struct tool *before = p->last_tool;
    for (const struct ccp_json *m = tools->child; m != NULL; m = m->next)
        if (!read_tool(p, m, space, path, at))
            return false;
    return describe(p, before != NULL ? before->next : p->tools, prompt_ctext(ccp_json_get(node, "description")));
}

bool responses_tools_read(struct prompt *p, const struct ccp_json *tools, const char *path)
{
    uint32_t at = 0;
    if (tools == NULL)
        return true;
    if (tools->type != CCP_JSON_ARRAY)
        return prompt_fail(p, "%s: must be an array", path);
    for (const struct ccp_json *m = tools->child; m != NULL; m = m->next, at++)
        if (!(prompt_is(ccp_json_get(m, "type"), "namespace") ? read_namespace(p, m, path, at)
                                                              : read_tool(p, m, CCP_SPAN(""), path, at)))
            return false;
    return true;
}

/* -- tool_choice -- */

/* What a choice calls its tool: a name, or the type of a hosted one. */
static ctext chosen_name(const struct ccp_json *choice)
{
    const struct ccp_json *type = ccp_json_get(choice, "type"), *name = ccp_json_get(choice, "name");
    if (prompt_is(type, "function") || prompt_is(type, "custom")) {
        if (name == NULL) /* Chat's shape */
            name = ccp_json_get(ccp_json_get(choice, prompt_is(type, "function") ? "function" : "custom"), "name");
        return prompt_ctext(name);
    }
    return web_search(type) ? CCP_SPAN("web_search") : prompt_ctext(type);
}

static bool read_mode(struct prompt *p, const struct ccp_json *word, const char *path)
{
    if (prompt_is(word, "auto"))
        p->choice = CHOICE_AUTO;
    else if (prompt_is(word, "required"))
        p->choice = CHOICE_ANY;
    else if (prompt_is(word, "none"))
        p->choice = CHOICE_NONE;
    else
        return prompt_fail(p, "%s: must be none, auto or required", path);
    return true;
}

static bool read_allowed(struct prompt *p, const struct ccp_json *choice)
{
    const struct ccp_json *nested = ccp_json_get(choice, "allowed_tools"); /* Chat's shape */
    if (nested != NULL && nested->type == CCP_JSON_OBJECT)
        choice = nested;
    const struct ccp_json *tools = ccp_json_get(choice, "tools");
    if (tools == NULL || tools->type != CCP_JSON_ARRAY || tools->count == 0)
        return prompt_fail(p, "tool_choice.tools: must be an array that is not empty");
    p->allowed.v = CCP_FAULT("responses.allowed") ? NULL : arena_alloc(p->a, tools->count * sizeof(*p->allowed.v));
    if (p->allowed.v == NULL)
        return prompt_no_memory(p);
    for (const struct ccp_json *m = tools->child; m != NULL; m = m->next) {
        p->allowed.v[p->allowed.n] = chosen_name(m);
        if (p->allowed.v[p->allowed.n++].n == 0)
            return prompt_fail(p, "tool_choice.tools: each needs a type, and a name where it has one");
    }
    return read_mode(p, ccp_json_get(choice, "mode"), "tool_choice.mode");
}

bool responses_choice_read(struct prompt *p, const struct ccp_json *choice)
{
    if (choice == NULL)
        return true;
    if (choice->type == CCP_JSON_STRING)
        return read_mode(p, choice, "tool_choice");
    if (choice->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "tool_choice: must be a string or an object");
    if (prompt_is(ccp_json_get(choice, "type"), "allowed_tools"))
        return read_allowed(p, choice);
    p->choice = CHOICE_NAMED;
    p->choice_name = chosen_name(choice);
    p->choice_space = prompt_ctext(ccp_json_get(choice, "namespace"));
    return p->choice_name.n != 0 || prompt_fail(p, "tool_choice: needs a type, and a name where it has one");
}

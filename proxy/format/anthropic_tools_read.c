/*
 * Reading tools and the tool choice (wire reference A.6, F.3).
 *
 * Tools whose schema the model knows by heart (bash, the text editor, memory) are given to other providers as functions
 * of the same name with the documented arguments, written down below: the client runs them all the same. Computer and
 * browser tools have no such schema and are refused. What runs at the provider is a hosted tool, web search apart.
 */
#include <base/fault.h>
#include <format/anthropic.h>
#include <format/fields.h>
#include <wire/json.h>

#define EDIT_ARGUMENTS                                                                                                 \
    "\"path\":{\"type\":\"string\",\"description\":\"Absolute path of the file or folder.\"},"                         \
    "\"file_text\":{\"type\":\"string\",\"description\":\"create: what the new file holds.\"},"                        \
    "\"old_str\":{\"type\":\"string\",\"description\":\"str_replace: the text to replace; it must occur once.\"},"     \
    "\"new_str\":{\"type\":\"string\",\"description\":\"str_replace: the new text.\"},"                                \
    "\"insert_line\":{\"type\":\"integer\",\"description\":\"insert: the line after which the text goes.\"},"          \
    "\"insert_text\":{\"type\":\"string\",\"description\":\"insert: the text.\"},"                                     \
    "\"view_range\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},"                                             \
    "\"description\":\"view: first and last line.\"}"

static const struct known {
    const char *prefix, *description, *schema;
} known_tools[] = {
    {"bash_", "Run a command in a persistent bash session.",
     "{\"type\":\"object\",\"properties\":{"
     "\"command\":{\"type\":\"string\",\"description\":\"The command to run.\"},"
     "\"restart\":{\"type\":\"boolean\",\"description\":\"Start the session anew.\"}}}"},
    {"text_editor_20241022", "View, create and edit files.",
     "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\","
     "\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\",\"undo_edit\"]}," EDIT_ARGUMENTS
     "},\"required\":[\"command\",\"path\"]}"},
    {"text_editor_20250124", "View, create and edit files.",
     "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\","
     "\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\",\"undo_edit\"]}," EDIT_ARGUMENTS
     "},\"required\":[\"command\",\"path\"]}"},
    {"text_editor_", "View, create and edit files.",
     "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\","
     "\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\"]}," EDIT_ARGUMENTS
     "},\"required\":[\"command\",\"path\"]}"},
    {"memory_", "View and change the files of the memory folder, /memories.",
     "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\","
     "\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\",\"delete\",\"rename\"]},"
     "\"old_path\":{\"type\":\"string\",\"description\":\"rename: the present path.\"},"
     "\"new_path\":{\"type\":\"string\",\"description\":\"rename: the new path.\"}," EDIT_ARGUMENTS
     "},\"required\":[\"command\"]}"},
};

static const struct known *find_known(ctext type)
{
    for (size_t i = 0; i < sizeof(known_tools) / sizeof(known_tools[0]); i++)
        if (ccp_span_starts(type, ccp_span_z(known_tools[i].prefix)))
            return &known_tools[i];
    return NULL;
}

static bool is_hosted(ctext type)
{
    static const char *const prefixes[] = {"web_fetch_", "code_execution_", "tool_search_tool_", "advisor_",
                                           "mcp_toolset"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (ccp_span_starts(type, ccp_span_z(prefixes[i])))
            return true;
    return false;
}

/* Options of web search are the writers' to name: what they can carry differs. How finely arguments are streamed is
 * the provider's own matter. */
static void drop_members(struct prompt *p, const struct ccp_json *node, enum tool_kind kind)
{
    static const char *const known[] = {"type",          "name",   "description",           "input_schema",
                                        "cache_control", "strict", "eager_input_streaming", NULL};
    if (p->to.format != p->from && kind == TOOL_FUNCTION)
        fields_drop_rest(p, node, "tools.", known);
}

static struct tool *add_tool(struct prompt *p, enum tool_kind kind, const struct ccp_json *node)
{
    struct tool *tool = prompt_tool(p, kind);
    const struct ccp_json *mark = ccp_json_get(node, "cache_control"), *strict = ccp_json_get(node, "strict");
    if (tool == NULL)
        return NULL;
    tool->node = node;
    tool->name = prompt_ctext(ccp_json_get(node, "name"));
    tool->description = prompt_ctext(ccp_json_get(node, "description"));
    tool->strict = prompt_true(strict) ? YES : strict != NULL && strict->type == CCP_JSON_FALSE ? NO : UNSET;
    tool->cache = mark != NULL && mark->type == CCP_JSON_OBJECT;
    if (tool->cache)
        fields_seen(p, PARAM_CACHE, "cache_control");
    drop_members(p, node, kind);
    return tool;
}

static bool read_custom(struct prompt *p, const struct ccp_json *node, uint32_t index)
{
    const struct ccp_json *schema = ccp_json_get(node, "input_schema");
    if (schema != NULL && schema->type != CCP_JSON_OBJECT && schema->type != CCP_JSON_NULL)
        return prompt_fail(p, "tools[%u].input_schema: must be an object", (unsigned)index);
    struct tool *tool = add_tool(p, TOOL_FUNCTION, node);
    if (tool == NULL)
        return false;
    tool->schema = schema != NULL && schema->type == CCP_JSON_OBJECT ? schema : NULL;
    return tool->name.n != 0 || prompt_fail(p, "tools[%u].name: must be a string", (unsigned)index);
}

static bool read_known(struct prompt *p, const struct ccp_json *node, const struct known *known)
{
    struct ccp_json *schema;
    struct tool *tool = add_tool(p, TOOL_FUNCTION, node);
    if (tool == NULL)
        return false;
    if (CCP_FAULT("anthropic.known") || json_parse(p->a, ccp_span_z(known->schema), &schema, NULL) != CCP_OK)
        return prompt_no_memory(p);
    tool->description = ccp_span_z(known->description);
    tool->schema = schema;
    return true;
}

static bool read_tool(struct prompt *p, const struct ccp_json *node, uint32_t index)
{
    if (node->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "tools[%u]: must be an object", (unsigned)index);
    ctext type = prompt_ctext(ccp_json_get(node, "type"));
    if (type.n == 0 || ccp_span_is(type, "custom"))
        return read_custom(p, node, index);
    const struct known *known = find_known(type);
    if (known != NULL)
        return read_known(p, node, known);
    if (ccp_span_starts(type, CCP_SPAN("web_search_")))
        return add_tool(p, TOOL_WEB_SEARCH, node) != NULL;
    if (!is_hosted(type))
        return prompt_fail(p, "tools[%u]: the tool type %.*s cannot be carried over", (unsigned)index, CCP_FMT(type));
    struct tool *tool = add_tool(p, TOOL_HOSTED, node);
    if (tool != NULL && tool->name.n == 0)
        tool->name = type;
    return tool != NULL;
}

static bool read_choice(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *choice = ccp_json_get(root, "tool_choice"), *type = ccp_json_get(choice, "type");
    if (choice == NULL || choice->type == CCP_JSON_NULL)
        return true;
    if (prompt_is(type, "auto"))
        p->choice = CHOICE_AUTO;
    else if (prompt_is(type, "any"))
        p->choice = CHOICE_ANY;
    else if (prompt_is(type, "none"))
        p->choice = CHOICE_NONE;
    else if (prompt_is(type, "tool"))
        p->choice = CHOICE_NAMED;
    else
        return prompt_fail(p, "tool_choice.type: must be auto, any, tool or none");
    p->choice_name = prompt_ctext(ccp_json_get(choice, "name"));
    if (p->choice == CHOICE_NAMED && p->choice_name.n == 0)
        return prompt_fail(p, "tool_choice.name: must be a string");
    const struct ccp_json *single = ccp_json_get(choice, "disable_parallel_tool_use");
    if (single != NULL && single->type != CCP_JSON_NULL) {
        p->parallel = prompt_true(single) ? NO : YES;
        fields_seen(p, PARAM_PARALLEL, "tool_choice.disable_parallel_tool_use");
    }
    return true;
}

bool anthropic_tools_read(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *tools = ccp_json_get(root, "tools");
    uint32_t index = 0;
    if (anthropic_wrong(p, root, "tools", CCP_JSON_ARRAY))
        return false;
    for (const struct ccp_json *t = tools != NULL ? tools->child : NULL; t != NULL; t = t->next, index++)
        if (!read_tool(p, t, index))
            return false;
    return read_choice(p, root);
}

/*
 * Reading a Responses request: everything but the conversation and the tools (wire reference C.1).
 *
 * What is only good at the provider that stored it is refused; what a value leaves at its default is no loss.
 */
#include <base/fault.h>
#include <format/responses.h>

/* Does this member ask for anything? */
static bool says(const struct ccp_json *node)
{
    if (node == NULL || node->type == CCP_JSON_NULL || node->type == CCP_JSON_FALSE)
        return false;
    if (node->type == CCP_JSON_STRING)
        return ccp_json_inner(node).n != 0;
    return node->type < CCP_JSON_ARRAY || node->count != 0;
}

void responses_drop_member(struct prompt *p, const struct ccp_json *object, const char *member, const char *name)
{
    if (says(ccp_json_get(object, member)))
        prompt_drop(p, name);
}

static const struct ccp_json *given(const struct ccp_json *object, const char *key)
{
    const struct ccp_json *node = ccp_json_get(object, key);
    return node != NULL && node->type != CCP_JSON_NULL ? node : NULL;
}

static bool refuse_stored(struct prompt *p, const struct ccp_json *root)
{
    static const char *const refused[] = {"previous_response_id", "conversation", "prompt", "background"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (says(ccp_json_get(root, refused[i])))
            return prompt_fail(p, "%s: what is stored at one provider cannot be used here; send the whole conversation",
                               refused[i]);
    p->param_names[PARAM_STORED] = p->param_names[PARAM_BACKGROUND] = NULL;
    return true;
}

static void read_hints(struct prompt *p, const struct ccp_json *root)
{
    responses_drop_member(p, root, "max_tool_calls", "max_tool_calls");
    responses_drop_member(p, root, "context_management", "context_management");
    if (!prompt_is(ccp_json_get(root, "truncation"), "disabled"))
        responses_drop_member(p, root, "truncation", "truncation");
    responses_drop_member(p, root, "store", "store"); /* true: nothing is kept for later retrieval */
    p->param_names[PARAM_HINT] = p->param_names[PARAM_STORE] = NULL;
}

static bool read_switches(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *parallel = given(root, "parallel_tool_calls"), *tier = given(root, "service_tier");
    p->stream = prompt_true(ccp_json_get(root, "stream"));
    p->include_usage = true;
    if (parallel != NULL && parallel->type != CCP_JSON_TRUE && parallel->type != CCP_JSON_FALSE)
        return prompt_fail(p, "parallel_tool_calls: must be true or false");
    if (parallel != NULL)
        p->parallel = prompt_true(parallel) ? YES : NO;
    if (p->parallel == YES)
        p->param_names[PARAM_PARALLEL] = NULL; /* the default everywhere */
    if (tier != NULL && tier->type != CCP_JSON_STRING)
        return prompt_fail(p, "service_tier: must be a string");
    p->params[PARAM_SERVICE_TIER] = tier;
    return true;
}

static bool read_instructions(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *node = given(root, "instructions");
    if (node == NULL)
        return true;
    if (node->type != CCP_JSON_STRING)
        return prompt_fail(p, "instructions: must be a string");
    struct part *part = prompt_part(p, prompt_turn(p, ROLE_SYSTEM, UINT32_MAX), PART_TEXT, RESPONSES_ITEM);
    if (part == NULL)
        return false;
    part->text = prompt_ctext(node);
    part->node = node;
    return true;
}

/* -- reasoning -- */

static bool default_of(const struct ccp_json *m)
{
    return prompt_is(m, "auto") || prompt_is(m, "standard");
}

static void drop_below(struct prompt *p, const char *prefix, struct ccp_span key)
{
    struct ccp_span pieces[] = {ccp_span_z(prefix), key};
    struct ccp_span name = CCP_FAULT("responses.name") ? (struct ccp_span){NULL, 0} : arena_cat(p->a, pieces, 2);
    if (name.p == NULL)
        prompt_no_memory(p);
    else
        prompt_drop_span(p, name);
}

static bool read_reasoning(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *reasoning = given(root, "reasoning");
    if (reasoning != NULL && reasoning->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "reasoning: must be an object");
    for (const struct ccp_json *m = reasoning != NULL ? reasoning->child : NULL; m != NULL; m = m->next) {
        bool effort = ccp_span_is(m->key, "effort");
        if (m->type == CCP_JSON_NULL)
            continue;
        if (effort)
            p->reasoning.effort = effort_of(prompt_ctext(m));
        if (effort && p->reasoning.effort == EFFORT_UNSET)
            prompt_drop(p, "reasoning.effort");
        else if (ccp_span_is(m->key, "summary") || ccp_span_is(m->key, "generate_summary"))
            p->reasoning.show = prompt_is(m, "none") ? NO : YES;
        else if (!effort && !default_of(m))
            drop_below(p, "reasoning.", m->key);
    }
    if (p->reasoning.effort == EFFORT_UNSET && p->reasoning.show == UNSET)
        p->param_names[PARAM_REASONING] = NULL;
    return p->status == CCP_OK;
}

/* -- text -- */

static bool read_schema(struct prompt *p, const struct ccp_json *format)
{
    const struct ccp_json *schema = given(format, "schema"), *strict = given(format, "strict");
    if (schema == NULL || schema->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "text.format.schema: must be an object");
    p->output = (struct output){
        .kind = OUTPUT_SCHEMA,
        .name = prompt_ctext(ccp_json_get(format, "name")),
        .description = prompt_ctext(ccp_json_get(format, "description")),
        .schema = schema,
        .strict = strict == NULL        ? UNSET
                  : prompt_true(strict) ? YES
                                        : NO,
    };
    return true;
}

static bool read_format(struct prompt *p, const struct ccp_json *format)
{
    const struct ccp_json *nested = given(format, "json_schema"); /* Chat's shape, which some clients send here */
    const struct ccp_json *type = ccp_json_get(format, "type");
    if (format == NULL || prompt_is(type, "text")) {
        p->param_names[PARAM_OUTPUT] = NULL;
        return true;
    }
    if (prompt_is(type, "json_object")) {
        p->output.kind = OUTPUT_JSON;
        return true;
    }
    if (prompt_is(type, "json_schema"))
        return read_schema(p, nested != NULL ? nested : format);
    return prompt_fail(p, "text.format.type: must be text, json_object or json_schema");
}

static bool read_text(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *text = given(root, "text");
    if (text == NULL)
        return true;
    if (text->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "text: must be an object");
    return fields_read(p, responses_fields, text, "text.") && read_format(p, given(text, "format"));
}

bool responses_prompt_read(struct prompt *p, const struct ccp_json *root)
{
    if (!refuse_stored(p, root) || !fields_read(p, responses_fields, root, ""))
        return false;
    p->param_names[PARAM_STORED] = p->param_names[PARAM_BACKGROUND] = NULL;
    read_hints(p, root);
    return read_switches(p, root) && read_reasoning(p, root) && read_text(p, root) && read_instructions(p, root) &&
           responses_tools_read(p, given(root, "tools"), "tools") &&
           responses_choice_read(p, given(root, "tool_choice")) && responses_input_read(p, ccp_json_get(root, "input"));
}

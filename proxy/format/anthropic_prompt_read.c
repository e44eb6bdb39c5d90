/*
 * Reading a Messages request: its parameters (wire reference A.3, A.7). Messages and tools have files of their own.
 */
#include <format/anthropic.h>

static const char *type_name(enum ccp_json_type type)
{
    static const char *const names[] = {
        [CCP_JSON_NULL] = "null",        [CCP_JSON_FALSE] = "a boolean", [CCP_JSON_TRUE] = "a boolean",
        [CCP_JSON_NUMBER] = "a number",  [CCP_JSON_STRING] = "a string", [CCP_JSON_ARRAY] = "an array",
        [CCP_JSON_OBJECT] = "an object",
    };
    return names[type];
}

bool anthropic_wrong(struct prompt *p, const struct ccp_json *root, const char *name, enum ccp_json_type type)
{
    const struct ccp_json *node = ccp_json_get(root, name);
    if (node == NULL || node->type == CCP_JSON_NULL || node->type == type ||
        (type == CCP_JSON_TRUE && node->type == CCP_JSON_FALSE))
        return false;
    prompt_fail(p, "%s: must be %s", name, type_name(type));
    return true;
}

/* A plain value that moves as it is, or with changes that the writers make. */
static bool take(struct prompt *p, const struct ccp_json *from, const char *name, enum param param,
                 enum ccp_json_type type)
{
    const struct ccp_json *node = ccp_json_get(from, name);
    if (node == NULL || node->type == CCP_JSON_NULL)
        return true;
    p->params[param] = node;
    return !anthropic_wrong(p, from, name, type);
}

static bool read_limit(struct prompt *p, const struct ccp_json *root)
{
    int64_t limit;
    if (!take(p, root, "max_tokens", PARAM_MAX_TOKENS, CCP_JSON_NUMBER))
        return false;
    const struct ccp_json *node = p->params[PARAM_MAX_TOKENS];
    if (node != NULL && (!prompt_int(node, &limit) || limit < 0))
        return prompt_fail(p, "max_tokens: must be a whole number, 0 or more");
    return true;
}

static bool read_stops(struct prompt *p, const struct ccp_json *root)
{
    if (!take(p, root, "stop_sequences", PARAM_STOP, CCP_JSON_ARRAY))
        return false;
    const struct ccp_json *list = p->params[PARAM_STOP];
    for (const struct ccp_json *e = list != NULL ? list->child : NULL; e != NULL; e = e->next)
        if (e->type != CCP_JSON_STRING)
            return prompt_fail(p, "stop_sequences: must be strings");
    return true;
}

static bool read_budget(struct prompt *p, const struct ccp_json *thinking)
{
    int64_t budget;
    if (!prompt_int(ccp_json_get(thinking, "budget_tokens"), &budget) || budget < 1)
        return prompt_fail(p, "thinking.budget_tokens: must be a whole number, 1 or more");
    p->reasoning.budget = budget;
    if (p->reasoning.effort == EFFORT_UNSET)
        p->reasoning.effort = effort_of_budget(budget);
    return true;
}

/* The client shows thinking unless it asked not to get it. */
static void read_display(struct prompt *p, const struct ccp_json *thinking)
{
    p->reasoning.show = prompt_is(ccp_json_get(thinking, "display"), "omitted") ? NO : YES;
}

static bool read_thinking(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *thinking = ccp_json_get(root, "thinking"), *type = ccp_json_get(thinking, "type");
    if (thinking == NULL || thinking->type == CCP_JSON_NULL)
        return true;
    if (prompt_is(type, "disabled")) {
        p->reasoning = (struct reasoning){.effort = EFFORT_NONE};
        return true;
    }
    read_display(p, thinking);
    if (prompt_is(type, "enabled"))
        return read_budget(p, thinking);
    if (!prompt_is(type, "adaptive") && !prompt_is(type, "between_tools"))
        return prompt_fail(p, "thinking.type: must be enabled, adaptive, between_tools or disabled");
    p->reasoning.adaptive = true;
    return true;
}

static bool read_schema(struct prompt *p, const struct ccp_json *format, const char *name)
{
    if (format == NULL || format->type == CCP_JSON_NULL)
        return true;
    const struct ccp_json *schema = ccp_json_get(format, "schema");
    if (!prompt_is(ccp_json_get(format, "type"), "json_schema"))
        return prompt_fail(p, "%s.type: must be json_schema", name);
    if (schema == NULL || schema->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "%s.schema: must be an object", name);
    p->output =
        (struct output){.kind = OUTPUT_SCHEMA, .schema = schema, .name = prompt_ctext(ccp_json_get(format, "name"))};
    return true;
}

static bool read_output_config(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *config = ccp_json_get(root, "output_config"), *effort = ccp_json_get(config, "effort");
    if (anthropic_wrong(p, root, "output_config", CCP_JSON_OBJECT))
        return false;
    if (!fields_read(p, anthropic_fields, config, "output_config.") ||
        !read_schema(p, ccp_json_get(root, "output_format"), "output_format") ||
        !read_schema(p, ccp_json_get(config, "format"), "output_config.format"))
        return false;
    if (effort == NULL || effort->type == CCP_JSON_NULL)
        return true;
    p->reasoning.effort = effort_of(prompt_ctext(effort));
    if (p->reasoning.effort < EFFORT_LOW)
        return prompt_fail(p, "output_config.effort: must be low, medium, high, xhigh or max");
    return true;
}

static bool read_metadata(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *metadata = ccp_json_get(root, "metadata");
    if (anthropic_wrong(p, root, "metadata", CCP_JSON_OBJECT))
        return false;
    return fields_read(p, anthropic_fields, metadata, "metadata.") &&
           take(p, metadata, "user_id", PARAM_USER, CCP_JSON_STRING);
}

static bool present(const struct ccp_json *root, const char *name)
{
    const struct ccp_json *node = ccp_json_get(root, name);
    return node != NULL && node->type != CCP_JSON_NULL;
}

/* What only this vendor's servers can do: state they keep changes the meaning, everything else is a hint. */
static bool read_vendor(struct prompt *p, const struct ccp_json *root)
{
    for (const struct field *f = anthropic_fields; f->name != NULL; f++) {
        if (f->param == PARAM_STORED && present(root, f->name)) {
            if (strcmp(f->name, "thread") == 0)
                p->code = CCP_SPAN("thread_unsupported_request");
            return prompt_fail(p, "%s: what is kept at the provider cannot be carried over to another one", f->name);
        }
        if (f->param == PARAM_HINT && present(root, f->name))
            prompt_drop(p, f->name);
    }
    if (present(ccp_json_get(root, "output_config"), "task_budget"))
        prompt_drop(p, "output_config.task_budget");
    p->param_names[PARAM_HINT] = NULL; /* each is named already */
    return true;
}

static bool read_stream(struct prompt *p, const struct ccp_json *root)
{
    p->stream = prompt_true(ccp_json_get(root, "stream"));
    p->include_usage = true;
    return !anthropic_wrong(p, root, "stream", CCP_JSON_TRUE);
}

bool anthropic_prompt_read(struct prompt *p, const struct ccp_json *root)
{
    if (root == NULL || root->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "the request must be a JSON object");
    return fields_read(p, anthropic_fields, root, "") && read_vendor(p, root) && read_stream(p, root) &&
           read_limit(p, root) && take(p, root, "temperature", PARAM_TEMPERATURE, CCP_JSON_NUMBER) &&
           take(p, root, "top_p", PARAM_TOP_P, CCP_JSON_NUMBER) &&
           take(p, root, "top_k", PARAM_TOP_K, CCP_JSON_NUMBER) && read_stops(p, root) &&
           take(p, root, "service_tier", PARAM_SERVICE_TIER, CCP_JSON_STRING) && read_metadata(p, root) &&
           read_output_config(p, root) && read_thinking(p, root) && anthropic_tools_read(p, root) &&
           anthropic_system_read(p, ccp_json_get(root, "system")) &&
           anthropic_messages_read(p, ccp_json_get(root, "messages"));
}

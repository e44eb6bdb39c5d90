/*
 * A Chat request's parameters into the neutral prompt (wire reference B.2). Tools and messages have files of their own.
 *
 * What a member says by its default (n: 1, logprobs: false, response_format text) is nothing that could be lost: it is
 * forgotten here, so that no other format has to name it as dropped.
 */
#include <base/fault.h>
#include <format/chat.h>

static void forget(struct prompt *p, enum param param)
{
    p->params[param] = NULL;
    p->param_names[param] = NULL;
}

static bool wrong(struct prompt *p, const char *name, const char *wanted)
{
    return prompt_fail(p, "%s must be %s", name, wanted);
}

static bool is_bool(const struct ccp_json *node)
{
    return node->type == CCP_JSON_TRUE || node->type == CCP_JSON_FALSE;
}

/* -- types of what moves -- */

static const struct {
    const char *name;
    enum ccp_json_type type;
    const char *wanted;
} types[] = {
    {"model", CCP_JSON_STRING, "a string"},
    {"temperature", CCP_JSON_NUMBER, "a number"},
    {"top_p", CCP_JSON_NUMBER, "a number"},
    {"top_k", CCP_JSON_NUMBER, "a number"},
    {"seed", CCP_JSON_NUMBER, "a number"},
    {"frequency_penalty", CCP_JSON_NUMBER, "a number"},
    {"presence_penalty", CCP_JSON_NUMBER, "a number"},
    {"top_logprobs", CCP_JSON_NUMBER, "a number"},
    {"logit_bias", CCP_JSON_OBJECT, "an object"},
    {"metadata", CCP_JSON_OBJECT, "an object"},
    {"prediction", CCP_JSON_OBJECT, "an object"},
    {"stream_options", CCP_JSON_OBJECT, "an object"},
    {"response_format", CCP_JSON_OBJECT, "an object"},
    {"web_search_options", CCP_JSON_OBJECT, "an object"},
    {"verbosity", CCP_JSON_STRING, "a string"},
    {"user", CCP_JSON_STRING, "a string"},
    {"safety_identifier", CCP_JSON_STRING, "a string"},
    {"service_tier", CCP_JSON_STRING, "a string"},
    {"prompt_cache_key", CCP_JSON_STRING, "a string"},
    {"prompt_cache_retention", CCP_JSON_STRING, "a string"},
    {"reasoning_effort", CCP_JSON_STRING, "a string"},
    {"tools", CCP_JSON_ARRAY, "an array"},
    {"functions", CCP_JSON_ARRAY, "an array"},
    {"modalities", CCP_JSON_ARRAY, "an array"},
};

static bool check_types(struct prompt *p, const struct ccp_json *root)
{
    static const char *const flags[] = {"stream", "store", "logprobs", "parallel_tool_calls"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct ccp_json *node = chat_get(root, types[i].name);
        if (node != NULL && node->type != types[i].type)
            return wrong(p, types[i].name, types[i].wanted);
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        const struct ccp_json *node = chat_get(root, flags[i]);
        if (node != NULL && !is_bool(node))
            return wrong(p, flags[i], "true or false");
    }
    return true;
}

/* -- single parameters -- */

static bool read_max_tokens(struct prompt *p, const struct ccp_json *root)
{
    const char *name = "max_completion_tokens";
    const struct ccp_json *node = chat_get(root, name);
    int64_t value;
    if (node == NULL)
        node = chat_get(root, name = "max_tokens");
    if (node == NULL)
        return true;
    if (!prompt_int(node, &value) || value < 1)
        return wrong(p, name, "a positive integer");
    p->params[PARAM_MAX_TOKENS] = node;
    p->param_names[PARAM_MAX_TOKENS] = name;
    return true;
}

/* All formats carry a list: ["END"] for "END". */
static const struct ccp_json *list_of(struct prompt *p, const struct ccp_json *string)
{
    struct ccp_json *list = CCP_FAULT("chat.stop") ? NULL : arena_zalloc(p->a, 2 * sizeof(*list));
    struct ccp_span pieces[] = {CCP_SPAN("["), string->raw, CCP_SPAN("]")};
    struct ccp_span raw = list != NULL ? arena_cat(p->a, pieces, 3) : (struct ccp_span){NULL, 0};
    if (raw.p == NULL) {
        prompt_no_memory(p);
        return NULL;
    }
    list[1] = *string;
    list[1].next = NULL;
    list[0] = (struct ccp_json){.type = CCP_JSON_ARRAY, .raw = raw, .child = &list[1], .count = 1};
    return list;
}

static bool read_stop(struct prompt *p, const struct ccp_json *stop)
{
    if (stop == NULL)
        return true;
    if (stop->type == CCP_JSON_STRING)
        return (p->params[PARAM_STOP] = list_of(p, stop)) != NULL;
    if (stop->type != CCP_JSON_ARRAY)
        return wrong(p, "stop", "a string or an array of strings");
    for (const struct ccp_json *e = stop->child; e != NULL; e = e->next)
        if (e->type != CCP_JSON_STRING)
            return wrong(p, "stop", "a string or an array of strings");
    p->params[PARAM_STOP] = stop;
    if (stop->count == 0)
        forget(p, PARAM_STOP);
    return true;
}

/* An answer has one choice on its way through another format, whoever asks. */
static bool read_n(struct prompt *p, const struct ccp_json *n)
{
    int64_t value = 1;
    if (n != NULL && (!prompt_int(n, &value) || value < 1))
        return wrong(p, "n", "a positive integer");
    if (value > 1)
        return prompt_fail(p, "n: more than one answer cannot be carried over to this provider's format");
    forget(p, PARAM_CANDIDATES);
    return true;
}

static bool read_modalities(struct prompt *p, const struct ccp_json *modalities)
{
    for (const struct ccp_json *m = modalities != NULL ? modalities->child : NULL; m != NULL; m = m->next)
        if (!prompt_is(m, "text"))
            return prompt_fail(p, "modalities: only text can be carried over to this provider's format");
    forget(p, PARAM_MODALITIES);
    return true;
}

static void read_logprobs(struct prompt *p, const struct ccp_json *root)
{
    p->params[PARAM_LOGPROBS] = chat_get(root, "logprobs");
    p->params[PARAM_TOP_LOGPROBS] = chat_get(root, "top_logprobs");
    if (!prompt_true(p->params[PARAM_LOGPROBS])) {
        forget(p, PARAM_LOGPROBS);
        forget(p, PARAM_TOP_LOGPROBS);
    }
}

static void read_stream(struct prompt *p, const struct ccp_json *root)
{
    p->stream = prompt_true(chat_get(root, "stream"));
    p->include_usage = prompt_true(chat_get(chat_get(root, "stream_options"), "include_usage"));
}

static void read_user(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *id = chat_get(root, "safety_identifier");
    p->params[PARAM_USER] = id != NULL ? id : chat_get(root, "user");
    if (p->params[PARAM_USER] != NULL)
        p->param_names[PARAM_USER] = id != NULL ? "safety_identifier" : "user";
    p->params[PARAM_SERVICE_TIER] = chat_get(root, "service_tier");
}

/* -- structured output -- */

static bool read_schema(struct prompt *p, const struct ccp_json *json_schema)
{
    const struct ccp_json *name = chat_get(json_schema, "name"), *schema = chat_get(json_schema, "schema"),
                          *strict = chat_get(json_schema, "strict");
    if (json_schema == NULL || json_schema->type != CCP_JSON_OBJECT)
        return wrong(p, "response_format.json_schema", "an object");
    if (name == NULL || name->type != CCP_JSON_STRING || name->raw.n == 2)
        return wrong(p, "response_format.json_schema.name", "a string");
    if (schema != NULL && schema->type != CCP_JSON_OBJECT)
        return wrong(p, "response_format.json_schema.schema", "an object");
    if (strict != NULL && !is_bool(strict))
        return wrong(p, "response_format.json_schema.strict", "true or false");
    p->output.kind = schema != NULL ? OUTPUT_SCHEMA : OUTPUT_JSON;
    p->output.name = prompt_ctext(name);
    p->output.description = prompt_ctext(chat_get(json_schema, "description"));
    p->output.schema = schema;
    p->output.strict = strict == NULL ? UNSET : prompt_true(strict) ? YES : NO;
    return true;
}

static bool read_output(struct prompt *p, const struct ccp_json *format)
{
    const struct ccp_json *type = chat_get(format, "type");
    if (format == NULL || prompt_is(type, "text")) {
        forget(p, PARAM_OUTPUT);
        return true;
    }
    if (prompt_is(type, "json_schema"))
        return read_schema(p, chat_get(format, "json_schema"));
    if (!prompt_is(type, "json_object"))
        return wrong(p, "response_format.type", "text, json_object or json_schema");
    p->output.kind = OUTPUT_JSON;
    return true;
}

/* True is what happens anyway. */
static void read_parallel(struct prompt *p, const struct ccp_json *parallel)
{
    if (parallel != NULL)
        p->parallel = prompt_true(parallel) ? YES : NO;
    if (p->parallel != NO)
        forget(p, PARAM_PARALLEL);
}

bool chat_prompt_read(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *messages = chat_get(root, "messages");
    if (!fields_read(p, chat_fields, root, "") || !check_types(p, root))
        return false;
    read_stream(p, root);
    read_user(p, root);
    read_logprobs(p, root);
    read_parallel(p, chat_get(root, "parallel_tool_calls"));
    if (!read_max_tokens(p, root) || !read_stop(p, chat_get(root, "stop")) || !read_n(p, chat_get(root, "n")) ||
        !read_modalities(p, chat_get(root, "modalities")) || !read_output(p, chat_get(root, "response_format")) ||
        !chat_read_reasoning(p, root) || !chat_read_tools(p, root))
        return false;
    if (messages == NULL || messages->type != CCP_JSON_ARRAY || messages->count == 0)
        return wrong(p, "messages", "an array with at least one message");
    return chat_read_messages(p, messages) && p->status == CCP_OK;
}

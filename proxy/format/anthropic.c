/*
 * Anthropic Messages: the record, and the tables that say which member is which parameter (wire reference A.3).
 */
#include <format/anthropic.h>
#include <stdio.h>

const struct field anthropic_fields[] = {
    {"model", PARAM_MODEL, FIELD_CODE, NULL},
    {"max_tokens", PARAM_MAX_TOKENS, FIELD_CODE, "required: the model's limit when the client gave none"},
    {"stream", PARAM_STREAM, FIELD_CODE, NULL},
    {"temperature", PARAM_TEMPERATURE, FIELD_CODE,
     "0 to 1: more becomes 1; dropped for models newer than 4.6, and with a thinking budget"},
    {"top_p", PARAM_TOP_P, FIELD_CODE,
     "dropped for models newer than 4.6, beside temperature from 4.1 on, and with a "
     "thinking budget"},
    {"top_k", PARAM_TOP_K, FIELD_CODE, "dropped for models newer than 4.6, and with a thinking budget"},
    {"stop_sequences", PARAM_STOP, FIELD_CODE, "those of white space only are left out"},
    {"thinking", PARAM_REASONING, FIELD_CODE,
     "a budget for models before 4.6 (1024 up to below max_tokens), adaptive since; off when a tool must be called, or "
     "when the current tool step has no thinking of this provider to show and a budget would be needed"},
    {"output_config.effort", PARAM_REASONING, FIELD_CODE, "for adaptive thinking; minimal becomes low"},
    {"output_config.format", PARAM_OUTPUT, FIELD_CODE,
     "JSON without a schema, and models before 4.5: an instruction in the system text"},
    {"output_format", PARAM_OUTPUT, FIELD_CODE, "older spelling, read only"},
    {"output_config.task_budget", PARAM_HINT, FIELD_CODE, "dropped"},
    {"metadata.user_id", PARAM_USER, FIELD_CODE, "longer than 256 bytes: a hash"},
    {"service_tier", PARAM_SERVICE_TIER, FIELD_CODE, "default and standard become standard_only, all else auto"},
    {"cache_control", PARAM_CACHE, FIELD_MOVE, NULL},
    {"cache_control", PARAM_CACHE_KEY, FIELD_CODE, "becomes automatic caching of the whole prompt"},
    {"tool_choice", PARAM_TOOL_CHOICE, FIELD_CODE, NULL},
    {"tool_choice.disable_parallel_tool_use", PARAM_PARALLEL, FIELD_CODE, NULL},
    {"tools", PARAM_TOOLS, FIELD_CODE, "only those that may be called; free-text tools take one string, input"},
    {"system", PARAM_SYSTEM, FIELD_CODE, "system and developer text in front of the conversation"},
    {"messages", PARAM_MESSAGES, FIELD_CODE,
     "later system and developer text: role system where the model takes it, else tagged text of the user"},
    {"container", PARAM_STORED, FIELD_CODE, "refused"},
    {"thread", PARAM_STORED, FIELD_CODE, "refused"},
    {"compaction", PARAM_STORED, FIELD_CODE, "refused"},
    {"context_management", PARAM_HINT, FIELD_CODE, "dropped"},
    {"mcp_servers", PARAM_HINT, FIELD_CODE, "dropped"},
    {"fallbacks", PARAM_HINT, FIELD_CODE, "dropped"},
    {"fallback_credit_token", PARAM_HINT, FIELD_CODE, "dropped"},
    {"billing_policy", PARAM_HINT, FIELD_CODE, "dropped"},
    {"diagnostics", PARAM_HINT, FIELD_CODE, "dropped"},
    {"speed", PARAM_HINT, FIELD_CODE, "dropped"},
    {"inference_geo", PARAM_HINT, FIELD_CODE, "dropped"},
    {NULL, PARAM_COUNT, FIELD_CODE, NULL},
};

const struct part_field anthropic_parts[] = {
    {PART_TEXT, "text", "text of white space only is left out"},
    {PART_REFUSAL, "text", "becomes text"},
    {PART_IMAGE, "image", "JPEG, PNG, GIF, WebP; file ids only from this format"},
    {PART_DOCUMENT, "document", "PDF and plain text; other types are refused"},
    {PART_AUDIO, NULL, "refused"},
    {PART_VIDEO, NULL, "refused"},
    {PART_THINKING, "thinking", "only with a proof of this provider"},
    {PART_CALL, "tool_use", "ids of other letters than A-Z a-z 0-9 _ - become a hash"},
    {PART_RESULT, "tool_result", NULL},
    {PART_OPAQUE, NULL, "dropped"},
};

void anthropic_where(const struct part *part, char *out, size_t n)
{
    if (part->message == UINT32_MAX)
        snprintf(out, n, "system[%u]", (unsigned)part->index);
    else
        snprintf(out, n, "messages[%u].content[%u]", (unsigned)part->message, (unsigned)part->index);
}

static struct ccp_span path(struct prompt *p)
{
    return p->to.count ? CCP_SPAN("/v1/messages/count_tokens") : CCP_SPAN("/v1/messages");
}

static bool read_count(const struct ccp_json *root, uint64_t *tokens)
{
    int64_t value;
    if (!prompt_int(ccp_json_get(root, "input_tokens"), &value) || value < 0)
        return false;
    *tokens = (uint64_t)value;
    return true;
}

static bool write_count(uint64_t tokens, bool estimated, struct ccp_buf *out)
{
    struct out o = out_of(out);
    out_object(&o, NULL);
    out_int(&o, "input_tokens", (int64_t)tokens);
    out_end(&o, '}');
    return !out->failed;
}

static const char *const usage_paths[] = {"message.usage", "usage", NULL};

const struct wire_format format_anthropic = {
    .id = "anthropic",
    .counts = true,
    .fields = anthropic_fields,
    .parts = anthropic_parts,
    .alternate = true,
    .prompt_read = anthropic_prompt_read,
    .prompt_write = anthropic_prompt_write,
    .path = path,
    .where = anthropic_where,
    .reader_size = sizeof(struct anthropic_reader),
    .read_event = anthropic_read_event,
    .read_whole = anthropic_read_whole,
    .read_end = anthropic_read_end,
    .usage_paths = usage_paths,
    .read_usage = anthropic_read_usage,
    .read_count = read_count,
    .writer_size = sizeof(struct anthropic_stream),
    .write_delta = anthropic_write_delta,
    .write_whole = anthropic_write_whole,
    .write_count = write_count,
};

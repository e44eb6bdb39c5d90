/*
 * OpenAI Responses as one record (wire reference C), and its field tables.
 */
#include <format/responses.h>
#include <stdio.h>

const struct field responses_fields[] = {
    {"model", PARAM_MODEL, FIELD_CODE, NULL},
    {"stream", PARAM_STREAM, FIELD_CODE, NULL},
    {"stream_options", PARAM_STREAM_OPTIONS, FIELD_CODE, "never written"},
    {"max_output_tokens", PARAM_MAX_TOKENS, FIELD_MOVE, "at least 16"},
    {"temperature", PARAM_TEMPERATURE, FIELD_MOVE, "dropped for reasoning models"},
    {"top_p", PARAM_TOP_P, FIELD_MOVE, "dropped for reasoning models"},
    {"safety_identifier", PARAM_USER, FIELD_MOVE, "hashed when longer than 64 bytes"},
    {"user", PARAM_USER, FIELD_MOVE, NULL},
    {"metadata", PARAM_METADATA, FIELD_MOVE, NULL},
    {"service_tier", PARAM_SERVICE_TIER, FIELD_CODE, "standard_only becomes default"},
    {"prompt_cache_key", PARAM_CACHE_KEY, FIELD_MOVE, NULL},
    {"prompt_cache_retention", PARAM_CACHE_RETENTION, FIELD_MOVE, NULL},
    {"store", PARAM_STORE, FIELD_CODE, "dropped: always false upstream"},
    {"include", PARAM_INCLUDE, FIELD_CODE, "encrypted reasoning is asked for with reasoning"},
    {"client_metadata", PARAM_CLIENT_METADATA, FIELD_MOVE, NULL},
    {"reasoning", PARAM_REASONING, FIELD_CODE, "nearest effort the model takes; summary when thinking is to be seen"},
    {"text.format", PARAM_OUTPUT, FIELD_CODE, "JSON without a schema is asked for in the input, too"},
    {"text.verbosity", PARAM_VERBOSITY, FIELD_MOVE, NULL},
    {"tools", PARAM_TOOLS, FIELD_CODE, "strict is false unless asked for; foreign hosted tools are dropped"},
    {"tool_choice", PARAM_TOOL_CHOICE, FIELD_CODE, NULL},
    {"parallel_tool_calls", PARAM_PARALLEL, FIELD_CODE, NULL},
    {"instructions", PARAM_SYSTEM, FIELD_CODE, "later system messages become developer items in their place"},
    {"input", PARAM_MESSAGES, FIELD_CODE, NULL},
    {"previous_response_id", PARAM_STORED, FIELD_CODE, "refused"},
    {"conversation", PARAM_STORED, FIELD_CODE, "refused"},
    {"prompt", PARAM_STORED, FIELD_CODE, "refused"},
    {"background", PARAM_BACKGROUND, FIELD_CODE, "refused"},
    {"max_tool_calls", PARAM_HINT, FIELD_CODE, "dropped"},
    {"truncation", PARAM_HINT, FIELD_CODE, "dropped"},
    {"context_management", PARAM_HINT, FIELD_CODE, "dropped"},
    {NULL, PARAM_COUNT, FIELD_CODE, NULL},
};

static const struct part_field parts[] = {
    [PART_TEXT] = {PART_TEXT, "input_text, output_text", NULL},
    [PART_REFUSAL] = {PART_REFUSAL, "refusal", NULL},
    [PART_IMAGE] = {PART_IMAGE, "input_image", "an assistant's image becomes a user's"},
    [PART_DOCUMENT] = {PART_DOCUMENT, "input_file", "plain text becomes input_text"},
    [PART_AUDIO] = {PART_AUDIO, "input_audio", "wav and mp3"},
    [PART_VIDEO] = {PART_VIDEO, NULL, "refused"},
    [PART_THINKING] = {PART_THINKING, "reasoning", "only with a proof of the same provider"},
    [PART_CALL] = {PART_CALL, "function_call, custom_tool_call", NULL},
    [PART_RESULT] = {PART_RESULT, "function_call_output, custom_tool_call_output", "errors are marked in the text"},
    [PART_OPAQUE] = {PART_OPAQUE, NULL, "dropped"},
};

static struct ccp_span path(struct prompt *p)
{
    return p->to.count ? CCP_SPAN("/responses/input_tokens") : CCP_SPAN("/responses");
}

static void where(const struct part *part, char *out, size_t n)
{
    if (part->message == UINT32_MAX)
        snprintf(out, n, "input");
    else if (part->index == RESPONSES_ITEM)
        snprintf(out, n, "input[%u]", part->message);
    else
        snprintf(out, n, "input[%u].content[%u]", part->message, part->index);
}

static bool read_count(const struct ccp_json *root, uint64_t *tokens)
{
    int64_t n;
    if (!prompt_int(ccp_json_get(root, "input_tokens"), &n) || n < 0)
        return false;
    *tokens = (uint64_t)n;
    return true;
}

static bool write_count(uint64_t tokens, bool estimated, struct ccp_buf *out)
{
    struct out o = out_of(out);
    (void)estimated; /* the shape has no place for it */
    out_object(&o, NULL);
    out_word(&o, "object", "response.input_tokens");
    out_int(&o, "input_tokens", (int64_t)tokens);
    out_end(&o, '}');
    return !out->failed;
}

static const char *const usage_paths[] = {"response.usage", "usage", NULL};

const struct wire_format format_openai_responses = {
    .id = "openai-responses",
    .counts = true,
    .fields = responses_fields,
    .parts = parts,
    .alternate = false,
    .prompt_read = responses_prompt_read,
    .prompt_write = responses_prompt_write,
    .path = path,
    .where = where,
    .reader_size = sizeof(struct responses_reader),
    .read_event = responses_read_event,
    .read_whole = responses_read_whole,
    .read_end = responses_read_end,
    .usage_paths = usage_paths,
    .read_usage = responses_read_usage,
    .read_count = read_count,
    .writer_size = sizeof(struct responses_writer),
    .write_delta = responses_write_delta,
    .writer_release = responses_writer_release,
    .write_whole = responses_write_whole,
    .write_count = write_count,
};

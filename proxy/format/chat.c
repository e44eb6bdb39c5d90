/*
 * OpenAI Chat Completions as one of the formats: its tables and its record. The work is in the other files.
 */
#include <format/chat.h>
#include <stdio.h>

/* Where two members name one parameter, the first is the one that is written to OpenAI itself; compatible servers get
 * the older one (chat_prompt_write.c). */
const struct field chat_fields[] = {
    {"model", PARAM_MODEL, FIELD_CODE, NULL},
    {"messages", PARAM_MESSAGES, FIELD_CODE, NULL},
    {"messages[].role", PARAM_SYSTEM, FIELD_CODE, "`developer` for OpenAI's reasoning models, else `system`"},
    {"stream", PARAM_STREAM, FIELD_CODE, NULL},
    {"stream_options", PARAM_STREAM_OPTIONS, FIELD_CODE, "usage is always asked for upstream"},
    {"max_completion_tokens", PARAM_MAX_TOKENS, FIELD_CODE, "`max_tokens` for compatible servers"},
    {"max_tokens", PARAM_MAX_TOKENS, FIELD_CODE, NULL},
    {"temperature", PARAM_TEMPERATURE, FIELD_MOVE, "not for reasoning models"},
    {"top_p", PARAM_TOP_P, FIELD_MOVE, "not for reasoning models"},
    {"top_k", PARAM_TOP_K, FIELD_MOVE, "only for compatible servers"},
    {"stop", PARAM_STOP, FIELD_CODE, "at most 4; not for reasoning models from o3 on"},
    {"n", PARAM_CANDIDATES, FIELD_CODE, "refused: more than 1"},
    {"seed", PARAM_SEED, FIELD_MOVE, NULL},
    {"frequency_penalty", PARAM_FREQUENCY_PENALTY, FIELD_MOVE, "not for reasoning models"},
    {"presence_penalty", PARAM_PRESENCE_PENALTY, FIELD_MOVE, "not for reasoning models"},
    {"logit_bias", PARAM_LOGIT_BIAS, FIELD_MOVE, "not for reasoning models"},
    {"logprobs", PARAM_LOGPROBS, FIELD_CODE, "dropped: a translated answer carries none"},
    {"top_logprobs", PARAM_TOP_LOGPROBS, FIELD_CODE, "dropped: a translated answer carries none"},
    {"response_format", PARAM_OUTPUT, FIELD_CODE, "from Gemini, JSON without a schema is asked for in words, too"},
    {"reasoning_effort", PARAM_REASONING, FIELD_CODE, "the nearest depth that the model takes"},
    {"reasoning", PARAM_REASONING, FIELD_CODE, NULL},
    {"include_reasoning", PARAM_REASONING, FIELD_CODE, NULL},
    {"thinking", PARAM_REASONING, FIELD_CODE, NULL},
    {"enable_thinking", PARAM_REASONING, FIELD_CODE, NULL},
    {"extra_body", PARAM_REASONING, FIELD_CODE, "only `google.thinking_config` is read"},
    {"google", PARAM_REASONING, FIELD_CODE, "only `thinking_config` is read"},
    {"verbosity", PARAM_VERBOSITY, FIELD_MOVE, "not for compatible servers"},
    {"safety_identifier", PARAM_USER, FIELD_CODE, "`user` for compatible servers; longer than 64: a hash of it"},
    {"user", PARAM_USER, FIELD_CODE, NULL},
    {"service_tier", PARAM_SERVICE_TIER, FIELD_CODE, "not for compatible servers"},
    {"prompt_cache_key", PARAM_CACHE_KEY, FIELD_MOVE, "not for compatible servers"},
    {"prompt_cache_retention", PARAM_CACHE_RETENTION, FIELD_MOVE, "not for compatible servers"},
    {"store", PARAM_STORE, FIELD_MOVE, "never written: answers are not stored for others"},
    {"metadata", PARAM_METADATA, FIELD_MOVE, "never written: OpenAI takes it with `store` only"},
    {"prediction", PARAM_PREDICTION, FIELD_MOVE, "not for compatible servers"},
    {"modalities", PARAM_MODALITIES, FIELD_CODE, "refused: anything but text"},
    {"tools", PARAM_TOOLS, FIELD_CODE, "read in Anthropic's shape, too"},
    {"functions", PARAM_TOOLS, FIELD_CODE, NULL},
    {"web_search_options", PARAM_TOOLS, FIELD_CODE, "only for search models"},
    {"tool_choice", PARAM_TOOL_CHOICE, FIELD_CODE, NULL},
    {"function_call", PARAM_TOOL_CHOICE, FIELD_CODE, NULL},
    {"parallel_tool_calls", PARAM_PARALLEL, FIELD_CODE, NULL},
    {NULL, PARAM_COUNT, FIELD_CODE, NULL},
};

static const struct part_field parts[] = {
    {PART_TEXT, "text", NULL},
    {PART_REFUSAL, "refusal", "text for compatible servers"},
    {PART_IMAGE, "image_url", "in a tool result: a user message behind it; file ids are refused"},
    {PART_DOCUMENT, "file", "plain text: a text part with its title in front; URLs and foreign file ids are refused"},
    {PART_AUDIO, "input_audio", "wav and mp3"},
    {PART_VIDEO, NULL, "refused"},
    {PART_THINKING, "reasoning_content", "only to servers that want it back"},
    {PART_CALL, "tool_calls", NULL},
    {PART_RESULT, "tool message", "errors as text"},
    {PART_OPAQUE, NULL, "refused"},
};

static struct ccp_span path(struct prompt *p)
{
    return CCP_SPAN("/chat/completions");
}

static void where(const struct part *part, char *out, size_t n)
{
    if (part->message == UINT32_MAX)
        snprintf(out, n, "messages");
    else if (part->kind == PART_RESULT || part->index == UINT32_MAX)
        snprintf(out, n, "messages[%u]", part->message);
    else if (part->kind == PART_CALL)
        snprintf(out, n, "messages[%u].tool_calls[%u]", part->message, part->index);
    else
        snprintf(out, n, "messages[%u].content[%u]", part->message, part->index);
}

/* There is no such endpoint: what a client could have called is the one of Responses. */
static bool read_count(const struct ccp_json *root, uint64_t *tokens)
{
    return false;
}

static bool write_count(uint64_t tokens, bool estimated, struct ccp_buf *out)
{
    struct out o = out_of(out);
    out_object(&o, NULL);
    out_word(&o, "object", "response.input_tokens");
    out_int(&o, "input_tokens", (int64_t)tokens);
    out_end(&o, '}');
    return !out->failed;
}

static const char *const usage_paths[] = {"choices[].usage", "x_groq.usage", "usage", NULL};

const struct wire_format format_openai_chat = {
    .id = "openai-chat",
    .fields = chat_fields,
    .parts = parts,
    .prompt_read = chat_prompt_read,
    .prompt_write = chat_prompt_write,
    .path = path,
    .where = where,
    .reader_size = sizeof(struct chat_reader),
    .reader_release = chat_reader_release,
    .read_event = chat_read_event,
    .read_whole = chat_read_whole,
    .read_end = chat_read_end,
    .usage_paths = usage_paths,
    .read_usage = chat_read_usage,
    .read_count = read_count,
    .writer_size = sizeof(struct chat_writer),
    .write_delta = chat_write_delta,
    .writer_release = chat_writer_release,
    .write_whole = chat_write_whole,
    .write_count = write_count,
};

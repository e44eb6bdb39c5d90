/*
 * Writes an answer as OpenAI Responses: the response object, or the typed events around it.
 *
 * Events count up from sequence number 0; output_index is the block's number. The response object is written in
 * full in the first two events and in the last one; Codex builds its history from output_item.done and waits for
 * response.completed. Settings of the request come back as they were sent.
 */
#include "mock.h"

#include <inttypes.h>

/* The members that come back, and what stands there when the request has none. */
static const struct {
    const char *key, *def;
} settings[] = {
    {"background", "false"},
    {"instructions", "null"},
    {"max_output_tokens", "null"},
    {"max_tool_calls", "null"},
    {"metadata", "{}"},
    {"parallel_tool_calls", "true"},
    {"previous_response_id", "null"},
    {"prompt_cache_key", "null"},
    {"reasoning", "{\"effort\":null,\"summary\":null}"},
    {"safety_identifier", "null"},
    {"store", "true"},
    {"temperature", "1.0"},
    {"text", "{\"format\":{\"type\":\"text\"},\"verbosity\":\"medium\"}"},
    {"tool_choice", "\"auto\""},
    {"tools", "[]"},
    {"top_p", "1.0"},
    {"truncation", "\"disabled\""},
    {"user", "null"},
};

static const char *status_of(const struct mock_play *play)
{
    return play->answer.truncated ? "incomplete" : "completed";
}

static void put_item_id(struct mock_play *play, size_t index, enum mock_kind kind)
{
    static const char *const prefix[] = {[MOCK_THINKING] = "rs", [MOCK_TEXT] = "msg", [MOCK_TOOL] = "fc"};
    mock_putf(&play->out, "\"%s_%016" PRIx64 "%02zu\"", prefix[kind], play->ask.hash, index);
}

static bool wants_encrypted(const struct mock_play *play)
{
    const struct ccp_json *include = ccp_json_get(play->ask.root, "include");
    for (const struct ccp_json *v = include != NULL ? include->child : NULL; v != NULL; v = v->next)
        if (ccp_span_is(ccp_json_inner(v), "reasoning.encrypted_content"))
            return true;
    return false;
}

static void put_text_part(struct mock_play *play, struct ccp_span text)
{
    mock_putz(&play->out, "{\"type\":\"output_text\",\"text\":");
    mock_quote(&play->out, text);
    mock_putz(&play->out, ",\"annotations\":[],\"logprobs\":[]}");
}

static void put_summary_part(struct mock_play *play, struct ccp_span text)
{
    mock_putz(&play->out, "{\"type\":\"summary_text\",\"text\":");
    mock_quote(&play->out, text);
    mock_putz(&play->out, "}");
}

static void put_reasoning(struct mock_play *play, const struct mock_block *block, bool done)
{
    mock_putz(&play->out, ",\"type\":\"reasoning\",\"summary\":[");
    if (done)
        put_summary_part(play, block->text);
    mock_putz(&play->out, "]");
    if (wants_encrypted(play))
        mock_putz(&play->out, done ? ",\"encrypted_content\":\"bW9jay1lbmNyeXB0ZWQ=\"" : ",\"encrypted_content\":\"\"");
}

static void put_message(struct mock_play *play, const struct mock_block *block, bool done)
{
    mock_putf(&play->out, ",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"%s\",\"content\":[",
              done ? status_of(play) : "in_progress");
    if (done)
        put_text_part(play, block->text);
    mock_putz(&play->out, "]");
}

static void put_call(struct mock_play *play, const struct mock_block *block, bool done)
{
    mock_putf(&play->out,
              ",\"type\":\"function_call\",\"status\":\"%s\",\"call_id\":\"call_%016" PRIx64 "\",\"name\":\"",
              done ? "completed" : "in_progress", play->ask.hash);
    mock_put(&play->out, play->ask.tool_name);
    mock_putz(&play->out, "\",\"arguments\":");
    mock_quote(&play->out, done ? block->text : CCP_SPAN(""));
}

/* An output item, as it is announced (empty) or as it ended. */
static void put_item(struct mock_play *play, size_t index, bool done)
{
    const struct mock_block *block = &play->answer.block[index];
    mock_putz(&play->out, "{\"id\":");
    put_item_id(play, index, block->kind);
    if (block->kind == MOCK_THINKING)
        put_reasoning(play, block, done);
    else if (block->kind == MOCK_TEXT)
        put_message(play, block, done);
    else
        put_call(play, block, done);
    mock_putz(&play->out, "}");
}

static void put_settings(struct mock_play *play)
{
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const struct ccp_json *v = ccp_json_get(play->ask.root, settings[i].key);
        mock_putf(&play->out, ",\"%s\":", settings[i].key);
        if (v != NULL && v->type != CCP_JSON_NULL)
            mock_compact(&play->out, v->raw);
        else
            mock_putz(&play->out, settings[i].def);
    }
}

static void put_usage(struct mock_play *play)
{
    const struct mock_answer *a = &play->answer;
    mock_putf(&play->out,
              ",\"usage\":{\"input_tokens\":%" PRIu64 ",\"input_tokens_details\":{\"cached_tokens\":0},"
              "\"output_tokens\":%" PRIu64 ",\"output_tokens_details\":{\"reasoning_tokens\":%" PRIu64
              "},\"total_tokens\":%" PRIu64 "}",
              a->tokens_in, a->tokens_out, a->tokens_thinking, a->tokens_in + a->tokens_out);
}

static void put_response(struct mock_play *play, bool done)
{
    struct mock_out *out = &play->out;
    mock_putf(out, "{\"id\":\"resp_%016" PRIx64 "\",\"object\":\"response\",\"created_at\":%d,", play->ask.hash,
              MOCK_CREATED);
    mock_putf(out, "\"status\":\"%s\",\"error\":null,\"incomplete_details\":", done ? status_of(play) : "in_progress");
    mock_putz(out, done && play->answer.truncated ? "{\"reason\":\"max_output_tokens\"}" : "null");
    mock_putz(out, ",\"model\":");
    mock_quote(out, play->ask.model);
    mock_putz(out, ",\"service_tier\":\"default\",\"output\":[");
    for (size_t i = 0; done && i < play->answer.count; i++) {
        mock_putz(out, i != 0 ? "," : "");
        put_item(play, i, true);
    }
    mock_putz(out, "]");
    put_settings(play);
    if (done)
        put_usage(play);
    else
        mock_putz(out, ",\"usage\":null");
    mock_putz(out, "}");
}

static void event(struct mock_play *play, const char *type)
{
    mock_putf(&play->out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%" PRIu64, type, type,
              play->sequence++);
}

static void event_end(struct mock_play *play)
{
    mock_putz(&play->out, "}\n\n");
}

static void response_event(struct mock_play *play, const char *type, bool done)
{
    event(play, type);
    mock_putz(&play->out, ",\"response\":");
    put_response(play, done);
    event_end(play);
}

static void item_event(struct mock_play *play, const char *type, bool done)
{
    event(play, type);
    mock_putf(&play->out, ",\"output_index\":%zu,\"item\":", play->block);
    put_item(play, play->block, done);
    event_end(play);
}

/* An event about the inside of the current item; the caller adds the last member. */
static void inner_event(struct mock_play *play, const char *type, const struct mock_block *block)
{
    static const char *const where[] = {
        [MOCK_THINKING] = ",\"summary_index\":0", [MOCK_TEXT] = ",\"content_index\":0", [MOCK_TOOL] = ""};
    event(play, type);
    mock_putz(&play->out, ",\"item_id\":");
    put_item_id(play, play->block, block->kind);
    mock_putf(&play->out, ",\"output_index\":%zu%s", play->block, where[block->kind]);
}

static void part_event(struct mock_play *play, const struct mock_block *block, bool done)
{
    static const char *const types[][2] = {
        [MOCK_THINKING] = {"response.reasoning_summary_part.added", "response.reasoning_summary_part.done"},
        [MOCK_TEXT] = {"response.content_part.added", "response.content_part.done"},
    };
    struct ccp_span text = done ? block->text : CCP_SPAN("");
    inner_event(play, types[block->kind][done], block);
    mock_putz(&play->out, ",\"part\":");
    if (block->kind == MOCK_TEXT)
        put_text_part(play, text);
    else
        put_summary_part(play, text);
    event_end(play);
}

/* The text of the current item: a delta, or all of it at its end. */
static void text_event(struct mock_play *play, const struct mock_block *block, struct ccp_span text, bool done)
{
    static const char *const types[][2] = {
        [MOCK_THINKING] = {"response.reasoning_summary_text.delta", "response.reasoning_summary_text.done"},
        [MOCK_TEXT] = {"response.output_text.delta", "response.output_text.done"},
        [MOCK_TOOL] = {"response.function_call_arguments.delta", "response.function_call_arguments.done"},
    };
    inner_event(play, types[block->kind][done], block);
    mock_putf(&play->out, ",\"%s\":", !done ? "delta" : block->kind == MOCK_TOOL ? "arguments" : "text");
    mock_quote(&play->out, text);
    if (block->kind == MOCK_TEXT)
        mock_putz(&play->out, ",\"logprobs\":[]");
    if (block->kind == MOCK_TOOL && done) {
        mock_putz(&play->out, ",\"name\":\"");
        mock_put(&play->out, play->ask.tool_name);
        mock_putz(&play->out, "\"");
    }
    event_end(play);
}

static void begin(struct mock_play *play)
{
    response_event(play, "response.created", false);
    response_event(play, "response.in_progress", false);
}

static void open_block(struct mock_play *play, const struct mock_block *block)
{
    item_event(play, "response.output_item.added", false);
    if (block->kind != MOCK_TOOL)
        part_event(play, block, false);
}

static void piece(struct mock_play *play, const struct mock_block *block, struct ccp_span text)
{
    text_event(play, block, text, false);
}

static void close_block(struct mock_play *play, const struct mock_block *block)
{
    text_event(play, block, block->text, true);
    if (block->kind != MOCK_TOOL)
        part_event(play, block, true);
    item_event(play, "response.output_item.done", true);
}

static void end(struct mock_play *play)
{
    response_event(play, play->answer.truncated ? "response.incomplete" : "response.completed", true);
}

static void whole(struct mock_play *play)
{
    put_response(play, true);
}

static void count(struct mock_play *play)
{
    mock_putf(&play->out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%" PRIu64 "}",
              play->answer.tokens_in);
}

const struct mock_writer mock_write_responses = {begin, open_block, piece, close_block, end, whole, count};

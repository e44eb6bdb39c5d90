/*
 * Writes an answer as Anthropic Messages: one Message, or the stream message_start, blocks, message_delta,
 * message_stop. Every event is named like its type, blocks are numbered from 0 and never interleave.
 */
#include "mock.h"

#include <inttypes.h>

/* Opaque to clients, which send it back with the block. */
#define SIGNATURE "bW9jay1zaWduYXR1cmU="

static void event(struct mock_out *out, const char *type)
{
    mock_putf(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void event_end(struct mock_out *out)
{
    mock_putz(out, "}\n\n");
}

static void put_usage(struct mock_play *play, uint64_t tokens_out, bool final)
{
    const struct mock_answer *answer = &play->answer;
    struct mock_out *out = &play->out;
    mock_putf(out, "\"usage\":{\"input_tokens\":%" PRIu64, answer->tokens_in);
    mock_putz(out, ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation\":{"
                   "\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0}");
    mock_putf(out, ",\"output_tokens\":%" PRIu64 ",\"output_tokens_details\":", tokens_out);
    if (final && answer->tokens_thinking != 0)
        mock_putf(out, "{\"thinking_tokens\":%" PRIu64 "}", answer->tokens_thinking);
    else
        mock_putz(out, "null");
    mock_putz(out, ",\"server_tool_use\":null,\"service_tier\":\"standard\"}");
}

static const char *stop_reason(const struct mock_answer *answer)
{
    return answer->truncated ? "max_tokens" : answer->has_tool ? "tool_use" : "end_turn";
}

/* The members of a Message up to its content. */
static void put_message_head(struct mock_play *play)
{
    mock_putf(&play->out,
              "{\"id\":\"msg_%016" PRIx64 "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", play->ask.hash);
    mock_quote(&play->out, play->ask.model);
    mock_putz(&play->out, ",\"content\":[");
}

static void put_tool_head(struct mock_play *play)
{
    mock_putf(&play->out, "{\"type\":\"tool_use\",\"id\":\"toolu_%016" PRIx64 "\",\"name\":\"", play->ask.hash);
    mock_put(&play->out, play->ask.tool_name);
    mock_putz(&play->out, "\",\"input\":");
}

static void begin(struct mock_play *play)
{
    event(&play->out, "message_start");
    mock_putz(&play->out, ",\"message\":");
    put_message_head(play);
    mock_putz(&play->out, "],\"stop_reason\":null,\"stop_sequence\":null,");
    put_usage(play, 1, false);
    mock_putz(&play->out, "}");
    event_end(&play->out);
    event(&play->out, "ping");
    event_end(&play->out);
}

static void open_block(struct mock_play *play, const struct mock_block *block)
{
    event(&play->out, "content_block_start");
    mock_putf(&play->out, ",\"index\":%zu,\"content_block\":", play->block);
    if (block->kind == MOCK_THINKING) {
        mock_putz(&play->out, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    } else if (block->kind == MOCK_TEXT) {
        mock_putz(&play->out, "{\"type\":\"text\",\"text\":\"\"}");
    } else {
        put_tool_head(play);
        mock_putz(&play->out, "{}}");
    }
    event_end(&play->out);
}

static void put_delta(struct mock_play *play, const char *type, const char *member, struct ccp_span text)
{
    event(&play->out, "content_block_delta");
    mock_putf(&play->out, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",\"%s\":", play->block, type, member);
    mock_quote(&play->out, text);
    mock_putz(&play->out, "}");
    event_end(&play->out);
}

static void piece(struct mock_play *play, const struct mock_block *block, struct ccp_span text)
{
    if (block->kind == MOCK_THINKING)
        put_delta(play, "thinking_delta", "thinking", text);
    else if (block->kind == MOCK_TEXT)
        put_delta(play, "text_delta", "text", text);
    else
        put_delta(play, "input_json_delta", "partial_json", text);
}

static void close_block(struct mock_play *play, const struct mock_block *block)
{
    if (block->kind == MOCK_THINKING)
        put_delta(play, "signature_delta", "signature", CCP_SPAN(SIGNATURE));
    event(&play->out, "content_block_stop");
    mock_putf(&play->out, ",\"index\":%zu", play->block);
    event_end(&play->out);
}

static void end(struct mock_play *play)
{
    event(&play->out, "message_delta");
    mock_putf(&play->out, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},", stop_reason(&play->answer));
    put_usage(play, play->answer.tokens_out, true);
    event_end(&play->out);
    event(&play->out, "message_stop");
    event_end(&play->out);
}

static void put_block(struct mock_play *play, const struct mock_block *block)
{
    struct mock_out *out = &play->out;
    if (block->kind == MOCK_TOOL) {
        put_tool_head(play);
        mock_put(out, block->text);
        mock_putz(out, "}");
        return;
    }
    mock_putz(out, block->kind == MOCK_TEXT ? "{\"type\":\"text\",\"text\":" : "{\"type\":\"thinking\",\"thinking\":");
    mock_quote(out, block->text);
    mock_putz(out, block->kind == MOCK_TEXT ? "}" : ",\"signature\":\"" SIGNATURE "\"}");
}

static void whole(struct mock_play *play)
{
    put_message_head(play);
    for (size_t i = 0; i < play->answer.count; i++) {
        mock_putz(&play->out, i != 0 ? "," : "");
        put_block(play, &play->answer.block[i]);
    }
    mock_putf(&play->out, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,", stop_reason(&play->answer));
    put_usage(play, play->answer.tokens_out, true);
    mock_putz(&play->out, "}");
}

static void count(struct mock_play *play)
{
    mock_putf(&play->out, "{\"input_tokens\":%" PRIu64 "}", play->answer.tokens_in);
}

const struct mock_writer mock_write_anthropic = {begin, open_block, piece, close_block, end, whole, count};

/*
 * Writes an answer as OpenAI Chat Completions: one completion, or chunks and [DONE].
 *
 * Usage comes in the stream only when stream_options.include_usage asks for it: null in every chunk, then one
 * chunk without choices. Thinking is `reasoning_content`, the spelling that most servers share.
 */
#include "mock.h"

#include <inttypes.h>

static void put_head(struct mock_play *play, const char *object)
{
    mock_putf(&play->out,
              "{\"id\":\"chatcmpl-%016" PRIx64 "\",\"object\":\"%s\",\"created\":%d,\"model\":", play->ask.hash, object,
              MOCK_CREATED);
    mock_quote(&play->out, play->ask.model);
    mock_putz(&play->out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\",\"choices\":[");
}

static void put_usage(struct mock_play *play)
{
    const struct mock_answer *a = &play->answer;
    mock_putf(&play->out,
              "{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64
              ",\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{"
              "\"reasoning_tokens\":%" PRIu64 ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
              "\"rejected_prediction_tokens\":0}}",
              a->tokens_in, a->tokens_out, a->tokens_in + a->tokens_out, a->tokens_thinking);
}

static const char *finish_reason(const struct mock_answer *answer)
{
    return answer->truncated ? "length" : answer->has_tool ? "tool_calls" : "stop";
}

static void chunk(struct mock_play *play)
{
    mock_putz(&play->out, "data: ");
    put_head(play, "chat.completion.chunk");
    mock_putz(&play->out, "{\"index\":0,\"delta\":{");
}

static void chunk_end(struct mock_play *play, const char *finish)
{
    mock_putz(&play->out, "},\"logprobs\":null,\"finish_reason\":");
    if (finish != NULL)
        mock_putf(&play->out, "\"%s\"}]", finish);
    else
        mock_putz(&play->out, "null}]");
    mock_putz(&play->out, play->ask.include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void begin(struct mock_play *play)
{
    chunk(play);
    mock_putz(&play->out, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
    chunk_end(play, NULL);
}

/* The id and the name of the call, as both shapes have them. */
static void put_call_head(struct mock_play *play)
{
    mock_putf(&play->out, "\"id\":\"call_%016" PRIx64 "\",\"type\":\"function\",\"function\":{\"name\":\"",
              play->ask.hash);
    mock_put(&play->out, play->ask.tool_name);
    mock_putz(&play->out, "\",\"arguments\":");
}

static void open_block(struct mock_play *play, const struct mock_block *block)
{
    if (block->kind != MOCK_TOOL)
        return;
    chunk(play);
    mock_putz(&play->out, "\"tool_calls\":[{\"index\":0,");
    put_call_head(play);
    mock_putz(&play->out, "\"\"}}]");
    chunk_end(play, NULL);
}

static void piece(struct mock_play *play, const struct mock_block *block, struct ccp_span text)
{
    static const char *const before[] = {
        [MOCK_THINKING] = "\"reasoning_content\":",
        [MOCK_TEXT] = "\"content\":",
        [MOCK_TOOL] = "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":",
    };
    chunk(play);
    mock_putz(&play->out, before[block->kind]);
    mock_quote(&play->out, text);
    mock_putz(&play->out, block->kind == MOCK_TOOL ? "}}]" : "");
    chunk_end(play, NULL);
}

static void close_block(struct mock_play *play, const struct mock_block *block)
{
    (void)play, (void)block; /* chunks have no end of a block */
}

static void end(struct mock_play *play)
{
    chunk(play);
    chunk_end(play, finish_reason(&play->answer));
    if (play->ask.include_usage) {
        mock_putz(&play->out, "data: ");
        put_head(play, "chat.completion.chunk");
        mock_putz(&play->out, "],\"usage\":");
        put_usage(play);
        mock_putz(&play->out, "}\n\n");
    }
    mock_putz(&play->out, "data: [DONE]\n\n");
}

static void put_block(struct mock_play *play, const struct mock_block *block)
{
    static const char *const before[] = {
        [MOCK_THINKING] = ",\"reasoning_content\":",
        [MOCK_TEXT] = ",\"content\":",
        [MOCK_TOOL] = ",\"content\":null,\"tool_calls\":[{",
    };
    mock_putz(&play->out, before[block->kind]);
    if (block->kind == MOCK_TOOL)
        put_call_head(play);
    mock_quote(&play->out, block->text);
    mock_putz(&play->out, block->kind == MOCK_TOOL ? "}}]" : "");
}

static void whole(struct mock_play *play)
{
    bool content = false;
    put_head(play, "chat.completion");
    mock_putz(&play->out, "{\"index\":0,\"message\":{\"role\":\"assistant\",\"refusal\":null,\"annotations\":[]");
    for (size_t i = 0; i < play->answer.count; i++) {
        put_block(play, &play->answer.block[i]);
        content |= play->answer.block[i].kind != MOCK_THINKING;
    }
    mock_putz(&play->out, content ? "" : ",\"content\":\"\"");
    mock_putf(&play->out, "},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":", finish_reason(&play->answer));
    put_usage(play);
    mock_putz(&play->out, "}");
}

const struct mock_writer mock_write_chat = {begin, open_block, piece, close_block, end, whole, NULL};

/*
 * Writes an answer as Gemini generateContent: one response, or responses that each carry the new parts.
 *
 * With alt=sse they are SSE events (CRLF, no [DONE]), without it the elements of one JSON array. A function call
 * comes whole in one part. Usage is in every response and grows; the finish reason is in the last one only.
 */
#include "mock.h"

#include <inttypes.h>

static void put_usage(struct mock_play *play, uint64_t tokens_out, uint64_t thinking)
{
    struct mock_out *out = &play->out;
    uint64_t tokens_in = play->answer.tokens_in;
    mock_putf(out, "\"usageMetadata\":{\"promptTokenCount\":%" PRIu64, tokens_in);
    if (tokens_out > thinking)
        mock_putf(out, ",\"candidatesTokenCount\":%" PRIu64, tokens_out - thinking);
    mock_putf(out, ",\"totalTokenCount\":%" PRIu64, tokens_in + tokens_out);
    if (thinking != 0)
        mock_putf(out, ",\"thoughtsTokenCount\":%" PRIu64, thinking);
    mock_putf(out, ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%" PRIu64 "}]}", tokens_in);
}

static void put_head(struct mock_play *play)
{
    mock_putz(&play->out, "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[");
}

static void put_tail(struct mock_play *play, bool last, uint64_t tokens_out, uint64_t thinking)
{
    mock_putz(&play->out, "]}");
    if (last)
        mock_putf(&play->out, ",\"finishReason\":\"%s\"", play->answer.truncated ? "MAX_TOKENS" : "STOP");
    mock_putz(&play->out, ",\"index\":0}],");
    put_usage(play, tokens_out, thinking);
    mock_putz(&play->out, ",\"modelVersion\":");
    mock_quote(&play->out, play->ask.model);
    mock_putf(&play->out, ",\"responseId\":\"mock-%016" PRIx64 "\"}", play->ask.hash);
}

static void put_part(struct mock_play *play, enum mock_kind kind, struct ccp_span text)
{
    if (kind == MOCK_TOOL) {
        mock_putf(&play->out, "{\"functionCall\":{\"id\":\"call_%016" PRIx64 "\",\"name\":\"", play->ask.hash);
        mock_put(&play->out, play->ask.tool_name);
        mock_putz(&play->out, "\",\"args\":");
        mock_put(&play->out, text);
        mock_putz(&play->out, "}}");
        return;
    }
    mock_putz(&play->out, "{\"text\":");
    mock_quote(&play->out, text);
    mock_putz(&play->out, kind == MOCK_THINKING ? ",\"thought\":true}" : "}");
}

static void chunk(struct mock_play *play, enum mock_kind kind, struct ccp_span text, bool last)
{
    if (play->ask.target.sse)
        mock_putz(&play->out, "data: ");
    else
        mock_putz(&play->out, play->sequence == 0 ? "[" : "\n,\n");
    play->sequence++;
    put_head(play);
    put_part(play, kind, text);
    put_tail(play, last, play->pieces, play->thinking);
    if (play->ask.target.sse)
        mock_putz(&play->out, "\r\n\r\n");
}

static void begin(struct mock_play *play)
{
    (void)play; /* the first part opens the stream */
}

static void open_block(struct mock_play *play, const struct mock_block *block)
{
    (void)play, (void)block;
}

static void piece(struct mock_play *play, const struct mock_block *block, struct ccp_span text)
{
    if (block->kind != MOCK_TOOL)
        chunk(play, block->kind, text, false);
}

static void close_block(struct mock_play *play, const struct mock_block *block)
{
    if (block->kind == MOCK_TOOL)
        chunk(play, MOCK_TOOL, block->text, false);
}

static void end(struct mock_play *play)
{
    chunk(play, MOCK_TEXT, CCP_SPAN(""), true);
    if (!play->ask.target.sse)
        mock_putz(&play->out, "\n]\n");
}

static void whole(struct mock_play *play)
{
    put_head(play);
    for (size_t i = 0; i < play->answer.count; i++) {
        mock_putz(&play->out, i != 0 ? "," : "");
        put_part(play, play->answer.block[i].kind, play->answer.block[i].text);
    }
    put_tail(play, true, play->answer.tokens_out, play->answer.tokens_thinking);
}

static void count(struct mock_play *play)
{
    uint64_t n = play->answer.tokens_in;
    mock_putf(&play->out,
              "{\"totalTokens\":%" PRIu64 ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%" PRIu64
              "}]}",
              n, n);
}

const struct mock_writer mock_write_gemini = {begin, open_block, piece, close_block, end, whole, count};

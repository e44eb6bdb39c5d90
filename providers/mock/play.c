/*
 * Produces the bytes of a reply in order: a stream event by event when each token is due, anything else at once.
 */
#include "play.h"

/* ms from the head until the n'th token (from 0) of a stream is due. */
static uint64_t token_due(const struct mock_config *c, uint64_t n)
{
    double pace = c->tokens_per_second > 0 ? (double)n * 1000 / c->tokens_per_second : 0;
    return c->first_token_delay + (uint64_t)pace;
}

uint64_t mock_reply_head_due(const struct mock_reply *reply)
{
    switch (reply->kind) {
    case MOCK_REPLY_WHOLE:
        return token_due(reply->config, reply->play.answer.tokens_out);
    case MOCK_REPLY_COUNT:
    case MOCK_REPLY_EMBED:
        return reply->config->first_token_delay;
    default:
        return 0; /* an error does not wait; a stream shows its head at once and waits before its first token */
    }
}

static bool at_token(const struct mock_play *play)
{
    return play->opened && play->offset < play->answer.block[play->block].text.n;
}

static void say_token(struct mock_play *play, const struct mock_writer *writer)
{
    const struct mock_block *block = &play->answer.block[play->block];
    struct ccp_span rest = ccp_span_skip(block->text, play->offset);
    size_t n = mock_piece(rest);
    play->pieces++;
    play->thinking += block->kind == MOCK_THINKING;
    play->offset += n;
    writer->piece(play, block, ccp_span_of(rest.p, n));
}

/* The next step of a stream. A block that has begun is always closed before the next one opens. */
static void step(struct mock_play *play, const struct mock_writer *writer)
{
    if (at_token(play)) {
        say_token(play, writer);
    } else if (play->opened) {
        writer->close(play, &play->answer.block[play->block]);
        play->opened = false;
        play->block++;
    } else if (play->block < play->answer.count) {
        play->offset = 0;
        play->opened = true;
        writer->open(play, &play->answer.block[play->block]);
    } else {
        writer->end(play);
        play->ended = true;
    }
}

/* mock-cut: the event after half of the tokens stops in its middle. */
static void cut_here(struct mock_reply *reply, size_t before)
{
    struct mock_out *out = &reply->play.out;
    out->n = before + (out->n - before) / 2;
    reply->broken = reply->finished = true;
}

static uint64_t produce_stream(struct mock_reply *reply, uint64_t elapsed)
{
    struct mock_play *play = &reply->play;
    if (!play->begun) {
        play->begun = true;
        reply->writer->begin(play);
    }
    while (!reply->finished && !play->out.failed && play->out.n < MOCK_BATCH) {
        size_t before = play->out.n;
        uint64_t due = at_token(play) ? token_due(reply->config, play->pieces) : 0;
        if (due > elapsed)
            return due - elapsed;
        step(play, reply->writer);
        reply->finished = play->ended;
        if (reply->cut && play->pieces > play->answer.tokens_out / 2)
            cut_here(reply, before);
    }
    return 0;
}

static void produce_whole(struct mock_reply *reply)
{
    reply->writer->whole(&reply->play);
    reply->finished = true;
    if (reply->cut)
        cut_here(reply, 0);
}

uint64_t mock_reply_produce(struct mock_reply *reply, uint64_t elapsed)
{
    struct mock_play *play = &reply->play;
    switch (reply->kind) {
    case MOCK_REPLY_STREAM:
        return produce_stream(reply, elapsed);
    case MOCK_REPLY_EMBED:
        mock_embed_write(play, reply->item, reply->items);
        reply->finished = ++reply->item == reply->items;
        return 0;
    case MOCK_REPLY_COUNT:
        reply->writer->count(play);
        break;
    case MOCK_REPLY_ERROR:
        mock_error_body(&play->out, &play->ask, reply->status, reply->message, reply->retry_after_s);
        break;
    default:
        produce_whole(reply);
        return 0;
    }
    reply->finished = true;
    return 0;
}

/*
 * Reading answers of an Anthropic upstream, streamed and whole (wire reference A.5, A.9, F.10).
 *
 * Liberal where others have been seen to err: a repeated message_start, a missing content_block_stop, index or stop
 * reason. Calls of the provider's own tools and their results are nothing the client could act on; they are passed
 * over, the texts around them stay.
 */
#include <format/anthropic.h>
#include <format/failure.h>

/* -- usage: cumulative, and what one event leaves out another has said -- */

static void count(uint64_t *to, const struct ccp_json *node)
{
    int64_t value;
    if (prompt_int(node, &value) && value >= 0)
        *to = (uint64_t)value;
}

/* Some servers tell the input once and repeat it as 0. */
static void count_input(uint64_t *to, const struct ccp_json *node)
{
    uint64_t value = 0;
    count(&value, node);
    if (value != 0)
        *to = value;
}

void anthropic_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage)
{
    if (usage == NULL || usage->type != CCP_JSON_OBJECT)
        return;
    count_input(&u->input, ccp_json_get(usage, "input_tokens"));
    count_input(&u->cache_read, ccp_json_get(usage, "cache_read_input_tokens"));
    count_input(&u->cache_write, ccp_json_get(usage, "cache_creation_input_tokens"));
    count_input(&u->cache_write_1h, ccp_json_get(ccp_json_get(usage, "cache_creation"), "ephemeral_1h_input_tokens"));
    count(&u->output, ccp_json_get(usage, "output_tokens"));
    count(&u->reasoning, ccp_json_get(ccp_json_get(usage, "output_tokens_details"), "thinking_tokens"));
    if (u->cache_write_1h > u->cache_write)
        u->cache_write = u->cache_write_1h;
    if (u->reasoning > u->output)
        u->reasoning = u->output;
    u->known = true;
}

/* -- stop -- */

static enum stop stop_of(ctext word)
{
    static const struct {
        const char *word;
        enum stop stop;
    } words[] = {
        {"end_turn", STOP_END},
        {"tool_use", STOP_TOOL},
        {"max_tokens", STOP_LENGTH},
        {"stop_sequence", STOP_SEQUENCE},
        {"refusal", STOP_REFUSAL},
        {"pause_turn", STOP_PAUSE},
        {"model_context_window_exceeded", STOP_CONTEXT},
        {"compaction", STOP_COMPACTION},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (ccp_span_is(word, words[i].word))
            return words[i].stop;
    return STOP_END;
}

static void read_stop(struct delta_stream *s, const struct ccp_json *from)
{
    ctext word = prompt_ctext(ccp_json_get(from, "stop_reason"));
    if (word.n != 0)
        delta_stop(s, stop_of(word), prompt_ctext(ccp_json_get(from, "stop_sequence")));
}

/* An upstream that says the message is complete but not why has ended it. */
static void finish(struct delta_stream *s)
{
    if (s->stop == STOP_NONE)
        delta_stop(s, STOP_END, CCP_SPAN(""));
    delta_finish(s);
}

/* -- blocks -- */

static void begin_call(struct delta_stream *s, uint64_t key, const struct ccp_json *block, bool whole)
{
    const struct ccp_json *input = ccp_json_get(block, "input");
    delta_open(s, key, PART_CALL, prompt_ctext(ccp_json_get(block, "id")), prompt_ctext(ccp_json_get(block, "name")));
    bool given = input != NULL && input->type != CCP_JSON_NULL && (whole || input->child != NULL);
    if (!given)
        return;
    delta_arguments(s, key, input->raw);
    delta_close(s, key); /* fragments that repeat it are ignored */
}

static void begin_text(struct delta_stream *s, uint64_t key, enum part_kind kind, const struct ccp_json *block,
                       const char *member)
{
    delta_open(s, key, kind, CCP_SPAN(""), CCP_SPAN(""));
    delta_text(s, key, prompt_ctext(ccp_json_get(block, member)));
}

static void begin_block(struct delta_stream *s, uint64_t key, const struct ccp_json *block, bool whole)
{
    const struct ccp_json *type = ccp_json_get(block, "type");
    if (prompt_is(type, "text")) {
        begin_text(s, key, PART_TEXT, block, "text");
    } else if (prompt_is(type, "tool_use")) {
        begin_call(s, key, block, whole);
    } else if (prompt_is(type, "thinking")) {
        begin_text(s, key, PART_THINKING, block, "thinking");
        delta_proof(s, key, PROOF_SIGNATURE, prompt_ctext(ccp_json_get(block, "signature")));
    } else if (prompt_is(type, "redacted_thinking")) {
        delta_open(s, key, PART_THINKING, CCP_SPAN(""), CCP_SPAN(""));
        delta_proof(s, key, PROOF_REDACTED, prompt_ctext(ccp_json_get(block, "data")));
    }
    if (whole)
        delta_close(s, key);
}

/* -- events -- */

static uint64_t index_of(const struct ccp_json *root, uint64_t otherwise)
{
    int64_t index;
    return prompt_int(ccp_json_get(root, "index"), &index) && index >= 0 ? (uint64_t)index : otherwise;
}

static void on_delta(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    const struct ccp_json *delta = ccp_json_get(root, "delta"), *type = ccp_json_get(delta, "type");
    uint64_t key = index_of(root, r->next - (r->next != 0));
    if (prompt_is(type, "text_delta"))
        delta_text(s, key, prompt_ctext(ccp_json_get(delta, "text")));
    else if (prompt_is(type, "input_json_delta"))
        delta_text(s, key, prompt_ctext(ccp_json_get(delta, "partial_json")));
    else if (prompt_is(type, "thinking_delta"))
        delta_text(s, key, prompt_ctext(ccp_json_get(delta, "thinking")));
    else if (prompt_is(type, "signature_delta"))
        delta_proof(s, key, PROOF_SIGNATURE, prompt_ctext(ccp_json_get(delta, "signature")));
}

static void on_message_start(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    const struct ccp_json *message = ccp_json_get(root, "message");
    anthropic_read_usage(delta_usage(s), NULL, ccp_json_get(message, "usage"));
    delta_start(s, prompt_ctext(ccp_json_get(message, "id")), prompt_ctext(ccp_json_get(message, "model")));
}

/* Blocks come one after the other: a new one ends those before it. */
static void on_block_start(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    uint64_t key = index_of(root, r->next);
    delta_close_all(s);
    r->next = key + 1;
    begin_block(s, key, ccp_json_get(root, "content_block"), false);
}

static void on_block_stop(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    delta_close(s, index_of(root, r->next - (r->next != 0)));
}

static void on_message_delta(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    anthropic_read_usage(delta_usage(s), NULL, ccp_json_get(root, "usage"));
    read_stop(s, ccp_json_get(root, "delta"));
}

static void on_message_stop(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    finish(s);
}

static void on_error(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    struct failure f = {0};
    failure_of_json(&f, s->scratch, 0, root);
    delta_fail(s, &f);
}

static const struct {
    struct ccp_span type;
    void (*take)(struct anthropic_reader *r, struct delta_stream *s, const struct ccp_json *root);
} events[] = {
    {CCP_LIT("content_block_delta"), on_delta},
    {CCP_LIT("content_block_start"), on_block_start},
    {CCP_LIT("content_block_stop"), on_block_stop},
    {CCP_LIT("message_start"), on_message_start},
    {CCP_LIT("message_delta"), on_message_delta},
    {CCP_LIT("message_stop"), on_message_stop},
    {CCP_LIT("error"), on_error},
};

void anthropic_read_event(void *self, struct delta_stream *s, const struct sse_event *event,
                          const struct ccp_json *root)
{
    ctext type = prompt_ctext(ccp_json_get(root, "type"));
    if (root == NULL || root->type != CCP_JSON_OBJECT) {
        if (event->data.n != 0 && !ccp_span_is(event->data, "[DONE]"))
            delta_garbled(s, "an event of the upstream's stream is not a JSON object");
        return;
    }
    if (type.n == 0)
        type = event->event;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (ccp_span_eq(type, events[i].type)) {
            events[i].take(self, s, root);
            return;
        }
}

void anthropic_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root)
{
    const struct ccp_json *content = ccp_json_get(root, "content");
    uint64_t key = 0;
    if (content == NULL || content->type != CCP_JSON_ARRAY) {
        delta_garbled(s, "the upstream's answer is no message");
        return;
    }
    anthropic_read_usage(delta_usage(s), NULL, ccp_json_get(root, "usage"));
    delta_start(s, prompt_ctext(ccp_json_get(root, "id")), prompt_ctext(ccp_json_get(root, "model")));
    for (const struct ccp_json *block = content->child; block != NULL; block = block->next)
        begin_block(s, key++, block, true);
    read_stop(s, root);
    finish(s);
}

/* Only message_stop ends a message. */
void anthropic_read_end(void *self, struct delta_stream *s)
{
    static const struct failure cut = {.kind = FAILURE_CUT,
                                       .message = CCP_LIT("the upstream's answer ended before it was complete")};
    delta_fail(s, &cut);
}

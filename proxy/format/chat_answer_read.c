/*
 * Chat answers into deltas (wire reference B.5, B.6, F.10): the frame of both kinds, stream and whole.
 *
 * A stream ends at [DONE], or at its plain end once a finish_reason was seen: usage comes behind that, so nothing is
 * finished earlier. Only choice 0 counts; several choices with that index are one answer in pieces.
 */
#include <format/chat.h>
#include <format/failure.h>
#include <stdlib.h>

void chat_no_memory(struct delta_stream *s)
{
    delta_fail(s, &(struct failure){.kind = FAILURE_OVERLOADED, .message = CCP_SPAN("out of memory"), .memory = true});
}

/* -- usage -- */

static uint64_t tokens(const struct ccp_json *object, const char *key)
{
    int64_t n;
    return prompt_int(chat_get(object, key), &n) && n > 0 ? (uint64_t)n : 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Some servers count reasoning beside the completion: then only all three make the total. */
static uint64_t output_tokens(const struct ccp_json *usage, uint64_t prompt, uint64_t reasoning)
{
    uint64_t completion = tokens(usage, "completion_tokens"), total = tokens(usage, "total_tokens");
    return total == prompt + completion + reasoning ? completion + reasoning : completion;
}

void chat_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage)
{
    const struct ccp_json *in = chat_get(usage, "prompt_tokens_details");
    if (chat_get(usage, "prompt_tokens") == NULL && chat_get(usage, "completion_tokens") == NULL)
        return;
    uint64_t prompt = tokens(usage, "prompt_tokens"), cached = tokens(in, "cached_tokens"),
             written = tokens(in, "cache_write_tokens"),
             reasoning = tokens(chat_get(usage, "completion_tokens_details"), "reasoning_tokens");
    if (cached == 0)
        cached = tokens(usage, "prompt_cache_hit_tokens");
    *u = (struct usage){.known = true, .cache_read = cached, .cache_write = written};
    u->input = less(prompt, cached + written);
    u->output = output_tokens(usage, prompt, reasoning);
    u->reasoning = reasoning < u->output ? reasoning : u->output;
}

/* -- choices -- */

static enum stop stop_of(ctext reason)
{
    static const struct {
        const char *word;
        enum stop stop;
    } words[] = {{"stop", STOP_END},         {"length", STOP_LENGTH},          {"max_tokens", STOP_LENGTH},
                 {"tool_calls", STOP_TOOL},  {"function_call", STOP_TOOL},     {"tool_use", STOP_TOOL},
                 {"refusal", STOP_REFUSAL},  {"content_filter", STOP_REFUSAL}, {"safety", STOP_REFUSAL},
                 {"stop_sequence", STOP_END}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (ccp_span_is(reason, words[i].word))
            return words[i].stop;
    return STOP_END;
}

static void read_finish(struct delta_stream *s, const struct ccp_json *choice)
{
    ctext reason = ccp_json_inner(chat_get(choice, "finish_reason"));
    if (ccp_span_is(reason, "error"))
        delta_fail(s, &(struct failure){.kind = FAILURE_UPSTREAM,
                                        .message = CCP_SPAN("the upstream ended its answer with an error")});
    else if (reason.n != 0)
        delta_stop(s, stop_of(reason), CCP_SPAN(""));
}

/* Some servers put the whole message into a chunk. */
static void read_choice(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *choice, bool whole)
{
    int64_t index;
    if (prompt_int(chat_get(choice, "index"), &index) && index != 0)
        return;
    const struct ccp_json *delta = whole ? NULL : chat_get(choice, "delta");
    if (delta == NULL) {
        delta = chat_get(choice, "message");
        whole = true;
    }
    r->any = true;
    chat_read_plain(r, s, delta);
    chat_read_calls(r, s, delta, whole);
    read_finish(s, choice);
    chat_read_usage(delta_usage(s), NULL, chat_get(choice, "usage"));
}

static void read_choices(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *root, bool whole)
{
    const struct ccp_json *choices = chat_get(root, "choices");
    if (choices == NULL || choices->type != CCP_JSON_ARRAY || choices->child == NULL)
        return;
    if (!r->any) {
        delta_start(s, ccp_json_inner(chat_get(root, "id")), ccp_json_inner(chat_get(root, "model")));
        r->seed = map_hash(0, root->raw);
    }
    for (const struct ccp_json *choice = choices->child; choice != NULL && !delta_over(s); choice = choice->next)
        read_choice(r, s, choice, whole);
}

static void read_root(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *root, bool whole)
{
    read_choices(r, s, root, whole);
    chat_read_usage(delta_usage(s), NULL, chat_get(chat_get(root, "x_groq"), "usage"));
    chat_read_usage(delta_usage(s), NULL, chat_get(root, "usage"));
}

/* -- the frame -- */

static bool is_error(const struct sse_event *event, const struct ccp_json *root)
{
    const struct ccp_json *body = root->type == CCP_JSON_ARRAY ? root->child : root, *error = chat_get(body, "error");
    if (ccp_span_is(event->event, "error") || prompt_is(chat_get(body, "object"), "error"))
        return true;
    return error != NULL && error->type != CCP_JSON_FALSE && !prompt_is(error, "");
}

static void read_done(struct chat_reader *r, struct delta_stream *s)
{
    if (r->any && s->stop == STOP_NONE)
        delta_stop(s, STOP_END, CCP_SPAN("")); /* some servers name no reason; the end itself is there */
    delta_finish(s);
}

void chat_read_event(void *self, struct delta_stream *s, const struct sse_event *event, const struct ccp_json *root)
{
    struct ccp_span data = ccp_span_trim(event->data);
    if (root == NULL && ccp_span_is(data, "[DONE]")) {
        read_done(self, s);
    } else if (root == NULL && data.n != 0) {
        delta_garbled(s, "the upstream's stream holds an event that is not JSON");
    } else if (root != NULL && is_error(event, root)) {
        struct failure f;
        failure_of_json(&f, s->scratch, 0, root);
        delta_fail(s, &f);
    } else if (root != NULL && root->type == CCP_JSON_OBJECT) {
        read_root(self, s, root, false);
    } else if (root != NULL) {
        delta_garbled(s, "the upstream's stream holds an event that is not a JSON object");
    }
}

void chat_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root)
{
    struct chat_reader *r = self;
    if (root->type == CCP_JSON_OBJECT)
        read_root(r, s, root, true);
    if (!r->any)
        delta_garbled(s, "the upstream's answer has no choices");
    read_done(r, s);
}

void chat_read_end(void *self, struct delta_stream *s)
{
    delta_finish(s);
}

void chat_reader_release(void *self)
{
    struct chat_reader *r = self;
    free(r->calls);
}

/*
 * Gemini answer to deltas: chunks, candidates, usage, ends (wire reference D.6, F.6, F.7, F.10).
 *
 * A whole answer is one chunk that has everything; a stream without events is an array of chunks. There is no mark for
 * the end: it is good when a finish reason or a block was seen before, else the stream was cut.
 */
#include <base/fault.h>
#include <format/failure.h>
#include <format/gemini.h>

#include <sys/random.h>

/* What one chunk leaves out another has said. */
void gemini_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage)
{
    enum { PROMPT, CACHED, CANDIDATES, THOUGHTS, TOOLS };
    static const char *const names[USAGE_SEEN] = {"promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount",
                                                  "thoughtsTokenCount", "toolUsePromptTokenCount"};
    for (size_t i = 0; i < USAGE_SEEN; i++)
        if (gemini_count(gemini_get(usage, names[i]), &seen[i]))
            u->known = true;
    uint64_t in = seen[PROMPT] + seen[TOOLS];
    u->cache_read = seen[CACHED] < in ? seen[CACHED] : in;
    u->input = in - u->cache_read;
    u->reasoning = seen[THOUGHTS];
    u->output = seen[CANDIDATES] + seen[THOUGHTS];
}

static enum stop stop_of(ctext reason)
{
    static const struct {
        const char *word;
        enum stop stop;
    } stops[] = {
        {"STOP", STOP_END},
        {"MAX_TOKENS", STOP_LENGTH},
        {"SAFETY", STOP_REFUSAL},
        {"RECITATION", STOP_REFUSAL},
        {"LANGUAGE", STOP_REFUSAL},
        {"BLOCKLIST", STOP_REFUSAL},
        {"PROHIBITED_CONTENT", STOP_REFUSAL},
        {"SPII", STOP_REFUSAL},
        {"MALFORMED_FUNCTION_CALL", STOP_MALFORMED},
        {"MALFORMED_RESPONSE", STOP_MALFORMED},
        {"UNEXPECTED_TOOL_CALL", STOP_MALFORMED},
        {"TOO_MANY_TOOL_CALLS", STOP_MALFORMED},
        {"MISSING_THOUGHT_SIGNATURE", STOP_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        if (ccp_span_is(reason, stops[i].word))
            return stops[i].stop;
    return ccp_span_starts(reason, CCP_SPAN("IMAGE_")) ? STOP_REFUSAL : STOP_END;
}

static void read_reason(struct gemini_reader *r, struct delta_stream *s, ctext reason)
{
    if (reason.n == 0 || ccp_span_is(reason, "FINISH_REASON_UNSPECIFIED"))
        return;
    enum stop stop = stop_of(reason);
    r->finished = true;
    r->truncated = stop == STOP_LENGTH;
    delta_stop(s, stop, CCP_SPAN(""));
}

/* Others are answers of their own, which nobody asked for. */
static const struct ccp_json *first_candidate(const struct ccp_json *chunk)
{
    const struct ccp_json *list = gemini_get(chunk, "candidates");
    uint64_t index;
    for (const struct ccp_json *c = list != NULL && list->type == CCP_JSON_ARRAY ? list->child : NULL; c != NULL;
         c = c->next)
        if (!gemini_count(gemini_get(c, "index"), &index) || index == 0)
            return c;
    return NULL;
}

static void read_candidate(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *candidate)
{
    const struct ccp_json *parts = gemini_get(gemini_get(candidate, "content"), "parts");
    for (const struct ccp_json *part = parts != NULL ? parts->child : NULL; part != NULL; part = part->next)
        gemini_read_part(r, s, part);
    read_reason(r, s, prompt_ctext(gemini_get(candidate, "finishReason")));
}

static void read_block(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *feedback)
{
    ctext reason = prompt_ctext(gemini_get(feedback, "blockReason"));
    if (reason.n == 0 || ccp_span_is(reason, "BLOCK_REASON_UNSPECIFIED"))
        return;
    r->finished = true;
    delta_stop(s, STOP_REFUSAL, CCP_SPAN(""));
}

/* Without an id of the answer nothing but chance makes its call ids differ from those of another one. */
static void start(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *chunk)
{
    if (r->started)
        return;
    ctext id = prompt_ctext(gemini_get(chunk, "responseId"));
    r->started = true;
    r->seed = map_hash(0, id);
    if (id.n == 0 && (CCP_FAULT("gemini.random") || getrandom(&r->seed, sizeof(r->seed), 0) != sizeof(r->seed)))
        r->seed = (uintptr_t)r ^ map_hash(1, chunk->raw);
    delta_start(s, id, prompt_ctext(gemini_get(chunk, "modelVersion")));
}

static void read_error(struct delta_stream *s, const struct ccp_json *root)
{
    struct failure f;
    failure_of_json(&f, s->scratch, 0, root);
    delta_fail(s, &f);
}

static void read_chunk(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *chunk)
{
    const struct ccp_json *inner = gemini_get(chunk, "response");
    if (chunk->type != CCP_JSON_OBJECT) {
        delta_garbled(s, "a chunk of the upstream's answer is no object");
        return;
    }
    if (gemini_get(chunk, "error") != NULL) {
        read_error(s, chunk);
        return;
    }
    if (inner != NULL) /* Code Assist's envelope */
        chunk = inner;
    start(r, s, chunk);
    gemini_read_usage(delta_usage(s), r->seen, gemini_get(chunk, "usageMetadata"));
    read_candidate(r, s, first_candidate(chunk));
    read_block(r, s, gemini_get(chunk, "promptFeedback"));
}

static void read_root(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *root)
{
    if (root->type != CCP_JSON_ARRAY) {
        read_chunk(r, s, root);
        return;
    }
    for (const struct ccp_json *chunk = root->child; chunk != NULL; chunk = chunk->next)
        read_chunk(r, s, chunk);
}

void gemini_read_event(void *self, struct delta_stream *s, const struct sse_event *event, const struct ccp_json *root)
{
    if (root != NULL)
        read_root(self, s, root);
    else if (!ccp_span_is(ccp_span_trim(event->data), "[DONE]") && ccp_span_trim(event->data).n != 0)
        delta_garbled(s, "an event of the upstream's stream is no JSON");
}

void gemini_read_end(void *self, struct delta_stream *s)
{
    struct gemini_reader *r = self;
    static const struct failure cut = {.kind = FAILURE_CUT,
                                       .message = CCP_LIT("the upstream's answer ended before it was complete")};
    if (!r->finished) {
        delta_fail(s, &cut);
        return;
    }
    gemini_close_part(r, s);
    delta_finish(s);
}

void gemini_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root)
{
    read_root(self, s, root);
    gemini_read_end(self, s);
}

/*
 * The events of a Responses stream, one by one (wire reference C.5).
 */
#include <format/responses.h>

/* What an event handler works with. */
struct at {
    struct responses_reader *r;
    struct delta_stream *s;
    const struct ccp_json *root;
    uint64_t index;
};

static uint64_t uint_of(const struct ccp_json *root, const char *key, uint64_t otherwise)
{
    int64_t value;
    return prompt_int(ccp_json_get(root, key), &value) && value >= 0 && value < 1 << 30 ? (uint64_t)value : otherwise;
}

static ctext text_of(const struct at *at, const char *key)
{
    return prompt_ctext(ccp_json_get(at->root, key));
}

static void message_delta(const struct at *at, enum part_kind kind)
{
    struct responses_slot *slot = responses_slot_for(at->r, at->index, ITEM_MESSAGE);
    if (slot != NULL)
        responses_message_text(at->s, slot, uint_of(at->root, "content_index", 0), kind, text_of(at, "delta"));
}

static void text_delta(const struct at *at)
{
    message_delta(at, PART_TEXT);
}

static void refusal_delta(const struct at *at)
{
    at->r->refused = true;
    message_delta(at, PART_REFUSAL);
}

/* A part ends; what it says as a whole is only needed when no fragment came. */
static void message_end(const struct at *at, enum part_kind kind, const char *key)
{
    struct responses_slot *slot = responses_slot_for(at->r, at->index, ITEM_MESSAGE);
    uint64_t part = uint_of(at->root, "content_index", 0);
    if (slot == NULL || part < slot->part)
        return;
    if (!delta_has_text(at->s, responses_key(at->index, part)))
        responses_message_text(at->s, slot, part, kind, text_of(at, key));
    delta_close(at->s, responses_key(at->index, part));
    slot->part = part + 1;
}

static void text_done(const struct at *at)
{
    message_end(at, PART_TEXT, "text");
}

static void refusal_done(const struct at *at)
{
    at->r->refused = true;
    message_end(at, PART_REFUSAL, "refusal");
}

/* Only an item that was announced has a name; what comes for others is taken when they are done. */
static bool is_call(const struct at *at)
{
    const struct responses_slot *slot = responses_slot(at->r, at->index);
    return slot != NULL && slot->opened;
}

static void call_delta(const struct at *at)
{
    if (is_call(at))
        delta_text(at->s, responses_key(at->index, 0), text_of(at, "delta"));
}

static void arguments_done(const struct at *at)
{
    if (is_call(at))
        responses_call_text(at->s, responses_key(at->index, 0), ccp_json_get(at->root, "arguments"));
}

static void input_done(const struct at *at)
{
    if (is_call(at))
        responses_call_text(at->s, responses_key(at->index, 0), ccp_json_get(at->root, "input"));
}

static void thinking(const struct at *at, const char *part, bool summary, ctext text)
{
    struct responses_slot *slot = responses_slot_for(at->r, at->index, ITEM_REASONING);
    if (slot != NULL)
        responses_thinking(at->s, slot, uint_of(at->root, part, 0), summary, text);
}

static void summary_delta(const struct at *at)
{
    thinking(at, "summary_index", true, text_of(at, "delta"));
}

static void reasoning_delta(const struct at *at)
{
    thinking(at, "content_index", false, text_of(at, "delta"));
}

/* Has this part of the thinking been told in fragments? */
static bool told(const struct at *at, const char *part)
{
    const struct responses_slot *slot = responses_slot(at->r, at->index);
    return slot == NULL ? at->index < at->r->seen : slot->said && slot->part >= uint_of(at->root, part, 0);
}

static void summary_done(const struct at *at)
{
    if (!told(at, "summary_index"))
        thinking(at, "summary_index", true, text_of(at, "text"));
}

static void summary_part_done(const struct at *at)
{
    if (!told(at, "summary_index"))
        thinking(at, "summary_index", true, prompt_ctext(ccp_json_get(ccp_json_get(at->root, "part"), "text")));
}

static void reasoning_done(const struct at *at)
{
    if (!told(at, "content_index"))
        thinking(at, "content_index", false, text_of(at, "text"));
}

static void item_added(const struct at *at)
{
    responses_item_added(at->r, at->s, at->index, ccp_json_get(at->root, "item"));
}

static void item_done(const struct at *at)
{
    responses_item_done(at->r, at->s, at->index, ccp_json_get(at->root, "item"));
}

static void started(const struct at *at)
{
    const struct ccp_json *response = ccp_json_get(at->root, "response");
    delta_start(at->s, prompt_ctext(ccp_json_get(response, "id")), prompt_ctext(ccp_json_get(response, "model")));
}

static void ended(const struct at *at)
{
    responses_final(at->r, at->s, ccp_json_get(at->root, "response"), at->root);
}

static void error(const struct at *at)
{
    responses_fail(at->s, at->root);
}

/* The frequent ones first. */
static const struct {
    const char *type;
    void (*run)(const struct at *at);
} events[] = {
    {"response.output_text.delta", text_delta},
    {"response.function_call_arguments.delta", call_delta},
    {"response.reasoning_summary_text.delta", summary_delta},
    {"response.reasoning_text.delta", reasoning_delta},
    {"response.custom_tool_call_input.delta", call_delta},
    {"response.refusal.delta", refusal_delta},
    {"response.output_item.added", item_added},
    {"response.output_item.done", item_done},
    {"response.output_text.done", text_done},
    {"response.refusal.done", refusal_done},
    {"response.function_call_arguments.done", arguments_done},
    {"response.custom_tool_call_input.done", input_done},
    {"response.reasoning_summary_text.done", summary_done},
    {"response.reasoning_summary_part.done", summary_part_done},
    {"response.reasoning_text.done", reasoning_done},
    {"response.created", started},
    {"response.queued", started},
    {"response.in_progress", started},
    {"response.completed", ended},
    {"response.incomplete", ended},
    {"response.failed", ended},
    {"response.cancelled", ended},
    {"error", error},
};

static bool blank_or_done(struct ccp_span data)
{
    data = ccp_span_trim(data);
    return data.n == 0 || ccp_span_is(data, "[DONE]");
}

void responses_read_event(void *self, struct delta_stream *s, const struct sse_event *event,
                          const struct ccp_json *root)
{
    struct responses_reader *r = self;
    if (delta_over(s) || (root == NULL && blank_or_done(event->data)))
        return;
    if (root == NULL || root->type != CCP_JSON_OBJECT) {
        delta_garbled(s, "an event of the provider's answer is not a JSON object");
        return;
    }
    struct at at = {.r = r, .s = s, .root = root};
    ctext type = prompt_ctext(ccp_json_get(root, "type"));
    if (type.n == 0)
        type = event->event;
    if (type.n == 0 && ccp_json_get(root, "error") != NULL)
        type = CCP_SPAN("error");
    r->current = at.index = uint_of(root, "output_index", r->current);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]) && !delta_over(s); i++)
        if (ccp_span_is(type, events[i].type)) {
            events[i].run(&at);
            return;
        }
}

void responses_read_end(void *self, struct delta_stream *s)
{
    static const struct failure cut = {
        .kind = FAILURE_CUT, .message = CCP_LIT("the provider's stream ended before the answer was complete")};
    (void)self;
    delta_fail(s, &cut); /* only a final event ends an answer */
}

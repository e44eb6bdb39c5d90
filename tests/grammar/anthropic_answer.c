/*
 * Anthropic Messages, what a client gets: stream, whole answer, error (wire reference A.5, A.9, A.10).
 *
 * Arguments in a stream are not judged as JSON: the vendor's own fine-grained streams may break there (A.9 rule 4).
 */
#include "check.h"

static const struct row usage_rows[] = {{"input_tokens", NEEDED | INTEGER, AT_LEAST(0)},
                                        {"output_tokens", NEEDED | INTEGER, AT_LEAST(0)},
                                        {"cache_creation_input_tokens", INTEGER | NIL, AT_LEAST(0)},
                                        {"cache_read_input_tokens", INTEGER | NIL, AT_LEAST(0)},
                                        {"cache_creation", OBJECT | NIL},
                                        {"output_tokens_details", OBJECT | NIL},
                                        {"server_tool_use", OBJECT | NIL},
                                        {"service_tier", STRING | NIL},
                                        {NULL}};

static bool usage(struct check *c, const struct node *u)
{
    const struct node *details = grammar_tree_get(u, "output_tokens_details"),
                      *created = grammar_tree_get(u, "cache_creation");
    if (!members(c, u, "usage", usage_rows, false))
        return false;
    if (number_of(details, "thinking_tokens") > number_of(u, "output_tokens"))
        return refuse(c, "more thinking tokens than output tokens");
    double parts = number_of(created, "ephemeral_5m_input_tokens") + number_of(created, "ephemeral_1h_input_tokens");
    return parts <= number_of(u, "cache_creation_input_tokens") || refuse(c, "more cache writes in parts than in sum");
}

static bool message(struct check *c, const struct node *m)
{
    static const struct row rows[] = {{"id", NEEDED | STRING},
                                      {"type", NEEDED | STRING},
                                      {"role", NEEDED | STRING},
                                      {"model", NEEDED | STRING},
                                      {"content", NEEDED | ARRAY},
                                      {"stop_reason", NEEDED | STRING | NIL},
                                      {"stop_sequence", NEEDED | STRING | NIL},
                                      {"usage", NEEDED | OBJECT},
                                      {NULL}};
    if (!members(c, m, "message", rows, false))
        return false;
    if (!is_word(m, "type", "message") || !is_word(m, "role", "assistant"))
        return refuse(c, "type is not message or role is not assistant");
    if (!has_prefix(text_of(m, "id"), "msg_") || !is_name(text_of(m, "id"), 5, 200, "_-"))
        return refuse(c, "id does not begin with msg_ or has strange letters");
    return (text_of(m, "model").n != 0 || refuse(c, "model is empty")) && usage(c, grammar_tree_get(m, "usage"));
}

/* What holds for a block in a whole answer and at its start in a stream. */
static bool block(struct check *c, const struct node *b, bool starts)
{
    static const struct row text[] = {{"type", NEEDED | STRING}, {"text", NEEDED | STRING}, {NULL}};
    static const struct row thinking[] = {
        {"type", NEEDED | STRING}, {"thinking", NEEDED | STRING}, {"signature", NEEDED | STRING}, {NULL}};
    static const struct row redacted[] = {{"type", NEEDED | STRING}, {"data", NEEDED | STRING}, {NULL}};
    static const struct row call[] = {{"type", NEEDED | STRING},
                                      {"id", NEEDED | STRING},
                                      {"name", NEEDED | STRING},
                                      {"input", NEEDED | OBJECT},
                                      {NULL}};
    if (is_word(b, "type", "text"))
        return members(c, b, "text", text, false) &&
               (!starts || text_of(b, "text").n == 0 || refuse(c, "text at start"));
    if (is_word(b, "type", "thinking"))
        return members(c, b, "thinking", thinking, false) &&
               (!starts || (text_of(b, "thinking").n == 0 && text_of(b, "signature").n == 0) ||
                refuse(c, "thinking at start"));
    if (is_word(b, "type", "redacted_thinking"))
        return members(c, b, "redacted_thinking", redacted, false) &&
               (text_of(b, "data").n != 0 || refuse(c, "redacted_thinking without data"));
    if (!is_word(b, "type", "tool_use"))
        return refuse(c, "a block of a type nobody knows");
    return members(c, b, "tool_use", call, false) &&
           (is_name(text_of(b, "id"), 1, 500, "_-") || refuse(c, "tool_use.id does not fit its pattern")) &&
           (text_of(b, "name").n != 0 || refuse(c, "tool_use without a name")) &&
           (!starts || grammar_tree_get(b, "input")->count == 0 || refuse(c, "input at start"));
}

/* The end: why, and with which text. `calls`: are there tool_use blocks? */
static bool stopped(struct check *c, const struct node *m, bool calls)
{
    static const struct row rows[] = {
        {"stop_reason", NEEDED | STRING,
         "end_turn|max_tokens|stop_sequence|tool_use|pause_turn|refusal|model_context_window_exceeded|compaction"},
        {"stop_sequence", NEEDED | STRING | NIL},
        {NULL}};
    if (!members(c, m, "end", rows, false))
        return false;
    if (is_word(m, "stop_reason", "stop_sequence") != (given(m, "stop_sequence") != NULL))
        return refuse(c, "stop_sequence without its reason, or the reason without it");
    if (is_word(m, "stop_reason", "tool_use") && !calls)
        return refuse(c, "tool_use as the reason without a call");
    return !calls || !is_word(m, "stop_reason", "end_turn") || refuse(c, "end_turn as the reason behind a call");
}

bool anthropic_whole(struct check *c, const struct node *root)
{
    bool calls = false;
    if (!message(c, root))
        return false;
    for (const struct node *b = grammar_tree_get(root, "content")->child; b != NULL; b = b->next) {
        if (!block(c, b, false))
            return false;
        calls = calls || is_word(b, "type", "tool_use");
    }
    return stopped(c, root, calls);
}

/* -- stream -- */

enum state { BEFORE, BETWEEN, INSIDE, ENDING, OVER };
struct stream {
    struct check *c;
    enum state state;
    size_t blocks;
    struct ccp_span kind; /* of the open block */
    bool signed_, calls, failed;
};

static bool starts(struct stream *s, const struct node *d)
{
    const struct node *m = grammar_tree_get(d, "message");
    s->state = BETWEEN;
    return message(s->c, m) &&
           (grammar_tree_get(m, "content")->count == 0 || refuse(s->c, "message_start with content")) &&
           ((given(m, "stop_reason") == NULL && given(m, "stop_sequence") == NULL) ||
            refuse(s->c, "message_start with a reason to stop"));
}

static bool index_is(struct stream *s, const struct node *d, size_t index)
{
    const struct node *i = grammar_tree_get(d, "index");
    return (i != NULL && i->type == INTEGER && i->number == (double)index) || refuse(s->c, "index is not %zu", index);
}

static bool opens(struct stream *s, const struct node *d)
{
    const struct node *b = grammar_tree_get(d, "content_block");
    if (!index_is(s, d, s->blocks) || !block(s->c, b, true))
        return false;
    s->state = INSIDE;
    s->blocks++;
    s->kind = text_of(b, "type");
    s->signed_ = false;
    s->calls = s->calls || ccp_span_is(s->kind, "tool_use");
    return true;
}

static bool fragment(struct stream *s, const struct node *delta, const char *key, const char *kind)
{
    const struct node *text = grammar_tree_get(delta, key);
    if (text == NULL || text->type != STRING)
        return refuse(s->c, "a delta without %s", key);
    if (!ccp_span_is(s->kind, kind))
        return refuse(s->c, "a delta with %s in a block of another type", key);
    return !cuts_a_character(text->text) || refuse(s->c, "a fragment cuts a character in two");
}

static bool grows(struct stream *s, const struct node *d)
{
    const struct node *delta = grammar_tree_get(d, "delta");
    if (!index_is(s, d, s->blocks - 1))
        return false;
    if (s->signed_)
        return refuse(s->c, "a delta behind the signature");
    if (is_word(delta, "type", "text_delta"))
        return fragment(s, delta, "text", "text");
    if (is_word(delta, "type", "thinking_delta"))
        return fragment(s, delta, "thinking", "thinking");
    if (is_word(delta, "type", "input_json_delta"))
        return fragment(s, delta, "partial_json", "tool_use");
    if (!is_word(delta, "type", "signature_delta"))
        return refuse(s->c, "a delta of a type nobody knows");
    s->signed_ = true;
    return fragment(s, delta, "signature", "thinking");
}

static bool ends(struct stream *s, const struct node *d)
{
    s->state = ENDING;
    return stopped(s->c, grammar_tree_get(d, "delta"), s->calls) && usage(s->c, grammar_tree_get(d, "usage"));
}

/* What may come in which state, and what it does. */
static const struct step {
    const char *type;
    unsigned in; /* bits of states */
    bool (*take)(struct stream *s, const struct node *d);
} steps[] = {{"message_start", 1 << BEFORE, starts},
             {"content_block_start", 1 << BETWEEN, opens},
             {"content_block_delta", 1 << INSIDE, grows},
             {"content_block_stop", 1 << INSIDE, NULL},
             {"message_delta", 1 << BETWEEN, ends},
             {"message_stop", 1 << ENDING, NULL},
             {"ping", 1 << BETWEEN | 1 << INSIDE | 1 << ENDING, NULL},
             {"error", 1 << BEFORE | 1 << BETWEEN | 1 << INSIDE | 1 << ENDING, NULL}};

static bool take(void *self, const struct frame *f)
{
    struct stream *s = self;
    const struct step *step = steps, *end = steps + sizeof(steps) / sizeof(*steps);
    struct ccp_span type = text_of(f->data, "type");
    if (!ccp_span_eq(f->event, type) || type.n == 0)
        return refuse(s->c, "event: is not the type");
    while (step < end && !ccp_span_is(type, step->type))
        step++;
    if (step == end)
        return refuse(s->c, "%.*s is a type nobody knows", (int)(type.n < 40 ? type.n : 40), type.p);
    if ((step->in >> s->state & 1) == 0)
        return refuse(s->c, "%s may not stand here", step->type);
    if (step->take != NULL)
        return step->take(s, f->data);
    if (is_word(f->data, "type", "content_block_stop")) {
        s->state = BETWEEN;
        return index_is(s, f->data, s->blocks - 1);
    }
    if (is_word(f->data, "type", "message_stop"))
        s->state = OVER;
    s->failed = is_word(f->data, "type", "error");
    if (!s->failed)
        return true;
    s->state = OVER;
    return (s->c->may_fail || refuse(s->c, "an error")) && anthropic_error(s->c, f->data);
}

bool anthropic_stream(struct check *c, struct ccp_span bytes)
{
    struct stream s = {.c = c};
    return frames(c, bytes, false, take, &s) && (s.state == OVER || refuse(c, "the stream has no end"));
}

bool anthropic_error(struct check *c, const struct node *root)
{
    static const struct row rows[] = {
        {"type", NEEDED | STRING, "error"}, {"error", NEEDED | OBJECT}, {"request_id", STRING | NIL}, {NULL}};
    static const struct row error[] = {
        {"type", NEEDED | STRING,
         "invalid_request_error|authentication_error|billing_error|permission_error|not_found_error|conflict_error|"
         "request_too_large|rate_limit_error|api_error|timeout_error|overloaded_error"},
        {"message", NEEDED | STRING},
        {NULL}};
    return members(c, root, "root", rows, false) && members(c, grammar_tree_get(root, "error"), "error", error, false);
}

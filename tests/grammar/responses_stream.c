/*
 * OpenAI Responses, the stream (wire reference C.5): numbers without gaps, items and their parts one after the other,
 * every text told twice and the same both times, one terminal event that repeats all items.
 *
 * The vendor may have several items open at once; ours never do, so it is refused here.
 */
#include "responses.h"

enum phase { BEFORE, CREATED, RUNNING, OVER };

struct stream {
    struct check *c;
    enum phase phase;
    const struct node *response; /* of response.created */
    const struct node *item;     /* the open one, as it was added */
    const struct node *part;     /* the open content or summary part, as it was added */
    struct gathered text;        /* of the open part or call */
    bool text_done;
    size_t items, parts;                    /* items added; parts of the open item that are closed */
    const struct node **done, **done_parts; /* in order */
    size_t done_size, done_parts_size;
    struct seen ids;
};

static void keep(struct check *c, const struct node ***list, size_t n, size_t *size, const struct node *node)
{
    if (n == *size) {
        size_t larger = *size * 2 + 16;
        const struct node **copy = grammar_tree_memory(&c->tree, larger * sizeof(**list));
        if (n != 0)
            memcpy(copy, *list, n * sizeof(**list));
        *list = copy;
        *size = larger;
    }
    (*list)[n] = node;
}

static bool number_is(struct stream *s, const struct node *d, const char *key, size_t value)
{
    const struct node *n = grammar_tree_get(d, key);
    return (n != NULL && n->type == INTEGER && n->number == (double)value) || refuse(s->c, "%s is not %zu", key, value);
}

/* item_id and output_index of the open item. */
static bool about_item(struct stream *s, const struct node *d)
{
    if (s->item == NULL)
        return refuse(s->c, "about an item when none is open");
    return number_is(s, d, "output_index", s->items - 1) &&
           (ccp_span_eq(text_of(d, "item_id"), text_of(s->item, "id")) || refuse(s->c, "item_id is another one"));
}

/* -- response.* -- */

static bool same_response(struct stream *s, const struct node *r)
{
    const struct node *first = s->response;
    return (ccp_span_eq(text_of(r, "id"), text_of(first, "id")) &&
            ccp_span_eq(text_of(r, "model"), text_of(first, "model")) &&
            number_of(r, "created_at") == number_of(first, "created_at")) ||
           refuse(s->c, "id, created_at or model changed");
}

static bool begins(struct stream *s, const struct node *d)
{
    const struct node *r = grammar_tree_get(d, "response");
    bool created = is_word(d, "type", "response.created");
    if (!responses_object(s->c, r, "in_progress"))
        return false;
    if (grammar_tree_get(r, "output")->count != 0)
        return refuse(s->c, "output at the beginning");
    if (created)
        s->response = r;
    s->phase = created ? CREATED : RUNNING;
    return same_response(s, r);
}

/* All but the status: that the last item was cut short may only be known at the end. */
static bool same_item(const struct node *item, const struct node *done)
{
    const struct node *a = item->child, *b = done->child;
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        bool cut_short = ccp_span_is(a->key, "status") && item->next == NULL && ccp_span_is(a->text, "incomplete");
        if (!ccp_span_eq(a->key, b->key) || (!cut_short && !grammar_tree_equal(a, b)))
            return false;
    }
    return a == b;
}

static bool ends(struct stream *s, const struct node *d, const char *status)
{
    const struct node *r = grammar_tree_get(d, "response"), *item;
    size_t i = 0;
    s->phase = OVER;
    if (!responses_object(s->c, r, status) || !same_response(s, r))
        return false;
    if (strcmp(status, "failed") == 0)
        return s->c->may_fail || refuse(s->c, "an error");
    if (s->item != NULL)
        return refuse(s->c, "an item is still open at the end");
    for (item = grammar_tree_get(r, "output")->child; item != NULL; item = item->next, i++)
        if (i == s->items || !same_item(item, s->done[i]))
            return refuse(s->c, "output[%zu] is not the item that was done", i);
    return i == s->items || refuse(s->c, "output lacks items that were done");
}

static bool fails(struct stream *s, const struct node *d)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},        {"sequence_number", NEEDED | INTEGER},
                                      {"code", NEEDED | STRING | NIL},  {"message", NEEDED | STRING},
                                      {"param", NEEDED | STRING | NIL}, {NULL}};
    s->phase = OVER;
    return (s->c->may_fail || refuse(s->c, "an error")) && members(s->c, d, "error", rows, false) &&
           (s->response == NULL || refuse(s->c, "a bare error after response.created"));
}

/* -- items -- */

static bool adds_item(struct stream *s, const struct node *d)
{
    const struct node *item = grammar_tree_get(d, "item");
    if (s->item != NULL)
        return refuse(s->c, "an item inside another one");
    if (!number_is(s, d, "output_index", s->items) || !responses_item(s->c, item))
        return false;
    for (const char *const *k = (const char *const[]){"content", "summary", NULL}; *k != NULL; k++)
        if (grammar_tree_get(item, *k) != NULL && grammar_tree_get(item, *k)->count != 0)
            return refuse(s->c, "an item is added with its content");
    if (text_of(item, "arguments").n != 0 || text_of(item, "input").n != 0)
        return refuse(s->c, "an item is added with its arguments");
    if (grammar_tree_get(item, "status") != NULL && !is_word(item, "status", "in_progress"))
        return refuse(s->c, "an item is added that is not in progress");
    if (!seen_add(s->c, &s->ids, text_of(item, "id")))
        return refuse(s->c, "two items of one id");
    s->item = item;
    s->items++;
    s->parts = 0;
    s->text = (struct gathered){0};
    s->text_done = false;
    return true;
}

static bool same_member(struct stream *s, const struct node *item, const char *key)
{
    return grammar_tree_equal(grammar_tree_get(item, key), grammar_tree_get(s->item, key)) ||
           refuse(s->c, "%s changed", key);
}

static bool same_parts(struct stream *s, const struct node *list)
{
    size_t i = 0;
    for (const struct node *p = list->child; p != NULL; p = p->next, i++)
        if (i == s->parts || !grammar_tree_equal(p, s->done_parts[i]))
            return refuse(s->c, "the item's parts are not those that were done");
    return i == s->parts || refuse(s->c, "the item lacks parts that were done");
}

static bool closes_item(struct stream *s, const struct node *d)
{
    const struct node *item = grammar_tree_get(d, "item"), *list, *text;
    if (s->item == NULL || s->part != NULL)
        return refuse(s->c, "an item is done that is not open, or whose part is");
    if (!number_is(s, d, "output_index", s->items - 1) || !responses_item(s->c, item) ||
        !same_member(s, item, "type") || !same_member(s, item, "id") || !same_member(s, item, "name") ||
        !same_member(s, item, "call_id"))
        return false;
    if (is_word(item, "status", "in_progress"))
        return refuse(s->c, "an item is done and in progress");
    list = grammar_tree_get(item, is_word(item, "type", "reasoning") ? "summary" : "content");
    text = grammar_tree_get(item, is_word(item, "type", "custom_tool_call") ? "input" : "arguments");
    if (list != NULL && !same_parts(s, list))
        return false;
    if (text != NULL && (!s->text_done || !ccp_span_eq(text->text, gathered_span(&s->text))))
        return refuse(s->c, "the call's text is not that of its deltas, or was not done");
    keep(s->c, &s->done, s->items - 1, &s->done_size, item);
    s->item = NULL;
    return true;
}

/* -- parts -- */

static const char *part_index(const struct stream *s)
{
    return is_word(s->item, "type", "reasoning") ? "summary_index" : "content_index";
}

/* The text of a part, under whichever name. */
static struct ccp_span part_text(const struct node *p)
{
    return text_of(p, is_word(p, "type", "refusal") ? "refusal" : "text");
}

static bool part_fits(struct stream *s, const struct node *d)
{
    const struct node *p = grammar_tree_get(d, "part");
    if (!about_item(s, d) || !number_is(s, d, part_index(s), s->parts))
        return false;
    if (is_word(s->item, "type", "reasoning"))
        return (is_word(p, "type", "summary_text") && grammar_tree_get(p, "text") != NULL) ||
               refuse(s->c, "a summary that is none");
    return (is_word(s->item, "type", "message") || refuse(s->c, "a part of a call")) && responses_part(s->c, p);
}

static bool adds_part(struct stream *s, const struct node *d)
{
    bool summary = is_word(d, "type", "response.reasoning_summary_part.added");
    if (s->part != NULL || !part_fits(s, d) || summary != is_word(s->item, "type", "reasoning"))
        return refuse(s->c, "a part that may not begin here");
    s->part = grammar_tree_get(d, "part");
    s->text = (struct gathered){0};
    s->text_done = false;
    return part_text(s->part).n == 0 || refuse(s->c, "a part is added with its text");
}

static bool closes_part(struct stream *s, const struct node *d)
{
    const struct node *p = grammar_tree_get(d, "part");
    bool summary = is_word(d, "type", "response.reasoning_summary_part.done");
    if (s->part == NULL || !s->text_done || !part_fits(s, d) || summary != is_word(s->item, "type", "reasoning"))
        return refuse(s->c, "a part is done that is not open, or whose text is not done");
    if (!grammar_tree_equal(grammar_tree_get(p, "type"), grammar_tree_get(s->part, "type")) ||
        !ccp_span_eq(part_text(p), gathered_span(&s->text)))
        return refuse(s->c, "the part's text is not that of its deltas");
    keep(s->c, &s->done_parts, s->parts++, &s->done_parts_size, p);
    s->part = NULL;
    return true;
}

/* Which text an event is about: `holder` is the type of the open part, or of the item when it has no parts. */
struct text_kind {
    const char *type, *holder, *done_key;
    bool in_part, logprobs;
};
static const struct text_kind texts[] = {
    {"response.output_text", "output_text", "text", true, true},
    {"response.refusal", "refusal", "refusal", true, false},
    {"response.reasoning_summary_text", "summary_text", "text", true, false},
    {"response.function_call_arguments", "function_call", "arguments", false, false},
    {"response.custom_tool_call_input", "custom_tool_call", "input", false, false},
};

static bool text_event(struct stream *s, const struct node *d, const struct text_kind *k, bool done)
{
    const struct node *text = grammar_tree_get(d, done ? k->done_key : "delta");
    if (!about_item(s, d) || (k->in_part && !number_is(s, d, part_index(s), s->parts)))
        return false;
    if (!is_word(k->in_part ? s->part : s->item, "type", k->holder) || s->text_done)
        return refuse(s->c, "a text where none of this kind is open");
    if (text == NULL || text->type != STRING)
        return refuse(s->c, "a text event without its text");
    if (k->logprobs && (grammar_tree_get(d, "logprobs") == NULL || grammar_tree_get(d, "logprobs")->type != ARRAY))
        return refuse(s->c, "no logprobs");
    if (!done)
        gather(s->c, &s->text, text->text);
    s->text_done = done;
    if (!done)
        return !cuts_a_character(text->text) || refuse(s->c, "a fragment cuts a character in two");
    if (strcmp(k->holder, "function_call") == 0 && !ccp_span_eq(text_of(d, "name"), text_of(s->item, "name")))
        return refuse(s->c, "arguments.done without the call's name");
    return ccp_span_eq(text->text, gathered_span(&s->text)) || refuse(s->c, "what is done is not what the deltas told");
}

/* -- the stream -- */

static bool running(struct stream *s, const struct node *d, struct ccp_span type)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct ccp_span rest = ccp_span_skip(type, strlen(texts[i].type));
        if (has_prefix(type, texts[i].type) && is_one_of(rest, ".delta|.done"))
            return text_event(s, d, &texts[i], ccp_span_is(rest, ".done"));
    }
    if (ccp_span_is(type, "response.output_item.added"))
        return adds_item(s, d);
    if (ccp_span_is(type, "response.output_item.done"))
        return closes_item(s, d);
    if (is_one_of(type, "response.content_part.added|response.reasoning_summary_part.added"))
        return adds_part(s, d);
    if (is_one_of(type, "response.content_part.done|response.reasoning_summary_part.done"))
        return closes_part(s, d);
    if (ccp_span_is(type, "response.completed"))
        return ends(s, d, "completed");
    if (ccp_span_is(type, "response.incomplete"))
        return ends(s, d, "incomplete");
    return refuse(s->c, "%.*s is a type nobody knows here", (int)(type.n < 50 ? type.n : 50), type.p);
}

static bool take(void *self, const struct frame *f)
{
    struct stream *s = self;
    struct ccp_span type = text_of(f->data, "type");
    if (!ccp_span_eq(f->event, type) || type.n == 0)
        return refuse(s->c, "event: is not the type");
    if (!number_is(s, f->data, "sequence_number", s->c->at))
        return false;
    if (s->phase == OVER)
        return refuse(s->c, "an event behind the end");
    if (ccp_span_is(type, "error"))
        return fails(s, f->data);
    if (s->phase == BEFORE || s->phase == CREATED) {
        const char *next = s->phase == BEFORE ? "response.created" : "response.in_progress";
        if (ccp_span_is(type, next))
            return begins(s, f->data);
    }
    if (s->phase != BEFORE && ccp_span_is(type, "response.failed"))
        return ends(s, f->data, "failed");
    return s->phase == RUNNING ? running(s, f->data, type) : refuse(s->c, "does not begin with created, in_progress");
}

bool responses_stream(struct check *c, struct ccp_span bytes)
{
    struct stream s = {.c = c};
    return frames(c, bytes, false, take, &s) && (s.phase == OVER || refuse(c, "the stream has no end"));
}

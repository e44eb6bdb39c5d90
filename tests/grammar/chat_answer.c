/*
 * OpenAI Chat Completions, what a client gets: stream, whole answer, error (wire reference B.5 - B.7).
 *
 * Arguments of calls are strings and not judged as JSON; the vendor does not promise that either.
 */
#include "check.h"

#define FINISH "stop|length|tool_calls|content_filter"

static bool usage(struct check *c, const struct node *u)
{
    static const struct row rows[] = {
        {"prompt_tokens", NEEDED | INTEGER, AT_LEAST(0)}, {"completion_tokens", NEEDED | INTEGER, AT_LEAST(0)},
        {"total_tokens", NEEDED | INTEGER, AT_LEAST(0)},  {"prompt_tokens_details", OBJECT | NIL},
        {"completion_tokens_details", OBJECT | NIL},      {NULL}};
    const struct node *in = grammar_tree_get(u, "prompt_tokens_details"),
                      *out = grammar_tree_get(u, "completion_tokens_details");
    if (!members(c, u, "usage", rows, false))
        return false;
    double prompt = number_of(u, "prompt_tokens"), completion = number_of(u, "completion_tokens");
    if (prompt + completion != number_of(u, "total_tokens"))
        return refuse(c, "usage.total_tokens is not the sum");
    if (number_of(in, "cached_tokens") + number_of(in, "cache_write_tokens") > prompt)
        return refuse(c, "more cached tokens than prompt tokens");
    return number_of(out, "reasoning_tokens") <= completion || refuse(c, "more reasoning than completion tokens");
}

static bool head(struct check *c, const struct node *root, const char *object)
{
    static const struct row rows[] = {{"id", NEEDED | STRING},
                                      {"object", NEEDED | STRING},
                                      {"created", NEEDED | INTEGER, AT_LEAST(0)},
                                      {"model", NEEDED | STRING},
                                      {"choices", NEEDED | ARRAY},
                                      {"usage", OBJECT | NIL},
                                      {NULL}};
    return members(c, root, "answer", rows, false) && (is_word(root, "object", object) || refuse(c, "wrong object")) &&
           (has_prefix(text_of(root, "id"), "chatcmpl-") || refuse(c, "id does not begin with chatcmpl-")) &&
           (text_of(root, "model").n != 0 || refuse(c, "model is empty"));
}

/* The one choice, or NULL: refused. */
static const struct node *choice_of(struct check *c, const struct node *root)
{
    const struct node *list = grammar_tree_get(root, "choices"), *choice = list->child;
    if (list->count != 1) {
        refuse(c, "there is not one choice");
        return NULL;
    }
    const struct node *index = grammar_tree_get(choice, "index");
    if (index != NULL && index->type == INTEGER && index->number == 0)
        return choice;
    refuse(c, "choices[0].index is not 0");
    return NULL;
}

static bool whole_call(struct check *c, const struct node *call)
{
    bool custom = is_word(call, "type", "custom");
    const struct node *inner = grammar_tree_get(call, custom ? "custom" : "function");
    const struct node *text = grammar_tree_get(inner, custom ? "input" : "arguments");
    if (!custom && !is_word(call, "type", "function"))
        return refuse(c, "a call of a type nobody knows");
    return (text_of(call, "id").n != 0 || refuse(c, "a call without an id")) &&
           (text_of(inner, "name").n != 0 || refuse(c, "a call without a name")) &&
           ((text != NULL && text->type == STRING) || refuse(c, "a call without arguments"));
}

static bool finish_fits(struct check *c, struct ccp_span reason, bool calls)
{
    if (ccp_span_is(reason, "tool_calls") != calls && (is_one_of(reason, "stop|tool_calls")))
        return refuse(c, calls ? "finish_reason stop behind a call" : "finish_reason tool_calls without a call");
    return is_one_of(reason, FINISH) || refuse(c, "finish_reason is none");
}

bool chat_whole(struct check *c, const struct node *root)
{
    static const struct row rows[] = {{"role", NEEDED | STRING},
                                      {"content", NEEDED | STRING | NIL},
                                      {"refusal", NEEDED | STRING | NIL},
                                      {"tool_calls", ARRAY},
                                      {"reasoning_content", STRING | NIL},
                                      {"reasoning_details", ARRAY},
                                      {"annotations", ARRAY},
                                      {NULL}};
    if (!head(c, root, "chat.completion"))
        return false;
    const struct node *choice = choice_of(c, root), *m = grammar_tree_get(choice, "message");
    const struct node *calls = grammar_tree_get(m, "tool_calls");
    if (choice == NULL || !members(c, m, "message", rows, false) ||
        (!is_word(m, "role", "assistant") && !refuse(c, "role is not assistant")))
        return false;
    if (calls != NULL && calls->count == 0)
        return refuse(c, "an empty list of calls");
    for (const struct node *call = calls != NULL ? calls->child : NULL; call != NULL; call = call->next)
        if (!whole_call(c, call))
            return false;
    return finish_fits(c, text_of(choice, "finish_reason"), calls != NULL) && usage(c, grammar_tree_get(root, "usage"));
}

/* -- stream -- */

struct stream {
    struct check *c;
    const struct node *first;
    size_t calls;
    bool custom; /* the latest call */
    bool role, finished, used, null_usage, done, failed;
};

static bool call_fragment(struct stream *s, const struct node *call)
{
    const struct node *index = grammar_tree_get(call, "index"), *id = grammar_tree_get(call, "id");
    const struct node *type = grammar_tree_get(call, "type"), *inner;
    if (index == NULL || index->type != INTEGER)
        return refuse(s->c, "a call without its index");
    if (index->number == (double)s->calls && id != NULL) {
        s->calls++;
        s->custom = is_word(call, "type", "custom");
        return whole_call(s->c, call);
    }
    if (index->number + 1 != (double)s->calls)
        return refuse(s->c, "a call's index is not the latest");
    inner = grammar_tree_get(call, s->custom ? "custom" : "function");
    if (id != NULL || type != NULL || grammar_tree_get(inner, "name") != NULL)
        return refuse(s->c, "id, type or name twice");
    const struct node *text = grammar_tree_get(inner, s->custom ? "input" : "arguments");
    if (text == NULL || text->type != STRING)
        return given(call, "extra_content") != NULL || refuse(s->c, "a fragment of a call without arguments");
    return !cuts_a_character(text->text) || refuse(s->c, "a fragment cuts a character in two");
}

static bool delta(struct stream *s, const struct node *d)
{
    static const struct row rows[] = {{"role", STRING},
                                      {"content", STRING | NIL},
                                      {"refusal", STRING | NIL},
                                      {"tool_calls", ARRAY},
                                      {"reasoning_content", STRING},
                                      {"reasoning_details", ARRAY},
                                      {NULL}};
    const struct node *calls = grammar_tree_get(d, "tool_calls");
    if (!members(s->c, d, "delta", rows, false))
        return false;
    if (is_word(d, "role", "assistant") == s->role)
        return refuse(s->c, s->role ? "the role twice" : "no role at first");
    s->role = true;
    if (cuts_a_character(text_of(d, "content")) || cuts_a_character(text_of(d, "reasoning_content")) ||
        cuts_a_character(text_of(d, "refusal")))
        return refuse(s->c, "a fragment cuts a character in two");
    for (const struct node *call = calls != NULL ? calls->child : NULL; call != NULL; call = call->next)
        if (!call_fragment(s, call))
            return false;
    return true;
}

static bool usage_chunk(struct stream *s, const struct node *root)
{
    if (!s->finished || s->used)
        return refuse(s->c, "a chunk without choices that is not the one usage behind the finish");
    s->used = true;
    return (s->null_usage || refuse(s->c, "usage was not null in the chunks before")) &&
           usage(s->c, grammar_tree_get(root, "usage"));
}

static bool chunk(struct stream *s, const struct node *root)
{
    const struct node *choice, *reason, *usage = grammar_tree_get(root, "usage");
    if (!head(s->c, root, "chat.completion.chunk"))
        return false;
    if (s->first == NULL) {
        s->first = root;
        s->null_usage = usage != NULL;
    }
    if (!ccp_span_eq(text_of(root, "id"), text_of(s->first, "id")) ||
        !ccp_span_eq(text_of(root, "model"), text_of(s->first, "model")) ||
        number_of(root, "created") != number_of(s->first, "created"))
        return refuse(s->c, "id, created or model changed");
    if (grammar_tree_get(root, "choices")->count == 0)
        return usage_chunk(s, root);
    if ((usage != NULL) != s->null_usage || (usage != NULL && usage->type != NIL))
        return refuse(s->c, "usage is not null everywhere before the end, or not absent everywhere");
    if (s->finished)
        return refuse(s->c, "a choice behind the finish");
    choice = choice_of(s->c, root);
    if (choice == NULL || !delta(s, grammar_tree_get(choice, "delta")))
        return false;
    reason = grammar_tree_get(choice, "finish_reason");
    if (reason == NULL || (reason->type & (NIL | STRING)) == 0)
        return refuse(s->c, "finish_reason is missing");
    s->finished = reason->type == STRING;
    return !s->finished || finish_fits(s->c, reason->text, s->calls != 0);
}

static bool take(void *self, const struct frame *f)
{
    struct stream *s = self;
    if (s->done || s->failed)
        return refuse(s->c, "an event behind the end");
    if (f->event.n != 0)
        return refuse(s->c, "a named event");
    if (f->data == NULL) {
        s->done = true;
        return s->finished || refuse(s->c, "[DONE] without a finish_reason");
    }
    if (grammar_tree_get(f->data, "error") == NULL)
        return chunk(s, f->data);
    s->failed = true;
    return (s->c->may_fail || refuse(s->c, "an error")) && chat_error(s->c, f->data);
}

bool chat_stream(struct check *c, struct ccp_span bytes)
{
    struct stream s = {.c = c};
    return frames(c, bytes, true, take, &s) && (s.done || s.failed || refuse(c, "the stream has no end"));
}

bool chat_error(struct check *c, const struct node *root)
{
    static const struct row rows[] = {{"error", NEEDED | OBJECT}, {NULL}};
    static const struct row error[] = {{"message", NEEDED | STRING},
                                       {"type", NEEDED | STRING},
                                       {"param", NEEDED | STRING | NIL},
                                       {"code", NEEDED | STRING | NIL},
                                       {NULL}};
    return members(c, root, "root", rows, false) &&
           members(c, grammar_tree_get(root, "error"), "error", error, false) &&
           (text_of(grammar_tree_get(root, "error"), "type").n != 0 || refuse(c, "error.type is empty"));
}

/*
 * OpenAI Responses, the answer that is not a stream, and what both share (wire reference C.2, C.4).
 */
#include "responses.h"

bool responses_usage(struct check *c, const struct node *u)
{
    static const struct row rows[] = {
        {"input_tokens", NEEDED | INTEGER, AT_LEAST(0)},  {"input_tokens_details", NEEDED | OBJECT},
        {"output_tokens", NEEDED | INTEGER, AT_LEAST(0)}, {"output_tokens_details", NEEDED | OBJECT},
        {"total_tokens", NEEDED | INTEGER, AT_LEAST(0)},  {NULL}};
    static const struct row in_rows[] = {
        {"cached_tokens", NEEDED | INTEGER, AT_LEAST(0)}, {"cache_write_tokens", INTEGER, AT_LEAST(0)}, {NULL}};
    static const struct row out_rows[] = {{"reasoning_tokens", NEEDED | INTEGER, AT_LEAST(0)}, {NULL}};
    const struct node *in = grammar_tree_get(u, "input_tokens_details"),
                      *out = grammar_tree_get(u, "output_tokens_details");
    if (!members(c, u, "usage", rows, false) || !members(c, in, "input_tokens_details", in_rows, false) ||
        !members(c, out, "output_tokens_details", out_rows, false))
        return false;
    if (number_of(u, "input_tokens") + number_of(u, "output_tokens") != number_of(u, "total_tokens"))
        return refuse(c, "usage.total_tokens is not the sum");
    if (number_of(in, "cached_tokens") + number_of(in, "cache_write_tokens") > number_of(u, "input_tokens"))
        return refuse(c, "more cached tokens than input tokens");
    return number_of(out, "reasoning_tokens") <= number_of(u, "output_tokens") ||
           refuse(c, "more reasoning than output tokens");
}

bool responses_part(struct check *c, const struct node *p)
{
    static const struct row text[] = {{"type", NEEDED | STRING},
                                      {"text", NEEDED | STRING},
                                      {"annotations", NEEDED | ARRAY},
                                      {"logprobs", ARRAY},
                                      {NULL}};
    static const struct row refusal[] = {{"type", NEEDED | STRING}, {"refusal", NEEDED | STRING}, {NULL}};
    if (is_word(p, "type", "refusal"))
        return members(c, p, "refusal", refusal, false);
    return members(c, p, "output_text", text, false) &&
           (is_word(p, "type", "output_text") || refuse(c, "a part of a type nobody knows"));
}

static bool message(struct check *c, const struct node *item)
{
    static const struct row rows[] = {{"id", NEEDED | STRING},
                                      {"type", NEEDED | STRING},
                                      {"role", NEEDED | STRING, "assistant"},
                                      {"status", NEEDED | STRING, "in_progress|completed|incomplete"},
                                      {"content", NEEDED | ARRAY},
                                      {NULL}};
    if (!members(c, item, "message", rows, false))
        return false;
    for (const struct node *p = grammar_tree_get(item, "content")->child; p != NULL; p = p->next)
        if (!responses_part(c, p))
            return false;
    return has_prefix(text_of(item, "id"), "msg_") || refuse(c, "a message's id does not begin with msg_");
}

static bool reasoning(struct check *c, const struct node *item)
{
    static const struct row rows[] = {
        {"id", NEEDED | STRING}, {"type", NEEDED | STRING},           {"summary", NEEDED | ARRAY},
        {"content", ARRAY},      {"encrypted_content", STRING | NIL}, {NULL}};
    static const struct row part[] = {{"type", NEEDED | STRING, "summary_text"}, {"text", NEEDED | STRING}, {NULL}};
    if (!members(c, item, "reasoning", rows, false))
        return false;
    for (const struct node *p = grammar_tree_get(item, "summary")->child; p != NULL; p = p->next)
        if (!members(c, p, "summary", part, false))
            return false;
    return has_prefix(text_of(item, "id"), "rs_") || refuse(c, "a reasoning's id does not begin with rs_");
}

static bool call(struct check *c, const struct node *item, bool custom)
{
    const struct row rows[] = {{"id", NEEDED | STRING},
                               {"type", NEEDED | STRING},
                               {"call_id", NEEDED | STRING},
                               {"name", NEEDED | STRING},
                               {custom ? "input" : "arguments", NEEDED | STRING},
                               {"status", STRING | (custom ? 0 : NEEDED), "in_progress|completed|incomplete"},
                               {NULL}};
    return members(c, item, "call", rows, false) &&
           (text_of(item, "call_id").n != 0 || refuse(c, "a call without its call_id")) &&
           (text_of(item, "name").n != 0 || refuse(c, "a call without a name")) &&
           (has_prefix(text_of(item, "id"), custom ? "ctc_" : "fc_") || refuse(c, "a call's id has the wrong prefix"));
}

bool responses_item(struct check *c, const struct node *item)
{
    if (is_word(item, "type", "message"))
        return message(c, item);
    if (is_word(item, "type", "reasoning"))
        return reasoning(c, item);
    bool custom = is_word(item, "type", "custom_tool_call");
    return custom || is_word(item, "type", "function_call") ? call(c, item, custom)
                                                            : refuse(c, "an item of a type nobody knows");
}

/* The status, and what goes with it. */
static bool status_fits(struct check *c, const struct node *r, const char *status)
{
    static const struct row error[] = {{"code", NEEDED | STRING}, {"message", NEEDED | STRING}, {NULL}};
    const struct node *why = given(r, "incomplete_details"), *e = given(r, "error"), *u = given(r, "usage");
    bool ended = is_one_of(ccp_span_z(status), "completed|incomplete");
    if (!is_word(r, "status", status))
        return refuse(c, "response.status is not %s", status);
    if ((strcmp(status, "incomplete") == 0) != (why != NULL))
        return refuse(c, "incomplete_details goes with incomplete, and only with it");
    if (why != NULL && !is_one_of(text_of(why, "reason"), "max_output_tokens|content_filter"))
        return refuse(c, "incomplete_details.reason is none");
    if ((strcmp(status, "failed") == 0) != (e != NULL) || (e != NULL && !members(c, e, "error", error, false)))
        return refuse(c, "response.error goes with failed, and only with it");
    if (strcmp(status, "in_progress") == 0 && u != NULL)
        return refuse(c, "usage before the end");
    return u != NULL ? responses_usage(c, u) : !ended || refuse(c, "no usage at the end");
}

bool responses_object(struct check *c, const struct node *r, const char *status)
{
    static const struct row rows[] = {{"id", NEEDED | STRING},
                                      {"object", NEEDED | STRING, "response"},
                                      {"created_at", NEEDED | INTEGER, AT_LEAST(0)},
                                      {"status", NEEDED | STRING},
                                      {"error", NEEDED | OBJECT | NIL},
                                      {"incomplete_details", NEEDED | OBJECT | NIL},
                                      {"instructions", NEEDED | STRING | ARRAY | NIL},
                                      {"metadata", NEEDED | OBJECT | NIL},
                                      {"model", NEEDED | STRING},
                                      {"output", NEEDED | ARRAY},
                                      {"parallel_tool_calls", NEEDED | BOOLEAN},
                                      {"tool_choice", NEEDED | STRING | OBJECT},
                                      {"tools", NEEDED | ARRAY},
                                      {"temperature", NEEDED | NUMBER | NIL},
                                      {"top_p", NEEDED | NUMBER | NIL},
                                      {"usage", OBJECT | NIL},
                                      {NULL}};
    struct seen ids = {0};
    if (!members(c, r, "response", rows, false))
        return false;
    if (!has_prefix(text_of(r, "id"), "resp_") || text_of(r, "model").n == 0)
        return refuse(c, "response.id does not begin with resp_, or model is empty");
    for (const struct node *item = grammar_tree_get(r, "output")->child; item != NULL; item = item->next) {
        if (!responses_item(c, item))
            return false;
        if (!seen_add(c, &ids, text_of(item, "id")))
            return refuse(c, "two items of one id");
        if (is_word(item, "status", "in_progress"))
            return refuse(c, "an item in progress in the list of what is done");
    }
    return status_fits(c, r, status);
}

bool responses_whole(struct check *c, const struct node *root)
{
    const char *status = is_word(root, "status", "incomplete") ? "incomplete" : "completed";
    return responses_object(c, root, is_word(root, "status", "failed") ? "failed" : status);
}

bool responses_error(struct check *c, const struct node *root)
{
    return chat_error(c, root);
}

/*
 * OpenAI Responses, what the API accepts (wire reference C.1 - C.3).
 */
#include "check.h"

#define LETTERS "_-"

struct request {
    struct check *c;
    const struct node *root;
    struct seen calls, outputs; /* call_ids */
};

/* -- content -- */

static bool image_part(struct request *r, const struct node *p)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},
                                      {"image_url", STRING},
                                      {"file_id", STRING},
                                      {"detail", STRING, "auto|low|high|original"},
                                      {"prompt_cache_breakpoint", OBJECT},
                                      {NULL}};
    struct ccp_span url = text_of(p, "image_url");
    if (!members(r->c, p, "input_image", rows, true))
        return false;
    if ((grammar_tree_get(p, "image_url") != NULL) == (grammar_tree_get(p, "file_id") != NULL))
        return refuse(r->c, "an image has an address or an id, and not both");
    return r->c->shape_only || grammar_tree_get(p, "file_id") != NULL || is_web_url(url) ||
           is_data_url(url, "image/") || refuse(r->c, "image_url is neither a web address nor an image");
}

static bool file_part(struct request *r, const struct node *p)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},
                                      {"file_id", STRING},
                                      {"file_url", STRING},
                                      {"file_data", STRING},
                                      {"filename", STRING},
                                      {"detail", STRING},
                                      {"prompt_cache_breakpoint", OBJECT},
                                      {NULL}};
    int sources = (grammar_tree_get(p, "file_id") != NULL) + (grammar_tree_get(p, "file_url") != NULL);
    if (!members(r->c, p, "input_file", rows, true))
        return false;
    if (sources + (grammar_tree_get(p, "file_data") != NULL) != 1)
        return refuse(r->c, "a file has one source");
    return sources == 1 ||
           ((text_of(p, "filename").n != 0 || refuse(r->c, "file data without a name")) &&
            (r->c->shape_only || is_data_url(text_of(p, "file_data"), "") || refuse(r->c, "file_data is no data URL")));
}

static bool part(struct request *r, const struct node *p, const char *types)
{
    static const struct row text[] = {
        {"type", NEEDED | STRING}, {"text", NEEDED | STRING},           {"annotations", ARRAY},
        {"logprobs", ARRAY},       {"prompt_cache_breakpoint", OBJECT}, {NULL}};
    static const struct row refusal[] = {{"type", NEEDED | STRING}, {"refusal", NEEDED | STRING}, {NULL}};
    static const struct row audio[] = {{"type", NEEDED | STRING}, {"input_audio", NEEDED | OBJECT}, {NULL}};
    struct ccp_span type = text_of(p, "type");
    if (!is_one_of(type, types))
        return refuse(r->c, "a part of a type that may not stand here");
    if (ccp_span_is(type, "input_image"))
        return image_part(r, p);
    if (ccp_span_is(type, "input_file"))
        return file_part(r, p);
    if (ccp_span_is(type, "input_audio"))
        return members(r->c, p, "input_audio", audio, true);
    return members(r->c, p, "part", ccp_span_is(type, "refusal") ? refusal : text, true);
}

static bool content(struct request *r, const struct node *list, const char *types)
{
    if (list->type == STRING)
        return true;
    if (list->count == 0)
        return refuse(r->c, "an empty list as content");
    for (const struct node *p = list->child; p != NULL; p = p->next)
        if (!part(r, p, types))
            return false;
    return true;
}

/* -- items -- */

static bool message(struct request *r, const struct node *item)
{
    static const struct row rows[] = {{"type", STRING},
                                      {"role", NEEDED | STRING},
                                      {"content", NEEDED | STRING | ARRAY},
                                      {"id", STRING},
                                      {"status", STRING, "in_progress|completed|incomplete"},
                                      {"phase", STRING | NIL, "commentary|final_answer"},
                                      {NULL}};
    if (!members(r->c, item, "message", rows, true))
        return false;
    if (is_word(item, "role", "assistant"))
        return content(r, grammar_tree_get(item, "content"), "output_text|refusal");
    return is_one_of(text_of(item, "role"), "user|system|developer")
               ? content(r, grammar_tree_get(item, "content"), "input_text|input_image|input_file|input_audio")
               : refuse(r->c, "a role nobody knows");
}

static bool call(struct request *r, const struct node *item, bool custom)
{
    const struct row rows[] = {{"type", NEEDED | STRING},
                               {"call_id", NEEDED | STRING},
                               {"name", NEEDED | STRING},
                               {custom ? "input" : "arguments", NEEDED | STRING},
                               {"id", STRING},
                               {"namespace", STRING},
                               {"status", STRING, "in_progress|completed|incomplete"},
                               {NULL}};
    if (!members(r->c, item, "call", rows, true))
        return false;
    if (text_of(item, "call_id").n == 0 || text_of(item, "call_id").n > 64)
        return refuse(r->c, "call_id is empty or too long");
    if (!is_name(text_of(item, "name"), 1, 64, LETTERS))
        return refuse(r->c, "a call's name does not fit its pattern");
    return seen_add(r->c, &r->calls, text_of(item, "call_id")) || r->c->shape_only ||
           refuse(r->c, "two calls of one call_id");
}

static bool output(struct request *r, const struct node *item)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},
                                      {"call_id", NEEDED | STRING},
                                      {"output", NEEDED | STRING | ARRAY},
                                      {"id", STRING},
                                      {"status", STRING, "in_progress|completed|incomplete"},
                                      {NULL}};
    if (!members(r->c, item, "output", rows, true))
        return false;
    if (!seen_has(&r->calls, text_of(item, "call_id")))
        return refuse(r->c, "an output without its call in front");
    if (!seen_add(r->c, &r->outputs, text_of(item, "call_id")) && !r->c->shape_only)
        return refuse(r->c, "two outputs of one call");
    return content(r, grammar_tree_get(item, "output"), "input_text|input_image|input_file");
}

static bool reasoning(struct request *r, const struct node *item)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},
                                      {"id", STRING},
                                      {"summary", NEEDED | ARRAY},
                                      {"content", ARRAY | NIL},
                                      {"status", STRING},
                                      {"encrypted_content", STRING | NIL},
                                      {NULL}};
    static const struct row part[] = {{"type", NEEDED | STRING, "summary_text"}, {"text", NEEDED | STRING}, {NULL}};
    if (!members(r->c, item, "reasoning", rows, true))
        return false;
    for (const struct node *p = grammar_tree_get(item, "summary")->child; p != NULL; p = p->next)
        if (!members(r->c, p, "summary", part, true))
            return false;
    return true;
}

static bool item(struct request *r, const struct node *i)
{
    struct ccp_span type = text_of(i, "type");
    if (grammar_tree_get(i, "type") == NULL || ccp_span_is(type, "message"))
        return message(r, i);
    if (is_one_of(type, "function_call|custom_tool_call"))
        return call(r, i, ccp_span_is(type, "custom_tool_call"));
    if (is_one_of(type, "function_call_output|custom_tool_call_output"))
        return output(r, i);
    return ccp_span_is(type, "reasoning") ? reasoning(r, i) : refuse(r->c, "an item of a type nobody knows");
}

static bool input(struct request *r)
{
    const struct node *list = grammar_tree_get(r->root, "input");
    if (list->type == STRING)
        return true;
    r->c->list = "input";
    r->c->at = 0;
    for (const struct node *i = list->child; i != NULL; i = i->next, r->c->at++)
        if (!item(r, i))
            return false;
    r->c->list = NULL;
    if (list->count == 0)
        return refuse(r->c, "no input");
    return r->calls.n == r->outputs.n || refuse(r->c, "a call has no output");
}

/* -- tools -- */

static bool tool(struct request *r, const struct node *t, struct seen *names)
{
    static const struct row function[] = {{"type", NEEDED | STRING},
                                          {"name", NEEDED | STRING},
                                          {"description", STRING | NIL},
                                          {"parameters", NEEDED | OBJECT | NIL},
                                          {"strict", BOOLEAN | NIL},
                                          {"defer_loading", BOOLEAN},
                                          {NULL}};
    static const struct row custom[] = {
        {"type", NEEDED | STRING}, {"name", NEEDED | STRING}, {"description", STRING}, {"format", OBJECT}, {NULL}};
    struct ccp_span type = text_of(t, "type");
    if (!is_one_of(type, "function|custom"))
        return is_one_of(type, "web_search|web_search_2025_08_26|web_search_preview")
                   ? seen_add(r->c, names, type) || refuse(r->c, "a hosted tool twice")
                   : refuse(r->c, "a tool of a type nobody knows");
    return members(r->c, t, "tool", ccp_span_is(type, "custom") ? custom : function, true) &&
           is_parameters(r->c, given(t, "parameters")) &&
           (is_name(text_of(t, "name"), 1, 64, LETTERS) || refuse(r->c, "a tool's name does not fit its pattern")) &&
           (seen_add(r->c, names, text_of(t, "name")) || r->c->shape_only || refuse(r->c, "two tools of one name"));
}

static bool named_tool(struct request *r, const struct node *t, const struct seen *names)
{
    struct ccp_span type = text_of(t, "type");
    bool named = is_one_of(type, "function|custom");
    return r->c->shape_only || seen_has(names, named ? text_of(t, "name") : type) ||
           refuse(r->c, "tool_choice names no tool of the list");
}

static bool tools(struct request *r)
{
    const struct node *list = given(r->root, "tools"), *t = given(r->root, "tool_choice");
    struct seen names = {0};
    r->c->list = "tools";
    r->c->at = 0;
    for (const struct node *one = list != NULL ? list->child : NULL; one != NULL; one = one->next, r->c->at++)
        if (!tool(r, one, &names))
            return false;
    r->c->list = NULL;
    if (t == NULL)
        return true;
    if (t->type == STRING)
        return !is_one_of(t->text, "none|auto|required")          ? refuse(r->c, "tool_choice is no word of its own")
               : names.n == 0 && ccp_span_is(t->text, "required") ? refuse(r->c, "required without tools")
                                                                  : true;
    if (!is_word(t, "type", "allowed_tools"))
        return named_tool(r, t, &names);
    list = grammar_tree_get(t, "tools");
    if (!is_one_of(text_of(t, "mode"), "auto|required") || list == NULL || list->count == 0)
        return refuse(r->c, "allowed_tools without mode or tools");
    for (t = list->child; t != NULL; t = t->next)
        if (!named_tool(r, t, &names))
            return false;
    return true;
}

/* -- parameters -- */

static bool text(struct request *r)
{
    static const struct row rows[] = {{"format", OBJECT}, {"verbosity", STRING | NIL, "low|medium|high"}, {NULL}};
    static const struct row schema[] = {{"type", NEEDED | STRING},   {"name", NEEDED | STRING},
                                        {"schema", NEEDED | OBJECT}, {"description", STRING},
                                        {"strict", BOOLEAN | NIL},   {NULL}};
    const struct node *t = given(r->root, "text"), *f = given(t, "format");
    if (t == NULL)
        return true;
    if (!members(r->c, t, "text", rows, true))
        return false;
    if (f == NULL || is_one_of(text_of(f, "type"), "text|json_object"))
        return f == NULL || f->count == 1 || refuse(r->c, "text.format has too many members");
    return (is_word(f, "type", "json_schema") || refuse(r->c, "text.format of a type nobody knows")) &&
           members(r->c, f, "text.format", schema, true) &&
           (is_name(text_of(f, "name"), 1, 64, LETTERS) || refuse(r->c, "text.format.name does not fit its pattern"));
}

static bool reasoning_of(struct request *r)
{
    static const struct row rows[] = {{"effort", STRING | NIL, "none|minimal|low|medium|high|xhigh|max"},
                                      {"summary", STRING | NIL, "auto|concise|detailed"},
                                      {"context", STRING, "auto|current_turn|all_turns"},
                                      {"mode", STRING, "standard|pro"},
                                      {NULL}};
    const struct node *o = given(r->root, "reasoning");
    return o == NULL || members(r->c, o, "reasoning", rows, true);
}

static bool metadata(struct request *r)
{
    const struct node *m = given(r->root, "metadata");
    for (const struct node *one = m != NULL ? m->child : NULL; one != NULL && !r->c->shape_only; one = one->next)
        if (one->type != STRING || one->text.n > 512 || one->key.n > 64)
            return refuse(r->c, "metadata with a pair that is no text or too long");
    return m == NULL || r->c->shape_only || m->count <= 16 || refuse(r->c, "more than 16 pairs of metadata");
}

bool responses_request(struct check *c, const struct node *root)
{
    static const struct row rows[] = {{"model", NEEDED | STRING},
                                      {"input", NEEDED | STRING | ARRAY},
                                      {"instructions", STRING | NIL},
                                      {"stream", BOOLEAN},
                                      {"stream_options", OBJECT},
                                      {"max_output_tokens", INTEGER, AT_LEAST(16)},
                                      {"max_tool_calls", INTEGER},
                                      {"temperature", NUMBER, NULL, 0, 2},
                                      {"top_p", NUMBER, NULL, 0, 1},
                                      {"top_logprobs", INTEGER, NULL, 0, 20},
                                      {"tools", ARRAY},
                                      {"tool_choice", STRING | OBJECT},
                                      {"parallel_tool_calls", BOOLEAN},
                                      {"text", OBJECT},
                                      {"reasoning", OBJECT | NIL},
                                      {"include", ARRAY},
                                      {"store", BOOLEAN},
                                      {"truncation", STRING, "auto|disabled"},
                                      {"metadata", OBJECT | NIL},
                                      {"service_tier", STRING, "auto|default|flex|scale|priority"},
                                      {"prompt_cache_key", STRING},
                                      {"prompt_cache_retention", STRING, "in_memory|24h"},
                                      {"safety_identifier", STRING},
                                      {"user", STRING},
                                      {NULL}};
    struct request r = {.c = c, .root = root};
    const struct node *stream = grammar_tree_get(root, "stream"), *include = grammar_tree_get(root, "include");
    if (!members(c, root, "request", rows, true))
        return false;
    if ((stream != NULL && stream->truth) != c->stream)
        return refuse(c, "stream is not what was asked for");
    for (const struct node *one = include != NULL ? include->child : NULL; one != NULL; one = one->next)
        if (one->type != STRING)
            return refuse(c, "include holds something that is no word");
    if (!c->shape_only && text_of(root, "safety_identifier").n > 64)
        return refuse(c, "safety_identifier is too long");
    return text(&r) && reasoning_of(&r) && metadata(&r) && tools(&r) && input(&r);
}

/*
 * OpenAI Chat Completions, what the API accepts (wire reference B.2 - B.4), and the fields that compatible servers add.
 */
#include "check.h"

#define LETTERS "_-"

struct request {
    struct check *c;
    const struct node *root;
    struct seen open, answered; /* ids of the calls of the assistant message in front, and of their answers */
};

/* -- content -- */

static bool text_part(struct request *r, const struct node *p)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},
                                      {"text", NEEDED | STRING},
                                      {"cache_control", OBJECT | NIL},
                                      {"prompt_cache_breakpoint", OBJECT | NIL},
                                      {NULL}};
    return members(r->c, p, "text", rows, true);
}

static bool image_part(struct request *r, const struct node *p)
{
    static const struct row rows[] = {{"url", NEEDED | STRING}, {"detail", STRING, "auto|low|high"}, {NULL}};
    const struct node *image = grammar_tree_get(p, "image_url");
    struct ccp_span url = text_of(image, "url");
    return members(r->c, image, "image_url", rows, true) &&
           (r->c->shape_only || is_web_url(url) || is_data_url(url, "image/") ||
            refuse(r->c, "image_url.url is neither a web address nor an image"));
}

static bool file_part(struct request *r, const struct node *p)
{
    static const struct row rows[] = {{"file_id", STRING}, {"file_data", STRING}, {"filename", STRING}, {NULL}};
    const struct node *file = grammar_tree_get(p, "file");
    if (!members(r->c, file, "file", rows, true))
        return false;
    if ((grammar_tree_get(file, "file_id") != NULL) == (grammar_tree_get(file, "file_data") != NULL))
        return refuse(r->c, "a file has an id or data, and not both");
    return grammar_tree_get(file, "file_data") == NULL ||
           ((text_of(file, "filename").n != 0 || refuse(r->c, "file data without a name")) &&
            (r->c->shape_only || is_data_url(text_of(file, "file_data"), "") ||
             refuse(r->c, "file_data is no data URL")));
}

static bool audio_part(struct request *r, const struct node *p)
{
    static const struct row rows[] = {{"data", NEEDED | STRING}, {"format", NEEDED | STRING, "wav|mp3"}, {NULL}};
    return members(r->c, grammar_tree_get(p, "input_audio"), "input_audio", rows, true);
}

static bool part(struct request *r, const struct node *p, const char *types)
{
    struct ccp_span type = text_of(p, "type");
    if (!is_one_of(type, types))
        return refuse(r->c, "a part of a type that may not stand here");
    if (ccp_span_is(type, "text"))
        return text_part(r, p);
    if (ccp_span_is(type, "image_url"))
        return image_part(r, p);
    if (ccp_span_is(type, "file"))
        return file_part(r, p);
    if (ccp_span_is(type, "input_audio"))
        return audio_part(r, p);
    return grammar_tree_get(p, "refusal") != NULL || refuse(r->c, "a refusal without its text");
}

static bool content(struct request *r, const struct node *m, const char *types)
{
    const struct node *list = given(m, "content");
    if (list == NULL)
        return refuse(r->c, "no content");
    if (list->type == STRING)
        return true;
    if (list->count == 0)
        return refuse(r->c, "an empty list as content");
    for (const struct node *p = list->child; p != NULL; p = p->next)
        if (!part(r, p, types))
            return false;
    return true;
}

/* -- messages -- */

static bool call(struct request *r, const struct node *t)
{
    static const struct row rows[] = {{"id", NEEDED | STRING}, {"type", NEEDED | STRING}, {"function", OBJECT},
                                      {"custom", OBJECT},      {"extra_content", OBJECT}, {NULL}};
    static const struct row function[] = {{"name", NEEDED | STRING}, {"arguments", NEEDED | STRING}, {NULL}};
    static const struct row custom[] = {{"name", NEEDED | STRING}, {"input", NEEDED | STRING}, {NULL}};
    bool is_custom = is_word(t, "type", "custom");
    const struct node *inner = grammar_tree_get(t, is_custom ? "custom" : "function");
    if (!members(r->c, t, "tool_calls", rows, true))
        return false;
    if (!is_custom && !is_word(t, "type", "function"))
        return refuse(r->c, "a call of a type nobody knows");
    if (!members(r->c, inner, "call", is_custom ? custom : function, true))
        return false;
    if (!is_name(text_of(inner, "name"), 1, 64, LETTERS))
        return refuse(r->c, "a call's name does not fit its pattern");
    if (text_of(t, "id").n == 0 || text_of(t, "id").n > 64)
        return refuse(r->c, "a call's id is empty or too long");
    return seen_add(r->c, &r->open, text_of(t, "id")) || r->c->shape_only || refuse(r->c, "two calls of one id");
}

static bool assistant(struct request *r, const struct node *m)
{
    const struct node *calls = given(m, "tool_calls");
    if (calls != NULL && calls->count == 0)
        return refuse(r->c, "an empty list of calls");
    for (const struct node *t = calls != NULL ? calls->child : NULL; t != NULL; t = t->next)
        if (!call(r, t))
            return false;
    if (given(m, "content") == NULL)
        return calls != NULL || given(m, "refusal") != NULL || refuse(r->c, "neither content nor calls");
    return content(r, m, "text|refusal");
}

static bool tool_answer(struct request *r, const struct node *m)
{
    struct ccp_span id = text_of(m, "tool_call_id");
    if (!seen_has(&r->open, id))
        return refuse(r->c, "a tool message that does not follow its call");
    if (!seen_add(r->c, &r->answered, id) && !r->c->shape_only)
        return refuse(r->c, "two answers of one call");
    return content(r, m, "text");
}

static bool message(struct request *r, const struct node *m)
{
    static const struct row rows[] = {{"role", NEEDED | STRING},
                                      {"content", STRING | ARRAY | NIL},
                                      {"name", STRING},
                                      {"refusal", STRING | NIL},
                                      {"tool_calls", ARRAY},
                                      {"tool_call_id", STRING},
                                      {"reasoning_content", STRING},
                                      {"reasoning_details", ARRAY},
                                      {NULL}};
    struct ccp_span role = text_of(m, "role");
    if (!members(r->c, m, "message", rows, true))
        return false;
    if ((grammar_tree_get(m, "tool_call_id") != NULL) != ccp_span_is(role, "tool"))
        return refuse(r->c, "tool_call_id goes with the role tool, and only with it");
    if (given(m, "tool_calls") != NULL && !ccp_span_is(role, "assistant"))
        return refuse(r->c, "tool_calls of somebody else than the assistant");
    if (ccp_span_is(role, "tool"))
        return tool_answer(r, m);
    if (r->answered.n != r->open.n)
        return refuse(r->c, "a call in front has no tool message");
    r->open = r->answered = (struct seen){0};
    if (ccp_span_is(role, "assistant"))
        return assistant(r, m);
    if (ccp_span_is(role, "user"))
        return content(r, m, "text|image_url|input_audio|file");
    return is_one_of(role, "system|developer") ? content(r, m, "text") : refuse(r->c, "a role nobody knows");
}

static bool messages(struct request *r, const struct node *list)
{
    r->c->list = "messages";
    r->c->at = 0;
    for (const struct node *m = list->child; m != NULL; m = m->next, r->c->at++)
        if (!message(r, m))
            return false;
    r->c->list = NULL;
    if (r->answered.n != r->open.n)
        return refuse(r->c, "the last message's calls have no tool messages");
    return list->count != 0 || refuse(r->c, "no messages");
}

/* -- tools -- */

static bool tool(struct request *r, const struct node *t, struct seen *names)
{
    static const struct row rows[] = {
        {"type", NEEDED | STRING}, {"function", OBJECT}, {"custom", OBJECT}, {"cache_control", OBJECT | NIL}, {NULL}};
    static const struct row function[] = {
        {"name", NEEDED | STRING}, {"description", STRING}, {"parameters", OBJECT}, {"strict", BOOLEAN | NIL}, {NULL}};
    static const struct row custom[] = {{"name", NEEDED | STRING}, {"description", STRING}, {"format", OBJECT}, {NULL}};
    bool is_custom = is_word(t, "type", "custom");
    const struct node *inner = grammar_tree_get(t, is_custom ? "custom" : "function");
    if (!members(r->c, t, "tool", rows, true))
        return false;
    if (!is_custom && !is_word(t, "type", "function"))
        return refuse(r->c, "a tool of a type nobody knows");
    return members(r->c, inner, "tool", is_custom ? custom : function, true) &&
           is_parameters(r->c, grammar_tree_get(inner, "parameters")) &&
           (is_name(text_of(inner, "name"), 1, 64, LETTERS) || refuse(r->c, "a tool's name does not fit")) &&
           (seen_add(r->c, names, text_of(inner, "name")) || r->c->shape_only || refuse(r->c, "two tools of one name"));
}

static bool named_tool(struct request *r, const struct node *t, const struct seen *names)
{
    const struct node *inner = grammar_tree_get(t, is_word(t, "type", "custom") ? "custom" : "function");
    return r->c->shape_only || seen_has(names, text_of(inner, "name")) ||
           refuse(r->c, "tool_choice names no tool of the list");
}

static bool choice(struct request *r, const struct seen *names)
{
    const struct node *t = given(r->root, "tool_choice"), *allowed = grammar_tree_get(t, "allowed_tools");
    if (t == NULL)
        return true;
    if (names->n == 0)
        return refuse(r->c, "tool_choice without tools");
    if (t->type == STRING)
        return is_one_of(t->text, "none|auto|required") || refuse(r->c, "tool_choice is no word of its own");
    if (!is_word(t, "type", "allowed_tools"))
        return named_tool(r, t, names);
    const struct node *list = grammar_tree_get(allowed, "tools");
    if (!is_one_of(text_of(allowed, "mode"), "auto|required") || list == NULL || list->count == 0)
        return refuse(r->c, "allowed_tools without mode or tools");
    for (t = list->child; t != NULL; t = t->next)
        if (!named_tool(r, t, names))
            return false;
    return true;
}

static bool tools(struct request *r)
{
    const struct node *list = given(r->root, "tools");
    struct seen names = {0};
    r->c->list = "tools";
    r->c->at = 0;
    for (const struct node *t = list != NULL ? list->child : NULL; t != NULL; t = t->next, r->c->at++)
        if (!tool(r, t, &names))
            return false;
    r->c->list = NULL;
    if (list != NULL && list->count == 0)
        return refuse(r->c, "an empty list of tools");
    if (names.n == 0 && given(r->root, "parallel_tool_calls") != NULL)
        return refuse(r->c, "parallel_tool_calls without tools");
    return choice(r, &names);
}

/* -- parameters -- */

static bool response_format(struct request *r)
{
    static const struct row rows[] = {{"type", NEEDED | STRING}, {"json_schema", OBJECT}, {NULL}};
    static const struct row schema[] = {
        {"name", NEEDED | STRING}, {"description", STRING}, {"schema", OBJECT}, {"strict", BOOLEAN | NIL}, {NULL}};
    const struct node *f = given(r->root, "response_format"), *inner = grammar_tree_get(f, "json_schema");
    if (f == NULL)
        return true;
    if (!members(r->c, f, "response_format", rows, true))
        return false;
    if (is_word(f, "type", "json_schema") != (inner != NULL) ||
        !is_one_of(text_of(f, "type"), "text|json_object|json_schema"))
        return refuse(r->c, "response_format of a type nobody knows");
    return inner == NULL || (members(r->c, inner, "json_schema", schema, true) &&
                             (is_name(text_of(inner, "name"), 1, 64, LETTERS) || refuse(r->c, "json_schema.name")));
}

static bool stops(struct request *r)
{
    const struct node *s = given(r->root, "stop");
    if (s == NULL || s->type == STRING)
        return true;
    for (const struct node *one = s->child; one != NULL; one = one->next)
        if (one->type != STRING)
            return refuse(r->c, "a stop that is no text");
    return s->count <= 4 || refuse(r->c, "more than 4 stops");
}

static bool metadata(struct request *r)
{
    const struct node *m = given(r->root, "metadata");
    for (const struct node *one = m != NULL ? m->child : NULL; one != NULL && !r->c->shape_only; one = one->next)
        if (one->type != STRING || one->text.n > 512 || one->key.n > 64)
            return refuse(r->c, "metadata with a pair that is no text or too long");
    return m == NULL || r->c->shape_only || m->count <= 16 || refuse(r->c, "more than 16 pairs of metadata");
}

bool chat_request(struct check *c, const struct node *root)
{
    static const struct row rows[] = {{"model", NEEDED | STRING},
                                      {"messages", NEEDED | ARRAY},
                                      {"stream", BOOLEAN},
                                      {"stream_options", OBJECT},
                                      {"max_completion_tokens", INTEGER, AT_LEAST(1)},
                                      {"max_tokens", INTEGER, AT_LEAST(1)},
                                      {"temperature", NUMBER, NULL, 0, 2},
                                      {"top_p", NUMBER, NULL, 0, 1},
                                      {"top_k", INTEGER},
                                      {"frequency_penalty", NUMBER, NULL, -2, 2},
                                      {"presence_penalty", NUMBER, NULL, -2, 2},
                                      {"n", INTEGER, NULL, 1, 128},
                                      {"stop", STRING | ARRAY},
                                      {"seed", INTEGER},
                                      {"logit_bias", OBJECT},
                                      {"logprobs", BOOLEAN},
                                      {"top_logprobs", INTEGER, NULL, 0, 20},
                                      {"tools", ARRAY},
                                      {"tool_choice", STRING | OBJECT},
                                      {"parallel_tool_calls", BOOLEAN},
                                      {"response_format", OBJECT},
                                      {"reasoning_effort", STRING, "none|minimal|low|medium|high|xhigh|max"},
                                      {"verbosity", STRING, "low|medium|high"},
                                      {"web_search_options", OBJECT},
                                      {"metadata", OBJECT},
                                      {"service_tier", STRING, "auto|default|flex|scale|priority"},
                                      {"prompt_cache_key", STRING},
                                      {"prompt_cache_retention", STRING, "in_memory|24h"},
                                      {"safety_identifier", STRING},
                                      {"user", STRING},
                                      {"store", BOOLEAN},
                                      {"prediction", OBJECT},
                                      {"modalities", ARRAY},
                                      {"audio", OBJECT},
                                      {NULL}};
    struct request r = {.c = c, .root = root};
    const struct node *stream = grammar_tree_get(root, "stream");
    if (!members(c, root, "request", rows, true))
        return false;
    if ((stream != NULL && stream->truth) != c->stream)
        return refuse(c, "stream is not what was asked for");
    if (grammar_tree_get(root, "stream_options") != NULL && !c->stream)
        return refuse(c, "stream_options without stream");
    if (grammar_tree_get(root, "max_tokens") != NULL && grammar_tree_get(root, "max_completion_tokens") != NULL)
        return refuse(c, "two limits of tokens");
    if (!c->shape_only && text_of(root, "safety_identifier").n > 64)
        return refuse(c, "safety_identifier is too long");
    return response_format(&r) && stops(&r) && metadata(&r) && tools(&r) &&
           messages(&r, grammar_tree_get(root, "messages"));
}

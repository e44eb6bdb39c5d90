/*
 * Anthropic Messages, what the API accepts (wire reference A.3, A.4, A.6, A.7).
 */
#include "check.h"

#define LETTERS "_-"

struct turn_calls { /* tool_use blocks of the assistant turn in front */
    struct seen ids;
    size_t answered;
    struct seen answers;
};

struct request {
    struct check *c;
    const struct node *root;
    struct turn_calls calls;
    size_t breakpoints;
    bool thinks; /* with a budget: older models, with their rules */
};

static bool cache_control(struct request *r, const struct node *object)
{
    static const struct row rows[] = {{"type", NEEDED | STRING, "ephemeral"}, {"ttl", STRING, "5m|1h"}, {NULL}};
    const struct node *cc = given(object, "cache_control");
    if (cc == NULL)
        return true;
    r->breakpoints++;
    return members(r->c, cc, "cache_control", rows, false);
}

/* -- blocks -- */

static bool image(struct request *r, const struct node *source)
{
    static const struct row base64[] = {{"type", NEEDED | STRING},
                                        {"media_type", NEEDED | STRING, "image/jpeg|image/png|image/gif|image/webp"},
                                        {"data", NEEDED | STRING},
                                        {NULL}};
    static const struct row url[] = {{"type", NEEDED | STRING}, {"url", NEEDED | STRING}, {NULL}};
    static const struct row file[] = {{"type", NEEDED | STRING}, {"file_id", NEEDED | STRING}, {NULL}};
    if (is_word(source, "type", "url"))
        return members(r->c, source, "source", url, true) &&
               (r->c->shape_only || is_web_url(text_of(source, "url")) || refuse(r->c, "source.url is no web address"));
    if (is_word(source, "type", "file"))
        return members(r->c, source, "source", file, true);
    if (!is_word(source, "type", "base64"))
        return refuse(r->c, "an image of a source nobody knows");
    return members(r->c, source, "source", base64, true) &&
           (r->c->shape_only || is_base64(text_of(source, "data")) || refuse(r->c, "source.data is not base64"));
}

static bool document(struct request *r, const struct node *source)
{
    static const struct row base64[] = {{"type", NEEDED | STRING},
                                        {"media_type", NEEDED | STRING, "application/pdf"},
                                        {"data", NEEDED | STRING},
                                        {NULL}};
    static const struct row text[] = {
        {"type", NEEDED | STRING}, {"media_type", NEEDED | STRING, "text/plain"}, {"data", NEEDED | STRING}, {NULL}};
    static const struct row content[] = {{"type", NEEDED | STRING}, {"content", NEEDED | STRING | ARRAY}, {NULL}};
    if (is_word(source, "type", "text"))
        return members(r->c, source, "source", text, true);
    if (is_word(source, "type", "content"))
        return members(r->c, source, "source", content, true);
    if (!is_word(source, "type", "base64"))
        return image(r, source); /* url and file are the same there */
    return members(r->c, source, "source", base64, true) &&
           (r->c->shape_only || is_base64(text_of(source, "data")) || refuse(r->c, "source.data is not base64"));
}

static bool text_block(struct request *r, const struct node *b)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},
                                      {"text", NEEDED | STRING},
                                      {"cache_control", OBJECT | NIL},
                                      {"citations", ARRAY | NIL},
                                      {NULL}};
    return members(r->c, b, "text", rows, true) && (text_of(b, "text").n != 0 || refuse(r->c, "an empty text block"));
}

static bool media_block(struct request *r, const struct node *b)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},   {"source", NEEDED | OBJECT},
                                      {"title", STRING | NIL},     {"context", STRING | NIL},
                                      {"citations", OBJECT | NIL}, {"cache_control", OBJECT | NIL},
                                      {"transformations", OBJECT}, {NULL}};
    if (!members(r->c, b, "block", rows, true))
        return false;
    if (is_word(b, "type", "image"))
        return (grammar_tree_get(b, "title") == NULL || refuse(r->c, "an image with a title")) &&
               image(r, grammar_tree_get(b, "source"));
    return document(r, grammar_tree_get(b, "source"));
}

/* Text, image and document: what users and tools may say. */
static bool said_block(struct request *r, const struct node *b)
{
    if (is_word(b, "type", "text"))
        return text_block(r, b);
    if (is_word(b, "type", "image") || is_word(b, "type", "document"))
        return media_block(r, b);
    if (is_word(b, "type", "search_result"))
        return true;
    return refuse(r->c, "a block of a type that may not stand here");
}

static bool said(struct request *r, const struct node *content)
{
    if (content->type == STRING)
        return true;
    for (const struct node *b = content->child; b != NULL; b = b->next)
        if (!said_block(r, b) || !cache_control(r, b))
            return false;
    return true;
}

static bool result_block(struct request *r, const struct node *b)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},       {"tool_use_id", NEEDED | STRING},
                                      {"content", STRING | ARRAY},     {"is_error", BOOLEAN},
                                      {"cache_control", OBJECT | NIL}, {NULL}};
    const struct node *content = grammar_tree_get(b, "content");
    if (!members(r->c, b, "tool_result", rows, true))
        return false;
    if (!seen_has(&r->calls.ids, text_of(b, "tool_use_id")))
        return refuse(r->c, "a tool_result without its tool_use in the turn before");
    if (!seen_add(r->c, &r->calls.answers, text_of(b, "tool_use_id")) && !r->c->shape_only)
        return refuse(r->c, "two results of one call");
    return content == NULL || said(r, content);
}

static bool user_turn(struct request *r, const struct node *content)
{
    bool other = false;
    for (const struct node *b = content->child; b != NULL; b = b->next) {
        bool result = is_word(b, "type", "tool_result");
        if (result && other)
            return refuse(r->c, "a tool_result behind another block");
        other = other || !result;
        if (!(result ? result_block(r, b) : said_block(r, b)) || !cache_control(r, b))
            return false;
    }
    return r->calls.answers.n == r->calls.ids.n || refuse(r->c, "a tool_use of the turn before has no tool_result");
}

static bool call_block(struct request *r, const struct node *b)
{
    static const struct row rows[] = {{"type", NEEDED | STRING},
                                      {"id", NEEDED | STRING},
                                      {"name", NEEDED | STRING},
                                      {"input", NEEDED | OBJECT},
                                      {"caller", OBJECT},
                                      {"toolset_name", STRING},
                                      {"cache_control", OBJECT | NIL},
                                      {NULL}};
    return members(r->c, b, "tool_use", rows, true) &&
           (is_name(text_of(b, "id"), 1, SIZE_MAX, LETTERS) || refuse(r->c, "tool_use.id does not fit its pattern")) &&
           (is_name(text_of(b, "name"), 1, 128, LETTERS) || refuse(r->c, "tool_use.name does not fit its pattern")) &&
           (seen_add(r->c, &r->calls.ids, text_of(b, "id")) || r->c->shape_only || refuse(r->c, "two calls of one id"));
}

static bool thinking_block(struct request *r, const struct node *b)
{
    static const struct row rows[] = {
        {"type", NEEDED | STRING}, {"thinking", NEEDED | STRING}, {"signature", NEEDED | STRING}, {NULL}};
    static const struct row redacted[] = {{"type", NEEDED | STRING}, {"data", NEEDED | STRING}, {NULL}};
    if (is_word(b, "type", "redacted_thinking"))
        return members(r->c, b, "redacted_thinking", redacted, true) &&
               (text_of(b, "data").n != 0 || refuse(r->c, "redacted_thinking without data"));
    return members(r->c, b, "thinking", rows, true) &&
           (text_of(b, "signature").n != 0 || refuse(r->c, "thinking without its signature"));
}

static bool is_thinking(const struct node *b)
{
    return is_word(b, "type", "thinking") || is_word(b, "type", "redacted_thinking");
}

static bool assistant_turn(struct request *r, const struct node *content)
{
    for (const struct node *b = content->child; b != NULL; b = b->next) {
        bool ok = is_word(b, "type", "tool_use") ? call_block(r, b)
                  : is_word(b, "type", "text")   ? text_block(r, b)
                  : is_thinking(b)               ? thinking_block(r, b)
                                                 : refuse(r->c, "a block that an assistant does not say");
        if (!ok || !cache_control(r, b))
            return false;
    }
    return true;
}

/* The last turn, when it is the assistant's, is what the answer begins with. */
static bool prefill(struct request *r, const struct node *content)
{
    const struct node *last = content->child;
    while (last != NULL && last->next != NULL)
        last = last->next;
    struct ccp_span text = content->type == STRING ? content->text : text_of(last, "text");
    if (r->thinks)
        return refuse(r->c, "a prefilled answer with thinking enabled");
    if (r->calls.ids.n != 0)
        return refuse(r->c, "the last turn's tool_use has no tool_result");
    return text.n == 0 || strchr(" \t\r\n", text.p[text.n - 1]) == NULL || refuse(r->c, "prefill ends in white space");
}

/* With thinking on, a turn that is being continued begins with its thinking. */
static bool continues(struct request *r, const struct node *answer, const struct node *results)
{
    if (!r->thinks || answer == NULL || results->type != ARRAY || !is_word(results->child, "type", "tool_result"))
        return true;
    return is_thinking(answer->child) || refuse(r->c, "thinking is enabled but the step in front has none");
}

static bool one_message(struct request *r, const struct node *m, bool user)
{
    static const struct row rows[] = {{"role", NEEDED | STRING}, {"content", NEEDED | STRING | ARRAY}, {NULL}};
    const struct node *content = grammar_tree_get(m, "content");
    if (!members(r->c, m, "message", rows, true))
        return false;
    if (content->count == 0 && content->text.n == 0)
        return refuse(r->c, "empty content");
    if (user)
        return user_turn(r, content);
    r->calls = (struct turn_calls){{0}};
    return assistant_turn(r, content);
}

static bool messages(struct request *r, const struct node *list)
{
    const struct node *before = NULL, *answer = NULL;
    r->c->list = "messages";
    r->c->at = 0;
    for (const struct node *m = list->child; m != NULL; m = m->next, r->c->at++) {
        if (is_word(m, "role", "system")) {
            if (!said(r, grammar_tree_get(m, "content")))
                return false;
            continue;
        }
        bool user = is_word(m, "role", "user");
        if (!user && !is_word(m, "role", "assistant"))
            return refuse(r->c, "a role nobody knows");
        if (user != (before == NULL || !is_word(before, "role", "user")))
            return refuse(r->c, before == NULL ? "does not begin with the user" : "two turns of one role");
        if (!one_message(r, m, user))
            return false;
        if (user && m->next == NULL &&
            !continues(r, grammar_tree_get(answer, "content"), grammar_tree_get(m, "content")))
            return false;
        if (user)
            r->calls = (struct turn_calls){{0}};
        answer = user ? answer : m;
        before = m;
    }
    bool ok = before == NULL ? refuse(r->c, "no messages")
                             : is_word(before, "role", "user") || prefill(r, grammar_tree_get(before, "content"));
    r->c->list = NULL;
    return ok;
}

/* -- tools -- */

static bool tool(struct request *r, const struct node *t, struct seen *names)
{
    static const struct row rows[] = {{"name", NEEDED | STRING},
                                      {"input_schema", NEEDED | OBJECT},
                                      {"description", STRING},
                                      {"type", STRING, "custom"},
                                      {"strict", BOOLEAN},
                                      {"defer_loading", BOOLEAN},
                                      {"eager_input_streaming", BOOLEAN | NIL},
                                      {"input_examples", ARRAY},
                                      {"allowed_callers", ARRAY},
                                      {"cache_control", OBJECT | NIL},
                                      {NULL}};
    bool built_in = given(t, "type") != NULL && !is_word(t, "type", "custom");
    if (built_in ? text_of(t, "name").n == 0 : !members(r->c, t, "tool", rows, true))
        return refuse(r->c, "a tool without a name");
    const struct node *type = grammar_tree_get(grammar_tree_get(t, "input_schema"), "type");
    if (!built_in && (type == NULL || !(r->c->shape_only || is_one_of(type->text, "object"))))
        return refuse(r->c, "input_schema is not of type object");
    if (!is_name(text_of(t, "name"), 1, 128, LETTERS))
        return refuse(r->c, "a tool's name does not fit its pattern");
    return cache_control(r, t) &&
           (seen_add(r->c, names, text_of(t, "name")) || r->c->shape_only || refuse(r->c, "two tools of one name"));
}

static bool tools(struct request *r)
{
    static const struct row rows[] = {
        {"type", NEEDED | STRING}, {"name", STRING}, {"disable_parallel_tool_use", BOOLEAN}, {NULL}};
    const struct node *list = given(r->root, "tools"), *choice = given(r->root, "tool_choice");
    struct seen names = {0};
    r->c->list = "tools";
    r->c->at = 0;
    for (const struct node *t = list != NULL ? list->child : NULL; t != NULL; t = t->next, r->c->at++)
        if (!tool(r, t, &names))
            return false;
    r->c->list = NULL;
    if (choice == NULL)
        return true;
    if (names.n == 0)
        return refuse(r->c, "tool_choice without tools");
    if (!members(r->c, choice, "tool_choice", rows, true) || !is_one_of(text_of(choice, "type"), "auto|any|tool|none"))
        return refuse(r->c, "tool_choice of a type nobody knows");
    bool named = is_word(choice, "type", "tool");
    if (named != (grammar_tree_get(choice, "name") != NULL) ||
        (named && !r->c->shape_only && !seen_has(&names, text_of(choice, "name"))))
        return refuse(r->c, "tool_choice names no tool of the list");
    if (is_word(choice, "type", "none") && choice->count != 1)
        return refuse(r->c, "tool_choice none with more members");
    return !r->thinks || is_one_of(text_of(choice, "type"), "auto|none") ||
           refuse(r->c, "a forced tool_choice with thinking enabled");
}

/* -- parameters -- */

static bool thinking(struct request *r)
{
    static const struct row rows[] = {{"type", NEEDED | STRING, "enabled|adaptive|between_tools|disabled"},
                                      {"budget_tokens", INTEGER},
                                      {"display", STRING | NIL, "summarized|omitted|updates"},
                                      {NULL}};
    const struct node *t = given(r->root, "thinking"), *temperature = given(r->root, "temperature");
    double budget = number_of(t, "budget_tokens");
    if (t == NULL)
        return true;
    r->thinks = is_word(t, "type", "enabled");
    if (!members(r->c, t, "thinking", rows, true))
        return false;
    if (r->thinks != (grammar_tree_get(t, "budget_tokens") != NULL))
        return refuse(r->c, "thinking.budget_tokens goes with enabled, and only with it");
    if (!r->thinks)
        return true;
    if (budget < 1024 || budget >= number_of(r->root, "max_tokens"))
        return refuse(r->c, "thinking.budget_tokens is not between 1024 and max_tokens");
    return (temperature == NULL || temperature->number == 1 || refuse(r->c, "temperature with thinking enabled")) &&
           (given(r->root, "top_k") == NULL || refuse(r->c, "top_k with thinking enabled"));
}

static bool output_config(struct request *r)
{
    static const struct row rows[] = {
        {"effort", STRING, "low|medium|high|xhigh|max"}, {"format", OBJECT | NIL}, {"task_budget", OBJECT}, {NULL}};
    static const struct row format[] = {{"type", NEEDED | STRING, "json_schema"}, {"schema", NEEDED | OBJECT}, {NULL}};
    const struct node *o = given(r->root, "output_config"), *f = given(o, "format");
    return o == NULL || (members(r->c, o, "output_config", rows, true) &&
                         (f == NULL || members(r->c, f, "output_config.format", format, true)));
}

static bool stops(struct request *r)
{
    const struct node *list = given(r->root, "stop_sequences");
    for (const struct node *s = list != NULL ? list->child : NULL; s != NULL; s = s->next)
        if (s->type != STRING || is_blank(s->text))
            return refuse(r->c, "a stop sequence that is no text or only white space");
    return true;
}

static bool metadata(struct request *r)
{
    static const struct row rows[] = {{"user_id", STRING | NIL}, {NULL}};
    const struct node *m = given(r->root, "metadata");
    return m == NULL || (members(r->c, m, "metadata", rows, true) &&
                         (r->c->shape_only || text_of(m, "user_id").n <= 256 || refuse(r->c, "user_id is too long")));
}

bool anthropic_request(struct check *c, const struct node *root)
{
    static const struct row rows[] = {{"model", NEEDED | STRING},
                                      {"max_tokens", NEEDED | INTEGER, AT_LEAST(0)},
                                      {"messages", NEEDED | ARRAY},
                                      {"system", STRING | ARRAY},
                                      {"stream", BOOLEAN},
                                      {"stop_sequences", ARRAY},
                                      {"temperature", NUMBER, NULL, 0, 1},
                                      {"top_p", NUMBER, NULL, 0, 1},
                                      {"top_k", INTEGER, AT_LEAST(0)},
                                      {"thinking", OBJECT},
                                      {"output_config", OBJECT},
                                      {"tools", ARRAY},
                                      {"tool_choice", OBJECT},
                                      {"metadata", OBJECT},
                                      {"service_tier", STRING, "auto|standard_only"},
                                      {"cache_control", OBJECT | NIL},
                                      {NULL}};
    struct request r = {.c = c, .root = root};
    if (!members(c, root, "request", rows, true))
        return false;
    const struct node *stream = grammar_tree_get(root, "stream"), *system_ = grammar_tree_get(root, "system");
    if ((stream != NULL && stream->truth) != c->stream)
        return refuse(c, "stream is not what was asked for");
    if (system_ != NULL && system_->type == ARRAY)
        for (const struct node *b = system_->child; b != NULL; b = b->next)
            if (!text_block(&r, b) || !cache_control(&r, b))
                return false;
    return thinking(&r) && output_config(&r) && stops(&r) && metadata(&r) && tools(&r) && cache_control(&r, root) &&
           messages(&r, grammar_tree_get(root, "messages")) &&
           (c->shape_only || r.breakpoints <= 4 || refuse(c, "more than 4 cache breakpoints"));
}

/*
 * Gemini generateContent, what a client gets: stream of chunks (events or a JSON array), whole answer, error (wire
 * reference D.4, D.6).
 */
#include "check.h"

static const char finish_words[] =
    "STOP|MAX_TOKENS|SAFETY|RECITATION|LANGUAGE|OTHER|BLOCKLIST|PROHIBITED_CONTENT|SPII|MALFORMED_FUNCTION_CALL|"
    "UNEXPECTED_TOOL_CALL|TOO_MANY_TOOL_CALLS|IMAGE_SAFETY|NO_IMAGE";

static bool usage(struct check *c, const struct node *u)
{
    static const struct row rows[] = {{"promptTokenCount", NEEDED | INTEGER, AT_LEAST(0)},
                                      {"candidatesTokenCount", INTEGER, AT_LEAST(0)},
                                      {"thoughtsTokenCount", INTEGER, AT_LEAST(0)},
                                      {"cachedContentTokenCount", INTEGER, AT_LEAST(0)},
                                      {"toolUsePromptTokenCount", INTEGER, AT_LEAST(0)},
                                      {"totalTokenCount", NEEDED | INTEGER, AT_LEAST(0)},
                                      {NULL}};
    if (!members(c, u, "usageMetadata", rows, false))
        return false;
    double sum = number_of(u, "promptTokenCount") + number_of(u, "candidatesTokenCount") +
                 number_of(u, "thoughtsTokenCount") + number_of(u, "toolUsePromptTokenCount");
    if (sum != number_of(u, "totalTokenCount"))
        return refuse(c, "totalTokenCount is not the sum");
    return number_of(u, "cachedContentTokenCount") <= number_of(u, "promptTokenCount") ||
           refuse(c, "more cached tokens than prompt tokens");
}

static bool part(struct check *c, const struct node *p)
{
    static const struct row rows[] = {{"text", STRING},     {"functionCall", OBJECT},     {"inlineData", OBJECT},
                                      {"thought", BOOLEAN}, {"thoughtSignature", STRING}, {NULL}};
    static const struct row call[] = {{"name", NEEDED | STRING}, {"args", OBJECT}, {"id", STRING}, {NULL}};
    const struct node *f = grammar_tree_get(p, "functionCall"), *signature = grammar_tree_get(p, "thoughtSignature");
    if (!members(c, p, "part", rows, false))
        return false;
    if ((f != NULL) + (grammar_tree_get(p, "text") != NULL) + (grammar_tree_get(p, "inlineData") != NULL) != 1)
        return refuse(c, "a part has not one kind of data");
    if (signature != NULL && !is_base64(signature->text))
        return refuse(c, "thoughtSignature is not base64");
    if (cuts_a_character(text_of(p, "text")))
        return refuse(c, "a fragment cuts a character in two");
    if (f == NULL)
        return true;
    return members(c, f, "functionCall", call, false) &&
           (text_of(f, "name").n != 0 || refuse(c, "functionCall without a name"));
}

struct stream {
    struct check *c;
    const struct node *first;
    bool finished, failed;
};

static bool candidate(struct stream *s, const struct node *root)
{
    static const struct row rows[] = {
        {"content", OBJECT},       {"index", INTEGER, NULL, -1, 0}, {"finishReason", STRING, finish_words},
        {"finishMessage", STRING}, {"groundingMetadata", OBJECT},   {NULL}};
    const struct node *list = grammar_tree_get(root, "candidates"), *one = list->child;
    const struct node *content = grammar_tree_get(one, "content"), *parts = grammar_tree_get(content, "parts");
    if (list->count != 1 || !members(s->c, one, "candidate", rows, false))
        return refuse(s->c, "there is not one candidate");
    if (content != NULL && content->count != 0 && !is_word(content, "role", "model"))
        return refuse(s->c, "content of somebody else than the model");
    if (parts != NULL && (parts->type != ARRAY || (parts->count == 0 && s->c->stream)))
        return refuse(s->c, "an empty list of parts");
    for (const struct node *p = parts != NULL ? parts->child : NULL; p != NULL; p = p->next)
        if (!part(s->c, p))
            return false;
    s->finished = grammar_tree_get(one, "finishReason") != NULL;
    return true;
}

static bool chunk(struct stream *s, const struct node *root)
{
    static const struct row rows[] = {{"candidates", ARRAY},           {"promptFeedback", OBJECT},
                                      {"usageMetadata", OBJECT},       {"modelVersion", NEEDED | STRING},
                                      {"responseId", NEEDED | STRING}, {NULL}};
    const struct node *u = grammar_tree_get(root, "usageMetadata"), *blocked = grammar_tree_get(root, "promptFeedback");
    if (!members(s->c, root, "chunk", rows, false))
        return false;
    if (s->finished)
        return refuse(s->c, "a chunk behind the finish");
    if (s->first == NULL)
        s->first = root;
    if (text_of(root, "modelVersion").n == 0 || text_of(root, "responseId").n == 0 ||
        !grammar_tree_equal(grammar_tree_get(root, "modelVersion"), grammar_tree_get(s->first, "modelVersion")) ||
        !grammar_tree_equal(grammar_tree_get(root, "responseId"), grammar_tree_get(s->first, "responseId")))
        return refuse(s->c, "modelVersion or responseId is empty or changed");
    if (grammar_tree_get(root, "candidates") == NULL) {
        s->finished = text_of(blocked, "blockReason").n != 0;
        if (!s->finished)
            return refuse(s->c, "neither a candidate nor a reason to block");
    } else if (!candidate(s, root)) {
        return false;
    }
    return u == NULL || usage(s->c, u);
}

static bool element(struct stream *s, const struct node *root)
{
    if (s->failed)
        return refuse(s->c, "a chunk behind the error");
    if (grammar_tree_get(root, "error") == NULL)
        return chunk(s, root);
    s->failed = true;
    if (s->finished)
        return refuse(s->c, "an error behind the finish");
    return (s->c->may_fail || refuse(s->c, "an error")) && gemini_error(s->c, root);
}

static bool take(void *self, const struct frame *f)
{
    struct stream *s = self;
    return (f->event.n == 0 || refuse(s->c, "a named event")) && element(s, f->data);
}

static bool array(struct stream *s, struct ccp_span bytes)
{
    const struct node *root = parse(s->c, bytes);
    if (root == NULL)
        return false;
    s->c->list = "chunk";
    for (const struct node *e = root->child; e != NULL; e = e->next, s->c->at++)
        if (!element(s, e))
            return false;
    s->c->list = NULL;
    return true;
}

bool gemini_stream(struct check *c, struct ccp_span bytes)
{
    struct stream s = {.c = c};
    bool ok = has_prefix(bytes, "[") ? array(&s, bytes) : frames(c, bytes, false, take, &s);
    return ok && (s.finished || s.failed || refuse(c, "the stream has no end"));
}

bool gemini_whole(struct check *c, const struct node *root)
{
    struct stream s = {.c = c};
    return chunk(&s, root) && (s.finished || refuse(c, "no finishReason"));
}

bool gemini_error(struct check *c, const struct node *root)
{
    static const struct row rows[] = {{"error", NEEDED | OBJECT}, {NULL}};
    static const struct row error[] = {
        {"code", NEEDED | INTEGER, NULL, 400, 599},
        {"message", NEEDED | STRING},
        {"status", NEEDED | STRING,
         "INVALID_ARGUMENT|FAILED_PRECONDITION|OUT_OF_RANGE|UNAUTHENTICATED|PERMISSION_DENIED|NOT_FOUND|ABORTED|"
         "ALREADY_EXISTS|RESOURCE_EXHAUSTED|CANCELLED|INTERNAL|UNKNOWN|DATA_LOSS|UNIMPLEMENTED|UNAVAILABLE|"
         "DEADLINE_EXCEEDED"},
        {"details", ARRAY},
        {NULL}};
    return members(c, root, "root", rows, false) && members(c, grammar_tree_get(root, "error"), "error", error, false);
}

/*
 * Gemini generateContent, what the API accepts (wire reference D.2 - D.5). Names in camel case only: what the API takes
 * in snake case as well, we never write.
 */
#include "check.h"

struct request {
    struct check *c;
    const struct node *root;
    const struct node *calls; /* parts of the model's turn in front */
};

/* -- parts -- */

/* Of the file service, of a bucket, or of the web. */
static bool is_file_uri(struct check *c, struct ccp_span uri)
{
    if (uri.n == 0)
        return refuse(c, "fileUri is empty");
    return c->shape_only || is_web_url(uri) || has_prefix(uri, "gs://") || has_prefix(uri, "files/") ||
           refuse(c, "fileUri is no address");
}

static bool data_part(struct request *r, const struct node *p)
{
    static const struct row inline_rows[] = {
        {"mimeType", NEEDED | STRING}, {"data", NEEDED | STRING}, {"displayName", STRING}, {NULL}};
    static const struct row file_rows[] = {
        {"fileUri", NEEDED | STRING}, {"mimeType", STRING}, {"displayName", STRING}, {NULL}};
    const struct node *in = grammar_tree_get(p, "inlineData"), *file = grammar_tree_get(p, "fileData");
    if (file != NULL)
        return members(r->c, file, "fileData", file_rows, true) && is_file_uri(r->c, text_of(file, "fileUri"));
    return in == NULL ||
           (members(r->c, in, "inlineData", inline_rows, true) &&
            (r->c->shape_only || is_base64(text_of(in, "data")) || refuse(r->c, "inlineData.data is not base64")) &&
            (r->c->shape_only || is_media_type(text_of(in, "mimeType")) ||
             refuse(r->c, "inlineData.mimeType is no type")));
}

static bool is_tool_name(struct ccp_span name)
{
    bool first = name.n != 0 && (name.p[0] == '_' || ((name.p[0] | 32) >= 'a' && (name.p[0] | 32) <= 'z'));
    return first && is_name(name, 1, 128, "_.:-");
}

static bool call_part(struct request *r, const struct node *p)
{
    static const struct row call[] = {{"name", NEEDED | STRING}, {"args", OBJECT}, {"id", STRING}, {NULL}};
    static const struct row answer[] = {
        {"name", NEEDED | STRING}, {"response", NEEDED | OBJECT}, {"id", STRING}, {"parts", ARRAY}, {NULL}};
    const struct node *f = grammar_tree_get(p, "functionCall"), *a = grammar_tree_get(p, "functionResponse");
    if (f == NULL && a == NULL)
        return true;
    if (!(f != NULL ? members(r->c, f, "functionCall", call, true)
                    : members(r->c, a, "functionResponse", answer, true)))
        return false;
    if (!is_tool_name(text_of(f != NULL ? f : a, "name")))
        return refuse(r->c, "a function's name does not fit its pattern");
    const struct node *parts = grammar_tree_get(a, "parts");
    for (const struct node *one = parts != NULL ? parts->child : NULL; one != NULL; one = one->next)
        if (!data_part(r, one))
            return false;
    return parts == NULL || parts->count != 0 || refuse(r->c, "functionResponse.parts is empty");
}

static bool part(struct request *r, const struct node *p, bool user)
{
    static const struct row rows[] = {{"text", STRING},
                                      {"inlineData", OBJECT},
                                      {"fileData", OBJECT},
                                      {"functionCall", OBJECT},
                                      {"functionResponse", OBJECT},
                                      {"thought", BOOLEAN},
                                      {"thoughtSignature", STRING},
                                      {"videoMetadata", OBJECT},
                                      {"mediaResolution", OBJECT | STRING},
                                      {NULL}};
    const struct node *signature = grammar_tree_get(p, "thoughtSignature");
    int kinds = 0;
    if (!members(r->c, p, "part", rows, true))
        return false;
    for (size_t i = 0; i < 5; i++)
        kinds += grammar_tree_get(p, rows[i].name) != NULL;
    if (kinds != 1)
        return refuse(r->c, "a part has not one kind of data");
    if (grammar_tree_get(p, user ? "functionCall" : "functionResponse") != NULL)
        return refuse(r->c, "a call of the user or a response of the model");
    if (signature != NULL && (user || !is_base64(signature->text)))
        return refuse(r->c, "thoughtSignature of the user, or not base64");
    return data_part(r, p) && call_part(r, p);
}

/* -- contents -- */

static const struct node *next_with(const struct node *p, const char *key)
{
    while (p != NULL && grammar_tree_get(p, key) == NULL)
        p = p->next;
    return p;
}

/* Every call of the turn in front has its response, in order; and there are no others. */
static bool responses_fit(struct request *r, const struct node *parts)
{
    const struct node *call = next_with(r->calls, "functionCall");
    const struct node *answer = next_with(parts, "functionResponse");
    for (; call != NULL && answer != NULL;
         call = next_with(call->next, "functionCall"), answer = next_with(answer->next, "functionResponse")) {
        const struct node *f = grammar_tree_get(call, "functionCall"),
                          *a = grammar_tree_get(answer, "functionResponse");
        if (!ccp_span_eq(text_of(f, "name"), text_of(a, "name")) ||
            !grammar_tree_equal(grammar_tree_get(f, "id"), grammar_tree_get(a, "id")))
            return refuse(r->c, "a function response is not that of its call");
    }
    return (call == NULL && answer == NULL) || refuse(r->c, "not as many function responses as calls in front");
}

static bool content(struct request *r, const struct node *one, const struct node *before)
{
    static const struct row rows[] = {{"role", NEEDED | STRING}, {"parts", NEEDED | ARRAY}, {NULL}};
    bool user = is_word(one, "role", "user");
    const struct node *parts = grammar_tree_get(one, "parts");
    if (!members(r->c, one, "content", rows, true))
        return false;
    if (!user && !is_word(one, "role", "model"))
        return refuse(r->c, "a role nobody knows");
    if (user != (before == NULL || is_word(before, "role", "model")))
        return refuse(r->c, before == NULL ? "does not begin with the user" : "two turns of one role");
    if (parts->count == 0)
        return refuse(r->c, "no parts");
    for (const struct node *p = parts->child; p != NULL; p = p->next)
        if (!part(r, p, user))
            return false;
    if (user && !responses_fit(r, parts->child))
        return false;
    r->calls = user ? NULL : parts->child;
    return true;
}

static bool contents(struct request *r)
{
    const struct node *list = grammar_tree_get(r->root, "contents"), *before = NULL;
    r->c->list = "contents";
    r->c->at = 0;
    for (const struct node *one = list->child; one != NULL; before = one, one = one->next, r->c->at++)
        if (!content(r, one, before))
            return false;
    r->c->list = NULL;
    if (next_with(r->calls, "functionCall") != NULL)
        return refuse(r->c, "the last turn's calls have no responses");
    return list->count != 0 || refuse(r->c, "no contents");
}

static bool system_text(struct request *r)
{
    static const struct row rows[] = {{"role", STRING}, {"parts", NEEDED | ARRAY}, {NULL}};
    static const struct row text[] = {{"text", NEEDED | STRING}, {NULL}};
    const struct node *s = given(r->root, "systemInstruction");
    if (s == NULL)
        return true;
    if (!members(r->c, s, "systemInstruction", rows, true))
        return false;
    for (const struct node *p = grammar_tree_get(s, "parts")->child; p != NULL; p = p->next)
        if (!members(r->c, p, "systemInstruction.parts", text, true))
            return false;
    return grammar_tree_get(s, "parts")->count != 0 || refuse(r->c, "systemInstruction without parts");
}

/* -- tools -- */

/* The OpenAPI subset: what else a JSON Schema may hold is refused by name. */
static bool schema(struct request *r, const struct node *s, unsigned depth)
{
    static const char unknown[] =
        "$schema|$ref|$defs|$id|additionalProperties|const|oneOf|allOf|not|patternProperties|if|"
        "then|else|exclusiveMinimum|exclusiveMaximum|examples|definitions";
    if (s->type != OBJECT)
        return refuse(r->c, "a schema that is no object");
    for (const struct node *m = s->child; m != NULL && depth < 100; m = m->next) {
        if (is_one_of(m->key, unknown))
            return refuse(r->c, "a schema with %.*s, which is not of the subset", (int)m->key.n, m->key.p);
        if (ccp_span_is(m->key, "type") && m->type != STRING)
            return refuse(r->c, "a schema whose type is no word");
        bool list = is_one_of(m->key, "properties|anyOf");
        for (const struct node *inner = list ? m->child : NULL; inner != NULL; inner = inner->next)
            if (!schema(r, inner, depth + 1))
                return false;
        if (ccp_span_is(m->key, "items") && !schema(r, m, depth + 1))
            return false;
    }
    return true;
}

static bool declaration(struct request *r, const struct node *d, struct seen *names)
{
    static const struct row rows[] = {{"name", NEEDED | STRING}, {"description", STRING},
                                      {"parameters", OBJECT},    {"parametersJsonSchema", OBJECT},
                                      {"response", OBJECT},      {"responseJsonSchema", OBJECT},
                                      {"behavior", STRING},      {NULL}};
    const struct node *subset = grammar_tree_get(d, "parameters");
    if (!members(r->c, d, "declaration", rows, true))
        return false;
    if (!is_tool_name(text_of(d, "name")))
        return refuse(r->c, "a function's name does not fit its pattern");
    if (!is_parameters(r->c, subset != NULL ? subset : grammar_tree_get(d, "parametersJsonSchema")))
        return false;
    if (!seen_add(r->c, names, text_of(d, "name")) && !r->c->shape_only)
        return refuse(r->c, "two functions of one name");
    if (subset != NULL && grammar_tree_get(d, "parametersJsonSchema") != NULL)
        return refuse(r->c, "two schemas of one function");
    return subset == NULL || schema(r, subset, 0);
}

static bool tools(struct request *r, struct seen *names)
{
    static const struct row rows[] = {{"functionDeclarations", ARRAY},
                                      {"googleSearch", OBJECT},
                                      {"codeExecution", OBJECT},
                                      {"urlContext", OBJECT},
                                      {NULL}};
    const struct node *list = given(r->root, "tools");
    r->c->list = "tools";
    r->c->at = 0;
    for (const struct node *t = list != NULL ? list->child : NULL; t != NULL; t = t->next, r->c->at++) {
        const struct node *functions = grammar_tree_get(t, "functionDeclarations");
        if (!members(r->c, t, "tool", rows, true))
            return false;
        if (t->count != 1 || (functions != NULL && functions->count == 0))
            return refuse(r->c, "a tool without its one member, or without functions");
        for (const struct node *d = functions != NULL ? functions->child : NULL; d != NULL; d = d->next)
            if (!declaration(r, d, names))
                return false;
    }
    r->c->list = NULL;
    return true;
}

static bool tool_config(struct request *r, const struct seen *names)
{
    static const struct row rows[] = {{"functionCallingConfig", OBJECT}, {NULL}};
    static const struct row calling[] = {
        {"mode", STRING, "AUTO|ANY|NONE|VALIDATED"}, {"allowedFunctionNames", ARRAY}, {NULL}};
    const struct node *t = given(r->root, "toolConfig"), *f = grammar_tree_get(t, "functionCallingConfig");
    const struct node *allowed = grammar_tree_get(f, "allowedFunctionNames");
    if (t == NULL)
        return true;
    if (!members(r->c, t, "toolConfig", rows, true) ||
        (f != NULL && !members(r->c, f, "functionCallingConfig", calling, true)))
        return false;
    for (const struct node *a = allowed != NULL ? allowed->child : NULL; a != NULL; a = a->next)
        if (!r->c->shape_only && !seen_has(names, a->text))
            return refuse(r->c, "allowedFunctionNames names no function of the list");
    if (allowed != NULL && allowed->count == 0)
        return refuse(r->c, "allowedFunctionNames is empty");
    return !is_one_of(text_of(f, "mode"), "ANY|VALIDATED") || names->n != 0 ||
           refuse(r->c, "mode ANY without functions");
}

/* -- parameters -- */

static bool generation(struct request *r)
{
    static const struct row rows[] = {{"temperature", NUMBER, NULL, 0, 2},
                                      {"topP", NUMBER, NULL, 0, 1},
                                      {"topK", NUMBER, AT_LEAST(0)},
                                      {"candidateCount", INTEGER, NULL, 1, 8},
                                      {"maxOutputTokens", INTEGER, AT_LEAST(1)},
                                      {"stopSequences", ARRAY},
                                      {"presencePenalty", NUMBER, NULL, -2, 2},
                                      {"frequencyPenalty", NUMBER, NULL, -2, 2},
                                      {"seed", INTEGER},
                                      {"responseLogprobs", BOOLEAN},
                                      {"logprobs", INTEGER, NULL, 0, 20},
                                      {"responseMimeType", STRING, "text/plain|application/json|text/x.enum"},
                                      {"responseSchema", OBJECT},
                                      {"responseJsonSchema", OBJECT},
                                      {"responseModalities", ARRAY},
                                      {"mediaResolution", STRING},
                                      {"thinkingConfig", OBJECT},
                                      {NULL}};
    static const struct row thinking[] = {{"includeThoughts", BOOLEAN},
                                          {"thinkingBudget", INTEGER, AT_LEAST(-1)},
                                          {"thinkingLevel", STRING, "MINIMAL|LOW|MEDIUM|HIGH"},
                                          {NULL}};
    const struct node *g = given(r->root, "generationConfig"), *t = grammar_tree_get(g, "thinkingConfig");
    const struct node *stops = grammar_tree_get(g, "stopSequences"), *subset = grammar_tree_get(g, "responseSchema");
    if (g == NULL)
        return true;
    if (!members(r->c, g, "generationConfig", rows, true) ||
        (t != NULL && !members(r->c, t, "thinkingConfig", thinking, true)))
        return false;
    if (grammar_tree_get(t, "thinkingBudget") != NULL && grammar_tree_get(t, "thinkingLevel") != NULL)
        return refuse(r->c, "thinkingBudget and thinkingLevel");
    for (const struct node *s = stops != NULL ? stops->child : NULL; s != NULL; s = s->next)
        if (s->type != STRING || s->text.n == 0)
            return refuse(r->c, "a stop sequence that is no text");
    if (stops != NULL && stops->count > 5)
        return refuse(r->c, "more than 5 stop sequences");
    bool has_schema = subset != NULL || grammar_tree_get(g, "responseJsonSchema") != NULL;
    if (subset != NULL && grammar_tree_get(g, "responseJsonSchema") != NULL)
        return refuse(r->c, "two schemas of the answer");
    if (has_schema && !is_one_of(text_of(g, "responseMimeType"), "application/json|text/x.enum"))
        return refuse(r->c, "a schema of the answer without responseMimeType");
    return subset == NULL || schema(r, subset, 0);
}

bool gemini_request(struct check *c, const struct node *root)
{
    static const struct row rows[] = {{"contents", NEEDED | ARRAY},
                                      {"systemInstruction", OBJECT},
                                      {"tools", ARRAY},
                                      {"toolConfig", OBJECT},
                                      {"safetySettings", ARRAY},
                                      {"generationConfig", OBJECT},
                                      {"cachedContent", STRING},
                                      {"serviceTier", STRING},
                                      {"labels", OBJECT},
                                      {"store", BOOLEAN},
                                      {NULL}};
    struct request r = {.c = c, .root = root};
    struct seen names = {0};
    return members(c, root, "request", rows, true) && generation(&r) && system_text(&r) && tools(&r, &names) &&
           tool_config(&r, &names) && contents(&r);
}

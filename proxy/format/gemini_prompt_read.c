/*
 * Gemini request to neutral prompt: the top level and generationConfig (wire reference D.2, D.3). The conversation is
 * read in gemini_contents_read.c, tools in gemini_tools_read.c.
 */
#include <base/fault.h>
#include <format/gemini.h>
#include <wire/json.h>

/* -- members whose values are judged -- */

/* proto3 JSON allows numbers as strings; nobody else does. */
static bool unquote(struct prompt *p, enum param param)
{
    struct ccp_span text = ccp_json_inner(p->params[param]);
    bool number = text.n != 0 && (text.p[0] == '-' || (text.p[0] >= '0' && text.p[0] <= '9'));
    if (!number || json_scan(text, NULL, NULL, 0, NULL) != CCP_OK)
        return prompt_fail(p, "%s: a number is expected", p->param_names[param]);
    struct ccp_json *node = CCP_FAULT("gemini.number") ? NULL : arena_zalloc(p->a, sizeof(*node));
    if (node == NULL)
        return prompt_no_memory(p);
    node->type = CCP_JSON_NUMBER;
    node->raw = text;
    p->params[param] = node;
    return true;
}

static bool numbers(struct prompt *p)
{
    static const enum param all[] = {
        PARAM_MAX_TOKENS,       PARAM_TEMPERATURE,      PARAM_TOP_P, PARAM_TOP_K, PARAM_SEED,
        PARAM_PRESENCE_PENALTY, PARAM_FREQUENCY_PENALTY};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const struct ccp_json *node = p->params[all[i]];
        if (node != NULL && node->type != CCP_JSON_NUMBER && !unquote(p, all[i]))
            return false;
    }
    return true;
}

static bool stops(struct prompt *p, const struct ccp_json *node)
{
    bool ok = node == NULL || node->type == CCP_JSON_ARRAY;
    for (const struct ccp_json *s = ok && node != NULL ? node->child : NULL; s != NULL && ok; s = s->next)
        ok = s->type == CCP_JSON_STRING;
    if (!ok)
        return prompt_fail(p, "generationConfig.stopSequences: a list of strings is expected");
    p->params[PARAM_STOP] = node != NULL && node->count != 0 ? node : NULL;
    return true;
}

static bool candidates(struct prompt *p, const struct ccp_json *node)
{
    int64_t n = 1;
    if (node != NULL && (!prompt_int(node, &n) || n < 0))
        return prompt_fail(p, "generationConfig.candidateCount: a count is expected");
    p->param_names[PARAM_CANDIDATES] = NULL;
    return n <= 1 || prompt_fail(p, "generationConfig.candidateCount: more than one candidate cannot be carried over");
}

static bool modalities(struct prompt *p, const struct ccp_json *node)
{
    p->param_names[PARAM_MODALITIES] = NULL;
    for (const struct ccp_json *m = node != NULL ? node->child : NULL; m != NULL; m = m->next)
        if (!ccp_span_ieq(ccp_json_inner(m), CCP_SPAN("TEXT")))
            return prompt_fail(p, "generationConfig.responseModalities: only TEXT can be carried over");
    return true;
}

/* -- structured output -- */

static bool output_schema(struct prompt *p, const struct ccp_json *config)
{
    const struct ccp_json *json = gemini_get(config, "responseJsonSchema"),
                          *openapi = gemini_get(config, "responseSchema");
    struct output *o = &p->output;
    if (json == NULL && openapi == NULL)
        return true;
    if (json != NULL && openapi != NULL)
        return prompt_fail(p, "generationConfig: responseSchema and responseJsonSchema exclude each other");
    o->kind = OUTPUT_SCHEMA;
    o->schema = json != NULL ? json : openapi;
    o->openapi = json == NULL;
    if (o->schema->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "generationConfig.%s: an object is expected",
                           json != NULL ? "responseJsonSchema" : "responseSchema");
    return true;
}

static bool output(struct prompt *p, const struct ccp_json *config)
{
    const struct ccp_json *mime = gemini_get(config, "responseMimeType");
    if (gemini_get(config, "responseFormat") != NULL)
        return prompt_fail(p, "generationConfig.responseFormat cannot be carried over: use responseJsonSchema");
    if (prompt_is(mime, "application/json"))
        p->output.kind = OUTPUT_JSON;
    else if (mime != NULL && !prompt_is(mime, "text/plain"))
        return prompt_fail(p, "generationConfig.responseMimeType: only text/plain and application/json can be "
                              "carried over");
    return output_schema(p, config);
}

/* -- thinking -- */

static bool level(struct prompt *p, const struct ccp_json *node)
{
    static const struct {
        const char *word;
        enum effort effort;
    } levels[] = {
        {"MINIMAL", EFFORT_MINIMAL}, {"LOW", EFFORT_LOW}, {"MEDIUM", EFFORT_MEDIUM},
        {"HIGH", EFFORT_HIGH},       {"", EFFORT_UNSET},  {"THINKING_LEVEL_UNSPECIFIED", EFFORT_UNSET},
    };
    struct ccp_span word = ccp_json_inner(node);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (ccp_span_ieq(word, ccp_span_z(levels[i].word))) {
            if (levels[i].effort != EFFORT_UNSET)
                p->reasoning.effort = levels[i].effort;
            return true;
        }
    return prompt_fail(p, "generationConfig.thinkingConfig.thinkingLevel: MINIMAL, LOW, MEDIUM or HIGH is expected");
}

static bool budget(struct prompt *p, const struct ccp_json *node)
{
    struct reasoning *r = &p->reasoning;
    uint64_t tokens = 0;
    int64_t n;
    if (node == NULL)
        return true;
    if (!prompt_int(node, &n)) {
        bool dynamic = prompt_is(node, "-1");
        if (!dynamic && !gemini_count(node, &tokens))
            return prompt_fail(p, "generationConfig.thinkingConfig.thinkingBudget: a number of tokens is expected");
        n = dynamic ? -1 : (int64_t)tokens;
    }
    r->adaptive = n < 0;
    r->budget = n < 0 ? -1 : n;
    r->effort = effort_of_budget(r->budget);
    return true;
}

static bool thinking(struct prompt *p, const struct ccp_json *node)
{
    const struct ccp_json *show = gemini_get(node, "includeThoughts");
    if (node == NULL)
        return true;
    if (node->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "generationConfig.thinkingConfig: an object is expected");
    if (show != NULL)
        p->reasoning.show = prompt_true(show) ? YES : NO;
    return budget(p, gemini_get(node, "thinkingBudget")) && level(p, gemini_get(node, "thinkingLevel"));
}

bool gemini_read_config(struct prompt *p, const struct ccp_json *config)
{
    if (config == NULL)
        return true;
    if (config->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "generationConfig: an object is expected");
    p->params[PARAM_MAX_TOKENS] = gemini_get(config, "maxOutputTokens");
    return fields_read(p, gemini_fields, config, "generationConfig.") && numbers(p) &&
           stops(p, gemini_get(config, "stopSequences")) && candidates(p, gemini_get(config, "candidateCount")) &&
           modalities(p, gemini_get(config, "responseModalities")) && output(p, config) &&
           thinking(p, gemini_get(config, "thinkingConfig"));
}

/* -- the top level -- */

/* What is kept at the provider cannot be reached from another one. */
static bool stored(struct prompt *p, const struct ccp_json *root)
{
    static const char *const names[] = {"cachedContent", "continuationToken"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct ccp_json *node = gemini_get(root, names[i]);
        if (node != NULL && ccp_json_inner(node).n != 0)
            return prompt_fail(p, "%s: what is stored at one provider cannot be carried over to another", names[i]);
    }
    return true;
}

static bool service_tier(struct prompt *p, const struct ccp_json *node)
{
    static const char *const tiers[][2] = {{"standard", "default"}, {"flex", "flex"}, {"priority", "priority"}};
    p->param_names[PARAM_SERVICE_TIER] = NULL;
    for (size_t i = 0; node != NULL && i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        if (!ccp_span_ieq(ccp_json_inner(node), ccp_span_z(tiers[i][0])))
            continue;
        fields_seen(p, PARAM_SERVICE_TIER, "serviceTier");
        p->params[PARAM_SERVICE_TIER] =
            CCP_FAULT("gemini.tier") ? NULL : json_new_string(p->a, ccp_span_z(tiers[i][1]));
        return p->params[PARAM_SERVICE_TIER] != NULL || prompt_no_memory(p);
    }
    return true;
}

bool gemini_prompt_read(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *wrapped = gemini_get(root, "generateContentRequest");
    if (wrapped != NULL)
        root = wrapped;
    if (root->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "an object is expected");
    return stored(p, root) && fields_read(p, gemini_fields, root, "") &&
           service_tier(p, gemini_get(root, "serviceTier")) &&
           gemini_read_config(p, gemini_get(root, "generationConfig")) &&
           gemini_read_tools(p, gemini_get(root, "tools")) && gemini_read_choice(p, gemini_get(root, "toolConfig")) &&
           gemini_read_system(p, gemini_get(root, "systemInstruction")) &&
           gemini_read_contents(p, gemini_get(root, "contents")) && p->status == CCP_OK;
}

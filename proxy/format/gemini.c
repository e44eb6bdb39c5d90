/*
 * Gemini generateContent: the record, its field tables, paths and token counts (wire reference D).
 *
 * The model and the wish for a stream stand in the path, not in the body. Log probabilities are read and written by
 * nobody: an answer's deltas have no room for them, so asking for them would be a promise that is not kept. The same
 * holds for more than one candidate, which is refused.
 */
#include <base/fault.h>
#include <format/gemini.h>
#include <stdio.h>

#define CONFIG "generationConfig."

/* Both spellings; the first is written. Members of generationConfig are matched under its camelCase name, whichever the
 * client used; the last rows only tell that the other name is an object on the way to fields. */
const struct field gemini_fields[] = {
    {"model", PARAM_MODEL, FIELD_CODE, "in the path"},
    {"contents", PARAM_MESSAGES, FIELD_CODE, "late system turns become user text in <system> tags"},
    {"systemInstruction", PARAM_SYSTEM, FIELD_CODE, "one part per text"},
    {"system_instruction", PARAM_SYSTEM, FIELD_CODE, NULL},
    {"tools", PARAM_TOOLS, FIELD_CODE, "functionDeclarations with parametersJsonSchema; web search is googleSearch"},
    {"toolConfig", PARAM_TOOL_CHOICE, FIELD_CODE, "VALIDATED when every function is strict"},
    {"tool_config", PARAM_TOOL_CHOICE, FIELD_CODE, NULL},
    {"toolConfig", PARAM_PARALLEL, FIELD_CODE, "never written: calls may always be parallel"},
    {"safetySettings", PARAM_SAFETY, FIELD_MOVE, NULL},
    {"safety_settings", PARAM_SAFETY, FIELD_MOVE, NULL},
    {"serviceTier", PARAM_SERVICE_TIER, FIELD_CODE, "flex, standard, priority"},
    {"service_tier", PARAM_SERVICE_TIER, FIELD_CODE, NULL},
    {CONFIG "maxOutputTokens", PARAM_MAX_TOKENS, FIELD_CODE, "at most the model's limit, where a card tells it"},
    {CONFIG "max_output_tokens", PARAM_MAX_TOKENS, FIELD_CODE, NULL},
    {CONFIG "temperature", PARAM_TEMPERATURE, FIELD_MOVE, NULL},
    {CONFIG "topP", PARAM_TOP_P, FIELD_MOVE, NULL},
    {CONFIG "top_p", PARAM_TOP_P, FIELD_MOVE, NULL},
    {CONFIG "topK", PARAM_TOP_K, FIELD_MOVE, NULL},
    {CONFIG "top_k", PARAM_TOP_K, FIELD_MOVE, NULL},
    {CONFIG "seed", PARAM_SEED, FIELD_MOVE, NULL},
    {CONFIG "presencePenalty", PARAM_PRESENCE_PENALTY, FIELD_MOVE, NULL},
    {CONFIG "presence_penalty", PARAM_PRESENCE_PENALTY, FIELD_MOVE, NULL},
    {CONFIG "frequencyPenalty", PARAM_FREQUENCY_PENALTY, FIELD_MOVE, NULL},
    {CONFIG "frequency_penalty", PARAM_FREQUENCY_PENALTY, FIELD_MOVE, NULL},
    {CONFIG "stopSequences", PARAM_STOP, FIELD_CODE, "the first five"},
    {CONFIG "stop_sequences", PARAM_STOP, FIELD_CODE, NULL},
    {CONFIG "candidateCount", PARAM_CANDIDATES, FIELD_CODE, "refused: more than 1"},
    {CONFIG "candidate_count", PARAM_CANDIDATES, FIELD_CODE, NULL},
    {CONFIG "responseModalities", PARAM_MODALITIES, FIELD_CODE, "refused: anything but TEXT"},
    {CONFIG "response_modalities", PARAM_MODALITIES, FIELD_CODE, NULL},
    {CONFIG "responseJsonSchema", PARAM_OUTPUT, FIELD_CODE, "with responseMimeType application/json"},
    {CONFIG "response_json_schema", PARAM_OUTPUT, FIELD_CODE, NULL},
    {CONFIG "responseSchema", PARAM_OUTPUT, FIELD_CODE, NULL},
    {CONFIG "response_schema", PARAM_OUTPUT, FIELD_CODE, NULL},
    {CONFIG "responseMimeType", PARAM_OUTPUT, FIELD_CODE, NULL},
    {CONFIG "response_mime_type", PARAM_OUTPUT, FIELD_CODE, NULL},
    {CONFIG "responseFormat", PARAM_OUTPUT, FIELD_CODE, "refused: use responseJsonSchema"},
    {CONFIG "response_format", PARAM_OUTPUT, FIELD_CODE, NULL},
    {CONFIG "thinkingConfig", PARAM_REASONING, FIELD_CODE, "a budget for Gemini 2.5, a level for later models"},
    {CONFIG "thinking_config", PARAM_REASONING, FIELD_CODE, NULL},
    {"generation_config.temperature", PARAM_TEMPERATURE, FIELD_MOVE, NULL},
    {NULL, PARAM_COUNT, FIELD_MOVE, NULL},
};

static const struct part_field parts[PART_KINDS] = {
    [PART_TEXT] = {PART_TEXT, "text", NULL},
    [PART_REFUSAL] = {PART_REFUSAL, "text", "as text"},
    [PART_IMAGE] = {PART_IMAGE, "inlineData, fileData", "a URL becomes fileData; file ids only from this format"},
    [PART_DOCUMENT] = {PART_DOCUMENT, "inlineData, fileData", "a text document becomes text under its title"},
    [PART_AUDIO] = {PART_AUDIO, "inlineData, fileData", NULL},
    [PART_VIDEO] = {PART_VIDEO, "inlineData, fileData", NULL},
    [PART_THINKING] = {PART_THINKING, "text with thought", "only with a thoughtSignature of the same provider"},
    [PART_CALL] = {PART_CALL, "functionCall", "arguments that are no object are wrapped"},
    [PART_RESULT] = {PART_RESULT, "functionResponse", "{\"output\":text} or {\"error\":text}"},
    [PART_OPAQUE] = {PART_OPAQUE, NULL, "dropped"},
};

bool gemini_named(struct ccp_span key, const char *name)
{
    if (ccp_span_is(key, name))
        return true;
    size_t i = 0;
    for (; *name != '\0'; name++) {
        bool upper = *name >= 'A' && *name <= 'Z';
        if (upper && (i == key.n || key.p[i++] != '_'))
            return false;
        if (i == key.n || key.p[i++] != (upper ? *name | 0x20 : *name))
            return false;
    }
    return i == key.n;
}

const struct ccp_json *gemini_get(const struct ccp_json *object, const char *name)
{
    if (object == NULL || object->type != CCP_JSON_OBJECT)
        return NULL;
    for (const struct ccp_json *m = object->child; m != NULL; m = m->next)
        if (gemini_named(m->key, name))
            return m->type != CCP_JSON_NULL ? m : NULL;
    return NULL;
}

/* Sums of a few of them must fit everywhere. */
#define COUNT_MAX 1000000000000000

bool gemini_count(const struct ccp_json *node, uint64_t *out)
{
    struct ccp_span digits = ccp_json_inner(node);
    bool good = digits.n != 0 && digits.n < 16;
    int64_t sum = 0;
    for (size_t i = 0; i < digits.n && good; i++) {
        good = digits.p[i] >= '0' && digits.p[i] <= '9';
        sum = sum * 10 + (digits.p[i] - '0');
    }
    if (node != NULL && node->type == CCP_JSON_NUMBER)
        good = prompt_int(node, &sum) && sum >= 0 && sum <= COUNT_MAX;
    if (good)
        *out = (uint64_t)sum;
    return good;
}

/* What a path cannot hold is percent-encoded; '/' and ':' are at home in it. */
static struct ccp_span path_text(struct prompt *p, struct ccp_span s)
{
    static const char digits[] = "0123456789ABCDEF", plain[] = "-._~/:@";
    char *out = CCP_FAULT("gemini.path") ? NULL : arena_alloc(p->a, s.n * 3 + 1);
    size_t o = 0;
    for (size_t i = 0; out != NULL && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || memchr(plain, c, sizeof(plain) - 1)) {
            out[o++] = (char)c;
        } else {
            out[o++] = '%';
            out[o++] = digits[c >> 4];
            out[o++] = digits[c & 15];
        }
    }
    return (struct ccp_span){out, o};
}

static struct ccp_span path(struct prompt *p)
{
    struct ccp_span model = p->to.model;
    bool full = ccp_span_starts(model, CCP_SPAN("models/")) || ccp_span_starts(model, CCP_SPAN("tunedModels/"));
    struct ccp_span pieces[] = {
        full ? CCP_SPAN("/v1beta/") : CCP_SPAN("/v1beta/models/"),
        path_text(p, model),
        p->to.count    ? CCP_SPAN(":countTokens")
        : p->to.stream ? CCP_SPAN(":streamGenerateContent?alt=sse")
                       : CCP_SPAN(":generateContent"),
    };
    struct ccp_span all = pieces[1].p != NULL ? arena_cat(p->a, pieces, 3) : pieces[1];
    if (all.p == NULL)
        prompt_no_memory(p);
    return all;
}

static void where(const struct part *part, char *out, size_t n)
{
    if (part->message == UINT32_MAX)
        snprintf(out, n, "systemInstruction.parts[%u]", part->index);
    else
        snprintf(out, n, "contents[%u].parts[%u]", part->message, part->index);
}

static bool read_count(const struct ccp_json *root, uint64_t *tokens)
{
    const struct ccp_json *inner = gemini_get(root, "response");
    return gemini_count(gemini_get(inner != NULL ? inner : root, "totalTokens"), tokens);
}

static bool write_count(uint64_t tokens, bool estimated, struct ccp_buf *out)
{
    struct out o = out_of(out);
    out_object(&o, NULL);
    out_int(&o, "totalTokens", (int64_t)tokens);
    out_end(&o, '}');
    return !out->failed;
}

static const char *const usage_paths[] = {"usageMetadata", "response.usageMetadata", "[].usageMetadata",
                                          "[].response.usageMetadata", NULL};

const struct wire_format format_gemini = {
    .id = "gemini",
    .counts = true,
    .fields = gemini_fields,
    .parts = parts,
    .alternate = true,
    .prompt_read = gemini_prompt_read,
    .prompt_write = gemini_prompt_write,
    .path = path,
    .where = where,
    .reader_size = sizeof(struct gemini_reader),
    .read_event = gemini_read_event,
    .read_whole = gemini_read_whole,
    .read_end = gemini_read_end,
    .usage_paths = usage_paths,
    .read_usage = gemini_read_usage,
    .read_count = read_count,
    .writer_size = sizeof(struct gemini_writer),
    .write_delta = gemini_write_delta,
    .writer_release = gemini_writer_release,
    .write_whole = gemini_write_whole,
    .write_count = write_count,
};

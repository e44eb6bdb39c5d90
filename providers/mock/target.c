/*
 * The call, read off the upstream URL's path: the vendors' paths, under any prefix.
 */
#include "mock.h"

static const struct {
    struct ccp_span tail;
    enum ccp_format format;
    enum mock_call call;
} calls[] = {
    {CCP_LIT("/messages"), CCP_FORMAT_ANTHROPIC, MOCK_GENERATE},
    {CCP_LIT("/messages/count_tokens"), CCP_FORMAT_ANTHROPIC, MOCK_COUNT},
    {CCP_LIT("/chat/completions"), CCP_FORMAT_OPENAI_CHAT, MOCK_GENERATE},
    {CCP_LIT("/responses"), CCP_FORMAT_OPENAI_RESPONSES, MOCK_GENERATE},
    {CCP_LIT("/responses/input_tokens"), CCP_FORMAT_OPENAI_RESPONSES, MOCK_COUNT},
    {CCP_LIT("/embeddings"), CCP_FORMAT_OPENAI_CHAT, MOCK_EMBED},
};

static const struct {
    struct ccp_span verb;
    enum mock_call call;
    bool stream;
} verbs[] = {
    {CCP_LIT("generateContent"), MOCK_GENERATE, false},
    {CCP_LIT("streamGenerateContent"), MOCK_GENERATE, true},
    {CCP_LIT("countTokens"), MOCK_COUNT, false},
    {CCP_LIT("embedContent"), MOCK_EMBED, false},
    {CCP_LIT("batchEmbedContents"), MOCK_EMBED_BATCH, false},
};

static bool has_alt_sse(struct ccp_span query)
{
    while (query.n != 0) {
        size_t n = ccp_span_find(query, '&');
        if (ccp_span_is(ccp_span_of(query.p, n), "alt=sse"))
            return true;
        query = ccp_span_skip(query, n + 1);
    }
    return false;
}

/* ".../models/NAME:verb" */
static bool read_gemini(struct ccp_span path, struct ccp_span query, struct mock_target *target)
{
    size_t slash = path.n, colon = path.n;
    while (slash > 0 && path.p[slash - 1] != '/')
        slash--;
    struct ccp_span last = ccp_span_skip(path, slash);
    for (size_t i = 0; i < last.n; i++)
        if (last.p[i] == ':')
            colon = i;
    if (colon == path.n || colon == 0)
        return false;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!ccp_span_eq(ccp_span_skip(last, colon + 1), verbs[i].verb))
            continue;
        *target = (struct mock_target){.format = CCP_FORMAT_GEMINI,
                                       .call = verbs[i].call,
                                       .stream = verbs[i].stream,
                                       .sse = has_alt_sse(query),
                                       .model = ccp_span_of(last.p, colon)};
        return true;
    }
    return false;
}

bool mock_target_read(struct ccp_span url, struct mock_target *target)
{
    size_t n = ccp_span_find(url, '?');
    struct ccp_span path = ccp_span_of(url.p, n);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (!ccp_span_ends(path, calls[i].tail))
            continue;
        *target = (struct mock_target){.format = calls[i].format, .call = calls[i].call, .sse = true};
        return true;
    }
    return read_gemini(path, ccp_span_skip(url, n + 1), target);
}

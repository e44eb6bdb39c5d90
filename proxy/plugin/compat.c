/*
 * The providers of [providers.<name>] blocks: a merely compatible upstream is data, no code.
 */
#include <plugin/runtime_impl.h>

#define KEY_HEADERS                                                                                                    \
    .key_header = {                                                                                                    \
        [CCP_FORMAT_ANTHROPIC] = {CCP_LIT("x-api-key"), CCP_LIT("")},                                                  \
        [CCP_FORMAT_OPENAI_CHAT] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")},                                     \
        [CCP_FORMAT_OPENAI_RESPONSES] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")},                                \
        [CCP_FORMAT_GEMINI] = {CCP_LIT("x-goog-api-key"), CCP_LIT("")},                                                \
    }

static const struct ccp_header anthropic_headers[] = {
    {CCP_LIT("anthropic-version"), CCP_LIT("2023-06-01")},
    {CCP_LIT(""), CCP_LIT("")},
};

static const struct ccp_provider compat[CCP_FORMAT_COUNT] = {
    [CCP_FORMAT_ANTHROPIC] = {.label = "Anthropic-compatible",
                              .formats = CCP_SPEAKS(ANTHROPIC),
                              KEY_HEADERS,
                              .headers = anthropic_headers},
    [CCP_FORMAT_OPENAI_CHAT] = {.label = "OpenAI-compatible (Chat)", .formats = CCP_SPEAKS(OPENAI_CHAT), KEY_HEADERS},
    [CCP_FORMAT_OPENAI_RESPONSES] = {.label = "OpenAI-compatible (Responses)",
                                     .formats = CCP_SPEAKS(OPENAI_RESPONSES),
                                     KEY_HEADERS},
    [CCP_FORMAT_GEMINI] = {.label = "Gemini-compatible", .formats = CCP_SPEAKS(GEMINI), KEY_HEADERS},
};

const struct ccp_provider *compat_provider(enum ccp_format format)
{
    return &compat[format];
}

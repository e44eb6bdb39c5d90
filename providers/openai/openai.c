/*
 * OpenAI API: Chat Completions, Responses, embeddings, models (wire reference B, C).
 *
 * All data. The base URL carries the version, as the vendor's SDKs take it.
 */
#include <ccproxy/ccproxy.h>

static const struct ccp_provider provider = {
    .label = "OpenAI API",
    .prefix = "openai",
    .formats = CCP_SPEAKS(OPENAI_CHAT) | CCP_SPEAKS(OPENAI_RESPONSES),
    .base_url = "https://api.openai.com/v1",
    .api_key = "${OPENAI_API_KEY:-}",
    .login = NULL,
    .key_header = {[CCP_FORMAT_OPENAI_CHAT] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")},
                   [CCP_FORMAT_OPENAI_RESPONSES] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")}},
};

CCP_PLUGIN(openai) = {
    CCP_ABI_HERE,
    .name = "openai",
    .version = CCP_VERSION,
    .summary = "OpenAI API (Chat Completions, Responses, embeddings)",
    .kind = CCP_PLUGIN_PROVIDER,
    .provider = &provider,
};

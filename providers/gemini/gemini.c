/*
 * Gemini API: generateContent and its family (wire reference D).
 *
 * All data. A client's ?key= is its ccproxy key or, under passthrough, its own credential; ours goes in a header.
 */
#include <ccproxy/ccproxy.h>

static const struct ccp_provider provider = {
    .label = "Gemini API",
    .prefix = "gemini",
    .formats = CCP_SPEAKS(GEMINI),
    .base_url = "https://generativelanguage.googleapis.com",
    .api_key = "${GEMINI_API_KEY:-}",
    .login = NULL,
    .key_header = {[CCP_FORMAT_GEMINI] = {CCP_LIT("x-goog-api-key"), CCP_LIT("")}},
};

CCP_PLUGIN(gemini) = {
    CCP_ABI_HERE,
    .name = "gemini",
    .version = CCP_VERSION,
    .summary = "Gemini API (generateContent, embeddings)",
    .kind = CCP_PLUGIN_PROVIDER,
    .provider = &provider,
};

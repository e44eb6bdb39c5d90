/*
 * Anthropic API: Messages, token counting, batches, models (wire reference A).
 *
 * All data: requests and answers cross untouched; the client's own anthropic-version and anthropic-beta go
 * upstream, the version is only filled in for clients that send none.
 */
#include <ccproxy/ccproxy.h>

static const struct ccp_header defaults[] = {
    {CCP_LIT("anthropic-version"), CCP_LIT("2023-06-01")},
    {CCP_LIT(""), CCP_LIT("")},
};

static const struct ccp_provider provider = {
    .label = "Anthropic API",
    .prefix = "claude",
    .formats = CCP_SPEAKS(ANTHROPIC),
    .base_url = "https://api.anthropic.com",
    .api_key = "${ANTHROPIC_API_KEY:-}",
    .login = "claude-api",
    .key_header = {[CCP_FORMAT_ANTHROPIC] = {CCP_LIT("x-api-key"), CCP_LIT("")}},
    .headers = defaults,
};

CCP_PLUGIN(claude_api) = {
    CCP_ABI_HERE,
    .name = "claude_api",
    .version = CCP_VERSION,
    .summary = "Anthropic API (Claude models)",
    .kind = CCP_PLUGIN_PROVIDER,
    .provider = &provider,
};

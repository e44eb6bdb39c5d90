/*
 * Gemini API: generateContent and its family (wire reference D).
 *
 * All data. A client's ?key= is its ccproxy key or, under passthrough, its own credential; ours goes in a header.
 */
#include <ccproxy/ccproxy.h>

/* A bad key is a 400 here, told apart only by its reason. */
static enum ccp_judgement judge(void *self, struct ccp_exchange *x, int status, struct ccp_span first_bytes)
{
    static const char reason[] = "API_KEY_INVALID";
    bool bad_key = status == 400 && memmem(first_bytes.p, first_bytes.n, reason, sizeof(reason) - 1) != NULL;
    return bad_key ? CCP_REFRESH_AND_RETRY : CCP_GIVE;
}

static const struct ccp_provider provider = {
    .label = "Gemini API",
    .prefix = "gemini",
    .formats = CCP_SPEAKS(GEMINI),
    .base_url = "https://generativelanguage.googleapis.com",
    .api_key = "${GEMINI_API_KEY:-}",
    .login = NULL,
    .judge = judge,
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

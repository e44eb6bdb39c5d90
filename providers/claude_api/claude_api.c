/*
 * Anthropic API: Messages, token counting, batches, models (wire reference A), with an API key or a Claude plan's
 * login (G.1).
 *
 * Nearly all data: requests and answers cross untouched; the client's own anthropic-version and anthropic-beta go
 * upstream, the version is only filled in for clients that send none. A login needs one word more in anthropic-beta,
 * since its kind of credential is a beta itself; nothing else is added, and no client is made to look like another.
 */
#include <ccproxy/ccproxy.h>

#include <string.h>

/* -- requests with a login -- */

#define LOGIN_BETA CCP_LIT("oauth-2025-04-20")

/* Is `word` in a comma list? */
static bool lists(struct ccp_span list, struct ccp_span word)
{
    while (list.n != 0) {
        size_t comma = ccp_span_find(list, ',');
        if (ccp_span_eq(ccp_span_trim(ccp_span_of(list.p, comma)), word))
            return true;
        list = ccp_span_skip(list, comma < list.n ? comma + 1 : list.n);
    }
    return false;
}

/* The header may be sent in several lines, which mean one list; the word joins the first. */
static enum ccp_status add_login_beta(struct ccp_exchange *x, struct ccp_upstream_request *r)
{
    static const struct ccp_span name = CCP_LIT("anthropic-beta"), word = LOGIN_BETA;
    struct ccp_header *h = x->api->alloc(x, (r->header_count + 1) * sizeof(*h));
    struct ccp_header *first = NULL;
    if (h == NULL)
        return CCP_OVERLOADED;
    for (size_t i = 0; i < r->header_count; i++) {
        h[i] = r->headers[i];
        if (!ccp_span_eq(h[i].name, name))
            continue;
        if (lists(h[i].value, word))
            return CCP_OK;
        if (first == NULL)
            first = &h[i];
    }
    struct ccp_span sent = first != NULL ? ccp_span_trim(first->value) : (struct ccp_span){"", 0};
    struct ccp_header with = {name, word};
    if (sent.n != 0)
        with.value = x->api->print(x, "%.*s,%.*s", CCP_FMT(sent), CCP_FMT(word));
    if (with.value.p == NULL)
        return CCP_OVERLOADED;
    if (first == NULL)
        first = &h[r->header_count++];
    *first = with;
    r->headers = h;
    return CCP_OK;
}

static enum ccp_status prepare(void *self, struct ccp_exchange *x, struct ccp_upstream_request *request)
{
    return x->api->uses_login(x) ? add_login_beta(x, request) : CCP_OK;
}

/* -- the login -- */

static bool read_token(const struct ccp_oauth_call *call, const struct ccp_json *answer)
{
    const struct ccp_json *account = ccp_json_get(answer, "account");
    const struct ccp_json *organization = ccp_json_get(answer, "organization");
    call->fact(call, "email", call->text(call, ccp_json_get(account, "email_address")));
    call->fact(call, "account_id", call->text(call, ccp_json_get(account, "uuid")));
    call->fact(call, "organization", call->text(call, ccp_json_get(organization, "name")));
    call->fact(call, "plan", call->text(call, ccp_json_get(organization, "organization_type")));
    return true;
}

static const struct ccp_oauth_file file = {
    .owner = "Claude Code",
    .folder_env = "CLAUDE_CONFIG_DIR",
    .folder = ".claude",
    .name = ".credentials.json",
    .access_token = "claudeAiOauth.accessToken",
    .refresh_token = "claudeAiOauth.refreshToken",
    .scopes = "claudeAiOauth.scopes",
    .expires_ms = "claudeAiOauth.expiresAt",
    .plan = "claudeAiOauth.subscriptionType",
};

static const char *const aliases[] = {"claude", "claude_api", NULL};

static const struct ccp_oauth_provider login = {
    .name = "claude-api",
    .aliases = aliases,
    .label = "Claude plan",
    .note = "logs into a Claude plan, for /claude; an API key needs no login (plugins.claude_api.api_key)",
    .consent = "Claude Code",
    .terms = "Anthropic's terms keep plan logins to Claude Code and its own apps: serve Claude Code itself with this "
             "login, and other clients with an API key",
    .flags = CCP_OAUTH_BROWSER | CCP_OAUTH_PASTE | CCP_OAUTH_REFRESH | CCP_OAUTH_JSON | CCP_OAUTH_STATE_IN_TOKEN,
    .authorize_url = "https://claude.ai/oauth/authorize",
    .token_url = "https://platform.claude.com/v1/oauth/token",
    .client_id = "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    .scopes = "user:profile user:inference", /* what relaying takes, not all that the app may ask for */
    .authorize_extra = "code=true",
    .redirect_host = "localhost",
    .redirect_path = "/callback",
    .paste_redirect = "https://platform.claude.com/oauth/code/callback",
    .file = &file,
    .read_token = read_token,
};

/* -- the provider -- */

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
    .prepare = prepare,
};

static const struct ccp_program program = {"claude", "@anthropic-ai/claude-code"};

CCP_PLUGIN(claude_api) = {
    CCP_ABI_HERE,
    .name = "claude_api",
    .version = CCP_VERSION,
    .summary = "Anthropic API (Claude models), with a key or a Claude plan's login",
    .kind = CCP_PLUGIN_PROVIDER,
    .provider = &provider,
    .oauth = &login,
    .program = &program,
};

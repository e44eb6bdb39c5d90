/*
 * ChatGPT's Codex backend: Responses with a ChatGPT plan's login (wire reference C.6).
 *
 * It takes less than the OpenAI API: what it refuses is data here (body_rules) and is applied by the core; Codex's own
 * requests keep to all of it and pass byte for byte. The one header that belongs to the credential is set; what tells
 * who the client is stays the client's own.
 */
#include "codex.h"

#include <string.h>

static const struct ccp_span account_header = CCP_LIT("chatgpt-account-id");

/* The account is the credential's: another one's name beside it is refused, and none picks the wrong workspace. */
static enum ccp_status set_account(struct ccp_exchange *x, struct ccp_upstream_request *r, struct ccp_span account)
{
    struct ccp_header *h = x->api->alloc(x, (r->header_count + 1) * sizeof(*h));
    size_t n = 0;
    if (h == NULL)
        return CCP_OVERLOADED;
    for (size_t i = 0; i < r->header_count; i++)
        if (!ccp_span_eq(r->headers[i].name, account_header))
            h[n++] = r->headers[i];
    if (account.n != 0)
        h[n++] = (struct ccp_header){account_header, account};
    r->headers = h;
    r->header_count = n;
    return CCP_OK;
}

static enum ccp_status prepare(void *self, struct ccp_exchange *x, struct ccp_upstream_request *request)
{
    if (!x->api->uses_login(x))
        return CCP_OK;
    return set_account(x, request, x->api->credential_fact(x, "account_id"));
}

static const struct ccp_body_rule rules[] = {
    {CCP_BODY_REFUSE, "previous_response_id",
     "this provider stores nothing; send the whole conversation as input instead"},
    {CCP_BODY_REFUSE, "conversation", "this provider stores nothing; send the whole conversation as input instead"},
    {CCP_BODY_REFUSE, "prompt", "stored prompts cannot be used here; send instructions and input"},
    {CCP_BODY_REFUSE, "background", "this provider has no background runs"},
    {CCP_BODY_LIST, "input", NULL},
    {CCP_BODY_DEVELOPER, "input", NULL},
    {CCP_BODY_FORGET, "input", NULL},
    {CCP_BODY_DROP_PARTS, "input", "prompt_cache_breakpoint"},
    {CCP_BODY_DEFAULT, "instructions", "\"\""},
    {CCP_BODY_SET, "store", "false"},
    {CCP_BODY_DROP, "max_output_tokens", NULL},
    {CCP_BODY_DROP, "max_completion_tokens", NULL},
    {CCP_BODY_DROP, "temperature", NULL},
    {CCP_BODY_DROP, "top_p", NULL},
    {CCP_BODY_DROP, "truncation", NULL},
    {CCP_BODY_DROP, "user", NULL},
    {CCP_BODY_DROP, "metadata", NULL},
    {CCP_BODY_DROP, "context_management", NULL},
    {CCP_BODY_DROP, "prompt_cache_options", NULL},
    {CCP_BODY_DROP, "prompt_cache_retention", NULL},
    {CCP_BODY_DROP, "service_tier", "\"priority\""},
    {CCP_BODY_END, NULL, NULL},
};

/* Models that a newer client than this would need are left out by the upstream. */
static const struct ccp_model_list list = {
    .path = "/models?client_version=0.169.0",
    .list = "models",
    .id = "slug",
    .name = "display_name",
    .reader_key = "client_version",
};

static const struct ccp_provider provider = {
    .label = "ChatGPT (Codex)",
    .prefix = "codex",
    .formats = CCP_SPEAKS(OPENAI_RESPONSES),
    .base_url = "https://chatgpt.com/backend-api/codex",
    .login = "codex",
    .key_header = {[CCP_FORMAT_OPENAI_RESPONSES] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")}},
    .prepare = prepare,
    .stream_only = true,
    .lacks = CCP_LACKS(COUNT) | CCP_LACKS(EMBED),
    .body_rules = {[CCP_FORMAT_OPENAI_RESPONSES] = rules},
    .list = &list,
};

static const struct ccp_program program = {"codex", "@openai/codex"};

CCP_PLUGIN(codex) = {
    CCP_ABI_HERE,
    .name = "codex",
    .version = CCP_VERSION,
    .summary = "ChatGPT's Codex backend, with a ChatGPT plan's login",
    .kind = CCP_PLUGIN_PROVIDER,
    .provider = &provider,
    .oauth = &codex_login,
    .program = &program,
};

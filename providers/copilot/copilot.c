/*
 * GitHub Copilot: Chat, Responses and Messages behind one login (wire reference E.6).
 *
 * Which format a model is served in stands in upstream's list, so the core chooses by it. Where to send comes with the
 * session token. The headers that name an editor are the client's own or the operator's: ccproxy has none to give, and
 * says which line to add when upstream refuses without one.
 */
#include "copilot.h"

#include <string.h>
#include <strings.h>

#define DEFAULT_BASE "https://api.githubcopilot.com"

/* -- where to -- */

static bool literal_loopback(struct ccp_span endpoint)
{
    static const struct ccp_span hosts[] = {CCP_LIT("http://127.0.0.1"), CCP_LIT("http://[::1]")};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        if (ccp_span_starts(endpoint, hosts[i]) && (endpoint.n == hosts[i].n || endpoint.p[hosts[i].n] == ':'))
            return true;
    return false;
}

/* Scheme, host, port, nothing more: no user, no path that could swallow ours. */
static bool acceptable(struct ccp_span endpoint)
{
    size_t scheme = ccp_span_starts(endpoint, CCP_SPAN("https://")) ? 8 : literal_loopback(endpoint) ? 7 : 0;
    if (scheme == 0 || endpoint.n == scheme)
        return false;
    for (size_t i = scheme; i < endpoint.n; i++) {
        char c = endpoint.p[i];
        bool host = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!host && c != '.' && c != '-' && c != ':' && c != '[' && c != ']')
            return false;
    }
    return true;
}

/* The plan's own host, unless the operator has set another base_url: that is meant as it is. */
static enum ccp_status set_origin(struct ccp_exchange *x, struct ccp_upstream_request *r)
{
    static const struct ccp_span base = CCP_LIT(DEFAULT_BASE);
    struct ccp_span endpoint = x->api->credential_fact(x, "endpoint"), path = ccp_span_skip(r->url, base.n);
    while (endpoint.n != 0 && endpoint.p[endpoint.n - 1] == '/')
        endpoint.n--;
    if (!ccp_span_starts(r->url, base) || path.n == 0 || path.p[0] != '/' || !acceptable(endpoint))
        return CCP_OK;
    struct ccp_span url = x->api->print(x, "%.*s%.*s", CCP_FMT(endpoint), CCP_FMT(path));
    if (url.p == NULL)
        return CCP_OVERLOADED;
    r->url = url;
    r->literal_host = r->literal_host || literal_loopback(endpoint);
    return CCP_OK;
}

/* -- headers -- */

static enum ccp_status add_vision(struct ccp_exchange *x, struct ccp_upstream_request *r)
{
    static const struct ccp_header vision = {CCP_LIT("copilot-vision-request"), CCP_LIT("true")};
    for (size_t i = 0; i < r->header_count; i++)
        if (ccp_span_eq(r->headers[i].name, vision.name))
            return CCP_OK;
    struct ccp_header *h = x->api->alloc(x, (r->header_count + 1) * sizeof(*h));
    if (h == NULL)
        return CCP_OVERLOADED;
    if (r->header_count != 0)
        memcpy(h, r->headers, r->header_count * sizeof(*h));
    h[r->header_count++] = vision;
    r->headers = h;
    return CCP_OK;
}

static enum ccp_status prepare(void *self, struct ccp_exchange *x, struct ccp_upstream_request *request)
{
    if (x->api->uses_login(x)) {
        enum ccp_status status = set_origin(x, request);
        if (status != CCP_OK)
            return status;
    }
    return copilot_has_image(request) ? add_vision(x, request) : CCP_OK;
}

/* -- refusals -- */

static bool says(struct ccp_span text, struct ccp_span word)
{
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (strncasecmp(text.p + i, word.p, word.n) == 0)
            return true;
    return false;
}

/* Headers that upstream asks for by name. */
static const struct {
    struct ccp_span word;
    const char *header, *example;
} wanted[] = {
    {CCP_LIT("copilot-integration-id"), "copilot-integration-id", "..."},
    {CCP_LIT("integration id"), "copilot-integration-id", "..."},
    {CCP_LIT("editor-plugin-version"), "editor-plugin-version", "name/1.0"},
    {CCP_LIT("editor-version"), "editor-version", "name/1.0"},
    {CCP_LIT("x-github-api-version"), "x-github-api-version", "2025-04-01"},
};

static bool went_out(struct ccp_exchange *x, const char *name)
{
    return x->api->header(x, ccp_span_z(name)).p != NULL;
}

/* Only what the client did not send can be missing: else upstream did not like what it said, which is its business. */
static enum ccp_judgement judge(void *self, struct ccp_exchange *x, int status, struct ccp_span first)
{
    if (status != 400 && status != 403)
        return CCP_GIVE;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (says(first, wanted[i].word) && !went_out(x, wanted[i].header)) {
            x->api->fail(x, CCP_BAD_REQUEST,
                         "provider copilot wants the header %s (or another value of it): it tells which program asks, "
                         "this client sends none, and ccproxy does not make one up. To set it: [plugins.copilot] "
                         "headers = { \"%s\" = \"%s\" }",
                         wanted[i].header, wanted[i].header, wanted[i].example);
            return CCP_ERROR;
        }
    return CCP_GIVE;
}

/* -- the provider -- */

static const struct ccp_model_list list = {
    .path = "/models",
    .list = "data",
    .id = "id",
    .name = "name",
    .endpoints = "supported_endpoints",
    .readers = CCP_SPEAKS(OPENAI_CHAT) | CCP_SPEAKS(OPENAI_RESPONSES),
};

/* Who asks and why: upstream bills by some of them, and knows the program by others. */
static const char *const keeps[] = {
    "copilot-integration-id",
    "editor-version",
    "editor-plugin-version",
    "openai-intent",
    "x-github-api-version",
    "x-initiator",
    "x-interaction-id",
    "x-interaction-type",
    "vscode-sessionid",
    "vscode-machineid",
    "x-vscode-user-agent-library-version",
    "copilot-vision-request",
    NULL,
};

static const struct ccp_provider provider = {
    .label = "GitHub Copilot",
    .prefix = "copilot",
    .formats = CCP_SPEAKS(ANTHROPIC) | CCP_SPEAKS(OPENAI_CHAT) | CCP_SPEAKS(OPENAI_RESPONSES),
    .base_url = DEFAULT_BASE,
    .login = "copilot",
    .key_header = {[CCP_FORMAT_ANTHROPIC] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")},
                   [CCP_FORMAT_OPENAI_CHAT] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")},
                   [CCP_FORMAT_OPENAI_RESPONSES] = {CCP_LIT("authorization"), CCP_LIT("Bearer ")}},
    .prepare = prepare,
    .judge = judge,
    .lacks = CCP_LACKS(COUNT),
    .list = &list,
    .choose_by_list = true,
    .keeps = keeps,
};

static const struct ccp_program program = {"copilot", "@github/copilot"};

CCP_PLUGIN(copilot) = {
    CCP_ABI_HERE,
    .name = "copilot",
    .version = CCP_VERSION,
    .summary = "GitHub Copilot, with a GitHub login",
    .kind = CCP_PLUGIN_PROVIDER,
    .provider = &provider,
    .oauth = &copilot_login,
    .program = &program,
};

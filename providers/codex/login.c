/*
 * The ChatGPT login (wire reference G.2): authorization code on two registered ports, and a device flow of OpenAI's
 * own, in which the server keeps the PKCE verifier and a status tells how it stands.
 */
#include "codex.h"

#include <string.h>

/* -- facts -- */

/* Claims stand in objects that are named by URLs. A refresh may bring no id_token: what is known stays. */
static bool read_token(const struct ccp_oauth_call *call, const struct ccp_json *answer)
{
    const struct ccp_json *auth = ccp_json_get(call->claims, "https://api.openai.com/auth");
    const struct ccp_json *profile = ccp_json_get(call->claims, "https://api.openai.com/profile");
    struct ccp_span email = call->text(call, ccp_json_get(call->claims, "email"));
    if (email.n == 0)
        email = call->text(call, ccp_json_get(profile, "email"));
    call->fact(call, "email", email);
    call->fact(call, "account_id", call->text(call, ccp_json_get(auth, "chatgpt_account_id")));
    call->fact(call, "plan", call->text(call, ccp_json_get(auth, "chatgpt_plan_type")));
    return true;
}

/* -- the device flow -- */

#define BEGIN_PATH CCP_LIT("/usercode")
enum { DEVICE_SECONDS = 15 * 60, DEVICE_INTERVAL = 5 };

/* May it stand in a JSON string as it is? Codes and client ids are plain words. */
static bool plain(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\')
            return false;
    return s.n != 0;
}

static struct ccp_span below_issuer(const struct ccp_oauth_call *call, const char *path)
{
    struct ccp_span issuer = call->issuer;
    while (issuer.n != 0 && issuer.p[issuer.n - 1] == '/')
        issuer.n--;
    return call->print(call, "%.*s%s", CCP_FMT(issuer), path);
}

/* It begins at .../deviceauth/usercode and asks at .../deviceauth/token. */
static bool device_request(const struct ccp_oauth_call *call, const struct ccp_oauth_device *d,
                           struct ccp_oauth_request *out)
{
    static const struct ccp_span end = BEGIN_PATH;
    struct ccp_span url = call->device_url;
    out->content_type = CCP_SPAN("application/json");
    if (d->device_code.n == 0) {
        if (!plain(call->client_id))
            return false;
        out->url = url;
        out->body = call->print(call, "{\"client_id\":\"%.*s\"}", CCP_FMT(call->client_id));
        return out->body.p != NULL;
    }
    if (!plain(d->device_code) || !plain(d->user_code) || !ccp_span_ends(url, end))
        return false;
    url.n -= end.n;
    out->url = call->print(call, "%.*s/token", CCP_FMT(url));
    out->body = call->print(call, "{\"device_auth_id\":\"%.*s\",\"user_code\":\"%.*s\"}", CCP_FMT(d->device_code),
                            CCP_FMT(d->user_code));
    return out->url.p != NULL && out->body.p != NULL;
}

static enum ccp_oauth_poll begun(const struct ccp_oauth_call *call, const struct ccp_json *answer,
                                 struct ccp_oauth_device *d)
{
    struct ccp_span user_code = call->text(call, ccp_json_get(answer, "user_code"));
    if (user_code.n == 0)
        user_code = call->text(call, ccp_json_get(answer, "usercode"));
    d->device_code = call->text(call, ccp_json_get(answer, "device_auth_id"));
    d->user_code = user_code;
    d->verification_uri = below_issuer(call, "/codex/device");
    d->expires_in = DEVICE_SECONDS; /* the answer names a moment; this is how long it is */
    if (!call->number(ccp_json_get(answer, "interval"), &d->interval) || d->interval <= 0)
        d->interval = DEVICE_INTERVAL;
    return plain(d->device_code) && plain(d->user_code) && d->verification_uri.p != NULL ? CCP_OAUTH_PENDING
                                                                                         : CCP_OAUTH_BROKEN;
}

static enum ccp_oauth_poll approved(const struct ccp_oauth_call *call, const struct ccp_json *answer,
                                    struct ccp_oauth_device *d)
{
    d->code = call->text(call, ccp_json_get(answer, "authorization_code"));
    d->code_verifier = call->text(call, ccp_json_get(answer, "code_verifier"));
    d->redirect_uri = below_issuer(call, "/deviceauth/callback");
    return d->code.n != 0 && d->code_verifier.n != 0 && d->redirect_uri.p != NULL ? CCP_OAUTH_APPROVED
                                                                                  : CCP_OAUTH_BROKEN;
}

/* The status speaks: 403 and 404 mean that nobody has typed the code in yet. */
static enum ccp_oauth_poll device_answer(const struct ccp_oauth_call *call, int status, const struct ccp_json *answer,
                                         struct ccp_oauth_device *d)
{
    if (status == 200)
        return d->device_code.n == 0 ? begun(call, answer, d) : approved(call, answer, d);
    bool waiting = d->device_code.n != 0 && (status == 403 || status == 404);
    return waiting ? CCP_OAUTH_PENDING : CCP_OAUTH_BROKEN;
}

/* -- the record -- */

static const struct ccp_oauth_file file = {
    .owner = "Codex",
    .folder_env = "CODEX_HOME",
    .folder = ".codex",
    .name = "auth.json",
    .access_token = "tokens.access_token",
    .refresh_token = "tokens.refresh_token",
    .id_token = "tokens.id_token",
    .updated = "last_refresh",
    .account_id = "tokens.account_id",
};

static const char *const aliases[] = {"openai", NULL};
static const uint16_t ports[] = {1455, 1457, 0};

const struct ccp_oauth_provider codex_login = {
    .name = "codex",
    .aliases = aliases,
    .label = "ChatGPT plan",
    .note = "logs into ChatGPT, for /codex; the OpenAI API at /openai takes an API key (plugins.openai.api_key)",
    .consent = "Codex",
    .terms =
        "OpenAI means ChatGPT-plan access for Codex clients: serve Codex itself with this login, and other clients "
        "with an API key",
    .flags = CCP_OAUTH_BROWSER | CCP_OAUTH_DEVICE | CCP_OAUTH_REFRESH,
    .issuer = "https://auth.openai.com",
    .authorize_url = "https://auth.openai.com/oauth/authorize",
    .token_url = "https://auth.openai.com/oauth/token",
    .revoke_url = "https://auth.openai.com/oauth/revoke",
    .device_url = "https://auth.openai.com/api/accounts/deviceauth/usercode",
    .client_id = "app_EMoamEEZ73f0CkXaXp7hrann",
    .scopes = "openid profile email offline_access api.connectors.read api.connectors.invoke",
    .refresh_scopes = "openid profile email",
    .authorize_extra = "id_token_add_organizations=true&codex_cli_simplified_flow=true",
    .redirect_host = "localhost",
    .redirect_path = "/auth/callback",
    .ports = ports,
    .file = &file,
    .read_token = read_token,
    .device_request = device_request,
    .device_answer = device_answer,
};

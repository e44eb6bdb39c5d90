/*
 * The GitHub login for Copilot (wire reference G.3): RFC 8628 device flow, and behind it a session token of half an
 * hour that upstreams want instead of GitHub's own. Undocumented by GitHub; its answers tell where to send requests.
 *
 * GitHub's token does not end by the clock and has no refresh token. A GitHub Enterprise Server has other URLs
 * ([oauth.copilot]).
 */
#include "copilot.h"

static bool read_session(const struct ccp_oauth_call *call, const struct ccp_json *answer,
                         struct ccp_oauth_session *out)
{
    out->token = call->text(call, ccp_json_get(answer, "token"));
    if (out->token.n == 0 || !call->number(ccp_json_get(answer, "expires_at"), &out->expires_at))
        return false;
    if (!call->number(ccp_json_get(answer, "refresh_in"), &out->refresh_in))
        out->refresh_in = 0;
    call->fact(call, "endpoint", call->text(call, ccp_json_get(ccp_json_get(answer, "endpoints"), "api")));
    call->fact(call, "plan", call->text(call, ccp_json_get(answer, "sku")));
    return true;
}

const struct ccp_oauth_provider copilot_login = {
    .name = "copilot",
    .label = "GitHub Copilot",
    .note = "logs into GitHub, for /copilot",
    .consent = "GitHub Copilot Plugin",
    .terms = "GitHub's terms may keep Copilot plans to its own editors and tools; the endpoints behind this login are "
             "not documented",
    .flags = CCP_OAUTH_DEVICE,
    .token_url = "https://github.com/login/oauth/access_token",
    .device_url = "https://github.com/login/device/code",
    .session_url = "https://api.github.com/copilot_internal/v2/token",
    .client_id = "Iv1.b507a08c87ecfe98",
    .scopes = "read:user",
    .session_scheme = "token ",
    .read_session = read_session,
};

/*
 * The authorization request as a URL (RFC 6749 section 4.1.1, RFC 7636 section 4.3, OpenID Connect Core 3.1.2.1).
 */
#include <auth/protocol_impl.h>

struct ccp_span oauth_authorize_url(const struct oauth_provider *p, struct arena *a, struct ccp_span redirect_uri,
                                    struct ccp_span state, struct ccp_span challenge, struct ccp_span nonce)
{
    const struct ccp_span none = {NULL, 0}, extra = ccp_span_z(p->def->authorize_extra);
    bool pkce = (p->flags & CCP_OAUTH_NO_PKCE) == 0;
    const struct oauth_field fields[] = {
        {"response_type", CCP_SPAN("code")},
        {"client_id", p->client_id},
        {"redirect_uri", redirect_uri},
        {"scope", p->scopes},
        {"state", state},
        {"code_challenge", pkce ? challenge : none},
        {"code_challenge_method", pkce && challenge.n != 0 ? CCP_SPAN("S256") : none},
        {"nonce", nonce},
    };
    bool query = ccp_span_find(p->authorize_url, '?') != p->authorize_url.n;
    const struct ccp_span pieces[] = {p->authorize_url, query ? CCP_SPAN("&") : CCP_SPAN("?"),
                                      oauth_form(a, fields, sizeof(fields) / sizeof(fields[0])),
                                      extra.n != 0 ? CCP_SPAN("&") : CCP_SPAN(""), extra.n != 0 ? extra : CCP_SPAN("")};

    return pieces[2].p != NULL ? arena_cat(a, pieces, sizeof(pieces) / sizeof(pieces[0])) : none;
}

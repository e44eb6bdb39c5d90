/*
 * An OAuth provider as this configuration has it: a manifest's record with what [oauth.<name>] replaces, or a block
 * alone. Immutable; lives in the configuration snapshot, which whoever keeps a pointer on another thread has a
 * reference to (config_ref).
 */
#ifndef AUTH_PROVIDER_H
#define AUTH_PROVIDER_H

#include <ccproxy/oauth.h>
#include <ccproxy/transport.h>
#include <config/config.h>

struct trust;

struct oauth_provider {
    struct ccp_span name;                 /* "claude-api"; [a-z0-9_-]{1,64} */
    struct ccp_span label;                /* for people */
    const struct ccp_oauth_provider *def; /* never NULL; a blank one for blocks */
    unsigned flags;                       /* enum ccp_oauth_flag, as resolved */
    struct ccp_span issuer;
    struct ccp_span authorize_url, token_url, revoke_url, device_url, session_url; /* empty = from discovery, or none */
    struct ccp_span client_id;
    struct ccp_secret *client_secret; /* or NULL */
    struct ccp_span scopes, refresh_scopes;
    struct ccp_span redirect_uri; /* whole, set by the operator; empty = made of host, port and path */
    struct ccp_span redirect_host, redirect_path;
    const uint16_t *ports; /* ends with 0; NULL = any */
    struct ccp_span paste_redirect;
    bool configured;      /* there is an [oauth.<name>] block */
    const char *path;     /* of its table: "oauth.claude-api" */
    const void *settings; /* the registry's own */
    /* How its servers are reached: the block's own values, else those of the provider that uses the login, else
     * [upstream]'s. */
    struct ccp_span proxy, no_proxy;
    const struct trust *trust; /* NULL = the default store; filled when trust stores are loaded */
    struct ccp_span ca_file;
    bool allow_private;
    uint64_t connect_ms, total_ms; /* of one request */
    /* Origins ("https://api.anthropic.com") of the providers that use this login: what a new login may be sent to. */
    struct ccp_list origins;
};

/* Do upstreams get a second, short-lived token that this login only buys? */
static inline bool oauth_has_session(const struct oauth_provider *p)
{
    return p->def->read_session != NULL && p->session_url.n != 0;
}

/* NULL = may be asked, else why not (static text): https, or http to a literal loopback address; no user, no fragment.
 */
const char *oauth_url_refusal(struct ccp_span url);
/* Scheme, host and port in canonical form into `out`; empty when it is no such URL. */
struct ccp_span oauth_origin(struct ccp_span url, char out[300]);

#endif

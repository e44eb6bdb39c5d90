/*
 * Endpoints by discovery (RFC 8414; OpenID Connect Discovery 1.0): for logins that name an issuer instead of URLs.
 *
 * The document is believed about nothing but what its issuer may say: the issuer must be the one that was asked for,
 * byte for byte (RFC 8414 section 3.3), and every URL in it is checked before it is used. A server on the Internet
 * cannot make us ask one on this machine or network: an address in figures, or localhost, is taken only from an issuer
 * of that very host. Nothing is remembered between calls.
 */
#include <auth/protocol_impl.h>
#include <base/url.h>

struct discovery {
    const struct oauth_provider *p;
    struct arena *a; /* the caller's: what is found lives there */
    struct oauth_metadata *out;
    struct oauth_answer *answer;
    struct url issuer;
};

/* ---- what is asked ------------------------------------------------------------------------------------------------
 */

static struct ccp_span authority(const struct url *issuer)
{
    const char *end = issuer->host.p + issuer->host.n + issuer->ipv6;

    while (end != issuer->path.p && *end != '\0' && *end != '/' && *end != '?')
        end++;
    return ccp_span_of(issuer->host.p - issuer->ipv6, (size_t)(end - issuer->host.p) + issuer->ipv6);
}

static struct ccp_span path_of(const struct url *issuer)
{
    struct ccp_span path = issuer->path;

    while (path.n != 0 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

/* RFC 8414 section 3.1 puts the well-known part between host and path; OpenID appends it. */
static struct ccp_span well_known(const struct discovery *d, bool openid)
{
    struct ccp_span path = path_of(&d->issuer);
    const struct ccp_span before = openid ? path : CCP_SPAN(""), after = openid ? CCP_SPAN("") : path;
    const struct ccp_span pieces[] = {d->issuer.scheme,
                                      CCP_SPAN("://"),
                                      authority(&d->issuer),
                                      before,
                                      openid ? CCP_SPAN("/.well-known/openid-configuration")
                                             : CCP_SPAN("/.well-known/oauth-authorization-server"),
                                      after};

    return arena_cat(d->a, pieces, sizeof(pieces) / sizeof(pieces[0]));
}

/* ---- what it says -------------------------------------------------------------------------------------------------
 */

static bool is_local(struct ccp_span host)
{
    return url_is_ip(host) || url_is_localhost(host);
}

/* NULL = may be used. */
static const char *endpoint_refusal(const struct discovery *d, struct ccp_span text)
{
    struct url u;
    const char *why = oauth_url_refusal(text);

    if (why != NULL || (why = url_parse(text, &u)) != NULL)
        return why;
    if (is_local(u.host) && !ccp_span_ieq(u.host, d->issuer.host) && !d->p->allow_private)
        return "it is an address in figures or localhost, and the issuer is not at that address";
    return NULL;
}

/* Fills *to when it is empty and the document names it. */
static bool take(struct discovery *d, struct oauth_turn *t, const char *name, struct ccp_span *to)
{
    const struct ccp_json *value = ccp_json_get(t->root, name);
    struct ccp_span text = oauth_text(&t->scratch, value);

    if (to->n != 0 || value == NULL || value->type == CCP_JSON_NULL)
        return true;
    const char *why = text.n != 0 ? endpoint_refusal(d, text) : "it is no URL";
    if (why == NULL) {
        *to = arena_dup(d->a, text);
        why = to->p != NULL ? NULL : "out of memory";
    }
    if (why != NULL)
        oauth_turn_fail(t, OAUTH_CLIENT, "the %s that %.*s publishes is refused: %s", name, CCP_FMT(t->server), why);
    return why == NULL;
}

/* A server that lists challenge methods without S256 would take our proof key for nothing (RFC 9700 section 2.1.1). */
static bool proves_keys(const struct discovery *d, struct oauth_turn *t)
{
    const struct ccp_json *list = ccp_json_get(t->root, "code_challenge_methods_supported");
    bool browser = (d->p->flags & (CCP_OAUTH_BROWSER | CCP_OAUTH_PASTE)) != 0;

    if (!browser || (d->p->flags & CCP_OAUTH_NO_PKCE) != 0 || list == NULL || list->type != CCP_JSON_ARRAY)
        return true;
    for (const struct ccp_json *one = list->child; one != NULL; one = one->next)
        if (ccp_span_is(oauth_text(&t->scratch, one), "S256"))
            return true;
    oauth_turn_fail(t, OAUTH_CLIENT, "%.*s does not support PKCE with S256", CCP_FMT(t->server));
    return false;
}

static bool is_true(const struct ccp_json *value)
{
    return value != NULL && value->type == CCP_JSON_TRUE;
}

static void read(struct discovery *d, struct oauth_turn *t)
{
    struct oauth_provider *p = &d->out->provider;

    if (!ccp_span_eq(oauth_text(&t->scratch, ccp_json_get(t->root, "issuer")), d->p->issuer)) {
        oauth_turn_fail(t, OAUTH_CLIENT, "%.*s publishes another issuer than the one of the configuration",
                        CCP_FMT(t->server));
        return;
    }
    if (!take(d, t, "authorization_endpoint", &p->authorize_url) || !take(d, t, "token_endpoint", &p->token_url) ||
        !take(d, t, "revocation_endpoint", &p->revoke_url) ||
        !take(d, t, "device_authorization_endpoint", &p->device_url) || !take(d, t, "jwks_uri", &d->out->jwks_uri) ||
        !proves_keys(d, t))
        return;
    d->out->iss_required = is_true(ccp_json_get(t->root, "authorization_response_iss_parameter_supported"));
    d->out->discovered = true;
}

/* True: there is nothing to try at the second place. */
static bool ask(struct discovery *d, bool openid)
{
    struct oauth_turn t;
    struct oauth_request r = {.url = well_known(d, openid)};
    bool over = true;

    oauth_turn_init(&t, d->p, NULL, NULL, d->answer);
    if (r.url.p == NULL)
        oauth_turn_fail(&t, OAUTH_NOT_SENT, "out of memory");
    else if (oauth_turn_send(&t, &r)) {
        over = oauth_answer_judge(&t) == OAUTH_OK;
        if (over)
            read(d, &t);
    }
    oauth_turn_end(&t);
    return over;
}

/* ---- what is missing ----------------------------------------------------------------------------------------------
 */

static const char *missing(const struct oauth_provider *p)
{
    if (p->token_url.n == 0)
        return "token_url";
    if ((p->flags & (CCP_OAUTH_BROWSER | CCP_OAUTH_PASTE)) != 0 && p->authorize_url.n == 0)
        return "authorize_url";
    /* Device flow alone: then its endpoint is needed. Beside a browser flow it is an offer that may not be there. */
    if ((p->flags & CCP_OAUTH_DEVICE) != 0 && (p->flags & (CCP_OAUTH_BROWSER | CCP_OAUTH_PASTE)) == 0 &&
        p->device_url.n == 0 && p->def->device_request == NULL)
        return "device_url";
    return NULL;
}

static enum oauth_result check_issuer(struct discovery *d)
{
    struct ccp_span issuer = d->p->issuer;
    const char *why = oauth_url_refusal(issuer);

    if (why == NULL)
        why = url_parse(issuer, &d->issuer);
    if (why == NULL && ccp_span_find(issuer, '?') != issuer.n)
        why = "an issuer has no query";
    if (why != NULL)
        return oauth_answer_fail(d->answer, OAUTH_CLIENT, "the issuer of the login \"%.*s\" is refused: %s",
                                 CCP_FMT(d->p->name), why);
    return OAUTH_OK;
}

enum oauth_result oauth_discover(const struct oauth_provider *p, struct arena *a, struct oauth_metadata *out,
                                 struct oauth_answer *answer)
{
    struct discovery d = {.p = p, .a = a, .out = out, .answer = answer};

    *answer = (struct oauth_answer){.result = OAUTH_OK};
    *out = (struct oauth_metadata){.provider = *p};
    if (missing(p) == NULL)
        return OAUTH_OK;
    if (p->issuer.n == 0)
        return oauth_answer_fail(answer, OAUTH_CLIENT, "the login \"%.*s\" has neither %s nor issuer", CCP_FMT(p->name),
                                 missing(p));
    if (check_issuer(&d) != OAUTH_OK)
        return answer->result;
    if (!ask(&d, false))
        ask(&d, true);
    if (answer->result == OAUTH_OK && missing(&out->provider) != NULL)
        oauth_answer_fail(answer, OAUTH_CLIENT, "%.*s publishes no %s", CCP_FMT(p->issuer), missing(&out->provider));
    if (answer->result != OAUTH_OK)
        *out = (struct oauth_metadata){.provider = *p};
    return answer->result;
}

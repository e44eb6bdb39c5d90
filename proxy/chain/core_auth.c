/*
 * Core middleware, order 50: who is the client? And, after routing: may it do this?
 *
 * A client shows its ccproxy key in one of several places; one match is enough. Everything that matched is
 * taken out of the exchange before anything else happens (auth_take_keys), so that no plugin sees it and it cannot
 * travel upstream, also where a key proves nothing (Authorization
 * without Bearer, api-key, a query parameter of another format); what did not match stays and is the client's own
 * credential under `passthrough`. Every key is compared with every candidate in constant time.
 */
#include <base/fault.h>
#include <base/secret.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>

static const struct security_key default_key = {.name = CCP_LIT("default")};

static bool keys_configured(const struct security_settings *s)
{
    return s->auth_token != NULL || s->keys.n != 0;
}

/* No early exit: the time does not tell which key was close. */
static const struct security_key *match(const struct security_settings *s, struct ccp_span candidate)
{
    const struct security_key *found = NULL, *keys = s->keys.v;
    if (candidate.n == 0)
        return NULL;
    if (secret_equals(s->auth_token, candidate))
        found = &default_key;
    for (size_t i = 0; i < s->keys.n; i++)
        if (secret_equals(keys[i].token, candidate))
            found = &keys[i];
    return found;
}

static struct ccp_span bearer(struct ccp_span value)
{
    if (value.n > 7 && ccp_span_ieq(ccp_span_of(value.p, 7), CCP_SPAN("Bearer ")))
        return ccp_span_trim(ccp_span_skip(value, 7));
    return (struct ccp_span){"", 0};
}

/* Is this a place where a key proves who the client is? */
static bool proves(struct ccp_span name)
{
    return ccp_span_is(name, "authorization") || ccp_span_is(name, "x-ccproxy-token") ||
           ccp_span_is(name, "x-api-key") || ccp_span_is(name, "x-goog-api-key");
}

/* A key beside a scheme ("Basic KEY") or on its own: no proof, but not for the upstream either. */
static bool carries_key(const struct security_settings *s, struct ccp_span value)
{
    return match(s, ccp_span_trim(value)) != NULL ||
           match(s, ccp_span_trim(ccp_span_skip(value, ccp_span_find(value, ' ')))) != NULL;
}

/* Takes the key out of one header: true = the header must go. */
static bool judge_header(struct exchange *x, const struct security_settings *s, const struct ccp_header *h)
{
    if (proves(h->name)) {
        const struct security_key *key = match(s, ccp_span_is(h->name, "authorization") ? bearer(h->value) : h->value);
        if (key != NULL)
            x->shown = key;
    }
    return ccp_span_is(h->name, "x-ccproxy-token") || (headers_credential(h->name) && carries_key(s, h->value));
}

/* Looks at every header, drops those that hold a key and x-ccproxy-token in any case. */
static void judge_headers(struct exchange *x, const struct security_settings *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->header_count; i++)
        if (!judge_header(x, s, &x->headers[i]))
            x->headers[kept++] = x->headers[i];
    x->header_count = kept;
}

/* The key that a parameter holds under any name, or as its name, or NULL; *named: it is "key=...". Both may be
 * percent-encoded; `scratch` has room for the parameter. */
static const struct security_key *parameter_key(const struct security_settings *s, struct ccp_span parameter,
                                                char *scratch, bool *named)
{
    size_t eq = ccp_span_find(parameter, '=');
    struct ccp_span name = url_decode_into(scratch, ccp_span_of(parameter.p, eq));
    const struct security_key *bare = match(s, name);
    *named = ccp_span_is(name, "key");
    const struct security_key *value = match(s, url_decode_into(scratch, ccp_span_skip(parameter, eq + 1)));
    return value != NULL ? value : bare;
}

/* Drops every parameter that holds a key; on Gemini paths and model lists "key" is a proof. False = no memory. */
static bool judge_query(struct exchange *x, const struct security_settings *s)
{
    bool proof = x->route.format == CCP_FORMAT_GEMINI || x->route.op == CCP_OP_MODELS || x->route.op == CCP_OP_MODEL;
    char *out = x->query.n != 0 && !CCP_FAULT("auth.query") ? arena_alloc(&x->arena, 2 * x->query.n) : NULL;
    size_t o = 0;
    if (out == NULL)
        return x->query.n == 0;
    char *scratch = out + x->query.n;
    for (struct ccp_span rest = x->query; rest.n != 0;) {
        struct ccp_span one = ccp_span_of(rest.p, ccp_span_find(rest, '&'));
        bool more = one.n < rest.n, named;
        const struct security_key *key = parameter_key(s, one, scratch, &named);
        rest = ccp_span_skip(rest, one.n + 1);
        if (key != NULL && proof && named)
            x->shown = key;
        if (key != NULL)
            continue;
        memcpy(out + o, one.p, one.n);
        o += one.n;
        if (more)
            out[o++] = '&';
    }
    if (o != x->query.n && o != 0 && out[o - 1] == '&')
        o--; /* what followed is gone */
    x->query = ccp_span_of(out, o);
    return true;
}

static bool admin_key_exists(const struct security_settings *s)
{
    const struct security_key *keys = s->keys.v;
    for (size_t i = 0; i < s->keys.n; i++)
        if (keys[i].admin)
            return true;
    return false;
}

bool auth_take_keys(struct exchange *x)
{
    const struct security_settings *s = &x->rt->settings.security;
    if (!keys_configured(s))
        return true;
    judge_headers(x, s);
    if (judge_query(x, s))
        return true;
    x->query = (struct ccp_span){"", 0}; /* a key may be in it */
    exchange_fail(x, CCP_OVERLOADED, "out of memory");
    return false;
}

static enum ccp_verdict on_request(void *self, struct ccp_exchange *pub)
{
    struct exchange *x = exchange_of(pub);
    const struct security_settings *s = &x->rt->settings.security;
    x->key = x->shown;
    x->authenticated = x->key != NULL || !keys_configured(s);
    x->admin = x->key != NULL ? x->key->admin : x->req.unix_socket && !admin_key_exists(s);
    if (x->authenticated || x->route.public)
        return CCP_NEXT;
    /* The same answer for a missing, a malformed and an unknown key. */
    answer_header(x, CCP_SPAN("www-authenticate"), CCP_SPAN("Bearer realm=\"ccproxy\""));
    exchange_fail(x, CCP_UNAUTHORIZED,
                  "missing or invalid ccproxy key: send it as x-ccproxy-token, Authorization: Bearer, x-api-key or "
                  "x-goog-api-key");
    return CCP_FAILED;
}

/* An entry is an exact name, or a prefix that ends in '*'. */
static bool listed(const struct ccp_list *list, struct ccp_span a, struct ccp_span b)
{
    for (size_t i = 0; i < list->n; i++) {
        struct ccp_span e = list->v[i];
        if (ccp_span_eq(e, a) || ccp_span_eq(e, b))
            return true;
        if (e.n != 0 && e.p[e.n - 1] == '*' &&
            (ccp_span_starts(a, ccp_span_of(e.p, e.n - 1)) || ccp_span_starts(b, ccp_span_of(e.p, e.n - 1))))
            return true;
    }
    return list->n == 0;
}

bool auth_may_use(const struct exchange *x, const struct provider *p)
{
    return x->key == NULL || listed(&x->key->providers, p->id, p->prefix);
}

bool auth_may_see(const struct exchange *x, struct ccp_span model)
{
    return x->key == NULL || listed(&x->key->models, model, model);
}

bool auth_scope(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    if (x->key == NULL)
        return true;
    if (!auth_may_use(x, p)) {
        exchange_fail(x, CCP_FORBIDDEN, "key \"%.*s\" may not use provider %.*s", CCP_FMT(x->key->name),
                      CCP_FMT(p->id));
        return false;
    }
    if (x->key->models.n == 0)
        return true;
    bool list = x->route.op == CCP_OP_MODELS || x->route.op == CCP_OP_MODEL;
    if (x->route.op == CCP_OP_RAW || (x->client_model.n == 0 && !list)) {
        exchange_fail(x, CCP_FORBIDDEN, "key \"%.*s\" is limited to certain models; this request names none",
                      CCP_FMT(x->key->name));
        return false;
    }
    if (x->client_model.n != 0 && !listed(&x->key->models, x->client_model, x->upstream_model)) {
        exchange_fail(x, CCP_FORBIDDEN, "key \"%.*s\" may not use model %.*s", CCP_FMT(x->key->name),
                      (int)(x->client_model.n < 200 ? x->client_model.n : 200), x->client_model.p);
        return false;
    }
    return true;
}

const struct ccp_middleware core_auth = {
    .name = "auth", .layer = CCP_LAYER_CORE, .order = 50, .on_request = on_request};

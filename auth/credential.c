/*
 * Credentials as workers hold them: made once from a record, immutable, counted.
 */
#include <auth/service_impl.h>

#include <base/fault.h>
#include <base/secret.h>

static size_t text_size(const struct record *r, struct ccp_span account)
{
    size_t n = account.n;
    for (size_t i = 0; i < r->fact_count; i++)
        n += r->facts[i].name.n + r->facts[i].value.n + 2;
    for (size_t i = 0; i < r->origin_count; i++)
        n += r->origins[i].n;
    return n;
}

static struct ccp_span keep(char **at, struct ccp_span s)
{
    char *p = *at;
    if (s.n != 0)
        memcpy(p, s.p, s.n);
    *at += s.n;
    return ccp_span_of(p, s.n);
}

struct auth_credential *credential_new(const struct record *r, const struct account *c, uint64_t serial)
{
    bool session = oauth_has_session(c->login);
    struct ccp_span account = ccp_span_z(c->chosen);
    int64_t expires_at;
    struct ccp_span bearer = record_bearer(r, session, &expires_at);
    struct auth_credential *out = CCP_FAULT("auth.credential") ? NULL : calloc(1, sizeof(*out) + text_size(r, account));
    if (out == NULL)
        return NULL;
    char *at = out->texts;
    atomic_init(&out->refs, 1);
    out->secret = secret_new(bearer);
    out->account = keep(&at, account);
    out->generation = r->generation;
    out->serial = serial;
    out->expires_at = expires_at;
    out->anywhere = r->layout != NULL;
    for (size_t i = 0; i < r->fact_count; i++)
        out->facts[out->fact_count++] = (struct record_fact){keep(&at, r->facts[i].name), keep(&at, r->facts[i].value)};
    for (size_t i = 0; i < r->origin_count; i++)
        out->origins[out->origin_count++] = keep(&at, r->origins[i]);
    if (out->secret == NULL) {
        free(out);
        return NULL;
    }
    return out;
}

/* As record_may_go_to says of the record. */
bool credential_may_go(const struct auth_credential *c, struct ccp_span origin, struct auth_report *r)
{
    bool may = c == NULL || c->anywhere;
    for (size_t i = 0; !may && i < c->origin_count; i++)
        may = origin.n != 0 && ccp_span_eq(c->origins[i], origin);
    if (may)
        return true;
    r->state = AUTH_NEEDS_LOGIN;
    r->text = origin.n != 0 ? CCP_SPAN("this login was made for another address than base_url says; to use it there, "
                                       "make it anew: ccproxy auth login --force")
                            : CCP_SPAN("base_url is plain http to another machine, where no login is sent: use https");
    return false;
}

struct auth_credential *auth_credential_ref(struct auth_credential *c)
{
    if (c != NULL)
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void auth_credential_unref(struct auth_credential *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    secret_unref(c->secret);
    free(c);
}

struct ccp_span auth_credential_fact(const struct auth_credential *c, const char *name)
{
    for (size_t i = 0; c != NULL && i < c->fact_count; i++)
        if (ccp_span_is(c->facts[i].name, name))
            return c->facts[i].value;
    return CCP_SPAN("");
}

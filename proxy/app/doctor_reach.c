/*
 * doctor: can the providers and the servers of logins be reached? One GET without a credential each; an answer of any
 * kind shows that name, address, TLS and HTTP work.
 */
#include <app/doctor.h>

#include <auth/provider.h>
#include <base/clock.h>
#include <base/url.h>
#include <upstream/upstream.h>

#define BODY_MAX (256 * 1024)

struct target {
    const char *name; /* "claude_api", "login claude-api" */
    struct ccp_span url, proxy, no_proxy, ca_file;
    bool allow_private, needed; /* needed: not to reach it is a failure */
};

/* Whatever the scheme; a proxy may have one of its own. */
static bool is_literal(struct doctor *d, struct ccp_span url)
{
    struct url u;
    const char *as_http = doctor_text(d, "http%.*s", CCP_FMT(ccp_span_skip(url, ccp_span_find(url, ':'))));
    return url_parse(ccp_span_z(as_http), &u) == NULL && (url_is_ip(u.host) || url_is_localhost(u.host));
}

static const char *remedy_for(const struct target *t, const struct upstream_answer *answer)
{
    if (answer->detail[0] != '\0')
        return "add its authority with ca_file, or look who answers in its place";
    return t->proxy.n != 0 ? "look at the proxy and the network"
                           : "look at the network and the address; is a proxy "
                             "needed ([upstream] proxy)?";
}

static void tell(struct doctor *d, const struct target *t, const struct upstream_answer *answer, uint64_t ms)
{
    if (answer->status != 0) {
        doctor_ok(d, "%s: %.*s answers (%d, %llu ms)", t->name, CCP_FMT(t->url), answer->status,
                  (unsigned long long)ms);
        if (answer->date != 0 && d->date == 0) {
            d->date = answer->date;
            d->dated = (int64_t)(clock_unix_us() / 1000000);
        }
        return;
    }
    const char *text = doctor_text(d, "%s: %.*s: %s%s%s", t->name, CCP_FMT(t->url), answer->why,
                                   answer->detail[0] != '\0' ? ": " : "", answer->detail);
    if (t->needed)
        doctor_fail(d, EXIT_UNAVAILABLE, remedy_for(t, answer), "%s", text);
    else
        doctor_warn(d, remedy_for(t, answer), "%s; no credential needs it yet", text);
}

static void look_at_target(struct doctor *d, const struct target *t)
{
    struct upstream_answer answer;
    struct ccp_header headers[] = {{CCP_SPAN("accept"), CCP_SPAN("*/*")}};
    struct ccp_buf body;
    const char *why;
    struct trust *own = t->ca_file.n != 0 ? trust_load(t->ca_file.p, &why) : trust_ref(d->trust);
    struct ccp_upstream_request request = {
        .method = CCP_SPAN("GET"),
        .url = t->url,
        .headers = headers,
        .header_count = 1,
        .limits = {.connect_ms = 5000, .first_byte_ms = 8000, .idle_ms = 8000, .total_ms = 10000},
        .proxy = t->proxy,
        .no_proxy = t->no_proxy,
        .allow_private = t->allow_private,
        .literal_host = is_literal(d, t->proxy.n != 0 ? t->proxy : t->url),
        .trust = own,
    };
    uint64_t began = clock_ms();
    if (own == NULL)
        return; /* the part "trust" said why */
    buf_init(&body, BODY_MAX);
    upstream_fetch(NULL, &request, &body, &answer);
    tell(d, t, &answer, clock_ms() - began);
    buf_release(&body);
    trust_unref(own);
}

static void look_at_provider(struct doctor *d, const struct provider *p)
{
    struct target t = {
        .name = doctor_text(d, "%.*s", CCP_FMT(p->id)),
        .url = p->s.base_url,
        .proxy = p->proxy,
        .no_proxy = p->no_proxy,
        .ca_file = p->s.ca_file,
        .allow_private = p->allow_private,
        .needed = doctor_in_use(d, p),
    };
    look_at_target(d, &t);
}

/* Is a renewal, or the login that is asked for, going to need it? */
static bool login_wanted(struct doctor *d, const struct oauth_provider *l, bool *needed)
{
    bool wanted = l->configured;
    *needed = false;
    for (size_t i = 0; i < d->rt->provider_count; i++) {
        const struct provider *p = &d->rt->providers[i];
        if (!p->enabled || p->login.login != l || p->auth != AUTH_OAUTH)
            continue;
        wanted = true;
        *needed = *needed || doctor_in_use(d, p);
    }
    return wanted;
}

static void look_at_login(struct doctor *d, const struct oauth_provider *l)
{
    struct target t = {
        .name = doctor_text(d, "login %.*s", CCP_FMT(l->name)),
        .url = l->token_url.n != 0 ? l->token_url : l->issuer,
        .proxy = l->proxy,
        .no_proxy = l->no_proxy,
        .ca_file = l->ca_file,
        .allow_private = l->allow_private,
    };
    if (!login_wanted(d, l, &t.needed))
        return;
    if (t.url.n != 0)
        look_at_target(d, &t);
    t.url = l->session_url;
    if (t.url.n != 0)
        look_at_target(d, &t);
}

void doctor_reach(struct doctor *d)
{
    for (size_t i = 0; i < d->rt->provider_count; i++) {
        const struct provider *p = &d->rt->providers[i];
        if (p->enabled && p->def->transport == NULL)
            look_at_provider(d, p);
    }
    for (size_t i = 0; i < d->rt->login_count; i++)
        look_at_login(d, &d->rt->logins[i]);
}

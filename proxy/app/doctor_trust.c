/*
 * doctor: certificates of authorities, and variables of the environment that other programs follow and ccproxy does
 * not.
 */
#include <app/doctor.h>

#include <upstream/upstream.h>

static void look_at_ca(struct doctor *d, const char *whose, struct ccp_span file)
{
    const char *why = NULL;
    struct trust *trust = file.n != 0 ? trust_load(file.p, &why) : NULL;
    if (trust != NULL)
        doctor_ok(d, "%s: %.*s and the system's, %zu authorities", whose, CCP_FMT(file), trust_count(trust));
    else if (file.n != 0)
        doctor_fail(d, EXIT_CONFIG, "give a file with PEM certificates, or leave ca_file out", "%s: %.*s: %s", whose,
                    CCP_FMT(file), why);
    trust_unref(trust);
}

void doctor_trust(struct doctor *d)
{
    const char *why = NULL;
    struct ccp_span file = d->rt != NULL ? d->rt->settings.upstream.ca_file : CCP_SPAN("");
    d->trust = trust_load(NULL, &why);
    if (d->trust != NULL)
        doctor_ok(d, "the system trusts %zu authorities", trust_count(d->trust));
    else
        doctor_fail(d, EXIT_FAILED, "apt install ca-certificates", "%s", why);
    if (d->rt == NULL)
        return;
    look_at_ca(d, "upstream.ca_file", file);
    if (file.n != 0) {
        trust_unref(d->trust);
        d->trust = trust_load(file.p, &why);
    }
    for (size_t i = 0; i < d->rt->provider_count; i++)
        if (d->rt->providers[i].enabled)
            look_at_ca(d, doctor_text(d, "ca_file of %.*s", CCP_FMT(d->rt->providers[i].id)),
                       d->rt->providers[i].s.ca_file);
    for (size_t i = 0; i < d->rt->login_count; i++)
        if (d->rt->logins[i].configured)
            look_at_ca(d, doctor_text(d, "ca_file of login %.*s", CCP_FMT(d->rt->logins[i].name)),
                       d->rt->logins[i].ca_file);
}

/* Names only: the value of a proxy may hold a password. */
static const char *set_ones(struct doctor *d, const char *const *names)
{
    const char *list = "";
    for (; *names != NULL; names++)
        for (char **e = d->cli->vault.environ; *e != NULL; e++) {
            size_t n = strlen(*names);
            if (strncasecmp(*e, *names, n) == 0 && (*e)[n] == '=' && (*e)[n + 1] != '\0')
                list = doctor_text(d, "%s%s%.*s", list, *list != '\0' ? ", " : "", (int)n, *e);
        }
    return list;
}

void doctor_environment(struct doctor *d)
{
    static const char *const proxies[] = {"https_proxy", "http_proxy", "all_proxy", NULL};
    static const char *const authorities[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", NULL};
    const char *set = set_ones(d, proxies);
    if (*set != '\0' && d->rt->settings.upstream.proxy.n == 0)
        doctor_warn(d, "to use one: [upstream] proxy = \"${HTTPS_PROXY:-}\"",
                    "proxies of the environment are ignored (%s)", set);
    else if (d->rt->settings.upstream.proxy.n != 0)
        doctor_ok(d, "upstreams are asked by the proxy of [upstream]");
    else
        doctor_ok(d, "no proxy");
    set = set_ones(d, authorities);
    if (*set != '\0')
        doctor_warn(d, "to add authorities: [upstream] ca_file", "ignored: %s", set);
}

/*
 * Addresses for people and clients: see address.h. A listener on every address is reached over loopback.
 */
#include <app/address.h>

#include <base/url.h>

static struct ccp_span reachable(struct ccp_span host)
{
    if (ccp_span_is(host, "0.0.0.0"))
        return CCP_SPAN("127.0.0.1");
    if (ccp_span_is(host, "::") || ccp_span_is(host, "[::]"))
        return CCP_SPAN("::1");
    return host;
}

static void write_url(struct address *out, struct ccp_span host, const char *port, bool tls)
{
    host = reachable(host);
    bool bare6 = ccp_span_find(host, ':') != host.n && host.p[0] != '[';
    snprintf(out->url, sizeof(out->url), "%s://%s%.*s%s:%s", tls ? "https" : "http", bare6 ? "[" : "", CCP_FMT(host),
             bare6 ? "]" : "", port);
}

const char *address_of(const struct server_settings *s, struct address *out)
{
    char port[16];
    *out = (struct address){.unix_socket = NULL};
    if (s->host.n == 0) {
        if (s->unix_socket.n == 0)
            return "the configuration has neither a host nor a unix socket";
        out->unix_socket = s->unix_socket.p;
        snprintf(out->url, sizeof(out->url), "http://localhost");
        return NULL;
    }
    if (s->port == 0)
        return "server.port is 0, so the port is known to the server alone";
    snprintf(port, sizeof(port), "%lld", (long long)s->port);
    write_url(out, s->host.v[0], port, s->tls_cert.n != 0);
    return NULL;
}

const char *address_parse(const char *text, struct address *out)
{
    struct url u;
    struct ccp_span s = ccp_span_z(text);
    *out = (struct address){.unix_socket = NULL};
    while (s.n != 0 && s.p[s.n - 1] == '/')
        s.n--;
    const char *wrong = url_parse(s, &u);
    if (wrong == NULL && (u.query.n != 0 || s.n >= sizeof(out->url)))
        wrong = "not the address of a server";
    if (wrong == NULL)
        snprintf(out->url, sizeof(out->url), "%.*s", CCP_FMT(s));
    return wrong;
}

void address_bound(struct ccp_span bound, bool tls, struct address *out)
{
    size_t colon = bound.n;
    char port[16];
    *out = (struct address){.unix_socket = NULL};
    while (colon != 0 && bound.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return;
    snprintf(port, sizeof(port), "%.*s", CCP_FMT(ccp_span_skip(bound, colon)));
    write_url(out, ccp_span_of(bound.p, colon - 1), port, tls);
}

/*
 * Which URLs of OAuth may be asked at all, and what an origin is.
 *
 * Tokens and codes go over TLS, or to this very machine: a name that resolves to 127.0.0.1 is not this machine, for
 * whoever answers for the name decides. "localhost" is what resolvers must keep for themselves (RFC 6761).
 */
#include <auth/provider.h>
#include <base/url.h>

#include <arpa/inet.h>

static bool is_loopback(const struct url *u)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    if (ccp_span_ieq(u->host, CCP_SPAN("localhost")))
        return true;
    if (u->host.n >= sizeof(text))
        return false;
    memcpy(text, u->host.p, u->host.n);
    text[u->host.n] = '\0';
    if (u->ipv6)
        return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

const char *oauth_url_refusal(struct ccp_span text)
{
    struct url u;

    if (text.n > 2048)
        return "the URL is longer than 2048 bytes";
    const char *wrong = url_parse(text, &u);
    if (wrong != NULL)
        return wrong;
    if (ccp_span_is(u.scheme, "https") || is_loopback(&u))
        return NULL;
    return "it must be https (http only to 127.0.0.1, [::1] or localhost)";
}

/* One spelling for one address: RFC 5952. */
static void canonical_host(const struct url *u, char out[256])
{
    struct in6_addr v6;

    for (size_t i = 0; i < u->host.n; i++)
        out[i] = u->host.p[i] >= 'A' && u->host.p[i] <= 'Z' ? (char)(u->host.p[i] | 0x20) : u->host.p[i];
    out[u->host.n] = '\0';
    if (u->ipv6 && inet_pton(AF_INET6, out, &v6) == 1)
        inet_ntop(AF_INET6, &v6, out, 256);
}

struct ccp_span oauth_origin(struct ccp_span text, char out[300])
{
    struct url u;
    char host[256], port[8] = "";

    if (oauth_url_refusal(text) != NULL || url_parse(text, &u) != NULL)
        return CCP_SPAN("");
    canonical_host(&u, host);
    if (u.port != (ccp_span_is(u.scheme, "https") ? 443 : 80))
        snprintf(port, sizeof(port), ":%u", u.port);
    int n = snprintf(out, 300, "%.*s://%s%s%s%s", CCP_FMT(u.scheme), u.ipv6 ? "[" : "", host, u.ipv6 ? "]" : "", port);
    return ccp_span_of(out, (size_t)n);
}

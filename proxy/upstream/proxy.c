/*
 * Whom a request connects to: its own host, or a proxy; and which addresses that takes.
 *
 * The one place that reads `proxy` and `no_proxy`; curl is told the outcome and not the list, so that the name that
 * is looked up, the address that is allowed and the host that is connected are always the same one. A proxy's name
 * is looked up instead of the host's, which may not exist on this side of it; only with socks5:// it is both, since
 * that proxy wants an address. Pure text, no I/O.
 */
#include <upstream/upstream_impl.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static const struct {
    struct ccp_span scheme;
    uint16_t port; /* curl's default */
    bool wants_address;
} proxies[] = {
    {CCP_LIT("http://"), 1080, false},
    {CCP_LIT("https://"), 443, false},
    {CCP_LIT("socks5h://"), 1080, false},
    {CCP_LIT("socks5://"), 1080, true},
};

static struct ccp_span without_dot(struct ccp_span s)
{
    if (s.n != 0 && s.p[s.n - 1] == '.')
        s.n--;
    return s;
}

/* ---- no_proxy: a list of hosts, domains (with or without a dot in front), networks, or "*" --------------- */

static size_t address_bytes(struct ccp_span s, uint8_t *out)
{
    char text[64];

    if (s.n >= sizeof(text))
        return 0;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    return inet_pton(AF_INET, text, out) == 1 ? 4 : inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, size_t bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool in_network(const uint8_t *address, size_t n, struct ccp_span entry)
{
    uint8_t net[16];
    size_t slash = ccp_span_find(entry, '/'), bits = 0;
    struct ccp_span digits = ccp_span_skip(entry, slash < entry.n ? slash + 1 : entry.n);

    if (address_bytes(ccp_span_of(entry.p, slash), net) != n || digits.n > 3)
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return false;
        bits = bits * 10 + (size_t)(digits.p[i] - '0');
    }
    if (slash == entry.n)
        bits = n * 8;
    return bits <= n * 8 && same_bits(address, net, bits);
}

static bool in_domain(struct ccp_span host, struct ccp_span entry)
{
    if (entry.n != 0 && entry.p[0] == '.')
        entry = ccp_span_skip(entry, 1);
    if (entry.n == 0 || host.n < entry.n || !ccp_span_ieq(ccp_span_skip(host, host.n - entry.n), entry))
        return false;
    return host.n == entry.n || host.p[host.n - entry.n - 1] == '.';
}

bool proxy_bypassed(struct ccp_span host, struct ccp_span no_proxy)
{
    uint8_t address[16];
    size_t n = address_bytes(host, address);

    host = without_dot(host);
    for (size_t at = 0, end; at < no_proxy.n; at = end + 1) {
        for (end = at; end < no_proxy.n && no_proxy.p[end] != ',' && no_proxy.p[end] != ' '; end++)
            ;
        struct ccp_span entry = ccp_span_of(no_proxy.p + at, end - at);
        if (ccp_span_is(entry, "*") || (n != 0 ? in_network(address, n, entry) : in_domain(host, without_dot(entry))))
            return true;
    }
    return false;
}

/* ---- the targets --------------------------------------------------------------------------------------- */

static struct target target_of(const struct url *url)
{
    return (struct target){.host = url->host, .port = url->port};
}

/* A proxy's URL is that of a host behind another scheme. False = a scheme nobody knows; curl will refuse it. */
static bool proxy_target(struct call *c, bool *wants_address)
{
    static const char plain[] = "http://";
    char text[sizeof(plain) + 512];
    struct ccp_span proxy = c->request->proxy;

    for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
        struct ccp_span scheme = proxies[i].scheme;
        if (!ccp_span_starts(proxy, scheme) || proxy.n - scheme.n >= sizeof(text) - sizeof(plain))
            continue;
        int n = snprintf(text, sizeof(text), "%s%.*s", plain, (int)(proxy.n - scheme.n), proxy.p + scheme.n);
        struct url url;
        if (url_parse(ccp_span_of(text, (size_t)n), &url) != NULL)
            return false;
        size_t at = (size_t)(url.host.p - text) - (sizeof(plain) - 1) + scheme.n;
        c->targets[0] = (struct target){.host = ccp_span_of(proxy.p + at, url.host.n),
                                        .port = url.has_port ? url.port : proxies[i].port};
        *wants_address = proxies[i].wants_address;
        return true;
    }
    return false;
}

void call_find_targets(struct call *c)
{
    const struct ccp_upstream_request *r = c->request;
    bool wants_address = false;

    c->proxied = r->proxy.n != 0 && !proxy_bypassed(c->url.host, r->no_proxy);
    c->target_n = 1;
    c->targets[0] = target_of(&c->url);
    if (c->proxied && !proxy_target(c, &wants_address))
        c->target_n = 0;
    if (wants_address)
        c->targets[c->target_n++] = target_of(&c->url);
    /* literal_host speaks of the proxy when there is one; only here it is known whether that is used. */
    bool bypassed = r->proxy.n != 0 && !c->proxied;
    c->literal_host = bypassed ? url_is_ip(c->url.host) || url_is_localhost(c->url.host) : r->literal_host;
}

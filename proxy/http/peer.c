/*
 * Addresses of peers: how they print, which are loopback, which belong to a trusted proxy. Pure functions.
 */
#include <http/http_impl.h>

#include <arpa/inet.h>

/* An IPv4 address in IPv6 clothes counts as IPv4. */
static bool unwrap(const struct sockaddr *a, int *family, unsigned char addr[16], unsigned *port)
{
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)a;
        memcpy(addr, &in->sin_addr, 4);
        *port = ntohs(in->sin_port);
    } else if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)a;
        memcpy(addr, &in6->sin6_addr, 16);
        *port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            memmove(addr, addr + 12, 4);
            *family = AF_INET;
            return true;
        }
    } else {
        return false;
    }
    *family = a->sa_family;
    return true;
}

size_t peer_print(char *out, size_t max, const struct sockaddr *a)
{
    unsigned char addr[16];
    char text[INET6_ADDRSTRLEN];
    unsigned port;
    int family, n;
    if (!unwrap(a, &family, addr, &port))
        n = snprintf(out, max, "unknown");
    else
        n = snprintf(out, max, family == AF_INET ? "%s:%u" : "[%s]:%u", inet_ntop(family, addr, text, sizeof(text)),
                     port);
    return n < 0 ? 0 : (size_t)n < max ? (size_t)n : max - 1;
}

bool peer_is_loopback(const struct sockaddr *a)
{
    unsigned char addr[16];
    static const unsigned char one[16] = {[15] = 1};
    unsigned port;
    int family;
    if (!unwrap(a, &family, addr, &port))
        return false;
    return family == AF_INET ? addr[0] == 127 : memcmp(addr, one, 16) == 0;
}

bool peer_net_parse(struct ccp_span text, struct peer_net *net)
{
    char host[INET6_ADDRSTRLEN], digits[4], *end;
    size_t slash = ccp_span_find(text, '/');
    struct ccp_span bits = ccp_span_skip(text, slash + 1);
    *net = (struct peer_net){0};
    if (ccp_span_is(text, "unix"))
        return net->unix_socket = true;
    if (slash == 0 || slash >= sizeof(host) || bits.n >= sizeof(digits) || (slash < text.n && bits.n == 0))
        return false;
    memcpy(host, text.p, slash);
    host[slash] = '\0';
    net->family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    unsigned max = net->family == AF_INET ? 32 : 128;
    net->bits = max;
    if (slash < text.n) {
        memcpy(digits, bits.p, bits.n);
        digits[bits.n] = '\0';
        unsigned long v = strtoul(digits, &end, 10);
        if (digits[0] < '0' || digits[0] > '9' || *end != '\0' || v > max)
            return false;
        net->bits = (unsigned)v;
    }
    return inet_pton(net->family, host, net->addr) == 1;
}

static bool in_net(const struct peer_net *net, int family, const unsigned char addr[16])
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (net->unix_socket || net->family != family || memcmp(net->addr, addr, whole) != 0)
        return false;
    return rest == 0 || ((net->addr[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

bool peer_trusted(const struct peer_net *nets, size_t n, const struct sockaddr *a)
{
    unsigned char addr[16] = {0};
    unsigned port;
    int family = AF_UNSPEC;
    if (a != NULL && !unwrap(a, &family, addr, &port))
        return false;
    for (size_t i = 0; i < n; i++)
        if (a == NULL ? nets[i].unix_socket : in_net(&nets[i], family, addr))
            return true;
    return false;
}

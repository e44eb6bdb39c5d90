/*
 * Address rules (SSRF guard): judged on the address that is about to be connected, after name resolution, so
 * a name that changes its answer between check and use gains nothing.
 *
 * A table of networks and two small matchers; no I/O, no names.
 */
#include <upstream/address_impl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>

/* GUARDED: not allowed by being written as a literal. */
enum kind { PUBLIC, PRIVATE, GUARDED };

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* RFC 6890 and its registry: what is not ordinary unicast on the Internet. */
static const struct {
    uint32_t net;
    unsigned bits;
    enum kind kind;
} v4_nets[] = {
    {V4(0, 0, 0, 0), 8, PRIVATE},    {V4(10, 0, 0, 0), 8, PRIVATE},     {V4(100, 64, 0, 0), 10, PRIVATE},
    {V4(127, 0, 0, 0), 8, PRIVATE},  {V4(169, 254, 0, 0), 16, GUARDED}, {V4(172, 16, 0, 0), 12, PRIVATE},
    {V4(192, 0, 0, 0), 24, PRIVATE}, {V4(192, 168, 0, 0), 16, PRIVATE}, {V4(198, 18, 0, 0), 15, PRIVATE},
    {V4(224, 0, 0, 0), 4, PRIVATE},  {V4(240, 0, 0, 0), 4, PRIVATE},
};

static enum kind kind_of_v4(uint32_t host_order)
{
    for (size_t i = 0; i < sizeof(v4_nets) / sizeof(v4_nets[0]); i++) {
        uint32_t mask = ~(uint32_t)0 << (32 - v4_nets[i].bits);
        if ((host_order & mask) == v4_nets[i].net)
            return v4_nets[i].kind;
    }
    return PUBLIC;
}

static uint32_t v4_at(const uint8_t *p)
{
    return V4(p[0], p[1], p[2], p[3]);
}

static bool zeros(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* Where the IPv4 address sits in forms that carry one, else NULL. */
static const uint8_t *embedded_v4(const uint8_t *a)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

    if (zeros(a, 10) && a[10] == 0xff && a[11] == 0xff)
        return a + 12;
    if (zeros(a, 12)) /* v4-compatible; also :: and ::1, which land in 0.0.0.0/8 */
        return a + 12;
    if (__builtin_memcmp(a, nat64, sizeof(nat64)) == 0)
        return a + 12;
    if (a[0] == 0x20 && a[1] == 0x02)
        return a + 2;
    return NULL;
}

static enum kind kind_of_v6(const uint8_t *a)
{
    const uint8_t *v4 = embedded_v4(a);

    if (zeros(a, 15) && a[15] == 1)
        return PRIVATE;
    if (v4 != NULL) /* who means a private address does not write it in such a form; and "::" is no address */
        return kind_of_v4(v4_at(v4)) == PUBLIC ? PUBLIC : GUARDED;
    if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
        return GUARDED;
    if ((a[0] & 0xfe) == 0xfc || a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0xc0))
        return PRIVATE;
    if (a[0] == 0x00 && a[1] == 0x64 && a[2] == 0xff && a[3] == 0x9b) /* local-use NAT64, 64:ff9b:1::/48 */
        return PRIVATE;
    return PUBLIC;
}

bool upstream_address_allowed(const struct sockaddr *address, bool allow_private, bool literal_host)
{
    enum kind kind;

    if (address->sa_family == AF_INET)
        kind = kind_of_v4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    else if (address->sa_family == AF_INET6)
        kind = kind_of_v6(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
    else
        return false;
    return kind == PUBLIC || allow_private || (kind == PRIVATE && literal_host);
}

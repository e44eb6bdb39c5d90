/*
 * URLs and paths: see url.h. Strict by intent: what is unusual is refused, not repaired.
 */
#include <arpa/inet.h>
#include <base/arena.h>
#include <base/url.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static const char *parse_port(struct ccp_span text, struct url *out)
{
    unsigned port = 0;
    if (text.n == 0 || text.n > 5)
        return "the port is not a number from 1 to 65535";
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return "the port is not a number from 1 to 65535";
        port = port * 10 + (unsigned)(text.p[i] - '0');
    }
    if (port == 0 || port > 65535)
        return "the port is not a number from 1 to 65535";
    out->port = (uint16_t)port;
    out->has_port = true;
    return NULL;
}

static bool host_ok(struct ccp_span host)
{
    if (host.n == 0 || host.n > 253)
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (!unreserved((unsigned char)host.p[i]) || host.p[i] == '~')
            return false;
    return true;
}

static const char *parse_authority(struct ccp_span a, struct url *out)
{
    if (ccp_span_find(a, '@') != a.n)
        return "user names in URLs are not allowed";
    if (a.n != 0 && a.p[0] == '[') {
        size_t end = ccp_span_find(a, ']');
        out->host = ccp_span_of(a.p + 1, end < a.n ? end - 1 : 0);
        out->ipv6 = true;
        char text[64];
        struct in6_addr addr;
        if (end == a.n || out->host.n >= sizeof(text))
            return "the host is not an IPv6 address";
        memcpy(text, out->host.p, out->host.n);
        text[out->host.n] = '\0';
        if (inet_pton(AF_INET6, text, &addr) != 1)
            return "the host is not an IPv6 address";
        a = ccp_span_skip(a, end + 1);
        if (a.n == 0)
            return NULL;
        return a.p[0] == ':' ? parse_port(ccp_span_skip(a, 1), out) : "there is junk after the host";
    }
    size_t colon = ccp_span_find(a, ':');
    out->host = ccp_span_of(a.p, colon);
    if (!host_ok(out->host))
        return "the host name is missing or malformed";
    return colon < a.n ? parse_port(ccp_span_skip(a, colon + 1), out) : NULL;
}

const char *url_parse(struct ccp_span text, struct url *out)
{
    *out = (struct url){.port = 0};
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= 0x20 || (unsigned char)text.p[i] >= 0x7f || text.p[i] == '\\')
            return "a URL has no spaces, backslashes, control or non-ASCII characters";
    if (ccp_span_starts(text, CCP_SPAN("https://")))
        out->scheme = CCP_SPAN("https"), out->port = 443, text = ccp_span_skip(text, 8);
    else if (ccp_span_starts(text, CCP_SPAN("http://")))
        out->scheme = CCP_SPAN("http"), out->port = 80, text = ccp_span_skip(text, 7);
    else
        return "a URL starts with https:// or http://";
    if (ccp_span_find(text, '#') != text.n)
        return "a URL here has no fragment";
    size_t end = 0;
    while (end < text.n && text.p[end] != '/' && text.p[end] != '?')
        end++;
    const char *wrong = parse_authority(ccp_span_of(text.p, end), out);
    if (wrong != NULL)
        return wrong;
    text = ccp_span_skip(text, end);
    size_t mark = ccp_span_find(text, '?');
    out->path = ccp_span_of(text.p, mark);
    out->query = ccp_span_skip(text, mark < text.n ? mark + 1 : text.n);
    return NULL;
}

bool url_is_ip(struct ccp_span host)
{
    char text[64];
    struct in6_addr v6;
    struct in_addr v4;
    if (host.n == 0 || host.n >= sizeof(text) || memchr(host.p, '\0', host.n) != NULL)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1;
}

bool url_is_localhost(struct ccp_span host)
{
    if (host.n != 0 && host.p[host.n - 1] == '.')
        host.n--;
    if (ccp_span_ieq(host, CCP_SPAN("localhost")))
        return true;
    return host.n > 10 && ccp_span_ieq(ccp_span_skip(host, host.n - 10), CCP_SPAN(".localhost"));
}

/* One byte of a path; returns how many input bytes it took, 0 = refused. */
static size_t path_byte(struct ccp_span raw, size_t i, char *out, size_t *o)
{
    unsigned char c = (unsigned char)raw.p[i];
    if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '#' || c == '?')
        return 0;
    if (c != '%') {
        out[(*o)++] = (char)c;
        return 1;
    }
    if (i + 2 >= raw.n || hex(raw.p[i + 1]) < 0 || hex(raw.p[i + 2]) < 0)
        return 0;
    unsigned v = (unsigned)(hex(raw.p[i + 1]) * 16 + hex(raw.p[i + 2]));
    if (v < 0x20 || v == 0x7f || v == '/' || v == '\\')
        return 0;
    /* Gemini clients may send %3A for the colon of a method; both spellings are one path. */
    if (unreserved((unsigned char)v) || v == ':') {
        out[(*o)++] = (char)v;
    } else {
        static const char digits[] = "0123456789ABCDEF";
        out[(*o)++] = '%';
        out[(*o)++] = digits[v >> 4];
        out[(*o)++] = digits[v & 15];
    }
    return 3;
}

/* Resolves "." segments; false when a ".." occurs at all: no client of an API needs one. */
static bool drop_dots(char *p, size_t *n)
{
    size_t o = 0;
    for (size_t i = 0; i < *n;) {
        size_t end = i + 1;
        while (end < *n && p[end] != '/')
            end++;
        size_t len = end - i; /* with its leading slash */
        if (len == 3 && p[i + 1] == '.' && p[i + 2] == '.')
            return false;
        if (len == 2 && p[i + 1] == '.') {
            if (end == *n)
                p[o++] = '/';
        } else {
            memmove(p + o, p + i, len);
            o += len;
        }
        i = end;
    }
    *n = o;
    return true;
}

struct ccp_span url_canonical_path(struct arena *a, struct ccp_span raw)
{
    struct ccp_span refused = {NULL, 0};
    if (raw.n == 0 || raw.p[0] != '/')
        return refused;
    char *out = arena_alloc(a, raw.n + 1);
    if (out == NULL)
        return refused;
    size_t o = 0;
    for (size_t i = 0; i < raw.n;) {
        size_t step = path_byte(raw, i, out, &o);
        if (step == 0)
            return refused;
        i += step;
    }
    if (!drop_dots(out, &o))
        return refused;
    out[o] = '\0';
    return (struct ccp_span){out, o};
}

/* Walks parameters: sets *at to the rest after this one. */
static struct ccp_span next_parameter(struct ccp_span *at)
{
    size_t end = ccp_span_find(*at, '&');
    struct ccp_span one = {at->p, end};
    *at = ccp_span_skip(*at, end < at->n ? end + 1 : at->n);
    return one;
}

static bool parameter_is(struct ccp_span one, struct ccp_span name, struct ccp_span *value)
{
    size_t eq = ccp_span_find(one, '=');
    if (!ccp_span_eq(ccp_span_of(one.p, eq), name))
        return false;
    *value = ccp_span_skip(one, eq < one.n ? eq + 1 : one.n);
    if (value->p == NULL)
        value->p = "";
    return true;
}

struct ccp_span url_query_get(struct ccp_span query, struct ccp_span name)
{
    struct ccp_span value;
    while (query.n != 0)
        if (parameter_is(next_parameter(&query), name, &value))
            return value;
    return (struct ccp_span){NULL, 0};
}

struct ccp_span url_query_remove(struct arena *a, struct ccp_span query, struct ccp_span name)
{
    struct ccp_span value;
    if (url_query_get(query, name).p == NULL)
        return query;
    char *out = arena_alloc(a, query.n + 1);
    size_t o = 0;
    if (out == NULL)
        return (struct ccp_span){NULL, 0};
    while (query.n != 0) {
        struct ccp_span one = next_parameter(&query);
        if (parameter_is(one, name, &value))
            continue;
        if (o != 0)
            out[o++] = '&';
        if (one.n != 0)
            memcpy(out + o, one.p, one.n);
        o += one.n;
    }
    out[o] = '\0';
    return (struct ccp_span){out, o};
}

struct ccp_span url_decode_into(char *out, struct ccp_span s)
{
    size_t o = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            out[o++] = s.p[i];
            continue;
        }
        if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
            return (struct ccp_span){NULL, 0};
        out[o++] = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
        i += 2;
    }
    return (struct ccp_span){out, o};
}

struct ccp_span url_decode(struct arena *a, struct ccp_span s)
{
    char *out = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;
    struct ccp_span decoded = out != NULL ? url_decode_into(out, s) : (struct ccp_span){NULL, 0};
    if (decoded.p != NULL)
        out[decoded.n] = '\0';
    return decoded;
}

/*
 * Strict rules for HTTP/1 heads (RFC 9112 sections 2.2, 3, 5, 6), applied to what picohttpparser accepted.
 *
 * Everything on which two HTTP implementations could disagree about where a message ends, who it is for, or
 * what it asks is refused; nothing is repaired. Pure functions over spans.
 */
#include <http/guard_impl.h>

#include <wire/headers.h>

bool guard_method_ok(struct ccp_span m)
{
    if (m.n == 0 || m.n > 32 || ccp_span_is(m, "CONNECT") || ccp_span_is(m, "TRACE"))
        return false;
    for (size_t i = 0; i < m.n; i++)
        if (!((m.p[i] >= 'A' && m.p[i] <= 'Z') || m.p[i] == '-'))
            return false;
    return true;
}

/* Origin-form only: no absolute-form, authority-form, "*". */
bool guard_path_ok(struct ccp_span path)
{
    if (path.n == 0 || path.p[0] != '/')
        return false;
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c <= ' ' || c >= 0x7f || c == '#')
            return false;
    }
    return true;
}

static bool port_ok(struct ccp_span port)
{
    unsigned value = 0;
    if (port.n == 0 || port.n > 5)
        return false;
    for (size_t i = 0; i < port.n; i++) {
        if (port.p[i] < '0' || port.p[i] > '9')
            return false;
        value = value * 10 + (unsigned)(port.p[i] - '0');
    }
    return value >= 1 && value <= 65535;
}

static bool host_char(unsigned char c, bool bracketed)
{
    if (bracketed)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

bool guard_authority_ok(struct ccp_span a)
{
    if (a.n == 0 || a.n > 261)
        return false;
    bool bracketed = a.p[0] == '[';
    size_t end = ccp_span_find(a, bracketed ? ']' : ':');
    size_t from = bracketed ? 1 : 0;
    if (end == from || (bracketed && end == a.n))
        return false;
    for (size_t i = from; i < end; i++)
        if (!host_char((unsigned char)a.p[i], bracketed))
            return false;
    struct ccp_span rest = ccp_span_skip(a, end + (bracketed ? 1 : 0));
    return rest.n == 0 || (rest.p[0] == ':' && port_ok(ccp_span_skip(rest, 1)));
}

static bool lines_end_in_crlf(struct ccp_span raw)
{
    for (const char *p = raw.p, *end = raw.p + raw.n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        if (p == raw.p || p[-1] != '\r')
            return false;
    return true;
}

static bool length_ok(struct ccp_span v)
{
    if (v.n == 0 || v.n > 18)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
    return true;
}

/* An empty name is a folded line. */
static bool name_ok(struct ccp_span name)
{
    return name.p != NULL && name.n <= GUARD_NAME_MAX && headers_token_ok(name);
}

/* Does the list name a protocol that begins with "h2c"? */
static bool names_h2c(struct ccp_span list)
{
    while (list.n != 0) {
        size_t comma = ccp_span_find(list, ',');
        struct ccp_span item = ccp_span_trim(ccp_span_of(list.p, comma));
        if (item.n >= 3 && strncasecmp(item.p, "h2c", 3) == 0)
            return true;
        list = ccp_span_skip(list, comma + 1);
    }
    return false;
}

struct framing {
    unsigned hosts, lengths, codings;
};

static bool field_ok(struct framing *f, struct ccp_span name, struct ccp_span value)
{
    if (!name_ok(name) || !headers_value_ok(value))
        return false;
    if (ccp_span_ieq(name, CCP_SPAN("host")))
        return f->hosts++ == 0 && guard_authority_ok(value);
    if (ccp_span_ieq(name, CCP_SPAN("content-length")))
        return f->lengths++ == 0 && length_ok(value);
    if (ccp_span_ieq(name, CCP_SPAN("transfer-encoding")))
        return f->codings++ == 0 && ccp_span_ieq(value, CCP_SPAN("chunked"));
    return true;
}

/* What h2o would act on and must not: an upgrade, and "100 Continue" to HTTP/1.0 (RFC 9110 section 10.1.1). */
static bool field_dropped(struct ccp_span name, struct ccp_span value, int minor_version)
{
    return ccp_span_ieq(name, CCP_SPAN("http2-settings")) ||
           (ccp_span_ieq(name, CCP_SPAN("upgrade")) && names_h2c(value)) ||
           (minor_version == 0 && ccp_span_ieq(name, CCP_SPAN("expect")));
}

static bool fields_ok(const struct guard_head_parts *head, struct framing *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < *head->header_count; i++) {
        struct phr_header *h = &head->headers[i];
        struct ccp_span name = {h->name, h->name_len}, value = {h->value, h->value_len};
        if (!field_ok(f, name, value))
            return false;
        if (!field_dropped(name, value, head->minor_version))
            head->headers[kept++] = *h;
    }
    *head->header_count = kept;
    return true;
}

bool guard_head_ok(const struct guard_head_parts *head)
{
    struct framing f = {0};
    if (head->raw.n > GUARD_HEAD_MAX || *head->header_count > GUARD_FIELDS_MAX || !lines_end_in_crlf(head->raw))
        return false;
    if (head->minor_version != 0 && head->minor_version != 1)
        return false;
    if (!guard_method_ok(head->method) || !guard_path_ok(head->path) || !fields_ok(head, &f))
        return false;
    if (f.hosts != 1 || (f.codings != 0 && f.lengths != 0))
        return false;
    return f.codings == 0 || head->minor_version == 1;
}

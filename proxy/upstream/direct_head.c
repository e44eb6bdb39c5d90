/*
 * The head of a request as the direct engine sends it (RFC 9112 section 3).
 *
 * Same lines in the same order as libcurl would write, so that an upstream cannot tell the engines apart: Host
 * first, then ours, the caller's, the credential, the length. Everything was checked before (request.c).
 */
#include <upstream/direct_impl.h>

enum { EXTRA_BYTES = 128 }; /* " HTTP/1.1", names, separators, port and length */

static char *put(char *at, struct ccp_span s)
{
    if (s.n != 0)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

static char *put_line(char *at, struct ccp_span name, struct ccp_span prefix, struct ccp_span value)
{
    at = put(at, name);
    at = put(at, prefix.n + value.n != 0 ? CCP_SPAN(": ") : CCP_SPAN(":"));
    at = put(at, prefix);
    at = put(at, value);
    return put(at, CCP_SPAN("\r\n"));
}

static char *put_number(char *at, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);

    do
        digits[--i] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    return put(at, ccp_span_of(digits + i, sizeof(digits) - i));
}

size_t direct_head_size(const struct ccp_transfer *t)
{
    const struct ccp_upstream_request *r = t->request;
    size_t n = EXTRA_BYTES + r->method.n + t->url.path.n + t->url.query.n + t->url.host.n + r->credential_header.n +
               r->credential_prefix.n + request_credential(r).n;

    if (t->u->user_agent != NULL)
        n += strlen(t->u->user_agent);
    for (size_t i = 0; i < r->header_count; i++)
        n += r->headers[i].name.n + r->headers[i].value.n + 4;
    return n;
}

static char *put_request_line(char *at, const struct ccp_transfer *t)
{
    const struct url *url = &t->url;

    at = put(at, t->request->method);
    at = put(at, CCP_SPAN(" "));
    at = put(at, url->path.n != 0 ? url->path : CCP_SPAN("/"));
    if (url->query.n != 0) {
        at = put(at, CCP_SPAN("?"));
        at = put(at, url->query);
    }
    return put(at, CCP_SPAN(" HTTP/1.1\r\n"));
}

static char *put_host(char *at, const struct url *url)
{
    bool tls = url->scheme.n == 5;

    at = put(at, url->ipv6 ? CCP_SPAN("Host: [") : CCP_SPAN("Host: "));
    at = put(at, url->host);
    if (url->ipv6)
        at = put(at, CCP_SPAN("]"));
    if (url->port != (tls ? 443 : 80)) {
        at = put(at, CCP_SPAN(":"));
        at = put_number(at, url->port);
    }
    return put(at, CCP_SPAN("\r\n"));
}

size_t direct_head_write(const struct ccp_transfer *t, char *out)
{
    const struct ccp_upstream_request *r = t->request;
    const struct ccp_span none = {NULL, 0};
    size_t length = request_body_size(r);
    char *at = put_host(put_request_line(out, t), &t->url);

    if (t->u->user_agent != NULL && !request_has(r, CCP_SPAN("user-agent")))
        at = put_line(at, CCP_SPAN("user-agent"), none, ccp_span_z(t->u->user_agent));
    for (size_t i = 0; i < r->header_count; i++)
        if (!request_skips(r, r->headers[i].name))
            at = put_line(at, r->headers[i].name, none, r->headers[i].value);
    if (r->credential != NULL)
        at = put_line(at, r->credential_header, r->credential_prefix, request_credential(r));
    if (!ccp_span_is(r->method, "HEAD") && (length != 0 || request_expects_body(r->method))) {
        at = put(at, CCP_SPAN("Content-Length: "));
        at = put_number(at, length);
        at = put(at, CCP_SPAN("\r\n"));
    }
    return (size_t)(put(at, CCP_SPAN("\r\n")) - out);
}

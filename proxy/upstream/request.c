/*
 * What must hold of any request before it leaves, whichever engine sends it.
 *
 * Pure checks and small questions; nothing is built here. Text with control bytes, or a header that would
 * contradict the framing on the wire, stops here.
 */
#include <upstream/upstream_impl.h>

#include <base/secret.h>
#include <wire/headers.h>

/* Written by us or by curl; a caller's copy could contradict the message on the wire. */
static bool is_framing(struct ccp_span name)
{
    switch (name.n) {
    case 4:
        return ccp_span_ieq(name, CCP_SPAN("host"));
    case 6:
        return ccp_span_ieq(name, CCP_SPAN("expect"));
    case 10:
        return ccp_span_ieq(name, CCP_SPAN("connection"));
    case 14:
        return ccp_span_ieq(name, CCP_SPAN("content-length"));
    case 17:
        return ccp_span_ieq(name, CCP_SPAN("transfer-encoding"));
    default:
        return false;
    }
}

bool request_skips(const struct ccp_upstream_request *r, struct ccp_span name)
{
    return is_framing(name) || (r->credential != NULL && ccp_span_ieq(name, r->credential_header));
}

bool request_has(const struct ccp_upstream_request *r, struct ccp_span name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (ccp_span_ieq(r->headers[i].name, name))
            return true;
    return r->credential != NULL && ccp_span_ieq(r->credential_header, name);
}

struct ccp_span request_credential(const struct ccp_upstream_request *r)
{
    return r->credential != NULL ? secret_reveal(r->credential) : (struct ccp_span){NULL, 0};
}

bool request_expects_body(struct ccp_span method)
{
    return ccp_span_is(method, "POST") || ccp_span_is(method, "PUT") || ccp_span_is(method, "PATCH");
}

size_t request_body_size(const struct ccp_upstream_request *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->body_pieces; i++)
        n += r->body[i].n;
    return n;
}

static const char *check_headers(const struct ccp_upstream_request *r)
{
    for (size_t i = 0; i < r->header_count; i++) {
        if (!headers_token_ok(r->headers[i].name))
            return "a request header has a malformed name";
        if (!headers_value_ok(r->headers[i].value))
            return "a request header has control bytes in its value";
    }
    if (r->credential != NULL && (!headers_token_ok(r->credential_header) || !headers_value_ok(r->credential_prefix)))
        return "the credential's header is malformed";
    return headers_value_ok(request_credential(r)) ? NULL : "the credential has control bytes in it";
}

const char *request_check(const struct ccp_upstream_request *r, struct url *url)
{
    const char *why = url_parse(r->url, url); /* printable ASCII without spaces, or refused */

    if (why != NULL)
        return why;
    if (!headers_token_ok(r->method) || r->method.n > 32)
        return "the method is not a token";
    if (r->body_pieces > sizeof(r->body) / sizeof(r->body[0]))
        return "the body has too many pieces";
    return check_headers(r);
}

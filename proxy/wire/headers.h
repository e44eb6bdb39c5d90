/*
 * Header rules that both directions share (RFC 9110 section 7.6.1, wire reference H.5): pure functions.
 */
#ifndef WIRE_HEADERS_H
#define WIRE_HEADERS_H

#include <ccproxy/span.h>

struct ccp_span headers_get(const struct ccp_header *h, size_t n, struct ccp_span name); /* first, or p = NULL */

/* Is `name` one of the hop-by-hop fields, or named by `connection` (a Connection value, may be empty)? Names
 * ccproxy itself judges on (credentials, host, content-*) are never removed because Connection names them. */
bool headers_hop_by_hop(struct ccp_span name, struct ccp_span connection);
/* May this request header go to a provider? (not cookie, forwarded, x-forwarded-*, via, accept-encoding, ...) */
bool headers_forward_request(struct ccp_span name);
/* May this response header go to the client? (not set-cookie, date, server, framing) */
bool headers_forward_response(struct ccp_span name);
/* A legal field value: no CR, LF, NUL or other control byte but tab. */
bool headers_value_ok(struct ccp_span value);
bool headers_name_ok(struct ccp_span name); /* token, lower case */
/* Is it a header that carries a credential? (authorization, x-api-key, x-goog-api-key, api-key, x-ccproxy-token, cookie) */
bool headers_credential(struct ccp_span name);

#endif

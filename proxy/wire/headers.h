/*
 * Header rules that both directions share (RFC 9110 section 7.6.1, wire reference H.5): pure functions.
 */
#ifndef WIRE_HEADERS_H
#define WIRE_HEADERS_H

#include <ccproxy/span.h>

/* All names, asked and stored, are lower case unless said otherwise. */
struct ccp_span headers_get(const struct ccp_header *h, size_t n, struct ccp_span name); /* first, or p = NULL */

/* Is `name` one of the hop-by-hop fields, or named by `connection` (a Connection value, may be empty; any case)?
 * Names ccproxy itself judges on (credentials, host, content-*) are never removed because Connection names
 * them. */
bool headers_hop_by_hop(struct ccp_span name, struct ccp_span connection);
/* May this request header go to a provider? Not hop-by-hop fields, framing, host, expect, accept-encoding,
 * cookies, what tells of other hops or of the client's address (forwarded, x-forwarded-*, via, cf-*, ...), and
 * ccproxy's own x-ccproxy-*. Credentials are judged elsewhere (headers_credential) and are let through here. */
bool headers_forward_request(struct ccp_span name);
/* May this response header go to the client? Not hop-by-hop fields, framing, date, server, set-cookie, what
 * speaks for the origin rather than the answer (alt-svc, strict-transport-security, access-control-*, ...), and
 * not x-ccproxy-*, which only ccproxy says. content-encoding passes: the caller judges it. */
bool headers_forward_response(struct ccp_span name);
/* A legal field value: no CR, LF, NUL or other control byte but tab. Bytes from 0x80 on are legal. */
bool headers_value_ok(struct ccp_span value);
bool headers_name_ok(struct ccp_span name);   /* token, lower case, not empty */
bool headers_token_ok(struct ccp_span token); /* in any case (RFC 9110 section 5.6.2), not empty */
/* Is it a header that carries a credential? (authorization, proxy-authorization, x-api-key, x-goog-api-key,
 * api-key, x-ccproxy-token, cookie, set-cookie) */
bool headers_credential(struct ccp_span name);
/* May its value be a credential, judged by its name alone, for those who write headers down or copy them? Wider than
 * headers_credential: a word of the name ends with "token", "secret", "key", "password", "cookie", "auth", ... Any
 * case. Of idempotency-key and sec-websocket-key it is known that they are none. */
bool headers_secret(struct ccp_span name);

#endif

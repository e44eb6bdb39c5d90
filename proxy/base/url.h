/*
 * URLs and request paths (RFC 3986), by span and without I/O.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include <ccproxy/span.h>

struct arena;

struct url {
    struct ccp_span scheme; /* "http", "https" */
    struct ccp_span host;   /* without brackets */
    uint16_t port;          /* the scheme's default when absent */
    bool has_port;
    bool ipv6;             /* host was in brackets */
    struct ccp_span path;  /* "" or from the first '/' to '?' */
    struct ccp_span query; /* without '?' */
};

/* NULL = fine, else a static text that says what is wrong. Refuses user info, fragments, control bytes,
 * schemes other than http and https. */
const char *url_parse(struct ccp_span text, struct url *out);

/* True for an IPv4 or IPv6 literal in strict dotted or RFC 4291 form (no octal, no decimal forms). */
bool url_is_ip(struct ccp_span host);
bool url_is_localhost(struct ccp_span host); /* localhost, *.localhost, one trailing dot allowed */

/* The canonical form of a request path: percent-decoding of unreserved bytes only, "." resolved; refuses
 * ".." that leaves its segment, %2f, %5c, %00, control bytes and bytes above 0x7e. p = NULL = refused. One
 * result for auth, router and upstream alike. */
struct ccp_span url_canonical_path(struct arena *a, struct ccp_span raw);

/* Value of a query parameter as it stands (not decoded); p = NULL = absent. */
struct ccp_span url_query_get(struct ccp_span query, struct ccp_span name);
/* The query without every parameter of that name; the input itself when there is none,
 * p = NULL without memory. */
struct ccp_span url_query_remove(struct arena *a, struct ccp_span query, struct ccp_span name);
/* Percent-decoded copy; p = NULL = malformed or no memory. */
struct ccp_span url_decode(struct arena *a, struct ccp_span s);
/* The same into `out`, which has room for s.n bytes and gets no NUL; p = NULL = malformed. */
struct ccp_span url_decode_into(char *out, struct ccp_span s);

#endif

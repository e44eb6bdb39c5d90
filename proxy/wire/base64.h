/*
 * Reading base64 (RFC 4648). Both alphabets are taken, padding may be missing, and white space between the digits is
 * passed over: encoders break lines. Anything else is no base64.
 *
 * Encoding is not here: it is only done in passing, into what is being written.
 */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

#include <base/arena.h>
#include <ccproxy/span.h>
#include <ccproxy/status.h>

/* CCP_OK: *bytes lives in `a`. CCP_BAD_REQUEST: the text is no base64. CCP_OVERLOADED: the arena refused. */
enum ccp_status base64_decode(struct arena *a, struct ccp_span text, struct ccp_span *bytes);

#endif

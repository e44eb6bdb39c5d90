/*
 * Content codings: gzip and zstd bodies, decoded within a size and a ratio.
 */
#ifndef WIRE_CODING_H
#define WIRE_CODING_H

#include <base/buf.h>
#include <ccproxy/status.h>

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_ZSTD, CODING_UNKNOWN };

/* Value of content-encoding; "" and "identity" are CODING_IDENTITY; lists of more than one are UNKNOWN. */
enum coding coding_of(struct ccp_span value);

/* Decodes a whole body into `out` (its max is the size limit). CCP_TOO_LARGE beyond the limit or the ratio
 * (ratio 0 = unchecked; the first 64 KiB of output are free), CCP_BAD_REQUEST when the data is broken or
 * truncated or followed by junk, CCP_OVERLOADED without memory. */
enum ccp_status coding_decode(enum coding coding, struct ccp_span body, unsigned ratio, struct ccp_buf *out);

#endif

/*
 * Content codings: gzip and zstd bodies, decoded within a size and a ratio.
 */
#ifndef WIRE_CODING_H
#define WIRE_CODING_H

#include <base/buf.h>
#include <ccproxy/status.h>

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_ZSTD, CODING_UNKNOWN };

/* Value of content-encoding, in any case; "" and "identity" are CODING_IDENTITY, "x-gzip" is gzip; lists of more
 * than one are UNKNOWN. */
enum coding coding_of(struct ccp_span value);

/* Decodes a whole body and appends it to `out` (its max is the size limit). CCP_TOO_LARGE beyond the limit or
 * beyond ratio times the body's size (ratio 0 = unchecked; the first 64 KiB of output are free),
 * CCP_BAD_REQUEST when the data is broken or truncated or followed by junk, CCP_OVERLOADED without memory,
 * CCP_BAD_ENCODING for CODING_UNKNOWN. Several gzip members or zstd frames in a row are one body. A zstd frame
 * may ask for a window of 8 MiB (RFC 9659), more is CCP_BAD_REQUEST. After a failure `out` holds a part. */
enum ccp_status coding_decode(enum coding coding, struct ccp_span body, unsigned ratio, struct ccp_buf *out);

#endif

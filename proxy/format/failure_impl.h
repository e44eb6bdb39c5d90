/*
 * Private to the failure files: what reading an error is made of.
 */
#ifndef FORMAT_FAILURE_IMPL_H
#define FORMAT_FAILURE_IMPL_H

#include <format/failure.h>

/* An upstream's words as a message for clients: without what stands around it, without credentials, cut at a code point
 * to FAILURE_TEXT_MAX, escaped. Empty: nothing to say, HTML, bytes that are no text, or no memory. */
ctext failure_text(struct arena *a, struct ccp_span plain);
/* The same for the inner of a JSON string; a long one is not unescaped as a whole. */
ctext failure_text_of_json(struct arena *a, ctext escaped);
/* A code word as it stands, when it is one: letters, digits and "_-." only, at most 64, no credential. Else empty. */
ctext failure_word(struct ccp_span text);

/* "34.07s", "6m0s", "12ms", "1.5" (seconds): milliseconds, rounded up; 0 = no duration. */
uint64_t failure_duration_ms(struct ccp_span text);
/* When to try again, by headers: retry-after-ms, retry-after, then (`limited`) the vendors' resets. 0 = not told. */
uint64_t failure_retry_of_headers(const struct ccp_header *headers, size_t n, bool limited);
/* The same by an error object: resets_in_seconds, resets_at, RetryInfo. */
uint64_t failure_retry_of_json(const struct ccp_json *error);
const struct ccp_header *failure_header(const struct ccp_header *headers, size_t n, const char *name); /* or NULL */

bool failure_says(ctext text, const char *what); /* ASCII case folded */

#endif

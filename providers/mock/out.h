/*
 * A growing text in the exchange's memory, with what the writers need to make JSON.
 *
 * It never ends the program and never half-fails: after the memory budget was refused, `failed` is set and
 * every later call does nothing. `mock_out_reset` keeps the memory, so a long stream reuses one buffer.
 */
#ifndef MOCK_OUT_H
#define MOCK_OUT_H

#include <ccproxy/ccproxy.h>

struct mock_out {
    struct ccp_exchange *x;
    char *p;
    size_t n, capacity;
    bool failed;
};

void mock_out_init(struct mock_out *out, struct ccp_exchange *x);
void mock_out_reset(struct mock_out *out);
struct ccp_span mock_out_span(const struct mock_out *out);

void mock_put(struct mock_out *out, struct ccp_span text);
void mock_putz(struct mock_out *out, const char *text);
void mock_putf(struct mock_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text as a JSON string, with and without the quotes around it. `text` is valid UTF-8. */
void mock_quote(struct mock_out *out, struct ccp_span text);
void mock_escape(struct mock_out *out, struct ccp_span text);
/* Valid JSON text without the white space between its tokens: one line, as an SSE event needs. */
void mock_compact(struct mock_out *out, struct ccp_span json);
/* RFC 4648 section 4, with padding. */
void mock_base64(struct mock_out *out, const unsigned char *bytes, size_t n);

#endif

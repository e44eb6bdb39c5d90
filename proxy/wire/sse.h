/*
 * Server-sent events: bytes to events and back (WHATWG HTML section 9.2, wire reference 0.3).
 *
 * The reader takes reads of any size and gives whole events; a CR LF or a UTF-8 sequence may be cut anywhere.
 * The writer refuses to let a field inject a line. Neither knows a provider.
 */
#ifndef WIRE_SSE_H
#define WIRE_SSE_H

#include <base/buf.h>
#include <ccproxy/span.h>

struct sse_event {
    struct ccp_span event; /* "" when there was no event: line */
    struct ccp_span data;  /* data lines joined with LF; bytes are not judged */
    struct ccp_span id;    /* of this event alone; "" when it had none */
    bool has_data;         /* always true when dispatched: events without a data line are dropped */
};

struct sse_reader {
    struct ccp_buf line;                      /* an unfinished line */
    struct ccp_buf event, data, id;           /* fields that outlive the read they came in */
    struct ccp_span event_at, data_at, id_at; /* fields so far: in their buffer, the current read or `line` */
    bool has_data, skip_lf, started;
    uint8_t bom; /* bytes of a leading BOM seen */
    bool too_large, stopped, line_used;
    size_t max;
};

enum sse_result { SSE_OK, SSE_TOO_LARGE, SSE_STOPPED };

/* max_event bounds the fields of one event plus the line being read, however the bytes are cut; beyond it (or
 * without memory) SSE_TOO_LARGE, for good. */
void sse_reader_init(struct sse_reader *r, size_t max_event);
void sse_reader_release(struct sse_reader *r);
/* Calls `on_event` for each complete event (spans valid during the call, which must not touch the reader).
 * on_event false = stop: SSE_STOPPED, for good; the rest of the read is not looked at. */
enum sse_result sse_read(struct sse_reader *r, struct ccp_span bytes,
                         bool (*on_event)(void *arg, const struct sse_event *event), void *arg);
/* End of input: dispatches an unterminated last event as the official SDKs do. *unfinished tells whether there
 * was one (it had a data line, whole or cut). */
enum sse_result sse_finish(struct sse_reader *r, bool (*on_event)(void *arg, const struct sse_event *event), void *arg,
                           bool *unfinished);

/* One event; `event` empty = no event line. LF, CR and CRLF in data become several data lines; in `event` they
 * are refused. False also when the buffer refuses; then nothing was added. */
bool sse_write(struct ccp_buf *out, struct ccp_span event, struct ccp_span data);
/* ":text" and an empty line; text with a line end is refused. */
bool sse_write_comment(struct ccp_buf *out, struct ccp_span text);

/* Follows a pass-through stream without holding it: is the stream at an event boundary after these bytes? That
 * is: nothing came yet, or the last line was empty. Between the CR and the LF of that empty line counts too:
 * the event is out, and the LF that follows is one more empty line. Zero-initialised. */
struct sse_boundary {
    uint8_t state;
};
bool sse_boundary_feed(struct sse_boundary *b, struct ccp_span bytes);

#endif

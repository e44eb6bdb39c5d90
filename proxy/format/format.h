/*
 * Wire formats: what the core needs to know of each, by table; and errors in each one's shape.
 *
 * Readers and writers of prompts and deltas join here when translation comes; pass-through needs none.
 */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include <base/buf.h>
#include <ccproxy/exchange.h>

struct format_error {
    enum ccp_status status;
    int http; /* as sent to the client */
    struct ccp_span message;
    struct ccp_span request_id;
    struct ccp_span code; /* a word that the client's own software looks for, or empty */
};

const char *format_id(enum ccp_format f); /* "openai-chat" */
bool format_versioned(enum ccp_format f); /* base URLs of this family end in /v1 */

/* HTTP status a client of this format gets (529 for overload on Anthropic; wire reference F.8). */
int format_http_status(enum ccp_format f, enum ccp_status status);
/* The whole error body. CCP_FORMAT_NONE: OpenAI's shape, which most tools can read. */
bool format_error_body(enum ccp_format f, const struct format_error *e, struct ccp_buf *out);
/* An error in the middle of a stream, as SSE in the client's grammar. */
bool format_error_event(enum ccp_format f, const struct format_error *e, struct ccp_buf *out);
/* A keep-alive between two events, or nothing where the grammar has none. */
struct ccp_span format_keepalive(enum ccp_format f);

/* Follows a same-format SSE stream from outside: knows whether its last event ends it properly. */
struct format_tail {
    enum ccp_format format;
    char first[96]; /* beginning of the event that is current or was last */
    size_t n;
    bool boundary;    /* the bytes so far end at an event boundary */
    char last[24];    /* the latest bytes, so that no cut hides an event's beginning or a finish_reason */
    bool any;         /* at least one byte was seen */
    bool finish_seen; /* Chat: a finish_reason, Responses: a terminal type went by */
};

void format_tail_init(struct format_tail *t, enum ccp_format f);
/* Call with whole pieces in order; `boundary` tells where the stream stands after them. */
void format_tail_feed(struct format_tail *t, struct ccp_span bytes, bool boundary);
/* Has the event gone by behind which nothing may come? Never for Gemini, whose streams just end. */
bool format_tail_ended(const struct format_tail *t);
/* Is its last event an error of the upstream's? */
bool format_tail_error(const struct format_tail *t);
/* May the stream end here? False = it was cut. */
bool format_tail_complete(const struct format_tail *t);

#endif

/*
 * HTTP/1.1 responses: bytes to heads, body spans and an end (RFC 9112). No I/O, no clock, no copy of body bytes.
 *
 * Strict where a lenient reader could be led to take one answer for two or a cut one for a whole one: a length
 * beside chunks, two lengths, a malformed chunk, a folded line, control bytes are refused with a phrase. The
 * events do not depend on how the bytes were cut, except that a body may come in other pieces.
 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include <base/buf.h>

enum {
    HTTP1_HEAD_MAX = 64 * 1024, /* bytes of one head, and of the trailers */
    HTTP1_FIELDS_MAX = 512,
    HTTP1_INTERIM_MAX = 100,
};

/* Bytes that may be changed: names are lowered and chunk framing is closed up in place. */
struct http1_bytes {
    char *p;
    size_t n;
};

enum http1_event {
    HTTP1_MORE,   /* every byte was taken; feed more */
    HTTP1_HEAD,   /* the final head */
    HTTP1_BODY,   /* a piece of the body */
    HTTP1_END,    /* the answer is whole; what is left of the input does not belong to it */
    HTTP1_BROKEN, /* r->why says what is wrong; nothing else will come */
};

struct http1_head {
    int status;
    size_t n;
    struct ccp_header fields[HTTP1_FIELDS_MAX]; /* spans into the input or the reader, valid until the next call */
};

enum http1_state {
    HTTP1_IN_HEAD,
    HTTP1_IN_LENGTH, /* `left` bytes of a body with content-length */
    HTTP1_IN_CLOSE,  /* until the connection ends */
    HTTP1_IN_SIZE,
    HTTP1_IN_EXTENSION,
    HTTP1_IN_SIZE_LF,
    HTTP1_IN_CHUNK,
    HTTP1_IN_CHUNK_CR,
    HTTP1_IN_CHUNK_LF,
    HTTP1_IN_TRAILER, /* at the start of a line */
    HTTP1_IN_TRAILER_LINE,
    HTTP1_IN_TRAILER_LF, /* the CR of the last, empty line was seen */
    HTTP1_DONE,
    HTTP1_FAILED,
};

struct http1_reader {
    uint64_t left;        /* of the body or the chunk */
    struct ccp_buf saved; /* a head that came in several pieces, else empty */
    const char *why;      /* static */
    uint32_t line;        /* bytes of this size line or of the trailers */
    uint8_t state, interim;
    bool no_body;  /* asked with HEAD */
    bool keep;     /* valid from HTTP1_HEAD on: the connection may serve another request after HTTP1_END */
    bool any;      /* a byte was fed */
    bool in_final; /* the final head was given */
};

/* no_body: the request was a HEAD. */
void http1_init(struct http1_reader *r, bool no_body);
void http1_release(struct http1_reader *r);
/* Takes bytes off the front of *in and says what they are. After HEAD and BODY call again with the rest, also when
 * nothing is left: the end may be due. *body is set by BODY, *head by HEAD. */
enum http1_event http1_next(struct http1_reader *r, struct http1_bytes *in, struct http1_head *head,
                            struct ccp_span *body);
/* The connection ended in order: END (only a body without framing ends so) or BROKEN. */
enum http1_event http1_eof(struct http1_reader *r);
/* Whether http1_next would say END without another byte. */
bool http1_at_end(const struct http1_reader *r);

/* ---- http1_head.c ------------------------------------------------------------------------------------ */

enum http1_framing { HTTP1_NO_FRAMING, HTTP1_LENGTH, HTTP1_CHUNKED };

struct http1_fields_of_framing {
    enum http1_framing framing;
    uint64_t length;
    bool keep; /* the protocol version and Connection allow another request */
};

/* One whole head with its empty line. NULL, or what is wrong (static). Changes the bytes (lower-case names). */
const char *http1_parse_head(struct http1_bytes bytes, struct http1_head *head, struct http1_fields_of_framing *f);

#endif

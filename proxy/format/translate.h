/*
 * Translation: a request on its way up, an answer on its way down. What the chain uses; everything else is inside.
 *
 * Sans I/O: bytes in, bytes out, any cut. All on the exchange's worker.
 */
#ifndef FORMAT_TRANSLATE_H
#define FORMAT_TRANSLATE_H

#include <format/failure.h>
#include <format/wire_format.h>

/* The whole way of a request: read, settle, check, write. `root` is the parsed body. False: p->status and p->error. */
bool translate_request(struct prompt *p, const struct ccp_json *root, struct ccp_buf *out);

struct answer_from {
    enum ccp_format format;
    struct ccp_span provider; /* tag of proofs */
    const struct names *names;
    bool stream; /* upstream says it answers with an event stream; the first bytes decide */
};

struct translation {
    const struct wire_format *from, *to;
    struct answer_from source;
    struct answer_to target;
    bool stream; /* the client gets an event stream */
    void *reader, *writer;
    struct delta_stream deltas;
    struct sse_reader sse;
    struct ccp_buf whole_in; /* an upstream answer that is not a stream */
    struct collect collect;
    struct arena *scratch;
    size_t max;
    struct ccp_buf out;     /* what the client gets next; the caller takes and empties it */
    bool begun;             /* the client has seen something of a stream */
    bool seen;              /* the first bytes, and so whether upstream streams (source.stream) */
    bool done, broken;      /* the answer ended well; it ended with an error */
    bool told;              /* which a stream has been told */
    struct failure failure; /* why it is broken; its texts live in `kept` */
    struct arena kept;
    struct delta_sink tap; /* sees each delta before it is written; put NULL = nobody does. False: the answer ends */
    bool refused;          /* it said so; the caller ends the stream (translation_fail) */
    bool unread;           /* only reading: something cannot be read and is passed over */
};

/* `scratch` is an arena of its own for this translation, rewound after each event; `max` bounds one event and what is
 * held back. False: no memory (release it all the same). */
bool translation_init(struct translation *t, const struct answer_from *from, enum ccp_format to,
                      const struct answer_to *target, bool stream, struct arena *scratch, size_t max);
/* Only reads: the deltas go to `tap`, nothing is written. What cannot be read (no JSON, not of the format) makes no
 * delta and ends nothing. After each call look at `refused`, and at `broken` with failure.memory. */
bool translation_init_reader(struct translation *t, const struct answer_from *from, struct delta_sink tap,
                             struct arena *scratch, size_t max);
/* One element of a JSON array that is a stream, as if it were an event's data. False: no memory. */
bool translation_read_json(struct translation *t, struct ccp_span json);
void translation_release(struct translation *t);
/* Upstream bytes; t->out grows. False: no memory. */
bool translation_feed(struct translation *t, struct ccp_span bytes);
/* Upstream's end. `why` is set when the transport failed. Afterwards done or broken is set; when a client that does not
 * stream gets a whole answer, it is in t->out now. */
bool translation_finish(struct translation *t, const struct failure *why);
/* Ends the client's stream with an error in its grammar, unless it has ended. False: there is no memory for it. */
bool translation_fail(struct translation *t, const struct failure *why);

/* Reads an upstream's error answer, whatever its shape (JSON of any vendor, an array around it, text, HTML).
 * `headers` may tell when to try again. Spans live in `a` or in body. Never fails: at worst the status speaks. */
void failure_read(struct failure *f, struct arena *a, int http, const struct ccp_header *headers, size_t n,
                  struct ccp_span body);
/* Is this whole answer with a good status an error all the same (HTTP 200 with an error body)? */
bool failure_in_body(const struct ccp_json *root);
/* Status for a client of this format (529 and 503 differ), and the body in its shape. */
int failure_http(enum ccp_format to, const struct failure *f);
bool failure_body(enum ccp_format to, const struct failure *f, struct ccp_span request_id, struct ccp_buf *out);

/* Tokens of a settled prompt, estimated for providers that cannot count: 4 letters of ASCII a token, 2 of other
 * alphabets, one per sign of scripts without letters, two per emoji; an image 1600, a document 1500 and one per 64
 * bytes, other media by size; 4 per message, 10 per call and per result, 12 per tool. Integers, and the same for the
 * same prompt everywhere; thinking counts by its text, proofs not at all. */
uint64_t prompt_estimate(const struct prompt *p);

#endif

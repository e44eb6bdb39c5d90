/*
 * The neutral answer: a stream of deltas (wire reference F.6, F.7, F.9, F.10).
 *
 * A reader of an upstream format tells a delta_stream what it saw, as it saw it: parts may interleave, names may be
 * upstream's, a surrogate pair may be cut in two. The stream puts it in order and hands it to one sink: parts come one
 * after the other, each opened, filled and closed; tool names are the client's; text fragments are whole code points;
 * usage comes before stop, stop comes once and last. So a writer is a small state machine that never has to wait.
 * The answer that is not streamed is the same deltas, collected (collect.h).
 *
 * Sans I/O: no clock, no sockets. Memory: buffers of parts that wait, bounded by `max`.
 */
#ifndef FORMAT_DELTA_H
#define FORMAT_DELTA_H

#include <ccproxy/status.h>
#include <format/names.h>

enum stop {
    STOP_NONE,
    STOP_END,
    STOP_SEQUENCE,
    STOP_LENGTH,
    STOP_CONTEXT, /* the context window is full */
    STOP_TOOL,
    STOP_REFUSAL, /* refused, filtered, blocked */
    STOP_PAUSE,
    STOP_COMPACTION,
    STOP_MALFORMED, /* the model made a call that is none */
};

/* Tokens, as the internal five numbers; input is disjoint, reasoning is part of output. */
struct usage {
    uint64_t input, cache_read, cache_write; /* input: neither read from nor written to a cache */
    uint64_t cache_write_1h;                 /* part of cache_write */
    uint64_t output, reasoning;
    bool known;
};
enum { USAGE_SEEN = 5 }; /* see wire_format.read_usage */

enum failure_kind {
    FAILURE_INVALID,
    FAILURE_AUTH,
    FAILURE_BILLING,
    FAILURE_PERMISSION,
    FAILURE_NOT_FOUND,
    FAILURE_TOO_LARGE,
    FAILURE_CONTEXT, /* the prompt does not fit the context window */
    FAILURE_FILTER,  /* content filter */
    FAILURE_RATE,
    FAILURE_QUOTA,
    FAILURE_TIMEOUT,
    FAILURE_OVERLOADED,
    FAILURE_UPSTREAM, /* anything else of 5xx */
    FAILURE_CUT,      /* the stream ended before it was complete */
    FAILURE_GARBLED,  /* upstream's answer is not what its format says */
};

/* An error, read from an upstream or found by us. */
struct failure {
    enum failure_kind kind;
    int http;                /* upstream's status, 0 = unknown (in a stream) */
    ctext message;           /* upstream's words, else ours */
    ctext code;              /* upstream's own code word ("context_length_exceeded"), or empty */
    uint64_t retry_after_ms; /* 0 = unknown */
    bool memory;             /* not upstream's: we had none left */
};

enum delta_type {
    DELTA_START, /* id, model: upstream's, may be empty; usage when known already */
    DELTA_OPEN,  /* kind: TEXT, REFUSAL, THINKING, CALL; CALL: id, name, space, custom; proof when known already */
    DELTA_TEXT,  /* a fragment of the open part: text, thinking, or the arguments' JSON text. CALL of a free-text tool:
                    the free text */
    DELTA_PROOF, /* of the open part, complete; kept by THINKING, TEXT and CALL parts */
    DELTA_CLOSE,
    DELTA_STOP, /* stop, stop_sequence, usage; the last delta of a good answer */
    DELTA_ERROR /* the last delta of a broken one; may be the only one */
};

/* Spans are valid during the call. */
struct delta {
    enum delta_type type;
    enum part_kind kind; /* of the part this is about */
    ctext id, model, name, space;
    bool custom;
    ctext text;
    struct proof proof; /* proof.origin: the tag of the provider that made it */
    const struct usage *usage;
    enum stop stop;
    ctext stop_sequence;
    const struct failure *failure;
};

/* Where deltas go. False: no memory, the stream is over. */
struct delta_sink {
    bool (*put)(void *self, const struct delta *d);
    void *self;
};

struct delta_part; /* a part that has begun */

struct delta_stream {
    struct delta_sink sink;
    const struct names *names; /* or NULL */
    struct ccp_span provider;  /* tag of the upstream, for proofs */
    size_t max;                /* bytes that may wait in all parts together */
    struct arena *scratch;     /* rewound after each event: readers may parse and copy there */
    struct delta_part *first;  /* in order of opening: the first one is live, the rest wait */
    size_t waiting;
    struct usage usage;
    bool started, calls, ended, failed;
    enum stop stop; /* noted, sent by delta_finish */
    char sequence[256];
    size_t sequence_n;
};

void delta_init(struct delta_stream *s, struct delta_sink sink, const struct names *names, struct ccp_span provider,
                size_t max, struct arena *scratch);
void delta_release(struct delta_stream *s);

/* What readers call. All are harmless after the end. `key` names a part as the upstream does: a block index, an output
 * index, a tool call index with an offset of the reader's choice. */
void delta_start(struct delta_stream *s, ctext id, ctext model); /* once; later ones are ignored */
/* Opens a part; ignored when one of this key is open. CALL: name is upstream's. */
void delta_open(struct delta_stream *s, uint64_t key, enum part_kind kind, ctext id, ctext name);
/* A call whose text is free upstream, too (Chat and Responses custom tools); fragments are that text. */
void delta_open_custom(struct delta_stream *s, uint64_t key, ctext id, ctext name);
void delta_text(struct delta_stream *s, uint64_t key, ctext fragment); /* ignored when not open */
/* A call's arguments given as a JSON value instead of fragments of text. */
void delta_arguments(struct delta_stream *s, uint64_t key, struct ccp_span json);
void delta_proof(struct delta_stream *s, uint64_t key, enum proof_kind kind, ctext text);
void delta_close(struct delta_stream *s, uint64_t key); /* later fragments of this key are ignored */
void delta_close_all(struct delta_stream *s);
/* Has this part got any text yet? For upstreams that repeat everything at the end. */
bool delta_has_text(const struct delta_stream *s, uint64_t key);
struct usage *delta_usage(struct delta_stream *s);                       /* to be filled in; set known */
void delta_stop(struct delta_stream *s, enum stop stop, ctext sequence); /* noted; the last one counts */
/* The upstream's good end: closes what is open and sends STOP. STOP_END with calls becomes STOP_TOOL, STOP_TOOL without
 * becomes STOP_END. Without a stop reason noted: FAILURE_CUT. */
void delta_finish(struct delta_stream *s);
/* After each upstream event: a part that was opened without text yet is announced. The translation calls it. */
void delta_settle_event(struct delta_stream *s);
/* Has something been read whose deltas wait for another part to end, or for the second half of a pair? */
bool delta_waits(const struct delta_stream *s);
void delta_fail(struct delta_stream *s, const struct failure *f); /* closes nothing: what was open stays broken */
void delta_garbled(struct delta_stream *s, const char *what);     /* FAILURE_GARBLED with a static text */
static inline bool delta_over(const struct delta_stream *s)
{
    return s->ended || s->failed;
}

#endif

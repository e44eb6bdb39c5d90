/*
 * Deltas: an answer as a neutral stream, whatever format it is written in (wire reference F).
 *
 * START, then parts one after the other, each opened, filled with fragments and closed, then STOP with the token
 * counts; or ERROR, at any point. An answer that is not streamed is the same deltas.
 */
#ifndef CCPROXY_DELTA_H
#define CCPROXY_DELTA_H

#include "exchange.h"

/* Where the answer is. */
enum ccp_delta_type {
    CCP_DELTA_START, /* id, model: upstream's, may be empty */
    CCP_DELTA_OPEN,  /* part, index; of a tool call: id, name (as the client knows the tool) */
    CCP_DELTA_TEXT,  /* text: a fragment of the open part; of a tool call: of its arguments' JSON */
    CCP_DELTA_CLOSE, /* part, index: of the part that ends */
    CCP_DELTA_STOP,  /* stop, usage; the last one of a good answer */
    CCP_DELTA_ERROR, /* text; the last one of a broken answer */
};

/* What a part is. */
enum ccp_part { CCP_PART_TEXT, CCP_PART_THINKING, CCP_PART_REFUSAL, CCP_PART_TOOL_CALL };

/* Why an answer ended. */
enum ccp_stop {
    CCP_STOP_NONE,     /* upstream did not say */
    CCP_STOP_END,      /* the model was done */
    CCP_STOP_SEQUENCE, /* one of the client's stop sequences came */
    CCP_STOP_LENGTH,   /* limit of output, or of the context window */
    CCP_STOP_TOOL,     /* the model calls a tool and waits for its result */
    CCP_STOP_REFUSAL,  /* refused, filtered, blocked */
    CCP_STOP_OTHER,    /* a reason that ccproxy does not know */
};

/* Spans are valid during the call. */
struct ccp_delta {
    enum ccp_delta_type type;
    enum ccp_part part; /* of the part this is about */
    unsigned index;     /* of that part, from 0 */
    struct ccp_span id, name, model;
    struct ccp_span text;          /* plain UTF-8, whole code points; of a free-text tool that text */
    enum ccp_stop stop;            /* STOP */
    const struct ccp_usage *usage; /* STOP; NULL = unknown */
};

#endif

/*
 * The exchange: one request and its answer, as plugins see it.
 *
 * Opaque; read it through the accessors of struct ccp_api (the inline wrappers in ccproxy.h). Every span an
 * accessor returns lives in the exchange's arena or in the connection's buffers and is valid until the
 * exchange ends; whoever hands bytes to another thread copies them. All calls happen on the exchange's worker.
 */
#ifndef CCPROXY_EXCHANGE_H
#define CCPROXY_EXCHANGE_H

#include "span.h"
#include "status.h"

struct ccp_api; /* api.h */

/* The wire formats, and places in arrays that have one for each. */
enum ccp_format {
#define X(name, id, versioned) CCP_FORMAT_##name,
#include "format.def"
#undef X
    CCP_FORMAT_COUNT,    /* of this SDK; a newer core may know more */
    CCP_FORMAT_NONE = 15 /* a route without a wire format, such as /health */
};
enum { CCP_FORMAT_MAX = 8 }; /* places in arrays of this SDK that have one for each format */

/* What the client asks for, decided by method and path alone. */
enum ccp_op {
    CCP_OP_NONE,     /* not a provider call */
    CCP_OP_GENERATE, /* messages, chat/completions, responses, generateContent */
    CCP_OP_COUNT,    /* count_tokens, countTokens, responses/input_tokens */
    CCP_OP_EMBED,    /* embeddings, embedContent, batchEmbedContents */
    CCP_OP_MODELS,   /* list of models */
    CCP_OP_MODEL,    /* one model */
    CCP_OP_FAMILY,   /* other calls of the same family: batches, responses/{id}, completions */
    CCP_OP_RAW,      /* /<prefix>/raw/... */
};

/* One request and its answer, from the core to a plugin; never copied, never kept beyond its end. */
struct ccp_exchange {
    const struct ccp_api *api; /* the rest is private to the core */
};

/* Tokens of one answer. `input` counts what was neither read from nor written to a cache; cache_write_1h is part of
 * cache_write, reasoning of output. This struct never grows. */
struct ccp_usage {
    bool known;
    uint64_t input, cache_read, cache_write, cache_write_1h, output, reasoning;
};

/* Numbers of an exchange; final when it ended. Times in microseconds from the exchange's start, 0 = did not happen. */
struct ccp_summary {
    int http_status;        /* what the client got, 0 = nothing */
    enum ccp_status status; /* CCP_OK or the first failure */
    struct ccp_span error;  /* text of the first failure, free of secrets */
    uint64_t bytes_in, bytes_out;
    uint64_t us_total, us_first_byte, us_upstream_head;
    int attempts;                               /* upstream requests made */
    bool streamed;                              /* the client got an event stream */
    unsigned dropped;                           /* members of the request that translation could not carry over */
    uint64_t us_upstream_sent, us_upstream_end; /* of the first attempt's start and the last one's end */
    struct ccp_usage usage;                     /* only if a hook asked for it (CCP_HOOK_USAGE) */
    int upstream_status;                        /* of the last upstream head, 0 = none */
};

#endif

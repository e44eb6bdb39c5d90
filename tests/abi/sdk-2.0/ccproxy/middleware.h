/*
 * Middleware: code around every exchange.
 *
 * The lowest number (layer + order) enters first and leaves last. Unwinding visits only what was entered. Everything
 * runs on the exchange's worker and must not block.
 */
#ifndef CCPROXY_MIDDLEWARE_H
#define CCPROXY_MIDDLEWARE_H

#include "delta.h"
#include "exchange.h"

/* Where in the chain; a middleware's number is layer + order. */
enum ccp_layer {
    CCP_LAYER_CORE = 0,             /* reserved for the core */
    CCP_LAYER_SECURITY = 100,       /* refusing */
    CCP_LAYER_OBSERVABILITY = 200,  /* measuring */
    CCP_LAYER_TRANSFORMATION = 300, /* reading and changing */
    CCP_LAYER_ROUTING = 400,        /* choosing */
    CCP_LAYER_APPLICATION = 500,    /* answering */
};

/* How on_request, a route or an action ended. */
enum ccp_verdict {
    CCP_NEXT,   /* go on with the next one */
    CCP_DONE,   /* answered (ccp_api.respond, .stream_open); the answer unwinds through those that were entered */
    CCP_WAIT,   /* parked (ccp_api.park); ccp_api.resume goes on */
    CCP_FAILED, /* ccp_api.fail was called */
};

/* The head on its way to the client: on_head may change status and values, drop headers by moving the others up, and
 * add some with ccp_api.add_response_header. New texts are of the exchange's memory. */
struct ccp_response_head {
    int status;                 /* of HTTP */
    struct ccp_header *headers; /* names in lower case */
    size_t count, capacity;     /* used, and places there are */
};

/* A stage sees the body bytes of an answer on their way to the client. Allocated by the middleware in the exchange's
 * memory; this struct never grows. */
struct ccp_stage {
    enum ccp_push (*push)(struct ccp_stage *stage, struct ccp_span bytes, bool last);
    struct ccp_stage *next; /* towards the client; set by the core */
};

/* Or-ed into a middleware's `flags`. */
enum ccp_middleware_flag {
    CCP_MIDDLEWARE_TAP = 1, /* its stage passes every byte on unchanged: the answer keeps its content-length */
};

/* One middleware; every function may be NULL. A list ends with one whose name is NULL. */
struct ccp_middleware {
    const char *name;     /* shown by `plugins order` */
    enum ccp_layer layer; /* never CCP_LAYER_CORE */
    int order;            /* 0-99 within the layer */
    /* Before anything is decided about the request. */
    enum ccp_verdict (*on_request)(void *self, struct ccp_exchange *x);
    /* The head of an answer, good or bad, before it goes out. */
    void (*on_head)(void *self, struct ccp_exchange *x, struct ccp_response_head *head);
    struct ccp_stage *(*open_stage)(void *self, struct ccp_exchange *x); /* NULL = no stage for this answer */
    void (*on_end)(void *self, struct ccp_exchange *x); /* exactly once if the middleware was entered */
    /* Sees the good answer of a generate call as neutral deltas, whatever the formats are, the innermost middleware
     * (highest number) first, as the answer leaves. False = the answer ends here with an error (ccp_api.fail says
     * which, else an internal one), those further out do not see this delta, and upstream is cancelled: before the
     * first byte a plain error answer, later an error in the stream's grammar. What it returns for ERROR does not
     * matter. Whoever saw START sees one STOP or ERROR behind it, also who ended the answer, and then nothing.
     *
     * The bytes of an event go to the client after all its deltas were seen; in the same format they stay as they came.
     * An answer in one piece is held until it is whole. In the same format, what cannot be read passes without a delta;
     * what is larger than upstream.max_event_bytes, or in an unknown content coding, ends the answer with an error. Of
     * several choices (n, candidateCount) the first one is seen. */
    bool (*on_delta)(void *self, struct ccp_exchange *x, const struct ccp_delta *delta);
    /* Asked once before the first delta; NULL or true = on_delta is called for this exchange. */
    bool (*wants_deltas)(void *self, struct ccp_exchange *x);
    unsigned flags; /* enum ccp_middleware_flag */
};

#endif

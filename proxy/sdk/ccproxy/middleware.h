/*
 * Middleware: code around every exchange.
 *
 * The lowest number (layer + order) enters first and leaves last. Unwinding visits only what was entered.
 */
#ifndef CCPROXY_MIDDLEWARE_H
#define CCPROXY_MIDDLEWARE_H

#include "exchange.h"

enum ccp_layer {
    CCP_LAYER_CORE = 0, /* reserved for the core */
    CCP_LAYER_SECURITY = 100,
    CCP_LAYER_OBSERVABILITY = 200,
    CCP_LAYER_TRANSFORMATION = 300,
    CCP_LAYER_ROUTING = 400,
    CCP_LAYER_APPLICATION = 500,
};

enum ccp_verdict {
    CCP_NEXT,   /* go on with the next one */
    CCP_DONE,   /* answered (ccp_respond); the answer unwinds through those that were entered */
    CCP_WAIT,   /* parked; ccp_continue(x, verdict) resumes it. A cancel callback must have been set */
    CCP_FAILED, /* ccp_fail was called */
};

struct ccp_response_head {
    int status;
    struct ccp_header *headers;
    size_t count, capacity;
};

/* A stage sees the body bytes of an answer on their way to the client. */
struct ccp_stage {
    enum ccp_push (*push)(struct ccp_stage *stage, struct ccp_span bytes, bool last);
    struct ccp_stage *next; /* towards the client */
};

struct ccp_middleware {
    const char *name;
    enum ccp_layer layer;
    int order; /* 0-99 within the layer */
    enum ccp_verdict (*on_request)(void *self, struct ccp_exchange *x);
    void (*on_head)(void *self, struct ccp_exchange *x, struct ccp_response_head *head);
    struct ccp_stage *(*open_stage)(void *self, struct ccp_exchange *x); /* NULL = no stage for this answer */
    void (*on_end)(void *self, struct ccp_exchange *x);                  /* exactly once if on_request ran */
};

#endif

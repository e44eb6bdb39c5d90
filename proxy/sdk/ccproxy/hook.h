/*
 * Hook events: named moments in the life of the server and of every exchange.
 */
#ifndef CCPROXY_HOOK_H
#define CCPROXY_HOOK_H

#include "exchange.h"

enum ccp_event {
#define X(name, dotted) CCP_EVENT_##name,
#include "event.def"
#undef X
    CCP_EVENT_COUNT
};

#define CCP_HEARS(event) (1ull << CCP_EVENT_##event)

struct ccp_hook {
    const char *name;
    uint64_t events; /* CCP_HEARS(...) | ... */
    int order;       /* then by name */
    /* x is NULL for server events. Returning false counts as a failure of the subscriber, nothing else. */
    bool (*on_event)(void *self, enum ccp_event event, struct ccp_exchange *x);
};

#endif

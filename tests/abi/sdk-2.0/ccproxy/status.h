/*
 * How calls end: one closed set for the whole program, generated from status.def.
 */
#ifndef CCPROXY_STATUS_H
#define CCPROXY_STATUS_H

/* CCP_OK, CCP_UPSTREAM and so on. */
enum ccp_status {
#define X(name, text, http, retry, message) CCP_##name,
#include "status.def"
#undef X
    CCP_STATUS_COUNT /* of this SDK; a newer core may know more */
};

#endif

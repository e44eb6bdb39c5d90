/*
 * Facts about the statuses of status.def.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <ccproxy/status.h>

#include <stdbool.h>

const char *status_text(enum ccp_status s); /* "upstream_timeout" */
int status_http(enum ccp_status s);
bool status_retryable(enum ccp_status s);
const char *status_message(enum ccp_status s); /* default sentence */

#endif

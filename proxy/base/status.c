/*
 * Facts about statuses, generated from status.def.
 */
#include <base/status.h>
#include <stddef.h>

static const struct {
    const char *text;
    int http;
    bool retry;
    const char *message;
} facts[] = {
#define X(name, text, http, retry, message) {text, http, retry, message},
#include <ccproxy/status.def>
#undef X
};

const char *status_text(enum ccp_status s)
{
    return facts[s].text;
}

int status_http(enum ccp_status s)
{
    return facts[s].http;
}

bool status_retryable(enum ccp_status s)
{
    return facts[s].retry;
}

const char *status_message(enum ccp_status s)
{
    return facts[s].message;
}

/*
 * What the files of the access log share: the facts of one exchange, and a line of bounded length made from them.
 *
 * access_log.c gathers the facts through the SDK, line.c writes them; line.c knows neither the exchange nor the
 * configuration, so that every byte of a line can be tested without a server.
 */
#ifndef ACCESS_LOG_IMPL_H
#define ACCESS_LOG_IMPL_H

#include <ccproxy/ccproxy.h>

#define ACCESS_LINE_MAX 4096 /* the sum of all field limits stays below */

struct access_record {
    uint64_t unix_us;
    struct ccp_span id, peer, method, path, provider, format, model, upstream_model, key, agent;
    int http_version;        /* 10, 11, 20 */
    const char *status_name; /* "ok", "upstream_timeout" */
    struct ccp_summary sum;
};

/* Writes one line without a line feed into out (ACCESS_LINE_MAX bytes); returns its length. */
size_t access_line(char *out, const struct access_record *r, bool json);

/* Writes s as pure ASCII: quote, backslash and control bytes escaped, other characters as \uXXXX, invalid bytes as
 * \ufffd. At most max bytes; a text that was cut ends with "...". Returns the length. */
size_t access_escape(char *out, size_t max, struct ccp_span s);

#endif

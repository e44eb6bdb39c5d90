/*
 * The clients that ccproxy knows how to point at itself: what `ccproxy env` and the banner say about each.
 */
#ifndef APP_CLIENTS_H
#define APP_CLIENTS_H

#include <plugin/runtime.h>

struct client {
    const char *name;     /* "claude" */
    const char *label;    /* "Claude Code" */
    const char *provider; /* id of its vendor's provider */
    enum ccp_format format;
    const char *suffix; /* what its base URL ends in: "", "/v1" */
    const char *base_var, *key_var;
    const char *headers_var; /* takes "name: value" lines, or NULL */
    const char *plan;        /* id of the provider that serves the vendor's plan accounts, if that is another */
};

extern const struct client clients[]; /* ends with a NULL name */

const struct client *client_find(const char *name);
/* The provider to point this client at: `wanted` by id or prefix, else the vendor's own (that of its plan accounts when
 * only they have a credential), else another that speaks the
 * client's format. NULL = none, or not the wanted one. */
struct provider *client_provider(struct runtime *rt, const struct client *client, const char *wanted);
/* "http://127.0.0.1:8000/claude"; false when it does not fit. */
bool client_base(char *out, size_t max, const char *url, const struct provider *p, const struct client *client);
/* Must clients present a key? */
bool client_needs_key(const struct settings *s);

#endif

/*
 * Where a server with these settings can be reached, for commands that talk to it or about it.
 */
#ifndef APP_ADDRESS_H
#define APP_ADDRESS_H

#include <plugin/settings.h>

struct address {
    char url[300];           /* "http://127.0.0.1:8000", no slash at the end; empty = cannot be told */
    const char *unix_socket; /* the only way in when there is no TCP, or NULL; url is then "http://localhost" */
};

/* NULL = fine, else why it cannot be told. */
const char *address_of(const struct server_settings *s, struct address *out);
/* The same from an URL that the user wrote: checked, trailing slashes removed. */
const char *address_parse(const char *text, struct address *out);
/* From a bound address ("127.0.0.1:8000", "[::1]:8000"); any-addresses become loopback ones. */
void address_bound(struct ccp_span bound, bool tls, struct address *out);

#endif

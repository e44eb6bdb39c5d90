/*
 * Printing for commands: JSON objects and plain columns.
 */
#ifndef APP_PRINT_H
#define APP_PRINT_H

#include <ccproxy/span.h>
#include <jansson.h>

json_t *json_span(struct ccp_span s); /* a string; what is not UTF-8 becomes "" */
/* Prints and releases; NULL (memory ended on the way) gives EXIT_FAILED. */
int print_json(json_t *value);

#endif

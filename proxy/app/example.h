/*
 * The text of ccproxy.toml.example.
 */
#ifndef APP_EXAMPLE_H
#define APP_EXAMPLE_H

#include <base/buf.h>

/* The same on every machine: rows only. False = memory ended. */
bool example_text(struct ccp_buf *out);

#endif

/*
 * What the files of this plugin share.
 */
#ifndef CODEX_H
#define CODEX_H

#include <ccproxy/ccproxy.h>

extern const struct ccp_oauth_provider codex_login; /* login.c */

#endif

/*
 * What the files of this plugin share.
 */
#ifndef COPILOT_H
#define COPILOT_H

#include <ccproxy/ccproxy.h>

extern const struct ccp_oauth_provider copilot_login; /* login.c */

/* vision.c: does one of the body's pieces hold an image part, in whichever format? */
bool copilot_has_image(const struct ccp_upstream_request *request);

#endif

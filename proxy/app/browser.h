/*
 * Starting the user's browser.
 */
#ifndef APP_BROWSER_H
#define APP_BROWSER_H

#include <stdbool.h>

/* Is there a screen to open a browser on? $BROWSER says yes everywhere; else a display, and not over SSH. */
bool browser_there(char *const *environ);
/* Starts it with this URL as its last argument: https, or http to a literal loopback address, in visible ASCII;
 * anything else is not opened. False: none was started. Nothing is waited for and nothing is left behind. */
bool browser_open(const char *url, char *const *environ);

#endif

/*
 * Words for the service manager (systemd's sd_notify(3), without its library).
 */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Sends "READY=1", "STOPPING=1" or "WATCHDOG=1" to NOTIFY_SOCKET, a path or '@' and an abstract name. Never waits.
 * False = nobody listens, which is no fault. Any thread. */
bool notify(const char *state);
/* How often the manager wants to hear WATCHDOG=1 at the least, in ms; 0 = it does not. */
uint64_t notify_interval_ms(void);

#endif

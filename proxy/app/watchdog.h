/*
 * Notices a worker whose loop does not come round: reports it with its stack, and ends the process when it lasts.
 */
#ifndef APP_WATCHDOG_H
#define APP_WATCHDOG_H

#include <base/loop.h>

#include <pthread.h>

struct watchdog;

struct watchdog_target {
    const struct loop *loop;
    pthread_t thread;
};

/* Copies the targets; their loops must outlive watchdog_stop. Also keeps the service manager informed (notify.h) as
 * long as every loop comes round. NULL = no memory or no thread. Main thread. */
struct watchdog *watchdog_start(const struct watchdog_target *targets, size_t n);
void watchdog_stop(struct watchdog *d); /* NULL is fine */

#endif

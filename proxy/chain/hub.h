/*
 * The hub: hook events and log lines on their way to those who watch them over HTTP.
 *
 * One per process. It hears events on the hooks' thread and lines on the log's, writes each one down once as a
 * server-sent event, and hands that text to the workers that have watchers who want it; each worker feeds its own
 * (watch.c). Nothing here waits: what a worker has not fetched in time is dropped and counted. While nobody watches,
 * nothing is heard, and the server pays for one test of a bit as before.
 */
#ifndef CHAIN_HUB_H
#define CHAIN_HUB_H

#include <base/log.h>
#include <ccproxy/ccproxy.h>

#include <stdatomic.h>

struct hub;

struct hub_port {
    /* Runs fn(arg) on a worker's thread. False = it has ended, or no memory. */
    bool (*post)(void *self, size_t worker, void (*fn)(void *arg), void *arg);
    void *self;
    size_t workers;
    atomic_ullong *watched; /* executor_watched: the events that watchers want, kept up to date by the hub */
};

struct hub *hub_new(const struct hub_port *port); /* NULL = no memory */
/* Afterwards nothing is heard and nothing posted any more. While the workers still take messages. NULL is fine. */
void hub_close(struct hub *h);
/* After the workers and both threads that call in are gone. NULL is fine. */
void hub_free(struct hub *h);

/* executor_set_tap: an event. The hooks' thread. */
void hub_event(void *hub, const struct ccp_event_info *info);
/* log_set_tap: a line. The log's thread. */
void hub_log(void *hub, const struct log_tapped *line);

struct hub_figures {
    uint64_t watchers, told, dropped; /* connected now; events given to watchers; events they missed */
};
struct hub_figures hub_figures(struct hub *h); /* any thread */

#endif

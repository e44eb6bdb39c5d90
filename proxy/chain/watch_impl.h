/*
 * What the routes of event streams (watch_route.c), the watchers behind them (watch.c) and a worker's desk of them
 * (watch_desk.c) share.
 */
#ifndef CHAIN_WATCH_IMPL_H
#define CHAIN_WATCH_IMPL_H

#include <chain/api_impl.h>
#include <chain/hub_impl.h>

struct watcher {
    struct watcher *next, **prev;             /* at the desk */
    struct watcher *next_ready, **prev_ready; /* has something to write and may; prev NULL = no */
    struct desk *desk;
    struct exchange *x;
    struct watch_filter filter;
    struct watch_right right;
    struct hub_record **queue; /* a ring of references */
    size_t room, first, n, bytes;
    uint64_t dropped; /* since the last note */
    bool overflowed;  /* takes nothing until half of the queue is free */
    bool paused, over;
    uint64_t paused_ms, sent_ms;
    struct loop_timer timer;
};

/* Queues the record if the watcher wants it (a reference of its own), or counts it as dropped. */
void watcher_give(struct watcher *w, struct hub_record *r);
/* So many events that it wanted did not reach the desk. */
void watcher_missed(struct watcher *w, uint64_t n);
/* Writes until the queue is empty or the client is slow. */
void watcher_pump(struct watcher *w);
void watcher_unready(struct watcher *w); /* takes it off the desk's list of those that may write */
/* Ends the stream with a note; `why` needs no escapes. */
void watcher_close(struct watcher *w, const char *why);
/* Answers with a stream of what the filter lets through; a HEAD request gets the head. Takes the right over. */
enum ccp_verdict watch_open(struct exchange *x, const struct watch_filter *f, struct watch_right right);

#endif

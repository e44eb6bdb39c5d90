/*
 * Timers and tasks of one worker, without any I/O.
 *
 * The owner of the real event loop (http/worker, or a test) calls loop_turn() once per turn, from inside a
 * callback of that loop, and sleeps at most loop_wait(). `wake` is the port the other way: it makes sure that
 * loop_turn() runs again before the loop sleeps. Everything on one thread.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct loop_timer {
    void (*fire)(struct loop_timer *timer);
    uint64_t due; /* clock_ms() value */
    size_t slot;  /* position in the heap + 1; 0 = not set */
};

struct loop_task {
    void (*run)(struct loop_task *task);
    struct loop_task *next, **prev; /* prev NULL = not queued */
};

struct loop {
    uint64_t now_ms; /* monotonic, read once per turn */
    void (*wake)(struct loop *loop);
    void *owner;
    struct loop_timer **heap;
    size_t heap_n, heap_cap;
    struct loop_task *first, *last;
    struct loop_task mark;          /* ends a round of loop_turn */
    bool firing;                    /* timers are being fired: what is set now is for the next turn at the earliest */
    atomic_uint_least64_t expected; /* see loop_expected */
};

void loop_init(struct loop *loop, void (*wake)(struct loop *loop), void *owner);
void loop_release(struct loop *loop);

/* Fires once after ms; a timer that is set is moved. The timer's memory is the caller's. False = no memory. */
bool loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t ms);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer); /* harmless when not set */

/* Runs the task in the next loop_turn(), in order of arrival; queued once however often called. */
void loop_soon(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop *loop, struct loop_task *task);

/* Milliseconds until something is due: 0 = now, `max` at most. */
uint64_t loop_wait(const struct loop *loop, uint64_t max);
/* Refreshes now_ms, fires due timers, then runs the tasks that were queued when it began. */
void loop_turn(struct loop *loop);

/* For a watchdog. The owner says before each sleep when the loop will be back at the latest (LOOP_NEVER = it does not
 * run), and notes when a callback begins that may take long; loop_turn notes that by itself. */
#define LOOP_NEVER UINT64_MAX
void loop_sleeps(struct loop *loop, uint64_t until_ms);
void loop_works(struct loop *loop);
/* Any thread: clock_ms() since when the loop owes its owner the next sleep. In the future = all is well. */
uint64_t loop_expected(const struct loop *loop);

#endif

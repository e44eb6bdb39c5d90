/*
 * The queue of events: many producers, one consumer, no lock (D. Vyukov's intrusive queue).
 *
 * A producer exchanges the head and then links the event before it; between the two the consumer sees a queue that is
 * not empty and yet ends, and tries again. Room is taken before, by counters, so producers never wait. The consumer is
 * woken only when it said that it sleeps. Order of one producer is kept.
 */
#include <plugin/executor_impl.h>

#include <base/clock.h>
#include <base/log.h>

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

void event_queue_init(struct event_queue *q)
{
    atomic_init(&q->stub.next, NULL);
    atomic_init(&q->head, &q->stub);
    q->tail = &q->stub;
}

/* One line a second at most tells of it. */
static void complain(struct event_queue *q)
{
    unsigned long long n = atomic_fetch_add(&q->dropped, 1) + 1;
    unsigned long long now = clock_ms() + 1, last = atomic_load_explicit(&q->complained_ms, memory_order_relaxed);
    if ((last == 0 || now - last >= 1000) && atomic_compare_exchange_strong(&q->complained_ms, &last, now))
        log_warn("plugin", "observers do not keep up: %llu events were dropped so far", n);
}

static void link_in(struct event_queue *q, struct event *event)
{
    atomic_store_explicit(&event->next, NULL, memory_order_relaxed);
    struct event *before = atomic_exchange(&q->head, event);
    atomic_store_explicit(&before->next, event, memory_order_release);
}

bool event_queue_push(struct event_queue *q, struct event *event)
{
    bool fits = atomic_fetch_add_explicit(&q->waiting, 1, memory_order_relaxed) < EVENTS_MAX;
    fits = atomic_fetch_add_explicit(&q->bytes, event->bytes, memory_order_relaxed) + event->bytes <= EVENT_BYTES_MAX &&
           fits;
    if (!fits) {
        atomic_fetch_sub_explicit(&q->bytes, event->bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&q->waiting, 1, memory_order_relaxed);
        event_unref(event);
        complain(q);
        return false;
    }
    event->dropped = atomic_load_explicit(&q->dropped, memory_order_relaxed);
    link_in(q, event);
    if (atomic_load(&q->asleep) != 0)
        event_queue_wake(q);
    return true;
}

/* The next event, still in the chain; the stub is put behind the last one so that it can be taken out. */
static struct event *next_of(struct event_queue *q)
{
    for (;;) {
        struct event *tail = q->tail, *next = atomic_load_explicit(&tail->next, memory_order_acquire);
        if (tail == &q->stub) {
            if (next == NULL && atomic_load(&q->head) == tail)
                return NULL;
            if (next != NULL)
                q->tail = next;
        } else if (next != NULL) {
            q->tail = next;
            return tail;
        } else if (atomic_load(&q->head) == tail)
            link_in(q, &q->stub);
        if (next == NULL)
            sched_yield(); /* a producer stands between its two steps, or the stub was just put in */
    }
}

struct event *event_queue_pop(struct event_queue *q)
{
    struct event *event = next_of(q);
    if (event == NULL)
        return NULL;
    uint64_t taken = atomic_load_explicit(&q->taken, memory_order_relaxed) + 1;
    atomic_store_explicit(&q->taken, taken, memory_order_relaxed);
    atomic_fetch_sub_explicit(&q->bytes, event->bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&q->waiting, 1, memory_order_relaxed);
    if (event->dropped > q->gap)
        q->gap = event->dropped;
    event->info.sequence = taken + q->gap;
    return event;
}

bool event_queue_empty(struct event_queue *q)
{
    return q->tail == &q->stub && atomic_load(&q->head) == &q->stub;
}

void event_queue_sleep(struct event_queue *q, bool (*awake)(void *arg), void *arg)
{
    atomic_store(&q->asleep, 1);
    if (event_queue_empty(q) && !awake(arg))
        syscall(SYS_futex, &q->asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    atomic_store(&q->asleep, 0);
}

void event_queue_wake(struct event_queue *q)
{
    if (atomic_exchange(&q->asleep, 0) != 0)
        syscall(SYS_futex, &q->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void event_queue_drain(struct event_queue *q)
{
    for (struct event *event; (event = event_queue_pop(q)) != NULL;)
        event_unref(event);
}

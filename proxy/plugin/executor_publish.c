/*
 * The executor seen by those who publish and by those who ask for figures: no lock, any thread.
 */
#include <plugin/executor_impl.h>

#include <base/clock.h>
#include <base/log.h>

static bool queue(struct executor *e, const struct ccp_event_info *info, bool in_line_too)
{
    if (atomic_load_explicit(&e->closed, memory_order_relaxed))
        return false;
    struct event *event = event_copy(info);
    if (event == NULL) {
        atomic_fetch_add(&e->queue.dropped, 1);
        log_warn("plugin", "out of memory: an event for observers was dropped");
        return false;
    }
    event->in_line_too = in_line_too;
    return event_queue_push(&e->queue, event);
}

bool executor_publish(struct executor *e, const struct ccp_event_info *info)
{
    return queue(e, info, false);
}

bool executor_announce(struct executor *e, const struct ccp_event_info *info)
{
    return queue(e, info, true);
}

void executor_plugin_event(struct executor *e, enum ccp_event event, const char *name, struct ccp_span text)
{
    struct ccp_moment m = {.size = sizeof(m), .name = ccp_span_z(name), .text = text};
    struct ccp_event_info info = {.size = sizeof(info),
                                  .event = event,
                                  .dotted = event == CCP_EVENT_PLUGIN_LOADED     ? CCP_SPAN("plugin.loaded")
                                            : event == CCP_EVENT_PLUGIN_UNLOADED ? CCP_SPAN("plugin.unloaded")
                                                                                 : CCP_SPAN("plugin.error"),
                                  .unix_us = clock_unix_us(),
                                  .source = m.name,
                                  .moment = &m};
    executor_announce(e, &info); /* even if nobody seems to hear it: whoever does may be opened just now */
}

bool executor_hears(struct executor *e, enum ccp_event event)
{
    return ((atomic_load_explicit(&e->hears, memory_order_relaxed) |
             atomic_load_explicit(&e->watched, memory_order_relaxed)) >>
            event) &
           1;
}

void executor_set_tap(struct executor *e, void (*tap)(void *self, const struct ccp_event_info *info), void *self)
{
    e->tap = tap;
    e->tap_self = self;
}

atomic_ullong *executor_watched(struct executor *e)
{
    return &e->watched;
}

struct executor_figures executor_figures(struct executor *e)
{
    uint64_t taken = atomic_load(&e->queue.taken), waiting = atomic_load(&e->queue.waiting);
    return (struct executor_figures){.published = taken + waiting,
                                     .dropped = atomic_load(&e->queue.dropped),
                                     .delivered = atomic_load(&e->delivered),
                                     .waiting = waiting,
                                     .work_done = atomic_load(&e->work_done),
                                     .work_refused = atomic_load(&e->work_refused),
                                     .stuck = atomic_load(&e->stuck)};
}

atomic_ulong *executor_gauge(struct executor *e, size_t worker)
{
    return worker < WORKERS_MAX ? &e->gauges[worker].in_flight : NULL;
}

uint64_t executor_in_flight(struct executor *e)
{
    uint64_t n = 0;
    for (size_t i = 0; i < WORKERS_MAX; i++)
        n += atomic_load_explicit(&e->gauges[i].in_flight, memory_order_relaxed);
    return n;
}

uint64_t executor_ends_ms(struct executor *e)
{
    return atomic_load_explicit(&e->ends_ms, memory_order_relaxed);
}

uint64_t executor_uptime_ms(struct executor *e)
{
    return clock_ms() - e->began_ms;
}

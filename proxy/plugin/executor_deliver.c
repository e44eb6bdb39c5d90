/*
 * The hooks' thread: takes one event after the other and calls the observers of the current runtime, in order.
 *
 * What it is at stands in e->delivery, not on its stack: if a call does not return, the keeper starts another thread,
 * which goes on with the next hook of the same event. The one that is stuck only frees its share of the event if it
 * ever comes back.
 */
#include <plugin/executor_impl.h>

#include <base/log.h>

bool hook_wants(const struct ccp_hook *h, enum ccp_event event, struct ccp_span name)
{
    if ((h->events >> event & 1) == 0)
        return false;
    if (event != CCP_EVENT_CUSTOM || h->custom == NULL)
        return true;
    for (const char *const *p = h->custom; *p != NULL; p++) {
        struct ccp_span want = ccp_span_z(*p);
        if (ccp_span_eq(want, name))
            return true;
        if (ccp_span_ends(want, CCP_SPAN(".*")) && ccp_span_starts(name, ccp_span_of(want.p, want.n - 1)))
            return true;
    }
    return false;
}

/* -- one call -- */

static bool unit_gone(const struct plugin_unit *u)
{
    return u != NULL && (!unit_callable(u) || (u->state != NULL && atomic_load(&u->state->gone)));
}

/* The entry belongs to a runtime that may be gone when the call comes back late; hook and unit are not. */
static bool call(struct hook_entry entry, const struct event *event, bool in_line)
{
    if (!in_line)
        return entry.h->observe(entry.self, &event->info);
    uint64_t began = guard_begin(entry.unit);
    bool fine = entry.h->on_event(entry.self, event->info.event, NULL, &event->moment);
    guard_end(entry.unit, entry.h->name, began);
    return fine;
}

/* False: this thread was given up; nothing may be touched any more. */
static bool enter(struct executor_thread *t, struct hook_entry *h, struct event *event, bool in_line)
{
    struct plugin_unit *u = h->unit;
    bool fine = true;
    t->event = event;
    call_begin(t, u, h->h->name);
    if (!unit_gone(u))
        fine = call(*h, event, in_line);
    if (!call_end(t))
        return false;
    t->event = NULL;
    if (!fine)
        guard_failure(u, h->h->name, CCP_SPAN(""));
    return true;
}

/* -- one event -- */

static bool deliver(struct executor *e, struct executor_thread *t, struct delivery *d)
{
    struct event *event = d->event;
    enum ccp_event kind = event->info.event;
    while (d->rt != NULL && d->at < d->rt->hook_count[kind]) {
        struct hook_entry *h = d->rt->hooks[kind][d->at];
        bool wanted = hook_wants(h->h, kind, event->info.dotted), in_line = !d->turn;
        d->at += d->turn; /* before the call: whoever takes over goes on behind it */
        d->turn = !d->turn;
        if (!wanted || (in_line ? h->h->on_event == NULL || !event->in_line_too : h->h->observe == NULL))
            continue;
        if (!enter(t, h, event, in_line))
            return false;
    }
    if (e->tap != NULL && (atomic_load_explicit(&e->watched, memory_order_relaxed) >> kind & 1))
        e->tap(e->tap_self, &event->info);
    atomic_fetch_add_explicit(&e->delivered, 1, memory_order_relaxed);
    d->event = NULL;
    event_unref(event);
    return true;
}

/* -- the thread -- */

static void follow_runtime(struct executor *e, struct delivery *d)
{
    if (atomic_load(&e->generation) == d->generation)
        return;
    struct runtime *old = d->rt;
    pthread_mutex_lock(&e->lock);
    d->generation = atomic_load(&e->generation);
    d->rt = e->rt != NULL ? runtime_ref(e->rt) : NULL;
    pthread_mutex_unlock(&e->lock);
    runtime_unref(old);
}

static bool has_news(void *arg)
{
    struct executor *e = arg;
    return atomic_load(&e->generation) != e->delivery.generation || atomic_load(&e->hooks_quit) != 0;
}

static void sleep_now(struct executor *e)
{
    event_queue_sleep(&e->queue, has_news, e);
    if (atomic_load(&e->deep)) {
        pthread_mutex_lock(&e->lock);
        keeper_tell(e);
        pthread_mutex_unlock(&e->lock);
    }
}

static void given_up(struct executor_thread *t)
{
    struct executor *e = t->e;
    struct plugin_unit *u = atomic_load(&t->unit);
    pthread_mutex_lock(&e->lock); /* the keeper has taken its share of the event when it lets go of this */
    struct event *event = t->event;
    thread_ended(t);
    unit_came_back(e, u);
    pthread_mutex_unlock(&e->lock);
    event_unref(event);
}

/* An event that another thread began keeps the runtime it began with: d->at counts that one's hooks. */
static void next_event(struct executor *e, struct delivery *d)
{
    follow_runtime(e, d);
    d->event = event_queue_pop(&e->queue);
    d->at = 0;
    d->turn = false;
}

void *hooks_run(void *thread)
{
    struct executor_thread *t = thread;
    struct executor *e = t->e;
    struct delivery *d = &e->delivery;
    for (int quit; (quit = atomic_load(&e->hooks_quit)) != 2;) {
        if (d->event == NULL)
            next_event(e, d);
        if (d->event == NULL && quit != 0)
            break;
        if (d->event == NULL)
            sleep_now(e);
        else if (!deliver(e, t, d)) {
            given_up(t);
            return NULL;
        }
    }
    pthread_mutex_lock(&e->lock);
    thread_ended(t);
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

void hooks_replace(struct executor *e)
{
    if (!e->stopped && thread_start(e, THREAD_HOOKS, hooks_run) == NULL)
        log_error("plugin", "nobody hears events any more: no thread can take the place of the one that is stuck");
}

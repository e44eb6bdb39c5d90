/*
 * A worker's desk: takes what the hub posted and hands it to the watchers of this worker.
 *
 * In slices, so that other requests of the worker wait for a millisecond at most. Also what befalls all of them at
 * once: another configuration, under which some may no longer watch, and the end of the worker.
 */
#include <base/assert.h>
#include <base/clock.h>
#include <base/secret.h>
#include <chain/watch_impl.h>

#define FETCH    32 /* events in one slice */
#define SLICE_US 1000

/* What did not even reach the desk: more than a watcher wanted, if it wants one plugin only. */
static void tell_missed(struct desk *d, const uint64_t missed_of[HUB_KINDS])
{
    for (struct watcher *w = d->watchers; w != NULL; w = w->next) {
        uint64_t n = 0;
        for (unsigned i = 0; i < HUB_KINDS; i++)
            n += w->filter.kinds & HUB_BIT(i) ? missed_of[i] : 0;
        if (n != 0)
            watcher_missed(w, n);
    }
}

/* True: there is more. */
static bool fetch(struct desk *d)
{
    struct hub_record *fresh[FETCH];
    uint64_t lost[HUB_KINDS];
    bool more;
    size_t n = desk_fetch(d, fresh, FETCH, lost, &more);
    for (size_t i = 0; i < n; i++) {
        for (struct watcher *w = d->watchers; w != NULL; w = w->next)
            watcher_give(w, fresh[i]);
        record_unref(fresh[i]);
    }
    tell_missed(d, lost);
    return more;
}

static void serve(struct loop_task *task)
{
    struct desk *d = (struct desk *)((char *)task - offsetof(struct desk, task));
    uint64_t began = clock_us();
    bool more = fetch(d);
    while (d->ready != NULL && clock_us() - began < SLICE_US) {
        struct watcher *w = d->ready;
        watcher_unready(w);
        watcher_pump(w);
    }
    if (more || d->ready != NULL)
        loop_soon(d->w->loop, task);
}

void chain_worker_set_hub(struct chain_worker *w, struct hub *hub)
{
    w->desk = hub_desk(hub, w->number);
    w->desk->w = w;
    w->desk->task.run = serve;
}

void watch_leave(struct chain_worker *w)
{
    if (w->desk == NULL)
        return;
    CCP_ASSERT(w->desk->watchers == NULL);
    loop_task_cancel(w->loop, &w->desk->task);
    w->desk->w = NULL;
}

void watch_drain(struct chain_worker *w)
{
    struct desk *d = w->desk;
    if (d == NULL)
        return;
    for (size_t i = 0; i < DESK_EVENTS / FETCH && fetch(d); i++)
        ;
    for (struct watcher *at = d->watchers; at != NULL; at = at->next) {
        watcher_pump(at);
        watcher_close(at, "ccproxy is shutting down");
    }
}

/* -- rights -- */

bool right_holds(const struct watch_right *right, const struct security_settings *s, const struct security_key **key)
{
    const struct security_key *keys = s->keys.v;
    bool admins = false, found = false;
    for (size_t i = 0; i < s->keys.n; i++) {
        if (!keys[i].admin)
            continue;
        admins = true;
        /* revealed: a key of one configuration is looked for in another */
        if (right->token != NULL && secret_equals(keys[i].token, secret_reveal(right->token))) {
            *key = &keys[i];
            found = true;
        }
    }
    return right->token != NULL ? found : !admins;
}

void right_release(struct watch_right *right)
{
    secret_unref(right->token);
    right->token = NULL;
}

void watch_reconfigured(struct chain_worker *worker)
{
    struct watcher *w = worker->desk != NULL ? worker->desk->watchers : NULL;
    for (; w != NULL; w = w->next) {
        const struct security_key *key = NULL;
        if (w->over)
            continue;
        if (right_holds(&w->right, &worker->current->rt->settings.security, &key))
            exchange_move(w->x, w->x->key != NULL ? key : NULL);
        else
            watcher_close(w, "this key may no longer watch events");
    }
}

/*
 * The life of one transfer: started, given a place at its host, ended by exactly one function.
 *
 * What the two engines have in common: deadlines, the port's rules, what the owner hears and when memory goes.
 * transfer_detach is the only way out of an engine, whatever the reason: done, cancel, timeout, shutdown. What the
 * owner still has to hear is delivered afterwards. An owner is called from the loop task or from upstream_ready.
 */
#include <upstream/upstream_impl.h>

#include <base/assert.h>
#include <base/fault.h>

#include <stdarg.h>

static void transfer_detach(struct ccp_transfer *t)
{
    struct upstream *u = t->u;

    loop_timer_stop(u->loop, &t->wait);
    loop_timer_stop(u->loop, &t->total);
    link_remove(&t->queue);
    t->engine->detach(t);
    if (t->host != NULL)
        host_leave(u, t->host);
    t->host = NULL;
    trust_unref(t->trust);
    t->trust = NULL;
}

void transfer_free(struct ccp_transfer *t)
{
    t->over = true;
    transfer_detach(t);
    link_remove(&t->dirty);
    if (t->in_events)
        return; /* transfer_deliver is on the stack and comes back here */
    link_remove(&t->all);
    t->u->counters.active--;
    t->engine->drop(t);
    free(t->why);
    free(t);
}

void transfer_finish(struct ccp_transfer *t, enum ccp_status status)
{
    CCP_ASSERT(!t->finished);
    t->finished = true;
    t->status = status;
    transfer_detach(t);
    if (!t->in_events) /* else who is delivering goes on to the end by itself */
        upstream_mark(t);
}

void transfer_fail(struct ccp_transfer *t, enum ccp_status status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&t->why, fmt, ap) < 0)
        t->why = NULL;
    va_end(ap);
    transfer_finish(t, status);
}

static int shown(const struct url *url)
{
    return (int)(url->host.n < 128 ? url->host.n : 128);
}

void transfer_fail_at_host(struct ccp_transfer *t, enum ccp_status status, const char *phrase, const char *detail)
{
    const struct url *url = &t->url;

    transfer_fail(t, status, "%s%.*s%s:%u: %s%s%s", url->ipv6 ? "[" : "", shown(url), url->host.p, url->ipv6 ? "]" : "",
                  (unsigned)url->port, phrase, detail != NULL ? ": " : "", detail != NULL ? detail : "");
}

/* ---- deadlines --------------------------------------------------------------------------------------- */

bool transfer_watch_idle(struct ccp_transfer *t)
{
    t->last_byte_ms = t->u->loop->now_ms;
    if (t->idle_ms != 0)
        return loop_timer_set(t->u->loop, &t->wait, t->idle_ms);
    loop_timer_stop(t->u->loop, &t->wait);
    return true;
}

static void on_wait(struct loop_timer *timer)
{
    struct ccp_transfer *t = LINK_OWNER(timer, struct ccp_transfer, wait);
    uint64_t now = t->u->loop->now_ms, due = t->last_byte_ms + t->idle_ms;

    if (!t->head_complete) {
        transfer_fail(t, CCP_UPSTREAM_TIMEOUT, "%.*s: no answer within the first byte timeout of %llu ms",
                      shown(&t->url), t->url.host.p, (unsigned long long)t->request->limits.first_byte_ms);
        return;
    }
    /* While we hold the upstream back its silence says nothing. */
    uint64_t again = t->paused || t->engine->held(t) ? t->idle_ms : due > now ? due - now : 0;
    if (again == 0)
        transfer_fail(t, CCP_UPSTREAM_TIMEOUT, "%.*s: the answer stalled for longer than the idle timeout of %llu ms",
                      shown(&t->url), t->url.host.p, (unsigned long long)t->idle_ms);
    else if (!loop_timer_set(t->u->loop, timer, again))
        transfer_fail(t, CCP_INTERNAL, "out of memory");
}

static void on_total(struct loop_timer *timer)
{
    struct ccp_transfer *t = LINK_OWNER(timer, struct ccp_transfer, total);

    t->overdue = true;
    transfer_fail(t, CCP_UPSTREAM_TIMEOUT, "%.*s: the answer took longer than the total timeout of %llu ms",
                  shown(&t->url), t->url.host.p, (unsigned long long)t->request->limits.total_ms);
}

static bool set_deadlines(struct ccp_transfer *t, const struct ccp_upstream_limits *limits)
{
    t->wait.fire = on_wait;
    t->total.fire = on_total;
    t->idle_ms = limits->idle_ms;
    return (limits->first_byte_ms == 0 || loop_timer_set(t->u->loop, &t->wait, limits->first_byte_ms)) &&
           (limits->total_ms == 0 || loop_timer_set(t->u->loop, &t->total, limits->total_ms));
}

/* ---- to the owner ------------------------------------------------------------------------------------ */

bool transfer_open(const struct ccp_transfer *t)
{
    return !t->over && !t->gone;
}

void transfer_push(struct ccp_transfer *t, struct ccp_span bytes)
{
    switch (t->events.body(t->arg, bytes)) {
    case CCP_PUSH_MORE:
        break;
    case CCP_PUSH_PAUSE:
        t->paused = true;
        break;
    case CCP_PUSH_GONE:
        t->gone = true;
        break;
    }
}

static void give_done(struct ccp_transfer *t)
{
    bool silent = t->why == NULL && t->status != CCP_OK;

    t->over = true;
    t->u->counters.finished++;
    t->events.done(t->arg, t->status, silent ? CCP_SPAN("out of memory") : ccp_span_z(t->why != NULL ? t->why : ""));
}

void transfer_deliver(struct ccp_transfer *t)
{
    t->in_events = true;
    if (transfer_open(t))
        t->engine->deliver(t);
    if (transfer_open(t) && t->finished && (t->overdue || (!t->paused && t->engine->drained(t))))
        give_done(t);
    t->in_events = false;
    if (t->over) {
        transfer_free(t);
    } else if (t->gone) { /* the owner has left without cancelling yet: only its cancel is waited for */
        transfer_detach(t);
        t->engine->drop(t);
    } else if (t->engine->go_on != NULL) {
        t->engine->go_on(t);
    }
}

/* ---- the port ---------------------------------------------------------------------------------------- */

void transfer_begin(struct ccp_transfer *t)
{
    if (!t->engine->prepare(t))
        return;
    switch (t->host != NULL ? HOST_GO : host_enter(t->u, t)) {
    case HOST_WAIT:
        return;
    case HOST_GO:
        if (t->engine->begin(t))
            return;
        break;
    case HOST_NO_MEMORY:
        break;
    }
    transfer_fail(t, CCP_INTERNAL, "out of memory");
}

/* The one place that chooses: our own client does HTTP/1.1 without proxies, everything else is curl's. */
static const struct engine *engine_for(const struct upstream *u, const struct ccp_upstream_request *request)
{
    bool plain = ccp_span_starts(request->url, CCP_SPAN("http://"));
    bool tls = ccp_span_starts(request->url, CCP_SPAN("https://"));

    if (u->curl_only || u->names == NULL || request->proxy.n != 0 || !(plain || (tls && !request->http2)))
        return &curl_engine;
    return &direct_engine;
}

static struct ccp_transfer *transfer_start(void *self, struct ccp_exchange *x,
                                           const struct ccp_upstream_request *request,
                                           const struct ccp_transfer_events *events, void *arg)
{
    struct upstream *u = self;
    const struct engine *engine = engine_for(u, request);
    struct ccp_transfer *t = CCP_FAULT("upstream.start") ? NULL : calloc(1, engine->size);

    (void)x;
    if (t == NULL)
        return NULL;
    t->u = u;
    t->engine = engine;
    t->events = *events;
    t->arg = arg;
    t->request = request;
    t->trust = trust_ref(request->trust != NULL ? (struct trust *)(uintptr_t)request->trust : u->trust);
    link_init(&t->all);
    link_init(&t->queue);
    link_init(&t->dirty);
    engine->init(t);
    link_append(&u->all, &t->all);
    u->counters.active++;
    if (!set_deadlines(t, &request->limits)) {
        transfer_free(t);
        return NULL;
    }
    u->counters.started++;
    if (engine == &direct_engine) { /* sends at once; whatever comes of it is told later */
        transfer_begin(t);
    } else {
        link_append(&u->starting, &t->queue);
        upstream_wake(u);
    }
    return t;
}

static void transfer_cancel(void *self, struct ccp_transfer *t)
{
    struct upstream *u = self;

    u->counters.cancelled++;
    transfer_free(t);
}

static void transfer_pause(void *self, struct ccp_transfer *t)
{
    (void)self;
    t->paused = true;
}

static void transfer_resume(void *self, struct ccp_transfer *t)
{
    (void)self;
    if (!t->paused || t->over)
        return;
    t->paused = false;
    t->last_byte_ms = t->u->loop->now_ms;
    upstream_mark(t);
}

const struct ccp_transport upstream_transport = {
    .start = transfer_start,
    .cancel = transfer_cancel,
    .pause = transfer_pause,
    .resume = transfer_resume,
};

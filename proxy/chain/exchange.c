/*
 * Life of an exchange: made for a request, ended once, whatever happened. Also the worker's bookkeeping.
 *
 * exchange_end is the only clean-up path. It never runs inside a callback of the transport or the responder:
 * exchange_finish queues it for the loop's next turn, and chain_client_gone comes from the connection's side.
 */
#include <base/assert.h>
#include <base/clock.h>
#include <base/fault.h>
#include <chain/exchange_impl.h>

/* Room for headers, URL, local answers and per-event work; the request body is the connection's. */
#define ARENA_EXTRA (4u * 1024 * 1024)

static const unsigned char legal[X_STATES] = {
    [X_NEW] = 1 << X_ENTERING | 1 << X_FINISHING,
    [X_ENTERING] = 1 << X_PARKED | 1 << X_UPSTREAM | 1 << X_ANSWERING | 1 << X_FINISHING,
    [X_PARKED] = 1 << X_ENTERING | 1 << X_ANSWERING | 1 << X_FINISHING,
    [X_UPSTREAM] = 1 << X_ANSWERING | 1 << X_FINISHING,
    [X_ANSWERING] = 1 << X_FINISHING,
    [X_FINISHING] = 0,
};

void exchange_state(struct exchange *x, enum exchange_state to)
{
    CCP_ASSERT(legal[x->state] & (1 << to));
    x->state = to;
}

void exchange_vfail(struct exchange *x, enum ccp_status status, const char *fmt, va_list ap)
{
    if (x->status != CCP_OK)
        return;
    x->status = status;
    x->error = arena_vprintf(&x->arena, fmt, ap);
    if (x->error.p == NULL)
        x->error = CCP_SPAN("out of memory");
}

void exchange_fail(struct exchange *x, enum ccp_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    exchange_vfail(x, status, fmt, ap);
    va_end(ap);
}

static void snapshot_release(struct snapshot *s)
{
    if (--s->users != 0)
        return;
    models_forget(s);
    runtime_unref(s->rt);
    free(s);
}

static void unwind(struct exchange *x)
{
    while (x->entered != 0) {
        const struct middleware_entry *m = &x->rt->chain[--x->entered];
        if (m->m->on_end == NULL || run_passed_by(x, x->entered))
            continue;
        uint64_t began = guard_begin(m->unit);
        m->m->on_end(m->self, &x->pub);
        guard_end(m->unit, m->m->name, began);
    }
}

bool exchange_move(struct exchange *x, const struct security_key *key)
{
    struct snapshot *old = x->snap, *fresh = x->w->current;
    if (old == fresh)
        return true;
    bool bound = x->stages != &x->terminal || x->jobs != NULL || x->arena.defers != NULL;
    if (bound || x->state != X_ANSWERING || x->route.plugin_route != NULL || x->route.provider != NULL)
        return false;
    unwind(x);
    x->passed_by = 0;
    x->slots = NULL;
    x->key = x->shown = key;
    x->snap = fresh;
    x->rt = fresh->rt;
    fresh->users++;
    snapshot_release(old);
    return true;
}

/* Relaxed: whoever reads it wants a figure. */
static void count(struct chain_worker *w, size_t in_flight)
{
    w->in_flight = in_flight;
    if (w->gauge != NULL)
        atomic_store_explicit(w->gauge, in_flight, memory_order_relaxed);
}

static void exchange_end(struct exchange *x)
{
    struct chain_worker *w = x->w;
    attempt_stop(x);
    stream_close(x);
    pipe_close(x);
    buf_release(&x->first);
    if (x->park_cancel != NULL) {
        void (*cancel)(void *) = x->park_cancel;
        x->park_cancel = NULL;
        cancel(x->park_arg);
    }
    deltas_close(x);
    unwind(x);
    if (x->status == CCP_OK && !x->complete)
        exchange_fail(x, CCP_CLIENT_GONE, "the client went away");
    if (x->state != X_NEW) /* else request.started was not said either */
        hooks_emit(x, x->status == CCP_OK ? CCP_EVENT_REQUEST_COMPLETED : CCP_EVENT_REQUEST_FAILED, NULL);
    credential_release(x); /* behind the last event: what it may not show must be known till then */
    jobs_forget(x);        /* hooks may have begun some */
    loop_task_cancel(w->loop, &x->task);
    arena_end(&x->work);
    arena_end(&x->arena);
    *x->prev = x->next;
    if (x->next != NULL)
        x->next->prev = x->prev;
    count(w, w->in_flight - 1);
    const struct chain_responder *responder = x->client_gone ? NULL : x->responder;
    void *client = x->client;
    snapshot_release(x->snap);
    free(x);
    if (responder != NULL)
        responder->ended(client);
}

static void run_task(struct loop_task *task)
{
    struct exchange *x = (struct exchange *)((char *)task - offsetof(struct exchange, task));
    if (x->state == X_NEW)
        run_start(x);
    else if (x->state == X_PARKED)
        run_continue(x, x->resumed);
    else if (x->state == X_UPSTREAM && (x->upstream_refused || x->credential_news))
        attempt_next(x);
    else if (x->state == X_FINISHING)
        exchange_end(x);
}

void exchange_finish(struct exchange *x)
{
    if (x->state != X_FINISHING)
        exchange_state(x, X_FINISHING);
    loop_soon(x->w->loop, &x->task);
}

struct exchange *chain_begin(struct chain_worker *w, const struct chain_request *request,
                             const struct chain_responder *responder, void *self)
{
    struct exchange *x = CCP_FAULT("chain.begin") ? NULL : calloc(1, sizeof(*x));
    if (x == NULL)
        return NULL;
    x->pub.api = &chain_api;
    x->w = w;
    x->snap = w->current;
    x->snap->users++;
    x->rt = x->snap->rt;
    x->responder = responder;
    x->client = self;
    x->req = *request;
    x->body = request->body;
    x->started_us = clock_us();
    x->task.run = run_task;
    arena_init(&x->arena, &w->cache, x->rt->settings.server.max_body_bytes * 2 + ARENA_EXTRA);
    arena_init(&x->work, &w->cache, x->rt->settings.server.max_body_bytes * 8 + ARENA_EXTRA);
    buf_init(&x->held, 16 * 1024);
    buf_init(&x->first, 1024 * 1024);
    x->next = w->first;
    x->prev = &w->first;
    if (x->next != NULL)
        x->next->prev = &x->next;
    w->first = x;
    count(w, w->in_flight + 1);
    loop_soon(w->loop, &x->task);
    return x;
}

void chain_client_gone(struct exchange *x)
{
    x->client_gone = true;
    /* A reset HTTP/2 stream has lost its body before anybody was told. */
    x->req.body = (struct ccp_span){NULL, 0};
    if (!x->body_decoded)
        x->body = x->req.body;
    x->model_raw = x->req.body;
    exchange_end(x);
}

struct chain_worker *chain_worker_new(struct loop *loop, const struct ccp_transport *http, void *http_self,
                                      struct runtime *runtime)
{
    struct chain_worker *w = CCP_FAULT("chain.worker") ? NULL : calloc(1, sizeof(*w));
    if (w == NULL) {
        runtime_unref(runtime);
        return NULL;
    }
    static const atomic_ullong nothing;
    w->watched = &nothing;
    w->loop = loop;
    w->http = http;
    w->http_self = http_self;
    arena_cache_init(&w->cache, 256);
    chain_worker_set_runtime(w, runtime);
    if (w->current == NULL) {
        chain_worker_free(w);
        return NULL;
    }
    return w;
}

void chain_worker_set_executor(struct chain_worker *w, struct executor *executor, size_t number)
{
    w->executor = executor;
    w->watched = executor_watched(executor);
    w->gauge = executor_gauge(executor, number);
    w->number = number;
}

void chain_worker_set_runtime(struct chain_worker *w, struct runtime *runtime)
{
    struct snapshot *s = CCP_FAULT("chain.snapshot") ? NULL : calloc(1, sizeof(*s));
    if (s == NULL) {
        runtime_unref(runtime);
        return;
    }
    *s = (struct snapshot){.rt = runtime, .users = 1, .w = w};
    if (w->current != NULL)
        snapshot_release(w->current);
    w->current = s;
    watch_reconfigured(w);
}

struct runtime *chain_worker_runtime(struct chain_worker *w)
{
    return w->current->rt;
}

void chain_worker_free(struct chain_worker *w)
{
    CCP_ASSERT(w->in_flight == 0);
    watch_leave(w);
    if (w->current != NULL)
        snapshot_release(w->current);
    arena_cache_release(&w->cache);
    free(w);
}

void chain_drain(struct chain_worker *w)
{
    w->draining = true;
    watch_drain(w);
}

void chain_abort_all(struct chain_worker *w)
{
    struct exchange *next;
    for (struct exchange *x = w->first; x != NULL; x = next) {
        next = x->next;
        if (x->state == X_FINISHING)
            continue;
        if (x->state == X_NEW) { /* not looked at yet: its first turn will refuse it */
            x->req.refusal = CCP_SHUTTING_DOWN;
            x->req.refusal_text = CCP_SPAN("ccproxy is shutting down");
            continue;
        }
        attempt_stop(x);
        exchange_fail(x, CCP_SHUTTING_DOWN, "ccproxy is shutting down");
        answer_failure(x);
    }
}

size_t chain_in_flight(const struct chain_worker *w)
{
    return w->in_flight;
}

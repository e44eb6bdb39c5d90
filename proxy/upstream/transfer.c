/*
 * The life of one transfer: queued by start, handed to curl by the loop task, ended by exactly one function.
 *
 * transfer_detach is the only way out of curl, whatever the reason: done, cancel, timeout, shutdown. What the
 * owner still has to hear is delivered afterwards (deliver.c). None of this runs inside a curl callback.
 */
#include <upstream/upstream_impl.h>

#include <base/assert.h>
#include <base/fault.h>

#include <stdarg.h>

/* Fails curl's callbacks first and unpauses into them: curl 7.88 leaks the paused data otherwise. */
static void transfer_detach(struct ccp_transfer *t)
{
    struct upstream *u = t->u;

    loop_timer_stop(u->loop, &t->wait);
    loop_timer_stop(u->loop, &t->total);
    link_remove(&t->queue);
    if (t->easy != NULL) {
        t->cancelled = true;
        if (t->curl_paused)
            curl_easy_pause(t->easy, CURLPAUSE_CONT);
        t->curl_paused = false;
        curl_multi_remove_handle(t->shard->multi, t->easy);
        easy_recycle(u, t->easy);
        shard_give_back(t->shard);
        t->easy = NULL;
        t->shard = NULL;
    }
    if (t->host != NULL)
        host_leave(u, t->host);
    t->host = NULL;
    if (t->call.sends > 1)
        u->counters.retried += t->call.sends - 1;
    t->call.sends = 0;
    call_release(&t->call);
    trust_unref(t->call.trust);
    t->call.trust = NULL;
}

/* The owner has left without cancelling yet: nothing more is fetched or told, only cancel is waited for. */
void transfer_silence(struct ccp_transfer *t)
{
    transfer_detach(t);
    buf_release(&t->body);
    t->body_at = 0;
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
    head_release(&t->head);
    buf_release(&t->body);
    free(t);
}

/* Ends the curl side; the owner hears of it from the loop task. */
static void finish(struct ccp_transfer *t, enum ccp_status status)
{
    CCP_ASSERT(!t->finished);
    t->finished = true;
    t->status = status;
    transfer_detach(t);
    upstream_mark(t);
}

static void __attribute__((format(printf, 3, 4)))
fail(struct ccp_transfer *t, enum ccp_status status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(t->why, sizeof(t->why), fmt, ap);
    va_end(ap);
    finish(t, status);
}

/* A kept-alive connection may die just as the request is written. When it was a reused one and not a byte came
 * back, the request is sent once more, on a fresh connection; curl itself does so only for some of the cases. */
static bool try_again(struct ccp_transfer *t, CURLcode code)
{
    long connects = 1, received = 1;

    if (t->again || (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING))
        return false;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(t->easy, CURLINFO_HEADER_SIZE, &received);
    if (connects != 0 || received != 0)
        return false;
    t->again = true;
    t->call.body_piece = t->call.body_at = 0;
    curl_multi_remove_handle(t->shard->multi, t->easy);
    easy_recycle(t->u, t->easy);
    shard_give_back(t->shard);
    t->easy = NULL;
    t->shard = NULL;
    link_append(&t->u->starting, &t->queue);
    upstream_wake(t->u);
    return true;
}

void transfer_done(struct ccp_transfer *t, CURLcode code)
{
    enum ccp_status status = CCP_OK;

    if (t->why[0] == 0 && try_again(t, code))
        return;
    if (t->why[0] != 0) /* our own callback refused what came */
        status = CCP_UPSTREAM;
    else if (code != CURLE_OK)
        status = failure_text(&t->call, t->easy, code, t->head.complete, t->why, sizeof(t->why));
    else if (!t->head.complete)
        status = CCP_UPSTREAM, snprintf(t->why, sizeof(t->why), "the upstream sent no final answer");
    finish(t, status);
}

/* ---- deadlines --------------------------------------------------------------------------------------- */

static int host_shown(const struct ccp_transfer *t)
{
    return (int)(t->call.url.host.n < 128 ? t->call.url.host.n : 128);
}

static void on_wait(struct loop_timer *timer)
{
    struct ccp_transfer *t = LINK_OWNER(timer, struct ccp_transfer, wait);
    uint64_t now = t->u->loop->now_ms, due = t->last_byte_ms + t->idle_ms;

    if (!t->head.complete) {
        fail(t, CCP_UPSTREAM_TIMEOUT, "%.*s: no answer within the first byte timeout of %llu ms", host_shown(t),
             t->call.url.host.p, (unsigned long long)t->call.request->limits.first_byte_ms);
        return;
    }
    /* While we hold the upstream back its silence says nothing. */
    uint64_t again = t->paused || t->curl_paused ? t->idle_ms : due > now ? due - now : 0;
    if (again == 0)
        fail(t, CCP_UPSTREAM_TIMEOUT, "%.*s: the answer stalled for longer than the idle timeout of %llu ms",
             host_shown(t), t->call.url.host.p, (unsigned long long)t->idle_ms);
    else if (!loop_timer_set(t->u->loop, timer, again))
        fail(t, CCP_INTERNAL, "out of memory");
}

static void on_total(struct loop_timer *timer)
{
    struct ccp_transfer *t = LINK_OWNER(timer, struct ccp_transfer, total);

    t->overdue = true;
    fail(t, CCP_UPSTREAM_TIMEOUT, "%.*s: the answer took longer than the total timeout of %llu ms", host_shown(t),
         t->call.url.host.p, (unsigned long long)t->call.request->limits.total_ms);
}

/* ---- to curl ----------------------------------------------------------------------------------------- */

static bool prepare(struct ccp_transfer *t)
{
    const struct ccp_upstream_request *r = t->call.request;
    struct shard_key key = {
        .trust = t->call.trust, .allow_private = r->allow_private, .literal_host = r->literal_host, .http2 = r->http2};

    t->easy = easy_take(t->u);
    if (t->easy == NULL)
        return false;
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, t->again ? 1L : 0L);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, transfer_on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, transfer_on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    if (call_apply(&t->call, t->easy) && (t->shard = shard_take(t->u, &key)) != NULL) {
        if (curl_multi_add_handle(t->shard->multi, t->easy) == CURLM_OK)
            return true;
        shard_give_back(t->shard);
        t->shard = NULL;
    }
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
    return false;
}

void transfer_begin(struct ccp_transfer *t)
{
    const char *why = t->call.block == NULL ? call_init(&t->call, t->call.request) : NULL;

    if (why != NULL) {
        fail(t, CCP_INTERNAL, "the request cannot be sent: %s", why);
        return;
    }
    switch (t->host != NULL ? HOST_GO : host_enter(t->u, t)) {
    case HOST_WAIT:
        return;
    case HOST_GO:
        if (prepare(t))
            return;
        break;
    case HOST_NO_MEMORY:
        break;
    }
    fail(t, CCP_INTERNAL, "out of memory");
}

/* ---- the port ---------------------------------------------------------------------------------------- */

static bool set_deadlines(struct ccp_transfer *t, const struct ccp_upstream_limits *limits)
{
    t->wait.fire = on_wait;
    t->total.fire = on_total;
    t->idle_ms = limits->idle_ms;
    return (limits->first_byte_ms == 0 || loop_timer_set(t->u->loop, &t->wait, limits->first_byte_ms)) &&
           (limits->total_ms == 0 || loop_timer_set(t->u->loop, &t->total, limits->total_ms));
}

static struct ccp_transfer *transfer_start(void *self, struct ccp_exchange *x,
                                           const struct ccp_upstream_request *request,
                                           const struct ccp_transfer_events *events, void *arg)
{
    struct upstream *u = self;
    struct ccp_transfer *t = CCP_FAULT("upstream.start") ? NULL : calloc(1, sizeof(*t));

    (void)x;
    if (t == NULL)
        return NULL;
    t->u = u;
    t->events = *events;
    t->arg = arg;
    t->call.request = request;
    t->call.sockets = u;
    t->call.user_agent = u->user_agent;
    t->call.trust = trust_ref(request->trust != NULL ? (struct trust *)(uintptr_t)request->trust : u->trust);
    link_init(&t->all);
    link_init(&t->queue);
    link_init(&t->dirty);
    head_init(&t->head);
    buf_init(&t->body, BUFFER_HIGH);
    link_append(&u->all, &t->all);
    u->counters.active++;
    if (!set_deadlines(t, &request->limits)) {
        transfer_free(t);
        return NULL;
    }
    link_append(&u->starting, &t->queue);
    u->counters.started++;
    upstream_wake(u);
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

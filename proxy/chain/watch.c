/*
 * One watcher: an answer that never ends by itself, fed with what its filter lets through.
 *
 * A watcher whose client is slow keeps a short queue of references; what does not fit is counted, and told in its place
 * by a note. It is written to from the desk only (watch_desk.c), a slice at a time. Everything runs on its worker.
 */
#include <base/fault.h>
#include <chain/watch_impl.h>

#define QUEUE_EVENTS 1000
#define QUEUE_BYTES  ((size_t)256 << 10)
#define PATIENCE_MS  30000 /* with a client that takes nothing */

static struct ccp_span text_for(const struct watcher *w, const struct hub_record *r)
{
    const struct runtime *rt = w->desk->w->current->rt;
    bool bodies = w->filter.bodies && rt->settings.logging.verbose_api;
    return bodies && r->full.p != NULL ? r->full : r->plain;
}

static bool wants(const struct watcher *w, const struct hub_record *r)
{
    return filter_wants(&w->filter, r) &&
           (!r->bulk || (w->filter.bodies && w->desk->w->current->rt->settings.logging.verbose_api));
}

/* -- writing -- */

static void ready(struct watcher *w)
{
    struct desk *d = w->desk;
    loop_soon(d->w->loop, &d->task);
    if (w->prev_ready != NULL)
        return;
    w->next_ready = d->ready;
    w->prev_ready = &d->ready;
    if (w->next_ready != NULL)
        w->next_ready->prev_ready = &w->next_ready;
    d->ready = w;
}

void watcher_unready(struct watcher *w)
{
    if (w->prev_ready == NULL)
        return;
    *w->prev_ready = w->next_ready;
    if (w->next_ready != NULL)
        w->next_ready->prev_ready = w->prev_ready;
    w->prev_ready = NULL;
}

static bool arm(struct watcher *w)
{
    uint64_t keepalive = w->x->rt->settings.server.keepalive_interval;
    uint64_t now = w->desk->w->loop->now_ms;
    uint64_t since = w->paused ? w->paused_ms : w->sent_ms, span = w->paused ? PATIENCE_MS : keepalive;
    uint64_t passed = now > since ? now - since : 0;
    if (span == 0) {
        loop_timer_stop(w->desk->w->loop, &w->timer);
        return true;
    }
    return loop_timer_set(w->desk->w->loop, &w->timer, passed < span ? span - passed : 1);
}

static void write_text(struct watcher *w, struct ccp_span text)
{
    uint64_t now = w->desk->w->loop->now_ms;
    enum ccp_push push = api_stream_write(&w->x->pub, text);
    w->sent_ms = now;
    w->over = w->over || push == CCP_PUSH_GONE;
    if (push != CCP_PUSH_PAUSE || w->paused)
        return;
    w->paused = true;
    w->paused_ms = now;
    if (!arm(w))
        w->over = true, api_stream_end(&w->x->pub);
}

void watcher_close(struct watcher *w, const char *why)
{
    char json[160];
    snprintf(json, sizeof(json), "{\"closed\":\"%s\"}", why);
    struct hub_record *note = w->over ? NULL : record_of_note(json);
    if (note != NULL) {
        write_text(w, note->plain);
        record_unref(note);
    }
    w->over = true;
    watcher_unready(w);
    api_stream_end(&w->x->pub);
}

/* -- the queue -- */

static bool grow(struct watcher *w)
{
    size_t room = w->room != 0 ? 2 * w->room : 16;
    struct hub_record **bigger = CCP_FAULT("watch.queue") ? NULL : malloc(room * sizeof(struct hub_record *));
    if (bigger == NULL)
        return false;
    for (size_t i = 0; i < w->n; i++)
        bigger[i] = w->queue[(w->first + i) % w->room];
    free(w->queue);
    w->queue = bigger;
    w->room = room;
    w->first = 0;
    return true;
}

/* Takes the reference; false = there is no room, and it is the caller's again. */
static bool enqueue(struct watcher *w, struct hub_record *r)
{
    size_t bytes = text_for(w, r).n;
    if (w->n >= QUEUE_EVENTS || w->bytes + bytes > QUEUE_BYTES || (w->n == w->room && !grow(w)))
        return false;
    w->queue[(w->first + w->n++) % w->room] = r;
    w->bytes += bytes;
    return true;
}

static struct hub_record *dequeue(struct watcher *w)
{
    struct hub_record *r = w->queue[w->first];
    w->first = (w->first + 1) % w->room;
    w->n--;
    size_t bytes = text_for(w, r).n;
    w->bytes = w->n != 0 && w->bytes > bytes ? w->bytes - bytes : 0; /* the configuration may have changed */
    return r;
}

static struct hub_record *note_of_drops(const struct watcher *w)
{
    char json[64];
    snprintf(json, sizeof(json), "{\"dropped\":%llu}", (unsigned long long)w->dropped);
    return record_of_note(json);
}

/* Says what is missing, at the place where it is. False: cannot yet. */
static bool catch_up(struct watcher *w)
{
    struct hub_record *note = w->n <= QUEUE_EVENTS / 2 && w->bytes <= QUEUE_BYTES / 2 ? note_of_drops(w) : NULL;
    if (note == NULL || !enqueue(w, note)) {
        if (note != NULL)
            record_unref(note);
        return false;
    }
    w->dropped = 0;
    w->overflowed = false;
    return true;
}

static void missed(struct watcher *w, uint64_t n)
{
    w->dropped += n;
    w->overflowed = true;
    atomic_fetch_add_explicit(&w->desk->hub->dropped, n, memory_order_relaxed);
}

void watcher_give(struct watcher *w, struct hub_record *r)
{
    if (w->over || !wants(w, r))
        return;
    if (w->overflowed && !catch_up(w)) {
        missed(w, 1);
        return;
    }
    if (!enqueue(w, record_ref(r))) {
        record_unref(r);
        missed(w, 1);
    }
    if (!w->paused)
        ready(w);
}

void watcher_missed(struct watcher *w, uint64_t n)
{
    if (w->over)
        return;
    missed(w, n);
    if (!w->paused)
        ready(w);
}

void watcher_pump(struct watcher *w)
{
    uint64_t told = 0;
    while (!w->over && !w->paused && (w->n != 0 || (w->overflowed && catch_up(w)))) {
        struct hub_record *r = dequeue(w);
        write_text(w, text_for(w, r));
        record_unref(r);
        told++;
    }
    atomic_fetch_add_explicit(&w->desk->hub->told, told, memory_order_relaxed);
}

/* -- one watcher -- */

static void on_timer(struct loop_timer *timer)
{
    struct watcher *w = (struct watcher *)((char *)timer - offsetof(struct watcher, timer));
    uint64_t now = w->desk->w->loop->now_ms, keepalive = w->x->rt->settings.server.keepalive_interval;
    if (w->over)
        return;
    if (w->paused && now - w->paused_ms >= PATIENCE_MS) {
        watcher_close(w, "nothing was read for 30 seconds");
        return;
    }
    if (!w->paused && keepalive != 0 && now - w->sent_ms >= keepalive)
        write_text(w, CCP_SPAN(":\n\n"));
    if (!w->over && !arm(w))
        watcher_close(w, "out of memory");
}

static void on_writable(void *arg)
{
    struct watcher *w = arg;
    w->paused = false;
    if (!w->over && !arm(w))
        watcher_close(w, "out of memory");
    if (!w->over && (w->n != 0 || w->overflowed))
        ready(w);
}

static void on_ended(void *arg)
{
    struct watcher *w = arg;
    struct desk *d = w->desk;
    loop_timer_stop(d->w->loop, &w->timer);
    watcher_unready(w);
    *w->prev = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    hub_part(d, &w->filter);
    hub_dismiss(d->hub);
    while (w->n != 0)
        record_unref(dequeue(w));
    free(w->queue);
    right_release(&w->right);
}

static void sit_down(struct watcher *w)
{
    struct desk *d = w->desk;
    w->timer.fire = on_timer;
    w->next = d->watchers;
    w->prev = &d->watchers;
    if (w->next != NULL)
        w->next->prev = &w->next;
    d->watchers = w;
    hub_join(d, &w->filter);
}

static enum ccp_verdict refuse(struct exchange *x, struct watch_right *right, const char *why)
{
    right_release(right);
    exchange_fail(x, CCP_OVERLOADED, "%s", why);
    return CCP_FAILED;
}

enum ccp_verdict watch_open(struct exchange *x, const struct watch_filter *f, struct watch_right right)
{
    static const struct ccp_stream_events events = {on_writable, on_ended};
    bool head = ccp_span_is(x->req.method, "HEAD");
    struct watcher *w = CCP_FAULT("watch.open") ? NULL : arena_zalloc(&x->arena, sizeof(*w));
    if (w == NULL)
        return refuse(x, &right, "out of memory");
    if (!head && !hub_admit(x->w->desk->hub))
        return refuse(x, &right, "as many streams of events are open as can be");
    answer_header(x, CCP_SPAN("cache-control"), CCP_SPAN("no-store"));
    answer_header(x, CCP_SPAN("x-accel-buffering"), CCP_SPAN("no"));
    *w = (struct watcher){.desk = x->w->desk, .x = x, .filter = *f, .right = right, .sent_ms = x->w->loop->now_ms};
    enum ccp_verdict verdict = api_stream_open(&x->pub, 200, CCP_SPAN("text/event-stream"), head ? NULL : &events, w);
    if (head || verdict != CCP_DONE) {
        if (!head)
            hub_dismiss(w->desk->hub);
        right_release(&w->right);
        return verdict;
    }
    sit_down(w);
    if (x->responder->uncount != NULL)
        x->responder->uncount(x->client);
    write_text(w, CCP_SPAN(": watching\n\n"));
    if (!arm(w))
        watcher_close(w, "out of memory");
    return verdict;
}

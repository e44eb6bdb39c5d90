/*
 * The hub's hand: which worker gets which event. See hub.h.
 *
 * Two threads bring events, one after the other under the hub's lock, so numbers and order agree everywhere. A desk has
 * a lock of its own that is held for a copy of pointers; the worker's side never waits for text to be written.
 */
#include <base/assert.h>
#include <base/budget.h>
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <chain/hub_impl.h>

struct hub *hub_new(const struct hub_port *port)
{
    struct hub *h = CCP_FAULT("hub.new") ? NULL : calloc(1, sizeof(*h) + port->workers * sizeof(struct desk));
    if (h == NULL)
        return NULL;
    h->port = *port;
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->ticket_lock, NULL);
    for (size_t i = 0; i < port->workers; i++) {
        h->desks[i].hub = h;
        h->desks[i].number = i;
        pthread_mutex_init(&h->desks[i].lock, NULL);
    }
    return h;
}

/* Under the lock: what both sources are asked for. */
static void ask_sources(struct hub *h)
{
    uint64_t wants = 0;
    for (unsigned i = 0; i < HUB_KINDS && !h->closed; i++)
        wants |= h->counts[i] != 0 ? HUB_BIT(i) : 0;
    atomic_store(&h->wants, wants);
    atomic_store(h->port.watched, wants & ~HUB_BIT(HUB_LOG));
    log_tap_wanted((wants & HUB_BIT(HUB_LOG)) != 0);
}

void hub_close(struct hub *h)
{
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->closed = true;
    ask_sources(h);
    pthread_mutex_unlock(&h->lock);
}

void hub_free(struct hub *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->port.workers; i++)
        if (h->desks[i].w != NULL)
            return; /* a worker that would not end still points at it */
    tickets_free(h);
    for (size_t i = 0; i < h->port.workers; i++) {
        struct desk *d = &h->desks[i];
        CCP_ASSERT(d->watchers == NULL);
        for (; d->n != 0; d->n--, d->first++)
            record_unref(d->ring[d->first % DESK_EVENTS]);
        pthread_mutex_destroy(&d->lock);
    }
    pthread_mutex_destroy(&h->lock);
    pthread_mutex_destroy(&h->ticket_lock);
    free(h);
}

struct desk *hub_desk(struct hub *h, size_t worker)
{
    CCP_ASSERT(worker < h->port.workers);
    return &h->desks[worker];
}

struct hub_figures hub_figures(struct hub *h)
{
    return (struct hub_figures){atomic_load(&h->watchers), atomic_load(&h->told), atomic_load(&h->dropped)};
}

void record_unref(struct hub_record *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    budget_give(r->size);
    free(r);
}

/* -- watchers come and go -- */

bool hub_admit(struct hub *h)
{
    if (atomic_fetch_add(&h->watchers, 1) < HUB_WATCHERS_MAX)
        return true;
    hub_dismiss(h);
    return false;
}

void hub_dismiss(struct hub *h)
{
    atomic_fetch_sub(&h->watchers, 1);
}

/* Under the hub's lock. */
static void count(struct desk *d, const struct watch_filter *f, unsigned step)
{
    uint64_t wants = 0;
    for (unsigned i = 0; i < HUB_KINDS; i++) {
        if (f->kinds & HUB_BIT(i)) {
            d->counts[i] += step;
            d->hub->counts[i] += step;
        }
        wants |= d->counts[i] != 0 ? HUB_BIT(i) : 0;
    }
    d->hub->bodies += f->bodies ? step : 0;
    atomic_store(&d->wants, wants);
    ask_sources(d->hub);
}

void hub_join(struct desk *d, const struct watch_filter *f)
{
    pthread_mutex_lock(&d->hub->lock);
    count(d, f, 1);
    pthread_mutex_unlock(&d->hub->lock);
}

void hub_part(struct desk *d, const struct watch_filter *f)
{
    pthread_mutex_lock(&d->hub->lock);
    count(d, f, -1u);
    pthread_mutex_unlock(&d->hub->lock);
}

/* -- events come -- */

static void wake(void *arg)
{
    struct desk *d = arg;
    if (d->w != NULL)
        loop_soon(d->w->loop, &d->task);
}

/* r NULL: there was no memory to write it down. */
static void put_on(struct desk *d, unsigned kind, struct hub_record *r)
{
    pthread_mutex_lock(&d->lock);
    if (r == NULL || d->n == DESK_EVENTS || d->bytes + r->size > DESK_BYTES) {
        d->missed[kind]++;
    } else {
        d->ring[(d->first + d->n++) % DESK_EVENTS] = record_ref(r);
        d->bytes += r->size;
    }
    if (!d->posted)
        d->posted = d->hub->port.post(d->hub->port.self, d->number, wake, d);
    pthread_mutex_unlock(&d->lock);
}

/* Under the hub's lock. Takes r over. */
static void hand_out(struct hub *h, unsigned kind, struct hub_record *r)
{
    for (size_t i = 0; i < h->port.workers; i++)
        if (atomic_load_explicit(&h->desks[i].wants, memory_order_relaxed) & HUB_BIT(kind))
            put_on(&h->desks[i], kind, r);
    if (r != NULL)
        record_unref(r);
}

/* True: somebody wants it, and the lock is held. */
static bool begin(struct hub *h, unsigned kind)
{
    if (!(atomic_load_explicit(&h->wants, memory_order_relaxed) & HUB_BIT(kind)))
        return false;
    pthread_mutex_lock(&h->lock);
    if (!h->closed && h->counts[kind] != 0)
        return true;
    pthread_mutex_unlock(&h->lock);
    return false;
}

void hub_event(void *hub, const struct ccp_event_info *info)
{
    struct hub *h = hub;
    if (!begin(h, info->event))
        return;
    uint64_t id = ++h->sequence;
    bool room = budget_level(0) != BUDGET_FULL;
    hand_out(h, info->event, room ? record_of_event(info, id, h->bodies != 0) : NULL);
    pthread_mutex_unlock(&h->lock);
}

void hub_log(void *hub, const struct log_tapped *line)
{
    struct hub *h = hub;
    if (!begin(h, HUB_LOG))
        return;
    uint64_t id = ++h->sequence;
    bool wanted = !line->bulk || h->bodies != 0, room = budget_level(0) != BUDGET_FULL;
    if (wanted)
        hand_out(h, HUB_LOG, room ? record_of_line(line, id) : NULL);
    pthread_mutex_unlock(&h->lock);
}

size_t desk_fetch(struct desk *d, struct hub_record **out, size_t max, uint64_t missed[HUB_KINDS], bool *more)
{
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    for (; n < max && d->n != 0; d->n--, n++) {
        out[n] = d->ring[d->first];
        d->first = (d->first + 1) % DESK_EVENTS;
        d->bytes -= out[n]->size;
    }
    *more = d->n != 0;
    /* What was dropped came after all that is in the ring. */
    memset(missed, 0, sizeof(d->missed));
    if (!*more) {
        memcpy(missed, d->missed, sizeof(d->missed));
        memset(d->missed, 0, sizeof(d->missed));
    }
    d->posted = *more;
    pthread_mutex_unlock(&d->lock);
    return n;
}

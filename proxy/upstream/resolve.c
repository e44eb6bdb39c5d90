/*
 * The resolver's table: one entry per name, with its answer, its failure, or those who wait for it.
 *
 * Everything here is short and under one lock; nothing here waits, looks a name up or calls a worker. The lock is
 * taken once per name, worker and lifetime of an answer, so it is never on the path of a request. An ask is in one
 * list at most: of its lookup while it waits, of its mailbox once it is answered.
 */
#include <upstream/resolve_impl.h>

#include <base/assert.h>
#include <base/clock.h>
#include <base/fault.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

const char resolve_no_host[] = "no such host";
const char resolve_failed[] = "the name lookup failed";
const char resolve_busy[] = "too many name lookups are waiting";
const char resolve_no_memory[] = "out of memory";

void addresses_ref(struct addresses *list)
{
    atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
}

void addresses_unref(struct addresses *list)
{
    if (list != NULL && atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) == 1)
        free(list);
}

size_t resolve_hash(struct ccp_span name)
{
    uint32_t h = 2166136261u; /* FNV-1a; the names come from the configuration */

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 16777619u;
    return h % RESOLVE_BUCKETS;
}

/* ---- lists ------------------------------------------------------------------------------------------- */

static void ask_link(struct ask **head, struct ask *ask)
{
    ask->next = *head;
    if (ask->next != NULL)
        ask->next->prev = &ask->next;
    ask->prev = head;
    *head = ask;
}

static void ask_unlink(struct ask *ask)
{
    *ask->prev = ask->next;
    if (ask->next != NULL)
        ask->next->prev = ask->prev;
    ask->prev = NULL;
}

static void queue_append(struct resolver *r, struct lookup *l)
{
    l->queue_next = NULL;
    l->queue_prev = r->last;
    *r->last = l;
    r->last = &l->queue_next;
    r->queued++;
}

static void queue_remove(struct resolver *r, struct lookup *l)
{
    *l->queue_prev = l->queue_next;
    if (l->queue_next != NULL)
        l->queue_next->queue_prev = l->queue_prev;
    else
        r->last = l->queue_prev;
    l->queue_prev = NULL;
    r->queued--;
}

/* ---- the table --------------------------------------------------------------------------------------- */

static bool settled(const struct lookup *l)
{
    return !l->running && l->queue_prev == NULL;
}

static void drop(struct resolver *r, struct lookup *l)
{
    struct lookup **at = &r->buckets[resolve_hash(ccp_span_of(l->name, l->n))];

    CCP_ASSERT(settled(l) && l->asks == NULL);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    r->known--;
    addresses_unref(l->found);
    free(l);
}

/* Forgets answers that expired before `until`. */
static void sweep(struct resolver *r, uint64_t until)
{
    for (size_t i = 0; i < RESOLVE_BUCKETS; i++)
        for (struct lookup *l = r->buckets[i], *next; l != NULL; l = next) {
            next = l->next;
            if (settled(l) && l->expires_ms <= until)
                drop(r, l);
        }
}

static struct lookup *find(struct resolver *r, struct ccp_span name)
{
    struct lookup *l = r->buckets[resolve_hash(name)];

    while (l != NULL && (l->n != name.n || memcmp(l->name, name.p, name.n) != 0))
        l = l->next;
    return l;
}

static struct lookup *add(struct resolver *r, struct ccp_span name)
{
    if (r->known >= RESOLVE_NAMES_MAX)
        sweep(r, clock_ms());
    if (r->known >= RESOLVE_NAMES_MAX)
        sweep(r, UINT64_MAX);
    struct lookup *l = CCP_FAULT("resolve.lookup") ? NULL : calloc(1, sizeof(*l) + name.n + 1);
    if (l == NULL)
        return NULL;
    memcpy(l->name, name.p, name.n);
    l->n = name.n;
    l->next = r->buckets[resolve_hash(name)];
    r->buckets[resolve_hash(name)] = l;
    r->known++;
    return l;
}

/* NULL = not queued, and *why tells. */
static struct lookup *enqueue(struct resolver *r, struct ccp_span name, const char **why)
{
    *why = resolve_busy;
    if (r->queued + r->running >= r->options.threads + r->options.queue)
        return NULL;
    struct lookup *l = add(r, name);
    *why = resolve_no_memory;
    if (l == NULL)
        return NULL;
    queue_append(r, l);
    if (resolver_staff(r))
        return l;
    *why = resolve_failed;
    queue_remove(r, l);
    drop(r, l);
    return NULL;
}

/* ---- for workers ------------------------------------------------------------------------------------- */

static void answer(struct ask *ask, const struct lookup *l)
{
    ask->found = l->found;
    if (ask->found != NULL)
        addresses_ref(ask->found);
    ask->why = l->why;
    ask->expires_ms = l->expires_ms;
    ask->lookup = NULL;
}

static enum name_answer ask_locked(struct resolver *r, struct ccp_span name, struct ask *ask)
{
    struct lookup *l = find(r, name);

    if (l != NULL && settled(l)) {
        if (l->expires_ms > clock_ms()) {
            answer(ask, l);
            return ask->found != NULL ? NAME_FOUND : NAME_FAILED;
        }
        drop(r, l);
        l = NULL;
    }
    *ask = (struct ask){.to = ask->to};
    if (l == NULL)
        l = enqueue(r, name, &ask->why);
    if (l == NULL)
        return NAME_FAILED;
    ask->lookup = l;
    ask_link(&l->asks, ask);
    return NAME_WAIT;
}

enum name_answer resolver_ask(struct resolver *r, struct ccp_span name, struct ask *ask)
{
    pthread_mutex_lock(&r->lock);
    enum name_answer result = ask_locked(r, name, ask);
    pthread_mutex_unlock(&r->lock);
    return result;
}

void resolver_withdraw(struct resolver *r, struct ask *ask)
{
    pthread_mutex_lock(&r->lock);
    struct lookup *l = ask->lookup;
    if (ask->prev != NULL)
        ask_unlink(ask);
    if (l != NULL && l->asks == NULL && l->queue_prev != NULL) {
        queue_remove(r, l);
        drop(r, l);
    }
    pthread_mutex_unlock(&r->lock);
    addresses_unref(ask->found);
    *ask = (struct ask){.to = ask->to};
}

void resolver_collect(struct resolver *r, struct mailbox *box, struct ask **first)
{
    eventfd_t n;

    pthread_mutex_lock(&r->lock);
    (void)eventfd_read(box->fd, &n);
    *first = box->first;
    if (*first != NULL)
        (*first)->prev = first;
    box->first = NULL;
    pthread_mutex_unlock(&r->lock);
}

/* ---- for threads, lock held --------------------------------------------------------------------------- */

struct lookup *resolver_next(struct resolver *r)
{
    struct lookup *l = r->first;

    if (l == NULL)
        return NULL;
    queue_remove(r, l);
    l->running = true;
    r->running++;
    return l;
}

void resolver_settle(struct resolver *r, struct lookup *l, struct addresses *found, const char *why)
{
    const struct resolver_options *o = &r->options;

    l->running = false;
    r->running--;
    l->found = found;
    l->why = why;
    l->expires_ms = clock_ms() + (found != NULL ? o->ttl_ms : o->negative_ttl_ms);
    for (struct ask *ask; (ask = l->asks) != NULL;) {
        ask_unlink(ask);
        answer(ask, l);
        if (ask->to->first == NULL)
            (void)eventfd_write(ask->to->fd, 1); /* a full counter is readable too */
        ask_link(&ask->to->first, ask);
    }
}

void resolver_let_go(struct resolver *r)
{
    bool last = --r->holders == 0;

    pthread_mutex_unlock(&r->lock);
    if (!last)
        return;
    sweep(r, UINT64_MAX);
    CCP_ASSERT(r->known == 0);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- the whole --------------------------------------------------------------------------------------- */

static int system_lookup(const char *host, const struct addrinfo *hints, struct addrinfo **out)
{
    return getaddrinfo(host, NULL, hints, out);
}

static void fill_in(struct resolver_options *o)
{
    o->threads = o->threads != 0 ? o->threads : 16;
    o->queue = o->queue != 0 ? o->queue : 256;
    o->ttl_ms = o->ttl_ms != 0 ? o->ttl_ms : 60 * 1000;
    o->negative_ttl_ms = o->negative_ttl_ms != 0 ? o->negative_ttl_ms : 5 * 1000;
    if (o->lookup != NULL)
        return;
    o->lookup = system_lookup;
    o->release = freeaddrinfo;
}

struct resolver *resolver_new(const struct resolver_options *options)
{
    struct resolver *r = CCP_FAULT("resolve.new") ? NULL : calloc(1, sizeof(*r));
    pthread_condattr_t monotonic;

    if (r == NULL)
        return NULL;
    r->options = *options;
    fill_in(&r->options);
    r->holders = 1;
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return r;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_cond_broadcast(&r->work);
    resolver_let_go(r);
}

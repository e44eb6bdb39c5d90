/*
 * A worker's view: the newest credential of each slot as a message brought it, and who waits for the next one.
 *
 * Everything here runs on the worker's thread. The only thing that leaves it is a wish, a node that lies in the
 * service's mailbox at most once.
 */
#include <auth/service_impl.h>

#include <base/clock.h>
#include <base/fault.h>

struct view_slot {
    struct view_update *now; /* the last message, or NULL */
    struct auth_wait *waiting;
    struct message wish;
    uint64_t wishes;   /* how many there were */
    uint64_t refused;  /* what the last one told of, or 0 */
    uint64_t since_ms; /* when the open one was made */
    bool wished;       /* it is open: what came since does not answer it */
};

struct auth_view {
    struct auth *a;
    size_t number;
    struct view_slot **v; /* by slot, made when first needed */
    size_t n;
};

struct auth_view *auth_view_new(struct auth *a, size_t number)
{
    struct auth_view *v = calloc(1, sizeof(*v));
    if (v != NULL) {
        *v = (struct auth_view){.a = a, .number = number};
        a->views[number] = v; /* before the service starts, or it would find none */
    }
    return v;
}

void view_drop(struct view_update *u)
{
    if (u != NULL)
        auth_credential_unref(u->credential);
    free(u);
}

void auth_view_free(struct auth_view *v)
{
    for (size_t i = 0; v != NULL && i < v->n; i++)
        if (v->v[i] != NULL) {
            service_recall(v->a, &v->v[i]->wish); /* posted when nobody took it any more */
            view_drop(v->v[i]->now);
            free(v->v[i]);
        }
    if (v != NULL)
        free(v->v);
    free(v);
}

static struct view_slot *slot_of(struct auth_view *v, size_t slot)
{
    if (slot >= v->n) {
        struct view_slot **more =
            CCP_FAULT("auth.view") ? NULL : realloc(v->v, (slot + 1) * sizeof(struct view_slot *));
        if (more == NULL)
            return NULL;
        memset(more + v->n, 0, (slot + 1 - v->n) * sizeof(struct view_slot *));
        v->v = more;
        v->n = slot + 1;
    }
    if (v->v[slot] == NULL)
        v->v[slot] = calloc(1, sizeof(struct view_slot));
    return v->v[slot];
}

/* -- waiting -- */

static void enqueue(struct view_slot *s, struct auth_wait *w)
{
    w->next = s->waiting;
    w->prev = &s->waiting;
    if (w->next != NULL)
        w->next->prev = &w->next;
    s->waiting = w;
}

void auth_wait_cancel(struct auth_wait *w)
{
    if (w->prev == NULL)
        return;
    *w->prev = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    w->prev = NULL;
    w->next = NULL;
}

static void wish(struct auth_view *v, struct view_slot *s, size_t slot, uint64_t refused)
{
    if (s->wished && refused <= s->refused) /* an older credential, or none: the open wish is for no less */
        return;
    if (!s->wished)
        s->since_ms = clock_ms();
    s->refused = refused;
    s->wished = true;
    /* The node may still lie in the mailbox; only its owner thread rewrites it. */
    pthread_mutex_lock(&v->a->lock);
    s->wish.kind = refused != 0 ? MSG_REFUSED : MSG_WANTED;
    s->wish.slot = slot;
    s->wish.worker = v->number;
    s->wish.serial = refused;
    s->wish.number = ++s->wishes;
    pthread_mutex_unlock(&v->a->lock);
    service_post(v->a, &s->wish);
}

void view_apply(void *arg)
{
    struct view_update *u = arg;
    struct view_slot *s = slot_of(u->a->views[u->worker], u->slot);
    if (s == NULL) {
        view_drop(u);
        return;
    }
    view_drop(s->now);
    s->now = u;
    /* It may have been on its way before the wish was looked at, or a renewal is: what comes next answers. */
    s->wished = s->wished && (u->renewing || u->heard != s->wishes);
    struct auth_wait *all = s->waiting;
    s->waiting = NULL;
    if (all != NULL)
        all->prev = &all;
    while (all != NULL) {
        struct auth_wait *w = all;
        auth_wait_cancel(w);
        w->resume(w);
    }
}

/* -- asking -- */

static bool usable(const struct view_update *u, uint64_t refused)
{
    const struct auth_credential *c = u->credential;
    return c != NULL && c->serial != refused &&
           (c->expires_at == 0 || (int64_t)(clock_unix_us() / 1000000) < c->expires_at);
}

/* Is it good enough to go without waiting for a newer one? */
static bool fresh(const struct view_slot *s, bool asked)
{
    const struct view_update *u = s->now;
    const struct auth_credential *c = u->credential;
    bool early = c->wait_from == 0 || (int64_t)(clock_unix_us() / 1000000) < c->wait_from;
    bool enough = s->wished && clock_ms() - s->since_ms >= AUTH_PATIENCE_MS;
    return early || asked || enough || u->retry_ms > clock_ms();
}

enum auth_answer auth_acquire(struct auth_view *v, const struct auth_use *use, uint64_t refused, bool asked,
                              struct auth_wait *wait, struct auth_credential **out, struct auth_report *why)
{
    struct view_slot *s = v != NULL ? slot_of(v, use->slot) : NULL;
    *why = (struct auth_report){.state = AUTH_ABSENT};
    if (s == NULL)
        return AUTH_DENIED;
    struct view_update *u = s->now;
    if (u != NULL) {
        *why = u->report;
        if (usable(u, refused) && !credential_may_go(u->credential, use->origin, why))
            return AUTH_DENIED;
        if (usable(u, refused) && fresh(s, asked)) {
            *out = auth_credential_ref(u->credential);
            return AUTH_GRANTED;
        }
        bool ended = u->report.state == AUTH_ABSENT || u->report.state == AUTH_NEEDS_LOGIN;
        bool soon = u->renewing || s->wished || (!asked && u->retry_ms <= clock_ms());
        if (ended || !soon) {
            if (!ended) /* a young token that is refused: there is nothing to wait for */
                why->state = refused != 0 && u->retry_ms == 0 && !u->renewing ? AUTH_NEEDS_LOGIN : AUTH_LATER;
            return AUTH_DENIED;
        }
    }
    wish(v, s, use->slot, refused);
    enqueue(s, wait);
    return AUTH_WAITS;
}

struct auth_report auth_report(struct auth_view *v, const struct auth_use *use)
{
    struct view_slot *s = v != NULL && use->slot < v->n ? v->v[use->slot] : NULL;
    if (s == NULL || s->now == NULL)
        return (struct auth_report){.state = v != NULL ? AUTH_UNKNOWN : AUTH_ABSENT};
    struct auth_report r = s->now->report;
    credential_may_go(s->now->credential, use->origin, &r);
    return r;
}

/*
 * Telling the others: one message to each worker, and the report that banner and main thread may read.
 *
 * A worker that cannot be told for want of memory is told a second later.
 */
#include <auth/service_impl.h>

#include <base/clock.h>
#include <base/fault.h>

static int64_t next_attempt(const struct account *c)
{
    int64_t now = (int64_t)(clock_unix_us() / 1000000), at = c->begin_at;
    int64_t retry = c->retry_ms > clock_ms() ? now + (int64_t)((c->retry_ms - clock_ms() + 999) / 1000) : 0;
    if (c->begin_at == 0 && !c->due)
        return 0;
    return retry > at ? retry : at > now ? at : now;
}

static struct view_update *update_new(const struct account *c, size_t worker)
{
    size_t account = c->state != AUTH_ABSENT ? strlen(c->chosen) : 0, text = strlen(c->text);
    struct view_update *u = CCP_FAULT("auth.publish") ? NULL : calloc(1, sizeof(*u) + account + text + 2);
    if (u == NULL)
        return NULL;
    memcpy(u->texts, c->chosen, account);
    memcpy(u->texts + account + 1, c->text, text + 1);
    u->a = c->a;
    u->worker = worker;
    u->slot = c->slot;
    u->credential = auth_credential_ref(c->credential);
    u->retry_ms = c->retry_ms;
    u->renewing = c->renewal != NULL && !c->blocked;
    u->heard = c->heard[worker];
    u->report = (struct auth_report){.state = c->state,
                                     .account = {u->texts, account},
                                     .text = {u->texts + account + 1, text},
                                     .expires_at = c->credential != NULL ? c->credential->expires_at : 0,
                                     .next_attempt_at = next_attempt(c),
                                     .degraded = c->degraded};
    return u;
}

static bool tell_worker(const struct account *c, size_t number)
{
    struct auth *a = c->a;
    struct view_update *u = update_new(c, number);
    if (u == NULL)
        return false;
    if (a->port.post(a->port.self, number, view_apply, u))
        return true;
    view_drop(u);
    return atomic_load(&a->stopping); /* then nobody is there any more */
}

static void report(const struct account *c)
{
    struct auth *a = c->a;
    pthread_mutex_lock(&a->lock);
    struct slot_report *r = &a->keys[c->slot]->report;
    struct auth_credential *old = r->credential;
    r->credential = auth_credential_ref(c->credential);
    r->state = c->state;
    r->degraded = c->degraded;
    r->expires_at = c->credential != NULL ? c->credential->expires_at : 0;
    r->next_attempt_at = next_attempt(c);
    memcpy(r->account, c->state != AUTH_ABSENT ? c->chosen : "", c->state != AUTH_ABSENT ? sizeof(r->account) : 1);
    memcpy(r->text, c->text, sizeof(r->text));
    if (!r->settled) {
        r->settled = true;
        a->unsettled--;
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    auth_credential_unref(old);
}

void account_publish(struct account *c)
{
    c->unpublished = false;
    report(c);
    for (size_t i = 0; i < c->a->port.workers; i++)
        if (!tell_worker(c, i))
            c->unpublished = true;
    if (c->unpublished)
        loop_timer_set(&c->a->loop, &c->timer, 1000);
}

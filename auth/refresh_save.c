/*
 * A received token on its way to the disk. Nobody may use it before it is there: if the old refresh token is dead and
 * the new one is forgotten in a crash, the login is lost.
 *
 * So a disk that refuses is tried again, with the lock held and the token in wiped memory. A session is different: it
 * can be bought again, and one try is enough.
 */
#include <auth/record_impl.h>
#include <auth/refresh_impl.h>
#include <base/clock.h>
#include <base/fault.h>

#include <stdio.h>

/* What the new token goes into: what stood in the file under the lock, or a vendor's file as it is now, for its owner
 * may have edited other members meanwhile. STORE_MISSING: its owner logged out, and that is to be respected. */
static enum store_status base(struct refresh_try *r, struct record *next, struct store_error *e)
{
    e->status = STORE_IO;
    e->code = 0;
    snprintf(e->text, sizeof(e->text), "no memory");
    if (r->job->place.file != NULL) {
        struct store_error why;
        enum store_status status = store_read(r->job->store, &r->job->place, next, &why);
        if (status == STORE_MISSING)
            *e = why;
        if (status == STORE_MISSING || status == STORE_OK)
            return status;
        record_release(next);
        record_init(next);
    }
    return record_copy(next, &r->stored) ? STORE_OK : STORE_IO;
}

/* What the server of the session told of the account: the endpoint, the plan. */
static bool put_facts(struct record *next, const struct record_token *t)
{
    for (size_t i = 0; i < t->fact_count; i++) {
        struct ccp_span name = arena_dup(&next->arena, t->facts[i].name);
        struct ccp_span value = arena_dup(&next->arena, t->facts[i].value);
        if (name.p == NULL || value.p == NULL)
            return false;
        record_put_fact(next, name, value); /* what has no room is left out */
    }
    return true;
}

static enum store_status put(struct refresh_try *r, struct record *next, const struct record_token *t,
                             const struct ccp_oauth_session *session, struct store_error *e)
{
    int64_t now = (int64_t)(clock_unix_us() / 1000000);
    bool changed = session != NULL ? record_set_session(next, session, now) && put_facts(next, t)
                                   : record_set_token(next, t, false);
    if (!changed || CCP_FAULT("refresh.write"))
        return STORE_IO;
    if (session != NULL && next->layout != NULL) /* no place for it in a vendor's file */
        return STORE_OK;
    return store_write(r->job->store, &r->lock, next, e);
}

static enum store_status attempt(struct refresh_try *r, const struct record_token *t,
                                 const struct ccp_oauth_session *session, struct store_error *e)
{
    struct record next;
    record_init(&next);
    e->status = base(r, &next, e);
    if (e->status == STORE_OK)
        e->status = put(r, &next, t, session, e);
    if (e->status == STORE_OK) {
        record_release(&r->stored);
        r->stored = next;
        record_init(&next);
    }
    record_release(&next);
    return e->status;
}

/* Waits before the next try. False: the next one is the last. */
static bool more_tries(struct refresh_try *r, uint64_t began)
{
    if (r->job->wait_for_disk)
        return refresh_pause(r, REFRESH_DISK_MS);
    return refresh_pause(r, 500) && clock_ms() - began < REFRESH_DISK_CLI_MS;
}

static void tell(struct refresh_try *r, const struct store_error *e)
{
    if (r->job->blocked == NULL)
        return;
    refresh_failed(r, REFRESH_STORAGE, "its new token waits for the disk and is not used before: %s", e->text);
    r->job->blocked(r->job->blocked_arg, r->out->text);
}

static bool lost(struct refresh_try *r, const struct store_error *e)
{
    if (e->status == STORE_MISSING)
        return refresh_store_failed(r, e);
    r->out->unsaved = true;
    return refresh_failed(
        r, REFRESH_STORAGE,
        "A NEW TOKEN WAS RECEIVED AND COULD NOT BE STORED; the old one may be refused from now on: %s", e->text);
}

bool refresh_save(struct refresh_try *r, const struct record_token *t, const struct ccp_oauth_session *session)
{
    struct store_error e, ignored;
    uint64_t began = clock_ms();
    bool last = session != NULL;
    while (attempt(r, t, session, &e) != STORE_OK) {
        if (last && session != NULL && e.status != STORE_MISSING)
            return refresh_failed(r, REFRESH_STORAGE, "its session could not be stored: %s", e.text);
        if (last || e.status == STORE_MISSING)
            return lost(r, &e);
        tell(r, &e);
        last = !more_tries(r, began);
    }
    store_note_clear(r->job->store, &r->lock, STORE_INTENT, &ignored);
    store_note_clear(r->job->store, &r->lock, STORE_STATE, &ignored);
    r->unanswered = false;
    refresh_hash(&r->stored, r->hash);
    return true;
}

/*
 * The end of a login: the new token replaces what the account had, under the account's lock.
 *
 * The old record is read only for what is to survive (unknown members, the generation to count on from); a broken one
 * is replaced. Then the notes about the old grant go: a refresh that was cut off, and why a login was needed.
 */
#include <auth/login_impl.h>

#include <base/clock.h>

/* A refresh that holds the lock may wait for its server. The code is used up by now, so this one waits longer. */
#define LOCK_MS       (90 * 1000)
#define LOCK_CHECK_MS 2000

static struct ccp_span label(const struct login_try *t)
{
    return t->request->account.n != 0 ? t->request->account : CCP_SPAN("default");
}

static struct store_place place_of(const struct login_try *t)
{
    return (struct store_place){.provider = t->request->provider->name, .account = label(t)};
}

static bool stop(void *arg)
{
    return login_stopped(arg);
}

/* What is there, or a new record. */
static enum store_status read_old(struct login_try *t, struct record *r, struct store_error *e)
{
    struct store_place at = place_of(t);
    enum store_status status = store_read(t->request->store, &at, r, e);
    if (status != STORE_MISSING && status != STORE_BROKEN)
        return status;
    record_release(r);
    record_init(r);
    if (record_new(r, at.provider, at.account))
        return STORE_OK;
    snprintf(e->text, sizeof(e->text), "out of memory");
    return e->status = STORE_IO;
}

bool login_store_check(struct login_try *t)
{
    struct store_place at = place_of(t);
    struct store_lock lock = {.fd = -1, .directory = -1};
    struct store_error e = {.status = STORE_OK};
    struct record old;
    if (!store_label_ok(at.account))
        return login_fail(t, LOGIN_FAILED, "\"%.*s\" cannot be an account's label: up to %d of A-Z a-z 0-9 . _ @ + -",
                          (int)(at.account.n < 64 ? at.account.n : 64), at.account.p, STORE_LABEL_MAX);
    enum store_status status = store_lock(t->request->store, &at, LOCK_CHECK_MS, stop, t, &lock, &e);
    store_unlock(&lock);
    record_init(&old);
    if (status == STORE_OK || status == STORE_BUSY)
        status = read_old(t, &old, &e);
    record_release(&old);
    return status == STORE_OK || login_fail_store(t, &e);
}

/* A second token that is bought with the first proves the login; without it nothing is stored. */
static bool prove(struct login_try *t, struct ccp_oauth_session *session)
{
    const struct oauth_provider *p = &t->meta.provider;
    struct oauth_answer answer = {.status = 0};
    if (!oauth_has_session(p))
        return true;
    enum oauth_result result = oauth_session(p, t->token.token.access_token, NULL, &t->token, session, &answer);
    return result == OAUTH_OK || login_fail_answer(t, result, &answer);
}

static bool fill(struct login_try *t, struct record *r, const struct ccp_oauth_session *session)
{
    const struct oauth_provider *p = &t->meta.provider;
    int64_t now = (int64_t)(clock_unix_us() / 1000000);
    bool fine = record_set_token(r, &t->token.token, true) &&
                (session->token.n == 0 || record_set_session(r, session, now)) &&
                record_set_source(r, p->token_url, p->client_id, p->origins.v, p->origins.n);
    return fine || login_fail(t, LOGIN_STORAGE, "out of memory; nothing was stored");
}

static bool replace(struct login_try *t, const struct store_lock *lock, const struct ccp_oauth_session *session)
{
    struct record *r = &t->out->record;
    struct store *s = t->request->store;
    struct store_error e = {.status = STORE_OK};
    if (read_old(t, r, &e) != STORE_OK)
        return login_fail_store(t, &e);
    if (!fill(t, r, session))
        return false;
    if (store_write(s, lock, r, &e) != STORE_OK)
        return login_fail_store(t, &e);
    /* They name the old generation, so one that stays is only untidy. */
    store_note_clear(s, lock, STORE_INTENT, &e);
    store_note_clear(s, lock, STORE_STATE, &e);
    return true;
}

bool login_store(struct login_try *t)
{
    struct ccp_oauth_session session = {.expires_at = 0};
    struct store_place at = place_of(t);
    struct store_lock lock = {.fd = -1, .directory = -1};
    struct store_error e = {.status = STORE_OK};
    if (!prove(t, &session))
        return false;
    if (store_lock(t->request->store, &at, LOCK_MS, stop, t, &lock, &e) != STORE_OK)
        return login_fail_store(t, &e);
    bool good = replace(t, &lock, &session);
    store_unlock(&lock);
    if (!good) {
        record_release(&t->out->record);
        record_init(&t->out->record);
    }
    return good;
}

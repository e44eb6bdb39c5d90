/*
 * The order of a renewal: look, lock, look again, and only then ask the server.
 *
 * The first look, without the lock, settles what needs none: no such login, or somebody else's newer token. After it
 * nothing is decided without the lock. Requests are refresh_send.c, writing refresh_save.c, notes refresh_note.c.
 */
#include <auth/refresh_impl.h>
#include <base/clock.h>

#include <time.h>

bool refresh_stopped(const struct refresh_try *r)
{
    return r->job->stop != NULL && r->job->stop(r->job->stop_arg);
}

bool refresh_pause(const struct refresh_try *r, uint64_t ms)
{
    const struct timespec step = {.tv_nsec = 50 * 1000000};
    for (uint64_t passed = 0; passed < ms; passed += 50) {
        if (refresh_stopped(r))
            return false;
        nanosleep(&step, NULL);
    }
    return !refresh_stopped(r);
}

bool refresh_expired(const struct refresh_try *r, bool grant)
{
    int64_t end = r->stored.expires_at;
    if (!grant)
        record_bearer(&r->stored, r->session, &end);
    return end != 0 && end <= (int64_t)(clock_unix_us() / 1000000);
}

void refresh_finish(struct refresh_try *r, enum refresh_result result)
{
    r->out->result = result;
    r->out->text[0] = '\0';
    record_release(&r->out->record);
    r->out->record = r->stored; /* moved: nothing in a record points into the struct itself */
    record_init(&r->stored);
}

/* Is what stands in the file something else than what the caller has? */
static bool changed(const struct refresh_try *r)
{
    const struct refresh_job *job = r->job;
    int64_t end;
    struct ccp_span bearer = record_bearer(&r->stored, r->session, &end);
    bool other_token = job->seen.n != 0 && !ccp_span_eq(bearer, job->seen);
    bool other_generation = job->place.file == NULL && r->stored.generation != job->generation;
    if (bearer.n == 0)
        return false;
    if (!job->force)
        return other_token || other_generation || (job->seen.n == 0 && job->place.file != NULL);
    /* Refused by upstream: only another token helps. Without one to compare, a caller that knows none wants a new one.
     */
    return job->seen.n != 0 ? other_token : other_generation && job->generation != 0;
}

/* Reads the file. True: it is for the caller to renew; false: it ended here. */
static bool look(struct refresh_try *r)
{
    struct store_error e = {0};
    record_release(&r->stored);
    e.status = store_read(r->job->store, &r->job->place, &r->stored, &e);
    if (e.status != STORE_OK)
        return refresh_store_failed(r, &e);
    if (!changed(r) || refresh_expired(r, false))
        return true;
    refresh_finish(r, REFRESH_ADOPTED);
    return false;
}

/* A refresh token goes only to where it came from. A vendor's file does not say: its layout belongs to the provider. */
static bool same_source(struct refresh_try *r)
{
    const struct record *s = &r->stored;
    struct oauth_provider *p = &r->provider;
    if (s->layout == NULL && !ccp_span_eq(s->client_id, p->client_id))
        return refresh_needs_login(r, "it was made for another client_id than the configured one");
    if (s->layout == NULL && p->token_url.n == 0 && oauth_url_refusal(s->token_url) == NULL) {
        p->token_url = arena_dup(&r->arena, s->token_url); /* saves the discovery, which could only confirm it */
        if (p->token_url.p == NULL)
            return refresh_failed(r, REFRESH_RETRY, "out of memory");
    }
    if (s->layout == NULL && !ccp_span_eq(s->token_url, p->token_url))
        return refresh_needs_login(r, "it was made at another token_url than the configured one");
    return true;
}

/* A vendor's file and a provider that is known by its issuer alone. */
static bool discovered(struct refresh_try *r)
{
    struct oauth_metadata found;
    if (r->provider.token_url.n != 0)
        return true;
    enum oauth_result got = oauth_discover(&r->provider, &r->arena, &found, &r->answer);
    if (got == OAUTH_OK && found.provider.token_url.n != 0) {
        r->provider = found.provider;
        return true;
    }
    r->out->retry_after_ms = r->answer.retry_after_ms;
    return refresh_failed(r, got == OAUTH_CLIENT || got == OAUTH_OK ? REFRESH_CONFIG : REFRESH_RETRY,
                          "its token endpoint is not known: %s", r->answer.text);
}

static bool renewable(struct refresh_try *r)
{
    if (r->stored.refresh_token.n == 0)
        return refresh_needs_login(r, "it %s and cannot be renewed (the server gave no refresh token)",
                                   refresh_expired(r, true) ? "has expired"
                                   : r->job->force          ? "was refused"
                                                            : "will expire");
    return same_source(r) && discovered(r);
}

bool refresh_grant(struct refresh_try *r)
{
    r->rotated = true;
    return renewable(r) && refresh_rotate(r);
}

/* A login that is known to be gone costs no request. */
static bool hopeful(struct refresh_try *r)
{
    struct refresh_note state = refresh_note_read(r, STORE_STATE);
    if (!state.found || r->job->insist)
        return true;
    r->out->result = REFRESH_NEEDS_LOGIN;
    _Static_assert(sizeof(r->out->text) >= sizeof(state.reason), "a reason fits");
    snprintf(r->out->text, sizeof(r->out->text), "%s", state.reason);
    return false;
}

static void under_lock(struct refresh_try *r)
{
    if (!look(r))
        return;
    refresh_hash(&r->stored, r->hash);
    if (!hopeful(r))
        return;
    if (refresh_stopped(r)) {
        r->out->result = REFRESH_STOPPED;
        return;
    }
    bool rotate = !r->session || (refresh_expired(r, true) && r->stored.refresh_token.n != 0);
    if (rotate && !refresh_grant(r))
        return;
    if (r->session && !refresh_session(r))
        return;
    refresh_finish(r, REFRESH_DONE);
}

/* False: not held. Who held it may have finished but for the unlocking (it is stopped), so there is one more look. */
static bool take_lock(struct refresh_try *r)
{
    const struct refresh_job *job = r->job;
    struct store_error e = {0};
    uint64_t wait = job->lock_wait_ms != 0 ? job->lock_wait_ms : REFRESH_LOCK_WAIT_MS;
    e.status = store_lock(job->store, &job->place, wait, job->stop, job->stop_arg, &r->lock, &e);
    if (e.status == STORE_OK)
        return true;
    if (e.status != STORE_BUSY || look(r))
        return refresh_store_failed(r, &e);
    return false;
}

void refresh_run(const struct refresh_job *job, struct refresh_outcome *out)
{
    const struct oauth_provider *p = job->provider;
    struct refresh_try r = {.job = job, .out = out, .provider = *p, .lock = {.fd = -1, .directory = -1}};
    *out = (struct refresh_outcome){.result = REFRESH_STOPPED};
    record_init(&out->record);
    record_init(&r.stored);
    arena_init(&r.arena, NULL, 1024 * 1024);
    r.session = oauth_has_session(p);
    if (!refresh_stopped(&r) && look(&r) && take_lock(&r))
        under_lock(&r);
    store_unlock(&r.lock);
    record_release(&r.stored);
    arena_end(&r.arena);
}

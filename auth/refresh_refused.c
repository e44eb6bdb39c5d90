/*
 * A grant that the server refuses: is it really over?
 *
 * Under the lock nobody of ours can have changed the record, but a vendor's own program does not know the lock: its
 * newer token is adopted. Else a state note keeps everyone from asking again for this generation. Tokens stay on disk.
 */
#include <auth/refresh_impl.h>
#include <base/clock.h>

#include <time.h>

static bool same_tokens(const struct record *a, const struct record *b)
{
    return a->generation == b->generation && ccp_span_eq(a->access_token, b->access_token) &&
           ccp_span_eq(a->refresh_token, b->refresh_token);
}

/* Reads once more. True: unchanged; false: it ended here. */
static bool unchanged(struct refresh_try *r)
{
    struct store_error e = {0};
    struct record now;
    record_init(&now);
    e.status = store_read(r->job->store, &r->job->place, &now, &e);
    if (e.status != STORE_OK || same_tokens(&now, &r->stored)) {
        record_release(&now);
        return e.status == STORE_OK || refresh_store_failed(r, &e);
    }
    record_release(&r->stored);
    r->stored = now;
    if (!refresh_expired(r, false)) {
        refresh_finish(r, REFRESH_ADOPTED);
        return false;
    }
    r->out->retry_after_ms = 1000;
    return refresh_failed(r, REFRESH_RETRY, "another program changed it meanwhile");
}

static void say_why(struct refresh_try *r)
{
    char when[32] = "?";
    time_t at = (time_t)r->intent.at;
    struct tm tm;
    if (!r->unanswered) {
        refresh_needs_login(r, "the server no longer accepts it (%s)", r->answer.text);
        return;
    }
    if (gmtime_r(&at, &tm) != NULL)
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    refresh_needs_login(r,
                        "its renewal at %s was interrupted before a new token was on disk, and the server no longer "
                        "accepts the old one (%s)",
                        when, r->answer.text);
}

bool refresh_refused(struct refresh_try *r)
{
    struct refresh_note note = {.generation = r->stored.generation, .at = (int64_t)(clock_unix_us() / 1000000)};
    struct store_error ignored;
    if (!unchanged(r))
        return false;
    say_why(r);
    memcpy(note.hash, r->hash, sizeof(note.hash));
    memcpy(note.reason, r->out->text, sizeof(note.reason));
    if (refresh_note_write(r, STORE_STATE, &note))
        store_note_clear(r->job->store, &r->lock, STORE_INTENT, &ignored);
    /* Not noted: the answer is the same, the next caller asks the server again and tries to note it again. */
    r->out->result = REFRESH_NEEDS_LOGIN;
    memcpy(r->out->text, note.reason, sizeof(note.reason));
    memcpy(r->out->code, r->answer.code, sizeof(r->out->code));
    return false;
}

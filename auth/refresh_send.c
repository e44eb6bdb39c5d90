/*
 * The request of a renewal, from the intent that announces it to what its answer means.
 *
 * A rotating refresh token dies with its first use, and the answer may be lost on the way: so the intent is on disk
 * before the token leaves, and it stays there until an answer says how it ended. Who finds one sends the same token
 * once more: a server with a grace period answers it, another one refuses, and then the reason is known.
 */
#include <auth/refresh_impl.h>
#include <base/clock.h>
#include <base/fault.h>

static bool announce(struct refresh_try *r)
{
    struct refresh_note next = {
        .generation = r->stored.generation, .at = (int64_t)(clock_unix_us() / 1000000), .sent = 1};
    if (r->intent.found) {
        next.at = r->intent.at;
        next.sent = r->intent.sent + 1;
    }
    memcpy(next.hash, r->hash, sizeof(next.hash));
    if (CCP_FAULT("refresh.intent"))
        return refresh_failed(r, REFRESH_STORAGE, "the intent could not be written");
    if (!refresh_note_write(r, STORE_INTENT, &next))
        return false;
    next.found = true;
    r->intent = next;
    return true;
}

/* After a definite answer. While an earlier request is unanswered nothing about that one is known yet. */
static void forget_intent(struct refresh_try *r)
{
    struct store_error e;
    if (!r->unanswered)
        store_note_clear(r->job->store, &r->lock, STORE_INTENT, &e);
}

static enum oauth_result post(struct refresh_try *r, struct oauth_token *token)
{
    oauth_token_release(token);
    oauth_token_init(token);
    r->answer = (struct oauth_answer){0};
    CCP_FAULT_BLOCK("refresh.before_request");
    enum oauth_result got = oauth_refresh(&r->provider, r->stored.refresh_token, r->job->watch, token, &r->answer);
    CCP_FAULT_BLOCK("refresh.before_write");
    return got;
}

/* A lost answer is asked for once more, and at once when the process is about to end: a grace period is short. */
static enum oauth_result ask(struct refresh_try *r, struct oauth_token *token)
{
    bool repeat = !r->unanswered;
    enum oauth_result got = post(r, token);
    if (got != OAUTH_LOST)
        return got;
    r->unanswered = true;
    if (!repeat)
        return got;
    refresh_pause(r, REFRESH_REPEAT_MS);
    announce(r); /* only counts: if the disk refuses it now, the first one still stands */
    return post(r, token);
}

static bool again_later(struct refresh_try *r, enum refresh_result result)
{
    r->out->retry_after_ms = r->answer.retry_after_ms;
    memcpy(r->out->code, r->answer.code, sizeof(r->out->code));
    return refresh_failed(r, result, "%s", r->answer.text);
}

static bool understood(struct refresh_try *r, enum oauth_result got)
{
    switch (got) {
    case OAUTH_OK:
        return true;
    case OAUTH_RETRY: /* a success without a usable token: the old one is probably used up */
        r->unanswered |= r->answer.status / 100 == 2;
        forget_intent(r);
        return again_later(r, REFRESH_RETRY);
    case OAUTH_NOT_SENT:
        forget_intent(r);
        return again_later(r, REFRESH_RETRY);
    case OAUTH_LOST:
        return again_later(r, REFRESH_RETRY);
    case OAUTH_CLIENT:
        forget_intent(r);
        return again_later(r, REFRESH_CONFIG);
    case OAUTH_GRANT:
        return refresh_refused(r);
    }
    return again_later(r, REFRESH_RETRY);
}

bool refresh_rotate(struct refresh_try *r)
{
    struct oauth_token token;
    r->intent = refresh_note_read(r, STORE_INTENT);
    r->unanswered = r->intent.found;
    if (!announce(r))
        return false;
    oauth_token_init(&token);
    bool renewed = understood(r, ask(r, &token)) && refresh_save(r, &token.token, NULL);
    oauth_token_release(&token);
    return renewed;
}

/* Buying a session uses nothing up: no intent, and a lost answer is asked for again whenever the caller comes back. The
 * login's own token may be refused although it has not ended by our clock; its refresh token says whether that is
 * final.
 */
bool refresh_session(struct refresh_try *r)
{
    struct oauth_token facts;
    struct ccp_oauth_session session = {0};
    oauth_token_init(&facts);
    enum oauth_result got =
        oauth_session(&r->provider, r->stored.access_token, r->job->watch, &facts, &session, &r->answer);
    bool again = got == OAUTH_GRANT && !r->rotated && r->stored.refresh_token.n != 0;
    bool renewed = !again && understood(r, got) && refresh_save(r, &facts.token, &session);
    oauth_token_release(&facts);
    return again ? refresh_grant(r) && refresh_session(r) : renewed;
}

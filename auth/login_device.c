/*
 * Login with a device code (RFC 8628): the user types a short code on any machine, we ask until he has.
 *
 * Never sooner than the interval that the server set, and not after the code has expired.
 */
#include <auth/login_impl.h>

#include <base/clock.h>

#define INTERVAL_S     5
#define INTERVAL_MAX_S 3600
#define EXPIRES_S      900
#define EXPIRES_MAX_S  (24 * 3600)

static void show(struct login_try *t, const struct ccp_oauth_device *d)
{
    const struct login_events *e = t->events;
    struct ccp_span url = d->verification_uri_complete.n != 0 ? d->verification_uri_complete : d->verification_uri;
    struct ccp_span z = arena_dup(&t->arena, url);
    bool opened = !t->request->no_browser && e->open != NULL && z.p != NULL && z.n != 0 && e->open(e->arg, z.p);
    e->device(e->arg, d, opened);
}

static bool poll_once(struct login_try *t, struct ccp_oauth_device *d, bool *approved)
{
    struct oauth_answer answer = {.status = 0};
    switch (oauth_device_poll(&t->meta.provider, NULL, &t->token, d, &answer)) {
    case CCP_OAUTH_APPROVED:
        *approved = true;
        return true;
    case CCP_OAUTH_PENDING:
    case CCP_OAUTH_SLOW_DOWN:
        return true;
    case CCP_OAUTH_DENIED:
        return login_fail(t, LOGIN_REFUSED, "%s", answer.text[0] != '\0' ? answer.text : "the login was refused");
    case CCP_OAUTH_EXPIRED:
        return login_fail(t, LOGIN_TIMEOUT, "the code has expired; start the login again");
    case CCP_OAUTH_BROKEN:
        break;
    }
    return login_fail(t, LOGIN_UNAVAILABLE, "%s",
                      answer.text[0] != '\0' ? answer.text : "the server's answer could not be understood");
}

static uint64_t milliseconds(int64_t seconds, int64_t usual, int64_t most)
{
    return (uint64_t)(seconds <= 0 ? usual : seconds < most ? seconds : most) * 1000;
}

static bool wait_for(struct login_try *t, struct ccp_oauth_device *d)
{
    uint64_t end = clock_ms() + milliseconds(d->expires_in, EXPIRES_S, EXPIRES_MAX_S);
    bool approved = false;
    if (t->request->timeout_ms == 0 || t->end_ms > end)
        t->end_ms = end; /* the server's own limit is the one that counts */
    while (!approved) {
        uint64_t pause = milliseconds(d->interval, INTERVAL_S, INTERVAL_MAX_S);
        if (clock_ms() + pause >= end)
            return login_fail(t, LOGIN_TIMEOUT, "the code has expired before it was entered; start the login again");
        if (!login_pause(t, pause) || !poll_once(t, d, &approved))
            return false;
    }
    return true;
}

bool login_device(struct login_try *t)
{
    struct ccp_oauth_device d = {.interval = 0};
    struct oauth_answer answer = {.status = 0};
    enum oauth_result result = oauth_device_begin(&t->meta.provider, NULL, &t->token, &d, &answer);
    if (result != OAUTH_OK)
        return login_fail_answer(t, result, &answer);
    show(t, &d);
    return wait_for(t, &d);
}

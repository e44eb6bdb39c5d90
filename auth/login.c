/*
 * Making a login: which way is taken, and how an attempt ends. See login.h.
 *
 * The order is the same for all: can it be stored, where are the endpoints, the flow, the second token where the
 * provider has one, the store. Nothing of an older login takes part: its grant is neither sent nor looked at, and it
 * stays as it is until the new one is whole.
 */
#include <auth/login_impl.h>

#include <base/clock.h>
#include <base/secret.h>

#include <poll.h>

#define STEP_MS 250

bool login_fail(struct login_try *t, enum login_result result, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->out->text, sizeof(t->out->text), fmt, ap);
    va_end(ap);
    t->out->result = result;
    return false;
}

bool login_fail_answer(struct login_try *t, enum oauth_result result, const struct oauth_answer *answer)
{
    bool refused = result == OAUTH_GRANT || result == OAUTH_CLIENT;
    return login_fail(t, refused ? LOGIN_REFUSED : LOGIN_UNAVAILABLE, "%s", answer->text);
}

bool login_fail_store(struct login_try *t, const struct store_error *e)
{
    t->out->storage = e->status;
    return login_fail(t, e->status == STORE_STOPPED ? LOGIN_INTERRUPTED : LOGIN_STORAGE, "%s", e->text);
}

bool login_stopped(const struct login_try *t)
{
    return t->events->stop != NULL && t->events->stop(t->events->arg);
}

bool login_pause(struct login_try *t, uint64_t ms)
{
    uint64_t now = clock_ms(), end = now + ms;
    while (now < end) {
        if (login_stopped(t))
            return login_fail(t, LOGIN_INTERRUPTED, "interrupted; nothing was stored");
        if (now >= t->end_ms)
            return login_fail(t, LOGIN_TIMEOUT, "the login was not finished in time; nothing was stored");
        if (t->events->waiting != NULL)
            t->events->waiting(t->events->arg);
        poll(NULL, 0, (int)(end - now < STEP_MS ? end - now : STEP_MS));
        now = clock_ms();
    }
    return true;
}

unsigned login_ways(const struct oauth_provider *p, enum login_way *best)
{
    bool code = (p->flags & (CCP_OAUTH_BROWSER | CCP_OAUTH_PASTE)) != 0;
    unsigned ways = (code ? 1u << LOGIN_PASTE : 0) | ((p->flags & CCP_OAUTH_DEVICE) != 0 ? 1u << LOGIN_DEVICE : 0) |
                    ((p->flags & CCP_OAUTH_BROWSER) != 0 && login_can_listen(p) ? 1u << LOGIN_BROWSER : 0) |
                    (p->def->file != NULL ? 1u << LOGIN_IMPORT : 0);
    *best = (ways & (1u << LOGIN_BROWSER)) != 0  ? LOGIN_BROWSER
            : (ways & (1u << LOGIN_DEVICE)) != 0 ? LOGIN_DEVICE
            : code                               ? LOGIN_PASTE
                                                 : LOGIN_IMPORT;
    return ways;
}

static bool check_way(struct login_try *t)
{
    static const char *const names[] = {"through a browser on this machine", "by pasting a code", "with a device code",
                                        "by import: its vendor's program keeps no file that is known"};
    const struct login_request *r = t->request;
    enum login_way best;
    if ((login_ways(r->provider, &best) & (1u << r->way)) != 0)
        return true;
    return login_fail(t, LOGIN_FAILED, "%.*s cannot be logged into %s", CCP_FMT(r->provider->name), names[r->way]);
}

static bool discover(struct login_try *t)
{
    struct oauth_answer answer = {.status = 0};
    enum oauth_result result = oauth_discover(t->request->provider, &t->arena, &t->meta, &answer);
    return result == OAUTH_OK || login_fail_answer(t, result, &answer);
}

static bool flow(struct login_try *t)
{
    static bool (*const flows[])(struct login_try *) = {login_browser, login_paste, login_device, login_import};
    return flows[t->request->way](t);
}

static bool run(struct login_try *t)
{
    if (!check_way(t) || !login_store_check(t))
        return false;
    if (t->request->way != LOGIN_IMPORT && !discover(t))
        return false;
    return flow(t) && login_store(t);
}

void login_run(const struct login_request *request, const struct login_events *events, struct login_outcome *out)
{
    struct login_try t = {.request = request, .events = events, .out = out};
    *out = (struct login_outcome){.result = LOGIN_FAILED};
    record_init(&out->record);
    arena_init_secret(&t.arena, 4u << 20);
    oauth_token_init(&t.token);
    t.meta.provider = *request->provider;
    t.end_ms = clock_ms() + (request->timeout_ms != 0 ? request->timeout_ms : LOGIN_LIMIT_MS);
    if (run(&t))
        out->result = LOGIN_OK;
    oauth_token_release(&t.token);
    arena_end(&t.arena);
    secret_wipe(&t, sizeof(t));
}

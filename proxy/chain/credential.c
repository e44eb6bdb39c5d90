/*
 * The credential of a stored login: where the exchange gets it, waits for it, and changes it after a refusal.
 *
 * The worker's view (auth/auth.h) answers at once, or the exchange waits in X_UPSTREAM without a transfer until the
 * view has news; not for long if the token that is there is still good. A credential that upstream refuses is renewed
 * once for each exchange; the request is then sent once more.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <chain/exchange_impl.h>

void chain_worker_set_auth(struct chain_worker *w, struct auth_view *view)
{
    w->auth = view;
}

bool credential_usable(const struct exchange *x, const struct provider *p)
{
    if (p->login.login == NULL)
        return p->usable;
    enum auth_state state = auth_report(x->w->auth, &p->login).state;
    return p->enabled && state != AUTH_ABSENT && state != AUTH_NEEDS_LOGIN;
}

struct ccp_span credential_missing(const struct exchange *x, const struct provider *p)
{
    struct auth_report r = {.state = AUTH_ABSENT};
    if (p->login.login != NULL && p->enabled)
        r = auth_report(x->w->auth, &p->login);
    return r.text.n != 0 ? r.text : p->unusable;
}

static void fail(struct exchange *x, const struct auth_report *why)
{
    const struct provider *p = x->route.provider;
    if (why->state == AUTH_LATER)
        exchange_fail(x, CCP_CREDENTIAL_LATER, "the login of provider %.*s could not be renewed: %.*s", CCP_FMT(p->id),
                      CCP_FMT(why->text.n != 0 ? why->text : CCP_SPAN("it is being tried again")));
    else if (x->renewed && why->text.n == 0)
        exchange_fail(x, CCP_LOGIN_REQUIRED, "provider %.*s refused its login: run: ccproxy auth login %.*s --force",
                      CCP_FMT(p->id), CCP_FMT(p->login.login->name));
    else
        exchange_fail(x, CCP_LOGIN_REQUIRED, "provider %.*s has no usable credential: %.*s", CCP_FMT(p->id),
                      CCP_FMT(why->text.n != 0 ? why->text : p->unusable));
}

static void go_on(struct exchange *x)
{
    auth_wait_cancel(&x->credential_wait);
    loop_timer_stop(x->w->loop, &x->credential_patience);
    x->credential_news = true;
    loop_soon(x->w->loop, &x->task); /* attempt_next */
}

static void on_news(struct auth_wait *w)
{
    go_on((struct exchange *)((char *)w - offsetof(struct exchange, credential_wait)));
}

/* The renewal takes long: a token that is still good will do. */
static void on_patience(struct loop_timer *t)
{
    struct exchange *x = (struct exchange *)((char *)t - offsetof(struct exchange, credential_patience));
    struct auth_report r = auth_report(x->w->auth, &x->route.provider->login);
    if (r.state == AUTH_READY && (r.expires_at == 0 || r.expires_at > (int64_t)(clock_unix_us() / 1000000)))
        go_on(x);
}

static void wait_for_news(struct exchange *x)
{
    x->credential_asked = true;
    x->credential_patience.fire = on_patience;
    if (x->credential_refused == 0) /* else the one that is there is no good */
        loop_timer_set(x->w->loop, &x->credential_patience, AUTH_PATIENCE_MS);
}

static void unref(void *arg)
{
    auth_credential_unref(arg);
}

/* The refused one lives as long as the exchange: headers that the provider has prepared may be facts of it. */
static bool replace(struct exchange *x, struct auth_credential *fresh)
{
    if (x->credential != NULL && (CCP_FAULT("credential.defer") || !arena_defer(&x->arena, unref, x->credential))) {
        auth_credential_unref(fresh);
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    x->refused = x->credential;
    x->credential = fresh;
    return true;
}

enum ccp_verdict credential_acquire(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    struct auth_credential *fresh = NULL;
    struct auth_report why;
    if (p->login.login == NULL || (x->credential != NULL && x->credential->serial != x->credential_refused))
        return CCP_NEXT;
    if (!p->enabled) {
        exchange_fail(x, CCP_LOGIN_REQUIRED, "provider %.*s cannot be used: %.*s", CCP_FMT(p->id),
                      CCP_FMT(p->unusable));
        return CCP_FAILED;
    }
    x->credential_wait.resume = on_news;
    switch (auth_acquire(x->w->auth, &p->login, x->credential_refused, x->credential_asked, &x->credential_wait, &fresh,
                         &why)) {
    case AUTH_GRANTED:
        return replace(x, fresh) ? CCP_NEXT : CCP_FAILED;
    case AUTH_WAITS:
        wait_for_news(x);
        return CCP_WAIT;
    case AUTH_DENIED:
        break;
    }
    fail(x, &why);
    return CCP_FAILED;
}

bool credential_renewable(struct exchange *x)
{
    if (x->renewed || x->credential == NULL)
        return false;
    x->renewed = true;
    x->credential_refused = x->credential->serial;
    x->credential_asked = false;
    return true;
}

/* Of another provider than the exchange's own: what is there now, kept as long as the exchange. */
static struct auth_credential *borrowed(struct exchange *x, const struct provider *p)
{
    struct auth_credential *c = NULL;
    struct auth_wait nobody = {NULL};
    struct auth_report why;
    if (auth_acquire(x->w->auth, &p->login, 0, true, &nobody, &c, &why) != AUTH_GRANTED)
        auth_wait_cancel(&nobody);
    if (c == NULL || (!CCP_FAULT("credential.defer") && arena_defer(&x->arena, unref, c)))
        return c;
    auth_credential_unref(c);
    return NULL;
}

bool credential_describe(struct exchange *x, const struct provider *p, struct ccp_upstream_request *up)
{
    bool own = p == x->route.provider && x->credential != NULL;
    const struct auth_credential *c = own ? x->credential : borrowed(x, p);
    if (c == NULL)
        return false;
    x->described = c;
    up->credential = c->secret;
    up->credential_header = CCP_SPAN("authorization");
    up->credential_prefix = CCP_SPAN("Bearer ");
    return true;
}

void credential_release(struct exchange *x)
{
    auth_wait_cancel(&x->credential_wait);
    loop_timer_stop(x->w->loop, &x->credential_patience);
    auth_credential_unref(x->credential);
    x->credential = NULL;
}

/*
 * Login by hand: the user opens the URL anywhere and pastes what the last page shows.
 *
 * That is code#state on a page of the vendor's, or the address of a page that could not be loaded, since nothing
 * listens at the loopback redirect. A wrong paste costs nothing and may be corrected; the code goes out once.
 */
#include <auth/login_impl.h>

#include <base/clock.h>

#define TRIES 3

/* A port for a redirect that nobody takes: a registered one, or one that is free now. */
static bool choose_port(struct login_try *t, uint16_t *port)
{
    const struct oauth_provider *p = &t->meta.provider;
    char why[256];
    if (p->ports != NULL && p->ports[0] != 0) {
        *port = p->ports[0];
        return true;
    }
    struct callback *c = callback_open(NULL, why);
    if (c == NULL)
        return login_fail(t, LOGIN_UNAVAILABLE, "%s", why);
    *port = callback_port(c);
    callback_close(c, false);
    return true;
}

static bool choose_redirect(struct login_try *t)
{
    const struct oauth_provider *p = &t->meta.provider;
    uint16_t port = 0;
    t->redirect_uri = p->paste_redirect;
    if (t->redirect_uri.n != 0)
        return true;
    if (p->redirect_uri.n == 0 && !choose_port(t, &port))
        return false;
    t->redirect_uri = login_redirect_uri(p, &t->arena, port);
    return t->redirect_uri.p != NULL || login_fail(t, LOGIN_FAILED, "out of memory");
}

static bool ask(struct login_try *t, struct pasted *answer)
{
    bool ended = false;
    for (int tries = 0; tries < TRIES && !ended; tries++)
        if (login_ask(t, answer, &ended))
            return true;
    if (login_stopped(t))
        return login_fail(t, LOGIN_INTERRUPTED, "interrupted; nothing was stored");
    if (clock_ms() >= t->end_ms)
        return login_fail(t, LOGIN_TIMEOUT, "the login was not finished in time; nothing was stored");
    return login_fail(t, LOGIN_FAILED,
                      ended ? "no code was given; nothing was stored" : "no usable code was given; nothing was stored");
}

bool login_paste(struct login_try *t)
{
    struct pasted answer = {.code = {NULL, 0}};
    if (!choose_redirect(t))
        return false;
    struct ccp_span url = login_authorize(t);
    if (url.p == NULL)
        return false;
    login_visit(t, url);
    return ask(t, &answer) && login_redeem(t, &answer);
}

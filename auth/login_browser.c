/*
 * Login through a browser on this machine: the server redirects it to our loopback listener.
 *
 * The redirect URI is made once and is the same, byte for byte, in the request, in the listener's path and in the
 * exchange (RFC 9700 section 2.1). While the listener waits the user may paste the answer instead: the browser may run
 * on another machine, where the redirect fails and its address is all there is.
 */
#include <auth/login_impl.h>

#include <base/clock.h>
#include <base/url.h>

#define STEP_MS 250

static struct ccp_span or_default(struct ccp_span s, const char *z)
{
    return s.n != 0 ? s : ccp_span_z(z);
}

/* A whole URI that the operator set. */
static bool parse_loopback(struct ccp_span uri, struct url *u)
{
    return url_parse(uri, u) == NULL && ccp_span_is(u->scheme, "http") && u->query.n == 0 &&
           (ccp_span_is(u->host, "127.0.0.1") || ccp_span_is(u->host, "::1") || ccp_span_is(u->host, "localhost"));
}

bool login_can_listen(const struct oauth_provider *p)
{
    struct url u;
    return p->redirect_uri.n == 0 || parse_loopback(p->redirect_uri, &u);
}

struct ccp_span login_redirect_uri(const struct oauth_provider *p, struct arena *a, uint16_t port)
{
    struct ccp_span host = or_default(p->redirect_host, "127.0.0.1"), path = or_default(p->redirect_path, "/callback");
    bool v6 = ccp_span_find(host, ':') < host.n && host.p[0] != '[';
    if (p->redirect_uri.n != 0)
        return p->redirect_uri;
    return arena_printf(a, "http://%s%.*s%s:%u%.*s", v6 ? "[" : "", CCP_FMT(host), v6 ? "]" : "", port, CCP_FMT(path));
}

static struct callback *listen_for(struct login_try *t)
{
    const struct oauth_provider *p = &t->meta.provider;
    uint16_t one[2] = {0, 0};
    struct url u;
    char why[256];
    if (p->redirect_uri.n != 0 && parse_loopback(p->redirect_uri, &u))
        one[0] = u.port;
    struct callback *c = callback_open(one[0] != 0 ? one : p->ports, why);
    if (c == NULL)
        login_fail(t, LOGIN_UNAVAILABLE, "%s", why);
    return c;
}

/* The listener, and the keyboard where the caller offers it. */
static bool wait_for(struct login_try *t, struct callback *c, struct ccp_span path, struct pasted *answer)
{
    const struct login_events *e = t->events;
    bool ended = e->typed == NULL;
    while (!callback_wait(c, path, ccp_span_z(t->state), STEP_MS, &t->arena, answer)) {
        if (login_stopped(t))
            return login_fail(t, LOGIN_INTERRUPTED, "interrupted; nothing was stored");
        if (clock_ms() >= t->end_ms)
            return login_fail(t, LOGIN_TIMEOUT, "nobody came back from the login page in time; nothing was stored");
        if (!ended && e->typed(e->arg) && login_ask(t, answer, &ended))
            return true;
        if (e->waiting != NULL)
            e->waiting(e->arg);
    }
    return true;
}

static bool go(struct login_try *t, struct callback *c)
{
    struct pasted answer = {.code = {NULL, 0}};
    struct url u;
    t->redirect_uri = login_redirect_uri(&t->meta.provider, &t->arena, callback_port(c));
    if (t->redirect_uri.p == NULL || url_parse(t->redirect_uri, &u) != NULL)
        return login_fail(t, LOGIN_FAILED,
                          "no redirect address could be made: out of memory, or redirect_path is no path");
    struct ccp_span url = login_authorize(t);
    if (url.p == NULL)
        return false;
    login_visit(t, url);
    return wait_for(t, c, u.path.n != 0 ? u.path : CCP_SPAN("/"), &answer) && login_redeem(t, &answer);
}

bool login_browser(struct login_try *t)
{
    struct callback *c = listen_for(t);
    bool good = c != NULL && go(t, c);
    callback_close(c, good);
    return good;
}

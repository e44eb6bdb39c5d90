/*
 * The authorization code grant (RFC 6749 section 4.1, RFC 7636): the request, and what may be done with its answer.
 *
 * State, verifier and nonce are made for one attempt and used once. An answer is ours by its state alone, compared in
 * constant time; then the issuer (RFC 9207) decides whether the code may go to our token endpoint: a code of another
 * server never does. `iss` is compared when it is there and an issuer is known, and must be there when the server's
 * metadata promised it.
 */
#include <auth/login_impl.h>

#include <base/clock.h>
#include <base/log.h>
#include <base/secret.h>

#define PASTE_MAX (16 * 1024) /* longer than what paste_read takes, so that it says so */

/* Of a server, for people: control bytes made visible, at most max - 1 bytes. */
static const char *visible(char *out, size_t max, struct ccp_span text)
{
    out[log_escape(out, max - 1, text, false)] = '\0';
    return out;
}

static bool wants_nonce(struct ccp_span scopes)
{
    while (scopes.n != 0) {
        size_t n = ccp_span_find(scopes, ' ');
        if (ccp_span_is(ccp_span_of(scopes.p, n), "openid"))
            return true;
        scopes = ccp_span_skip(scopes, n + 1);
    }
    return false;
}

/* Opened and shown only when it is what a browser should get: an https or literal loopback URL in visible ASCII. */
static bool url_is_safe(struct ccp_span url)
{
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= 0x20 || url.p[i] >= 0x7f)
            return false;
    return url.n != 0 && oauth_url_refusal(url) == NULL;
}

struct ccp_span login_authorize(struct login_try *t)
{
    const struct oauth_provider *p = &t->meta.provider;
    struct ccp_span none = {NULL, 0};
    bool pkce = (p->flags & CCP_OAUTH_NO_PKCE) == 0, nonce = wants_nonce(p->scopes);
    if (!pkce_random(t->state) || !pkce_random(t->verifier) || !pkce_random(t->nonce)) {
        login_fail(t, LOGIN_FAILED, "the system gives no random numbers");
        return none;
    }
    pkce_challenge(ccp_span_z(t->verifier), t->challenge);
    struct ccp_span url = oauth_authorize_url(p, &t->arena, t->redirect_uri, ccp_span_z(t->state),
                                              pkce ? ccp_span_z(t->challenge) : CCP_SPAN(""),
                                              nonce ? ccp_span_z(t->nonce) : CCP_SPAN(""));
    if (url.p == NULL)
        login_fail(t, LOGIN_FAILED, "out of memory");
    else if (!url_is_safe(url))
        login_fail(t, LOGIN_FAILED, "the authorization URL of %.*s is not one that may be opened in a browser",
                   CCP_FMT(p->name));
    else
        return url;
    return none;
}

void login_visit(struct login_try *t, struct ccp_span url)
{
    bool opened = false;
    struct ccp_span z = arena_dup(&t->arena, url);
    if (!t->request->no_browser && t->events->open != NULL && z.p != NULL)
        opened = t->events->open(t->events->arg, z.p);
    t->events->visit(t->events->arg, url, opened);
}

const char *login_foreign(const struct login_try *t, const struct pasted *answer)
{
    if (answer->state.n == 0)
        return "its state is missing: paste the whole address of the page, or all of code#state";
    if (!pkce_same(answer->state, ccp_span_z(t->state)))
        return "it belongs to another login: use the page that the address above leads to";
    if (answer->code.n == 0 && answer->error.n == 0)
        return "there is no code in it";
    return NULL;
}

static bool check_issuer(struct login_try *t, const struct pasted *answer)
{
    struct ccp_span expected = t->meta.provider.issuer;
    char got[200];
    if (answer->iss.n == 0 && t->meta.iss_required)
        return login_fail(t, LOGIN_REFUSED,
                          "the server promises to name itself in its answers (RFC 9207), and this one does not; the "
                          "code was not used");
    if (answer->iss.n == 0 || expected.n == 0 || ccp_span_eq(answer->iss, expected))
        return true;
    return login_fail(t, LOGIN_REFUSED, "the answer comes from \"%s\" instead of %.*s; the code was not used",
                      visible(got, sizeof(got), answer->iss), (int)(expected.n < 200 ? expected.n : 200), expected.p);
}

static bool refused(struct login_try *t, const struct pasted *answer)
{
    char code[100], more[400];
    visible(code, sizeof(code), answer->error);
    visible(more, sizeof(more), answer->error_description);
    return login_fail(t, LOGIN_REFUSED, "the server refused the login: %s%s%s", code, more[0] != '\0' ? ": " : "",
                      more);
}

bool login_redeem(struct login_try *t, const struct pasted *answer)
{
    const struct oauth_provider *p = &t->meta.provider;
    struct oauth_answer said = {.status = 0};
    if (!check_issuer(t, answer))
        return false;
    if (answer->error.n != 0)
        return refused(t, answer);
    struct oauth_code code = {.code = answer->code,
                              .redirect_uri = t->redirect_uri,
                              .state = ccp_span_z(t->state),
                              .jwks_uri = t->meta.jwks_uri};
    if ((p->flags & CCP_OAUTH_NO_PKCE) == 0)
        code.verifier = ccp_span_z(t->verifier);
    if (wants_nonce(p->scopes))
        code.nonce = ccp_span_z(t->nonce);
    enum oauth_result result = oauth_exchange(p, &code, NULL, &t->token, &said);
    return result == OAUTH_OK || login_fail_answer(t, result, &said);
}

static const char *read_line(struct login_try *t, struct ccp_span line, struct pasted *answer)
{
    const char *wrong = paste_read(&t->arena, line, answer);
    return wrong != NULL ? wrong : login_foreign(t, answer);
}

bool login_ask(struct login_try *t, struct pasted *answer, bool *ended)
{
    const struct login_events *e = t->events;
    struct arena_mark mark = arena_mark(&t->arena);
    char *line = arena_alloc(&t->arena, PASTE_MAX);
    *ended =
        line == NULL || !e->ask(e->arg, line, PASTE_MAX) || clock_ms() >= t->end_ms; /* as long as its state lives */
    if (*ended)
        return false;
    const char *wrong = read_line(t, ccp_span_z(line), answer);
    if (wrong == NULL)
        return true;
    char text[200];
    snprintf(text, sizeof(text), "This cannot be used: %s.", wrong);
    e->say(e->arg, text);
    arena_rewind(&t->arena, mark);
    return false;
}

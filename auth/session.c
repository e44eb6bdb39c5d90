/*
 * The second token: short-lived, bought with the login's own one, and what upstreams really want.
 */
#include <auth/protocol_impl.h>
#include <base/secret.h>

/* Copies what the provider read. False: not a token, or no memory. */
static bool keep(struct oauth_token *t, struct ccp_oauth_session *s)
{
    if (!oauth_token_ok(s->token) || s->expires_at < 0 || s->refresh_in < 0)
        return false;
    s->token = arena_dup(&t->arena, s->token);
    return s->token.p != NULL;
}

/* 401: the login is not accepted any more. 403 is the same unless the server says when to come back, or that nothing is
 * left of a limit (GitHub's primary one): then it is one limit or another. The table in answer.c cannot know that these
 * two are about the login and not about the client. */
static void judge_refusal(struct oauth_turn *t)
{
    int status = t->http.status;
    char words[OAUTH_TEXT_MAX + 16];

    if (oauth_answer_judge(t) == OAUTH_OK || t->root == NULL || (status != 401 && status != 403))
        return;
    bool limit = t->http.retry_after_ms != 0 || (status == 403 && t->http.used_up);
    enum oauth_result result = limit ? OAUTH_RETRY : OAUTH_GRANT;
    oauth_answer_words(t, words);
    oauth_turn_fail(t, result, "%.*s refused the login: %d%s%s", CCP_FMT(t->server), status,
                    words[0] != '\0' ? " " : "", words);
}

static void read(struct oauth_turn *t, struct oauth_token *out, struct ccp_oauth_session *session)
{
    struct oauth_call c;

    oauth_call_init(&c, t->p, &t->scratch, out);
    if (!t->p->def->read_session(&c.call, t->root, session) || !keep(out, session)) {
        *session = (struct ccp_oauth_session){.expires_at = 0};
        oauth_turn_fail(t, OAUTH_RETRY, "%.*s answered %d, but not with a session", CCP_FMT(t->server), t->http.status);
    }
}

enum oauth_result oauth_session(const struct oauth_provider *p, struct ccp_span access_token,
                                const struct oauth_watch *watch, struct oauth_token *t, struct ccp_oauth_session *out,
                                struct oauth_answer *answer)
{
    struct oauth_turn turn;
    struct oauth_request r = {
        .url = p->session_url,
        .credential_prefix = ccp_span_z(p->def->session_scheme != NULL ? p->def->session_scheme : "Bearer "),
    };

    *out = (struct ccp_oauth_session){.expires_at = 0};
    oauth_turn_init(&turn, p, watch, "session", answer);
    oauth_turn_secret(&turn, access_token);
    struct ccp_secret *secret = secret_new(access_token);
    r.credential = secret;
    if (!oauth_has_session(p)) {
        oauth_turn_fail(&turn, OAUTH_CLIENT, "the login \"%.*s\" has no session_url", CCP_FMT(p->name));
    } else if (secret == NULL) {
        oauth_turn_fail(&turn, OAUTH_NOT_SENT, "out of memory");
    } else if (oauth_turn_send(&turn, &r)) {
        judge_refusal(&turn);
        if (answer->result == OAUTH_OK)
            read(&turn, t, out);
    }
    secret_unref(secret);
    return oauth_turn_end(&turn);
}

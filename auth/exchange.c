/*
 * The two requests that end in tokens: a code redeemed (RFC 6749 section 4.1.3), a login renewed (section 6).
 */
#include <auth/protocol_impl.h>
#include <base/clock.h>

static enum oauth_result no_endpoint(const struct oauth_provider *p, const char *which, struct oauth_answer *answer)
{
    *answer = (struct oauth_answer){.result = OAUTH_CLIENT};
    return oauth_answer_fail(answer, OAUTH_CLIENT, "the login \"%.*s\" has no %s", CCP_FMT(p->name), which);
}

static bool lists(struct ccp_span scopes, const char *one)
{
    while (scopes.n != 0) {
        struct ccp_span first = ccp_span_of(scopes.p, ccp_span_find(scopes, ' '));
        if (ccp_span_is(first, one))
            return true;
        scopes = ccp_span_skip(scopes, first.n + 1);
    }
    return false;
}

/* With the server's published keys; a login whose id_token is not the server's, or not for us, is none. */
static enum oauth_result verify(const struct oauth_provider *p, const struct oauth_code *code, struct ccp_span token,
                                struct oauth_answer *answer)
{
    struct oauth_turn t;
    const char *why = NULL;

    oauth_turn_init(&t, p, NULL, NULL, answer);
    if (oauth_turn_send(&t, &(struct oauth_request){.url = code->jwks_uri}) && oauth_answer_judge(&t) == OAUTH_OK) {
        const struct jwt_expect expect = {p->issuer, p->client_id, code->nonce, (int64_t)(clock_unix_us() / 1000000u)};
        why = jwt_verify(token, buf_span(&t.body), &expect);
    }
    if (why != NULL)
        oauth_turn_fail(&t, OAUTH_CLIENT, "the id_token is refused: %s", why);
    return oauth_turn_end(&t);
}

static enum oauth_result check_identity(const struct oauth_provider *p, const struct oauth_code *code,
                                        struct oauth_token *out, struct oauth_answer *answer)
{
    if (code->jwks_uri.n == 0)
        return OAUTH_OK;
    if (out->token.id_token.n != 0)
        return verify(p, code, out->token.id_token, answer);
    if (!lists(p->scopes, "openid"))
        return OAUTH_OK;
    return oauth_answer_fail(answer, OAUTH_CLIENT,
                             "the token answer has no id_token, which the scope \"openid\" promises");
}

static size_t code_fields(struct oauth_turn *t, const struct oauth_code *code, struct oauth_field *f)
{
    const struct oauth_provider *p = t->p;
    size_t n = 0;

    f[n++] = (struct oauth_field){"grant_type", CCP_SPAN("authorization_code")};
    f[n++] = (struct oauth_field){"code", code->code};
    f[n++] = (struct oauth_field){"redirect_uri", code->redirect_uri};
    if ((p->flags & CCP_OAUTH_NO_PKCE) == 0)
        f[n++] = (struct oauth_field){"code_verifier", code->verifier};
    if ((p->flags & CCP_OAUTH_STATE_IN_TOKEN) != 0)
        f[n++] = (struct oauth_field){"state", code->state};
    oauth_turn_secret(t, code->code);
    oauth_turn_secret(t, code->verifier);
    return n + oauth_turn_client_fields(t, f + n);
}

enum oauth_result oauth_exchange(const struct oauth_provider *p, const struct oauth_code *code,
                                 const struct oauth_watch *watch, struct oauth_token *out, struct oauth_answer *answer)
{
    struct oauth_turn t;
    struct oauth_field fields[8];

    if (p->token_url.n == 0)
        return no_endpoint(p, "token_url", answer);
    oauth_turn_init(&t, p, watch, "token", answer);
    size_t n = code_fields(&t, code, fields);
    if (oauth_turn_post(&t, p->token_url, fields, n) && oauth_answer_judge(&t) == OAUTH_OK)
        oauth_token_read(&t, out);
    enum oauth_result result = oauth_turn_end(&t);
    if (result != OAUTH_OK)
        return result;
    result = check_identity(p, code, out, answer);
    if (result != OAUTH_OK)
        out->token = (struct record_token){.obtained_at = 0};
    return result;
}

enum oauth_result oauth_refresh(const struct oauth_provider *p, struct ccp_span refresh_token,
                                const struct oauth_watch *watch, struct oauth_token *out, struct oauth_answer *answer)
{
    struct oauth_turn t;
    struct oauth_field fields[8];
    size_t n = 0;

    if (p->token_url.n == 0)
        return no_endpoint(p, "token_url", answer);
    oauth_turn_init(&t, p, watch, "refresh", answer);
    oauth_turn_secret(&t, refresh_token);
    fields[n++] = (struct oauth_field){"grant_type", CCP_SPAN("refresh_token")};
    fields[n++] = (struct oauth_field){"refresh_token", refresh_token};
    fields[n++] = (struct oauth_field){"scope", p->refresh_scopes};
    n += oauth_turn_client_fields(&t, fields + n);
    if (oauth_turn_post(&t, p->token_url, fields, n) && oauth_answer_judge(&t) == OAUTH_OK)
        oauth_token_read(&t, out);
    return oauth_turn_end(&t);
}

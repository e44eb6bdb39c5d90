/*
 * Ending a login at the server (RFC 7009). Best effort by nature: what is stored here goes in any case, and that is the
 * caller's business.
 */
#include <auth/protocol_impl.h>

/* "The token is not one" is what was asked for (RFC 7009 section 2.2); some servers say so with an error. */
static bool unknown_token(const struct oauth_answer *a)
{
    struct ccp_span code = ccp_span_z(a->code);

    return a->status >= 400 && a->status < 500 &&
           (ccp_span_is(code, "invalid_token") || oauth_answer_of_code(code) == OAUTH_GRANT);
}

/* A good status is enough: the body does not matter (RFC 7009 section 2.2), unless it holds an error. */
static void judge(struct oauth_turn *t)
{
    int status = t->http.status;
    bool good = status >= 200 && status < 300;

    if (good && t->root == NULL)
        return;
    if (oauth_answer_judge(t) != OAUTH_OK && unknown_token(t->answer))
        t->answer->result = OAUTH_OK;
}

enum oauth_result oauth_revoke(const struct oauth_provider *p, const struct record *r, const struct oauth_watch *watch,
                               struct oauth_answer *answer)
{
    struct oauth_turn t;
    struct oauth_field fields[4];
    bool refresh = r->refresh_token.n != 0;
    struct ccp_span token = refresh ? r->refresh_token : r->access_token;
    size_t n = 0;

    oauth_turn_init(&t, p, watch, "revoke", answer);
    oauth_turn_secret(&t, token);
    fields[n++] = (struct oauth_field){"token", token};
    fields[n++] =
        (struct oauth_field){"token_type_hint", refresh ? CCP_SPAN("refresh_token") : CCP_SPAN("access_token")};
    size_t client = n;
    n += oauth_turn_client_fields(&t, fields + n);
    if (r->client_id.n != 0) /* whose token it is, should the configuration have changed since */
        fields[client].value = r->client_id;
    if (p->revoke_url.n == 0)
        oauth_turn_fail(&t, OAUTH_CLIENT, "the login \"%.*s\" has no revoke_url", CCP_FMT(p->name));
    else if (token.n == 0)
        oauth_turn_fail(&t, OAUTH_NOT_SENT, "there is no token to revoke");
    else if (oauth_turn_post(&t, p->revoke_url, fields, n))
        judge(&t);
    return oauth_turn_end(&t);
}

/*
 * Token answers (RFC 6749 section 5.1), read with as little trust as possible and no more strictness than is safe.
 *
 * Refused is what could not be used or would be dangerous to store: a token that is no token. Members that only
 * describe it are taken if they make sense and are "not said" otherwise: a server that rotates has ended the old
 * refresh token by then, so an answer with good tokens must not be lost over its lifetime's spelling.
 *
 *   access_token    a token, else refused (also null, "" and numbers)
 *   refresh_token   a token; absent, null, "": keep the old one; else refused
 *   id_token        a token; absent, null, "": none; else refused
 *   token_type      "bearer" in any case; absent, null, "": the same; else refused (DPoP, MAC: we could not use it)
 *   expires_in      number or numeric string, fraction dropped, at least 1, at most 10 years; 0, negative, anything
 *                   else: not said (upstream's 401 will tell, and a refresh before each request would not help)
 *   scope           printable text up to 4 KiB, else not said
 */
#include <auth/protocol_impl.h>
#include <base/clock.h>

enum { TOKENS_MAX = 1024 * 1024, SCOPE_MAX = 4096, SKEW_S = 300 };
#define LIFETIME_MAX_S (3650LL * 24 * 3600)

void oauth_token_init(struct oauth_token *t)
{
    *t = (struct oauth_token){.token.obtained_at = 0};
    arena_init_secret(&t->arena, TOKENS_MAX);
}

void oauth_token_release(struct oauth_token *t)
{
    arena_end(&t->arena);
    oauth_token_init(t);
}

static bool absent(const struct ccp_json *value)
{
    return value == NULL || value->type == CCP_JSON_NULL ||
           (value->type == CCP_JSON_STRING && ccp_json_inner(value).n == 0);
}

/* NULL = fine, else a static text. */
static const char *read_one(struct oauth_turn *t, struct oauth_token *out, const char *name, struct ccp_span *to)
{
    const struct ccp_json *value = ccp_json_get(t->root, name);

    *to = CCP_SPAN("");
    if (absent(value))
        return NULL;
    if (value->type != CCP_JSON_STRING)
        return "not a string";
    struct ccp_span text = json_text(&t->scratch, value->raw);
    if (text.p == NULL)
        return "lost: out of memory";
    if (text.n > OAUTH_TOKEN_MAX)
        return "longer than 32 KiB";
    if (!oauth_token_ok(text))
        return "no token: spaces, control bytes or non-ASCII in it";
    *to = arena_dup(&out->arena, text);
    return to->p != NULL ? NULL : "lost: out of memory";
}

static enum oauth_result refuse(struct oauth_turn *t, const char *name, const char *why)
{
    bool memory = strcmp(why, "lost: out of memory") == 0;

    return oauth_turn_fail(t, memory ? OAUTH_LOST : OAUTH_RETRY, "%.*s answered %d, but its %s is %s",
                           CCP_FMT(t->server), t->http.status, name, why);
}

static enum oauth_result read_tokens(struct oauth_turn *t, struct oauth_token *out)
{
    const struct {
        const char *name;
        struct ccp_span *to;
    } members[] = {{"access_token", &out->token.access_token},
                   {"refresh_token", &out->token.refresh_token},
                   {"id_token", &out->token.id_token}};

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const char *why = read_one(t, out, members[i].name, members[i].to);
        if (why != NULL)
            return refuse(t, members[i].name, why);
    }
    return out->token.access_token.n != 0 ? OAUTH_OK : refuse(t, "access_token", "missing");
}

static enum oauth_result read_type(struct oauth_turn *t, struct oauth_token *out)
{
    const struct ccp_json *value = ccp_json_get(t->root, "token_type");

    out->token.token_type = CCP_SPAN("Bearer");
    if (absent(value) || ccp_span_ieq(oauth_text(&t->scratch, value), CCP_SPAN("bearer")))
        return OAUTH_OK;
    return refuse(t, "token_type", "not \"bearer\"");
}

static int64_t lifetime(const struct ccp_json *value)
{
    double seconds;

    if (!oauth_number(value, &seconds) || seconds <= 0)
        return 0;
    if (seconds < 1)
        return 1;
    return seconds < (double)LIFETIME_MAX_S ? (int64_t)seconds : LIFETIME_MAX_S;
}

static bool read_rest(struct oauth_turn *t, struct oauth_token *out)
{
    struct ccp_span scope = oauth_text(&t->scratch, ccp_json_get(t->root, "scope"));

    out->token.obtained_at = (int64_t)(clock_unix_us() / 1000000u);
    out->token.expires_in = lifetime(ccp_json_get(t->root, "expires_in"));
    if (scope.n > SCOPE_MAX || !oauth_printable(scope))
        scope.n = 0;
    out->token.scope = arena_dup(&out->arena, scope);
    return out->token.scope.p != NULL;
}

/* What OpenID Connect says of an account (Core section 5.1), for logins without a rule of their own. */
static void note_standard_claims(const struct ccp_oauth_call *call)
{
    static const char *const names[] = {"email", "name"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        call->fact(call, names[i], call->text(call, ccp_json_get(call->claims, names[i])));
}

/* Facts of the account; an id_token whose times are wrong says nothing. */
static enum oauth_result ask_provider(struct oauth_turn *t, struct oauth_token *out)
{
    struct oauth_call c;

    oauth_call_init(&c, t->p, &t->scratch, out);
    const struct ccp_json *claims = jwt_claims(&t->scratch, out->token.id_token);
    if (claims != NULL && jwt_times(claims, out->token.obtained_at) == NULL)
        c.call.claims = claims;
    if (t->p->def->read_token == NULL)
        note_standard_claims(&c.call);
    /* What a renewal brings is the only copy of the next refresh token: it is kept whatever anybody thinks of it. */
    bool renewal = t->what != NULL && strcmp(t->what, "refresh") == 0;
    if (t->p->def->read_token == NULL || t->p->def->read_token(&c.call, t->root) || renewal)
        return OAUTH_OK;
    return oauth_turn_fail(t, OAUTH_CLIENT, "%.*s answered %d with a token that %.*s does not accept",
                           CCP_FMT(t->server), t->http.status, CCP_FMT(t->p->label.n != 0 ? t->p->label : t->p->name));
}

enum oauth_result oauth_token_read(struct oauth_turn *t, struct oauth_token *out)
{
    enum oauth_result result = read_tokens(t, out);

    if (result == OAUTH_OK)
        result = read_type(t, out);
    if (result == OAUTH_OK && !read_rest(t, out))
        result = oauth_turn_fail(t, OAUTH_LOST, "out of memory");
    if (result == OAUTH_OK)
        result = ask_provider(t, out);
    if (result != OAUTH_OK)
        out->token = (struct record_token){.obtained_at = 0}; /* half an answer is none */
    return result;
}

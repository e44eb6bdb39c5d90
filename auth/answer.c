/*
 * What answers mean. This is the whole table, for every request of the protocol:
 *
 *   no connection, TLS refused, URL refused                        NOT_SENT
 *   sent, then no whole answer; or memory ended over it            LOST
 *   the same, but the head already said 300 or more                RETRY
 *   more than 64 KiB                                               RETRY
 *   408, 425, 429, 5xx, whatever the body says                     RETRY
 *   2xx or 4xx with an error code of `codes` below                 as in `codes`
 *   2xx with an error code that is not there                       RETRY
 *   4xx with a JSON object and any other code, or none             CLIENT
 *   3xx (never followed); 1xx; anything without a JSON object:
 *     HTML, 204, cut or malformed JSON, duplicate members          RETRY
 *   2xx with a JSON object, no error                               OK
 *   ... and then a token that cannot be used (token.c)             RETRY
 *   ... and then an id_token or account that is not accepted       CLIENT
 *
 * RETRY is what says nothing about the grant. Only a server that speaks JSON and names a reason ends a login.
 */
#include <auth/protocol_impl.h>
#include <base/log.h>

static const struct {
    const char *code;
    enum oauth_result result;
} codes[] = {
    /* RFC 6749 section 5.2, RFC 8628 section 3.5, OpenID Connect Core section 3.1.2.6 */
    {"invalid_grant", OAUTH_GRANT},
    {"access_denied", OAUTH_GRANT},
    {"expired_token", OAUTH_GRANT},
    {"interaction_required", OAUTH_GRANT},
    {"login_required", OAUTH_GRANT},
    {"consent_required", OAUTH_GRANT},
    {"account_selection_required", OAUTH_GRANT},
    {"invalid_request", OAUTH_CLIENT},
    {"invalid_client", OAUTH_CLIENT},
    {"unauthorized_client", OAUTH_CLIENT},
    {"unsupported_grant_type", OAUTH_CLIENT},
    {"invalid_scope", OAUTH_CLIENT},
    {"invalid_target", OAUTH_CLIENT},
    {"temporarily_unavailable", OAUTH_RETRY},
    {"server_error", OAUTH_RETRY},
    {"authorization_pending", OAUTH_RETRY},
    {"slow_down", OAUTH_RETRY},
    /* vendors: OpenAI, GitHub, Anthropic */
    {"refresh_token_expired", OAUTH_GRANT},
    {"refresh_token_reused", OAUTH_GRANT},
    {"refresh_token_invalidated", OAUTH_GRANT},
    {"refresh_token_not_found", OAUTH_GRANT},
    {"refresh_token_revoked", OAUTH_GRANT},
    {"invalid_refresh_token", OAUTH_GRANT},
    {"bad_refresh_token", OAUTH_GRANT},
    {"token_expired", OAUTH_GRANT},
    {"token_revoked", OAUTH_GRANT},
    {"token_invalidated", OAUTH_GRANT},
    {"app_session_terminated", OAUTH_GRANT},
    {"bad_verification_code", OAUTH_GRANT},
    {"incorrect_device_code", OAUTH_GRANT},
    {"incorrect_client_credentials", OAUTH_CLIENT},
    {"redirect_uri_mismatch", OAUTH_CLIENT},
    {"device_flow_disabled", OAUTH_CLIENT},
    {"unsupported_token_type", OAUTH_CLIENT},
    {"invalid_request_error", OAUTH_CLIENT},
    {"rate_limit_error", OAUTH_RETRY},
    {"rate_limited", OAUTH_RETRY},
    {"rate_limit_exceeded", OAUTH_RETRY},
    {"overloaded_error", OAUTH_RETRY},
    {"api_error", OAUTH_RETRY},
};

enum oauth_result oauth_answer_of_code(struct ccp_span code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (ccp_span_is(code, codes[i].code))
            return codes[i].result;
    return OAUTH_OK;
}

/* ---- a server's texts, shown ------------------------------------------------------------------------------------- */

enum { WORD_MAX = 40, SECRET_MIN = 4 };

static size_t secret_at(const struct oauth_turn *t, struct ccp_span text)
{
    for (size_t i = 0; i < t->secret_count; i++)
        if (t->secrets[i].n >= SECRET_MIN && ccp_span_starts(text, t->secrets[i]))
            return t->secrets[i].n;
    return 0;
}

static size_t word_length(struct ccp_span text)
{
    size_t n = 0;
    while (n < text.n && (unsigned char)text.p[n] > 0x20 && text.p[n] != '"' && text.p[n] != '\'')
        n++;
    return n;
}

/* Takes one step through the text: what is shown for it, and how much of the text that was. */
static struct ccp_span step(const struct oauth_turn *t, struct ccp_span text, bool word_begins, size_t *taken)
{
    *taken = secret_at(t, text);
    if (*taken != 0)
        return CCP_SPAN("[removed]");
    *taken = word_begins ? word_length(text) : 0;
    if (*taken > WORD_MAX)
        return CCP_SPAN("...");
    *taken = 1;
    return ccp_span_of(text.p, 1);
}

void oauth_answer_show(const struct oauth_turn *t, struct ccp_span text, char *out, size_t max)
{
    char kept[OAUTH_TEXT_MAX + 16];
    size_t n = 0, taken;
    bool begins = true;

    for (; text.n != 0 && n < OAUTH_TEXT_MAX; text = ccp_span_skip(text, taken)) {
        struct ccp_span piece = step(t, text, begins, &taken);
        memcpy(kept + n, piece.p, piece.n);
        n += piece.n;
        begins = word_length(ccp_span_of(text.p + taken - 1, 1)) == 0;
    }
    /* A character that was cut would be escaped as bytes. */
    while (text.n != 0 && n != 0 && ((unsigned char)text.p[0] & 0xc0) == 0x80 &&
           ((unsigned char)kept[n - 1] & 0x80) != 0)
        if (((unsigned char)kept[--n] & 0xc0) != 0x80)
            break;
    out[log_escape(out, max, ccp_span_of(kept, n < OAUTH_TEXT_MAX ? n : OAUTH_TEXT_MAX), false)] = '\0';
}

/* ---- errors in the JSON ------------------------------------------------------------------------------------------ */

/* Codes are short words (RFC 6749 section 5.2: printable ASCII); anything else is none, and so is a secret. */
static bool code_ok(const struct oauth_turn *t, struct ccp_span code)
{
    if (code.n == 0 || code.n >= sizeof(t->answer->code))
        return false;
    for (size_t i = 0; i < code.n; i++) {
        char c = code.p[i], low = (char)(c | 0x20);
        if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.')
            return false;
        if (secret_at(t, ccp_span_skip(code, i)) != 0)
            return false;
    }
    return true;
}

/* Where codes stand, the ones that say more first. */
static size_t find_codes(struct oauth_turn *t, struct ccp_span out[4])
{
    const struct ccp_json *error = ccp_json_get(t->root, "error");
    struct ccp_span found[] = {oauth_text(&t->scratch, error), oauth_text(&t->scratch, ccp_json_get(error, "code")),
                               oauth_text(&t->scratch, ccp_json_get(error, "type")),
                               oauth_text(&t->scratch, ccp_json_get(error, "status"))};
    size_t n = 0;

    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++)
        if (code_ok(t, found[i]))
            out[n++] = found[i];
    return n;
}

/* The first code that the table knows, else the first one. */
void oauth_answer_read_code(struct oauth_turn *t)
{
    struct ccp_span found[4];
    size_t n = find_codes(t, found), best = 0;

    while (best < n && oauth_answer_of_code(found[best]) == OAUTH_OK)
        best++;
    if (n == 0)
        return;
    struct ccp_span code = found[best < n ? best : 0];
    memcpy(t->answer->code, code.p, code.n);
    t->answer->code[code.n] = '\0';
}

void oauth_answer_words(struct oauth_turn *t, char out[OAUTH_TEXT_MAX + 16])
{
    const struct ccp_json *root = t->root, *error = ccp_json_get(root, "error");
    const struct ccp_json *places[] = {ccp_json_get(root, "error_description"), ccp_json_get(error, "message"),
                                       ccp_json_get(ccp_json_get(root, "error_details"), "message"),
                                       ccp_json_get(root, "message"), ccp_json_get(root, "detail")};

    out[0] = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && out[0] == '\0'; i++)
        oauth_answer_show(t, oauth_text(&t->scratch, places[i]), out, OAUTH_TEXT_MAX + 16);
}

static bool has_error(const struct ccp_json *root)
{
    const struct ccp_json *error = ccp_json_get(root, "error");
    return error != NULL && error->type != CCP_JSON_NULL;
}

static enum oauth_result refused(struct oauth_turn *t, enum oauth_result result)
{
    char words[OAUTH_TEXT_MAX + 16];
    const char *code = t->answer->code;

    oauth_answer_words(t, words);
    return oauth_turn_fail(t, result, "%.*s answered %d%s%s%s%s%s", CCP_FMT(t->server), t->http.status,
                           code[0] != '\0' ? " " : "", code, words[0] != '\0' ? " (" : "", words,
                           words[0] != '\0' ? ")" : "");
}

static enum oauth_result not_json(struct oauth_turn *t)
{
    char type[sizeof(t->http.content_type) + 16] = "nothing";
    int status = t->http.status;

    if (status >= 300 && status < 400)
        return oauth_turn_fail(t, OAUTH_RETRY, "%.*s answered %d: redirects are not followed", CCP_FMT(t->server),
                               status);
    if (t->body.n != 0)
        oauth_answer_show(t, ccp_span_z(t->http.content_type), type, sizeof(type));
    return oauth_turn_fail(t, OAUTH_RETRY, "%.*s answered %d with %s instead of a JSON object", CCP_FMT(t->server),
                           status, type[0] != '\0' ? type : "a text");
}

static enum oauth_result meaning(const struct oauth_turn *t)
{
    int status = t->http.status;
    enum oauth_result known = oauth_answer_of_code(ccp_span_z(t->answer->code));
    bool good = status >= 200 && status < 300;

    if (status >= 500 || status == 408 || status == 425 || status == 429)
        return OAUTH_RETRY;
    if (known != OAUTH_OK)
        return known;
    return good ? OAUTH_RETRY : OAUTH_CLIENT;
}

enum oauth_result oauth_answer_judge(struct oauth_turn *t)
{
    int status = t->http.status;

    if (t->root == NULL || (status >= 300 && status < 400))
        return not_json(t);
    if (has_error(t->root))
        oauth_answer_read_code(t);
    else if (status >= 200 && status < 300)
        return t->answer->result = OAUTH_OK;
    return refused(t, meaning(t));
}

/*
 * What token endpoints answer, good and bad: 40 shapes with what must come of them (OAU-13), error codes, what is
 * shown of a server's words, and answers cut at each byte. Each answer comes over a real connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "script.h"

#define RT   "rt-old-SECRET-0123456789"
#define JSON "application/json"
#define OK   "{\"access_token\":\"at\",\"token_type\":\"Bearer\""

struct shape {
    const char *name;
    int status;
    const char *type, *body;
    enum oauth_result result;
    int64_t expires_in;
    const char *refresh; /* in the result; "" = the old one is kept */
};

static const struct shape shapes[] = {
    {"all members", 200, JSON, OK ",\"expires_in\":3600,\"refresh_token\":\"rt\",\"scope\":\"a\"}", OAUTH_OK, 3600,
     "rt"},
    {"no expires_in", 200, JSON, OK ",\"refresh_token\":\"rt\"}", OAUTH_OK, 0, "rt"},
    {"expires_in 0", 200, JSON, OK ",\"expires_in\":0}", OAUTH_OK, 0, ""},
    {"expires_in negative", 200, JSON, OK ",\"expires_in\":-3600}", OAUTH_OK, 0, ""},
    {"expires_in 1e300", 200, JSON, OK ",\"expires_in\":1e300}", OAUTH_OK, 315360000, ""},
    {"expires_in 1e999", 200, JSON, OK ",\"expires_in\":1e999}", OAUTH_OK, 315360000, ""},
    {"expires_in numeric string", 200, JSON, OK ",\"expires_in\":\"3600\"}", OAUTH_OK, 3600, ""},
    {"expires_in float", 200, JSON, OK ",\"expires_in\":3599.9}", OAUTH_OK, 3599, ""},
    {"expires_in half a second", 200, JSON, OK ",\"expires_in\":0.5}", OAUTH_OK, 1, ""},
    {"expires_in 36e2", 200, JSON, OK ",\"expires_in\":36e2}", OAUTH_OK, 3600, ""},
    {"expires_in a word", 200, JSON, OK ",\"expires_in\":\"soon\"}", OAUTH_OK, 0, ""},
    {"expires_in null", 200, JSON, OK ",\"expires_in\":null}", OAUTH_OK, 0, ""},
    {"expires_in an object", 200, JSON, OK ",\"expires_in\":{\"s\":1}}", OAUTH_OK, 0, ""},
    {"no refresh_token", 200, JSON, OK ",\"expires_in\":60}", OAUTH_OK, 60, ""},
    {"refresh_token null", 200, JSON, OK ",\"refresh_token\":null}", OAUTH_OK, 0, ""},
    {"refresh_token empty", 200, JSON, OK ",\"refresh_token\":\"\"}", OAUTH_OK, 0, ""},
    {"refresh_token a number", 200, JSON, OK ",\"refresh_token\":7}", OAUTH_RETRY, 0, ""},
    {"token_type bearer", 200, JSON, "{\"access_token\":\"at\",\"token_type\":\"bearer\"}", OAUTH_OK, 0, ""},
    {"token_type BEARER", 200, JSON, "{\"access_token\":\"at\",\"token_type\":\"BEARER\"}", OAUTH_OK, 0, ""},
    {"no token_type", 200, JSON, "{\"access_token\":\"at\"}", OAUTH_OK, 0, ""},
    {"token_type DPoP", 200, JSON, "{\"access_token\":\"at\",\"token_type\":\"DPoP\"}", OAUTH_RETRY, 0, ""},
    {"token_type a number", 200, JSON, "{\"access_token\":\"at\",\"token_type\":1}", OAUTH_RETRY, 0, ""},
    {"status 201", 201, JSON, OK "}", OAUTH_OK, 0, ""},
    {"JSON as text/plain", 200, "text/plain", OK "}", OAUTH_OK, 0, ""},
    {"HTML 200", 200, "text/html", "<html><body>Please log in</body></html>", OAUTH_RETRY, 0, ""},
    {"204", 204, JSON, "", OAUTH_RETRY, 0, ""},
    {"200 without a body", 200, JSON, "", OAUTH_RETRY, 0, ""},
    {"an array", 200, JSON, "[\"access_token\"]", OAUTH_RETRY, 0, ""},
    {"cut JSON", 200, JSON, "{\"access_token\":\"at\"", OAUTH_RETRY, 0, ""},
    {"junk behind it", 200, JSON, OK "}{}", OAUTH_RETRY, 0, ""},
    {"duplicate keys", 200, JSON, "{\"access_token\":\"one\",\"access_token\":\"two\"}", OAUTH_RETRY, 0, ""},
    {"a key spelled with escapes", 200, JSON, "{\"access\\u005ftoken\":\"at\"}", OAUTH_RETRY, 0, ""},
    {"no access_token", 200, JSON, "{\"token_type\":\"Bearer\"}", OAUTH_RETRY, 0, ""},
    {"access_token empty", 200, JSON, "{\"access_token\":\"\"}", OAUTH_RETRY, 0, ""},
    {"access_token a list", 200, JSON, "{\"access_token\":[\"at\"]}", OAUTH_RETRY, 0, ""},
    {"NUL in the token", 200, JSON, "{\"access_token\":\"at\\u0000tail\"}", OAUTH_RETRY, 0, ""},
    {"CR LF in the token", 200, JSON, "{\"access_token\":\"at\\r\\nX-Evil: 1\"}", OAUTH_RETRY, 0, ""},
    {"a space in the refresh token", 200, JSON, OK ",\"refresh_token\":\"r t\"}", OAUTH_RETRY, 0, ""},
    {"deeper than 32", 200, JSON, OK ",\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
     OAUTH_RETRY, 0, ""},
    {"64 KiB and one byte", 200, JSON, NULL, OAUTH_RETRY, 0, ""},
};

/* `n` bytes of JSON that is fine but for its length. */
static char *padded(size_t n)
{
    char *out = malloc(n + 1);
    int head = snprintf(out, n + 1, OK ",\"pad\":\"");

    memset(out + head, 'x', n - (size_t)head);
    out[n - 2] = '"';
    out[n - 1] = '}';
    out[n] = '\0';
    return out;
}

static bool as_wanted(const struct shape *s, enum oauth_result got, const struct oauth_token *t,
                      const struct oauth_answer *a)
{
    if (got != s->result || a->result != got || a->status != s->status || strstr(a->text, RT) != NULL)
        return false;
    if (got != OAUTH_OK)
        return a->text[0] != '\0' && t->token.access_token.n == 0 && t->token.refresh_token.n == 0;
    return ccp_span_is(t->token.access_token, "at") && ccp_span_is(t->token.refresh_token, s->refresh) &&
           t->token.expires_in == s->expires_in && ccp_span_is(t->token.token_type, "Bearer") && a->text[0] == '\0' &&
           t->token.obtained_at > 1700000000;
}

static void forty_shapes(void **state)
{
    size_t good = 0, n = sizeof(shapes) / sizeof(shapes[0]);
    struct party party;

    party_init(&party, CCP_OAUTH_REFRESH);
    for (size_t i = 0; i < n; i++) {
        const struct shape *s = &shapes[i];
        struct oauth_token token;
        struct oauth_answer answer;
        char *made = s->body == NULL ? padded(64 * 1024 + 1) : NULL;
        script_json(party.server, s->status, made != NULL ? made : s->body);
        free(made);
        oauth_token_init(&token);
        enum oauth_result got = oauth_refresh(&party.p, CCP_SPAN(RT), NULL, &token, &answer);
        if (!as_wanted(s, got, &token, &answer))
            fail_msg("%s: %d (%d) %s, expires_in %lld", s->name, got, answer.status, answer.text,
                     (long long)token.token.expires_in);
        good++;
        oauth_token_release(&token);
    }
    party_end(&party);
    assert_int_equal(n, 40);
    printf("figure OAU-13 %zu of 40 shapes of token answers as the table says\n", good);
}

static enum oauth_result refresh(struct party *p, struct oauth_answer *answer)
{
    struct oauth_token token;

    oauth_token_init(&token);
    enum oauth_result got = oauth_refresh(&p->p, CCP_SPAN(RT), NULL, &token, answer);
    assert_true((got == OAUTH_OK) == (token.token.access_token.n != 0));
    assert_null(strstr(answer->text, RT));
    assert_null(strstr(answer->code, RT));
    oauth_token_release(&token);
    return got;
}

static void largest(void **state)
{
    struct party p;
    struct oauth_answer answer;
    char *made = padded(64 * 1024);

    party_init(&p, 0);
    script_json(p.server, 200, made);
    free(made);
    assert_int_equal(refresh(&p, &answer), OAUTH_OK);
    made = malloc(40000);
    snprintf(made, 40000, "{\"access_token\":\"%0*d\"}", 32 * 1024, 0);
    script_json(p.server, 200, made);
    assert_int_equal(refresh(&p, &answer), OAUTH_OK);
    snprintf(made, 40000, "{\"access_token\":\"%0*d\"}", 32 * 1024 + 1, 0);
    script_json(p.server, 200, made);
    assert_int_equal(refresh(&p, &answer), OAUTH_RETRY);
    assert_non_null(strstr(answer.text, "32 KiB"));
    free(made);
    party_end(&p);
}

static void error_fixtures(void **state)
{
    struct arena a;
    struct party p;
    struct oauth_answer answer;
    size_t n = 0;

    arena_init(&a, NULL, 0);
    party_init(&p, 0);
    for (const struct ccp_json *row = fixture(&a, "token-errors.json")->child; row != NULL; row = row->next, n++) {
        struct ccp_span action = fixture_text(&a, row, "action"), body = ccp_json_get(row, "body")->raw;
        char *text = strndup(body.p, body.n);
        script_json(p.server, (int)strtol(ccp_json_get(row, "status")->raw.p, NULL, 10), text);
        free(text);
        enum oauth_result want = ccp_span_is(action, "relogin") ? OAUTH_GRANT
                                 : ccp_span_is(action, "retry") ? OAUTH_RETRY
                                                                : OAUTH_OK;
        assert_int_equal(refresh(&p, &answer), want);
    }
    assert_int_equal(n, 5);
    party_end(&p);
    arena_end(&a);
}

static void classification(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum oauth_result result;
        const char *code, *text; /* text: a part of it */
    } rows[] = {
        {400, "{\"error\":\"invalid_grant\"}", OAUTH_GRANT, "invalid_grant", "400 invalid_grant"},
        {200, "{\"error\":\"invalid_grant\"}", OAUTH_GRANT, "invalid_grant", "200 invalid_grant"},
        {200, "{\"error\":\"bad_refresh_token\",\"error_description\":\"expired\"}", OAUTH_GRANT, "bad_refresh_token",
         "(expired)"},
        {401, "{\"error\":{\"code\":\"refresh_token_expired\",\"message\":\"m\",\"type\":\"invalid_request_error\"}}",
         OAUTH_GRANT, "refresh_token_expired", "(m)"},
        {401, "{\"error\":{\"code\":null,\"type\":\"refresh_token_invalidated\"}}", OAUTH_GRANT,
         "refresh_token_invalidated", ""},
        {400, "{\"error\":{\"code\":\"odd\",\"type\":\"invalid_request_error\"}}", OAUTH_CLIENT,
         "invalid_request_error", ""},
        {400, "{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\",\"message\":\"m\"}}", OAUTH_CLIENT,
         "INVALID_ARGUMENT", "(m)"},
        {401, "{\"error\":\"invalid_client\"}", OAUTH_CLIENT, "invalid_client", ""},
        {400, "{\"error\":\"unauthorized_client\"}", OAUTH_CLIENT, "unauthorized_client", ""},
        {400, "{\"error\":\"unsupported_grant_type\"}", OAUTH_CLIENT, "unsupported_grant_type", ""},
        {400, "{\"error\":\"invalid_scope\"}", OAUTH_CLIENT, "invalid_scope", ""},
        {400, "{\"error\":\"invalid_request\"}", OAUTH_CLIENT, "invalid_request", ""},
        {400, "{\"error\":\"never_heard_of\"}", OAUTH_CLIENT, "never_heard_of", ""},
        {404, "{\"detail\":\"Not Found\"}", OAUTH_CLIENT, "", "(Not Found)"},
        {400, "{}", OAUTH_CLIENT, "", "answered 400"},
        {200, "{\"error\":\"never_heard_of\",\"access_token\":\"at\"}", OAUTH_RETRY, "never_heard_of", ""},
        {200, "{\"error\":\"\",\"access_token\":\"at\"}", OAUTH_RETRY, "", "answered 200"},
        {500, "{\"error\":\"invalid_grant\"}", OAUTH_RETRY, "invalid_grant", ""},
        {503, "no upstream", OAUTH_RETRY, "", "503 with application/json"},
        {429, "{\"error\":\"invalid_grant\"}", OAUTH_RETRY, "invalid_grant", ""},
        {408, "{}", OAUTH_RETRY, "", ""},
        {425, "{}", OAUTH_RETRY, "", ""},
        {403, "<html>blocked</html>", OAUTH_RETRY, "", "instead of a JSON object"},
        {302, OK "}", OAUTH_RETRY, "", "redirects are not followed"},
        {400, "{\"error\":\"temporarily_unavailable\"}", OAUTH_RETRY, "temporarily_unavailable", ""},
        /* no codes: too long, not words, or what was sent */
        {400, "{\"error\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", OAUTH_CLIENT, "", ""},
        {400, "{\"error\":\"two words\"}", OAUTH_CLIENT, "", ""},
        {400, "{\"error\":\"x." RT "\"}", OAUTH_CLIENT, "", ""},
        {400, "{\"error\":{\"code\":\"\\u001b[31m\",\"type\":\"invalid_grant\"}}", OAUTH_GRANT, "invalid_grant", ""},
        {400, "{\"error\":null}", OAUTH_CLIENT, "", ""},
        {200, "{\"error\":null,\"access_token\":\"at\"}", OAUTH_OK, "", ""},
    };
    struct party p;
    struct oauth_answer answer;

    party_init(&p, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script_json(p.server, rows[i].status, rows[i].body);
        enum oauth_result got = refresh(&p, &answer);
        if (got != rows[i].result || strcmp(answer.code, rows[i].code) != 0 || answer.status != rows[i].status ||
            strstr(answer.text, rows[i].text) == NULL)
            fail_msg("%d %s: %d, \"%s\", %s", rows[i].status, rows[i].body, got, answer.code, answer.text);
    }
    party_end(&p);
}

static void shows(struct party *p, const char *description, const char *shown)
{
    struct oauth_answer answer;
    char body[2048], want[1024];

    snprintf(body, sizeof(body), "{\"error\":\"invalid_grant\",\"error_description\":\"%s\"}", description);
    script_json(p->server, 400, body);
    refresh(p, &answer);
    snprintf(want, sizeof(want), "http://127.0.0.1:%u answered 400 invalid_grant%s%s%s", p->server->port,
             shown[0] != '\0' ? " (" : "", shown, shown[0] != '\0' ? ")" : "");
    assert_string_equal(answer.text, want);
}

/* Printable, short, and never what was sent or may be a token. */
static void words(void **state)
{
    struct party p;
    char long_text[600], cut[201];

    party_init(&p, 0);
    shows(&p, "Refresh token not found or invalid", "Refresh token not found or invalid");
    shows(&p, "", "");
    shows(&p, "a\\u001b[31mred\\u0007", "a\\x1b[31mred\\x07");
    shows(&p, "two\\r\\nlines", "two\\x0d\\x0alines");
    shows(&p, "\\u202eevil", "\\xe2\\x80\\xaeevil");
    shows(&p, "M\\u00fcller", "M\xc3\xbcller");
    shows(&p, "token " RT " is unknown", "token [removed] is unknown");
    shows(&p, "token=" RT "!", "token=[removed]!");
    shows(&p, "got eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjAwMDM2MDB9.0123456789 there", "got ... there");
    for (size_t i = 0; i < sizeof(long_text) - 1; i++)
        long_text[i] = i % 8 == 7 ? ' ' : 'x';
    long_text[sizeof(long_text) - 1] = '\0';
    memcpy(cut, long_text, 200);
    cut[200] = '\0';
    shows(&p, long_text, cut);
    party_end(&p);
}

/* No byte at which a connection ends makes a token, a dead grant, or a "not sent" out of a lost answer. */
static void cut_at_each_byte(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum oauth_result behind_head;
    } answers[] = {{200, OK "}", OAUTH_LOST}, {400, "{\"error\":\"invalid_grant\"}", OAUTH_RETRY}};
    struct oauth_answer answer;

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        char whole[512], *end;
        int n = snprintf(whole, sizeof(whole), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", answers[i].status,
                         strlen(answers[i].body), answers[i].body);
        end = strstr(whole, "\r\n\r\n") + 4;
        for (int cut = 0; cut < n; cut++) {
            struct party p;
            party_init(&p, 0);
            script_raw(p.server, whole, (size_t)cut, false);
            enum oauth_result got = refresh(&p, &answer);
            enum oauth_result want = whole + cut < end ? OAUTH_LOST : answers[i].behind_head;
            if (got != want)
                fail_msg("%d cut at %d: %d %s", answers[i].status, cut, got, answer.text);
            party_end(&p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forty_shapes),   cmocka_unit_test(largest), cmocka_unit_test(error_fixtures),
        cmocka_unit_test(classification), cmocka_unit_test(words),   cmocka_unit_test(cut_at_each_byte),
    };
    if (!upstream_global_init())
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    upstream_global_release();
    return failed;
}

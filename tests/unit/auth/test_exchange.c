/*
 * Requests of OAuth as they leave: bodies, headers, what reached the server and what did not; sessions, revocation,
 * who is told, verified id_tokens, refused memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/clock.h>
#include <base/fault.h>
#include <cmocka.h>

#include "fixture.h"
#include "jwt_make.h"
#include "script.h"

#define TOKEN "{\"access_token\":\"at\",\"token_type\":\"bearer\"}"

static const struct oauth_code code = {.code = CCP_LIT("co de/+#1"),
                                       .redirect_uri = CCP_LIT("http://localhost:1455/auth/callback"),
                                       .verifier = CCP_LIT("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                                       .state = CCP_LIT("st4te")};

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static enum oauth_result exchange(struct party *p, struct oauth_answer *answer)
{
    struct oauth_token t;

    oauth_token_init(&t);
    enum oauth_result got = oauth_exchange(&p->p, &code, NULL, &t, answer);
    assert_int_equal(got == OAUTH_OK, t.token.access_token.n != 0);
    oauth_token_release(&t);
    return got;
}

static void forms(void **state)
{
    struct party p;
    struct oauth_answer answer;

    party_init(&p, CCP_OAUTH_BROWSER);
    script_json(p.server, 200, TOKEN);
    assert_int_equal(exchange(&p, &answer), OAUTH_OK);
    assert_string_equal(script_body(p.server, 0),
                        "grant_type=authorization_code&code=co%20de%2F%2B%231&redirect_uri=http%3A%2F%2Flocalhost%3A14"
                        "55%2Fauth%2Fcallback&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&"
                        "client_id=client-1");
    assert_true(has(p.server->requests[0], "POST /token HTTP/1.1\r\n"));
    assert_true(has(p.server->requests[0], "\r\naccept: application/json\r\n"));
    assert_true(has(p.server->requests[0], "\r\nuser-agent: ccproxy/" CCP_VERSION "\r\n"));
    assert_true(has(p.server->requests[0], "\r\ncontent-type: application/x-www-form-urlencoded\r\n"));
    assert_false(has(p.server->requests[0], "Authorization"));
    /* Everything else that changes the body. */
    p.p.flags |= CCP_OAUTH_STATE_IN_TOKEN | CCP_OAUTH_NO_PKCE;
    p.p.client_secret = secret_new(CCP_SPAN("s&cret"));
    script_json(p.server, 200, TOKEN);
    assert_int_equal(exchange(&p, &answer), OAUTH_OK);
    assert_string_equal(script_body(p.server, 1),
                        "grant_type=authorization_code&code=co%20de%2F%2B%231&redirect_uri=http%3A%2F%2Flocalhost%3A14"
                        "55%2Fauth%2Fcallback&state=st4te&client_id=client-1&client_secret=s%26cret");
    party_end(&p);
}

static void objects(void **state)
{
    struct party p;
    struct oauth_answer answer;
    struct oauth_token t;

    party_init(&p, CCP_OAUTH_BROWSER | CCP_OAUTH_JSON | CCP_OAUTH_STATE_IN_TOKEN);
    script_json(p.server, 200, TOKEN);
    assert_int_equal(exchange(&p, &answer), OAUTH_OK);
    assert_string_equal(script_body(p.server, 0),
                        "{\"grant_type\":\"authorization_code\",\"code\":\"co de/+#1\",\"redirect_uri\":"
                        "\"http://localhost:1455/auth/callback\",\"code_verifier\":"
                        "\"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\",\"state\":\"st4te\",\"client_id\":"
                        "\"client-1\"}");
    assert_true(has(p.server->requests[0], "\r\ncontent-type: application/json\r\n"));
    oauth_token_init(&t);
    script_json(p.server, 200, TOKEN);
    p.p.refresh_scopes = CCP_SPAN("openid email");
    assert_int_equal(oauth_refresh(&p.p, CCP_SPAN("rt\"1"), NULL, &t, &answer), OAUTH_OK);
    assert_string_equal(script_body(p.server, 1), "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"rt\\\"1\","
                                                  "\"scope\":\"openid email\",\"client_id\":\"client-1\"}");
    p.p.flags = 0;
    p.p.refresh_scopes.n = 0;
    script_json(p.server, 200, TOKEN);
    assert_int_equal(oauth_refresh(&p.p, CCP_SPAN("rt\"1"), NULL, &t, &answer), OAUTH_OK);
    assert_string_equal(script_body(p.server, 2), "grant_type=refresh_token&refresh_token=rt%221&client_id=client-1");
    oauth_token_release(&t);
    party_end(&p);
}

static void authorize(void **state)
{
    struct arena a;
    struct ccp_oauth_provider def = {.authorize_extra = "code=true"};
    struct oauth_provider p = {.def = &def,
                               .authorize_url = CCP_SPAN("https://a.example/authorize"),
                               .client_id = CCP_SPAN("client 1"),
                               .scopes = CCP_SPAN("a:b c")};
    const struct ccp_span redirect = CCP_SPAN("http://127.0.0.1:5/cb"), s = CCP_SPAN("st"), ch = CCP_SPAN("ch"),
                          none = CCP_SPAN("");

    arena_init(&a, NULL, 0);
    assert_string_equal(oauth_authorize_url(&p, &a, redirect, s, ch, none).p,
                        "https://a.example/authorize?response_type=code&client_id=client%201&redirect_uri=http%3A%2F%2F"
                        "127.0.0.1%3A5%2Fcb&scope=a%3Ab%20c&state=st&code_challenge=ch&code_challenge_method=S256"
                        "&code=true");
    p.authorize_url = CCP_SPAN("https://a.example/authorize?tenant=x");
    p.flags = CCP_OAUTH_NO_PKCE;
    def.authorize_extra = NULL;
    assert_string_equal(oauth_authorize_url(&p, &a, redirect, s, ch, CCP_SPAN("n")).p,
                        "https://a.example/authorize?tenant=x&response_type=code&client_id=client%201&redirect_uri=http"
                        "%3A%2F%2F127.0.0.1%3A5%2Fcb&scope=a%3Ab%20c&state=st&nonce=n");
    arena_end(&a);
}

static void urls(void **state)
{
    static const char *const good[] = {"https://a.example",        "https://a.example:8443/x?y=z",
                                       "https://10.0.0.1/",        "http://127.0.0.1:1/",
                                       "http://127.255.255.254/",  "http://[::1]:80/x",
                                       "http://localhost:1455/cb", "http://LOCALHOST/"};
    static const char *const bad[] = {"",
                                      "a.example",
                                      "http://a.example/",
                                      "http://10.0.0.1/",
                                      "http://128.0.0.1/",
                                      "http://127.1/",
                                      "http://0177.0.0.1/",
                                      "http://2130706433/",
                                      "http://[::ffff:127.0.0.1]/",
                                      "http://[::]/",
                                      "http://0.0.0.0/",
                                      "http://localhost.evil.example/",
                                      "http://a.localhost/",
                                      "http://127.0.0.1.evil.example/",
                                      "javascript:alert(1)",
                                      "file:///etc/passwd",
                                      "ftp://a.example/",
                                      "https://user@a.example/",
                                      "https://u:p@a.example/",
                                      "https://a.example/#f",
                                      "https://a.example/a b",
                                      "https://a.example/\n",
                                      "https://a.example\\@b.example/",
                                      "https://a.example:0/",
                                      "https:///x",
                                      "HTTPS://a.example/",
                                      " https://a.example/",
                                      "https://$(id).example/"};
    static const char *const origins[][2] = {{"https://A.Example/x?y", "https://a.example"},
                                             {"https://a.example:443", "https://a.example"},
                                             {"https://a.example:444/", "https://a.example:444"},
                                             {"http://127.0.0.1:80/", "http://127.0.0.1"},
                                             {"http://[0:0::1]:81/", "http://[::1]:81"},
                                             {"https://[2001:DB8::0:1]/", "https://[2001:db8::1]"},
                                             {"http://a.example/", ""}};
    char out[300];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (oauth_url_refusal(ccp_span_z(good[i])) != NULL)
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (oauth_url_refusal(ccp_span_z(bad[i])) == NULL)
            fail_msg("%s", bad[i]);
    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++)
        assert_true(ccp_span_is(oauth_origin(ccp_span_z(origins[i][0]), out), origins[i][1]));
}

struct watched {
    char what[16];
    size_t begins, ends;
    enum oauth_result last;
};

static void on_watch(void *arg, const struct oauth_provider *p, const char *what, const struct oauth_answer *answer)
{
    struct watched *w = arg;

    assert_true(ccp_span_is(p->name, "test"));
    snprintf(w->what, sizeof(w->what), "%s", what);
    if (answer == NULL) {
        w->begins++;
        return;
    }
    assert_int_equal(w->begins, ++w->ends);
    w->last = answer->result;
}

/* What can fail before, during and after a request, and what is said then. */
static void transport(void **state)
{
    struct party p;
    struct oauth_answer answer;
    struct oauth_token t;
    struct watched seen = {.begins = 0};
    const struct oauth_watch watch = {on_watch, &seen};
    struct ccp_span good, rt = CCP_SPAN("rt-SECRET");

    party_init(&p, 0);
    oauth_token_init(&t);
    good = p.p.token_url;
    p.p.token_url = CCP_SPAN("http://a.example/token");
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_NOT_SENT);
    assert_true(has(answer.text, "https") && seen.begins == 0);
    p.p.token_url = CCP_SPAN("http://127.0.0.1:1/token");
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_NOT_SENT);
    assert_string_equal(answer.text, "http://127.0.0.1:1: connection refused");
    assert_true(seen.begins == 1 && seen.ends == 1 && seen.last == OAUTH_NOT_SENT);
    p.p.token_url = CCP_SPAN("https://no-such-name.invalid/token");
    p.p.connect_ms = 300;
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_NOT_SENT);
    p.p.token_url = arena_printf(&p.arena, "https://127.0.0.1:%u/token", p.server->port); /* no TLS there */
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_NOT_SENT);
    assert_int_equal(p.server->served, 0);
    p.p.token_url.n = 0;
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_CLIENT);
    assert_true(has(answer.text, "token_url"));
    p.p.token_url = good;
    script_close(p.server);
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_LOST);
    assert_true(has(answer.text, "closed without an answer"));
    script_bytes(p.server, 302, "text/html", "Location: /elsewhere\r\n", "", 0);
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_RETRY);
    assert_int_equal(p.server->served, 2); /* not followed */
    script_bytes(p.server, 429, "application/json", "Retry-After: 7\r\n", "{}", 2);
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_RETRY);
    assert_int_equal(answer.retry_after_ms, 7000);
    script_bytes(p.server, 503, "application/json", "Retry-After: 99999999999\r\n", "{}", 2);
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_RETRY);
    assert_int_equal(answer.retry_after_ms, 0);
    p.p.total_ms = 200;
    script_raw(p.server, "HTTP/1.1 200 OK\r\n", 17, true);
    assert_int_equal(oauth_refresh(&p.p, rt, &watch, &t, &answer), OAUTH_LOST);
    assert_true(has(answer.text, "did not arrive in time"));
    assert_string_equal(seen.what, "refresh");
    assert_true(seen.begins == 8 && seen.ends == 8);
    oauth_token_release(&t);
    party_end(&p);
}

/* ---- the provider's functions --------------------------------------------------------------------------------------
 */

static bool read_account(const struct ccp_oauth_call *call, const struct ccp_json *answer)
{
    const struct ccp_json *account = ccp_json_get(answer, "account");
    call->fact(call, "email", call->text(call, ccp_json_get(account, "email_address")));
    call->fact(call, "plan", call->text(call, ccp_json_get(answer, "plan")));
    call->fact(call, "Bad Name", CCP_SPAN("x"));
    call->fact(call, "ansi", CCP_SPAN("a\x1b[31m"));
    call->fact(call, "empty", CCP_SPAN(""));
    call->fact(call, "org",
               call->print(call, "org:%.*s", CCP_FMT(call->text(call, ccp_json_get(call->claims, "sub")))));
    return ccp_json_get(answer, "refuse") == NULL;
}

static void facts(void **state)
{
    struct party p;
    struct oauth_answer answer;
    struct oauth_token t;
    struct arena a;

    arena_init(&a, NULL, 0);
    party_init(&p, 0);
    p.def.read_token = read_account;
    const struct ccp_json *claude = fixture(&a, "claude-token-response.json");
    script_bytes(p.server, 200, "application/json", "", claude->raw.p, claude->raw.n);
    oauth_token_init(&t);
    assert_int_equal(oauth_exchange(&p.p, &code, NULL, &t, &answer), OAUTH_OK);
    assert_true(ccp_span_is(t.token.access_token, "sk-ant-oat01-FIXTURE"));
    assert_true(ccp_span_is(t.token.refresh_token, "sk-ant-ort01-FIXTURE"));
    assert_true(ccp_span_is(t.token.scope, "user:inference user:profile"));
    assert_int_equal(t.token.expires_in, 28800);
    assert_int_equal(t.token.fact_count, 2);
    assert_true(ccp_span_is(t.token.facts[0].name, "email"));
    assert_true(ccp_span_is(t.token.facts[0].value, "user@example.com"));
    assert_true(ccp_span_is(t.token.facts[1].value, "org:")); /* no id_token */
    oauth_token_release(&t);
    /* Claims: of an id_token whose times are right, verified or not; one that has expired says nothing. */
    for (int fresh = 0; fresh < 2; fresh++) {
        struct ccp_span payload = arena_printf(&a, "{\"sub\":\"u\",\"exp\":%lld}",
                                               (long long)(clock_unix_us() / 1000000) + (fresh != 0 ? 60 : -3600));
        script_json(
            p.server, 200,
            arena_printf(&a, "{\"access_token\":\"at\",\"id_token\":\"e30.%s.c2ln\"}", b64(&a, payload.p, payload.n).p)
                .p);
        oauth_token_init(&t);
        assert_int_equal(oauth_exchange(&p.p, &code, NULL, &t, &answer), OAUTH_OK);
        assert_true(ccp_span_is(t.token.facts[0].value, fresh != 0 ? "org:u" : "org:"));
        oauth_token_release(&t);
    }
    script_json(p.server, 200, "{\"access_token\":\"at\",\"refuse\":1}");
    assert_int_equal(exchange(&p, &answer), OAUTH_CLIENT);
    assert_true(has(answer.text, "Test login does not accept"));
    /* A renewal's answer is kept: the old refresh token may be used up by now. */
    oauth_token_init(&t);
    script_json(p.server, 200, "{\"access_token\":\"at\",\"refresh_token\":\"rt-2\",\"refuse\":1}");
    assert_int_equal(oauth_refresh(&p.p, CCP_SPAN("rt-1"), NULL, &t, &answer), OAUTH_OK);
    assert_true(ccp_span_is(t.token.refresh_token, "rt-2"));
    oauth_token_release(&t);
    party_end(&p);
    arena_end(&a);
}

static bool read_copilot(const struct ccp_oauth_call *call, const struct ccp_json *answer,
                         struct ccp_oauth_session *out)
{
    out->token = call->text(call, ccp_json_get(answer, "token"));
    call->fact(call, "endpoint", call->text(call, ccp_json_get(ccp_json_get(answer, "endpoints"), "api")));
    return call->number(ccp_json_get(answer, "expires_at"), &out->expires_at) &&
           call->number(ccp_json_get(answer, "refresh_in"), &out->refresh_in);
}

static void sessions(void **state)
{
    static const struct {
        int status;
        const char *extra, *body;
        enum oauth_result result;
        const char *text;
    } refusals[] = {
        {401, "", "{\"message\":\"Bad credentials\"}", OAUTH_GRANT, "401 Bad credentials"},
        {403, "", "{\"error_details\":{\"message\":\"No subscription\",\"url\":\"u\"}}", OAUTH_GRANT,
         "403 No subscription"},
        {403, "Retry-After: 60\r\n", "{\"message\":\"secondary rate limit\"}", OAUTH_RETRY, "rate limit"},
        {403, "X-RateLimit-Remaining: 0\r\n", "{\"message\":\"API rate limit exceeded\"}", OAUTH_RETRY, "rate limit"},
        {403, "X-RateLimit-Remaining: 10\r\n", "{\"message\":\"No subscription\"}", OAUTH_GRANT, "No subscription"},
        {401, "X-RateLimit-Remaining: 0\r\n", "{\"message\":\"Bad credentials\"}", OAUTH_GRANT, "Bad credentials"},
        {403, "", "<html>", OAUTH_RETRY, "instead of"},
        {404, "", "{\"message\":\"Not Found\"}", OAUTH_CLIENT, "Not Found"},
        {500, "", "{}", OAUTH_RETRY, "500"},
        {200, "", "{\"token\":\"with space\",\"expires_at\":1,\"refresh_in\":1}", OAUTH_RETRY, "not with a session"},
        {200, "", "{\"token\":\"t\"}", OAUTH_RETRY, "not with a session"},
        {200, "", "{\"token\":\"t\",\"expires_at\":-1,\"refresh_in\":1}", OAUTH_RETRY, "not with a session"},
        {403, "", "{\"message\":\"gho_SECRET is no good\"}", OAUTH_GRANT, "[removed] is no good"},
    };
    struct party p;
    struct oauth_answer answer;
    struct oauth_token t;
    struct ccp_oauth_session s;
    struct arena a;

    arena_init(&a, NULL, 0);
    party_init(&p, 0);
    p.def.read_session = read_copilot;
    p.def.session_scheme = "token ";
    const struct ccp_json *good = fixture(&a, "copilot-token.json");
    script_bytes(p.server, 200, "application/json", "", good->raw.p, good->raw.n);
    oauth_token_init(&t);
    assert_int_equal(oauth_session(&p.p, CCP_SPAN("gho_SECRET"), NULL, &t, &s, &answer), OAUTH_OK);
    assert_true(ccp_span_is(s.token, "tid=fixture;exp=1760001800;sku=fixture;8kp=1:0"));
    assert_int_equal(s.expires_at, 1760001800);
    assert_int_equal(s.refresh_in, 1500);
    assert_true(ccp_span_is(t.token.facts[0].value, "https://api.individual.githubcopilot.com"));
    assert_true(has(p.server->requests[0], "GET /session HTTP/1.1\r\n"));
    assert_true(has(p.server->requests[0], "\r\nauthorization: token gho_SECRET\r\n"));
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        script_bytes(p.server, refusals[i].status, "application/json", refusals[i].extra, refusals[i].body,
                     strlen(refusals[i].body));
        enum oauth_result got = oauth_session(&p.p, CCP_SPAN("gho_SECRET"), NULL, &t, &s, &answer);
        if (got != refusals[i].result || !has(answer.text, refusals[i].text) || s.token.n != 0)
            fail_msg("%s: %d %s", refusals[i].body, got, answer.text);
    }
    oauth_token_release(&t);
    party_end(&p);
    arena_end(&a);
}

static void revocation(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum oauth_result result;
    } rows[] = {{200, "", OAUTH_OK},
                {204, "", OAUTH_OK},
                {200, "{}", OAUTH_OK},
                {200, "<html>", OAUTH_OK},
                {400, "{\"error\":\"invalid_token\"}", OAUTH_OK},
                {400, "{\"error\":\"invalid_grant\"}", OAUTH_OK},
                {400, "{\"error\":\"unsupported_token_type\"}", OAUTH_CLIENT},
                {401, "{\"error\":\"invalid_client\"}", OAUTH_CLIENT},
                {503, "{\"error\":\"invalid_grant\"}", OAUTH_RETRY},
                {302, "", OAUTH_RETRY}};
    struct party p;
    struct oauth_answer answer;
    struct record r = {.refresh_token = CCP_SPAN("rt"), .access_token = CCP_SPAN("at")};

    party_init(&p, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script_json(p.server, rows[i].status, rows[i].body);
        enum oauth_result got = oauth_revoke(&p.p, &r, NULL, &answer);
        if (got != rows[i].result)
            fail_msg("%d %s: %d %s", rows[i].status, rows[i].body, got, answer.text);
    }
    assert_string_equal(script_body(p.server, 0), "token=rt&token_type_hint=refresh_token&client_id=client-1");
    r.refresh_token.n = 0;
    r.client_id = CCP_SPAN("client-0");
    script_json(p.server, 200, "");
    assert_int_equal(oauth_revoke(&p.p, &r, NULL, &answer), OAUTH_OK);
    assert_string_equal(script_body(p.server, p.server->served - 1),
                        "token=at&token_type_hint=access_token&client_id=client-0");
    p.p.revoke_url.n = 0;
    assert_int_equal(oauth_revoke(&p.p, &r, NULL, &answer), OAUTH_CLIENT);
    party_end(&p);
}

/* ---- verified id_tokens --------------------------------------------------------------------------------------------
 */

static void identities(void **state)
{
    static const struct {
        const char *what, *why;
        bool other_key;
        const char *issuer, *audience, *nonce;
    } rows[] = {{"right", NULL, false, "https://good.example", "client-1", "n-1"},
                {"other key", "signature", true, "https://good.example", "client-1", "n-1"},
                {"other issuer", "iss", false, "https://evil.example", "client-1", "n-1"},
                {"other client", "aud", false, "https://good.example", "client-2", "n-1"},
                {"other login", "nonce", false, "https://good.example", "client-1", "n-2"}};
    struct party p;
    struct arena a;
    EVP_PKEY *key = key_make(KEY_EC, 256), *other = key_make(KEY_EC, 256);
    struct oauth_code with = code;
    struct oauth_token t;
    struct oauth_answer answer;

    arena_init(&a, NULL, 0);
    party_init(&p, 0);
    p.p.issuer = CCP_SPAN("https://good.example");
    p.p.scopes = CCP_SPAN("openid email");
    with.nonce = CCP_SPAN("n-1");
    with.jwks_uri = party_url(&p, "/jwks");
    struct ccp_span set = jwks_make(&a, jwk_make(&a, key, KEY_EC, "k1", ""));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ccp_span claims =
            arena_printf(&a, "{\"iss\":\"%s\",\"aud\":\"%s\",\"nonce\":\"%s\",\"exp\":%lld}", rows[i].issuer,
                         rows[i].audience, rows[i].nonce, (long long)(clock_unix_us() / 1000000) + 60);
        struct ccp_span token =
            jwt_make(&a, rows[i].other_key ? other : key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\"}", claims.p);
        script_json(p.server, 200, arena_printf(&a, "{\"access_token\":\"at\",\"id_token\":\"%s\"}", token.p).p);
        script_json(p.server, 200, set.p);
        oauth_token_init(&t);
        enum oauth_result got = oauth_exchange(&p.p, &with, NULL, &t, &answer);
        assert_int_equal(got, rows[i].why == NULL ? OAUTH_OK : OAUTH_CLIENT);
        assert_int_equal(t.token.access_token.n != 0, got == OAUTH_OK);
        assert_true(rows[i].why == NULL || has(answer.text, rows[i].why));
        oauth_token_release(&t);
    }
    oauth_token_init(&t);
    /* No keys, no id_token: no login. */
    script_json(p.server, 200, "{\"access_token\":\"at\",\"id_token\":\"a.b.c\"}");
    script_json(p.server, 503, "{}");
    assert_int_equal(oauth_exchange(&p.p, &with, NULL, &t, &answer), OAUTH_RETRY);
    script_json(p.server, 200, TOKEN);
    assert_int_equal(oauth_exchange(&p.p, &with, NULL, &t, &answer), OAUTH_CLIENT);
    assert_int_equal(t.token.access_token.n, 0);
    p.p.scopes = CCP_SPAN("email");
    script_json(p.server, 200, TOKEN);
    assert_int_equal(oauth_exchange(&p.p, &with, NULL, &t, &answer), OAUTH_OK);
    oauth_token_release(&t);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    party_end(&p);
    arena_end(&a);
}

/* Each allocation refused once: an answer that says so, no leak, and never a dead grant. */
static void memory_ends(void **state)
{
#ifdef CCP_FAULTS
    struct party p;
    size_t n = 0, lost = 0, unsent = 0;

    party_init(&p, CCP_OAUTH_JSON);
    for (;; n++) {
        struct oauth_answer answer;
        struct oauth_token t;
        char spec[64];
        script_json(p.server, 200, TOKEN);
        oauth_token_init(&t);
        snprintf(spec, sizeof(spec), "alloc:%zu", n + 1);
        fault_arm(spec);
        enum oauth_result got = oauth_refresh(&p.p, CCP_SPAN("rt"), NULL, &t, &answer);
        fault_arm(NULL);
        oauth_token_release(&t);
        if (got == OAUTH_OK)
            break;
        assert_true(got == OAUTH_NOT_SENT || got == OAUTH_LOST);
        lost += got == OAUTH_LOST;
        unsent += got == OAUTH_NOT_SENT;
        assert_true(n < 100);
    }
    struct oauth_answer refused;
    fault_arm("oauth.body:1");
    assert_int_equal(exchange(&p, &refused), OAUTH_NOT_SENT);
    fault_arm(NULL);
    assert_true(unsent >= 3);
    assert_true(lost >= 1);
    party_end(&p);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),       cmocka_unit_test(objects),    cmocka_unit_test(authorize),
        cmocka_unit_test(urls),        cmocka_unit_test(transport),  cmocka_unit_test(facts),
        cmocka_unit_test(sessions),    cmocka_unit_test(revocation), cmocka_unit_test(identities),
        cmocka_unit_test(memory_ends),
    };
    if (!upstream_global_init())
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    upstream_global_release();
    return failed;
}

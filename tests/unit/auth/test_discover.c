/*
 * Discovery: where it asks, what it takes, and every document that it must not believe (OAU-10).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "script.h"

static struct party party;
static struct oauth_metadata meta;
static struct oauth_answer answer;
static size_t rejected;

static int set_up(void **state)
{
    party_init(&party, CCP_OAUTH_BROWSER | CCP_OAUTH_REFRESH);
    party.p.authorize_url = party.p.token_url = party.p.device_url = party.p.revoke_url = CCP_SPAN("");
    party.p.issuer = party_url(&party, "");
    return 0;
}

static int tear_down(void **state)
{
    party_end(&party);
    return 0;
}

static enum oauth_result discover(void)
{
    return oauth_discover(&party.p, &party.arena, &meta, &answer);
}

/* ISSUER stands for the issuer. */
static const char *document(const char *text)
{
    const char *at = strstr(text, "ISSUER");
    if (at == NULL)
        return text;
    return document(
        arena_printf(&party.arena, "%.*s%.*s%s", (int)(at - text), text, CCP_FMT(party.p.issuer), at + 6).p);
}

#define ENDPOINTS "\"authorization_endpoint\":\"ISSUER/a\",\"token_endpoint\":\"ISSUER/t\""

static void takes(void **state)
{
    script_json(party.server, 200,
                document("{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"revocation_endpoint\":\"ISSUER/r\",\"jwks_uri\":"
                         "\"https://keys.example/jwks\",\"device_authorization_endpoint\":\"ISSUER/d\","
                         "\"authorization_response_iss_parameter_supported\":true,"
                         "\"code_challenge_methods_supported\":[\"plain\",\"S256\"],\"grant_types_supported\":[]}"));
    assert_int_equal(discover(), OAUTH_OK);
    assert_non_null(strstr(party.server->requests[0], "GET /.well-known/oauth-authorization-server HTTP/1.1\r\n"));
    assert_non_null(strstr(party.server->requests[0], "\r\naccept: application/json\r\n"));
    assert_true(ccp_span_ends(meta.provider.authorize_url, CCP_SPAN("/a")));
    assert_true(ccp_span_ends(meta.provider.token_url, CCP_SPAN("/t")));
    assert_true(ccp_span_ends(meta.provider.revoke_url, CCP_SPAN("/r")));
    assert_true(ccp_span_ends(meta.provider.device_url, CCP_SPAN("/d")));
    assert_true(ccp_span_is(meta.jwks_uri, "https://keys.example/jwks"));
    assert_true(meta.iss_required && meta.discovered);
    assert_int_equal(party.p.token_url.n, 0); /* a copy was filled */
    /* What the operator wrote wins, and when all is written nobody is asked. */
    party.p.token_url = party_url(&party, "/mine");
    script_json(party.server, 200, document("{\"issuer\":\"ISSUER\"," ENDPOINTS "}"));
    assert_int_equal(discover(), OAUTH_OK);
    assert_true(ccp_span_ends(meta.provider.token_url, CCP_SPAN("/mine")));
    assert_false(meta.iss_required);
    party.p.authorize_url = party_url(&party, "/mine-too");
    assert_int_equal(discover(), OAUTH_OK);
    assert_int_equal(party.server->served, 2);
    assert_false(meta.discovered);
}

static void places(void **state)
{
    static const struct {
        const char *path, *first, *second;
    } rows[] = {
        {"", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
        {"/", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
        {"/tenant/1", "/.well-known/oauth-authorization-server/tenant/1", "/tenant/1/.well-known/openid-configuration"},
        {"/tenant/1/", "/.well-known/oauth-authorization-server/tenant/1",
         "/tenant/1/.well-known/openid-configuration"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        party.p.issuer = party_url(&party, rows[i].path);
        script_json(party.server, i % 2 != 0 ? 404 : 200, i % 2 != 0 ? "{}" : "<html>all is well</html>");
        script_json(party.server, 200,
                    document("{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"https://a.example/\","
                             "\"token_endpoint\":\"https://a.example/t\"}"));
        assert_int_equal(discover(), OAUTH_OK);
        char line[128];
        snprintf(line, sizeof(line), "GET %s HTTP/1.1\r\n", rows[i].first);
        assert_ptr_equal(strstr(party.server->requests[2 * i], line), party.server->requests[2 * i]);
        snprintf(line, sizeof(line), "GET %s HTTP/1.1\r\n", rows[i].second);
        assert_ptr_equal(strstr(party.server->requests[2 * i + 1], line), party.server->requests[2 * i + 1]);
    }
}

static void rejects(const char *what, enum oauth_result want, const char *text)
{
    enum oauth_result got = discover();
    if (got != want || strstr(answer.text, text) == NULL || meta.provider.token_url.n != 0 || meta.discovered)
        fail_msg("%s: %d %s", what, got, answer.text);
    rejected++;
}

static void documents(void **state)
{
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{\"issuer\":\"https://evil.example\"," ENDPOINTS "}", "another issuer"},
        {"{\"issuer\":\"ISSUER/\"," ENDPOINTS "}", "another issuer"},
        {"{\"issuer\":[\"ISSUER\"]," ENDPOINTS "}", "another issuer"},
        {"{" ENDPOINTS "}", "another issuer"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"http://a.example/a\",\"token_endpoint\":\"ISSUER/t\"}",
         "authorization_endpoint"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"ISSUER/a\",\"token_endpoint\":\"http://a.example/t\"}",
         "token_endpoint"},
        {"{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"revocation_endpoint\":\"http://a.example/r\"}", "revocation_endpoint"},
        {"{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"jwks_uri\":\"http://a.example/j\"}", "jwks_uri"},
        {"{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"jwks_uri\":\"https://169.254.169.254/latest\"}", "in figures"},
        {"{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"jwks_uri\":\"https://10.0.0.1/j\"}", "in figures"},
        {"{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"jwks_uri\":\"http://localhost:80/j\"}", "in figures"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"javascript:alert(1)\",\"token_endpoint\":\"ISSUER/t\"}",
         "authorization_endpoint"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"file:///etc/passwd\",\"token_endpoint\":\"ISSUER/t\"}",
         "authorization_endpoint"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"https://$(id).example/\",\"token_endpoint\":\"ISSUER/"
         "t\"}",
         "authorization_endpoint"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"https://a.example/a b\",\"token_endpoint\":\"ISSUER/t\"}",
         "authorization_endpoint"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"https://a.example/\\n\",\"token_endpoint\":\"ISSUER/t\"}",
         "authorization_endpoint"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":7,\"token_endpoint\":\"ISSUER/t\"}",
         "authorization_endpoint"},
        {"{\"issuer\":\"ISSUER\",\"authorization_endpoint\":\"ISSUER/a\"}", "publishes no token_url"},
        {"{\"issuer\":\"ISSUER\",\"token_endpoint\":\"ISSUER/t\"}", "publishes no authorize_url"},
        {"{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"code_challenge_methods_supported\":[\"plain\"]}", "S256"},
        {"{\"issuer\":\"ISSUER\"," ENDPOINTS ",\"code_challenge_methods_supported\":[]}", "S256"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script_json(party.server, 200, document(rows[i].body));
        rejects(rows[i].body, OAUTH_CLIENT, rows[i].text);
    }
}

/* At both places. */
static void no_documents(void **state)
{
    static char big[1024 * 1024], deep[4096];
    struct {
        int status;
        const char *type, *extra, *body;
        const char *text;
    } rows[] = {{200, "application/json", "", "{\"issuer\":", "instead of a JSON object"},
                {200, "application/json", "", "[]", "instead of a JSON object"},
                {404, "text/html", "", "<html>", "404"},
                {302, "text/html", "Location: /.well-known/oauth-authorization-server\r\n", "", "not followed"},
                {200, "application/json", "", big, "64 KiB"},
                {200, "application/json", "", deep, "instead of a JSON object"},
                {500, "application/json", "", "{}", "500"}};

    memset(big, ' ', sizeof(big) - 1);
    memset(deep, '[', 1000);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script_bytes(party.server, rows[i].status, rows[i].type, rows[i].extra, rows[i].body, strlen(rows[i].body));
        if (rows[i].body != big) /* a place that answers without end is not asked twice over */
            script_bytes(party.server, rows[i].status, rows[i].type, rows[i].extra, rows[i].body, strlen(rows[i].body));
        size_t before = party.server->served;
        rejects(rows[i].text, OAUTH_RETRY, rows[i].text);
        assert_int_equal(party.server->served, before + (rows[i].body != big ? 2 : 1)); /* redirects lead nowhere */
    }
}

static void issuers(void **state)
{
    static const char *const wrong[] = {"",
                                        "http://a.example",
                                        "ftp://a.example",
                                        "https://a.example/?x=1",
                                        "https://u@a.example",
                                        "https://a.example/#f"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        party.p.issuer = ccp_span_z(wrong[i]);
        rejects(wrong[i], OAUTH_CLIENT, "issuer");
    }
    assert_int_equal(party.server->served, 0);
    party.p.issuer = CCP_SPAN("http://127.0.0.1:1");
    rejects("nobody there", OAUTH_NOT_SENT, "refused");
    assert_true(rejected >= 35);
    printf("figure OAU-10 %zu hostile or broken metadata documents and issuers rejected: issuer, http, 1 MiB, loops\n",
           rejected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(documents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_documents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(issuers, set_up, tear_down),
    };
    if (!upstream_global_init())
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    upstream_global_release();
    return failed;
}

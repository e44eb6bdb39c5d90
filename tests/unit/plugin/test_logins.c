/*
 * Logins as the configuration makes them: built-in ones, what [oauth.<name>] replaces, blocks of their own, faults.
 */
#include <plugin/runtime.h>

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/ccp-logins-XXXXXX";

static struct runtime *bound(const char *toml)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(toml, f);
    fclose(f);
    struct config *c = config_load(&(struct config_source){.file = path});
    assert_non_null(c);
    struct runtime *rt = runtime_bind(c);
    assert_non_null(rt);
    return rt;
}

static const char *faults_of(struct runtime *rt)
{
    static char text[4096];
    size_t n, at = 0;
    const struct config_fault *f = config_faults(rt->config, &n);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s\n", CCP_FMT(f[i].text));
    return text;
}

static void built_in_ones_are_found_by_alias(void **state)
{
    static const struct {
        const char *name, *login;
    } rows[] = {{"claude-api", "claude-api"}, {"claude", "claude-api"}, {"claude_api", "claude-api"},
                {"codex", "codex"},           {"openai", "codex"},      {"copilot", "copilot"}};
    struct runtime *rt = bound("");
    assert_string_equal(faults_of(rt), "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct oauth_provider *l = runtime_login(rt, ccp_span_z(rows[i].name));
        assert_non_null(l);
        assert_true(ccp_span_is(l->name, rows[i].login));
        assert_false(l->configured);
    }
    assert_null(runtime_login(rt, CCP_SPAN("acme")));
    runtime_unref(rt);
}

static void a_block_replaces_single_values(void **state)
{
    struct runtime *rt = bound("[oauth.claude_api]\ntoken_url = \"https://t.example/token\"\nscopes = [\"a\", \"b\"]\n"
                               "callback_port = 4711\n");
    assert_string_equal(faults_of(rt), "");
    const struct oauth_provider *l = runtime_login(rt, CCP_SPAN("claude-api"));
    assert_true(l->configured);
    assert_true(ccp_span_is(l->token_url, "https://t.example/token"));
    assert_true(ccp_span_is(l->scopes, "a b"));
    assert_true(ccp_span_starts(l->authorize_url, CCP_SPAN("https://claude.ai/")));
    assert_int_equal(l->ports[0], 4711);
    assert_true(l->flags & CCP_OAUTH_JSON);
    runtime_unref(rt);
}

static void other_scopes_are_not_widened_by_a_refresh(void **state)
{
    struct runtime *rt = bound("");
    assert_true(ccp_span_is(runtime_login(rt, CCP_SPAN("codex"))->refresh_scopes, "openid profile email"));
    runtime_unref(rt);
    rt = bound("[oauth.codex]\nscopes = [\"openid\", \"offline_access\"]\n");
    assert_int_equal(runtime_login(rt, CCP_SPAN("codex"))->refresh_scopes.n, 0);
    runtime_unref(rt);
}

#define ACME                                                                                                           \
    "[oauth.acme]\nauthorize_url = \"https://id.example/a\"\ntoken_url = \"https://id.example/t\"\n"                   \
    "client_id = \"me\"\n"

static void a_block_of_its_own_serves_a_provider(void **state)
{
    struct runtime *rt = bound(ACME "[providers.p]\nbase_url = \"https://API.example:443/v1\"\nauth = \"oauth\"\n"
                                    "oauth = \"acme\"\naccount = \"work\"\nca_file = \"/nowhere\"\n");
    assert_string_equal(faults_of(rt), "");
    const struct oauth_provider *l = runtime_login(rt, CCP_SPAN("acme"));
    struct provider *p = runtime_provider(rt, CCP_SPAN("p"));
    assert_ptr_equal(p->login.login, l);
    assert_int_equal(p->auth, AUTH_OAUTH);
    assert_true(ccp_span_is(p->login.account, "work"));
    assert_true(ccp_span_is(p->unusable, "run: ccproxy auth login acme --account work"));
    assert_int_equal(l->flags, CCP_OAUTH_BROWSER | CCP_OAUTH_REFRESH);
    assert_int_equal(l->origins.n, 1);
    assert_true(ccp_span_is(l->origins.v[0], "https://api.example"));
    assert_true(ccp_span_is(l->ca_file, "/nowhere"));
    runtime_unref(rt);
}

static void a_block_and_a_provider_of_one_name_belong_together(void **state)
{
    struct runtime *rt = bound(ACME "[providers.acme]\nbase_url = \"https://api.example\"\n");
    assert_string_equal(faults_of(rt), "");
    assert_non_null(runtime_provider(rt, CCP_SPAN("acme"))->login.login);
    runtime_unref(rt);
}

static void a_key_comes_before_a_login(void **state)
{
    struct runtime *rt = bound("[plugins.claude_api]\napi_key = \"sk-1\"\n");
    struct provider *p = runtime_provider(rt, CCP_SPAN("claude_api"));
    assert_int_equal(p->auth, AUTH_API_KEY);
    assert_null(p->login.login);
    runtime_unref(rt);
}

static void redirects(void **state)
{
    struct runtime *rt = bound(ACME "redirect_uri = \"http://localhost:1455/auth/cb\"\n");
    const struct oauth_provider *l = runtime_login(rt, CCP_SPAN("acme"));
    assert_string_equal(faults_of(rt), "");
    assert_true(ccp_span_is(l->redirect_path, "/auth/cb"));
    assert_true(ccp_span_is(l->redirect_host, "localhost"));
    assert_int_equal(l->ports[0], 1455);
    runtime_unref(rt);
    rt = bound(ACME "redirect_uri = \"https://id.example/show-code\"\n");
    l = runtime_login(rt, CCP_SPAN("acme"));
    assert_true(ccp_span_is(l->paste_redirect, "https://id.example/show-code"));
    assert_int_equal(l->flags & (CCP_OAUTH_BROWSER | CCP_OAUTH_PASTE), CCP_OAUTH_PASTE);
    runtime_unref(rt);
}

static void faults(void **state)
{
    static const struct {
        const char *toml, *says;
    } rows[] = {
        {"[oauth.acme]\nclient_id = \"x\"\n", "token_url: is missing"},
        {"[oauth.acme]\ntoken_url = \"https://a/t\"\nclient_id = \"x\"\n", "authorize_url: is missing"},
        {"[oauth.acme]\nissuer = \"https://a\"\n", "client_id: is missing"},
        {"[oauth.acme]\nissuer = \"http://a.example\"\nclient_id = \"x\"\n", "oauth.acme.issuer"},
        {"[oauth.acme]\nissuer = \"javascript:alert(1)\"\nclient_id = \"x\"\n", "oauth.acme.issuer"},
        {"[oauth.Acme]\nissuer = \"https://a\"\nclient_id = \"x\"\n", "lower-case"},
        {"[oauth.claude]\nscopes = []\n[oauth.claude-api]\nscopes = []\n", "for the same login"},
        {"[providers.p]\nbase_url = \"https://a\"\nauth = \"oauth\"\n", "no login of its own"},
        {"[providers.p]\nbase_url = \"https://a\"\nauth = \"oauth\"\noauth = \"nobody\"\n", "no login \"nobody\""},
        {"[plugins.codex]\naccount = \"../x\"\nauth = \"oauth\"\n", "labels are"},
        {"[plugins.codex]\nauth_file = \"auth.json\"\nauth = \"oauth\"\n", "absolute path"},
        {"[plugins.copilot]\nauth_file = \"/x\"\nauth = \"oauth\"\n", "knows no file"},
        {"[oauth.codex]\nredirect_uri = \"http://localhost:1/cb\"\ncallback_port = 2\n", "names a port already"},
        {"[oauth.codex]\nredirect_uri = \"http://localhost/cb?a=1\"\n", "needs a port"},
        {"[auth]\nencryption = \"rot13\"\n", "auth.encryption"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct runtime *rt = bound(rows[i].toml);
        if (strstr(faults_of(rt), rows[i].says) == NULL)
            fail_msg("%s\ngives: %swants: %s", rows[i].toml, faults_of(rt), rows[i].says);
        runtime_unref(rt);
    }
}

static void the_directory_has_a_default(void **state)
{
    struct store_options o;
    struct runtime *rt = bound("");
    setenv("HOME", "/h/x", 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("STATE_DIRECTORY");
    assert_true(runtime_store_options(rt, &o));
    assert_string_equal(o.directory, "/h/x/.config/ccproxy/credentials");
    setenv("XDG_CONFIG_HOME", "/xdg", 1);
    assert_true(runtime_store_options(rt, &o));
    assert_string_equal(o.directory, "/xdg/ccproxy/credentials");
    setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b", 1);
    assert_true(runtime_store_options(rt, &o));
    assert_string_equal(o.directory, "/var/lib/a/credentials");
    runtime_unref(rt);
    rt = bound("[auth]\ndirectory = \"/srv/c\"\nencryption = \"key_file\"\nkey_file = \"/k\"\n");
    assert_true(runtime_store_options(rt, &o));
    assert_string_equal(o.directory, "/srv/c");
    assert_int_equal(o.encryption, STORE_KEY_FILE);
    assert_string_equal(o.key_file, "/k");
    runtime_unref(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_ones_are_found_by_alias),
        cmocka_unit_test(a_block_replaces_single_values),
        cmocka_unit_test(other_scopes_are_not_widened_by_a_refresh),
        cmocka_unit_test(a_block_of_its_own_serves_a_provider),
        cmocka_unit_test(a_block_and_a_provider_of_one_name_belong_together),
        cmocka_unit_test(a_key_comes_before_a_login),
        cmocka_unit_test(redirects),
        cmocka_unit_test(faults),
        cmocka_unit_test(the_directory_has_a_default),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}

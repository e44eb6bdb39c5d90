/*
 * Rules between settings: what a configuration may say, and which plugins and providers come out of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/secret.h>
#include <plugin/runtime.h>
#include <unistd.h>

static struct runtime *bound(const char *toml, char **environment)
{
    char path[] = "/tmp/ccproxy-test-settings-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, toml, strlen(toml)), strlen(toml));
    close(fd);
    struct config_source source = {.file = path, .environ = environment};
    struct config *c = config_load(&source);
    unlink(path);
    assert_non_null(c);
    struct runtime *rt = runtime_bind(c);
    assert_non_null(rt);
    return rt;
}

/* All faults, one a line; warnings begin with "warning: ". */
static const char *faults_of(struct runtime *rt)
{
    static char text[8192];
    size_t n, at = 0;
    const struct config_fault *f = config_faults(rt->config, &n);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s\n", f[i].warning ? "warning: " : "",
                               CCP_FMT(f[i].text));
    return text;
}

static const struct {
    const char *toml, *want; /* NULL = no fault at all */
} table[] = {
    {"", NULL},
    /* base_url */
    {"[plugins.claude_api]\nbase_url = \"https://proxy.example/anthropic/\"\n", NULL},
    {"[plugins.claude_api]\nbase_url = \"proxy.example\"\n", "plugins.claude_api.base_url"},
    {"[plugins.claude_api]\nbase_url = \"ftp://proxy.example\"\n", "plugins.claude_api.base_url"},
    {"[plugins.claude_api]\nbase_url = \"https://u:p@proxy.example\"\n", "plugins.claude_api.base_url"},
    {"[plugins.claude_api]\nbase_url = \"https://proxy.example/?x=1\"\n", "plugins.claude_api.base_url"},
    {"[plugins.claude_api]\nbase_url = \"https://proxy.example/#x\"\n", "plugins.claude_api.base_url"},
    {"[plugins.claude_api]\nbase_url = \"https://proxy.example:99999\"\n", "plugins.claude_api.base_url"},
    /* fields that are ccproxy's own; credentials for everybody */
    {"[plugins.claude_api]\nheaders = {\"x-team\" = \"blue\"}\n", NULL},
    {"[plugins.claude_api]\nheaders = {\"Content-Length\" = \"5\"}\n", "Content-Length is set by ccproxy itself"},
    {"[plugins.claude_api]\nheaders = {host = \"other.example\"}\n", "host is set by ccproxy itself"},
    {"[cors]\norigins = [\"*\"]\n", NULL},
    {"[cors]\norigins = [\"https://a.example\", \"*\"]\ncredentials = true\n", "cors.credentials"},
    /* plain http: literal loopback and private hosts, or on request */
    {"[plugins.openai]\nbase_url = \"http://127.0.0.1:11434/v1\"\n", NULL},
    {"[plugins.openai]\nbase_url = \"http://[::1]:11434/v1\"\n", NULL},
    {"[plugins.openai]\nbase_url = \"http://localhost:11434/v1\"\n", NULL},
    {"[plugins.openai]\nbase_url = \"http://10.1.2.3/v1\"\n", NULL},
    {"[plugins.openai]\nbase_url = \"http://172.31.0.1/v1\"\n", NULL},
    {"[plugins.openai]\nbase_url = \"http://192.168.7.7/v1\"\n", NULL},
    {"[plugins.openai]\nbase_url = \"http://[fd00::7]/v1\"\n", NULL},
    {"[plugins.openai]\nbase_url = \"http://172.32.0.1/v1\"\n", "http:// is for loopback"},
    {"[plugins.openai]\nbase_url = \"http://8.8.8.8/v1\"\n", "http:// is for loopback"},
    {"[plugins.openai]\nbase_url = \"http://[2001:db8::1]/v1\"\n", "http:// is for loopback"},
    {"[plugins.openai]\nbase_url = \"http://[fd::1]/v1\"\n", "http:// is for loopback"}, /* 00fd::1, not fd00::/8 */
    {"[plugins.openai]\nbase_url = \"http://127.0.0.1.example/v1\"\n", "http:// is for loopback"},
    {"[plugins.openai]\nbase_url = \"http://box.lan/v1\"\n", "http:// is for loopback"},
    {"[plugins.openai]\nbase_url = \"http://box.lan/v1\"\nallow_private = true\n", NULL},
    /* blocks: names, prefixes, formats */
    {"[providers.local]\nbase_url = \"http://127.0.0.1:1/v1\"\n", NULL},
    {"[providers.local]\nbase_url = \"http://127.0.0.1:1\"\nformat = \"gemini\"\nprefix = \"g2\"\n", NULL},
    {"[providers.local]\nformat = \"openai-chat\"\n", "base_url"},
    {"[providers.local]\nbase_url = \"http://127.0.0.1:1\"\nformat = \"soap\"\n", "format"},
    {"[providers.health]\nbase_url = \"http://127.0.0.1:1\"\n", "\"health\" is reserved"},
    {"[providers.v1]\nbase_url = \"http://127.0.0.1:1\"\n", "\"v1\" is reserved"},
    {"[providers.v1beta]\nbase_url = \"http://127.0.0.1:1\"\n", "\"v1beta\" is reserved"},
    {"[providers.raw]\nbase_url = \"http://127.0.0.1:1\"\n", "\"raw\" is reserved"},
    {"[providers.plugins]\nbase_url = \"http://127.0.0.1:1\"\n", "\"plugins\" is reserved"},
    {"[providers.status]\nbase_url = \"http://127.0.0.1:1\"\n", "\"status\" is reserved"},
    {"[providers.x]\nbase_url = \"http://127.0.0.1:1\"\nprefix = \"metrics\"\n", "\"metrics\" is reserved"},
    {"[providers.claude]\nbase_url = \"http://127.0.0.1:1\"\n", "taken by provider claude_api"},
    {"[providers.claude_api]\nbase_url = \"http://127.0.0.1:1\"\n", "taken by provider claude_api"},
    {"[providers.x]\nbase_url = \"http://127.0.0.1:1\"\nprefix = \"openai\"\n", "taken by provider openai"},
    {"[providers.x]\nbase_url = \"http://127.0.0.1:1\"\nprefix = \"y\"\n[providers.y]\nbase_url = "
     "\"http://127.0.0.1:1\"\n",
     "is taken by provider x"},
    {"[providers.\"a/b\"]\nbase_url = \"http://127.0.0.1:1\"\n", "letters, digits"},
    {"[providers.x]\nbase_url = \"http://127.0.0.1:1\"\nprefix = \"..\"\n", "letters, digits"},
    {"[providers.x]\nbase_url = \"http://127.0.0.1:1\"\nprefix = \"a b\"\n", "letters, digits"},
    /* headers, proxy, mappings */
    {"[plugins.openai]\nheaders = { \"user-agent\" = \"mine/1\" }\n", NULL},
    {"[plugins.openai]\nheaders = { \"bad name\" = \"x\" }\n", "is not a header name"},
    {"[plugins.openai]\nheaders = { \"x-a\" = \"a\\r\\nx-b: c\" }\n", "control characters"},
    {"[upstream]\nproxy = \"http://127.0.0.1:3128\"\n", NULL},
    {"[upstream]\nproxy = \"socks5h://proxy.example:1080\"\n", NULL},
    {"[upstream]\nproxy = \"gopher://x\"\n", "upstream.proxy"},
    {"[upstream]\nproxy = \"socks5://\"\n", "upstream.proxy"},
    {"[[routing.model_mappings]]\nmatch = \"^claude-(opus|sonnet)\"\ntarget = \"x\"\nkind = \"regex\"\n", NULL},
    {"[[routing.model_mappings]]\nmatch = \"(\"\ntarget = \"x\"\nkind = \"regex\"\n", "regular expression"},
    {"[[routing.model_mappings]]\nmatch = \"\"\ntarget = \"x\"\n", "match is empty"},
    {"[[plugins.openai.model_mappings]]\nmatch = \"a\"\ntarget = \"\"\n", "target is empty"},
    {"[[routing.model_mappings]]\nmatch = \"a\"\n", "target"},
    {"[routing]\ndefault_provider = \"claude\"\n", NULL},
    {"[routing]\ndefault_provider = \"nobody\"\n", "there is no provider \"nobody\""},
    /* server and keys */
    {"[server]\nhost = []\n", "nothing to listen on"},
    {"[server]\nhost = []\nunix_socket = \"/tmp/x.sock\"\n", NULL},
    {"[server]\nhost = \"example.com\"\n", "is not an IP address"},
    {"[server]\nhost = \"0.0.0.0\"\n", NULL},
    {"[server]\nunix_socket_mode = \"0999\"\n", "octal"},
    {"[server]\nunix_socket_mode = \"\"\n", "octal"},
    {"[server]\ntls_cert = \"/x.pem\"\n", "go together"},
    {"[server]\ntls_key = \"/x.pem\"\n", "go together"},
    {"[[security.keys]]\nname = \"a\"\ntoken = \"t1\"\n[[security.keys]]\nname = \"b\"\ntoken = \"t2\"\n", NULL},
    {"[[security.keys]]\nname = \"a\"\ntoken = \"t1\"\n[[security.keys]]\nname = \"a\"\ntoken = \"t2\"\n", "two keys"},
    {"[[security.keys]]\nname = \"\"\ntoken = \"t1\"\n", "needs a name"},
    {"[[security.keys]]\nname = \"a\"\ntoken = \"\"\n", "has no token"},
    {"[[security.keys]]\nname = \"a\"\n", "token"},
    {"[security]\nauth_token = \"t\"\n[[security.keys]]\nname = \"default\"\ntoken = \"u\"\n", "belongs to auth_token"},
    /* plugin lists */
    {"enabled_plugins = [\"mock\"]\n", NULL},
    {"enabled_plugins = []\n", NULL},
    {"enabled_plugins = [\"mokc\"]\n", "there is no plugin \"mokc\" (did you mean \"mock\"?)"},
    {"enabled_plugins = [\"a_plugin_from_nowhere\"]\n", "there is no plugin \"a_plugin_from_nowhere\"\n"},
    {"disabled_plugins = [\"nobody\"]\n", "warning: "},
    /* unknown keys in tables of plugins */
    {"[plugins.mock]\nenabledd = true\n", "enabledd"},
};

static void rules(void **state)
{
    size_t failed = 0;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct runtime *rt = bound(table[i].toml, NULL);
        const char *faults = faults_of(rt);
        bool as_expected = table[i].want == NULL ? faults[0] == '\0' : strstr(faults, table[i].want) != NULL;
        if (!as_expected) {
            print_error("row %zu:\n%s  want: %s\n  got: %s\n", i, table[i].toml,
                        table[i].want ? table[i].want : "(none)", faults);
            failed++;
        }
        bool warning_only = table[i].want != NULL && strcmp(table[i].want, "warning: ") == 0;
        assert_int_equal(config_ok(rt->config), faults[0] == '\0' || warning_only);
        runtime_unref(rt);
    }
    assert_int_equal(failed, 0);
}

static enum plugin_state state_of(struct runtime *rt, const char *name)
{
    struct plugin_instance *p = runtime_plugin(rt, ccp_span_z(name));
    assert_non_null(p);
    return p->state;
}

static void which_plugins_run(void **state)
{
    static const struct {
        const char *toml;
        bool mock, openai, access_log;
    } rows[] = {
        {"", true, true, true},
        {"enabled_plugins = [\"mock\"]\n", true, false, false},
        {"enabled_plugins = []\n", false, false, false},
        {"disabled_plugins = [\"mock\"]\n", false, true, true},
        {"enabled_plugins = [\"mock\", \"openai\"]\ndisabled_plugins = [\"mock\"]\n", false, true, false},
        {"[plugins.mock]\nenabled = false\n", false, true, true},
        {"enabled_plugins = [\"mock\"]\n[plugins.mock]\nenabled = false\n", false, false, false},
        {"enable_plugins = false\n", true, true, false}, /* system plugins only */
        {"[plugins.access_log]\nenabled = false\n", true, true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct runtime *rt = bound(rows[i].toml, NULL);
        assert_string_equal(faults_of(rt), "");
        assert_int_equal(state_of(rt, "mock"), rows[i].mock ? PLUGIN_ACTIVE : PLUGIN_DISABLED);
        assert_int_equal(state_of(rt, "openai"), rows[i].openai ? PLUGIN_ACTIVE : PLUGIN_DISABLED);
        assert_int_equal(state_of(rt, "access_log"), rows[i].access_log ? PLUGIN_ACTIVE : PLUGIN_DISABLED);
        assert_int_equal(runtime_provider(rt, CCP_SPAN("mock"))->enabled, rows[i].mock);
        runtime_unref(rt);
    }
}

static void auth_is_resolved(void **state)
{
    static const struct {
        const char *toml, *id;
        enum provider_auth auth;
        bool usable;
    } rows[] = {
        {"", "claude_api", AUTH_OAUTH, false}, /* the login that may come */
        {"", "openai", AUTH_AUTO, false},
        {"", "mock", AUTH_NONE, true},
        {"[plugins.claude_api]\napi_key = \"sk-1\"\n", "claude_api", AUTH_API_KEY, true},
        {"[plugins.claude_api]\nauth = \"api_key\"\n", "claude_api", AUTH_API_KEY, false},
        {"[plugins.claude_api]\nauth = \"passthrough\"\n", "claude_api", AUTH_PASSTHROUGH, true},
        {"[plugins.claude_api]\nauth = \"passthrough\"\napi_key = \"sk-1\"\n", "claude_api", AUTH_PASSTHROUGH, true},
        {"[plugins.claude_api]\nauth = \"none\"\n", "claude_api", AUTH_NONE, true},
        {"[plugins.claude_api]\nauth = \"oauth\"\n", "claude_api", AUTH_OAUTH, false},
        {"[plugins.claude_api]\napi_key = \"sk-1\"\nenabled = false\n", "claude_api", AUTH_API_KEY, false},
        {"[providers.l]\nbase_url = \"http://127.0.0.1:1/v1\"\n", "l", AUTH_AUTO, false},
        {"[providers.l]\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key = \"k\"\n", "l", AUTH_API_KEY, true},
        {"[providers.l]\nbase_url = \"http://127.0.0.1:1/v1\"\nauth = \"none\"\n", "l", AUTH_NONE, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct runtime *rt = bound(rows[i].toml, NULL);
        assert_string_equal(faults_of(rt), "");
        struct provider *p = runtime_provider(rt, ccp_span_z(rows[i].id));
        assert_non_null(p);
        assert_int_equal(p->auth, rows[i].auth);
        assert_int_equal(p->usable, rows[i].usable);
        assert_int_equal(p->unusable.n == 0, p->usable);
        runtime_unref(rt);
    }
}

static void keys_come_from_the_environment(void **state)
{
    char *environment[] = {"ANTHROPIC_API_KEY=sk-from-env", "PLUGINS__OPENAI__BASE_URL=https://e.example/v1", NULL};
    struct runtime *rt = bound("", environment);
    assert_string_equal(faults_of(rt), "");
    struct provider *p = runtime_provider(rt, CCP_SPAN("claude_api"));
    assert_int_equal(p->auth, AUTH_API_KEY);
    /* test: is it the key of the environment? */
    assert_true(secret_equals(p->s.api_key, CCP_SPAN("sk-from-env")));
    p = runtime_provider(rt, CCP_SPAN("openai"));
    assert_true(ccp_span_is(p->base.host, "e.example"));
    assert_true(ccp_span_is(p->base.path, "/v1"));
    runtime_unref(rt);
}

static void addresses_are_resolved(void **state)
{
    struct runtime *rt = bound("[upstream]\nfirst_byte_timeout = \"7s\"\nproxy = \"http://proxy.example:1\"\n"
                               "[plugins.openai]\nbase_url = \"http://127.0.0.1:9/v1/\"\ntimeout = \"3s\"\n"
                               "[providers.p]\nbase_url = \"https://api.example\"\nproxy = \"http://127.0.0.1:3\"\n",
                               NULL);
    assert_string_equal(faults_of(rt), "");
    struct provider *p = runtime_provider(rt, CCP_SPAN("openai"));
    assert_true(ccp_span_is(p->base.path, "/v1")); /* a trailing slash does not double */
    assert_int_equal(p->base.port, 9);
    assert_int_equal(p->limits.first_byte_ms, 3000);
    assert_false(p->literal_host); /* what is connected to is the proxy, which is a name */
    p = runtime_prefix(rt, CCP_SPAN("p"));
    assert_true(p->literal_host);
    assert_int_equal(p->limits.first_byte_ms, 7000);
    assert_null(runtime_prefix(rt, CCP_SPAN("nobody")));
    runtime_unref(rt);
}

static void models_are_mapped(void **state)
{
    static const char *const rows[][2] = {
        {"exact", "1"}, {"exactly", NULL}, {"pre-x", "2"},     {"pre-", "2"}, {"x-suf", "3"},
        {"a1b", "4"},   {"a1", NULL},      {"pre-exact", "2"}, {"", NULL},
    };
    struct runtime *rt = bound("[[routing.model_mappings]]\nmatch = \"exact\"\ntarget = \"1\"\n"
                               "[[routing.model_mappings]]\nmatch = \"pre-\"\ntarget = \"2\"\nkind = \"prefix\"\n"
                               "[[routing.model_mappings]]\nmatch = \"-suf\"\ntarget = \"3\"\nkind = \"suffix\"\n"
                               "[[routing.model_mappings]]\nmatch = \"^a[0-9]b$\"\ntarget = \"4\"\nkind = \"regex\"\n",
                               NULL);
    assert_string_equal(faults_of(rt), "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct model_mapping *m =
            settings_map_model(&rt->settings.routing.model_mappings, ccp_span_z(rows[i][0]));
        assert_int_equal(m == NULL, rows[i][1] == NULL);
        if (m != NULL)
            assert_true(ccp_span_is(m->target, rows[i][1]));
    }
    runtime_unref(rt);
}

static void warning_is_a_level(void **state)
{
    struct runtime *rt = bound("[logging]\nlevel = \"WARNING\"\n", NULL);
    assert_string_equal(faults_of(rt), "");
    assert_int_equal(rt->settings.logging.level, CCP_LOG_WARN);
    runtime_unref(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(which_plugins_run),
        cmocka_unit_test(auth_is_resolved),
        cmocka_unit_test(keys_come_from_the_environment),
        cmocka_unit_test(addresses_are_resolved),
        cmocka_unit_test(models_are_mapped),
        cmocka_unit_test(warning_is_a_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

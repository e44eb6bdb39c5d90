/* Keys that nobody claimed, at every level, in file, environment and flags. */
#include "rows.h"

struct small {
    struct ccp_span base_url;
};
static const struct ccp_config_row small_rows[] = {
    {.key = "base_url", .type = CCP_STRING, .offset = offsetof(struct small, base_url)},
    {.key = NULL},
};

static struct config *bound(const char *text, char **env, const char *const *sets)
{
    static struct all a;
    static struct small s;
    struct config *c = support_load(text, env, sets);
    struct config_section mock = {.path = "plugins.claude_api", .rows = small_rows, .target = &s};
    all_bind(c, &a);
    config_bind(c, &mock);
    config_finish(c);
    return c;
}

static void in_the_file(void **state)
{
    struct config *c = bound("loging = 1\n[sever]\nx = 1\n[server]\nPort = 1\nzzzzzzzz = 1\n[server.sub]\ny = 1\n"
                             "[plugins.claude-apo]\nx = 1\n[plugins.claude_api]\nbase-url = 'x'\n[[wide]]\n",
                             NULL, NULL);
    assert_fault(c, "c.toml:1: loging: unknown key");
    assert_fault(c, "c.toml:2: sever: unknown table (did you mean \"server\"?)");
    assert_fault(c, "c.toml:5: server.Port: unknown key (did you mean \"port\"?)");
    assert_fault(c, "c.toml:6: server.zzzzzzzz: unknown key");
    assert_fault(c, "c.toml:7: server.sub: unknown table");
    assert_fault(c, "c.toml:9: plugins.claude-apo: unknown table (did you mean \"claude_api\"?)");
    assert_fault(c, "c.toml:12: plugins.claude_api.base-url: unknown key (did you mean \"base_url\"?)");
    assert_fault(c, "c.toml:13: wide: unknown table");
    assert_int_equal(support_fault_count(c), 8);
    config_unref(c);
}

static void values_for_tables(void **state)
{
    struct config *c = bound("server = 3\nplugins = ['a']\n", NULL, NULL);
    assert_fault(c, "c.toml:1: server: expected a table, found an integer");
    assert_fault(c, "c.toml:2: plugins: expected a table, found an array");
    assert_int_equal(support_fault_count(c), 2);
    config_unref(c);
    c = bound("[[server]]\nport = 1\n", NULL, SETS("plugins=1"));
    assert_fault(c, "c.toml:1: server: expected a table");
    assert_fault(c, "flag --set: plugins: expected a table, found text");
    assert_int_equal(support_fault_count(c), 2);
    config_unref(c);
}

static void in_the_environment(void **state)
{
    struct config *c = bound("",
                             ENV("PATH=/bin", "OTHER__THING=1", "SERVER=x", "SERVER__PROT=1",
                                 "PLUGINS__CLAUDE_APU__BASE_URL=sk-x", "PLUGINS__CLAUDE_API__BASE_URI=sk-x",
                                 "SERVER__PORT__X=1", "SERVER__NAME=ok", "PLUGINS__CLAUDE_API=1"),
                             NULL);
    assert_fault(c, "env SERVER__PROT: server.prot: unknown key (did you mean \"port\"?)");
    assert_fault(c,
                 "env PLUGINS__CLAUDE_APU__BASE_URL: plugins.claude_apu: unknown table (did you mean \"claude_api\"?)");
    assert_fault(
        c, "env PLUGINS__CLAUDE_API__BASE_URI: plugins.claude_api.base_uri: unknown key (did you mean \"base_url\"?)");
    assert_fault(c, "env SERVER__PORT__X: server.port: is a value, nothing can be set below it");
    assert_fault(c, "env PLUGINS__CLAUDE_API: plugins.claude_api: expected a table, found text");
    assert_int_equal(support_fault_count(c), 5);
    assert_false(support_has_fault(c, "sk-x"));
    config_unref(c);
}

static void in_flags(void **state)
{
    struct config *c = bound("", NULL, SETS("portt=1", "--port server.prt=1", "server.port.x=1", "a.b.c=1"));
    assert_fault(c, "flag --set: portt: unknown key");
    assert_fault(c, "flag --port: server.prt: unknown key (did you mean \"port\"?)");
    assert_fault(c, "flag --set: server.port: is a value");
    assert_fault(c, "flag --set: a: unknown table");
    assert_int_equal(support_fault_count(c), 4);
    config_unref(c);
}

static void claimed(void **state)
{
    struct ccp_span names[4];
    struct config *c = support_load("[plugins.foreign]\nx = 1\n[plugins.foreign.deep]\ny = 1\n[providers]\n",
                                    ENV("PLUGINS__FOREIGN__Z=1"), NULL);
    config_claim(c, "plugins.foreign");
    assert_int_equal(config_tables(c, "providers", names, 4), 0);
    config_finish(c);
    assert_ok(c);
    config_unref(c);
}

static void odd_names(void **state)
{
    struct config *c =
        bound("\"a\\u001b[31mb\" = 1\n\"\" = 1\n"
              "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=1",
              NULL, NULL);
    assert_fault(c, "c.toml:1: a?[31mb: unknown key");
    assert_fault(c, "c.toml:2: unknown key");
    assert_fault(c, "xxx...: unknown key");
    config_unref(c);
}

static void cross_checks(void **state)
{
    struct all a;
    struct config *c = support_load("[server]\nport = 1\n[[server.keys]]\nname = 'x'\n", NULL, NULL);
    all_bind(c, &a);
    config_fault(c, "server", "port", false, "taken by %s", "x");
    config_fault(c, "server", "name", true, "is odd");
    config_fault(c, "server.keys[0]", "name", false, "twice");
    config_fault(c, "server.keys[0]", "name", false, "twice");
    config_fault(c, "", "level", false, "top");
    config_finish(c);
    assert_fault(c, "c.toml:2: server.port: taken by x");
    assert_fault(c, "c.toml:1: server.name: is odd");
    assert_fault(c, "c.toml:3: server.keys[0].name: twice");
    assert_fault(c, "default: level: top");
    assert_int_equal(support_fault_count(c), 4); /* the same sentence once */
    assert_false(config_ok(c));
    config_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_file),  cmocka_unit_test(values_for_tables), cmocka_unit_test(in_the_environment),
        cmocka_unit_test(in_flags),     cmocka_unit_test(claimed),           cmocka_unit_test(odd_names),
        cmocka_unit_test(cross_checks),
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}

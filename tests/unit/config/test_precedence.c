/* Flag over environment over file over default, for one key in every combination, and origins. */
#include "rows.h"

static void matrix(void **state)
{
    for (unsigned i = 0; i < 8; i++) {
        struct all a;
        char text[64];
        snprintf(text, sizeof(text), "[server]\n%s\n", i & 1 ? "port = 1" : "");
        struct config *c =
            all_load(&a, text, i & 2 ? ENV("SERVER__PORT=2") : NULL, i & 4 ? SETS("--port server.port=3") : NULL);
        struct ccp_span origin;
        assert_ok(c);
        assert_int_equal(a.port, i & 4 ? 3 : i & 2 ? 2 : i & 1 ? 1 : 8000);
        assert_int_equal(config_is_set(c, "server", "port", &origin), i != 0);
        char file[128];
        snprintf(file, sizeof(file), "%s:2", support_file);
        assert_span(origin, i & 4 ? "flag --port" : i & 2 ? "env SERVER__PORT" : i & 1 ? file : "default");
        config_unref(c);
    }
}

static void environment_names(void **state)
{
    struct all a;
    struct config *c = all_load(
        &a, "", ENV("server__Port=17", "PATH=/bin", "__A=1", "B__=1", "A____B=2", "noequals", "SERVER=x"), NULL);
    assert_ok(c);
    assert_int_equal(a.port, 17);
    assert_int_equal(support_fault_count(c), 0);
    config_unref(c);
}

static void empty_values(void **state)
{
    struct all a;
    struct config *c = all_load(&a, "[server]\nname='x'\nhosts=['h']\nurl='http://h'\n[server.headers]\na='b'\n",
                                ENV("SERVER__NAME=", "SERVER__HOSTS=", "SERVER__URL=", "SERVER__HEADERS="), NULL);
    assert_ok(c);
    assert_span(a.name, "");
    assert_span(a.url, "");
    assert_int_equal(a.hosts.n, 0);
    assert_int_equal(a.headers.n, 0);
    config_unref(c);
}

static void lists(void **state)
{
    static char *const same[] = {"SERVER__HOSTS=a, b", "SERVER__HOSTS=[\"a\",\"b\"]"};
    struct all a;
    for (int i = 0; i < 2; i++) {
        struct config *c = all_load(&a, "[server]\nhosts = 'file'\n", ENV(same[i]), NULL);
        assert_ok(c);
        assert_int_equal(a.hosts.n, 2);
        assert_span(a.hosts.v[0], "a");
        assert_span(a.hosts.v[1], "b");
        config_unref(c);
    }
    struct config *c = all_load(&a, "", ENV("SERVER__HOSTS=[1,2"), NULL);
    assert_fault(c, "env SERVER__HOSTS: server.hosts: expected a list");
    config_unref(c);
    c = all_load(&a, "", ENV("SERVER__HOSTS=[1]"), NULL);
    assert_fault(c, "env SERVER__HOSTS: server.hosts: expected a string, found an integer");
    config_unref(c);
}

static void maps_merge(void **state)
{
    struct all a;
    struct config *c = all_load(&a, "[server.headers]\nx = 'file'\ny = 'file'\n", ENV("SERVER__HEADERS__Y=env"),
                                SETS("server.headers.z=flag"));
    assert_ok(c);
    assert_int_equal(a.headers.n, 3);
    assert_span(a.headers.v[0].value, "file");
    assert_span(a.headers.v[1].value, "env");
    assert_span(a.headers.v[2].value, "flag");
    config_unref(c);
    c = all_load(&a, "[server.headers]\nx = 'file'\n", ENV("SERVER__HEADERS={\"k\":\"v\"}"), NULL);
    assert_ok(c);
    assert_int_equal(a.headers.n, 1);
    assert_span(a.headers.v[0].name, "k");
    config_unref(c);
}

static void tables_from_text(void **state)
{
    struct all a;
    struct config *c = all_load(&a, "", ENV("SERVER__KEYS=[{\"name\":\"a\",\"token\":\"tt\"},\"b\"]"), NULL);
    assert_ok(c);
    assert_int_equal(a.keys.n, 2);
    struct key_row *k = a.keys.v;
    assert_span(k[0].name, "a");
    assert_non_null(k[0].token);
    assert_span(k[1].name, "b");
    config_unref(c);
    c = all_load(&a, "", NULL, SETS("server.keys=[{name='q', admin=true}]"));
    assert_ok(c);
    k = a.keys.v;
    assert_int_equal(a.keys.n, 1);
    assert_true(k[0].admin);
    config_unref(c);
}

static void flags(void **state)
{
    struct all a;
    struct config *c =
        all_load(&a, "", NULL,
                 SETS("server.name=1", "server.port=1_0", "server.hosts=[\"x\",\"y\"]", "server.flag=off",
                      "server.wait=2m", "server.size=\"1 KiB\"", "server.port=11", "server.h2c=true"));
    assert_ok(c);
    assert_span(a.name, "1");
    assert_int_equal(a.port, 11);
    assert_int_equal(a.hosts.n, 2);
    assert_false(a.flag);
    assert_int_equal(a.wait, 120000);
    assert_int_equal(a.size, 1024);
    assert_int_equal(a.h2c, 1);
    config_unref(c);
    c = all_load(&a, "", NULL, SETS("server.token:sk-hidden", "=sk-hidden", "a..b=sk-hidden", "server.port=1\nx=2"));
    assert_fault(c, "flag --set: expected key=value");
    assert_fault(c, "flag --set: a..b: not a key");
    assert_fault(c, "flag --set: server.port: expected an integer");
    assert_false(support_has_fault(c, "sk-hidden"));
    config_unref(c);
}

static void names_of_tables(void **state)
{
    struct ccp_span names[8];
    struct config *c = support_load("[providers.zeta]\n[providers.my-local]\n[providers.'a.b']\nx=1\n",
                                    ENV("PROVIDERS__MY_LOCAL__X=1", "PROVIDERS__EXTRA__X=2", "PROVIDERS__LEAF=3"),
                                    SETS("providers.flagged.x=1"));
    assert_int_equal(config_tables(c, "providers", names, 8), 5);
    assert_span(names[0], "zeta");
    assert_span(names[1], "my-local");
    assert_span(names[2], "a.b");
    assert_span(names[3], "extra");
    assert_span(names[4], "flagged");
    assert_int_equal(config_tables(c, "providers", names, 2), 2);
    assert_true(config_is_set(c, "providers.a.b", "x", NULL));
    assert_true(config_is_set(c, "providers.my-local", "x", NULL));
    config_unref(c);
}

struct top {
    struct ccp_list enabled;
    bool on;
    bool more;
};
static const struct ccp_config_row top_rows[] = {
    {.key = "enabled_plugins", .type = CCP_LIST, .offset = offsetof(struct top, enabled)},
    {.key = "enable_plugins", .type = CCP_BOOL, .offset = offsetof(struct top, on), .def = "true"},
    {.key = NULL},
};
static const struct ccp_config_row top_more[] = {
    {.key = "more", .type = CCP_BOOL, .offset = offsetof(struct top, more)},
    {.key = NULL},
};

static void top_level_and_second_rows(void **state)
{
    struct top t = {.on = false};
    struct config *c = support_load("more = true\n", ENV("ENABLED_PLUGINS=a,b", "ENABLE_PLUGIN=1", "HOME=/x"), NULL);
    struct config_section s = {.path = "", .rows = top_rows, .more = top_more, .target = &t};
    config_bind(c, &s);
    config_finish(c);
    assert_ok(c);
    assert_int_equal(t.enabled.n, 2);
    assert_true(t.on);
    assert_true(t.more);
    assert_false(config_is_set(c, "", "enable_plugins", NULL));
    assert_true(config_is_set(c, "", "enabled_plugins", NULL));
    config_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix), cmocka_unit_test(environment_names), cmocka_unit_test(empty_values),
        cmocka_unit_test(lists),  cmocka_unit_test(maps_merge),        cmocka_unit_test(tables_from_text),
        cmocka_unit_test(flags),  cmocka_unit_test(names_of_tables),   cmocka_unit_test(top_level_and_second_rows),
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}

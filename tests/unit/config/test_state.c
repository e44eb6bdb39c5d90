/*
 * The state layer: where it stands among the others, what may stand in it, and how its text is edited.
 */
#include "config/support.h"

struct target {
    struct ccp_span name, url;
    int64_t level;
    struct ccp_secret *token;
    struct ccp_map tags;
};

static const struct ccp_config_row rows[] = {
    {.key = "name", .type = CCP_STRING, .offset = offsetof(struct target, name), .def = "\"d\""},
    {.key = "url", .type = CCP_STRING, .offset = offsetof(struct target, url), .flags = CCP_ROW_TRUSTED},
    {.key = "level", .type = CCP_INT, .offset = offsetof(struct target, level), .def = "1", .max = 10},
    {.key = "token", .type = CCP_SECRET, .offset = offsetof(struct target, token)},
    {.key = "tags", .type = CCP_MAP, .offset = offsetof(struct target, tags)},
    {.key = NULL},
};

static struct config *load(const char *file, const char *text, char **env, const char *const *sets, bool candidate)
{
    support_write(support_file, file, strlen(file), 0600);
    struct config_source source = {.file = support_file,
                                   .environ = env,
                                   .sets = sets,
                                   .state = ccp_span_z(text),
                                   .state_path = "/s/plugins.toml",
                                   .state_candidate = candidate};
    struct config *c = config_load(&source);
    assert_non_null(c);
    return c;
}

static void bind(struct config *c, struct target *t)
{
    struct ccp_span names[8];
    memset(t, 0, sizeof(*t));
    config_tables(c, "plugins", names, 8);
    config_bind(c, &(struct config_section){"plugins.a", rows, NULL, t, NULL});
    config_finish(c);
}

static void assert_origin(struct config *c, const char *key, const char *wanted)
{
    struct ccp_span origin;
    config_is_set(c, "plugins.a", key, &origin);
    assert_span(origin, wanted);
}

static void test_it_stands_between_file_and_environment(void **state)
{
    (void)state;
    struct target t;
    struct config *c = load("[plugins.a]\nname = \"file\"\nlevel = 2\nurl = \"u\"\n",
                            "[plugins.a]\nname = \"state\"\nlevel = 3\n", ENV("PLUGINS__A__LEVEL=4"), NULL, false);
    bind(c, &t);
    assert_ok(c);
    assert_span(t.name, "state");
    assert_int_equal(t.level, 4);
    assert_span(t.url, "u");
    assert_origin(c, "name", "/s/plugins.toml:2");
    assert_origin(c, "level", "env PLUGINS__A__LEVEL");
    assert_span(config_state(c), "/s/plugins.toml");
    config_unref(c);
    c = load("", "[plugins.a]\nname = \"state\"\n", NULL, SETS("plugins.a.name=flag"), false);
    bind(c, &t);
    assert_span(t.name, "flag");
    config_unref(c);
}

static void test_a_table_replaces_that_of_the_file(void **state)
{
    (void)state;
    struct target t;
    struct config *c = load("[plugins.a]\ntags = { x = \"1\", y = \"2\" }\n", "[plugins.a]\ntags = { z = \"3\" }\n",
                            ENV("PLUGINS__A__TAGS__W=4"), NULL, false);
    bind(c, &t);
    assert_ok(c);
    assert_int_equal(t.tags.n, 2);
    assert_span(t.tags.v[0].name, "z");
    assert_span(t.tags.v[1].name, "w");
    config_unref(c);
}

static void test_nothing_in_it_is_expanded_or_read(void **state)
{
    (void)state;
    struct target t;
    struct config *c = load("", "[plugins.a]\nname = \"${HOME} $${x\"\n", ENV("HOME=/secret"), NULL, false);
    bind(c, &t);
    assert_ok(c);
    assert_span(t.name, "${HOME} $${x");
    config_unref(c);
    c = load("", "[plugins.a]\ntoken = \"file:/etc/hostname\"\n", NULL, NULL, false);
    bind(c, &t);
    assert_null(t.token);
    assert_fault(c, "/s/plugins.toml:2: plugins.a.token: a secret's file can only be named in the configuration file");
    config_unref(c);
}

static void test_it_counts_as_not_trusted(void **state)
{
    (void)state;
    struct target t;
    struct config *c = load("[plugins.a]\nname = \"f\"\n", "[plugins.a]\nurl = \"u\"\n", NULL, NULL, false);
    bind(c, &t);
    assert_true(config_set_untrusted(c, "plugins.a", "url"));
    assert_false(config_set_untrusted(c, "plugins.a", "name"));
    assert_false(config_untrusted(c));
    config_unref(c);
}

static void test_faults_name_the_line_and_the_remedy(void **state)
{
    (void)state;
    static const char *const texts[] = {"[server]\nport = 1\n", "plugins = 1\n", "[plugins]\na = 1\n", "x = 1\n"};
    struct target t;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config *c = load("", texts[i], NULL, NULL, false);
        bind(c, &t);
        assert_fault(c, "only tables [plugins.<name>] may stand in this file");
        assert_false(config_ok(c));
        config_unref(c);
    }
    struct config *c = load("", "[plugins.a]\nlevel = 11\n", NULL, NULL, false);
    bind(c, &t);
    assert_fault(c, "/s/plugins.toml:2: plugins.a.level");
    assert_fault(c, "take the line out of that file");
    config_unref(c);
    c = load("", "[plugins.a]\nlevel = 11\n", NULL, NULL, true);
    bind(c, &t);
    assert_fault(c, "plugins.a.level");
    assert_false(support_has_fault(c, "take the line out"));
    config_unref(c);
    c = load("", "[plugins", NULL, NULL, false);
    assert_fault(c, "repair or delete it");
    config_unref(c);
}

static void test_what_a_plugin_left_behind_is_a_warning(void **state)
{
    (void)state;
    struct target t;
    struct config *c = load("", "[plugins.gone]\nx = 1\n[plugins.a]\nold = 1\nlevel = 5\n", NULL, NULL, false);
    bind(c, &t);
    assert_true(config_ok(c));
    assert_fault(c, "plugins.gone");
    assert_fault(c, "plugins.a.old");
    assert_int_equal(t.level, 5);
    config_unref(c);
}

/* -- editing -- */

static const char *edit(const char *text, const char *plugin, const char *changes, struct ccp_buf *out)
{
    buf_init(out, 1 << 20);
    return config_state_edit(ccp_span_z(text), plugin, ccp_span_z(changes), out);
}

static void test_an_edit_sets_replaces_and_takes_out(void **state)
{
    (void)state;
    struct ccp_buf one, two;
    assert_null(edit("", "a",
                     "{\"name\":\"q\\\"${X} \\u00e9\",\"level\":7,\"tags\":{\"a b\":\"1\"},\"l\":[1,2.5,true]}", &one));
    assert_true(support_contains(buf_span(&one), "[plugins.a]\n"));
    assert_true(support_contains(buf_span(&one), "tags = { \"a b\" = \"1\" }\n"));
    assert_true(support_contains(buf_span(&one), "l = [1, 2.5, true]\n"));
    struct target t;
    one.p[one.n - 1] = '\0'; /* its last line end */
    struct config *c = load("", one.p, NULL, NULL, false);
    config_claim(c, "plugins.a.l");
    bind(c, &t);
    assert_span(t.name, "q\"${X} \u00e9");
    config_unref(c);
    assert_null(edit(one.p, "b-c", "{\"x\":1}", &two));
    assert_true(support_contains(buf_span(&two), "level = 7\n") &&
                support_contains(buf_span(&two), "[plugins.b-c]\nx = 1\n"));
    buf_release(&one);
    two.p[two.n - 1] = '\0';
    assert_null(edit(two.p, "a", "{\"name\":null,\"level\":null,\"tags\":null,\"l\":null,\"never\":null}", &one));
    assert_false(support_contains(buf_span(&one), "plugins.a"));
    assert_true(support_contains(buf_span(&one), "[plugins.b-c]\nx = 1\n"));
    buf_release(&one);
    buf_release(&two);
}

static void test_an_edit_refuses(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "[]", "1", "", "{", "{\"a\":1,\"a\":2}", "{\"a\":[null]}", "{\"a\":{\"b\":null}}"};
    struct ccp_buf out;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        assert_non_null(edit("", "a", changes[i], &out));
        buf_release(&out);
    }
    assert_non_null(edit("[server]\n", "a", "{}", &out));
    buf_release(&out);
    assert_non_null(edit("[plugins", "a", "{}", &out));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_stands_between_file_and_environment),
        cmocka_unit_test(test_a_table_replaces_that_of_the_file),
        cmocka_unit_test(test_nothing_in_it_is_expanded_or_read),
        cmocka_unit_test(test_it_counts_as_not_trusted),
        cmocka_unit_test(test_faults_name_the_line_and_the_remedy),
        cmocka_unit_test(test_what_a_plugin_left_behind_is_a_warning),
        cmocka_unit_test(test_an_edit_sets_replaces_and_takes_out),
        cmocka_unit_test(test_an_edit_refuses),
    };
    return cmocka_run_group_tests_name("config/state", tests, support_setup, support_teardown);
}

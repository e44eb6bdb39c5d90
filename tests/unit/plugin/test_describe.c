/*
 * Records as JSON and back: nothing of a built-in plugin's record is lost, and no text from elsewhere is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>
#include <plugin/adopt_impl.h>
#include <plugin/describe_impl.h>
#include <plugin/runtime.h>

static json_t *written(const struct ccp_plugin *m)
{
    char why[400];
    json_t *v = describe_write(m, why, sizeof(why));
    if (v == NULL)
        fail_msg("%s: %s", m->name, why);
    return v;
}

/* A function is `true` when it is there; in what is read back there is none, so these are taken out to compare. */
static void without_calls(json_t *v)
{
    const char *key;
    void *next;
    json_t *member;
    size_t i;
    if (json_is_array(v))
        json_array_foreach(v, i, member) without_calls(member);
    json_object_foreach_safe(v, next, key, member)
    {
        static const char *const data[] = {"keyless", "stream_only", "choose_by_list", "off", "json", "opens"};
        bool is_data = false;
        for (size_t k = 0; k < sizeof(data) / sizeof(*data); k++)
            is_data |= strcmp(key, data[k]) == 0;
        if (json_is_boolean(member) && !is_data)
            json_object_del(v, key);
        else
            without_calls(member);
    }
}

static void every_builtin_comes_back(void **state)
{
    const struct ccp_plugin *const *all = registry_builtin(), *back;
    char why[400];
    size_t n = 0;
    for (; all[n] != NULL; n++) {
        struct arena a;
        arena_init(&a, NULL, 0);
        json_t *first = written(all[n]);
        if (!describe_read(first, &a, &back, why, sizeof(why)) || !adopt_check(all[n], all[n]->name, true, why, 400) ||
            !adopt_check(back, all[n]->name, false, why, sizeof(why)))
            fail_msg("%s: %s", all[n]->name, why);
        json_t *second = written(back);
        without_calls(first);
        assert_true(json_equal(first, second));
        assert_null(back->open);
        assert_null(abi_refusal(&back->abi));
        json_decref(first);
        json_decref(second);
        arena_end(&a);
    }
    assert_true(n >= 7);
}

static const char *const texts[] = {"a", "b", NULL};
static const uint16_t ports[] = {1455, 65535, 0};
static const struct ccp_header headers[] = {{CCP_LIT("x-a"), CCP_LIT("1")}, {CCP_LIT("x-b"), CCP_LIT("")}, {{NULL, 0}}};
static const struct ccp_config_row deeper[] = {
    {"x", CCP_STRING, 0}, {"y", CCP_SIZE, 16, "\"1KiB\"", 1, 4096}, {.key = NULL}};
static const struct ccp_config_row rows[] = {
    {"n", CCP_INT, 8, "-5", INT64_MIN, INT64_MAX, .flags = CCP_ROW_RESTART, .doc = "a \"number\""},
    {"t", CCP_TABLES, 16, .rows = deeper, .row_size = 24},
    {"e", CCP_ENUM, 32, "\"b\"", .choices = "a|b"},
    {.key = NULL}};
static const struct ccp_body_rule rules[] = {{CCP_BODY_DROP, "m"}, {CCP_BODY_SET, "store", "false"}, {CCP_BODY_END}};
static const struct ccp_model_list models = {.path = "/m", .list = "data", .id = "id"};
static const struct ccp_transport transport = {NULL};
static const struct ccp_provider provider = {.label = "L",
                                             .prefix = "full",
                                             .formats = 3,
                                             .keyless = true,
                                             .key_header = {[1] = {CCP_LIT("k"), CCP_LIT("v ")}},
                                             .headers = headers,
                                             .transport = &transport,
                                             .models = texts,
                                             .body_rules = {[2] = rules},
                                             .list = &models,
                                             .keeps = texts};
static const struct ccp_oauth_file file = {.owner = "O", .folder = ".f", .name = "n.json"};
static const struct ccp_oauth_provider login = {
    .name = "full", .label = "F", .aliases = texts, .ports = ports, .file = &file};
static const struct ccp_option options[] = {{"all", NULL, "x"}, {"to", "N", "y"}, {.name = NULL}};
static const struct ccp_command commands[] = {
    {"full", "[X]", "s", "d", options, 0, 3, true, true}, {"full two", "", "s2", .most = 1}, {.name = NULL}};
static const struct ccp_task tasks[] = {{"t", "s", 1000, 1, 2, 3, true}, {"u", .interval_ms = 1}, {.name = NULL}};
static const struct ccp_flag flags[] = {{"full-n", "N", "n", "help"}, {.name = NULL}};
static const struct ccp_action actions[] = {{"go", "s", "{\"type\":\"object\"}"}, {.name = NULL}};
static const struct ccp_service provides[] = {{"full/1", NULL}, {.name = NULL}};
static const struct ccp_hook hooks[] = {{"h", CCP_HEARS(CUSTOM) | 1, -3, .custom = texts, .flags = 1}, {.name = NULL}};
static const struct ccp_route routes[] = {{"GET", "/a", NULL, CCP_ACCESS_ADMIN, "t", "s"},
                                          {"GET, POST", "", "/full-x", CCP_ACCESS_PUBLIC},
                                          {.methods = NULL}};
static const struct ccp_middleware middleware[] = {{"m", CCP_LAYER_ROUTING, 7, .flags = 1}, {.name = NULL}};
static const char *const wants[] = {"access_log >= 0.1", NULL}, *const serve[] = {"a/1", NULL};
static const struct ccp_program program = {"p", "@x/p"};
static const struct ccp_plugin full = {CCP_ABI_HERE,
                                       .name = "full",
                                       .version = "1.2.3",
                                       .summary = "everything, \xc3\xa4",
                                       .kind = CCP_PLUGIN_PROVIDER,
                                       .needs = wants,
                                       .config = rows,
                                       .config_size = 40,
                                       .provider = &provider,
                                       .middleware = middleware,
                                       .hooks = hooks,
                                       .routes = routes,
                                       .oauth = &login,
                                       .program = &program,
                                       .core = ">= 0.1",
                                       .after = texts,
                                       .provides = provides,
                                       .requires = serve,
                                       .uses = serve,
                                       .tasks = tasks,
                                       .actions = actions,
                                       .commands = commands,
                                       .auth_commands = commands,
                                       .flags = flags,
                                       .aliases = texts};

static void every_member_comes_back(void **state)
{
    struct arena a;
    const struct ccp_plugin *back = NULL;
    char why[400] = "";
    arena_init(&a, NULL, 0);
    json_t *v = written(&full);
    if (!describe_read(v, &a, &back, why, sizeof(why)) || !adopt_check(back, "full", false, why, sizeof(why)))
        fail_msg("%s", why);
    json_t *again = written(back);
    assert_true(json_equal(v, again));
    assert_int_equal(back->config[0].min, INT64_MIN);
    assert_string_equal(back->config[1].rows[1].key, "y");
    assert_null(back->config[1].rows[2].key);
    assert_int_equal(back->oauth->ports[1], 65535);
    assert_int_equal(back->oauth->ports[2], 0);
    assert_string_equal(back->provider->body_rules[2][1].value, "false");
    assert_int_equal(back->provider->body_rules[2][2].what, CCP_BODY_END);
    assert_null(back->provider->body_rules[1]);
    assert_true(ccp_span_is(back->provider->headers[0].name, "x-a"));
    assert_int_equal(back->provider->headers[2].name.n, 0);
    assert_string_equal(back->commands[0].options[1].value, "N");
    assert_true(back->hooks[0].events == (CCP_HEARS(CUSTOM) | 1));
    json_decref(v);
    json_decref(again);
    arena_end(&a);
}

/* Each member of the description in turn becomes something else: refused or understood, never more than that. */
static size_t twist(json_t *root, json_t *at, const char *const *values, size_t n, size_t *refused)
{
    const char *key;
    void *next;
    json_t *member;
    size_t tried = 0, i;
    if (json_is_array(at))
        json_array_foreach(at, i, member) tried += twist(root, member, values, n, refused);
    json_object_foreach_safe(at, next, key, member)
    {
        tried += twist(root, member, values, n, refused);
        json_t *kept = json_incref(member);
        for (i = 0; i < n; i++, tried++) {
            struct arena a;
            const struct ccp_plugin *back;
            char why[200];
            arena_init(&a, NULL, 0);
            json_object_set_new(at, key, json_loads(values[i], JSON_DECODE_ANY, NULL));
            bool ok = describe_read(root, &a, &back, why, sizeof(why)) && adopt_check(back, "full", false, why, 200);
            *refused += !ok;
            if (!ok)
                assert_true(why[0] != '\0');
            arena_end(&a);
        }
        json_object_set_new(at, key, kept);
    }
    return tried;
}

static void nothing_is_believed(void **state)
{
    static const char *const values[] = {"null", "true", "-1",           "4294967296", "9223372036854775807",
                                         "1.5",  "\"\"", "\"x\\u0001\"", "[]",         "[null]",
                                         "[[]]", "{}",   "[{}]",         "[\"a\"]"};
    size_t refused = 0;
    json_t *v = written(&full);
    size_t tried = twist(v, v, values, sizeof(values) / sizeof(*values), &refused);
    assert_true(tried > 1000);
    assert_true(refused > tried / 2);
    json_decref(v);
}

static void lists_and_texts_without_end(void **state)
{
    static struct ccp_route many[DESCRIBE_LIST_MAX + 2];
    static char text[DESCRIBE_TEXT_MAX + 2];
    char why[400];
    for (size_t i = 0; i < DESCRIBE_LIST_MAX + 2; i++)
        many[i] = (struct ccp_route){.methods = "GET", .path = "/"};
    struct ccp_plugin m = full;
    m.routes = many;
    assert_null(describe_write(&m, why, sizeof(why)));
    assert_string_equal(why, "routes: the list has no end: its last element must be empty");
    m = full;
    memset(text, 'x', sizeof(text) - 1);
    m.summary = text;
    assert_null(describe_write(&m, why, sizeof(why)));
    assert_non_null(strstr(why, "summary: "));
    m.summary = "\xff";
    assert_null(describe_write(&m, why, sizeof(why)));
    assert_non_null(strstr(why, "summary: the text is not UTF-8"));
    static struct ccp_config_row self[] = {{"s", CCP_TABLES, 0, .row_size = 16}, {.key = NULL}};
    self[0].rows = self;
    m = full;
    m.config = self;
    assert_null(describe_write(&m, why, sizeof(why)));
    assert_non_null(strstr(why, "nested too deeply"));
}

static void no_memory(void **state)
{
#ifdef CCP_FAULTS
    char why[400], point[40];
    const struct ccp_plugin *back;
    json_t *v = written(&full);
    size_t refused = 0;
    for (int n = 1; n < 400; n++) {
        struct arena a;
        arena_init(&a, NULL, 0);
        snprintf(point, sizeof(point), "plugin.json:%d", n);
        fault_arm(point);
        json_t *w = describe_write(&full, why, sizeof(why));
        refused += w == NULL;
        json_decref(w);
        snprintf(point, sizeof(point), "plugin.describe:%d", n);
        fault_arm(point);
        refused += !describe_read(v, &a, &back, why, sizeof(why));
        fault_arm(NULL);
        arena_end(&a);
    }
    assert_true(refused > 100);
    json_decref(v);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_builtin_comes_back),
        cmocka_unit_test(every_member_comes_back),
        cmocka_unit_test(nothing_is_believed),
        cmocka_unit_test(lists_and_texts_without_end),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Records of other sizes in this core's layout, and which records are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>
#include <plugin/adopt_impl.h>
#include <plugin/runtime.h>

/* Elements as an SDK had them whose struct ended after `size` bytes, one after the other. */
static void *packed(const void *list, size_t ours, size_t size, size_t n)
{
    char *out = calloc(n + 1, size);
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * size, (const char *)list + i * ours, size);
    return out;
}

static const struct ccp_config_row inner[] = {
    {"x", CCP_INT, 0, .doc = "later"}, {"y", CCP_BOOL, 8, "true"}, {.key = NULL}};
static const struct ccp_route routes[] = {{"GET", "/a", NULL, CCP_ACCESS_KEY, "tag", "later"},
                                          {"POST", "/b", "/p", CCP_ACCESS_PUBLIC, "t", "later"}};
static const struct ccp_hook hooks[] = {{"one", 1, 1, .flags = 1}, {"two", 2, -2, .flags = 1}};
static const struct ccp_body_rule rules[] = {{CCP_BODY_DROP, "a"}, {CCP_BODY_SET, "b", "1"}, {CCP_BODY_END}};
static const struct ccp_option options[] = {{"o", "N", "later"}, {"p", NULL, "later"}};

struct older {
    struct ccp_sizes sizes;
    struct ccp_plugin m;
    struct ccp_provider provider;
    struct ccp_config_row rows[3];
    struct ccp_command commands[2];
    void *routes, *hooks, *inner, *options;
};

/* What an SDK would have written that knew less of each struct. */
static void make(struct older *o)
{
    *o = (struct older){.sizes = CCP_SIZES_HERE};
    o->sizes.route = offsetof(struct ccp_route, summary);
    o->sizes.hook = offsetof(struct ccp_hook, custom);
    o->sizes.config_row = sizeof(struct ccp_config_row);
    o->sizes.option = offsetof(struct ccp_option, help);
    o->sizes.provider = offsetof(struct ccp_provider, list);
    o->routes = packed(routes, sizeof(*routes), o->sizes.route, 2);
    o->hooks = packed(hooks, sizeof(*hooks), o->sizes.hook, 2);
    o->options = packed(options, sizeof(*options), o->sizes.option, 2);
    o->inner = packed(inner, sizeof(*inner), o->sizes.config_row, 2);
    o->rows[0] = (struct ccp_config_row){"n", CCP_INT, 0};
    o->rows[1] = (struct ccp_config_row){"t", CCP_TABLES, 8, .rows = o->inner, .row_size = 16};
    o->commands[0] = (struct ccp_command){"old", "", "s", NULL, o->options};
    o->provider = (struct ccp_provider){.label = "L", .prefix = "old", .formats = 1, .base_url = "http://127.0.0.1"};
    o->provider.body_rules[3] = rules;
    o->provider.list = (void *)1; /* behind the end: must not be looked at */
    o->m = (struct ccp_plugin){.abi = {CCP_ABI_MAGIC, CCP_ABI_MAJOR, 0, offsetof(struct ccp_plugin, flags), &o->sizes},
                               .name = "old",
                               .version = "1",
                               .summary = "s",
                               .kind = CCP_PLUGIN_PROVIDER,
                               .provider = &o->provider,
                               .config = o->rows,
                               .config_size = 24,
                               .routes = o->routes,
                               .hooks = o->hooks,
                               .commands = o->commands,
                               .flags = (void *)1};
}

static void drop(struct older *o)
{
    free(o->routes);
    free(o->hooks);
    free(o->options);
    free(o->inner);
}

static void smaller_structs_are_widened(void **state)
{
    struct older o;
    struct arena a;
    const struct ccp_plugin *m = NULL;
    char why[300] = "";
    make(&o);
    arena_init(&a, NULL, 0);
    if (!adopt_record(&o.m, &a, &m, why, sizeof(why)) || !adopt_check(m, "old", false, why, sizeof(why)))
        fail_msg("%s", why);
    assert_string_equal(m->routes[1].path, "/b");
    assert_int_equal(m->routes[1].access, CCP_ACCESS_PUBLIC);
    assert_string_equal(m->routes[1].tag, "t");
    assert_null(m->routes[0].summary);
    assert_null(m->routes[1].summary);
    assert_null(m->routes[2].methods);
    assert_int_equal(m->hooks[1].order, -2);
    assert_int_equal(m->hooks[1].flags, 0);
    assert_null(m->hooks[2].name);
    assert_string_equal(m->commands[0].options[1].name, "p");
    assert_null(m->commands[0].options[0].help);
    assert_null(m->commands[0].options[2].name);
    assert_string_equal(m->config[1].rows[1].key, "y");
    assert_string_equal(m->provider->body_rules[3][1].value, "1");
    assert_null(m->provider->list);
    assert_null(m->flags);
    arena_end(&a);
    drop(&o);
}

static const char *refusal(const struct ccp_plugin *record)
{
    static char why[300];
    const struct ccp_plugin *m;
    struct arena a;
    why[0] = '\0';
    arena_init(&a, NULL, 0);
    if (adopt_record(record, &a, &m, why, sizeof(why)))
        why[0] = '\0';
    arena_end(&a);
    return why;
}

static void records_that_cannot_be_read(void **state)
{
    struct older o;
    make(&o);
    struct ccp_plugin m = o.m;
    m.abi.sizes = NULL;
    assert_non_null(strstr(refusal(&m), "CCP_ABI_HERE"));
    uint32_t route = o.sizes.route;
    o.sizes.route = 0;
    assert_string_equal(refusal(&o.m), "routes: the record does not say how large a route is: rebuild it");
    o.sizes.route = sizeof(struct ccp_route) + 8;
    assert_non_null(strstr(refusal(&o.m), "how large a route"));
    o.sizes.route = route - 1; /* no size that a struct could have */
    assert_non_null(strstr(refusal(&o.m), "how large a route"));
    o.sizes.route = route;
    o.sizes.size = offsetof(struct ccp_sizes, route); /* an SDK that did not know routes cannot have one */
    assert_non_null(strstr(refusal(&o.m), "how large a route"));
    o.sizes.size = sizeof(o.sizes);
    o.rows[1].rows = o.rows; /* a list that holds itself */
    assert_non_null(strstr(refusal(&o.m), "nested too deeply"));
    m = o.m;
    m.abi.major = 3;
    assert_string_equal(refusal(&m),
                        "it was built for plugin interface 3.0, this ccproxy has 2.0 (another major version): "
                        "update ccproxy, or rebuild the plugin");
    drop(&o);
}

static void no_memory(void **state)
{
#ifdef CCP_FAULTS
    char point[40];
    struct older o;
    size_t refused = 0;
    make(&o);
    for (int n = 1; n < 12; n++) {
        snprintf(point, sizeof(point), "plugin.adopt:%d", n);
        fault_arm(point);
        refused += strstr(refusal(&o.m), "out of memory") != NULL;
        fault_arm(NULL);
    }
    assert_int_equal(refused, 9); /* record, settings, their rows, provider, rules, hooks, routes, command, options */
    drop(&o);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smaller_structs_are_widened),
        cmocka_unit_test(records_that_cannot_be_read),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* `config show`, `config example`, config_same, and memory that ends. */
#include <base/fault.h>
#include <jansson.h>

#include "rows.h"

static struct all a, b;

static const char full[] =
    "[server]\nflag = false\nport = 9\nrate = 0.1\nsize = '2KiB'\nwait = '1500ms'\nname = 'a\"\\$${x}'\n"
    "url = 'http://h'\nmode = 'auto'\nh2c = false\nhosts = ['x', 'y']\nheaders = {'a b' = '1'}\nkeys = ['k']\n";

static char *shown(struct config *c, bool json)
{
    struct ccp_buf out;
    struct all unused;
    struct config_section s = all_section(&unused);
    buf_init(&out, 1 << 20);
    assert_true(config_show(c, &s, 1, json, &out));
    assert_true(buf_addz(&out, "") && buf_add(&out, ccp_span_of("", 1)));
    return out.p;
}

static void round_trip(void **state)
{
    struct config *c = all_load(&a, full, ENV("SERVER__PORT=10"), SETS("--wait server.wait=3s"));
    assert_ok(c);
    char *text = shown(c, false);
    assert_non_null(strstr(text, "port = 10  # env SERVER__PORT\n"));
    assert_non_null(strstr(text, "wait = \"3s\"  # flag --wait\n"));
    assert_non_null(strstr(text, "size = \"2KiB\"  # /"));
    assert_non_null(strstr(text, "c.toml:5\n"));
    assert_non_null(strstr(text, "token = \"\"  # default\n"));
    struct config *again = all_load(&b, text, NULL, NULL);
    assert_ok(again);
    for (const struct ccp_config_row *row = all_rows; row->key != NULL; row++)
        if (row->type != CCP_MAP && !config_same(c, again, "server", row->key)) /* the map's values are masked */
            fail_msg("%s did not survive", row->key);
    assert_span(b.name, a.name.p);
    free(text);
    config_unref(c);
    config_unref(again);
}

static void as_json(void **state)
{
    struct config *c = all_load(&a, full, NULL, NULL);
    char *text = shown(c, true);
    json_t *root = json_loads(text, 0, NULL), *port, *keys;
    assert_non_null(root);
    port = json_object_get(json_object_get(root, "server"), "port");
    assert_int_equal(json_integer_value(json_object_get(port, "value")), 9);
    assert_non_null(strstr(json_string_value(json_object_get(port, "origin")), "c.toml:3"));
    keys = json_object_get(json_object_get(json_object_get(root, "server"), "keys"), "value");
    assert_string_equal(json_string_value(json_object_get(json_array_get(keys, 0), "name")), "k");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json_object_get(root, "server"), "mode"), "value")), "auto");
    json_decref(root);
    free(text);
    config_unref(c);
}

/* Takes the "# " off key lines and headers of templates. */
static char *uncommented(const char *text)
{
    char *out = malloc(strlen(text) + 1);
    size_t n = 0;
    for (const char *line = text, *end; *line != '\0'; line = end) {
        end = strchr(line, '\n') + 1;
        size_t word = strspn(line + 2, "abcdefghijklmnopqrstuvwxyz0123456789_");
        bool key = strncmp(line, "# ", 2) == 0 && word != 0 && strncmp(line + 2 + word, " = ", 3) == 0;
        const char *from = key || strncmp(line, "# [", 3) == 0 ? line + 2 : line;
        memcpy(out + n, from, (size_t)(end - from));
        n += (size_t)(end - from);
    }
    out[n] = '\0';
    return out;
}

struct top {
    struct ccp_list enabled;
};
static const struct ccp_config_row top_rows[] = {
    {.key = "enabled_plugins", .type = CCP_LIST, .offset = 0, .doc = "Names.\nSecond line."},
    {.key = NULL},
};

static void example(void **state)
{
    struct top t = {.enabled = {NULL, 0}};
    struct config_section s[] = {
        {.path = "server", .rows = all_rows, .doc = "The server.\nMore."},
        {.path = "providers.<name>", .rows = key_rows, .doc = "A provider."},
        {.path = "", .rows = top_rows, .doc = "Top."},
    };
    struct ccp_buf out;
    buf_init(&out, 1 << 20);
    assert_true(config_example(s, 3, &out));
    buf_add(&out, ccp_span_of("", 1));
    assert_non_null(strstr(out.p, "# A port.\n# port = 8000\n"));
    assert_non_null(strstr(out.p, "# Names.\n# Second line.\n# enabled_plugins = []  # not set by default\n"));
    assert_non_null(strstr(out.p, "#   name (string, required): its name\n"));
    assert_non_null(strstr(out.p, "# The server.\n# More.\n[server]\n"));
    struct config *plain = support_load(out.p, NULL, NULL); /* as printed: sets nothing */
    all_bind(plain, &a);
    config_finish(plain);
    assert_ok(plain);
    assert_false(config_is_set(plain, "server", "port", NULL));

    char *text = uncommented(out.p);
    struct config *c = support_load(text, NULL, NULL);
    struct key_row k = {.admin = true};
    all_bind(c, &b);
    config_bind(c, &(struct config_section){.path = "", .rows = top_rows, .target = &t});
    config_bind(c, &(struct config_section){.path = "providers.name", .rows = key_rows, .target = &k});
    config_finish(c);
    assert_ok(c);
    assert_int_equal(support_fault_count(c), 0);
    for (const struct ccp_config_row *row = all_rows; row->key != NULL; row++) {
        assert_true(config_is_set(c, "server", row->key, NULL));
        if (row->def != NULL && !config_same(plain, c, "server", row->key))
            fail_msg("%s: the example differs from the default", row->key);
    }
    free(text);
    buf_release(&out);
    config_unref(c);
    config_unref(plain);
}

static bool same(const char *x, const char *y, const char *key)
{
    struct config *c = all_load(&a, x, NULL, NULL), *d = all_load(&b, y, NULL, NULL);
    bool r = config_same(c, d, "server", key);
    config_unref(c);
    config_unref(d);
    return r;
}

static void sameness(void **state)
{
    assert_true(same("", "", "port"));
    assert_true(same("", "[server]\nport = 8000\n", "port"));
    assert_false(same("", "[server]\nport = 8001\n", "port"));
    assert_true(same("[server]\nwait = '60s'\n", "[server]\nwait = '1m'\n", "wait"));
    assert_true(same("[server]\nhosts = 'a'\n", "[server]\nhosts = ['a']\n", "hosts"));
    assert_false(same("[server]\nhosts = ['a']\n", "[server]\nhosts = ['a', 'b']\n", "hosts"));
    assert_true(same("[server]\ntoken = 'x'\n", "[server]\ntoken = 'x'\n", "token"));
    assert_false(same("[server]\ntoken = 'x'\n", "[server]\ntoken = 'y'\n", "token"));
    assert_false(same("[server]\ntoken = 'x'\n", "", "token"));
    assert_false(same("[server]\nkeys=[{name='a',token='x'}]\n", "[server]\nkeys=[{name='a',token='y'}]\n", "keys"));
    assert_true(same("[server]\nkeys=[{name='a',token='x'}]\n", "[server]\nkeys=[{name='a',token='x'}]\n", "keys"));
    assert_false(same("[server]\nheaders={a='x'}\n", "[server]\nheaders={a='y'}\n", "headers"));
    assert_false(same("[server]\nport = 'x'\n", "[server]\nport = 'x'\n", "port"));
}

static void room_ends(void **state)
{
    struct ccp_buf out;
    struct config_section s = {.path = "server", .rows = all_rows};
    struct config *c = all_load(&a, full, NULL, NULL);
    for (int json = 0; json < 2; json++) {
        buf_init(&out, 64);
        assert_false(config_show(c, &s, 1, json, &out));
        buf_release(&out);
    }
    buf_init(&out, 64);
    assert_false(config_example(&s, 1, &out));
    buf_release(&out);
    config_unref(c);
}

#ifdef CCP_FAULTS
static struct {
    struct all all;
    struct ccp_map extra;
} e;
static const struct ccp_config_row extra_rows[] = {
    {.key = "extra", .type = CCP_MAP, .offset = sizeof(struct all)},
    {.key = NULL},
};

/* Every request of the arena for more memory refused once: a fault or no snapshot, never half a success. */
static void memory_ends(void **state)
{
    char spec[40], text[8192];
    int n = snprintf(text, sizeof(text), "%s[server.extra]\n", full), last = 0;
    for (int i = 0; i < 150; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "header_%d = \"${A}${A}\"\n", i);
    for (int i = 1; i < 100; i++) {
        snprintf(spec, sizeof(spec), "arena.alloc:%d", i);
        support_write(support_file, text, (size_t)n, 0600);
        fault_arm(spec);
        struct config *c = config_load(&(struct config_source){
            .file = support_file, .environ = ENV("SERVER__HEADERS__X=1", "A=b"), .sets = SETS("server.port=4")});
        if (c != NULL) {
            struct config_section s = {.path = "server", .rows = all_rows, .more = extra_rows, .target = &e};
            memset(&e, 0, sizeof(e));
            config_bind(c, &s);
            config_finish(c);
        }
        fault_arm(NULL);
        if (c != NULL && config_ok(c)) {
            assert_int_equal(support_fault_count(c), 0);
            assert_int_equal(e.all.port, 4);
            assert_int_equal(e.all.headers.n, 2);
            assert_int_equal(e.extra.n, 150);
        } else {
            assert_int_equal(last, i - 1); /* once there is enough, there is enough */
            last = i;
        }
        config_unref(c);
    }
    assert_true(last > 8 && last < 99);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),  cmocka_unit_test(as_json),   cmocka_unit_test(example),
        cmocka_unit_test(sameness),    cmocka_unit_test(room_ends),
#ifdef CCP_FAULTS
        cmocka_unit_test(memory_ends),
#endif
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}

/*
 * The part of JSON Schema that actions use: what is a schema, and what fits one. Each rule from both sides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <wire/json.h>
#include <wire/schema.h>

static const char *const sound[] = {
    "{}",
    "{\"type\":\"object\",\"title\":1,\"description\":[],\"default\":{\"x\":null}}",
    "{\"type\":[\"string\",\"null\"]}",
    "{\"properties\":{\"a\":{\"items\":{\"enum\":[1]}}},\"required\":[\"a\",\"b\"],\"additionalProperties\":{\"type\":"
    "\"null\"}}",
    "{\"additionalProperties\":false,\"minimum\":-1.5,\"maximum\":1e3,\"minLength\":0,\"maxLength\":2.0,\"minItems\":"
    "1}",
};

static const char *const unsound[] = {
    "",
    "[]",
    "true",
    "{\"type\":\"text\"}",
    "{\"type\":[]}",
    "{\"type\":[1]}",
    "{\"properties\":[]}",
    "{\"properties\":{\"a\":true}}",
    "{\"required\":\"a\"}",
    "{\"required\":[1]}",
    "{\"additionalProperties\":1}",
    "{\"items\":[]}",
    "{\"enum\":[]}",
    "{\"enum\":1}",
    "{\"minimum\":\"1\"}",
    "{\"minLength\":-1}",
    "{\"maxItems\":1.5}",
    "{\"pattern\":\"a\"}",
    "{\"anyOf\":[{}]}",
    "{\"$ref\":\"#\"}",
    "{\"properties\":{\"a\":{\"x\":1}}}",
    "{\"items\":{\"properties\":{\"b\":{\"type\":\"text\"}}}}",
    "{\"type\":\"object\"",
    "{\"properties\":{\"a\":{\"type\":\"null\",\"type\":\"null\"}}}",
};

static void test_what_is_a_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++)
        if (schema_check(ccp_span_z(sound[i])) != NULL)
            fail_msg("%s: %s", sound[i], schema_check(ccp_span_z(sound[i])));
    for (size_t i = 0; i < sizeof(unsound) / sizeof(unsound[0]); i++)
        if (schema_check(ccp_span_z(unsound[i])) == NULL)
            fail_msg("taken: %s", unsound[i]);
}

struct row {
    const char *schema, *value, *path, *what; /* path NULL = it fits */
};

static const struct row rows[] = {
    {"{}", "[1,{}]", NULL, NULL},
    {"{\"type\":\"integer\"}", "1.0", NULL, NULL},
    {"{\"type\":\"integer\"}", "1e2", NULL, NULL},
    {"{\"type\":\"integer\"}", "1.5", "$", "must be of type integer"},
    {"{\"type\":\"integer\"}", "1e999", "$", "must be of type integer"},
    {"{\"type\":[\"string\",\"null\"]}", "null", NULL, NULL},
    {"{\"type\":[\"string\",\"null\"]}", "1", "$", "must be of one of the types [\"string\",\"null\"]"},
    {"{\"type\":\"boolean\"}", "false", NULL, NULL},
    {"{\"type\":\"boolean\"}", "0", "$", "must be of type boolean"},
    {"{\"minimum\":2}", "2", NULL, NULL},
    {"{\"minimum\":2}", "1.99", "$", "must be at least 2"},
    {"{\"maximum\":2}", "2.01", "$", "must be at most 2"},
    {"{\"minimum\":2}", "\"x\"", NULL, NULL},
    {"{\"minLength\":2}", "\"\xc3\xa4\xc3\xb6\"", NULL, NULL},
    {"{\"minLength\":2}", "\"\\u00e4\"", "$", "must have at least 2 characters"},
    {"{\"maxLength\":1}", "\"\\ud83d\\ude00\"", NULL, NULL},
    {"{\"maxLength\":1}", "\"ab\"", "$", "must have at most 1 characters"},
    {"{\"minItems\":1}", "[]", "$", "must have at least 1 items"},
    {"{\"maxItems\":1}", "[1,2]", "$", "must have at most 1 items"},
    {"{\"items\":{\"type\":\"null\"}}", "[null,null,1]", "$[2]", "must be of type null"},
    {"{\"enum\":[1,\"a\",{\"x\":[1],\"y\":2}]}", "{\"y\":2.0,\"x\":[1]}", NULL, NULL},
    {"{\"enum\":[1,\"a\",{\"x\":[1],\"y\":2}]}", "{\"y\":2,\"x\":[1,1]}", "$", "must be one of"},
    {"{\"enum\":[\"a\"]}", "\"\\u0061\"", NULL, NULL},
    {"{\"required\":[\"a\"]}", "{\"b\":1}", "$", "\"a\" is missing"},
    {"{\"required\":[\"a\"]}", "{\"a\":null}", NULL, NULL},
    {"{\"properties\":{\"a\":{\"properties\":{\"b\":{\"maximum\":1}}}}}", "{\"a\":{\"b\":2}}", "$.a.b",
     "must be at most 1"},
    /* deeper down a key may be spelled with escapes, and occur twice: every one is looked at */
    {"{\"items\":{\"items\":{\"properties\":{\"b\":{\"maximum\":1}}}}}", "[[{\"x\":{},\"\\u0062\":1}]]", NULL, NULL},
    {"{\"items\":{\"items\":{\"properties\":{\"b\":{\"maximum\":1}}}}}", "[[{\"b\":1,\"\\u0062\":2}]]",
     "$[0][0].\\u0062", "must be at most 1"},
    {"{\"additionalProperties\":false,\"properties\":{\"a\":{}}}", "{\"a\":1,\"b\":1}", "$.b", "is not known here"},
    {"{\"additionalProperties\":{\"type\":\"null\"},\"properties\":{\"a\":{}}}", "{\"a\":1,\"b\":null}", NULL, NULL},
    {"{\"additionalProperties\":{\"type\":\"null\"},\"properties\":{\"a\":{}}}", "{\"b\":1}", "$.b",
     "must be of type null"},
};

static void test_what_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a;
        struct ccp_json *schema, *value;
        struct schema_fault fault;
        arena_init(&a, NULL, 0);
        assert_null(schema_check(ccp_span_z(rows[i].schema)));
        assert_int_equal(json_parse(&a, ccp_span_z(rows[i].schema), &schema, NULL), CCP_OK);
        assert_int_equal(json_parse(&a, ccp_span_z(rows[i].value), &value, NULL), CCP_OK);
        bool fits = schema_fits(&a, schema, value, &fault);
        if (fits != (rows[i].path == NULL) ||
            (!fits && (strcmp(fault.path, rows[i].path) != 0 || strstr(fault.what, rows[i].what) == NULL)))
            fail_msg("%s for %s: %s %s", rows[i].value, rows[i].schema, fits ? "fits" : fault.path, fault.what);
        arena_end(&a);
    }
}

static void test_long_paths_are_cut(void **state)
{
    (void)state;
    struct arena a;
    struct ccp_json *schema, *value;
    struct schema_fault fault;
    char s[4000] = "", v[1000] = "";
    size_t n = 0, m = 0;
    for (int i = 0; i < 100; i++) {
        n += (size_t)snprintf(s + n, sizeof(s) - n, "{\"items\":");
        v[m++] = '[';
    }
    n += (size_t)snprintf(s + n, sizeof(s) - n, "{\"type\":\"null\"}");
    v[m++] = '1';
    memset(s + n, '}', 100);
    memset(v + m, ']', 100);
    arena_init(&a, NULL, 0);
    assert_int_equal(json_parse(&a, ccp_span_z(s), &schema, NULL), CCP_OK);
    assert_int_equal(json_parse(&a, ccp_span_z(v), &value, NULL), CCP_OK);
    assert_false(schema_fits(&a, schema, value, &fault));
    assert_true(strlen(fault.path) < sizeof(fault.path) && strncmp(fault.path, "$[0][0]", 7) == 0);
    assert_string_equal(fault.what, "must be of type null");
    arena_end(&a);
}

static void test_memory_may_be_refused(void **state)
{
    (void)state;
    struct arena a, tight;
    struct ccp_json *schema, *value;
    struct schema_fault fault;
    arena_init(&a, NULL, 0);
    arena_init(&tight, NULL, 1);
    assert_int_equal(json_parse(&a, CCP_SPAN("{\"minLength\":1}"), &schema, NULL), CCP_OK);
    assert_int_equal(json_parse(&a, CCP_SPAN("\"\\u0061\""), &value, NULL), CCP_OK);
    assert_false(schema_fits(&tight, schema, value, &fault));
    assert_true(fault.no_memory);
    arena_end(&tight);
    arena_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_a_schema),
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_long_paths_are_cut),
        cmocka_unit_test(test_memory_may_be_refused),
    };
    return cmocka_run_group_tests_name("wire/schema", tests, NULL, NULL);
}

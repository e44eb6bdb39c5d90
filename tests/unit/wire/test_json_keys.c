/*
 * Members by name: the scan's spans, and keys that a provider could read in another way than ccproxy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/buf.h>
#include <cmocka.h>
#include <wire/json_lex_impl.h>

static const struct ccp_span asked[] = {CCP_LIT("model"), CCP_LIT("stream"), CCP_LIT("a/b")};

static enum ccp_status scan(const char *text, struct ccp_span values[3], struct ccp_json_error *e)
{
    return json_scan(ccp_span_z(text), asked, values, 3, e);
}

static void check(const char *text, const char *model, const char *stream)
{
    struct ccp_span v[3];
    assert_int_equal(scan(text, v, NULL), CCP_OK);
    if (model == NULL)
        assert_null(v[0].p);
    else
        assert_true(ccp_span_is(v[0], model));
    if (stream == NULL)
        assert_null(v[1].p);
    else
        assert_true(ccp_span_is(v[1], stream));
}

static void values_of_every_kind(void **state)
{
    (void)state;
    check("{\"model\":\"m\",\"stream\":true}", "\"m\"", "true");
    check(" { \"x\" : [ {\"model\":1} ] , \"model\" : { \"model\" : [ 2 ] } } ", "{ \"model\" : [ 2 ] }", NULL);
    check("{\"stream\":[],\"model\":-1.50e3}", "-1.50e3", "[]");
    check("{\"stream\":{},\"model\":\"\"}", "\"\"", "{}");
    check("{\"model\":\"a\\\"}\\\\\",\"stream\":null}", "\"a\\\"}\\\\\"", "null");
    check("{\"models\":1,\"mode\":2,\"\":3,\"Model\":4}", NULL, NULL);
    check("{\"model\":[[[]]],\"z\":{\"stream\":1}}", "[[[]]]", NULL);
    check("[\"model\",{\"model\":1}]", NULL, NULL);
    check("[[1],{\"model\":1},\"stream\"]", NULL, NULL);
    check("\"model\"", NULL, NULL);
    check("{\"t\":{\"model\":1,\"model\":2},\"x\":1,\"x\":2}", NULL, NULL); /* not asked for: not judged */
}

static void refuse(const char *text, const char *what, size_t offset)
{
    struct ccp_span v[3];
    struct ccp_json_error e = {0};
    assert_int_equal(scan(text, v, &e), CCP_BAD_JSON);
    assert_string_equal(e.what, what);
    assert_int_equal(e.offset, offset);
    for (int i = 0; i < 3; i++)
        assert_null(v[i].p);
}

static void ambiguous_asked_keys(void **state)
{
    (void)state;
    refuse("{\"model\":1,\"model\":1}", JSON_WHAT_DUPLICATE, 11);
    refuse("{\"model\":{},\"x\":[],\"model\":[]}", JSON_WHAT_DUPLICATE, 19);
    refuse("{\"\\u006dodel\":1}", JSON_WHAT_ESCAPED, 1);
    refuse("{\"model\":1,\"mode\\u006C\":1}", JSON_WHAT_ESCAPED, 11);
    refuse("{\"a\\/b\":1}", JSON_WHAT_ESCAPED, 1);
    struct ccp_span v[3];
    assert_int_equal(scan("{\"\\u006dodels\":1,\"mod\\u0065\":2,\"\\ud800model\":3,\"a\\u0000\":4}", v, NULL), CCP_OK);
}

static enum ccp_status parse(const char *text, struct ccp_json_error *e)
{
    struct arena a;
    struct ccp_json *root;
    arena_init(&a, NULL, 0);
    enum ccp_status status = json_parse(&a, ccp_span_z(text), &root, e);
    arena_end(&a);
    return status;
}

static void tree_refuse(const char *text, const char *what, size_t offset)
{
    struct ccp_json_error e = {0};
    assert_int_equal(parse(text, &e), CCP_BAD_JSON);
    assert_string_equal(e.what, what);
    assert_int_equal(e.offset, offset);
}

static void tree_keys(void **state)
{
    (void)state;
    tree_refuse("{\"a\":1,\"b\":2,\"a\":3}", JSON_WHAT_DUPLICATE, 13);
    tree_refuse("{\"t\":{\"a\":1,\"a\":3}}", JSON_WHAT_DUPLICATE, 12);
    tree_refuse("[{\"a\":1,\"a\":3}]", JSON_WHAT_DUPLICATE, 8);
    tree_refuse("{\"\":1,\"\":3}", JSON_WHAT_DUPLICATE, 6);
    tree_refuse("{\"a/b\":1,\"a\\/b\":3}", JSON_WHAT_DUPLICATE, 9);
    tree_refuse("{\"\xc3\xa9\":1,\"\\u00e9\":3}", JSON_WHAT_DUPLICATE, 8);
    tree_refuse("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":3}", JSON_WHAT_DUPLICATE, 18);
    tree_refuse("{\"x\":1,\"mo\\u0064el\":1}", JSON_WHAT_ESCAPED, 7);
    tree_refuse("{\"x\":{\"to\\u005fol\":1}}", JSON_WHAT_ESCAPED, 6);
    assert_int_equal(parse("{\"t\":[{\"a\":1,\"a\":3,\"\\u0061\":4}]}", NULL), CCP_OK); /* deeper: kept */
    assert_int_equal(parse("{\"a\\/b\":1,\"\\u003c\":2,\"\\u0000\":3,\"\\n\":4,\"\\\\u006d\":5}", NULL), CCP_OK);
    assert_int_equal(parse("{\"a\":1,\"A\":2,\"a \":3,\"aa\":4}", NULL), CCP_OK);
}

/* Many members: sorted, found anywhere, and the arena gives back what the search took. */
static void many_members(void **state)
{
    (void)state;
    enum { MEMBERS = 3000 };
    struct ccp_buf text;
    buf_init(&text, 1 << 20);
    for (int twin = -1; twin < MEMBERS; twin += 611) {
        text.n = 0;
        buf_addz(&text, "{");
        for (int i = 0; i < MEMBERS; i++)
            buf_printf(&text, "\"key%d\":%d,", (i * 7919) % MEMBERS, i);
        size_t at = text.n;
        buf_printf(&text, "\"%s%d\":0}", twin < 0 ? "other" : "key", twin);
        struct arena a;
        struct ccp_json *root;
        struct ccp_json_error e = {0};
        arena_init(&a, NULL, 0);
        assert_int_equal(json_parse(&a, buf_span(&text), &root, &e), twin < 0 ? CCP_OK : CCP_BAD_JSON);
        if (twin < 0)
            assert_int_equal(root->count, MEMBERS + 1);
        else
            assert_int_equal(e.offset, at);
        arena_end(&a);
    }
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind),
        cmocka_unit_test(ambiguous_asked_keys),
        cmocka_unit_test(tree_keys),
        cmocka_unit_test(many_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

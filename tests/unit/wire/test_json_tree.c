/*
 * The tree, edits on it, the writer, and memory that is refused at every place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/buf.h>
#include <cmocka.h>
#include <wire/json.h>

static struct arena arena;

static int start(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    arena_end(&arena);
    return 0;
}

static struct ccp_json *tree(const char *text)
{
    struct ccp_json *root;
    assert_int_equal(json_parse(&arena, ccp_span_z(text), &root, NULL), CCP_OK);
    return root;
}

static void written(const struct ccp_json *root, const char *want)
{
    struct ccp_buf out;
    buf_init(&out, 1 << 16);
    assert_true(json_write(root, &out));
    if (!ccp_span_is(buf_span(&out), want))
        fail_msg("got %.*s", CCP_FMT(buf_span(&out)));
    struct ccp_json *again; /* what is written can be read */
    assert_int_equal(json_parse(&arena, buf_span(&out), &again, NULL), CCP_OK);
    buf_release(&out);
}

static void shape(void **state)
{
    (void)state;
    struct ccp_json *root = tree(" {\"a\\n\": [1, \"x\\ty\", {}], \"b\": true,\"c\":null , \"d\":\"p\", \"e\":false} ");
    assert_int_equal(root->type, CCP_JSON_OBJECT);
    assert_int_equal(root->count, 5);
    assert_true(root->raw.p[0] == '{' && root->raw.p[root->raw.n - 1] == '}');
    struct ccp_json *a = root->child;
    assert_true(ccp_span_is(a->key, "a\\n") && a->key_escaped);
    assert_true(ccp_span_is(a->raw, "[1, \"x\\ty\", {}]"));
    assert_int_equal(a->count, 3);
    assert_int_equal(a->child->type, CCP_JSON_NUMBER);
    assert_true(a->child->next->escaped && ccp_span_is(ccp_json_inner(a->child->next), "x\\ty"));
    assert_int_equal(a->child->next->next->type, CCP_JSON_OBJECT);
    assert_int_equal(a->child->next->next->count, 0);
    assert_null(a->child->next->next->next);
    assert_int_equal(ccp_json_get(root, "b")->type, CCP_JSON_TRUE);
    assert_int_equal(ccp_json_get(root, "c")->type, CCP_JSON_NULL);
    assert_int_equal(ccp_json_get(root, "e")->type, CCP_JSON_FALSE);
    assert_false(ccp_json_get(root, "d")->escaped);
    assert_null(ccp_json_get(root, "z"));
    assert_null(a->child->key.p); /* elements have no key */
}

static void edits(void **state)
{
    (void)state;
    struct ccp_json *root = tree("{ \"model\" : \"a\", \"n\": 1.0 }");
    assert_true(json_set(&arena, root, "model", json_new_string(&arena, CCP_SPAN("x\"y\n"))));
    written(root, "{\"model\":\"x\\\"y\\n\",\"n\":1.0}");
    assert_true(json_set(&arena, root, "new\"key", json_raw(&arena, CCP_SPAN(" [1 , 2] "))));
    assert_int_equal(root->count, 3);
    written(root, "{\"model\":\"x\\\"y\\n\",\"n\":1.0,\"new\\\"key\":[1 , 2]}");
    assert_true(json_set(&arena, root, "new\"key", json_raw(&arena, CCP_SPAN("0"))));
    assert_int_equal(root->count, 3);
    assert_true(json_remove(root, "n"));
    assert_false(json_remove(root, "n"));
    assert_true(json_remove(root, "new\"key"));
    assert_false(json_remove(root, "trailing\\")); /* a plain text, not an escape */
    written(root, "{\"model\":\"x\\\"y\\n\"}");
    assert_true(json_remove(root, "model"));
    written(root, "{}");
    assert_int_equal(root->count, 0);
    assert_null(root->child);
}

/* An edit far down leaves every other byte alone. */
static void edit_deep(void **state)
{
    (void)state;
    struct ccp_json *root = tree("{ \"a\" : [ 1 , { \"k\" : \"v\" , \"w\":2 } , 3.10 ] ,\n \"b\" : 1e+5 }");
    struct ccp_json *object = ccp_json_get(root, "a")->child->next;
    assert_true(json_set(&arena, object, "k", json_raw(&arena, CCP_SPAN("null"))));
    written(root, "{ \"a\" : [ 1 , {\"k\":null,\"w\":2} , 3.10 ] ,\n \"b\" : 1e+5 }");
    assert_true(json_append(ccp_json_get(root, "a"), json_new_string(&arena, CCP_SPAN("end"))));
    written(root, "{ \"a\" : [1,{\"k\":null,\"w\":2},3.10,\"end\"] ,\n \"b\" : 1e+5 }");
    assert_int_equal(ccp_json_get(root, "a")->count, 4);
}

/* A scalar whose raw was replaced by hand: its parent is written by members. */
static void raw_replaced(void **state)
{
    (void)state;
    struct ccp_json *root = tree("{ \"a\" : 1, \"b\" : 2 }");
    ccp_json_get(root, "a")->raw = CCP_SPAN("\"other\"");
    written(root, "{\"a\":\"other\",\"b\":2}");
}

static void duplicates_below(void **state)
{
    (void)state;
    struct ccp_json *root = tree("[[{\"a\":1,\"\\u0061\":2,\"b\":3,\"a\":4}]]");
    struct ccp_json *object = root->child->child;
    assert_true(json_set(&arena, object, "a", json_raw(&arena, CCP_SPAN("5"))));
    assert_int_equal(object->count, 2);
    written(root, "[[{\"a\":5,\"b\":3}]]");
    object = tree("[[{\"\\u0061\":2,\"b\":3,\"a\":4}]]")->child->child;
    assert_true(json_remove(object, "a"));
    assert_int_equal(object->count, 1);
}

static void wrong_types(void **state)
{
    (void)state;
    struct ccp_json *array = tree("[1]"), *object = tree("{}"), *value = tree("1");
    assert_false(json_set(&arena, array, "a", value));
    assert_false(json_set(&arena, object, "a", NULL));
    assert_false(json_set(&arena, NULL, "a", value));
    assert_false(json_remove(array, "a"));
    assert_false(json_remove(NULL, "a"));
    assert_false(json_append(object, value));
    assert_false(json_append(array, NULL));
    assert_null(json_raw(&arena, CCP_SPAN("{")));
    assert_null(json_raw(&arena, CCP_SPAN("1 2")));
}

/* Built, not parsed: what the parser would refuse is not written. */
static void too_deep_to_write(void **state)
{
    (void)state;
    struct ccp_json *root = tree("[]");
    for (int i = 1; i < JSON_MAX_DEPTH; i++) {
        struct ccp_json *outer = tree("[]");
        assert_true(json_append(outer, root));
        root = outer;
    }
    struct ccp_buf out;
    buf_init(&out, 1 << 16);
    assert_true(json_write(root, &out));
    struct ccp_json *outer = tree("{}");
    assert_true(json_set(&arena, outer, "k", root));
    assert_false(json_write(outer, &out));
    buf_release(&out);
}

static void buffer_refuses(void **state)
{
    (void)state;
    struct ccp_json *root = tree("{\"a\":[1,{\"b\":2}],\"c\":\"d\"}");
    assert_true(json_set(&arena, ccp_json_get(root, "a")->child->next, "b", json_raw(&arena, CCP_SPAN("\"long\""))));
    struct ccp_buf out;
    for (size_t max = 0; max <= 30; max++) {
        buf_init(&out, max);
        assert_int_equal(json_write(root, &out), max == 30);
        assert_true(out.failed == (max < 30));
        buf_release(&out);
    }
}

/* With every budget: either the whole result or a clean refusal. */
static void arena_refuses(void **state)
{
    (void)state;
    size_t refused = 0, fine = 0;
    struct ccp_buf text;
    buf_init(&text, 1 << 16);
    buf_addz(&text, "{\"a\":[1,2,3],\"s\":\"\\u00e9\"");
    for (int i = 0; i < 80; i++)
        buf_printf(&text, ",\"m%d\":{}", i);
    buf_addz(&text, "}");
    for (size_t budget = 1; budget < 40000; budget += 97) {
        struct arena a;
        struct ccp_json *root;
        arena_init(&a, NULL, budget);
        enum ccp_status status = json_parse(&a, buf_span(&text), &root, NULL);
        assert_true(status == CCP_OK || status == CCP_OVERLOADED);
        assert_true((root != NULL) == (status == CCP_OK));
        if (status == CCP_OK) {
            struct ccp_json *s = json_new_string(&a, CCP_SPAN("v"));
            bool set = s != NULL && json_set(&a, root, "a", s);
            assert_true(!set || ccp_json_get(root, "a") == s);
            struct ccp_span t = json_text(&a, CCP_SPAN("\"\\u00e9\""));
            assert_true(t.p == NULL || ccp_span_is(t, "\xc3\xa9"));
        }
        fine += status == CCP_OK;
        refused += status != CCP_OK;
        arena_end(&a);
    }
    assert_true(fine > 5 && refused > 5);
    buf_release(&text);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(shape),
        T(edits),
        T(edit_deep),
        T(raw_replaced),
        T(duplicates_below),
        T(wrong_types),
        T(too_deep_to_write),
        T(buffer_refuses),
        T(arena_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

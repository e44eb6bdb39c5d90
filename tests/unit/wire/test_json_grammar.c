/*
 * What is JSON and what is not: every case goes through the parser and the scan, which must agree, and every
 * accepted text must come out of the writer as it went in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/buf.h>
#include <cmocka.h>
#include <wire/json.h>

#define Y(lit)                                                                                                         \
    {                                                                                                                  \
        sizeof(lit) - 1, lit, true, 0                                                                                  \
    }
#define N(offset, lit)                                                                                                 \
    {                                                                                                                  \
        sizeof(lit) - 1, lit, false, offset                                                                            \
    }

static const struct {
    size_t n;
    const char *text;
    bool good;
    size_t offset; /* of the error */
} cases[] = {
    /* scalars at the top, white space */
    Y("null"),
    Y("true"),
    Y("false"),
    Y("0"),
    Y("-0"),
    Y("\"\""),
    Y("[]"),
    Y("{}"),
    Y(" 1 "),
    Y("\t\r\n[ ]\n"),
    Y("[\n]"),
    Y("{ \"a\" : 1 , \"b\" : [ 2 , 3 ] }"),
    N(0, ""),
    N(3, " \n "),
    N(0, "\xef\xbb\xbf{}"),
    N(0, "\x0c 1"),
    N(0, "\xc2\xa0[]"),
    N(1, "[\x0b]"),
    N(0, "\0"),
    N(2, "1 \0"),
    N(3, "[] x"),
    N(2, "{}}"),
    N(2, "[]]"),
    N(2, "1 2"),
    N(4, "nulll"),
    N(4, "truee"),
    /* literals */
    N(0, "nul"),
    N(0, "tru"),
    N(0, "True"),
    N(0, "NULL"),
    N(0, "falsy"),
    N(0, "NaN"),
    N(0, "Infinity"),
    N(0, "undefined"),
    N(1, "-Infinity"),
    N(1, "[nul]"),
    N(0, "n"),
    N(0, "t"),
    N(0, "f"),
    /* numbers */
    Y("1"),
    Y("123456789012345678901234567890"),
    Y("-1"),
    Y("0.5"),
    Y("1.0"),
    Y("-0.0"),
    Y("1e5"),
    Y("1E+5"),
    Y("1e-06"),
    Y("0e0"),
    Y("0.1e1"),
    Y("1e99999"),
    Y("[1,2.5,-3e2]"),
    N(1, "-"),
    N(1, "01"),
    N(2, "-01"),
    N(1, "00"),
    N(2, "1."),
    N(2, "1.e5"),
    N(2, "1e"),
    N(3, "1e+"),
    N(3, "1e-"),
    N(0, ".5"),
    N(0, "+1"),
    N(1, "1a"),
    N(3, "1.5.5"),
    N(1, "0x1"),
    N(1, "--1"),
    N(3, "1e5.0"),
    N(1, "1_000"),
    N(0, "\xef\xbc\x91"),
    N(2, "[-a]"),
    N(4, "[1.2"),
    /* strings */
    Y("\"a\""),
    Y("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    Y("\"\\u0000\""),
    Y("\"\\u00e9\\uABCD\\uabcd\""),
    Y("\"\\ud83d\\ude00\""),
    Y("\"\\ud800\""),
    Y("\"\\udc00\\ud800\""),
    Y("\"\x7f\""),
    Y("\"\xc3\xa9\""),
    Y("\"\xe2\x82\xac\""),
    Y("\"\xf0\x9f\x98\x80\""),
    Y("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    Y("\"\xf4\x8f\xbf\xbf\""),
    Y("\"\xef\xbf\xbf\""),
    Y("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\""),
    Y("\"'\""),
    N(1, "\""),
    N(2, "\"a"),
    N(2, "\"a\\"),
    N(3, "\"\\\""),
    N(1, "\"\\x\""),
    N(1, "\"\\a\""),
    N(1, "\"\\'\""),
    N(1, "\"\\U0041\""),
    N(1, "\"\\0\""),
    N(1, "\"\\u\""),
    N(1, "\"\\u12\""),
    N(1, "\"\\u12g4\""),
    N(1, "\"\\u 123\""),
    N(1, "\"\\u-123\""),
    N(1, "\"\\u123"),
    N(1, "\"\n\""),
    N(1, "\"\t\""),
    N(1, "\"\0\""),
    N(1, "\"\x1f\""),
    N(2, "\"a\r\""),
    N(0, "'a'"),
    N(0, "a"),
    N(0, "\\u0022"),
    /* UTF-8 */
    N(1, "\"\x80\""),
    N(1, "\"\xbf\""),
    N(1, "\"\xc0\x80\""),
    N(1, "\"\xc1\xbf\""),
    N(1, "\"\xc3\""),
    N(1, "\"\xc3("),
    N(1, "\"\xe0\x9f\xbf\""),
    N(1, "\"\xe2\x82\""),
    N(1, "\"\xed\xa0\x80\""),
    N(1, "\"\xed\xbf\xbf\""),
    N(1, "\"\xf0\x8f\xbf\xbf\""),
    N(1, "\"\xf4\x90\x80\x80\""),
    N(1, "\"\xf5\x80\x80\x80\""),
    N(1, "\"\xff\""),
    N(1, "\"\xfe\xff\""),
    N(1, "\"\xf0\x9f\x98\""),
    N(3, "\"\xc3\xa9\x80\""),
    N(17, "\"0123456789abcdef\xff\""),
    N(1, "\"\xe9\""),
    /* arrays */
    Y("[1]"),
    Y("[[],[[]]]"),
    Y("[\"\"]"),
    Y("[null,1,\"x\",{}]"),
    N(1, "["),
    N(2, "[1"),
    N(3, "[1,"),
    N(3, "[1,]"),
    N(1, "[,1]"),
    N(1, "[,]"),
    N(3, "[1,,2]"),
    N(3, "[1 2]"),
    N(2, "[1}"),
    N(4, "[\"a\":1]"),
    N(1, "[}"),
    N(3, "[[]"),
    N(0, "]"),
    N(0, ","),
    N(1, "[:]"),
    N(2, "[1;2]"),
    /* objects */
    Y("{\"a\":1}"),
    Y("{\"\":0}"),
    Y("{\"a\":{\"a\":{}}}"),
    Y("{\"a\\u0000b\":1}"),
    Y("{\"\xc3\xa9\":[]}"),
    N(1, "{"),
    N(4, "{\"a\""),
    N(5, "{\"a\":"),
    N(6, "{\"a\":1"),
    N(7, "{\"a\":1,"),
    N(7, "{\"a\":1,}"),
    N(1, "{,}"),
    N(1, "{a:1}"),
    N(1, "{'a':1}"),
    N(1, "{1:1}"),
    N(4, "{\"a\"}"),
    N(5, "{\"a\" 1}"),
    N(4, "{\"a\",1}"),
    N(5, "{\"a\":}"),
    N(5, "{\"a\"::1}"),
    N(6, "{\"a\":1]"),
    N(1, "{]"),
    N(1, "{null:1}"),
    N(7, "{\"a\":1 \"b\":2}"),
    N(7, "{\"a\":1,,\"b\":2}"),
    N(2, "{\"\xff\":1}"),
    N(0, "}"),
    N(1, "{[]:1}"),
    N(6, "{\"a\":1/**/}"),
    N(0, "//x\n1"),
    N(8, "{\"a\":1} #"),
};

static void writes_back(const struct ccp_json *root)
{
    struct ccp_buf out;
    buf_init(&out, 1 << 20);
    assert_true(json_write(root, &out));
    assert_true(ccp_span_eq(buf_span(&out), root->raw));
    buf_release(&out);
}

static void one_case(size_t i)
{
    /* A copy of the exact size, so that ASan sees a read beyond it. */
    char *copy = malloc(cases[i].n + 1);
    memcpy(copy + 1, cases[i].text, cases[i].n);
    struct ccp_span text = {copy + 1, cases[i].n}, key = CCP_SPAN("none"), value;
    struct arena a;
    struct ccp_json *root;
    struct ccp_json_error e = {0}, f = {0};
    arena_init(&a, NULL, 0);
    enum ccp_status parsed = json_parse(&a, text, &root, &e), scanned = json_scan(text, &key, &value, 1, &f);
    if ((parsed == CCP_OK) != cases[i].good || (!cases[i].good && e.offset != cases[i].offset))
        fail_msg("case %zu <%s>: status %d, %s at %zu", i, cases[i].text, parsed, e.what ? e.what : "-", e.offset);
    assert_int_equal(parsed, scanned);
    if (cases[i].good) {
        writes_back(root);
    } else {
        assert_int_equal(parsed, CCP_BAD_JSON);
        assert_null(root);
        assert_string_equal(e.what, f.what);
        assert_int_equal(e.offset, f.offset);
        assert_true(e.line >= 1 && e.column >= 1);
        assert_int_equal(json_parse(&a, text, &root, NULL), CCP_BAD_JSON);
    }
    arena_end(&a);
    free(copy);
}

static void table(void **state)
{
    (void)state;
    assert_true(sizeof(cases) / sizeof(*cases) >= 180);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        one_case(i);
}

static char *nested(size_t depth, const char *open, const char *middle, const char *close, size_t *n)
{
    size_t o = strlen(open), m = strlen(middle), c = strlen(close);
    char *text = malloc(depth * (o + c) + m);
    for (size_t i = 0; i < depth; i++)
        memcpy(text + i * o, open, o);
    memcpy(text + depth * o, middle, m);
    for (size_t i = 0; i < depth; i++)
        memcpy(text + depth * o + m + i * c, close, c);
    *n = depth * (o + c) + m;
    return text;
}

static enum ccp_status judge(struct ccp_span text, struct ccp_json_error *e)
{
    struct arena a;
    struct ccp_json *root;
    arena_init(&a, NULL, 0);
    enum ccp_status status = json_parse(&a, text, &root, e);
    if (status == CCP_OK)
        writes_back(root);
    arena_end(&a);
    assert_int_equal(json_scan(text, NULL, NULL, 0, NULL), status);
    return status;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static const char *const forms[][3] = {
        {"[", "", "]"}, {"[", "1", "]"}, {"{\"k\":", "{}", "}"}, {"{\"a\":[", "0", "]}"}};
    static const size_t per_level[] = {1, 1, 1, 2}, extra[] = {0, 0, 1, 0};
    for (size_t i = 0; i < 4; i++) {
        size_t n, most = (JSON_MAX_DEPTH - extra[i]) / per_level[i];
        struct ccp_json_error e = {0};
        char *text = nested(most, forms[i][0], forms[i][1], forms[i][2], &n);
        assert_int_equal(judge(ccp_span_of(text, n), &e), CCP_OK);
        free(text);
        text = nested(most + 1, forms[i][0], forms[i][1], forms[i][2], &n);
        assert_int_equal(judge(ccp_span_of(text, n), &e), CCP_BAD_JSON);
        assert_string_equal(e.what, "nested too deeply");
        free(text);
    }
}

/* Objects and arrays in turns, opened and closed across the words of the bit stack. */
static void kinds_are_remembered(void **state)
{
    (void)state;
    for (size_t depth = 1; depth < 200; depth++) {
        char text[2048];
        size_t n = 0;
        for (size_t i = 0; i < depth; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", (i * 7 + depth) % 3 == 0 ? "{\"k\":" : "[");
        text[n++] = '1';
        for (size_t i = depth; i-- > 0;)
            text[n++] = (i * 7 + depth) % 3 == 0 ? '}' : ']';
        assert_int_equal(judge(ccp_span_of(text, n), NULL), CCP_OK);
        for (size_t i = n - depth; i < n; i++) { /* any bracket of the wrong kind is seen */
            char was = text[i];
            text[i] = was == '}' ? ']' : '}';
            struct ccp_json_error e;
            assert_int_equal(judge(ccp_span_of(text, n), &e), CCP_BAD_JSON);
            assert_int_equal(e.offset, i);
            text[i] = was;
        }
    }
    assert_int_equal(judge(CCP_SPAN("[{\"a\":[]},[{}],{\"b\":[[1],{\"c\":2}],\"d\":3}]"), NULL), CCP_OK);
}

/* Every bad byte at every place of a string, so that block and tail of the scan are met. */
static void strings_of_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 150; n++) {
        for (size_t at = 0; at < n; at++) {
            char *text = malloc(n + 2);
            memset(text, 'x', n + 2);
            text[0] = text[n + 1] = '"';
            static const char bad[] = {'\n', '\x80', '\xff', '\0', '\x1f'};
            text[at + 1] = bad[(n + at) % sizeof(bad)];
            struct ccp_json_error e = {0};
            assert_int_equal(judge(ccp_span_of(text, n + 2), &e), CCP_BAD_JSON);
            assert_int_equal(e.offset, at + 1);
            text[at + 1] = '"'; /* ends early: junk follows, or the last byte opens nothing */
            assert_int_equal(judge(ccp_span_of(text, n + 2), NULL), CCP_BAD_JSON);
            text[at + 1] = 'x';
            assert_int_equal(judge(ccp_span_of(text, n + 2), NULL), CCP_OK);
            free(text);
        }
    }
}

static void positions(void **state)
{
    (void)state;
    struct ccp_json_error e = {0};
    assert_int_equal(json_scan(CCP_SPAN("{\n  \"a\": 1,\n  \"b\": tru\n}"), NULL, NULL, 0, &e), CCP_BAD_JSON);
    assert_int_equal(e.line, 3);
    assert_int_equal(e.column, 8);
    assert_int_equal(e.offset, 19);
    assert_string_equal(e.what, "not a JSON value");
    json_locate(CCP_SPAN("ab\r\ncd\n"), 7, &e);
    assert_int_equal(e.line, 3);
    assert_int_equal(e.column, 1);
    json_locate(CCP_SPAN("ab"), 99, &e);
    assert_int_equal(e.offset, 2);
    assert_int_equal(e.line, 1);
    assert_int_equal(e.column, 3);
    assert_int_equal(json_scan((struct ccp_span){NULL, 0}, NULL, NULL, 0, &e), CCP_BAD_JSON);
    assert_int_equal(e.offset, 0);
    assert_string_equal(e.what, "the text is empty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(kinds_are_remembered),
        cmocka_unit_test(strings_of_every_length),
        cmocka_unit_test(positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

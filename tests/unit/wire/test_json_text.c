/*
 * Strings to text and back, and the splice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/buf.h>
#include <cmocka.h>
#include <wire/json.h>

static const struct {
    struct ccp_span raw, text;
} pairs[] = {
    {CCP_LIT("\"\""), CCP_LIT("")},
    {CCP_LIT("\"plain\""), CCP_LIT("plain")},
    {CCP_LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), CCP_LIT("\"\\/\b\f\n\r\t")},
    {CCP_LIT("\"a\\u0000b\""), CCP_LIT("a\0b")},
    {CCP_LIT("\"\\u0041\\u00e9\\u20ac\\uFFFF\""), CCP_LIT("A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf")},
    {CCP_LIT("\"\\ud83d\\ude00!\""), CCP_LIT("\xf0\x9f\x98\x80!")},
    {CCP_LIT("\"\\uDBFF\\uDFFF\""), CCP_LIT("\xf4\x8f\xbf\xbf")},
    {CCP_LIT("\"\\ud83d\""), CCP_LIT("\xef\xbf\xbd")},
    {CCP_LIT("\"\\ude00x\""), CCP_LIT("\xef\xbf\xbdx")},
    {CCP_LIT("\"\\ud83d\\n\""), CCP_LIT("\xef\xbf\xbd\n")},
    {CCP_LIT("\"\\ud83d\\u0041\""), CCP_LIT("\xef\xbf\xbd"
                                            "A")},
    {CCP_LIT("\"\\ud83d\\ud83d\\ude00\""), CCP_LIT("\xef\xbf\xbd\xf0\x9f\x98\x80")},
    {CCP_LIT("\"\\ude00\\ud83d\""), CCP_LIT("\xef\xbf\xbd\xef\xbf\xbd")},
    {CCP_LIT("\"\xe4\xb8\xad\\n\xe6\x96\x87\""), CCP_LIT("\xe4\xb8\xad\n\xe6\x96\x87")},
    {CCP_LIT("\"\\\\n\""), CCP_LIT("\\n")},
};

static void text(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        struct ccp_span got = json_text(&a, pairs[i].raw);
        assert_non_null(got.p);
        assert_true(ccp_span_eq(got, pairs[i].text));
        if (memchr(pairs[i].raw.p, '\\', pairs[i].raw.n) == NULL)
            assert_ptr_equal(got.p, pairs[i].raw.p + 1); /* no copy */
    }
    static const char *const bad[] = {"",       "\"",      "a",         "1",      "\"a",      "a\"", "\"a\"b\"",
                                      "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\n\"", "\"\xff\"", "null"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_null(json_text(&a, ccp_span_z(bad[i])).p);
    arena_end(&a);
}

static void quoted(struct ccp_span text, const char *want)
{
    struct arena a;
    struct ccp_buf out;
    arena_init(&a, NULL, 0);
    buf_init(&out, 1 << 16);
    struct ccp_span got = json_quote(&a, text);
    assert_true(ccp_span_is(got, want));
    assert_true(buf_addz(&out, "=") && json_quote_to(&out, text));
    assert_true(ccp_span_eq(ccp_span_skip(buf_span(&out), 1), got));
    assert_non_null(json_text(&a, got).p); /* always a valid string */
    buf_release(&out);
    arena_end(&a);
}

static void quote(void **state)
{
    (void)state;
    quoted(CCP_SPAN(""), "\"\"");
    quoted((struct ccp_span){NULL, 0}, "\"\"");
    quoted(CCP_SPAN("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
    quoted(CCP_SPAN("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    quoted(CCP_SPAN("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"");
    quoted(CCP_SPAN("\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8"), "\"\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8\"");
    quoted(CCP_SPAN("a\xff"
                    "b\xc3"),
           "\"a\xef\xbf\xbd"
           "b\xef\xbf\xbd\"");
    quoted(CCP_SPAN("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Any bytes: quoting gives a valid string, and UTF-8 comes back as it went. */
static void round_trip(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int i = 0; i < 3000; i++) {
        char bytes[80];
        size_t n = (size_t)i % sizeof(bytes);
        for (size_t k = 0; k < n; k++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[k] = (char)(i % 2 != 0 ? (seed >> 24) & 0x7f : seed >> 24);
        }
        struct arena a;
        arena_init(&a, NULL, 0);
        struct ccp_span got = json_text(&a, json_quote(&a, ccp_span_of(bytes, n)));
        assert_non_null(got.p);
        if (i % 2 != 0)
            assert_true(ccp_span_eq(got, ccp_span_of(bytes, n)));
        arena_end(&a);
    }
}

static void refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 8);
    assert_null(json_quote(&a, CCP_SPAN("much more than the budget allows")).p);
    assert_null(json_text(&a, CCP_SPAN("\"much more \\n than the budget\"")).p);
    arena_end(&a);
    struct ccp_buf out;
    buf_init(&out, 6);
    assert_false(json_quote_to(&out, CCP_SPAN("12345")));
    assert_int_equal(out.n, 0);
    assert_true(out.failed);
    assert_false(json_quote_to(&out, CCP_SPAN("")));
    buf_release(&out);
}

static void splice(void **state)
{
    (void)state;
    struct ccp_span text = CCP_SPAN("{\"model\":\"old\",\"n\":1}"), key = CCP_SPAN("model"), hole, out[3];
    assert_int_equal(json_scan(text, &key, &hole, 1, NULL), CCP_OK);
    json_splice(text, hole, CCP_SPAN("\"newer\""), out);
    struct arena a;
    arena_init(&a, NULL, 0);
    assert_true(ccp_span_is(arena_cat(&a, out, 3), "{\"model\":\"newer\",\"n\":1}"));
    json_splice(text, text, CCP_SPAN("x"), out);
    assert_true(ccp_span_is(arena_cat(&a, out, 3), "x"));
    arena_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),    cmocka_unit_test(quote),  cmocka_unit_test(round_trip),
        cmocka_unit_test(refused), cmocka_unit_test(splice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

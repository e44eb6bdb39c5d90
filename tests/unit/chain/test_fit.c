/*
 * chain/fit.c without an exchange: what each rule does to a body, that looking and doing agree, and that what needs no
 * change keeps its bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>
#include <chain/crossing_impl.h>
#include <wire/json.h>

#include <stdio.h>
#include <string.h>

static const struct ccp_body_rule every[] = {
    {CCP_BODY_REFUSE, "previous", "is not kept"},
    {CCP_BODY_LIST, "input", NULL},
    {CCP_BODY_DEVELOPER, "input", NULL},
    {CCP_BODY_FORGET, "input", NULL},
    {CCP_BODY_DROP_PARTS, "input", "mark"},
    {CCP_BODY_DEFAULT, "instructions", "\"\""},
    {CCP_BODY_SET, "store", "false"},
    {CCP_BODY_DROP, "top_p", NULL},
    {CCP_BODY_DROP, "tier", "\"priority\""},
    {CCP_BODY_END, NULL, NULL},
};

struct outcome {
    bool needed, ok;
    char out[4096], dropped[256], error[512];
    enum ccp_status status;
};

static void fit(const struct ccp_body_rule *rules, const char *body, struct outcome *o)
{
    struct arena a;
    struct prompt p;
    struct ccp_json *root;
    struct ccp_buf out;
    struct prompt_target to = {.format = CCP_FORMAT_OPENAI_RESPONSES};
    memset(o, 0, sizeof(*o));
    arena_init(&a, NULL, 0);
    buf_init(&out, sizeof(o->out) - 1);
    assert_int_equal(fit_look(rules, ccp_span_z(body), &o->needed, NULL), CCP_OK);
    assert_int_equal(json_parse(&a, ccp_span_z(body), &root, NULL), CCP_OK);
    prompt_init(&p, &a, CCP_FORMAT_OPENAI_RESPONSES, &to, NULL);
    o->ok = fit_tree(rules, &p, root);
    o->status = p.status;
    if (o->ok)
        assert_true(json_write(root, &out));
    memcpy(o->out, out.p != NULL ? out.p : "", out.n);
    memcpy(o->error, p.error.p != NULL ? p.error.p : "", p.error.n);
    size_t n = 0;
    for (const struct loss *l = p.dropped; l != NULL; l = l->next)
        n += (size_t)snprintf(o->dropped + n, sizeof(o->dropped) - n, "%s%.*s", n != 0 ? "," : "", CCP_FMT(l->name));
    buf_release(&out);
    arena_end(&a);
}

static void becomes(const char *body, const char *want, const char *dropped)
{
    struct outcome o;
    fit(every, body, &o);
    assert_true(o.ok);
    assert_string_equal(o.out, want);
    assert_string_equal(o.dropped, dropped);
    assert_int_equal(o.needed, strcmp(body, want) != 0); /* looking and doing agree */
    /* what was fitted once is fitted */
    char again[4096];
    memcpy(again, o.out, sizeof(again));
    fit(every, again, &o);
    assert_false(o.needed);
    assert_string_equal(o.out, again);
    assert_string_equal(o.dropped, "");
}

#define TAIL ",\"instructions\":\"x\",\"store\":false}"

static void what_complies_keeps_its_bytes(void **state)
{
    static const char *const fine[] = {
        "{\"input\":[]" TAIL,
        "{ \"a\" : 1.0 ,\"input\" : [ {\"role\":\"user\" , \"content\":\"say \\\"system\\\" and \\\"mark\\\"\"} ]" TAIL,
        "{\"input\":[{\"role\":\"developer\",\"content\":[{\"x\":1}]}],\"tier\":\"priority\"" TAIL,
        "{\"input\":[{\"id\":\"msg_1\",\"role\":\"user\",\"content\":\"x\"},{\"type\":\"item_reference\",\"id\":\"y\"}"
        "]" TAIL,
        "{\"other\":{\"top_p\":1,\"previous\":2,\"store\":true}" TAIL,
    };
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        becomes(fine[i], fine[i], "");
}

static void each_rule_changes_only_its_own(void **state)
{
    becomes("{\"n\":1e-06,\"top_p\":0.5,\"z\":[1, 2]" TAIL, "{\"n\":1e-06,\"z\":[1, 2]" TAIL, "top_p");
    becomes("{\"top_p\":null" TAIL, "{\"instructions\":\"x\",\"store\":false}", "");
    becomes("{\"tier\":\"flex\"" TAIL, "{\"instructions\":\"x\",\"store\":false}", "tier");
    becomes("{\"previous\":null" TAIL, "{\"instructions\":\"x\",\"store\":false}", "");
    becomes("{\"a\":1,\"store\":false}", "{\"a\":1,\"store\":false,\"instructions\":\"\"}", "");
    becomes("{\"a\":1,\"instructions\":null,\"store\":false}", "{\"a\":1,\"instructions\":\"\",\"store\":false}", "");
    becomes("{\"instructions\":\"x\",\"store\":true}", "{\"instructions\":\"x\",\"store\":false}", "store");
    becomes("{\"instructions\":\"x\"}", "{\"instructions\":\"x\",\"store\":false}", "");
    becomes("{\"input\":\"a\\u00e9\\\"\"" TAIL,
            "{\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"
            "\"a\\u00e9\\\"\"}]}]" TAIL,
            "");
    becomes("{\"input\":[{\"role\": \"system\",\"content\":\"s\"}, {\"role\":\"user\"}]" TAIL,
            "{\"input\":[{\"role\":\"developer\",\"content\":\"s\"}, {\"role\":\"user\"}]" TAIL, "");
    becomes("{\"input\":[{\"content\":[{\"t\":1,\"mark\":{\"a\":[]}},{\"t\":2}]},{\"output\":[{\"mark\":1}]}]" TAIL,
            "{\"input\":[{\"content\":[{\"t\":1},{\"t\":2}]},{\"output\":[{}]}]" TAIL, "mark");
}

static void ids_go_when_nothing_is_stored(void **state)
{
    becomes("{\"input\":[{\"id\":\"m\",\"role\":\"user\"},{\"type\":\"reasoning\",\"id\":\"r\",\"encrypted_content\":"
            "\"e\"},"
            "{\"type\":\"mcp_call\",\"id\":\"kept\"},7],\"instructions\":\"x\"}",
            "{\"input\":[{\"role\":\"user\"},{\"type\":\"reasoning\",\"encrypted_content\":\"e\"},"
            "{\"type\":\"mcp_call\",\"id\":\"kept\"},7],\"instructions\":\"x\",\"store\":false}",
            "");
}

static void refused(const char *body, const char *text)
{
    struct outcome o;
    fit(every, body, &o);
    assert_true(o.needed);
    assert_false(o.ok);
    assert_int_equal(o.status, CCP_BAD_REQUEST);
    assert_non_null(strstr(o.error, text));
}

static void refusals_name_the_place(void **state)
{
    refused("{\"previous\":\"resp_1\"" TAIL, "previous: is not kept");
    refused("{\"input\":[{\"role\":\"user\"},{\"type\":\"item_reference\",\"id\":\"i\"}]}", "input[1]: ");
    refused("{\"input\":[{\"id\":\"i\"}],\"store\":true}", "input[0]: ");
    refused("{\"input\":[{\"id\":\"i\",\"type\":null}]}", "input[0]: ");
}

static void shapes_that_nobody_expects(void **state)
{
    struct outcome o;
    static const char *const odd[] = {
        "{\"input\":{\"role\":\"system\"}" TAIL,
        "{\"input\":[\"system\",null,[\"mark\"],{\"role\":[\"system\"]},{\"x\":[1,\"mark\",[]]}]" TAIL,
        "{\"input\":5,\"instructions\":[],\"store\":{}}",
        "{}",
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        fit(every, odd[i], &o);
        assert_true(o.ok);
        struct arena a;
        struct ccp_json *root;
        arena_init(&a, NULL, 0);
        assert_int_equal(json_parse(&a, ccp_span_z(o.out), &root, NULL), CCP_OK);
        arena_end(&a);
    }
}

static void two_readings_are_refused(void **state)
{
    bool needed;
    struct ccp_json_error e;
    assert_int_equal(fit_look(every, CCP_SPAN("{\"store\":false,\"store\":true}"), &needed, &e), CCP_BAD_JSON);
    assert_int_equal(fit_look(every, CCP_SPAN("{\"st\\u006fre\":true}"), &needed, &e), CCP_BAD_JSON);
    assert_false(needed);
}

/* The decision takes no memory at all, whatever the body's size. */
static void looking_takes_no_memory(void **state)
{
#ifdef CCP_FAULTS
    bool needed;
    fault_arm("alloc:*,arena.alloc:*");
    enum ccp_status status = fit_look(every, CCP_SPAN("{\"input\":[{\"role\":\"system\"}]}"), &needed, NULL);
    fault_arm(NULL);
    assert_int_equal(status, CCP_OK);
    assert_true(needed);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_complies_keeps_its_bytes), cmocka_unit_test(each_rule_changes_only_its_own),
        cmocka_unit_test(ids_go_when_nothing_is_stored), cmocka_unit_test(refusals_name_the_place),
        cmocka_unit_test(shapes_that_nobody_expects),    cmocka_unit_test(two_readings_are_refused),
        cmocka_unit_test(looking_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Putting deltas in order: interleaved parts, late proofs, cut surrogate pairs, free-text tools, bounds, ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <format/collect.h>

#define HALF_HIGH "\\ud83d"
#define HALF_LOW  "\\ude00"

struct bench {
    struct arena a;
    struct names *names;
    struct delta_stream s;
    struct ccp_buf said; /* what the sink saw, as text */
    bool refuse;
};

static void note_open(struct bench *b, const struct delta *d)
{
    static const char *const kinds[] = {[PART_TEXT] = "text", [PART_THINKING] = "thinking", [PART_CALL] = "call"};
    buf_printf(&b->said, "(%s%s", kinds[d->kind], d->custom ? "*" : "");
    if (d->kind == PART_CALL)
        buf_printf(&b->said, " %.*s %.*s", CCP_FMT(d->id), CCP_FMT(d->name));
    if (d->space.n != 0)
        buf_printf(&b->said, "@%.*s", CCP_FMT(d->space));
    if (d->proof.kind != PROOF_NONE)
        buf_printf(&b->said, " proof=%.*s", CCP_FMT(d->proof.text));
    buf_addz(&b->said, ":");
}

static bool sink(void *self, const struct delta *d)
{
    struct bench *b = self;
    switch (d->type) {
    case DELTA_START:
        buf_printf(&b->said, "start %.*s ", CCP_FMT(d->id));
        break;
    case DELTA_OPEN:
        note_open(b, d);
        break;
    case DELTA_TEXT:
        buf_printf(&b->said, "%.*s|", CCP_FMT(d->text));
        break;
    case DELTA_PROOF:
        buf_printf(&b->said, "[%.*s from %.*s]", CCP_FMT(d->proof.text), CCP_FMT(d->proof.origin));
        break;
    case DELTA_CLOSE:
        buf_addz(&b->said, ")");
        break;
    case DELTA_STOP:
        buf_printf(&b->said, " stop %d %.*s out=%d", d->stop, CCP_FMT(d->stop_sequence), (int)d->usage->output);
        break;
    case DELTA_ERROR:
        buf_printf(&b->said, " error %d", d->failure->kind);
        break;
    }
    return !b->refuse;
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    arena_init(&b->a, NULL, 0);
    b->names = names_new(&b->a);
    buf_init(&b->said, 1 << 20);
    delta_init(&b->s, (struct delta_sink){sink, b}, b->names, CCP_SPAN("prov"), 4096, &b->a);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    delta_release(&b->s);
    buf_release(&b->said);
    arena_end(&b->a);
    free(b);
    return 0;
}

static void expect(struct bench *b, const char *text)
{
    buf_add(&b->said, ccp_span_of("", 1));
    assert_string_equal(b->said.p, text);
}

#define TEXT(s, key, lit) delta_text(s, key, CCP_SPAN(lit))

static void test_parts_that_interleave_come_one_after_the_other(void **state)
{
    struct bench *b = *state;
    delta_start(&b->s, CCP_SPAN("id"), CCP_SPAN("m"));
    delta_open(&b->s, 1, PART_CALL, CCP_SPAN("a"), CCP_SPAN("f"));
    delta_settle_event(&b->s);
    delta_open(&b->s, 2, PART_CALL, CCP_SPAN("b"), CCP_SPAN("g"));
    TEXT(&b->s, 2, "2");
    TEXT(&b->s, 1, "1");
    TEXT(&b->s, 2, "22");
    delta_close(&b->s, 2);
    TEXT(&b->s, 2, "late");
    delta_stop(&b->s, STOP_END, CCP_SPAN(""));
    delta_usage(&b->s)->output = 7;
    delta_finish(&b->s);
    expect(b, "start id (call a f:1|)(call b g:222|) stop 5  out=7");
}

static void test_the_live_part_flows_and_a_proof_is_told_when_known(void **state)
{
    struct bench *b = *state;
    delta_open(&b->s, 0, PART_THINKING, CCP_SPAN(""), CCP_SPAN(""));
    TEXT(&b->s, 0, "a");
    TEXT(&b->s, 0, "b");
    delta_proof(&b->s, 0, PROOF_SIGNATURE, CCP_SPAN("old"));
    delta_proof(&b->s, 0, PROOF_SIGNATURE, CCP_SPAN("sig"));
    delta_close(&b->s, 0);
    delta_open(&b->s, 1, PART_CALL, CCP_SPAN("x"), CCP_SPAN("f"));
    delta_proof(&b->s, 1, PROOF_THOUGHT, CCP_SPAN("th"));
    delta_arguments(&b->s, 1, CCP_SPAN("{\"a\":\"\\n\"}"));
    delta_stop(&b->s, STOP_SEQUENCE, CCP_SPAN("END"));
    delta_finish(&b->s);
    expect(b, "start  (thinking:a|b|[sig from prov])(call x f proof=th:{\\\"a\\\":\\\"\\\\n\\\"}|[th from prov])"
              " stop 2 END out=0");
}

static void test_a_cut_surrogate_pair_is_joined(void **state)
{
    struct bench *b = *state;
    delta_open(&b->s, 0, PART_TEXT, CCP_SPAN(""), CCP_SPAN(""));
    TEXT(&b->s, 0, "A" HALF_HIGH);
    TEXT(&b->s, 0, HALF_LOW "B");
    TEXT(&b->s, 0, "C" HALF_HIGH); /* no partner follows */
    TEXT(&b->s, 0, "D\\\\ud83d");  /* an escaped backslash, not an escape */
    TEXT(&b->s, 0, HALF_HIGH);
    delta_stop(&b->s, STOP_END, CCP_SPAN(""));
    delta_finish(&b->s);
    expect(b, "start  (text:A|" HALF_HIGH HALF_LOW "|B|C|\\ufffd|D\\\\ud83d|\\ufffd|) stop 1  out=0");
}

static void test_names_come_back_and_free_text_is_taken_out(void **state)
{
    struct bench *b = *state;
    struct name_rule rule = {.max = 64};
    ctext flat = names_wire(b->names, &rule, CCP_SPAN("ns"), CCP_SPAN("do"), false);
    ctext patch = names_wire(b->names, &rule, CCP_SPAN(""), CCP_SPAN("apply.patch"), true);
    assert_true(ccp_span_is(flat, "ns__do"));
    delta_open(&b->s, 0, PART_CALL, CCP_SPAN("1"), flat);
    TEXT(&b->s, 0, "{}");
    delta_close(&b->s, 0);
    delta_open(&b->s, 1, PART_CALL, CCP_SPAN("2"), patch);
    TEXT(&b->s, 1, "{\\\"input\\\": \\\"a\\\\n");
    TEXT(&b->s, 1, "b\\\"}");
    delta_close(&b->s, 1);
    delta_open_custom(&b->s, 2, CCP_SPAN("3"), CCP_SPAN("free"));
    TEXT(&b->s, 2, "x");
    TEXT(&b->s, 2, "y");
    delta_stop(&b->s, STOP_TOOL, CCP_SPAN(""));
    delta_finish(&b->s);
    expect(b, "start  (call 1 do@ns:{}|)(call* 2 apply.patch:a\\nb|)(call* 3 free:x|y|) stop 5  out=0");
}

static void test_without_a_stop_reason_the_answer_was_cut(void **state)
{
    struct bench *b = *state;
    delta_open(&b->s, 0, PART_TEXT, CCP_SPAN(""), CCP_SPAN(""));
    TEXT(&b->s, 0, "half");
    delta_finish(&b->s);
    TEXT(&b->s, 0, "more");
    delta_finish(&b->s);
    expect(b, "start  (text:half| error 13");
    assert_true(delta_over(&b->s));
}

static void test_tool_stop_without_calls_is_a_plain_end(void **state)
{
    struct bench *b = *state;
    delta_stop(&b->s, STOP_TOOL, CCP_SPAN(""));
    delta_finish(&b->s);
    expect(b, "start   stop 1  out=0");
}

static void test_what_waits_is_bounded(void **state)
{
    struct bench *b = *state;
    char much[1024];
    memset(much, 'x', sizeof(much));
    delta_open(&b->s, 0, PART_CALL, CCP_SPAN("1"), CCP_SPAN("f"));
    delta_open(&b->s, 1, PART_CALL, CCP_SPAN("2"), CCP_SPAN("f"));
    for (int i = 0; i < 100; i++) /* the live one may be of any length */
        delta_text(&b->s, 0, ccp_span_of(much, sizeof(much)));
    assert_false(delta_over(&b->s));
    for (int i = 0; i < 5; i++)
        delta_text(&b->s, 1, ccp_span_of(much, sizeof(much)));
    assert_true(b->s.failed);
    assert_non_null(memmem(b->said.p, b->said.n, "error 14", 8));
}

static void test_many_waiting_parts_are_refused(void **state)
{
    struct bench *b = *state;
    for (uint64_t i = 0; i < 2000; i++)
        delta_open(&b->s, i, PART_CALL, CCP_SPAN("1"), CCP_SPAN("f"));
    assert_true(b->s.failed);
}

static void test_a_sink_that_refuses_ends_the_stream(void **state)
{
    struct bench *b = *state;
    b->refuse = true;
    delta_start(&b->s, CCP_SPAN("id"), CCP_SPAN(""));
    delta_open(&b->s, 0, PART_TEXT, CCP_SPAN(""), CCP_SPAN(""));
    TEXT(&b->s, 0, "x");
    delta_stop(&b->s, STOP_END, CCP_SPAN(""));
    delta_finish(&b->s);
    expect(b, "start id ");
}

static void test_a_collected_call_has_an_object(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *text, *json;
        bool custom, good;
    } cases[] = {
        {"", "{}", false, true},
        {"{\\\"a\\\":1}", "{\"a\":1}", false, true},
        {"[1]", "{\"_raw\":\"[1]\"}", false, false},
        {"{\\\"a\\\":", "{\"_raw\":\"{\\\"a\\\":\"}", false, false},
        {"free \\\"text\\\"", "{\"input\":\"free \\\"text\\\"\"}", true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct collect c;
        bool good;
        collect_init(&c, 4096);
        assert_true(collect_put(&c, &(struct delta){.type = DELTA_OPEN, .kind = PART_CALL, .custom = cases[i].custom}));
        assert_true(
            collect_put(&c, &(struct delta){.type = DELTA_TEXT, .kind = PART_CALL, .text = ccp_span_z(cases[i].text)}));
        struct ccp_span json = collect_arguments(&b->a, c.first, &good);
        assert_true(ccp_span_is(json, cases[i].json));
        assert_int_equal(good, cases[i].good);
        collect_release(&c);
    }
}

static void test_a_collection_is_bounded(void **state)
{
    struct collect c;
    (void)state;
    collect_init(&c, 10);
    assert_true(collect_put(&c, &(struct delta){.type = DELTA_OPEN, .kind = PART_TEXT}));
    assert_true(collect_put(&c, &(struct delta){.type = DELTA_TEXT, .text = CCP_SPAN("12345678")}));
    assert_false(collect_put(&c, &(struct delta){.type = DELTA_TEXT, .text = CCP_SPAN("9ab")}));
    collect_release(&c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_parts_that_interleave_come_one_after_the_other),
        T(test_the_live_part_flows_and_a_proof_is_told_when_known),
        T(test_a_cut_surrogate_pair_is_joined),
        T(test_names_come_back_and_free_text_is_taken_out),
        T(test_without_a_stop_reason_the_answer_was_cut),
        T(test_tool_stop_without_calls_is_a_plain_end),
        T(test_what_waits_is_bounded),
        T(test_many_waiting_parts_are_refused),
        T(test_a_sink_that_refuses_ends_the_stream),
        T(test_a_collected_call_has_an_object),
        T(test_a_collection_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

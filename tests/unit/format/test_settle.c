/*
 * The canonical conversation: results find their calls, neighbours join, nothing is lost; names, ids, proofs, maps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <format/proof.h>

struct bench {
    struct arena a;
    struct prompt p;
    struct ccp_buf said;
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct prompt_target to = {.format = CCP_FORMAT_ANTHROPIC, .provider = CCP_SPAN("prov")};
    arena_init(&b->a, NULL, 0);
    prompt_init(&b->p, &b->a, CCP_FORMAT_OPENAI_CHAT, &to, names_new(&b->a));
    buf_init(&b->said, 1 << 20);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    buf_release(&b->said);
    arena_end(&b->a);
    free(b);
    return 0;
}

static struct turn *turn(struct bench *b, enum role role)
{
    return prompt_turn(&b->p, role, 0);
}

static struct part *text(struct bench *b, struct turn *t, const char *what)
{
    struct part *part = prompt_part(&b->p, t, PART_TEXT, 0);
    part->text = ccp_span_z(what);
    return part;
}

static struct part *call(struct bench *b, struct turn *t, const char *id)
{
    struct part *part = prompt_part(&b->p, t, PART_CALL, 0);
    part->id = ccp_span_z(id);
    part->name = CCP_SPAN("f");
    return part;
}

static void result(struct bench *b, struct turn *t, const char *id, const char *what)
{
    struct part *part = prompt_part(&b->p, t, PART_RESULT, 0);
    part->id = ccp_span_z(id);
    prompt_result_part(&b->p, part, PART_TEXT)->text = ccp_span_z(what);
}

static void expect(struct bench *b, const char *wanted)
{
    static const char roles[] = "sdua";
    for (const struct turn *t = b->p.turns; t != NULL; t = t->next) {
        buf_printf(&b->said, "%c(", roles[t->role]);
        for (const struct part *part = t->parts; part != NULL; part = part->next) {
            if (part->kind == PART_CALL)
                buf_printf(&b->said, " call:%.*s", CCP_FMT(part->id));
            else if (part->kind == PART_RESULT)
                buf_printf(&b->said, " %.*s=%.*s", CCP_FMT(part->name), CCP_FMT(part->parts->text));
            else
                buf_printf(&b->said, " %.*s", CCP_FMT(part->text));
        }
        buf_addz(&b->said, ")");
    }
    buf_add(&b->said, ccp_span_of("", 1));
    assert_string_equal(b->said.p, wanted);
}

static bool dropped(const struct prompt *p, const char *name)
{
    for (const struct loss *l = p->dropped; l != NULL; l = l->next)
        if (ccp_span_is(l->name, name))
            return true;
    return false;
}

static void test_results_stand_behind_their_calls_in_order(void **state)
{
    struct bench *b = *state;
    text(b, turn(b, ROLE_USER), "go");
    struct turn *t = turn(b, ROLE_ASSISTANT);
    call(b, t, "1");
    call(b, turn(b, ROLE_ASSISTANT), "2");
    t = turn(b, ROLE_USER);
    text(b, t, "");
    text(b, t, "and");
    result(b, t, "2", "two");
    result(b, turn(b, ROLE_USER), "1", "one");
    assert_true(prompt_settle(&b->p, false));
    expect(b, "u( go)a( call:1 call:2)u( f=one f=two and)");
    assert_null(b->p.dropped);
}

static void test_neighbours_join_only_where_asked(void **state)
{
    struct bench *b = *state;
    text(b, turn(b, ROLE_USER), "a");
    text(b, turn(b, ROLE_USER), "b");
    text(b, turn(b, ROLE_SYSTEM), "s");
    text(b, turn(b, ROLE_USER), "c");
    assert_true(prompt_settle(&b->p, false));
    expect(b, "u( a)u( b)s( s)u( c)");
    b->said.n = 0;
    assert_true(prompt_settle(&b->p, true));
    expect(b, "u( a b)s( s)u( c)");
}

static void test_a_missing_result_and_an_orphan_are_visible(void **state)
{
    struct bench *b = *state;
    call(b, turn(b, ROLE_ASSISTANT), "1");
    text(b, turn(b, ROLE_DEVELOPER), "late");
    result(b, turn(b, ROLE_USER), "9", "lost");
    assert_true(prompt_settle(&b->p, true));
    expect(b, "a( call:1)u( f=(no result))d( late)u( [result of tool call 9] lost)");
    assert_true(dropped(&b->p, "tool_result"));
}

static void test_ids_that_repeat_pair_with_the_latest_call(void **state)
{
    struct bench *b = *state;
    call(b, turn(b, ROLE_ASSISTANT), "0");
    result(b, turn(b, ROLE_USER), "0", "first");
    call(b, turn(b, ROLE_ASSISTANT), "0");
    result(b, turn(b, ROLE_USER), "0", "second");
    result(b, turn(b, ROLE_USER), "0", "again");
    assert_true(prompt_settle(&b->p, true));
    expect(b, "a( call:0)u( f=first)a( call:0_2)u( f=second [result of tool call 0] again)");
}

static void test_a_long_history_takes_linear_memory(void **state)
{
    struct bench *b = *state;
    size_t used[2];
    for (int round = 0; round < 2; round++) {
        struct arena a;
        struct prompt p;
        arena_init(&a, NULL, 0);
        struct bench one = {.a = a};
        prompt_init(&p, &a, CCP_FORMAT_OPENAI_CHAT, &b->p.to, names_new(&a));
        one.p = p;
        for (int i = 0; i < (round + 1) * 20000; i++) {
            const char *id = arena_printf(&a, "id%d", i).p;
            call(&one, turn(&one, ROLE_ASSISTANT), id);
            result(&one, turn(&one, ROLE_USER), id, "x");
        }
        assert_true(prompt_settle(&one.p, true));
        used[round] = a.used;
        arena_end(&a);
    }
    assert_true(used[1] < used[0] * 5 / 2);
}

static void test_names(void **state)
{
    struct bench *b = *state;
    struct names *n = b->p.names;
    struct name_rule rule = {.max = 20, .letter_first = true};
    assert_true(ccp_span_is(names_wire(n, &rule, CCP_SPAN(""), CCP_SPAN("plain"), false), "plain"));
    ctext odd = names_wire(n, &rule, CCP_SPAN(""), CCP_SPAN("1 very long name with blanks"), false);
    ctext same = names_wire(n, &rule, CCP_SPAN(""), CCP_SPAN("1 very long name with blanks"), false);
    assert_true(odd.n <= 20 && odd.p[0] == '_' && ccp_span_eq(odd, same));
    assert_true(ccp_span_is(names_client(n, odd)->client, "1 very long name with blanks"));
    /* a space's tool and another's plain name that would look alike upstream */
    ctext spaced = names_wire(n, &rule, CCP_SPAN("ns"), CCP_SPAN("f"), false);
    ctext plain = names_wire(n, &rule, CCP_SPAN(""), CCP_SPAN("ns__f"), false);
    assert_false(ccp_span_eq(spaced, plain));
    assert_true(ccp_span_is(names_client(n, plain)->client, "ns__f"));
    assert_null(names_client(n, CCP_SPAN("never sent")));
}

static void test_ids_keep_or_hash(void **state)
{
    struct bench *b = *state;
    assert_true(ccp_span_is(prompt_call_id(&b->p, CCP_SPAN("call_aB-9"), 64), "call_aB-9"));
    ctext dotted = prompt_call_id(&b->p, CCP_SPAN("call.1"), 64);
    assert_true(dotted.n == 29 && ccp_span_starts(dotted, CCP_SPAN("call_")));
    assert_true(ccp_span_eq(dotted, prompt_call_id(&b->p, CCP_SPAN("call.1"), 64)));
    assert_false(ccp_span_eq(dotted, prompt_call_id(&b->p, CCP_SPAN("call.2"), 64)));
}

static struct ccp_span written(struct bench *b, const struct proof *proof, enum proof_kind native)
{
    struct out o = out_of(&b->said);
    b->said.n = 0;
    out_object(&o, NULL);
    proof_write(&o, "s", proof, native);
    out_end(&o, '}');
    assert_true(b->said.n > 8);
    return ccp_span_of(b->said.p + 6, b->said.n - 8);
}

static void test_a_proof_comes_back_to_its_maker_only(void **state)
{
    struct bench *b = *state;
    static const enum proof_kind natives[] = {PROOF_SIGNATURE, PROOF_ENCRYPTED, PROOF_THOUGHT};
    static const char *const payloads[] = {"x", "Zm9v", "a\\/b+c==", "0123456789012345678901234567890123456789"};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < sizeof(payloads) / sizeof(payloads[0]); k++) {
            enum proof_kind made = natives[(i + 1) % 3];
            struct proof proof = {made, CCP_SPAN("prov"), ccp_span_z(payloads[k])}, back;
            ctext field = arena_dup(&b->a, written(b, &proof, natives[i]));
            assert_true(proof_read(&b->p, &back, natives[i], field));
            assert_int_equal(back.kind, made);
            assert_true(ccp_span_is(prompt_proof(&b->p, &back, made), payloads[k]));
            assert_int_equal(prompt_proof(&b->p, &back, natives[i]).n, 0);
            b->p.to.provider = CCP_SPAN("other");
            assert_int_equal(prompt_proof(&b->p, &back, made).n, 0);
            b->p.to.provider = CCP_SPAN("prov");
        }
}

static void test_bare_and_broken_proofs_go_to_nobody_else(void **state)
{
    struct bench *b = *state;
    struct proof back;
    assert_true(proof_read(&b->p, &back, PROOF_SIGNATURE, CCP_SPAN("RXJh")));
    assert_int_equal(back.kind, PROOF_SIGNATURE);
    assert_int_equal(prompt_proof(&b->p, &back, PROOF_SIGNATURE).n, 0); /* the client speaks Chat */
    static const char *const broken[] = {"ccp1.",         "ccp1..c3g",      "ccp1.prov",
                                         "ccp1.prov.",    "ccp1.prov.!!!!", "ccp1.prov.enoK",
                                         "ccp1.prov.c1w", "ccp1.prov.cyIi", "ccp1.prov.AAAA"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        assert_true(proof_read(&b->p, &back, PROOF_SIGNATURE, ccp_span_z(broken[i])));
        assert_int_equal(back.kind, PROOF_NONE);
    }
}

static void test_a_misplaced_thought_finds_its_part(void **state)
{
    struct bench *b = *state;
    struct turn *t = turn(b, ROLE_ASSISTANT);
    struct proof thought = {PROOF_THOUGHT, CCP_SPAN("prov"), CCP_SPAN("sig")};
    struct part *said = text(b, t, "hi");
    prompt_part(&b->p, t, PART_THINKING, 0)->proof = thought;
    text(b, t, "go on");
    prompt_part(&b->p, t, PART_THINKING, 0)->proof = thought;
    struct part *c = call(b, t, "1");
    proof_attach(t);
    assert_int_equal(said->proof.kind, PROOF_THOUGHT);
    assert_int_equal(c->proof.kind, PROOF_THOUGHT);
    assert_ptr_equal(t->last, c);
    expect(b, "a( hi go on call:1)");
}

static void test_arguments(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *raw, *object;
        bool quoted, custom;
    } cases[] = {
        {"{\"a\": 1.0}", "{\"a\": 1.0}", false, false},
        {"{\\\"a\\\":\\\"\\\\u0000\\\"}", "{\"a\":\"\\u0000\"}", true, false},
        {"", "{}", true, false},
        {"[1]", "{\"value\":[1]}", true, false},
        {"{broken", "{\"_raw\":\"{broken\"}", true, false},
        {"free \\n", "{\"input\":\"free \\n\"}", true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct part c = {
            .kind = PART_CALL, .args = {ccp_span_z(cases[i].raw), cases[i].quoted}, .custom = cases[i].custom};
        assert_true(ccp_span_is(prompt_arguments(&b->p, &c), cases[i].object));
    }
}

static void test_efforts(void **state)
{
    (void)state;
    for (int e = EFFORT_NONE; e <= EFFORT_MAX; e++) {
        assert_int_equal(effort_of(ccp_span_z(effort_word((enum effort)e))), e);
        if (e != EFFORT_NONE)
            assert_int_equal(effort_of_budget(effort_budget((enum effort)e)), e);
    }
    assert_int_equal(effort_of_budget(1024), EFFORT_LOW);
    assert_int_equal(effort_of_budget(16384), EFFORT_HIGH);
    assert_int_equal(effort_of_budget(0), EFFORT_NONE);
    assert_int_equal(effort_of_budget(-1), EFFORT_UNSET);
    assert_int_equal(effort_of(CCP_SPAN("great")), EFFORT_UNSET);
}

static void test_data_urls(void **state)
{
    struct bench *b = *state;
    struct part *part = text(b, turn(b, ROLE_USER), "");
    assert_true(prompt_data_url(&b->p, part, CCP_SPAN("data:image\\/png;charset=x;base64,AAAA")));
    assert_int_equal(part->source, MEDIA_BASE64);
    assert_true(ccp_span_is(part->mime, "image/png") && ccp_span_is(part->data, "AAAA"));
    assert_true(prompt_data_url(&b->p, part, CCP_SPAN("https://e/x.JPG?y")));
    assert_true(part->source == MEDIA_URL && ccp_span_is(part->mime, "image/jpeg"));
    assert_false(prompt_data_url(&b->p, part, CCP_SPAN("data:text/plain,hi")));
    assert_int_equal(b->p.status, CCP_BAD_REQUEST);
}

static void test_the_loss_list_is_short(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 1000; i++) {
        prompt_drop(&b->p, "seed");
        prompt_drop_span(&b->p, arena_printf(&b->a, "x%d", i));
    }
    assert_int_equal(b->p.dropped_count, 64);
    assert_true(ccp_span_is(b->p.dropped->name, "seed"));
}

static void test_map(void **state)
{
    struct bench *b = *state;
    struct map m;
    map_init(&m, &b->a);
    assert_null(map_get(&m, CCP_SPAN("x")));
    for (int i = 0; i < 5000; i++)
        assert_true(map_put(&m, arena_printf(&b->a, "key%d", i), (void *)(uintptr_t)(i + 1)));
    assert_true(map_put(&m, CCP_SPAN("key7"), b));
    assert_int_equal(m.n, 5000);
    for (int i = 0; i < 5000; i++)
        assert_ptr_equal(map_get(&m, arena_printf(&b->a, "key%d", i)), i == 7 ? (void *)b : (void *)(uintptr_t)(i + 1));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_results_stand_behind_their_calls_in_order),
        T(test_neighbours_join_only_where_asked),
        T(test_a_missing_result_and_an_orphan_are_visible),
        T(test_ids_that_repeat_pair_with_the_latest_call),
        T(test_a_long_history_takes_linear_memory),
        T(test_names),
        T(test_ids_keep_or_hash),
        T(test_a_proof_comes_back_to_its_maker_only),
        T(test_bare_and_broken_proofs_go_to_nobody_else),
        T(test_a_misplaced_thought_finds_its_part),
        T(test_arguments),
        T(test_efforts),
        T(test_data_urls),
        T(test_the_loss_list_is_short),
        T(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Gemini answers: parts, signatures, arguments in pieces, ends, usage, ids of calls; and answers to Gemini clients, as
 * events and as one array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <format/gemini.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/json.h>

static struct ccp_json *parsed(struct arena *a, struct ccp_span text)
{
    struct ccp_json *root = NULL;
    assert_int_equal(json_parse(a, text, &root, NULL), CCP_OK);
    return root;
}

/* -- answers -- */

/* Deltas as one line of text. */
struct record {
    struct ccp_buf text;
};

static bool note(void *self, const struct delta *d)
{
    struct record *r = self;
    static const char *const kinds[] = {[PART_TEXT] = "text", [PART_THINKING] = "think", [PART_CALL] = "call"};
    if (d->type == DELTA_OPEN)
        buf_printf(&r->text, "<%s %.*s%s%.*s>", kinds[d->kind], CCP_FMT(d->name), d->id.n == 29 ? " #" : " ",
                   d->id.n == 29 ? 0 : (int)d->id.n, d->id.p);
    else if (d->type == DELTA_TEXT)
        buf_add(&r->text, d->text);
    else if (d->type == DELTA_CLOSE)
        buf_addz(&r->text, ";");
    else if (d->type == DELTA_STOP)
        buf_printf(&r->text, " stop %d", (int)d->stop);
    else if (d->type == DELTA_ERROR)
        buf_printf(&r->text, " error %d", (int)d->failure->kind);
    if (d->type == DELTA_PROOF)
        buf_printf(&r->text, "{%.*s}", CCP_FMT(d->proof.text));
    return true;
}

struct answer {
    struct arena scratch;
    struct record record;
    struct delta_stream deltas;
    struct gemini_reader *reader;
};

static void answer_begin(struct answer *x)
{
    arena_init(&x->scratch, NULL, 0);
    buf_init(&x->record.text, 1 << 24);
    x->reader = calloc(1, sizeof(*x->reader));
    delta_init(&x->deltas, (struct delta_sink){note, &x->record}, NULL, CCP_SPAN("google"), 1 << 24, &x->scratch);
}

static void answer_event(struct answer *x, const char *json)
{
    struct sse_event event = {.data = ccp_span_z(json), .has_data = true};
    struct ccp_json *root = NULL;
    json_parse(&x->scratch, event.data, &root, NULL);
    format_gemini.read_event(x->reader, &x->deltas, &event, root);
    delta_settle_event(&x->deltas);
}

static void answer_end(struct answer *x, const char *want)
{
    format_gemini.read_end(x->reader, &x->deltas);
    struct ccp_span got = buf_span(&x->record.text);
    if (!ccp_span_is(got, want))
        fail_msg("got\n%.*s\nwanted\n%s", CCP_FMT(got), want);
    delta_release(&x->deltas);
    buf_release(&x->record.text);
    free(x->reader);
    arena_end(&x->scratch);
}

#define PARTS(list)                                                                                                    \
    "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[" list "]},\"index\":0}],\"responseId\":\"r\"}"
#define END(reason) "{\"candidates\":[{\"content\":{},\"finishReason\":\"" reason "\"}]}"

static void reads(const char *const *events, const char *want)
{
    struct answer x;
    answer_begin(&x);
    for (; *events != NULL; events++)
        answer_event(&x, *events);
    answer_end(&x, want);
}
#define READS(want, ...) reads((const char *const[]){__VA_ARGS__, NULL}, want)

static void parts_open_and_close_as_kinds_change(void **state)
{
    READS("<think  >ab;<text  >cd;<call f #>{\\\"a\\\":1};<call g id1>{};<text  >e; stop 5",
          PARTS("{\"text\":\"a\",\"thought\":true}"), PARTS("{\"text\":\"b\",\"thought\":true},{\"text\":\"c\"}"),
          PARTS("{\"text\":\"d\"},{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}}},"
                "{\"functionCall\":{\"name\":\"g\",\"id\":\"id1\"}},{\"text\":\"\"},{\"text\":\"e\"}"),
          END("STOP"));
}

static void signatures_find_their_part(void **state)
{
    READS("<text  >ok{c2ln}; stop 1", PARTS("{\"text\":\"ok\"}"),
          PARTS("{\"text\":\"\",\"thoughtSignature\":\"c2ln\"}"), END("STOP"));
    READS(
        "<call f #>{}{c2ln};<call g #>{}{bGF0ZQ==}; stop 5",
        PARTS("{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":\"c2ln\"},{\"functionCall\":{\"name\":\"g\"}}"),
        PARTS("{\"text\":\"\",\"thoughtSignature\":\"bGF0ZQ==\"}"), END("STOP"));
    /* nothing before it to stand on, and nothing joins what was signed */
    READS("<think  >{c2ln};<text  >a{YQ==};<text  >b; stop 1", PARTS("{\"text\":\"\",\"thoughtSignature\":\"c2ln\"}"),
          PARTS("{\"text\":\"a\",\"thoughtSignature\":\"YQ==\"}"), PARTS("{\"text\":\"b\"}"), END("STOP"));
}

#define PIECE(list)     PARTS("{\"functionCall\":{\"partialArgs\":[" list "],\"willContinue\":true}}")
#define BEGIN           PARTS("{\"functionCall\":{\"name\":\"f\",\"willContinue\":true}}")
#define LAST            PARTS("{\"functionCall\":{}}")
#define AT(path, value) "{\"jsonPath\":\"" path "\"," value "}"

static void arguments_in_pieces_become_json(void **state)
{
    READS("<call f #>{\\\"city\\\":\\\"Bos\\\\\\\"ton\\\",\\\"n\\\":-1.50,\\\"list\\\":[{\\\"a\\\":true},{\\\"a\\\":"
          "null,\\\"b c\\\":[[1],2]}],\\\"z\\\":\\\"\\\"};<call f #>{}; stop 5",
          BEGIN, PIECE(AT("$.city", "\"stringValue\":\"Bos\\\"\",\"willContinue\":true")),
          PIECE(AT("$.city", "\"stringValue\":\"ton\",\"willContinue\":true")),
          PIECE(AT("$.city", "\"stringValue\":\"\"") "," AT("$.n", "\"numberValue\":-1.50")),
          PIECE(AT("$.list[0].a", "\"boolValue\":true") "," AT("$['list'][1]['a']", "\"nullValue\":null")),
          PIECE(AT("$.list[1]['b c'][0][0]", "\"numberValue\":1") "," AT("$.list[1]['b c'][1]", "\"numberValue\":2")),
          PIECE(AT("$.z", "\"stringValue\":\"\",\"willContinue\":true")), LAST, BEGIN, LAST, END("STOP"));
}

static void pieces_out_of_order_are_no_answer(void **state)
{
    static const char *const bad[] = {
        PIECE(AT("$.a", "\"numberValue\":1") "," AT("$.a", "\"numberValue\":2")),
        PIECE(AT("$.a.b", "\"numberValue\":1") "," AT("$.c", "\"numberValue\":2") "," AT("$.a.d", "\"numberValue\":3")),
        PIECE(AT("$.a[1]", "\"numberValue\":1")),
        PIECE(AT("$.a[0]", "\"numberValue\":1") "," AT("$.a.b", "\"numberValue\":1")),
        PIECE(AT("$[0]", "\"numberValue\":1")),
        PIECE(AT("$", "\"numberValue\":1")),
        PIECE(AT("$..a", "\"numberValue\":1")),
        PIECE(AT("a", "\"numberValue\":1")),
        PIECE(AT("$.a", "\"numberValue\":\"NaN\"")),
        PIECE(AT("$.a", "\"structValue\":{}")),
        PIECE("{\"stringValue\":\"x\"}"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct answer x;
        answer_begin(&x);
        answer_event(&x, BEGIN);
        answer_event(&x, bad[i]);
        assert_true(x.deltas.failed);
        struct ccp_span text = buf_span(&x.record.text);
        char want[16];
        snprintf(want, sizeof(want), " error %d", (int)FAILURE_GARBLED);
        assert_true(ccp_span_ends(text, ccp_span_z(want)));
        delta_release(&x.deltas);
        buf_release(&x.record.text);
        free(x.reader);
        arena_end(&x.scratch);
    }
}

static void a_path_deeper_or_busier_than_kept_is_refused(void **state)
{
    struct gemini_partial *s = calloc(1, sizeof(*s));
    struct arena a;
    struct ccp_buf out, text;
    arena_init(&a, NULL, 0);
    buf_init(&out, 1 << 20);
    buf_init(&text, 1 << 20);
    bool ok = true;
    int n = 0;
    for (; ok && n < 1000; n++) {
        text.n = 0;
        buf_printf(&text, "{\"jsonPath\":\"$.key%d\",\"numberValue\":1}", n);
        ok = gemini_partial_add(s, parsed(&a, buf_span(&text)), &a, &out);
    }
    assert_int_equal(n, GEMINI_PATH_KEYS + 1);
    *s = (struct gemini_partial){.active = true};
    text.n = 0;
    buf_addz(&text, "{\"numberValue\":1,\"jsonPath\":\"$");
    for (int i = 0; i <= GEMINI_PATH_LEVELS; i++)
        buf_addz(&text, ".a");
    buf_addz(&text, "\"}");
    assert_false(gemini_partial_add(s, parsed(&a, buf_span(&text)), &a, &out));
    buf_release(&out);
    buf_release(&text);
    arena_end(&a);
    free(s);
}

static void an_answer_ends_with_a_reason_or_is_cut(void **state)
{
    READS("<text  >a error 13", PARTS("{\"text\":\"a\"}"));
    READS("<text  >a; stop 1", PARTS("{\"text\":\"a\"}"), END("STOP"), "[DONE]");
    READS(" stop 6", "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}");
    READS(" stop 9", END("MALFORMED_FUNCTION_CALL"));
    READS(" stop 6", END("IMAGE_SAFETY"));
    READS("<text  >a; stop 3", "{\"response\":" PARTS("{\"text\":\"a\"}") "}", "{\"response\":" END("MAX_TOKENS") "}");
    READS("<text  >a error 14", PARTS("{\"text\":\"a\"}"), "no json");
    READS("<text  >a error 11", PARTS("{\"text\":\"a\"}"),
          "[{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}]");
    READS(" error 14", PARTS("{\"functionCall\":{\"args\":{}}}"));
    /* cut by length inside the arguments: what is there stays as it is */
    READS("<call f #>{\\\"a\\\":\\\"x; stop 3", BEGIN, PIECE(AT("$.a", "\"stringValue\":\"x\",\"willContinue\":true")),
          END("MAX_TOKENS"));
}

static void what_has_no_counterpart_is_told(void **state)
{
    READS("<text  >\\n```python\\n1+1\\n```\\n\\n```\\n2\\n```\\n[left out: image/png]; stop 1",
          PARTS("{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1+1\"}},{\"codeExecutionResult\":{\"outcome\":"
                "\"OUTCOME_OK\",\"output\":\"2\"}},{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA==\"}}"),
          END("STOP"));
}

static void usage_is_the_latest_and_disjoint(void **state)
{
    struct answer x;
    answer_begin(&x);
    answer_event(&x, "{\"usageMetadata\":{\"trafficType\":\"ON_DEMAND\"}}");
    assert_false(delta_usage(&x.deltas)->known);
    answer_event(&x, "{\"usageMetadata\":{\"promptTokenCount\":10}}");
    answer_event(&x, "{\"usageMetadata\":{\"promptTokenCount\":\"10\",\"cachedContentTokenCount\":4,"
                     "\"candidatesTokenCount\":2,\"thoughtsTokenCount\":3,\"toolUsePromptTokenCount\":5}}");
    const struct usage *u = delta_usage(&x.deltas);
    assert_true(u->known);
    assert_int_equal(u->input, 11);
    assert_int_equal(u->cache_read, 4);
    assert_int_equal(u->output, 5);
    assert_int_equal(u->reasoning, 3);
    answer_event(&x, "{\"usageMetadata\":{\"cachedContentTokenCount\":99}}");
    assert_int_equal(u->input, 0);
    assert_int_equal(u->cache_read, 15);
    answer_event(&x, END("STOP"));
    answer_end(&x, " stop 1");
}

/* -- ids of calls -- */

static bool take_ids(void *self, const struct delta *d)
{
    if (d->type == DELTA_OPEN)
        buf_add(self, d->id);
    return true;
}

static void ids_of(const char *json, char out[58])
{
    struct arena a;
    struct ccp_buf ids;
    struct delta_stream s;
    struct gemini_reader reader = {0};
    arena_init(&a, NULL, 0);
    buf_init(&ids, 1024);
    delta_init(&s, (struct delta_sink){take_ids, &ids}, NULL, CCP_SPAN("g"), 1024, &a);
    format_gemini.read_whole(&reader, &s, parsed(&a, ccp_span_z(json)));
    assert_int_equal(ids.n, 58);
    memcpy(out, ids.p, 58);
    delta_release(&s);
    buf_release(&ids);
    arena_end(&a);
}

static void made_ids_differ_within_and_between_answers(void **state)
{
#define SAME      "{\"functionCall\":{\"name\":\"now\",\"args\":{}}}"
#define WHOLE(id) "{\"candidates\":[{\"content\":{\"parts\":[" SAME "," SAME "]},\"finishReason\":\"STOP\"}]" id "}"
    char a[58], b[58], c[58], d[58], e[58];
    ids_of(WHOLE(",\"responseId\":\"r1\""), a);
    ids_of(WHOLE(",\"responseId\":\"r2\""), b);
    ids_of(WHOLE(",\"responseId\":\"r1\""), c);
    ids_of(WHOLE(""), d);
    ids_of(WHOLE(""), e);
    assert_memory_not_equal(a, a + 29, 29);
    assert_memory_not_equal(a, b, 29);
    assert_memory_equal(a, c, 58);
    assert_memory_not_equal(d, e, 29);
}

/* -- writing answers -- */

static struct answer_to client(bool array)
{
    return (struct answer_to){.model = CCP_SPAN("my \"model\""), .request_id = CCP_SPAN("req_1"), .json_array = array};
}

#define HEAD        "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":["
#define TAIL        ",\"modelVersion\":\"my \\\"model\\\"\",\"responseId\":\"req_1\"}"
#define CHUNK(part) HEAD part "]},\"index\":0}]" TAIL

static void written_as(const struct delta *list, size_t n, bool array, const char *want)
{
    struct gemini_writer w = {0};
    struct ccp_buf out;
    struct answer_to to = client(array);
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < n; i++)
        assert_true(format_gemini.write_delta(&w, &to, &list[i], &out));
    if (!ccp_span_is(buf_span(&out), want))
        fail_msg("got\n%.*s\nwanted\n%s", CCP_FMT(buf_span(&out)), want);
    format_gemini.writer_release(&w);
    buf_release(&out);
}
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct usage some = {
    .input = 7, .cache_read = 2, .cache_write = 1, .output = 9, .reasoning = 4, .known = true};
#define USAGE                                                                                                          \
    ",\"usageMetadata\":{\"promptTokenCount\":10,\"cachedContentTokenCount\":2,\"candidatesTokenCount\":5,"            \
    "\"thoughtsTokenCount\":4,\"totalTokenCount\":19}"
#define FINISH(reason, usage) HEAD "{\"text\":\"\"}]},\"finishReason\":\"" reason "\",\"index\":0}]" usage TAIL

static void a_stream_is_written_chunk_by_chunk(void **state)
{
    const struct delta list[] = {
        {.type = DELTA_START},
        {.type = DELTA_OPEN, .kind = PART_THINKING},
        {.type = DELTA_TEXT, .kind = PART_THINKING, .text = CCP_SPAN("hm\\n")},
        {.type = DELTA_PROOF, .kind = PART_THINKING, .proof = {PROOF_THOUGHT, CCP_SPAN("google"), CCP_SPAN("c2ln")}},
        {.type = DELTA_CLOSE, .kind = PART_THINKING},
        {.type = DELTA_OPEN, .kind = PART_CALL, .id = CCP_SPAN("c1"), .name = CCP_SPAN("f")},
        {.type = DELTA_TEXT, .kind = PART_CALL, .text = CCP_SPAN("{\\\"a\\\":\\r\\n")},
        {.type = DELTA_TEXT, .kind = PART_CALL, .text = CCP_SPAN("\\\"\\\\n\\\"}")},
        {.type = DELTA_CLOSE, .kind = PART_CALL},
        {.type = DELTA_OPEN,
         .kind = PART_CALL,
         .id = CCP_SPAN("c2"),
         .name = CCP_SPAN("g"),
         .proof = {PROOF_THOUGHT, CCP_SPAN("google"), CCP_SPAN("YQ==")}},
        {.type = DELTA_CLOSE, .kind = PART_CALL},
        {.type = DELTA_STOP, .stop = STOP_TOOL, .usage = &some},
    };
    written_as(
        list, COUNT(list), false,
        "data: " CHUNK(
            "{\"text\":\"hm\\n\",\"thought\":true}") "\n\n"
                                                     "data: " CHUNK(
                                                         "{\"text\":\"\",\"thought\":true,\"thoughtSignature\":"
                                                         "\"c2ln\"}") "\n\n"
                                                                      "data: " CHUNK(
                                                                          "{\"functionCall\":{\"id\":\"c1\","
                                                                          "\"name\":\"f\",\"args\":{\"a\":  "
                                                                          "\"\\n\"}}}") "\n\n"
                                                                                        "data: " CHUNK(
                                                                                            "{\"functionCall"
                                                                                            "\":{\"id\":"
                                                                                            "\"c2\","
                                                                                            "\"name\":\"g\","
                                                                                            "\"args\":{}},"
                                                                                            "\"thoughtSignat"
                                                                                            "ure\":\"YQ=="
                                                                                            "\"}") "\n\n"
                                                                                                   "data:"
                                                                                                   " " FINISH(
                                                                                                       "STO"
                                                                                                       "P",
                                                                                                       USAGE) "\n\n");
}

static void without_events_it_is_one_array(void **state)
{
    const struct delta good[] = {
        {.type = DELTA_OPEN, .kind = PART_TEXT},
        {.type = DELTA_TEXT, .kind = PART_TEXT, .text = CCP_SPAN("a")},
        {.type = DELTA_CLOSE, .kind = PART_TEXT},
        {.type = DELTA_STOP, .stop = STOP_REFUSAL},
    };
    written_as(good, COUNT(good), true, "[" CHUNK("{\"text\":\"a\"}") "\n," FINISH("SAFETY", "") "\n]");
    const struct failure busy = {.kind = FAILURE_OVERLOADED, .http = 503, .message = CCP_SPAN("busy")};
    const struct delta bad[] = {{.type = DELTA_ERROR, .failure = &busy}};
    written_as(bad, 1, true, "[{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n]");
    written_as(bad, 1, false, "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\n");
    const struct delta nothing[] = {{.type = DELTA_STOP, .stop = STOP_MALFORMED}};
    written_as(nothing, 1, true, "[" FINISH("MALFORMED_FUNCTION_CALL", "") "\n]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_open_and_close_as_kinds_change),
        cmocka_unit_test(signatures_find_their_part),
        cmocka_unit_test(arguments_in_pieces_become_json),
        cmocka_unit_test(pieces_out_of_order_are_no_answer),
        cmocka_unit_test(a_path_deeper_or_busier_than_kept_is_refused),
        cmocka_unit_test(an_answer_ends_with_a_reason_or_is_cut),
        cmocka_unit_test(what_has_no_counterpart_is_told),
        cmocka_unit_test(usage_is_the_latest_and_disjoint),
        cmocka_unit_test(made_ids_differ_within_and_between_answers),
        cmocka_unit_test(a_stream_is_written_chunk_by_chunk),
        cmocka_unit_test(without_events_it_is_one_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

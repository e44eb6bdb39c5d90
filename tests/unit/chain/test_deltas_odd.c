/*
 * Middlewares that read the answer, where it is not what it should be, or nobody wants to: unreadable, coded, too
 * large, interleaved, endless; arrays; a reader that is too slow.
 */
#include "deltas.h"

#include <zlib.h>

/* -- nobody reads -- */

static void unread_passes_at_once(void **state)
{
    struct file f = {"event: message_start\ndata: no JSON at all\n\nevent: x\ndata: half of an ev", 0};
    struct reader uninterested = {.name = "u"};
    struct reader *readers[] = {&uninterested, NULL};
    struct play p;
    struct stage s;
    f.n = strlen(f.p);
    make_case(&p, &(struct asked_for){.from = A, .to = A, .stream = true, .upstream_streams = true, .cut = true}, &f);
    for (int i = 0; i < 2; i++) {
        play_with(&s, &p, i == 0 ? NULL : readers, (struct rhythm){.cutting = CUT_BYTES});
        assert_int_equal(uninterested.seen, 0);
        assert_int_equal(uninterested.asked, (size_t)i);
        assert_int_equal(s.status, 200); /* the head did not wait for anything */
        assert_true(has(&s, "no JSON at all") && has(&s, "event: error"));
        stage_release(&s);
    }
    struct runtime *rt = runtime_with(readers, NULL);
    rt->reads_deltas = false; /* nothing looks at the chain at all */
    stage_play(&s, &p.c, rt, (struct rhythm){.cutting = CUT_BYTES});
    assert_int_equal(uninterested.asked, 1);
    assert_int_equal(s.status, 200);
    stage_release(&s);
}

static void errors_of_upstream_are_not_shown(void **state)
{
    struct file f = {"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slowly\"}}", 0};
    struct reader *readers[] = {&got, NULL};
    struct play p;
    struct stage s;
    f.n = strlen(f.p);
    make_case(&p, &(struct asked_for){.from = A, .to = A}, &f);
    p.c.up[0].answer.first = CCP_SPAN("429");
    again(&got);
    play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_WHOLE});
    assert_int_equal(s.status, 429);
    assert_true(got.asked == 0 && got.seen == 0 && has(&s, "slowly"));
    stage_release(&s);
}

/* -- odd answers -- */

static void judge_bytes(struct play *p, const struct file *f, const char *deltas, struct rhythm rhythm)
{
    struct reader *readers[] = {&got, NULL};
    struct stage s;
    again(&got);
    play_with(&s, p, readers, rhythm);
    assert_int_equal(s.status, 200);
    if (s.body.n != f->n || memcmp(s.body.p, f->p, f->n) != 0)
        fail_msg("%s: other bytes\n%.*s", p->first, (int)s.body.n, s.body.p);
    if (deltas != NULL && strcmp(got.text, deltas) != 0)
        fail_msg("%s: other deltas\n%s--\n%s", p->first, got.text, deltas);
    check_ends(&got, p->first);
    stage_release(&s);
}

static void unreadable_events_pass(void **state)
{
    static const char before[] =
        "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
        "\"a\"}}]}\n\ndata: {not JSON\n\ndata: [1]\n\n: a comment\n\nevent: odd\ndata:\n\n",
                      after[] = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
                                "{\"arguments\":\"x\"}}]}}]}\n\n"
                                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":"
                                "\"stop\"}]}\r\n\r\ndata: [DONE]\n\n";
    char text[1000];
    struct file f = {text, (size_t)snprintf(text, sizeof(text), "%s%s", before, after)};
    struct play p;
    make_case(&p, &(struct asked_for){.from = C, .to = C, .stream = true, .upstream_streams = true}, &f);
    for (size_t i = 0; i < f.n; i++) {
        judge_bytes(&p, &f, NULL, (struct rhythm){.cutting = i == 0 ? CUT_BYTES : CUT_ONCE, .cut_at = i});
        assert_true(strncmp(got.text, "start c1 m\nopen text 0  \nsay text 0 a\nsay text 0 b\n", 48) == 0);
        assert_true(strstr(got.text, "stop 1") != NULL);
    }
}

static struct file packed(const struct file *f)
{
    z_stream z = {.zalloc = Z_NULL};
    struct file out = {malloc(f->n + 200), 0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)f->p;
    z.avail_in = (unsigned)f->n;
    z.next_out = (unsigned char *)out.p;
    z.avail_out = (unsigned)f->n + 200;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.n = z.total_out;
    deflateEnd(&z);
    return out;
}

static void coded_answers_are_read(void **state)
{
    struct reader *readers[] = {&got, NULL};
    for (int from = 0; from < FORMATS; from++)
        for (int stream = 0; stream < 2; stream++) {
            struct asked_for a = {
                .from = from, .to = from, .stream = stream, .upstream_streams = stream, .coding = "gzip"};
            struct file f = answer_of("tool-call", from, stream), z = packed(&f);
            struct play p;
            struct stage s;
            reference(&want, from, stream, &f);
            make_case(&p, &a, &z);
            judge_bytes(&p, &z, want.text, (struct rhythm){.cutting = CUT_BYTES});
            got.refuse_at = 2;
            again(&got);
            play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_BYTES});
            assert_int_equal(s.status, 403);
            stage_release(&s);
            got.refuse_at = 0;
            a.coding = "br"; /* what nobody can read is not let by */
            make_case(&p, &a, &z);
            again(&got);
            play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_BYTES});
            assert_int_equal(s.status, 502);
            assert_true(has(&s, "content-encoding"));
            stage_release(&s);
            free(z.p);
            free(f.p);
        }
}

/* The chunks of a stream as the elements of an array, as Google sends them without alt=sse. */
static struct file as_array(const struct file *sse)
{
    struct ccp_buf out;
    const char *at = sse->p, *end;
    buf_init(&out, 1 << 20);
    while ((at = strstr(at, "data: ")) != NULL) {
        end = strchr(at, '\n');
        buf_printf(&out, "%s%.*s", out.n == 0 ? "[" : ",\r\n", (int)(end - at - 6), at + 6);
        at = end;
    }
    buf_addz(&out, "\n]\n");
    return (struct file){out.p, out.n};
}

static void arrays_are_streams(void **state)
{
    struct asked_for a = {.from = G, .to = G, .stream = true, .array = true};
    struct reader *readers[] = {&got, NULL};
    struct file sse = answer_of("parallel-tools", G, true), f = as_array(&sse);
    struct play p;
    struct stage s;
    reference(&want, G, true, &sse);
    make_case(&p, &a, &f);
    for (size_t i = 0; i < f.n; i++)
        judge_bytes(&p, &f, want.text, (struct rhythm){.cutting = i == 0 ? CUT_BYTES : CUT_ONCE, .cut_at = i});
    size_t in_stream = 0, deltas = got.seen;
    for (size_t at = 1; at < deltas; at++) { /* at the last one, the end, all was given already */
        got.refuse_at = at;
        again(&got);
        play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_BYTES});
        json_t *whole = json_loadb(s.body.p, s.body.n, 0, NULL);
        assert_non_null(whole);
        json_t *last = json_is_array(whole) ? json_array_get(whole, json_array_size(whole) - 1) : whole;
        assert_non_null(json_object_get(last, "error"));
        assert_int_equal(s.status, json_is_array(whole) ? 200 : 403);
        in_stream += json_is_array(whole);
        json_decref(whole);
        stage_release(&s);
    }
    assert_true(in_stream != 0 && in_stream + 1 < deltas);
    got.refuse_at = 0;
    free(f.p);
    free(sse.p);
}

static void heads_may_be_wrong(void **state)
{
    struct file stream = answer_of("text", C, true), whole = answer_of("text", C, false);
    struct asked_for a = {.from = C, .to = C, .upstream_streams = true};
    struct play p;
    reference(&want, C, false, &whole);
    a.type = "text/plain";
    make_case(&p, &a, &whole);
    judge_bytes(&p, &whole, want.text, (struct rhythm){.cutting = CUT_BYTES});
    reference(&want, C, true, &stream);
    a.type = "application/json";
    make_case(&p, &a, &stream);
    judge_bytes(&p, &stream, want.text, (struct rhythm){.cutting = CUT_BYTES});
    free(stream.p);
    free(whole.p);
}

static void too_large_is_refused(void **state)
{
    struct reader *readers[] = {&got, NULL};
    for (int stream = 0; stream < 2; stream++) {
        struct ccp_buf text;
        buf_init(&text, 1 << 20);
        buf_addz(&text, stream ? "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,"
                                 "\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"x\":\""
                               : "{\"x\":\"");
        for (int i = 0; i < 10000; i++)
            buf_addz(&text, "yyyyyyyyyy");
        buf_addz(&text, "\"}\n\n");
        struct file f = {text.p, text.n};
        struct play p;
        struct stage s;
        make_case(&p, &(struct asked_for){.from = C, .to = C, .stream = stream, .upstream_streams = stream}, &f);
        again(&got);
        play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_WHOLE});
        assert_int_equal(s.status, stream ? 200 : 502);
        assert_true(has(&s, "upstream.max_event_bytes") && !has(&s, "yyyyy"));
        assert_true(s.transfers[0].at == f.n || !s.transfers[0].live);
        check_ends(&got, "too large");
        stage_release(&s);
        free(f.p);
    }
}

/* Half an hour of tokens: what one event needs is gone before the next, or 256 KiB would be spent after a minute. */
static void long_streams_stay_flat(void **state)
{
    enum { EVENTS = 20000 };
    struct reader *readers[] = {&got, NULL};
    struct ccp_buf text;
    struct play p;
    struct stage s;
    buf_init(&text, 4 << 20);
    buf_addz(&text,
             "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n");
    for (int i = 0; i < EVENTS; i++)
        buf_printf(&text, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" w\\\\%d\\n\"}}]}\n\n", i);
    buf_addz(&text, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    assert_false(text.failed);
    struct file f = {text.p, text.n};
    for (int to = 0; to < FORMATS; to++) {
        make_case(&p, &(struct asked_for){.from = C, .to = to, .stream = true, .upstream_streams = true}, &f);
        again(&got);
        play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_RANDOM, .random = 7});
        assert_int_equal(got.seen, EVENTS + 5);
        assert_int_equal(s.status, 200);
        assert_true(to != C || (s.body.n == f.n && memcmp(s.body.p, f.p, f.n) == 0));
        check_ends(&got, "long");
        stage_release(&s);
    }
    buf_release(&text);
}

/* Calls that upstream interleaves come one after the other; their bytes do not run ahead of them. */
static void bytes_never_run_ahead(void **state)
{
    struct file f = fixture("quirks/chat-interleaved-parallel.sse");
    struct reader *readers[] = {&got, NULL};
    struct play p;
    struct stage s, plain;
    make_case(&p, &(struct asked_for){.from = C, .to = C, .stream = true, .upstream_streams = true}, &f);
    play_with(&plain, &p, NULL, (struct rhythm){.cutting = CUT_BYTES});
    reference(&want, C, true, &f);
    size_t second = 0, calls = 0, deltas = 0;
    const char *opened = NULL;
    for (const char *line = want.text; *line != '\0'; line = strchr(line, '\n') + 1) {
        deltas++;
        if (strncmp(line, "open call", 9) == 0 && ++calls == 2) {
            second = deltas;
            opened = line;
        }
    }
    assert_non_null(opened);
    got.refuse_at = second;
    again(&got);
    play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_BYTES});
    char id[100] = "";
    assert_int_equal(sscanf(opened, "open call %*u %99s", id), 1);
    assert_true(has(&plain, id));
    assert_false(has(&s, id));
    got.refuse_at = 0;
    stage_release(&s);
    stage_release(&plain);
    free(f.p);
}

/* -- the guard -- */

static void a_slow_reader_is_left_out(void **state)
{
    static const struct ccp_plugin manifest = {.name = "t"};
    struct plugin_unit unit = {.manifest = &manifest,
                               .guard = {.limits = {1000, 3, 60000000}, .writing = ATOMIC_FLAG_INIT}};
    struct file f = answer_of("text", A, true);
    struct reader *readers[] = {&got, NULL};
    struct play p;
    struct stage s;
    got.slow_us = 5000;
    again(&got);
    make_case(&p, &(struct asked_for){.from = A, .to = A, .stream = true, .upstream_streams = true}, &f);
    stage_play(&s, &p.c, runtime_with(readers, &unit), (struct rhythm){.cutting = CUT_WHOLE});
    assert_int_equal(s.status, 200);
    assert_true(s.body.n == f.n && memcmp(s.body.p, f.p, f.n) == 0);
    assert_int_equal(got.seen, 3); /* the third slow call was one too many */
    assert_false(unit_callable(&unit));
    got.slow_us = 0;
    stage_release(&s);
    free(f.p);
}

int main(int argc, char **argv)
{
    struct log_options quiet = {CCP_LOG_OFF, LOG_TEXT, "/dev/null"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(unread_passes_at_once, begin),
        cmocka_unit_test_setup(errors_of_upstream_are_not_shown, begin),
        cmocka_unit_test_setup(unreadable_events_pass, begin),
        cmocka_unit_test_setup(coded_answers_are_read, begin),
        cmocka_unit_test_setup(arrays_are_streams, begin),
        cmocka_unit_test_setup(heads_may_be_wrong, begin),
        cmocka_unit_test_setup(too_large_is_refused, begin),
        cmocka_unit_test_setup(long_streams_stay_flat, begin),
        cmocka_unit_test_setup(bytes_never_run_ahead, begin),
        cmocka_unit_test_setup(a_slow_reader_is_left_out, begin),
    };
    log_configure(&quiet);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

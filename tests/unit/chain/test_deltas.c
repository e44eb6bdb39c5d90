/*
 * Middlewares that read the answer: the deltas are those of a translation, the client's bytes are those without the
 * middleware, and a refusal at any delta ends the answer as an error, whatever the formats, the cuts, and the memory.
 */
#include "deltas.h"

/* -- seeing everything -- */

static size_t plays;

/* What ccproxy makes up differs from one exchange to the next: its ids, and seconds. */
static void mask(struct ccp_buf *b)
{
    for (size_t i = 0, run = 0; i <= b->n; i++) {
        char c = i < b->n ? b->p[i] : ' ';
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (!hex && run >= 9) /* a second has ten digits, an id more */
            memset(b->p + i - run, '#', run);
        run = hex ? run + 1 : 0;
    }
}

/* The same exchange with a reader: the same bytes, and all deltas. */
static void compare(struct play *p, const struct stage *plain, struct rhythm rhythm, const char *what)
{
    struct reader *readers[] = {&got, NULL};
    struct stage s;
    again(&got);
    play_with(&s, p, readers, rhythm);
    plays++;
    mask(&s.body);
    if (s.status != plain->status || s.body.n != plain->body.n || memcmp(s.body.p, plain->body.p, s.body.n) != 0)
        fail_msg("%s %s: the client gets other bytes (cut %zu)\n%.*s\n--\n%.*s", what, p->first, rhythm.cut_at,
                 (int)s.body.n, s.body.p, (int)plain->body.n, plain->body.p);
    assert_true(s.aborted == plain->aborted && s.content_length == plain->content_length);
    if (strcmp(got.text, want.text) != 0)
        fail_msg("%s %s: other deltas (cut %zu)\n%s--\n%s", what, p->first, rhythm.cut_at, got.text, want.text);
    check_ends(&got, what);
    assert_int_equal(got.asked, 1);
    stage_release(&s);
}

static void every_cut(struct play *p, const struct stage *plain, const char *what, bool all)
{
    size_t n = p->c.up[0].answer.body.exact.n;
    compare(p, plain, (struct rhythm){.cutting = CUT_WHOLE}, what);
    compare(p, plain, (struct rhythm){.cutting = CUT_BYTES}, what);
    for (unsigned i = 1; i <= 3; i++)
        compare(p, plain, (struct rhythm){.cutting = CUT_RANDOM, .slow_client = true, .random = i * 7919}, what);
    for (size_t i = 1; all && i < n; i++)
        compare(p, plain, (struct rhythm){.cutting = CUT_ONCE, .cut_at = i}, what);
}

static bool every_cut_of(const char *name, bool same)
{
    return same && (strcmp(name, "text") == 0 ||
                    (long_run() && (strcmp(name, "parallel-tools") == 0 || strcmp(name, "thinking") == 0)));
}

static void one_way(const char *name, const struct asked_for *a)
{
    struct file f = answer_of(name, a->from, a->upstream_streams);
    struct play p;
    struct stage plain;
    reference(&want, a->from, a->upstream_streams, &f);
    make_case(&p, a, &f);
    play_with(&plain, &p, NULL, (struct rhythm){.cutting = CUT_WHOLE});
    mask(&plain.body);
    every_cut(&p, &plain, name, every_cut_of(name, a->from == a->to));
    stage_release(&plain);
    free(f.p);
}

static void each_scenario(void (*one)(const char *name, const struct asked_for *a), bool same)
{
    struct dirent **names;
    int n = scandir(FIXTURES "/wire/scenarios", &names, NULL, alphasort);
    assert_true(n > 10);
    for (int i = 0; i < n; i++) {
        for (int from = 0; from < FORMATS && names[i]->d_name[0] != '.'; from++)
            for (int to = 0; to < FORMATS; to++)
                for (int stream = 0; stream < 2 && (from == to) == same; stream++)
                    one(names[i]->d_name,
                        &(struct asked_for){.from = from, .to = to, .stream = stream, .upstream_streams = stream});
        free(names[i]);
    }
    free(names);
}

static void same_format_same_bytes(void **state)
{
    plays = 0;
    each_scenario(one_way, true);
    printf("figure DLT-03 %zu exchanges read in their own format: same bytes, same deltas\n", plays);
}

static void crossing_same_bytes(void **state)
{
    plays = 0;
    each_scenario(one_way, false);
    printf("figure DLT-04 %zu exchanges read across formats: same bytes, same deltas\n", plays);
}

/* -- refusing -- */

static size_t refusals;

/* What was given before the error is what would have been given without it. */
static void check_refused(const struct play *p, const struct stage *s, const struct stage *plain, const char *what,
                          bool stream)
{
    const char *word = got.silent ? "ended the answer without saying why" : "the word is forbidden";
    size_t same = 0;
    if (!has(s, word) || s->aborted)
        fail_msg("%s %s: refused at %zu, but the client gets\n%.*s", what, p->first, got.refuse_at, (int)s->body.n,
                 s->body.p);
    while (same < s->body.n && same < plain->body.n && s->body.p[same] == plain->body.p[same])
        same++;
    assert_int_equal(s->heads, 1);
    if (s->status == 200)
        assert_true(stream && same != 0);
    else
        assert_int_equal(s->status, got.silent ? 500 : 403);
    if (s->event_n == 0 || !ccp_span_starts(s->events[s->event_n - 1], CCP_SPAN("request.failed ")))
        fail_msg("%s %s: the last event is %.*s", what, p->first, CCP_FMT(s->events[s->event_n - 1]));
    static const char *const good[] = {"data: [DONE]", "event: message_stop", "event: response.completed"};
    for (size_t i = 0; i < 3; i++)
        assert_false(has(s, good[i]));
}

static void refuse_each(const char *name, const struct asked_for *a)
{
    struct file f = answer_of(name, a->from, a->upstream_streams);
    struct reader outer = {.name = "o", .wanted = true};
    struct reader *readers[] = {&outer, &got, NULL};
    struct play p;
    struct stage plain, s;
    reference(&want, a->from, a->upstream_streams, &f);
    size_t deltas = want.seen;
    make_case(&p, a, &f);
    play_with(&plain, &p, NULL, (struct rhythm){.cutting = CUT_WHOLE});
    for (size_t at = 1; at <= deltas; at++)
        for (int bytes = 0; bytes < 2; bytes++) {
            got.refuse_at = at;
            got.silent = at % 2 == 0;
            again(&got);
            again(&outer);
            play_with(&s, &p, readers, (struct rhythm){.cutting = bytes ? CUT_BYTES : CUT_WHOLE});
            if (s.sent_n != 1 || got.seen < at)
                fail_msg("%s %s: only %zu of %zu deltas", name, p.first, got.seen, at);
            check_refused(&p, &s, &plain, name, a->stream);
            check_ends(&got, name);
            check_ends(&outer, name);
            assert_int_equal(got.seen, at + (at < deltas)); /* and the error that tells of the end */
            assert_int_equal(outer.seen, at == 1 ? 0 : at); /* not the delta that was refused, but the end */
            /* the second call of Chat waits for the end, and so may all that Gemini says */
            bool early = bytes && a->stream && at + 1 < deltas && a->from != G && strcmp(name, "parallel-tools") != 0;
            if (early && s.transfers[0].at == f.n)
                fail_msg("%s %s: refused at %zu of %zu, but upstream was read to its end", name, p.first, at, deltas);
            refusals++;
            stage_release(&s);
        }
    got.refuse_at = 0;
    got.silent = false;
    stage_release(&plain);
    free(outer.text);
    free(f.p);
}

static void refused_at_each_delta(void **state)
{
    static const char *const names[] = {"text", "parallel-tools", "thinking", "refusal"};
    refusals = 0;
    for (size_t i = 0; i < 4; i++)
        for (int from = 0; from < FORMATS; from++)
            for (int to = 0; to < FORMATS; to++)
                for (int stream = 0; stream < 2; stream++)
                    refuse_each(names[i], &(struct asked_for){
                                              .from = from, .to = to, .stream = stream, .upstream_streams = stream});
    printf("figure DLT-05 %zu refusals, one at each delta: an error each, upstream cancelled\n", refusals);
}

static void innermost_first(void **state)
{
    struct file f = answer_of("text", A, true);
    struct reader a = {.name = "a", .wanted = true}, b = {.name = "b", .wanted = true}, c = {.name = "c"};
    struct reader *readers[] = {&a, &b, &c, NULL};
    struct play p;
    struct stage s;
    make_case(&p, &(struct asked_for){.from = A, .to = A, .stream = true, .upstream_streams = true}, &f);
    play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_WHOLE});
    assert_true(strncmp(order, "baba", 4) == 0);
    assert_true(c.asked == 1 && c.seen == 0 && a.seen == b.seen && a.seen > 3);
    stage_release(&s);
    free(a.text);
    free(b.text);
    free(f.p);
}

/* -- ends of other kinds -- */

static void whoever_begins_sees_an_end(void **state)
{
    struct reader *readers[] = {&got, NULL};
    for (int from = 0; from < FORMATS; from++)
        for (int to = 0; to < FORMATS; to++)
            for (unsigned step = 1; step < 60; step += from == to ? 1 : 7)
                for (int how = 0; how < 3; how++) {
                    struct file f = answer_of("text", from, true);
                    struct asked_for a = {
                        .from = from, .to = to, .stream = true, .upstream_streams = true, .cut = how == 2};
                    struct rhythm rhythm = {.cutting = CUT_RANDOM, .random = step * 31, .slow_client = step % 2};
                    struct play p;
                    struct stage s;
                    if (how == 0)
                        rhythm.gone_after = step;
                    else if (how == 1)
                        rhythm.abort_after = step;
                    else
                        f.n = f.n * step / 60;
                    make_case(&p, &a, &f);
                    again(&got);
                    play_with(&s, &p, readers, rhythm);
                    check_ends(&got, p.first);
                    if (how == 0 && got.starts == 1 && strstr(got.text, "\nstop ") == NULL)
                        assert_non_null(strstr(got.text, "error the client went away"));
                    stage_release(&s);
                    free(f.p);
                }
}

#ifdef CCP_FAULTS
/* Without memory the answer is an error, or it was shown whole: a filter is never passed by. */
static void memory_refused(void **state)
{
    struct reader *readers[] = {&got, NULL};
    static const char *const points[] = {"arena.alloc:%d",  "buf.reserve:%d",        "deltas.open:%d",
                                         "deltas.defer:%d", "deltas.text:%d",        "deltas.hold:%d",
                                         "deltas.begin:%d", "translation.reader:%d", "delta.part:%d"};
    size_t runs = 0, refused = 0;
    for (int from = 0; from < FORMATS; from++)
        for (int to = 0; to < FORMATS; to++)
            for (int stream = 0; stream < 2; stream++)
                for (size_t point = 0; point < sizeof(points) / sizeof(points[0]); point++)
                    for (int n = 1; n <= (from == to ? 24 : 6); n++) {
                        struct file f = answer_of("tool-call", from, stream);
                        struct play p;
                        struct stage s;
                        char spec[64];
                        snprintf(spec, sizeof(spec), points[point], n);
                        make_case(
                            &p,
                            &(struct asked_for){.from = from, .to = to, .stream = stream, .upstream_streams = stream},
                            &f);
                        again(&got);
                        play_with(&s, &p, readers, (struct rhythm){.cutting = CUT_BYTES, .fault = spec});
                        check_ends(&got, spec);
                        bool good = s.last && !s.aborted && s.status == 200 && !has(&s, "\"error\"");
                        if (good && strstr(got.text, "stop ") == NULL)
                            fail_msg("%s %s: passed by\n%s\n%.*s", p.first, spec, got.text, (int)s.body.n, s.body.p);
                        refused += !good;
                        runs++;
                        stage_release(&s);
                        free(f.p);
                    }
    assert_true(refused > 100);
    printf("figure DLT-06 %zu exchanges with an allocation refused, %zu ended as errors, none unseen\n", runs, refused);
}
#endif

int main(int argc, char **argv)
{
    struct log_options quiet = {CCP_LOG_OFF, LOG_TEXT, "/dev/null"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(same_format_same_bytes, begin),
        cmocka_unit_test_setup(crossing_same_bytes, begin),
        cmocka_unit_test_setup(refused_at_each_delta, begin),
        cmocka_unit_test_setup(innermost_first, begin),
        cmocka_unit_test_setup(whoever_begins_sees_an_end, begin),
#ifdef CCP_FAULTS
        cmocka_unit_test_setup(memory_refused, begin),
#endif
    };
    log_configure(&quiet);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

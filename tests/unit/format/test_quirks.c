/*
 * Streams that deviate from the rules, as servers really send them: to each client the same as to the others, and an
 * error never looks like a success. Framing, too: any line end, comments, a byte order mark.
 */
#include "expect.h"
#include "wire.h"

static struct answer judged(const struct sent_down *s, bool stream, int to)
{
    if (stream)
        return answer_of_stream(to, s->body.p, s->body.n);
    return s->broken ? answer_of_error(to, s->body.p, s->body.n) : answer_of_whole(to, s->body.p, s->body.n);
}

/* What every client takes for a good end, in the bytes: after an error none of it may occur. */
static const char *success_in(int to, const char *text)
{
    static const char *const ends[FORMATS][3] = {{"message_stop", "stop_reason\":\"", NULL},
                                                 {"[DONE]", "finish_reason\":\"", NULL},
                                                 {"response.completed", "\"completed\"}", NULL},
                                                 {"finishReason", NULL, NULL}};
    for (size_t i = 0; i < 3 && ends[to][i] != NULL; i++)
        if (strstr(text, ends[to][i]) != NULL)
            return ends[to][i];
    return NULL;
}

static void one(const char *name, const struct file *f, struct answered how, const struct expectation *e)
{
    struct sent_down s = send_down(&how, f->p, f->n);
    struct answer a = judged(&s, how.stream, how.to);
    judge(compare_answer(&a, e, how.from, how.to), "%s to %s%s, cut %zu", name, format_names[how.to],
          how.stream ? " stream" : "", how.cuts.step);
    if (e->error != NULL)
        judge(success_in(how.to, s.body.p), "%s to %s looks like a success", name, format_names[how.to]);
    judge(s.done == s.broken ? "neither well nor badly" : NULL, "%s to %s", name, format_names[how.to]);
    answer_free(&a);
    sent_down_free(&s);
}

static void quirks(void **state)
{
    static const size_t steps[] = {0, 1, 2, 3, 7};
    char **names = files_in(FIXTURES "/wire/quirks", ".sse");
    assert_non_null(names[0]);
    for (char **name = names; *name != NULL; name++) {
        int from = format_named(*name);
        struct file f = fixture("quirks/%s", *name);
        struct expectation e = expectation_of("quirks/%.*s.expect.json", (int)strlen(*name) - 4, *name);
        for (int to = 0; to < FORMATS; to++)
            for (size_t i = 0; i < 10; i++)
                one(*name, &f,
                    (struct answered){
                        .from = from, .to = to, .from_stream = true, .stream = i < 5, .cuts = {.step = steps[i % 5]}},
                    &e);
        expectation_free(&e);
        free(f.p);
    }
    names_free(names);
    all_right();
}

/* -- framing -- */

enum framing { CR, CRLF, BOM, COMMENTS, NO_LAST_BLANK, EMPTY_DATA, UNKNOWN_FIELDS, MIXED, FRAMINGS };
static const char *const framings[] = {
    "CR",         "CRLF",           "byte order mark", "comments", "no last blank line",
    "empty data", "unknown fields", "mixed line ends"};

static void add(struct file *out, const char *p, size_t n)
{
    memcpy(out->p + out->n, p, n);
    out->n += n;
}

/* The same stream, framed otherwise; `text` has LF line ends. */
static struct file reframed(enum framing how, const struct file *text)
{
    struct file out = {malloc(text->n * 8 + 100), 0};
    size_t lines = 0;
    if (how == BOM)
        add(&out, "\xef\xbb\xbf", 3);
    for (const char *p = text->p; *p != '\0'; p++) {
        bool begins = p == text->p || p[-1] == '\n';
        if (how == COMMENTS && begins)
            add(&out, ": keep-alive\n", 13);
        if (how == UNKNOWN_FIELDS && begins && *p != '\n')
            add(&out, "retry: 10\nfoo: bar\nid: 7\n", 25);
        if (*p != '\n')
            add(&out, p, 1);
        else if (how == CR || (how == MIXED && lines % 3 == 0))
            add(&out, "\r", 1);
        else if (how == CRLF || (how == MIXED && lines % 3 == 1))
            add(&out, "\r\n", 2);
        else
            add(&out, "\n", 1);
        if (how == EMPTY_DATA && *p == '\n' && p != text->p && p[-1] == '\n')
            add(&out, "data:\n\nevent: ping\n\n", 20);
        lines += *p == '\n';
    }
    if (how == NO_LAST_BLANK)
        out.n -= 1;
    out.p[out.n] = '\0';
    return out;
}

static struct file unix_lines(struct file f)
{
    size_t n = 0;
    for (size_t i = 0; i < f.n; i++)
        if (f.p[i] != '\r')
            f.p[n++] = f.p[i];
    f.n = n;
    f.p[n] = '\0';
    return f;
}

static void framing(void **state)
{
    struct expectation e = expectation_of("scenarios/tool-call/expect.json");
    for (int from = 0; from < FORMATS; from++) {
        struct file plain = unix_lines(fixture("scenarios/tool-call/%s.stream.sse", format_names[from]));
        for (int f = 0; f < FRAMINGS; f++) {
            struct file other = reframed((enum framing)f, &plain);
            for (int to = 0; to < FORMATS; to++)
                for (size_t step = 0; step < 3; step++)
                    one(framings[f], &other,
                        (struct answered){
                            .from = from, .to = to, .from_stream = true, .stream = true, .cuts = {.step = step}},
                        &e);
            free(other.p);
        }
        free(plain.p);
    }
    expectation_free(&e);
    all_right();
}

/* -- halves of surrogate pairs -- */

static struct file replaced(struct file f, const char *word, const char *by)
{
    struct file out = {malloc(f.n * 4 + 1), 0};
    for (size_t i = 0; i < f.n;) {
        bool here = strncmp(f.p + i, word, strlen(word)) == 0;
        add(&out, here ? by : f.p + i, here ? strlen(by) : 1);
        i += here ? strlen(word) : 1;
    }
    out.p[out.n] = '\0';
    free(f.p);
    return out;
}

/* Half a pair that stays alone is U+FFFD to the client: its JSON parser may refuse anything else. Whole answers too. */
static void lone_surrogates(void **state)
{
    static const char *const halves[] = {"\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\uD83D\\uD83D"};
    for (int i = 0; i < 4 * 32; i++) {
        int half = i >> 5;
        struct answered how = {.from = i & 3, .to = i >> 2 & 3, .from_stream = true, .stream = i & 16};
        struct file stream = fixture("scenarios/max-tokens/%s.stream.sse", format_names[how.from]);
        struct file whole = fixture("scenarios/max-tokens/%s.response.json", format_names[how.from]);
        struct expectation e = expectation_of("scenarios/max-tokens/expect.json");
        json_object_set_new(js_at(e.parts, 0), "text",
                            json_string(half < 2 ? "Once upon a \xef\xbf\xbd there was"
                                                 : "Once upon a \xef\xbf\xbd\xef\xbf\xbd there was"));
        stream = replaced(stream, "time", halves[half]);
        whole = replaced(whole, "time", halves[half]);
        one("half a pair", &stream, how, &e);
        how.from_stream = false;
        one("half a pair, whole", &whole, how, &e);
        expectation_free(&e);
        free(stream.p);
        free(whole.p);
    }
    all_right();
}

/* -- ends -- */

/* A stream that stops after any of its bytes is an error, unless what is missing is only the formal end. */
static void cut_off(void **state)
{
    for (int from = 0; from < FORMATS; from++) {
        struct file f = unix_lines(fixture("scenarios/tool-call/%s.stream.sse", format_names[from]));
        static const char *const last_word[FORMATS] = {"event: message_stop", "\"finish_reason\":\"tool_calls\"",
                                                       "event: response.completed", "\"finishReason\""};
        size_t end = (size_t)(strstr(f.p, last_word[from]) - f.p);
        for (size_t n = 0; n < end; n += 1 + n % 7) {
            for (int to = 0; to < FORMATS; to++) {
                struct answered how = {.from = from, .to = to, .from_stream = true, .stream = true};
                struct sent_down s = send_down(&how, f.p, n);
                struct answer a = answer_of_stream(to, s.body.p, s.body.n);
                const char *problem = a.problem[0] != '\0' ? a.problem
                                      : !a.failed          ? "it passes for a success"
                                                           : success_in(to, s.body.p);
                judge(problem, "%s to %s, %zu bytes", format_names[from], format_names[to], n);
                answer_free(&a);
                sent_down_free(&s);
            }
        }
        free(f.p);
    }
    all_right();
}

/* The transport's own failure reaches the client in its grammar, before and after the first event. */
static void transport_fails(void **state)
{
    const struct failure why = {
        .kind = FAILURE_TIMEOUT, .message = CCP_SPAN("nothing came for too long"), .code = CCP_SPAN("")};
    for (int from = 0; from < FORMATS; from++) {
        struct file f = unix_lines(fixture("scenarios/text/%s.stream.sse", format_names[from]));
        for (int to = 0; to < FORMATS; to++) {
            for (int mode = 0; mode < 4; mode++) {
                bool stream = mode & 1;
                struct answered how = {.from = from, .to = to, .from_stream = true, .stream = stream, .why = &why};
                struct sent_down s = send_down(&how, f.p, mode & 2 ? f.n / 2 : 0);
                struct answer a = judged(&s, stream, to);
                judge(a.problem, "%s to %s, mode %d", format_names[from], format_names[to], mode);
                judge(strcmp(a.error, "nothing came for too long") != 0 ? a.error : NULL, "message, %s to %s",
                      format_names[from], format_names[to]);
                answer_free(&a);
                sent_down_free(&s);
            }
        }
        free(f.p);
    }
    all_right();
}

/* Answers that are not what their format says: an error in the client's grammar, streamed or not. */
static void garbage(void **state)
{
    static const char *const bodies[] = {
        "",
        "<html><body>hello</body></html>",
        "{",
        "[]",
        "null",
        "{}",
        "{\"id\":1,\"choices\":\"x\",\"output\":3,\"content\":false,\"candidates\":{}}",
        "{\"error\":\"boom\"}",
        "{\"error\":{\"message\":\"boom\",\"code\":500}}",
        "data: {\"choices\":[{\"delta\":{\"content\":[1,2]}}]}\n\n",
        "data: []\n\ndata: 7\n\ndata: \"x\"\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":{}}\n\n"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        for (int pair = 0; pair < 64; pair++) {
            struct answered how = {
                .from = pair & 3, .to = pair >> 2 & 3, .from_stream = pair & 16, .stream = pair & 32};
            struct sent_down s = send_down(&how, bodies[i], strlen(bodies[i]));
            struct answer a = judged(&s, how.stream, how.to);
            const char *problem = a.problem[0] != '\0' ? a.problem : !s.broken ? "it passes for a success" : NULL;
            judge(problem, "%.40s from %s to %s, mode %d", bodies[i], format_names[how.from], format_names[how.to],
                  pair >> 4);
            answer_free(&a);
            sent_down_free(&s);
        }
    }
    all_right();
}

/* Pure framing without any format's events: no reader takes it for an answer. */
static void no_format(void **state)
{
    char **names = files_in(FIXTURES "/wire/sse-edge", ".sse");
    assert_non_null(names[0]);
    for (char **name = names; *name != NULL; name++) {
        struct file f = fixture("sse-edge/%s", *name);
        for (int pair = 0; pair < 32; pair++) {
            struct answered how = {
                .from = pair & 3, .to = pair >> 2 & 3, .from_stream = true, .stream = pair & 16, .cuts = {.step = 3}};
            struct sent_down s = send_down(&how, f.p, f.n);
            struct answer a = judged(&s, how.stream, how.to);
            judge(a.problem[0] != '\0' ? a.problem
                  : !s.broken          ? "it passes for a success"
                                       : NULL,
                  "%s from %s to %s", *name, format_names[how.from], format_names[how.to]);
            answer_free(&a);
            sent_down_free(&s);
        }
        free(f.p);
    }
    names_free(names);
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lone_surrogates, begin_test), cmocka_unit_test_setup(quirks, begin_test),
        cmocka_unit_test_setup(framing, begin_test),         cmocka_unit_test_setup(cut_off, begin_test),
        cmocka_unit_test_setup(transport_fails, begin_test), cmocka_unit_test_setup(garbage, begin_test),
        cmocka_unit_test_setup(no_format, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

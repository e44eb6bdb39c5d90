/*
 * The judges of answers, judged: what the fixtures say must come out of them, and what breaks a grammar must not pass.
 */
#include "answer.h"
#include "expect.h"
#include "request.h"
#include "wire.h"

/* Every fixture of every format reads as its expectation says, without a word of the product. */
static void fixtures_read(void **state)
{
    char **names = files_in(FIXTURES "/wire/scenarios", "");
    for (char **name = names; *name != NULL; name++) {
        struct expectation e = expectation_of("scenarios/%s/expect.json", *name);
        for (int f = 0; f < FORMATS; f++) {
            struct file whole = fixture("scenarios/%s/%s.response.json", *name, format_names[f]);
            struct file stream = fixture("scenarios/%s/%s.stream.sse", *name, format_names[f]);
            struct answer a = answer_of_whole(f, whole.p, whole.n), b = answer_of_stream(f, stream.p, stream.n);
            judge(compare_answer(&a, &e, f, f), "%s %s", *name, format_names[f]);
            judge(compare_answer(&b, &e, f, f), "%s %s stream", *name, format_names[f]);
            answer_free(&a);
            answer_free(&b);
            free(whole.p);
            free(stream.p);
        }
        expectation_free(&e);
    }
    names_free(names);
    all_right();
}

/* Streams with one event taken out, doubled or moved: hardly any of them is still good grammar. */
static const char *event_at(const char *text, size_t index, size_t *n)
{
    const char *end = strstr(text, "\r\n\r\n") != NULL ? "\r\n\r\n" : "\n\n", *stop;
    while ((stop = strstr(text, end)) != NULL && index-- != 0)
        text = stop + strlen(end);
    *n = stop != NULL ? (size_t)(stop - text) + strlen(end) : 0;
    return text;
}

/* Without its last event or with its first one doubled a stream is broken in three formats; Gemini's chunks all look
 * the same, so only its last one counts there. */
static void broken_grammar(void **state)
{
    for (int f = 0; f < FORMATS; f++) {
        struct file s = fixture("scenarios/tool-call/%s.stream.sse", format_names[f]);
        size_t count = 0, n, last_n = 0;
        while (event_at(s.p, count, &n), n != 0) {
            last_n = n;
            count++;
        }
        for (size_t skip = 0; skip < count; skip++) {
            const char *at = event_at(s.p, skip, &n);
            struct file cut = {malloc(s.n + 1), s.n - n};
            memcpy(cut.p, s.p, (size_t)(at - s.p));
            memcpy(cut.p + (at - s.p), at + n, s.n - n - (size_t)(at - s.p) + 1);
            struct answer a = answer_of_stream(f, cut.p, cut.n);
            bool ping = memmem(at, n, "ping", 4) != NULL, fragment = memmem(at, n, "delta", 5) != NULL;
            bool usage_only = f == C && memmem(at, n, "\"choices\":[]", 12) != NULL;
            bool may_pass = ping || fragment || usage_only || (f == G && skip + 1 < count);
            if (!may_pass && a.problem[0] == '\0')
                judge("nothing was noticed", "%s without event %zu: %.60s", format_names[f], skip, at);
            answer_free(&a);
            free(cut.p);
        }
        struct answer a = answer_of_stream(f, s.p, s.n - last_n / 2);
        assert_string_not_equal(a.problem, "");
        answer_free(&a);
        free(s.p);
    }
    all_right();
}

/* The four requests of a scenario say the same to their judges, but for what rule 4 of the fixtures names. */
static void requests_read(void **state)
{
    static const char *const own[] = {"rest", "stop", "effort"};
    char **names = files_in(FIXTURES "/wire/scenarios", "");
    for (char **name = names; *name != NULL; name++) {
        json_t *first = NULL;
        for (int f = 0; f < FORMATS; f++) {
            struct file body = fixture("scenarios/%s/%s.request.json", *name, format_names[f]);
            struct request r = request_read(f, body.p, body.n);
            judge(r.problem, "%s %s", *name, format_names[f]);
            json_t *said = request_canon(r.neutral, 0);
            for (size_t i = 0; i < 3; i++)
                json_object_del(said, own[i]);
            if (first != NULL)
                judge(js_diff(said, first), "%s %s", *name, format_names[f]);
            else
                first = json_incref(said);
            json_decref(said);
            request_free(&r);
            free(body.p);
        }
        json_decref(first);
    }
    names_free(names);
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fixtures_read, begin_test),
        cmocka_unit_test_setup(broken_grammar, begin_test),
        cmocka_unit_test_setup(requests_read, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

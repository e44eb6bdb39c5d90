/*
 * Every scenario's answer on its way from each format to each client, streamed and whole in all four combinations: the
 * same parts, calls, usage and reason to stop, and nothing that breaks the client's grammar.
 *
 * A stream is read whole, byte by byte and at 200 random cuts; what the client gets must not depend on it.
 */
#include "expect.h"
#include "wire.h"

#define CUTS 200

static struct answer judged(const struct sent_down *s, const struct answered *how)
{
    if (how->stream)
        return answer_of_stream(how->to, s->body.p, s->body.n);
    return s->broken ? answer_of_error(how->to, s->body.p, s->body.n) : answer_of_whole(how->to, s->body.p, s->body.n);
}

static const char *try_once(const struct answered *how, const struct file *f, const struct expectation *e,
                            struct sent_down *keep)
{
    struct sent_down s = send_down(how, f->p, f->n);
    struct answer a = judged(&s, how);
    const char *problem = !s.ok ? "memory ended" : s.done == s.broken ? "neither well nor badly" : NULL;
    if (problem == NULL)
        problem = compare_answer(&a, e, how->from, how->to);
    answer_free(&a);
    *keep = s;
    return problem;
}

static const char *mode_of(const struct answered *how)
{
    return how->from_stream ? how->stream ? "stream to stream" : "stream to whole"
           : how->stream    ? "whole to stream"
                            : "whole to whole";
}

/* The same input in other reads must give the same bytes. */
static void cut_anywhere(const char *name, struct answered how, const struct file *f, const struct sent_down *whole)
{
    for (uint32_t i = 0; i <= CUTS; i++) {
        how.cuts = (struct cuts){.step = 1, .seed = i == 0 ? 0 : 7919 * i};
        struct sent_down s = send_down(&how, f->p, f->n);
        if (s.body.n != whole->body.n || memcmp(s.body.p, whole->body.p, s.body.n) != 0)
            judge(s.body.p, "%s %s to %s: other reads give another answer, cut %u", name, format_names[how.from],
                  format_names[how.to], (unsigned)i);
        sent_down_free(&s);
    }
}

static void one(const char *name, struct answered how, const struct expectation *e)
{
    struct file f = how.from_stream ? fixture("scenarios/%s/%s.stream.sse", name, format_names[how.from])
                                    : fixture("scenarios/%s/%s.response.json", name, format_names[how.from]);
    struct sent_down s;
    judge(try_once(&how, &f, e, &s), "%s %s to %s, %s", name, format_names[how.from], format_names[how.to],
          mode_of(&how));
    if (how.from_stream)
        cut_anywhere(name, how, &f, &s);
    sent_down_free(&s);
    free(f.p);
}

static void all_modes(const char *name, int from, int to, const struct expectation *e)
{
    for (int mode = 0; mode < 4; mode++)
        one(name, (struct answered){.from = from, .to = to, .from_stream = mode & 1, .stream = mode & 2}, e);
}

static void to_client(int to)
{
    char **names = files_in(FIXTURES "/wire/scenarios", "");
    assert_non_null(names[0]);
    for (char **name = names; *name != NULL; name++) {
        struct expectation e = expectation_of("scenarios/%s/expect.json", *name);
        for (int from = 0; from < FORMATS; from++)
            all_modes(*name, from, to, &e);
        expectation_free(&e);
    }
    names_free(names);
    all_right();
}

static void to_anthropic(void **state)
{
    to_client(A);
}

static void to_chat(void **state)
{
    to_client(C);
}

static void to_responses(void **state)
{
    to_client(R);
}

static void to_gemini(void **state)
{
    to_client(G);
}

/* A Chat client that did not ask for usage gets none in its stream. */
static void usage_unasked(void **state)
{
    for (int from = 0; from < FORMATS; from++) {
        struct file f = fixture("scenarios/tool-call/%s.stream.sse", format_names[from]);
        struct answered how = {.from = from, .to = C, .from_stream = true, .stream = true, .no_usage = true};
        struct sent_down s = send_down(&how, f.p, f.n);
        struct answer a = answer_of_stream(C, s.body.p, s.body.n);
        judge(a.problem, "%s", format_names[from]);
        judge(strstr(s.body.p, "prompt_tokens") != NULL ? "there is usage" : NULL, "%s", format_names[from]);
        answer_free(&a);
        sent_down_free(&s);
        free(f.p);
    }
    all_right();
}

/* A Gemini client without alt=sse gets one JSON array of what else were events. */
static void json_array_stream(void **state)
{
    for (int from = 0; from < FORMATS; from++) {
        struct file f = fixture("scenarios/tool-call/%s.stream.sse", format_names[from]);
        struct answered how = {.from = from, .to = G, .from_stream = true, .stream = true};
        struct sent_down events = send_down(&how, f.p, f.n);
        how.json_array = true;
        struct sent_down array = send_down(&how, f.p, f.n);
        json_t *all = js_load(array.body.p, array.body.n);
        struct answer a = {.problem = ""};
        size_t count;
        struct happening *h = happenings_of(events.body.p, events.body.n, &count, &a);
        judge(!json_is_array(all) ? js_error() : NULL, "%s", format_names[from]);
        judge(json_array_size(all) != count ? "another number of chunks" : NULL, "%s", format_names[from]);
        for (size_t i = 0; i < count; i++) {
            json_t *chunk = js_load(h[i].data, h[i].n);
            judge(js_diff(js_at(all, i), chunk), "%s chunk %zu", format_names[from], i);
            json_decref(chunk);
        }
        happenings_free(h, count);
        json_decref(all);
        sent_down_free(&events);
        sent_down_free(&array);
        free(f.p);
    }
    all_right();
}

/* Answers say the model the client asked for, and take their id from upstream only where it looks like the client's. */
static void names_of_answers(void **state)
{
    for (int from = 0; from < FORMATS; from++) {
        for (int to = 0; to < FORMATS; to++) {
            struct file f = fixture("scenarios/text/%s.stream.sse", format_names[from]);
            struct answered how = {.from = from, .to = to, .from_stream = true, .stream = true};
            struct sent_down s = send_down(&how, f.p, f.n);
            struct answer a = answer_of_stream(to, s.body.p, s.body.n);
            judge(strcmp(a.model, "model-of-the-client") != 0 ? a.model : NULL, "model, %s to %s", format_names[from],
                  format_names[to]);
            if (from != to && strstr(a.id, "req_1") == NULL && strstr(a.id, "fixture") == NULL)
                judge(a.id, "id, %s to %s", format_names[from], format_names[to]);
            answer_free(&a);
            sent_down_free(&s);
            free(f.p);
        }
    }
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(to_anthropic, begin_test),     cmocka_unit_test_setup(to_chat, begin_test),
        cmocka_unit_test_setup(to_responses, begin_test),     cmocka_unit_test_setup(to_gemini, begin_test),
        cmocka_unit_test_setup(usage_unasked, begin_test),    cmocka_unit_test_setup(json_array_stream, begin_test),
        cmocka_unit_test_setup(names_of_answers, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

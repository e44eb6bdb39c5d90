/*
 * Every scenario's request on its way from each format to each other: read by the judge of the target it says what the
 * target's own fixture says. And what cannot be said is refused with its name, or dropped by name.
 */
#include "request.h"
#include "wire.h"

/* Members that need not be the same; everything else must. */
static void forgive(json_t *neutral, const char *scenario, int from, int to)
{
    /* README rule 4: Responses has no stop sequences, on either side. */
    if (from == R || to == R)
        json_object_del(neutral, "stop");
    /* The newest Claude models refuse sampling parameters: dropped by name, see sampling_is_dropped. */
    if (to == A && strcmp(scenario, "text") == 0) {
        json_object_del(neutral, "temperature");
        json_object_del(neutral, "top_p");
    }
    json_object_del(js_get(neutral, "rest"), "stream_options");
}

static const char *translated(const char *scenario, int from, int to)
{
    static char problem[1400];
    struct file theirs = fixture("scenarios/%s/%s.request.json", scenario, format_names[from]);
    struct file ours = fixture("scenarios/%s/%s.request.json", scenario, format_names[to]);
    struct asked how = {.from = from, .to = to};
    struct sent_up s = send_up(&how, theirs.p, theirs.n);
    struct request wanted = request_read(to, ours.p, ours.n), got = {NULL, ""};
    problem[0] = '\0';
    if (!s.ok) {
        snprintf(problem, sizeof(problem), "refused: %s", s.error);
    } else {
        got = request_read(to, s.body.p, s.body.n);
        json_t *a = request_canon(got.neutral, 0), *b = request_canon(wanted.neutral, 0);
        forgive(a, scenario, from, to);
        forgive(b, scenario, from, to);
        const char *diff = js_diff(a, b);
        if (got.problem[0] != '\0' || diff != NULL)
            snprintf(problem, sizeof(problem), "%s%s in %.200s", got.problem, diff != NULL ? diff : "", s.body.p);
        json_decref(a);
        json_decref(b);
    }
    request_free(&got);
    request_free(&wanted);
    sent_up_free(&s);
    free(theirs.p);
    free(ours.p);
    return problem;
}

static void scenarios(void **state)
{
    char **names = files_in(FIXTURES "/wire/scenarios", "");
    for (char **name = names; *name != NULL; name++)
        for (int from = 0; from < FORMATS; from++)
            for (int to = 0; to < FORMATS; to++)
                judge(translated(*name, from, to), "%s %s to %s", *name, format_names[from], format_names[to]);
    names_free(names);
    all_right();
}

/* The same request gives the same bytes, and asks for a stream when it should. */
static void stream_and_same(void **state)
{
    for (int pair = 0; pair < 16; pair++) {
        int from = pair & 3, to = pair >> 2;
        struct file f = fixture("scenarios/tool-result/%s.request.json", format_names[from]);
        struct asked how = {.from = from, .to = to, .stream = true};
        struct sent_up a = send_up(&how, f.p, f.n), b = send_up(&how, f.p, f.n);
        bool asks = to == G || (a.ok && strstr(a.body.p, "\"stream\":true") != NULL);
        bool same = a.ok && a.body.n == b.body.n && memcmp(a.body.p, b.body.p, a.body.n) == 0;
        judge(!a.ok   ? a.error
              : !asks ? "no stream is asked for"
              : !same ? "not the same twice"
                      : NULL,
              "%s to %s", format_names[from], format_names[to]);
        if (to == C && a.ok)
            judge(strstr(a.body.p, "\"include_usage\":true") == NULL ? "usage is not asked for" : NULL, "%s to chat",
                  format_names[from]);
        sent_up_free(&a);
        sent_up_free(&b);
        free(f.p);
    }
    all_right();
}

static void sampling_is_dropped(void **state)
{
    for (int from = 0; from < FORMATS; from++) {
        struct file f = fixture("scenarios/text/%s.request.json", format_names[from]);
        struct asked how = {.from = from, .to = A};
        struct sent_up s = send_up(&how, f.p, f.n);
        assert_true(s.ok);
        assert_null(strstr(s.body.p, "\"temperature\""));
        assert_non_null(strstr(s.dropped, "temperature"));
        sent_up_free(&s);
        how.model = "claude-sonnet-4-20250514";
        s = send_up(&how, f.p, f.n);
        assert_true(s.ok);
        assert_non_null(strstr(s.body.p, "\"temperature\":0.5"));
        sent_up_free(&s);
        free(f.p);
    }
}

/* -- rejects.json -- */

static bool names_in(const char *list, const json_t *field)
{
    for (const char *at = list; (at = strstr(at, js_text(field))) != NULL; at++) {
        char before = at == list ? ' ' : at[-1], behind = at[strlen(js_text(field))];
        if ((before == ' ' || before == '.') && (behind == ',' || behind == '\0'))
            return true;
    }
    return false;
}

static const char *rejected(const json_t *row, const struct sent_up *s)
{
    static char problem[1400];
    const json_t *field = js_get(row, "field");
    problem[0] = '\0';
    if (js_is(js_get(row, "expect"), "reject")) {
        if (s->ok || s->status != CCP_BAD_REQUEST || strstr(s->error, js_text(field)) == NULL)
            snprintf(problem, sizeof(problem), "not refused by name: %s", s->ok ? "it passes" : s->error);
        return problem;
    }
    if (!s->ok)
        snprintf(problem, sizeof(problem), "refused: %s", s->error);
    for (size_t i = 0; i < json_array_size(field) && s->ok; i++) {
        if (!names_in(s->dropped, js_at(field, i)))
            snprintf(problem, sizeof(problem), "%s is not listed in: %s", js_text(js_at(field, i)), s->dropped);
        else if (strstr(s->body.p, js_text(js_at(field, i))) != NULL)
            snprintf(problem, sizeof(problem), "%s is listed but sent", js_text(js_at(field, i)));
    }
    return problem;
}

static void rejects(void **state)
{
    struct file f = fixture("rejects.json");
    json_t *rows = js_load(f.p, f.n);
    assert_true(json_array_size(rows) >= 12);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = js_at(rows, i);
        size_t n;
        char *body = js_dump(js_get(row, "request"), 0, &n);
        struct asked how = {.from = format_named(js_text(js_get(row, "client"))),
                            .to = format_named(js_text(js_get(row, "upstream")))};
        struct sent_up s = send_up(&how, body, n);
        judge(rejected(row, &s), "row %zu, %s to %s", i, format_names[how.from], format_names[how.to]);
        sent_up_free(&s);
        free(body);
    }
    json_decref(rows);
    free(f.p);
    all_right();
}

/* -- malformed requests: refused with a path, whatever the target -- */

static const struct bad {
    int from;
    const char *body, *path;
} bads[] = {
    {A, "{\"max_tokens\":5}", "messages"},
    {A, "{\"max_tokens\":5,\"messages\":3}", "messages"},
    {A, "{\"max_tokens\":5,\"messages\":[]}", "messages"},
    {A, "{\"max_tokens\":5,\"messages\":[7]}", "messages[0]"},
    {A, "{\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages[0]"},
    {A, "{\"max_tokens\":5,\"messages\":[{\"role\":\"pope\",\"content\":\"x\"}]}", "messages[0]"},
    {A, "{\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
     "messages[0].content[0]"},
    {A, "{\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"hologram\"}]}]}",
     "messages[0].content[0]"},
    {A, "{\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"input_schema\":{}}]}",
     "tools[0]"},
    {C, "{\"model\":\"m\"}", "messages"},
    {C, "{\"messages\":{}}", "messages"},
    {C, "{\"messages\":[{\"role\":\"user\",\"content\":{}}]}", "messages[0]"},
    {C, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", "messages[0].content[0]"},
    {C, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"hologram\"}]}]}", "messages[0].content[0]"},
    {C, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"function\",\"function\":{}}]}",
     "tools[0]"},
    {C, "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0]"},
    {R, "{\"model\":\"m\"}", "input"},
    {R, "{\"input\":7}", "input"},
    {R, "{\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":7}]}", "input[0]"},
    {R, "{\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]}",
     "input[0].content[0]"},
    {R, "{\"input\":[{\"type\":\"hologram\"}]}", "input[0]"},
    {R, "{\"input\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"arguments\":\"{}\"}]}", "input[0]"},
    {R, "{\"input\":\"x\",\"tools\":[{\"type\":\"function\"}]}", "tools[0]"},
    {G, "{}", "contents"},
    {G, "{\"contents\":7}", "contents"},
    {G, "{\"contents\":[{\"role\":\"user\",\"parts\":7}]}", "contents[0]"},
    {G, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{}}]}]}", "contents[0].parts[0]"},
    {G, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"functionCall\":{\"args\":{}}}]}]}", "contents[0].parts[0]"},
    {G, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"hologram\":{}}]}]}", "contents[0].parts[0]"},
};

static void malformed(void **state)
{
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        for (int to = 0; to < FORMATS; to++) {
            struct asked how = {.from = bads[i].from, .to = to};
            struct sent_up s = send_up(&how, bads[i].body, strlen(bads[i].body));
            bool good = !s.ok && s.status == CCP_BAD_REQUEST && strstr(s.error, bads[i].path) != NULL;
            judge(good   ? NULL
                  : s.ok ? "it passes"
                         : s.error,
                  "%s to %s: %s", format_names[how.from], format_names[to], bads[i].body);
            sent_up_free(&s);
        }
    }
    all_right();
}

/* Odd ids: whatever the client calls a call, its result still belongs to it, and the target likes the id. */
static void odd_ids(void **state)
{
    static const char *const ids[] = {"call:1/2.3", "a b", "\\u00e9\\ud83d\\ude00", "toolu_x|y",
                                      "0123456789012345678901234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        for (int pair = 0; pair < 16; pair++) {
            struct asked how = {.from = pair & 3, .to = pair >> 2};
            char said[2000];
            snprintf(
                said, sizeof(said),
                "{\"max\":9,\"turns\":[{\"role\":\"user\",\"parts\":[{\"kind\":\"text\",\"text\":\"x\"}]},"
                "{\"role\":\"assistant\",\"parts\":[{\"kind\":\"call\",\"id\":\"%s\",\"name\":\"f\",\"arguments\":{}},"
                "{\"kind\":\"call\",\"id\":\"%s-\",\"name\":\"f\",\"arguments\":{}}]},"
                "{\"role\":\"user\",\"parts\":[{\"kind\":\"result\",\"id\":\"%s-\",\"name\":\"f\",\"parts\":["
                "{\"kind\":\"text\",\"text\":\"two\"}]},{\"kind\":\"result\",\"id\":\"%s\",\"name\":\"f\",\"parts\":["
                "{\"kind\":\"text\",\"text\":\"one\"}]}]}]}",
                ids[i], ids[i], ids[i], ids[i]);
            size_t n;
            json_t *neutral = js_load(said, strlen(said));
            char *body = request_write(how.from, neutral, 0, &n);
            struct sent_up s = send_up(&how, body, n);
            struct request got = s.ok ? request_read(how.to, s.body.p, s.body.n) : (struct request){NULL, ""};
            const json_t *results =
                js_get(js_at(js_get(got.neutral, "turns"), how.to == R || how.to == C ? 3 : 2), "parts");
            if (how.to == C) /* one turn for each tool message */
                results = js_get(js_at(js_get(got.neutral, "turns"), 2), "parts");
            else if (how.to == R)
                results = js_get(js_at(js_get(got.neutral, "turns"), 3), "parts");
            const char *problem = !s.ok ? s.error : got.problem[0] != '\0' ? got.problem : NULL;
            if (problem == NULL && !js_is(js_get(js_at(js_get(js_at(results, 0), "parts"), 0), "text"), "one"))
                problem = s.body.p;
            judge(problem, "id %zu, %s to %s", i, format_names[how.from], format_names[how.to]);
            request_free(&got);
            sent_up_free(&s);
            json_decref(neutral);
            free(body);
        }
    }
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(scenarios, begin_test), cmocka_unit_test_setup(stream_and_same, begin_test),
        cmocka_unit_test(sampling_is_dropped),         cmocka_unit_test_setup(rejects, begin_test),
        cmocka_unit_test_setup(malformed, begin_test), cmocka_unit_test_setup(odd_ids, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Memory that is refused: of each pair's request and stream every single allocation fails once. No crash, no leak, and
 * what comes of it is a clean refusal: never half a body, never a stream that seems to end well.
 */
#include "answer.h"
#include "generate.h"
#include "wire.h"

#include <base/fault.h>
#include <wire/json.h>

#ifdef CCP_FAULTS
static struct file bodies[FORMATS], streams[FORMATS], wholes[FORMATS];

static void arm(unsigned nth)
{
    char spec[32];
    snprintf(spec, sizeof(spec), "alloc:%u", nth);
    fault_arm(spec);
}

/* The arena takes memory in blocks, so that most of its allocations never ask for any: its budget refuses each. */
static void budgets(void **state)
{
    unsigned refused = 0;
    for (int pair = 0; pair < 16; pair++) {
        struct asked how = {.from = pair & 3, .to = pair >> 2};
        struct sent_up good = send_up(&how, bodies[how.from].p, bodies[how.from].n);
        assert_true(good.ok);
        size_t most = good.arena, step = long_run() ? 16 : most / 400 + 1;
        for (how.budget = 1; how.budget < most && wrong < 20; how.budget += step) {
            struct sent_up s = send_up(&how, bodies[how.from].p, bodies[how.from].n);
            const char *problem = !s.ok && s.status != CCP_OVERLOADED ? s.error : NULL;
            if (s.ok && (s.body.n != good.body.n || memcmp(s.body.p, good.body.p, s.body.n) != 0))
                problem = "a body that is not the right one";
            judge(problem, "request %s to %s, %zu of %zu bytes", format_names[how.from], format_names[how.to],
                  how.budget, most);
            refused += !s.ok;
            sent_up_free(&s);
        }
        sent_up_free(&good);
    }
    print_message("%u requests refused by the arena's budget\n", refused);
    all_right();
}

/* True when the request passed, so that all of its allocations have had their turn. */
static bool request_fails_at(unsigned nth, int from, int to, const struct file *good)
{
    arm(nth);
    struct asked how = {.from = from, .to = to};
    struct sent_up s = send_up(&how, bodies[from].p, bodies[from].n);
    fault_arm(NULL);
    const char *problem = NULL;
    if (s.ok && (s.body.n != good->n || memcmp(s.body.p, good->p, good->n) != 0))
        problem = "a body that is not the right one";
    else if (!s.ok && s.status != CCP_OVERLOADED)
        problem = s.error[0] != '\0' ? s.error : "no reason";
    judge(problem, "request %s to %s, allocation %u", format_names[from], format_names[to], nth);
    bool passed = s.ok;
    sent_up_free(&s);
    return passed;
}

static void requests(void **state)
{
    unsigned tried = 0;
    for (int pair = 0; pair < 16; pair++) {
        int from = pair & 3, to = pair >> 2;
        struct asked how = {.from = from, .to = to};
        struct sent_up good = send_up(&how, bodies[from].p, bodies[from].n);
        assert_true(good.ok);
        unsigned nth = 1;
        while (!request_fails_at(nth, from, to, &good.body) && wrong < 20)
            nth++;
        tried += nth;
        sent_up_free(&good);
    }
    print_message("%u failed allocations in 16 requests\n", tried);
    all_right();
}

struct run {
    struct translation t;
    struct arena scratch;
    bool ok;
};

static void run(struct run *r, int from, int to, bool from_stream, bool stream, const struct file *f)
{
    struct answer_from source = {
        .format = formats_of[from], .provider = ccp_span_z(format_names[from]), .stream = from_stream};
    struct answer_to target = {
        .model = CCP_SPAN("m"), .request_id = CCP_SPAN("req_1"), .created = 1, .include_usage = true};
    arena_init(&r->scratch, NULL, 0);
    r->ok = translation_init(&r->t, &source, formats_of[to], &target, stream, &r->scratch, 1 << 20) &&
            translation_feed(&r->t, ccp_span_of(f->p, f->n)) && translation_finish(&r->t, NULL);
}

static void run_end(struct run *r)
{
    translation_release(&r->t);
    arena_end(&r->scratch);
}

/* Nothing, or a beginning of the right answer that does not end, or an error in the client's grammar. */
static const char *after_failure(const struct run *r, int to, bool stream, const struct file *good)
{
    static const char *const ends[FORMATS] = {"message_stop", "[DONE]", "response.completed", "finishReason"};
    const struct ccp_buf *out = &r->t.out;
    if (r->ok && r->t.done && !r->t.broken)
        return out->n == good->n && memcmp(out->p, good->p, good->n) == 0 ? NULL : "a good end of a wrong answer";
    if (!stream)
        return out->n == 0 || !r->ok ? NULL : "half an answer";
    if (out->n != 0 && memmem(out->p, out->n, ends[to], strlen(ends[to])) != NULL)
        return "a stream that failed looks like a success";
    if (!r->ok || !r->t.broken || out->n == 0)
        return NULL; /* the caller cuts the connection */
    struct answer a = answer_of_stream(to, out->p, out->n);
    static char problem[400];
    snprintf(problem, sizeof(problem), "%s", a.problem);
    answer_free(&a);
    return problem[0] != '\0' ? problem : NULL;
}

static unsigned fail_each(int from, int to, bool from_stream, bool stream)
{
    const struct file *f = from_stream ? &streams[from] : &wholes[from];
    struct run r;
    run(&r, from, to, from_stream, stream, f);
    assert_true(r.ok && r.t.done);
    struct file good = {malloc(r.t.out.n + 1), r.t.out.n};
    memcpy(good.p, r.t.out.p, good.n);
    run_end(&r);
    unsigned nth = 1;
    for (bool passed = false; !passed && wrong < 20; nth++) {
        arm(nth);
        run(&r, from, to, from_stream, stream, f);
        fault_arm(NULL);
        passed = r.ok && r.t.done && !r.t.broken;
        judge(after_failure(&r, to, stream, &good), "%s to %s%s, allocation %u", format_names[from], format_names[to],
              stream ? " stream" : "", nth);
        run_end(&r);
    }
    free(good.p);
    return nth;
}

static void answers(void **state)
{
    unsigned tried = 0;
    for (int i = 0; i < 64; i++)
        tried += fail_each(i & 3, i >> 2 & 3, i & 16, i & 32);
    print_message("%u failed allocations in 64 answers\n", tried);
    all_right();
}

static int load(void **state)
{
    uint32_t seed = 5;
    json_t *neutral = conversation(&seed, 4);
    for (int f = 0; f < FORMATS; f++) {
        bodies[f].p = request_write(f, neutral, 3, &bodies[f].n);
        streams[f] = fixture("scenarios/%s/%s.stream.sse", f == C ? "parallel-tools" : "tool-call", format_names[f]);
        wholes[f] = fixture("scenarios/tool-call/%s.response.json", format_names[f]);
    }
    json_decref(neutral);
    return 0;
}

static int unload(void **state)
{
    for (int f = 0; f < FORMATS; f++) {
        free(bodies[f].p);
        free(streams[f].p);
        free(wholes[f].p);
    }
    return 0;
}
#else
static void requests(void **state)
{
    skip();
}

static void answers(void **state)
{
    skip();
}

static void budgets(void **state)
{
    skip();
}

static int load(void **state)
{
    return 0;
}

static int unload(void **state)
{
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(requests, begin_test),
        cmocka_unit_test_setup(answers, begin_test),
        cmocka_unit_test_setup(budgets, begin_test),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

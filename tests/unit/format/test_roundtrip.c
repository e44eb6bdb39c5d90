/*
 * Property: a conversation that goes from format A to format B and back to A still says the same, and B's body says it,
 * too: texts to the byte, tool ids, arguments as JSON with the spelling of their numbers, order, images, definitions.
 *
 * Conversations are generated; 300 seeds, 10,000 with --long.
 */
#include "generate.h"
#include "wire.h"

/* Where a pair cannot keep a thing in its place: Chat has no images in results, Gemini's judge reads them behind. */
static unsigned canon_for(int a, int b)
{
    return a == C || b == C || a == G || b == G ? IMAGES_BEHIND : 0;
}

static const char *compare(const char *what, const json_t *neutral, int format, const struct sent_up *s, unsigned how)
{
    static char problem[900];
    if (!s->ok) {
        snprintf(problem, sizeof(problem), "%s: refused: %s", what, s->error);
        return problem;
    }
    struct request got = request_read(format, s->body.p, s->body.n);
    json_t *a = request_canon(got.neutral, how), *b = request_canon(neutral, how);
    json_object_del(a, "rest");
    json_object_del(b, "rest");
    const char *diff = got.problem[0] != '\0' ? got.problem : js_diff(a, b);
    if (diff != NULL)
        snprintf(problem, sizeof(problem), "%s: %s", what, diff);
    json_decref(a);
    json_decref(b);
    request_free(&got);
    return diff != NULL ? problem : NULL;
}

static void there_and_back(uint32_t number, int a, int b)
{
    uint32_t seed = number * 2654435761u + 1;
    json_t *neutral = conversation(&seed, rnd_below(&seed, 5));
    size_t n;
    char *body = request_write(a, neutral, number % 3 == 0 ? 0 : seed | 1, &n);
    struct asked up = {.from = a, .to = b}, back = {.from = b, .to = a};
    struct sent_up there = send_up(&up, body, n), again = {0};
    const char *problem = compare("there", neutral, b, &there, canon_for(a, b));
    if (problem == NULL) {
        again = send_up(&back, there.body.p, there.body.n);
        problem = compare("back", neutral, a, &again, canon_for(a, b));
    }
    judge(problem, "seed %u, %s over %s", (unsigned)number, format_names[a], format_names[b]);
    sent_up_free(&there);
    sent_up_free(&again);
    free(body);
    json_decref(neutral);
    js_pool_empty();
}

static void round_trips(void **state)
{
    uint32_t seeds = long_run() ? 10000 : 300;
    for (uint32_t i = 1; i <= seeds && wrong < 20; i++)
        for (int pair = 0; pair < 16; pair++)
            there_and_back(i, pair & 3, pair >> 2);
    print_message("%u conversations, 16 pairs each\n", (unsigned)seeds);
    all_right();
}

/* The generated body of a format says to its own judge what it was made from: the test's own tools agree. */
static void own_tools(void **state)
{
    for (uint32_t i = 1; i <= 100; i++) {
        for (int f = 0; f < FORMATS; f++) {
            uint32_t seed = i;
            json_t *neutral = conversation(&seed, 3);
            size_t n;
            char *body = request_write(f, neutral, seed | 1, &n);
            struct sent_up s = {.ok = true, .body = {body, n}};
            judge(compare("made", neutral, f, &s, canon_for(f, f)), "seed %u, %s", (unsigned)i, format_names[f]);
            free(body);
            json_decref(neutral);
            js_pool_empty();
        }
    }
    all_right();
}

/* A Gemini client that gives no ids: calls and results find each other all the same, by name and order, and the ids
 * that are made for them do not change as the conversation grows. */
static void without_ids(void **state)
{
    for (uint32_t i = 1; i <= 60 && wrong < 20; i++) {
        for (int to = 0; to < FORMATS; to++) {
            uint32_t seed = i * 7919;
            json_t *neutral = conversation(&seed, 3), *turns = js_get(neutral, "turns");
            size_t n;
            char *with = request_write(G, neutral, 0, &n);
            for (size_t t = 0; t < json_array_size(turns); t++)
                for (size_t k = 0; k < json_array_size(js_get(js_at(turns, t), "parts")); k++)
                    json_object_del(js_at(js_get(js_at(turns, t), "parts"), k), "id");
            char *without = request_write(G, neutral, 0, &n);
            struct asked how = {.from = G, .to = to};
            struct sent_up s = send_up(&how, without, n), again = send_up(&how, without, n);
            struct request wanted = request_read(G, with, strlen(with));
            if (to != G)
                judge(compare("ids", wanted.neutral, to, &s, IMAGES_BEHIND | IDS_FREE), "seed %u to %s", (unsigned)i,
                      format_names[to]);
            judge(!s.ok || s.body.n != again.body.n || memcmp(s.body.p, again.body.p, s.body.n) != 0
                      ? "not the same twice"
                      : NULL,
                  "seed %u to %s", (unsigned)i, format_names[to]);
            sent_up_free(&s);
            sent_up_free(&again);
            request_free(&wanted);
            free(with);
            free(without);
            json_decref(neutral);
            js_pool_empty();
        }
    }
    all_right();
}

int main(void)
{
    js_pool();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(own_tools, begin_test),
        cmocka_unit_test_setup(round_trips, begin_test),
        cmocka_unit_test_setup(without_ids, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

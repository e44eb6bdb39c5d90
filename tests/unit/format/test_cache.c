/*
 * Prompt caches: providers charge a tenth for what begins as the last request began. So of a conversation that is sent
 * again with every turn, each upstream request must begin with the one before, byte for byte, up to the closing
 * brackets behind its last message.
 */
#include "generate.h"
#include "wire.h"

#define TURNS 20

/* Bytes without the closing brackets at the end: up to where the next message is added. */
static size_t open_end(const struct file *body)
{
    size_t n = body->n;
    while (n != 0 && strchr("]} \n", body->p[n - 1]) != NULL)
        n--;
    /* The last message closes itself with some of them; two are the list's and the root's. */
    return body->n - n > 2 ? body->n - 2 : n;
}

static const char *begins(const struct file *before, const struct file *after, size_t *shared)
{
    static char problem[300];
    size_t n = open_end(before), i = 0;
    while (i < before->n && i < after->n && before->p[i] == after->p[i])
        i++;
    *shared = i;
    if (i >= n)
        return NULL;
    snprintf(problem, sizeof(problem), "they part at %zu of %zu: %.60s <> %.60s", i, n,
             before->p + (i > 20 ? i - 20 : 0), after->p + (i > 20 ? i - 20 : 0));
    return problem;
}

/* A body with the first `turns` turns of the conversation and, when `late`, a word of the system in the middle. */
static struct sent_up sent(const json_t *neutral, size_t turns, int from, int to, bool late)
{
    json_t *copy = json_deep_copy(neutral), *list = js_get(copy, "turns");
    while (json_array_size(list) > turns)
        json_array_remove(list, json_array_size(list) - 1);
    json_t *extra =
        js_load("{\"role\":\"system\",\"parts\":[{\"kind\":\"text\",\"text\":\"Be brief from now on.\"}]}", 73);
    if (late && turns > 7)
        json_array_insert(list, 7, extra);
    json_decref(extra);
    size_t n;
    char *body = request_write(from, copy, 0, &n);
    struct asked how = {.from = from, .to = to};
    struct sent_up s = send_up(&how, body, n);
    free(body);
    json_decref(copy);
    return s;
}

static void grow(uint32_t number, int from, int to, bool late)
{
    uint32_t seed = number;
    json_t *neutral = conversation(&seed, TURNS);
    struct sent_up before = sent(neutral, 1, from, to, late);
    judge(before.ok ? NULL : before.error, "%s to %s, first turn", format_names[from], format_names[to]);
    for (size_t turns = 3; turns <= 2 * TURNS + 1 && before.ok; turns += 2) {
        struct sent_up after = sent(neutral, turns, from, to, late);
        size_t shared;
        judge(!after.ok ? after.error : begins(&before.body, &after.body, &shared), "seed %u, %s to %s, turn %zu%s",
              (unsigned)number, format_names[from], format_names[to], turns, late ? ", late system message" : "");
        sent_up_free(&before);
        before = after;
    }
    sent_up_free(&before);
    json_decref(neutral);
    js_pool_empty();
}

static void every_pair(void **state)
{
    uint32_t seeds = long_run() ? 50 : 4;
    for (uint32_t number = 1; number <= seeds; number++)
        for (int pair = 0; pair < 16; pair++)
            grow(number, pair & 3, pair >> 2, false);
    all_right();
}

/* A system message in the middle must not move to the front, where it would change everything behind it. Gemini has
 * none. */
static void late_system_message(void **state)
{
    for (int from = 0; from < G; from++)
        for (int to = 0; to < FORMATS; to++)
            grow(11, from, to, true);
    all_right();
}

/* What is called the common beginning is checked itself. */
static void ends(void **state)
{
    struct file a = {(char *)"{\"messages\":[{\"a\":[{\"b\":\"x\"}]}]}", 32};
    assert_int_equal(open_end(&a), 30);
    assert_memory_equal(a.p + 28, "]}]}", 4);
}

int main(void)
{
    js_pool();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ends, begin_test),
        cmocka_unit_test_setup(every_pair, begin_test),
        cmocka_unit_test_setup(late_system_message, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

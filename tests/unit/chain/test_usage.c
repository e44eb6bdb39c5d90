/*
 * Token counts of answers that pass: found wherever they stand, however the bytes are cut, and the same numbers as the
 * reader of the translation makes of the same answer. What only looks like them counts for nothing.
 */
#include "../format/wire.h"

#include <base/clock.h>
#include <chain/usage_scan.h>

static struct usage scanned(int format, bool lines, struct ccp_span text, size_t first, size_t step)
{
    struct arena arena;
    struct usage_scan s;
    arena_init(&arena, NULL, 0);
    usage_scan_init(&s, formats_of[format], lines, &arena);
    for (size_t at = 0, n; at < text.n; at += n) {
        n = at == 0 && first != 0 ? first : step != 0 ? step : text.n - at;
        n = n < text.n - at ? n : text.n - at;
        char *copy = malloc(n); /* so that a read beyond a piece is seen */
        memcpy(copy, text.p + at, n);
        usage_scan_feed(&s, ccp_span_of(copy, n));
        free(copy);
    }
    arena_end(&arena);
    return usage_scan_sum(&s);
}

static bool same(const struct usage *a, const struct usage *b)
{
    return a->known == b->known && a->input == b->input && a->cache_read == b->cache_read &&
           a->cache_write == b->cache_write && a->cache_write_1h == b->cache_write_1h && a->output == b->output &&
           a->reasoning == b->reasoning;
}

static const char *told(const struct usage *u)
{
    static char text[4][160];
    static unsigned next;
    char *out = text[next++ % 4];
    snprintf(out, sizeof(text[0]), "%s in %llu read %llu write %llu (%llu) out %llu (%llu)", u->known ? "known" : "-",
             (unsigned long long)u->input, (unsigned long long)u->cache_read, (unsigned long long)u->cache_write,
             (unsigned long long)u->cache_write_1h, (unsigned long long)u->output, (unsigned long long)u->reasoning);
    return out;
}

static size_t cuts_made;

/* Whole, byte by byte, in odd steps, and in two at every place. */
static void every_cut(const char *name, int format, bool lines, struct ccp_span text, const struct usage *want)
{
    static const size_t steps[] = {0, 1, 2, 3, 7, 16, 61};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct usage got = scanned(format, lines, text, 0, steps[i]);
        judge(same(&got, want) ? NULL : told(&got), "%s, steps of %zu, wanted %s", name, steps[i], told(want));
    }
    size_t stride = text.n > 8192 ? text.n / 4096 : 1;
    for (size_t cut = 1; cut < text.n; cut += stride) {
        struct usage got = scanned(format, lines, text, cut, 0);
        judge(same(&got, want) ? NULL : told(&got), "%s, cut at %zu, wanted %s", name, cut, told(want));
        cuts_made++;
    }
}

/* What the translation knows at the end of the same answer. */
static struct usage translated(int format, bool stream, struct ccp_span text)
{
    struct arena scratch;
    struct translation t;
    struct answer_from from = {formats_of[format], CCP_SPAN("test"), NULL, stream};
    struct answer_to to = {.model = CCP_SPAN("m"), .request_id = CCP_SPAN("r")};
    arena_init(&scratch, NULL, 0);
    assert_true(translation_init(&t, &from, formats_of[(format + 1) % FORMATS], &to, true, &scratch, 1 << 26));
    translation_feed(&t, text);
    translation_finish(&t, NULL);
    struct usage u = t.deltas.usage;
    translation_release(&t);
    arena_end(&scratch);
    return u;
}

static size_t compared, with_counts;

static void compare(const char *name, int format, bool stream, struct file f)
{
    struct ccp_span text = {f.p, f.n};
    struct usage want = translated(format, stream, text);
    every_cut(name, format, stream, text, &want);
    compared++;
    with_counts += want.known;
    free(f.p);
}

static void scenarios(void **state)
{
    static const char *const names[] = {"image-base64", "image-url",     "max-tokens",   "parallel-tools", "pdf",
                                        "refusal",      "stop-sequence", "system-multi", "text",           "thinking",
                                        "tool-call",    "tool-no-args",  "tool-result"};
    char title[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (int format = 0; format < FORMATS; format++) {
            snprintf(title, sizeof(title), "%s %s stream", names[i], format_names[format]);
            compare(title, format, true, fixture("scenarios/%s/%s.stream.sse", names[i], format_names[format]));
            snprintf(title, sizeof(title), "%s %s whole", names[i], format_names[format]);
            compare(title, format, false, fixture("scenarios/%s/%s.response.json", names[i], format_names[format]));
        }
    assert_true(with_counts > compared / 2);
    all_right();
}

static void quirks(void **state)
{
    char **names = files_in(FIXTURES "/wire/quirks", ".sse");
    assert_non_null(names[0]);
    for (char **name = names; *name != NULL; name++)
        compare(*name, format_named(*name), true, fixture("quirks/%s", *name));
    names_free(names);
    printf("figure MET-01 %zu answers of 4 formats in %zu cuts: token counts as the translation reads them\n", compared,
           cuts_made);
    all_right();
}

/* -- what the fixtures do not have -- */

struct hard {
    const char *name;
    int format;
    bool lines;
    const char *text;
    struct usage want;
};

#define NOTHING                                                                                                        \
    {                                                                                                                  \
        .known = false                                                                                                 \
    }
#define COUNTS(in, out)                                                                                                \
    {                                                                                                                  \
        .known = true, .input = in, .output = out                                                                      \
    }

static const struct hard hard[] = {
    {"a text that quotes it", A, false,
     "{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"usage\\\":{\\\"input_tokens\\\":99}}\"}]}", NOTHING},
    {"a text that ends with it", A, false,
     "{\"a\":\"say "
     "\\\"usage\",\"input_tokens\":{\"input_tokens\":7},\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     COUNTS(1, 2)},
    {"a text behind a backslash", A, false, "{\"a\":\"\\\\\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     COUNTS(1, 2)},
    {"a value of that name", C, false, "{\"a\":\"usage\",\"b\":{\"prompt_tokens\":3}}", NOTHING},
    {"an element of that name", C, false, "{\"a\":[\"usage\",{\"prompt_tokens\":3}]}", NOTHING},
    {"arguments of a tool", A, false,
     "{\"content\":[{\"type\":\"tool_use\",\"input\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":9}}}],"
     "\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     COUNTS(1, 2)},
    {"arguments of a tool behind it", G, false,
     "{\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":5},\"candidates\":[{\"content\":{\"parts\":"
     "[{\"functionCall\":{\"args\":{\"usageMetadata\":{\"promptTokenCount\":77}}}}]}}]}",
     COUNTS(4, 5)},
    {"an item's own", R, true,
     "data: {\"type\":\"response.output_item.done\",\"item\":{\"usage\":{\"input_tokens\":50}}}\n\n"
     "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":6,\"output_tokens\":7}}}\n\n",
     COUNTS(6, 7)},
    {"a name with a dot", R, false, "{\"response.usage\":{\"input_tokens\":6,\"output_tokens\":7}}", NOTHING},
    {"a long name with that end", R, false,
     "{\"a-name-that-is-much-longer-than-any-that-matters-usage\":{\"input_tokens\":6}}", NOTHING},
    {"a name spelled with an escape", C, false, "{\"us\\u0061ge\":{\"prompt_tokens\":6}}", NOTHING},
    {"null, then numbers", C, true,
     "data: {\"choices\":[],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\" : {\"prompt_tokens\":6,"
     "\"completion_tokens\":2}}\r\n\r\ndata: [DONE]\n\n",
     COUNTS(6, 2)},
    {"with each choice", C, true,
     "data: {\"choices\":[{\"delta\":{},\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2}}]}\n\n", COUNTS(6, 2)},
    {"the answer's own before a choice's", C, true,
     "data: "
     "{\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":3},\"choices\":[{\"usage\":{\"prompt_tokens\":6}}]}\n\n",
     COUNTS(8, 3)},
    {"in an envelope", C, true,
     "data: {\"x_groq\":{\"id\":\"1\",\"usage\":{\"prompt_tokens\":6,"
     "\"completion_tokens\":2}}}\n\n",
     COUNTS(6, 2)},
    {"chunks in an array", G, false,
     "[{\"usageMetadata\":{\"promptTokenCount\":4}}\n,\n{\"usageMetadata\":{\"candidatesTokenCount\":5}}]",
     COUNTS(4, 5)},
    {"an envelope in an array", G, false,
     "[{\"response\":{\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":1}}}]", COUNTS(4, 1)},
    {"old line ends", A, true,
     "event: message_start\rdata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,"
     "\"output_tokens\":1}}}\r\rdata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\r\r",
     COUNTS(5, 9)},
    {"a line that is broken before it", A, true,
     ": it's a \"quote\ndata: {\"a\":\"unfinished\ndata: "
     "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n",
     COUNTS(0, 9)},
    {"no line end at the end", A, true, "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}",
     COUNTS(0, 9)},
    {"an object that never ends", A, true, "data: {\"usage\":{\"output_tokens\":9", NOTHING},
    {"twice the same member", C, false, "{\"usage\":{\"prompt_tokens\":1,\"prompt_tokens\":2}}", NOTHING},
    {"closing what was not open", C, false, "}]}{\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}",
     COUNTS(2, 1)},
    {"white space", C, false,
     "{\n  \"usage\" :\n  {\r\n    \"prompt_tokens\" : 2 ,\n \"completion_tokens\":\t1\n  }\n}\n", COUNTS(2, 1)},
};

static void hard_cases(void **state)
{
    for (size_t i = 0; i < sizeof(hard) / sizeof(hard[0]); i++)
        every_cut(hard[i].name, hard[i].format, hard[i].lines, ccp_span_z(hard[i].text), &hard[i].want);
    all_right();
}

/* Larger than what is kept when it is cut, or parsed at all: unknown, and the next one counts again. */
static void large_objects(void **state)
{
    static char text[3 * USAGE_OBJECT_MAX];
    struct usage none = {0}, want = COUNTS(6, 2);
    size_t n = (size_t)snprintf(text, sizeof(text), "data: {\"usage\":{\"prompt_tokens\":1,\"filler\":\"");
    memset(text + n, 'x', USAGE_OBJECT_MAX);
    n += USAGE_OBJECT_MAX;
    n += (size_t)snprintf(text + n, sizeof(text) - n, "\"}}\n\n");
    struct usage got = scanned(C, true, ccp_span_of(text, n), 0, 0);
    assert_true(same(&got, &none));
    got = scanned(C, true, ccp_span_of(text, n), 0, 100);
    assert_true(same(&got, &none));
    n += (size_t)snprintf(text + n, sizeof(text) - n,
                          "data: {\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2}}\n\n");
    every_cut("behind a large one", C, true, ccp_span_of(text, n), &want);
    all_right();
}

/* Anything may come: it must not crash, and a good answer behind the noise and a line end is still understood. */
static void noise(void **state)
{
    static const char alphabet[] = "\"\\{}[]:,u usage\"\n\r\t\x01\xff{\"usage\":{";
    static const char good[] = "\n\ndata: {\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2}}\n\n";
    struct usage want = COUNTS(6, 2);
    uint32_t seed = 7;
    char text[700];
    for (unsigned round = 0; round < 4000; round++) {
        size_t n = rnd_below(&seed, 600);
        for (size_t i = 0; i < n; i++)
            text[i] = alphabet[rnd_below(&seed, sizeof(alphabet) - 1)];
        memcpy(text + n, good, sizeof(good) - 1);
        n += sizeof(good) - 1;
        for (int format = 0; format < FORMATS; format++)
            scanned(format, false, ccp_span_of(text, n), 0, 1 + rnd_below(&seed, 80));
        struct usage got = scanned(C, true, ccp_span_of(text, n), 0, 1 + rnd_below(&seed, 80));
        judge(same(&got, &want) ? NULL : told(&got), "round %u", round);
    }
    all_right();
}

/* Every path ends in a name that the search looks for, and none is longer than what is kept of one. */
static void paths(void **state)
{
    for (int f = 0; f < FORMATS; f++)
        for (const char *const *path = format_of(formats_of[f])->usage_paths; *path != NULL; path++) {
            const char *dot = strrchr(*path, '.'), *last = dot != NULL ? dot + 1 : *path;
            assert_true(ccp_span_starts(ccp_span_z(last), CCP_SPAN("usage")));
            for (const char *p = *path; p != NULL && *p != '\0'; p = strchr(p, '.') != NULL ? strchr(p, '.') + 1 : NULL)
                assert_true(strcspn(p, ".[") <= USAGE_NAME);
        }
}

/* Bytes in a second: a search, not a parse. Printed, not judged: machines differ. */
static void speed_of(const char *what, bool lines, const char *front, const char *piece, const char *back)
{
    static char text[1 << 20];
    size_t n = strlen(front), one = strlen(piece);
    memcpy(text, front, n);
    for (; n + one + strlen(back) < sizeof(text); n += one)
        memcpy(text + n, piece, one);
    memcpy(text + n, back, strlen(back));
    n += strlen(back);
    uint64_t best = UINT64_MAX;
    struct usage got = {0}, want = COUNTS(6, 2);
    for (int round = 0; round < 10; round++) {
        uint64_t began = clock_us();
        got = scanned(C, lines, ccp_span_of(text, n), 0, 16384);
        uint64_t took = clock_us() - began;
        best = took < best ? took : best;
    }
    assert_true(same(&got, &want));
    printf("%s: %.2f GB/s\n", what, (double)n / (double)(best != 0 ? best : 1) / 1000);
}

static void speed(void **state)
{
#define END "\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":2}}"
    speed_of("a stream of small events", true, "",
             "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":17,\"model\":\"gpt-1\","
             "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"finish_reason\":null}],\"usage\":null}"
             "\n\n",
             "data: {" END "\n\n");
    speed_of("a long text", false, "{\"choices\":[{\"message\":{\"content\":\"",
             "What a model says, in words and lines.\\nNot \\\"quoted\\\" often; \xc3\xa4\xc3\xb6\xc3\xbc. ",
             "\"}}]," END);
    speed_of("an embedding", false, "{\"data\":[{\"embedding\":[", "-0.0069292834,0.0053364267,", "1]}]," END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(scenarios, begin_test),
        cmocka_unit_test_setup(quirks, begin_test),
        cmocka_unit_test_setup(hard_cases, begin_test),
        cmocka_unit_test_setup(large_objects, begin_test),
        cmocka_unit_test_setup(noise, begin_test),
        cmocka_unit_test(paths),
        cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Chat answers, read and written: the ways in which servers of this format differ, and the grammar of our own chunks.
 * The fixtures of other upstreams are in test_scenarios and test_quirks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/fault.h>
#include <cmocka.h>
#include <format/translate.h>
#include <stdio.h>
#include <stdlib.h>

#define CHAT CCP_FORMAT_OPENAI_CHAT

struct outcome {
    bool done, broken;
    char *body;
    char failure[256];
};

enum { UP_STREAM = 1, DOWN_STREAM = 2, USAGE = 4 };

static struct outcome answer(int flags, const char *upstream)
{
    struct arena a, scratch;
    struct translation t;
    struct outcome r = {0};
    arena_init(&a, NULL, 0);
    arena_init(&scratch, NULL, 0);
    struct names *names = names_new(&a);
    struct answer_from from = {
        .format = CHAT, .provider = CCP_SPAN("prov"), .names = names, .stream = (flags & UP_STREAM) != 0};
    struct answer_to to = {
        .model = CCP_SPAN("m"), .request_id = CCP_SPAN("1"), .created = 7, .include_usage = (flags & USAGE) != 0};
    bool ok = names != NULL && translation_init(&t, &from, CHAT, &to, (flags & DOWN_STREAM) != 0, &scratch, 1 << 20) &&
              translation_feed(&t, ccp_span_z(upstream)) && translation_finish(&t, NULL);
    if (names != NULL) {
        r.done = ok && t.done;
        r.broken = t.broken;
        r.body = t.out.n != 0 ? strndup(t.out.p, t.out.n) : NULL;
        snprintf(r.failure, sizeof(r.failure), "%.*s", CCP_FMT(t.failure.message));
        translation_release(&t);
    }
    arena_end(&scratch);
    arena_end(&a);
    return r;
}

/* -- reading -- */

#define CHUNK(delta)  "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":" delta "}]}\n\n"
#define FINISH(word)  "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}]}\n\n"
#define DONE          "data: [DONE]\n\n"
#define CALL(members) "{\"tool_calls\":[{" members "}]}"

static void read_as(const char *upstream, const char *message, const char *reason)
{
    char *wanted = NULL;
    struct outcome r = answer(UP_STREAM, upstream);
    assert_true(asprintf(&wanted, "\"message\":{\"role\":\"assistant\",%s},\"logprobs\":null,\"finish_reason\":\"%s\"",
                         message, reason) > 0);
    if (!r.done || r.body == NULL || strstr(r.body, wanted) == NULL)
        fail_msg("wanted %s\nin     %s (%s)", wanted, r.body != NULL ? r.body : "nothing", r.failure);
    free(r.body);
    free(wanted);
}

static void broken(const char *upstream, const char *wanted)
{
    struct outcome r = answer(UP_STREAM, upstream);
    assert_true(r.broken);
    assert_false(r.done);
    if (strstr(r.failure, wanted) == NULL)
        fail_msg("wanted %s in %s", wanted, r.failure);
    free(r.body);
}

#define SAYS(text) "\"content\":\"" text "\",\"refusal\":null"
#define MADE(id, name, arguments)                                                                                      \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":\"" arguments "\"}}"
#define CALLS(list) "\"content\":null,\"refusal\":null,\"tool_calls\":[" list "]"

static void ends(void **state)
{
    read_as(CHUNK("{\"content\":\"a\"}") FINISH("stop") DONE, SAYS("a"), "stop");
    read_as(CHUNK("{\"content\":\"a\"}") FINISH("length"), SAYS("a"), "length");
    read_as(CHUNK("{\"content\":\"a\"}") DONE, SAYS("a"), "stop");
    read_as(CHUNK("{\"content\":\"a\"}") FINISH("eos") DONE, SAYS("a"), "stop");
    read_as(CHUNK("null") FINISH("content_filter") DONE, "\"content\":null,\"refusal\":null", "content_filter");
    broken(CHUNK("{\"content\":\"a\"}"), "before it was complete");
    broken(DONE, "before it was complete");
    broken("", "before it was complete");
    broken(CHUNK("{\"content\":\"a\"}") "data: {\"error\":{\"message\":\"boom\",\"code\":502}}\n\n" DONE, "boom");
    broken(CHUNK("{\"content\":\"a\"}") FINISH("error") DONE, "ended its answer with an error");
    broken(CHUNK("{\"content\":\"a\"}") "data: oops\n\n" DONE, "not JSON");
    broken("event: error\ndata: {\"message\":\"wait\"}\n\n", "wait");
    broken("data: {\"object\":\"error\",\"message\":\"bad\"}\n\n", "bad");
}

static void calls_are_told_apart(void **state)
{
    /* One index for all, another id each. */
    read_as(CHUNK(CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"))
                CHUNK(CALL("\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}"))
                    FINISH("stop"),
            CALLS(MADE("a", "f", "{}") "," MADE("b", "g", "{}")), "tool_calls");
    /* Id and name in every fragment; then empty ones. */
    read_as(CHUNK(CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}"))
                CHUNK(CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"}\"}"))
                    CHUNK(CALL("\"index\":0,\"id\":\"\",\"function\":{\"name\":\"\",\"arguments\":\" \"}"))
                        FINISH("tool_calls") DONE,
            CALLS(MADE("a", "f", "{} ")), "tool_calls");
    /* No index: the id tells; without one the fragment continues. */
    read_as(CHUNK(CALL("\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}"))
                CHUNK(CALL("\"function\":{\"arguments\":\"}\"}"))
                    CHUNK(CALL("\"id\":\"b\",\"function\":{\"name\":\"f\"}")) FINISH("tool_calls") DONE,
            CALLS(MADE("a", "f", "{}") "," MADE("b", "f", "{}")), "tool_calls");
    /* The name comes later. */
    read_as(CHUNK(CALL("\"index\":3,\"id\":\"a\"")) CHUNK(CALL("\"index\":3,\"function\":{\"name\":\"f\"}"))
                CHUNK(CALL("\"index\":3,\"function\":{\"arguments\":\"{}\"}")) FINISH("tool_calls") DONE,
            CALLS(MADE("a", "f", "{}")), "tool_calls");
    broken(CHUNK(CALL("\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"{\"}")), "without a name");
}

static void a_call_without_an_id_gets_one_of_its_own(void **state)
{
    struct outcome r = answer(UP_STREAM, CHUNK("{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}},"
                                               "{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}") DONE);
    const char *first = strstr(r.body, "\"id\":\"call_");
    assert_non_null(first);
    const char *second = strstr(first + 1, "\"id\":\"call_");
    assert_non_null(second);
    assert_memory_not_equal(first, second, 6 + 29);
    assert_int_equal(first[6 + 29], '"');
    free(r.body);
}

static void many_calls_keep_their_order(void **state)
{
    char upstream[16384] = "", wanted[16384] = "\"content\":null,\"refusal\":null,\"tool_calls\":[";
    for (int i = 0; i < 40; i++) {
        size_t n = strlen(upstream);
        snprintf(upstream + n, sizeof(upstream) - n,
                 CHUNK(CALL("\"index\":%d,\"id\":\"c%d\",\"function\":{\"name\":\"f\",\"arguments\":\"%d\"}")), i, i,
                 i);
        n = strlen(wanted);
        snprintf(wanted + n, sizeof(wanted) - n, "%s" MADE("c%d", "f", "%d%d"), i != 0 ? "," : "", i, i, i);
    }
    for (int i = 39; i >= 0; i--) {
        size_t n = strlen(upstream);
        snprintf(upstream + n, sizeof(upstream) - n, CHUNK(CALL("\"index\":%d,\"function\":{\"arguments\":\"%d\"}")), i,
                 i);
    }
    snprintf(upstream + strlen(upstream), sizeof(upstream) - strlen(upstream), FINISH("tool_calls"));
    snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "]");
    read_as(upstream, wanted, "tool_calls");
}

static void other_kinds_of_calls(void **state)
{
    read_as(CHUNK("{\"function_call\":{\"name\":\"f\",\"arguments\":\"{\"}}") CHUNK("{\"function_call\":{\"arguments\":"
                                                                                    "\"}\"}}") FINISH("function_call"),
            CALLS(MADE("call_ecda94ff65dfc023868f2a71", "f", "{}")), "tool_calls");
    read_as(CHUNK(CALL("\"index\":0,\"id\":\"a\",\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"input\":\"l\"}"))
                CHUNK(CALL("\"index\":0,\"custom\":{\"input\":\"s\"}")) FINISH("tool_calls"),
            CALLS("{\"id\":\"a\",\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"input\":\"ls\"}}"), "tool_calls");
    read_as(CHUNK(CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{"
                       "\"google\":{\"thought_signature\":\"AAAA\"}}")) FINISH("tool_calls"),
            CALLS("{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},"
                  "\"extra_content\":{\"google\":{\"thought_signature\":\"ccp1.prov.dEFBQUE\"}}}"),
            "tool_calls");
}

static void thinking_is_taken_from_one_source(void **state)
{
    const char *hm = "\"content\":\"a\",\"refusal\":null,\"reasoning_content\":\"hm\"";
    read_as(CHUNK("{\"reasoning_content\":\"h\",\"reasoning\":\"h\"}")
                CHUNK("{\"reasoning\":\"m\",\"reasoning_content\":"
                      "\"m\"}") CHUNK("{\"content\":\"a\"}") DONE,
            hm, "stop");
    read_as(CHUNK("{\"reasoning_text\":\"hm\"}") CHUNK("{\"content\":\"a\"}") DONE, hm, "stop");
    read_as(CHUNK("{\"reasoning_details\":[{\"type\":\"reasoning.summary\",\"summary\":\"hm\"}]}")
                CHUNK("{\"content\":\"a\"}") DONE,
            hm, "stop");
    read_as(CHUNK("{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]}]}")
                CHUNK("{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}") DONE,
            hm, "stop");
    read_as(CHUNK("{\"content\":\"<think>hm</think>a\"}") DONE, SAYS("<think>hm</think>a"), "stop");
    read_as(CHUNK("{\"reasoning_text\":\"hm\"}") CHUNK("{\"reasoning_opaque\":\"XYZ\"}") CHUNK("{\"content\":\"a\"}")
                DONE,
            "\"content\":\"a\",\"refusal\":null,\"reasoning_content\":\"hm\",\"reasoning_details\":[{\"type\":"
            "\"reasoning.encrypted\",\"data\":\"ccp1.prov.ZG98fFhZWg\",\"index\":0}]",
            "stop");
}

static void choices_of_one_index_are_one_answer(void **state)
{
    read_as("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}},{\"index\":0,\"delta\":{\"tool_calls\":[{"
            "\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}},{\"index\":1,\"delta\":{"
            "\"content\":\"no\"}}]}\n\n" FINISH("stop") FINISH("tool_calls") DONE,
            "\"content\":\"a\",\"refusal\":null,\"tool_calls\":[" MADE("x", "f", "{}") "]", "tool_calls");
    read_as(CHUNK("{\"refusal\":\"no\"}") CHUNK("{\"refusal\":\"!\"}") FINISH("stop") DONE,
            "\"content\":null,\"refusal\":\"no!\"", "stop");
    read_as("data: {\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n" DONE, SAYS("a"),
            "stop");
}

static void usage_is(const char *chunk, const char *wanted)
{
    char upstream[1024], body[1024];
    snprintf(upstream, sizeof(upstream), CHUNK("{\"content\":\"a\"}") FINISH("stop") "data: {%s}\n\n" DONE, chunk);
    struct outcome r = answer(UP_STREAM, upstream);
    snprintf(body, sizeof(body), "\"usage\":{%s,\"audio_tokens\":0,\"accepted", wanted);
    if (r.body == NULL || strstr(r.body, body) == NULL)
        fail_msg("wanted %s\nin     %s", body, r.body != NULL ? r.body : "nothing");
    free(r.body);
}

#define COUNTS(p, c, t, cached, written, reasoning)                                                                    \
    "\"prompt_tokens\":" #p ",\"completion_tokens\":" #c ",\"total_tokens\":" #t ",\"prompt_tokens_details\":{"        \
    "\"cached_tokens\":" #cached ",\"cache_write_tokens\":" #written ",\"audio_tokens\":0},"                           \
    "\"completion_tokens_details\":{\"reasoning_tokens\":" #reasoning

static void usage_of_all_vendors(void **state)
{
    usage_is("\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":4,"
             "\"cache_write_tokens\":2},\"completion_tokens_details\":{\"reasoning_tokens\":3}}",
             COUNTS(10, 5, 15, 4, 2, 3));
    usage_is("\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_cache_hit_tokens\":4}",
             COUNTS(10, 5, 15, 4, 0, 0));
    usage_is("\"x_groq\":{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}", COUNTS(10, 5, 15, 0, 0, 0));
    /* Reasoning beside the completion; more cached than there was; more reasoning than output. */
    usage_is(
        "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":22,\"completion_tokens_details\":{"
        "\"reasoning_tokens\":7}}",
        COUNTS(10, 12, 22, 0, 0, 7));
    usage_is(
        "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":40}}",
        COUNTS(40, 5, 45, 40, 0, 0));
    usage_is(
        "\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":5,\"completion_tokens_details\":{\"reasoning_tokens\":"
        "50}}",
        COUNTS(0, 5, 5, 0, 0, 5));
}

static void whole_answers(void **state)
{
    struct outcome r =
        answer(0, "{\"id\":\"chatcmpl-u\",\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":"
                  "\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}},{\"id\":\"a\",\"function\":{"
                  "\"name\":\"g\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"stop\"}]}");
    assert_true(r.done);
    assert_non_null(
        strstr(r.body, "{\"id\":\"chatcmpl-u\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\","));
    assert_non_null(strstr(r.body, CALLS(MADE("a", "f", "{}") "," MADE("a", "g", "{}")) "}"));
    free(r.body);
    r = answer(0, "{\"object\":\"chat.completion\",\"choices\":[]}");
    assert_true(r.broken);
    free(r.body);
}

/* -- writing -- */

#define HEAD                                                                                                           \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":["
#define SENT(delta) HEAD "{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
#define ROLE        SENT("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null")
#define LAST(word)  HEAD "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"" word "\"}]}\n\n"

static void streams_as(int flags, const char *upstream, const char *wanted)
{
    struct outcome r = answer(UP_STREAM | DOWN_STREAM | flags, upstream);
    assert_non_null(r.body);
    assert_string_equal(r.body, wanted);
    free(r.body);
}

static void chunks(void **state)
{
    streams_as(0, CHUNK("{\"content\":\"\\u00e9\"}") FINISH("stop") DONE,
               ROLE SENT("\"content\":\"\\u00e9\"") LAST("stop") DONE);
    streams_as(0, CHUNK("{\"role\":\"assistant\"}") FINISH("stop") DONE, ROLE LAST("stop") DONE);
    streams_as(0, CHUNK(CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}")) FINISH("stop") DONE,
               ROLE SENT("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                         "\"arguments\":\"\"}}]")
                   SENT("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]") LAST("tool_calls") DONE);
    streams_as(0,
               CHUNK(CALL("\"index\":0,\"id\":\"a\",\"custom\":{\"name\":\"f\",\"input\":\"x\"}")) FINISH("stop") DONE,
               ROLE SENT("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"custom\",\"custom\":{\"name\":\"f\","
                         "\"input\":\"\"}}]") SENT("\"tool_calls\":[{\"index\":0,\"custom\":{\"input\":\"x\"}}]")
                   LAST("tool_calls") DONE);
}

static void usage_comes_only_when_asked_for(void **state)
{
    struct outcome r = answer(UP_STREAM | DOWN_STREAM | USAGE, CHUNK("{\"content\":\"a\"}") FINISH("stop") DONE);
    const char *last = strstr(r.body, HEAD "],\"usage\":{\"prompt_tokens\":0,");
    assert_non_null(last);
    assert_non_null(strstr(last, "}}}\n\n" DONE));
    assert_int_equal(strncmp(r.body, ROLE, strlen(ROLE) - 3), 0);
    assert_non_null(strstr(r.body, "\"finish_reason\":null}],\"usage\":null}\n\n"));
    free(r.body);
}

static void an_error_is_the_last_thing_said(void **state)
{
    static const char error[] = "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\",\"param\":null,"
                                "\"code\":\"server_error\"}}\n\n";
    const char *boom = "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n" DONE;
    char upstream[512], wanted[1024];
    streams_as(USAGE, boom, error);
    snprintf(upstream, sizeof(upstream), "%s%s", CHUNK("{\"content\":\"a\"}"), boom);
    snprintf(wanted, sizeof(wanted), "%s%s", ROLE SENT("\"content\":\"a\""), error);
    streams_as(0, upstream, wanted);
}

/* -- memory -- */

static void every_refused_allocation_is_an_error(void **state)
{
    static const char upstream[] =
        CHUNK("{\"reasoning\":\"h\",\"reasoning_details\":[{\"data\":\"x\"}]}") CHUNK("{\"content\":\"a\"}")
            CHUNK(CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{}}")) FINISH("stop") DONE;
    static const char *const points[] = {"chat.detail", "chat.calls"};
    size_t refused = 0;
    for (size_t i = 0; i < 2; i++) {
        fault_arm(points[i]);
        struct outcome r = answer(UP_STREAM, upstream);
        fault_arm(NULL);
        assert_true(r.broken);
        free(r.body);
    }
    for (int flags = UP_STREAM; flags <= (UP_STREAM | DOWN_STREAM); flags += DOWN_STREAM)
        for (int n = 1; n < 120; n++) {
            char spec[32];
            snprintf(spec, sizeof(spec), "alloc:%d", n);
            fault_arm(spec);
            struct outcome r = answer(flags, upstream);
            fault_arm(NULL);
            assert_false(r.done && r.broken);
            refused += !r.done;
            free(r.body);
        }
    assert_true(refused > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends),
        cmocka_unit_test(calls_are_told_apart),
        cmocka_unit_test(a_call_without_an_id_gets_one_of_its_own),
        cmocka_unit_test(many_calls_keep_their_order),
        cmocka_unit_test(other_kinds_of_calls),
        cmocka_unit_test(thinking_is_taken_from_one_source),
        cmocka_unit_test(choices_of_one_index_are_one_answer),
        cmocka_unit_test(usage_of_all_vendors),
        cmocka_unit_test(whole_answers),
        cmocka_unit_test(chunks),
        cmocka_unit_test(usage_comes_only_when_asked_for),
        cmocka_unit_test(an_error_is_the_last_thing_said),
        cmocka_unit_test(every_refused_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

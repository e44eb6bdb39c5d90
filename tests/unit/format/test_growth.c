/*
 * Cost grows with the size, not with its square: a request ten times as long asks for about ten times the memory, and
 * each event of a long stream for no more than the first. No clock: the figures are the same on every machine.
 *
 * What no allocation tells (a list walked for each element) would show as minutes here: the largest cases have 100,000
 * parts, and the program has a time limit like every other.
 */
#include "answer.h"
#include "request.h"
#include "wire.h"

static void add(struct ccp_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct ccp_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

/* A history of `n` steps, each a call and its result. */
static struct ccp_buf history(int format, size_t n)
{
    static const char *const heads[FORMATS] = {
        "{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"go\"}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"go\"}",
        "{\"input\":[{\"role\":\"user\",\"content\":\"go\"}",
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"go\"}]}",
    };
    static const char *const steps[FORMATS] = {
        ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c%zu\",\"name\":\"f\",\"input\":{\"a\":"
        "\"b\"}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c%zu\",\"content\":\"done\"}]}",
        ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c%zu\",\"type\":\"function\",\"function\":"
        "{"
        "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"b\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c%zu\","
        "\"content\":\"done\"}",
        ",{\"type\":\"function_call\",\"call_id\":\"c%zu\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"b\\\"}\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c%zu\",\"output\":\"done\"}",
        ",{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"c%zu\",\"name\":\"f\",\"args\":{\"a\":\"b\"}}}]},"
        "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c%zu\",\"name\":\"f\",\"response\":{\"output\":"
        "\"done\"}}}]}",
    };
    struct ccp_buf b;
    buf_init(&b, SIZE_MAX / 2);
    add(&b, "%s", heads[format]);
    for (size_t i = 0; i < n; i++)
        add(&b, steps[format], i, i);
    add(&b, "]}");
    return b;
}

/* Bytes of arena and body for a history of n steps. */
static size_t cost(int from, int to, size_t n)
{
    struct ccp_buf body = history(from, n);
    struct asked how = {.from = from, .to = to};
    struct sent_up s = send_up(&how, body.p, body.n);
    if (!s.ok)
        print_error("%s to %s: %s\n", format_names[from], format_names[to], s.error);
    assert_true(s.ok);
    size_t bytes = s.arena + s.body.n;
    sent_up_free(&s);
    buf_release(&body);
    return bytes;
}

static void histories(void **state)
{
    for (int pair = 0; pair < 16; pair++) {
        size_t one = cost(pair & 3, pair >> 2, 1000), ten = cost(pair & 3, pair >> 2, 10000);
        if (ten > one * 12 || one > 4000000)
            judge("it grows faster than the request", "%s to %s: %zu bytes, then %zu", format_names[pair & 3],
                  format_names[pair >> 2], one, ten);
    }
    all_right();
}

/* 100,000 parts, 50,000 of them calls, through the reader and the writer of each format. */
static void long_histories(void **state)
{
    for (int f = 0; f < FORMATS; f++)
        assert_true(cost(f, (f + 1) % FORMATS, 50000) < (size_t)500 << 20);
}

/* A call whose arguments come in `n` fragments. */
static struct ccp_buf arguments(int format, size_t n)
{
    static const char *const heads[FORMATS] = {
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\"}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
        "\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}}}\n\n",
        "data: "
        "{\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{"
        "\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\ndata: "
        "{\"type\":\"response.output_item."
        "added\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\","
        "\"arguments\":\"\"}}\n\n",
    };
    static const char *const pieces[FORMATS] = {
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
        "\"input_json_delta\",\"partial_json\":\"%s\"}}\n\n",
        "data: "
        "{\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
        "\"%s\"}}]}}]}\n\n",
        "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"%s\"}\n\n",
    };
    static const char *const tails[FORMATS] = {
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: "
        "{"
        "\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":1}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: "
        "[DONE]\n\n",
        "data: "
        "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":"
        "\"c1\",\"name\":\"f\"}}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":"
        "\"completed\",\"output\":[]}}\n\n",
    };
    struct ccp_buf b;
    buf_init(&b, SIZE_MAX / 2);
    add(&b, "%s", heads[format]);
    for (size_t i = 0; i < n; i++)
        add(&b, pieces[format], i == 0 ? "{\\\"a\\\":\\\"" : i + 1 == n ? "\\\"}" : "0123456789");
    add(&b, "%s", tails[format]);
    return b;
}

/* Memory that waits beside what is written: an event leaves none behind. */
static void long_arguments(void **state)
{
    size_t n = long_run() ? 1000000 : 100000;
    for (int from = 0; from < G; from++) {
        struct ccp_buf small = arguments(from, 100), large = arguments(from, n);
        for (int to = 0; to < FORMATS; to++) {
            struct answered how = {.from = from, .to = to, .from_stream = true, .stream = true, .cuts = {.step = 4096}};
            struct sent_down a = send_down(&how, small.p, small.n), b = send_down(&how, large.p, large.n);
            const char *problem = NULL;
            if (!a.done || !b.done || b.broken)
                problem = b.broken ? b.error : "it does not end";
            else if (b.scratch > a.scratch + 65536)
                problem = "each event leaves memory behind";
            else if (memmem(b.body.p, b.body.n, "0123456789", 10) == NULL || b.body.n > 40 * large.n)
                problem = "the answer is not what was sent";
            judge(problem, "%s to %s, %zu fragments", format_names[from], format_names[to], n);
            sent_down_free(&a);
            sent_down_free(&b);
        }
        buf_release(&small);
        buf_release(&large);
    }
    all_right();
}

/* What is held back is bounded: a call that never ends is refused at the limit, not at the end of memory. */
static void bounded(void **state)
{
    for (int from = 0; from < G; from++) {
        struct ccp_buf large = arguments(from, 20000);
        for (int to = 0; to < FORMATS; to++) {
            struct answered how = {.from = from, .to = to, .from_stream = true, .max = 65536};
            struct sent_down s = send_down(&how, large.p, large.n);
            judge(!s.broken ? "200 KB fit into 64" : NULL, "%s to %s", format_names[from], format_names[to]);
            sent_down_free(&s);
        }
        buf_release(&large);
    }
    all_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(histories, begin_test),
        cmocka_unit_test_setup(long_histories, begin_test),
        cmocka_unit_test_setup(long_arguments, begin_test),
        cmocka_unit_test_setup(bounded, begin_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

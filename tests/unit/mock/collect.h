/*
 * Reads an answer of any of the four formats, streamed or whole, back into one neutral record, and checks the
 * grammar of the stream on the way.
 */
#ifndef TEST_MOCK_COLLECT_H
#define TEST_MOCK_COLLECT_H

#include "play_in.h"
#include "requests.h"

struct str {
    char p[65536];
    size_t n;
};

struct got {
    struct str text, thinking, arguments;
    char tool[64], finish[32];
    uint64_t in, out, reasoning;
    size_t events, tokens; /* tokens: pieces seen in a stream */
};

static struct ccp_json *parse(struct core *core, struct ccp_span text)
{
    struct ccp_json *root = NULL;
    struct ccp_json_error error;
    struct arena *a = &core->arena;
    if (json_parse(a, text, &root, &error) != CCP_OK)
        fail_msg("not JSON: %.*s", CCP_FMT(text));
    return root;
}

static const struct ccp_json *at(const struct ccp_json *v, const char *path)
{
    char key[64];
    while (v != NULL && *path != '\0') {
        size_t n = strcspn(path, "."), index;
        snprintf(key, sizeof(key), "%.*s", (int)n, path);
        if (v->type == CCP_JSON_ARRAY) {
            index = (size_t)strtoul(key, NULL, 10);
            for (v = v->child; v != NULL && index-- > 0;)
                v = v->next;
        } else {
            v = ccp_json_get(v, key);
        }
        path += n + (path[n] == '.');
    }
    return v;
}

static uint64_t number(const struct ccp_json *v, const char *path)
{
    const struct ccp_json *n = at(v, path);
    char text[32];
    if (n == NULL || n->type != CCP_JSON_NUMBER)
        return 0;
    snprintf(text, sizeof(text), "%.*s", CCP_FMT(n->raw));
    return strtoull(text, NULL, 10);
}

static struct ccp_span string(const struct ccp_json *v, const char *path)
{
    return ccp_json_inner(at(v, path));
}

static bool is(const struct ccp_json *v, const char *path, const char *text)
{
    return ccp_span_is(string(v, path), text);
}

static void append(struct core *core, struct str *str, const struct ccp_json *v)
{
    if (v == NULL || v->type != CCP_JSON_STRING)
        return;
    struct ccp_span text = json_text(&core->arena, v->raw);
    assert_true(str->n + text.n < sizeof(str->p));
    memcpy(str->p + str->n, text.p, text.n);
    str->n += text.n;
}

static void copy(char *to, size_t n, struct ccp_span from)
{
    snprintf(to, n, "%.*s", CCP_FMT(from));
}

/* -- whole answers -- */

static void whole_anthropic(struct core *core, const struct ccp_json *root, struct got *got)
{
    for (const struct ccp_json *b = at(root, "content.0"); b != NULL; b = b->next) {
        append(core, &got->thinking, at(b, "thinking"));
        append(core, &got->text, at(b, "text"));
        if (!is(b, "type", "tool_use"))
            continue;
        copy(got->tool, sizeof(got->tool), string(b, "name"));
        got->arguments.n = at(b, "input")->raw.n;
        memcpy(got->arguments.p, at(b, "input")->raw.p, got->arguments.n);
    }
    copy(got->finish, sizeof(got->finish), string(root, "stop_reason"));
    got->in = number(root, "usage.input_tokens");
    got->out = number(root, "usage.output_tokens");
    got->reasoning = number(root, "usage.output_tokens_details.thinking_tokens");
}

static void usage_chat(const struct ccp_json *usage, struct got *got)
{
    got->in = number(usage, "prompt_tokens");
    got->out = number(usage, "completion_tokens");
    got->reasoning = number(usage, "completion_tokens_details.reasoning_tokens");
    assert_int_equal(number(usage, "total_tokens"), got->in + got->out);
}

static void whole_chat(struct core *core, const struct ccp_json *root, struct got *got)
{
    const struct ccp_json *message = at(root, "choices.0.message");
    append(core, &got->thinking, at(message, "reasoning_content"));
    append(core, &got->text, at(message, "content"));
    append(core, &got->arguments, at(message, "tool_calls.0.function.arguments"));
    copy(got->tool, sizeof(got->tool), string(message, "tool_calls.0.function.name"));
    copy(got->finish, sizeof(got->finish), string(root, "choices.0.finish_reason"));
    assert_true(is(root, "object", "chat.completion"));
    usage_chat(at(root, "usage"), got);
}

static void whole_responses(struct core *core, const struct ccp_json *root, struct got *got)
{
    for (const struct ccp_json *item = at(root, "output.0"); item != NULL; item = item->next) {
        append(core, &got->thinking, at(item, "summary.0.text"));
        append(core, &got->text, at(item, "content.0.text"));
        append(core, &got->arguments, at(item, "arguments"));
        if (is(item, "type", "function_call"))
            copy(got->tool, sizeof(got->tool), string(item, "name"));
    }
    copy(got->finish, sizeof(got->finish), string(root, "status"));
    got->in = number(root, "usage.input_tokens");
    got->out = number(root, "usage.output_tokens");
    got->reasoning = number(root, "usage.output_tokens_details.reasoning_tokens");
    assert_int_equal(number(root, "usage.total_tokens"), got->in + got->out);
}

static void whole_gemini(struct core *core, const struct ccp_json *root, struct got *got)
{
    for (const struct ccp_json *p = at(root, "candidates.0.content.parts.0"); p != NULL; p = p->next) {
        const struct ccp_json *args = at(p, "functionCall.args");
        append(core, at(p, "thought") != NULL ? &got->thinking : &got->text, at(p, "text"));
        if (args == NULL)
            continue;
        copy(got->tool, sizeof(got->tool), string(p, "functionCall.name"));
        got->arguments.n = args->raw.n;
        memcpy(got->arguments.p, args->raw.p, args->raw.n);
    }
    copy(got->finish, sizeof(got->finish), string(root, "candidates.0.finishReason"));
    got->in = number(root, "usageMetadata.promptTokenCount");
    got->reasoning = number(root, "usageMetadata.thoughtsTokenCount");
    got->out = number(root, "usageMetadata.candidatesTokenCount") + got->reasoning;
    assert_int_equal(number(root, "usageMetadata.totalTokenCount"), got->in + got->out);
}

/* -- streams -- */

/* Next event of *rest; false at the end. Checks that the name is the data's type where there is a name. */
static bool next_event(struct ccp_span *rest, struct ccp_span *name, struct ccp_span *data)
{
    *name = *data = CCP_SPAN("");
    if (rest->n == 0)
        return false;
    while (rest->n != 0) {
        size_t n = ccp_span_find(*rest, '\n');
        struct ccp_span line = ccp_span_of(rest->p, n);
        assert_true(n < rest->n); /* every line ends */
        *rest = ccp_span_skip(*rest, n + 1);
        if (line.n != 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0)
            return true;
        if (ccp_span_starts(line, CCP_SPAN("event: ")))
            *name = ccp_span_skip(line, 7);
        else if (ccp_span_starts(line, CCP_SPAN("data: ")))
            *data = ccp_span_skip(line, 6);
        else
            fail_msg("odd line: %.*s", CCP_FMT(line));
    }
    fail_msg("the last event has no blank line");
    return false;
}

static void delta_anthropic(struct core *core, const struct ccp_json *e, struct got *got)
{
    if (!is(e, "delta.type", "signature_delta"))
        got->tokens++;
    append(core, &got->thinking, at(e, "delta.thinking"));
    append(core, &got->text, at(e, "delta.text"));
    append(core, &got->arguments, at(e, "delta.partial_json"));
}

static void stream_anthropic(struct core *core, struct ccp_span rest, struct got *got)
{
    struct ccp_span name, data;
    bool open = false, stopped = false;
    size_t index = 0;
    uint64_t in = 0;
    while (next_event(&rest, &name, &data)) {
        const struct ccp_json *e = parse(core, data);
        assert_true(ccp_span_eq(string(e, "type"), name));
        assert_false(stopped);
        if (got->events++ == 0) {
            assert_true(is(e, "type", "message_start"));
            in = number(e, "message.usage.input_tokens");
        } else if (is(e, "type", "content_block_start")) {
            assert_false(open);
            assert_int_equal(number(e, "index"), index);
            copy(got->tool, sizeof(got->tool), string(e, "content_block.name"));
            open = true;
        } else if (is(e, "type", "content_block_delta")) {
            assert_true(open);
            assert_int_equal(number(e, "index"), index);
            delta_anthropic(core, e, got);
        } else if (is(e, "type", "content_block_stop")) {
            assert_true(open);
            assert_int_equal(number(e, "index"), index++);
            open = false;
        } else if (is(e, "type", "message_delta")) {
            assert_false(open);
            copy(got->finish, sizeof(got->finish), string(e, "delta.stop_reason"));
            got->in = number(e, "usage.input_tokens");
            got->out = number(e, "usage.output_tokens");
            got->reasoning = number(e, "usage.output_tokens_details.thinking_tokens");
            assert_int_equal(got->in, in);
        } else if (is(e, "type", "message_stop")) {
            stopped = true;
        } else {
            assert_true(is(e, "type", "ping"));
        }
    }
    assert_true(stopped);
}

static void stream_chat(struct core *core, struct ccp_span rest, struct got *got)
{
    struct ccp_span name, data;
    bool done = false;
    while (next_event(&rest, &name, &data)) {
        assert_false(done);
        assert_int_equal(name.n, 0);
        if ((done = ccp_span_is(data, "[DONE]")))
            continue;
        const struct ccp_json *e = parse(core, data), *delta = at(e, "choices.0.delta");
        if (got->events++ == 0)
            assert_true(is(delta, "role", "assistant"));
        else if (string(delta, "content").n + string(delta, "reasoning_content").n +
                     string(delta, "tool_calls.0.function.arguments").n !=
                 0)
            got->tokens++;
        append(core, &got->thinking, at(delta, "reasoning_content"));
        append(core, &got->text, at(delta, "content"));
        append(core, &got->arguments, at(delta, "tool_calls.0.function.arguments"));
        if (string(delta, "tool_calls.0.function.name").n != 0)
            copy(got->tool, sizeof(got->tool), string(delta, "tool_calls.0.function.name"));
        if (string(e, "choices.0.finish_reason").n != 0)
            copy(got->finish, sizeof(got->finish), string(e, "choices.0.finish_reason"));
        if (at(e, "usage") != NULL && at(e, "usage")->type == CCP_JSON_OBJECT) {
            assert_int_equal(at(e, "choices")->count, 0);
            usage_chat(at(e, "usage"), got);
        }
    }
    assert_true(done);
}

static void stream_responses(struct core *core, struct ccp_span rest, struct got *got)
{
    struct ccp_span name, data;
    struct str items = {.n = 0};
    struct str now = {.n = 0};
    size_t done_items = 0;
    bool ended = false, open = false;
    while (next_event(&rest, &name, &data)) {
        const struct ccp_json *e = parse(core, data);
        assert_true(ccp_span_eq(string(e, "type"), name));
        assert_int_equal(number(e, "sequence_number"), got->events);
        assert_false(ended);
        if (got->events++ < 2) {
            assert_true(is(e, "type", got->events == 1 ? "response.created" : "response.in_progress"));
            assert_true(is(e, "response.status", "in_progress"));
            assert_int_equal(at(e, "response.output")->count, 0);
        } else if (is(e, "type", "response.output_item.added")) {
            assert_false(open);
            open = true;
            now.n = 0;
            assert_int_equal(number(e, "output_index"), done_items);
        } else if (ccp_span_ends(name, CCP_SPAN(".delta"))) {
            got->tokens++;
            append(core, &now, at(e, "delta"));
        } else if (is(e, "type", "response.output_item.done")) {
            struct ccp_span raw = at(e, "item")->raw;
            assert_true(open);
            open = false;
            if (done_items++ != 0)
                items.p[items.n++] = ',';
            memcpy(items.p + items.n, raw.p, raw.n);
            items.n += raw.n;
        } else if (ccp_span_ends(name, CCP_SPAN("text.done")) || ccp_span_ends(name, CCP_SPAN("arguments.done"))) {
            struct str whole = {.n = 0};
            append(core, &whole, at(e, at(e, "text") != NULL ? "text" : "arguments"));
            assert_int_equal(whole.n, now.n);
            assert_memory_equal(whole.p, now.p, now.n);
        } else if (is(e, "type", "response.completed") || is(e, "type", "response.incomplete")) {
            struct ccp_span output = at(e, "response.output")->raw;
            assert_int_equal(output.n, items.n + 2);
            assert_memory_equal(output.p + 1, items.p, items.n);
            whole_responses(core, at(e, "response"), got);
            ended = true;
        } else {
            assert_true(ccp_span_ends(name, CCP_SPAN("part.added")) || ccp_span_ends(name, CCP_SPAN("part.done")));
        }
    }
    assert_true(ended && !open);
}

static void gemini_chunk(struct core *core, const struct ccp_json *e, struct got *got)
{
    assert_int_equal(strlen(got->finish), 0); /* nothing after the last one */
    got->events++;
    got->tokens += string(e, "candidates.0.content.parts.0.text").n != 0;
    whole_gemini(core, e, got);
}

static void stream_gemini(struct core *core, struct ccp_span rest, struct got *got)
{
    struct ccp_span name, data;
    while (next_event(&rest, &name, &data))
        gemini_chunk(core, parse(core, data), got);
    assert_true(strlen(got->finish) != 0);
}

static void array_gemini(struct core *core, struct ccp_span body, struct got *got)
{
    for (const struct ccp_json *e = parse(core, body)->child; e != NULL; e = e->next)
        gemini_chunk(core, e, got);
    assert_true(strlen(got->finish) != 0);
}

static void collect(struct core *core, enum shape shape, enum mode mode, struct got *got)
{
    static void (*const whole[])(struct core *, const struct ccp_json *,
                                 struct got *) = {whole_anthropic, whole_chat, whole_responses, whole_gemini};
    static void (*const stream[])(struct core *, struct ccp_span, struct got *) = {stream_anthropic, stream_chat,
                                                                                   stream_responses, stream_gemini};
    struct ccp_span body = ccp_span_of(core->body, core->body_n);
    memset(got, 0, sizeof(*got));
    assert_int_equal(core->heads, 1);
    assert_int_equal(core->dones, 1);
    assert_int_equal(core->end, CCP_OK);
    assert_int_equal(core->status, 200);
    assert_false(core->started_back);
    if (mode == WHOLE)
        whole[shape](core, parse(core, body), got);
    else if (mode == STREAM)
        stream[shape](core, body, got);
    else
        array_gemini(core, body, got);
    assert_string_equal(core->content_type, mode == STREAM ? "text/event-stream; charset=utf-8" : "application/json");
}

#endif

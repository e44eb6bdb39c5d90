/*
 * Judge of Anthropic Messages answers (wire reference A.5, A.9).
 */
#include "answer.h"

#include <stdio.h>
#include <string.h>

static void usage(struct answer *a, const json_t *u, bool whole)
{
    static const char *const names[] = {"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
                                        "output_tokens"};
    if (!json_is_object(u)) {
        object_to(a, "usage is no object");
        return;
    }
    for (int i = 0; i <= OUTPUT; i++)
        if (js_is_number(js_get(u, names[i])))
            a->count[i] = js_number(js_get(u, names[i]));
        else if (whole && (i == INPUT || i == OUTPUT))
            object_to(a, "usage without %s", names[i]);
    const json_t *thinking = js_get(js_get(u, "output_tokens_details"), "thinking_tokens");
    if (thinking != NULL)
        a->count[REASONING] = js_number(thinking);
    a->usage = true;
}

static void stop(struct answer *a, const json_t *from)
{
    static const char *const words[][2] = {
        {"end_turn", "end"},      {"stop_sequence", "stop_seq"},
        {"max_tokens", "length"}, {"tool_use", "tool"},
        {"pause_turn", "pause"},  {"refusal", "refusal"},
        {"compaction", "end"},    {"model_context_window_exceeded", "length"},
    };
    const json_t *reason = js_get(from, "stop_reason"), *sequence = js_get(from, "stop_sequence");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (js_is(reason, words[i][0]))
            answer_stop(a, words[i][1]);
    if (a->stop[0] == '\0')
        object_to(a, "stop_reason %s", js_show(reason));
    if ((sequence != NULL) != (strcmp(a->stop, "stop_seq") == 0))
        object_to(a, "stop_sequence %s with stop_reason %s", js_show(sequence), js_show(reason));
    if ((strcmp(a->stop, "tool") == 0) && !answer_has_calls(a))
        object_to(a, "tool_use without a call");
    a->sequence = json_incref((json_t *)sequence);
}

static void message(struct answer *a, const json_t *m)
{
    if (!js_is(js_get(m, "type"), "message") || !js_is(js_get(m, "role"), "assistant"))
        object_to(a, "no message of the assistant");
    if (strncmp(js_text(js_get(m, "id")), "msg_", 4) != 0)
        object_to(a, "id %s", js_show(js_get(m, "id")));
    answer_same(a, a->id, sizeof(a->id), js_get(m, "id"), "id");
    answer_same(a, a->model, sizeof(a->model), js_get(m, "model"), "model");
    if (!json_is_array(js_get(m, "content")))
        object_to(a, "content is no list");
}

static void call(struct answer *a, json_t *part, const json_t *block)
{
    const char *id = js_text(js_get(block, "id"));
    if (id[0] == '\0' || strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(id))
        object_to(a, "id of a call: %s", js_show(js_get(block, "id")));
    if (js_text(js_get(block, "name"))[0] == '\0')
        object_to(a, "a call without a name");
    if (!json_is_object(js_get(block, "input")))
        object_to(a, "input is no object");
    json_object_set(part, "id", js_get(block, "id"));
    json_object_set(part, "name", js_get(block, "name"));
}

/* A block as it begins, or whole; returns its part. */
static json_t *block_part(struct answer *a, const json_t *block, bool whole)
{
    const json_t *type = js_get(block, "type");
    json_t *part = answer_part(a, js_is(type, "tool_use") ? "call" : js_is(type, "text") ? "text" : "thinking");
    if (js_is(type, "tool_use")) {
        call(a, part, block);
        json_object_set(part, "arguments", js_get(block, "input"));
        return part;
    }
    const char *member = js_is(type, "text") ? "text" : js_is(type, "thinking") ? "thinking" : "data";
    if (strcmp(member, "data") == 0 && !js_is(type, "redacted_thinking"))
        object_to(a, "a block of type %s", js_show(type));
    if (!js_is_text(json_object_get(block, member)))
        object_to(a, "a block without %s", member);
    if (strcmp(member, "data") == 0) {
        json_object_set(part, "proof", js_get(block, "data"));
        json_object_set_new(part, "text", json_string(""));
        return part;
    }
    if (!whole && json_string_length(js_get(block, member)) != 0)
        object_to(a, "a block that begins with content");
    json_object_set(part, "text", js_get(block, member));
    if (json_string_length(js_get(block, "signature")) != 0)
        json_object_set(part, "proof", js_get(block, "signature"));
    return part;
}

void anthropic_whole(struct answer *a, const json_t *root)
{
    message(a, root);
    for (size_t i = 0; i < json_array_size(js_get(root, "content")); i++)
        block_part(a, js_at(js_get(root, "content"), i), true);
    usage(a, js_get(root, "usage"), true);
    stop(a, root);
}

/* -- stream -- */

struct stream {
    int64_t next;
    json_t *open;  /* part of the open block */
    json_t *input; /* its arguments so far */
    bool started, said, over, proven;
};

static void start(struct answer *a, struct stream *s, const json_t *e)
{
    const json_t *m = js_get(e, "message");
    if (s->started)
        object_to(a, "a second message_start");
    s->started = true;
    message(a, m);
    if (json_array_size(js_get(m, "content")) != 0 || js_get(m, "stop_reason") != NULL)
        object_to(a, "message_start that is not empty");
    usage(a, js_get(m, "usage"), true);
}

static void block_start(struct answer *a, struct stream *s, const json_t *e)
{
    if (s->open != NULL || js_number(js_get(e, "index")) != s->next || !js_is_number(js_get(e, "index")))
        object_to(a, "content_block_start at %s, %s is due", js_show(js_get(e, "index")),
                  s->open != NULL ? "the end of a block" : "another");
    s->open = block_part(a, js_get(e, "content_block"), false);
    if (js_is(js_get(s->open, "kind"), "call") && json_object_size(js_get(s->open, "arguments")) != 0)
        object_to(a, "a call that begins with its input");
    json_decref(s->input);
    s->input = json_object();
    s->proven = false;
}

static void block_delta(struct answer *a, struct stream *s, const json_t *e)
{
    const json_t *d = js_get(e, "delta"), *type = js_get(d, "type"), *kind = js_get(s->open, "kind");
    if (s->open == NULL || js_number(js_get(e, "index")) != s->next)
        object_to(a, "a delta of a block that is not open");
    else if (js_is(type, "text_delta") && js_is(kind, "text") && js_is_text(js_get(d, "text")))
        js_append_text(s->open, "text", js_get(d, "text"));
    else if (js_is(type, "thinking_delta") && js_is(kind, "thinking") && js_is_text(js_get(d, "thinking")) &&
             !s->proven)
        js_append_text(s->open, "text", js_get(d, "thinking"));
    else if (js_is(type, "signature_delta") && js_is(kind, "thinking") && js_is_text(js_get(d, "signature")) &&
             !s->proven)
        json_object_set(s->open, "proof", js_get(d, "signature"));
    else if (js_is(type, "input_json_delta") && js_is(kind, "call") && js_is_text(js_get(d, "partial_json")))
        js_append_text(s->input, "json", js_get(d, "partial_json"));
    else
        object_to(a, "%s in a block of %s", js_show(type), js_show(kind));
    s->proven = s->proven || js_is(type, "signature_delta");
}

static void block_stop(struct answer *a, struct stream *s, const json_t *e)
{
    if (s->open == NULL || js_number(js_get(e, "index")) != s->next)
        object_to(a, "content_block_stop at %s", js_show(js_get(e, "index")));
    if (js_is(js_get(s->open, "kind"), "call")) {
        json_t *input = js_load_inner(js_get(s->input, "json"));
        if (!json_is_object(input))
            object_to(a, "input is no JSON object: %s", input != NULL ? js_show(input) : js_error());
        json_object_set_new(s->open, "arguments", input);
    }
    json_decref(s->input);
    s->input = s->open = NULL;
    s->next++;
}

static void one(struct answer *a, struct stream *s, const char *type, const json_t *e)
{
    if (s->over)
        object_to(a, "%s after the end", type);
    else if (strcmp(type, "ping") == 0)
        return;
    else if (strcmp(type, "error") == 0) {
        s->over = true;
        answer_fail(a, js_get(js_get(e, "error"), "message"));
        if (js_text(js_get(js_get(e, "error"), "type"))[0] == '\0')
            object_to(a, "an error without a type");
    } else if (strcmp(type, "message_start") == 0) {
        start(a, s, e);
    } else if (!s->started || (s->said && strcmp(type, "message_stop") != 0)) {
        object_to(a, "%s is out of order", type);
    } else if (strcmp(type, "content_block_start") == 0) {
        block_start(a, s, e);
    } else if (strcmp(type, "content_block_delta") == 0) {
        block_delta(a, s, e);
    } else if (strcmp(type, "content_block_stop") == 0) {
        block_stop(a, s, e);
    } else if (strcmp(type, "message_delta") == 0 && s->open == NULL) {
        s->said = true;
        stop(a, js_get(e, "delta"));
        usage(a, js_get(e, "usage"), false);
    } else if (strcmp(type, "message_stop") == 0 && s->said) {
        s->over = true;
    } else {
        object_to(a, "%s is out of order", type);
    }
}

void anthropic_stream(struct answer *a, const struct happening *h, size_t n)
{
    struct stream s = {0};
    for (size_t i = 0; i < n; i++) {
        json_t *e = js_load(h[i].data, h[i].n);
        if (e == NULL)
            object_to(a, "event %zu is no JSON: %s", i, js_error());
        else if (!js_is(js_get(e, "type"), h[i].name))
            object_to(a, "event %zu is named %s and typed %s", i, h[i].name, js_show(js_get(e, "type")));
        else
            one(a, &s, h[i].name, e);
        json_decref(e);
    }
    json_decref(s.input);
    if (!s.over)
        object_to(a, "no message_stop");
}

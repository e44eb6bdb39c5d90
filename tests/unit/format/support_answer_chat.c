/*
 * Judge of Chat Completions answers (wire reference B.5, B.6).
 */
#include "answer.h"

#include <stdio.h>
#include <string.h>

static void usage(struct answer *a, const json_t *u)
{
    const json_t *in = js_get(u, "prompt_tokens_details"), *out = js_get(u, "completion_tokens_details");
    a->usage = true;
    if (!js_is_number(js_get(u, "prompt_tokens")) || !js_is_number(js_get(u, "completion_tokens")))
        object_to(a, "usage without its numbers");
    a->count[CACHE_READ] = js_number(js_get(in, "cached_tokens"));
    a->count[CACHE_WRITE] = js_number(js_get(in, "cache_write_tokens"));
    a->count[INPUT] = js_number(js_get(u, "prompt_tokens")) - a->count[CACHE_READ] - a->count[CACHE_WRITE];
    a->count[OUTPUT] = js_number(js_get(u, "completion_tokens"));
    a->count[REASONING] = js_number(js_get(out, "reasoning_tokens"));
    if (js_number(js_get(u, "total_tokens")) !=
        js_number(js_get(u, "prompt_tokens")) + js_number(js_get(u, "completion_tokens")))
        object_to(a, "total_tokens is no sum");
}

static void finish(struct answer *a, const json_t *reason)
{
    static const char *const words[][2] = {
        {"stop", "end"}, {"length", "length"}, {"tool_calls", "tool"}, {"content_filter", "refusal"}};
    if (a->stop[0] != '\0')
        object_to(a, "a second finish_reason");
    for (size_t i = 0; i < 4; i++)
        if (js_is(reason, words[i][0]))
            answer_stop(a, words[i][1]);
    if (a->stop[0] == '\0')
        object_to(a, "finish_reason %s", js_show(reason));
    if ((strcmp(a->stop, "tool") == 0) && !answer_has_calls(a))
        object_to(a, "tool_calls without a call");
}

static void identity(struct answer *a, const json_t *root, const char *object)
{
    if (!js_is(js_get(root, "object"), object))
        object_to(a, "object %s", js_show(js_get(root, "object")));
    answer_same(a, a->id, sizeof(a->id), js_get(root, "id"), "id");
    answer_same(a, a->model, sizeof(a->model), js_get(root, "model"), "model");
    if (strncmp(a->id, "chatcmpl-", 9) != 0)
        object_to(a, "id %s", a->id);
    if (js_number(js_get(root, "created")) <= 0)
        object_to(a, "created %s", js_show(js_get(root, "created")));
}

/* The part that text of a kind goes to. Calls come after all text of a Chat message: a judge cannot know more. */
static json_t *plain(struct answer *a, const char *kind)
{
    for (size_t i = 0; i < json_array_size(a->parts); i++)
        if (js_is(js_get(js_at(a->parts, i), "kind"), kind))
            return js_at(a->parts, i);
    json_t *part = json_object();
    json_object_set_new(part, "kind", json_string(kind));
    size_t at = 0;
    while (strcmp(kind, "text") == 0 && at < json_array_size(a->parts) &&
           js_is(js_get(js_at(a->parts, at), "kind"), "thinking"))
        at++;
    json_array_insert_new(a->parts, at, part);
    return part;
}

static void texts(struct answer *a, const json_t *m)
{
    static const char *const members[][2] = {
        {"reasoning_content", "thinking"}, {"content", "text"}, {"refusal", "text"}};
    for (size_t i = 0; i < 3; i++) {
        const json_t *text = js_get(m, members[i][0]);
        if (text != NULL && !js_is_text(text))
            object_to(a, "%s is no string", members[i][0]);
        if (json_string_length(text) != 0)
            js_append_text(plain(a, members[i][1]), "text", text);
    }
}

static void call(struct answer *a, json_t *part, const json_t *c)
{
    bool custom = js_is(js_get(c, "type"), "custom");
    const json_t *f = js_get(c, custom ? "custom" : "function");
    if ((!custom && !js_is(js_get(c, "type"), "function")) || js_text(js_get(c, "id"))[0] == '\0' ||
        js_text(js_get(f, "name"))[0] == '\0')
        object_to(a, "a call without id, type or name: %s", js_show(c));
    if (!js_is_text(js_get(f, custom ? "input" : "arguments")))
        object_to(a, "arguments are no string");
    json_object_set(part, "id", js_get(c, "id"));
    json_object_set(part, "name", js_get(f, "name"));
    if (custom)
        json_object_set_new(part, "custom", json_true());
    json_object_set(part, "json", js_get(f, custom ? "input" : "arguments"));
    const json_t *proof = js_get(js_get(js_get(c, "extra_content"), "google"), "thought_signature");
    if (proof != NULL)
        json_object_set(part, "proof", (json_t *)proof);
}

static void parse_calls(struct answer *a)
{
    for (size_t i = 0; i < json_array_size(a->parts); i++) {
        json_t *part = js_at(a->parts, i);
        if (!js_is(js_get(part, "kind"), "call"))
            continue;
        json_t *arguments =
            js_get(part, "custom") ? json_incref(js_get(part, "json")) : js_load_inner(js_get(part, "json"));
        if (arguments == NULL)
            object_to(a, "arguments are no JSON: %s", js_error());
        else
            json_object_set_new(part, "arguments", arguments);
        json_object_del(part, "json");
    }
}

void chat_whole(struct answer *a, const json_t *root)
{
    const json_t *choice = js_at(js_get(root, "choices"), 0), *m = js_get(choice, "message");
    identity(a, root, "chat.completion");
    if (json_array_size(js_get(root, "choices")) != 1 || js_number(js_get(choice, "index")) != 0)
        object_to(a, "not one choice");
    if (!js_is(js_get(m, "role"), "assistant") || json_object_get(m, "content") == NULL)
        object_to(a, "a message without role or content");
    texts(a, m);
    const json_t *calls = js_get(m, "tool_calls");
    if (calls != NULL && json_array_size(calls) == 0)
        object_to(a, "an empty list of calls");
    for (size_t i = 0; i < json_array_size(calls); i++)
        call(a, answer_part(a, "call"), js_at(calls, i));
    parse_calls(a);
    finish(a, js_get(choice, "finish_reason"));
    if (js_get(root, "usage") != NULL)
        usage(a, js_get(root, "usage"));
}

/* -- stream -- */

struct stream {
    json_t *calls[64];
    size_t count;
    bool begun, done, with_usage;
};

static void call_fragment(struct answer *a, struct stream *s, const json_t *c)
{
    size_t index = (size_t)js_number(js_get(c, "index"));
    if (!js_is_number(js_get(c, "index")) || index > s->count || index >= 64) {
        object_to(a, "a call's index %s", js_show(js_get(c, "index")));
        return;
    }
    if (index == s->count) {
        s->calls[s->count++] = answer_part(a, "call");
        call(a, s->calls[index], c);
        return;
    }
    bool custom = js_get(s->calls[index], "custom") != NULL;
    const json_t *f = js_get(c, custom ? "custom" : "function");
    if (js_get(f, "name") != NULL)
        object_to(a, "a call is named twice");
    if (!js_is_text(js_get(f, custom ? "input" : "arguments")) && js_get(c, "extra_content") == NULL)
        object_to(a, "a fragment without arguments");
    else
        js_append_text(s->calls[index], "json", js_get(f, custom ? "input" : "arguments"));
}

static void chunk(struct answer *a, struct stream *s, const json_t *e)
{
    const json_t *choice = js_at(js_get(e, "choices"), 0), *d = js_get(choice, "delta");
    identity(a, e, "chat.completion.chunk");
    if (!json_is_array(js_get(e, "choices")) || json_array_size(js_get(e, "choices")) > 1)
        object_to(a, "not one choice or none");
    if (js_get(e, "usage") != NULL) {
        if (s->with_usage || choice != NULL || a->stop[0] == '\0')
            object_to(a, "usage in the wrong place");
        s->with_usage = true;
        usage(a, js_get(e, "usage"));
    } else if (choice == NULL) {
        object_to(a, "a chunk that says nothing");
    }
    if (choice == NULL)
        return;
    if (!json_is_object(d) || js_number(js_get(choice, "index")) != 0)
        object_to(a, "a choice without delta, or not of index 0");
    if (!s->begun != (js_get(d, "role") != NULL))
        object_to(a, "role in the wrong place");
    s->begun = true;
    if (a->stop[0] != '\0')
        object_to(a, "a choice after finish_reason");
    texts(a, d);
    for (size_t i = 0; i < json_array_size(js_get(d, "tool_calls")); i++)
        call_fragment(a, s, js_at(js_get(d, "tool_calls"), i));
    if (js_get(choice, "finish_reason") != NULL)
        finish(a, js_get(choice, "finish_reason"));
}

void chat_stream(struct answer *a, const struct happening *h, size_t n)
{
    struct stream s = {0};
    for (size_t i = 0; i < n; i++) {
        bool done = h[i].n == 6 && memcmp(h[i].data, "[DONE]", 6) == 0;
        json_t *e = done ? NULL : js_load(h[i].data, h[i].n);
        if (h[i].name[0] != '\0')
            object_to(a, "an event line");
        if (s.done || a->failed)
            object_to(a, "something after the end");
        else if (done)
            s.done = true;
        else if (e == NULL)
            object_to(a, "event %zu is no JSON: %s", i, js_error());
        else if (js_get(e, "error") != NULL)
            answer_fail(a, js_get(js_get(e, "error"), "message"));
        else
            chunk(a, &s, e);
        json_decref(e);
    }
    if (!a->failed)
        parse_calls(a);
    if (a->failed == s.done)
        object_to(a, s.done ? "[DONE] after an error" : "no [DONE]");
}

/*
 * Judge of Responses answers (wire reference C.4, C.5).
 */
#include "answer.h"

#include <stdio.h>
#include <string.h>

static void usage(struct answer *a, const json_t *u)
{
    const json_t *in = js_get(u, "input_tokens_details"), *out = js_get(u, "output_tokens_details");
    a->usage = true;
    if (!js_is_number(js_get(in, "cached_tokens")) || !js_is_number(js_get(out, "reasoning_tokens")) ||
        !js_is_number(js_get(u, "input_tokens")) || !js_is_number(js_get(u, "output_tokens")))
        object_to(a, "usage without its numbers: %s", js_show(u));
    a->count[CACHE_READ] = js_number(js_get(in, "cached_tokens"));
    a->count[CACHE_WRITE] = js_number(js_get(in, "cache_write_tokens"));
    a->count[INPUT] = js_number(js_get(u, "input_tokens")) - a->count[CACHE_READ] - a->count[CACHE_WRITE];
    a->count[OUTPUT] = js_number(js_get(u, "output_tokens"));
    a->count[REASONING] = js_number(js_get(out, "reasoning_tokens"));
    if (js_number(js_get(u, "total_tokens")) !=
        js_number(js_get(u, "input_tokens")) + js_number(js_get(u, "output_tokens")))
        object_to(a, "total_tokens is no sum");
}

static void object(struct answer *a, const json_t *r, const char *status)
{
    if (!js_is(js_get(r, "object"), "response") || !js_is(js_get(r, "status"), status))
        object_to(a, "no response of status %s but %s", status, js_show(js_get(r, "status")));
    answer_same(a, a->id, sizeof(a->id), js_get(r, "id"), "id");
    answer_same(a, a->model, sizeof(a->model), js_get(r, "model"), "model");
    if (strncmp(a->id, "resp_", 5) != 0)
        object_to(a, "id %s", a->id);
    if (!json_is_array(js_get(r, "output")) || !js_is_number(js_get(r, "created_at")))
        object_to(a, "no output or created_at");
}

static void message_item(struct answer *a, const json_t *item)
{
    if (!js_is(js_get(item, "role"), "assistant"))
        object_to(a, "a message that is not the assistant's");
    for (size_t i = 0; i < json_array_size(js_get(item, "content")); i++) {
        const json_t *part = js_at(js_get(item, "content"), i);
        bool refusal = js_is(js_get(part, "type"), "refusal");
        const json_t *text = json_object_get(part, refusal ? "refusal" : "text");
        if ((!refusal &&
             (!js_is(js_get(part, "type"), "output_text") || !json_is_array(js_get(part, "annotations")))) ||
            !js_is_text(text))
            object_to(a, "content of a message: %s", js_show(part));
        json_object_set(answer_part(a, "text"), "text", (json_t *)text);
    }
}

static void reasoning_item(struct answer *a, const json_t *item)
{
    const json_t *summary = js_get(item, "summary"), *proof = js_get(item, "encrypted_content");
    json_t *part = answer_part(a, "thinking");
    json_object_set_new(part, "text", json_string(""));
    if (!json_is_array(summary))
        object_to(a, "reasoning without summary");
    for (size_t i = 0; i < json_array_size(summary); i++) {
        if (!js_is(js_get(js_at(summary, i), "type"), "summary_text"))
            object_to(a, "a summary of type %s", js_show(js_get(js_at(summary, i), "type")));
        json_object_set_new(part, "text",
                            js_concat(js_get(part, "text"), i != 0 ? "\n\n" : "", js_get(js_at(summary, i), "text")));
    }
    if (proof != NULL)
        json_object_set(part, "proof", (json_t *)proof);
}

static void call_item(struct answer *a, const json_t *item, bool custom)
{
    json_t *part = answer_part(a, "call");
    const json_t *text = js_get(item, custom ? "input" : "arguments");
    json_t *arguments = custom ? json_incref((json_t *)text) : js_load_inner(text);
    if (js_text(js_get(item, "call_id"))[0] == '\0' || js_text(js_get(item, "name"))[0] == '\0' || !js_is_text(text))
        object_to(a, "a call without call_id, name or arguments: %s", js_show(item));
    if (arguments == NULL)
        object_to(a, "arguments are no JSON: %s", js_error());
    else
        json_object_set_new(part, "arguments", arguments);
    if (custom)
        json_object_set_new(part, "custom", json_true());
    json_object_set(part, "id", js_get(item, "call_id"));
    json_object_set(part, "name", js_get(item, "name"));
}

static void take_item(struct answer *a, const json_t *item)
{
    const json_t *type = js_get(item, "type");
    if (js_text(js_get(item, "id"))[0] == '\0')
        object_to(a, "an item without id");
    if (js_is(type, "message"))
        message_item(a, item);
    else if (js_is(type, "reasoning"))
        reasoning_item(a, item);
    else if (js_is(type, "function_call") || js_is(type, "custom_tool_call"))
        call_item(a, item, js_is(type, "custom_tool_call"));
    else
        object_to(a, "an item of type %s", js_show(type));
}

/* The end of a response: status and usage. */
static void ended(struct answer *a, const json_t *r)
{
    const json_t *status = js_get(r, "status"), *reason = js_get(js_get(r, "incomplete_details"), "reason");
    bool completed = js_is(status, "completed");
    if (completed && reason == NULL)
        answer_stop(a, answer_has_calls(a) ? "tool" : "end");
    else if (js_is(status, "incomplete") && js_is(reason, "max_output_tokens"))
        answer_stop(a, "length");
    else if (js_is(status, "incomplete") && js_is(reason, "content_filter"))
        answer_stop(a, "refusal");
    else if (!js_is(status, "failed"))
        object_to(a, "status %s for reason %s", js_show(status), js_show(reason));
    object(a, r, js_text(status));
    const json_t *error = js_get(r, "error");
    if (js_is(status, "failed")) {
        answer_fail(a, js_get(error, "message"));
        if (js_text(js_get(error, "code"))[0] == '\0')
            object_to(a, "an error without a code");
        return;
    }
    if (error != NULL)
        object_to(a, "an error in a good response");
    if (js_get(r, "usage") != NULL)
        usage(a, js_get(r, "usage"));
}

void responses_whole(struct answer *a, const json_t *root)
{
    for (size_t i = 0; i < json_array_size(js_get(root, "output")); i++)
        take_item(a, js_at(js_get(root, "output"), i));
    ended(a, root);
}

/* -- stream -- */

struct stream {
    int64_t next;   /* output_index of the next item */
    json_t *items;  /* done ones */
    json_t *item;   /* the open one as it was added, with "said" and "id" */
    json_t *said;   /* an object: text of the open part or arguments so far */
    char inner[32]; /* kind of the open part of the item, "" = none */
    bool created, over;
};

static void item_added(struct answer *a, struct stream *s, const json_t *e)
{
    const json_t *item = js_get(e, "item");
    if (s->item != NULL || js_number(js_get(e, "output_index")) != s->next)
        object_to(a, "output_item.added at %s", js_show(js_get(e, "output_index")));
    if (json_array_size(js_get(item, "content")) + json_array_size(js_get(item, "summary")) != 0)
        object_to(a, "an item that begins with content");
    if (json_string_length(js_get(item, "arguments")) + json_string_length(js_get(item, "input")) != 0)
        object_to(a, "a call that begins with arguments");
    json_decref(s->item);
    s->item = json_deep_copy(item);
    json_object_clear(s->said);
}

static void item_done(struct answer *a, struct stream *s, const json_t *e)
{
    json_t *item = js_get(e, "item");
    static const char *const same[] = {"id", "type", "call_id", "name", "role"};
    if (s->item == NULL || s->inner[0] != '\0' || js_number(js_get(e, "output_index")) != s->next)
        object_to(a, "output_item.done at %s", js_show(js_get(e, "output_index")));
    for (size_t i = 0; i < 5; i++)
        if (json_object_get(item, same[i]) != json_object_get(s->item, same[i]) &&
            !json_equal(json_object_get(item, same[i]), json_object_get(s->item, same[i])))
            object_to(a, "%s of an item changes", same[i]);
    json_array_append(s->items, item);
    take_item(a, item);
    json_t *last = js_at(a->parts, json_array_size(a->parts) - 1);
    const json_t *told = js_get(s->said, "all");
    if (js_is(js_get(last, "kind"), "call")) {
        const json_t *text = js_get(item, js_get(last, "custom") ? "input" : "arguments");
        if (json_string_length(text) != json_string_length(told) || strcmp(js_text(text), js_text(told)) != 0)
            object_to(a, "arguments %s were streamed as %s", js_show(text), js_show(told));
    } else if (json_string_length(told) != json_string_length(js_get(last, "text"))) {
        object_to(a, "text %s was streamed as %s", js_show(js_get(last, "text")), js_show(told));
    }
    json_decref(s->item);
    s->item = NULL;
    s->next++;
}

/* Is this event about the open item? */
static bool in_item(struct answer *a, const struct stream *s, const json_t *e, const char *type)
{
    bool good = s->item != NULL && js_number(js_get(e, "output_index")) == s->next &&
                js_is(js_get(e, "item_id"), js_text(js_get(s->item, "id")));
    if (!good)
        object_to(a, "%s of an item that is not open: %s", type, js_show(e));
    return good;
}

static void said(struct stream *s, const json_t *text)
{
    js_append_text(s->said, "all", text);
    js_append_text(s->said, "part", text);
}

/* Events inside an item, by what they do: open a part, add to it, tell it whole, close it. */
static const struct inner {
    const char *name, *kind, *member;
    char does;
} inners[] = {
    {"response.content_part.added", "content", "part", 'o'},
    {"response.content_part.done", "content", "part", 'c'},
    {"response.output_text.delta", "content", "delta", '+'},
    {"response.output_text.done", "content", "text", '='},
    {"response.refusal.delta", "content", "delta", '+'},
    {"response.refusal.done", "content", "refusal", '='},
    {"response.reasoning_summary_part.added", "summary", "part", 'o'},
    {"response.reasoning_summary_part.done", "summary", "part", 'c'},
    {"response.reasoning_summary_text.delta", "summary", "delta", '+'},
    {"response.reasoning_summary_text.done", "summary", "text", '='},
    {"response.function_call_arguments.delta", "", "delta", '+'},
    {"response.function_call_arguments.done", "", "arguments", '='},
    {"response.custom_tool_call_input.delta", "", "delta", '+'},
    {"response.custom_tool_call_input.done", "", "input", '='},
};

static void inside(struct answer *a, struct stream *s, const struct inner *i, const json_t *e)
{
    const json_t *value = js_get(e, i->member);
    if (!in_item(a, s, e, i->name))
        return;
    if (strcmp(s->inner, i->does == 'o' ? "" : i->kind) != 0)
        object_to(a, "%s while %s is open", i->name, s->inner[0] != '\0' ? s->inner : "nothing");
    if (i->kind[0] != '\0' && !js_is_number(js_get(e, i->kind[0] == 'c' ? "content_index" : "summary_index")))
        object_to(a, "%s without its index", i->name);
    if (i->does == 'o') {
        snprintf(s->inner, sizeof(s->inner), "%s", i->kind);
        json_object_del(s->said, "part");
        if (strcmp(i->kind, "summary") == 0 && json_object_get(s->said, "all") != NULL)
            json_object_set_new(s->said, "all", js_concat(js_get(s->said, "all"), "\n\n", NULL));
    } else if (i->does == '+' && js_is_text(value)) {
        said(s, value);
    } else if (i->does == '=' && js_is_text(value)) {
        if (strcmp(js_text(value), js_text(js_get(s->said, "part"))) != 0)
            object_to(a, "%s repeats %s as %s", i->name, js_show(js_get(s->said, "part")), js_show(value));
    } else if (i->does == 'c') {
        s->inner[0] = '\0';
        const json_t *text = js_get(value, js_is(js_get(value, "type"), "refusal") ? "refusal" : "text");
        if (strcmp(js_text(text), js_text(js_get(s->said, "part"))) != 0)
            object_to(a, "%s repeats %s as %s", i->name, js_show(js_get(s->said, "part")), js_show(text));
    } else {
        object_to(a, "%s without %s", i->name, i->member);
    }
}

static void terminal(struct answer *a, struct stream *s, const char *type, const json_t *e)
{
    const json_t *r = js_get(e, "response");
    s->over = true;
    if (!js_is(js_get(r, "status"), type + strlen("response.")))
        object_to(a, "%s of status %s", type, js_show(js_get(r, "status")));
    ended(a, r);
    if (a->failed)
        return;
    if (s->item != NULL)
        object_to(a, "%s while an item is open", type);
    const char *diff = js_diff(js_get(r, "output"), s->items);
    if (diff != NULL)
        object_to(a, "the final output is not what was streamed: %s", diff);
}

static void one(struct answer *a, struct stream *s, const char *type, const json_t *e)
{
    if (s->over) {
        object_to(a, "%s after the end", type);
    } else if (strcmp(type, "error") == 0) {
        s->over = true;
        answer_fail(a, js_get(e, "message"));
    } else if (strcmp(type, "response.created") == 0 || strcmp(type, "response.in_progress") == 0) {
        if (s->created == (type[9] == 'c'))
            object_to(a, "%s is out of order", type);
        s->created = true;
        object(a, js_get(e, "response"), "in_progress");
        if (json_array_size(js_get(js_get(e, "response"), "output")) != 0)
            object_to(a, "a response that begins with output");
    } else if (!s->created) {
        object_to(a, "%s before response.created", type);
    } else if (strcmp(type, "response.output_item.added") == 0) {
        item_added(a, s, e);
    } else if (strcmp(type, "response.output_item.done") == 0) {
        item_done(a, s, e);
    } else if (strcmp(type, "response.completed") == 0 || strcmp(type, "response.incomplete") == 0 ||
               strcmp(type, "response.failed") == 0) {
        terminal(a, s, type, e);
    } else {
        for (size_t i = 0; i < sizeof(inners) / sizeof(inners[0]); i++)
            if (strcmp(type, inners[i].name) == 0) {
                inside(a, s, &inners[i], e);
                return;
            }
        object_to(a, "an event %s", type);
    }
}

void responses_stream(struct answer *a, const struct happening *h, size_t n)
{
    struct stream s = {.items = json_array(), .said = json_object()};
    for (size_t i = 0; i < n; i++) {
        json_t *e = js_load(h[i].data, h[i].n);
        if (e == NULL)
            object_to(a, "event %zu is no JSON: %s", i, js_error());
        else if (!js_is(js_get(e, "type"), h[i].name))
            object_to(a, "event %zu is named %s and typed %s", i, h[i].name, js_show(js_get(e, "type")));
        else if (js_number(js_get(e, "sequence_number")) != (int64_t)i || !js_is_number(js_get(e, "sequence_number")))
            object_to(a, "event %zu is number %s", i, js_show(js_get(e, "sequence_number")));
        else
            one(a, &s, h[i].name, e);
        json_decref(e);
    }
    json_decref(s.items);
    json_decref(s.item);
    json_decref(s.said);
    if (!s.over)
        object_to(a, "no terminal event");
}

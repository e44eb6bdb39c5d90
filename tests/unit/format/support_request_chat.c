/*
 * Chat Completions requests: the judge (wire reference B.2 - B.4) and the writer for generated conversations.
 */
#include "request.h"

#include <string.h>

static void content_part(struct request *r, json_t *turn, const json_t *p)
{
    const json_t *type = js_get(p, "type");
    if (js_is(type, "text")) {
        request_text(turn, js_get(p, "text"));
    } else if (js_is(type, "refusal")) {
        request_text(turn, js_get(p, "refusal"));
    } else if (js_is(type, "image_url")) {
        request_media(request_part(turn, "image"), js_get(js_get(p, "image_url"), "url"));
    } else if (js_is(type, "file")) {
        json_t *part = request_part(turn, "document"), *file = js_get(p, "file");
        request_media(part, js_get(file, "file_data"));
        if (js_get(file, "filename") != NULL)
            json_object_set(part, "title", js_get(file, "filename"));
    } else {
        turn_down(r, "a part of type %s", js_show(type));
    }
}

static void content(struct request *r, json_t *turn, const json_t *m)
{
    json_t *list = text_or_list(js_get(m, "content"), "text");
    for (size_t i = 0; i < json_array_size(list); i++)
        content_part(r, turn, js_at(list, i));
    json_decref(list);
}

static void call(struct request *r, json_t *turn, const json_t *c)
{
    json_t *part = request_part(turn, "call"), *f = js_get(c, "function");
    json_t *arguments = js_load_inner(js_get(f, "arguments"));
    if (!js_is(js_get(c, "type"), "function") || js_text(js_get(c, "id"))[0] == '\0' ||
        js_text(js_get(f, "name"))[0] == '\0' || !js_is_text(js_get(f, "arguments")))
        turn_down(r, "a call %s", js_show(c));
    if (arguments == NULL)
        turn_down(r, "arguments %s", js_error());
    json_object_set(part, "id", js_get(c, "id"));
    json_object_set(part, "name", js_get(f, "name"));
    json_object_set_new(part, "arguments", arguments);
    if (json_string_length(js_get(c, "id")) > 64 || json_string_length(js_get(f, "name")) > 64)
        turn_down(r, "an id or name longer than 64: %s", js_show(c));
}

static void assistant(struct request *r, const json_t *m)
{
    json_t *turn = request_turn(r, "assistant");
    const json_t *thinking = js_get(m, "reasoning_content"), *calls = js_get(m, "tool_calls");
    if (thinking != NULL)
        json_object_set(request_part(turn, "thinking"), "text", (json_t *)thinking);
    content(r, turn, m);
    request_text(turn, js_get(m, "refusal"));
    for (size_t i = 0; i < json_array_size(calls); i++)
        call(r, turn, js_at(calls, i));
    if (js_get(m, "content") == NULL && json_array_size(calls) == 0 && js_get(m, "refusal") == NULL)
        turn_down(r, "an assistant that says nothing");
    if (calls != NULL && json_array_size(calls) == 0)
        turn_down(r, "an empty list of calls");
}

static void tool(struct request *r, const json_t *m)
{
    json_t *part = request_part(request_turn(r, "user"), "result"), *list = text_or_list(js_get(m, "content"), "text");
    json_object_set(part, "id", js_get(m, "tool_call_id"));
    json_object_set_new(part, "parts", json_array());
    if (js_get(m, "content") == NULL)
        turn_down(r, "a tool message without content");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!js_is(js_get(js_at(list, i), "type"), "text"))
            turn_down(r, "a tool message with %s", js_show(js_get(js_at(list, i), "type")));
        request_text(part, js_get(js_at(list, i), "text"));
    }
    json_decref(list);
}

/* Behind an assistant's calls stand exactly their tool messages. */
static void check_order(struct request *r, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *calls = js_get(js_at(list, i), "tool_calls");
        size_t n = json_array_size(calls);
        for (size_t k = 0; k < n; k++) {
            const json_t *answer = js_at(list, i + 1 + k);
            if (!js_is(js_get(answer, "role"), "tool") ||
                js_diff(js_get(answer, "tool_call_id"), js_get(js_at(calls, k), "id")) != NULL)
                turn_down(r, "call %s is not answered right behind it", js_show(js_get(js_at(calls, k), "id")));
        }
        const json_t *next = js_at(list, i + 1 + n);
        if (!js_is(js_get(js_at(list, i), "role"), "tool") && js_is(js_get(next, "role"), "tool"))
            turn_down(r, "a tool message that answers nothing");
    }
}

static void tools(struct request *r, json_t *root)
{
    json_t *list = js_get(root, "tools"), *choice = js_get(root, "tool_choice"), *all = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *copy = json_copy(js_get(js_at(list, i), "function"));
        if (!js_is(js_get(js_at(list, i), "type"), "function"))
            turn_down(r, "a tool %s", js_show(js_at(list, i)));
        if (js_get(copy, "parameters") != NULL)
            json_object_set(copy, "schema", js_get(copy, "parameters"));
        json_object_del(copy, "parameters");
        json_array_append_new(all, copy);
    }
    if (list != NULL)
        json_object_set(r->neutral, "tools", all);
    json_decref(all);
    if (js_is(choice, "required")) {
        json_object_set_new(r->neutral, "choice", json_string("any"));
    } else if (json_is_object(choice)) {
        json_t *named = json_object();
        json_object_set(named, "name", js_get(js_get(choice, "function"), "name"));
        json_object_set_new(r->neutral, "choice", named);
    } else if (choice != NULL) {
        json_object_set(r->neutral, "choice", choice);
    }
    json_object_del(root, "tools");
    json_object_del(root, "tool_choice");
}

void chat_request(struct request *r, json_t *root)
{
    static const char *const moved[] = {
        "max_tokens", "max",  "max_completion_tokens", "max",    "temperature", "temperature", "top_p", "top_p",
        "stop",       "stop", "reasoning_effort",      "effort", NULL};
    json_t *list = js_get(root, "messages");
    bool front = true;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = js_at(list, i), *role = js_get(m, "role");
        bool of_system = js_is(role, "system") || js_is(role, "developer");
        front = front && of_system;
        if (front && js_is_text(js_get(m, "content")))
            request_system(r, js_get(m, "content"));
        else if (front)
            for (size_t k = 0; k < json_array_size(js_get(m, "content")); k++)
                request_system(r, js_get(js_at(js_get(m, "content"), k), "text"));
        else if (of_system || js_is(role, "user"))
            content(r, request_turn(r, of_system ? "system" : "user"), m);
        else if (js_is(role, "assistant"))
            assistant(r, m);
        else if (js_is(role, "tool"))
            tool(r, m);
        else
            turn_down(r, "a message of role %s", js_show(role));
    }
    check_order(r, list);
    if (json_array_size(list) == 0)
        turn_down(r, "no messages");
    tools(r, root);
    json_object_del(root, "messages");
    request_move(r, root, moved);
}

/* -- writing -- */

static json_t *write_content(const json_t *parts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = js_at(parts, i);
        json_t *p = json_object();
        bool image = js_is(js_get(part, "kind"), "image");
        if (!image && !js_is(js_get(part, "kind"), "text")) {
            json_decref(p);
            continue;
        }
        json_object_set_new(p, "type", json_string(image ? "image_url" : "text"));
        if (image) {
            json_object_set_new(p, "image_url", json_object());
            json_object_set_new(js_get(p, "image_url"), "url", media_url(part));
        } else {
            json_object_set(p, "text", js_get(part, "text"));
        }
        json_array_append_new(list, p);
    }
    if (json_array_size(list) == 1 && js_is(js_get(js_at(list, 0), "type"), "text")) {
        json_t *text = json_incref(js_get(js_at(list, 0), "text"));
        json_decref(list);
        return text;
    }
    return list;
}

static json_t *write_calls(const json_t *parts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = js_at(parts, i);
        if (!js_is(js_get(part, "kind"), "call"))
            continue;
        json_t *c = json_object(), *f = json_object();
        json_object_set(c, "id", js_get(part, "id"));
        json_object_set_new(c, "type", json_string("function"));
        json_object_set(f, "name", js_get(part, "name"));
        json_object_set_new(f, "arguments", json_text_of(js_get(part, "arguments")));
        json_object_set_new(c, "function", f);
        json_array_append_new(list, c);
    }
    return list;
}

/* Results go out one by one; a failed one says so in words, images of results follow in a user message. */
static void write_results(json_t *messages, const json_t *parts, json_t *images)
{
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = js_at(parts, i);
        if (!js_is(js_get(part, "kind"), "result"))
            continue;
        json_t *m = json_object(), *texts = json_array();
        for (size_t k = 0; k < json_array_size(js_get(part, "parts")); k++) {
            json_t *inner = js_at(js_get(part, "parts"), k);
            json_array_append(js_is(js_get(inner, "kind"), "text") ? texts : images, inner);
        }
        json_object_set_new(m, "role", json_string("tool"));
        json_object_set(m, "tool_call_id", js_get(part, "id"));
        json_object_set_new(m, "content", write_content(texts));
        if (json_array_size(js_get(m, "content")) == 0 && !js_is_text(js_get(m, "content")))
            json_object_set_new(m, "content", json_string(""));
        json_decref(texts);
        json_array_append_new(messages, m);
    }
}

static void write_turn(json_t *messages, const json_t *turn)
{
    const json_t *parts = js_get(turn, "parts");
    json_t *m = json_object(), *calls = write_calls(parts), *others = json_array();
    write_results(messages, parts, others);
    json_array_extend(others, (json_t *)parts);
    json_object_set(m, "role", js_get(turn, "role"));
    json_object_set_new(m, "content", write_content(others));
    bool empty = !js_is_text(js_get(m, "content")) && json_array_size(js_get(m, "content")) == 0;
    if (empty)
        json_object_set_new(m, "content", json_null());
    if (json_array_size(calls) != 0)
        json_object_set(m, "tool_calls", calls);
    if (!empty || json_array_size(calls) != 0)
        json_array_append(messages, m);
    json_decref(m);
    json_decref(calls);
    json_decref(others);
}

json_t *chat_body(const json_t *neutral)
{
    json_t *root = json_object(), *messages = json_array(), *tools = json_array();
    json_object_set_new(root, "model", json_string("gpt-test-1"));
    json_object_set(root, "max_completion_tokens", js_get(neutral, "max"));
    if (js_get(neutral, "system") != NULL) {
        json_t *m = json_object();
        json_object_set_new(m, "role", json_string("system"));
        json_object_set(m, "content", js_get(neutral, "system"));
        json_array_append_new(messages, m);
    }
    for (size_t i = 0; i < json_array_size(js_get(neutral, "turns")); i++)
        write_turn(messages, js_at(js_get(neutral, "turns"), i));
    for (size_t i = 0; i < json_array_size(js_get(neutral, "tools")); i++) {
        json_t *f = json_copy(js_at(js_get(neutral, "tools"), i)), *t = json_object();
        json_object_set(f, "parameters", js_get(f, "schema"));
        json_object_del(f, "schema");
        json_object_set_new(t, "type", json_string("function"));
        json_object_set_new(t, "function", f);
        json_array_append_new(tools, t);
    }
    if (json_array_size(tools) != 0)
        json_object_set(root, "tools", tools);
    json_decref(tools);
    json_object_set_new(root, "messages", messages);
    return root;
}

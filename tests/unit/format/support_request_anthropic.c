/*
 * Anthropic Messages requests: the judge (wire reference A.3, A.4) and the writer for generated conversations.
 */
#include "request.h"

#include <string.h>

static void media(struct request *r, json_t *part, const json_t *block)
{
    const json_t *source = js_get(block, "source"), *type = js_get(source, "type");
    if (js_is(type, "base64")) {
        json_object_set(part, "mime", js_get(source, "media_type"));
        json_object_set(part, "data", js_get(source, "data"));
        if (js_text(js_get(source, "media_type"))[0] == '\0' || !js_is_text(js_get(source, "data")))
            turn_down(r, "a base64 source without media_type or data");
    } else if (js_is(type, "url")) {
        json_object_set(part, "url", js_get(source, "url"));
    } else if (js_is(type, "text")) {
        json_object_set(part, "data", js_get(source, "data"));
    } else {
        turn_down(r, "a source of type %s", js_show(type));
    }
    if (js_get(block, "title") != NULL)
        json_object_set(part, "title", js_get(block, "title"));
}

static void block(struct request *r, json_t *turn, const json_t *b);

static void result(struct request *r, json_t *turn, const json_t *b)
{
    json_t *part = request_part(turn, "result"), *content = text_or_list(js_get(b, "content"), "text");
    json_object_set(part, "id", js_get(b, "tool_use_id"));
    json_object_set_new(part, "parts", json_array());
    if (json_is_true(js_get(b, "is_error")))
        json_object_set_new(part, "failed", json_true());
    for (size_t i = 0; i < json_array_size(content); i++)
        block(r, part, js_at(content, i));
    json_decref(content);
}

static void block(struct request *r, json_t *turn, const json_t *b)
{
    const json_t *type = js_get(b, "type");
    if (js_is(type, "text")) {
        if (strspn(js_text(js_get(b, "text")), " \t\r\n") == json_string_length(js_get(b, "text")))
            turn_down(r, "an empty text block");
        request_text(turn, js_get(b, "text"));
    } else if (js_is(type, "image") || js_is(type, "document")) {
        media(r, request_part(turn, js_text(type)), b);
    } else if (js_is(type, "thinking") || js_is(type, "redacted_thinking")) {
        json_t *part = request_part(turn, "thinking"), *proof = js_get(b, "signature");
        json_object_set(part, "text", js_get(b, "thinking"));
        json_object_set(part, "proof", proof != NULL ? proof : js_get(b, "data"));
    } else if (js_is(type, "tool_use")) {
        json_t *part = request_part(turn, "call");
        json_object_set(part, "id", js_get(b, "id"));
        json_object_set(part, "name", js_get(b, "name"));
        json_object_set(part, "arguments", js_get(b, "input"));
        if (!json_is_object(js_get(b, "input")))
            turn_down(r, "input is no object");
    } else if (js_is(type, "tool_result")) {
        result(r, turn, b);
    } else {
        turn_down(r, "a block of type %s", js_show(type));
    }
}

/* Results answer exactly the calls of the message before, in front of everything else. */
static void check_results(struct request *r, const json_t *before, const json_t *turn)
{
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(js_get(before, "parts")); i++) {
        const json_t *call = js_at(js_get(before, "parts"), i), *answer = js_at(js_get(turn, "parts"), at);
        if (!js_is(js_get(call, "kind"), "call"))
            continue;
        if (!js_is(js_get(answer, "kind"), "result") || js_diff(js_get(call, "id"), js_get(answer, "id")) != NULL)
            turn_down(r, "call %s is not answered right behind it", js_show(js_get(call, "id")));
        at++;
    }
    for (; at < json_array_size(js_get(turn, "parts")); at++)
        if (js_is(js_get(js_at(js_get(turn, "parts"), at), "kind"), "result"))
            turn_down(r, "a result that answers nothing");
}

static void tools(struct request *r, json_t *root)
{
    json_t *list = js_get(root, "tools"), *choice = js_get(root, "tool_choice"), *all = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *tool = json_object();
        static const char *const names[][2] = {
            {"name", "name"}, {"description", "description"}, {"input_schema", "schema"}};
        for (size_t k = 0; k < 3; k++)
            if (js_get(js_at(list, i), names[k][0]) != NULL)
                json_object_set(tool, names[k][1], js_get(js_at(list, i), names[k][0]));
        if (!js_is(js_get(js_get(tool, "schema"), "type"), "object"))
            turn_down(r, "a tool whose schema is no object's");
        json_array_append_new(all, tool);
    }
    if (list != NULL)
        json_object_set(r->neutral, "tools", all);
    json_decref(all);
    if (js_is(js_get(choice, "type"), "tool")) {
        json_t *named = json_object();
        json_object_set(named, "name", js_get(choice, "name"));
        json_object_set_new(r->neutral, "choice", named);
    } else if (choice != NULL) {
        json_object_set(r->neutral, "choice", js_get(choice, "type"));
    }
    json_object_del(root, "tools");
    json_object_del(root, "tool_choice");
}

static void effort(struct request *r, json_t *root)
{
    const json_t *thinking = js_get(root, "thinking");
    json_t *level = js_get(js_get(root, "output_config"), "effort");
    if (level != NULL)
        json_object_set(r->neutral, "effort", level);
    else if (js_is(js_get(thinking, "type"), "enabled"))
        json_object_set(r->neutral, "budget", js_get(thinking, "budget_tokens"));
    json_object_del(root, "thinking");
    json_object_del(js_get(root, "output_config"), "effort");
    if (json_object_size(js_get(root, "output_config")) == 0)
        json_object_del(root, "output_config");
}

void anthropic_request(struct request *r, json_t *root)
{
    static const char *const moved[] = {"max_tokens", "max",   "temperature",    "temperature", "top_p", "top_p",
                                        "top_k",      "top_k", "stop_sequences", "stop",        NULL};
    json_t *list = js_get(root, "messages"), *before = NULL, *texts = text_or_list(js_get(root, "system"), "text");
    for (size_t i = 0; i < json_array_size(texts); i++)
        request_system(r, js_get(js_at(texts, i), "text"));
    json_decref(texts);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = js_at(list, i);
        const char *role = js_text(js_get(m, "role"));
        json_t *turn = request_turn(r, role), *content = text_or_list(js_get(m, "content"), "text");
        if ((strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0 && strcmp(role, "system") != 0) ||
            (i == 0 && strcmp(role, "user") != 0))
            turn_down(r, "message %zu is of role %s", i, role);
        if (before != NULL && js_is(js_get(before, "role"), role))
            turn_down(r, "two messages of role %s", role);
        for (size_t k = 0; k < json_array_size(content); k++)
            block(r, turn, js_at(content, k));
        if (json_array_size(content) == 0)
            turn_down(r, "message %zu is empty", i);
        json_decref(content);
        if (strcmp(role, "user") == 0)
            check_results(r, before, turn);
        before = turn;
    }
    if (!js_is_number(js_get(root, "max_tokens")) || json_array_size(list) == 0)
        turn_down(r, "no max_tokens or no messages");
    tools(r, root);
    effort(r, root);
    json_object_del(root, "messages");
    json_object_del(root, "system");
    request_move(r, root, moved);
}

/* -- writing -- */

static json_t *write_parts(const json_t *parts);

static json_t *write_part(const json_t *part)
{
    json_t *b = json_object();
    const char *kind = js_text(js_get(part, "kind"));
    json_object_set_new(b, "type",
                        json_string(strcmp(kind, "call") == 0     ? "tool_use"
                                    : strcmp(kind, "result") == 0 ? "tool_result"
                                                                  : kind));
    if (strcmp(kind, "text") == 0) {
        json_object_set(b, "text", js_get(part, "text"));
    } else if (strcmp(kind, "thinking") == 0) {
        json_object_set(b, "thinking", js_get(part, "text"));
        json_object_set(b, "signature", js_get(part, "proof"));
    } else if (strcmp(kind, "call") == 0) {
        json_object_set(b, "id", js_get(part, "id"));
        json_object_set(b, "name", js_get(part, "name"));
        json_object_set(b, "input", js_get(part, "arguments"));
    } else if (strcmp(kind, "result") == 0) {
        json_object_set(b, "tool_use_id", js_get(part, "id"));
        json_object_set_new(b, "content", write_parts(js_get(part, "parts")));
        if (js_get(part, "failed") != NULL)
            json_object_set_new(b, "is_error", json_true());
    } else {
        bool url = js_get(part, "url") != NULL;
        json_t *source = json_object();
        json_object_set_new(source, "type", json_string(url ? "url" : "base64"));
        if (url)
            json_object_set(source, "url", js_get(part, "url"));
        else
            json_object_set(source, "media_type", js_get(part, "mime"));
        if (!url)
            json_object_set(source, "data", js_get(part, "data"));
        json_object_set_new(b, "source", source);
    }
    return b;
}

static json_t *write_parts(const json_t *parts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(parts); i++)
        json_array_append_new(list, write_part(js_at(parts, i)));
    return list;
}

json_t *anthropic_body(const json_t *neutral)
{
    json_t *root = json_object(), *messages = json_array(), *tools = json_array();
    json_object_set_new(root, "model", json_string("claude-test-1"));
    json_object_set(root, "max_tokens", js_get(neutral, "max"));
    if (js_get(neutral, "system") != NULL)
        json_object_set(root, "system", js_get(neutral, "system"));
    for (size_t i = 0; i < json_array_size(js_get(neutral, "turns")); i++) {
        const json_t *turn = js_at(js_get(neutral, "turns"), i);
        json_t *m = json_object();
        json_object_set(m, "role", js_get(turn, "role"));
        json_object_set_new(m, "content", write_parts(js_get(turn, "parts")));
        json_array_append_new(messages, m);
    }
    for (size_t i = 0; i < json_array_size(js_get(neutral, "tools")); i++) {
        json_t *tool = json_copy(js_at(js_get(neutral, "tools"), i));
        json_object_set(tool, "input_schema", js_get(tool, "schema"));
        json_object_del(tool, "schema");
        json_array_append_new(tools, tool);
    }
    if (json_array_size(tools) != 0)
        json_object_set(root, "tools", tools);
    json_decref(tools);
    json_object_set_new(root, "messages", messages);
    return root;
}

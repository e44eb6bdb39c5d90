/*
 * Responses requests: the judge (wire reference C.1 - C.3) and the writer for generated conversations.
 */
#include "request.h"

#include <string.h>

static void content_part(struct request *r, json_t *turn, const json_t *p, bool assistant)
{
    const json_t *type = js_get(p, "type");
    if (js_is(type, "output_text") || js_is(type, "input_text")) {
        if (assistant != js_is(type, "output_text"))
            turn_down(r, "%s of the wrong role", js_text(type));
        request_text(turn, js_get(p, "text"));
    } else if (js_is(type, "refusal")) {
        request_text(turn, js_get(p, "refusal"));
    } else if (js_is(type, "input_image")) {
        request_media(request_part(turn, "image"), js_get(p, "image_url"));
    } else if (js_is(type, "input_file")) {
        json_t *part = request_part(turn, "document"), *url = js_get(p, "file_url");
        request_media(part, url != NULL ? url : js_get(p, "file_data"));
        if (js_get(p, "filename") != NULL)
            json_object_set(part, "title", js_get(p, "filename"));
    } else {
        turn_down(r, "a part of type %s", js_show(type));
    }
}

static void message(struct request *r, const json_t *item, bool *front)
{
    const json_t *role = js_get(item, "role");
    bool assistant = js_is(role, "assistant"), of_system = js_is(role, "system") || js_is(role, "developer");
    if (!assistant && !of_system && !js_is(role, "user"))
        turn_down(r, "a message of role %s", js_show(role));
    json_t *list = text_or_list(js_get(item, "content"), assistant ? "output_text" : "input_text");
    *front = *front && of_system;
    json_t *turn = *front ? NULL : request_turn(r, assistant ? "assistant" : of_system ? "system" : "user");
    if (json_array_size(list) == 0)
        turn_down(r, "a message without content");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (*front)
            request_system(r, js_get(js_at(list, i), "text"));
        else
            content_part(r, turn, js_at(list, i), assistant);
    json_decref(list);
}

static void call(struct request *r, const json_t *item)
{
    json_t *part = request_part(request_turn(r, "assistant"), "call");
    json_t *arguments = js_load_inner(js_get(item, "arguments"));
    if (arguments == NULL)
        turn_down(r, "arguments %s", js_error());
    if (json_string_length(js_get(item, "call_id")) > 64 || js_text(js_get(item, "call_id"))[0] == '\0' ||
        js_text(js_get(item, "name"))[0] == '\0')
        turn_down(r, "a call %s", js_show(item));
    json_object_set(part, "id", js_get(item, "call_id"));
    json_object_set(part, "name", js_get(item, "name"));
    json_object_set_new(part, "arguments", arguments);
}

static void result(struct request *r, const json_t *item)
{
    json_t *part = request_part(request_turn(r, "user"), "result"),
           *list = text_or_list(js_get(item, "output"), "input_text");
    json_object_set(part, "id", js_get(item, "call_id"));
    json_object_set_new(part, "parts", json_array());
    if (js_get(item, "output") == NULL)
        turn_down(r, "a result without output");
    for (size_t i = 0; i < json_array_size(list); i++)
        content_part(r, part, js_at(list, i), false);
    json_decref(list);
}

static void reasoning(struct request *r, const json_t *item)
{
    json_t *part = request_part(request_turn(r, "assistant"), "thinking"), *text = json_string("");
    for (size_t i = 0; i < json_array_size(js_get(item, "summary")); i++) {
        json_t *more = js_concat(text, i != 0 ? "\n\n" : "", js_get(js_at(js_get(item, "summary"), i), "text"));
        json_decref(text);
        text = more;
    }
    json_object_set_new(part, "text", text);
    if (js_get(item, "encrypted_content") != NULL)
        json_object_set(part, "proof", js_get(item, "encrypted_content"));
    if (!json_is_array(js_get(item, "summary")))
        turn_down(r, "reasoning without summary");
}

/* Every call has its output behind it, and the other way round. */
static void check_pairs(struct request *r, const json_t *list)
{
    json_t *open = json_object();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = js_at(list, i);
        const char *id = js_text(js_get(item, "call_id"));
        if (js_is(js_get(item, "type"), "function_call"))
            json_object_set_new(open, id, json_true());
        else if (js_is(js_get(item, "type"), "function_call_output") && json_object_del(open, id) != 0)
            turn_down(r, "No tool call found for function call output %s", id);
    }
    const char *id;
    json_t *value;
    json_object_foreach(open, id, value) turn_down(r, "No tool output found for function call %s", id);
    json_decref(open);
}

static void tools(struct request *r, json_t *root)
{
    json_t *list = js_get(root, "tools"), *choice = js_get(root, "tool_choice"), *all = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *tool = json_copy(js_at(list, i));
        if (!js_is(js_get(tool, "type"), "function") || json_object_get(tool, "strict") == NULL)
            turn_down(r, "a tool that is no function or whose strictness is left open: %s", js_show(tool));
        if (js_get(tool, "parameters") != NULL)
            json_object_set(tool, "schema", js_get(tool, "parameters"));
        json_object_del(tool, "parameters");
        json_object_del(tool, "type");
        json_object_del(tool, "strict");
        json_array_append_new(all, tool);
    }
    if (list != NULL)
        json_object_set(r->neutral, "tools", all);
    json_decref(all);
    if (js_is(choice, "required")) {
        json_object_set_new(r->neutral, "choice", json_string("any"));
    } else if (json_is_object(choice)) {
        json_t *named = json_object();
        json_object_set(named, "name", js_get(choice, "name"));
        json_object_set_new(r->neutral, "choice", named);
    } else if (choice != NULL) {
        json_object_set(r->neutral, "choice", choice);
    }
    json_object_del(root, "tools");
    json_object_del(root, "tool_choice");
}

void responses_request(struct request *r, json_t *root)
{
    static const char *const moved[] = {
        "max_output_tokens", "max", "temperature", "temperature", "top_p", "top_p", NULL};
    json_t *list = text_or_list(js_get(root, "input"), "message");
    bool front = true;
    request_system(r, js_get(root, "instructions"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = js_at(list, i), *type = js_get(item, "type");
        bool is_message = type == NULL || js_is(type, "message");
        front = front && is_message;
        if (is_message && js_get(item, "role") != NULL)
            message(r, item, &front);
        else if (is_message)
            request_text(request_turn(r, "user"), js_get(item, "text"));
        else if (js_is(type, "function_call"))
            call(r, item);
        else if (js_is(type, "function_call_output"))
            result(r, item);
        else if (js_is(type, "reasoning"))
            reasoning(r, item);
        else
            turn_down(r, "an item of type %s", js_show(type));
    }
    check_pairs(r, list);
    if (json_array_size(list) == 0)
        turn_down(r, "no input");
    json_decref(list);
    tools(r, root);
    if (js_get(js_get(root, "reasoning"), "effort") != NULL)
        json_object_set(r->neutral, "effort", js_get(js_get(root, "reasoning"), "effort"));
    if (!json_is_false(js_get(root, "store")))
        turn_down(r, "the answer would be stored");
    static const char *const free_to_say[] = {"reasoning", "store", "include", "input", "instructions"};
    for (size_t i = 0; i < 5; i++)
        json_object_del(root, free_to_say[i]);
    request_move(r, root, moved);
}

/* -- writing -- */

static json_t *write_content(const json_t *parts, bool assistant)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = js_at(parts, i);
        bool image = js_is(js_get(part, "kind"), "image");
        if (!image && !js_is(js_get(part, "kind"), "text"))
            continue;
        json_t *p = json_object();
        json_object_set_new(p, "type", json_string(image ? "input_image" : assistant ? "output_text" : "input_text"));
        if (image)
            json_object_set_new(p, "image_url", media_url(part));
        else
            json_object_set(p, "text", js_get(part, "text"));
        if (assistant)
            json_object_set_new(p, "annotations", json_array());
        json_array_append_new(list, p);
    }
    return list;
}

static void write_item(json_t *input, const json_t *part)
{
    bool call = js_is(js_get(part, "kind"), "call");
    json_t *item = json_object();
    if (!call && !js_is(js_get(part, "kind"), "result")) {
        json_decref(item);
        return;
    }
    json_object_set_new(item, "type", json_string(call ? "function_call" : "function_call_output"));
    json_object_set(item, "call_id", js_get(part, "id"));
    if (call) {
        json_object_set(item, "name", js_get(part, "name"));
        json_object_set_new(item, "arguments", json_text_of(js_get(part, "arguments")));
    } else {
        json_object_set_new(item, "output", write_content(js_get(part, "parts"), false));
    }
    json_array_append_new(input, item);
}

static void write_turn(json_t *input, const json_t *turn)
{
    const json_t *parts = js_get(turn, "parts");
    bool assistant = js_is(js_get(turn, "role"), "assistant");
    json_t *content = write_content(parts, assistant), *m = json_object();
    for (size_t i = 0; !assistant && i < json_array_size(parts); i++)
        write_item(input, js_at(parts, i));
    json_object_set_new(m, "type", json_string("message"));
    json_object_set(m, "role", js_get(turn, "role"));
    json_object_set(m, "content", content);
    if (json_array_size(content) != 0)
        json_array_append(input, m);
    for (size_t i = 0; assistant && i < json_array_size(parts); i++)
        write_item(input, js_at(parts, i));
    json_decref(content);
    json_decref(m);
}

json_t *responses_body(const json_t *neutral)
{
    json_t *root = json_object(), *input = json_array(), *tools = json_array();
    json_object_set_new(root, "model", json_string("gpt-test-1"));
    json_object_set(root, "max_output_tokens", js_get(neutral, "max"));
    json_object_set_new(root, "store", json_false());
    if (js_get(neutral, "system") != NULL)
        json_object_set(root, "instructions", js_get(neutral, "system"));
    for (size_t i = 0; i < json_array_size(js_get(neutral, "turns")); i++)
        write_turn(input, js_at(js_get(neutral, "turns"), i));
    for (size_t i = 0; i < json_array_size(js_get(neutral, "tools")); i++) {
        json_t *t = json_copy(js_at(js_get(neutral, "tools"), i));
        json_object_set_new(t, "type", json_string("function"));
        json_object_set(t, "parameters", js_get(t, "schema"));
        json_object_del(t, "schema");
        json_object_set_new(t, "strict", json_false());
        json_array_append_new(tools, t);
    }
    if (json_array_size(tools) != 0)
        json_object_set(root, "tools", tools);
    json_decref(tools);
    json_object_set_new(root, "input", input);
    return root;
}

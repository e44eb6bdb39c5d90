/*
 * Gemini requests: the judge (wire reference D.2 - D.5) and the writer for generated conversations.
 */
#include "request.h"

#include <ctype.h>
#include <string.h>

static void media(json_t *turn, const json_t *d, bool file)
{
    const json_t *mime = js_get(d, "mimeType");
    bool image = strncmp(js_text(mime), "image/", 6) == 0;
    json_t *part = request_part(turn, image ? "image" : "document");
    if (file) {
        json_object_set(part, "url", js_get(d, "fileUri"));
    } else {
        json_object_set(part, "mime", (json_t *)mime);
        json_object_set(part, "data", js_get(d, "data"));
    }
    if (js_get(d, "displayName") != NULL)
        json_object_set(part, "title", js_get(d, "displayName"));
}

/* {"output": x}, {"error": x} or the result itself. */
static void result(struct request *r, json_t *turn, const json_t *f)
{
    json_t *part = request_part(turn, "result"), *response = js_get(f, "response"), *value = response;
    bool failed = js_get(response, "error") != NULL;
    if (!json_is_object(response) || js_text(js_get(f, "name"))[0] == '\0')
        turn_down(r, "functionResponse %s", js_show(f));
    if (json_object_size(response) == 1 && (failed || json_object_get(response, "output") != NULL))
        value = json_object_get(response, failed ? "error" : "output");
    json_object_set(part, "name", js_get(f, "name"));
    json_object_set(part, "id", js_get(f, "id"));
    json_object_set_new(part, "parts", json_array());
    if (failed && value != response)
        json_object_set_new(part, "failed", json_true());
    json_t *text = js_is_text(value) && !js_is_number(value) ? json_incref(value) : json_text_of(value);
    request_text(part, text);
    json_decref(text);
    for (size_t i = 0; i < json_array_size(js_get(f, "parts")); i++)
        media(part, js_get(js_at(js_get(f, "parts"), i), "inlineData"), false);
}

static void part(struct request *r, json_t *turn, const json_t *p)
{
    const json_t *call = js_get(p, "functionCall"), *proof = js_get(p, "thoughtSignature");
    size_t before = json_array_size(js_get(turn, "parts"));
    if (js_get(p, "text") != NULL && js_get(p, "thought") != NULL) {
        json_object_set(request_part(turn, "thinking"), "text", js_get(p, "text"));
    } else if (js_get(p, "text") != NULL) {
        request_text(turn, js_get(p, "text"));
    } else if (js_get(p, "inlineData") != NULL) {
        media(turn, js_get(p, "inlineData"), false);
    } else if (js_get(p, "fileData") != NULL) {
        media(turn, js_get(p, "fileData"), true);
    } else if (call != NULL) {
        json_t *c = request_part(turn, "call");
        json_object_set(c, "id", js_get(call, "id"));
        json_object_set(c, "name", js_get(call, "name"));
        json_object_set(c, "arguments", js_get(call, "args"));
        if (js_text(js_get(call, "name"))[0] == '\0' || !json_is_object(js_get(call, "args")))
            turn_down(r, "functionCall %s", js_show(call));
    } else if (js_get(p, "functionResponse") != NULL) {
        result(r, turn, js_get(p, "functionResponse"));
    } else {
        turn_down(r, "a part %s", js_show(p));
    }
    if (proof != NULL && json_array_size(js_get(turn, "parts")) > before)
        json_object_set(js_at(js_get(turn, "parts"), before), "proof", (json_t *)proof);
}

static size_t count(const json_t *turn, const char *kind)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(js_get(turn, "parts")); i++)
        n += js_is(js_get(js_at(js_get(turn, "parts"), i), "kind"), kind);
    return n;
}

/* As many responses as calls, in the turn right behind, of the same names in the same order. */
static void check_pairs(struct request *r, const json_t *turns)
{
    for (size_t i = 0; i < json_array_size(turns); i++) {
        const json_t *turn = js_at(turns, i), *next = js_at(turns, i + 1);
        if (count(turn, "call") != count(next, "result"))
            turn_down(r, "%zu calls in turn %zu, %zu responses behind it", count(turn, "call"), i,
                      count(next, "result"));
        size_t at = 0;
        for (size_t k = 0; k < json_array_size(js_get(turn, "parts")); k++) {
            const json_t *call = js_at(js_get(turn, "parts"), k), *answer;
            if (!js_is(js_get(call, "kind"), "call"))
                continue;
            while ((answer = js_at(js_get(next, "parts"), at)) != NULL && !js_is(js_get(answer, "kind"), "result"))
                at++;
            at++;
            if (js_diff(js_get(call, "name"), js_get(answer, "name")) != NULL)
                turn_down(r, "call %s is answered by %s", js_show(js_get(call, "name")),
                          js_show(js_get(answer, "name")));
        }
    }
}

static void tools(struct request *r, json_t *root)
{
    json_t *all = json_array(), *choice = js_get(js_get(root, "toolConfig"), "functionCallingConfig");
    for (size_t i = 0; i < json_array_size(js_get(root, "tools")); i++) {
        const json_t *list = js_get(js_at(js_get(root, "tools"), i), "functionDeclarations");
        for (size_t k = 0; k < json_array_size(list); k++) {
            json_t *tool = json_copy(js_at(list, k)), *schema = js_get(tool, "parametersJsonSchema");
            if (schema != NULL)
                json_object_set(tool, "schema", schema);
            json_object_del(tool, "parametersJsonSchema");
            json_array_append_new(all, tool);
        }
    }
    if (js_get(root, "tools") != NULL)
        json_object_set(r->neutral, "tools", all);
    json_decref(all);
    if (json_array_size(js_get(choice, "allowedFunctionNames")) != 0) {
        json_t *named = json_object();
        json_object_set(named, "name", js_at(js_get(choice, "allowedFunctionNames"), 0));
        json_object_set_new(r->neutral, "choice", named);
    } else if (choice != NULL) {
        char mode[32] = "";
        for (size_t i = 0; i < sizeof(mode) - 1 && i < json_string_length(js_get(choice, "mode")); i++)
            mode[i] = (char)tolower((unsigned char)js_text(js_get(choice, "mode"))[i]);
        json_object_set_new(r->neutral, "choice", json_string(mode));
    }
    json_object_del(root, "tools");
    json_object_del(root, "toolConfig");
}

static void generation(struct request *r, json_t *root)
{
    static const char *const moved[] = {
        "maxOutputTokens", "max",           "temperature", "temperature", "topP", "top_p", "topK",
        "top_k",           "stopSequences", "stop",        NULL};
    json_t *g = js_get(root, "generationConfig"), *thinking = js_get(g, "thinkingConfig");
    const char *level = js_text(js_get(thinking, "thinkingLevel"));
    char word[16] = "";
    for (size_t i = 0; level[i] != '\0' && i < sizeof(word) - 1; i++)
        word[i] = (char)tolower((unsigned char)level[i]);
    if (word[0] != '\0')
        json_object_set_new(r->neutral, "effort", json_string(word));
    else if (js_get(thinking, "thinkingBudget") != NULL)
        json_object_set(r->neutral, "budget", js_get(thinking, "thinkingBudget"));
    json_object_del(g, "thinkingConfig");
    request_move(r, g, moved);
    if (json_object_size(g) == 0)
        json_object_del(root, "generationConfig");
}

void gemini_request(struct request *r, json_t *root)
{
    json_t *list = js_get(root, "contents"), *texts = js_get(js_get(root, "systemInstruction"), "parts");
    const json_t *before = NULL;
    for (size_t i = 0; i < json_array_size(texts); i++)
        request_system(r, js_get(js_at(texts, i), "text"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *content = js_at(list, i), *role = js_get(content, "role"), *parts = js_get(content, "parts");
        json_t *turn = request_turn(r, js_is(role, "model") ? "assistant" : "user");
        if (!js_is(role, "model") && !js_is(role, "user"))
            turn_down(r, "content of role %s", js_show(role));
        if ((before != NULL && js_diff(before, role) == NULL) || (i == 0 && js_is(role, "model")))
            turn_down(r, "roles do not take turns from the user's");
        before = role;
        for (size_t k = 0; k < json_array_size(parts); k++)
            part(r, turn, js_at(parts, k));
        if (json_array_size(parts) == 0)
            turn_down(r, "content %zu without parts", i);
    }
    check_pairs(r, js_get(r->neutral, "turns"));
    if (json_array_size(list) == 0)
        turn_down(r, "no contents");
    tools(r, root);
    generation(r, root);
    json_object_del(root, "contents");
    json_object_del(root, "systemInstruction");
}

/* -- writing -- */

static json_t *write_media(const json_t *part)
{
    json_t *d = json_object(), *p = json_object();
    bool url = js_get(part, "url") != NULL;
    json_object_set_new(d, "mimeType", url ? json_string("image/png") : json_incref(js_get(part, "mime")));
    if (url)
        json_object_set(d, "fileUri", js_get(part, "url"));
    else
        json_object_set(d, "data", js_get(part, "data"));
    json_object_set_new(p, url ? "fileData" : "inlineData", d);
    return p;
}

static json_t *write_call(const json_t *part)
{
    json_t *f = json_object(), *p = json_object();
    if (js_get(part, "id") != NULL)
        json_object_set(f, "id", js_get(part, "id"));
    json_object_set(f, "name", js_get(part, "name"));
    json_object_set(f, "args", js_get(part, "arguments"));
    json_object_set_new(p, "functionCall", f);
    return p;
}

/* A result's text is one; its images stand behind it. */
static void write_result(json_t *list, const json_t *part)
{
    json_t *f = json_object(), *p = json_object(), *response = json_object(), *text = json_string("");
    size_t texts = 0;
    json_object_set_new(p, "functionResponse", f);
    json_array_append_new(list, p);
    for (size_t i = 0; i < json_array_size(js_get(part, "parts")); i++) {
        const json_t *inner = js_at(js_get(part, "parts"), i);
        if (!js_is(js_get(inner, "kind"), "text")) {
            json_array_append_new(list, write_media(inner));
            continue;
        }
        json_t *more = js_concat(text, texts++ != 0 ? "\n" : "", js_get(inner, "text"));
        json_decref(text);
        text = more;
    }
    if (js_get(part, "id") != NULL)
        json_object_set(f, "id", js_get(part, "id"));
    json_object_set(f, "name", js_get(part, "name"));
    json_object_set_new(response, js_get(part, "failed") != NULL ? "error" : "output", text);
    json_object_set_new(f, "response", response);
}

json_t *gemini_body(const json_t *neutral)
{
    json_t *root = json_object(), *contents = json_array(), *tools = json_array();
    for (size_t i = 0; i < json_array_size(js_get(neutral, "turns")); i++) {
        const json_t *turn = js_at(js_get(neutral, "turns"), i), *parts = js_get(turn, "parts");
        json_t *content = json_object(), *list = json_array();
        for (size_t k = 0; k < json_array_size(parts); k++) {
            const json_t *p = js_at(parts, k), *kind = js_get(p, "kind");
            if (js_is(kind, "result"))
                write_result(list, p);
            else
                json_array_append_new(list, js_is(kind, "text")   ? json_pack("{s:O}", "text", js_get(p, "text"))
                                            : js_is(kind, "call") ? write_call(p)
                                                                  : write_media(p));
        }
        json_object_set_new(content, "role", json_string(js_is(js_get(turn, "role"), "assistant") ? "model" : "user"));
        json_object_set_new(content, "parts", list);
        json_array_append_new(contents, content);
    }
    if (js_get(neutral, "system") != NULL)
        json_object_set_new(root, "systemInstruction",
                            json_pack("{s:[{s:O}]}", "parts", "text", js_get(neutral, "system")));
    for (size_t i = 0; i < json_array_size(js_get(neutral, "tools")); i++) {
        json_t *t = json_copy(js_at(js_get(neutral, "tools"), i));
        json_object_set(t, "parametersJsonSchema", js_get(t, "schema"));
        json_object_del(t, "schema");
        json_array_append_new(tools, t);
    }
    if (json_array_size(tools) != 0)
        json_object_set_new(root, "tools", json_pack("[{s:O}]", "functionDeclarations", tools));
    json_decref(tools);
    json_object_set_new(root, "generationConfig", json_pack("{s:O}", "maxOutputTokens", js_get(neutral, "max")));
    json_object_set_new(root, "contents", contents);
    return root;
}

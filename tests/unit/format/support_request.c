/*
 * What the judges of requests share; see request.h.
 */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void turn_down(struct request *r, const char *fmt, ...)
{
    if (r->problem[0] != '\0')
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->problem, sizeof(r->problem), fmt, ap);
    va_end(ap);
}

json_t *request_turn(struct request *r, const char *role)
{
    json_t *turn = json_object();
    json_object_set_new(turn, "role", json_string(role));
    json_object_set_new(turn, "parts", json_array());
    json_array_append_new(js_get(r->neutral, "turns"), turn);
    return turn;
}

json_t *request_part(json_t *turn, const char *kind)
{
    json_t *part = json_object();
    json_object_set_new(part, "kind", json_string(kind));
    json_array_append_new(js_get(turn, "parts"), part);
    return part;
}

void request_text(json_t *turn, const json_t *text)
{
    if (js_is_text(text))
        json_object_set(request_part(turn, "text"), "text", (json_t *)text);
}

void request_media(json_t *part, const json_t *url)
{
    const char *text = js_text(url), *comma = strstr(text, ";base64,");
    if (strncmp(text, "data:", 5) != 0 || comma == NULL) {
        json_object_set(part, "url", (json_t *)url);
        return;
    }
    json_object_set_new(part, "mime", json_stringn(text + 5, (size_t)(comma - text) - 5));
    json_object_set_new(part, "data", json_string(comma + 8));
}

void request_system(struct request *r, const json_t *text)
{
    json_t *before = js_get(r->neutral, "system");
    if (js_is_text(text))
        json_object_set_new(r->neutral, "system",
                            before != NULL ? js_concat(before, "\n\n", text) : js_concat(text, "", NULL));
}

void request_move(struct request *r, json_t *root, const char *const *names)
{
    for (; names[0] != NULL; names += 2) {
        json_t *value = js_get(root, names[0]);
        if (value != NULL)
            json_object_set(r->neutral, names[1], value);
        json_object_del(root, names[0]);
    }
}

json_t *text_or_list(const json_t *content, const char *type)
{
    if (!js_is_text(content))
        return json_is_array(content) ? json_incref((json_t *)content) : json_array();
    json_t *part = json_object(), *list = json_array();
    json_object_set_new(part, "type", json_string(type));
    json_object_set(part, "text", (json_t *)content);
    json_array_append_new(list, part);
    return list;
}

struct request request_read(int format, const char *text, size_t n)
{
    void (*const judges[])(struct request *, json_t *) = {anthropic_request, chat_request, responses_request,
                                                          gemini_request};
    struct request r = {NULL, ""};
    json_t *root = js_load_lenient(text, n);
    if (!json_is_object(root)) {
        turn_down(&r, "no JSON object: %s", js_error());
        json_decref(root);
        return r;
    }
    r.neutral = json_object();
    json_object_set_new(r.neutral, "turns", json_array());
    judges[format](&r, root);
    if (js_get(root, "stream") != NULL && json_is_false(js_get(root, "stream")))
        json_object_del(root, "stream");
    json_object_del(root, "model");
    json_object_set_new(r.neutral, "rest", root);
    return r;
}

void request_free(struct request *r)
{
    json_decref(r->neutral);
    r->neutral = NULL;
}

/* -- canonical form -- */

/* A result of Chat has no images: the text says where they are. */
static json_t *without_pointer(json_t *text)
{
    const char *from = js_text(text), *at = memmem(from, json_string_length(text), "\n[attachment ", 13);
    json_t *rest = at != NULL ? json_stringn(from, (size_t)(at - from)) : json_incref(text);
    json_decref(text);
    return rest;
}

/* Text of a result in one, an error said in words, JSON text as JSON. */
static void canon_result(json_t *result, json_t *behind, bool move)
{
    json_t *text = NULL, *others = json_array(), *list = js_get(result, "parts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *part = js_at(list, i);
        if (!js_is(js_get(part, "kind"), "text")) {
            json_array_append(move ? behind : others, part);
            continue;
        }
        json_t *joined =
            text != NULL ? js_concat(text, "\n", js_get(part, "text")) : js_concat(js_get(part, "text"), "", NULL);
        json_decref(text);
        text = joined;
    }
    if (js_get(result, "failed") != NULL && strncmp(js_text(text), "Error", 5) != 0) {
        json_t *said = json_string("Error: "), *joined = js_concat(said, "", text);
        json_decref(said);
        json_decref(text);
        text = joined;
    }
    if (move && text != NULL)
        text = without_pointer(text);
    json_object_del(result, "failed");
    json_object_del(result, "name"); /* only Gemini tells it */
    json_t *value = text != NULL ? js_load_lenient(js_text(text), json_string_length(text)) : NULL;
    if (json_is_object(value) || json_is_array(value))
        json_object_set(result, "json", value);
    else if (text != NULL)
        json_object_set(result, "text", text);
    json_decref(value);
    json_decref(text);
    json_object_set_new(result, "parts", others);
}

static bool is_text(const json_t *part)
{
    return js_is(js_get(part, "kind"), "text") || js_is(js_get(part, "kind"), "thinking");
}

static void append(json_t *parts, const json_t *part)
{
    json_t *last = js_at(parts, json_array_size(parts) - 1);
    if (is_text(part) && json_string_length(js_get(part, "text")) == 0)
        return;
    if (last != NULL && js_is(js_get(part, "kind"), "text") && js_is(js_get(last, "kind"), "text"))
        js_append_text(last, "text", js_get(part, "text"));
    else
        json_array_append_new(parts, json_deep_copy(part));
}

static void canon_turn(json_t *to, const json_t *parts, unsigned how)
{
    json_t *behind = json_array(), *all = js_get(to, "parts");
    for (int results = 1; results >= 0; results--) {
        for (size_t i = 0; i < json_array_size(parts); i++) {
            bool result = js_is(js_get(js_at(parts, i), "kind"), "result");
            bool thinking = js_is(js_get(js_at(parts, i), "kind"), "thinking");
            if (result != results || (thinking && (how & THINKING_GOES)))
                continue;
            json_t *copy = json_deep_copy(js_at(parts, i));
            if (result)
                canon_result(copy, behind, how & IMAGES_BEHIND);
            json_object_del(copy, "proof");
            append(all, copy);
            json_decref(copy);
        }
        for (size_t i = 0; results && i < json_array_size(behind); i++)
            append(all, js_at(behind, i));
    }
    json_decref(behind);
}

static void count_ids(json_t *parts, json_t *known)
{
    for (size_t i = 0; i < json_array_size(parts); i++) {
        json_t *part = js_at(parts, i), *id = js_get(part, "id");
        bool call = js_is(js_get(part, "kind"), "call");
        char number[32];
        if (!call && !js_is(js_get(part, "kind"), "result"))
            continue;
        if (call || js_get(known, js_text(id)) == NULL) {
            snprintf(number, sizeof(number), "id %zu", json_object_size(known) + (call ? 0 : 1000));
            json_object_set_new(known, js_text(id), json_string(number));
        }
        json_object_set(part, "id", js_get(known, js_text(id)));
    }
}

json_t *request_canon(const json_t *neutral, unsigned how)
{
    json_t *copy = json_deep_copy(neutral), *from = js_get(copy, "turns"), *turns = json_array(),
           *joined = json_array();
    json_t *last = NULL, *known = json_object();
    for (size_t i = 0; i < json_array_size(from); i++) {
        json_t *turn = js_at(from, i);
        if (last == NULL || !js_is(js_get(last, "role"), js_text(js_get(turn, "role")))) {
            last = json_object();
            json_object_set(last, "role", js_get(turn, "role"));
            json_object_set_new(last, "parts", json_array());
            json_array_append_new(joined, last);
        }
        json_array_extend(js_get(last, "parts"), js_get(turn, "parts"));
    }
    for (size_t i = 0; i < json_array_size(joined); i++) {
        json_t *turn = json_object(), *source = js_at(joined, i);
        json_object_set(turn, "role", js_get(source, "role"));
        json_object_set_new(turn, "parts", json_array());
        canon_turn(turn, js_get(source, "parts"), how);
        if (how & IDS_FREE)
            count_ids(js_get(turn, "parts"), known);
        if (json_array_size(js_get(turn, "parts")) != 0)
            json_array_append(turns, turn);
        json_decref(turn);
    }
    /* Responses takes strictness for granted when nothing is said; the others do not, so that "no" says nothing new. */
    for (size_t i = 0; i < json_array_size(js_get(copy, "tools")); i++)
        if (json_is_false(js_get(js_at(js_get(copy, "tools"), i), "strict")))
            json_object_del(js_at(js_get(copy, "tools"), i), "strict");
    json_object_set_new(copy, "turns", turns);
    json_decref(joined);
    json_decref(known);
    return copy;
}

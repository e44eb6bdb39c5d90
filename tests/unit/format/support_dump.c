/*
 * Writing what js_load reads: numbers by their spelling, strings in one of many spellings.
 */
#include "request.h"
#include "wire.h"

struct text {
    char *p;
    size_t n, room;
    uint32_t seed; /* 0 = plain */
};

static void add(struct text *t, const char *p, size_t n)
{
    while (t->n + n + 1 > t->room)
        t->p = realloc(t->p, t->room = t->room * 2 + 64);
    memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = '\0';
}

static void add_hex(struct text *t, unsigned unit)
{
    char text[8];
    snprintf(text, sizeof(text), unit & 1 ? "\\u%04x" : "\\u%04X", unit);
    add(t, text, 6);
}

/* Bytes of the UTF-8 sequence at p. */
static size_t sequence(const char *p)
{
    unsigned char c = (unsigned char)*p;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static void add_escaped(struct text *t, const char *p, size_t n)
{
    unsigned code = n == 1   ? (unsigned char)p[0]
                    : n == 2 ? (p[0] & 31u) << 6 | (p[1] & 63u)
                    : n == 3 ? (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u)
                             : (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
    if (code >= 0x10000) {
        add_hex(t, 0xd800 + ((code - 0x10000) >> 10));
        code = 0xdc00 + ((code - 0x10000) & 0x3ff);
    }
    add_hex(t, code);
}

/* Words, ids, names, URLs and base64: no encoder escapes their letters, and the product does not look for it. That some
 * (PHP's) escape every slash it must know. */
static bool is_word(const json_t *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/+=;,?&";
    return strspn(json_string_value(s), letters) == json_string_length(s);
}

static void add_string(struct text *t, const json_t *s)
{
    bool word = is_word(s);
    static const char plain[] = "\b\f\n\r\t\"\\/", letters[] = "bfnrt\"\\/";
    const char *p = json_string_value(s), *end = p + json_string_length(s);
    add(t, "\"", 1);
    for (size_t n; p < end; p += n) {
        n = sequence(p);
        const char *special = *p != '\0' ? strchr(plain, *p) : NULL;
        bool must = (unsigned char)*p < 0x20 || *p == '"' || *p == '\\',
             odd = t->seed != 0 && (!word || *p == '/') && rnd_below(&t->seed, 8) == 0;
        if (special != NULL && (must || odd) && (word || !(odd && rnd_below(&t->seed, 2))))
            add(t, (char[]){'\\', letters[special - plain]}, 2);
        else if (must || odd)
            add_escaped(t, p, n);
        else
            add(t, p, n);
    }
    add(t, "\"", 1);
}

static void space(struct text *t)
{
    if (t->seed != 0 && rnd_below(&t->seed, 6) == 0)
        add(t, rnd_below(&t->seed, 2) ? " " : "\n\t", 1);
}

static void dump(struct text *t, const json_t *v)
{
    const char *key;
    json_t *member;
    size_t i = 0;
    space(t);
    if (js_is_number(v)) {
        add(t, js_text(v) + 1, json_string_length(v) - 1);
    } else if (json_is_string(v)) {
        add_string(t, v);
    } else if (json_is_object(v)) {
        add(t, "{", 1);
        json_object_foreach((json_t *)v, key, member)
        {
            json_t *name = json_string(key);
            if (i++ != 0)
                add(t, ",", 1);
            /* Escapes in keys are refused at the top of a body, see wire/json.h. */
            uint32_t seed = t->seed;
            t->seed = 0;
            add_string(t, name);
            t->seed = seed;
            json_decref(name);
            add(t, ":", 1);
            dump(t, member);
        }
        add(t, "}", 1);
    } else if (json_is_array(v)) {
        add(t, "[", 1);
        json_array_foreach((json_t *)v, i, member)
        {
            if (i != 0)
                add(t, ",", 1);
            dump(t, member);
        }
        add(t, "]", 1);
    } else {
        add(t, json_is_true(v) ? "true" : json_is_false(v) ? "false" : "null", json_is_false(v) ? 5 : 4);
    }
    space(t);
}

char *js_dump(const json_t *v, uint32_t seed, size_t *n)
{
    struct text t = {NULL, 0, 0, seed};
    add(&t, "", 0);
    dump(&t, v);
    if (n != NULL)
        *n = t.n;
    return t.p;
}

json_t *json_text_of(const json_t *v)
{
    size_t n;
    char *text = js_dump(v, 0, &n);
    json_t *string = json_stringn(text, n);
    free(text);
    return string;
}

json_t *media_url(const json_t *part)
{
    if (js_get(part, "url") != NULL)
        return json_incref(js_get(part, "url"));
    json_t *head = json_string("data:"), *mime = js_concat(head, "", js_get(part, "mime"));
    json_t *url = js_concat(mime, ";base64,", js_get(part, "data"));
    json_decref(head);
    json_decref(mime);
    return url;
}

/* In Chat and Responses a tool's error is told in words. */
static json_t *say_errors(const json_t *neutral)
{
    json_t *copy = json_deep_copy(neutral), *turns = js_get(copy, "turns"), *word = json_string("Error: ");
    for (size_t i = 0; i < json_array_size(turns); i++) {
        const json_t *parts = js_get(js_at(turns, i), "parts");
        for (size_t k = 0; k < json_array_size(parts); k++) {
            json_t *text = js_at(js_get(js_at(parts, k), "parts"), 0);
            if (js_get(js_at(parts, k), "failed") != NULL)
                json_object_set_new(text, "text", js_concat(word, "", js_get(text, "text")));
        }
    }
    json_decref(word);
    return copy;
}

char *request_write(int format, const json_t *neutral, uint32_t seed, size_t *n)
{
    json_t *(*const bodies[])(const json_t *) = {anthropic_body, chat_body, responses_body, gemini_body};
    json_t *said = format == C || format == R ? say_errors(neutral) : json_incref((json_t *)neutral);
    json_t *root = bodies[format](said);
    char *text = js_dump(root, seed, n);
    json_decref(root);
    json_decref(said);
    return text;
}

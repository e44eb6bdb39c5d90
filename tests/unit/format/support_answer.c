/*
 * What the four judges of answers share; see answer.h.
 */
#include "answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void object_to(struct answer *a, const char *fmt, ...)
{
    if (a->problem[0] != '\0')
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->problem, sizeof(a->problem), fmt, ap);
    va_end(ap);
}

void answer_stop(struct answer *a, const char *word)
{
    snprintf(a->stop, sizeof(a->stop), "%s", word);
}

void answer_fail(struct answer *a, const json_t *message)
{
    a->failed = true;
    if (!js_is_text(message) || js_text(message)[0] == '\0')
        object_to(a, "an error without a message");
    snprintf(a->error, sizeof(a->error), "%s", js_text(message));
}

json_t *answer_part(struct answer *a, const char *kind)
{
    json_t *part = json_object();
    json_object_set_new(part, "kind", json_string(kind));
    json_array_append_new(a->parts, part);
    return part;
}

bool answer_has_calls(const struct answer *a)
{
    for (size_t i = 0; i < json_array_size(a->parts); i++)
        if (js_is(js_get(js_at(a->parts, i), "kind"), "call"))
            return true;
    return false;
}

void answer_same(struct answer *a, char *kept, size_t room, const json_t *value, const char *what)
{
    if (!js_is_text(value) || js_text(value)[0] == '\0')
        object_to(a, "no %s", what);
    else if (kept[0] == '\0')
        snprintf(kept, room, "%s", js_text(value));
    else if (strncmp(kept, js_text(value), room - 1) != 0)
        object_to(a, "%s changes from %s to %s", what, kept, js_text(value));
}

/* -- events -- */

static const char *line_end(const char *p, const char *end)
{
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

static void take_line(struct happening *h, const char *p, size_t n)
{
    if (n >= 7 && memcmp(p, "event: ", 7) == 0) {
        snprintf(h->name, sizeof(h->name), "%.*s", (int)(n - 7), p + 7);
    } else if (n >= 6 && memcmp(p, "data: ", 6) == 0) {
        char *joined = malloc(h->n + n + 1);
        memcpy(joined, h->data != NULL ? h->data : "", h->n);
        size_t at = h->n;
        if (h->data != NULL)
            joined[at++] = '\n';
        memcpy(joined + at, p + 6, n - 6);
        free(h->data);
        h->data = joined;
        h->n = at + n - 6;
        joined[h->n] = '\0';
    }
}

struct happening *happenings_of(const char *text, size_t n, size_t *count, struct answer *a)
{
    size_t room = 16;
    struct happening *all = calloc(room, sizeof(*all));
    const char *end = text + n;
    bool inside = false;
    *count = 0;
    for (const char *p = text; p < end;) {
        const char *stop = line_end(p, end);
        if (stop == p && all[*count].data != NULL) {
            if (++*count == room)
                all = realloc(all, (room *= 2) * sizeof(*all));
            memset(&all[*count], 0, sizeof(*all));
        } else if (stop != p) {
            if (*p != ':' && memcmp(p, "event: ", 7) != 0 && memcmp(p, "data: ", 6) != 0)
                object_to(a, "a line that is no field: %.40s", p);
            take_line(&all[*count], p, (size_t)(stop - p));
        }
        inside = stop != p;
        p = stop < end && stop[0] == '\r' && stop + 1 < end && stop[1] == '\n' ? stop + 2 : stop + 1;
    }
    if (inside || all[*count].data != NULL)
        object_to(a, "the stream ends inside an event");
    free(all[*count].data);
    return all;
}

void happenings_free(struct happening *h, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(h[i].data);
    free(h);
}

/* -- entry -- */

struct answer answer_of_stream(int format, const char *text, size_t n)
{
    void (*const judges[])(struct answer *, const struct happening *, size_t) = {anthropic_stream, chat_stream,
                                                                                 responses_stream, gemini_stream};
    struct answer a = {.parts = json_array()};
    size_t count;
    struct happening *h = happenings_of(text, n, &count, &a);
    if (count == 0)
        object_to(&a, "no event at all");
    else
        judges[format](&a, h, count);
    happenings_free(h, count);
    if (a.stop[0] == '\0' && !a.failed)
        object_to(&a, "it ends neither well nor with an error");
    if (a.stop[0] != '\0' && a.failed)
        object_to(&a, "it ends well and with an error");
    return a;
}

struct answer answer_of_whole(int format, const char *text, size_t n)
{
    void (*const judges[])(struct answer *, const json_t *) = {anthropic_whole, chat_whole, responses_whole,
                                                               gemini_whole};
    struct answer a = {.parts = json_array()};
    json_t *root = js_load(text, n);
    if (root == NULL)
        object_to(&a, "no JSON: %s", js_error());
    else
        judges[format](&a, root);
    json_decref(root);
    if (a.stop[0] == '\0' && !a.failed)
        object_to(&a, "no reason to stop");
    return a;
}

struct answer answer_of_error(int format, const char *text, size_t n)
{
    struct answer a = {.parts = json_array()};
    json_t *root = js_load(text, n), *e = js_get(root, "error");
    const char *const wanted[] = {"type", "type", "type", "status"};
    if (root == NULL)
        object_to(&a, "no JSON: %s", js_error());
    else if (!js_is_text(js_get(e, wanted[format])))
        object_to(&a, "no %s in the error", wanted[format]);
    else if (format == 0 && !js_is(js_get(root, "type"), "error"))
        object_to(&a, "an Anthropic error whose type is not error");
    else if (format == 3 && !js_is_number(js_get(e, "code")))
        object_to(&a, "a Gemini error whose code is no number");
    answer_fail(&a, js_get(e, "message"));
    json_decref(root);
    return a;
}

void answer_free(struct answer *a)
{
    json_decref(a->parts);
    json_decref(a->sequence);
    *a = (struct answer){0};
}

static bool joins(const json_t *last, const json_t *part)
{
    const char *kind = js_text(js_get(part, "kind"));
    return last != NULL && js_is(js_get(last, "kind"), kind) && strcmp(kind, "call") != 0;
}

json_t *answer_parts(const json_t *parts)
{
    json_t *all = json_array(), *last = NULL;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = js_at(parts, i);
        bool call = js_is(js_get(part, "kind"), "call");
        if (!call && json_string_length(js_get(part, "text")) == 0)
            continue;
        if (joins(last, part)) {
            js_append_text(last, "text", js_get(part, "text"));
            continue;
        }
        last = json_deep_copy(part);
        json_object_del(last, "proof");
        json_object_del(last, "signature");
        json_array_append_new(all, last);
    }
    return all;
}

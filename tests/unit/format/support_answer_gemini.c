/*
 * Judge of Gemini generateContent answers (wire reference D.6).
 */
#include "answer.h"

#include <stdio.h>
#include <string.h>

static void usage(struct answer *a, const json_t *u)
{
    a->usage = true;
    if (!js_is_number(js_get(u, "promptTokenCount")) || !js_is_number(js_get(u, "totalTokenCount")))
        object_to(a, "usageMetadata without its numbers: %s", js_show(u));
    int64_t prompt = js_number(js_get(u, "promptTokenCount"));
    a->count[CACHE_READ] = js_number(js_get(u, "cachedContentTokenCount"));
    a->count[CACHE_WRITE] = 0;
    a->count[INPUT] = prompt - a->count[CACHE_READ];
    a->count[REASONING] = js_number(js_get(u, "thoughtsTokenCount"));
    a->count[OUTPUT] = js_number(js_get(u, "candidatesTokenCount")) + a->count[REASONING];
    if (js_number(js_get(u, "totalTokenCount")) != prompt + a->count[OUTPUT])
        object_to(a, "totalTokenCount is no sum");
}

static void call(struct answer *a, const json_t *f, const json_t *proof)
{
    json_t *part = answer_part(a, "call");
    if (js_text(js_get(f, "name"))[0] == '\0' || !json_is_object(js_get(f, "args")))
        object_to(a, "functionCall %s", js_show(f));
    if (js_get(f, "id") != NULL)
        json_object_set(part, "id", js_get(f, "id"));
    json_object_set(part, "name", js_get(f, "name"));
    json_object_set(part, "arguments", js_get(f, "args"));
    if (proof != NULL)
        json_object_set(part, "proof", (json_t *)proof);
}

static void part(struct answer *a, const json_t *p)
{
    const json_t *proof = js_get(p, "thoughtSignature"), *text = js_get(p, "text");
    if (proof != NULL && !js_is_text(proof))
        object_to(a, "thoughtSignature is no string");
    if (js_get(p, "functionCall") != NULL) {
        call(a, js_get(p, "functionCall"), proof);
        return;
    }
    if (!js_is_text(text)) {
        object_to(a, "a part %s", js_show(p));
        return;
    }
    json_t *new = answer_part(a, js_get(p, "thought") != NULL ? "thinking" : "text");
    json_object_set(new, "text", (json_t *)text);
    if (proof != NULL)
        json_object_set(new, "proof", (json_t *)proof);
}

static void finish(struct answer *a, const json_t *reason)
{
    static const char *const refusals[] = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"};
    if (js_is(reason, "STOP"))
        answer_stop(a, answer_has_calls(a) ? "tool" : "end");
    else if (js_is(reason, "MAX_TOKENS"))
        answer_stop(a, "length");
    else if (js_is(reason, "MALFORMED_FUNCTION_CALL"))
        answer_stop(a, "malformed_call");
    for (size_t i = 0; i < 5; i++)
        if (js_is(reason, refusals[i]))
            answer_stop(a, "refusal");
    if (a->stop[0] == '\0')
        object_to(a, "finishReason %s", js_show(reason));
}

/* A response, whole or one chunk of a stream. */
static void response(struct answer *a, const json_t *root)
{
    const json_t *candidate = js_at(js_get(root, "candidates"), 0);
    const json_t *content = js_get(candidate, "content"), *parts = js_get(content, "parts");
    answer_same(a, a->model, sizeof(a->model), js_get(root, "modelVersion"), "modelVersion");
    answer_same(a, a->id, sizeof(a->id), js_get(root, "responseId"), "responseId");
    if (json_array_size(js_get(root, "candidates")) > 1)
        object_to(a, "more than one candidate");
    if (a->stop[0] != '\0' && candidate != NULL)
        object_to(a, "a candidate after finishReason");
    if (content != NULL && json_object_size(content) != 0 && !js_is(js_get(content, "role"), "model"))
        object_to(a, "content that is not the model's");
    for (size_t i = 0; i < json_array_size(parts); i++)
        part(a, js_at(parts, i));
    if (js_get(candidate, "finishReason") != NULL)
        finish(a, js_get(candidate, "finishReason"));
    else if (js_get(js_get(root, "promptFeedback"), "blockReason") != NULL)
        answer_stop(a, "refusal");
    if (js_get(root, "usageMetadata") != NULL)
        usage(a, js_get(root, "usageMetadata"));
}

void gemini_whole(struct answer *a, const json_t *root)
{
    response(a, root);
}

void gemini_stream(struct answer *a, const struct happening *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_t *e = js_load(h[i].data, h[i].n);
        if (h[i].name[0] != '\0')
            object_to(a, "an event line");
        if (e == NULL)
            object_to(a, "event %zu is no JSON: %s", i, js_error());
        else if (a->failed)
            object_to(a, "something after an error");
        else if (js_get(e, "error") != NULL) {
            answer_fail(a, js_get(js_get(e, "error"), "message"));
            if (!js_is_number(js_get(js_get(e, "error"), "code")) || !js_is_text(js_get(js_get(e, "error"), "status")))
                object_to(a, "an error without code or status");
        } else {
            response(a, e);
        }
        json_decref(e);
    }
}

/*
 * See recording.h. The readers here are loose where the judges are strict: recordings hold members of vendors that
 * nobody else has, and only texts, calls and sums of tokens are taken.
 */
#include "recording.h"

static void say(struct recording *r, const char *kind, const json_t *text)
{
    if (js_is_text(text) && json_string_length(text) != 0)
        js_append_text(r->texts, kind, text);
}

/* A call by its key; made when it is new. */
static json_t *call_of(struct recording *r, const char *key)
{
    for (size_t i = 0; i < json_array_size(r->calls); i++)
        if (js_is(js_get(js_at(r->calls, i), "key"), key))
            return js_at(r->calls, i);
    json_t *call = json_object();
    json_object_set_new(call, "key", json_string(key));
    json_array_append_new(r->calls, call);
    return call;
}

static json_t *call_at(struct recording *r, const json_t *index)
{
    return call_of(r, js_text(index));
}

static void name_call(json_t *call, const json_t *name, const json_t *id)
{
    if (json_string_length(name) != 0)
        json_object_set(call, "name", (json_t *)name);
    if (json_string_length(id) != 0)
        json_object_set(call, "id", (json_t *)id);
}

/* -- Anthropic -- */

static void anthropic_usage(struct recording *r, const json_t *u)
{
    int64_t input = js_number(js_get(u, "input_tokens")) + js_number(js_get(u, "cache_read_input_tokens")) +
                    js_number(js_get(u, "cache_creation_input_tokens"));
    if (input != 0)
        r->input = input;
    if (js_is_number(js_get(u, "output_tokens")))
        r->output = js_number(js_get(u, "output_tokens"));
}

static void anthropic_block(struct recording *r, const json_t *b, const json_t *index)
{
    const json_t *type = js_get(b, "type");
    if (js_is(type, "text"))
        say(r, "text", js_get(b, "text"));
    else if (js_is(type, "thinking"))
        say(r, "thinking", js_get(b, "thinking"));
    if (!js_is(type, "tool_use"))
        return;
    json_t *call = call_at(r, index != NULL ? index : js_get(b, "id"));
    name_call(call, js_get(b, "name"), js_get(b, "id"));
    json_object_set(call, "arguments", js_get(b, "input"));
}

static void anthropic_event(struct recording *r, const json_t *e)
{
    const json_t *d = js_get(e, "delta"), *index = js_get(e, "index"), *content = js_get(e, "content");
    for (size_t i = 0; i < json_array_size(content); i++)
        anthropic_block(r, js_at(content, i), NULL);
    anthropic_usage(r, js_get(js_get(e, "message"), "usage"));
    anthropic_usage(r, js_get(e, "usage"));
    if (js_get(e, "content_block") != NULL)
        anthropic_block(r, js_get(e, "content_block"), index);
    say(r, "text", js_get(d, "text"));
    say(r, "thinking", js_get(d, "thinking"));
    for (size_t i = 0; js_get(d, "partial_json") != NULL && i < json_array_size(r->calls); i++)
        if (js_is(js_get(js_at(r->calls, i), "key"), js_text(index)))
            js_append_text(js_at(r->calls, i), "json", js_get(d, "partial_json"));
}

/* -- Chat -- */

static void chat_usage(struct recording *r, const json_t *u)
{
    if (u == NULL)
        return;
    int64_t sum = js_number(js_get(u, "total_tokens"));
    r->input = js_number(js_get(u, "prompt_tokens"));
    r->output = js_number(js_get(u, "completion_tokens"));
    /* xAI leaves reasoning out of completion_tokens (wire reference B.5). */
    if (sum > r->input + r->output)
        r->output = sum - r->input;
}

static void chat_calls(struct recording *r, const json_t *calls)
{
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *c = js_at(calls, i), *f = js_get(c, "function");
        json_t *call = call_at(r, js_get(c, "index") != NULL ? js_get(c, "index") : js_get(c, "id"));
        name_call(call, js_get(f, "name"), js_get(c, "id"));
        if (js_is_text(js_get(f, "arguments")))
            js_append_text(call, "json", js_get(f, "arguments"));
    }
}

static void chat_event(struct recording *r, const json_t *e)
{
    for (size_t i = 0; i < json_array_size(js_get(e, "choices")); i++) {
        const json_t *choice = js_at(js_get(e, "choices"), i);
        const json_t *d = js_get(choice, "delta") != NULL ? js_get(choice, "delta") : js_get(choice, "message");
        const json_t *thought = js_get(d, "reasoning_content");
        say(r, "text", js_get(d, "content"));
        say(r, "thinking", thought != NULL ? thought : js_get(d, "reasoning"));
        chat_calls(r, js_get(d, "tool_calls"));
    }
    chat_usage(r, js_get(js_get(e, "x_groq"), "usage"));
    chat_usage(r, js_get(e, "usage"));
}

/* -- Responses -- */

static void responses_item(struct recording *r, const json_t *item)
{
    static const char *const lists[] = {"summary", "content"};
    bool reasoning = js_is(js_get(item, "type"), "reasoning");
    for (int l = reasoning ? 0 : 1; l < 2; l++)
        for (size_t i = 0; i < json_array_size(js_get(item, lists[l])); i++)
            say(r, reasoning ? "thinking" : "text", js_get(js_at(js_get(item, lists[l]), i), "text"));
    if (!js_is(js_get(item, "type"), "function_call"))
        return;
    json_t *call = call_at(r, js_get(item, "call_id"));
    name_call(call, js_get(item, "name"), js_get(item, "call_id"));
    json_object_set(call, "json", js_get(item, "arguments"));
}

static void responses_event(struct recording *r, const json_t *e)
{
    const json_t *type = js_get(e, "type"), *whole = js_get(e, "response"), *item = js_get(e, "item");
    if (js_is(js_get(e, "object"), "response")) {
        whole = e;
        for (size_t i = 0; i < json_array_size(js_get(e, "output")); i++)
            responses_item(r, js_at(js_get(e, "output"), i));
    }
    say(r, "text", js_is(type, "response.output_text.delta") ? js_get(e, "delta") : NULL);
    r->fragments = r->fragments || js_is(type, "response.output_text.delta");
    /* One recording was shortened: its fragments are less than what the end repeats. They were what a client saw. */
    bool told = r->fragments && js_is(js_get(item, "type"), "message");
    if (js_is(type, "response.output_item.done") && !told)
        responses_item(r, item);
    if (js_get(whole, "usage") != NULL) {
        r->input = js_number(js_get(js_get(whole, "usage"), "input_tokens"));
        r->output = js_number(js_get(js_get(whole, "usage"), "output_tokens"));
    }
    r->broken = r->broken || js_is(type, "response.failed") || js_is(type, "error");
}

/* -- Gemini -- */

/* Arguments that come piece by piece: only members of the top, as strings, occur in the recordings. */
static void gemini_partial(json_t *call, const json_t *partial)
{
    if (js_get(call, "arguments") == NULL)
        json_object_set_new(call, "arguments", json_object());
    for (size_t i = 0; i < json_array_size(partial); i++) {
        const char *path = js_text(js_get(js_at(partial, i), "jsonPath"));
        if (strncmp(path, "$.", 2) == 0 && js_is_text(js_get(js_at(partial, i), "stringValue")))
            js_append_text(js_get(call, "arguments"), path + 2, js_get(js_at(partial, i), "stringValue"));
    }
}

static void gemini_call(struct recording *r, const json_t *f)
{
    char key[32];
    size_t n = json_array_size(r->calls);
    snprintf(key, sizeof(key), "%zu", js_get(f, "name") != NULL ? n : n - 1);
    json_t *call = call_of(r, key);
    name_call(call, js_get(f, "name"), js_get(f, "id"));
    if (js_get(f, "args") != NULL)
        json_object_set(call, "arguments", js_get(f, "args"));
    gemini_partial(call, js_get(f, "partialArgs"));
}

static void gemini_event(struct recording *r, const json_t *e)
{
    const json_t *parts = js_get(js_get(js_at(js_get(e, "candidates"), 0), "content"), "parts");
    const json_t *u = js_get(e, "usageMetadata");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *p = js_at(parts, i);
        say(r, js_get(p, "thought") != NULL ? "thinking" : "text", js_get(p, "text"));
        if (js_get(p, "functionCall") != NULL)
            gemini_call(r, js_get(p, "functionCall"));
    }
    if (js_get(u, "promptTokenCount") == NULL)
        return;
    r->input = js_number(js_get(u, "promptTokenCount")) + js_number(js_get(u, "toolUsePromptTokenCount"));
    r->output = js_number(js_get(u, "candidatesTokenCount")) + js_number(js_get(u, "thoughtsTokenCount"));
}

/* -- files -- */

static int format_by_content(const json_t *e)
{
    const char *type = js_text(js_get(e, "type"));
    if (js_get(e, "candidates") != NULL)
        return G;
    if (js_get(e, "choices") != NULL)
        return C;
    if (strncmp(type, "response.", 9) == 0 || js_is(js_get(e, "object"), "response"))
        return R;
    return strncmp(type, "message", 7) == 0 ? A : -1;
}

static void take_event(struct recording *r, const char *text, size_t n)
{
    void (*const readers[])(struct recording *, const json_t *) = {anthropic_event, chat_event, responses_event,
                                                                   gemini_event};
    json_t *e = js_load_lenient(text, n);
    if (e == NULL && !(n == 6 && memcmp(text, "[DONE]", 6) == 0))
        r->problem = js_error();
    if (r->format < 0)
        r->format = format_by_content(e);
    if (r->format >= 0 && e != NULL)
        readers[r->format](r, e);
    json_decref(e);
}

static void append(struct file *f, const char *p, size_t n)
{
    f->p = realloc(f->p, f->n + n + 1);
    memcpy(f->p + f->n, p, n);
    f->n += n;
    f->p[f->n] = '\0';
}

/* One payload becomes an event of the stream, under its type where the format wants that. */
static void add_event(struct recording *r, const char *text, size_t n)
{
    take_event(r, text, n);
    json_t *e = js_load_lenient(text, n);
    const char *type = js_text(js_get(e, "type"));
    if (r->format == A || r->format == R) {
        append(&r->body, "event: ", 7);
        append(&r->body, type, strlen(type));
        append(&r->body, "\n", 1);
    }
    append(&r->body, "data: ", 6);
    append(&r->body, text, n);
    append(&r->body, "\n\n", 2);
    json_decref(e);
}

/* Some files hold several answers, one behind the other: this takes number `nth`. */
static void read_lines(struct recording *r, const struct file *f, size_t nth)
{
    size_t ends = 0;
    for (const char *p = f->p, *end; *p != '\0'; p = *end != '\0' ? end + 1 : end) {
        end = p + strcspn(p, "\r\n");
        size_t n = (size_t)(end - p);
        if (n != 0 && ends == nth)
            add_event(r, p, n);
        r->more = r->more || (n != 0 && ends > nth);
        ends += memmem(p, n, "\"type\":\"message_stop\"", 21) == p + 1 ||
                memmem(p, n, "\"type\":\"response.completed\"", 27) == p + 1;
    }
    if (r->format == C)
        append(&r->body, "data: [DONE]\n\n", 14);
}

static void read_sse(struct recording *r, const struct file *f)
{
    struct answer ignored = {.problem = "framing is not judged"};
    size_t count;
    append(&r->body, f->p, f->n);
    append(&r->body, "\n\n", 2);
    struct happening *h = happenings_of(r->body.p, r->body.n, &count, &ignored);
    for (size_t i = 0; i < count; i++)
        take_event(r, h[i].data, h[i].n);
    happenings_free(h, count);
}

/* A request with its answer, or an answer alone. */
static void read_json(struct recording *r, const struct file *f)
{
    json_t *root = js_load_lenient(f->p, f->n), *answer = js_get(root, "response");
    const json_t *events = js_get(answer, "events");
    r->stream = events != NULL;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *data = js_get(js_at(events, i), "data");
        add_event(r, js_text(data), json_string_length(data));
    }
    if (root == NULL || (answer != NULL && js_get(answer, "body") == NULL && events == NULL))
        r->problem = root == NULL ? js_error() : "a pair without an answer";
    json_t *plain = json_loads(f->p, 0, NULL), *body = js_get(js_get(plain, "response"), "body");
    if (events == NULL && root != NULL) {
        char *text = json_dumps(body != NULL ? body : plain, JSON_COMPACT);
        take_event(r, text, strlen(text));
        append(&r->body, text, strlen(text));
        free(text);
    }
    json_decref(plain);
    json_decref(root);
}

struct recording recording_of(const char *path, size_t nth)
{
    struct recording r = {.format = -1, .stream = true, .texts = json_object(), .calls = json_array()};
    struct file f = file_read(path);
    if (strstr(path, ".chunks.txt") != NULL)
        read_lines(&r, &f, nth);
    else if (strstr(path, ".json") != NULL)
        read_json(&r, &f);
    else
        read_sse(&r, &f);
    for (size_t i = 0; i < json_array_size(r.calls); i++) {
        json_t *call = js_at(r.calls, i), *text = js_get(call, "json");
        json_t *arguments = text != NULL ? js_load_inner(text) : NULL;
        if (arguments != NULL)
            json_object_set_new(call, "arguments", arguments);
        else if (text != NULL)
            json_object_set_new(call, "cut", json_true());
    }
    if (r.problem == NULL && r.format < 0)
        r.problem = "of no known format";
    free(f.p);
    return r;
}

void recording_free(struct recording *r)
{
    free(r->body.p);
    json_decref(r->texts);
    json_decref(r->calls);
}

/* -- comparing -- */

static char found[700];

/* Equal, but for line ends when `loose`. */
static bool equal(const char *p, const char *q, bool loose)
{
    for (;; p++, q++) {
        while (loose && *p == '\n')
            p++;
        while (loose && *q == '\n')
            q++;
        if (*p != *q)
            return false;
        if (*p == '\0')
            return true;
    }
}

/* Everything of a kind, one behind the other; blank lines between pieces of thinking are the formats' own. */
static bool same_text(const struct answer *a, const struct recording *r, const char *kind)
{
    struct recording got = {.texts = json_object()};
    for (size_t i = 0; i < json_array_size(a->parts); i++)
        if (js_is(js_get(js_at(a->parts, i), "kind"), kind))
            say(&got, kind, js_get(js_at(a->parts, i), "text"));
    const json_t *p = js_get(got.texts, kind), *q = js_get(r->texts, kind);
    bool same = equal(js_text(p), js_text(q), strcmp(kind, "thinking") == 0);
    if (!same)
        snprintf(found, sizeof(found), "%s: %.150s instead of %.150s", kind, js_show(p), js_show(q));
    json_decref(got.texts);
    return same;
}

/* Tools that the format has built in come as calls, too; they may stand between the recorded ones. */
static const char *compare_calls(const struct answer *a, const struct recording *r)
{
    size_t at = 0, extra = 0;
    bool builtin = strstr(r->body.p, "local_shell_call") != NULL || strstr(r->body.p, "tool_search_call") != NULL;
    for (size_t i = 0; i < json_array_size(a->parts); i++) {
        const json_t *got = js_at(a->parts, i), *wanted = js_at(r->calls, at);
        if (!js_is(js_get(got, "kind"), "call"))
            continue;
        bool same = js_diff(js_get(got, "name"), js_get(wanted, "name")) == NULL &&
                    js_diff(js_get(got, "arguments"), js_get(wanted, "arguments")) == NULL &&
                    (js_get(wanted, "id") == NULL || js_diff(js_get(got, "id"), js_get(wanted, "id")) == NULL);
        at += same;
        extra += !same;
        if (!same && !builtin) {
            snprintf(found, sizeof(found), "call %.250s instead of %.250s", js_show(got), js_show(wanted));
            return found;
        }
    }
    return at == json_array_size(r->calls) && (extra == 0 || builtin) ? NULL : "a call is missing";
}

const char *compare_recorded(const struct answer *a, const struct recording *r, int to)
{
    bool cut = false;
    for (size_t i = 0; i < json_array_size(r->calls); i++)
        cut = cut || js_get(js_at(r->calls, i), "cut") != NULL;
    /* Arguments that the token limit cut are no JSON: clients that get them in fragments get them as they are (F.6). */
    bool told = strstr(a->problem, "arguments are no") != NULL || strstr(a->problem, "input is no") != NULL;
    if (a->problem[0] != '\0' && !(cut && told))
        return a->problem;
    if (r->broken || a->failed)
        return r->broken == a->failed ? NULL : a->failed ? a->error : "the recorded error is gone";
    if (!same_text(a, r, "text") || !same_text(a, r, "thinking"))
        return found;
    int64_t input = a->count[INPUT] + a->count[CACHE_READ] + a->count[CACHE_WRITE];
    if ((r->input != 0 || r->output != 0) && (input != r->input || a->count[OUTPUT] != r->output)) {
        snprintf(found, sizeof(found), "tokens %lld in, %lld out instead of %lld, %lld", (long long)input,
                 (long long)a->count[OUTPUT], (long long)r->input, (long long)r->output);
        return found;
    }
    return cut ? NULL : compare_calls(a, r);
}

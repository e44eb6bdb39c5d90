/*
 * See expect.h. Where formats cannot say the same, the rule stands here with its number in the fixtures' README or the
 * section of the wire reference.
 */
#include "expect.h"
#include "wire.h"

static int64_t member(const json_t *usage, const char *name)
{
    return js_number(js_get(usage, name));
}

static struct expectation expectation_in(json_t *root)
{
    struct expectation e = {.root = root, .parts = answer_parts(js_get(root, "parts"))};
    const json_t *usage = js_get(root, "usage");
    e.stop = js_is_text(js_get(root, "stop")) ? js_text(js_get(root, "stop")) : NULL;
    e.error = js_is_text(js_get(root, "error")) ? js_text(js_get(root, "error")) : NULL;
    e.usage = usage != NULL;
    e.count[INPUT] = member(usage, "input_uncached");
    e.count[CACHE_READ] = member(usage, "cache_read");
    e.count[CACHE_WRITE] = member(usage, "cache_write");
    e.count[OUTPUT] = member(usage, "output");
    e.count[REASONING] = member(usage, "reasoning");
    return e;
}

struct expectation expectation_of(const char *fmt, ...)
{
    char name[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    struct file f = fixture("%s", name);
    json_t *root = js_load(f.p, f.n);
    if (root == NULL)
        fail_msg("%s: %s", name, js_error());
    free(f.p);
    return expectation_in(root);
}

struct expectation expectation_from(const struct answer *a)
{
    json_t *root = json_object();
    json_object_set(root, "parts", a->parts);
    if (a->stop[0] != '\0')
        json_object_set_new(root, "stop", json_string(a->stop));
    if (a->failed)
        json_object_set_new(root, "error", json_string(a->error));
    struct expectation e = expectation_in(root);
    memcpy(e.count, a->count, sizeof(e.count));
    e.usage = a->usage;
    return e;
}

void expectation_free(struct expectation *e)
{
    json_decref(e->root);
    json_decref(e->parts);
    *e = (struct expectation){0};
}

static char found[600];

static const char *complain(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(found, sizeof(found), fmt, ap);
    va_end(ap);
    return found;
}

/* Parts of an error are what was said before it: the client may have got a part of them. */
static bool begins_with(const json_t *whole, const json_t *part)
{
    if (json_array_size(part) > json_array_size(whole))
        return false;
    for (size_t i = 0; i < json_array_size(part); i++) {
        const json_t *w = js_get(js_at(whole, i), "text"), *p = js_get(js_at(part, i), "text");
        if (p == NULL || w == NULL || strncmp(js_text(w), js_text(p), json_string_length(p)) != 0)
            return false;
    }
    return true;
}

static const char *compare_failure(const struct answer *a, const struct expectation *e)
{
    json_t *parts = answer_parts(a->parts);
    bool good = begins_with(e->parts, parts);
    json_decref(parts);
    if (!a->failed)
        return complain("it did not end with an error but with %s", a->stop);
    if (!good)
        return complain("before the error came %s", js_show(a->parts));
    if (strcmp(e->error, "truncated") != 0 && strstr(a->error, e->error) == NULL)
        return complain("the error says %s instead of %s", a->error, e->error);
    return NULL;
}

/* Wire reference F.6; README rule 5: stop sequences are told by Anthropic alone. */
static const char *stop_for(const char *stop, int from, int to)
{
    if (strcmp(stop, "stop_seq") == 0)
        return from == A && to == A ? "stop_seq" : "end";
    if (strcmp(stop, "pause") == 0)
        return to == A ? "pause" : "end";
    return stop;
}

/* README rule 6: cache writes do not exist in Gemini's usage; on either side they count as plain prompt tokens. */
static const char *compare_usage(const struct answer *a, const struct expectation *e, int to)
{
    static const char *const names[COUNTS] = {"input", "cache_read", "cache_write", "output", "reasoning"};
    int64_t wanted[COUNTS];
    memcpy(wanted, e->count, sizeof(wanted));
    if (to == G) {
        wanted[INPUT] += wanted[CACHE_WRITE];
        wanted[CACHE_WRITE] = 0;
    }
    if (!a->usage)
        return complain("there is no usage");
    for (int i = 0; i < COUNTS; i++)
        if (a->count[i] != wanted[i])
            return complain("usage: %s is %lld instead of %lld", names[i], (long long)a->count[i],
                            (long long)wanted[i]);
    return NULL;
}

/* A Chat message is thinking, one text, calls, and nothing between them. */
static json_t *as_chat(const json_t *parts)
{
    static const char *const kinds[] = {"thinking", "text", "call"};
    json_t *sorted = json_array();
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < json_array_size(parts); i++)
            if (js_is(js_get(js_at(parts, i), "kind"), kinds[k]))
                json_array_append(sorted, js_at(parts, i));
    json_t *joined = answer_parts(sorted);
    json_decref(sorted);
    return joined;
}

/* A malformed call without content (F.6): an error, or the words each format has for it; never a plain success on R. */
static const char *compare_malformed(const struct answer *a, int to)
{
    bool told = a->failed || (to != R && strcmp(a->stop, to == G ? "malformed_call" : "end") == 0);
    return told ? NULL : complain("a malformed call ends with %s", a->stop);
}

const char *compare_answer(const struct answer *a, const struct expectation *e, int from, int to)
{
    if (a->problem[0] != '\0')
        return complain("grammar: %s", a->problem);
    if (e->stop == NULL)
        return compare_failure(a, e);
    if (strcmp(e->stop, "malformed_call") == 0)
        return compare_malformed(a, to);
    if (a->failed)
        return complain("it failed: %s", a->error);
    json_t *got = answer_parts(a->parts), *wanted = to == C ? as_chat(e->parts) : json_incref(e->parts);
    const char *diff = js_diff(got, wanted);
    json_decref(got);
    json_decref(wanted);
    if (diff != NULL)
        return complain("parts %s", diff);
    const char *stop = stop_for(e->stop, from, to);
    if (strcmp(a->stop, stop) != 0)
        return complain("it stops with %s instead of %s", a->stop, stop);
    if (strcmp(stop, "stop_seq") == 0 && js_diff(a->sequence, js_get(e->root, "stop_sequence")) != NULL)
        return complain("stop sequence %s", js_show(a->sequence));
    return e->usage ? compare_usage(a, e, to) : NULL;
}

/*
 * A call's arguments that come as updates of paths (wire reference D.6, streamFunctionCallArguments):
 *   {"jsonPath":"$.where[0].city","stringValue":"Bos","willContinue":true}
 *
 * The model writes its arguments from front to back, so the updates come in the order of the text they make: each one
 * goes on in the containers that are open, closes some, opens others. That text is what this makes, as it comes. An
 * update that goes back into something that is closed, names a key twice or leaves out an element of an array cannot
 * be expressed so, and is refused.
 */
#include <format/gemini.h>
#include <wire/json.h>

struct step {
    bool indexed;
    uint32_t index;
    struct ccp_span name;
};

struct path {
    struct step step[GEMINI_PATH_LEVELS];
    uint32_t n;
};

/* -- paths -- */

static bool take_index(struct ccp_span *rest, struct step *step)
{
    size_t i = 0;
    uint32_t value = 0;
    for (; i < rest->n && rest->p[i] >= '0' && rest->p[i] <= '9' && i < 9; i++)
        value = value * 10 + (uint32_t)(rest->p[i] - '0');
    if (i == 0 || i == rest->n || rest->p[i] != ']')
        return false;
    *step = (struct step){true, value, CCP_SPAN("")};
    *rest = ccp_span_skip(*rest, i + 1);
    return true;
}

/* 'name'] or "name"]; a quote inside would need an escape, which nobody has seen. */
static bool take_quoted(struct ccp_span *rest, struct step *step)
{
    char quote = rest->p[0];
    struct ccp_span name = ccp_span_skip(*rest, 1);
    name.n = ccp_span_find(name, quote);
    *rest = ccp_span_skip(*rest, name.n + 2);
    *step = (struct step){false, 0, name};
    if (rest->n == 0 || rest->p[0] != ']' || memchr(name.p, '\\', name.n) != NULL)
        return false;
    *rest = ccp_span_skip(*rest, 1);
    return true;
}

static bool take_step(struct ccp_span *rest, struct step *step)
{
    char first = rest->p[0];
    *rest = ccp_span_skip(*rest, 1);
    if (rest->n == 0)
        return false;
    if (first == '[')
        return rest->p[0] == '\'' || rest->p[0] == '"' ? take_quoted(rest, step) : take_index(rest, step);
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '.' && rest->p[n] != '[')
        n++;
    *step = (struct step){false, 0, ccp_span_of(rest->p, n)};
    *rest = ccp_span_skip(*rest, n);
    return first == '.' && n != 0;
}

static bool parse(struct ccp_span text, struct path *path)
{
    path->n = 0;
    if (text.n < 2 || text.p[0] != '$')
        return false;
    for (text = ccp_span_skip(text, 1); text.n != 0; path->n++)
        if (path->n == GEMINI_PATH_LEVELS || !take_step(&text, &path->step[path->n]))
            return false;
    return true;
}

/* -- where we are -- */

static bool same(const struct gemini_partial *s, const struct gemini_step *kept, const struct step *step)
{
    if (kept->indexed != step->indexed)
        return false;
    return step->indexed ? kept->index == step->index
                         : ccp_span_eq(ccp_span_of(s->names + kept->at, kept->size), step->name);
}

static bool keep(struct gemini_partial *s, struct gemini_step *kept, const struct step *step)
{
    if (step->name.n > sizeof(s->names) - s->name_bytes)
        return false;
    *kept = (struct gemini_step){step->indexed, step->index, s->name_bytes, (uint32_t)step->name.n};
    if (step->name.n != 0)
        memcpy(s->names + s->name_bytes, step->name.p, step->name.n);
    s->name_bytes += (uint32_t)step->name.n;
    return true;
}

/* How many of the open containers, the root included, the path goes through. */
static uint32_t common(const struct gemini_partial *s, const struct path *path)
{
    uint32_t n = 1;
    while (n < s->levels && n < path->n && same(s, &s->level[n].step, &path->step[n - 1]))
        n++;
    return n;
}

static void close_string(struct gemini_partial *s, struct ccp_buf *out)
{
    if (s->in_string) {
        buf_add(out, CCP_SPAN("\""));
        s->name_bytes = s->leaf.at;
    }
    s->in_string = false;
}

static void close_down_to(struct gemini_partial *s, uint32_t levels, struct ccp_buf *out)
{
    while (s->levels > levels) {
        const struct gemini_level *top = &s->level[--s->levels];
        buf_add(out, top->array ? CCP_SPAN("]") : CCP_SPAN("}"));
        s->key_count = top->keys;
        s->name_bytes = top->step.at;
    }
}

static bool new_key(struct gemini_partial *s, const struct gemini_level *top, struct ccp_span name)
{
    uint64_t hash = map_hash(0, name);
    for (uint32_t i = top->keys; i < s->key_count; i++)
        if (s->keys[i] == hash)
            return false;
    if (s->key_count == GEMINI_PATH_KEYS)
        return false;
    s->keys[s->key_count++] = hash;
    return true;
}

/* Comma and key of the next member of the innermost container. */
static bool begin_member(struct gemini_partial *s, const struct step *step, struct ccp_buf *out)
{
    struct gemini_level *top = &s->level[s->levels - 1];
    if (top->array != step->indexed || (top->array ? step->index != top->members : !new_key(s, top, step->name)))
        return false;
    if (top->members++ != 0)
        buf_add(out, CCP_SPAN(","));
    if (!top->array) {
        json_quote_to(out, step->name);
        buf_add(out, CCP_SPAN(":"));
    }
    return true;
}

static bool open_level(struct gemini_partial *s, const struct step *step, bool array, struct ccp_buf *out)
{
    if (s->levels == GEMINI_PATH_LEVELS)
        return false;
    struct gemini_level *level = &s->level[s->levels++];
    *level = (struct gemini_level){.array = array, .keys = s->key_count};
    buf_add(out, array ? CCP_SPAN("[") : CCP_SPAN("{"));
    return keep(s, &level->step, step);
}

/* -- values -- */

static const struct ccp_json *member(const struct ccp_json *update, const char *name)
{
    for (const struct ccp_json *m = update->child; m != NULL; m = m->next)
        if (gemini_named(m->key, name))
            return m;
    return NULL;
}

static bool write_value(struct gemini_partial *s, const struct ccp_json *update, const struct step *leaf,
                        struct ccp_buf *out)
{
    const struct ccp_json *string = gemini_get(update, "stringValue"), *number = gemini_get(update, "numberValue");
    const struct ccp_json *truth = gemini_get(update, "boolValue");
    if (string != NULL) {
        buf_add(out, CCP_SPAN("\""));
        buf_add(out, ccp_json_inner(string));
        s->in_string = true;
        if (!keep(s, &s->leaf, leaf))
            return false;
        if (!prompt_true(gemini_get(update, "willContinue")))
            close_string(s, out);
        return string->type == CCP_JSON_STRING;
    }
    if (number != NULL)
        return number->type == CCP_JSON_NUMBER && buf_add(out, number->raw);
    if (truth != NULL)
        return (truth->type == CCP_JSON_TRUE || truth->type == CCP_JSON_FALSE) && buf_add(out, truth->raw);
    return member(update, "nullValue") != NULL && buf_add(out, CCP_SPAN("null"));
}

static bool goes_on(const struct gemini_partial *s, const struct path *path)
{
    return s->in_string && path->n == s->levels && common(s, path) == s->levels &&
           same(s, &s->leaf, &path->step[path->n - 1]);
}

bool gemini_partial_add(struct gemini_partial *s, const struct ccp_json *update, struct arena *scratch,
                        struct ccp_buf *out)
{
    struct path path;
    struct ccp_span text = json_unescape(scratch, ccp_json_inner(gemini_get(update, "jsonPath")));
    if (text.p == NULL || !parse(text, &path))
        return false;
    if (goes_on(s, &path)) {
        buf_add(out, ccp_json_inner(gemini_get(update, "stringValue")));
        if (!prompt_true(gemini_get(update, "willContinue")))
            close_string(s, out);
        return gemini_get(update, "stringValue") != NULL;
    }
    close_string(s, out);
    if (s->levels == 0) {
        struct step root = {false, 0, CCP_SPAN("")};
        if (!open_level(s, &root, false, out))
            return false;
    }
    close_down_to(s, common(s, &path), out);
    for (uint32_t i = s->levels - 1; i + 1 < path.n; i++)
        if (!begin_member(s, &path.step[i], out) || !open_level(s, &path.step[i], path.step[i + 1].indexed, out))
            return false;
    return begin_member(s, &path.step[path.n - 1], out) && write_value(s, update, &path.step[path.n - 1], out);
}

void gemini_partial_end(struct gemini_partial *s, struct ccp_buf *out)
{
    if (s->levels == 0)
        buf_add(out, CCP_SPAN("{}"));
    close_string(s, out);
    close_down_to(s, 0, out);
    *s = (struct gemini_partial){.active = false};
}

/*
 * Reading an upstream's model list: Anthropic and OpenAI have `data`, Gemini has `models` with a path as name
 * (wire reference A.13, D.6). Unknown members are ignored.
 */
#include <chain/models_impl.h>
#include <wire/json.h>

static int64_t number(const struct ccp_json *v)
{
    int64_t n = 0;
    if (v == NULL || v->type != CCP_JSON_NUMBER || v->raw.n > 15)
        return 0;
    for (size_t i = 0; i < v->raw.n; i++) {
        if (v->raw.p[i] < '0' || v->raw.p[i] > '9')
            return 0;
        n = n * 10 + (v->raw.p[i] - '0');
    }
    return n;
}

static struct ccp_span text(struct arena *a, const struct ccp_json *object, const char *key)
{
    const struct ccp_json *v = ccp_json_get(object, key);
    return v != NULL && v->type == CCP_JSON_STRING ? json_text(a, v->raw) : (struct ccp_span){"", 0};
}

static struct model_entry read_one(struct arena *a, const struct ccp_json *m, bool gemini)
{
    struct model_entry e = {.id = text(a, m, gemini ? "name" : "id"),
                            .name = text(a, m, gemini ? "displayName" : "display_name"),
                            .input = number(ccp_json_get(m, gemini ? "inputTokenLimit" : "max_input_tokens")),
                            .output = number(ccp_json_get(m, gemini ? "outputTokenLimit" : "max_tokens"))};
    if (gemini && ccp_span_starts(e.id, CCP_SPAN("models/")))
        e.id = ccp_span_skip(e.id, 7);
    if (e.name.n == 0)
        e.name = e.id;
    return e;
}

bool models_parse(struct model_list *l, const struct provider *p, enum ccp_format format, struct ccp_span body)
{
    struct ccp_json *root;
    struct ccp_json_error error;
    bool gemini = format == CCP_FORMAT_GEMINI;
    struct ccp_span kept = arena_dup(&l->arena, body); /* unescaped names are spans into it */
    if (kept.p == NULL || json_parse(&l->arena, kept, &root, &error) != CCP_OK)
        return false;
    const struct ccp_json *all = ccp_json_get(root, gemini ? "models" : "data");
    if (all == NULL || all->type != CCP_JSON_ARRAY)
        return false;
    l->v = arena_alloc(&l->arena, (all->count + 1) * sizeof(*l->v));
    if (l->v == NULL)
        return false;
    for (const struct ccp_json *m = all->child; m != NULL; m = m->next) {
        struct model_entry e = read_one(&l->arena, m, gemini);
        e.provider = p;
        if (e.id.n != 0)
            l->v[l->n++] = e;
    }
    return true;
}

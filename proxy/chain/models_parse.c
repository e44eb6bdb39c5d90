/*
 * Reading an upstream's model list. The formats' own shapes are rows like those that providers bring (wire reference
 * A.13, B.1, C.6, D.6, E.6). Unknown members are ignored.
 */
#include <chain/models_impl.h>
#include <wire/json.h>

static const struct ccp_model_list shapes[CCP_FORMAT_COUNT] = {
    [CCP_FORMAT_ANTHROPIC] = {"/v1/models?limit=1000", "data", "id", "display_name"},
    [CCP_FORMAT_OPENAI_CHAT] = {"/models", "data", "id", "display_name"},
    [CCP_FORMAT_OPENAI_RESPONSES] = {"/models", "data", "id", "display_name"},
    [CCP_FORMAT_GEMINI] = {"/v1beta/models?pageSize=1000", "models", "name", "displayName"},
};

const struct ccp_model_list *models_shape(const struct provider *p, enum ccp_format *format)
{
    enum ccp_format f = CCP_FORMAT_ANTHROPIC;
    while (f < CCP_FORMAT_GEMINI && !(p->formats & (1u << f)))
        f++;
    *format = f;
    return p->def->list != NULL ? p->def->list : &shapes[f];
}

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

/* "/responses", "/v1/messages": a list may name them with a version or without, and names other transports too. */
static unsigned served(const struct ccp_json *paths)
{
    static const struct {
        struct ccp_span end;
        unsigned format;
    } known[] = {{CCP_LIT("/chat/completions"), CCP_SPEAKS(OPENAI_CHAT)},
                 {CCP_LIT("/responses"), CCP_SPEAKS(OPENAI_RESPONSES)},
                 {CCP_LIT("/messages"), CCP_SPEAKS(ANTHROPIC)}};
    unsigned formats = 0;
    if (paths == NULL || paths->type != CCP_JSON_ARRAY)
        return 0;
    for (const struct ccp_json *path = paths->child; path != NULL; path = path->next)
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (ccp_span_starts(ccp_json_inner(path), CCP_SPAN("/")) &&
                ccp_span_ends(ccp_json_inner(path), known[i].end))
                formats |= known[i].format;
    return formats;
}

static struct model_entry read_one(struct arena *a, const struct ccp_json *m, const struct ccp_model_list *shape,
                                   bool gemini)
{
    struct model_entry e = {.id = text(a, m, shape->id),
                            .name = text(a, m, shape->name),
                            .input = number(ccp_json_get(m, gemini ? "inputTokenLimit" : "max_input_tokens")),
                            .output = number(ccp_json_get(m, gemini ? "outputTokenLimit" : "max_tokens"))};
    if (gemini && ccp_span_starts(e.id, CCP_SPAN("models/")))
        e.id = ccp_span_skip(e.id, 7);
    if (e.name.n == 0)
        e.name = e.id;
    if (shape->endpoints != NULL)
        e.served = served(ccp_json_get(m, shape->endpoints));
    return e;
}

bool models_parse(struct model_list *l, const struct provider *p, struct ccp_span body)
{
    struct ccp_json *root;
    struct ccp_json_error error;
    enum ccp_format format;
    const struct ccp_model_list *shape = models_shape(p, &format);
    struct ccp_span kept = arena_dup(&l->arena, body); /* unescaped names are spans into it */
    if (kept.p == NULL || json_parse(&l->arena, kept, &root, &error) != CCP_OK)
        return false;
    const struct ccp_json *all = ccp_json_get(root, shape->list);
    if (all == NULL || all->type != CCP_JSON_ARRAY)
        return false;
    l->v = arena_alloc(&l->arena, (all->count + 1) * sizeof(*l->v));
    if (l->v == NULL)
        return false;
    for (const struct ccp_json *m = all->child; m != NULL; m = m->next) {
        struct model_entry e = read_one(&l->arena, m, shape, shape == &shapes[CCP_FORMAT_GEMINI]);
        e.provider = p;
        if (e.id.n != 0)
            l->v[l->n++] = e;
    }
    return true;
}

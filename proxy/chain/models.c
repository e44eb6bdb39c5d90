/*
 * Model lists that ccproxy answers itself: of providers whose models are configured or built in, in the shape
 * of whoever asks. Other providers' lists come from their upstream, byte for byte.
 */
#include <chain/exchange_impl.h>
#include <wire/json.h>

struct entry {
    struct ccp_span id, name;
    const struct provider *provider;
    int64_t input, output;
};

struct list {
    struct entry *v;
    size_t n;
};

static bool has_own_list(const struct provider *p)
{
    return p->s.models.n != 0 || (p->def->models != NULL && p->def->transport != NULL);
}

static size_t own_count(const struct provider *p)
{
    size_t n = p->s.models.n;
    for (size_t i = 0; n == 0 && p->def->models != NULL && p->def->models[i] != NULL; i++)
        if (p->def->models[i + 1] == NULL)
            return i + 1;
    return n;
}

static void add_all(struct list *l, const struct provider *p)
{
    const struct model_card *cards = p->s.models.v;
    for (size_t i = 0; i < p->s.models.n; i++)
        l->v[l->n++] = (struct entry){cards[i].id, cards[i].display_name.n != 0 ? cards[i].display_name : cards[i].id, p,
                                      cards[i].max_input_tokens, cards[i].max_tokens};
    for (size_t i = 0; p->s.models.n == 0 && p->def->models != NULL && p->def->models[i] != NULL; i++) {
        struct ccp_span id = ccp_span_z(p->def->models[i]);
        l->v[l->n++] = (struct entry){id, id, p, 0, 0};
    }
}

/* Mock models appear without a prefix only when nothing else can be used. */
static bool in_merged(const struct exchange *x, const struct provider *p)
{
    if (!p->usable || !has_own_list(p))
        return false;
    for (size_t i = 0; p->def->keyless && i < x->rt->provider_count; i++)
        if (x->rt->providers[i].usable && !x->rt->providers[i].def->keyless)
            return false;
    return true;
}

static bool collect(struct exchange *x, struct list *l)
{
    size_t most = 0;
    for (size_t i = 0; i < x->rt->provider_count; i++)
        most += own_count(&x->rt->providers[i]);
    l->v = arena_alloc(&x->arena, (most + 1) * sizeof(*l->v));
    if (l->v == NULL)
        return false;
    if (x->route.provider != NULL) {
        add_all(l, x->route.provider);
        return true;
    }
    for (size_t i = 0; i < x->rt->provider_count; i++)
        if (in_merged(x, &x->rt->providers[i]))
            add_all(l, &x->rt->providers[i]);
    return true;
}

static void quoted(struct ccp_buf *out, const char *key, struct ccp_span value)
{
    buf_printf(out, "\"%s\":", key);
    json_quote_to(out, value);
}

static void write_anthropic(const struct entry *e, struct ccp_buf *out)
{
    buf_addz(out, "{\"type\":\"model\",");
    quoted(out, "id", e->id);
    buf_addz(out, ",");
    quoted(out, "display_name", e->name);
    buf_addz(out, ",\"created_at\":\"1970-01-01T00:00:00Z\"}");
}

static void write_openai(const struct entry *e, struct ccp_buf *out)
{
    buf_addz(out, "{");
    quoted(out, "id", e->id);
    buf_addz(out, ",\"object\":\"model\",\"created\":0,");
    quoted(out, "owned_by", e->provider->id);
    buf_addz(out, "}");
}

static void write_gemini(const struct entry *e, struct ccp_buf *out)
{
    buf_addz(out, "{\"name\":");
    struct ccp_buf name;
    buf_init(&name, 4096);
    buf_addz(&name, "models/");
    buf_add(&name, e->id);
    json_quote_to(out, buf_span(&name));
    buf_release(&name);
    buf_addz(out, ",");
    quoted(out, "displayName", e->name);
    if (e->input != 0)
        buf_printf(out, ",\"inputTokenLimit\":%lld", (long long)e->input);
    if (e->output != 0)
        buf_printf(out, ",\"outputTokenLimit\":%lld", (long long)e->output);
    buf_addz(out, ",\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\"]}");
}

static void write_codex(const struct entry *e, struct ccp_buf *out)
{
    buf_addz(out, "{");
    quoted(out, "slug", e->id);
    buf_addz(out, ",");
    quoted(out, "display_name", e->name);
    buf_addz(out, "}");
}

static bool codex_asks(const struct exchange *x)
{
    return url_query_get(x->query, CCP_SPAN("client_version")).p != NULL;
}

static void write_one(const struct exchange *x, const struct entry *e, struct ccp_buf *out)
{
    if (codex_asks(x))
        write_codex(e, out);
    else if (x->route.format == CCP_FORMAT_ANTHROPIC)
        write_anthropic(e, out);
    else if (x->route.format == CCP_FORMAT_GEMINI)
        write_gemini(e, out);
    else
        write_openai(e, out);
}

static void write_list(const struct exchange *x, const struct list *l, struct ccp_buf *out)
{
    bool anthropic = x->route.format == CCP_FORMAT_ANTHROPIC && !codex_asks(x);
    bool models = codex_asks(x) || x->route.format == CCP_FORMAT_GEMINI;
    buf_addz(out, models ? "{\"models\":[" : anthropic ? "{\"data\":[" : "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < l->n; i++) {
        if (i != 0)
            buf_addz(out, ",");
        write_one(x, &l->v[i], out);
    }
    buf_addz(out, "]");
    if (anthropic) {
        buf_addz(out, ",\"has_more\":false,\"first_id\":");
        l->n != 0 ? json_quote_to(out, l->v[0].id) : buf_addz(out, "null");
        buf_addz(out, ",\"last_id\":");
        l->n != 0 ? json_quote_to(out, l->v[l->n - 1].id) : buf_addz(out, "null");
    }
    buf_addz(out, "}");
}

static enum ccp_verdict answer(struct exchange *x, struct ccp_buf *out)
{
    if (out->failed) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    answer_whole(x, 200, CCP_SPAN("application/json"), buf_span(out));
    return CCP_DONE;
}

static enum ccp_verdict serve(struct exchange *x)
{
    struct list l = {NULL, 0};
    struct ccp_buf out;
    enum ccp_verdict verdict = CCP_FAILED;
    if (!collect(x, &l)) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    buf_init(&out, 16 * 1024 * 1024);
    if (x->route.op == CCP_OP_MODELS) {
        write_list(x, &l, &out);
        verdict = answer(x, &out);
    } else {
        struct ccp_span id = url_decode(&x->arena, x->route.path_model);
        size_t i = 0;
        while (i < l.n && !ccp_span_eq(l.v[i].id, id))
            i++;
        if (i < l.n) {
            write_one(x, &l.v[i], &out);
            verdict = answer(x, &out);
        } else {
            exchange_fail(x, CCP_NOT_FOUND, "there is no model \"%.*s\"", (int)(id.n < 200 ? id.n : 200), id.p);
        }
    }
    buf_release(&out);
    return verdict;
}

bool models_serve(struct exchange *x, enum ccp_verdict *verdict)
{
    if (x->route.op != CCP_OP_MODELS && x->route.op != CCP_OP_MODEL)
        return false;
    if (x->route.provider != NULL && !has_own_list(x->route.provider)) {
        x->route.path_model = CCP_SPAN(""); /* not a generate call: the path goes upstream as it is */
        return false;
    }
    if (x->route.provider != NULL && !auth_scope(x)) {
        *verdict = CCP_FAILED;
        return true;
    }
    *verdict = serve(x);
    return true;
}

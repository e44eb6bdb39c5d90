/*
 * Model lists, in the shape of whoever asks.
 *
 * Under a prefix, an upstream that speaks the caller's format answers itself, byte for byte. Everything else is
 * written here: configured and built-in models, lists for callers of another shape, and the merged list without
 * a prefix; what is not known yet is asked for first (models_fetch.c).
 */
#include <base/fault.h>
#include <chain/models_impl.h>
#include <wire/json.h>

struct list {
    struct model_entry *v;
    size_t n;
};

static bool has_own_list(const struct provider *p)
{
    return p->s.models.n != 0 || (p->def->models != NULL && p->def->transport != NULL);
}

static size_t count(const struct exchange *x, const struct provider *p)
{
    const struct model_list *l = has_own_list(p) ? NULL : models_cached(x, p);
    size_t n = l != NULL ? l->n : p->s.models.n;
    if (n == 0 && has_own_list(p))
        while (p->def->models[n] != NULL)
            n++;
    return n;
}

static void add_all(const struct exchange *x, struct list *l, const struct provider *p)
{
    const struct model_card *cards = p->s.models.v;
    const struct model_list *cached = has_own_list(p) ? NULL : models_cached(x, p);
    size_t n = count(x, p);
    for (size_t i = 0; i < n; i++) {
        struct model_entry *e = &l->v[l->n++];
        if (cached != NULL) {
            *e = cached->v[i];
        } else if (p->s.models.n != 0) {
            struct ccp_span name = cards[i].display_name.n != 0 ? cards[i].display_name : cards[i].id;
            *e = (struct model_entry){cards[i].id, name, p, cards[i].max_input_tokens, cards[i].max_tokens, 0};
        } else {
            struct ccp_span id = ccp_span_z(p->def->models[i]);
            *e = (struct model_entry){id, id, p, 0, 0, 0};
        }
        if (!auth_may_see(x, e->id))
            l->n--;
    }
}

/* Mock models appear without a prefix only when nothing else can be used; a client's own credential cannot
 * fill a list that others would see. */
static bool in_merged(const struct exchange *x, const struct provider *p)
{
    if (!credential_usable(x, p) || p->auth == AUTH_PASSTHROUGH || !auth_may_use(x, p))
        return false;
    for (size_t i = 0; p->def->keyless && i < x->rt->provider_count; i++)
        if (credential_usable(x, &x->rt->providers[i]) && !x->rt->providers[i].def->keyless)
            return false;
    return true;
}

/* The providers whose lists this answer is made of. */
static size_t sources(const struct exchange *x, const struct provider **out)
{
    size_t n = 0;
    if (x->route.provider != NULL) {
        out[0] = x->route.provider;
        return 1;
    }
    for (size_t i = 0; i < x->rt->provider_count; i++)
        if (in_merged(x, &x->rt->providers[i]))
            out[n++] = &x->rt->providers[i];
    return n;
}

static bool collect(struct exchange *x, const struct provider *const *from, size_t n, struct list *l)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most += count(x, from[i]);
    l->v = CCP_FAULT("models.collect") ? NULL : arena_alloc(&x->arena, (most + 1) * sizeof(*l->v));
    for (size_t i = 0; l->v != NULL && i < n; i++)
        add_all(x, l, from[i]);
    return l->v != NULL;
}

static void quoted(struct ccp_buf *out, const char *key, struct ccp_span value)
{
    buf_printf(out, "\"%s\":", key);
    json_quote_to(out, value);
}

static void write_anthropic(const struct model_entry *e, struct ccp_buf *out)
{
    buf_addz(out, "{\"type\":\"model\",");
    quoted(out, "id", e->id);
    buf_addz(out, ",");
    quoted(out, "display_name", e->name);
    buf_addz(out, ",\"created_at\":\"1970-01-01T00:00:00Z\"}");
}

static void write_openai(const struct model_entry *e, struct ccp_buf *out)
{
    buf_addz(out, "{");
    quoted(out, "id", e->id);
    buf_addz(out, ",\"object\":\"model\",\"created\":0,");
    quoted(out, "owned_by", e->provider->id);
    buf_addz(out, "}");
}

static void write_gemini(const struct model_entry *e, struct ccp_buf *out)
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

static void write_codex(const struct model_entry *e, struct ccp_buf *out)
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

static void write_one(const struct exchange *x, const struct model_entry *e, struct ccp_buf *out)
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
    if (CCP_FAULT("models.text") || out->failed) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    answer_whole(x, 200, CCP_SPAN("application/json"), buf_span(out));
    return CCP_DONE;
}

static enum ccp_verdict write_answer(struct exchange *x, const struct list *l)
{
    struct ccp_buf out;
    enum ccp_verdict verdict = CCP_FAILED;
    buf_init(&out, 16 * 1024 * 1024);
    if (x->route.op == CCP_OP_MODELS) {
        write_list(x, l, &out);
        verdict = answer(x, &out);
    } else {
        struct ccp_span id = url_decode(&x->arena, x->route.path_model);
        size_t i = 0;
        while (i < l->n && !ccp_span_eq(l->v[i].id, id))
            i++;
        if (i < l->n) {
            write_one(x, &l->v[i], &out);
            verdict = answer(x, &out);
        } else {
            exchange_fail(x, CCP_NO_MODEL, "there is no model \"%.*s\"", (int)(id.n < 200 ? id.n : 200), id.p);
        }
    }
    buf_release(&out);
    return verdict;
}

static enum ccp_verdict serve(struct exchange *x)
{
    const struct provider **from = arena_alloc(&x->arena, (x->rt->provider_count + 1) * sizeof(*from) * 2);
    struct list l = {NULL, 0};
    if (from == NULL || CCP_FAULT("models.sources")) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    const struct provider **unknown = from + x->rt->provider_count + 1;
    size_t n = sources(x, from), missing = 0;
    for (size_t i = 0; i < n; i++)
        if (!has_own_list(from[i]) && models_cached(x, from[i]) == NULL)
            unknown[missing++] = from[i];
    if (missing != 0 && !x->models_asked) {
        x->models_asked = true;
        if (models_fetch(x, unknown, missing))
            return CCP_WAIT;
    }
    if (!collect(x, from, n, &l)) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    return write_answer(x, &l);
}

/* An upstream answers itself when it speaks the caller's shape; OpenAI's two formats share one list. A key that is
 * limited to certain models sees only those, so its list is written here. */
static bool upstream_answers(const struct exchange *x, const struct provider *p)
{
    unsigned shape = 1u << x->route.format;
    const struct ccp_model_list *list = p->def->list;
    if (x->key != NULL && x->key->models.n != 0 && models_may_ask(x, p))
        return false;
    if (list != NULL && models_may_ask(x, p)) {
        bool asked = list->reader_key != NULL && url_query_get(x->query, ccp_span_z(list->reader_key)).p != NULL;
        return !has_own_list(p) && x->route.op == CCP_OP_MODELS && (asked || (list->readers & shape));
    }
    if (x->route.format == CCP_FORMAT_OPENAI_CHAT)
        shape |= CCP_SPEAKS(OPENAI_RESPONSES);
    return !has_own_list(p) && ((p->formats & shape) || !models_may_ask(x, p));
}

bool models_serve(struct exchange *x, enum ccp_verdict *verdict)
{
    if (x->route.op != CCP_OP_MODELS && x->route.op != CCP_OP_MODEL)
        return false;
    if (x->route.provider != NULL && !auth_scope(x)) {
        *verdict = CCP_FAILED;
        return true;
    }
    if (x->route.provider != NULL && upstream_answers(x, x->route.provider)) {
        x->route.path_model = CCP_SPAN(""); /* not a generate call: the path goes upstream as it is */
        return false;
    }
    *verdict = serve(x);
    return true;
}

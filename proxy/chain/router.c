/*
 * The router: which provider, which model. Under a prefix the provider is given and the model never judged;
 * without one the model decides, by the order of the product reference, each step at most once.
 */
#include <base/assert.h>
#include <chain/models_impl.h>

static const struct {
    const char *pattern; /* prefix of the model's name; "o#" = an o and a digit */
    const char *providers[2];
} families[] = {
    {"claude", {"claude_api", NULL}}, {"gpt", {"openai", "codex"}},     {"o#", {"openai", "codex"}},
    {"codex", {"openai", "codex"}},   {"chatgpt", {"openai", "codex"}}, {"text-embedding", {"openai", "codex"}},
    {"gemini", {"gemini", NULL}},     {"mock", {"mock", NULL}},
};

static struct provider *by_name(struct exchange *x, struct ccp_span name)
{
    struct provider *p = runtime_provider(x->rt, name);
    if (p == NULL)
        p = runtime_prefix(x->rt, name);
    return p != NULL && p->enabled ? p : NULL;
}

static bool in_family(const char *pattern, struct ccp_span model)
{
    if (pattern[1] == '#')
        return model.n > 1 && model.p[0] == 'o' && model.p[1] >= '0' && model.p[1] <= '9';
    return ccp_span_starts(model, ccp_span_z(pattern));
}

/* The first usable one of a family, else the first enabled. */
static struct provider *by_family(struct exchange *x, struct ccp_span model)
{
    struct provider *enabled = NULL;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (!in_family(families[i].pattern, model))
            continue;
        for (int k = 0; k < 2 && families[i].providers[k] != NULL; k++) {
            struct provider *p = by_name(x, ccp_span_z(families[i].providers[k]));
            if (p != NULL && credential_usable(x, p))
                return p;
            if (enabled == NULL)
                enabled = p;
        }
        return enabled;
    }
    return NULL;
}

static struct provider *by_listing(struct exchange *x, struct ccp_span model)
{
    for (size_t i = 0; i < x->rt->provider_count; i++) {
        struct provider *p = &x->rt->providers[i];
        const struct model_card *cards = p->s.models.v;
        for (size_t k = 0; p->enabled && k < p->s.models.n; k++)
            if (ccp_span_eq(cards[k].id, model))
                return p;
    }
    return NULL;
}

static struct provider *by_path(struct exchange *x, struct ccp_span *model)
{
    size_t slash = ccp_span_find(*model, '/');
    struct provider *p = slash < model->n ? by_name(x, ccp_span_of(model->p, slash)) : NULL;
    if (p != NULL)
        *model = ccp_span_skip(*model, slash + 1);
    return p;
}

/* Calls that name no model go to the first usable provider of that family. */
static struct provider *by_format(struct exchange *x)
{
    struct provider *mock = NULL;
    for (size_t i = 0; i < x->rt->provider_count; i++) {
        struct provider *p = &x->rt->providers[i];
        if (!credential_usable(x, p) || !(p->formats & (1u << x->route.format)))
            continue;
        if (!p->def->keyless)
            return p;
        mock = p;
    }
    return mock;
}

static struct provider *choose_by_model(struct exchange *x)
{
    const struct routing_settings *s = &x->rt->settings.routing;
    struct ccp_span model = x->client_model;
    struct provider *p = NULL;
    const struct model_mapping *m = settings_map_model(&s->model_mappings, model);
    if (m != NULL) {
        model = m->target;
        p = m->provider.n != 0 ? by_name(x, m->provider) : NULL;
    }
    if (p == NULL)
        p = by_path(x, &model);
    if (p == NULL)
        p = by_listing(x, model);
    if (p == NULL)
        p = by_family(x, model);
    if (p == NULL && s->default_provider.n != 0)
        p = by_name(x, s->default_provider);
    x->upstream_model = model;
    return p;
}

static bool choose_provider(struct exchange *x)
{
    struct route *r = &x->route;
    if (r->provider != NULL)
        return true;
    if (x->client_model.n == 0) {
        r->provider = by_format(x);
        if (r->provider == NULL && x->rt->settings.routing.default_provider.n != 0)
            r->provider = by_name(x, x->rt->settings.routing.default_provider);
        if (r->provider == NULL)
            exchange_fail(x, r->op == CCP_OP_FAMILY ? CCP_NOT_FOUND : CCP_BAD_REQUEST,
                          "the request names no model; name one, or use a provider's prefix such as /claude");
        return r->provider != NULL;
    }
    r->provider = choose_by_model(x);
    if (r->provider == NULL)
        exchange_fail(x, CCP_NO_MODEL,
                      "no provider serves model \"%.*s\"; use a provider's prefix, add a routing.model_mappings entry "
                      "or set routing.default_provider",
                      (int)(x->client_model.n < 200 ? x->client_model.n : 200), x->client_model.p);
    return r->provider != NULL;
}

/* The vendor's own Responses keeps more of other formats than Chat does (encrypted reasoning); servers that are merely
 * compatible mostly know Chat. */
static enum ccp_format best_format(const struct provider *p)
{
    if (!p->compatible && (p->formats & CCP_SPEAKS(OPENAI_RESPONSES)))
        return CCP_FORMAT_OPENAI_RESPONSES;
    enum ccp_format f = 0;
    while (f < CCP_FORMAT_COUNT - 1 && !(p->formats & (1u << f)))
        f++;
    return f;
}

/* By what the upstream's list says of the model; what it says nothing of is served as Chat, as it was before there were
 * lists that do. The list is unknown for another's credential: then the client knows best what it may ask. */
static enum ccp_format listed_format(struct exchange *x, const struct provider *p)
{
    static const enum ccp_format order[] = {CCP_FORMAT_OPENAI_RESPONSES, CCP_FORMAT_ANTHROPIC};
    enum ccp_format client = x->route.format;
    if (p->auth == AUTH_PASSTHROUGH)
        return p->formats & (1u << client) ? client : CCP_FORMAT_OPENAI_CHAT;
    unsigned served = models_served(x, p, x->upstream_model) & p->formats;
    if (served & (1u << client))
        return client;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (served & (1u << order[i]))
            return order[i];
    return CCP_FORMAT_OPENAI_CHAT;
}

/* What to speak with this provider. */
static enum ccp_format spoken_with(struct exchange *x, const struct provider *p)
{
    enum ccp_format client = x->route.format;
    if (p->def->choose_by_list)
        return listed_format(x, p);
    if (p->def->choose != NULL)
        return p->def->choose(p->self, &x->pub, client, x->client_model);
    return p->formats & (1u << client) ? client : best_format(p);
}

static bool can_cross(const struct exchange *x)
{
    return x->route.op == CCP_OP_GENERATE || x->route.op == CCP_OP_COUNT;
}

static bool speaks(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    unsigned wanted = 1u << x->route.format;
    /* Chat's embeddings and completions belong to the OpenAI family, whichever of its formats a block names. */
    if (x->route.format == CCP_FORMAT_OPENAI_CHAT && x->route.op != CCP_OP_GENERATE)
        wanted |= CCP_SPEAKS(OPENAI_RESPONSES);
    bool older =
        x->route.format == CCP_FORMAT_OPENAI_CHAT && (x->route.op == CCP_OP_EMBED || x->route.op == CCP_OP_FAMILY);
    if (older && (p->def->lacks & CCP_LACKS(EMBED)))
        wanted = 0;
    if (can_cross(x)) {
        x->spoken = spoken_with(x, p);
        return !crossing_needed(x) || body_parse(x);
    }
    if (x->route.op == CCP_OP_RAW || (p->formats & wanted))
        return true;
    exchange_fail(x, CCP_NOT_FOUND, "provider %.*s does not offer this route", CCP_FMT(p->id));
    return false;
}

/* A body that may have to be changed is decoded to see. */
static bool has_rules(const struct exchange *x, const struct provider *p)
{
    for (int f = 0; f < CCP_FORMAT_COUNT; f++)
        if (can_cross(x) && p->def->body_rules[f] != NULL)
            return true;
    return false;
}

/* Who reads the model out of the body? Routing without a prefix, mappings, limited keys, own transports, and the rules
 * of providers. */
static bool model_needed(const struct exchange *x)
{
    const struct provider *p = x->route.provider;
    return p == NULL || p->s.model_mappings.n != 0 || p->def->transport != NULL || x->crosses ||
           p->def->choose_by_list || has_rules(x, p) || (x->key != NULL && x->key->models.n != 0);
}

static void map_model(struct exchange *x)
{
    if (x->upstream_model.n == 0)
        x->upstream_model = x->client_model;
    const struct model_mapping *m =
        x->upstream_model.n != 0 ? settings_map_model(&x->route.provider->s.model_mappings, x->upstream_model) : NULL;
    if (m != NULL)
        x->upstream_model = m->target;
}

static bool route(struct exchange *x)
{
    const struct provider *given = x->route.provider;
    bool fixed = given != NULL && given->def->choose == NULL && !given->def->choose_by_list;
    x->spoken = x->body_format = x->route.format;
    x->crosses = can_cross(x) && fixed && spoken_with(x, given) != x->route.format;
    if (!body_read(x, model_needed(x)) || !choose_provider(x))
        return false;
    map_model(x);
    return x->routed = true;
}

static bool needs_list(const struct exchange *x)
{
    const struct provider *p = x->route.provider;
    return x->route.op == CCP_OP_GENERATE && p->def->choose_by_list && models_may_ask(x, p) && !x->models_asked &&
           !models_known(x, p);
}

/* The list is asked for with the provider's credential, which may have to be waited for, and only once: without an
 * answer there is still a default. */
static enum ccp_verdict ask_for_list(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    x->credential_news = false; /* what was waited for is asked again here */
    enum ccp_verdict verdict = credential_acquire(x);
    if (verdict == CCP_WAIT) {
        x->resumed = CCP_NEXT;
        exchange_state(x, X_PARKED);
    }
    if (verdict != CCP_NEXT)
        return verdict;
    x->models_asked = true;
    return models_fetch(x, &p, 1) ? CCP_WAIT : CCP_NEXT;
}

enum ccp_verdict router_choose(struct exchange *x)
{
    if (!x->routed && !route(x))
        return CCP_FAILED;
    enum ccp_verdict verdict = needs_list(x) ? ask_for_list(x) : CCP_NEXT;
    if (verdict != CCP_NEXT)
        return verdict;
    return speaks(x) ? CCP_NEXT : CCP_FAILED;
}

/*
 * Asking upstreams for their model lists, for callers of another shape and for the merged list.
 *
 * The exchange is parked while the answers come; each worker remembers a list for five minutes, and a failure
 * for half a minute, per configuration.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>
#include <chain/models_impl.h>

#define FRESH_MS  (5 * 60 * 1000u)
#define FAILED_MS (30 * 1000u)
#define LIST_MAX  (8u * 1024 * 1024)

struct fetch_group;

struct fetch {
    struct fetch_group *group;
    const struct provider *p;
    enum ccp_format format;
    struct ccp_transfer *transfer;
    struct ccp_upstream_request up;
    struct ccp_buf body;
    int status;
};

struct fetch_group {
    struct exchange *x;
    size_t n, waiting;
    struct fetch v[];
};

static struct model_list *slot(const struct exchange *x, const struct provider *p)
{
    struct snapshot *s = x->snap;
    if (s->lists == NULL)
        s->lists = CCP_FAULT("models.slot") ? NULL : calloc(x->rt->provider_count, sizeof(struct model_list));
    return s->lists != NULL ? &s->lists[p - x->rt->providers] : NULL;
}

const struct model_list *models_cached(const struct exchange *x, const struct provider *p)
{
    const struct model_list *l = slot(x, p);
    return l != NULL && l->expires_ms > clock_ms() ? l : NULL;
}

void models_forget(struct snapshot *s)
{
    for (size_t i = 0; s->lists != NULL && i < s->rt->provider_count; i++)
        arena_end(&s->lists[i].arena);
    free(s->lists);
    s->lists = NULL;
}

static void remember(struct fetch *f, bool answered)
{
    struct model_list *l = slot(f->group->x, f->p);
    if (l == NULL)
        return;
    arena_end(&l->arena);
    arena_init(&l->arena, NULL, 4 * LIST_MAX);
    l->n = 0;
    bool good = answered && f->status == 200 && models_parse(l, f->p, f->format, buf_span(&f->body));
    if (!good)
        log_info("models", "provider %.*s gave no model list (HTTP status %d)", CCP_FMT(f->p->id), f->status);
    l->expires_ms = clock_ms() + (good ? FRESH_MS : FAILED_MS);
}

static void on_head(void *arg, int status, const struct ccp_header *headers, size_t n)
{
    ((struct fetch *)arg)->status = status;
}

static enum ccp_push on_body(void *arg, struct ccp_span bytes)
{
    buf_add(&((struct fetch *)arg)->body, bytes); /* too large: stays cut and will not parse */
    return CCP_PUSH_MORE;
}

static void on_done(void *arg, enum ccp_status status, struct ccp_span why)
{
    struct fetch *f = arg;
    f->transfer = NULL;
    remember(f, status == CCP_OK);
    if (--f->group->waiting == 0)
        chain_api.resume(&f->group->x->pub, CCP_NEXT);
}

static const struct ccp_transfer_events events = {on_head, on_body, on_done};

static void cancel_all(void *arg)
{
    struct fetch_group *g = arg;
    for (size_t i = 0; i < g->n; i++)
        if (g->v[i].transfer != NULL) {
            g->x->w->http->cancel(g->x->w->http_self, g->v[i].transfer);
            g->v[i].transfer = NULL;
        }
}

static void release_all(void *arg)
{
    struct fetch_group *g = arg;
    for (size_t i = 0; i < g->n; i++)
        buf_release(&g->v[i].body);
}

static enum ccp_format own_format(const struct provider *p)
{
    enum ccp_format f = CCP_FORMAT_ANTHROPIC;
    while (f < CCP_FORMAT_GEMINI && !(p->formats & (1u << f)))
        f++;
    return f;
}

static bool build(struct exchange *x, struct fetch *f)
{
    static const char *const paths[CCP_FORMAT_COUNT] = {
        [CCP_FORMAT_ANTHROPIC] = "/v1/models?limit=1000",
        [CCP_FORMAT_OPENAI_CHAT] = "/models",
        [CCP_FORMAT_OPENAI_RESPONSES] = "/models",
        [CCP_FORMAT_GEMINI] = "/v1beta/models?pageSize=1000",
    };
    struct ccp_span base = f->p->s.base_url;
    while (base.n != 0 && base.p[base.n - 1] == '/')
        base.n--;
    f->format = own_format(f->p);
    struct ccp_span pieces[] = {base, ccp_span_z(paths[f->format])};
    attempt_describe(x, f->p, f->format, &f->up);
    f->up.method = CCP_SPAN("GET");
    f->up.url = arena_cat(&x->arena, pieces, 2);
    return f->up.url.p != NULL && attempt_own_headers(x, f->p, &f->up);
}

bool models_fetch(struct exchange *x, const struct provider *const *providers, size_t n)
{
    struct fetch_group *g =
        CCP_FAULT("models.group") ? NULL : arena_zalloc(&x->arena, sizeof(*g) + n * sizeof(struct fetch));
    if (g == NULL || CCP_FAULT("models.defer") || !arena_defer(&x->arena, release_all, g))
        return false;
    g->x = x;
    for (size_t i = 0; i < n; i++) {
        struct fetch *f = &g->v[g->n];
        *f = (struct fetch){.group = g, .p = providers[i]};
        buf_init(&f->body, LIST_MAX);
        if (!CCP_FAULT("models.start") && build(x, f))
            f->transfer = x->w->http->start(x->w->http_self, &x->pub, &f->up, &events, f);
        if (f->transfer == NULL)
            continue;
        g->n++;
        g->waiting++;
    }
    if (g->waiting == 0)
        return false;
    chain_api.park(&x->pub, cancel_all, g);
    exchange_state(x, X_PARKED);
    return true;
}

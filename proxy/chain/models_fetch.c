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

bool models_known(const struct exchange *x, const struct provider *p)
{
    const struct model_list *l = slot(x, p);
    if (l == NULL || l->expires_ms == 0)
        return false;
    return l->expires_ms > clock_ms() || (l->n != 0 && l->asked_ms + FAILED_MS > clock_ms());
}

unsigned models_served(const struct exchange *x, const struct provider *p, struct ccp_span model)
{
    const struct model_list *l = slot(x, p);
    for (size_t i = 0; l != NULL && i < l->n; i++)
        if (ccp_span_eq(l->v[i].id, model))
            return l->v[i].served;
    return 0;
}

bool models_may_ask(const struct exchange *x, const struct provider *p)
{
    return p->auth != AUTH_PASSTHROUGH && credential_usable(x, p);
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
    struct model_list *l = slot(f->group->x, f->p), fresh = {.n = 0};
    if (l == NULL)
        return;
    arena_init(&fresh.arena, NULL, 4 * LIST_MAX);
    bool good = answered && f->status == 200 && models_parse(&fresh, f->p, buf_span(&f->body));
    if (!good)
        log_info("models", "provider %.*s gave no model list (HTTP status %d)", CCP_FMT(f->p->id), f->status);
    arena_end(good ? &l->arena : &fresh.arena);
    if (good) {
        fresh.asked_ms = l->asked_ms;
        *l = fresh;
    }
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

/* The provider's last word, as on a client's request. */
static bool prepared(struct exchange *x, struct fetch *f)
{
    return f->p->def->prepare == NULL || f->p->def->prepare(f->p->self, &x->pub, &f->up) == CCP_OK;
}

static bool build(struct exchange *x, struct fetch *f)
{
    enum ccp_format format;
    const struct ccp_model_list *shape = models_shape(f->p, &format);
    struct ccp_span base = f->p->s.base_url;
    while (base.n != 0 && base.p[base.n - 1] == '/')
        base.n--;
    struct ccp_span pieces[] = {base, ccp_span_z(shape->path)};
    if (!attempt_describe(x, f->p, format, &f->up))
        return false;
    f->up.method = CCP_SPAN("GET");
    f->up.url = arena_cat(&x->arena, pieces, 2);
    return f->up.url.p != NULL && attempt_own_headers(x, f->p, &f->up) && prepared(x, f);
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
        struct model_list *l = slot(x, providers[i]);
        if (l != NULL)
            l->asked_ms = clock_ms();
        g->n++;
        g->waiting++;
    }
    if (g->waiting == 0)
        return false;
    chain_api.park(&x->pub, cancel_all, g);
    exchange_state(x, X_PARKED);
    return true;
}

/*
 * Hook events: who hears one, in line and later. What nobody hears costs one test of a bit (hooks_emit); a failing
 * subscriber is counted, never fatal.
 */
#include <base/clock.h>
#include <chain/exchange_impl.h>

static const char *const dotted[] = {
#define X(name, text) text,
#include <ccproxy/event.def>
#undef X
};

/* -- in line -- */

static void call(struct hook_entry *h, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    bool nothing = false, *hooked = x != NULL ? &exchange_of(x)->hooked : &nothing, before = *hooked;
    uint64_t began = guard_begin(h->unit);
    *hooked = true;
    bool fine = h->h->on_event(h->self, event, x, m);
    *hooked = before; /* a hook may have said an event that another one hears */
    guard_end(h->unit, h->h->name, began);
    if (!fine)
        guard_failure(h->unit, h->h->name, CCP_SPAN(""));
}

static void in_line(struct runtime *rt, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    for (size_t i = 0; i < rt->hook_count[event]; i++) {
        struct hook_entry *h = rt->hooks[event][i];
        if (h->h->on_event != NULL && unit_callable(h->unit) && hook_wants(h->h, event, m->name))
            call(h, event, x, m);
    }
}

/* -- for observers -- */

static struct ccp_event_info info_of(enum ccp_event event, const struct ccp_moment *m)
{
    return (struct ccp_event_info){.size = sizeof(struct ccp_event_info),
                                   .event = event,
                                   .dotted = ccp_span_z(dotted[event]),
                                   .unix_us = clock_unix_us(),
                                   .moment = m};
}

static struct ccp_span without_query(struct ccp_span url)
{
    url.n = ccp_span_find(url, '?');
    return url;
}

void hooks_describe(struct exchange *x, struct ccp_event_info *info, struct ccp_summary *sum)
{
    const struct ccp_api *api = x->pub.api;
    api->summary(&x->pub, sum, sizeof(*sum));
    info->of_exchange = true;
    info->summary = sum;
    info->request_id = x->request_id;
    info->method = x->req.method;
    info->path = x->path;
    info->peer = x->req.peer;
    info->key_name = api->key_name(&x->pub);
    info->provider = api->provider(&x->pub);
    info->client_model = x->client_model;
    info->upstream_model = x->upstream_model;
    info->client_format = x->route.format;
    info->op = x->route.op;
    if (info->event == CCP_EVENT_PROVIDER_REQUEST_PREPARED || info->event == CCP_EVENT_PROVIDER_REQUEST_SENT)
        info->upstream_url = without_query(x->up.url);
}

static void publish(struct exchange *x, enum ccp_event event, const struct ccp_moment *m)
{
    struct ccp_summary sum;
    struct ccp_event_info info = info_of(event, m);
    hooks_describe(x, &info, &sum);
    executor_publish(x->w->executor, &info);
}

bool hooks_custom(struct exchange *x, struct ccp_span source, const struct ccp_moment *m)
{
    struct ccp_summary sum;
    uint64_t bit = CCP_HEARS(CUSTOM);
    if (x->rt->heard_in_line & bit)
        in_line(x->rt, CCP_EVENT_CUSTOM, &x->pub, m);
    if (x->w->executor == NULL ||
        !((x->rt->observed | atomic_load_explicit(x->w->watched, memory_order_relaxed)) & bit))
        return true;
    struct ccp_event_info info = info_of(CCP_EVENT_CUSTOM, m);
    info.dotted = m->name;
    info.source = source;
    hooks_describe(x, &info, &sum);
    return executor_publish(x->w->executor, &info);
}

void hooks_say(struct exchange *x, enum ccp_event event, const struct ccp_moment *m)
{
    static const struct ccp_moment nothing = {.size = sizeof(nothing)};
    uint64_t bit = 1ull << event;
    if (m == NULL)
        m = &nothing;
    if (x->rt->heard_in_line & bit)
        in_line(x->rt, event, &x->pub, m);
    if (x->w->executor != NULL && ((x->rt->observed | atomic_load_explicit(x->w->watched, memory_order_relaxed)) & bit))
        publish(x, event, m);
}

void chain_announce(struct runtime *rt, struct executor *executor, enum ccp_event event, const struct ccp_moment *m)
{
    static const struct ccp_moment nothing = {.size = sizeof(nothing)};
    uint64_t bit = 1ull << event;
    if (m == NULL)
        m = &nothing;
    if (rt->heard_in_line & bit)
        in_line(rt, event, NULL, m);
    if (executor == NULL || !((rt->observed | atomic_load(executor_watched(executor))) & bit))
        return;
    struct ccp_event_info info = info_of(event, m);
    executor_publish(executor, &info);
}

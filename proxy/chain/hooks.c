/*
 * Hook events. What nobody hears costs one test of a bit; a failing subscriber is counted, never fatal.
 */
#include <base/log.h>
#include <chain/exchange_impl.h>

/* Said once for each power of two, so that a broken subscriber cannot flood the log. */
static void count_failure(struct hook_entry *h)
{
    unsigned long n = atomic_fetch_add(&h->failures, 1) + 1;
    if ((n & (n - 1)) == 0)
        log_warn("hooks", "%.*s/%s failed %lu times", CCP_FMT(h->owner), h->h->name, n);
}

static void emit(struct runtime *rt, enum ccp_event event, struct ccp_exchange *pub)
{
    for (size_t i = 0; i < rt->hook_count[event]; i++) {
        struct hook_entry *h = rt->hooks[event][i];
        if (h->h->on_event != NULL && !h->h->on_event(h->self, event, pub))
            count_failure(h);
    }
}

void chain_announce_oauth(struct runtime *rt, enum ccp_event event, const struct ccp_oauth_event *what)
{
    for (size_t i = 0; (rt->heard & (1ull << event)) && i < rt->hook_count[event]; i++) {
        struct hook_entry *h = rt->hooks[event][i];
        if (h->h->on_oauth != NULL && !h->h->on_oauth(h->self, event, what))
            count_failure(h);
    }
}

void hooks_emit(struct exchange *x, enum ccp_event event)
{
    if (x->rt->heard & (1ull << event))
        emit(x->rt, event, &x->pub);
}

void chain_announce(struct runtime *runtime, enum ccp_event event)
{
    if (runtime->heard & (1ull << event))
        emit(runtime, event, NULL);
}

/*
 * The plugin test_kit, which every test has beside its own: it writes down which events were said. Because of it
 * somebody hears every event.
 */
#include <testing/kit_impl.h>

static const char *const dotted[] = {
#define X(name, text) text,
#include <ccproxy/event.def>
#undef X
};

static void *open_spy(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    return kit_current();
}

static void note(struct ccp_buf *b, struct ccp_span name)
{
    buf_add(b, name);
    buf_add(b, CCP_SPAN(" "));
}

/* The exchange begins with what plugins see of it, so the two pointers are equal (chain/exchange_impl.h). */
static struct kit_call *call_of(struct ccp_test *t, const struct ccp_exchange *x)
{
    struct kit_call *c = t->calls;
    while (c != NULL && (const void *)c->x != (const void *)x)
        c = c->next;
    return c;
}

/* How many of these there are depends on how bytes were cut. */
#define BYTES (CCP_HEARS(PROVIDER_STREAM_CHUNK) | CCP_HEARS(HTTP_RESPONSE_BODY) | CCP_HEARS(PROVIDER_RESPONSE_BODY))

static bool on_event(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    struct ccp_test *t = self;
    struct kit_call *c = x != NULL ? call_of(t, x) : NULL;
    if ((BYTES & (1ull << event)) != 0 || event == CCP_EVENT_CUSTOM || (x != NULL && c == NULL))
        return true;
    if (c != NULL) {
        note(&c->events, ccp_span_z(dotted[event]));
        c->pub.events = buf_span(&c->events);
        return true;
    }
    pthread_mutex_lock(&t->lock);
    note(&t->events, ccp_span_z(dotted[event]));
    pthread_mutex_unlock(&t->lock);
    return true;
}

static bool observe(void *self, const struct ccp_event_info *info)
{
    struct ccp_test *t = self;
    pthread_mutex_lock(&t->lock);
    note(&t->events, info->dotted);
    pthread_mutex_unlock(&t->lock);
    return true;
}

static const struct ccp_hook hooks[] = {
    {.name = "in_line", .events = (1ull << CCP_EVENT_COUNT) - 1, .order = 10000, .on_event = on_event},
    {.name = "custom", .events = CCP_HEARS(CUSTOM), .order = 10000, .observe = observe},
    {.name = NULL},
};

const struct ccp_plugin kit_spy = {
    CCP_ABI_HERE,
    .name = "test_kit",
    .version = "1.0.0",
    .summary = "writes down what a test sees",
    .kind = CCP_PLUGIN_SYSTEM,
    .hooks = hooks,
    .open = open_spy,
};

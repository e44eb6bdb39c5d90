/*
 * Server-sent events that a plugin reads: the core's reader, in the memory of an exchange.
 */
#include <base/fault.h>
#include <chain/api_impl.h>
#include <wire/sse.h>

struct ccp_sse_reader {
    struct sse_reader reader;
    bool (*on_event)(void *arg, struct ccp_span name, struct ccp_span data);
    void *arg;
};

static void release(void *arg)
{
    sse_reader_release(&((struct ccp_sse_reader *)arg)->reader);
}

struct ccp_sse_reader *api_sse_reader(struct ccp_exchange *pub, size_t max_event,
                                      bool (*on_event)(void *arg, struct ccp_span name, struct ccp_span data),
                                      void *arg)
{
    struct exchange *x = exchange_of(pub);
    struct ccp_sse_reader *r = CCP_FAULT("stream.reader") ? NULL : arena_alloc(&x->arena, sizeof(*r));
    if (r == NULL)
        return NULL;
    sse_reader_init(&r->reader, max_event);
    r->on_event = on_event;
    r->arg = arg;
    return arena_defer(&x->arena, release, r) ? r : NULL;
}

static bool pass_on(void *arg, const struct sse_event *event)
{
    const struct ccp_sse_reader *r = arg;
    return r->on_event(r->arg, event->event, event->data);
}

bool api_sse_feed(struct ccp_sse_reader *r, struct ccp_span bytes)
{
    return sse_read(&r->reader, bytes, pass_on, r) == SSE_OK;
}

/*
 * parrot: a provider that is its own upstream: whatever it is asked, it answers with one sentence, in OpenAI's Chat
 * format; for clients of other formats ccproxy translates.
 *
 * A transport answers from later turns of the loop, never from inside `start`: a timer of the exchange gives those. The
 * transfer lives in the exchange's memory, so there is nothing to free.
 */
#include <ccproxy/ccproxy.h>

static const char answer[] = "{\"id\":\"parrot-1\",\"object\":\"chat.completion\",\"created\":0,\"model\":\"parrot\","
                             "\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\","
                             "\"content\":\"polly wants a cracker\"}}]}";

struct ccp_transfer {
    const struct ccp_api *api;
    struct ccp_timer *timer;
    struct ccp_transfer_events events;
    void *arg;
    int step;
};

/* One callback in each turn. The next turn is asked for first, because a callback may cancel or pause. */
static void step(void *arg)
{
    static const struct ccp_header json = {CCP_LIT("content-type"), CCP_LIT("application/json")};
    struct ccp_transfer *t = arg;
    int now = t->step++;
    if (now < 2)
        t->api->timer_set(t->timer, 0);
    if (now == 0)
        t->events.head(t->arg, 200, &json, 1);
    else if (now == 2)
        t->events.done(t->arg, CCP_OK, CCP_SPAN(""));
    else if (t->events.body(t->arg, ccp_span_z(answer)) == CCP_PUSH_PAUSE)
        t->api->timer_stop(t->timer);
}

static struct ccp_transfer *start(void *self, struct ccp_exchange *x, const struct ccp_upstream_request *request,
                                  const struct ccp_transfer_events *events, void *arg)
{
    struct ccp_transfer *t = x->api->alloc(x, sizeof(*t));
    if (t == NULL)
        return NULL;
    *t = (struct ccp_transfer){.api = x->api, .timer = x->api->timer(x, step, t), .events = *events, .arg = arg};
    if (t->timer == NULL)
        return NULL;
    t->api->timer_set(t->timer, 0);
    return t;
}

static void hold(void *self, struct ccp_transfer *t) /* cancel, pause */
{
    t->api->timer_stop(t->timer);
}

static void resume(void *self, struct ccp_transfer *t)
{
    t->api->timer_set(t->timer, 0);
}

static const struct ccp_transport transport = {start, hold, hold, resume};
static const char *const models[] = {"parrot", NULL};
static const struct ccp_provider provider = {
    .label = "Parrot",
    .prefix = "parrot",
    .formats = CCP_SPEAKS(OPENAI_CHAT),
    .base_url = "http://parrot.invalid/v1", /* never connected to */
    .keyless = true,
    .transport = &transport,
    .models = models,
};
/* clang-format off */
CCP_PLUGIN(parrot) = {CCP_ABI_HERE, .name = "parrot", .version = CCP_PLUGIN_VERSION, .kind = CCP_PLUGIN_PROVIDER,
    .summary = "says one sentence", .provider = &provider};

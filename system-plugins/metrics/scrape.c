/*
 * GET /metrics: reads /proc where blocking is allowed, then sends the page in pieces, each made when the client has
 * taken the one before, so that no worker stands still over a large page.
 */
#include "metrics_impl.h"

#include <stdlib.h>

struct scrape {
    struct page page;
    struct ccp_exchange *x; /* NULL: it is over */
    const struct ccp_api *api;
    char piece[PAGE_ROOM];
};

static void write_on(struct scrape *s)
{
    enum ccp_push push = CCP_PUSH_MORE;
    while (push == CCP_PUSH_MORE && !s->page.done) {
        size_t n = page_next(&s->page, s->piece);
        push = s->api->stream_write(s->x, ccp_span_of(s->piece, n));
    }
    if (push != CCP_PUSH_GONE && s->page.done)
        s->api->stream_end(s->x);
}

static void writable(void *arg)
{
    write_on(arg);
}

static void ended(void *arg)
{
    free(arg);
}

static const struct ccp_stream_events events = {writable, ended};

static enum ccp_verdict answer(struct scrape *s)
{
    struct ccp_span type = s->page.open_metrics ? CCP_SPAN("application/openmetrics-text; version=1.0.0; charset=utf-8")
                                                : CCP_SPAN("text/plain; version=0.0.4; charset=utf-8");
    s->api->add_response_header(s->x, CCP_SPAN("cache-control"), CCP_SPAN("no-store"));
    enum ccp_verdict verdict = s->api->stream_open(s->x, 200, type, &events, s);
    if (verdict != CCP_DONE)
        free(s);
    else
        write_on(s);
    return verdict;
}

static void look(void *arg)
{
    struct scrape *s = arg;
    process_read(&s->page.process);
}

static void looked(void *arg, struct ccp_exchange *x)
{
    struct scrape *s = arg;
    if (x == NULL)
        free(s);
    else
        s->api->resume(x, answer(s));
}

/* What was parked is freed by `looked`, which comes in any case. */
static void gone(void *arg)
{
}

static bool contains(struct ccp_span text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.n; i++)
        if (strncasecmp(text.p + i, word, n) == 0)
            return true;
    return false;
}

enum ccp_verdict scrape_serve(void *self, struct ccp_exchange *x)
{
    struct metrics *m = self;
    const struct ccp_api *api = m->env->api;
    struct scrape *s = malloc(sizeof(*s));
    if (s == NULL)
        return api->fail(x, CCP_OVERLOADED, "out of memory");
    page_begin(&s->page, m, contains(api->header(x, CCP_SPAN("accept")), "application/openmetrics-text"));
    s->x = x;
    s->api = api;
    api->park(x, gone, s);
    if (api->work(m->env, x, look, looked, s))
        return CCP_WAIT;
    api->park(x, NULL, NULL); /* so much waits for those threads that the page does without them */
    process_read(&s->page.process);
    return answer(s);
}

/*
 * The client of a test: requests in, answers out, and the turns that make everything go on.
 */
#include <testing/kit_impl.h>

#include <base/clock.h>

#include <stdlib.h>
#include <unistd.h>

/* -- the responder -- */

static void got_head(void *self, int status, const struct ccp_header *headers, size_t n, size_t content_length)
{
    struct kit_call *c = self;
    c->pub.status = status;
    c->pub.headers = c->headers;
    for (; c->pub.header_count < n && c->pub.header_count < KIT_HEADERS; c->pub.header_count++) {
        const struct ccp_header *h = &headers[c->pub.header_count];
        c->headers[c->pub.header_count] = (struct ccp_header){kit_keep(c->t, h->name), kit_keep(c->t, h->value)};
    }
}

static enum ccp_push got_body(void *self, struct ccp_span bytes, bool last)
{
    struct kit_call *c = self;
    buf_add(&c->body, bytes);
    c->pub.body = buf_span(&c->body);
    c->pub.whole = last;
    if (last || !c->slow)
        return CCP_PUSH_MORE;
    c->waits = true;
    return CCP_PUSH_PAUSE;
}

static void got_abort(void *self)
{
    ((struct kit_call *)self)->pub.broken = true;
}

static void over(struct kit_call *c)
{
    c->x = NULL;
    c->pub.over = true;
    free(c->request_body);
    c->request_body = NULL;
}

static void got_ended(void *self)
{
    over(self);
}

static const struct chain_responder responder = {got_head, got_body, got_abort, got_ended};

/* -- turns -- */

static bool run_posts(struct ccp_test *t)
{
    pthread_mutex_lock(&t->lock);
    struct kit_post *first = t->posts;
    t->posts = NULL;
    t->last_post = &t->posts;
    pthread_mutex_unlock(&t->lock);
    bool any = first != NULL;
    for (struct kit_post *next; first != NULL; first = next) {
        next = first->next;
        first->fn(first->arg);
        free(first);
    }
    return any;
}

bool kit_post(void *self, size_t worker, void (*fn)(void *arg), void *arg)
{
    struct ccp_test *t = self;
    struct kit_post *p = kit_alloc(sizeof(*p));
    *p = (struct kit_post){NULL, fn, arg};
    pthread_mutex_lock(&t->lock);
    *t->last_post = p;
    t->last_post = &p->next;
    pthread_mutex_unlock(&t->lock);
    return true;
}

bool kit_turn(struct ccp_test *t)
{
    bool any = run_posts(t);
    any = loop_wait(&t->loop, 1) == 0 || any;
    loop_turn(&t->loop);
    return kit_upstream_step(t) || any;
}

void kit_quiet(struct ccp_test *t)
{
    for (int i = 0; i < 1000000 && kit_turn(t); i++)
        ;
}

/* -- requests -- */

static void begin(struct kit_call *c, const char *method, const char *path, const char *headers, struct ccp_span body)
{
    struct ccp_header given[KIT_HEADERS], plain[KIT_HEADERS];
    struct ccp_test *t = c->t;
    struct chain_request r = {.peer = CCP_SPAN("127.0.0.1:5123"), .version = 11, .headers = plain, .body = body};
    size_t n = kit_headers(t, headers, given, KIT_HEADERS);
    r.method = kit_keep(t, ccp_span_z(method));
    r.target = kit_keep(t, ccp_span_z(path));
    r.authority = CCP_SPAN("127.0.0.1:8000");
    r.upgrade = r.refusal_text = CCP_SPAN("");
    for (size_t i = 0; i < n; i++)
        if (ccp_span_is(given[i].name, "host"))
            r.authority = given[i].value;
        else if (ccp_span_is(given[i].name, ":unix"))
            r.unix_socket = true, r.peer = CCP_SPAN("unix");
        else
            plain[r.header_count++] = given[i];
    /* a copy: they are needed as long as the exchange */
    r.headers = (const void *)kit_keep(t, ccp_span_of((const char *)plain, r.header_count * sizeof(*plain))).p;
    c->x = chain_begin(t->worker, &r, &responder, c);
    if (c->x == NULL)
        over(c);
}

struct ccp_test_response *ccp_test_begin(struct ccp_test *t, const char *method, const char *path, const char *headers,
                                         const char *body)
{
    struct kit_call *c = kit_alloc(sizeof(*c));
    size_t n = body != NULL ? strlen(body) : 0;
    *c = (struct kit_call){.next = t->calls, .t = t, .request_body = kit_alloc(n + 1)};
    t->calls = c;
    memcpy(c->request_body, body != NULL ? body : "", n);
    c->line = kit_keep2(t, kit_keep2(t, ccp_span_z(method), CCP_SPAN(" ")), ccp_span_z(path));
    buf_init(&c->body, SIZE_MAX / 2);
    buf_init(&c->events, 1 << 20);
    c->pub.body = c->pub.events = CCP_SPAN("");
    begin(c, method, path, headers, ccp_span_of(c->request_body, n));
    kit_quiet(t);
    return &c->pub;
}

/* Nothing happened for a while of real time, so no other thread is about to say something: only time helps. */
static void jump(struct ccp_test *t)
{
    uint64_t ms = loop_wait(&t->loop, UINT64_MAX);
    if (t->loop.heap_n != 0 && ms != UINT64_MAX)
        kit_clock_add((ms != 0 ? ms : 1) * 1000);
}

void ccp_test_finish(struct ccp_test *t, struct ccp_test_response *r)
{
    struct kit_call *c = (struct kit_call *)r;
    uint64_t began = kit_real_us(), idle = began;
    while (!r->over && kit_real_us() - began < KIT_PATIENCE) {
        if (kit_turn(t)) {
            idle = kit_real_us();
            continue;
        }
        usleep(200);
        if (kit_real_us() - idle < KIT_IDLE)
            continue;
        jump(t);
        idle = kit_real_us();
    }
    if (r->over)
        return;
    ccp_test_fail("client", 0, "%.*s does not end", CCP_FMT(c->line));
    ccp_test_leave(t, r);
}

struct ccp_test_response *ccp_test_request(struct ccp_test *t, const char *method, const char *path,
                                           const char *headers, const char *body)
{
    struct ccp_test_response *r = ccp_test_begin(t, method, path, headers, body);
    ccp_test_finish(t, r);
    kit_quiet(t);
    return r;
}

void ccp_test_leave(struct ccp_test *t, struct ccp_test_response *r)
{
    struct kit_call *c = (struct kit_call *)r;
    if (r->over)
        return;
    free(c->request_body); /* as with a reset stream: gone before the chain hears of it */
    c->request_body = NULL;
    chain_client_gone(c->x);
    over(c);
    kit_quiet(t);
}

void ccp_test_slow(struct ccp_test *t, struct ccp_test_response *r, bool on)
{
    struct kit_call *c = (struct kit_call *)r;
    c->slow = on;
    if (on || !c->waits)
        return;
    c->waits = false;
    if (c->x != NULL)
        chain_writable(c->x);
    kit_quiet(t);
}

struct ccp_span ccp_test_header(const struct ccp_test_response *r, const char *name)
{
    return kit_header(r->headers, r->header_count, name);
}

bool ccp_test_saw(const struct ccp_test_response *r, const char *dotted)
{
    struct ccp_span rest = r->events;
    while (rest.n != 0) {
        size_t end = ccp_span_find(rest, ' ');
        if (ccp_span_is(ccp_span_of(rest.p, end), dotted))
            return true;
        rest = ccp_span_skip(rest, end + 1);
    }
    return false;
}

void ccp_test_advance(struct ccp_test *t, uint64_t ms)
{
    uint64_t end = clock_ms() + ms;
    kit_quiet(t);
    for (uint64_t now = clock_ms(); now < end; now = clock_ms()) {
        uint64_t next = loop_wait(&t->loop, end - now);
        kit_clock_add((next != 0 ? next : 1) * 1000);
        kit_quiet(t);
    }
}

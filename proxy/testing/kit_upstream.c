/*
 * The upstream of a test: writes requests down and gives the answers that were prepared, one step in each turn: the
 * head, a piece of the body, the end. Bytes are handed over in memory that is gone after the call, as a real transport
 * does it.
 */
#include <testing/kit_impl.h>

#include <base/secret.h>

#include <stdlib.h>

static struct kit_script *take_answer(struct ccp_test *t)
{
    struct kit_script *s = t->next_answer;
    if (s != NULL && (t->next_answer = s->next) == NULL)
        t->last_answer = &t->next_answer;
    return s;
}

static void record(struct ccp_test *t, const struct ccp_upstream_request *r)
{
    struct kit_sent *s = kit_alloc(sizeof(*s));
    size_t n = 0;
    for (; n < r->header_count && n < KIT_HEADERS; n++)
        s->headers[n] = (struct ccp_header){kit_keep(t, r->headers[n].name), kit_keep(t, r->headers[n].value)};
    if (r->credential != NULL) /* revealed: this stands in for the transport that writes the header */
        s->headers[n++] = (struct ccp_header){kit_keep(t, r->credential_header),
                                              kit_keep2(t, r->credential_prefix, secret_reveal(r->credential))};
    s->pub = (struct ccp_test_sent){.method = kit_keep(t, r->method),
                                    .url = kit_keep(t, r->url),
                                    .headers = s->headers,
                                    .header_count = n,
                                    .body = CCP_SPAN("")};
    for (size_t i = 0; i < r->body_pieces; i++)
        s->pub.body = kit_keep2(t, s->pub.body, r->body[i]);
    pthread_mutex_lock(&t->lock);
    *t->last_sent = s;
    t->last_sent = &s->next;
    t->sent_count++;
    pthread_mutex_unlock(&t->lock);
}

static struct ccp_transfer *start(void *self, struct ccp_exchange *x, const struct ccp_upstream_request *r,
                                  const struct ccp_transfer_events *events, void *arg)
{
    struct ccp_test *t = self;
    struct kit_transfer *k = kit_alloc(sizeof(*k));
    record(t, r);
    *k = (struct kit_transfer){.next = t->transfers, .prev = &t->transfers, .t = t, .events = *events, .arg = arg};
    k->script = take_answer(t);
    if (k->next != NULL)
        k->next->prev = &k->next;
    t->transfers = k;
    return (struct ccp_transfer *)k;
}

static void cancel(void *self, struct ccp_transfer *transfer)
{
    struct kit_transfer *k = (struct kit_transfer *)transfer;
    *k->prev = k->next;
    if (k->next != NULL)
        k->next->prev = k->prev;
    free((void *)k->script);
    free(k);
}

static void hold(void *self, struct ccp_transfer *transfer)
{
    ((struct kit_transfer *)transfer)->paused = true;
}

static void go_on(void *self, struct ccp_transfer *transfer)
{
    ((struct kit_transfer *)transfer)->paused = false;
}

const struct ccp_transport kit_transport = {start, cancel, hold, go_on};

static void end(struct kit_transfer *k, enum ccp_status status, struct ccp_span why)
{
    struct ccp_transfer_events events = k->events;
    void *arg = k->arg;
    cancel(NULL, (struct ccp_transfer *)k); /* the handle is gone before anybody hears of the end */
    events.done(arg, status, why);
}

static void piece(struct kit_transfer *k)
{
    const struct ccp_test_answer *a = &k->script->a;
    size_t left = a->length - k->at, n = a->piece != 0 && a->piece < left ? a->piece : left;
    char *copy = kit_alloc(n);
    struct ccp_test *t = k->t;
    memcpy(copy, a->body + k->at, n);
    k->at += n;
    enum ccp_push push = k->events.body(k->arg, ccp_span_of(copy, n));
    free(copy);
    for (struct kit_transfer *still = t->transfers; still != NULL; still = still->next)
        if (still == k) /* not cancelled meanwhile */
            k->paused |= push == CCP_PUSH_PAUSE;
}

static void step(struct kit_transfer *k)
{
    const struct kit_script *s = k->script;
    if (s == NULL) {
        ccp_test_fail("upstream", 0, "a request went upstream and no answer was prepared: ccp_test_answer");
        end(k, CCP_UPSTREAM, CCP_SPAN("no answer was prepared"));
    } else if (s->a.fail != CCP_OK) {
        end(k, s->a.fail, CCP_SPAN("the test says so"));
    } else if (!k->headed) {
        k->headed = true;
        k->events.head(k->arg, s->a.status, s->headers, s->header_count);
    } else if (k->at < s->a.length) {
        piece(k);
    } else if (s->a.cut) {
        end(k, CCP_UPSTREAM, CCP_SPAN("the connection broke"));
    } else {
        end(k, CCP_OK, (struct ccp_span){"", 0});
    }
}

bool kit_upstream_step(struct ccp_test *t)
{
    for (struct kit_transfer *k = t->transfers; k != NULL; k = k->next)
        if (!k->paused && (k->script == NULL || !k->script->a.hold)) {
            step(k); /* one in each turn: it may have changed the list */
            return true;
        }
    return false;
}

void ccp_test_answer(struct ccp_test *t, const struct ccp_test_answer *answer)
{
    struct kit_script *s = kit_script(t, answer);
    *t->last_answer = s;
    t->last_answer = &s->next;
}

void ccp_test_release(struct ccp_test *t)
{
    for (struct kit_transfer *k = t->transfers; k != NULL; k = k->next)
        if (k->script != NULL)
            ((struct kit_script *)k->script)->a.hold = false;
    for (struct kit_script *s = t->next_answer; s != NULL; s = s->next)
        s->a.hold = false;
    kit_quiet(t);
}

size_t ccp_test_sent_count(struct ccp_test *t)
{
    pthread_mutex_lock(&t->lock);
    size_t n = t->sent_count;
    pthread_mutex_unlock(&t->lock);
    return n;
}

const struct ccp_test_sent *ccp_test_sent(struct ccp_test *t, size_t i)
{
    pthread_mutex_lock(&t->lock);
    struct kit_sent *s = t->sent;
    for (size_t k = 0; s != NULL && k < i; k++)
        s = s->next;
    pthread_mutex_unlock(&t->lock);
    if (s == NULL)
        ccp_test_fail("upstream", 0, "request %zu never went out", i);
    return s != NULL ? &s->pub : NULL;
}

struct ccp_span ccp_test_sent_header(const struct ccp_test_sent *s, const char *name)
{
    return s != NULL ? kit_header(s->headers, s->header_count, name) : (struct ccp_span){NULL, 0};
}

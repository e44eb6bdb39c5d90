/*
 * ccp_api.fetch of a test: writes the request down and gives what was prepared. On whatever thread the plugin calls it.
 */
#include <testing/kit_impl.h>

#include <base/secret.h>

#include <stdlib.h>

static void record(struct ccp_test *t, const struct ccp_fetch *f)
{
    struct kit_sent *s = kit_alloc(sizeof(*s));
    size_t n = 0;
    for (; n < f->header_count && n < KIT_HEADERS; n++)
        s->headers[n] = (struct ccp_header){kit_keep(t, f->headers[n].name), kit_keep(t, f->headers[n].value)};
    if (f->bearer != NULL) /* revealed: this stands in for the client that writes the header */
        s->headers[n++] =
            (struct ccp_header){CCP_SPAN("authorization"), kit_keep2(t, CCP_SPAN("Bearer "), secret_reveal(f->bearer))};
    s->pub = (struct ccp_test_sent){.method = f->method.n != 0 ? kit_keep(t, f->method)
                                              : f->body.n != 0 ? CCP_SPAN("POST")
                                                               : CCP_SPAN("GET"),
                                    .url = kit_keep(t, f->url),
                                    .headers = s->headers,
                                    .header_count = n,
                                    .body = kit_keep(t, f->body)};
    pthread_mutex_lock(&t->lock);
    *t->last_sent = s;
    t->last_sent = &s->next;
    t->sent_count++;
    pthread_mutex_unlock(&t->lock);
}

static struct kit_script *take(struct ccp_test *t)
{
    pthread_mutex_lock(&t->lock);
    struct kit_script *s = t->next_fetch;
    if (s != NULL && (t->next_fetch = s->next) == NULL)
        t->last_fetch = &t->next_fetch;
    pthread_mutex_unlock(&t->lock);
    return s;
}

static void copy(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct kit_script *s,
                 const struct ccp_fetch *what, struct ccp_fetched *out)
{
    size_t most = what->max_bytes != 0 ? what->max_bytes : 1 << 20;
    struct ccp_span type = kit_header(s->headers, s->header_count, "content-type");
    if (s->a.fail != CCP_OK || s->a.cut) {
        out->why = CCP_SPAN("the test says so");
        return;
    }
    out->status = s->a.status;
    char *body = s->a.length <= most ? env->api->arena_alloc(a, s->a.length + type.n + 1) : NULL;
    if (body == NULL) {
        out->why = s->a.length > most ? CCP_SPAN("the answer is too large") : CCP_SPAN("out of memory");
        return;
    }
    memcpy(body, s->a.body, s->a.length);
    if (type.n != 0)
        memcpy(body + s->a.length, type.p, type.n);
    out->body = ccp_span_of(body, s->a.length);
    out->content_type = ccp_span_of(body + s->a.length, type.n);
}

bool kit_fetch(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_fetch *what,
               struct ccp_fetched *out, size_t out_size)
{
    struct ccp_test *t = kit_current();
    struct ccp_fetched got = {.body = CCP_SPAN(""), .why = CCP_SPAN(""), .content_type = CCP_SPAN("")};
    record(t, what);
    struct kit_script *s = take(t);
    if (s != NULL)
        copy(env, a, s, what, &got);
    else
        got.why = CCP_SPAN("no answer was prepared");
    free(s);
    memset(out, 0, out_size);
    memcpy(out, &got, out_size < sizeof(got) ? out_size : sizeof(got));
    return got.why.n == 0;
}

void ccp_test_fetch_answer(struct ccp_test *t, const struct ccp_test_answer *answer)
{
    struct kit_script *s = kit_script(t, answer);
    pthread_mutex_lock(&t->lock);
    *t->last_fetch = s;
    t->last_fetch = &s->next;
    pthread_mutex_unlock(&t->lock);
}

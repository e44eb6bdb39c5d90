/*
 * A worker's loop in miniature for tests of the upstream, and an owner of transfers that records what it hears.
 */
#ifndef TEST_UPSTREAM_HARNESS_H
#define TEST_UPSTREAM_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server.h"

#include <base/clock.h>
#include <base/secret.h>
#include <signal.h>
#include <upstream/direct_impl.h>

#define HELPER static __attribute__((unused))

/* Which engine the workers of this round use; every test runs with both. */
static bool over_curl;
static struct resolver *names_of_all;

struct worker {
    struct loop loop;
    struct upstream *u;
    bool woken;
    unsigned turns;
};

/* What an owner shall do, and what it saw. */
struct owner {
    struct worker *w;
    struct ccp_upstream_request request;
    char url[256];
    struct ccp_header headers[16];
    struct ccp_transfer *t;
    bool pause_each, cancel_on_head, cancel_on_body, gone_on_body, check_pattern, in_start;
    int heads, status, dones, bodies;
    char head_text[8192];
    struct ccp_buf body;
    unsigned long long bytes;
    enum ccp_status result;
    uint64_t done_at;
    char why[400];
};

HELPER void on_wake(struct loop *loop)
{
    ((struct worker *)loop->owner)->woken = true;
}

HELPER struct worker *worker_new(struct upstream_options options, struct trust *trust)
{
    struct worker *w = calloc(1, sizeof(*w));

    loop_init(&w->loop, on_wake, w);
    options.curl_only = over_curl;
    options.resolver = names_of_all;
    w->u = upstream_new(&w->loop, &options, trust);
    assert_non_null(w->u);
    return w;
}

HELPER void worker_free(struct worker *w)
{
    upstream_free(w->u);
    loop_release(&w->loop);
    free(w);
}

HELPER void worker_turn(struct worker *w)
{
    struct pollfd p = {.fd = upstream_fd(w->u), .events = POLLIN};

    w->woken = false;
    w->turns++;
    loop_turn(&w->loop);
    if (poll(&p, 1, w->woken ? 0 : (int)loop_wait(&w->loop, 20)) == 1)
        upstream_ready(w->u);
}

HELPER void worker_run_ms(struct worker *w, uint64_t ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end;)
        worker_turn(w);
}

HELPER void seen_head(void *arg, int status, const struct ccp_header *headers, size_t n)
{
    struct owner *o = arg;
    size_t at = 0;

    assert_false(o->in_start);
    o->heads++;
    o->status = status;
    for (size_t i = 0; i < n && at < sizeof(o->head_text); i++)
        at += (size_t)snprintf(o->head_text + at, sizeof(o->head_text) - at, "%.*s=%.*s\n", CCP_FMT(headers[i].name),
                               CCP_FMT(headers[i].value));
    if (o->cancel_on_head)
        upstream_transport.cancel(o->w->u, o->t);
}

HELPER enum ccp_push seen_body(void *arg, struct ccp_span bytes)
{
    struct owner *o = arg;

    assert_int_equal(o->heads, 1);
    assert_int_equal(o->dones, 0);
    o->bodies++;
    for (size_t i = 0; o->check_pattern && i < bytes.n; i++)
        assert_int_equal(bytes.p[i], body_byte(o->bytes + i));
    o->bytes += bytes.n;
    if (!o->check_pattern)
        assert_true(buf_add(&o->body, bytes));
    if (o->cancel_on_body)
        upstream_transport.cancel(o->w->u, o->t);
    if (o->cancel_on_body || o->gone_on_body)
        return CCP_PUSH_GONE;
    return o->pause_each ? CCP_PUSH_PAUSE : CCP_PUSH_MORE;
}

HELPER void seen_done(void *arg, enum ccp_status status, struct ccp_span why)
{
    struct owner *o = arg;

    assert_false(o->in_start);
    o->dones++;
    o->result = status;
    o->done_at = clock_ms();
    snprintf(o->why, sizeof(o->why), "%.*s", CCP_FMT(why));
    o->t = NULL;
}

HELPER const struct ccp_transfer_events recording = {seen_head, seen_body, seen_done};

HELPER void owner_init(struct owner *o, struct worker *w, const char *scheme, const char *host, unsigned port,
                       const char *path)
{
    *o = (struct owner){.w = w};
    snprintf(o->url, sizeof(o->url), "%s://%s:%u%s", scheme, host, port, path);
    buf_init(&o->body, 64 << 20);
    o->request = (struct ccp_upstream_request){
        .method = CCP_SPAN("GET"), .url = ccp_span_z(o->url), .headers = o->headers, .literal_host = true};
}

HELPER void owner_header(struct owner *o, const char *name, const char *value)
{
    o->headers[o->request.header_count++] = (struct ccp_header){ccp_span_z(name), ccp_span_z(value)};
}

HELPER void owner_start(struct owner *o)
{
    o->in_start = true;
    o->t = upstream_transport.start(o->w->u, NULL, &o->request, &recording, o);
    o->in_start = false;
    assert_non_null(o->t);
}

HELPER void owner_finish(struct owner *o)
{
    for (uint64_t end = clock_ms() + 20000; o->dones == 0 && clock_ms() < end;)
        worker_turn(o->w);
    assert_int_equal(o->dones, 1);
}

HELPER void owner_run(struct owner *o)
{
    owner_start(o);
    owner_finish(o);
}

HELPER void owner_release(struct owner *o)
{
    buf_release(&o->body);
}

HELPER bool owner_has(const struct owner *o, const char *text)
{
    return o->body.n != 0 && memmem(o->body.p, o->body.n, text, strlen(text)) != NULL;
}

HELPER int group_setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    names_of_all = resolver_new(&(struct resolver_options){0});
    return names_of_all != NULL && upstream_global_init() ? 0 : -1;
}

HELPER int group_teardown(void **state)
{
    (void)state;
    resolver_free(names_of_all);
    upstream_global_release();
    return 0;
}

/* Runs the group twice, over libcurl and over our own client. */
#define RUN_WITH_BOTH(name, tests, setup, teardown)                                                                    \
    ({                                                                                                                 \
        over_curl = true;                                                                                              \
        int failed_ = cmocka_run_group_tests_name(name "/curl", tests, setup, teardown);                               \
        over_curl = false;                                                                                             \
        failed_ + cmocka_run_group_tests_name(name "/direct", tests, setup, teardown);                                 \
    })

/* ---- what only the engine knows */

/* Bytes held for an owner that paused. */
HELPER size_t buffered(struct ccp_transfer *t)
{
    return over_curl ? curl_of(t)->body.cap : direct_of(t)->rest_n;
}

HELPER bool stopped(struct ccp_transfer *t)
{
    return over_curl ? curl_of(t)->curl_paused : t->paused && direct_of(t)->conn != NULL;
}

HELPER bool connected(struct ccp_transfer *t)
{
    return over_curl ? curl_of(t)->easy != NULL : direct_of(t)->conn != NULL || direct_of(t)->dial != NULL;
}

#endif

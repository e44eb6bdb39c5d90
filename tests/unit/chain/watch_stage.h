/*
 * One worker of the chain with clients of the test's own: what they get, and how slowly they take it.
 *
 * Requests come over the "unix socket" of a server without keys, so they may do what an admin may.
 */
#ifndef UNIT_WATCH_STAGE_H
#define UNIT_WATCH_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/buf.h>
#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>
#include <base/loop.h>
#include <chain/chain.h>
#include <chain/exchange_impl.h>
#include <plugin/runtime.h>
#include <testing/stage.h>

#include <stdio.h>
#include <unistd.h>

struct client {
    struct chain_request request;
    struct exchange *x;
    int status;
    size_t content_length;
    struct ccp_buf body;
    bool last, aborted, ended, slow, uncounted; /* slow: says PAUSE to every write */
    char type[64];
};

static struct loop loop;
static struct chain_worker *worker;
static struct test_case the_case;
static uint64_t now_us = 5000000, wall_us = 1800000000000000;

static uint64_t test_clock(void)
{
    return now_us;
}

static uint64_t test_wall(void)
{
    return wall_us;
}

static void no_wake(struct loop *l)
{
}

static void got_head(void *self, int status, const struct ccp_header *headers, size_t n, size_t length)
{
    struct client *c = self;
    assert_int_equal(c->status, 0);
    c->status = status;
    c->content_length = length;
    for (size_t i = 0; i < n; i++)
        if (ccp_span_is(headers[i].name, "content-type"))
            snprintf(c->type, sizeof(c->type), "%.*s", CCP_FMT(headers[i].value));
}

static enum ccp_push got_body(void *self, struct ccp_span bytes, bool last)
{
    struct client *c = self;
    assert_true(c->status != 0);
    assert_false(c->last);
    assert_true(buf_add(&c->body, bytes));
    c->last = last;
    return c->slow ? CCP_PUSH_PAUSE : CCP_PUSH_MORE;
}

static void got_abort(void *self)
{
    ((struct client *)self)->aborted = true;
}

static void got_ended(void *self)
{
    struct client *c = self;
    assert_false(c->ended);
    c->ended = true;
    c->x = NULL;
}

static void got_uncount(void *self)
{
    ((struct client *)self)->uncounted = true;
}

static const struct chain_responder client_responder = {got_head, got_body, got_abort, got_ended, got_uncount};

static void turns(int n)
{
    while (n-- > 0)
        loop_turn(&loop);
}

static void pass_ms(uint64_t ms)
{
    now_us += ms * 1000;
    turns(3);
}

static void ask(struct client *c, const char *method, const char *target, const char *body)
{
    *c = (struct client){.status = 0};
    buf_init(&c->body, 64 << 20);
    c->request = (struct chain_request){.method = ccp_span_z(method),
                                        .target = ccp_span_z(target),
                                        .authority = CCP_SPAN("x"),
                                        .peer = CCP_SPAN("unix"),
                                        .unix_socket = true,
                                        .version = 11,
                                        .body = ccp_span_z(body)};
    c->x = chain_begin(worker, &c->request, &client_responder, c);
    assert_non_null(c->x);
    turns(3);
}

static void leave(struct client *c)
{
    if (c->x != NULL)
        chain_client_gone(c->x);
    c->x = NULL;
    buf_release(&c->body);
}

static inline bool has(const struct client *c, const char *what)
{
    return c->body.n != 0 && memmem(c->body.p, c->body.n, what, strlen(what)) != NULL;
}

static inline size_t count_of(const struct client *c, const char *what)
{
    size_t n = 0, length = strlen(what);
    const char *end = c->body.p + c->body.n;
    for (const char *at = c->body.p; at != NULL && (at = memmem(at, (size_t)(end - at), what, length)) != NULL; n++)
        at += length;
    return n;
}

static struct runtime *runtime_of(const char *config)
{
    char path[] = "/tmp/ccproxy-test-watch-XXXXXX", why[300];
    int fd = mkstemp(path);
    dprintf(fd, "== config\n%s== client\nGET /\n== expect\n200\n", config);
    close(fd);
    case_read(&the_case, path, FIXTURES);
    unlink(path);
    assert_string_equal(the_case.wrong, "");
    struct runtime *rt = case_runtime(&the_case, NULL, why, sizeof(why));
    if (rt == NULL)
        fail_msg("%s", why);
    arena_end(&the_case.memory);
    return rt;
}

static void open_stage(const char *config)
{
    static const struct log_options quiet = {CCP_LOG_OFF, LOG_TEXT, "/dev/null"};
    log_configure(&quiet);
    clock_replace(test_clock, test_wall);
    loop_init(&loop, no_wake, NULL);
    loop_turn(&loop);
    worker = chain_worker_new(&loop, NULL, NULL, runtime_of(config));
    assert_non_null(worker);
}

static void close_stage(void)
{
    turns(5);
    assert_int_equal(chain_in_flight(worker), 0);
    chain_worker_free(worker);
    loop_release(&loop);
    clock_replace(NULL, NULL);
}

#endif

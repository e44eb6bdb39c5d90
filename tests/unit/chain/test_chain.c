/*
 * What case files cannot say: middlewares that wait, change a body or fail; draining; a reload under way.
 *
 * A middleware of the test joins the end of an open runtime's chain; the rest is the case runner's machinery.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/log.h>
#include <testing/stage.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "== config\n"
                           "[plugins.claude_api]\napi_key = \"sk-upstream\"\n"
                           "== client\n"
                           "POST /claude/v1/messages\n\n{\"model\":\"m\"}\n"
                           "== upstream\n200\ncontent-type: text/event-stream\ncontent-length: 37\n\n"
                           "@esc event: message_stop\\ndata: {\"x\":\"y\"}\\n\\n\n"
                           "== expect\n200\n";

enum act {
    PASS,
    WAIT_THEN_NEXT,
    WAIT_THEN_FAIL,
    WAIT_FOR_EVER,
    FAIL_SILENTLY,
    ANSWER,
    SHOUT,
    RESUME_AT_ONCE,
    /* what is not true */
    WAIT_THEN_DONE,
    DONE_WITHOUT_ANSWER,
    ANSWER_AND_NEXT,
    ANSWER_AND_WAIT,
    ANSWER_TWICE,
    PARK_AND_NEXT,
    NONSENSE
};

/* What the test's middleware does, and what it saw. */
struct actor {
    enum act act;
    unsigned requests, heads, ends, cancels;
    struct ccp_exchange *x;
    struct ccp_stage stage;
};

static void wake_up(void *arg)
{
    struct actor *a = arg;
    if (a->act == WAIT_THEN_FAIL)
        (a->x->api->fail)(a->x, CCP_FORBIDDEN, "thought about it");
    a->x->api->resume(a->x, a->act == WAIT_THEN_FAIL ? CCP_FAILED : a->act == WAIT_THEN_DONE ? CCP_DONE : CCP_NEXT);
}

static void cancelled(void *arg)
{
    ((struct actor *)arg)->cancels++;
}

static enum ccp_verdict mine(struct ccp_exchange *x)
{
    return x->api->respond(x, 203, CCP_SPAN("text/plain"), CCP_SPAN("mine"));
}

static enum ccp_verdict odd(struct actor *a, struct ccp_exchange *x)
{
    if (a->act == RESUME_AT_ONCE || a->act == PARK_AND_NEXT)
        x->api->park(x, cancelled, a);
    if (a->act == RESUME_AT_ONCE)
        x->api->resume(x, CCP_NEXT);
    if (a->act == ANSWER_AND_NEXT || a->act == ANSWER_AND_WAIT || a->act == ANSWER_TWICE)
        mine(x);
    if (a->act == ANSWER_TWICE)
        return mine(x);
    if (a->act == ANSWER_AND_WAIT)
        return CCP_WAIT;
    return a->act == DONE_WITHOUT_ANSWER ? CCP_DONE : a->act == NONSENSE ? (enum ccp_verdict)77 : CCP_NEXT;
}

static enum ccp_verdict on_request(void *self, struct ccp_exchange *x)
{
    struct actor *a = self;
    a->requests++;
    a->x = x;
    if (a->act == RESUME_AT_ONCE || a->act > WAIT_THEN_DONE)
        return odd(a, x);
    if (a->act == FAIL_SILENTLY)
        return CCP_FAILED;
    if (a->act == ANSWER)
        return mine(x);
    if (a->act != WAIT_THEN_NEXT && a->act != WAIT_THEN_FAIL && a->act != WAIT_FOR_EVER && a->act != WAIT_THEN_DONE)
        return CCP_NEXT;
    x->api->park(x, cancelled, a);
    if (a->act != WAIT_FOR_EVER) {
        struct ccp_timer *t = x->api->timer(x, wake_up, a);
        x->api->timer_set(t, 5);
    }
    return CCP_WAIT;
}

static void on_head(void *self, struct ccp_exchange *x, struct ccp_response_head *head)
{
    ((struct actor *)self)->heads++;
    x->api->add_response_header(x, CCP_SPAN("x-seen"), CCP_SPAN("1"));
}

static enum ccp_push shout(struct ccp_stage *stage, struct ccp_span bytes, bool last)
{
    char loud[256];
    assert_true(bytes.n <= sizeof(loud));
    for (size_t i = 0; i < bytes.n; i++)
        loud[i] = bytes.p[i] >= 'a' && bytes.p[i] <= 'z' ? (char)(bytes.p[i] - 32) : bytes.p[i];
    return stage->next->push(stage->next, ccp_span_of(loud, bytes.n), last);
}

static struct ccp_stage *open_stage(void *self, struct ccp_exchange *x)
{
    struct actor *a = self;
    a->stage.push = shout;
    return a->act == SHOUT ? &a->stage : NULL;
}

static void on_end(void *self, struct ccp_exchange *x)
{
    ((struct actor *)self)->ends++;
}

static const struct ccp_middleware acting = {"acting", CCP_LAYER_APPLICATION, 0, on_request, on_head, open_stage,
                                             on_end};

static struct test_case c;

static struct runtime *with(struct actor *a)
{
    char why[300];
    struct runtime *rt = case_runtime(&c, NULL, why, sizeof(why));
    if (rt == NULL)
        fail_msg("%s", why);
    rt->chain[rt->chain_count++] = (struct middleware_entry){&acting, a, CCP_SPAN("test")};
    return rt;
}

/* Plays the one case with the actor in the chain; s is to be released. */
static void play(struct stage *s, struct actor *a, struct rhythm rhythm)
{
    struct runtime *rt = with(a);
    stage_play(s, &c, rt, rhythm);
    runtime_unref(rt);
    if (s->wrong[0] != '\0')
        fail_msg("%s", s->wrong);
    assert_int_equal(a->ends, a->requests);
}

static bool body_has(const struct stage *s, const char *what)
{
    return memmem(s->body.p, s->body.n, what, strlen(what)) != NULL;
}

static bool last_event(const struct stage *s, const char *what)
{
    return ccp_span_starts(s->events[s->event_n - 1], ccp_span_z(what));
}

static void waits_and_goes_on(void **state)
{
    struct actor a = {.act = WAIT_THEN_NEXT};
    struct stage s;
    play(&s, &a, (struct rhythm){.cutting = CUT_WHOLE});
    assert_int_equal(s.status, 200);
    assert_int_equal(s.sent_n, 1);
    assert_int_equal(a.requests, 1);
    assert_int_equal(a.heads, 1);
    assert_int_equal(a.cancels, 0);
    assert_true(last_event(&s, "request.completed"));
    stage_release(&s);
}

static void waits_and_refuses(void **state)
{
    struct actor a = {.act = WAIT_THEN_FAIL};
    struct stage s;
    play(&s, &a, (struct rhythm){.cutting = CUT_WHOLE});
    assert_int_equal(s.status, 403);
    assert_int_equal(s.sent_n, 0);
    assert_true(body_has(&s, "thought about it"));
    assert_true(body_has(&s, "\"type\":\"permission_error\""));
    assert_int_equal(a.cancels, 0);
    stage_release(&s);
}

static void client_leaves_one_that_waits(void **state)
{
    struct actor a = {.act = WAIT_FOR_EVER};
    struct stage s;
    play(&s, &a, (struct rhythm){.gone_after = 3});
    assert_int_equal(a.cancels, 1);
    assert_int_equal(a.ends, 1);
    assert_int_equal(s.heads, 0);
    assert_true(last_event(&s, "request.failed"));
    stage_release(&s);
}

static void shutdown_ends_one_that_waits(void **state)
{
    struct actor a = {.act = WAIT_FOR_EVER};
    struct stage s;
    play(&s, &a, (struct rhythm){.abort_after = 3});
    assert_int_equal(a.cancels, 1);
    assert_int_equal(s.status, 529);
    assert_true(body_has(&s, "overloaded_error"));
    stage_release(&s);
}

static void fails_without_a_word(void **state)
{
    struct actor a = {.act = FAIL_SILENTLY};
    struct stage s;
    play(&s, &a, (struct rhythm){.cutting = CUT_WHOLE});
    assert_int_equal(s.status, 500);
    assert_int_equal(s.sent_n, 0);
    stage_release(&s);
}

static void answers_itself(void **state)
{
    struct actor a = {.act = ANSWER};
    struct stage s;
    play(&s, &a, (struct rhythm){.cutting = CUT_WHOLE});
    assert_int_equal(s.status, 203);
    assert_true(ccp_span_is(buf_span(&s.body), "mine"));
    assert_int_equal(s.sent_n, 0);
    assert_int_equal(a.heads, 1);
    assert_true(last_event(&s, "request.completed"));
    stage_release(&s);
}

/* Whatever a middleware says: its client gets one answer, and nothing else is harmed. */
static void says_what_is_not_true(void **state)
{
    static const struct {
        enum act act;
        int status;
        const char *says;
    } all[] = {
        {WAIT_THEN_DONE, 500, "a plugin failed without saying why"},
        {DONE_WITHOUT_ANSWER, 500, "middleware acting gave no answer"},
        {ANSWER_AND_NEXT, 203, "mine"},
        {ANSWER_AND_WAIT, 203, "mine"},
        {ANSWER_TWICE, 203, "mine"},
        {PARK_AND_NEXT, 500, "middleware acting parks, but does not wait"},
        {NONSENSE, 500, "middleware acting gave a verdict that is none"},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct actor a = {.act = all[i].act};
        struct stage s;
        play(&s, &a, (struct rhythm){.cutting = CUT_WHOLE});
        assert_int_equal(s.status, all[i].status);
        assert_int_equal(s.heads, 1);
        assert_int_equal(s.sent_n, 0);
        assert_true(body_has(&s, all[i].says));
        assert_int_equal(a.cancels, all[i].act == PARK_AND_NEXT);
        assert_true(last_event(&s, "request.failed"));
        stage_release(&s);
    }
}

/* One that was resumed before it could wait does not wake the next one that does. */
static void resumed_at_once(void **state)
{
    struct actor a = {.act = RESUME_AT_ONCE}, b = {.act = WAIT_FOR_EVER};
    struct runtime *rt = with(&a);
    struct stage s;
    rt->chain[rt->chain_count++] = (struct middleware_entry){&acting, &b, CCP_SPAN("test")};
    stage_play(&s, &c, rt, (struct rhythm){.abort_after = 20});
    runtime_unref(rt);
    assert_int_equal(s.sent_n, 0);
    assert_int_equal(s.status, 529);
    assert_int_equal(b.cancels, 1);
    assert_int_equal(a.cancels, 0);
    stage_release(&s);
}

/* A stage may change the length: what the upstream promised is not repeated. */
static void changes_the_body(void **state)
{
    struct actor a = {.act = SHOUT};
    struct stage s;
    for (int cutting = CUT_WHOLE; cutting <= CUT_RANDOM; cutting++) {
        a = (struct actor){.act = SHOUT};
        play(&s, &a, (struct rhythm){.cutting = (enum cutting)cutting, .random = 5});
        assert_true(ccp_span_is(buf_span(&s.body), "EVENT: MESSAGE_STOP\nDATA: {\"X\":\"Y\"}\n\n"));
        assert_int_equal(s.content_length, SIZE_MAX);
        stage_release(&s);
    }
}

static void drains(void **state)
{
    struct actor a = {.act = PASS};
    struct stage s;
    play(&s, &a, (struct rhythm){.draining = true});
    assert_int_equal(s.status, 529);
    assert_int_equal(s.sent_n, 0);
    bool retry_after = false;
    for (size_t i = 0; i < s.header_n; i++)
        retry_after |= ccp_span_is(s.headers[i].name, "retry-after");
    assert_true(retry_after);
    stage_release(&s);
}

/* The exchange keeps the configuration it began with; the old one lives until it ends. */
static void reloads_under_way(void **state)
{
    struct actor a = {.act = WAIT_THEN_NEXT}, b = {.act = FAIL_SILENTLY};
    struct runtime *fresh = with(&b);
    struct stage s;
    play(&s, &a, (struct rhythm){.cutting = CUT_BYTES, .reload = fresh});
    assert_int_equal(s.status, 200);
    assert_int_equal(a.ends, 1);
    assert_int_equal(b.requests, 0);
    assert_int_equal(atomic_load(&fresh->refs), 1);
    runtime_unref(fresh);
    stage_release(&s);
}

static enum ccp_judgement always(void *self, struct ccp_exchange *x, int status, struct ccp_span first)
{
    assert_true(status >= 400);
    return ccp_span_starts(first, CCP_SPAN("busy")) ? CCP_RETRY : CCP_ERROR;
}

static const char retry_text[] = "== config\n"
                                 "[plugins.claude_api]\napi_key = \"sk-upstream\"\n"
                                 "== client\n"
                                 "POST /claude/v1/messages\n\n{\"model\":\"m\"}\n"
                                 "== upstream\n500\nx-first: 1\n\nbusy\n"
                                 "== upstream\n503\nx-second: 1\n\nbusy too\n"
                                 "== upstream\n%s\n"
                                 "== expect\n200\n";

static int read_text(struct test_case *into, const char *what)
{
    char path[] = "/tmp/ccproxy-test-chain-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, what, strlen(what)) != (ssize_t)strlen(what))
        return -1;
    close(fd);
    case_read(into, path, FIXTURES);
    unlink(path);
    return into->wrong[0] != '\0' ? -1 : 0;
}

/* A provider that says RETRY gets the same request sent again, three times in all; nothing of the answers that
 * were judged reaches the client. */
static void judge_sends_again(const char *third, int status, const char *body)
{
    char full[1024], why[300];
    struct test_case again;
    struct stage s;
    snprintf(full, sizeof(full), retry_text, third);
    assert_int_equal(read_text(&again, full), 0);
    for (int cutting = CUT_WHOLE; cutting <= CUT_RANDOM; cutting++) {
        struct runtime *rt = case_runtime(&again, NULL, why, sizeof(why));
        assert_non_null(rt);
        struct provider *p = runtime_provider(rt, CCP_SPAN("claude_api"));
        struct ccp_provider judging = *p->def;
        judging.judge = always;
        p->def = &judging;
        stage_play(&s, &again, rt, (struct rhythm){.cutting = (enum cutting)cutting, .random = 3});
        runtime_unref(rt);
        if (s.wrong[0] != '\0')
            fail_msg("%s", s.wrong);
        assert_int_equal(s.sent_n, 3);
        assert_int_equal(s.status, status);
        assert_true(body_has(&s, body));
        assert_false(body_has(&s, "busy"));
        for (size_t i = 0; i < s.header_n; i++)
            assert_false(ccp_span_is(s.headers[i].name, "x-first") || ccp_span_is(s.headers[i].name, "x-second"));
        stage_release(&s);
    }
    arena_end(&again.memory);
}

static void judge_retries(void **state)
{
    judge_sends_again("200\n\nfine", 200, "fine");
    judge_sends_again("418\n\nodd", 502, "cannot be used (HTTP 418)");
}

static int read_case(void **state)
{
    return read_text(&c, text);
}

static int release_case(void **state)
{
    arena_end(&c.memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_and_goes_on),
        cmocka_unit_test(waits_and_refuses),
        cmocka_unit_test(client_leaves_one_that_waits),
        cmocka_unit_test(shutdown_ends_one_that_waits),
        cmocka_unit_test(fails_without_a_word),
        cmocka_unit_test(answers_itself),
        cmocka_unit_test(says_what_is_not_true),
        cmocka_unit_test(resumed_at_once),
        cmocka_unit_test(changes_the_body),
        cmocka_unit_test(drains),
        cmocka_unit_test(reloads_under_way),
        cmocka_unit_test(judge_retries),
    };
    struct log_options quiet = {CCP_LOG_OFF, LOG_TEXT, "/dev/null"};
    log_configure(&quiet);
    return cmocka_run_group_tests(tests, read_case, release_case);
}

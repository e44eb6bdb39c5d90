/*
 * The test kit tested: what an author does wrong is a failed check with its place, never a pass; what is played (time,
 * slow clients, held answers, fetches, reloads) goes through the real chain.
 *
 * The kit counts for the process, so each scenario runs in a child of its own; its words and its result are judged.
 */
#include <ccproxy/testing.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "[plugins.claude_api]\napi_key = \"sk-example\"\n"
#define ASK "{\"model\":\"m\"}"
#define SSE "content-type: text/event-stream"

/* -- a plugin -- */

struct config {
    uint64_t wait;
};
struct plugin {
    const struct ccp_plugin_env *env;
    const struct config *config;
    unsigned observed;
};

static void *open_plugin(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    static struct plugin p; /* one is open at a time, but for a reload: then the newer one is looked at */
    p = (struct plugin){env, env->config, 0};
    if (p.config->wait == 13) {
        *why = CCP_SPAN("thirteen is not opened");
        return NULL;
    }
    return &p;
}

static void wake(void *arg)
{
    struct ccp_exchange *x = arg;
    x->api->resume(x, CCP_NEXT);
}

static void forget(void *arg)
{
}

static enum ccp_verdict on_request(void *self, struct ccp_exchange *x)
{
    struct plugin *p = self;
    if (p->config->wait == 0)
        return CCP_NEXT;
    struct ccp_timer *t = x->api->timer(x, wake, x);
    x->api->timer_set(t, p->config->wait);
    x->api->park(x, forget, x);
    return CCP_WAIT;
}

static bool observe(void *self, const struct ccp_event_info *info)
{
    struct plugin *p = self;
    p->observed++;
    return p->env->api->emit(p->env, NULL, "seen", CCP_SPAN("{}"));
}

static bool fetch(void *self, struct ccp_span *why)
{
    struct plugin *p = self;
    struct ccp_arena *a = p->env->api->arena_new(1 << 16);
    struct ccp_fetch what = {.size = sizeof(what), .url = CCP_SPAN("https://x.example/")};
    struct ccp_fetched got;
    bool fine = p->env->api->fetch(p->env, a, &what, &got, sizeof(got)) && ccp_span_is(got.body, "news");
    *why = fine ? CCP_SPAN("") : CCP_SPAN("no news");
    p->env->api->log(p->env, CCP_LOG_INFO, "fetched: %.*s", CCP_FMT(got.why));
    p->env->api->arena_free(a);
    return fine;
}

static const struct ccp_config_row rows[] = {
    {"wait", CCP_DURATION, offsetof(struct config, wait), "0"},
    {.key = NULL},
};
static const struct ccp_middleware middleware[] = {
    {.name = "waiting", .layer = CCP_LAYER_SECURITY, .on_request = on_request},
    {.name = NULL},
};
static const struct ccp_hook hooks[] = {
    {.name = "seen", .events = CCP_HEARS(REQUEST_COMPLETED), .observe = observe},
    {.name = NULL},
};
static const struct ccp_task tasks[] = {{"fetch", "fetches", .interval_ms = 1, .run = fetch}, {.name = NULL}};
static const struct ccp_plugin waiter = {
    CCP_ABI_HERE,
    .name = "waiter",
    .version = "1.0.0",
    .summary = "waits",
    .kind = CCP_PLUGIN_SYSTEM,
    .config = rows,
    .config_size = sizeof(struct config),
    .middleware = middleware,
    .hooks = hooks,
    .tasks = tasks,
    .open = open_plugin,
};

static struct ccp_test *opened(const char *toml)
{
    struct ccp_span why = CCP_SPAN("");
    struct ccp_test *t = ccp_test_open(&waiter, toml, &why);
    if (t == NULL) {
        fprintf(stderr, "%.*s\n", CCP_FMT(why));
        exit(90);
    }
    return t;
}

/* -- scenarios -- */

static void a_check_that_fails(void)
{
    CCP_CHECK_INT(1 + 1, 3);
}

static void no_check_at_all(void)
{
}

static void an_upstream_nobody_prepared(void)
{
    struct ccp_test *t = opened(KEY);
    CCP_CHECK_INT(ccp_test_request(t, "POST", "/claude/v1/messages", NULL, ASK)->status, 502);
    ccp_test_close(t);
}

static void an_answer_nobody_asked_for(void)
{
    struct ccp_test *t = opened(KEY);
    ccp_test_answer(t, &(struct ccp_test_answer){.body = "{}"});
    CCP_CHECK(true);
    ccp_test_close(t);
}

static void a_request_that_still_runs(void)
{
    struct ccp_test *t = opened(KEY);
    ccp_test_answer(t, &(struct ccp_test_answer){.body = "{}", .hold = true});
    struct ccp_test_response *r = ccp_test_begin(t, "POST", "/claude/v1/messages", NULL, ASK);
    CCP_CHECK(!r->over && r->status == 0);
    ccp_test_close(t);
}

static void a_case_that_does_not_hold(void)
{
    struct ccp_test *t = opened(NULL);
    char path[200];
    snprintf(path, sizeof(path), "%s/x.case", ccp_test_folder(t));
    FILE *f = fopen(path, "w");
    fputs("== client\nGET /health/live\n\n== expect\n201\n", f);
    fclose(f);
    CCP_CHECK_INT(ccp_test_cases(t, ccp_test_folder(t)), 1);
    ccp_test_close(t);
}

static void an_empty_folder_of_cases(void)
{
    struct ccp_test *t = opened(NULL);
    CCP_CHECK_INT(ccp_test_cases(t, ccp_test_folder(t)), 0);
    ccp_test_close(t);
}

static void a_task_that_is_not_there(void)
{
    struct ccp_test *t = opened(NULL);
    CCP_CHECK(!ccp_test_run_task(t, "none", NULL));
    ccp_test_close(t);
}

static void two_at_once(void)
{
    struct ccp_span why = CCP_SPAN("");
    struct ccp_test *t = opened(NULL);
    CCP_CHECK(ccp_test_open(&waiter, NULL, &why) == NULL);
    CCP_CHECK_TEXT(why, "another test is open");
    ccp_test_close(t);
    ccp_test_close(opened(NULL));
}

static void what_is_wrong_is_told(void)
{
    struct ccp_span why = CCP_SPAN("");
    CCP_CHECK(ccp_test_open(&waiter, "[plugins.waiter]\nwiat = 3\n", &why) == NULL);
    CCP_CHECK_TEXT(why, "ccproxy.toml:2: plugins.waiter.wiat: unknown key (did you mean \"wait\"?)");
    CCP_CHECK(ccp_test_open(&waiter, "[plugins.waiter]\nwait = \"13ms\"\n", &why) == NULL);
    CCP_CHECK_TEXT(why, "thirteen is not opened");
}

static void time_passes_as_told(void)
{
    struct ccp_test *t = opened("[plugins.waiter]\nwait = \"1h\"\n");
    struct ccp_test_response *r = ccp_test_begin(t, "GET", "/health/live", NULL, NULL);
    ccp_test_advance(t, 3500 * 1000);
    CCP_CHECK(!r->over);
    ccp_test_advance(t, 101 * 1000);
    CCP_CHECK(r->whole && r->over);
    CCP_CHECK_INT(ccp_test_request(t, "GET", "/health/live", NULL, NULL)->status, 200); /* an hour, at once */
    r = ccp_test_begin(t, "GET", "/health/live", NULL, NULL);
    ccp_test_leave(t, r);
    CCP_CHECK(r->over && r->status == 0 && ccp_test_saw(r, "request.failed"));
    ccp_test_close(t);
}

static void answers_come_as_told(void)
{
    static const char stream[] = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
                                 "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    struct ccp_test *t = opened(KEY);
    ccp_test_answer(t, &(struct ccp_test_answer){.headers = SSE, .body = stream, .piece = 1, .hold = true});
    struct ccp_test_response *r = ccp_test_begin(t, "POST", "/claude/v1/messages", "x-app: cli", ASK);
    CCP_CHECK_INT(ccp_test_sent_count(t), 1);
    CCP_CHECK_TEXT(ccp_test_sent_header(ccp_test_sent(t, 0), "x-app"), "cli");
    ccp_test_slow(t, r, true);
    ccp_test_release(t);
    CCP_CHECK(r->status == 200 && r->body.n < sizeof(stream) - 1);
    ccp_test_slow(t, r, false);
    ccp_test_finish(t, r);
    CCP_CHECK_TEXT(r->body, stream);
    CCP_CHECK_TEXT(ccp_test_header(r, "content-type"), "text/event-stream");
    ccp_test_answer(t, &(struct ccp_test_answer){.headers = SSE, .body = stream, .length = 40, .cut = true});
    r = ccp_test_request(t, "POST", "/claude/v1/messages", NULL, ASK);
    CCP_CHECK_HAS(r->body, "error");
    CCP_CHECK(ccp_test_saw(r, "provider.error") && !ccp_test_saw(r, "request.completed"));
    ccp_test_answer(t, &(struct ccp_test_answer){.fail = CCP_UPSTREAM_TIMEOUT});
    CCP_CHECK_INT(ccp_test_request(t, "POST", "/claude/v1/messages", NULL, ASK)->status, 504);
    ccp_test_close(t);
}

static void what_is_not_a_request(void)
{
    struct ccp_span why = CCP_SPAN("");
    struct ccp_test *t = opened(NULL);
    ccp_test_request(t, "GET", "/health/live", NULL, NULL);
    ccp_test_flush_events(t);
    CCP_CHECK_INT(((struct plugin *)ccp_test_self(t))->observed, 1);
    CCP_CHECK_HAS(ccp_test_events(t), "app.startup ");
    CCP_CHECK_HAS(ccp_test_events(t), "custom.seen ");
    ccp_test_fetch_answer(t, &(struct ccp_test_answer){.body = "news"});
    CCP_CHECK(ccp_test_run_task(t, "fetch", &why));
    CCP_CHECK_TEXT(ccp_test_sent(t, 0)->url, "https://x.example/");
    CCP_CHECK(!ccp_test_run_task(t, "fetch", &why));
    CCP_CHECK_TEXT(why, "no news");
    CCP_CHECK_HAS(ccp_test_log(t), "fetched: no answer was prepared");
    CCP_CHECK(!ccp_test_reload(t, "[plugins.waiter]\nwait = \"x\"\n", &why));
    CCP_CHECK_HAS(why, "plugins.waiter.wait");
    CCP_CHECK(ccp_test_reload(t, "[plugins.waiter]\nwait = 1\n", &why));
    CCP_CHECK_INT(((struct plugin *)ccp_test_self(t))->config->wait, 1000);
    CCP_CHECK_HAS(ccp_test_events(t), "app.reloaded ");
    CCP_CHECK_INT(ccp_test_request(t, "POST", "/plugins/waiter/restart", NULL, NULL)->status, 403);
    ccp_test_close(t);
}

static void nothing_of_the_user_is_touched(void)
{
    setenv("HOME", "/nowhere", 1);
    unsetenv("XDG_STATE_HOME");
    struct ccp_test *t = opened(NULL);
    char folder[100];
    snprintf(folder, sizeof(folder), "%s", ccp_test_folder(t));
    CCP_CHECK(strcmp(getenv("HOME"), folder) == 0 && access(folder, F_OK) == 0);
    ccp_test_close(t);
    CCP_CHECK(strcmp(getenv("HOME"), "/nowhere") == 0 && getenv("XDG_STATE_HOME") == NULL);
    CCP_CHECK(access(folder, F_OK) != 0);
}

/* -- running them -- */

struct scenario {
    void (*run)(void);
    int result;
    const char *says; /* on standard error; NULL = nothing at all */
};

static void in_child(const struct scenario *s, int out)
{
    dup2(out, 2);
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 1);
    s->run();
    exit(ccp_test_result());
}

static void one(void **state)
{
    const struct scenario *s = *state;
    char said[8192] = "";
    int out[2], status;
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        in_child(s, out[1]);
    close(out[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof(said) - 1 && (got = read(out[0], said + n, sizeof(said) - 1 - n)) > 0;
         n += (size_t)got)
        said[n + (size_t)got] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != s->result)
        fail_msg("it ended with %d: %s", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), said);
    if (s->says == NULL ? n != 0 : strstr(said, s->says) == NULL)
        fail_msg("it said: %s", said);
}

#define SCENARIO(f, result, says)                                                                                      \
    {                                                                                                                  \
#f, one, NULL, NULL, &(struct scenario)                                                                        \
        {                                                                                                              \
            f, result, says                                                                                            \
        }                                                                                                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(a_check_that_fails, 1, "test_kit.c:"),
        SCENARIO(a_check_that_fails, 1, ": 1 + 1 is 2, not 3\n"),
        SCENARIO(no_check_at_all, 1, NULL),
        SCENARIO(an_upstream_nobody_prepared, 1, "no answer was prepared"),
        SCENARIO(an_answer_nobody_asked_for, 1, "an upstream answer was prepared that nobody asked for"),
        SCENARIO(a_request_that_still_runs, 1, "POST /claude/v1/messages still runs"),
        SCENARIO(a_case_that_does_not_hold, 1, "x.case:1: the status\n    want: 201\n    got:  200"),
        SCENARIO(an_empty_folder_of_cases, 1, "there is no "),
        SCENARIO(a_task_that_is_not_there, 1, "waiter has no task \"none\""),
        SCENARIO(two_at_once, 0, NULL),
        SCENARIO(what_is_wrong_is_told, 0, NULL),
        SCENARIO(time_passes_as_told, 0, NULL),
        SCENARIO(answers_come_as_told, 0, NULL),
        SCENARIO(what_is_not_a_request, 0, NULL),
        SCENARIO(nothing_of_the_user_is_touched, 0, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What hooks are promised of an exchange's events: each as often and in the order that event.def and moments.c say,
 * however the exchange ends.
 *
 * Every case file is played with a hook that hears everything and judges as it hears: whole, in pieces, with a slow
 * client, with a client that leaves and a worker that ends everything after each of the first steps, while draining,
 * and (with fault points) with each of the first allocations refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/log.h>
#include <testing/case_file.h>
#include <testing/stage.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT FIXTURES "/../.."

/* What one exchange has said so far. */
static struct heard {
    unsigned n, of[CCP_EVENT_COUNT];
    enum ccp_event last;
    bool over, routed;
    /* of the current attempt */
    unsigned heads, starts, ends, errors;
    int status;
    size_t chunk_bytes, body_bytes;
    /* of the answer */
    size_t answer_bytes;
    struct ccp_buf received; /* of all attempts */
    char wrong[200];
} heard;

static bool keys_configured;
static unsigned long exchanges, events, endings[CCP_STATUS_COUNT];

static void wrong(const char *what)
{
    if (heard.wrong[0] == '\0')
        snprintf(heard.wrong, sizeof(heard.wrong), "%s (event %u, after %d)", what, heard.n, (int)heard.last);
}

static void must(bool fine, const char *what)
{
    if (!fine)
        wrong(what);
}

static void attempt_over(void)
{
    must(heard.starts == heard.ends, "a stream that began has no end");
    must(heard.status < 400 || heard.errors == 1, "an error status is no provider.error");
    must(heard.starts == 0 || heard.chunk_bytes == heard.body_bytes, "a stream's pieces are not its body");
}

static void no_keys(struct ccp_exchange *x)
{
    size_t n;
    const struct ccp_header *h = x->api->headers(x, &n);
    for (size_t i = 0; keys_configured && i < n; i++)
        must(!ccp_span_is(h[i].name, "x-ccproxy-token"), "a hook sees a ccproxy key");
}

/* Its bodies may hold secrets of the configuration: no event has them. */
static bool administrative(struct ccp_exchange *x)
{
    struct ccp_span path = x->api->path(x);
    bool plugins = ccp_span_starts(path, CCP_SPAN("/plugins")) || ccp_span_starts(path, CCP_SPAN("/v1/plugins"));
    return ccp_span_starts(path, CCP_SPAN("/events")) || (plugins && ccp_span_is(x->api->method(x), "POST"));
}

static void at_end(struct ccp_exchange *x, bool well)
{
    struct ccp_summary sum;
    x->api->summary(x, &sum, sizeof(sum));
    attempt_over();
    must((sum.status == CCP_OK) == well, "completed or failed is not what the summary says");
    must((unsigned)sum.attempts == heard.of[CCP_EVENT_PROVIDER_REQUEST_SENT] ||
             (sum.status == CCP_OVERLOADED && (unsigned)sum.attempts == heard.of[CCP_EVENT_PROVIDER_REQUEST_SENT] + 1),
         "provider.request.sent is not said for each attempt");
    must((administrative(x) ? 0 : sum.bytes_out) == heard.answer_bytes, "http.response.body is not what went out");
    must((sum.http_status != 0) == (heard.of[CCP_EVENT_HTTP_RESPONSE] == 1), "a head without http.response");
    must(!well || heard.of[CCP_EVENT_HTTP_ERROR] == 0, "a failure was told, and all was well");
    bool sent = heard.of[CCP_EVENT_PROVIDER_REQUEST_SENT] != 0;
    must(sent == (sum.us_upstream_sent != 0), "the time when the first attempt began");
    must(!sent || sum.us_upstream_end >= sum.us_upstream_sent, "the time when the last attempt ended");
    must(sum.upstream_status == heard.status || heard.heads == 0, "upstream's status");
    endings[sum.status]++;
    heard.over = true;
}

static void of_attempt(enum ccp_event event, const struct ccp_moment *m)
{
    bool sent = heard.of[CCP_EVENT_PROVIDER_REQUEST_SENT] != 0;
    must(sent, "an answer without a request");
    switch (event) {
    case CCP_EVENT_PROVIDER_RESPONSE_RECEIVED:
        must(++heard.heads == 1, "two heads of one attempt");
        heard.status = m->status;
        break;
    case CCP_EVENT_PROVIDER_RESPONSE_BODY:
        must(heard.heads == 1, "a body without its head");
        heard.body_bytes += m->bytes.n;
        buf_add(&heard.received, m->bytes);
        break;
    case CCP_EVENT_PROVIDER_STREAM_START:
        must(heard.heads == 1 && ++heard.starts == 1, "a stream starts twice, or without a head");
        break;
    case CCP_EVENT_PROVIDER_STREAM_CHUNK:
        must(heard.starts == 1 && heard.ends == 0, "a piece outside of a stream");
        heard.chunk_bytes += m->bytes.n;
        break;
    case CCP_EVENT_PROVIDER_STREAM_END:
        must(heard.starts == 1 && ++heard.ends == 1, "a stream ends twice, or did not start");
        break;
    default:
        must(++heard.errors == 1, "two errors of one attempt");
        must(heard.ends == 0, "an error behind the stream's end");
        must(m->text.n != 0, "an error without words");
        break;
    }
}

static void of_answer(enum ccp_event event, const struct ccp_moment *m)
{
    if (event == CCP_EVENT_HTTP_RESPONSE_BODY) {
        must(heard.of[CCP_EVENT_HTTP_RESPONSE] == 1, "the answer's body without its head");
        heard.answer_bytes += m->bytes.n;
    } else if (event == CCP_EVENT_HTTP_ERROR) {
        must(heard.of[event] == 1 && m->status >= 400 && m->text.n != 0, "http.error twice, or without its words");
    } else {
        must(heard.of[event] == 1 && m->status >= 200, "two heads for one client");
    }
}

static void judge(enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    switch (event) {
    case CCP_EVENT_REQUEST_STARTED:
        must(heard.n == 1, "request.started is not the first");
        break;
    case CCP_EVENT_HTTP_REQUEST:
        must(heard.n == 2, "http.request does not come second");
        must(ccp_span_eq(m->bytes, administrative(x) ? CCP_SPAN("") : x->api->body(x)), "the request's body");
        break;
    case CCP_EVENT_REQUEST_ROUTED:
        must(heard.of[event] == 1 && x->api->provider(x).n != 0, "request.routed");
        break;
    case CCP_EVENT_PROVIDER_REQUEST_PREPARED:
        must(heard.of[event] == 1 && heard.of[CCP_EVENT_REQUEST_ROUTED] == 1, "provider.request.prepared");
        must(heard.of[CCP_EVENT_PROVIDER_REQUEST_SENT] == 0, "prepared behind sent");
        break;
    case CCP_EVENT_PROVIDER_REQUEST_SENT:
        must(m->request != NULL && m->request->url.n != 0, "sent without its request");
        must(heard.of[CCP_EVENT_PROVIDER_REQUEST_PREPARED] == 1, "sent before prepared");
        attempt_over();
        heard.heads = heard.starts = heard.ends = heard.errors = 0;
        heard.status = 0;
        heard.chunk_bytes = heard.body_bytes = 0;
        break;
    case CCP_EVENT_PROVIDER_RESPONSE_RECEIVED:
    case CCP_EVENT_PROVIDER_RESPONSE_BODY:
    case CCP_EVENT_PROVIDER_STREAM_START:
    case CCP_EVENT_PROVIDER_STREAM_CHUNK:
    case CCP_EVENT_PROVIDER_STREAM_END:
    case CCP_EVENT_PROVIDER_ERROR:
        of_attempt(event, m);
        break;
    case CCP_EVENT_HTTP_RESPONSE:
    case CCP_EVENT_HTTP_RESPONSE_BODY:
    case CCP_EVENT_HTTP_ERROR:
        of_answer(event, m);
        break;
    case CCP_EVENT_REQUEST_COMPLETED:
    case CCP_EVENT_REQUEST_FAILED:
        at_end(x, event == CCP_EVENT_REQUEST_COMPLETED);
        break;
    default:
        wrong("an event that no exchange has");
    }
}

static bool hear(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    if (x == NULL)
        return true;
    must(!heard.over, "something behind the end");
    heard.n++;
    heard.of[event]++;
    events++;
    no_keys(x);
    judge(event, x, m);
    heard.last = event;
    return true;
}

static const struct ccp_hook hooks[] = {
    {.name = "judge", .events = (1ull << CCP_EVENT_COUNT) - 1, .on_event = hear},
    {.name = NULL},
};
CCP_PLUGIN(judge) = {CCP_ABI_HERE, .name = "judge", .version = "1.0.0", .kind = CCP_PLUGIN_SYSTEM, .hooks = hooks};
static const struct ccp_plugin *const extra[] = {&ccp_plugin_judge, NULL};

static bool play(const struct test_case *c, struct runtime *rt, struct rhythm rhythm, char *text, size_t max)
{
    struct stage s;
    buf_release(&heard.received);
    memset(&heard, 0, sizeof(heard));
    buf_init(&heard.received, 64 << 20);
    keys_configured = rt->settings.security.auth_token != NULL || rt->settings.security.keys.n != 0;
    stage_play(&s, c, rt, rhythm);
    exchanges++;
    if (heard.n == 0)
        must(rhythm.gone_at_once || rhythm.fault != NULL, "nothing was said");
    else
        must(heard.over, "the end was not said");
    bool undisturbed = rhythm.gone_after == 0 && rhythm.abort_after == 0 && !rhythm.gone_at_once &&
                       rhythm.fault == NULL && !rhythm.draining;
    if (undisturbed && c->up_n == 1 && heard.of[CCP_EVENT_PROVIDER_REQUEST_SENT] == 1 && heard.heads == 1) {
        struct ccp_span want = c->up[0].answer.body.exact, got = buf_span(&heard.received);
        must(got.n <= want.n && memcmp(got.n != 0 ? got.p : "", want.n != 0 ? want.p : "", got.n) == 0,
             "not the bytes that came from upstream");
        must(got.n == want.n || heard.of[CCP_EVENT_REQUEST_FAILED] == 1, "bytes from upstream are missing");
    }
    stage_release(&s);
    if (heard.wrong[0] == '\0' && s.wrong[0] == '\0')
        return true;
    snprintf(text, max, "%s%s [cutting %d, gone %zu, abort %zu, fault %s]", heard.wrong, s.wrong, rhythm.cutting,
             rhythm.gone_after, rhythm.abort_after, rhythm.fault != NULL ? rhythm.fault : "-");
    return false;
}

static bool play_all(const struct test_case *c, struct runtime *rt, char *text, size_t max)
{
    bool fine = play(c, rt, (struct rhythm){.cutting = CUT_WHOLE}, text, max) &&
                play(c, rt, (struct rhythm){.gone_at_once = true}, text, max) &&
                play(c, rt, (struct rhythm){.draining = true}, text, max) &&
                play(c, rt, (struct rhythm){.cutting = CUT_BYTES}, text, max);
    const char *lasting = getenv("TEST_LONG");
    bool all = lasting != NULL && strcmp(lasting, "1") == 0;
    for (unsigned i = 1; fine && i <= (all ? 10 : 6); i++) {
        struct rhythm cut = {.cutting = CUT_RANDOM, .slow_client = i % 2 == 0, .random = i * 7919};
        struct rhythm leaves = cut, ends = cut;
        leaves.gone_after = ends.abort_after = i;
        fine = play(c, rt, cut, text, max) && play(c, rt, leaves, text, max) && play(c, rt, ends, text, max);
    }
#ifdef CCP_FAULTS
    for (int n = 1; fine && n <= (all ? 12 : 8); n++) {
        char spec[64];
        snprintf(spec, sizeof(spec), "arena.alloc:%d,buf.reserve:%d", n, n);
        fine = play(c, rt, (struct rhythm){.cutting = CUT_WHOLE, .fault = spec}, text, max);
    }
#endif
    return fine;
}

static void one_case(void **state)
{
    struct test_case *c = calloc(1, sizeof(*c));
    char text[1000] = "";
    case_read(c, *state, FIXTURES);
    struct runtime *rt = c->wrong[0] == '\0' ? case_runtime(c, extra, text, sizeof(text)) : NULL;
    bool deaf = rt != NULL && rt->hook_count[CCP_EVENT_REQUEST_STARTED] == 0; /* its configuration leaves plugins out */
    bool fine = deaf || (rt != NULL && play_all(c, rt, text, sizeof(text)));
    if (rt != NULL)
        runtime_unref(rt);
    if (c->wrong[0] != '\0')
        snprintf(text, sizeof(text), "%s", c->wrong);
    case_release(c);
    free(c);
    if (!fine)
        fail_msg("%s: %s", (const char *)*state, text);
}

int main(int argc, char **argv)
{
    glob_t found = {0};
    struct log_options quiet = {CCP_LOG_OFF, LOG_TEXT, "/dev/null"};
    log_configure(&quiet);
    glob(ROOT "/tests/case/*.case", 0, NULL, &found);
    glob(ROOT "/providers/*/cases/*.case", GLOB_APPEND, NULL, &found);
    struct CMUnitTest *tests = calloc(found.gl_pathc + 1, sizeof(*tests));
    size_t n = 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (argc < 2 || strstr(found.gl_pathv[i], argv[1]) != NULL)
            tests[n++] =
                (struct CMUnitTest){strrchr(found.gl_pathv[i], '/') + 1, one_case, NULL, NULL, found.gl_pathv[i]};
    int failed = _cmocka_run_group_tests("events", tests, n, NULL, NULL);
    unsigned kinds = 0;
    for (int i = 0; i < CCP_STATUS_COUNT; i++)
        kinds += endings[i] != 0;
    printf("%lu exchanges, %lu events, %u kinds of ending\n", exchanges, events, kinds);
    buf_release(&heard.received);
    free(tests);
    globfree(&found);
    return failed + (argc < 2 && (n < 150 || kinds < 8));
}

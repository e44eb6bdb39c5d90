/*
 * Judging what a played case recorded, and replaying it in every rhythm.
 */
#include <testing/case_judge.h>

#include <stdio.h>
#include <stdlib.h>

struct verdict {
    char text[4000];      /* empty = as expected */
    struct ccp_buf whole; /* the answer when nothing went wrong */
    int status;
};

static void differs(struct verdict *v, const char *what, struct ccp_span want, struct ccp_span got)
{
    if (v->text[0] == '\0')
        snprintf(v->text, sizeof(v->text), "%s\n    want: %.*s\n    got:  %.*s", what,
                 (int)(want.n < 1500 ? want.n : 1500), want.p != NULL ? want.p : "", (int)(got.n < 1500 ? got.n : 1500),
                 got.p != NULL ? got.p : "");
}

static bool contains(struct ccp_span in, struct ccp_span what)
{
    return what.n == 0 || (in.n >= what.n && memmem(in.p, in.n, what.p, what.n) != NULL);
}

static const struct ccp_header *header_of(const struct ccp_header *h, size_t n, struct ccp_span name, size_t *count)
{
    const struct ccp_header *hit = NULL;
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (ccp_span_eq(h[i].name, name)) {
            hit = hit != NULL ? hit : &h[i];
            ++*count;
        }
    return hit;
}

static void check_headers(struct verdict *v, const struct case_message *want, const struct ccp_header *h, size_t n)
{
    for (size_t i = 0; i < want->header_n; i++) {
        const struct case_want *w = &want->headers[i];
        size_t count;
        const struct ccp_header *got = header_of(h, n, w->name, &count);
        struct ccp_span value = got != NULL ? got->value : CCP_SPAN("(absent)");
        if (w->absent ? got != NULL : got == NULL || count != 1)
            differs(v,
                    w->absent   ? "a header must be absent"
                    : count > 1 ? "a header is there twice"
                                : "a header is missing",
                    w->name, value);
        else if (!w->absent && !w->any && (w->contains ? !contains(value, w->value) : !ccp_span_eq(value, w->value)))
            differs(v, "a header's value", w->value, value);
    }
}

static void check_body(struct verdict *v, const char *whose, const struct case_body *want, struct ccp_span got)
{
    if (!want->checked)
        return;
    if (want->has_exact && !ccp_span_eq(want->exact, got))
        differs(v, whose, want->exact, got);
    for (size_t i = 0; i < want->has_n; i++)
        if (!contains(got, want->has[i]))
            differs(v, "the body lacks a text", want->has[i], got);
    for (size_t i = 0; i < want->lacks_n; i++)
        if (contains(got, want->lacks[i]))
            differs(v, "the body has a text it must not have", want->lacks[i], got);
}

static void check_sent(struct verdict *v, struct stage *s)
{
    for (size_t i = 0; i < s->sent_n && i < s->c->up_n; i++) {
        const struct case_message *want = &s->c->up[i].request;
        struct stage_sent *got = &s->sent[i];
        if (want->first.p == NULL)
            continue;
        struct ccp_span line = stage_keep2(s, stage_keep2(s, got->method, CCP_SPAN(" ")), got->url);
        if (!ccp_span_eq(want->first, line))
            differs(v, "the upstream request's line", want->first, line);
        check_headers(v, want, got->headers, got->header_n);
        check_body(v, "the upstream request's body", &want->body, got->body);
    }
    if (s->sent_n < s->c->up_n)
        differs(v, "fewer upstream requests than the case has", CCP_SPAN(""), CCP_SPAN(""));
}

/* An expected event is its name and some of its facts, in any order. */
static void check_event(struct verdict *v, struct ccp_span want, struct ccp_span got)
{
    struct ccp_span rest = want, name = case_word(&rest);
    if (!ccp_span_starts(got, name) || got.p[name.n] != ' ')
        differs(v, "the order of events", want, got);
    while (rest.n != 0) {
        struct ccp_span fact = case_word(&rest);
        char padded[300];
        snprintf(padded, sizeof(padded), " %.*s ", CCP_FMT(fact));
        if (!contains(got, ccp_span_z(padded)))
            differs(v, "what an event knows", fact, got);
    }
}

static void check_events(struct verdict *v, const struct stage *s, bool judge)
{
    size_t ends = 0, starts = 0;
    for (size_t i = 0; i < s->event_n; i++) {
        starts += ccp_span_starts(s->events[i], CCP_SPAN("request.started "));
        ends += ccp_span_starts(s->events[i], CCP_SPAN("request.completed ")) ||
                ccp_span_starts(s->events[i], CCP_SPAN("request.failed "));
    }
    bool none = s->rhythm.gone_at_once && s->event_n == 0;
    if (!none && (starts != 1 || ends != 1 || !ccp_span_starts(s->events[0], CCP_SPAN("request.started "))))
        differs(v, "every exchange starts once and ends once", CCP_SPAN(""),
                s->event_n != 0 ? s->events[0] : CCP_SPAN(""));
    if (!judge || !s->c->events_checked)
        return;
    for (size_t i = 0; i < s->event_n || i < s->c->event_n; i++)
        if (i < s->event_n && i < s->c->event_n)
            check_event(v, s->c->events[i], s->events[i]);
        else
            differs(v, "the number of events", i < s->c->event_n ? s->c->events[i] : CCP_SPAN("(no more)"),
                    i < s->event_n ? s->events[i] : CCP_SPAN("(no more)"));
}

static void check_client(struct verdict *v, struct stage *s)
{
    const struct case_message *want = &s->c->expect;
    struct ccp_span first = want->first, status = case_word(&first);
    char number[16];
    snprintf(number, sizeof(number), "%d", s->status);
    struct ccp_span got = ccp_span_z(number);
    if (!ccp_span_eq(status, got))
        differs(v, "the status", status, stage_keep2(s, stage_keep2(s, got, CCP_SPAN(" ")), buf_span(&s->body)));
    if (ccp_span_is(first, "aborted") != s->aborted)
        differs(v, "whether the answer was broken off", first,
                s->aborted ? CCP_SPAN("aborted") : CCP_SPAN("ended well"));
    check_headers(v, want, s->headers, s->header_n);
    check_body(v, "the answer's body", &want->body, buf_span(&s->body));
    bool head = ccp_span_starts(s->c->client.first, CCP_SPAN("HEAD "));
    if (s->content_length != SIZE_MAX && !s->aborted && !head && s->content_length != s->body.n)
        differs(v, "content-length and the bytes sent", CCP_SPAN(""), CCP_SPAN(""));
}

/* Whatever went wrong: half an answer is never given as a whole one, and nothing comes behind the end of a stream. */
static void check_wrecked(struct verdict *v, const struct stage *s)
{
    struct ccp_span whole = buf_span(&v->whole), got = buf_span(&s->body);
    static const struct ccp_span ends[] = {CCP_LIT("data: [DONE]"), CCP_LIT("event: message_stop"),
                                           CCP_LIT("event: response.completed")};
    bool ended = false;
    if (v->status != 200 || s->status != 200)
        return;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        ended = ended || (contains(whole, ends[i]) && contains(got, ends[i]));
    if (ended && got.n > whole.n)
        differs(v, "something comes behind the end", whole, got);
    if (!ended && s->last && !s->aborted && got.n < whole.n && contains(whole, CCP_SPAN("data: ")) &&
        !contains(got, CCP_SPAN("\"error\"")))
        differs(v, "half an answer ends like a whole one", whole, got);
}

static void run(const struct test_case *c, struct runtime *rt, struct rhythm rhythm, bool judge, struct verdict *v)
{
    struct stage s;
    stage_play(&s, c, rt, rhythm);
    if (s.wrong[0] != '\0')
        differs(v, s.wrong, CCP_SPAN(""), buf_span(&s.body));
    if (judge) {
        check_client(v, &s);
        check_sent(v, &s);
    } else {
        check_wrecked(v, &s);
    }
    if (v->status == 0) {
        v->status = s.status;
        buf_add(&v->whole, buf_span(&s.body));
    }
    check_events(v, &s, judge);
    stage_release(&s);
}

/* One cut at every place of the body's last bytes: there it is decided whether a stream ended properly. */
static void cut_near_the_end(const struct test_case *c, struct runtime *rt, struct verdict *v)
{
    size_t n = c->up[c->up_n - 1].answer.body.exact.n;
    for (size_t back = 1; back < n && back <= 80; back++)
        run(c, rt, (struct rhythm){.cutting = CUT_ONCE, .cut_at = n - back}, true, v);
}

static void replay(const struct test_case *c, struct runtime *rt, struct verdict *v)
{
    run(c, rt, (struct rhythm){.cutting = CUT_WHOLE}, true, v);
    run(c, rt, (struct rhythm){.gone_at_once = true}, false, v);
    if (v->text[0] != '\0' || c->up_n == 0)
        return;
    run(c, rt, (struct rhythm){.cutting = CUT_BYTES}, true, v);
    cut_near_the_end(c, rt, v);
    for (unsigned i = 1; i <= 6; i++)
        run(c, rt, (struct rhythm){.cutting = CUT_RANDOM, .slow_client = i % 2 == 0, .random = i * 7919}, true, v);
    for (unsigned i = 1; i <= 10; i++) {
        struct rhythm leaves = {.cutting = CUT_RANDOM, .slow_client = i % 2 == 0, .random = i * 104729};
        struct rhythm ends = leaves;
        leaves.gone_after = ends.abort_after = i;
        run(c, rt, leaves, false, v);
        run(c, rt, ends, false, v);
    }
}

#ifdef CCP_FAULTS
/* Whatever allocation fails, the exchange ends by the rules. */
static void torture(const struct test_case *c, struct runtime *rt, struct verdict *v)
{
    int most = strstr(c->path, "cross-") != NULL ? 24 : 12; /* translating allocates more */
    for (int n = 1; n <= most && v->text[0] == '\0'; n++) {
        char spec[64];
        snprintf(spec, sizeof(spec), "arena.alloc:%d,buf.reserve:%d", n, n);
        run(c, rt, (struct rhythm){.cutting = CUT_WHOLE, .fault = spec}, false, v);
    }
}
#endif

static void judge(const struct test_case *c, const struct ccp_plugin *const *extra, struct verdict *v)
{
    struct runtime *rt = case_runtime(c, extra, v->text, sizeof(v->text));
    if (rt == NULL)
        return;
    replay(c, rt, v);
#ifdef CCP_FAULTS
    if (v->text[0] == '\0')
        torture(c, rt, v);
#endif
    runtime_unref(rt);
}

bool case_judge_file(const char *path, const char *files, const struct ccp_plugin *const *extra, char *text, size_t max)
{
    struct test_case *c = malloc(sizeof(*c));
    struct verdict v = {""};
    if (c == NULL)
        abort(); /* a test without memory has no result */
    buf_init(&v.whole, SIZE_MAX / 2);
    case_read(c, path, files);
    if (c->wrong[0] != '\0')
        snprintf(v.text, sizeof(v.text), "malformed case, %s", c->wrong);
    else
        judge(c, extra, &v);
    case_release(c);
    free(c);
    buf_release(&v.whole);
    snprintf(text, max, "%s", v.text);
    return v.text[0] == '\0';
}

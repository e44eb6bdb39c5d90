/*
 * Crossing formats: the answer on its way back (format/translate.h).
 *
 * The head waits for the answer unless both sides stream, so that an upstream's failure is a failure for the client,
 * too. What broke an answer ends it at once, whatever the upstream may still say. An answer in a content coding, which
 * nobody asked for, is decoded when it is there as a whole.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <base/status.h>
#include <chain/crossing_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

static void give_up(struct exchange *x)
{
    exchange_fail(x, CCP_OVERLOADED, "out of memory");
    answer_failure(x);
}

static void answer_count(struct exchange *x, uint64_t tokens, bool estimated)
{
    struct ccp_buf out;
    buf_init(&out, 4096);
    if (estimated)
        answer_header(x, CCP_SPAN("x-ccproxy-estimate"), CCP_SPAN("1"));
    if (!format_of(x->route.format)->write_count(tokens, estimated, &out) || out.failed)
        give_up(x);
    else
        answer_whole(x, 200, CCP_SPAN("application/json"), buf_span(&out));
    buf_release(&out);
}

bool crossing_estimate(struct exchange *x)
{
    struct crossing *c = x->crossing;
    if (!c->count || crossing_counts(x))
        return false;
    answer_count(x, c->estimate, true);
    return true;
}

bool crossing_keeps(struct ccp_span name)
{
    static const struct ccp_span names[] = {CCP_LIT("retry-after"),    CCP_LIT("retry-after-ms"),
                                            CCP_LIT("request-id"),     CCP_LIT("x-request-id"),
                                            CCP_LIT("x-should-retry"), CCP_LIT("openai-processing-ms")};
    static const struct ccp_span families[] = {CCP_LIT("anthropic-ratelimit-"), CCP_LIT("x-ratelimit-"),
                                               CCP_LIT("x-codex-")};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (ccp_span_eq(name, names[i]))
            return true;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (ccp_span_starts(name, families[i]))
            return true;
    return false;
}

static bool json_array(const struct exchange *x)
{
    return x->route.format == CCP_FORMAT_GEMINI && !ccp_span_is(url_query_get(x->query, CCP_SPAN("alt")), "sse");
}

static bool start_translation(struct exchange *x)
{
    struct crossing *c = x->crossing;
    struct answer_from from = {x->spoken, x->route.provider->id, c->names, x->sse};
    bool marked = ccp_span_starts(x->request_id, CCP_SPAN("req_"));
    struct answer_to to = {.model = x->client_model,
                           .request_id = ccp_span_skip(x->request_id, marked ? 4 : 0),
                           .whole_id = x->request_id,
                           .created = clock_unix_us() / 1000000,
                           .include_usage = c->include_usage,
                           .json_array = json_array(x)};
    if (CCP_FAULT("crossing.start") || !translation_init(&c->t, &from, x->route.format, &to, x->wants_stream,
                                                         &c->scratch, x->rt->settings.upstream.max_event_bytes))
        return false;
    if (x->deltas != NULL)
        c->t.tap = (struct delta_sink){deltas_put, x};
    return true;
}

/* The client's stream begins: with the upstream's head when that streams, too, else with the first bytes. */
static void open_stream(struct exchange *x)
{
    bool array = x->crossing->t.target.json_array;
    answer_header(x, CCP_SPAN("content-type"),
                  array ? CCP_SPAN("application/json; charset=utf-8") : CCP_SPAN("text/event-stream; charset=utf-8"));
    answer_header(x, CCP_SPAN("cache-control"), CCP_SPAN("no-cache"));
    answer_header(x, CCP_SPAN("x-accel-buffering"), CCP_SPAN("no"));
    x->sse = !array;
    answer_head(x, 200, SIZE_MAX);
    pipe_open(x);
}

void crossing_open(struct exchange *x)
{
    struct crossing *c = x->crossing;
    bool upstream_streams = x->sse;
    x->sse = false;
    c->answering = true;
    c->coding = x->waiting_coding;
    if (c->coding != CODING_IDENTITY)
        c->reason.max = x->rt->settings.upstream.max_event_bytes;
    c->failing = x->waiting_status < 200 || x->waiting_status > 299;
    if (c->failing || c->count)
        return;
    x->sse = upstream_streams;
    bool ok = start_translation(x);
    x->sse = false;
    if (!ok)
        c->failing = true; /* crossing_done says why */
    else if (x->wants_stream && upstream_streams && x->deltas != NULL)
        deltas_hold_head(x, open_stream);
    else if (x->wants_stream && upstream_streams)
        open_stream(x);
}

bool crossing_answers(const struct exchange *x)
{
    return x->crossing != NULL && x->crossing->answering;
}

/* What was made of the last bytes, to the client. */
static enum ccp_push give(struct exchange *x, bool last)
{
    struct translation *t = &x->crossing->t;
    enum ccp_push result = CCP_PUSH_MORE;
    x->tail.any = t->begun; /* from now on a keep-alive may come */
    if (t->out.n != 0)
        x->last_byte_ms = x->w->loop->now_ms; /* an upstream may say much that makes nothing for the client */
    if (t->done || t->told)                   /* nothing comes behind the end of a stream */
        loop_timer_stop(x->w->loop, &x->keepalive);
    if (t->out.n != 0 || last)
        result = answer_body(x, buf_span(&t->out), last);
    t->out.n = 0;
    return result;
}

static bool told(const struct exchange *x, struct ccp_span name)
{
    return headers_get(x->head.headers, x->head.count, name).p != NULL;
}

/* Milliseconds as the seconds of Retry-After, rounded up. */
static void add_retry_after(struct exchange *x, uint64_t ms)
{
    char digits[20];
    if (ms == 0 || told(x, CCP_SPAN("retry-after")))
        return;
    size_t n = ccp_digits(digits, (ms + 999) / 1000, 1);
    answer_header(x, CCP_SPAN("retry-after"), arena_dup(&x->arena, ccp_span_of(digits, n)));
}

/* The upstream's own words, in the client's shape. Only the client's own credential is its business. */
static void answer_foreign(struct exchange *x, const struct failure *f)
{
    struct ccp_buf out;
    if (f->kind == FAILURE_AUTH && (x->route.provider->auth == AUTH_API_KEY || x->route.provider->auth == AUTH_OAUTH)) {
        x->credential == NULL ? judge_key_refused(x) : judge_login_refused(x);
        answer_failure(x);
        return;
    }
    buf_init(&out, CROSSING_ERROR_MAX);
    add_retry_after(x, f->retry_after_ms);
    bool hopeless = f->kind == FAILURE_QUOTA || f->kind == FAILURE_BILLING; /* no pause helps */
    if (hopeless && !told(x, CCP_SPAN("x-should-retry"))) /* named twice it would be read as neither */
        answer_header(x, CCP_SPAN("x-should-retry"), CCP_SPAN("false"));
    if (failure_body(x->route.format, f, x->request_id, &out) && !out.failed)
        answer_whole(x, failure_http(x->route.format, f), CCP_SPAN("application/json"), buf_span(&out));
    else
        give_up(x);
    buf_release(&out);
}

static void done_failing(struct exchange *x)
{
    struct crossing *c = x->crossing;
    struct failure f;
    if (x->waiting_status <= 299) { /* the translation could not be set up */
        give_up(x);
        return;
    }
    if (x->waiting_status < 400) {
        exchange_fail(x, CCP_UPSTREAM, "provider %.*s answered with status %d, which is no answer",
                      CCP_FMT(x->route.provider->id), x->waiting_status);
        answer_failure(x);
        return;
    }
    if (c->count && (x->waiting_status == 404 || x->waiting_status == 405 || x->waiting_status == 501)) {
        answer_count(x, c->estimate, true);
        return;
    }
    failure_read(&f, &c->scratch, x->waiting_status, x->head.headers, x->head.count, buf_span(&c->reason));
    answer_foreign(x, &f);
}

static void done_count(struct exchange *x)
{
    struct crossing *c = x->crossing;
    struct ccp_json *root = NULL;
    uint64_t tokens;
    if (json_parse(&c->scratch, buf_span(&c->reason), &root, NULL) == CCP_OK && c->to->read_count(root, &tokens)) {
        answer_count(x, tokens, false);
        return;
    }
    exchange_fail(x, CCP_UPSTREAM, "provider %.*s gave a token count that cannot be read",
                  CCP_FMT(x->route.provider->id));
    answer_failure(x);
}

/* What broke the answer, as people read it. */
static void fail_with(struct exchange *x, enum ccp_status status, const struct failure *f)
{
    struct ccp_span text = json_unescape(&x->arena, f->message);
    exchange_fail(x, status, "provider %.*s: %.*s", CCP_FMT(x->route.provider->id), CCP_FMT(text));
}

static void tell_error(struct exchange *x, const struct failure *f)
{
    moment_provider_error(x, x->upstream_status,
                          f->kind == FAILURE_CUT       ? CCP_SPAN("its answer was cut")
                          : f->kind == FAILURE_GARBLED ? CCP_SPAN("its answer cannot be read")
                                                       : CCP_SPAN("an error within a good answer"));
}

/* The answer broke before the client saw anything of it. */
static void refuse(struct exchange *x)
{
    const struct failure *f = &x->crossing->t.failure;
    tell_error(x, f);
    bool ours = f->kind == FAILURE_CUT || f->kind == FAILURE_GARBLED;
    if (!ours) {
        answer_foreign(x, f);
        return;
    }
    fail_with(x, CCP_UPSTREAM, f);
    answer_failure(x);
}

/* The stream has been told; the exchange is a failed one. */
static void end_broken(struct exchange *x)
{
    const struct failure *f = &x->crossing->t.failure;
    tell_error(x, f);
    fail_with(x, f->kind == FAILURE_TIMEOUT ? CCP_UPSTREAM_TIMEOUT : CCP_UPSTREAM, f);
    moment_http_error(x, format_http_status(x->route.format, x->status));
    give(x, true);
    x->complete = false;
    exchange_finish(x);
}

static void done_stream(struct exchange *x)
{
    const struct translation *t = &x->crossing->t;
    if (t->broken && !x->head_sent) {
        refuse(x);
        return;
    }
    if (!x->head_sent)
        open_stream(x);
    if (t->broken) {
        end_broken(x);
        return;
    }
    give(x, true);
    exchange_finish(x);
}

/* The answer ends here, whatever else the upstream may say. */
static void end_early(struct exchange *x)
{
    const struct translation *t = &x->crossing->t;
    if (t->out.failed) { /* what was whole before the memory ended is good */
        if (x->head_sent)
            give(x, false);
        give_up(x);
    } else if (x->wants_stream) {
        done_stream(x);
    } else {
        refuse(x);
    }
}

/* A middleware ended the answer; what was shown before is the client's. */
static void end_refused(struct exchange *x)
{
    if (x->wants_stream && x->crossing->t.out.n != 0) {
        if (!x->head_sent)
            open_stream(x);
        give(x, false);
    }
    answer_failure(x);
}

static void collect(struct crossing *c, struct ccp_span bytes)
{
    size_t room = c->reason.max - c->reason.n;
    if (c->coding == CODING_IDENTITY && bytes.n > room)
        bytes.n = room; /* the beginning tells the reason */
    buf_add(&c->reason, bytes);
}

enum ccp_push crossing_body(struct exchange *x, struct ccp_span bytes)
{
    struct crossing *c = x->crossing;
    if (!c->answering)
        return CCP_PUSH_MORE;
    if (c->failing || c->count || c->coding != CODING_IDENTITY) {
        collect(c, bytes);
        return CCP_PUSH_MORE;
    }
    translation_feed(&c->t, bytes);
    if (c->t.refused) {
        end_refused(x);
        return CCP_PUSH_MORE;
    }
    if (c->t.broken || c->t.out.failed) {
        end_early(x);
        return CCP_PUSH_MORE;
    }
    if (!x->head_sent && x->wants_stream && c->t.begun)
        open_stream(x);
    return x->head_sent ? give(x, false) : CCP_PUSH_MORE;
}

static enum failure_kind kind_of(enum ccp_status status)
{
    switch (status) {
    case CCP_UPSTREAM_TIMEOUT:
        return FAILURE_TIMEOUT;
    case CCP_OVERLOADED:
    case CCP_SHUTTING_DOWN:
        return FAILURE_OVERLOADED;
    default: /* a middleware may have said anything */
        return status_http(status) < 500
                   ? failure_kind_of(status_http(status), CCP_SPAN(""), CCP_SPAN(""), CCP_SPAN(""))
                   : FAILURE_UPSTREAM;
    }
}

static struct failure failure_of(struct exchange *x, enum ccp_status status, struct ccp_span why)
{
    struct failure f = {.kind = kind_of(status), .http = status_http(status), .message = CCP_SPAN("")};
    struct ccp_span quoted = CCP_FAULT("crossing.failure") ? (struct ccp_span){NULL, 0} : json_quote(&x->arena, why);
    if (quoted.p != NULL)
        f.message = ccp_span_of(quoted.p + 1, quoted.n - 2);
    return f;
}

/* What came in a content coding, decoded; a failure that cannot be read still has its status. False = failed. */
static bool decode(struct exchange *x)
{
    struct crossing *c = x->crossing;
    struct ccp_buf plain;
    buf_init(&plain, c->reason.max);
    enum ccp_status status =
        c->reason.failed ? CCP_TOO_LARGE : coding_decode(c->coding, buf_span(&c->reason), 100, &plain);
    buf_release(&c->reason);
    c->reason = plain;
    if (status == CCP_OK)
        return true;
    buf_release(&c->reason);
    if (c->failing)
        return true;
    if (status == CCP_OVERLOADED)
        exchange_fail(x, status, "out of memory");
    else
        exchange_fail(x, CCP_UPSTREAM, "provider %.*s: the answer has a content-encoding that %s",
                      CCP_FMT(x->route.provider->id),
                      status == CCP_BAD_ENCODING ? "is not supported"
                      : status == CCP_TOO_LARGE  ? "hides more than upstream.max_event_bytes"
                                                 : "it does not keep to");
    return false;
}

void crossing_done(struct exchange *x, enum ccp_status status, struct ccp_span why)
{
    struct crossing *c = x->crossing;
    if (x->state == X_FINISHING)
        return;
    if (status != CCP_OK && (c->failing || c->count || !x->head_sent)) {
        exchange_fail(x, status, "provider %.*s: %.*s", CCP_FMT(x->route.provider->id), CCP_FMT(why));
        answer_failure(x);
        return;
    }
    if (c->coding != CODING_IDENTITY && !decode(x)) {
        answer_failure(x);
        return;
    }
    if (c->failing) {
        done_failing(x);
        return;
    }
    if (c->count) {
        done_count(x);
        return;
    }
    struct failure f = failure_of(x, status, why);
    if (c->reason.n != 0) {
        translation_feed(&c->t, buf_span(&c->reason));
        buf_release(&c->reason);
    }
    bool finished = translation_finish(&c->t, status != CCP_OK ? &f : NULL);
    if (c->t.refused)
        end_refused(x);
    else if (!finished)
        give_up(x);
    else if (x->wants_stream)
        done_stream(x);
    else if (c->t.broken)
        refuse(x);
    else
        answer_whole(x, 200, CCP_SPAN("application/json"), buf_span(&c->t.out));
}

bool crossing_fail(struct exchange *x)
{
    struct crossing *c = x->crossing;
    if (c == NULL || !c->answering || c->t.from == NULL || x->client_gone)
        return false;
    struct failure f = failure_of(x, x->status, x->error);
    /* When an event was lost for want of memory, its writer knows no more where it stands. */
    if (c->t.out.failed || !translation_fail(&c->t, &f))
        return false;
    give(x, true);
    return true;
}

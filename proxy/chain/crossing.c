/*
 * Crossing formats: the request is translated before it leaves, the answer on its way back (format/translate.h).
 *
 * The parsed prompt lives in an arena of its own that is gone when the upstream body is written; what the answer needs
 * of it (names of tools, losses) is in the exchange's. The head waits for the answer unless both sides stream, so that
 * an upstream's failure is a failure for the client, too.
 */
#include <base/assert.h>
#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>
#include <base/status.h>
#include <chain/exchange_impl.h>
#include <format/translate.h>
#include <wire/headers.h>
#include <wire/json.h>

#define ERROR_MAX (64u * 1024) /* of an upstream's error answer */

struct crossing {
    const struct wire_format *to; /* spoken upstream */
    struct ccp_buf body;          /* as it goes upstream */
    struct names *names;
    struct ccp_span dropped;
    uint64_t estimate; /* of a count */
    bool include_usage, count;
    struct arena scratch;
    struct translation t;
    bool answering; /* the upstream's head is there */
    bool failing;   /* its status is one of failure; what comes is the reason */
    struct ccp_buf reason;
};

bool crossing_needed(const struct exchange *x)
{
    bool op = x->route.op == CCP_OP_GENERATE || x->route.op == CCP_OP_COUNT;
    bool collects = x->route.op == CCP_OP_GENERATE && x->route.provider->s.stream_only && !x->wants_stream;
    return op && (x->spoken != x->route.format || x->body_format != x->route.format || collects);
}

static void release(void *arg)
{
    struct crossing *c = arg;
    translation_release(&c->t);
    buf_release(&c->body);
    buf_release(&c->reason);
    arena_end(&c->scratch);
}

static struct crossing *begin(struct exchange *x)
{
    struct crossing *c = CCP_FAULT("crossing.begin") ? NULL : arena_zalloc(&x->arena, sizeof(*c));
    if (c == NULL)
        return NULL;
    size_t most = x->rt->settings.upstream.max_event_bytes;
    arena_init(&c->scratch, &x->w->cache, most * 4);
    buf_init(&c->body, x->rt->settings.server.max_body_bytes * 4);
    buf_init(&c->reason, ERROR_MAX);
    c->to = format_of(x->spoken);
    c->count = x->route.op == CCP_OP_COUNT;
    c->names = names_new(&x->arena);
    if (c->names == NULL || CCP_FAULT("crossing.defer") || !arena_defer(&x->arena, release, c)) {
        release(c);
        return NULL;
    }
    return x->crossing = c;
}

/* -- the request -- */

static int64_t card_limit(const struct exchange *x)
{
    const struct provider *p = x->route.provider;
    const struct model_card *cards = p->s.models.v;
    for (size_t i = 0; i < p->s.models.n; i++)
        if (ccp_span_eq(cards[i].id, x->upstream_model))
            return cards[i].max_tokens;
    return 0;
}

static struct prompt_target target_of(const struct exchange *x)
{
    const struct provider *p = x->route.provider;
    return (struct prompt_target){.format = x->spoken,
                                  .provider = p->id,
                                  .model = x->upstream_model,
                                  .max_output = card_limit(x),
                                  .compatible = p->compatible,
                                  .stream = x->wants_stream || p->s.stream_only,
                                  .count = x->route.op == CCP_OP_COUNT};
}

/* Names of members come from the client: only what cannot be mistaken for anything else is said in a header. */
static struct ccp_span dropped_list(struct exchange *x, const struct prompt *p)
{
    size_t room = 0;
    for (const struct loss *l = p->dropped; l != NULL; l = l->next)
        room += l->name.n + 2;
    char *out = CCP_FAULT("crossing.dropped") ? NULL : arena_alloc(&x->arena, room + 1);
    size_t n = 0;
    for (const struct loss *l = p->dropped; out != NULL && l != NULL && n + l->name.n < 1024; l = l->next) {
        if (n != 0)
            out[n++] = ',';
        for (size_t i = 0; i < l->name.n; i++) {
            char c = l->name.p[i];
            bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '.' ||
                         c == '-' || c == '[' || c == ']' || c == ':' || c == '/';
            out[n++] = plain ? c : '?';
        }
    }
    return ccp_span_of(out, n);
}

static bool strict(const struct exchange *x)
{
    return ccp_span_is(headers_get(x->headers, x->header_count, CCP_SPAN("x-ccproxy-strict")), "1");
}

static bool note_losses(struct exchange *x, const struct prompt *p)
{
    struct crossing *c = x->crossing;
    if (p->dropped == NULL)
        return true;
    c->dropped = dropped_list(x, p);
    if (c->dropped.p == NULL) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    x->dropped = (unsigned)p->dropped_count;
    if (strict(x)) {
        exchange_fail(x, CCP_BAD_REQUEST, "x-ccproxy-strict: provider %.*s would not get: %.*s",
                      CCP_FMT(x->route.provider->id), CCP_FMT(c->dropped));
        return false;
    }
    log_write(CCP_LOG_DEBUG, "chain", "%.*s: not carried over from %s to %s: %.*s", CCP_FMT(x->request_id),
              format_id(x->body_format), format_id(x->spoken), CCP_FMT(c->dropped));
    return true;
}

/* Same format on both sides, but the upstream only streams: the body keeps its bytes, what must differ is set. */
static bool edit(struct exchange *x, struct prompt *p, struct ccp_buf *out)
{
    struct arena *a = &x->work;
    bool ok = x->spoken == CCP_FORMAT_GEMINI || (json_set(a, x->tree, "stream", json_raw(a, CCP_SPAN("true"))) &&
                                                 json_set(a, x->tree, "model", json_new_string(a, x->upstream_model)));
    if (ok && x->spoken == CCP_FORMAT_OPENAI_CHAT) /* or the answer would tell no usage */
        ok = json_set(a, x->tree, "stream_options", json_raw(a, CCP_SPAN("{\"include_usage\":true}")));
    return (ok && json_write(x->tree, out)) || prompt_no_memory(p);
}

static bool translate(struct exchange *x, struct ccp_span *path)
{
    struct crossing *c = x->crossing;
    struct prompt_target to = target_of(x);
    struct prompt p;
    prompt_init(&p, &x->work, x->body_format, &to, c->names);
    /* A grown buffer would be copied: most bodies change little. */
    if (!CCP_FAULT("crossing.reserve"))
        buf_reserve(&c->body, x->body.n + x->body.n / 8 + 1024);
    bool ok = x->spoken == x->body_format ? edit(x, &p, &c->body) : translate_request(&p, x->tree, &c->body);
    if (!ok) {
        exchange_fail(x, p.status, "%.*s", CCP_FMT(p.error));
        return false;
    }
    struct ccp_span at = c->to->path(&p);
    *path = at.p != NULL ? arena_dup(&x->arena, at) : at;
    c->include_usage = p.include_usage;
    c->estimate = to.count ? prompt_estimate(&p) : 0;
    if (path->p == NULL) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    return note_losses(x, &p);
}

bool crossing_request(struct exchange *x, struct ccp_span *path)
{
    if (begin(x) == NULL) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    bool ok = translate(x, path);
    x->tree = NULL; /* the prompt's memory ends here; what it leaves behind is the exchange's */
    arena_end(&x->work);
    if (!ok)
        return false;
    x->up.body[0] = buf_span(&x->crossing->body);
    x->up.body_pieces = 1;
    verbose_body(x, "upstream request", 0, x->up.body[0]);
    return true;
}

struct ccp_span crossing_dropped(const struct exchange *x)
{
    return x->crossing != NULL ? x->crossing->dropped : CCP_SPAN("");
}

/* -- the answer -- */

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
    if (!c->count || c->to->counts)
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
                           .created = clock_unix_us() / 1000000,
                           .include_usage = c->include_usage,
                           .json_array = json_array(x)};
    return !CCP_FAULT("crossing.start") && translation_init(&c->t, &from, x->route.format, &to, x->wants_stream,
                                                            &c->scratch, x->rt->settings.upstream.max_event_bytes);
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
    c->failing = x->waiting_status < 200 || x->waiting_status > 299;
    if (c->failing || c->count)
        return;
    x->sse = upstream_streams;
    bool ok = start_translation(x);
    x->sse = false;
    if (!ok)
        c->failing = true; /* crossing_done says why */
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
    if (t->out.n != 0 || last)
        result = answer_body(x, buf_span(&t->out), last);
    t->out.n = 0;
    return result;
}

enum ccp_push crossing_body(struct exchange *x, struct ccp_span bytes)
{
    struct crossing *c = x->crossing;
    if (!c->answering)
        return CCP_PUSH_MORE;
    if (c->failing || c->count) {
        size_t room = c->reason.max - c->reason.n;
        buf_add(&c->reason, ccp_span_of(bytes.p, bytes.n < room ? bytes.n : room));
        return CCP_PUSH_MORE;
    }
    x->last_byte_ms = x->w->loop->now_ms;
    translation_feed(&c->t, bytes); /* its failure is said at the end, or in the stream */
    return x->head_sent ? give(x, false) : CCP_PUSH_MORE;
}

/* Milliseconds as the seconds of Retry-After, rounded up. */
static void add_retry_after(struct exchange *x, uint64_t ms)
{
    char digits[20];
    if (ms == 0 || headers_get(x->head.headers, x->head.count, CCP_SPAN("retry-after")).p != NULL)
        return;
    size_t n = ccp_digits(digits, (ms + 999) / 1000, 1);
    answer_header(x, CCP_SPAN("retry-after"), arena_dup(&x->arena, ccp_span_of(digits, n)));
}

/* The upstream's own words, in the client's shape. */
static void answer_foreign(struct exchange *x, const struct failure *f)
{
    struct ccp_buf out;
    buf_init(&out, ERROR_MAX);
    add_retry_after(x, f->retry_after_ms);
    if (f->kind == FAILURE_QUOTA || f->kind == FAILURE_BILLING) /* no pause helps */
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
    if (c->t.from != NULL) { /* the translation could not be set up */
        give_up(x);
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

/* The answer broke before the client saw anything of it. */
static void refuse(struct exchange *x)
{
    const struct failure *f = &x->crossing->t.failure;
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
    fail_with(x, f->kind == FAILURE_TIMEOUT ? CCP_UPSTREAM_TIMEOUT : CCP_UPSTREAM, f);
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

static enum failure_kind kind_of(enum ccp_status status)
{
    switch (status) {
    case CCP_UPSTREAM_TIMEOUT:
        return FAILURE_TIMEOUT;
    case CCP_OVERLOADED:
    case CCP_SHUTTING_DOWN:
        return FAILURE_OVERLOADED;
    default:
        return FAILURE_UPSTREAM;
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

void crossing_done(struct exchange *x, enum ccp_status status, struct ccp_span why)
{
    struct crossing *c = x->crossing;
    if (status != CCP_OK && (c->failing || c->count || !x->head_sent)) {
        exchange_fail(x, status, "provider %.*s: %.*s", CCP_FMT(x->route.provider->id), CCP_FMT(why));
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
    if (!translation_finish(&c->t, status != CCP_OK ? &f : NULL))
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
    if (c == NULL || !c->answering || c->t.from == NULL || c->t.done || x->client_gone)
        return false;
    struct failure f = failure_of(x, x->status, x->error);
    c->t.out.failed = false;
    if (!translation_fail(&c->t, &f))
        return false;
    give(x, true);
    return true;
}

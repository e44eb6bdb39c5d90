/*
 * The way to the client: the head through the middlewares, body bytes through the stages, failures in the
 * client's own format. The only file of the chain that calls the responder.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <base/status.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>

bool answer_header(struct exchange *x, struct ccp_span name, struct ccp_span value)
{
    struct ccp_response_head *h = &x->head;
    if (value.p == NULL || CCP_FAULT("answer.header"))
        return false;
    if (h->count == h->capacity) {
        size_t capacity = h->capacity != 0 ? h->capacity * 2 : 32;
        struct ccp_header *bigger = arena_alloc(&x->arena, capacity * sizeof(*bigger));
        if (bigger == NULL)
            return false;
        if (h->count != 0)
            memcpy(bigger, h->headers, h->count * sizeof(*bigger));
        h->headers = bigger;
        h->capacity = capacity;
    }
    h->headers[h->count++] = (struct ccp_header){name, value};
    return true;
}

static bool has_answer_header(const struct exchange *x, struct ccp_span name)
{
    return headers_get(x->head.headers, x->head.count, name).p != NULL;
}

/* Milliseconds with one decimal. */
static size_t put_ms(char *out, struct ccp_span key, uint64_t us)
{
    uint64_t tenths = (us + 50) / 100;
    memcpy(out, key.p, key.n);
    size_t n = key.n + ccp_digits(out + key.n, tenths / 10, 1);
    out[n++] = '.';
    return n + ccp_digits(out + n, tenths % 10, 1);
}

static struct ccp_span timing(struct exchange *x, uint64_t own_us, uint64_t upstream_us)
{
    char text[96];
    size_t n = put_ms(text, CCP_SPAN("proxy;dur="), own_us);
    n += put_ms(text + n, CCP_SPAN(", upstream;dur="), upstream_us);
    return arena_dup(&x->arena, ccp_span_of(text, n));
}

static void own_headers(struct exchange *x)
{
    uint64_t now = clock_us() - x->started_us;
    uint64_t upstream = x->upstream_head_us;
    if (!has_answer_header(x, CCP_SPAN("x-request-id")))
        answer_header(x, CCP_SPAN("x-request-id"), x->request_id);
    answer_header(x, CCP_SPAN("x-ccproxy-request-id"), x->request_id);
    if (x->route.provider == NULL)
        return;
    answer_header(x, CCP_SPAN("x-ccproxy-provider"), x->route.provider->id);
    if (x->upstream_model.n != 0 && !ccp_span_eq(x->upstream_model, x->client_model) &&
        headers_value_ok(x->upstream_model))
        answer_header(x, CCP_SPAN("x-ccproxy-upstream-model"), x->upstream_model);
    if (x->lost.n != 0)
        answer_header(x, CCP_SPAN("x-ccproxy-dropped"), x->lost);
    if (x->attempts != 0)
        answer_header(x, CCP_SPAN("server-timing"), timing(x, now > upstream ? now - upstream : 0, upstream));
}

static enum ccp_push terminal_push(struct ccp_stage *stage, struct ccp_span bytes, bool last)
{
    struct exchange *x = (struct exchange *)((char *)stage - offsetof(struct exchange, terminal));
    if (x->client_gone)
        return CCP_PUSH_GONE;
    if (x->first_byte_us == 0 && bytes.n != 0)
        x->first_byte_us = clock_us() - x->started_us;
    if (!x->route.untold)
        verbose_body(x, "response", x->bytes_out, bytes);
    if (bytes.n != 0 && !x->route.untold && hooks_heard(x, CCP_EVENT_HTTP_RESPONSE_BODY))
        hooks_say(x, CCP_EVENT_HTTP_RESPONSE_BODY,
                  &(struct ccp_moment){.size = sizeof(struct ccp_moment), .status = x->head.status, .bytes = bytes});
    x->bytes_out += bytes.n;
    enum ccp_push result = x->responder->body(x->client, bytes, last);
    if (last && result != CCP_PUSH_GONE)
        x->complete = true;
    return result;
}

/* The innermost middleware's stage is the first to see upstream bytes. True: the length may change. */
static bool open_stages(struct exchange *x)
{
    bool changes = false;
    x->terminal.push = terminal_push;
    x->stages = &x->terminal;
    for (size_t i = 0; i < x->entered; i++) {
        const struct middleware_entry *m = &x->rt->chain[i];
        if (m->m->open_stage == NULL || run_passed_by(x, i))
            continue;
        uint64_t began = guard_begin(m->unit);
        struct ccp_stage *stage = m->m->open_stage(m->self, &x->pub);
        guard_end(m->unit, m->m->name, began);
        if (stage == NULL)
            continue;
        changes = changes || (m->m->flags & CCP_MIDDLEWARE_TAP) == 0;
        stage->next = x->stages;
        x->stages = stage;
    }
    struct ccp_stage *rename = rename_open(x);
    if (rename != NULL) {
        rename->next = x->stages;
        x->stages = rename;
    }
    return changes || rename != NULL;
}

void answer_head(struct exchange *x, int status, size_t content_length)
{
    if (x->state != X_ANSWERING)
        exchange_state(x, X_ANSWERING);
    x->head.status = status;
    own_headers(x);
    for (size_t i = x->entered; i-- != 0;) {
        const struct middleware_entry *m = &x->rt->chain[i];
        if (m->m->on_head == NULL || run_passed_by(x, i))
            continue;
        uint64_t began = guard_begin(m->unit);
        m->m->on_head(m->self, &x->pub, &x->head);
        guard_end(m->unit, m->m->name, began);
    }
    if (open_stages(x))
        content_length = SIZE_MAX;
    x->head_sent = true;
    moment_http_response(x);
    if (!x->client_gone)
        x->responder->head(x->client, x->head.status, x->head.headers, x->head.count, content_length);
}

enum ccp_push answer_body(struct exchange *x, struct ccp_span bytes, bool last)
{
    return x->stages->push(x->stages, bytes, last);
}

void answer_whole(struct exchange *x, int status, struct ccp_span content_type, struct ccp_span body)
{
    bool bodyless = ccp_span_is(x->req.method, "HEAD") || status == 204;
    if (content_type.n != 0)
        answer_header(x, CCP_SPAN("content-type"), content_type);
    answer_head(x, status, status == 204 ? 0 : body.n);
    answer_body(x, bodyless ? CCP_SPAN("") : body, true);
    exchange_finish(x);
}

static bool failure_text(struct exchange *x, bool event, struct ccp_buf *out)
{
    if (CCP_FAULT("answer.text"))
        return false;
    struct format_error e = {x->status, format_http_status(x->route.format, x->status), x->error, x->request_id,
                             x->error_code};
    return event ? format_error_event(x->route.format, &e, out) : format_error_body(x->route.format, &e, out);
}

static void failure_headers(struct exchange *x)
{
    if (x->status == CCP_LOGIN_REQUIRED)
        answer_header(x, CCP_SPAN("x-should-retry"), CCP_SPAN("false"));
    if (x->status == CCP_OVERLOADED || x->status == CCP_SHUTTING_DOWN || x->status == CCP_CREDENTIAL_LATER)
        answer_header(x, CCP_SPAN("retry-after"), CCP_SPAN("2"));
}

static void failure_response(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 64 * 1024);
    if (!failure_text(x, false, &out))
        buf_release(&out);
    if (x->attempts != 0) /* what the upstream's head brought is not ours to say */
        x->head.count = x->own_headers;
    failure_headers(x);
    moment_http_error(x, format_http_status(x->route.format, x->status));
    answer_whole(x, format_http_status(x->route.format, x->status), CCP_SPAN("application/json"), buf_span(&out));
    buf_release(&out);
}

/* One more element of a stream that is a JSON array, and the array's end. */
static bool failure_in_array(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 64 * 1024);
    bool fits = deltas_in_array(x) && !x->client_gone &&
                buf_add(&out, x->bytes_out != 0 ? CCP_SPAN(",") : CCP_SPAN("[")) && failure_text(x, false, &out) &&
                buf_add(&out, CCP_SPAN("\n]")) && !out.failed;
    if (fits)
        answer_body(x, buf_span(&out), true);
    buf_release(&out);
    return fits;
}

static void failure_in_stream(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 64 * 1024);
    bool ended = x->crossing == NULL && x->sse && !x->split && format_tail_ended(&x->tail);
    if (ended)
        answer_body(x, CCP_SPAN(""), true);
    else
        moment_http_error(x, format_http_status(x->route.format, x->status));
    if (ended || crossing_fail(x) || failure_in_array(x)) {
        x->complete = false;
        exchange_finish(x);
        return;
    }
    /* Past a piece of an event no clean error event is possible: the connection breaks instead. */
    if (x->sse && !x->split && x->route.format != CCP_FORMAT_NONE && failure_text(x, true, &out))
        answer_body(x, buf_span(&out), true);
    else if (!x->client_gone)
        x->responder->abort(x->client);
    buf_release(&out);
    x->complete = false;
    exchange_finish(x);
}

void answer_failure(struct exchange *x)
{
    if (x->state == X_FINISHING)
        return;
    if (x->client_gone || format_http_status(x->route.format, x->status) == 0)
        exchange_finish(x);
    else if (x->head_sent)
        failure_in_stream(x);
    else
        failure_response(x);
}

/*
 * An answer that passes in its own format and is read on the way: bytes to whole events, to deltas, to the middlewares,
 * and then the bytes of the event to the client, as they came.
 *
 * What cannot be read passes unread, as unknown things do. What nobody could read in bounded memory does not: an event,
 * or an answer in one piece, larger than upstream.max_event_bytes ends the answer, as it does where formats are
 * crossed; so does a content coding that is not known. While deltas of an event still wait for another part to end
 * (calls of tools that upstream interleaves), its bytes wait, too; keep-alives go on.
 */
#include <base/fault.h>
#include <chain/deltas_impl.h>

static void open_head(struct exchange *x)
{
    answer_head(x, x->waiting_status, x->waiting_length);
    pipe_open(x);
}

static bool array_stream(const struct exchange *x)
{
    return x->route.format == CCP_FORMAT_GEMINI && x->route.stream_path && x->waiting_length == SIZE_MAX;
}

void deltas_begin(struct exchange *x)
{
    struct deltas *d = x->deltas;
    size_t most = x->rt->settings.upstream.max_event_bytes;
    struct answer_from from = {x->spoken, x->route.provider->id, NULL, x->sse};
    d->reading = x->waiting_coding != CODING_IDENTITY ? READ_WHOLE
                 : x->sse                             ? READ_EVENTS
                 : array_stream(x)                    ? READ_ARRAY
                                                      : READ_WHOLE;
    buf_init(&d->held, most);
    if (CCP_FAULT("deltas.begin") ||
        !translation_init_reader(&d->t, &from, (struct delta_sink){deltas_put, x}, &d->scratch, most)) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        answer_failure(x);
        return;
    }
    deltas_hold_head(x, open_head);
    if (d->reading == READ_WHOLE) /* nobody waits for the beginning of an answer in one piece */
        loop_timer_stop(x->w->loop, &x->keepalive);
}

bool deltas_in_array(const struct exchange *x)
{
    return x->deltas != NULL && x->crossing == NULL && x->deltas->reading == READ_ARRAY;
}

/* -- reading -- */

/* Heads have been wrong about what comes. */
static void look(struct deltas *d)
{
    size_t i = 0;
    while (i < d->held.n && memchr(" \t\r\n\xef\xbb\xbf", d->held.p[i], 7) != NULL)
        i++;
    if (d->looked || i == d->held.n)
        return;
    d->looked = true;
    bool json = d->held.p[i] == '{' || d->held.p[i] == '[';
    if ((d->reading == READ_EVENTS && json) || (d->reading == READ_ARRAY && d->held.p[i] != '['))
        d->reading = READ_WHOLE;
}

/* Nothing of what was fed last may be given. */
static bool ended(struct exchange *x)
{
    struct translation *t = &x->deltas->t;
    if (t->broken && t->failure.memory)
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
    return x->deltas->refused || (t->broken && t->failure.memory);
}

/* How many of the held bytes are whole events, from where the last look ended; 0 = there is no further end. */
static size_t event_end(struct deltas *d)
{
    while (d->scanned < d->held.n) {
        size_t from = d->scanned;
        while (d->scanned < d->held.n && d->held.p[d->scanned] != '\n' && d->held.p[d->scanned] != '\r')
            d->scanned++;
        bool line = d->scanned < d->held.n;
        d->scanned += line;
        if (sse_boundary_feed(&d->boundary, ccp_span_of(d->held.p + from, d->scanned - from)) && line)
            return d->scanned;
    }
    return 0;
}

/* The same for the elements of an array. */
static size_t element_end(struct deltas *d)
{
    while (d->scanned < d->held.n) {
        char c = d->held.p[d->scanned++];
        if (d->quoted) {
            d->quoted = d->escaped || c != '"';
            d->escaped = !d->escaped && c == '\\';
        } else if (c == '"') {
            d->quoted = true;
        } else if (c == '{' || c == '[') {
            d->depth++;
        } else if ((c == '}' || c == ']') && d->depth != 0 && --d->depth == 1) {
            return d->scanned;
        }
    }
    return 0;
}

static struct ccp_span element_of(struct ccp_span bytes)
{
    while (bytes.n != 0 && bytes.p[0] != '{')
        bytes = ccp_span_skip(bytes, 1);
    return bytes;
}

static void read_one(struct deltas *d, size_t end)
{
    struct ccp_span bytes = ccp_span_of(d->held.p + d->fed, end - d->fed);
    d->fed = end;
    if (d->reading == READ_EVENTS)
        translation_feed(&d->t, bytes);
    else
        translation_read_json(&d->t, element_of(bytes));
}

/* Reads what is complete. False: the answer ends behind what was shown. */
static bool read_complete(struct exchange *x)
{
    struct deltas *d = x->deltas;
    size_t end;
    while ((end = d->reading == READ_EVENTS ? event_end(d) : element_end(d)) != 0) {
        read_one(d, end);
        if (ended(x))
            return false;
        if (!delta_waits(&d->t.deltas))
            d->shown = end;
    }
    return true;
}

static enum ccp_push give_shown(struct exchange *x)
{
    struct deltas *d = x->deltas;
    size_t n = d->shown;
    if (n == 0)
        return CCP_PUSH_MORE;
    if (!x->head_sent)
        open_head(x);
    x->last_byte_ms = x->w->loop->now_ms;
    struct ccp_span bytes = ccp_span_of(d->held.p, n);
    if (!x->sse)
        usage_feed(x, bytes);
    enum ccp_push result = x->sse ? pipe_give(x, bytes) : answer_body(x, bytes, false);
    buf_drop(&d->held, n);
    d->scanned -= n;
    d->fed -= n;
    d->shown = 0;
    return result;
}

static void too_large(struct exchange *x)
{
    exchange_fail(
        x, CCP_UPSTREAM,
        "provider %.*s: an event or the answer is larger than upstream.max_event_bytes, and a plugin reads it",
        CCP_FMT(x->route.provider->id));
}

/* A read may bring the end of one event and the beginning of the next: it is taken in pieces that fit. */
static bool hold(struct exchange *x, struct ccp_span *bytes)
{
    struct deltas *d = x->deltas;
    size_t room = d->held.max - d->held.n, n = bytes->n < room ? bytes->n : room;
    if (n == 0) {
        too_large(x);
        return false;
    }
    if (CCP_FAULT("deltas.hold") || !buf_add(&d->held, ccp_span_of(bytes->p, n))) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    *bytes = ccp_span_skip(*bytes, n);
    return true;
}

enum ccp_push deltas_body(struct exchange *x, struct ccp_span bytes)
{
    struct deltas *d = x->deltas;
    enum ccp_push result = CCP_PUSH_MORE;
    while (bytes.n != 0) {
        bool goes_on = hold(x, &bytes);
        look(d);
        if (goes_on && d->reading != READ_WHOLE)
            goes_on = read_complete(x);
        enum ccp_push one = give_shown(x);
        result = one > result ? one : result;
        if (result == CCP_PUSH_GONE)
            return result;
        if (!goes_on) {
            answer_failure(x);
            return CCP_PUSH_MORE;
        }
    }
    return result;
}

/* -- the end -- */

/* May the stream end here? As pipe.c judges it. */
static bool ends_well(struct exchange *x)
{
    if (!x->sse || x->waiting_status != 200)
        return true;
    if (!x->head_sent)
        format_tail_init(&x->tail, x->route.format);
    format_tail_feed(&x->tail, buf_span(&x->deltas->held), false);
    return format_tail_complete(&x->tail);
}

/* A decoded copy to read; the client gets the bytes as they came. */
static bool read_coded(struct exchange *x)
{
    struct deltas *d = x->deltas;
    struct ccp_buf text;
    buf_init(&text, d->held.max);
    enum ccp_status status = coding_decode(x->waiting_coding, buf_span(&d->held), 100, &text);
    if (status == CCP_OK)
        translation_feed(&d->t, buf_span(&text));
    else if (status == CCP_OVERLOADED)
        exchange_fail(x, status, "out of memory");
    else
        exchange_fail(x, CCP_UPSTREAM, "provider %.*s: the answer has a content-encoding that a plugin cannot read",
                      CCP_FMT(x->route.provider->id));
    buf_release(&text);
    return status == CCP_OK;
}

static bool read_rest(struct exchange *x)
{
    struct deltas *d = x->deltas;
    if (x->waiting_coding != CODING_IDENTITY && d->held.n != 0) {
        if (!read_coded(x))
            return false;
    } else if (d->reading != READ_ARRAY) {
        translation_feed(&d->t, ccp_span_of(d->held.p + d->fed, d->held.n - d->fed));
    }
    if (!d->refused && d->reading == READ_ARRAY) /* what was read came by itself: there is no rest to look at */
        d->t.source.stream = d->t.seen = true;
    if (!d->refused)
        translation_finish(&d->t, NULL);
    return !ended(x);
}

void deltas_done(struct exchange *x, enum ccp_status status, struct ccp_span why)
{
    if (x->state == X_FINISHING)
        return;
    if (status == CCP_OK && !ends_well(x)) {
        status = CCP_UPSTREAM;
        why = CCP_SPAN("the stream ended before it was complete");
        moment_provider_error(x, x->upstream_status, why);
    }
    if (status != CCP_OK)
        exchange_fail(x, status, "provider %.*s: %.*s", CCP_FMT(x->route.provider->id), CCP_FMT(why));
    if (status != CCP_OK || !read_rest(x)) {
        answer_failure(x);
        return;
    }
    if (!x->head_sent)
        open_head(x);
    usage_feed(x, buf_span(&x->deltas->held));
    answer_body(x, buf_span(&x->deltas->held), true);
    exchange_finish(x);
}

/*
 * SSE: the cut of the reads never shows, no field can inject another one, and the boundary watch agrees with
 * a plain reading of the rule. The first bytes of the input choose the limit, the cuts and how to split it.
 */
#include "fuzz.h"

#include <wire/sse.h>

static bool note(void *arg, const struct sse_event *e)
{
    struct ccp_buf *log = arg;
    MUST(e->has_data);
    buf_printf(log, "%zu,%zu,%zu:", e->event.n, e->data.n, e->id.n);
    buf_add(log, e->event);
    buf_add(log, e->data);
    buf_add(log, e->id);
    return log->n % 31 != 7; /* stops now and then */
}

static void run(struct ccp_span text, size_t max, uint32_t seed, struct ccp_buf *log)
{
    struct sse_reader r;
    enum sse_result result = SSE_OK, end;
    bool unfinished;
    sse_reader_init(&r, max);
    while (text.n != 0) {
        size_t n = text.n;
        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            n = seed % 4 != 0 ? 1 : 1 + (seed >> 20) % 64;
            n = n < text.n ? n : text.n;
        }
        char *copy = malloc(n);
        memcpy(copy, text.p, n);
        result = sse_read(&r, ccp_span_of(copy, n), note, log);
        free(copy);
        MUST(r.event_at.n + r.data_at.n + r.id_at.n + (r.line_used ? 0 : r.line.n) <= max);
        text = ccp_span_skip(text, n);
    }
    end = sse_finish(&r, note, log, &unfinished);
    MUST(result == SSE_OK || end == result);
    buf_printf(log, "=%d%d", end, unfinished);
    sse_reader_release(&r);
}

static void cuts(struct ccp_span text, size_t max, uint32_t seed)
{
    struct ccp_buf whole, cut;
    buf_init(&whole, 1 << 24);
    buf_init(&cut, 1 << 24);
    run(text, max, 0, &whole);
    run(text, max, seed, &cut);
    MUST(ccp_span_eq(buf_span(&whole), buf_span(&cut)));
    buf_release(&whole);
    buf_release(&cut);
}

struct one {
    struct ccp_span event, data;
    size_t events;
};

/* data as it must come out: every line end is LF */
static bool same(void *arg, const struct sse_event *e)
{
    struct one *o = arg;
    size_t at = 0;
    MUST(++o->events == 1 && ccp_span_eq(e->event, o->event) && e->id.n == 0);
    for (size_t i = 0; i < o->data.n; i++) {
        char c = o->data.p[i];
        if (c == '\n' && i > 0 && o->data.p[i - 1] == '\r')
            continue;
        MUST(at < e->data.n && e->data.p[at++] == (c == '\r' ? '\n' : c));
    }
    MUST(at == e->data.n);
    return true;
}

static void write_and_read(struct ccp_span event, struct ccp_span data)
{
    struct ccp_buf out;
    struct one one = {event, data, 0};
    struct sse_reader r;
    struct sse_boundary b = {0};
    bool unfinished;
    buf_init(&out, 1 << 24);
    if (sse_write(&out, event, data)) {
        MUST(sse_boundary_feed(&b, buf_span(&out)));
        MUST(sse_write_comment(&out, CCP_SPAN(" x")) &&
             sse_boundary_feed(&b, ccp_span_skip(buf_span(&out), out.n - 5)));
        sse_reader_init(&r, 1 << 24);
        MUST(sse_read(&r, buf_span(&out), same, &one) == SSE_OK);
        MUST(sse_finish(&r, same, &one, &unfinished) == SSE_OK && !unfinished && one.events == 1);
        sse_reader_release(&r);
    } else {
        MUST(memchr(event.p, '\n', event.n) != NULL || memchr(event.p, '\r', event.n) != NULL);
        MUST(out.n == 0);
    }
    buf_release(&out);
}

/* Nothing yet, or the last line is empty. */
static bool at_boundary(struct ccp_span text)
{
    size_t length = 0;
    bool empty = true;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n' && i > 0 && text.p[i - 1] == '\r')
            continue;
        bool end = text.p[i] == '\n' || text.p[i] == '\r';
        empty = end && length == 0;
        length = end ? 0 : length + 1;
    }
    return empty;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > 1 << 16)
        return 0;
    struct ccp_span text = {(const char *)data + 4, size - 4};
    size_t split = text.n != 0 ? (data[0] * 256u + data[1]) % text.n : 0;
    cuts(text, data[2] < 200 ? 1 << 20 : (size_t)(data[2] - 200) * 8, data[3] + 1u);
    write_and_read(ccp_span_of(text.p, split), ccp_span_skip(text, split));
    write_and_read(CCP_SPAN(""), text);
    struct sse_boundary b = {0};
    MUST(sse_boundary_feed(&b, ccp_span_of(text.p, split)) == at_boundary(ccp_span_of(text.p, split)));
    MUST(sse_boundary_feed(&b, ccp_span_skip(text, split)) == at_boundary(text));
    return 0;
}

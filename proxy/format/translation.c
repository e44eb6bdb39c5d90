/*
 * One answer on its way from an upstream's format to a client's; see translate.h.
 *
 * Upstream bytes -> SSE events (or one body) -> JSON -> the reader's deltas, put in order -> the writer's events, or
 * the collected answer. Everything that an event needs is gone after it: the scratch arena is rewound.
 */
#include <base/fault.h>
#include <format/translate.h>
#include <wire/json.h>

#include <stdlib.h>

static const struct wire_format *const formats[CCP_FORMAT_COUNT] = {
#define X(name, id, versioned) [CCP_FORMAT_##name] = &WIRE_FORMAT_##name,
#include <ccproxy/format.def>
#undef X
};

const struct wire_format *format_of(enum ccp_format f)
{
    return formats[f];
}

/* Turns may be there with nothing in them; no provider takes an empty conversation. */
/* Thinking alone says nothing: without its proof it is not sent. */
static bool said_something(struct prompt *p)
{
    for (const struct turn *t = p->turns; t != NULL; t = t->next)
        for (const struct part *part = t->parts; part != NULL; part = part->next)
            if (part->kind != PART_THINKING)
                return true;
    return prompt_fail(p, "the conversation is empty");
}

bool translate_request(struct prompt *p, const struct ccp_json *root, struct ccp_buf *out)
{
    const struct wire_format *from = format_of(p->from), *to = format_of(p->to.format);
    if (!from->prompt_read(p, root) || !prompt_settle(p, to->alternate) || !said_something(p) ||
        !fields_check(p, to->fields) || !to->prompt_write(p, out))
        return p->status == CCP_OK ? prompt_no_memory(p) : false;
    if (p->status != CCP_OK)
        return false;
    return !out->failed || prompt_no_memory(p);
}

/* -- answers -- */

static void keep_failure(struct translation *t, const struct failure *f)
{
    if (t->broken)
        return;
    t->broken = true;
    t->failure = *f;
    t->failure.message = arena_dup(&t->kept, f->message);
    t->failure.code = arena_dup(&t->kept, f->code);
    if (t->failure.message.p == NULL || t->failure.code.p == NULL)
        t->failure.message = t->failure.code = CCP_SPAN("");
}

/* Half an event never stays: pieces of it that memory had room for would look like a whole one. Nor does anything come
 * behind it: the writer does not know how far it got. */
static bool write_delta(struct translation *t, const struct delta *d)
{
    size_t before = t->out.n;
    bool ok = t->to->write_delta(t->writer, &t->target, d, &t->out) && !t->out.failed;
    if (!ok) {
        t->out.n = before;
        t->out.failed = true;
    }
    t->begun = t->begun || t->out.n != 0;
    return ok;
}

/* An error cannot be refused: the answer is one already. */
static bool show(struct translation *t, const struct delta *d)
{
    if (t->tap.put == NULL || t->tap.put(t->tap.self, d) || d->type == DELTA_ERROR)
        return true;
    t->refused = true;
    return false;
}

/* The sink of the deltas. */
static bool take(void *self, const struct delta *d)
{
    struct translation *t = self;
    if (t->to == NULL && d->type == DELTA_ERROR && d->failure->kind == FAILURE_GARBLED) {
        t->unread = true;
        return true;
    }
    if (d->type == DELTA_ERROR)
        keep_failure(t, d->failure);
    if (!show(t, d))
        return false;
    bool ok = t->to == NULL || (t->stream ? write_delta(t, d) : collect_put(&t->collect, d));
    t->done = t->done || (ok && d->type == DELTA_STOP);
    t->told = t->told || (ok && d->type == DELTA_ERROR);
    return ok;
}

bool translation_init(struct translation *t, const struct answer_from *from, enum ccp_format to,
                      const struct answer_to *target, bool stream, struct arena *scratch, size_t max)
{
    *t = (struct translation){.from = format_of(from->format),
                              .to = format_of(to),
                              .source = *from,
                              .target = *target,
                              .stream = stream,
                              .scratch = scratch,
                              .max = max};
    arena_init(&t->kept, NULL, 65536);
    sse_reader_init(&t->sse, max);
    buf_init(&t->whole_in, max);
    buf_init(&t->out, SIZE_MAX / 2); /* bounded by what one read of the upstream can make of what is held */
    collect_init(&t->collect, max);
    delta_init(&t->deltas, (struct delta_sink){take, t}, from->names, from->provider, max, scratch);
    t->reader = CCP_FAULT("translation.reader") ? NULL : calloc(1, t->from->reader_size + 1);
    t->writer = CCP_FAULT("translation.writer") ? NULL : calloc(1, t->to->writer_size + 1);
    return t->reader != NULL && t->writer != NULL;
}

bool translation_init_reader(struct translation *t, const struct answer_from *from, struct delta_sink tap,
                             struct arena *scratch, size_t max)
{
    *t = (struct translation){
        .from = format_of(from->format), .source = *from, .stream = true, .scratch = scratch, .max = max, .tap = tap};
    arena_init(&t->kept, NULL, 65536);
    sse_reader_init(&t->sse, max);
    buf_init(&t->whole_in, max);
    delta_init(&t->deltas, (struct delta_sink){take, t}, from->names, from->provider, max, scratch);
    t->reader = CCP_FAULT("translation.reader") ? NULL : calloc(1, t->from->reader_size + 1);
    return t->reader != NULL;
}

void translation_release(struct translation *t)
{
    if (t->from == NULL)
        return;
    if (t->writer != NULL && t->to->writer_release != NULL)
        t->to->writer_release(t->writer);
    if (t->reader != NULL && t->from->reader_release != NULL)
        t->from->reader_release(t->reader);
    free(t->reader);
    free(t->writer);
    delta_release(&t->deltas);
    collect_release(&t->collect);
    sse_reader_release(&t->sse);
    buf_release(&t->whole_in);
    buf_release(&t->out);
    arena_end(&t->kept);
    t->from = NULL;
}

/* The deltas stopped without an end of their own: memory, or the answer that is collected grew too large. */
static bool check(struct translation *t)
{
    static const struct failure memory = {.kind = FAILURE_OVERLOADED,
                                          .message = CCP_LIT("out of memory for this answer"),
                                          .memory = true},
                                size = {.kind = FAILURE_GARBLED,
                                        .message = CCP_LIT("the answer is larger than upstream.max_event_bytes")};
    if (t->unread && !t->refused && !t->broken)
        t->deltas.failed = t->unread = false;
    if (!t->deltas.failed || t->broken || t->refused)
        return true;
    return translation_fail(t, t->collect.full ? &size : &memory);
}

static bool on_event(void *arg, const struct sse_event *event)
{
    struct translation *t = arg;
    struct arena_mark mark = arena_mark(t->scratch);
    struct ccp_json *root = NULL;
    enum ccp_status status = CCP_BAD_JSON;
    if (event->data.n != 0 && event->data.p[0] != '[')
        status = json_parse(t->scratch, event->data, &root, NULL);
    else if (event->data.n > 1 && event->data.p[1] == '{') /* an error that came wrapped in an array */
        status = json_parse(t->scratch, event->data, &root, NULL);
    if (status == CCP_OVERLOADED)
        t->deltas.failed = true;
    else
        t->from->read_event(t->reader, &t->deltas, event, status == CCP_OK ? root : NULL);
    delta_settle_event(&t->deltas);
    check(t);
    arena_rewind(t->scratch, mark);
    return !delta_over(&t->deltas);
}

bool translation_read_json(struct translation *t, struct ccp_span json)
{
    if (!delta_over(&t->deltas))
        on_event(t, &(struct sse_event){.event = CCP_SPAN(""), .data = json, .id = CCP_SPAN(""), .has_data = true});
    return !(t->broken && t->failure.memory);
}

static void too_large(struct translation *t)
{
    delta_garbled(&t->deltas, "an event of the upstream's stream is larger than upstream.max_event_bytes");
}

/* Whether this is a stream is seen at its first byte that is no white space: heads have been wrong about it. JSON and
 * the fields of events never begin alike; what begins like neither is what its head says. */
static struct ccp_span look(struct translation *t, struct ccp_span bytes)
{
    while (!t->seen && bytes.n != 0 && memchr(" \t\r\n\xef\xbb\xbf", bytes.p[0], 7) != NULL)
        bytes = ccp_span_skip(bytes, 1);
    if (t->seen || bytes.n == 0)
        return bytes;
    t->seen = true;
    if (bytes.p[0] == '{' || bytes.p[0] == '[')
        t->source.stream = false;
    else if (memchr("deir:", bytes.p[0], 5) != NULL)
        t->source.stream = true;
    return bytes;
}

bool translation_feed(struct translation *t, struct ccp_span bytes)
{
    if (delta_over(&t->deltas))
        return true;
    bytes = look(t, bytes);
    if (!t->source.stream) {
        if (bytes.n <= t->whole_in.max - t->whole_in.n)
            t->deltas.failed = !buf_add(&t->whole_in, bytes);
        else
            delta_garbled(&t->deltas, "the upstream's answer is larger than upstream.max_event_bytes");
        return check(t);
    }
    if (sse_read(&t->sse, bytes, on_event, t) == SSE_TOO_LARGE)
        too_large(t);
    return check(t) && !t->out.failed;
}

static void read_whole(struct translation *t)
{
    struct ccp_json *root = NULL;
    struct ccp_json_error error;
    enum ccp_status status = json_parse(t->scratch, buf_span(&t->whole_in), &root, &error);
    if (status == CCP_OVERLOADED) {
        t->deltas.failed = true;
    } else if (t->whole_in.n == 0) {
        delta_garbled(&t->deltas, "the upstream's answer is empty");
    } else if (status != CCP_OK) {
        delta_garbled(&t->deltas, "the upstream's answer is not valid JSON");
    } else if (failure_in_body(root)) {
        struct failure f;
        failure_read(&f, t->scratch, 0, NULL, 0, buf_span(&t->whole_in));
        delta_fail(&t->deltas, &f);
    } else {
        t->from->read_whole(t->reader, &t->deltas, root);
        delta_finish(&t->deltas);
    }
}

bool translation_finish(struct translation *t, const struct failure *why)
{
    bool unfinished = false;
    if (why == NULL && !delta_over(&t->deltas) && t->source.stream &&
        sse_finish(&t->sse, on_event, t, &unfinished) == SSE_TOO_LARGE)
        too_large(t);
    if (!delta_over(&t->deltas)) {
        if (why != NULL)
            delta_fail(&t->deltas, why);
        else if (t->source.stream)
            t->from->read_end(t->reader, &t->deltas);
        else
            read_whole(t);
    }
    check(t);
    if (!delta_over(&t->deltas))
        delta_garbled(&t->deltas, "the upstream's answer ended in the middle");
    if (t->done && !t->broken && !t->stream && !t->to->write_whole(&t->target, &t->collect, t->scratch, &t->out))
        return false;
    return !t->out.failed;
}

bool translation_fail(struct translation *t, const struct failure *why)
{
    if (t->done || t->told)
        return true;
    t->deltas.failed = true;
    return take(t, &(struct delta){.type = DELTA_ERROR, .failure = why});
}

/*
 * Writing a Responses stream (wire reference C.5, F.9). Items come one after the other, each announced, filled and
 * done; the .done events and the final response repeat everything, so the answer is collected on the way. After a
 * failure the stream ends with response.failed, or with an error event when nothing was said yet.
 *
 * An item is told done when the next one begins or the answer ends: only then is it known whether it was cut off.
 */
#include <format/responses.h>

#define MOST_HELD (256u << 20)

static struct out begin(struct responses_writer *w, struct ccp_buf *out, const char *type)
{
    struct out o = out_of(out);
    buf_add(out, CCP_SPAN("event: "));
    buf_addz(out, type);
    buf_add(out, CCP_SPAN("\ndata: "));
    out_object(&o, NULL);
    out_word(&o, "type", type);
    out_int(&o, "sequence_number", (int64_t)w->sequence++);
    return o;
}

static void end(struct out *o)
{
    out_end(o, '}');
    buf_add(o->b, CCP_SPAN("\n\n"));
}

static void lifecycle(struct responses_writer *w, struct ccp_buf *out, const char *type,
                      const struct responses_object *r)
{
    struct out o = begin(w, out, type);
    responses_object_write(&o, "response", r);
    end(&o);
}

static bool start(struct responses_writer *w, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    struct responses_object r = {.to = to, .c = &w->c, .status = "in_progress"};
    if (w->started)
        return true;
    if (d->type == DELTA_START && !collect_put(&w->c, d))
        return false;
    w->started = true;
    lifecycle(w, out, "response.created", &r);
    lifecycle(w, out, "response.in_progress", &r);
    return true;
}

/* -- events of an item -- */

static void item_event(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out, const char *type,
                       const char *status)
{
    struct out o = begin(w, out, type);
    out_int(&o, "output_index", (int64_t)w->index);
    responses_item_write(&o, "item", to, w->c.last, w->index, status);
    end(&o);
}

/* An item that only carries a proof begins and ends at once. */
static void proof_events(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out)
{
    static const char *const types[] = {"response.output_item.added", "response.output_item.done"};
    for (int i = 0; i < 2; i++) {
        struct out o = begin(w, out, types[i]);
        out_int(&o, "output_index", (int64_t)w->index);
        responses_proof_item(&o, "item", to, w->c.last, w->index);
        end(&o);
    }
    w->index++;
}

static void pay(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out, const char *status)
{
    if (!w->owed)
        return;
    w->owed = false;
    item_event(w, to, out, "response.output_item.done", status);
    w->index++;
    if (w->c.last->kind != PART_CALL && responses_proof_apart(w->c.last))
        proof_events(w, to, out);
}

/* Begins an event about the open item. */
static struct out about(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out, const char *type)
{
    struct out o = begin(w, out, type);
    responses_item_id(&o, "item_id", to, w->c.last, w->index);
    out_int(&o, "output_index", (int64_t)w->index);
    if (w->c.last->kind != PART_CALL)
        out_int(&o, w->c.last->kind == PART_THINKING ? "summary_index" : "content_index", 0);
    return o;
}

static void summary_part(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out, const char *type,
                         ctext text)
{
    struct out o = about(w, to, out, type);
    out_object(&o, "part");
    out_word(&o, "type", "summary_text");
    out_text(&o, "text", text);
    out_end(&o, '}');
    end(&o);
}

static void content_part(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out, const char *type,
                         ctext text)
{
    struct out o = about(w, to, out, type);
    responses_content_write(&o, "part", w->c.last->kind, text);
    end(&o);
}

/* -- the names of a kind's events and of the member that repeats the text -- */

struct kind_events {
    const char *delta, *done, *member;
};

static const struct kind_events *events_of(const struct collected *part)
{
    static const struct kind_events text = {"response.output_text.delta", "response.output_text.done", "text"},
                                    refusal = {"response.refusal.delta", "response.refusal.done", "refusal"},
                                    thinking = {"response.reasoning_summary_text.delta",
                                                "response.reasoning_summary_text.done", "text"},
                                    custom = {"response.custom_tool_call_input.delta",
                                              "response.custom_tool_call_input.done", "input"},
                                    call = {"response.function_call_arguments.delta",
                                            "response.function_call_arguments.done", "arguments"};
    if (part->kind == PART_CALL)
        return part->custom ? &custom : &call;
    if (part->kind == PART_THINKING)
        return &thinking;
    return part->kind == PART_REFUSAL ? &refusal : &text;
}

static void fragment(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out, ctext text)
{
    if (w->c.last->kind == PART_THINKING && !w->inner) {
        w->inner = true;
        summary_part(w, to, out, "response.reasoning_summary_part.added", CCP_SPAN(""));
    }
    struct out o = about(w, to, out, events_of(w->c.last)->delta);
    out_text(&o, "delta", text);
    if (w->c.last->kind == PART_TEXT)
        out_raw(&o, "logprobs", CCP_SPAN("[]"));
    end(&o);
}

static void text_done(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out)
{
    const struct collected *part = w->c.last;
    const struct kind_events *events = events_of(part);
    struct out o = about(w, to, out, events->done);
    out_text(&o, events->member, part->kind == PART_CALL ? responses_call_body(part) : buf_span(&part->text));
    if (part->kind == PART_CALL && !part->custom)
        out_text(&o, "name", buf_span(&part->name));
    if (part->kind == PART_TEXT)
        out_raw(&o, "logprobs", CCP_SPAN("[]"));
    end(&o);
}

/* -- deltas -- */

static bool open_part(struct responses_writer *w, const struct answer_to *to, const struct delta *d,
                      struct ccp_buf *out)
{
    pay(w, to, out, "completed");
    if (!collect_put(&w->c, d))
        return false;
    if (d->kind == PART_CALL && responses_proof_apart(w->c.last))
        proof_events(w, to, out);
    w->open = true;
    w->inner = false;
    item_event(w, to, out, "response.output_item.added", "in_progress");
    if (d->kind == PART_TEXT || d->kind == PART_REFUSAL)
        content_part(w, to, out, "response.content_part.added", CCP_SPAN(""));
    return true;
}

static bool add_text(struct responses_writer *w, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    if (!w->open || d->text.n == 0)
        return true;
    fragment(w, to, out, d->text);
    return collect_put(&w->c, d);
}

/* A call's item was announced already: a proof that comes now has no place before it, and none elsewhere. */
static bool add_proof(struct responses_writer *w, const struct delta *d)
{
    return !w->open || w->c.last->kind == PART_CALL || collect_put(&w->c, d);
}

static void close_part(struct responses_writer *w, const struct answer_to *to, struct ccp_buf *out)
{
    struct collected *part = w->c.last;
    bool call = part->kind == PART_CALL, message = part->kind == PART_TEXT || part->kind == PART_REFUSAL;
    ctext text = buf_span(&part->text);
    w->open = false;
    part->closed = true;
    if (call && !part->custom && text.n == 0)
        fragment(w, to, out, responses_call_body(part));
    if (call || message || w->inner)
        text_done(w, to, out);
    if (message)
        content_part(w, to, out, "response.content_part.done", text);
    else if (w->inner)
        summary_part(w, to, out, "response.reasoning_summary_part.done", text);
    w->owed = true;
}

static bool stop(struct responses_writer *w, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    if (w->open)
        close_part(w, to, out);
    if (!collect_put(&w->c, d))
        return false;
    struct responses_object r = responses_ended(to, &w->c);
    w->ended = true;
    if (w->owed)
        pay(w, to, out, responses_item_status(&r, w->c.last));
    lifecycle(w, out,
              r.failure != NULL  ? "response.failed"
              : r.reason != NULL ? "response.incomplete"
                                 : "response.completed",
              &r);
    return true;
}

static void fail(struct responses_writer *w, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    w->ended = true;
    pay(w, to, out, "completed");
    if (w->started) {
        struct responses_object r = {.to = to, .c = &w->c, .status = "failed", .failure = d->failure};
        lifecycle(w, out, "response.failed", &r);
        return;
    }
    struct out o = begin(w, out, "error");
    responses_error_write(&o, d->failure);
    out_null(&o, "param");
    end(&o);
}

static bool take(struct responses_writer *w, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    switch (d->type) {
    case DELTA_START:
        return true;
    case DELTA_OPEN:
        if (w->open)
            close_part(w, to, out);
        return open_part(w, to, d, out);
    case DELTA_TEXT:
        return add_text(w, to, d, out);
    case DELTA_PROOF:
        return add_proof(w, d);
    case DELTA_CLOSE:
        if (w->open)
            close_part(w, to, out);
        return true;
    case DELTA_STOP:
        return stop(w, to, d, out);
    case DELTA_ERROR:
        fail(w, to, d, out);
        return true;
    }
    return true;
}

bool responses_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    struct responses_writer *w = self;
    if (w->ended)
        return true;
    if (!w->ready)
        collect_init(&w->c, MOST_HELD);
    w->ready = true;
    if (d->type != DELTA_ERROR && !start(w, to, d, out))
        return false;
    return take(w, to, d, out) && !out->failed;
}

void responses_writer_release(void *self)
{
    struct responses_writer *w = self;
    if (w->ready)
        collect_release(&w->c);
    w->ready = false;
}

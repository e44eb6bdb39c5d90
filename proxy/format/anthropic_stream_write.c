/*
 * Streaming to an Anthropic client (wire reference A.9, F.9).
 *
 *   message_start (content_block_start content_block_delta* content_block_stop)* message_delta message_stop
 *
 * or an error event at any place, after which nothing follows. Indexes count blocks without a gap. A thinking block
 * ends with its signature. A proof that belongs to a call stands in a thinking block without text of its own, before
 * the call (proof.h).
 */
#include <format/anthropic.h>
#include <format/failure.h>
#include <format/proof.h>
#include <wire/json.h>

/* Begins an event and leaves its object open. */
static struct out begin(struct ccp_buf *b, const char *type)
{
    struct out o = out_of(b);
    buf_add(b, CCP_SPAN("event: "));
    buf_addz(b, type);
    buf_add(b, CCP_SPAN("\ndata: {\"type\":\""));
    buf_addz(b, type);
    buf_add(b, CCP_SPAN("\""));
    o.comma = true;
    return o;
}

static void end(struct out *o)
{
    buf_add(o->b, CCP_SPAN("}\n\n"));
}

static void write_start(struct anthropic_stream *st, const struct answer_to *to, const struct delta *d,
                        struct ccp_buf *b)
{
    if (st->started)
        return;
    st->started = true;
    struct out o = begin(b, "message_start");
    out_object(&o, "message");
    anthropic_message_write(&o, to, d->type == DELTA_START ? d->id : CCP_SPAN(""));
    out_raw(&o, "content", CCP_SPAN("[]"));
    out_null(&o, "stop_reason");
    out_null(&o, "stop_sequence");
    anthropic_usage_write(&o, d->usage);
    out_end(&o, '}');
    end(&o);
}

/* -- blocks -- */

static struct out begin_block(struct anthropic_stream *st, enum part_kind kind, const char *type, struct ccp_buf *b)
{
    struct out o = begin(b, "content_block_start");
    out_int(&o, "index", (int64_t)st->index);
    out_object(&o, "content_block");
    out_word(&o, "type", type);
    st->open = true;
    st->complete = false;
    st->kind = kind;
    return o;
}

static void end_begin(struct out *o)
{
    out_end(o, '}');
    end(o);
}

static struct out begin_delta(const struct anthropic_stream *st, const char *type, struct ccp_buf *b)
{
    struct out o = begin(b, "content_block_delta");
    out_int(&o, "index", (int64_t)st->index);
    out_object(&o, "delta");
    out_word(&o, "type", type);
    return o;
}

static void signature(struct anthropic_stream *st, const struct proof *proof, struct ccp_buf *b)
{
    struct out o = begin_delta(st, "signature_delta", b);
    if (proof != NULL && proof->kind != PROOF_NONE)
        proof_write(&o, "signature", proof, PROOF_SIGNATURE);
    else
        out_word(&o, "signature", "");
    end_begin(&o);
    st->complete = true;
}

/* The event of which an answer is made: five pieces, no formatting. */
static void fragment(const struct anthropic_stream *st, enum part_kind kind, ctext text, struct ccp_buf *b)
{
    char digits[20];
    size_t n = ccp_digits(digits, st->index, 1);
    buf_add(b, CCP_SPAN("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"));
    buf_add(b, ccp_span_of(digits, n));
    if (kind == PART_CALL)
        buf_add(b, CCP_SPAN(",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\""));
    else if (kind == PART_THINKING)
        buf_add(b, CCP_SPAN(",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\""));
    else
        buf_add(b, CCP_SPAN(",\"delta\":{\"type\":\"text_delta\",\"text\":\""));
    buf_add(b, text);
    buf_add(b, CCP_SPAN("\"}}\n\n"));
}

static void close_block(struct anthropic_stream *st, struct ccp_buf *b)
{
    if (!st->open)
        return;
    if (st->kind == PART_THINKING && !st->complete)
        signature(st, NULL, b);
    if (st->kind == PART_CALL && st->custom)
        fragment(st, PART_CALL, CCP_SPAN("\\\"}"), b);
    struct out o = begin(b, "content_block_stop");
    out_int(&o, "index", (int64_t)st->index++);
    end(&o);
    st->open = false;
}

static void open_thinking(struct anthropic_stream *st, struct ccp_buf *b)
{
    struct out o = begin_block(st, PART_THINKING, "thinking", b);
    out_word(&o, "thinking", "");
    out_word(&o, "signature", "");
    end_begin(&o);
}

static void open_redacted(struct anthropic_stream *st, const struct proof *proof, struct ccp_buf *b)
{
    struct out o = begin_block(st, PART_THINKING, "redacted_thinking", b);
    proof_write(&o, "data", proof, PROOF_REDACTED);
    end_begin(&o);
    st->complete = true;
}

/* A block that holds nothing but the proof of its neighbour. */
static void proof_block(struct anthropic_stream *st, const struct proof *proof, struct ccp_buf *b)
{
    open_thinking(st, b);
    signature(st, proof, b);
    close_block(st, b);
}

static void open_call(struct anthropic_stream *st, const struct answer_to *to, const struct delta *d, struct ccp_buf *b)
{
    if (d->proof.kind != PROOF_NONE)
        proof_block(st, &d->proof, b);
    struct out o = begin_block(st, PART_CALL, "tool_use", b);
    anthropic_call_id_write(&o, to, d->id, st->index);
    out_text(&o, "name", d->name);
    out_raw(&o, "input", CCP_SPAN("{}"));
    end_begin(&o);
    st->custom = d->custom;
    if (st->custom)
        fragment(st, PART_CALL, CCP_SPAN("{\\\"input\\\":\\\""), b);
}

static void open_block(struct anthropic_stream *st, const struct answer_to *to, const struct delta *d,
                       struct ccp_buf *b)
{
    close_block(st, b);
    if (d->kind == PART_CALL) {
        open_call(st, to, d, b);
    } else if (d->kind == PART_THINKING && d->proof.kind == PROOF_REDACTED) {
        open_redacted(st, &d->proof, b);
    } else if (d->kind == PART_THINKING) {
        open_thinking(st, b);
    } else {
        struct out o = begin_block(st, PART_TEXT, "text", b);
        out_word(&o, "text", "");
        end_begin(&o);
    }
}

/* Free text becomes part of a string within a string. */
static void custom_piece(struct anthropic_stream *st, ctext text, struct ccp_buf *b)
{
    struct out o = begin_delta(st, "input_json_delta", b);
    out_plain(&o, "partial_json", text);
    end_begin(&o);
}

static void write_text(struct anthropic_stream *st, const struct delta *d, struct ccp_buf *b)
{
    if (!st->open || st->complete || d->text.n == 0)
        return;
    if (st->kind == PART_CALL && st->custom)
        custom_piece(st, d->text, b);
    else
        fragment(st, st->kind, d->text, b);
}

/* Calls have shown theirs; texts have no place for one (proof.h). */
static void write_proof(struct anthropic_stream *st, const struct delta *d, struct ccp_buf *b)
{
    if (st->open && d->proof.kind != PROOF_NONE && st->kind == PART_THINKING && !st->complete)
        signature(st, &d->proof, b);
}

/* -- ends -- */

static void write_stop(struct anthropic_stream *st, const struct delta *d, struct ccp_buf *b)
{
    close_block(st, b);
    struct out o = begin(b, "message_delta");
    out_object(&o, "delta");
    anthropic_stop_write(&o, d->stop, d->stop_sequence);
    out_end(&o, '}');
    anthropic_usage_write(&o, d->usage);
    end(&o);
    o = begin(b, "message_stop");
    end(&o);
    st->over = true;
}

static void write_error(struct anthropic_stream *st, const struct answer_to *to, const struct delta *d,
                        struct ccp_buf *b)
{
    struct out o = begin(b, "error");
    failure_object(&o, "error", CCP_FORMAT_ANTHROPIC, d->failure);
    out_plain(&o, "request_id", to->whole_id.n != 0 ? to->whole_id : to->request_id);
    end(&o);
    st->over = true;
}

bool anthropic_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    struct anthropic_stream *st = self;
    if (st->over)
        return true;
    if (d->type != DELTA_ERROR)
        write_start(st, to, d, out);
    switch (d->type) {
    case DELTA_START:
        break;
    case DELTA_OPEN:
        open_block(st, to, d, out);
        break;
    case DELTA_TEXT:
        write_text(st, d, out);
        break;
    case DELTA_PROOF:
        write_proof(st, d, out);
        break;
    case DELTA_CLOSE:
        close_block(st, out);
        break;
    case DELTA_STOP:
        write_stop(st, d, out);
        break;
    case DELTA_ERROR:
        write_error(st, to, d, out);
        break;
    }
    return !out->failed;
}

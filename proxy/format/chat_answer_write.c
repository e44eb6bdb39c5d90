/*
 * Deltas into a Chat stream (wire reference B.6, F.9): one chunk per delta, all with the same id, created and model.
 *
 * What does not change from chunk to chunk is made once and copied. Text is copied as it is: no delta costs more than
 * its length. `[DONE]` is only written after a good end; an error is the last thing said.
 */
#include <base/fault.h>
#include <format/chat.h>
#include <format/failure.h>
#include <wire/json.h>

#define ID_PREFIX "chatcmpl-"

const char *chat_finish_word(enum stop stop)
{
    switch (stop) {
    case STOP_LENGTH:
    case STOP_CONTEXT:
        return "length";
    case STOP_TOOL:
        return "tool_calls";
    case STOP_REFUSAL:
        return "content_filter";
    default:
        return "stop";
    }
}

void chat_write_usage(struct out *o, const struct usage *u)
{
    static const struct usage none;
    if (u == NULL)
        u = &none;
    uint64_t prompt = u->input + u->cache_read + u->cache_write;
    out_object(o, "usage");
    out_int(o, "prompt_tokens", (int64_t)prompt);
    out_int(o, "completion_tokens", (int64_t)u->output);
    out_int(o, "total_tokens", (int64_t)(prompt + u->output));
    out_object(o, "prompt_tokens_details");
    out_int(o, "cached_tokens", (int64_t)u->cache_read);
    out_int(o, "cache_write_tokens", (int64_t)u->cache_write);
    out_int(o, "audio_tokens", 0);
    out_end(o, '}');
    out_object(o, "completion_tokens_details");
    out_int(o, "reasoning_tokens", (int64_t)u->reasoning);
    out_int(o, "audio_tokens", 0);
    out_int(o, "accepted_prediction_tokens", 0);
    out_int(o, "rejected_prediction_tokens", 0);
    out_end(o, '}');
    out_end(o, '}');
}

/* Upstream's id where it looks like ours; else the request's. */
static void write_id(struct out *o, const struct answer_to *to, ctext id)
{
    struct ccp_buf quoted;
    if (ccp_span_starts(id, CCP_SPAN(ID_PREFIX))) {
        out_text(o, "id", id);
        return;
    }
    buf_init(&quoted, 65536);
    bool ok = json_quote_to(&quoted, to->request_id) && quoted.n >= 2;
    out_text_open(o, "id");
    out_text_add(o, CCP_SPAN(ID_PREFIX));
    if (ok)
        out_text_add(o, ccp_span_of(quoted.p + 1, quoted.n - 2));
    out_text_close(o);
    o->b->failed = o->b->failed || !ok;
    buf_release(&quoted);
}

void chat_write_identity(struct out *o, const struct answer_to *to, ctext id, const char *object)
{
    write_id(o, to, id);
    out_word(o, "object", object);
    out_int(o, "created", (int64_t)to->created);
    out_plain(o, "model", to->model);
}

/* -- chunks -- */

struct chunk {
    struct chat_writer *w;
    const struct answer_to *to;
    struct ccp_buf *out;
};

static void add(const struct chunk *c, struct ccp_span text)
{
    buf_add(c->out, text);
}

#define ADD(c, lit) add((c), CCP_SPAN(lit))

/* Up to the delta's members. */
static void open_delta(const struct chunk *c)
{
    add(c, buf_span(&c->w->head));
    ADD(c, "{\"index\":0,\"delta\":{");
}

static void close_event(const struct chunk *c)
{
    if (c->to->include_usage)
        ADD(c, "],\"usage\":null}\n\n");
    else
        ADD(c, "]}\n\n");
}

static void close_delta(const struct chunk *c)
{
    ADD(c, "},\"logprobs\":null,\"finish_reason\":null}");
    close_event(c);
}

static void begin(const struct chunk *c, ctext id)
{
    struct chat_writer *w = c->w;
    if (w->begun)
        return;
    w->begun = true;
    buf_init(&w->head, SIZE_MAX / 2);
    buf_addz(&w->head, "data: ");
    struct out o = out_of(&w->head);
    out_object(&o, NULL);
    chat_write_identity(&o, c->to, id, "chat.completion.chunk");
    out_array(&o, "choices");
    c->out->failed = c->out->failed || w->head.failed;
    open_delta(c);
    ADD(c, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
    close_delta(c);
}

/* A fragment of one string member of the delta. */
static void write_text(const struct chunk *c, const char *member, ctext text)
{
    open_delta(c);
    ADD(c, "\"");
    buf_addz(c->out, member);
    ADD(c, "\":\"");
    add(c, text);
    ADD(c, "\"");
    close_delta(c);
}

/* -- calls -- */

static void open_call_delta(const struct chunk *c)
{
    char digits[24];
    open_delta(c);
    ADD(c, "\"tool_calls\":[{\"index\":");
    add(c, ccp_span_of(digits, ccp_digits(digits, c->w->calls - 1, 1)));
}

static void close_call_delta(const struct chunk *c)
{
    ADD(c, "}]");
    close_delta(c);
}

/* Proofs always go down wrapped: a Chat client cannot tell whose they are. */
static void write_call_proof(const struct chunk *c, const struct proof *proof)
{
    struct out o = {c->out, true};
    out_object(&o, "extra_content");
    out_object(&o, "google");
    proof_write(&o, "thought_signature", proof, PROOF_NONE);
    out_end(&o, '}');
    out_end(&o, '}');
    c->w->proven = true;
}

static void open_call(const struct chunk *c, const struct delta *d)
{
    c->w->calls++;
    c->w->said = false;
    c->w->custom = d->custom;
    open_call_delta(c);
    ADD(c, ",\"id\":\"");
    add(c, d->id);
    if (d->custom)
        ADD(c, "\",\"type\":\"custom\",\"custom\":{\"name\":\"");
    else
        ADD(c, "\",\"type\":\"function\",\"function\":{\"name\":\"");
    add(c, d->name);
    if (d->custom)
        ADD(c, "\",\"input\":\"\"}");
    else
        ADD(c, "\",\"arguments\":\"\"}");
    if (d->proof.kind == PROOF_THOUGHT)
        write_call_proof(c, &d->proof);
    close_call_delta(c);
}

static void open_arguments(const struct chunk *c, ctext text)
{
    open_call_delta(c);
    if (c->w->custom)
        ADD(c, ",\"custom\":{\"input\":\"");
    else
        ADD(c, ",\"function\":{\"arguments\":\"");
    add(c, text);
    ADD(c, "\"}");
}

static void write_arguments(const struct chunk *c, ctext text)
{
    open_arguments(c, text);
    close_call_delta(c);
    c->w->said = c->w->said || text.n != 0;
}

/* -- proofs -- */

/* A signature is only good for its text, which has gone out in fragments: some accumulators keep the last one only. */
static void write_detail(const struct chunk *c, const struct proof *proof)
{
    struct out o = {c->out, false};
    open_delta(c);
    out_array(&o, "reasoning_details");
    out_object(&o, NULL);
    out_word(&o, "type", "reasoning.encrypted");
    proof_write(&o, "data", proof, PROOF_NONE);
    if (proof->kind == PROOF_SIGNATURE)
        chat_write_units(&o, c->w->units);
    out_int(&o, "index", (int64_t)c->w->details++);
    out_end(&o, '}');
    out_end(&o, ']');
    close_delta(c);
    c->w->proven = true;
}

static void write_proof(const struct chunk *c, const struct delta *d)
{
    if (c->w->proven || d->proof.kind == PROOF_NONE)
        return;
    if (d->kind == PART_CALL && d->proof.kind == PROOF_THOUGHT && c->w->calls != 0) {
        open_arguments(c, CCP_SPAN("")); /* strict clients want the function in every fragment */
        write_call_proof(c, &d->proof);
        close_call_delta(c);
    } else {
        write_detail(c, &d->proof);
    }
}

/* -- deltas -- */

static void write_open(const struct chunk *c, const struct delta *d)
{
    c->w->proven = false;
    c->w->units = 0;
    if (d->kind == PART_CALL)
        open_call(c, d);
}

static void write_fragment(const struct chunk *c, const struct delta *d)
{
    switch (d->kind) {
    case PART_THINKING:
        c->w->units += chat_units(d->text);
        write_text(c, "reasoning_content", d->text);
        return;
    case PART_REFUSAL:
        write_text(c, "refusal", d->text);
        return;
    case PART_CALL:
        if (c->w->calls != 0)
            write_arguments(c, d->text);
        return;
    default:
        write_text(c, "content", d->text);
    }
}

/* Clients parse the arguments of every call: none are an empty object. */
static void write_close(const struct chunk *c, const struct delta *d)
{
    if (d->kind == PART_CALL && c->w->calls != 0 && !c->w->said && !c->w->custom)
        write_arguments(c, CCP_SPAN("{}"));
}

static void write_stop(const struct chunk *c, const struct delta *d)
{
    open_delta(c);
    ADD(c, "},\"logprobs\":null,\"finish_reason\":\"");
    buf_addz(c->out, chat_finish_word(d->stop));
    ADD(c, "\"}");
    close_event(c);
    if (c->to->include_usage) {
        add(c, buf_span(&c->w->head));
        ADD(c, "]");
        struct out o = {c->out, true};
        chat_write_usage(&o, d->usage);
        ADD(c, "}\n\n");
    }
    ADD(c, "data: [DONE]\n\n");
}

static void write_error(const struct chunk *c, const struct delta *d)
{
    struct out o = out_of(c->out);
    ADD(c, "data: ");
    out_object(&o, NULL);
    failure_object(&o, "error", CCP_FORMAT_OPENAI_CHAT, d->failure);
    out_end(&o, '}');
    ADD(c, "\n\n");
}

bool chat_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    struct chunk c = {self, to, out};
    if (d->type != DELTA_ERROR)
        begin(&c, d->type == DELTA_START ? d->id : CCP_SPAN(""));
    switch (d->type) {
    case DELTA_START:
        break;
    case DELTA_OPEN:
        write_open(&c, d);
        break;
    case DELTA_TEXT:
        write_fragment(&c, d);
        break;
    case DELTA_PROOF:
        write_proof(&c, d);
        break;
    case DELTA_CLOSE:
        write_close(&c, d);
        break;
    case DELTA_STOP:
        write_stop(&c, d);
        break;
    case DELTA_ERROR:
        write_error(&c, d);
        break;
    }
    return !out->failed;
}

void chat_writer_release(void *self)
{
    struct chat_writer *w = self;
    if (w->begun)
        buf_release(&w->head);
}

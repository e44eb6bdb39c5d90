/*
 * A whole answer to an Anthropic client (wire reference A.5, F.6).
 *
 * A call that the token limit cut so that its arguments are no JSON is left out: a client would run it.
 */
#include <format/anthropic.h>
#include <format/proof.h>

static struct proof proof_of(const struct collected *part)
{
    return (struct proof){part->proof_kind, buf_span(&part->origin), buf_span(&part->proof)};
}

static void write_thinking(struct out *o, ctext text, const struct proof *proof)
{
    out_object(o, NULL);
    if (proof->kind == PROOF_REDACTED) {
        out_word(o, "type", "redacted_thinking");
        proof_write(o, "data", proof, PROOF_REDACTED);
    } else {
        out_word(o, "type", "thinking");
        out_text(o, "thinking", text);
        if (proof->kind == PROOF_NONE)
            out_word(o, "signature", "");
        proof_write(o, "signature", proof, PROOF_SIGNATURE);
    }
    out_end(o, '}');
}

/* The proof of a call, in a block of its own. */
static void write_proof(struct out *o, const struct collected *part)
{
    struct proof proof = proof_of(part);
    if (proof.kind != PROOF_NONE)
        write_thinking(o, CCP_SPAN(""), &proof);
}

static void write_text(struct out *o, const struct collected *part)
{
    if (part->text.n == 0)
        return;
    out_object(o, NULL);
    out_word(o, "type", "text");
    out_text(o, "text", buf_span(&part->text));
    out_end(o, '}');
}

static void begin_call(struct out *o, const struct answer_to *to, const struct collected *part, uint64_t index)
{
    write_proof(o, part);
    out_object(o, NULL);
    out_word(o, "type", "tool_use");
    anthropic_call_id_write(o, to, buf_span(&part->id), index);
    out_text(o, "name", buf_span(&part->name));
}

static bool write_call(struct out *o, const struct answer_to *to, const struct collected *part, uint64_t index,
                       bool cut, struct arena *scratch)
{
    bool good;
    struct ccp_span arguments = collect_arguments(scratch, part, &good);
    if (arguments.p == NULL)
        return false;
    if (!good && cut)
        return true;
    begin_call(o, to, part, index);
    out_raw(o, "input", arguments);
    out_end(o, '}');
    return true;
}

static bool write_part(struct out *o, const struct answer_to *to, const struct collected *part, uint64_t index,
                       bool cut, struct arena *scratch)
{
    struct proof proof = proof_of(part);
    if (part->kind == PART_CALL)
        return write_call(o, to, part, index, cut, scratch);
    if (part->kind != PART_THINKING)
        write_text(o, part);
    else if (part->text.n != 0 || proof.kind != PROOF_NONE)
        write_thinking(o, buf_span(&part->text), &proof);
    return true;
}

bool anthropic_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out)
{
    struct out o = out_of(out);
    bool cut = c->stop == STOP_LENGTH || c->stop == STOP_CONTEXT;
    uint64_t index = 0;
    out_object(&o, NULL);
    anthropic_message_write(&o, to, buf_span(&c->id));
    out_array(&o, "content");
    for (const struct collected *part = c->first; part != NULL; part = part->next)
        if (!write_part(&o, to, part, index++, cut, scratch))
            return false;
    out_end(&o, ']');
    anthropic_stop_write(&o, c->stop, buf_span(&c->sequence));
    anthropic_usage_write(&o, &c->usage);
    out_end(&o, '}');
    return !out->failed;
}

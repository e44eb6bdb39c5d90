/*
 * A collected answer as one Chat completion (wire reference B.5).
 */
#include <format/chat.h>

static bool any(const struct collect *c, enum part_kind kind)
{
    for (const struct collected *part = c->first; part != NULL; part = part->next)
        if (part->kind == kind && (part->text.n != 0 || kind == PART_CALL))
            return true;
    return false;
}

/* All parts of a kind are one string here; null when there is none. */
static void write_joined(struct out *o, const char *key, const struct collect *c, enum part_kind kind)
{
    if (!any(c, kind)) {
        out_null(o, key);
        return;
    }
    out_text_open(o, key);
    for (const struct collected *part = c->first; part != NULL; part = part->next)
        if (part->kind == kind)
            out_text_add(o, buf_span(&part->text));
    out_text_close(o);
}

static struct proof proof_of(const struct collected *part)
{
    return (struct proof){part->proof_kind, buf_span(&part->origin), buf_span(&part->proof)};
}

static bool in_call(const struct collected *part)
{
    return part->kind == PART_CALL && part->proof_kind == PROOF_THOUGHT;
}

static void write_details(struct out *o, const struct collect *c)
{
    int64_t index = 0;
    for (const struct collected *part = c->first; part != NULL; part = part->next) {
        struct proof proof = proof_of(part);
        if (proof.kind == PROOF_NONE || in_call(part))
            continue;
        if (index == 0)
            out_array(o, "reasoning_details");
        out_object(o, NULL);
        out_word(o, "type", "reasoning.encrypted");
        proof_write(o, "data", &proof, PROOF_NONE);
        if (proof.kind == PROOF_SIGNATURE)
            chat_write_units(o, chat_units(buf_span(&part->text)));
        out_int(o, "index", index++);
        out_end(o, '}');
    }
    if (index != 0)
        out_end(o, ']');
}

static void write_call(struct out *o, const struct collected *call)
{
    const char *type = call->custom ? "custom" : "function";
    struct proof proof = proof_of(call);
    bool empty = call->text.n == 0 && !call->custom;
    out_object(o, NULL);
    out_text(o, "id", buf_span(&call->id));
    out_word(o, "type", type);
    out_object(o, type);
    out_text(o, "name", buf_span(&call->name));
    out_text(o, call->custom ? "input" : "arguments", empty ? CCP_SPAN("{}") : buf_span(&call->text));
    out_end(o, '}');
    if (in_call(call)) {
        out_object(o, "extra_content");
        out_object(o, "google");
        proof_write(o, "thought_signature", &proof, PROOF_NONE);
        out_end(o, '}');
        out_end(o, '}');
    }
    out_end(o, '}');
}

static void write_message(struct out *o, const struct collect *c)
{
    out_object(o, "message");
    out_word(o, "role", "assistant");
    write_joined(o, "content", c, PART_TEXT);
    write_joined(o, "refusal", c, PART_REFUSAL);
    if (any(c, PART_THINKING))
        write_joined(o, "reasoning_content", c, PART_THINKING);
    write_details(o, c);
    if (any(c, PART_CALL)) {
        out_array(o, "tool_calls");
        for (const struct collected *part = c->first; part != NULL; part = part->next)
            if (part->kind == PART_CALL)
                write_call(o, part);
        out_end(o, ']');
    }
    out_end(o, '}');
}

bool chat_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out)
{
    struct out o = out_of(out);
    out_object(&o, NULL);
    chat_write_identity(&o, to, buf_span(&c->id), "chat.completion");
    out_array(&o, "choices");
    out_object(&o, NULL);
    out_int(&o, "index", 0);
    write_message(&o, c);
    out_null(&o, "logprobs");
    out_word(&o, "finish_reason", chat_finish_word(c->stop));
    out_end(&o, '}');
    out_end(&o, ']');
    chat_write_usage(&o, &c->usage);
    out_end(&o, '}');
    return !out->failed;
}

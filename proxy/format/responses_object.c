/*
 * Writing the response object and its output items (wire reference C.4, F.6, F.7): the whole answer, and what frames a
 * stream. Members that only echo a request are there with their defaults, since clients expect to find them.
 */
#include <format/responses.h>

/* -- ids -- */

/* prefix, the exchange's own id as far as it is plain, and a number: unique, and the same in every event. */
static void write_id(struct out *o, const char *key, const char *prefix, struct ccp_span request_id)
{
    char id[112];
    size_t n = strlen(prefix), i = 0;
    memcpy(id, prefix, n);
    for (; i < request_id.n && n < 64; i++) {
        char c = request_id.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
            id[n++] = c;
    }
    out_text_open(o, key);
    out_text_add(o, ccp_span_of(id, n));
}

static const char *prefix_of(const struct collected *part)
{
    if (part->kind == PART_THINKING)
        return "rs_";
    if (part->kind == PART_CALL)
        return part->custom ? "ctc_" : "fc_";
    return "msg_";
}

static void numbered_id(struct out *o, const char *key, const struct answer_to *to, const char *prefix, uint64_t index)
{
    char digits[24];
    digits[0] = '_';
    write_id(o, key, prefix, to->request_id);
    out_text_add(o, ccp_span_of(digits, 1 + ccp_digits(digits + 1, index, 1)));
    out_text_close(o);
}

void responses_item_id(struct out *o, const char *key, const struct answer_to *to, const struct collected *part,
                       uint64_t index)
{
    numbered_id(o, key, to, prefix_of(part), index);
}

static void write_response_id(struct out *o, const struct answer_to *to, ctext upstream)
{
    if (ccp_span_starts(upstream, CCP_SPAN("resp_"))) {
        out_text(o, "id", upstream);
        return;
    }
    write_id(o, "id", "resp_", to->request_id);
    out_text_close(o);
}

/* -- items -- */

static struct proof proof_of(const struct collected *part)
{
    return (struct proof){part->proof_kind, buf_span(&part->origin), buf_span(&part->proof)};
}

void responses_content_write(struct out *o, const char *key, enum part_kind kind, ctext text)
{
    out_object(o, key);
    if (kind == PART_REFUSAL) {
        out_word(o, "type", "refusal");
        out_text(o, "refusal", text);
    } else {
        out_word(o, "type", "output_text");
        out_text(o, "text", text);
        out_raw(o, "annotations", CCP_SPAN("[]"));
        out_raw(o, "logprobs", CCP_SPAN("[]"));
    }
    out_end(o, '}');
}

ctext responses_call_body(const struct collected *part)
{
    return part->text.n == 0 && !part->custom ? CCP_SPAN("{}") : buf_span(&part->text);
}

static void write_reasoning(struct out *o, const struct collected *part, bool begun)
{
    struct proof proof = proof_of(part);
    out_array(o, "summary");
    if (part->text.n != 0 && !begun) {
        out_object(o, NULL);
        out_word(o, "type", "summary_text");
        out_text(o, "text", buf_span(&part->text));
        out_end(o, '}');
    }
    out_end(o, ']');
    if (!begun)
        proof_write(o, "encrypted_content", &proof, PROOF_ENCRYPTED);
}

static void write_call(struct out *o, const struct collected *part, bool begun)
{
    out_text(o, "call_id", buf_span(&part->id));
    out_text(o, "name", buf_span(&part->name));
    if (part->space.n != 0)
        out_text(o, "namespace", buf_span(&part->space));
    out_text(o, part->custom ? "input" : "arguments", begun ? CCP_SPAN("") : responses_call_body(part));
}

static void write_message(struct out *o, const struct collected *part, bool begun)
{
    out_word(o, "role", "assistant");
    out_array(o, "content");
    if (!begun)
        responses_content_write(o, NULL, part->kind, buf_span(&part->text));
    out_end(o, ']');
}

void responses_item_write(struct out *o, const char *key, const struct answer_to *to, const struct collected *part,
                          uint64_t index, const char *status)
{
    bool begun = strcmp(status, "in_progress") == 0;
    out_object(o, key);
    responses_item_id(o, "id", to, part, index);
    if (part->kind == PART_THINKING) {
        out_word(o, "type", "reasoning");
        write_reasoning(o, part, begun);
    } else if (part->kind == PART_CALL) {
        out_word(o, "type", part->custom ? "custom_tool_call" : "function_call");
        out_word(o, "status", status);
        write_call(o, part, begun);
    } else {
        out_word(o, "type", "message");
        out_word(o, "status", status);
        write_message(o, part, begun);
    }
    out_end(o, '}');
}

bool responses_proof_apart(const struct collected *part)
{
    return part->kind != PART_THINKING && part->proof_kind != PROOF_NONE;
}

void responses_proof_item(struct out *o, const char *key, const struct answer_to *to, const struct collected *part,
                          uint64_t index)
{
    struct proof proof = proof_of(part);
    out_object(o, key);
    numbered_id(o, "id", to, "rs_", index);
    out_word(o, "type", "reasoning");
    out_raw(o, "summary", CCP_SPAN("[]"));
    proof_write(o, "encrypted_content", &proof, PROOF_ENCRYPTED);
    out_end(o, '}');
}

/* -- the response -- */

const char *responses_item_status(const struct responses_object *r, const struct collected *part)
{
    bool cut = part->next == NULL && r->reason != NULL && strcmp(r->reason, "max_output_tokens") == 0;
    return part->closed && !cut ? "completed" : "incomplete";
}

static void write_output(struct out *o, const struct responses_object *r, bool over)
{
    uint64_t index = 0;
    out_array(o, "output");
    for (const struct collected *part = over ? r->c->first : NULL; part != NULL; part = part->next) {
        bool apart = responses_proof_apart(part);
        if (apart && part->kind == PART_CALL)
            responses_proof_item(o, NULL, r->to, part, index++);
        responses_item_write(o, NULL, r->to, part, index++, responses_item_status(r, part));
        if (apart && part->kind != PART_CALL)
            responses_proof_item(o, NULL, r->to, part, index++);
    }
    out_end(o, ']');
}

static void write_usage(struct out *o, const struct usage *u)
{
    uint64_t input = u->input + u->cache_read + u->cache_write;
    out_object(o, "usage");
    out_int(o, "input_tokens", (int64_t)input);
    out_object(o, "input_tokens_details");
    out_int(o, "cached_tokens", (int64_t)u->cache_read);
    out_int(o, "cache_write_tokens", (int64_t)u->cache_write);
    out_end(o, '}');
    out_int(o, "output_tokens", (int64_t)u->output);
    out_object(o, "output_tokens_details");
    out_int(o, "reasoning_tokens", (int64_t)u->reasoning);
    out_end(o, '}');
    out_int(o, "total_tokens", (int64_t)(input + u->output));
    out_end(o, '}');
}

static void write_outcome(struct out *o, const struct responses_object *r)
{
    if (r->failure != NULL) {
        out_object(o, "error");
        responses_error_write(o, r->failure);
        out_end(o, '}');
    } else {
        out_null(o, "error");
    }
    if (r->reason != NULL) {
        out_object(o, "incomplete_details");
        out_word(o, "reason", r->reason);
        out_end(o, '}');
    } else {
        out_null(o, "incomplete_details");
    }
}

void responses_object_write(struct out *o, const char *key, const struct responses_object *r)
{
    bool over = strcmp(r->status, "in_progress") != 0;
    out_object(o, key);
    write_response_id(o, r->to, buf_span(&r->c->id));
    out_word(o, "object", "response");
    out_int(o, "created_at", (int64_t)r->to->created);
    out_word(o, "status", r->status);
    out_bool(o, "background", false);
    write_outcome(o, r);
    out_null(o, "instructions");
    out_null(o, "max_output_tokens");
    out_raw(o, "metadata", CCP_SPAN("{}"));
    out_plain(o, "model", r->to->model);
    write_output(o, r, over);
    out_bool(o, "parallel_tool_calls", true);
    out_null(o, "previous_response_id");
    out_raw(o, "reasoning", CCP_SPAN("{\"effort\":null,\"summary\":null}"));
    out_bool(o, "store", false);
    out_null(o, "temperature");
    out_raw(o, "text", CCP_SPAN("{\"format\":{\"type\":\"text\"}}"));
    out_word(o, "tool_choice", "auto");
    out_raw(o, "tools", CCP_SPAN("[]"));
    out_null(o, "top_p");
    out_word(o, "truncation", "disabled");
    if (over)
        write_usage(o, &r->c->usage);
    else
        out_null(o, "usage");
    out_end(o, '}');
}

static bool says_refusal(const struct collect *c)
{
    for (const struct collected *part = c->first; part != NULL; part = part->next)
        if (part->kind == PART_REFUSAL)
            return true;
    return false;
}

struct responses_object responses_ended(const struct answer_to *to, const struct collect *c)
{
    static const struct failure malformed = {.kind = FAILURE_UPSTREAM,
                                             .message = CCP_LIT("the model made a malformed tool call")};
    struct responses_object r = {.to = to, .c = c, .status = "completed"};
    if (c->stop == STOP_LENGTH || c->stop == STOP_CONTEXT)
        r.reason = "max_output_tokens";
    else if (c->stop == STOP_REFUSAL && !says_refusal(c))
        r.reason = "content_filter";
    else if (c->stop == STOP_MALFORMED)
        r.failure = &malformed;
    if (r.reason != NULL || r.failure != NULL)
        r.status = r.failure != NULL ? "failed" : "incomplete";
    return r;
}

bool responses_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out)
{
    struct responses_object r = responses_ended(to, c);
    struct out o = out_of(out);
    (void)scratch;
    responses_object_write(&o, NULL, &r);
    return !out->failed;
}

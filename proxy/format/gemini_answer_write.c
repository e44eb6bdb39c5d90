/*
 * Deltas to a Gemini answer (wire reference D.6, F.9): events, the elements of an array, or one object.
 *
 * Each chunk is a whole GenerateContentResponse with what is new. Text goes out fragment by fragment; a call waits
 * until it is complete, because its arguments are an object. The proof of a text or thought comes behind it on an empty
 * text, as Google itself sends it. Between "[" and "]" of an array nothing but chunks may stand.
 */
#include <format/failure.h>
#include <format/gemini.h>

#define CALL_MAX ((size_t)64 << 20)

/* -- frames -- */

static void frame_begin(struct gemini_writer *w, const struct answer_to *to, struct ccp_buf *out)
{
    buf_add(out, !to->json_array ? CCP_SPAN("data: ") : w->begun ? CCP_SPAN(",") : CCP_SPAN("["));
    w->begun = true;
}

static void frame_end(const struct answer_to *to, struct ccp_buf *out, bool last)
{
    buf_add(out, !to->json_array ? CCP_SPAN("\n\n") : last ? CCP_SPAN("\n]") : CCP_SPAN("\n"));
}

/* -- a chunk: everything up to the part, and everything behind it -- */

static struct out chunk_begin(struct ccp_buf *out)
{
    buf_add(out, CCP_SPAN("{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":["));
    return out_of(out);
}

static const char *reason_of(enum stop stop)
{
    switch (stop) {
    case STOP_LENGTH:
    case STOP_CONTEXT:
        return "MAX_TOKENS";
    case STOP_REFUSAL:
        return "SAFETY";
    case STOP_MALFORMED:
        return "MALFORMED_FUNCTION_CALL";
    default:
        return "STOP";
    }
}

static void write_usage(struct out *o, const struct usage *u)
{
    uint64_t prompt = u->input + u->cache_read + u->cache_write;
    uint64_t reasoning = u->reasoning < u->output ? u->reasoning : u->output;
    out_object(o, "usageMetadata");
    out_int(o, "promptTokenCount", (int64_t)prompt);
    if (u->cache_read != 0)
        out_int(o, "cachedContentTokenCount", (int64_t)u->cache_read);
    out_int(o, "candidatesTokenCount", (int64_t)(u->output - reasoning));
    if (reasoning != 0)
        out_int(o, "thoughtsTokenCount", (int64_t)reasoning);
    out_int(o, "totalTokenCount", (int64_t)(prompt + u->output));
    out_end(o, '}');
}

/* `stop` STOP_NONE: not the last one. */
static void chunk_end(struct out *o, const struct answer_to *to, enum stop stop, const struct usage *usage)
{
    out_end(o, ']');
    out_end(o, '}');
    if (stop != STOP_NONE)
        out_word(o, "finishReason", reason_of(stop));
    buf_add(o->b, CCP_SPAN(",\"index\":0}]"));
    if (usage != NULL && usage->known)
        write_usage(o, usage);
    out_plain(o, "modelVersion", to->model);
    out_plain(o, "responseId", to->request_id);
    out_end(o, '}');
}

/* -- parts -- */

static void part_text(struct out *o, enum part_kind kind, ctext text, const struct proof *proof)
{
    out_object(o, NULL);
    out_text(o, "text", text);
    if (kind == PART_THINKING)
        out_bool(o, "thought", true);
    proof_write(o, "thoughtSignature", proof, PROOF_THOUGHT);
    out_end(o, '}');
}

static struct proof proof_of(const struct collected *part)
{
    return (struct proof){part->proof_kind, buf_span(&part->origin), buf_span(&part->proof)};
}

/* An upstream may break the lines of its JSON; between events a line end is none. In JSON text it is always white
 * space: inside strings it would be escaped. */
static void write_args(struct out *o, struct ccp_span args)
{
    size_t at = o->b->n;
    out_raw(o, "args", args);
    for (; at < o->b->n; at++)
        if (o->b->p[at] == '\n' || o->b->p[at] == '\r')
            o->b->p[at] = ' ';
}

static bool part_call(struct out *o, const struct collected *call, struct arena *a)
{
    bool good;
    struct proof proof = proof_of(call);
    struct ccp_span args = collect_arguments(a, call, &good);
    if (args.p == NULL)
        return false;
    out_object(o, NULL);
    out_object(o, "functionCall");
    out_text(o, "id", buf_span(&call->id));
    out_text(o, "name", buf_span(&call->name));
    write_args(o, args);
    out_end(o, '}');
    proof_write(o, "thoughtSignature", &proof, PROOF_THOUGHT);
    out_end(o, '}');
    return true;
}

/* -- the stream -- */

static void forget(struct collected *call)
{
    struct ccp_buf *const all[] = {&call->id, &call->name, &call->text, &call->proof, &call->origin};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        all[i]->max = CALL_MAX;
        buf_release(all[i]);
    }
    call->proof_kind = PROOF_NONE;
}

static bool keep_proof(struct collected *call, const struct proof *proof)
{
    if (proof->kind == PROOF_NONE)
        return true;
    call->proof_kind = proof->kind;
    call->proof.n = call->origin.n = 0;
    return buf_add(&call->proof, proof->text) && buf_add(&call->origin, proof->origin);
}

static bool open_part(struct gemini_writer *w, const struct delta *d)
{
    forget(&w->call);
    w->call.kind = d->kind;
    w->call.custom = d->custom;
    return keep_proof(&w->call, &d->proof) && buf_add(&w->call.id, d->id) && buf_add(&w->call.name, d->name);
}

static void write_text(struct gemini_writer *w, const struct answer_to *to, enum part_kind kind, ctext text,
                       const struct proof *proof, struct ccp_buf *out)
{
    frame_begin(w, to, out);
    struct out o = chunk_begin(out);
    part_text(&o, kind, text, proof);
    chunk_end(&o, to, STOP_NONE, NULL);
    frame_end(to, out, false);
}

static bool write_call(struct gemini_writer *w, const struct answer_to *to, struct ccp_buf *out)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    frame_begin(w, to, out);
    struct out o = chunk_begin(out);
    bool ok = part_call(&o, &w->call, &a);
    chunk_end(&o, to, STOP_NONE, NULL);
    frame_end(to, out, false);
    arena_end(&a);
    return ok;
}

static bool close_part(struct gemini_writer *w, const struct answer_to *to, struct ccp_buf *out)
{
    struct proof proof = proof_of(&w->call);
    bool ok = true;
    if (w->call.kind == PART_CALL)
        ok = write_call(w, to, out);
    else if (proof.kind != PROOF_NONE)
        write_text(w, to, w->call.kind, CCP_SPAN(""), &proof, out);
    forget(&w->call);
    return ok;
}

static void write_stop(struct gemini_writer *w, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    static const struct proof none;
    frame_begin(w, to, out);
    struct out o = chunk_begin(out);
    part_text(&o, PART_TEXT, CCP_SPAN(""), &none);
    chunk_end(&o, to, d->stop != STOP_NONE ? d->stop : STOP_END, d->usage);
    frame_end(to, out, true);
}

static void write_error(struct gemini_writer *w, const struct answer_to *to, const struct failure *f,
                        struct ccp_buf *out)
{
    frame_begin(w, to, out);
    struct out o = out_of(out);
    out_object(&o, NULL);
    failure_object(&o, "error", CCP_FORMAT_GEMINI, f);
    out_end(&o, '}');
    frame_end(to, out, true);
}

bool gemini_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out)
{
    static const struct proof none;
    struct gemini_writer *w = self;
    bool ok = true;
    switch (d->type) {
    case DELTA_START:
        break;
    case DELTA_OPEN:
        ok = open_part(w, d);
        break;
    case DELTA_TEXT:
        if (d->kind == PART_CALL)
            ok = buf_add(&w->call.text, d->text);
        else
            write_text(w, to, d->kind, d->text, &none, out);
        break;
    case DELTA_PROOF:
        ok = keep_proof(&w->call, &d->proof);
        break;
    case DELTA_CLOSE:
        ok = close_part(w, to, out);
        break;
    case DELTA_STOP:
        write_stop(w, to, d, out);
        break;
    case DELTA_ERROR:
        write_error(w, to, d->failure, out);
        break;
    }
    return ok && !out->failed;
}

void gemini_writer_release(void *self)
{
    struct gemini_writer *w = self;
    forget(&w->call);
}

bool gemini_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out)
{
    struct out o = chunk_begin(out);
    for (const struct collected *part = c->first; part != NULL; part = part->next) {
        struct proof proof = proof_of(part);
        if (part->kind == PART_CALL) {
            if (!part_call(&o, part, scratch))
                return false;
        } else {
            part_text(&o, part->kind, buf_span(&part->text), &proof);
        }
    }
    chunk_end(&o, to, c->stop != STOP_NONE ? c->stop : STOP_END, &c->usage);
    return !out->failed;
}

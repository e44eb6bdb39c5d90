/*
 * Parts of a Gemini answer to deltas (wire reference D.4, D.6, F.10).
 *
 * At most one part is open. It stays open until another kind of part begins or the answer ends, because its signature
 * may come later, on an empty text.
 */
#include <format/gemini.h>
#include <wire/json.h>

/* -- the open part -- */

/* Gives JSON text to the open call, escaped as text. */
static void give_json(struct gemini_reader *r, struct delta_stream *s, struct ccp_buf *json)
{
    static const struct failure no_memory = {
        .kind = FAILURE_OVERLOADED, .message = CCP_LIT("out of memory"), .memory = true};
    if (json->failed)
        delta_fail(s, &no_memory);
    else if (json->n != 0)
        delta_arguments(s, r->key, buf_span(json));
    buf_release(json);
}

static void end_partial(struct gemini_reader *r, struct delta_stream *s)
{
    struct ccp_buf json;
    buf_init(&json, s->max);
    gemini_partial_end(&r->partial, &json);
    give_json(r, s, &json);
}

void gemini_close_part(struct gemini_reader *r, struct delta_stream *s)
{
    if (r->partial.active && !r->truncated)
        end_partial(r, s);
    r->partial.active = false;
    if (r->open)
        delta_close(s, r->key);
    r->open = false;
}

static void open_part(struct gemini_reader *r, struct delta_stream *s, enum part_kind kind, ctext id, ctext name)
{
    gemini_close_part(r, s);
    r->key++;
    r->kind = kind;
    r->open = true;
    r->proven = false;
    delta_open(s, r->key, kind, id, name);
}

static void prove(struct gemini_reader *r, struct delta_stream *s, ctext signature)
{
    if (signature.n == 0)
        return;
    if (!r->open || r->proven)
        open_part(r, s, PART_THINKING, CCP_SPAN(""), CCP_SPAN(""));
    delta_proof(s, r->key, PROOF_THOUGHT, signature);
    r->proven = true;
}

static void say(struct gemini_reader *r, struct delta_stream *s, enum part_kind kind, ctext text)
{
    if (!r->open || r->kind != kind || r->proven)
        open_part(r, s, kind, CCP_SPAN(""), CCP_SPAN(""));
    delta_text(s, r->key, text);
}

static void read_text(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *part, ctext text)
{
    if (text.n != 0)
        say(r, s, prompt_true(gemini_get(part, "thought")) ? PART_THINKING : PART_TEXT, text);
    prove(r, s, prompt_ctext(gemini_get(part, "thoughtSignature")));
}

/* -- calls -- */

/* Unique over the conversation: from the answer's id, or a random number, and the part's place in the answer. */
static ctext made_id(const struct gemini_reader *r, char out[29])
{
    uint64_t place = r->key + 1, a = map_hash(r->seed, ccp_span_of((const char *)&place, sizeof(place)));
    uint64_t b = map_hash(~r->seed, ccp_span_of((const char *)&place, sizeof(place)));
    memcpy(out, "call_", 5);
    for (int i = 0; i < 24; i++)
        out[5 + i] = "0123456789abcdef"[(i < 16 ? a >> (4 * i) : b >> (4 * (i - 16))) & 15];
    return ccp_span_of(out, 29);
}

static void add_partial(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *call)
{
    const struct ccp_json *updates = gemini_get(call, "partialArgs");
    struct ccp_buf json;
    bool ok = updates == NULL || updates->type == CCP_JSON_ARRAY;
    buf_init(&json, s->max);
    for (const struct ccp_json *u = ok && updates != NULL ? updates->child : NULL; u != NULL && ok; u = u->next)
        ok = gemini_partial_add(&r->partial, u, s->scratch, &json);
    if (!ok && !json.failed) {
        buf_release(&json);
        delta_garbled(s, "the upstream's partial arguments are in an order that cannot be followed");
        return;
    }
    give_json(r, s, &json);
    if (!prompt_true(gemini_get(call, "willContinue")))
        end_partial(r, s);
}

static void begin_call(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *part,
                       const struct ccp_json *call)
{
    char made[29];
    const struct ccp_json *args = gemini_get(call, "args");
    ctext id = prompt_ctext(gemini_get(call, "id"));
    bool partial = prompt_true(gemini_get(call, "willContinue")) || gemini_get(call, "partialArgs") != NULL;
    open_part(r, s, PART_CALL, id.n != 0 ? id : made_id(r, made), prompt_ctext(gemini_get(call, "name")));
    prove(r, s, prompt_ctext(gemini_get(part, "thoughtSignature")));
    if (partial && (args == NULL || args->count == 0)) {
        r->partial = (struct gemini_partial){.active = true};
        add_partial(r, s, call);
    } else {
        delta_arguments(s, r->key, args != NULL ? args->raw : CCP_SPAN("{}"));
    }
}

static void read_call(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *part,
                      const struct ccp_json *call)
{
    if (ccp_json_inner(gemini_get(call, "name")).n != 0) {
        begin_call(r, s, part, call);
    } else if (r->partial.active) {
        add_partial(r, s, call);
        prove(r, s, prompt_ctext(gemini_get(part, "thoughtSignature")));
    } else {
        delta_garbled(s, "the upstream's function call has no name");
    }
}

/* -- what has no counterpart: as text, never silently -- */

static void read_code(struct gemini_reader *r, struct delta_stream *s, const char *before, const struct ccp_json *text)
{
    say(r, s, PART_TEXT, ccp_span_z(before));
    say(r, s, PART_TEXT, prompt_ctext(text));
    say(r, s, PART_TEXT, CCP_SPAN("\\n```\\n"));
}

static void read_medium(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *medium)
{
    ctext mime = prompt_ctext(gemini_get(medium, "mimeType")), uri = prompt_ctext(gemini_get(medium, "fileUri"));
    say(r, s, PART_TEXT, CCP_SPAN("[left out: "));
    say(r, s, PART_TEXT, mime.n != 0 ? mime : CCP_SPAN("a file"));
    say(r, s, PART_TEXT, uri.n != 0 ? CCP_SPAN(" ") : CCP_SPAN(""));
    say(r, s, PART_TEXT, uri);
    say(r, s, PART_TEXT, CCP_SPAN("]"));
}

void gemini_read_part(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *part)
{
    const struct ccp_json *data;
    if (part->type != CCP_JSON_OBJECT)
        delta_garbled(s, "a part of the upstream's answer is no object");
    else if ((data = gemini_get(part, "functionCall")) != NULL)
        read_call(r, s, part, data);
    else if ((data = gemini_get(part, "executableCode")) != NULL)
        read_code(r, s, "\\n```python\\n", gemini_get(data, "code"));
    else if ((data = gemini_get(part, "codeExecutionResult")) != NULL)
        read_code(r, s, "\\n```\\n", gemini_get(data, "output"));
    else if ((data = gemini_get(part, "inlineData")) != NULL || (data = gemini_get(part, "fileData")) != NULL)
        read_medium(r, s, data);
    else
        read_text(r, s, part, prompt_ctext(gemini_get(part, "text")));
}

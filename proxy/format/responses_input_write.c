/*
 * Writing the conversation of a Responses request: turns to items (wire reference C.2, F.2). System text that stands in
 * front becomes the instructions; what comes later stays in its place as a developer's message.
 */
#include <base/fault.h>
#include <format/responses.h>

static bool same_format(const struct prompt *p)
{
    return p->from == CCP_FORMAT_OPENAI_RESPONSES;
}

/* -- content parts -- */

static void write_text(struct out *o, const char *type, const char *key, ctext text)
{
    out_object(o, NULL);
    out_word(o, "type", type);
    out_text(o, key, text);
    if (strcmp(type, "output_text") == 0) {
        out_array(o, "annotations");
        out_end(o, ']');
    }
    out_end(o, '}');
}

static bool write_file_id(struct prompt *p, struct out *o, const struct part *part)
{
    if (!same_format(p))
        return prompt_fail_at(p, part, "a file_id is only known to the provider that gave it; send the data");
    out_text(o, "file_id", part->data);
    return true;
}

static bool write_image(struct prompt *p, struct out *o, const struct part *part)
{
    bool ok = true;
    out_object(o, NULL);
    out_word(o, "type", "input_image");
    out_text(o, "detail", part->detail.n != 0 ? part->detail : CCP_SPAN("auto"));
    if (part->source == MEDIA_FILE_ID)
        ok = write_file_id(p, o, part);
    else if (part->source == MEDIA_URL)
        out_text(o, "image_url", part->data);
    else
        media_write_url(o, "image_url", part);
    out_end(o, '}');
    return ok;
}

static ctext file_name(const struct part *part)
{
    if (part->title.n != 0)
        return part->title;
    if (ccp_span_is(part->mime, "application/pdf"))
        return CCP_SPAN("document.pdf");
    return ccp_span_is(part->mime, "text/plain") ? CCP_SPAN("document.txt") : CCP_SPAN("document");
}

static bool write_document(struct prompt *p, struct out *o, const struct part *part)
{
    bool ok = true;
    if (part->source == MEDIA_TEXT) {
        out_object(o, NULL);
        out_word(o, "type", "input_text");
        media_write_text(o, "text", part);
        out_end(o, '}');
        return true;
    }
    out_object(o, NULL);
    out_word(o, "type", "input_file");
    if (part->source == MEDIA_FILE_ID) {
        ok = write_file_id(p, o, part);
    } else if (part->source == MEDIA_URL) {
        out_text(o, "file_url", part->data);
    } else {
        out_text(o, "filename", file_name(part));
        media_write_url(o, "file_data", part);
    }
    out_end(o, '}');
    return ok;
}

static bool write_audio(struct prompt *p, struct out *o, const struct part *part)
{
    const char *format = media_audio_format(part->mime);
    if (part->source != MEDIA_BASE64 || format == NULL)
        return prompt_fail_at(p, part, "audio must be inline wav or mp3 for this provider");
    out_object(o, NULL);
    out_word(o, "type", "input_audio");
    out_object(o, "input_audio");
    out_text(o, "data", part->data);
    out_word(o, "format", format);
    out_end(o, '}');
    out_end(o, '}');
    return true;
}

static bool write_content(struct prompt *p, struct out *o, const struct part *part, bool assistant)
{
    switch (part->kind) {
    case PART_TEXT:
        write_text(o, assistant ? "output_text" : "input_text", "text", part->text);
        return true;
    case PART_REFUSAL:
        write_text(o, assistant ? "refusal" : "input_text", assistant ? "refusal" : "text", part->text);
        return true;
    case PART_IMAGE:
        return write_image(p, o, part);
    case PART_DOCUMENT:
        return write_document(p, o, part);
    case PART_AUDIO:
        return write_audio(p, o, part);
    case PART_VIDEO:
        return prompt_fail_at(p, part, "video cannot be carried over to this provider");
    default:
        return true;
    }
}

/* -- items -- */

static bool write_reasoning(struct prompt *p, struct out *o, const struct part *part)
{
    ctext proof = prompt_proof(p, &part->proof, PROOF_ENCRYPTED);
    if (proof.n == 0)
        return true; /* the provider takes no thinking but its own */
    out_object(o, NULL);
    out_word(o, "type", "reasoning");
    out_array(o, "summary");
    if (part->text.n != 0)
        write_text(o, "summary_text", "text", part->text);
    out_end(o, ']');
    out_text(o, "encrypted_content", proof);
    out_end(o, '}');
    return true;
}

static bool write_call(struct prompt *p, struct out *o, const struct part *part)
{
    ctext id = prompt_call_id(p, part->id, 64), name = responses_tool_name(p, part->space, part->name);
    if (id.p == NULL || name.p == NULL)
        return false;
    out_object(o, NULL);
    out_word(o, "type", part->custom ? "custom_tool_call" : "function_call");
    out_text(o, "call_id", id);
    out_text(o, "name", name);
    if (part->custom)
        out_text(o, "input", part->args.raw);
    else
        arguments_write(p, o, "arguments", part);
    out_end(o, '}');
    return true;
}

/* Text first says that the tool failed; there is no flag for it. */
static bool write_result_parts(struct prompt *p, struct out *o, const struct part *result)
{
    out_array(o, "output");
    if (result->failed)
        write_text(o, "input_text", "text", CCP_SPAN("Error:"));
    for (const struct part *part = result->parts; part != NULL; part = part->next) {
        if (part->kind == PART_AUDIO)
            return prompt_fail_at(p, part, "audio in a tool's result cannot be carried over to this provider");
        if (!write_content(p, o, part, false))
            return false;
    }
    out_end(o, ']');
    return true;
}

static bool write_result(struct prompt *p, struct out *o, const struct part *part)
{
    ctext id = prompt_call_id(p, part->id, 64);
    if (id.p == NULL)
        return false;
    if (part->failed && p->from == CCP_FORMAT_ANTHROPIC)
        prompt_drop(p, "is_error");
    for (const struct part *inner = part->parts; inner != NULL; inner = inner->next)
        prompt_drop_mark(p, inner->cache);
    out_object(o, NULL);
    out_word(o, "type", part->custom ? "custom_tool_call_output" : "function_call_output");
    out_text(o, "call_id", id);
    if (prompt_only_text(part->parts)) {
        ctext text = prompt_result_text(p, part, true);
        if (text.p == NULL)
            return false;
        out_text(o, "output", text);
    } else if (!write_result_parts(p, o, part)) {
        return false;
    }
    out_end(o, '}');
    return true;
}

/* -- turns -- */

static bool is_content(const struct part *part)
{
    return part->kind <= PART_VIDEO;
}

static const char *role_of(const struct turn *t, const struct part *part)
{
    if (t->role == ROLE_ASSISTANT) /* the assistant's own messages hold text only */
        return part->kind == PART_TEXT || part->kind == PART_REFUSAL ? "assistant" : "user";
    return t->role == ROLE_USER ? "user" : "developer";
}

static void open_message(struct out *o, const char *role)
{
    out_object(o, NULL);
    out_word(o, "type", "message");
    out_word(o, "role", role);
    out_array(o, "content");
}

static void close_message(struct out *o, const char **role)
{
    if (*role != NULL) {
        out_end(o, ']');
        out_end(o, '}');
    }
    *role = NULL;
}

static bool write_item(struct prompt *p, struct out *o, const struct part *part)
{
    switch (part->kind) {
    case PART_THINKING:
        return write_reasoning(p, o, part);
    case PART_CALL:
        return write_call(p, o, part);
    case PART_RESULT:
        return write_result(p, o, part);
    default:
        prompt_drop(p, "other content");
        return true;
    }
}

static bool write_turn(struct prompt *p, struct out *o, const struct turn *t)
{
    const char *role = NULL;
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (part->kind == PART_TEXT && t->role <= ROLE_DEVELOPER && prompt_attribution(part->text))
            continue;
        prompt_drop_mark(p, part->cache);
        const char *wanted = is_content(part) ? role_of(t, part) : NULL;
        if (wanted == NULL || role == NULL || strcmp(role, wanted) != 0)
            close_message(o, &role);
        if (wanted != NULL && role == NULL)
            open_message(o, role = wanted);
        if (!(wanted != NULL ? write_content(p, o, part, wanted[0] == 'a') : write_item(p, o, part)))
            return false;
    }
    close_message(o, &role);
    return true;
}

static const struct turn *after_system(const struct prompt *p)
{
    const struct turn *t = p->turns;
    while (t != NULL && t->role <= ROLE_DEVELOPER && prompt_only_text(t->parts))
        t = t->next;
    return t;
}

/* This output is refused unless the input itself speaks of JSON: what the instructions say does not count. */
static void write_json_hint(struct out *o)
{
    open_message(o, "developer");
    write_text(o, "input_text", "text", PROMPT_JSON_HINT);
    out_end(o, ']');
    out_end(o, '}');
}

/* The system text in front, joined with blank lines. */
static void write_instructions(struct prompt *p, struct out *o, const struct turn *from, const struct turn *to)
{
    bool any = false;
    for (; from != to; from = from->next)
        for (const struct part *part = from->parts; part != NULL; part = part->next) {
            if (prompt_attribution(part->text))
                continue;
            prompt_drop_mark(p, part->cache);
            if (!any)
                out_text_open(o, "instructions");
            else
                out_text_add(o, CCP_SPAN("\\n\\n"));
            out_text_add(o, part->text);
            any = true;
        }
    if (any)
        out_text_close(o);
}

bool responses_input_write(struct prompt *p, struct out *o)
{
    const struct turn *first = after_system(p);
    if (first == NULL)
        first = p->turns; /* a request needs input: system text alone is that */
    write_instructions(p, o, p->turns, first);
    out_array(o, "input");
    if (p->output.kind == OUTPUT_JSON && !same_format(p))
        write_json_hint(o);
    for (const struct turn *t = first; t != NULL; t = t->next)
        if (!write_turn(p, o, t))
            return false;
    out_end(o, ']');
    return true;
}

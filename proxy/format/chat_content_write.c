/*
 * The inside of Chat messages: a user's content parts, and an assistant's thinking for the servers that want it back
 * (wire reference B.3, B.6).
 */
#include <format/chat.h>

/* -- parts of a user message -- */

static bool write_image(struct prompt *p, struct out *o, const struct part *part)
{
    if (part->source == MEDIA_FILE_ID)
        return prompt_fail_at(p, part, "file_id: a file id is only known to the provider that gave it");
    out_word(o, "type", "image_url");
    out_object(o, "image_url");
    media_write_url(o, "url", part);
    if (ccp_span_is(part->detail, "auto") || ccp_span_is(part->detail, "low") || ccp_span_is(part->detail, "high"))
        out_text(o, "detail", part->detail);
    else if (part->detail.n != 0)
        prompt_drop(p, "detail");
    out_end(o, '}');
    return true;
}

static bool write_document(struct prompt *p, struct out *o, const struct part *part)
{
    if (part->source == MEDIA_TEXT) {
        out_word(o, "type", "text");
        media_write_text(o, "text", part);
        return true;
    }
    if (part->source == MEDIA_URL)
        return prompt_fail_at(p, part, "a document by URL cannot be carried over to this provider's format");
    if (part->source == MEDIA_FILE_ID && p->from != CCP_FORMAT_OPENAI_CHAT)
        return prompt_fail_at(p, part, "file_id: a file id is only known to the provider that gave it");
    out_word(o, "type", "file");
    out_object(o, "file");
    if (part->source == MEDIA_FILE_ID) {
        out_text(o, "file_id", part->data);
    } else {
        out_text(o, "filename", part->title.n != 0 ? part->title : CCP_SPAN("document.pdf"));
        media_write_url(o, "file_data", part);
    }
    out_end(o, '}');
    return true;
}

static bool write_audio(struct prompt *p, struct out *o, const struct part *part)
{
    const char *format = media_audio_format(part->mime);
    if (part->source != MEDIA_BASE64 || format == NULL)
        return prompt_fail_at(p, part, "audio must be wav or mp3 and come as base64 for this provider's format");
    out_word(o, "type", "input_audio");
    out_object(o, "input_audio");
    out_text(o, "data", part->data);
    out_word(o, "format", format);
    out_end(o, '}');
    return true;
}

static bool write_kind(struct prompt *p, struct out *o, const struct part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        out_word(o, "type", "text");
        out_text(o, "text", part->text);
        return true;
    case PART_IMAGE:
        return write_image(p, o, part);
    case PART_DOCUMENT:
        return write_document(p, o, part);
    case PART_AUDIO:
        return write_audio(p, o, part);
    case PART_VIDEO:
        return prompt_fail_at(p, part, "video cannot be carried over to this provider's format");
    default:
        return prompt_fail_at(p, part, "this content cannot be carried over to this provider's format");
    }
}

/* OpenAI's breakpoints mean what Responses' mean; other vendors count theirs differently. */
static bool keeps_mark(const struct prompt *p, const struct part *part)
{
    return part->cache && !p->to.compatible &&
           (p->from == CCP_FORMAT_OPENAI_CHAT || p->from == CCP_FORMAT_OPENAI_RESPONSES);
}

static bool write_part(struct prompt *p, struct out *o, const struct part *part)
{
    out_object(o, NULL);
    if (!write_kind(p, o, part))
        return false;
    if (keeps_mark(p, part)) {
        out_object(o, "prompt_cache_breakpoint");
        out_word(o, "mode", "explicit");
        out_end(o, '}');
    } else {
        prompt_drop_mark(p, part->cache);
    }
    out_end(o, '}');
    return true;
}

bool chat_write_content(struct prompt *p, struct out *o, const struct chat_media *extra, const struct part *first)
{
    if (extra == NULL && first != NULL && first->next == NULL && first->kind == PART_TEXT && !keeps_mark(p, first)) {
        prompt_drop_mark(p, first->cache);
        out_text(o, "content", first->text);
        return true;
    }
    out_array(o, "content");
    for (; extra != NULL; extra = extra->next)
        if (!write_part(p, o, extra->part))
            return false;
    for (; first != NULL; first = first->next)
        if (!write_part(p, o, first))
            return false;
    out_end(o, ']');
    return true;
}

/* -- thinking of an assistant message -- */

static void write_reasoning_content(struct out *o, const struct turn *t)
{
    bool any = false;
    out_text_open(o, "reasoning_content");
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (part->kind != PART_THINKING || part->text.n == 0)
            continue;
        if (any)
            out_text_add(o, CCP_SPAN("\\n\\n"));
        out_text_add(o, part->text);
        any = true;
    }
    out_text_close(o);
}

static void write_detail(struct out *o, const struct chat_detail *d, const struct part *part, int64_t index)
{
    out_object(o, NULL);
    if (d->letter == 's') {
        out_word(o, "type", "reasoning.text");
        out_text(o, "text", part->text);
        out_text(o, "signature", d->payload);
    } else {
        out_word(o, "type", "reasoning.encrypted");
        out_text(o, "data", d->payload);
    }
    if (d->id.n != 0)
        out_text(o, "id", d->id);
    if (d->format.n != 0)
        out_text(o, "format", d->format);
    out_int(o, "index", index);
    out_end(o, '}');
}

/* What this very server gave out goes back as it was. */
static void write_details(struct prompt *p, struct out *o, const struct turn *t)
{
    const struct part *owner = NULL;
    struct chat_detail d, opaque = {0};
    int64_t index = 0;
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (part->kind != PART_THINKING || !chat_detail_unpack(prompt_proof(p, &part->proof, PROOF_DETAIL), &d))
            continue;
        if (d.letter == 'o') {
            opaque = d;
            owner = part;
            continue;
        }
        if (index == 0)
            out_array(o, "reasoning_details");
        write_detail(o, &d, part, index++);
    }
    if (index != 0)
        out_end(o, ']');
    if (owner != NULL) {
        out_text(o, "reasoning_text", owner->text);
        out_text(o, "reasoning_opaque", opaque.payload);
    }
}

void chat_write_thinking(struct prompt *p, const struct chat_model *m, struct out *o, const struct turn *t)
{
    bool text = false, calls = false;
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        text = text || (part->kind == PART_THINKING && part->text.n != 0);
        calls = calls || part->kind == PART_CALL;
    }
    if (m->echo && (text || calls))
        write_reasoning_content(o, t);
    write_details(p, o, t);
}

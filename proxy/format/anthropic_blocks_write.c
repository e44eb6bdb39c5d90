/*
 * Writing content blocks (wire reference A.4, F.2).
 */
#include <format/anthropic.h>

bool anthropic_blank(ctext text)
{
    size_t i = 0;
    while (i < text.n) {
        if (text.p[i] == ' ')
            i++;
        else if (text.p[i] == '\\' && i + 1 < text.n && memchr("ntr", text.p[i + 1], 3) != NULL)
            i += 2;
        else
            return false;
    }
    return true;
}

/* -- cache breakpoints -- */

static size_t marks_of(const struct part *part)
{
    size_t marks = 0;
    for (; part != NULL; part = part->next)
        marks += part->cache + (part->kind == PART_RESULT ? marks_of(part->parts) : 0);
    return marks;
}

size_t anthropic_marks(const struct prompt *p)
{
    size_t marks = 0;
    for (const struct tool *tool = p->tools; tool != NULL; tool = tool->next)
        marks += tool->cache;
    for (const struct turn *t = p->turns; t != NULL; t = t->next)
        marks += marks_of(t->parts);
    return marks;
}

void anthropic_mark_write(struct anthropic_writer *w, const struct ccp_json *node)
{
    const struct ccp_json *own = w->p->from == w->p->to.format ? ccp_json_get(node, "cache_control") : NULL;
    if (w->marks++ < w->skip)
        return;
    if (own != NULL)
        out_node(w->o, "cache_control", own);
    else
        out_raw(w->o, "cache_control", CCP_SPAN("{\"type\":\"ephemeral\"}"));
}

static void end_block(struct anthropic_writer *w, const struct part *part)
{
    if (part != NULL && part->cache)
        anthropic_mark_write(w, part->node);
    out_end(w->o, '}');
}

/* -- text -- */

void anthropic_text_write(struct anthropic_writer *w, ctext text, const struct part *part)
{
    out_object(w->o, NULL);
    out_word(w->o, "type", "text");
    out_text(w->o, "text", text);
    end_block(w, part);
}

bool anthropic_block_stays(const struct anthropic_writer *w, const struct part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        return !anthropic_blank(part->text);
    case PART_THINKING:
        return anthropic_signed(w->p, part);
    case PART_DOCUMENT:
        return part->source != MEDIA_TEXT || !anthropic_blank(part->data);
    case PART_OPAQUE:
        return false;
    default:
        return true;
    }
}

/* -- thinking and calls -- */

static void write_thinking(struct anthropic_writer *w, const struct part *part)
{
    ctext signature = prompt_proof(w->p, &part->proof, PROOF_SIGNATURE);
    out_object(w->o, NULL);
    if (signature.n != 0) {
        out_word(w->o, "type", "thinking");
        out_text(w->o, "thinking", part->text);
        out_text(w->o, "signature", signature);
    } else {
        out_word(w->o, "type", "redacted_thinking");
        out_text(w->o, "data", prompt_proof(w->p, &part->proof, PROOF_REDACTED));
    }
    out_end(w->o, '}');
}

static bool write_call(struct anthropic_writer *w, const struct part *part)
{
    ctext id = prompt_call_id(w->p, part->id, 256);
    ctext name = names_wire(w->p->names, &w->names, part->space, part->name, part->custom);
    struct ccp_span arguments = prompt_arguments(w->p, part);
    if (id.p == NULL || name.p == NULL || arguments.p == NULL)
        return prompt_no_memory(w->p);
    out_object(w->o, NULL);
    out_word(w->o, "type", "tool_use");
    out_text(w->o, "id", id);
    out_text(w->o, "name", name);
    out_raw(w->o, "input", arguments);
    end_block(w, part);
    return true;
}

/* -- results -- */

static bool write_result_blocks(struct anthropic_writer *w, const struct part *result)
{
    bool open = false;
    for (const struct part *part = result->parts; part != NULL; part = part->next) {
        if (!anthropic_block_stays(w, part) || part->kind == PART_THINKING)
            continue;
        if (!open)
            out_array(w->o, "content");
        open = true;
        if (!anthropic_block_write(w, part))
            return false;
    }
    if (open)
        out_end(w->o, ']');
    else if (result->failed) /* an error without content is refused */
        out_word(w->o, "content", "Error");
    return true;
}

static bool write_result(struct anthropic_writer *w, const struct part *result)
{
    const struct part *only = result->parts;
    bool plain =
        only != NULL && only->next == NULL && only->kind == PART_TEXT && !only->cache && !anthropic_blank(only->text);
    ctext id = prompt_call_id(w->p, result->id, 256);
    if (id.p == NULL)
        return false;
    out_object(w->o, NULL);
    out_word(w->o, "type", "tool_result");
    out_text(w->o, "tool_use_id", id);
    if (plain)
        out_text(w->o, "content", only->text);
    else if (!write_result_blocks(w, result))
        return false;
    if (result->failed)
        out_bool(w->o, "is_error", true);
    end_block(w, result);
    return true;
}

bool anthropic_block_write(struct anthropic_writer *w, const struct part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        anthropic_text_write(w, part->text, part);
        return true;
    case PART_THINKING:
        write_thinking(w, part);
        return true;
    case PART_CALL:
        return write_call(w, part);
    case PART_RESULT:
        return write_result(w, part);
    case PART_IMAGE:
    case PART_DOCUMENT:
        return anthropic_media_write(w, part);
    case PART_AUDIO:
        return prompt_fail_at(w->p, part, "audio (input_audio) cannot be sent to this provider");
    case PART_VIDEO:
        return prompt_fail_at(w->p, part, "video cannot be sent to this provider");
    default:
        return true;
    }
}

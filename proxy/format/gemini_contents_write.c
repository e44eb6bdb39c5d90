/*
 * Turns to systemInstruction and contents (wire reference F.2, D.4).
 *
 * Rules of the target: user and model take turns, the user begins, no content is empty, all results of a step stand
 * together in the turn behind it. A content is opened by its first part, so turns of which nothing is left leave no
 * trace. System text in front becomes systemInstruction; later system turns stay in their place as tagged text of the
 * user, so that what was sent before stays the beginning of what is sent now. For the same reason the stand-in for a
 * missing signature is written in every step, although only those of the current turn are checked.
 */
#include <format/gemini.h>

#define SKIP CCP_SPAN("skip_thought_signature_validator")

struct contents {
    struct prompt *p;
    struct out *o;
    const struct gemini_model *model;
    enum role role; /* of the open content */
    bool open, first_call;
};

static void leave(struct contents *c)
{
    if (!c->open)
        return;
    out_end(c->o, ']');
    out_end(c->o, '}');
    c->open = false;
}

static void enter(struct contents *c, enum role role, bool first)
{
    if (c->open && c->role == role)
        return;
    leave(c);
    if (first && role == ROLE_ASSISTANT) {
        out_raw(c->o, NULL, CCP_SPAN("{\"role\":\"user\",\"parts\":[{\"text\":\"(start of the conversation)\"}]}"));
    }
    out_object(c->o, NULL);
    out_word(c->o, "role", role == ROLE_ASSISTANT ? "model" : "user");
    out_array(c->o, "parts");
    c->open = true;
    c->role = role;
}

/* Opens a part in a content of this role. */
static struct out *part_of(struct contents *c, enum role role)
{
    enter(c, role, !c->o->comma && !c->open);
    out_object(c->o, NULL);
    return c->o;
}

/* -- kinds of parts -- */

static void write_signature(struct contents *c, const struct part *part)
{
    ctext proof = prompt_proof(c->p, &part->proof, PROOF_THOUGHT);
    if (proof.n != 0)
        out_text(c->o, "thoughtSignature", proof);
    else if (part->kind == PART_CALL && c->first_call && c->model->signed_calls)
        out_text(c->o, "thoughtSignature", SKIP);
}

static void write_text(struct contents *c, enum role role, const struct part *part)
{
    struct out *o = part_of(c, role);
    out_text(o, "text", part->text);
    write_signature(c, part);
    out_end(o, '}');
}

/* Only what this provider itself has thought; summaries without proof are of no use to it. */
static void write_thought(struct contents *c, const struct part *part)
{
    if (prompt_proof(c->p, &part->proof, PROOF_THOUGHT).n == 0)
        return;
    struct out *o = part_of(c, ROLE_ASSISTANT);
    out_text(o, "text", part->text);
    if (part->text.n != 0)
        out_bool(o, "thought", true);
    write_signature(c, part);
    out_end(o, '}');
}

static void write_tagged(struct contents *c, const struct part *part)
{
    struct out *o = part_of(c, ROLE_USER);
    out_text_open(o, "text");
    out_text_add(o, CCP_SPAN("<system>\\n"));
    out_text_add(o, part->text);
    out_text_add(o, CCP_SPAN("\\n</system>"));
    out_text_close(o);
    out_end(o, '}');
}

static bool write_call(struct contents *c, const struct part *part)
{
    ctext name = names_wire(c->p->names, &gemini_name_rule, part->space, part->name, part->custom);
    struct ccp_span args = prompt_arguments(c->p, part);
    if (name.p == NULL || args.p == NULL)
        return prompt_no_memory(c->p);
    struct out *o = part_of(c, ROLE_ASSISTANT);
    out_object(o, "functionCall");
    if (part->id.n != 0)
        out_text(o, "id", part->id);
    out_text(o, "name", name);
    out_raw(o, "args", args);
    out_end(o, '}');
    write_signature(c, part);
    out_end(o, '}');
    c->first_call = false;
    return true;
}

/* -- media -- */

static bool is_media(const struct part *part)
{
    return part->kind == PART_IMAGE || part->kind == PART_DOCUMENT || part->kind == PART_AUDIO ||
           part->kind == PART_VIDEO;
}

static bool check_media(struct prompt *p, const struct part *part)
{
    if (part->source == MEDIA_FILE_ID && p->from != CCP_FORMAT_GEMINI)
        return prompt_fail_at(p, part, "a file_id is known to the provider that stores the file, and to no other");
    if (part->source == MEDIA_BASE64 && part->mime.n == 0)
        return prompt_fail_at(p, part, "the media type is missing");
    if (part->detail.n != 0 && !ccp_span_is(part->detail, "auto"))
        prompt_drop(p, "detail");
    return true;
}

/* The members of a part that is open. */
static void write_medium(struct out *o, const struct part *part)
{
    bool inlined = part->source == MEDIA_BASE64;
    out_object(o, inlined ? "inlineData" : "fileData");
    ctext mime = part->mime.n != 0 ? part->mime : prompt_mime_of(part->data);
    if (mime.n != 0)
        out_text(o, "mimeType", mime);
    out_text(o, inlined ? "data" : "fileUri", part->data);
    if (part->title.n != 0)
        out_text(o, "displayName", part->title);
    out_end(o, '}');
}

static bool write_media(struct contents *c, enum role role, const struct part *part)
{
    if (!check_media(c->p, part))
        return false;
    struct out *o = part_of(c, role);
    if (part->source == MEDIA_TEXT)
        media_write_text(o, "text", part);
    else
        write_medium(o, part);
    out_end(o, '}');
    return true;
}

/* -- results -- */

/* May this part of a result stand in the functionResponse itself? */
static bool inside(const struct contents *c, const struct part *part)
{
    return is_media(part) && part->source != MEDIA_TEXT && c->model->signed_calls;
}

static bool write_inside(struct contents *c, const struct part *result)
{
    bool any = false;
    for (const struct part *part = result->parts; part != NULL; part = part->next) {
        if (!inside(c, part))
            continue;
        if (!check_media(c->p, part))
            return false;
        if (!any)
            out_array(c->o, "parts");
        any = true;
        out_object(c->o, NULL);
        write_medium(c->o, part);
        out_end(c->o, '}');
    }
    if (any)
        out_end(c->o, ']');
    return true;
}

/* The text is always wrapped, never taken apart: what looks like an object to us was text to the tool. */
static bool write_result(struct contents *c, const struct part *part)
{
    ctext name = names_wire(c->p->names, &gemini_name_rule, part->space, part->name, part->custom);
    ctext text = prompt_result_text(c->p, part, false);
    if (name.p == NULL || text.p == NULL)
        return prompt_no_memory(c->p);
    struct out *o = part_of(c, ROLE_USER);
    out_object(o, "functionResponse");
    if (part->id.n != 0)
        out_text(o, "id", part->id);
    out_text(o, "name", name);
    out_object(o, "response");
    out_text(o, part->failed ? "error" : "output", text);
    out_end(o, '}');
    if (!write_inside(c, part))
        return false;
    out_end(o, '}');
    out_end(o, '}');
    return true;
}

/* What cannot stand in the response follows behind all responses of the turn. */
static bool write_outside(struct contents *c, const struct part *result)
{
    for (const struct part *part = result->parts; part != NULL; part = part->next)
        if (is_media(part) && !inside(c, part) && !write_media(c, ROLE_USER, part))
            return false;
    return true;
}

/* -- turns -- */

static bool write_part(struct contents *c, enum role role, const struct part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        write_text(c, role, part);
        return true;
    case PART_THINKING:
        write_thought(c, part);
        return true;
    case PART_CALL:
        return write_call(c, part);
    case PART_RESULT:
    case PART_OPAQUE:
    case PART_KINDS:
        return true;
    default:
        return write_media(c, role, part);
    }
}

static void note_cache(struct prompt *p, const struct turn *t)
{
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        prompt_drop_mark(p, part->cache);
        for (const struct part *inner = part->parts; inner != NULL; inner = inner->next)
            prompt_drop_mark(p, inner->cache);
    }
}

static bool write_late_system(struct contents *c, const struct turn *t)
{
    for (const struct part *part = t->parts; part != NULL; part = part->next)
        if (part->kind == PART_TEXT && !prompt_attribution(part->text))
            write_tagged(c, part);
        else if (is_media(part) && !write_media(c, ROLE_USER, part))
            return false;
    return true;
}

static bool write_turn(struct contents *c, const struct turn *t)
{
    bool ok = true;
    note_cache(c->p, t);
    if (t->role <= ROLE_DEVELOPER)
        return write_late_system(c, t);
    c->first_call = true;
    for (const struct part *part = t->parts; part != NULL && ok; part = part->next)
        if (part->kind == PART_RESULT)
            ok = write_result(c, part);
    for (const struct part *part = t->parts; part != NULL && ok; part = part->next)
        if (part->kind == PART_RESULT)
            ok = write_outside(c, part);
    for (const struct part *part = t->parts; part != NULL && ok; part = part->next)
        ok = write_part(c, t->role, part);
    return ok;
}

static const struct turn *after_system(const struct prompt *p)
{
    const struct turn *t = p->turns;
    while (t != NULL && t->role <= ROLE_DEVELOPER)
        t = t->next;
    return t;
}

bool gemini_write_contents(struct prompt *p, struct out *o)
{
    struct contents c = {.p = p, .o = o, .model = gemini_model_of(p->to.model)};
    out_array(o, "contents");
    size_t inside = o->b->n;
    for (const struct turn *t = after_system(p); t != NULL; t = t->next)
        if (!write_turn(&c, t))
            return false;
    if (o->b->n == inside) { /* system text alone: somebody must say something */
        enter(&c, ROLE_USER, false);
        out_raw(o, NULL, CCP_SPAN("{\"text\":\"(start of the conversation)\"}"));
    }
    leave(&c);
    out_end(o, ']');
    return true;
}

bool gemini_write_system(struct prompt *p, struct out *o)
{
    bool any = false;
    for (const struct turn *t = p->turns; t != NULL && t->role <= ROLE_DEVELOPER; t = t->next) {
        note_cache(p, t);
        for (const struct part *part = t->parts; part != NULL; part = part->next) {
            if (part->kind != PART_TEXT)
                return prompt_fail_at(p, part, "only text can stand in a system instruction");
            if (prompt_attribution(part->text) || part->text.n == 0)
                continue;
            if (!any) {
                out_object(o, "systemInstruction");
                out_array(o, "parts");
            }
            any = true;
            out_object(o, NULL);
            out_text(o, "text", part->text);
            out_end(o, '}');
        }
    }
    if (any) {
        out_end(o, ']');
        out_end(o, '}');
    }
    return true;
}

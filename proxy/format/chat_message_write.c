/*
 * Turns into the messages of a Chat request (wire reference B.3, F.2).
 *
 * After prompt_settle a turn's results stand first in the user turn behind their calls. Here each becomes a tool
 * message of its own, directly behind the assistant's; everything else the user said follows in one user message. Media
 * cannot stand in a tool message: a note takes their place, and they lead that user message.
 */
#include <base/fault.h>
#include <format/chat.h>

struct writing {
    struct prompt *p;
    const struct chat_model *m;
    struct out *o;
};

static void open_message(struct writing *w, const char *role)
{
    out_object(w->o, NULL);
    out_word(w->o, "role", role);
}

ctext chat_call_id(struct prompt *p, ctext id)
{
    return id.n != 0 && id.n <= 64 ? id : prompt_call_id(p, id, 64);
}

/* -- system -- */

static const char *system_role(const struct writing *w)
{
    return w->m->reasons && !w->p->to.compatible ? "developer" : "system";
}

static bool check_system(struct prompt *p, const struct turn *t)
{
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (part->kind != PART_TEXT && part->kind != PART_REFUSAL)
            return prompt_fail_at(p, part, "a system message can only have text");
        prompt_drop_mark(p, part->cache);
    }
    return true;
}

/* What stands in front of the conversation, as one message. */
static bool write_first_system(struct writing *w)
{
    for (const struct turn *t = w->p->turns; t != NULL && t->role <= ROLE_DEVELOPER; t = t->next)
        if (!check_system(w->p, t))
            return false;
    ctext text = prompt_system_text(w->p);
    if (text.p != NULL && text.n != 0) {
        open_message(w, system_role(w));
        out_text(w->o, "content", text);
        out_end(w->o, '}');
    }
    /* JSON mode is refused unless somebody speaks of JSON; a Gemini client need not. */
    if (w->p->output.kind == OUTPUT_JSON && w->p->from == CCP_FORMAT_GEMINI) {
        open_message(w, system_role(w));
        out_text(w->o, "content", PROMPT_JSON_HINT);
        out_end(w->o, '}');
    }
    return w->p->status == CCP_OK;
}

static bool write_late_system(struct writing *w, const struct turn *t)
{
    bool any = false;
    if (!check_system(w->p, t))
        return false;
    open_message(w, system_role(w));
    out_text_open(w->o, "content");
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (prompt_attribution(part->text))
            continue;
        if (any)
            out_text_add(w->o, CCP_SPAN("\\n\\n"));
        out_text_add(w->o, part->text);
        any = true;
    }
    out_text_close(w->o);
    out_end(w->o, '}');
    return true;
}

/* -- results -- */

static bool as_text(const struct part *part)
{
    return part->kind == PART_TEXT || part->kind == PART_REFUSAL ||
           (part->kind == PART_DOCUMENT && part->source == MEDIA_TEXT);
}

/* Inside a text that is open. */
static void add_document_text(struct out *o, const struct part *part)
{
    if (part->title.n != 0) {
        out_text_add(o, part->title);
        out_text_add(o, CCP_SPAN("\\n\\n"));
    }
    out_text_add(o, part->data);
}

static bool note_media(struct writing *w, struct chat_media ***link, const struct part *part, size_t n)
{
    struct chat_media *media = CCP_FAULT("chat.media") ? NULL : arena_alloc(w->p->a, sizeof(*media));
    if (media == NULL)
        return prompt_no_memory(w->p);
    char digits[24];
    *media = (struct chat_media){part, NULL};
    **link = media;
    *link = &media->next;
    out_text_add(w->o, CCP_SPAN("[attachment "));
    out_text_add(w->o, ccp_span_of(digits, ccp_digits(digits, n, 1)));
    out_text_add(w->o, CCP_SPAN(" is in the next user message]"));
    prompt_drop(w->p, "tool_result.media");
    return true;
}

static void begin_result_text(struct writing *w, const struct part *result)
{
    out_text_open(w->o, "content");
    if (!result->failed)
        return;
    if (w->p->from == CCP_FORMAT_ANTHROPIC)
        prompt_drop(w->p, "is_error");
    if (result->parts == NULL || !ccp_span_starts(result->parts->text, CCP_SPAN("Error")))
        out_text_add(w->o, CCP_SPAN("Error: "));
}

static bool write_result(struct writing *w, const struct part *result, struct chat_media ***link, size_t *media)
{
    ctext id = chat_call_id(w->p, result->id);
    if (id.p == NULL)
        return false;
    prompt_drop_mark(w->p, result->cache);
    open_message(w, "tool");
    out_text(w->o, "tool_call_id", id);
    begin_result_text(w, result);
    for (const struct part *part = result->parts; part != NULL; part = part->next) {
        if (part != result->parts)
            out_text_add(w->o, CCP_SPAN("\\n"));
        prompt_drop_mark(w->p, part->cache && as_text(part)); /* media keep theirs in the user message */
        if (part->kind == PART_DOCUMENT && part->source == MEDIA_TEXT)
            add_document_text(w->o, part);
        else if (as_text(part))
            out_text_add(w->o, part->text);
        else if (!note_media(w, link, part, ++*media))
            return false;
    }
    out_text_close(w->o);
    out_end(w->o, '}');
    return true;
}

/* -- users -- */

static bool write_user(struct writing *w, const struct turn *t)
{
    struct chat_media *media = NULL, **link = &media;
    const struct part *part = t->parts;
    size_t n = 0;
    for (; part != NULL && part->kind == PART_RESULT; part = part->next)
        if (!write_result(w, part, &link, &n))
            return false;
    if (part == NULL && media == NULL)
        return true;
    open_message(w, "user");
    if (!chat_write_content(w->p, w->o, media, part))
        return false;
    out_end(w->o, '}');
    return true;
}

/* -- assistants -- */

static bool write_call(struct writing *w, const struct part *call)
{
    bool custom = call->custom && !w->p->to.compatible;
    const char *type = custom ? "custom" : "function";
    ctext id = chat_call_id(w->p, call->id), proof = prompt_proof(w->p, &call->proof, PROOF_THOUGHT);
    ctext name = names_wire(w->p->names, &chat_names, call->space, call->name, call->custom && !custom);
    if (id.p == NULL || name.p == NULL)
        return prompt_no_memory(w->p);
    out_object(w->o, NULL);
    out_text(w->o, "id", id);
    out_word(w->o, "type", type);
    out_object(w->o, type);
    out_text(w->o, "name", name);
    if (custom)
        out_text(w->o, "input", call->args.raw);
    else
        arguments_write(w->p, w->o, "arguments", call);
    out_end(w->o, '}');
    if (proof.n != 0) {
        out_object(w->o, "extra_content");
        out_object(w->o, "google");
        out_text(w->o, "thought_signature", proof);
        out_end(w->o, '}');
        out_end(w->o, '}');
    }
    out_end(w->o, '}');
    return true;
}

static bool is_media(const struct part *part)
{
    return part->kind >= PART_IMAGE && part->kind <= PART_VIDEO;
}

/* A refusal is a member of its own at OpenAI, and text elsewhere. The model's own pictures cannot be shown to it again:
 * a word stands for them. */
static bool is_said(const struct writing *w, const struct part *part)
{
    return part->kind == PART_TEXT || is_media(part) || (part->kind == PART_REFUSAL && w->p->to.compatible);
}

static ctext said(const struct part *part)
{
    return is_media(part) ? CCP_SPAN("[image]") : part->text;
}

static size_t count(const struct writing *w, const struct turn *t, size_t *calls)
{
    size_t texts = 0;
    *calls = 0;
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        texts += is_said(w, part);
        *calls += part->kind == PART_CALL;
    }
    return texts;
}

static void note_losses(struct prompt *p, const struct turn *t)
{
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (is_media(part))
            prompt_drop(p, "image");
        if (part->kind == PART_OPAQUE)
            prompt_drop(p, "content");
        prompt_drop_mark(p, part->cache);
    }
}

/* Several texts stay several parts at OpenAI. Others get one string: what stood in one message is one text (a citation
 * splits sentences), messages are set apart. */
static void write_said(struct writing *w, const struct turn *t, size_t texts)
{
    bool parts = texts > 1 && !w->p->to.compatible;
    const struct part *before = NULL;
    if (parts)
        out_array(w->o, "content");
    else
        out_text_open(w->o, "content");
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (!is_said(w, part))
            continue;
        if (parts) {
            out_object(w->o, NULL);
            out_word(w->o, "type", "text");
            out_text(w->o, "text", said(part));
            out_end(w->o, '}');
            continue;
        }
        if (before != NULL && before->message != part->message)
            out_text_add(w->o, CCP_SPAN("\\n\\n"));
        out_text_add(w->o, said(part));
        before = part;
    }
    if (parts)
        out_end(w->o, ']');
    else
        out_text_close(w->o);
}

static const struct part *find(const struct turn *t, enum part_kind kind)
{
    for (const struct part *part = t->parts; part != NULL; part = part->next)
        if (part->kind == kind)
            return part;
    return NULL;
}

static bool write_calls(struct writing *w, const struct turn *t)
{
    out_array(w->o, "tool_calls");
    for (const struct part *part = t->parts; part != NULL; part = part->next)
        if (part->kind == PART_CALL && !write_call(w, part))
            return false;
    out_end(w->o, ']');
    return true;
}

static bool write_assistant(struct writing *w, const struct turn *t)
{
    size_t calls, texts = count(w, t, &calls);
    const struct part *refusal = w->p->to.compatible ? NULL : find(t, PART_REFUSAL);
    note_losses(w->p, t);
    if (texts == 0 && calls == 0 && refusal == NULL)
        return true; /* nothing but thinking */
    open_message(w, "assistant");
    if (texts != 0)
        write_said(w, t, texts);
    else
        out_null(w->o, "content");
    if (refusal != NULL)
        out_text(w->o, "refusal", refusal->text);
    chat_write_thinking(w->p, w->m, w->o, t);
    if (calls != 0 && !write_calls(w, t))
        return false;
    out_end(w->o, '}');
    return true;
}

bool chat_write_messages(struct prompt *p, const struct chat_model *m, struct out *o)
{
    struct writing w = {p, m, o};
    const struct turn *t = p->turns;
    out_array(o, "messages");
    if (!write_first_system(&w))
        return false;
    while (t != NULL && t->role <= ROLE_DEVELOPER)
        t = t->next;
    for (; t != NULL; t = t->next) {
        bool ok = t->role == ROLE_USER        ? write_user(&w, t)
                  : t->role == ROLE_ASSISTANT ? write_assistant(&w, t)
                                              : write_late_system(&w, t);
        if (!ok)
            return false;
    }
    out_end(o, ']');
    return true;
}

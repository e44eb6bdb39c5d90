/*
 * Writing the system text and the conversation (wire reference A.4, F.2).
 *
 * The conversation is written as it grows: what a later request adds stands behind everything written so far, so system
 * text that comes late stays where it is. Models that know it get a message of role system (right behind the user's,
 * before the assistant's); the others get it as the user's text between <system> tags.
 *
 * Messages begin with the user. A last message of the assistant is a beginning that older models continue; newer ones
 * refuse it and are asked to go on instead.
 */
#include <format/anthropic.h>
#include <format/schema.h>

#define FILLER "(continue)"

struct message {
    struct anthropic_writer *w;
    enum role role;
    bool open, any;
    bool in_run, native; /* among neighbouring system turns; they become messages of role system */
};

static void end_message(struct message *m)
{
    if (m->open) {
        out_end(m->w->o, ']');
        out_end(m->w->o, '}');
    }
    m->open = false;
}

static void begin_message(struct message *m, enum role role)
{
    static const char *const words[] = {
        [ROLE_SYSTEM] = "system", [ROLE_DEVELOPER] = "system", [ROLE_USER] = "user", [ROLE_ASSISTANT] = "assistant"};
    if (m->open && m->role == role)
        return;
    end_message(m);
    out_object(m->w->o, NULL);
    out_word(m->w->o, "role", words[role]);
    out_array(m->w->o, "content");
    m->role = role;
    m->open = m->any = true;
}

static void filler(struct message *m)
{
    begin_message(m, ROLE_USER);
    anthropic_text_write(m->w, CCP_SPAN(FILLER), NULL);
    prompt_drop(m->w->p, "messages");
}

/* -- late system text -- */

static bool is_system(const struct turn *t)
{
    return t->role <= ROLE_DEVELOPER;
}

/* May a message of role system stand here? Asked once for a run of such turns. */
static bool takes_system(const struct message *m, const struct turn *t)
{
    while (t != NULL && is_system(t))
        t = t->next;
    return m->w->model.late_system && m->open && m->role != ROLE_ASSISTANT && (t == NULL || t->role == ROLE_ASSISTANT);
}

static void tagged_text(struct anthropic_writer *w, const struct part *part)
{
    out_object(w->o, NULL);
    out_word(w->o, "type", "text");
    out_text_open(w->o, "text");
    out_text_add(w->o, CCP_SPAN("<system>\\n"));
    out_text_add(w->o, part->text);
    out_text_add(w->o, CCP_SPAN("\\n</system>"));
    out_text_close(w->o);
    if (part->cache)
        anthropic_mark_write(w, part->node);
    out_end(w->o, '}');
}

static bool write_late_system(struct message *m, const struct turn *t)
{
    if (!m->in_run)
        m->native = takes_system(m, t);
    m->in_run = true;
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (!anthropic_block_stays(m->w, part))
            continue;
        if (part->kind != PART_TEXT && part->kind != PART_REFUSAL)
            return prompt_fail_at(m->w->p, part, "only text can stand in a system message");
        begin_message(m, m->native ? ROLE_SYSTEM : ROLE_USER);
        if (m->native)
            anthropic_text_write(m->w, part->text, part);
        else
            tagged_text(m->w, part);
    }
    return true;
}

/* -- turns -- */

static bool is_media(const struct part *part)
{
    return part->kind >= PART_IMAGE && part->kind <= PART_VIDEO;
}

/* Behind which part of an assistant's turn nothing is written: a message must not end in thinking. */
static const struct part *last_to_write(const struct anthropic_writer *w, const struct turn *t)
{
    const struct part *last = NULL;
    for (const struct part *part = t->parts; part != NULL; part = part->next)
        if (part->kind != PART_THINKING && anthropic_block_stays(w, part))
            last = part;
    return last;
}

static void trim(ctext *text)
{
    while (text->n != 0) {
        size_t n = text->p[text->n - 1] == ' ' ? 1 : 0;
        if (n == 0 && text->n >= 2 && text->p[text->n - 2] == '\\' && memchr("ntr", text->p[text->n - 1], 3) != NULL) {
            size_t slashes = 1;
            while (slashes + 1 < text->n && text->p[text->n - 2 - slashes] == '\\')
                slashes++;
            n = slashes % 2 == 1 ? 2 : 0;
        }
        if (n == 0)
            return;
        text->n -= n;
    }
}

/* The model's own pictures cannot be shown to it again. */
static void write_assistant_media(struct message *m)
{
    anthropic_text_write(m->w, CCP_SPAN("[image]"), NULL);
    prompt_drop(m->w->p, "image");
}

static bool write_assistant(struct message *m, const struct turn *t, bool prefill)
{
    const struct part *last = last_to_write(m->w, t);
    for (const struct part *part = last != NULL ? t->parts : NULL; part != NULL; part = part->next) {
        if (anthropic_block_stays(m->w, part)) {
            struct part shown = *part;
            begin_message(m, ROLE_ASSISTANT);
            if (prefill && part == last)
                trim(&shown.text);
            if (is_media(part))
                write_assistant_media(m);
            else if (!anthropic_block_write(m->w, &shown))
                return false;
        }
        if (part == last)
            return true;
    }
    return true;
}

static bool write_user(struct message *m, const struct turn *t)
{
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (!anthropic_block_stays(m->w, part) || part->kind == PART_THINKING)
            continue;
        begin_message(m, ROLE_USER);
        if (!anthropic_block_write(m->w, part))
            return false;
    }
    return true;
}

static bool write_turn(struct message *m, const struct turn *t)
{
    if (is_system(t))
        return write_late_system(m, t);
    m->in_run = false;
    if (t->role == ROLE_USER)
        return write_user(m, t);
    if (!m->any && last_to_write(m->w, t) != NULL)
        filler(m);
    return write_assistant(m, t, t->next == NULL && m->w->model.prefill);
}

static const struct turn *first_late(const struct prompt *p)
{
    const struct turn *t = p->turns;
    while (t != NULL && is_system(t))
        t = t->next;
    return t;
}

bool anthropic_messages_write(struct anthropic_writer *w)
{
    struct message m = {.w = w};
    out_array(w->o, "messages");
    for (const struct turn *t = first_late(w->p); t != NULL; t = t->next)
        if (!write_turn(&m, t))
            return false;
    if (!m.any && w->p->turns == NULL)
        return prompt_fail(w->p, "messages: at least one message is required");
    if (!m.any || (m.role == ROLE_ASSISTANT && !w->model.prefill))
        filler(&m);
    end_message(&m);
    out_end(w->o, ']');
    return true;
}

/* -- system -- */

struct system_text {
    struct anthropic_writer *w;
    bool open;
};

static void begin_system(struct system_text *s)
{
    if (!s->open)
        out_array(s->w->o, "system");
    s->open = true;
}

/* The billing line of the vendor's own client is for the vendor only. */
static bool system_stays(const struct anthropic_writer *w, const struct part *part)
{
    if (anthropic_blank(part->text))
        return false;
    return !prompt_attribution(part->text) || w->model.vendor;
}

static bool write_system_turn(struct system_text *s, const struct turn *t)
{
    for (const struct part *part = t->parts; part != NULL; part = part->next) {
        if (part->kind != PART_TEXT && part->kind != PART_REFUSAL)
            return prompt_fail_at(s->w->p, part, "only text can stand in a system message");
        if (!system_stays(s->w, part))
            continue;
        begin_system(s);
        anthropic_text_write(s->w, part->text, part);
    }
    return true;
}

/* Structured output in words, where the API has no field for it. */
static bool write_instruction(struct system_text *s)
{
    struct prompt *p = s->w->p;
    const struct output *output = &p->output;
    bool schema = output->kind == OUTPUT_SCHEMA && output->schema != NULL;
    if (output->kind == OUTPUT_TEXT || (output->kind == OUTPUT_SCHEMA && s->w->model.schema))
        return true;
    prompt_drop(p, p->param_names[PARAM_OUTPUT] != NULL ? p->param_names[PARAM_OUTPUT] : "output_config.format");
    begin_system(s);
    if (!schema) {
        anthropic_text_write(s->w, PROMPT_JSON_HINT, NULL);
        return true;
    }
    struct ccp_buf text;
    buf_init(&text, s->w->o->b->max);
    struct out inner = out_of(&text);
    buf_addz(&text, "Answer with one JSON value that is valid against this JSON Schema, and nothing else: ");
    bool ok = schema_write(p, &inner, NULL, output->schema, output->openapi);
    ctext escaped = ok ? prompt_escape(p, buf_span(&text)) : (ctext){NULL, 0};
    if (escaped.p != NULL)
        anthropic_text_write(s->w, escaped, NULL);
    buf_release(&text);
    return escaped.p != NULL;
}

bool anthropic_system_write(struct anthropic_writer *w)
{
    struct system_text s = {.w = w};
    for (const struct turn *t = w->p->turns; t != NULL && is_system(t); t = t->next)
        if (!write_system_turn(&s, t))
            return false;
    if (!write_instruction(&s))
        return false;
    if (s.open)
        out_end(w->o, ']');
    return true;
}

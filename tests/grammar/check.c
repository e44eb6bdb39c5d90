/*
 * See check.h; and the functions of grammar.h, by table.
 */
#include "check.h"
#include "grammar.h"

#include <stdarg.h>
#include <stdio.h>

bool refuse(struct check *c, const char *fmt, ...)
{
    va_list ap;
    int n = 0;
    if (c->wrong[0] != '\0')
        return false;
    if (c->list != NULL)
        n = snprintf(c->wrong, sizeof(c->wrong), "%s[%zu]: ", c->list, c->at);
    va_start(ap, fmt);
    vsnprintf(c->wrong + n, sizeof(c->wrong) - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

/* -- members -- */

bool is_one_of(struct ccp_span text, const char *words)
{
    while (*words != '\0') {
        size_t n = strcspn(words, "|");
        if (ccp_span_eq(text, ccp_span_of(words, n)))
            return true;
        words += n + (words[n] == '|');
    }
    return false;
}

static bool judge_row(struct check *c, const struct node *m, const char *what, const struct row *row)
{
    unsigned types = row->types | (c->shape_only && (row->types & INTEGER) != 0 ? REAL : 0);
    if ((m->type & types) == 0)
        return refuse(c, "%s.%s has the wrong type", what, row->name);
    if (c->shape_only)
        return true;
    if (m->type == STRING && row->words != NULL && !is_one_of(m->text, row->words))
        return refuse(c, "%s.%s is \"%.*s\", not one of %s", what, row->name, (int)(m->text.n < 40 ? m->text.n : 40),
                      m->text.p, row->words);
    if ((m->type & NUMBER) != 0 && row->low < row->high && !(m->number >= row->low && m->number <= row->high))
        return refuse(c, "%s.%s is %g, out of range", what, row->name, m->number);
    return true;
}

bool members(struct check *c, const struct node *object, const char *what, const struct row *rows, bool closed)
{
    uint64_t found = 0;
    if (object == NULL || object->type != OBJECT)
        return refuse(c, "%s is not an object", what);
    for (const struct node *m = object->child; m != NULL; m = m->next) {
        size_t i = 0;
        while (rows[i].name != NULL && !ccp_span_is(m->key, rows[i].name))
            i++;
        if (rows[i].name == NULL && closed)
            return refuse(c, "%s has a member %.*s that nobody knows", what, (int)(m->key.n < 40 ? m->key.n : 40),
                          m->key.p);
        if (rows[i].name == NULL)
            continue;
        if ((found >> i & 1) != 0)
            return refuse(c, "%s.%s occurs twice", what, rows[i].name);
        found |= (uint64_t)1 << i;
        if (!judge_row(c, m, what, &rows[i]))
            return false;
    }
    for (size_t i = 0; rows[i].name != NULL; i++)
        if ((rows[i].types & NEEDED) != 0 && (found >> i & 1) == 0)
            return refuse(c, "%s.%s is missing", what, rows[i].name);
    return true;
}

const struct node *given(const struct node *object, const char *key)
{
    const struct node *m = grammar_tree_get(object, key);
    return m != NULL && m->type != NIL ? m : NULL;
}

struct ccp_span text_of(const struct node *object, const char *key)
{
    const struct node *m = grammar_tree_get(object, key);
    return m != NULL && m->type == STRING ? m->text : CCP_SPAN("");
}

bool is_word(const struct node *object, const char *key, const char *word)
{
    const struct node *m = grammar_tree_get(object, key);
    return m != NULL && m->type == STRING && ccp_span_is(m->text, word);
}

double number_of(const struct node *object, const char *key)
{
    const struct node *m = grammar_tree_get(object, key);
    return m != NULL ? m->number : 0;
}

/* -- alphabets -- */

bool is_name(struct ccp_span text, size_t least, size_t most, const char *also)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z' && (c & 0x80) == 0);
        if (!plain && (c == '\0' || strchr(also, c) == NULL))
            return false;
    }
    return text.n >= least && text.n <= most;
}

bool is_blank(struct ccp_span text)
{
    while (text.n != 0 && strchr(" \t\r\n\f\v", text.p[0]) != NULL && text.p[0] != '\0')
        text = ccp_span_skip(text, 1);
    return text.n == 0;
}

bool is_media_type(struct ccp_span text)
{
    size_t slash = ccp_span_find(text, '/');
    return slash < text.n && is_name(ccp_span_of(text.p, slash), 1, 60, "!#$&^_.+-") &&
           is_name(ccp_span_skip(text, slash + 1), 1, 120, "!#$&^_.+-");
}

bool is_base64(struct ccp_span text)
{
    while (text.n != 0 && text.p[text.n - 1] == '=')
        text.n--;
    return is_name(text, 1, SIZE_MAX, "+/-_");
}

bool has_prefix(struct ccp_span text, const char *prefix)
{
    return ccp_span_starts(text, ccp_span_z(prefix));
}

bool is_data_url(struct ccp_span text, const char *type)
{
    size_t comma = ccp_span_find(text, ',');
    struct ccp_span head = ccp_span_of(text.p, comma);
    struct ccp_span media = ccp_span_skip(head, 5);
    media.n = media.n > 7 ? media.n - 7 : 0;
    return has_prefix(head, "data:") && has_prefix(media, type) && is_media_type(media) &&
           ccp_span_ends(head, CCP_SPAN(";base64")) && comma < text.n && is_base64(ccp_span_skip(text, comma + 1));
}

bool is_web_url(struct ccp_span text)
{
    return (text.n > 8 && strncasecmp(text.p, "https://", 8) == 0) ||
           (text.n > 7 && strncasecmp(text.p, "http://", 7) == 0);
}

bool cuts_a_character(struct ccp_span text)
{
    const unsigned char *end = (const unsigned char *)text.p + text.n;
    return text.n >= 3 && end[-3] == 0xed && end[-2] >= 0xa0 && end[-2] < 0xb0;
}

bool is_parameters(struct check *c, const struct node *schema)
{
    const struct node *type = grammar_tree_get(schema, "type");
    return c->shape_only || type == NULL || (type->type == STRING && is_one_of(type->text, "object|OBJECT|Object")) ||
           refuse(c, "a schema of arguments that are no object");
}

/* -- memory -- */

void gather(struct check *c, struct gathered *g, struct ccp_span text)
{
    if (g->size - g->n < text.n || g->p == NULL) {
        size_t size = (g->n + text.n) * 2 + 64;
        char *p = grammar_tree_memory(&c->tree, size);
        if (g->n != 0)
            memcpy(p, g->p, g->n);
        g->p = p;
        g->size = size;
    }
    if (text.n != 0)
        memcpy(g->p + g->n, text.p, text.n);
    g->n += text.n;
}

/* An open hash table; names[] holds the slots. */
static size_t slot_of(const struct seen *s, struct ccp_span name)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < name.n; i++)
        hash = (hash ^ (unsigned char)name.p[i]) * 1099511628211u;
    size_t slot = hash & (s->size - 1);
    while (s->names[slot].p != NULL && !ccp_span_eq(s->names[slot], name))
        slot = (slot + 1) & (s->size - 1);
    return slot;
}

bool seen_has(const struct seen *s, struct ccp_span name)
{
    return s->size != 0 && s->names[slot_of(s, name)].p != NULL;
}

static void seen_grow(struct check *c, struct seen *s)
{
    struct seen larger = {.size = s->size != 0 ? s->size * 2 : 16, .n = s->n};
    struct ccp_span *slots = grammar_tree_memory(&c->tree, larger.size * sizeof(*slots));
    larger.names = slots;
    for (size_t i = 0; i < s->size; i++)
        if (s->names[i].p != NULL)
            slots[slot_of(&larger, s->names[i])] = s->names[i];
    *s = larger;
}

bool seen_add(struct check *c, struct seen *s, struct ccp_span name)
{
    if (s->n * 2 >= s->size)
        seen_grow(c, s);
    size_t slot = slot_of(s, name);
    if (s->names[slot].p != NULL)
        return false;
    ((struct ccp_span *)s->names)[slot] = ccp_span_of(name.p != NULL ? name.p : "", name.n);
    s->n++;
    return true;
}

/* -- framing -- */

struct lines {
    struct ccp_span rest;
    int carriage; /* -1 not known yet */
};

static bool next_line(struct check *c, struct lines *l, struct ccp_span *line)
{
    size_t n = ccp_span_find(l->rest, '\n');
    if (n == l->rest.n)
        return refuse(c, "the stream ends inside a line");
    *line = ccp_span_of(l->rest.p, n);
    l->rest = ccp_span_skip(l->rest, n + 1);
    int carriage = line->n != 0 && line->p[line->n - 1] == '\r';
    if (l->carriage < 0)
        l->carriage = carriage;
    if (carriage != l->carriage)
        return refuse(c, "lines end differently");
    line->n -= (size_t)carriage;
    if (ccp_span_find(*line, '\r') != line->n)
        return refuse(c, "a CR inside a line");
    return true;
}

static bool field(struct ccp_span line, const char *name, struct ccp_span *value)
{
    *value = ccp_span_skip(line, strlen(name));
    return has_prefix(line, name);
}

static bool one_frame(struct check *c, struct lines *l, bool done_word, struct frame *f)
{
    struct ccp_span line, data;
    *f = (struct frame){CCP_SPAN(""), NULL};
    if (!next_line(c, l, &line))
        return false;
    if (!field(line, "event: ", &f->event))
        f->event = CCP_SPAN("");
    else if (!next_line(c, l, &line))
        return false;
    if (has_prefix(line, ":") && f->event.n == 0)
        data = CCP_SPAN("");
    else if (!field(line, "data: ", &data))
        return refuse(c, "neither \"event: \" nor \"data: \" where an event begins, or a second data line");
    if (!next_line(c, l, &line))
        return false;
    if (line.n != 0)
        return refuse(c, "no empty line behind an event");
    if (data.n == 0 || (done_word && ccp_span_is(data, "[DONE]")))
        return data.n != 0 || f->event.n == 0 || refuse(c, "an event without data");
    f->data = parse(c, data);
    return f->data != NULL;
}

bool frames(struct check *c, struct ccp_span bytes, bool done_word, bool (*take)(void *self, const struct frame *f),
            void *self)
{
    struct lines l = {bytes, -1};
    c->list = "event";
    c->at = 0;
    while (l.rest.n != 0) {
        struct frame f;
        bool comment = l.rest.p[0] == ':';
        if (!one_frame(c, &l, done_word, &f))
            return false;
        if (comment)
            continue;
        if (!take(self, &f))
            return refuse(c, "is wrong");
        c->at++;
    }
    c->list = NULL;
    return true;
}

/* -- the questions -- */

const struct node *parse(struct check *c, struct ccp_span bytes)
{
    const char *what;
    const struct node *root = grammar_tree_read(&c->tree, bytes, &what);
    if (root == NULL)
        refuse(c, "not JSON: %s", what);
    return root;
}

static _Thread_local char last_words[sizeof(((struct check *)0)->wrong)]; /* what grammar.h promises to keep */

const char *verdict(struct check *c, bool ok)
{
    if (!ok)
        refuse(c, "is wrong");
    memcpy(last_words, c->wrong, sizeof(last_words));
    grammar_tree_release(&c->tree);
    return ok ? NULL : last_words;
}

static const struct judge {
    bool (*stream)(struct check *c, struct ccp_span bytes);
    bool (*whole)(struct check *c, const struct node *root);
    bool (*request)(struct check *c, const struct node *root);
    bool (*error)(struct check *c, const struct node *root);
} judges[CCP_FORMAT_COUNT] = {
    [CCP_FORMAT_ANTHROPIC] = {anthropic_stream, anthropic_whole, anthropic_request, anthropic_error},
    [CCP_FORMAT_OPENAI_CHAT] = {chat_stream, chat_whole, chat_request, chat_error},
    [CCP_FORMAT_OPENAI_RESPONSES] = {responses_stream, responses_whole, responses_request, responses_error},
    [CCP_FORMAT_GEMINI] = {gemini_stream, gemini_whole, gemini_request, gemini_error},
};

const char *grammar_stream(enum ccp_format f, struct ccp_span bytes, bool may_end_in_error)
{
    struct check c = {.may_fail = may_end_in_error, .stream = true};
    return verdict(&c, judges[f].stream(&c, bytes));
}

static const char *whole_text(struct check *c, struct ccp_span bytes,
                              bool (*judge)(struct check *c, const struct node *root))
{
    const struct node *root = parse(c, bytes);
    return verdict(c, root != NULL && judge(c, root));
}

const char *grammar_whole(enum ccp_format f, struct ccp_span bytes)
{
    struct check c = {0};
    return whole_text(&c, bytes, judges[f].whole);
}

const char *grammar_request(enum ccp_format f, struct ccp_span bytes, bool stream)
{
    struct check c = {.stream = stream};
    return whole_text(&c, bytes, judges[f].request);
}

const char *grammar_request_shape(enum ccp_format f, struct ccp_span bytes, bool stream)
{
    struct check c = {.stream = stream, .shape_only = true};
    return whole_text(&c, bytes, judges[f].request);
}

const char *grammar_error(enum ccp_format f, struct ccp_span bytes)
{
    struct check c = {0};
    return whole_text(&c, bytes, judges[f].error);
}

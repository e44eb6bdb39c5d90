/*
 * The tail of a pass-through stream: was its end the end its grammar promises?
 *
 * Looks at the beginning of the last event and for the words that finish a stream, and never holds it. Anthropic
 * ends with message_stop, Responses with a terminal event, Chat with [DONE] (some compatible servers forget it: a
 * finish_reason is accepted in its place), Gemini with a plain end of file. An error event also ends a stream properly.
 */
#include <format/format.h>

void format_tail_init(struct format_tail *t, enum ccp_format f)
{
    *t = (struct format_tail){.format = f, .boundary = true};
    memset(t->last, '\n', sizeof(t->last)); /* the first byte begins an event */
}

/* Byte i of the new piece; a negative i looks back into what came before it. */
static char at(const struct format_tail *t, struct ccp_span s, ptrdiff_t i)
{
    return i >= 0 ? s.p[i] : t->last[(ptrdiff_t)sizeof(t->last) + i];
}

/* Where the last event that begins in `s` begins; s.n when none does. Empty lines at the very end belong to the
 * event before them. */
static size_t last_event_start(const struct format_tail *t, struct ccp_span s)
{
    ptrdiff_t end = (ptrdiff_t)s.n;
    while (end > 0 && (s.p[end - 1] == '\n' || s.p[end - 1] == '\r'))
        end--;
    for (ptrdiff_t i = end - 1; i >= 0; i--) {
        char one = at(t, s, i - 1), two = at(t, s, i - 2);
        if ((one == '\n' && (two == '\n' || (two == '\r' && at(t, s, i - 3) == '\n'))) || (one == '\r' && two == '\r'))
            return (size_t)i;
    }
    return s.n;
}

static void keep_first(struct format_tail *t, struct ccp_span s)
{
    size_t room = sizeof(t->first) - t->n, n = s.n < room ? s.n : room;
    if (n != 0)
        memcpy(t->first + t->n, s.p, n);
    t->n += n;
}

static void keep_last(struct format_tail *t, struct ccp_span s)
{
    size_t n = s.n < sizeof(t->last) ? s.n : sizeof(t->last);
    memmove(t->last, t->last + n, sizeof(t->last) - n);
    memcpy(t->last + sizeof(t->last) - n, s.p + s.n - n, n);
}

static bool contains(const char *p, size_t n, const char *what)
{
    return memmem(p, n, what, strlen(what)) != NULL;
}

/* With their quotes these texts cannot stand inside a JSON string. */
static bool finishes(enum ccp_format f, const char *p, size_t n)
{
    if (f == CCP_FORMAT_OPENAI_CHAT)
        return contains(p, n, "\"finish_reason\":\"") || contains(p, n, "\"finish_reason\": \"");
    return f == CCP_FORMAT_OPENAI_RESPONSES && contains(p, n, "\"response.") &&
           (contains(p, n, "\"response.completed\"") || contains(p, n, "\"response.incomplete\"") ||
            contains(p, n, "\"response.failed\""));
}

static bool finish_in(const struct format_tail *t, struct ccp_span s)
{
    char seam[2 * sizeof(t->last)];
    size_t n = s.n < sizeof(t->last) ? s.n : sizeof(t->last);
    memcpy(seam, t->last, sizeof(t->last));
    memcpy(seam + sizeof(t->last), s.p, n);
    return finishes(t->format, s.p, s.n) || finishes(t->format, seam, sizeof(t->last) + n);
}

void format_tail_feed(struct format_tail *t, struct ccp_span bytes, bool boundary)
{
    if (bytes.n == 0)
        return;
    t->any = true;
    if (!t->finish_seen)
        t->finish_seen = finish_in(t, bytes);
    size_t start = last_event_start(t, bytes);
    if (start < bytes.n)
        t->n = 0;
    keep_first(t, start < bytes.n ? ccp_span_skip(bytes, start) : bytes);
    keep_last(t, bytes);
    t->boundary = boundary;
}

static bool has(const struct format_tail *t, const char *what)
{
    return contains(t->first, t->n, what);
}

static bool is_error(const struct format_tail *t)
{
    return has(t, "event: error") || has(t, "event:error") || has(t, "\"type\":\"error\"") ||
           has(t, "\"type\": \"error\"");
}

bool format_tail_error(const struct format_tail *t)
{
    if (t->format == CCP_FORMAT_ANTHROPIC)
        return is_error(t);
    if (t->format == CCP_FORMAT_OPENAI_RESPONSES)
        return is_error(t) || has(t, "event: response.failed") || has(t, "\"response.failed\"");
    return (t->format == CCP_FORMAT_OPENAI_CHAT || t->format == CCP_FORMAT_GEMINI) && has(t, "\"error\"");
}

bool format_tail_ended(const struct format_tail *t)
{
    switch (t->format) {
    case CCP_FORMAT_ANTHROPIC:
        return has(t, "message_stop") || is_error(t);
    case CCP_FORMAT_OPENAI_RESPONSES:
        return t->finish_seen || is_error(t) || has(t, "[DONE]") || has(t, "event: response.completed") ||
               has(t, "event: response.incomplete") || has(t, "event: response.failed");
    case CCP_FORMAT_OPENAI_CHAT:
        return has(t, "[DONE]") || has(t, "\"error\"");
    default:
        return false;
    }
}

bool format_tail_complete(const struct format_tail *t)
{
    bool unmarked = t->format == CCP_FORMAT_OPENAI_CHAT ? t->finish_seen : t->any;
    bool marked = t->format == CCP_FORMAT_ANTHROPIC || t->format == CCP_FORMAT_OPENAI_RESPONSES;
    return format_tail_ended(t) || (!marked && unmarked);
}

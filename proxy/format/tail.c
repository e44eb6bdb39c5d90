/*
 * The tail of a pass-through stream: was its end the end its grammar promises?
 *
 * Looks only at the beginning of the last event and never holds the stream. Anthropic ends with message_stop,
 * Responses with a terminal event, Chat with [DONE] (some compatible servers forget it: a finish_reason is
 * accepted in its place), Gemini with a plain end of file. An error event also ends a stream properly.
 */
#include <format/format.h>

void format_tail_init(struct format_tail *t, enum ccp_format f)
{
    *t = (struct format_tail){.format = f, .boundary = true};
}

/* Where the last event that begins in `s` begins; s.n when none does. Empty lines at the very end belong to the
 * event before them. */
static size_t last_event_start(struct ccp_span s)
{
    size_t end = s.n;
    while (end > 0 && (s.p[end - 1] == '\n' || s.p[end - 1] == '\r'))
        end--;
    for (size_t i = end; i > 1; i--)
        if (s.p[i - 1] == '\n' && (s.p[i - 2] == '\n' || (s.p[i - 2] == '\r' && i > 2 && s.p[i - 3] == '\n')))
            return i;
    return s.n;
}

static void keep_first(struct format_tail *t, struct ccp_span s)
{
    size_t room = sizeof(t->first) - t->n, n = s.n < room ? s.n : room;
    if (n != 0)
        memcpy(t->first + t->n, s.p, n);
    t->n += n;
}

void format_tail_feed(struct format_tail *t, struct ccp_span bytes, bool boundary)
{
    if (bytes.n == 0)
        return;
    t->any = true;
    if (t->format == CCP_FORMAT_OPENAI_CHAT && !t->finish_seen)
        t->finish_seen = memmem(bytes.p, bytes.n, "\"finish_reason\":\"", 17) != NULL ||
                         memmem(bytes.p, bytes.n, "\"finish_reason\": \"", 18) != NULL;
    size_t start = last_event_start(bytes);
    if (start < bytes.n) {
        t->n = 0;
        keep_first(t, ccp_span_skip(bytes, start));
    } else {
        if (t->boundary)
            t->n = 0;
        keep_first(t, bytes);
    }
    t->boundary = boundary;
}

static bool has(const struct format_tail *t, const char *what)
{
    return memmem(t->first, t->n, what, strlen(what)) != NULL;
}

bool format_tail_complete(const struct format_tail *t)
{
    switch (t->format) {
    case CCP_FORMAT_ANTHROPIC:
        return has(t, "message_stop") || has(t, "error");
    case CCP_FORMAT_OPENAI_RESPONSES:
        return has(t, "response.completed") || has(t, "response.incomplete") || has(t, "response.failed") ||
               has(t, "error") || has(t, "[DONE]");
    case CCP_FORMAT_OPENAI_CHAT:
        return has(t, "[DONE]") || has(t, "\"error\"") || t->finish_seen;
    default:
        return t->any;
    }
}

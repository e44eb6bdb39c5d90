/*
 * What OpenAI's generations of models refuse (wire reference B.2, B.3), by the beginning of their names.
 *
 * A generation that is not in the table counts as the newest: "gpt-" or "o" and a number. Other names are nobody's
 * known model, and nothing is assumed about them.
 */
#include <format/chat.h>

#define E(e)     (1u << EFFORT_##e)
#define CLASSIC  (E(LOW) | E(MEDIUM) | E(HIGH))
#define MINIMAL5 (CLASSIC | E(MINIMAL))
#define NONE51   (CLASSIC | E(NONE))
#define NEWEST   (NONE51 | E(XHIGH) | E(MAX))
#define ALL      (NEWEST | E(MINIMAL))

/* The first row that fits counts. */
static const struct {
    const char *begins;
    struct chat_model is;
} table[] = {
    {"gpt-3", {.no_effort = true, .efforts = ALL}},
    {"gpt-4", {.no_effort = true, .efforts = ALL}},
    {"chatgpt-", {.no_effort = true, .efforts = ALL}},
    {"gpt-5-chat", {.no_effort = true, .efforts = ALL}},
    {"gpt-5.0", {.reasons = true, .no_stop = true, .efforts = MINIMAL5}},
    {"gpt-5.1", {.reasons = true, .no_stop = true, .efforts = NONE51 | E(XHIGH)}},
    {"gpt-5.", {.reasons = true, .no_stop = true, .efforts = NEWEST}},
    {"gpt-5", {.reasons = true, .no_stop = true, .efforts = MINIMAL5}},
    {"o1", {.reasons = true, .efforts = CLASSIC}},
    {"o3", {.reasons = true, .no_stop = true, .efforts = CLASSIC}},
    {"o4", {.reasons = true, .no_stop = true, .efforts = CLASSIC}},
    {"deepseek", {.echo = true, .efforts = ALL}},
    {"kimi", {.echo = true, .efforts = ALL}},
};

static bool digit(struct ccp_span s, size_t at)
{
    return s.n > at && s.p[at] >= '0' && s.p[at] <= '9';
}

static struct ccp_span last_segment(struct ccp_span name)
{
    for (size_t slash; (slash = ccp_span_find(name, '/')) < name.n;)
        name = ccp_span_skip(name, slash + 1);
    return name;
}

struct chat_model chat_model_of(struct ccp_span name)
{
    struct chat_model m = {.efforts = ALL};
    name = last_segment(name);
    bool newest = (ccp_span_starts(name, CCP_SPAN("gpt-")) && digit(name, 4)) ||
                  (ccp_span_starts(name, CCP_SPAN("o")) && digit(name, 1));
    if (newest)
        m = (struct chat_model){.reasons = true, .no_stop = true, .efforts = NEWEST};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (ccp_span_starts(name, ccp_span_z(table[i].begins))) {
            m = table[i].is;
            break;
        }
    m.searches = name.n != 0 && memmem(name.p, name.n, "-search", 7) != NULL;
    m.no_effort = m.no_effort || m.searches;
    m.reasons = m.reasons && !m.searches;
    return m;
}

enum effort chat_effort(const struct chat_model *m, enum effort wanted)
{
    if (m->efforts & (1u << wanted))
        return wanted;
    for (int away = 1; away <= EFFORT_MAX; away++) {
        int less = (int)wanted - away, more = (int)wanted + away;
        if (less >= EFFORT_NONE && (m->efforts & (1u << less)))
            return (enum effort)less;
        if (more <= EFFORT_MAX && (m->efforts & (1u << more)))
            return (enum effort)more;
    }
    return EFFORT_UNSET;
}

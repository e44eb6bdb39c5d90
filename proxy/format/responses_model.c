/*
 * What models behind this format take. By name, longest prefix first; newer names than these take what the newest do,
 * and names of other vendors are never judged.
 */
#include <format/responses.h>

static const struct responses_model models[] = {
    {"gpt-5-chat", false, true, false, false, EFFORT_UNSET, EFFORT_UNSET},
    {"gpt-5.1-codex-max", true, false, true, false, EFFORT_LOW, EFFORT_XHIGH},
    {"gpt-5.1-codex", true, false, true, false, EFFORT_LOW, EFFORT_HIGH},
    {"gpt-5.1", true, false, true, true, EFFORT_LOW, EFFORT_HIGH},
    {"gpt-5-codex", true, false, true, false, EFFORT_LOW, EFFORT_HIGH},
    {"gpt-5-pro", true, false, true, false, EFFORT_HIGH, EFFORT_HIGH},
    {"gpt-5.2-codex", true, false, true, false, EFFORT_LOW, EFFORT_XHIGH},
    {"gpt-5.3-codex", true, false, true, false, EFFORT_LOW, EFFORT_XHIGH},
    {"gpt-5.", true, false, true, true, EFFORT_LOW, EFFORT_XHIGH},
    {"gpt-5", true, false, true, false, EFFORT_MINIMAL, EFFORT_HIGH},
    {"gpt-3", false, true, false, false, EFFORT_UNSET, EFFORT_UNSET},
    {"gpt-4", false, true, false, false, EFFORT_UNSET, EFFORT_UNSET},
    {"chatgpt-4o", false, true, false, false, EFFORT_UNSET, EFFORT_UNSET},
    {"o1", true, false, false, false, EFFORT_LOW, EFFORT_HIGH},
    {"o3", true, false, false, false, EFFORT_LOW, EFFORT_HIGH},
    {"o4", true, false, false, false, EFFORT_LOW, EFFORT_HIGH},
    {"codex-", true, false, true, false, EFFORT_LOW, EFFORT_HIGH},
};

static const struct responses_model newest = {"", true, false, true, true, EFFORT_LOW, EFFORT_MAX};
static const struct responses_model other = {"", false, false, true, true, EFFORT_MINIMAL, EFFORT_MAX};

static bool digit(struct ccp_span s, size_t at)
{
    return s.n > at && s.p[at] >= '0' && s.p[at] <= '9';
}

const struct responses_model *responses_model(struct ccp_span name)
{
    for (size_t slash; (slash = ccp_span_find(name, '/')) != name.n;) /* "openai/gpt-5" */
        name = ccp_span_skip(name, slash + 1);
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (ccp_span_starts(name, ccp_span_z(models[i].prefix)))
            return &models[i];
    if (ccp_span_starts(name, CCP_SPAN("gpt-")) && digit(name, 4))
        return &newest;
    return ccp_span_starts(name, CCP_SPAN("o")) && digit(name, 1) ? &newest : &other;
}

enum effort responses_effort(const struct responses_model *m, enum effort wanted)
{
    if (wanted == EFFORT_UNSET || (wanted == EFFORT_NONE && m->none))
        return wanted;
    if (wanted < m->least)
        return m->least;
    return wanted > m->most ? m->most : wanted;
}

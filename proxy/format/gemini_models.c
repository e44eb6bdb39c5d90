/*
 * What Gemini models differ in, by the beginning of their names; the first hit counts. A name that no row knows behaves
 * like the newest of the family, and one of another family makes no promise: it gets what the client said.
 */
#include <format/gemini.h>

static const struct gemini_model models[] = {
    {"gemini-1", GEMINI_NO_THINKING, 0, 0, true, false, false, false, false},
    {"gemini-2.0", GEMINI_NO_THINKING, 0, 0, true, false, false, false, false},
    {"gemini-2.5-pro", GEMINI_BUDGET, 128, 32768, false, false, false, false, false},
    {"gemini-2.5-flash-lite", GEMINI_BUDGET, 512, 24576, true, false, false, false, false},
    {"gemini-2.5", GEMINI_BUDGET, 1, 24576, true, false, false, false, false},
    {"gemini-3-pro", GEMINI_LEVEL, 0, 0, false, false, false, true, true},
    {"gemini-3.1-pro", GEMINI_LEVEL, 0, 0, false, false, true, true, true},
    {"gemini-", GEMINI_LEVEL, 0, 0, false, true, true, true, false},
    {"", GEMINI_EITHER, 0, 0, false, true, true, true, false},
};
/* The same as "gemini-", for names that say that they are of the third generation or later, or the newest there is. */
static const struct gemini_model third = {"gemini-", GEMINI_LEVEL, 0, 0, false, true, true, true, true};

static bool is_third(struct ccp_span name)
{
    struct ccp_span rest = ccp_span_skip(name, strlen("gemini-"));
    return (rest.n != 0 && rest.p[0] >= '3' && rest.p[0] <= '9') || ccp_span_ends(rest, CCP_SPAN("-latest"));
}

const struct gemini_model *gemini_model_of(struct ccp_span name)
{
    static const size_t any = sizeof(models) / sizeof(models[0]) - 2; /* "gemini-" */
    size_t i = 0;
    if (ccp_span_starts(name, CCP_SPAN("models/")))
        name = ccp_span_skip(name, strlen("models/"));
    while (!ccp_span_starts(name, ccp_span_z(models[i].prefix)))
        i++;
    return i == any && is_third(name) ? &third : &models[i];
}

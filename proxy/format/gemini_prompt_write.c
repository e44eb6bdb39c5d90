/*
 * Neutral prompt to Gemini request: the top level, generationConfig, tools (wire reference F.1, F.3, F.5). The
 * conversation is written in gemini_contents_write.c and stands last.
 */
#include <base/fault.h>
#include <format/gemini.h>

/* What was legal from the first version on: other names go out changed, and come back under their own. */
const struct name_rule gemini_name_rule = {.max = 64, .also = ".", .letter_first = true};

static const char *name_of(const struct prompt *p, enum param param, const char *otherwise)
{
    return p->param_names[param] != NULL ? p->param_names[param] : otherwise;
}

/* An object that turns out empty was never there. */
struct mark {
    size_t n, inside;
    bool comma;
};

static struct mark begin(struct out *o, const char *key)
{
    struct mark m = {.n = o->b->n, .comma = o->comma};
    out_object(o, key);
    m.inside = o->b->n;
    return m;
}

static void end(struct out *o, struct mark m)
{
    if (o->b->n != m.inside) {
        out_end(o, '}');
        return;
    }
    o->b->n = m.n;
    o->comma = m.comma;
}

/* -- generationConfig -- */

static void write_max(struct prompt *p, struct out *o)
{
    const struct ccp_json *node = p->params[PARAM_MAX_TOKENS];
    int64_t value;
    bool known = prompt_int(node, &value), over = known && p->to.max_output > 0 && value > p->to.max_output;
    if (over || (known && value < 1)) { /* none at all is what only Anthropic can do */
        prompt_drop(p, name_of(p, PARAM_MAX_TOKENS, "max_tokens"));
        out_int(o, "maxOutputTokens", over ? p->to.max_output : 1);
    } else {
        out_node(o, "maxOutputTokens", node);
    }
}

#define STOPS_MAX 5

static void write_stops(struct prompt *p, struct out *o)
{
    const struct ccp_json *stop = p->params[PARAM_STOP];
    const struct ccp_json *s = stop == NULL || stop->type != CCP_JSON_ARRAY ? stop : stop->child;
    size_t n = 0;
    for (; s != NULL; s = stop->type == CCP_JSON_ARRAY ? s->next : NULL) {
        if (ccp_json_inner(s).n == 0) /* an empty one is refused, and would stop nothing */
            continue;
        if (n == STOPS_MAX) {
            prompt_drop(p, name_of(p, PARAM_STOP, "stop"));
            break;
        }
        if (n++ == 0)
            out_array(o, "stopSequences");
        out_node(o, NULL, s);
    }
    if (n != 0)
        out_end(o, ']');
}

static void write_output(struct prompt *p, struct out *o)
{
    if (p->output.kind == OUTPUT_TEXT)
        return;
    if (p->output.description.n != 0)
        fields_drop_below(p, PARAM_OUTPUT, ".description");
    out_word(o, "responseMimeType", "application/json");
    if (p->output.kind == OUTPUT_SCHEMA)
        out_node(o, p->output.openapi ? "responseSchema" : "responseJsonSchema", p->output.schema);
}

/* Depth in words; what the model has no word for becomes the nearest. */
static void write_level(struct prompt *p, const struct gemini_model *m, enum effort e, struct out *o)
{
    const char *word = e >= EFFORT_HIGH ? "HIGH" : e == EFFORT_MEDIUM ? "MEDIUM" : e == EFFORT_LOW ? "LOW" : "MINIMAL";
    bool other = e == EFFORT_NONE; /* these models always think */
    if (e == EFFORT_UNSET)
        return;
    if (e == EFFORT_MEDIUM && !m->medium)
        word = "HIGH", other = true;
    if (e <= EFFORT_MINIMAL && !m->minimal)
        word = "LOW", other = true;
    if (other)
        prompt_drop(p, name_of(p, PARAM_REASONING, "reasoning"));
    out_word(o, "thinkingLevel", word);
}

static void write_budget(struct prompt *p, const struct gemini_model *m, int64_t tokens, struct out *o)
{
    int64_t asked = tokens;
    if (m->thinking == GEMINI_BUDGET && tokens >= 0) {
        if (tokens > m->budget_max)
            tokens = m->budget_max;
        if (tokens < m->budget_min && (tokens != 0 || !m->off))
            tokens = m->budget_min;
    }
    /* The words for depth have no exact number: only a number of the client's is changed. */
    if (tokens != asked && (p->reasoning.budget == asked || asked == 0))
        prompt_drop(p, name_of(p, PARAM_REASONING, "reasoning"));
    out_int(o, "thinkingBudget", tokens);
}

static void write_depth(struct prompt *p, const struct gemini_model *m, struct out *o)
{
    const struct reasoning *r = &p->reasoning;
    bool words = r->effort != EFFORT_UNSET && (r->budget == 0 || m->thinking == GEMINI_LEVEL);
    if (m->thinking == GEMINI_LEVEL || (m->thinking == GEMINI_EITHER && words)) {
        write_level(p, m, r->effort != EFFORT_UNSET || r->budget == 0 ? r->effort : effort_of_budget(r->budget), o);
        return;
    }
    if (r->budget != 0)
        write_budget(p, m, r->budget, o);
    else if (r->effort == EFFORT_MAX)
        write_budget(p, m, -1, o);
    else if (r->effort != EFFORT_UNSET)
        write_budget(p, m, effort_budget(r->effort), o);
    else if (r->adaptive && m->thinking == GEMINI_BUDGET)
        write_budget(p, m, -1, o);
}

static void write_thinking(struct prompt *p, struct out *o)
{
    const struct reasoning *r = &p->reasoning;
    const struct gemini_model *m = gemini_model_of(p->to.model);
    bool asked = (r->effort != EFFORT_UNSET && r->effort != EFFORT_NONE) || r->budget != 0 || r->adaptive;
    if (!asked && r->effort != EFFORT_NONE && r->show != YES)
        return;
    if (m->thinking == GEMINI_NO_THINKING) {
        if (asked || r->show == YES)
            prompt_drop(p, name_of(p, PARAM_REASONING, "reasoning"));
        return;
    }
    struct mark mark = begin(o, "thinkingConfig");
    if (r->effort != EFFORT_NONE && r->show != NO)
        out_bool(o, "includeThoughts", true);
    write_depth(p, m, o);
    end(o, mark);
}

void gemini_write_config(struct prompt *p, struct out *o)
{
    struct mark mark = begin(o, "generationConfig");
    write_max(p, o);
    fields_write(p, gemini_fields, "generationConfig.", o);
    write_stops(p, o);
    write_output(p, o);
    write_thinking(p, o);
    end(o, mark);
}

/* -- the top level -- */

static void write_tier(struct prompt *p, struct out *o)
{
    static const char *const tiers[][2] = {{"flex", "flex"},
                                           {"priority", "priority"},
                                           {"default", "standard"},
                                           {"standard", "standard"},
                                           {"standard_only", "standard"}};
    const struct ccp_json *tier = p->params[PARAM_SERVICE_TIER];
    if (tier == NULL || prompt_is(tier, "auto"))
        return;
    for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++)
        if (prompt_is(tier, tiers[i][0])) {
            out_word(o, "serviceTier", tiers[i][1]);
            return;
        }
    prompt_drop(p, name_of(p, PARAM_SERVICE_TIER, "service_tier"));
}

/* One answer, of text: that is all that deltas can carry. */
static bool check(struct prompt *p)
{
    const struct ccp_json *n = p->params[PARAM_CANDIDATES], *kinds = p->params[PARAM_MODALITIES];
    int64_t count;
    if (n != NULL && (!prompt_int(n, &count) || count > 1))
        return prompt_fail(p, "%s: more than one answer cannot be carried over", name_of(p, PARAM_CANDIDATES, "n"));
    for (const struct ccp_json *m = kinds != NULL ? kinds->child : NULL; m != NULL; m = m->next)
        if (!ccp_span_ieq(ccp_json_inner(m), CCP_SPAN("text")))
            return prompt_fail(p, "%s: only text can be carried over", name_of(p, PARAM_MODALITIES, "modalities"));
    if (p->parallel == NO)
        prompt_drop(p, name_of(p, PARAM_PARALLEL, "parallel_tool_calls"));
    return true;
}

/* A count is asked about the whole request, which names the model once more. */
static void write_model(struct prompt *p, struct out *o)
{
    struct ccp_span model = p->to.model;
    bool full = ccp_span_starts(model, CCP_SPAN("models/")) || ccp_span_starts(model, CCP_SPAN("tunedModels/"));
    struct ccp_span pieces[] = {CCP_SPAN("models/"), model}, name = model;
    if (!full)
        name = CCP_FAULT("gemini.model") ? (struct ccp_span){NULL, 0} : arena_cat(p->a, pieces, 2);
    if (name.p == NULL)
        prompt_no_memory(p);
    else
        out_plain(o, "model", name);
}

bool gemini_prompt_write(struct prompt *p, struct ccp_buf *out)
{
    struct out o = out_of(out);
    if (!check(p))
        return false;
    out_object(&o, NULL);
    if (p->to.count) {
        out_object(&o, "generateContentRequest");
        write_model(p, &o);
    }
    gemini_write_config(p, &o);
    fields_write(p, gemini_fields, "", &o);
    write_tier(p, &o);
    if (!gemini_write_tools(p, &o) || !gemini_write_system(p, &o) || !gemini_write_contents(p, &o))
        return false;
    if (p->to.count)
        out_end(&o, '}');
    out_end(&o, '}');
    return p->status == CCP_OK;
}

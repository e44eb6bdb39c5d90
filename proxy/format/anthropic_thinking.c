/*
 * How deep to think, in the words of the model's generation (wire reference A.7, F.5).
 *
 * A budget is a promise the API checks: it is at least 1024 and leaves room for the answer, no tool may be forced, the
 * last message may not be the assistant's, and the tool step under way must begin with thinking that Anthropic signed.
 * Where one of these does not hold, thinking is off for this request, and that is listed. Adaptive thinking copes with
 * all of them but a forced tool.
 */
#include <format/anthropic.h>
#include <format/schema.h>

#define LEAST_BUDGET 1024

bool anthropic_signed(const struct prompt *p, const struct part *part)
{
    return prompt_proof(p, &part->proof, PROOF_SIGNATURE).n != 0 ||
           prompt_proof(p, &part->proof, PROOF_REDACTED).n != 0;
}

static bool has_result(const struct turn *t)
{
    return t->parts != NULL && t->parts->kind == PART_RESULT;
}

/* The assistant's turn that began the tool step which the last turn continues; NULL when there is none. */
static const struct turn *step_begin(const struct prompt *p)
{
    const struct turn *begin = NULL;
    bool in_step = false;
    for (const struct turn *t = p->turns; t != NULL; t = t->next) {
        if (t->role == ROLE_USER && !has_result(t))
            in_step = false;
        if (t->role == ROLE_ASSISTANT && !in_step) {
            begin = t;
            in_step = true;
        }
        if (t->next == NULL && (t->role != ROLE_USER || !has_result(t)))
            in_step = false;
    }
    return in_step ? begin : NULL;
}

static bool step_is_signed(const struct prompt *p)
{
    const struct turn *t = step_begin(p);
    return t == NULL || (t->parts != NULL && t->parts->kind == PART_THINKING && anthropic_signed(p, t->parts));
}

static const struct turn *last_spoken(const struct prompt *p)
{
    const struct turn *last = NULL;
    for (const struct turn *t = p->turns; t != NULL; t = t->next)
        if (t->role >= ROLE_USER)
            last = t;
    return last;
}

static void note(struct anthropic_writer *w)
{
    const char *name = w->p->param_names[PARAM_REASONING];
    prompt_drop(w->p, name != NULL ? name : "thinking");
}

/* A client's own budget stays what it is as long as it is legal; one made from an effort leaves the answer a quarter of
 * its tokens. 0: the answer is too short to think. */
static int64_t budget_of(struct anthropic_writer *w)
{
    int64_t own = w->p->reasoning.budget, most = w->max_tokens - w->max_tokens / 4;
    int64_t wanted = own > 0 ? own : effort_budget(w->effort != EFFORT_UNSET ? w->effort : EFFORT_MEDIUM);
    int64_t budget = wanted < LEAST_BUDGET ? LEAST_BUDGET : wanted;
    if (budget >= w->max_tokens || (own <= 0 && budget > most))
        budget = most > LEAST_BUDGET ? most : LEAST_BUDGET;
    if (own > 0 && budget != wanted)
        note(w);
    return budget < w->max_tokens ? budget : 0;
}

static bool is_forced(const struct prompt *p)
{
    return p->choice == CHOICE_ANY || p->choice == CHOICE_NAMED;
}

static void decide_budget(struct anthropic_writer *w)
{
    const struct turn *last = last_spoken(w->p);
    bool prefill = last != NULL && last->role == ROLE_ASSISTANT;
    w->budget = prefill || !step_is_signed(w->p) ? 0 : budget_of(w);
    w->thinks = w->budget != 0;
    w->effort = EFFORT_UNSET;
}

static enum effort wanted_effort(const struct anthropic_writer *w)
{
    const struct reasoning *r = &w->p->reasoning;
    enum effort effort = r->effort;
    if (effort == EFFORT_UNSET && r->budget > 0)
        effort = effort_of_budget(r->budget);
    return effort;
}

void anthropic_thinking_decide(struct anthropic_writer *w)
{
    const struct reasoning *r = &w->p->reasoning;
    w->effort = wanted_effort(w);
    if (w->effort == EFFORT_NONE) {
        w->thinks = w->model.always_thinks;
        w->effort = w->thinks ? EFFORT_LOW : EFFORT_UNSET;
        if (w->thinks)
            note(w);
        return;
    }
    w->thinks = w->effort != EFFORT_UNSET || r->budget != 0 || r->adaptive;
    if (!w->thinks)
        return;
    if (w->model.thinking == CLAUDE_BUDGET && !is_forced(w->p))
        decide_budget(w);
    else if (w->model.thinking == CLAUDE_NO_THINKING || is_forced(w->p))
        w->thinks = false;
    if (!w->thinks) {
        note(w);
        if (w->model.thinking != CLAUDE_ADAPTIVE)
            w->effort = EFFORT_UNSET;
    }
}

static void write_display(struct anthropic_writer *w)
{
    enum tri show = w->p->reasoning.show;
    if (show != UNSET && w->model.xhigh)
        out_word(w->o, "display", show == YES ? "summarized" : "omitted");
}

static void write_type(struct anthropic_writer *w, const char *type)
{
    out_object(w->o, "thinking");
    out_word(w->o, "type", type);
    if (w->thinks && w->model.thinking == CLAUDE_ADAPTIVE)
        write_display(w);
    if (w->thinks && w->model.thinking == CLAUDE_BUDGET)
        out_int(w->o, "budget_tokens", w->budget);
    out_end(w->o, '}');
}

void anthropic_thinking_write(struct anthropic_writer *w)
{
    const struct reasoning *r = &w->p->reasoning;
    bool off = !w->thinks && (r->effort != EFFORT_UNSET || r->budget != 0 || r->adaptive);
    if (w->thinks)
        write_type(w, w->model.thinking == CLAUDE_ADAPTIVE ? "adaptive" : "enabled");
    else if (off && w->model.off_by_word && !w->model.always_thinks)
        write_type(w, "disabled");
}

static const char *effort_for(struct anthropic_writer *w)
{
    if (w->effort == EFFORT_MINIMAL)
        return "low";
    if (w->effort == EFFORT_XHIGH && !w->model.xhigh) {
        note(w);
        return "high";
    }
    return effort_word(w->effort);
}

/* A schema that came in this format was made for this API. */
static void write_schema(struct anthropic_writer *w)
{
    const struct output *output = &w->p->output;
    if (output->description.n != 0)
        fields_drop_below(w->p, PARAM_OUTPUT, ".description");
    if (w->p->from == w->p->to.format)
        out_node(w->o, "schema", output->schema);
    else
        schema_write_closed(w->p, w->o, "schema", output->schema, output->openapi);
}

void anthropic_output_config_write(struct anthropic_writer *w)
{
    bool effort = w->effort != EFFORT_UNSET && w->model.thinking == CLAUDE_ADAPTIVE;
    bool format = w->p->output.kind == OUTPUT_SCHEMA && w->model.schema;
    if (!effort && !format)
        return;
    out_object(w->o, "output_config");
    if (effort)
        out_word(w->o, "effort", effort_for(w));
    if (format) {
        out_object(w->o, "format");
        out_word(w->o, "type", "json_schema");
        write_schema(w);
        out_end(w->o, '}');
    }
    out_end(w->o, '}');
}

/*
 * The neutral prompt into a Chat request: everything in front of the messages (wire reference B.2, F.1).
 *
 * First what this target cannot take is lost by name, then the rest is written, always in the same order.
 */
#include <base/fault.h>
#include <format/chat.h>
#include <format/schema.h>

#define STOP_MAX 4
#define USER_MAX 64

/* -- losing -- */

static const char *name_of(const struct prompt *p, enum param param)
{
    return p->param_names[param] != NULL ? p->param_names[param] : fields_find(chat_fields, param)->name;
}

static void lose(struct prompt *p, enum param param)
{
    if (p->params[param] != NULL || p->param_names[param] != NULL)
        prompt_drop(p, name_of(p, param));
    p->params[param] = NULL;
}

/* Reasoning models take these only with the value that they have anyway. */
static void lose_sampling(struct prompt *p)
{
    static const struct {
        enum param param;
        int64_t usual;
    } rules[] = {{PARAM_TEMPERATURE, 1}, {PARAM_TOP_P, 1}, {PARAM_FREQUENCY_PENALTY, 0}, {PARAM_PRESENCE_PENALTY, 0}};
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        int64_t value;
        if (!prompt_int(p->params[rules[i].param], &value) || value != rules[i].usual)
            lose(p, rules[i].param);
    }
    lose(p, PARAM_LOGIT_BIAS);
}

static void lose_vendor_only(struct prompt *p)
{
    static const enum param params[] = {PARAM_VERBOSITY, PARAM_CACHE_KEY, PARAM_CACHE_RETENTION, PARAM_PREDICTION,
                                        PARAM_STORE,     PARAM_METADATA,  PARAM_SERVICE_TIER};
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
        lose(p, params[i]);
}

static void lose_what_is_refused(struct prompt *p, const struct chat_model *m)
{
    if (p->params[PARAM_STORE] != NULL && p->params[PARAM_STORE]->type == CCP_JSON_FALSE) {
        p->params[PARAM_STORE] = NULL; /* what Chat does anyway */
        p->param_names[PARAM_STORE] = NULL;
    }
    if (p->from != CCP_FORMAT_OPENAI_CHAT)
        lose(p, PARAM_STORE);
    if (!prompt_true(p->params[PARAM_STORE]))
        lose(p, PARAM_METADATA);
    if (m->reasons)
        lose_sampling(p);
    if (m->no_stop)
        lose(p, PARAM_STOP);
    if (p->to.compatible)
        lose_vendor_only(p);
    else
        lose(p, PARAM_TOP_K);
    lose(p, PARAM_LOGPROBS);
    lose(p, PARAM_TOP_LOGPROBS);
}

/* The tables say that Chat has these; an answer on its way through cannot. */
static bool check(struct prompt *p)
{
    int64_t n;
    bool one = prompt_int(p->params[PARAM_CANDIDATES], &n) && n == 1;
    if (p->param_names[PARAM_CANDIDATES] != NULL && !one)
        return prompt_fail(p, "%s: more than one answer cannot be carried over to this provider's format",
                           p->param_names[PARAM_CANDIDATES]);
    if (p->param_names[PARAM_MODALITIES] != NULL)
        return prompt_fail(p, "%s: only text can be carried over to this provider's format",
                           p->param_names[PARAM_MODALITIES]);
    return true;
}

/* -- writing -- */

static void write_max_tokens(struct prompt *p, const struct chat_model *m, struct out *o)
{
    const char *key = p->to.compatible && !m->reasons ? "max_tokens" : "max_completion_tokens";
    const struct ccp_json *node = p->params[PARAM_MAX_TOKENS];
    int64_t value;
    if (node == NULL)
        return;
    if (!prompt_int(node, &value)) {
        lose(p, PARAM_MAX_TOKENS);
        return;
    }
    if (value < 1 || (p->to.max_output > 0 && value > p->to.max_output)) {
        prompt_drop(p, name_of(p, PARAM_MAX_TOKENS));
        value = value < 1 ? 1 : p->to.max_output; /* none at all is what only Anthropic can do */
    }
    out_int(o, key, value);
}

static void write_stop(struct prompt *p, struct out *o)
{
    const struct ccp_json *stop = p->params[PARAM_STOP];
    int n = 0;
    for (const struct ccp_json *e = stop != NULL ? stop->child : NULL; e != NULL; e = e->next) {
        if (prompt_ctext(e).n == 0)
            continue;
        if (n++ == 0)
            out_array(o, "stop");
        if (n <= STOP_MAX)
            out_text(o, NULL, prompt_ctext(e));
    }
    if (n != 0)
        out_end(o, ']');
    if (n > STOP_MAX)
        prompt_drop(p, name_of(p, PARAM_STOP));
}

static bool write_user(struct prompt *p, struct out *o)
{
    ctext user = prompt_user(p, USER_MAX);
    if (user.n != 0)
        out_text(o, p->to.compatible ? "user" : "safety_identifier", user);
    return user.p != NULL;
}

static void write_service_tier(struct prompt *p, struct out *o)
{
    static const char *const words[] = {"auto", "default", "flex", "scale", "priority"};
    const struct ccp_json *tier = p->params[PARAM_SERVICE_TIER];
    if (tier == NULL)
        return;
    if (prompt_is(tier, "standard_only") || prompt_is(tier, "standard")) {
        out_word(o, "service_tier", "default");
        return;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (prompt_is(tier, words[i])) {
            out_word(o, "service_tier", words[i]);
            return;
        }
    lose(p, PARAM_SERVICE_TIER);
}

/* Nothing said, nothing sent. Off is not said to a server that may not know the word, nor to a model that never
 * thinks. */
static void write_effort(struct prompt *p, const struct chat_model *m, struct out *o)
{
    enum effort effort = p->reasoning.effort;
    if (effort == EFFORT_UNSET && p->reasoning.budget > 0)
        effort = effort_of_budget(p->reasoning.budget);
    if (effort == EFFORT_UNSET || (m->no_effort && effort == EFFORT_NONE))
        return;
    if (m->no_effort || (p->to.compatible && !m->reasons && effort == EFFORT_NONE)) {
        prompt_drop(p, name_of(p, PARAM_REASONING));
        return;
    }
    enum effort taken = chat_effort(m, effort);
    if (taken != effort)
        prompt_drop(p, name_of(p, PARAM_REASONING));
    out_word(o, "reasoning_effort", effort_word(taken));
}

static bool write_schema(struct prompt *p, struct out *o)
{
    const struct output *output = &p->output;
    ctext name = output->name.n != 0 ? prompt_call_id(p, output->name, 64) : CCP_SPAN("response");
    if (name.p == NULL)
        return false;
    out_object(o, "json_schema");
    out_text(o, "name", name);
    if (output->description.n != 0)
        out_text(o, "description", output->description);
    if (!schema_write(p, o, "schema", output->schema, output->openapi))
        return false;
    if (output->strict != UNSET)
        out_bool(o, "strict", output->strict == YES);
    out_end(o, '}');
    return true;
}

static bool write_output(struct prompt *p, struct out *o)
{
    if (p->output.kind == OUTPUT_TEXT)
        return true;
    out_object(o, "response_format");
    out_word(o, "type", p->output.kind == OUTPUT_SCHEMA ? "json_schema" : "json_object");
    if (p->output.kind == OUTPUT_SCHEMA && !write_schema(p, o))
        return false;
    out_end(o, '}');
    return true;
}

static void write_stream(struct prompt *p, struct out *o)
{
    if (!p->to.stream)
        return;
    out_bool(o, "stream", true);
    out_object(o, "stream_options");
    out_bool(o, "include_usage", true);
    out_end(o, '}');
}

bool chat_prompt_write(struct prompt *p, struct ccp_buf *out)
{
    struct out o = out_of(out);
    struct chat_model m = chat_model_of(p->to.model);
    if (!check(p))
        return false;
    lose_what_is_refused(p, &m);
    out_object(&o, NULL);
    out_plain(&o, "model", p->to.model);
    write_stream(p, &o);
    write_max_tokens(p, &m, &o);
    fields_write(p, chat_fields, "", &o);
    write_stop(p, &o);
    write_service_tier(p, &o);
    write_effort(p, &m, &o);
    if (!write_user(p, &o) || !write_output(p, &o) || !chat_write_tools(p, &m, &o) || !chat_write_messages(p, &m, &o))
        return false;
    out_end(&o, '}');
    return p->status == CCP_OK;
}

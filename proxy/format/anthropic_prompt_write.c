/*
 * Writing a Messages request: parameters, then tools and system text, the conversation last (wire reference A.3).
 *
 * What the API refuses is not sent: sampling on models that have none, more than one of temperature and top_p, values
 * out of range. Each such change is listed under the client's own name of the field.
 */
#include <base/fault.h>
#include <format/anthropic.h>
#include <stdlib.h>

#define MOST_MARKS   4
#define LONGEST_USER 256

static void note(struct prompt *p, enum param param)
{
    const struct field *row = fields_find(anthropic_fields, param);
    prompt_drop(p, p->param_names[param] != NULL ? p->param_names[param] : row->name);
}

static bool number_of(const struct ccp_json *node, double *value)
{
    char text[48];
    if (node == NULL || node->type != CCP_JSON_NUMBER || node->raw.n >= sizeof(text))
        return false;
    memcpy(text, node->raw.p, node->raw.n);
    text[node->raw.n] = '\0';
    *value = strtod(text, NULL);
    return true;
}

/* 1 is what the API takes when nothing is said: leaving it out changes nothing. */
static void leave_out(struct prompt *p, enum param param)
{
    double value = 0;
    if (p->params[param] != NULL && !(number_of(p->params[param], &value) && value == 1))
        note(p, param);
}

static void write_sampling(struct anthropic_writer *w)
{
    struct prompt *p = w->p;
    const struct ccp_json *temperature = p->params[PARAM_TEMPERATURE];
    double value = 0;
    if (!w->model.sampling || w->budget != 0) {
        leave_out(p, PARAM_TEMPERATURE);
        leave_out(p, PARAM_TOP_P);
        if (p->params[PARAM_TOP_K] != NULL)
            note(p, PARAM_TOP_K);
        return;
    }
    if (number_of(temperature, &value) && value > 1) {
        out_int(w->o, "temperature", 1);
        note(p, PARAM_TEMPERATURE);
    } else {
        out_node(w->o, "temperature", temperature);
    }
    if (temperature != NULL && !w->model.sampling_together)
        leave_out(p, PARAM_TOP_P);
    else
        out_node(w->o, "top_p", p->params[PARAM_TOP_P]);
    out_node(w->o, "top_k", p->params[PARAM_TOP_K]);
}

static void write_stop(struct anthropic_writer *w, const struct ccp_json *word, bool *open)
{
    ctext text = prompt_ctext(word);
    if (anthropic_blank(text)) {
        note(w->p, PARAM_STOP);
        return;
    }
    if (!*open)
        out_array(w->o, "stop_sequences");
    *open = true;
    out_text(w->o, NULL, text);
}

static void write_stops(struct anthropic_writer *w)
{
    const struct ccp_json *stop = w->p->params[PARAM_STOP];
    bool open = false;
    if (stop != NULL && stop->type == CCP_JSON_STRING)
        write_stop(w, stop, &open);
    if (stop != NULL && stop->type == CCP_JSON_ARRAY)
        for (const struct ccp_json *e = stop->child; e != NULL; e = e->next)
            write_stop(w, e, &open);
    if (open)
        out_end(w->o, ']');
}

static void write_user(struct anthropic_writer *w)
{
    ctext id = prompt_user(w->p, LONGEST_USER);
    if (id.n == 0)
        return;
    out_object(w->o, "metadata");
    out_text(w->o, "user_id", id);
    out_end(w->o, '}');
}

static void write_tier(struct anthropic_writer *w)
{
    const struct ccp_json *tier = w->p->params[PARAM_SERVICE_TIER];
    if (tier == NULL)
        return;
    bool standard = prompt_is(tier, "standard_only") || prompt_is(tier, "default") || prompt_is(tier, "standard");
    if (!standard && !prompt_is(tier, "auto"))
        note(w->p, PARAM_SERVICE_TIER);
    out_word(w->o, "service_tier", standard ? "standard_only" : "auto");
}

/* A client that names a cache key expects caching without saying where: the API then looks for the place itself. */
static bool wants_automatic_cache(const struct anthropic_writer *w)
{
    return w->p->params[PARAM_CACHE] != NULL || (w->p->param_names[PARAM_CACHE_KEY] != NULL && !w->p->to.compatible);
}

static void write_cache(struct anthropic_writer *w)
{
    if (w->p->params[PARAM_CACHE] != NULL)
        out_node(w->o, "cache_control", w->p->params[PARAM_CACHE]);
    else if (wants_automatic_cache(w))
        out_raw(w->o, "cache_control", CCP_SPAN("{\"type\":\"ephemeral\"}"));
    else if (w->p->param_names[PARAM_CACHE_KEY] != NULL)
        note(w->p, PARAM_CACHE_KEY);
}

static void decide_limit(struct anthropic_writer *w)
{
    int64_t limit = w->p->to.max_output;
    if (!prompt_int(w->p->params[PARAM_MAX_TOKENS], &w->max_tokens)) {
        w->max_tokens = w->model.max_output;
    } else if (limit > 0 && w->max_tokens > limit) {
        w->max_tokens = limit;
        note(w->p, PARAM_MAX_TOKENS);
    }
}

static void write_parameters(struct anthropic_writer *w)
{
    struct out *o = w->o;
    out_plain(o, "model", w->p->to.model);
    if (!w->p->to.count) {
        out_int(o, "max_tokens", w->max_tokens);
        if (w->p->to.stream)
            out_bool(o, "stream", true);
        write_sampling(w);
        write_stops(w);
        write_user(w);
        write_tier(w);
    }
    write_cache(w);
    anthropic_thinking_write(w);
    anthropic_output_config_write(w);
}

/* The API takes four breakpoints: the last ones reach furthest. */
static void decide_marks(struct anthropic_writer *w)
{
    size_t marks = anthropic_marks(w->p), most = MOST_MARKS - wants_automatic_cache(w);
    if (marks > most) {
        w->skip = marks - most;
        prompt_drop(w->p, "cache_control");
    }
}

bool anthropic_prompt_write(struct prompt *p, struct ccp_buf *out)
{
    struct out o = out_of(out);
    struct anthropic_writer w = {.p = p, .o = &o, .model = anthropic_model(&p->to)};
    w.names = (struct name_rule){.max = w.model.name_max};
    decide_limit(&w);
    decide_marks(&w);
    anthropic_thinking_decide(&w);
    out_object(&o, NULL);
    write_parameters(&w);
    if (!anthropic_tools_write(&w) || !anthropic_system_write(&w) || !anthropic_messages_write(&w))
        return false;
    out_end(&o, '}');
    if (out->failed)
        prompt_no_memory(p);
    return p->status == CCP_OK;
}

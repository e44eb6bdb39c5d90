/*
 * Writing a Responses request (wire reference C.1, F.1, F.5). Nothing is ever stored upstream, so reasoning comes back
 * encrypted, and goes up again that way.
 */
#include <base/fault.h>
#include <format/responses.h>
#include <format/schema.h>
#include <wire/json.h>

#define LEAST_OUTPUT 16
#define LONGEST_USER 64

static void drop_param(struct prompt *p, enum param param, const char *otherwise)
{
    prompt_drop(p, p->param_names[param] != NULL ? p->param_names[param] : otherwise);
    p->params[param] = NULL;
}

/* -- parameters -- */

/* 1e3 and 5.0 are whole numbers, too, but not to this API. */
static bool only_digits(struct ccp_span number)
{
    size_t n = 0;
    while (n < number.n && number.p[n] >= '0' && number.p[n] <= '9')
        n++;
    return n == number.n;
}

static bool fit_output(struct prompt *p)
{
    const struct ccp_json *node = p->params[PARAM_MAX_TOKENS];
    int64_t wanted, fits;
    if (node == NULL)
        return true;
    if (!prompt_int(node, &wanted) || wanted < 0)
        return prompt_fail(p, "%s: must be a whole number", p->param_names[PARAM_MAX_TOKENS]);
    fits = wanted < LEAST_OUTPUT ? LEAST_OUTPUT : wanted;
    if (p->to.max_output >= LEAST_OUTPUT && fits > p->to.max_output)
        fits = p->to.max_output;
    if (fits != wanted)
        drop_param(p, PARAM_MAX_TOKENS, "max_output_tokens");
    else if (only_digits(node->raw))
        return true;
    struct ccp_span text =
        CCP_FAULT("responses.output") ? (struct ccp_span){NULL, 0} : arena_printf(p->a, "%lld", (long long)fits);
    p->params[PARAM_MAX_TOKENS] = text.p != NULL ? json_raw(p->a, text) : NULL;
    return p->params[PARAM_MAX_TOKENS] != NULL || prompt_no_memory(p);
}

static bool fit_user(struct prompt *p)
{
    const struct ccp_json *node = p->params[PARAM_USER];
    ctext user = node != NULL ? prompt_user(p, LONGEST_USER) : CCP_SPAN("");
    if (user.n == 0 || user.p == ccp_json_inner(node).p)
        return user.p != NULL;
    p->params[PARAM_USER] = CCP_FAULT("responses.user") ? NULL : json_new_string(p->a, user);
    return p->params[PARAM_USER] != NULL || prompt_no_memory(p);
}

/* A compatible server knows the older name. */
static void write_old_user(struct prompt *p, struct out *o)
{
    out_node(o, "user", p->params[PARAM_USER]);
    p->params[PARAM_USER] = NULL;
    if (p->params[PARAM_CACHE_RETENTION] != NULL)
        drop_param(p, PARAM_CACHE_RETENTION, "prompt_cache_retention");
}

static void write_tier(struct prompt *p, struct out *o)
{
    static const char *const same[] = {"auto", "default", "flex", "priority", "scale"};
    const struct ccp_json *tier = p->params[PARAM_SERVICE_TIER];
    if (tier == NULL)
        return;
    if (prompt_is(tier, "standard_only") || prompt_is(tier, "standard")) {
        out_word(o, "service_tier", "default");
        return;
    }
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        if (prompt_is(tier, same[i])) {
            out_node(o, "service_tier", tier);
            return;
        }
    drop_param(p, PARAM_SERVICE_TIER, "service_tier");
}

/* 1 is what these models do anyway: leaving it out changes nothing. */
static void drop_sampling(struct prompt *p, enum param param, const char *otherwise)
{
    int64_t value;
    if (p->params[param] != NULL && !(prompt_int(p->params[param], &value) && value == 1))
        drop_param(p, param, otherwise);
    p->params[param] = NULL;
}

static bool write_params(struct prompt *p, struct out *o, const struct responses_model *m)
{
    if (m->reasons) {
        drop_sampling(p, PARAM_TEMPERATURE, "temperature");
        drop_sampling(p, PARAM_TOP_P, "top_p");
    }
    if (!fit_output(p) || !fit_user(p))
        return false;
    if (p->to.compatible)
        write_old_user(p, o);
    fields_write(p, responses_fields, "", o);
    write_tier(p, o);
    out_bool(o, "store", false);
    return true;
}

/* -- reasoning -- */

static enum effort wanted_effort(const struct prompt *p)
{
    const struct reasoning *r = &p->reasoning;
    return r->effort == EFFORT_UNSET && r->budget != 0 ? effort_of_budget(r->budget) : r->effort;
}

static bool asked(const struct prompt *p)
{
    const struct reasoning *r = &p->reasoning;
    return r->effort != EFFORT_UNSET || r->budget != 0 || r->adaptive || r->show == YES;
}

static void write_reasoning(struct prompt *p, struct out *o, const struct responses_model *m)
{
    enum effort wanted = wanted_effort(p), effort = responses_effort(m, wanted);
    if (m->plain && asked(p) && wanted != EFFORT_NONE)
        drop_param(p, PARAM_REASONING, "reasoning");
    if (m->plain)
        return;
    if (effort != wanted)
        drop_param(p, PARAM_REASONING, "reasoning.effort");
    if (!p->to.count && !p->to.compatible && effort != EFFORT_NONE && (asked(p) || m->reasons)) {
        out_array(o, "include");
        out_word(o, NULL, "reasoning.encrypted_content");
        out_end(o, ']');
    }
    bool show = p->reasoning.show == YES && effort != EFFORT_NONE;
    if (effort == EFFORT_UNSET && !show)
        return;
    out_object(o, "reasoning");
    if (effort != EFFORT_UNSET)
        out_word(o, "effort", effort_word(effort));
    if (show)
        out_word(o, "summary", "auto");
    out_end(o, '}');
}

/* -- text -- */

static bool legal_name(ctext name)
{
    bool ok = name.n != 0 && name.n <= 64;
    for (size_t i = 0; ok && i < name.n; i++)
        ok = memchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", name.p[i], 64) != NULL;
    return ok;
}

static bool write_schema(struct prompt *p, struct out *o)
{
    const struct output *f = &p->output;
    out_word(o, "type", "json_schema");
    out_text(o, "name", legal_name(f->name) ? f->name : CCP_SPAN("response"));
    if (f->description.n != 0)
        out_text(o, "description", f->description);
    if (!schema_write(p, o, "schema", f->schema, f->openapi))
        return false;
    if (f->strict != UNSET)
        out_bool(o, "strict", f->strict == YES);
    return true;
}

static bool write_text(struct prompt *p, struct out *o, const struct responses_model *m)
{
    if (!m->verbosity && p->params[PARAM_VERBOSITY] != NULL)
        drop_param(p, PARAM_VERBOSITY, "verbosity");
    if (p->output.kind == OUTPUT_TEXT && p->params[PARAM_VERBOSITY] == NULL)
        return true;
    out_object(o, "text");
    if (p->output.kind != OUTPUT_TEXT) {
        out_object(o, "format");
        if (p->output.kind == OUTPUT_JSON)
            out_word(o, "type", "json_object");
        else if (!write_schema(p, o))
            return false;
        out_end(o, '}');
    }
    fields_write(p, responses_fields, "text.", o);
    out_end(o, '}');
    return true;
}

/* What another format has under these parameters has no place here, whatever our own table says of its own members. */
static bool check(struct prompt *p)
{
    if (p->param_names[PARAM_STORED] != NULL)
        return prompt_fail(p, "%s: what is stored at one provider cannot be used at another",
                           p->param_names[PARAM_STORED]);
    if (p->param_names[PARAM_BACKGROUND] != NULL)
        return prompt_fail(p, "%s: background runs cannot be carried over", p->param_names[PARAM_BACKGROUND]);
    if (p->param_names[PARAM_HINT] != NULL)
        prompt_drop(p, p->param_names[PARAM_HINT]);
    if (prompt_true(p->params[PARAM_STORE]))
        drop_param(p, PARAM_STORE, "store");
    return true;
}

bool responses_prompt_write(struct prompt *p, struct ccp_buf *out)
{
    const struct responses_model *m = responses_model(p->to.model);
    struct out o = out_of(out);
    if (!check(p))
        return false;
    out_object(&o, NULL);
    out_plain(&o, "model", p->to.model);
    if (p->to.stream && !p->to.count)
        out_bool(&o, "stream", true);
    if (!p->to.count && !write_params(p, &o, m))
        return false;
    write_reasoning(p, &o, m);
    if (!write_text(p, &o, m) || !responses_tools_write(p, &o) || !responses_input_write(p, &o))
        return false;
    out_end(&o, '}');
    return p->status == CCP_OK && (!out->failed || prompt_no_memory(p));
}

/*
 * Tools and the choice among them, as Gemini takes them (wire reference D.5, F.3).
 *
 * Schemas go as parametersJsonSchema, which takes all of JSON Schema; a schema that came from Gemini's own subset goes
 * back as it was. A choice is only legal beside functions, and a hosted tool cannot be forced.
 */
#include <format/fields.h>
#include <format/gemini.h>
#include <format/tools.h>

/* *callable: those of them that the choice allows. */
static bool count_functions(struct prompt *p, size_t *n, size_t *callable)
{
    struct map allowed;
    *n = *callable = 0;
    if (!tools_allowed_init(p, &allowed))
        return false;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        *n += tool_is_function(t);
        *callable += tool_is_function(t) && tool_allowed(p, &allowed, t);
    }
    return true;
}

static bool write_name(struct prompt *p, struct out *o, const char *key, ctext space, ctext client, bool custom)
{
    ctext name = names_wire(p->names, &gemini_name_rule, space, client, custom);
    if (name.p == NULL)
        return prompt_no_memory(p);
    out_text(o, key, name);
    return true;
}

static bool write_function(struct prompt *p, const struct tool *t, struct out *o)
{
    out_object(o, NULL);
    if (!write_name(p, o, "name", t->space, t->name, t->kind == TOOL_CUSTOM))
        return false;
    ctext description = t->kind == TOOL_CUSTOM ? tool_free_text(p, t) : t->description;
    if (description.n != 0)
        out_text(o, "description", description);
    if (t->kind == TOOL_CUSTOM)
        out_raw(o, "parametersJsonSchema", TOOL_FREE_TEXT_SCHEMA);
    else
        out_node(o, t->openapi ? "parameters" : "parametersJsonSchema", t->schema);
    out_end(o, '}');
    prompt_drop_mark(p, t->cache);
    return true;
}

static void drop_tool(struct prompt *p, const struct tool *t)
{
    prompt_drop_span(p, t->name.n != 0 ? t->name : CCP_SPAN("tools"));
}

/* Web search, and what came from a Gemini client, run at Google; the rest runs nowhere. Beside functions only later
 * models take them, and the choice NONE does not hold for them. */
static bool keeps(const struct prompt *p, const struct tool *t, bool beside)
{
    bool known = t->kind == TOOL_WEB_SEARCH || p->from == CCP_FORMAT_GEMINI;
    return known && p->choice != CHOICE_NONE && (!beside || gemini_model_of(p->to.model)->mixes_tools);
}

static void write_hosted(struct prompt *p, struct out *o, bool beside)
{
    bool searches = false;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (tool_is_function(t))
            continue;
        if (!keeps(p, t, beside)) {
            drop_tool(p, t);
            continue;
        }
        if (t->kind == TOOL_WEB_SEARCH && searches)
            continue;
        searches = searches || t->kind == TOOL_WEB_SEARCH;
        out_object(o, NULL);
        if (p->from == CCP_FORMAT_GEMINI) {
            out_text(o, NULL, t->node->key); /* the client's own text */
            buf_add(o->b, CCP_SPAN(":"));
            buf_add(o->b, t->node->raw);
        } else {
            static const char *const kept[] = {"type", "name", "cache_control", NULL};
            tool_search_drop(p, t, kept); /* it takes none of the others' options */
            out_raw(o, "googleSearch", CCP_SPAN("{}"));
        }
        out_end(o, '}');
    }
}

static bool write_allowed(struct prompt *p, struct out *o)
{
    const struct tool *chosen = p->choice == CHOICE_NAMED ? tool_chosen(p) : NULL;
    struct map allowed;
    if (p->choice != CHOICE_NAMED && p->allowed.n == 0)
        return true;
    if (!tools_allowed_init(p, &allowed))
        return false;
    out_array(o, "allowedFunctionNames");
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        bool named = tool_is_function(t) && (chosen != NULL ? t == chosen : tool_allowed(p, &allowed, t));
        if (named && !write_name(p, o, NULL, t->space, t->name, t->kind == TOOL_CUSTOM))
            return false;
    }
    out_end(o, ']');
    return true;
}

/* Valid arguments are promised for all functions or none. */
static bool all_strict(struct prompt *p)
{
    bool all = true, any = false;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        all = all && t->kind != TOOL_CUSTOM && (t->kind != TOOL_FUNCTION || t->strict == YES);
        any = any || t->strict == YES;
    }
    if (any && (p->to.compatible || !all))
        prompt_drop(p, "strict");
    return all && !p->to.compatible;
}

/* AUTO takes no list of names; VALIDATED is AUTO with one. */
static const char *mode(struct prompt *p, size_t callable)
{
    if (callable == 0)
        return "NONE";
    if (p->choice == CHOICE_ANY || p->choice == CHOICE_NAMED)
        return "ANY";
    if (p->choice == CHOICE_NONE)
        return "NONE";
    if (p->allowed.n != 0 || all_strict(p))
        return "VALIDATED";
    return p->choice == CHOICE_AUTO ? "AUTO" : NULL;
}

/* A choice that cannot be kept must not be forgotten. */
static bool check_choice(struct prompt *p, size_t n)
{
    if (p->choice == CHOICE_ANY && n == 0) /* n: functions that may be called */
        return prompt_fail(p, "%s: there is no function that could be called",
                           p->param_names[PARAM_TOOL_CHOICE] != NULL ? p->param_names[PARAM_TOOL_CHOICE]
                                                                     : "tool_choice");
    const struct tool *chosen = p->choice == CHOICE_NAMED ? tool_chosen(p) : NULL;
    return p->choice != CHOICE_NAMED || (chosen != NULL && tool_is_function(chosen)) ||
           prompt_fail(p, "%s: \"%.*s\" is no function that could be called",
                       p->param_names[PARAM_TOOL_CHOICE] != NULL ? p->param_names[PARAM_TOOL_CHOICE] : "tool_choice",
                       CCP_FMT(p->choice_name));
}

static bool write_choice(struct prompt *p, struct out *o, size_t callable)
{
    const char *word = mode(p, callable);
    if (word == NULL)
        return true;
    out_object(o, "toolConfig");
    out_object(o, "functionCallingConfig");
    out_word(o, "mode", word);
    if (p->choice != CHOICE_NONE && callable != 0 && !write_allowed(p, o))
        return false;
    out_end(o, '}');
    out_end(o, '}');
    return true;
}

bool gemini_write_tools(struct prompt *p, struct out *o)
{
    size_t n, callable, start = o->b->n;
    bool comma = o->comma;
    if (!count_functions(p, &n, &callable) || !check_choice(p, callable))
        return false;
    out_array(o, "tools");
    size_t inside = o->b->n;
    if (n != 0) {
        out_object(o, NULL);
        out_array(o, "functionDeclarations");
        for (const struct tool *t = p->tools; t != NULL; t = t->next)
            if (tool_is_function(t) && !write_function(p, t, o))
                return false;
        out_end(o, ']');
        out_end(o, '}');
    }
    write_hosted(p, o, n != 0);
    if (o->b->n == inside) {
        o->b->n = start;
        o->comma = comma;
        return true;
    }
    out_end(o, ']');
    return n == 0 || write_choice(p, o, callable);
}

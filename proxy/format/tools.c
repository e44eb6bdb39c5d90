/*
 * See tools.h.
 */
#include <base/fault.h>
#include <format/fields.h>
#include <format/tools.h>

/* -- definitions -- */

static bool same_text(const struct ccp_json *a, const struct ccp_json *b)
{
    return a == b || (a != NULL && b != NULL && ccp_span_eq(a->raw, b->raw));
}

static bool same_tool(const struct tool *a, const struct tool *b)
{
    return a->kind == b->kind && ccp_span_eq(a->description, b->description) && same_text(a->schema, b->schema);
}

/* Space and name in one; a quote cannot stand in a ctext bare. */
static struct ccp_span key_of(struct prompt *p, const struct tool *t)
{
    struct ccp_span pieces[] = {t->space, CCP_SPAN("\""), t->name};
    if (t->space.n == 0)
        return t->name;
    return CCP_FAULT("tools.key") ? (struct ccp_span){NULL, 0} : arena_cat(p->a, pieces, 3);
}

bool tools_settle(struct prompt *p)
{
    struct map seen;
    map_init(&seen, p->a);
    p->last_tool = NULL;
    for (struct tool **link = &p->tools; *link != NULL;) {
        struct tool *t = *link;
        struct ccp_span key = key_of(p, t);
        if (key.p == NULL)
            return prompt_no_memory(p);
        const struct tool *before = tool_is_function(t) ? map_get(&seen, key) : NULL;
        if (before != NULL) {
            if (!same_tool(before, t))
                prompt_drop(p, "tools");
            *link = t->next;
            continue;
        }
        if (tool_is_function(t) && !map_put(&seen, key, t))
            return prompt_no_memory(p);
        p->last_tool = t;
        link = &t->next;
    }
    return p->status == CCP_OK;
}

/* -- choice -- */

const struct tool *tool_chosen(const struct prompt *p)
{
    const struct tool *in_space = NULL;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (!ccp_span_eq(t->name, p->choice_name))
            continue;
        if (ccp_span_eq(t->space, p->choice_space))
            return t;
        if (p->choice_space.n == 0 && in_space == NULL)
            in_space = t;
    }
    return in_space;
}

bool tools_allowed_init(struct prompt *p, struct map *names)
{
    map_init(names, p->a);
    for (size_t i = 0; i < p->allowed.n; i++)
        if (!map_put(names, p->allowed.v[i], p))
            return prompt_no_memory(p);
    return true;
}

/* -- free text -- */

/* Responses spells a grammar flat, Chat nests it. */
static const struct ccp_json *grammar_of(const struct tool *t)
{
    const struct ccp_json *custom = ccp_json_get(t->node, "custom");
    const struct ccp_json *format = ccp_json_get(custom != NULL ? custom : t->node, "format");
    const struct ccp_json *nested = ccp_json_get(format, "grammar");
    return nested != NULL ? nested : format;
}

ctext tool_free_text(struct prompt *p, const struct tool *t)
{
    const struct ccp_json *grammar = grammar_of(t);
    ctext definition = ccp_json_inner(ccp_json_get(grammar, "definition"));
    if (definition.n == 0)
        return t->description;
    prompt_drop(p, "tools.format");
    struct ccp_span pieces[] = {t->description,
                                t->description.n != 0 ? CCP_SPAN("\\n\\n") : CCP_SPAN(""),
                                CCP_SPAN("The input must match this "),
                                ccp_json_inner(ccp_json_get(grammar, "syntax")),
                                CCP_SPAN(" grammar:\\n"),
                                definition};
    ctext text = CCP_FAULT("tools.grammar") ? (ctext){NULL, 0} : arena_cat(p->a, pieces, 6);
    if (text.p == NULL)
        prompt_no_memory(p);
    return text;
}

/* -- web search -- */

void tool_search_drop(struct prompt *p, const struct tool *t, const char *const *kept)
{
    const char *known[16] = {"external_web_access"}; /* true is what search means everywhere */
    size_t n = prompt_true(ccp_json_get(t->node, known[0])) ? 1 : 0;
    for (known[n] = NULL; *kept != NULL && n < 15; n++)
        known[n] = *kept++;
    known[n] = NULL;
    fields_drop_rest(p, t->node, ccp_span_is(t->name, "web_search_options") ? "web_search_options." : "tools.", known);
}

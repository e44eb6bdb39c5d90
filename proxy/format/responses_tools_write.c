/*
 * Writing the tools of a Responses request and the choice among them (wire reference C.3, F.3).
 */
#include <format/names.h>
#include <format/responses.h>
#include <format/schema.h>
#include <format/tools.h>

static const struct name_rule rule = {.max = 64};

ctext responses_tool_name(struct prompt *p, ctext space, ctext name)
{
    ctext wire = names_wire(p->names, &rule, space, name, false);
    if (wire.p == NULL)
        prompt_no_memory(p);
    return wire;
}

/* Only this format's own clients know its other hosted tools. */
static bool native(const struct prompt *p)
{
    return p->from == CCP_FORMAT_OPENAI_RESPONSES;
}

/* -- definitions -- */

static bool write_head(struct prompt *p, struct out *o, const struct tool *t, const char *type)
{
    ctext name = responses_tool_name(p, t->space, t->name);
    if (name.p == NULL)
        return false;
    out_word(o, "type", type);
    out_text(o, "name", name);
    if (t->description.n != 0)
        out_text(o, "description", t->description);
    return true;
}

static bool write_function(struct prompt *p, struct out *o, const struct tool *t)
{
    if (!write_head(p, o, t, "function") || !schema_write(p, o, "parameters", t->schema, t->openapi))
        return false;
    if (t->strict != UNSET || !native(p)) /* the default is true, which foreign schemas do not stand */
        out_bool(o, "strict", t->strict == YES);
    return true;
}

/* Chat nests what is flat here: {"type":"grammar","grammar":{"syntax","definition"}}. */
static void write_format(struct out *o, const struct ccp_json *node)
{
    const struct ccp_json *custom = ccp_json_get(node, "custom");
    const struct ccp_json *format = ccp_json_get(custom != NULL ? custom : node, "format");
    const struct ccp_json *grammar = ccp_json_get(format, "grammar");
    if (grammar == NULL || grammar->type != CCP_JSON_OBJECT) {
        if (format != NULL && format->type == CCP_JSON_OBJECT)
            out_node(o, "format", format);
        return;
    }
    out_object(o, "format");
    out_word(o, "type", "grammar");
    out_node(o, "syntax", ccp_json_get(grammar, "syntax"));
    out_node(o, "definition", ccp_json_get(grammar, "definition"));
    out_end(o, '}');
}

/* Each vendor says the same of a search with slightly other words. */
static void write_search(struct prompt *p, struct out *o, const struct tool *t)
{
    static const char *const kept[] = {"type",          "name",    "allowed_domains",     "cache_control",
                                       "user_location", "filters", "search_context_size", NULL};
    const struct ccp_json *filters = ccp_json_get(t->node, "filters"), *place = ccp_json_get(t->node, "user_location");
    const struct ccp_json *domains = ccp_json_get(t->node, "allowed_domains");
    const struct ccp_json *nested = ccp_json_get(place, "approximate");
    tool_search_drop(p, t, kept);
    out_word(o, "type", "web_search");
    if (filters != NULL && filters->type == CCP_JSON_OBJECT) {
        out_node(o, "filters", filters);
    } else if (domains != NULL && domains->type == CCP_JSON_ARRAY && domains->count != 0) {
        out_object(o, "filters");
        out_node(o, "allowed_domains", domains);
        out_end(o, '}');
    }
    out_node(o, "search_context_size", ccp_json_get(t->node, "search_context_size"));
    if (nested != NULL && nested->type == CCP_JSON_OBJECT) {
        out_object(o, "user_location");
        out_word(o, "type", "approximate");
        for (const struct ccp_json *m = nested->child; m != NULL; m = m->next) {
            out_text(o, NULL, m->key);
            buf_add(o->b, CCP_SPAN(":"));
            buf_add(o->b, m->raw);
        }
        out_end(o, '}');
    } else if (place != NULL && place->type == CCP_JSON_OBJECT) {
        out_node(o, "user_location", place);
    }
}

static bool write_tool(struct prompt *p, struct out *o, const struct tool *t)
{
    bool ok = true;
    if (t->kind == TOOL_HOSTED || (t->kind == TOOL_WEB_SEARCH && native(p))) {
        out_node(o, NULL, t->node);
        return true;
    }
    out_object(o, NULL);
    if (t->kind == TOOL_FUNCTION)
        ok = write_function(p, o, t);
    else if (t->kind == TOOL_WEB_SEARCH)
        write_search(p, o, t);
    else if ((ok = write_head(p, o, t, "custom")))
        write_format(o, t->node);
    out_end(o, '}');
    return ok;
}

/* -- choice -- */

static bool usable(const struct prompt *p, const struct tool *t)
{
    return t->kind != TOOL_HOSTED || native(p);
}

/* {"type":"function","name":...} and its like. `t` NULL: a name that no definition has. */
static bool write_chosen(struct prompt *p, struct out *o, const char *key, const struct tool *t, ctext space,
                         ctext name)
{
    out_object(o, key);
    if (t != NULL && t->kind >= TOOL_WEB_SEARCH) {
        out_text(o, "type", native(p) ? prompt_ctext(ccp_json_get(t->node, "type")) : t->name);
    } else {
        ctext wire = responses_tool_name(p, t != NULL ? t->space : space, name);
        if (wire.p == NULL)
            return false;
        out_word(o, "type", t != NULL && t->kind == TOOL_CUSTOM ? "custom" : "function");
        out_text(o, "name", wire);
    }
    out_end(o, '}');
    return true;
}

static bool write_named(struct prompt *p, struct out *o)
{
    const struct tool *t = tool_chosen(p);
    if (t != NULL && !usable(p, t))
        return prompt_fail(p, "tool_choice: this provider has no hosted tool %.*s", CCP_FMT(t->name));
    return write_chosen(p, o, "tool_choice", t, p->choice_space, p->choice_name);
}

static bool write_allowed(struct prompt *p, struct out *o, const struct map *allowed)
{
    out_object(o, "tool_choice");
    out_word(o, "type", "allowed_tools");
    out_word(o, "mode", p->choice == CHOICE_ANY ? "required" : "auto");
    out_array(o, "tools");
    for (const struct tool *t = p->tools; t != NULL; t = t->next)
        if (usable(p, t) && tool_allowed(p, allowed, t) && !write_chosen(p, o, NULL, t, t->space, t->name))
            return false;
    out_end(o, ']');
    out_end(o, '}');
    return true;
}

static size_t callable(const struct prompt *p, const struct map *allowed)
{
    size_t n = 0;
    for (const struct tool *t = p->tools; t != NULL; t = t->next)
        n += usable(p, t) && tool_allowed(p, allowed, t);
    return n;
}

static bool write_choice(struct prompt *p, struct out *o)
{
    static const char *const words[] = {[CHOICE_AUTO] = "auto", [CHOICE_ANY] = "required", [CHOICE_NONE] = "none"};
    if (p->choice == CHOICE_NAMED)
        return write_named(p, o);
    struct map allowed;
    if (!tools_allowed_init(p, &allowed))
        return false;
    size_t n = callable(p, &allowed);
    if (n == 0 && p->choice == CHOICE_ANY)
        return prompt_fail(p, "tool_choice: there is no tool that this provider could call");
    if (n != 0 && p->allowed.n != 0 && p->choice != CHOICE_NONE)
        return write_allowed(p, o, &allowed);
    if (n == 0 || p->choice != CHOICE_UNSET)
        out_word(o, "tool_choice", n == 0 ? "none" : words[p->choice]);
    return true;
}

bool responses_tools_write(struct prompt *p, struct out *o)
{
    size_t n = 0;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (!usable(p, t))
            prompt_drop_span(p, t->name);
        else if (n++ == 0)
            out_array(o, "tools");
        if (usable(p, t) && !write_tool(p, o, t))
            return false;
    }
    if (n != 0)
        out_end(o, ']');
    if (n == 0 && (p->choice == CHOICE_NAMED || p->choice == CHOICE_ANY))
        return prompt_fail(p, "tool_choice: there is no tool that this provider could call");
    if (n == 0)
        return true;
    if (p->parallel != UNSET)
        out_bool(o, "parallel_tool_calls", p->parallel == YES);
    return write_choice(p, o);
}

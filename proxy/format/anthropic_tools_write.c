/*
 * Writing the tool choice and tool definitions (wire reference A.6, F.3).
 *
 * The history may call tools that the request no longer defines; the API then wants definitions all the same. They are
 * made up from the names, and none of them may be called.
 */
#include <format/anthropic.h>
#include <format/schema.h>
#include <format/tools.h>

#define MOST_STRICT 20 /* strict tools in one request */

/* Tools that stay out: not among those allowed, or run at another provider. */
struct selection {
    struct map allowed;
    size_t left;
    bool chosen; /* the tool that tool_choice names is among them */
};

static bool same_format(const struct prompt *p)
{
    return p->from == p->to.format;
}

static bool stays(const struct anthropic_writer *w, const struct selection *s, const struct tool *tool)
{
    if (!tool_allowed(w->p, &s->allowed, tool))
        return false;
    if (tool->kind == TOOL_HOSTED)
        return same_format(w->p);
    return tool->kind != TOOL_WEB_SEARCH || w->model.vendor || same_format(w->p);
}

/* Names are given in the order of definition, so that the choice of this one request does not change them. */
static bool give_name(struct anthropic_writer *w, const struct tool *tool)
{
    return names_wire(w->p->names, &w->names, tool->space, tool->name, tool->kind == TOOL_CUSTOM).p != NULL ||
           prompt_no_memory(w->p);
}

/* The search that runs at the provider has a fixed name, which no function can have beside it. */
static bool reserve_search(struct anthropic_writer *w, const struct selection *s)
{
    for (const struct tool *tool = w->p->tools; !same_format(w->p) && tool != NULL; tool = tool->next)
        if (tool->kind == TOOL_WEB_SEARCH && stays(w, s, tool))
            return names_reserve(w->p->names, CCP_SPAN("web_search")) || prompt_no_memory(w->p);
    return true;
}

static bool select_tools(struct anthropic_writer *w, struct selection *s)
{
    struct prompt *p = w->p;
    const struct tool *chosen = p->choice == CHOICE_NAMED ? tool_chosen(p) : NULL;
    *s = (struct selection){.left = 0};
    if (!tools_allowed_init(p, &s->allowed) || !reserve_search(w, s))
        return false;
    for (const struct tool *tool = p->tools; tool != NULL; tool = tool->next) {
        bool in = stays(w, s, tool);
        s->left += in;
        s->chosen = s->chosen || (in && tool == chosen);
        if (in && tool->kind < TOOL_WEB_SEARCH && !give_name(w, tool))
            return false;
        if (!in && tool->kind >= TOOL_WEB_SEARCH)
            prompt_drop_span(p, tool->name.n != 0 ? tool->name : CCP_SPAN("tools"));
    }
    if (p->choice == CHOICE_NAMED && !s->chosen)
        return prompt_fail(p, "tool_choice: the tool it names is not defined, or cannot be carried over");
    if (p->choice == CHOICE_ANY && s->left == 0)
        return prompt_fail(p, "tool_choice: there is no tool left that could be called");
    return true;
}

/* -- choice -- */

static bool write_choice_name(struct anthropic_writer *w)
{
    struct prompt *p = w->p;
    const struct tool *tool = tool_chosen(p); /* there is one: select_tools has looked */
    ctext name = tool->kind == TOOL_WEB_SEARCH
                     ? CCP_SPAN("web_search")
                     : names_wire(p->names, &w->names, tool->space, tool->name, tool->kind == TOOL_CUSTOM);
    if (name.p == NULL)
        return prompt_no_memory(p);
    out_text(w->o, "name", name);
    return true;
}

static bool write_choice(struct anthropic_writer *w)
{
    static const char *const words[] = {[CHOICE_UNSET] = "auto",
                                        [CHOICE_AUTO] = "auto",
                                        [CHOICE_ANY] = "any",
                                        [CHOICE_NAMED] = "tool",
                                        [CHOICE_NONE] = "none"};
    struct prompt *p = w->p;
    if (p->choice == CHOICE_UNSET && p->parallel != NO)
        return true;
    out_object(w->o, "tool_choice");
    out_word(w->o, "type", words[p->choice]);
    if (p->choice == CHOICE_NAMED && !write_choice_name(w))
        return false;
    if (p->parallel == NO && p->choice != CHOICE_NONE)
        out_bool(w->o, "disable_parallel_tool_use", true);
    out_end(w->o, '}');
    return true;
}

/* -- definitions -- */

/* The API insists on "type":"object" at the top. */
static bool write_open_schema(struct anthropic_writer *w, const struct tool *tool)
{
    const struct ccp_json *schema = tool->schema;
    bool bare = schema != NULL && schema->type == CCP_JSON_OBJECT && ccp_json_get(schema, "type") == NULL;
    if (!bare || tool->openapi)
        return schema_write(w->p, w->o, "input_schema", schema, tool->openapi);
    if (schema->child == NULL)
        return schema_write(w->p, w->o, "input_schema", NULL, false);
    struct ccp_span members = ccp_span_skip(schema->raw, 1);
    out_raw(w->o, "input_schema", CCP_SPAN("{\"type\":\"object\","));
    return buf_add(w->o->b, members) || prompt_no_memory(w->p);
}

static bool is_strict(struct anthropic_writer *w, const struct tool *tool)
{
    if (tool->strict != YES)
        return false;
    if (w->model.schema && w->strict_tools < MOST_STRICT) {
        w->strict_tools++;
        return true;
    }
    prompt_drop(w->p, "strict");
    return false;
}

static bool write_function(struct anthropic_writer *w, const struct tool *tool)
{
    bool custom = tool->kind == TOOL_CUSTOM, strict = !custom && is_strict(w, tool);
    ctext name = names_wire(w->p->names, &w->names, tool->space, tool->name, custom);
    if (name.p == NULL)
        return prompt_no_memory(w->p);
    ctext description = custom ? tool_free_text(w->p, tool) : tool->description;
    out_object(w->o, NULL);
    out_text(w->o, "name", name);
    if (description.n != 0)
        out_text(w->o, "description", description);
    if (custom)
        out_raw(w->o, "input_schema", TOOL_FREE_TEXT_SCHEMA);
    else if (!(strict ? schema_write_closed(w->p, w->o, "input_schema", tool->schema, tool->openapi)
                      : write_open_schema(w, tool)))
        return false;
    if (strict)
        out_bool(w->o, "strict", true);
    if (tool->cache)
        anthropic_mark_write(w, tool->node);
    out_end(w->o, '}');
    return true;
}

static bool is_array(const struct ccp_json *node)
{
    return node != NULL && node->type == CCP_JSON_ARRAY && node->child != NULL;
}

/* "user_location": {"type":"approximate","city":...}; Chat has a level more. */
static void write_place(struct anthropic_writer *w, const struct ccp_json *place)
{
    const struct ccp_json *inner = ccp_json_get(place, "approximate"), *from = inner != NULL ? inner : place;
    static const char *const names[] = {"city", "region", "country", "timezone"};
    if (place == NULL || place->type != CCP_JSON_OBJECT)
        return;
    out_object(w->o, "user_location");
    out_word(w->o, "type", "approximate");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct ccp_json *m = ccp_json_get(from, names[i]);
        if (m != NULL && m->type == CCP_JSON_STRING)
            out_node(w->o, names[i], m);
    }
    out_end(w->o, '}');
}

/* Where and which domains is what other formats say, too. Domains are allowed or blocked, not both. */
static void write_web_search(struct anthropic_writer *w, const struct tool *tool)
{
    static const char *const kept[] = {"type", "name", "filters", "user_location", "excludeDomains", NULL};
    static const char *const allowing[] = {"allowed_domains", NULL}, *const blocking[] = {"blocked_domains", NULL};
    const struct ccp_json *filters = ccp_json_get(tool->node, "filters");
    const struct ccp_json *domains = ccp_json_get(filters, "allowed_domains");
    const struct ccp_json *blocked = ccp_json_get(filters, "blocked_domains");
    if (blocked == NULL)
        blocked = ccp_json_get(tool->node, "excludeDomains");
    tool_search_drop(w->p, tool, kept);
    fields_drop_rest(w->p, filters, "tools.filters.", is_array(domains) ? allowing : blocking);
    out_object(w->o, NULL);
    out_word(w->o, "type", "web_search_20250305");
    out_word(w->o, "name", "web_search");
    if (is_array(domains))
        out_node(w->o, "allowed_domains", domains);
    else if (is_array(blocked))
        out_node(w->o, "blocked_domains", blocked);
    write_place(w, ccp_json_get(tool->node, "user_location"));
    out_end(w->o, '}');
}

static bool write_tool(struct anthropic_writer *w, const struct tool *tool)
{
    if (same_format(w->p) && tool->node != NULL) {
        w->marks += tool->cache;
        out_node(w->o, NULL, tool->node);
        return true;
    }
    if (tool->kind != TOOL_WEB_SEARCH)
        return write_function(w, tool);
    write_web_search(w, tool);
    return true;
}

/* -- definitions of what was called -- */

static bool note_called(struct anthropic_writer *w, struct map *seen, const struct part *call)
{
    ctext name = names_wire(w->p->names, &w->names, call->space, call->name, call->custom);
    if (name.p == NULL)
        return prompt_no_memory(w->p);
    if (map_get(seen, name) != NULL)
        return true;
    if (seen->n == 0)
        out_array(w->o, "tools");
    out_object(w->o, NULL);
    out_text(w->o, "name", name);
    out_raw(w->o, "input_schema", CCP_SPAN("{\"type\":\"object\"}"));
    out_end(w->o, '}');
    return map_put(seen, name, w) || prompt_no_memory(w->p);
}

static bool has_call(const struct prompt *p)
{
    for (const struct turn *t = p->turns; t != NULL; t = t->next)
        for (const struct part *part = t->parts; part != NULL; part = part->next)
            if (part->kind == PART_CALL)
                return true;
    return false;
}

static bool write_called(struct anthropic_writer *w)
{
    struct map seen;
    if (!w->model.vendor || same_format(w->p) || !has_call(w->p))
        return true;
    map_init(&seen, w->p->a);
    out_raw(w->o, "tool_choice", CCP_SPAN("{\"type\":\"none\"}"));
    for (const struct turn *t = w->p->turns; t != NULL; t = t->next)
        for (const struct part *part = t->parts; part != NULL; part = part->next)
            if (part->kind == PART_CALL && !note_called(w, &seen, part))
                return false;
    out_end(w->o, ']');
    return true;
}

bool anthropic_tools_write(struct anthropic_writer *w)
{
    struct selection s;
    if (!select_tools(w, &s))
        return false;
    if (s.left == 0)
        return write_called(w);
    if (!write_choice(w))
        return false;
    out_array(w->o, "tools");
    for (const struct tool *tool = w->p->tools; tool != NULL; tool = tool->next)
        if (stays(w, &s, tool) && !write_tool(w, tool))
            return false;
    out_end(w->o, ']');
    return true;
}

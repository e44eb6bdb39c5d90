/*
 * Tools and tool choice into a Chat request (wire reference B.4, F.3).
 *
 * Free-text tools are OpenAI's own; a compatible server gets them as functions with one string, and the names remember
 * it. Of hosted tools there is web search alone, and only on the models made for it.
 */
#include <base/fault.h>
#include <format/chat.h>
#include <format/schema.h>

const struct name_rule chat_names = {.max = 64};

static bool callable(const struct tool *t)
{
    return t->kind == TOOL_FUNCTION || t->kind == TOOL_CUSTOM;
}

static ctext wire_name(struct prompt *p, ctext space, ctext name, bool custom)
{
    ctext wire = names_wire(p->names, &chat_names, space, name, custom && p->to.compatible);
    if (wire.p == NULL)
        prompt_no_memory(p);
    return wire;
}

/* -- definitions -- */

/* Chat nests what Responses spells flat. */
static void write_format(struct out *o, const struct ccp_json *format)
{
    if (format == NULL || chat_get(format, "definition") == NULL) {
        out_node(o, "format", format);
        return;
    }
    out_object(o, "format");
    out_word(o, "type", "grammar");
    out_object(o, "grammar");
    out_node(o, "definition", chat_get(format, "definition"));
    out_node(o, "syntax", chat_get(format, "syntax"));
    out_end(o, '}');
    out_end(o, '}');
}

static const struct ccp_json *format_of_tool(const struct tool *t)
{
    const struct ccp_json *body = chat_get(t->node, "custom");
    return chat_get(body != NULL ? body : t->node, "format");
}

/* Ends the tool's objects. */
static void close_tool(struct out *o)
{
    out_end(o, '}');
    out_end(o, '}');
}

static bool open_tool(struct prompt *p, struct out *o, const struct tool *t, const char *type)
{
    ctext name = wire_name(p, t->space, t->name, t->kind == TOOL_CUSTOM);
    if (name.p == NULL)
        return false;
    out_object(o, NULL);
    out_word(o, "type", type);
    out_object(o, type);
    out_text(o, "name", name);
    if (t->description.n != 0)
        out_text(o, "description", t->description);
    return true;
}

static bool write_custom(struct prompt *p, struct out *o, const struct tool *t)
{
    const struct ccp_json *format = format_of_tool(t);
    if (!p->to.compatible) {
        if (!open_tool(p, o, t, "custom"))
            return false;
        write_format(o, format);
        close_tool(o);
        return true;
    }
    if (format != NULL && !prompt_is(chat_get(format, "type"), "text"))
        prompt_drop(p, "tools.format");
    if (!open_tool(p, o, t, "function"))
        return false;
    out_raw(
        o, "parameters",
        CCP_SPAN("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"));
    close_tool(o);
    return true;
}

static bool write_function(struct prompt *p, struct out *o, const struct tool *t)
{
    if (!open_tool(p, o, t, "function") ||
        (t->schema != NULL && !schema_write(p, o, "parameters", t->schema, t->openapi)))
        return false;
    if (t->strict == YES || (t->strict == NO && !p->to.compatible))
        out_bool(o, "strict", t->strict == YES);
    close_tool(o);
    return true;
}

/* Compatible servers do not know allowed_tools: they only see the tools that may be called. */
static bool hidden(const struct prompt *p, const struct map *allowed, const struct tool *t)
{
    return p->to.compatible && p->allowed.n != 0 && map_get(allowed, t->name) == NULL;
}

static bool write_definitions(struct prompt *p, struct out *o, const struct map *allowed, size_t *n)
{
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (!callable(t) || hidden(p, allowed, t))
            continue;
        if ((*n)++ == 0)
            out_array(o, "tools");
        if (!(t->kind == TOOL_CUSTOM ? write_custom(p, o, t) : write_function(p, o, t)))
            return false;
        chat_drop_mark(p, t->cache);
    }
    if (*n != 0)
        out_end(o, ']');
    return true;
}

/* -- hosted tools -- */

static void write_location(struct out *o, const struct ccp_json *location)
{
    static const char *const members[] = {"city", "country", "region", "timezone"};
    if (location == NULL)
        return;
    out_object(o, "user_location");
    out_word(o, "type", "approximate");
    out_object(o, "approximate");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        out_node(o, members[i], chat_get(location, members[i]));
    out_end(o, '}');
    out_end(o, '}');
}

static void write_search(struct out *o, const struct tool *t)
{
    const struct ccp_json *location = chat_get(t->node, "user_location");
    if (chat_get(location, "approximate") != NULL)
        location = chat_get(location, "approximate");
    out_object(o, "web_search_options");
    out_node(o, "search_context_size", chat_get(t->node, "search_context_size"));
    write_location(o, location);
    out_end(o, '}');
}

static void write_hosted(struct prompt *p, const struct chat_model *m, struct out *o)
{
    bool searches = false;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (callable(t))
            continue;
        if (t->kind == TOOL_WEB_SEARCH && m->searches && !searches) {
            write_search(o, t);
            searches = true;
        } else {
            prompt_drop_span(p, t->name.n != 0 ? t->name : CCP_SPAN("tools"));
        }
    }
}

/* -- choice -- */

static bool write_name(struct prompt *p, struct out *o, const char *key, ctext space, ctext name, bool custom)
{
    const char *type = custom && !p->to.compatible ? "custom" : "function";
    ctext wire = wire_name(p, space, name, custom);
    if (wire.p == NULL)
        return false;
    out_object(o, key);
    out_word(o, "type", type);
    out_object(o, type);
    out_text(o, "name", wire);
    out_end(o, '}');
    out_end(o, '}');
    return true;
}

static bool write_named(struct prompt *p, struct out *o)
{
    bool custom = false;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (!ccp_span_eq(t->name, p->choice_name) || !ccp_span_eq(t->space, p->choice_space))
            continue;
        if (!callable(t))
            return prompt_fail(p, "tool choice: this provider has no hosted tool %.*s", CCP_FMT(t->name));
        custom = t->kind == TOOL_CUSTOM;
    }
    return write_name(p, o, "tool_choice", p->choice_space, p->choice_name, custom);
}

static bool write_allowed(struct prompt *p, struct out *o, const struct map *tools)
{
    out_object(o, "tool_choice");
    out_word(o, "type", "allowed_tools");
    out_object(o, "allowed_tools");
    out_word(o, "mode", p->choice == CHOICE_ANY ? "required" : "auto");
    out_array(o, "tools");
    for (size_t i = 0; i < p->allowed.n; i++) {
        const struct tool *t = map_get(tools, p->allowed.v[i]);
        if (!write_name(p, o, NULL, t != NULL ? t->space : CCP_SPAN(""), p->allowed.v[i],
                        t != NULL && t->kind == TOOL_CUSTOM))
            return false;
    }
    out_end(o, ']');
    out_end(o, '}');
    out_end(o, '}');
    return true;
}

static bool write_choice(struct prompt *p, struct out *o, const struct map *tools, size_t n)
{
    if (n == 0 && (p->choice == CHOICE_ANY || p->choice == CHOICE_NAMED))
        return prompt_fail(p, "tool choice: a call is required, but no tool is left that this provider can call");
    if (n == 0 || p->choice == CHOICE_UNSET)
        return n == 0 || p->allowed.n == 0 || p->to.compatible || write_allowed(p, o, tools);
    if (p->choice == CHOICE_NAMED)
        return write_named(p, o);
    if (p->choice != CHOICE_NONE && p->allowed.n != 0 && !p->to.compatible)
        return write_allowed(p, o, tools);
    out_word(o, "tool_choice", p->choice == CHOICE_NONE ? "none" : p->choice == CHOICE_ANY ? "required" : "auto");
    return true;
}

/* One map for both questions: which tools may be called, and what kind a name is. */
static bool index_tools(struct prompt *p, struct map *tools)
{
    map_init(tools, p->a);
    if (p->allowed.n == 0)
        return true;
    for (size_t i = 0; p->to.compatible && i < p->allowed.n; i++)
        if (!map_put(tools, p->allowed.v[i], p))
            return prompt_no_memory(p);
    for (struct tool *t = p->tools; !p->to.compatible && t != NULL; t = t->next)
        if (!map_put(tools, t->name, t))
            return prompt_no_memory(p);
    return true;
}

bool chat_write_tools(struct prompt *p, const struct chat_model *m, struct out *o)
{
    struct map tools;
    size_t n = 0;
    if (!index_tools(p, &tools) || !write_definitions(p, o, &tools, &n))
        return false;
    write_hosted(p, m, o);
    if (!write_choice(p, o, &tools, n))
        return false;
    if (n != 0 && p->parallel == NO)
        out_bool(o, "parallel_tool_calls", false);
    return true;
}

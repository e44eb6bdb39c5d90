/*
 * Tools and tool choice into a Chat request (wire reference B.4, F.3).
 *
 * Free-text tools are OpenAI's own; a compatible server gets them as functions with one string, and the names remember
 * it. Of hosted tools there is web search alone, and only on the models made for it.
 */
#include <base/fault.h>
#include <format/chat.h>
#include <format/schema.h>
#include <format/tools.h>

const struct name_rule chat_names = {.max = 64};

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

static bool open_tool(struct prompt *p, struct out *o, const struct tool *t, const char *type, ctext description)
{
    ctext name = wire_name(p, t->space, t->name, t->kind == TOOL_CUSTOM);
    if (name.p == NULL)
        return false;
    out_object(o, NULL);
    out_word(o, "type", type);
    out_object(o, type);
    out_text(o, "name", name);
    if (description.n != 0)
        out_text(o, "description", description);
    return true;
}

static bool write_custom(struct prompt *p, struct out *o, const struct tool *t)
{
    const struct ccp_json *format = format_of_tool(t);
    if (!p->to.compatible) {
        if (!open_tool(p, o, t, "custom", t->description))
            return false;
        write_format(o, format);
        close_tool(o);
        return true;
    }
    ctext description = tool_free_text(p, t);
    if (description.p == NULL || !open_tool(p, o, t, "function", description))
        return p->status == CCP_OK && prompt_no_memory(p);
    out_raw(o, "parameters", TOOL_FREE_TEXT_SCHEMA);
    close_tool(o);
    return true;
}

static bool write_function(struct prompt *p, struct out *o, const struct tool *t)
{
    if (!open_tool(p, o, t, "function", t->description) ||
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
    return p->to.compatible && !tool_allowed(p, allowed, t);
}

static bool write_definitions(struct prompt *p, struct out *o, const struct map *allowed, size_t *n)
{
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (!tool_is_function(t) || hidden(p, allowed, t))
            continue;
        if ((*n)++ == 0)
            out_array(o, "tools");
        if (!(t->kind == TOOL_CUSTOM ? write_custom(p, o, t) : write_function(p, o, t)))
            return false;
        prompt_drop_mark(p, t->cache);
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

static void write_search(struct prompt *p, struct out *o, const struct tool *t)
{
    static const char *const kept[] = {"type", "name", "cache_control", "user_location", "search_context_size", NULL};
    const struct ccp_json *location = chat_get(t->node, "user_location");
    if (chat_get(location, "approximate") != NULL)
        location = chat_get(location, "approximate");
    tool_search_drop(p, t, kept);
    out_object(o, "web_search_options");
    out_node(o, "search_context_size", chat_get(t->node, "search_context_size"));
    write_location(o, location);
    out_end(o, '}');
}

static void write_hosted(struct prompt *p, const struct chat_model *m, struct out *o)
{
    bool searches = false;
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        if (tool_is_function(t))
            continue;
        if (t->kind == TOOL_WEB_SEARCH && m->searches && !searches) {
            write_search(p, o, t);
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
    const struct tool *t = tool_chosen(p);
    if (t == NULL)
        return write_name(p, o, "tool_choice", p->choice_space, p->choice_name, false);
    if (!tool_is_function(t))
        return prompt_fail(p, "tool_choice: this provider has no hosted tool %.*s", CCP_FMT(t->name));
    return write_name(p, o, "tool_choice", t->space, t->name, t->kind == TOOL_CUSTOM);
}

static bool write_allowed(struct prompt *p, struct out *o, const struct map *allowed)
{
    out_object(o, "tool_choice");
    out_word(o, "type", "allowed_tools");
    out_object(o, "allowed_tools");
    out_word(o, "mode", p->choice == CHOICE_ANY ? "required" : "auto");
    out_array(o, "tools");
    for (const struct tool *t = p->tools; t != NULL; t = t->next)
        if (tool_is_function(t) && tool_allowed(p, allowed, t) &&
            !write_name(p, o, NULL, t->space, t->name, t->kind == TOOL_CUSTOM))
            return false;
    out_end(o, ']');
    out_end(o, '}');
    out_end(o, '}');
    return true;
}

/* n: functions that may be called. */
static bool write_choice(struct prompt *p, struct out *o, const struct map *allowed, size_t n)
{
    if (n == 0 && (p->choice == CHOICE_ANY || p->choice == CHOICE_NAMED))
        return prompt_fail(p, "tool_choice: a call is required, but no tool is left that this provider can call");
    if (p->choice == CHOICE_NAMED)
        return write_named(p, o);
    if (p->allowed.n != 0 && p->choice != CHOICE_NONE && n != 0 && !p->to.compatible)
        return write_allowed(p, o, allowed);
    if (p->choice == CHOICE_UNSET && n != 0)
        return true;
    out_word(o, "tool_choice",
             p->choice == CHOICE_NONE || n == 0 ? "none"
             : p->choice == CHOICE_ANY          ? "required"
                                                : "auto");
    return true;
}

static size_t callable(const struct prompt *p, const struct map *allowed)
{
    size_t n = 0;
    for (const struct tool *t = p->tools; t != NULL; t = t->next)
        n += tool_is_function(t) && tool_allowed(p, allowed, t);
    return n;
}

bool chat_write_tools(struct prompt *p, const struct chat_model *m, struct out *o)
{
    struct map allowed;
    size_t n = 0;
    if (!tools_allowed_init(p, &allowed) || !write_definitions(p, o, &allowed, &n))
        return false;
    write_hosted(p, m, o);
    bool forced = p->choice == CHOICE_ANY || p->choice == CHOICE_NAMED;
    if ((n != 0 || forced) && !write_choice(p, o, &allowed, callable(p, &allowed)))
        return false;
    if (n != 0 && p->parallel == NO)
        out_bool(o, "parallel_tool_calls", false);
    return true;
}

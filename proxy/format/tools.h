/*
 * Tools, as far as all formats treat them alike: which one is chosen, which may be called, what is told in words where
 * the target has no field for it. How a definition is spelled is each format's own.
 */
#ifndef FORMAT_TOOLS_H
#define FORMAT_TOOLS_H

#include <format/prompt.h>

/* Arguments of a free-text tool where there are only functions. */
#define TOOL_FREE_TEXT_SCHEMA                                                                                          \
    CCP_SPAN("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}")

static inline bool tool_is_function(const struct tool *t)
{
    return t->kind == TOOL_FUNCTION || t->kind == TOOL_CUSTOM;
}

/* Leaves out definitions of a name that is defined already, as most providers insist: the first stays. One that says
 * something else is listed. False: no memory (noted). */
bool tools_settle(struct prompt *p);

/* The tool that tool_choice names, or NULL. A choice without a namespace finds a tool in one when no other is called
 * like that. */
const struct tool *tool_chosen(const struct prompt *p);

/* The names that may be called, for tool_allowed. False: no memory (noted). */
bool tools_allowed_init(struct prompt *p, struct map *names);
static inline bool tool_allowed(const struct prompt *p, const struct map *names, const struct tool *t)
{
    return p->allowed.n == 0 || map_get(names, t->name) != NULL;
}

/* A free-text tool's description for a target that has functions only: with its grammar in words, since nobody will
 * enforce it (listed as "tools.format"). p = NULL: no memory (noted). */
ctext tool_free_text(struct prompt *p, const struct tool *t);

/* Lists the options of a web search that the target does not get: every member of its definition that says something
 * and is not in `kept`, which ends with NULL. */
void tool_search_drop(struct prompt *p, const struct tool *t, const char *const *kept);

#endif

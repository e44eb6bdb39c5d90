/*
 * ccproxy.toml.example: every row of every table, with one table that stands for all of [providers.*].
 *
 * The configuration of this machine does not matter: its own [providers.*] tables are left out, and its faults are
 * nobody's business here.
 */
#include <app/example.h>

#include <plugin/runtime.h>

/* Those of blocks and logins give way to one of each kind; the templates of both are among them, so there is room. */
static size_t choose(struct config_section *sections, size_t all)
{
    size_t n = 0;
    for (size_t i = 0; i < all; i++)
        if (!ccp_span_starts(ccp_span_z(sections[i].path), CCP_SPAN("providers.")) &&
            !ccp_span_starts(ccp_span_z(sections[i].path), CCP_SPAN("oauth.")))
            sections[n++] = sections[i];
    sections[n++] = (struct config_section){
        .path = "providers.<name>",
        .rows = settings_block_rows,
        .doc = "Any other upstream that speaks one of the four formats; a table for each, served under /<name>.",
    };
    sections[n++] = (struct config_section){
        .path = "oauth.<name>",
        .rows = settings_oauth_rows,
        .doc = "A login of your own, or other values for a built-in one (claude-api, codex, copilot).",
    };
    return n;
}

bool example_text(struct ccp_buf *out)
{
    size_t n = 0;
    struct config *c = config_load(&(struct config_source){.file = NULL});
    struct runtime *rt = c != NULL ? runtime_bind(c) : NULL;
    if (rt == NULL)
        return false;
    struct config_section *sections = runtime_sections(rt, &n);
    bool fine = sections != NULL && config_example(sections, choose(sections, n), out);
    runtime_unref(rt);
    return fine;
}

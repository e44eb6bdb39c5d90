/*
 * ccproxy.toml.example: every row of every table, with one table that stands for all of [providers.*].
 *
 * The configuration of this machine does not matter: its own [providers.*] tables are left out, and its faults are
 * nobody's business here.
 */
#include <app/example.h>

#include <plugin/runtime.h>

#define SECTIONS_MAX 64

static size_t sections_of(struct runtime *rt, struct config_section *out)
{
    size_t n = 0, all = runtime_sections(rt, out, SECTIONS_MAX - 2);
    for (size_t i = 0; i < all; i++)
        if (!ccp_span_starts(ccp_span_z(out[i].path), CCP_SPAN("providers.")) &&
            !ccp_span_starts(ccp_span_z(out[i].path), CCP_SPAN("oauth.")))
            out[n++] = out[i];
    out[n++] = (struct config_section){
        .path = "providers.<name>",
        .rows = settings_block_rows,
        .doc = "Any other upstream that speaks one of the four formats; a table for each, served under /<name>.",
    };
    out[n++] = (struct config_section){
        .path = "oauth.<name>",
        .rows = settings_oauth_rows,
        .doc = "A login of your own, or other values for a built-in one (claude-api, codex, copilot).",
    };
    return n;
}

bool example_text(struct ccp_buf *out)
{
    struct config_section sections[SECTIONS_MAX];
    struct config *c = config_load(&(struct config_source){.file = NULL});
    struct runtime *rt = c != NULL ? runtime_bind(c) : NULL;
    if (rt == NULL)
        return false;
    bool fine = config_example(sections, sections_of(rt, sections), out);
    runtime_unref(rt);
    return fine;
}

/*
 * Configuration: file, state, environment and flags into one immutable snapshot.
 *
 * TOML is read by a C++ shim (toml++) into a tree with positions; what was changed while the server ran (the state),
 * the environment and flags are laid over it;
 * `${NAME}` is expanded; rows (<ccproxy/config.h>) bind it into structs. Every fault is collected, none is
 * fatal on its own, and a snapshot with faults is never used.
 *
 * One thread loads, binds and asks; config_ref, config_unref, config_file and config_untrusted may be called by any,
 * and what was bound is read by all without a lock. Only strings of the file and of defaults are expanded, not what
 * the state, the environment or a flag brings; "file:/path" works for secrets wherever they come from but the state, so
 * that nobody can read a variable or a file of the server over HTTP.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <base/arena.h>
#include <base/buf.h>
#include <ccproxy/config.h>

struct config;      /* the snapshot; owns all bound memory */
struct config_tree; /* node: value with origin */

/* A table of the configuration: where it stands and which rows it has. */
struct config_section {
    const char *path;                  /* "server", "plugins.mock", "" = top level; in the example "providers.<name>"
                                          stands for any name, its table is commented out too */
    const struct ccp_config_row *rows; /* ends with key NULL */
    const struct ccp_config_row *more; /* a second set bound into the same struct (shared provider rows) or NULL */
    void *target;                      /* zeroed by the caller; filled */
    const char *doc;                   /* lines above the table in the example */
};

struct config_fault {
    struct ccp_span text; /* "ccproxy.toml:12: server.prot: unknown key (did you mean \"port\"?)" */
    bool warning;
};

struct config_source {
    const char *file;        /* --config, or NULL: search */
    char **environ;          /* NULL = none */
    const char *const *sets; /* "server.port=9000" (--set) or "--port server.port=9000" (a named flag, so that
                                the origin can say which); NULL-terminated, NULL = none */
    bool cwd_allowed;        /* serve and config commands: look in the current folder */
    /* Settings of plugins that were changed while the server ran: TOML with [plugins.<name>] tables only. */
    struct ccp_span state;  /* text, empty = none */
    const char *state_path; /* where that text stands, or will stand if it is fine; NULL = none */
    bool state_candidate;   /* it is not in its file yet: faults do not tell how to repair that */
};

/* Finds and reads the file, lays environment and flags over it. Never NULL unless memory ended; look at
 * config_faults. Environment variables that match no known section are ignored (the environment is not ours). */
struct config *config_load(const struct config_source *source);
struct config *config_ref(struct config *c); /* counted, any thread */
void config_unref(struct config *c);         /* any thread; the last one wipes what was read and frees */

struct ccp_span config_file(const struct config *c);  /* path that was read, or empty */
struct ccp_span config_state(const struct config *c); /* path of the state, or empty */
bool config_untrusted(const struct config *c);        /* the file came from the current folder's search */
struct arena *config_arena(struct config *c);         /* for memory that lives as long as the snapshot */

/* Names of the sub-tables of a table ("providers", "plugins"), in file order, from file, environment and flags.
 * Marks the table itself as known. The names are NUL-terminated and live as long as the snapshot; a name that only
 * the environment has is in lower case. */
size_t config_tables(struct config *c, const char *path, struct ccp_span *names, size_t max);
/* Binds one section: defaults, then values. Adds faults. Marks the section's keys as known. The rows must outlive
 * the snapshot; before config_finish only. A key with a fault keeps its zero value. */
void config_bind(struct config *c, const struct config_section *section);
/* The table and all below it belong to someone who will not bind it (a plugin that is not loaded): no unknown keys
 * there. */
void config_claim(struct config *c, const char *path);
/* Is this key set by anyone? origin (may be NULL): "default", "ccproxy.toml:12", "env SERVER__PORT", "flag --port". */
bool config_is_set(struct config *c, const char *path, const char *key, struct ccp_span *origin);
/* Does the value that wins come from the state, or from a file that is not trusted? For CCP_ROW_TRUSTED rows. */
bool config_set_untrusted(struct config *c, const char *path, const char *key);
/* Does this table of a file that is not trusted hold text that was read from the environment or another file?
 * Only what is bound is known. */
bool config_borrows(struct config *c, const char *path);
/* Do two snapshots agree on a bound key? On reload, for CCP_ROW_RESTART rows. Secrets are compared, not shown. */
bool config_same(struct config *a, struct config *b, const char *path, const char *key);
/* After all sections were bound: every key nobody claimed is a fault with the nearest known name; the copy of the
 * environment is wiped. */
void config_finish(struct config *c);
/* Adds a fault at the place where path.key stands (cross-checks by the owner of the section). */
void config_fault(struct config *c, const char *path, const char *key, bool warning, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

const struct config_fault *config_faults(const struct config *c, size_t *n);
bool config_ok(const struct config *c); /* no fault but warnings */

/* `config show`: effective values with origin, secrets masked. TOML with the origin as a comment, or JSON
 * {"server": {"port": {"value": 9000, "origin": "env SERVER__PORT"}}} with top-level keys under "". The sections
 * must have been bound. False when memory or the buffer's room ended. */
bool config_show(struct config *c, const struct config_section *sections, size_t n, bool json, struct ccp_buf *out);
/* `config example`: every key with its default and doc, commented out as "# key = value". Neither binds anything:
 * targets may be NULL. */
bool config_example(const struct config_section *sections, size_t n, struct ccp_buf *out);
/* Default search list of this process ($CONFIG_FILE first), best first; returns the number written. */
size_t config_search(struct ccp_span *paths, size_t max, struct arena *a, bool cwd_allowed);

/* The state after a change: `text` with the members of a JSON object put into [plugins.<plugin>]; null takes a key out.
 * Values keep their JSON types; they are taken as they are, nothing in them is expanded later. NULL = it is in *out
 * (initialised by the caller, who wipes it: it may hold secrets), else what is wrong (static). */
const char *config_state_edit(struct ccp_span text, const char *plugin, struct ccp_span changes, struct ccp_buf *out);
/* One section as `config show` has it in JSON: {"key": {"value": ..., "origin": "..."}}, secrets masked. Changes
 * nothing in the snapshot and takes none of its memory. */
bool config_show_section(const struct config *c, const char *path, const struct ccp_config_row *rows,
                         struct ccp_buf *out);

/* Reads a duration as rows do ("500ms", "5m", "30"). NULL = fine, else what was expected (static). */
const char *config_duration(struct ccp_span text, uint64_t *ms);

/* The nearest name within a small edit distance, or NULL. */
const char *config_nearest(struct ccp_span name, const char *const *known, size_t n);

#endif

/*
 * Configuration: file, environment and flags into one immutable snapshot.
 *
 * TOML is read by a C++ shim (toml++) into a tree with positions; the environment and flags are laid over it;
 * `${NAME}` is expanded; rows (<ccproxy/config.h>) bind it into structs. Every fault is collected, none is
 * fatal on its own, and a snapshot with faults is never used.
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
    const char *path;                  /* "server", "plugins.mock", "" = top level */
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
    const char *const *sets; /* "server.port=9000", from --set and the named flags; NULL-terminated */
    bool cwd_allowed;        /* serve and config commands: look in the current folder */
};

/* Finds and reads the file, lays environment and flags over it. Never NULL unless memory ended; look at
 * config_faults. Environment variables that match no known section are ignored (the environment is not ours). */
struct config *config_load(const struct config_source *source);
struct config *config_ref(struct config *c); /* counted, any thread */
void config_unref(struct config *c);

struct ccp_span config_file(const struct config *c); /* path that was read, or empty */
bool config_untrusted(const struct config *c);       /* the file came from the current folder's search */
struct arena *config_arena(struct config *c);        /* for memory that lives as long as the snapshot */

/* Names of the sub-tables of a table ("providers", "plugins"), in file order, from file, environment and flags. */
size_t config_tables(struct config *c, const char *path, struct ccp_span *names, size_t max);
/* Binds one section: defaults, then values. Adds faults. Marks the section's keys as known. */
void config_bind(struct config *c, const struct config_section *section);
/* Is this key set by anyone? origin: "default", "file:12", "env SERVER__PORT", "flag --port". */
bool config_is_set(struct config *c, const char *path, const char *key, struct ccp_span *origin);
/* After all sections were bound: every key nobody claimed is a fault with the nearest known name. */
void config_finish(struct config *c);
/* Adds a fault at the place where path.key stands (cross-checks by the owner of the section). */
void config_fault(struct config *c, const char *path, const char *key, bool warning, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

const struct config_fault *config_faults(const struct config *c, size_t *n);
bool config_ok(const struct config *c); /* no fault but warnings */

/* `config show`: effective values with origin, secrets masked. */
bool config_show(struct config *c, const struct config_section *sections, size_t n, bool json, struct ccp_buf *out);
/* `config example`: every key with its default and doc, commented out. */
bool config_example(const struct config_section *sections, size_t n, struct ccp_buf *out);
/* Default search list, best first; returns the number written. */
size_t config_search(struct ccp_span *paths, size_t max, struct arena *a, bool cwd_allowed);

/* The nearest name within a small edit distance, or NULL. */
const char *config_nearest(struct ccp_span name, const char *const *known, size_t n);

#endif

/*
 * What the files of this folder share: the tree, its four layers, and the record of what was bound.
 *
 * File, state, environment and flags each have a tree of their own; nothing is merged until a row asks, because only
 * rows know which environment variables are ours and how their text is to be read.
 */
#ifndef CONFIG_IMPL_H
#define CONFIG_IMPL_H

#include <config/config.h>
#include <config/toml_impl.h>

#include <base/secret.h>
#include <jansson.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum config_layer { LAYER_FILE, LAYER_STATE, LAYER_ENV, LAYER_FLAG, LAYERS, LAYER_DEFAULT = LAYERS };

/* Is it TOML, with tables and types of its own? The others are texts under names. */
static inline bool layer_is_toml(enum config_layer layer)
{
    return layer == LAYER_FILE || layer == LAYER_STATE;
}

enum node_kind {
    NODE_TABLE = TOML_TABLE,
    NODE_ARRAY = TOML_ARRAY,
    NODE_STRING = TOML_STRING,
    NODE_INT = TOML_INT,
    NODE_FLOAT = TOML_FLOAT,
    NODE_BOOL = TOML_BOOL,
    NODE_DATE = TOML_DATE,
    NODE_TEXT, /* environment and flags: not yet read as a type */
};

struct config_tree {
    struct config_tree *next, *child, **tail; /* siblings in the order of the text */
    struct config_tree *all;                  /* every node of the snapshot, for the wipe */
    struct ccp_span key;
    enum node_kind kind;
    enum config_layer layer;
    struct ccp_span via; /* "SERVER__PORT", "--port" */
    struct ccp_span text;
    int64_t integer;
    double real;
    unsigned line, column;
    bool claimed;              /* a row asked for it */
    bool expanded;             /* ${...} is done */
    bool foreign;              /* the text holds something that was not written in place: never shown in a fault */
    struct ccp_secret *sealed; /* the text was wiped and lives here */
};

/* One row of one bound section: what won. */
struct bound {
    struct bound *next;
    struct ccp_span path;
    const struct ccp_config_row *row;
    struct config_tree *node; /* NULL = not set and no default */
    json_t *value;            /* canonical and masked; NULL = had a fault */
    struct sealed *secrets;   /* those inside the value, in order */
};

struct sealed {
    struct sealed *next;
    struct ccp_secret *secret; /* held by the snapshot */
};

/* A table whose keys are known: bound (rows), listed by config_tables, or claimed whole. */
struct known {
    struct known *next;
    struct ccp_span path;
    const struct ccp_config_row *rows, *more;
    bool whole;
};

struct env_var {
    struct ccp_span name, value;
};

struct config {
    atomic_int refs;
    struct arena arena;
    struct ccp_span file, state; /* paths */
    bool untrusted, candidate;   /* candidate: the state is not in its file yet */
    mode_t file_mode;
    bool mode_warned;
    struct config_tree *layers[LAYERS];
    struct config_tree *nodes;
    struct env_var *env;
    size_t env_n;
    struct config_fault *faults;
    size_t fault_n, fault_cap;
    bool no_memory, finished;
    struct bound *bound;
    struct known *known;
};

#define CONFIG_FILE_MAX   ((size_t)4 << 20)
#define CONFIG_SECRET_MAX ((size_t)64 << 10)
#define CONFIG_TEXT_MAX   ((size_t)1 << 20) /* one value after expansion */

/* -- faults.c -- */
void fault_at(struct config *c, const struct config_tree *node, struct ccp_span name, bool warning, const char *fmt,
              ...) __attribute__((format(printf, 5, 6)));
void fault_plain(struct config *c, bool warning, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct ccp_span fault_clean(struct config *c, struct ccp_span name); /* printable and short */
struct ccp_span origin_text(struct config *c, const struct config_tree *node);
struct ccp_span join_path(struct config *c, struct ccp_span path, struct ccp_span key);

/* -- tree.c -- */
struct config_tree *tree_new(struct config *c, struct config_tree *parent, enum node_kind kind, struct ccp_span key,
                             enum config_layer layer);
/* Copies the text into the node. */
bool tree_text(struct config *c, struct config_tree *node, struct ccp_span text);
struct config_tree *tree_child(const struct config_tree *node, struct ccp_span key);
/* Environment names: case does not matter, and '-' of the name stands as '_'. */
bool tree_key_fits(enum config_layer layer, struct ccp_span own, struct ccp_span wanted);
/* A table or value by its dotted path; names that contain dots are found too. */
struct config_tree *tree_find(struct config_tree *root, struct ccp_span path);
struct config_tree *tree_get(struct config *c, enum config_layer layer, struct ccp_span path, struct ccp_span key);
const char *tree_kind_name(const struct config_tree *node); /* "an integer" */
void tree_wipe_text(struct config_tree *node);
/* One TOML value ("8000", "[]"); NULL when it is none. */
struct config_tree *tree_parse_value(struct config *c, struct ccp_span text, enum config_layer layer,
                                     struct ccp_span via);
enum toml_result tree_parse(struct config *c, struct ccp_span text, struct config_tree *root, struct toml_error *e);
struct config_tree *tree_from_json(struct config *c, struct config_tree *like, struct ccp_span text);

/* -- prescan.c -- */
/* NULL = fine; else what is wrong (static). Bounds the depth, refuses what is not UTF-8 text. */
const char *config_prescan(struct ccp_span text, unsigned *line, unsigned *column);
bool config_utf8(struct ccp_span text, size_t *bad);

/* -- file.c -- */
/* Reads a regular file of at most max bytes into malloc'ed memory. NULL = fine, else a text. */
const char *file_read(const char *path, size_t max, char **bytes, size_t *n, mode_t *mode, int *error);
void file_load(struct config *c, const struct config_source *source);

/* -- load.c -- */
struct config *config_new(void); /* with nothing in it yet; NULL = no memory */

/* -- state.c -- */
void state_load(struct config *c, const struct config_source *source);

/* -- environ.c, flags.c -- */
void environ_load(struct config *c, char **environ);
struct ccp_span environ_get(const struct config *c, struct ccp_span name); /* p = NULL = not set */
void environ_wipe(struct config *c);
void flags_load(struct config *c, const char *const *sets);

/* -- expand.c -- */
/* ${...} in a string of the file or of a default; false = a fault was added. */
bool expand_node(struct config *c, struct config_tree *node, struct ccp_span name);

/* -- resolve.c -- */
/* The node that wins, NULL = absent. Marks the nodes of all layers as claimed. */
struct config_tree *resolve_row(struct config *c, struct ccp_span path, const struct ccp_config_row *row);
struct config_tree *resolve_default(struct config *c, const struct ccp_config_row *row);
/* The node in the kind that the row wants; reads text as a type. NULL = a fault was added. */
struct config_tree *interpret(struct config *c, const struct ccp_config_row *row, struct config_tree *node,
                              struct ccp_span name);

/* -- value.c, lists.c, secrets.c, tables.c -- */
struct value_in {
    struct config *c;
    const struct ccp_config_row *row;
    struct config_tree *node; /* NULL = absent */
    struct ccp_span name;     /* for faults: "security.keys[0].token" */
    void *out;
    struct sealed **secrets; /* tail of the list */
};
/* Fills `out` and returns the canonical value; NULL = a fault was added. Own reference. */
json_t *value_bind(struct value_in *in);
json_t *value_list(struct value_in *in);
json_t *value_map(struct value_in *in);
json_t *value_secret(struct value_in *in);
json_t *value_tables(struct value_in *in);
/* Keeps a secret for the snapshot's life, and for comparison. */
bool secret_keep(struct value_in *in, struct ccp_secret *secret);
bool value_text_fine(struct value_in *in, struct config_tree *node); /* UTF-8, no control characters */
json_t *value_wrong_kind(struct value_in *in, const struct config_tree *node, const char *expected); /* NULL */
json_t *value_made(struct value_in *in, json_t *value); /* the value itself; NULL means that memory ended */

/* -- bind.c -- */
struct bound *bound_find(const struct config *c, struct ccp_span path, struct ccp_span key);
void known_add(struct config *c, struct ccp_span path, const struct ccp_config_row *rows,
               const struct ccp_config_row *more, bool whole);

/* -- units.c -- */
const char *units_size(struct ccp_span text, uint64_t *out); /* NULL = fine, else what was expected */
const char *units_duration(struct ccp_span text, uint64_t *out);
struct ccp_span units_show_size(uint64_t bytes, char *room, size_t n);
struct ccp_span units_show_duration(uint64_t ms, char *room, size_t n);

/* -- toml_write.c -- */
bool toml_write(struct ccp_buf *out, const json_t *value, bool expands);
bool toml_write_key(struct ccp_buf *out, struct ccp_span key);

#endif

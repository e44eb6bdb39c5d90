/*
 * Field tables: which member of a format's request is which parameter. They drive reading, writing, the loss list and
 * docs/translation.md.
 */
#ifndef FORMAT_FIELDS_H
#define FORMAT_FIELDS_H

#include <format/out.h>
#include <format/prompt.h>

enum field_how {
    FIELD_MOVE, /* the JSON value is the same in every format that has it */
    FIELD_CODE, /* read and written by the format's own code */
};

/* One member. `name` is its path in the request: "temperature", "generationConfig.topK". Several names may carry one
 * parameter; the first is the one that is written. The table ends with name NULL.
 *
 * Some notes are outcomes, and tried by a test: "dropped" and "refused" (perhaps with ": why") say that the format's
 * own code does so, in whatever direction; "never written" that it reads the field and does not write it. */
struct field {
    const char *name;
    enum param param;
    enum field_how how;
    const char *note; /* for docs/translation.md: what is special here, or NULL */
};

/* Content kinds that a format's messages can carry; drives the second table of docs/translation.md. */
struct part_field {
    enum part_kind kind;
    const char *name; /* "image", "image_url", or NULL: this format has none */
    const char *note; /* what happens on the way into this format, or NULL: carried over */
};

/* Goes through the members of `object`: MOVE fields land in p->params (null counts as absent), CODE fields are left to
 * the caller, an unknown member is dropped and named. `prefix` is the path of `object` with a dot behind, or "". */
bool fields_read(struct prompt *p, const struct field *table, const struct ccp_json *object, const char *prefix);
/* Notes that the client's request had this parameter, for CODE fields that p->params cannot carry. */
void fields_seen(struct prompt *p, enum param param, const char *name);
/* For objects that no table describes (tools): every member that says something (not null, nor empty) and is not in
 * `known`, which ends with NULL, is dropped under its name behind `prefix`. */
void fields_drop_rest(struct prompt *p, const struct ccp_json *object, const char *prefix, const char *const *known);
/* Drops what stands below a parameter: `rest` behind the client's name of it. */
void fields_drop_below(struct prompt *p, enum param param, const char *rest);
/* Before writing: what the target has no field for is dropped or rejected, as param.def says. False = rejected. */
bool fields_check(struct prompt *p, const struct field *table);
/* Writes the MOVE fields of the table whose names begin with `prefix` (rest without a dot) as members. */
void fields_write(struct prompt *p, const struct field *table, const char *prefix, struct out *o);
/* A call's arguments as a string that holds JSON text; moves as it is when it came so. */
void arguments_write(struct prompt *p, struct out *o, const char *key, const struct part *call);
const struct field *fields_find(const struct field *table, enum param param);

#endif

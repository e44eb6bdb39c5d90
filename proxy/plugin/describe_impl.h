/*
 * The shape of a manifest as data: each struct of the SDK that a record is made of, member by member.
 *
 * One table serves all who walk a record: adopting one of another size, writing it as JSON, reading that JSON back.
 * Functions are known by their place only; in JSON they are `true`.
 */
#ifndef PLUGIN_DESCRIBE_H
#define PLUGIN_DESCRIBE_H

#include <base/arena.h>
#include <ccproxy/plugin.h>
#include <jansson.h>

enum field_type {
    FIELD_TEXT,    /* const char * */
    FIELD_TEXTS,   /* const char *const *, ends with NULL */
    FIELD_BOOL,    /* bool */
    FIELD_INT,     /* int, or an enumeration */
    FIELD_UINT,    /* unsigned */
    FIELD_INT64,   /* int64_t */
    FIELD_UINT64,  /* uint64_t or size_t */
    FIELD_PORTS,   /* const uint16_t *, ends with 0 */
    FIELD_HEADERS, /* const struct ccp_header *, ends with an empty name */
    FIELD_PAIRS,   /* struct ccp_header [CCP_FORMAT_MAX] */
    FIELD_ONE,     /* a pointer to one struct */
    FIELD_LIST,    /* a pointer to structs; the one whose first member is zero is the end */
    FIELD_LISTS,   /* such a pointer for each format: [CCP_FORMAT_MAX] */
    FIELD_CALL,    /* a function, or a table of them */
};

struct shape;
struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    const struct shape *of; /* FIELD_ONE, FIELD_LIST, FIELD_LISTS */
};
struct shape {
    const char *name;           /* for people: "route" */
    size_t size;                /* in this core */
    size_t size_at;             /* where struct ccp_sizes tells it; 0 = the record itself */
    const struct field *fields; /* ends with a NULL name */
};

enum {
    DESCRIBE_LIST_MAX = 1024,   /* elements of one list */
    DESCRIBE_TEXT_MAX = 65536,  /* bytes of one text */
    DESCRIBE_DEPTH_MAX = 8,     /* structs in structs */
    DESCRIBE_JSON_MAX = 4 << 20 /* bytes of a whole description */
};

extern const struct shape shape_plugin;

/* Where a walk is: "routes[1].path". Lives on the stack of whoever walks. */
struct place {
    const struct place *up; /* NULL = the record */
    const char *name;
    size_t index; /* SIZE_MAX = no list */
    unsigned depth;
};
/* Writes "routes[1].path: <text>" into `why`; returns false. `place` NULL: of the whole. */
bool place_say(const struct place *place, char *why, size_t max, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A fingerprint of the table: descriptions of another one are not read. */
uint64_t describe_fingerprint(void);
/* A new JSON object, or NULL with a text. The record is in this core's layout. */
json_t *describe_write(const struct ccp_plugin *record, char *why, size_t max);
/* The record that `json` describes, in the arena and without functions. Nothing is believed: what does not fit is a
 * refusal. Contents are not judged, see adopt_check. */
bool describe_read(const json_t *json, struct arena *a, const struct ccp_plugin **out, char *why, size_t max);

#endif

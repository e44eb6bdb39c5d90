/*
 * Configuration rows.
 *
 * One row describes one key: it drives the TOML reader, the environment overlay (PLUGINS__X__KEY), flags,
 * `config show`, the example file and the documentation. Values are bound into a plain struct at `offset`;
 * bound memory belongs to the configuration snapshot and is immutable for that snapshot's life.
 *
 * | type         | C type at offset     | TOML form                                                     |
 * | CCP_BOOL     | bool                 | true, false                                                   |
 * | CCP_INT      | int64_t              | integer in [min, max]                                         |
 * | CCP_DOUBLE   | double               | number in [min, max]                                          |
 * | CCP_SIZE     | uint64_t, bytes      | integer, or "32MiB", "1 KiB", "1KiB/s" (rates drop the "/s")  |
 * | CCP_DURATION | uint64_t, ms         | integer or float seconds, or "500ms", "10s", "5m", "1h"       |
 * | CCP_STRING   | struct ccp_span      | string; the bound span is also NUL-terminated                 |
 * | CCP_ENUM     | int                  | one of `choices` ("a|b|c"), any case; bound as its index      |
 * | CCP_SECRET   | struct ccp_secret *  | string, "${NAME}", "file:/path"; NULL when empty              |
 * | CCP_LIST     | struct ccp_list      | array of strings; one string is a list of one                 |
 * | CCP_MAP      | struct ccp_map       | table of strings                                              |
 * | CCP_TABLES   | struct ccp_tables    | array of tables, each bound by `rows` into `row_size` bytes   |
 */
#ifndef CCPROXY_CONFIG_H
#define CCPROXY_CONFIG_H

#include "span.h"

/* What a row binds; the table above has the C types and the spellings. */
enum ccp_type {
    CCP_BOOL,     /* bool */
    CCP_INT,      /* int64_t */
    CCP_DOUBLE,   /* double */
    CCP_SIZE,     /* uint64_t, bytes */
    CCP_DURATION, /* uint64_t, milliseconds */
    CCP_STRING,   /* struct ccp_span */
    CCP_ENUM,     /* int, an index of `choices` */
    CCP_SECRET,   /* struct ccp_secret *, or NULL */
    CCP_LIST,     /* struct ccp_list */
    CCP_MAP,      /* struct ccp_map */
    CCP_TABLES,   /* struct ccp_tables */
};

/* Or-ed into a row's `flags`. */
enum ccp_row_flag {
    CCP_ROW_RESTART = 1,     /* a change needs a restart; a reload says so and keeps the old value */
    CCP_ROW_TRUSTED = 2,     /* may not be set by an untrusted file where a stored login could be sent elsewhere */
    CCP_ROW_STRING_ITEM = 4, /* CCP_TABLES: an item may be a plain string, which sets the first row of `rows` */
    CCP_ROW_REQUIRED = 8,    /* inside CCP_TABLES: the key must be present */
    CCP_ROW_BOOL_ENUM = 16,  /* CCP_ENUM whose choices contain "true" and "false": TOML booleans are taken too */
    CCP_ROW_URL = 32,        /* CCP_STRING: must be an absolute http(s) URL without user, query or fragment, or empty */
    CCP_ROW_SECRET_VALUES = 64, /* CCP_MAP whose values may hold credentials: masked when printed */
};

/* A secret never exposes its bytes to plugins; see the core's base/secret.h. */
struct ccp_secret;

/* Bound CCP_LIST: texts in the order of the file. Like all that is bound it lives as long as the configuration. */
struct ccp_list {
    const struct ccp_span *v; /* each NUL-terminated behind its end; NULL when n is 0 */
    size_t n;
};

/* Bound CCP_MAP: pairs in the order of the file. */
struct ccp_map {
    const struct ccp_header *v; /* names as written */
    size_t n;                   /* pairs */
};

/* Bound CCP_TABLES. */
struct ccp_tables {
    void *v;  /* n elements of row_size bytes */
    size_t n; /* tables */
};

/* One key. A list of rows ends with one whose key is NULL; rows are static and const. */
struct ccp_config_row {
    const char *key;                   /* "max_items": lower case, digits and '_' */
    enum ccp_type type;                /* of the value */
    size_t offset;                     /* of the member in the bound struct, which must have the C type above */
    const char *def;                   /* default in TOML form ("8000", "\"10s\"", "[]"), NULL = absent: zero value */
    int64_t min, max;                  /* CCP_INT, CCP_DOUBLE, CCP_SIZE (bytes), CCP_DURATION (ms); both 0 = any */
    const char *choices;               /* CCP_ENUM */
    unsigned flags;                    /* enum ccp_row_flag */
    const char *doc;                   /* one line, shown in the example file */
    const struct ccp_config_row *rows; /* CCP_TABLES; ends with a row whose key is NULL */
    size_t row_size;                   /* CCP_TABLES: of one element */
};

#endif

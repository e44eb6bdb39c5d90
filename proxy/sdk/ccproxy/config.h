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

enum ccp_type {
    CCP_BOOL,
    CCP_INT,
    CCP_DOUBLE,
    CCP_SIZE,
    CCP_DURATION,
    CCP_STRING,
    CCP_ENUM,
    CCP_SECRET,
    CCP_LIST,
    CCP_MAP,
    CCP_TABLES,
};

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

struct ccp_list {
    const struct ccp_span *v;
    size_t n;
};

struct ccp_map {
    const struct ccp_header *v; /* names as written */
    size_t n;
};

struct ccp_tables {
    void *v; /* n elements of row_size bytes */
    size_t n;
};

struct ccp_config_row {
    const char *key;
    enum ccp_type type;
    size_t offset;
    const char *def;     /* default in TOML form ("8000", "\"10s\"", "[]"), NULL = absent: zero value */
    int64_t min, max;    /* CCP_INT, CCP_DOUBLE, CCP_SIZE (bytes), CCP_DURATION (ms); both 0 = any */
    const char *choices; /* CCP_ENUM */
    unsigned flags;
    const char *doc;                   /* one line, shown in the example file */
    const struct ccp_config_row *rows; /* CCP_TABLES; ends with a row whose key is NULL */
    size_t row_size;
};

#endif

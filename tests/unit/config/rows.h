/*
 * A section with every type of row, for the tests.
 */
#ifndef TEST_CONFIG_ROWS_H
#define TEST_CONFIG_ROWS_H

#include "support.h"

struct key_row {
    struct ccp_span name;
    struct ccp_secret *token;
    bool admin;
};

struct all {
    bool flag;
    int64_t port;
    double rate;
    uint64_t size, wait;
    struct ccp_span name, url;
    int mode, h2c;
    struct ccp_secret *token;
    struct ccp_list hosts;
    struct ccp_map headers;
    struct ccp_tables keys;
};

static const struct ccp_config_row key_rows[] = {
    {.key = "name",
     .type = CCP_STRING,
     .offset = offsetof(struct key_row, name),
     .flags = CCP_ROW_REQUIRED,
     .doc = "its name"},
    {.key = "token", .type = CCP_SECRET, .offset = offsetof(struct key_row, token), .doc = "its token"},
    {.key = "admin", .type = CCP_BOOL, .offset = offsetof(struct key_row, admin), .def = "false"},
    {.key = NULL},
};

static const struct ccp_config_row all_rows[] = {
    {.key = "flag", .type = CCP_BOOL, .offset = offsetof(struct all, flag), .def = "true", .doc = "A flag."},
    {.key = "port",
     .type = CCP_INT,
     .offset = offsetof(struct all, port),
     .def = "8000",
     .min = 0,
     .max = 65535,
     .doc = "A port."},
    {.key = "rate",
     .type = CCP_DOUBLE,
     .offset = offsetof(struct all, rate),
     .def = "0.5",
     .min = 0,
     .max = 1,
     .doc = "A rate."},
    {.key = "size",
     .type = CCP_SIZE,
     .offset = offsetof(struct all, size),
     .def = "\"32MiB\"",
     .min = 1024,
     .max = 1 << 30,
     .doc = "A size."},
    {.key = "wait",
     .type = CCP_DURATION,
     .offset = offsetof(struct all, wait),
     .def = "\"10s\"",
     .max = 3600000,
     .doc = "A time."},
    {.key = "name", .type = CCP_STRING, .offset = offsetof(struct all, name), .def = "\"none\"", .doc = "A name."},
    {.key = "url", .type = CCP_STRING, .offset = offsetof(struct all, url), .flags = CCP_ROW_URL, .doc = "A URL."},
    {.key = "mode",
     .type = CCP_ENUM,
     .offset = offsetof(struct all, mode),
     .def = "\"text\"",
     .choices = "auto|text|json",
     .doc = "A mode."},
    {.key = "h2c",
     .type = CCP_ENUM,
     .offset = offsetof(struct all, h2c),
     .def = "\"loopback\"",
     .choices = "false|true|loopback",
     .flags = CCP_ROW_BOOL_ENUM,
     .doc = "A mode."},
    {.key = "token",
     .type = CCP_SECRET,
     .offset = offsetof(struct all, token),
     .def = "\"${TOKEN:-}\"",
     .doc = "A secret."},
    {.key = "hosts",
     .type = CCP_LIST,
     .offset = offsetof(struct all, hosts),
     .def = "[\"127.0.0.1\", \"::1\"]",
     .doc = "Names."},
    {.key = "headers",
     .type = CCP_MAP,
     .offset = offsetof(struct all, headers),
     .flags = CCP_ROW_SECRET_VALUES,
     .doc = "Pairs."},
    {.key = "keys",
     .type = CCP_TABLES,
     .offset = offsetof(struct all, keys),
     .rows = key_rows,
     .row_size = sizeof(struct key_row),
     .flags = CCP_ROW_STRING_ITEM,
     .doc = "Keys."},
    {.key = NULL},
};

static inline struct config_section all_section(struct all *target)
{
    memset(target, 0, sizeof(*target));
    return (struct config_section){.path = "server", .rows = all_rows, .target = target, .doc = "The server."};
}

static inline void all_bind(struct config *c, struct all *target)
{
    struct config_section s = all_section(target);
    config_bind(c, &s);
}

static inline struct config *all_load(struct all *target, const char *text, char **env, const char *const *sets)
{
    struct config *c = support_load(text, env, sets);
    all_bind(c, target);
    config_finish(c);
    return c;
}

#endif

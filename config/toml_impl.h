/*
 * The port between the C++ TOML parser and C. It stands alone (no other header of ours is C++ clean).
 *
 * The parser walks its document in the order of the text and reports each value once, parents before children.
 * No exception crosses this line, and every string the parser held is overwritten before it returns.
 */
#ifndef CONFIG_TOML_IMPL_H
#define CONFIG_TOML_IMPL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_kind { TOML_TABLE, TOML_ARRAY, TOML_STRING, TOML_INT, TOML_FLOAT, TOML_BOOL, TOML_DATE };

struct toml_item {
    enum toml_kind kind;
    const char *key; /* empty inside arrays */
    size_t key_n;
    const char *text; /* TOML_STRING */
    size_t text_n;
    int64_t integer; /* TOML_INT; TOML_BOOL as 0 or 1 */
    double real;
    unsigned line, column; /* of the key, or of the value inside arrays; from 1 */
};

/* Adds one value below `parent`; returns the new node or NULL when memory ended. */
typedef void *toml_add(void *context, void *parent, const struct toml_item *item);

struct toml_error {
    char what[200]; /* never shows text of a value */
    unsigned line, column;
};

#define TOML_MAX_DEPTH 64

enum toml_result { TOML_OK, TOML_SYNTAX, TOML_NO_MEMORY };

/* The text must have passed config_prescan: that bounds the depth, on which the parser's recursion depends. */
enum toml_result toml_read(const char *text, size_t n, toml_add *add, void *context, void *root,
                           struct toml_error *error);

#ifdef __cplusplus
}
#endif
#endif

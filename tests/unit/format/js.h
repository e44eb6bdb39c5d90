/*
 * JSON as the judges of translation read it: with jansson, not with the product's parser.
 *
 * Numbers are compared by their spelling, since a proxy has no business to change 1e-06 or a 20-digit id: js_load turns
 * each number into the string "#<spelling>". Strings hold any code point, NUL included.
 */
#ifndef UNIT_FORMAT_JS_H
#define UNIT_FORMAT_JS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* For properties over thousands of conversations: from now on values live in a pool, where freeing costs nothing and
 * happens all at once. No value may outlive js_pool_empty. */
void js_pool(void);
void js_pool_empty(void);

/* New reference, or NULL with a reason in js_error(). Strict: no duplicate keys, no lone surrogates. */
json_t *js_load(const char *text, size_t n);
/* The same, but the escape of a lone surrogate reads as U+FFFD: what a request may hold. */
json_t *js_load_lenient(const char *text, size_t n);
/* The text of a string node parsed as JSON of its own; {} when it is blank. */
json_t *js_load_inner(const json_t *string);
const char *js_error(void);

/* Member of an object by name, NULL when absent, null, or `o` is none. Borrowed. */
json_t *js_get(const json_t *o, const char *key);
json_t *js_at(const json_t *o, size_t index);
/* Is it a string (and no number)? */
bool js_is_text(const json_t *v);
bool js_is(const json_t *v, const char *text); /* a string with this value */
/* Value of a number that js_load has read; 0 for NULL. */
int64_t js_number(const json_t *v);
bool js_is_number(const json_t *v);
const char *js_text(const json_t *v); /* "" when it is none */
/* Appends string `b` to the string member `key` of `o`, which is made when missing. NUL-safe. */
void js_append_text(json_t *o, const char *key, const json_t *b);
json_t *js_concat(const json_t *a, const char *between, const json_t *b); /* new reference */

/* Where two values differ first, as a path and both values; NULL when they are equal. Order of members does not count.
 * The text lives until the next call. */
const char *js_diff(const json_t *a, const json_t *b);
/* Compact text of a value in a static ring of buffers: for messages. */
const char *js_show(const json_t *v);

#endif

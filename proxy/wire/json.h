/*
 * JSON on the request path: raw-preserving parser and splicing writer.
 *
 * See <ccproxy/json.h> for the tree. One pass validates the whole text (RFC 8259, UTF-8, depth, trailing junk)
 * and builds nodes in the arena; strings and numbers are spans into the input. The scan for quotes, escapes and
 * non-ASCII uses SSE2 where there is one.
 */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include <base/arena.h>
#include <ccproxy/json.h>
#include <ccproxy/status.h>

#define JSON_MAX_DEPTH 512 /* containers inside each other */

/* CCP_OK, CCP_BAD_JSON (with *error, which may be NULL), CCP_OVERLOADED (arena refused). Spans point into `text`.
 * In objects at depth 0 and 1 (the top level and its direct members: the keys ccproxy judges by) a key may not
 * occur twice, compared by value, nor spell a letter, digit, '_' or '-' as \u escape: both would make ccproxy
 * and the provider read different things. Cost: pair by pair up to 64 members, sorting beyond. Deeper objects
 * keep what they hold. A byte order mark is refused; the escape of a lone surrogate is kept. */
enum ccp_status json_parse(struct arena *a, struct ccp_span text, struct ccp_json **root, struct ccp_json_error *error);

/* The same validating pass without a tree: finds top-level members by name and validates everything else.
 * For the pass-through path: no allocation. values[i] is the raw value, values[i].p = NULL when keys[i] is
 * absent, when the text is not an object and after an error. An asked key that occurs twice, or that is spelled
 * with any escape, is CCP_BAD_JSON; keys nobody asks for are not judged. Asked keys are plain: no escapes. */
enum ccp_status json_scan(struct ccp_span text, const struct ccp_span *keys, struct ccp_span *values, size_t n,
                          struct ccp_json_error *error);

/* Value of a raw JSON string (with quotes) as UTF-8: the inner span itself when nothing is escaped, else a
 * copy. Lone surrogates become U+FFFD. p = NULL: not a string, or refused. May contain NUL. */
struct ccp_span json_text(struct arena *a, struct ccp_span raw);
/* The same for what stands between the quotes; `inner` is known to be valid. */
struct ccp_span json_unescape(struct arena *a, struct ccp_span inner);
/* Quoted and escaped; p = NULL when refused. UTF-8 stays, any other byte above 0x7f becomes U+FFFD. */
struct ccp_span json_quote(struct arena *a, struct ccp_span text);

struct ccp_buf;
bool json_quote_to(struct ccp_buf *out, struct ccp_span text);

/* Line and column (from 1, in bytes) of a byte offset; a line ends with LF. Leaves error->what alone. */
void json_locate(struct ccp_span text, size_t offset, struct ccp_json_error *error);

/* Cuts `text` around `hole` (a span inside it): before, replacement, after. The splice of a model alias. */
void json_splice(struct ccp_span text, struct ccp_span hole, struct ccp_span replacement, struct ccp_span out[3]);

/* Edits on a tree, written out by json_write: untouched spans are emitted as they came. New nodes live in `a`;
 * a node stands in one place of one tree at a time. Children, keys and counts change through these calls only; a
 * scalar's raw may also be pointed at other JSON text. */
struct ccp_json *json_raw(struct arena *a, struct ccp_span raw); /* any ready JSON text; NULL: not JSON, refused */
struct ccp_json *json_new_string(struct arena *a, struct ccp_span text);
/* Replaces (in its place) or appends; `key` is plain text. False: not an object, or refused. */
bool json_set(struct arena *a, struct ccp_json *object, const char *key, struct ccp_json *value);
bool json_remove(struct ccp_json *object, const char *key);       /* true: there was one. `key` as json_set takes it */
bool json_append(struct ccp_json *array, struct ccp_json *value); /* walks the array: for short ones */
/* An untouched tree gives its text byte for byte (without white space around the root). False: the buffer
 * refused, or edits nested deeper than JSON_MAX_DEPTH; then what was added is part of a value, to be dropped. */
bool json_write(const struct ccp_json *root, struct ccp_buf *out);

#endif

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

#define JSON_MAX_DEPTH 512

/* CCP_OK, CCP_BAD_JSON (with *error), CCP_OVERLOADED (arena refused). Duplicate keys within one object are
 * refused for objects of up to 64 members at depth 0 and 1 (the keys ccproxy reads); a key of the top-level
 * object that is spelled with escapes is compared by its decoded value there. */
enum ccp_status json_parse(struct arena *a, struct ccp_span text, struct ccp_json **root,
                           struct ccp_json_error *error);

/* The same validating pass without a tree: finds top-level members by name and validates everything else.
 * For the pass-through path: no allocation. values[i].p = NULL when keys[i] is absent. */
enum ccp_status json_scan(struct ccp_span text, const struct ccp_span *keys, struct ccp_span *values, size_t n,
                          struct ccp_json_error *error);

/* Value of a raw JSON string (with quotes) as UTF-8: the inner span itself when nothing is escaped, else a
 * copy. Lone surrogates become U+FFFD. p = NULL: not a string, or refused. */
struct ccp_span json_text(struct arena *a, struct ccp_span raw);
/* Quoted and escaped; p = NULL when refused. */
struct ccp_span json_quote(struct arena *a, struct ccp_span text);

struct ccp_buf;
bool json_quote_to(struct ccp_buf *out, struct ccp_span text);

/* Line and column (from 1) of a byte offset. */
void json_locate(struct ccp_span text, size_t offset, struct ccp_json_error *error);

/* Cuts `text` around `hole` (a span inside it): before, replacement, after. The splice of a model alias. */
void json_splice(struct ccp_span text, struct ccp_span hole, struct ccp_span replacement, struct ccp_span out[3]);

/* Edits on a tree, written out by json_write: untouched spans are emitted as they came. Nodes live in `a`. */
struct ccp_json *json_raw(struct arena *a, struct ccp_span raw);   /* any ready JSON text */
struct ccp_json *json_string(struct arena *a, struct ccp_span text);
bool json_set(struct arena *a, struct ccp_json *object, const char *key, struct ccp_json *value); /* replace or append */
bool json_remove(struct ccp_json *object, const char *key);
bool json_append(struct ccp_json *array, struct ccp_json *value);
bool json_write(const struct ccp_json *root, struct ccp_buf *out);

#endif

/*
 * JSON Schema on its way into a request: as it stands, or made from Gemini's OpenAPI subset.
 *
 * The subset differs from JSON Schema in a few words only (wire reference D.5): types in capitals, `nullable`, counts
 * as strings ("minItems": "1"), `propertyOrdering`, and a single `example`. Members and their order are kept, so the
 * same schema always gives the same bytes. What the subset does not know goes through untouched.
 */
#ifndef FORMAT_SCHEMA_H
#define FORMAT_SCHEMA_H

#include <format/out.h>
#include <format/prompt.h>

/* Writes the schema as a member `key` (or an element, key = NULL). openapi = false: the node as it stands. NULL schema:
 * {"type":"object","properties":{}}, the schema of no arguments. False: the buffer failed, and so has the prompt. */
bool schema_write(struct prompt *p, struct out *o, const char *key, const struct ccp_json *schema, bool openapi);
/* The same for a decoder that enforces the schema and therefore knows fewer words: every object gets
 * additionalProperties: false, oneOf becomes anyOf, and what cannot be enforced (lengths, ranges) is left out by name.
 */
bool schema_write_closed(struct prompt *p, struct out *o, const char *key, const struct ccp_json *schema, bool openapi);

#endif

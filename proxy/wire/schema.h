/*
 * A small part of JSON Schema (2020-12): enough to say what the input of an action is, small enough to be read at once.
 *
 * Known: type, properties, required, additionalProperties, items, enum, minimum, maximum, minLength, maxLength,
 * minItems, maxItems; title, description and default are for readers. Anything else is refused when a schema is
 * checked, so that no rule is silently not applied.
 */
#ifndef WIRE_SCHEMA_H
#define WIRE_SCHEMA_H

#include <base/arena.h>
#include <ccproxy/json.h>

/* Is this text a schema of that kind? NULL = yes, else why not (static). Any thread. */
const char *schema_check(struct ccp_span text);

struct schema_fault {
    char path[256]; /* "$.items[2].name" */
    char what[160]; /* "must be at least 1" */
    bool no_memory; /* nothing is known of the value */
};

/* Does the value fit? Both are parsed trees; the schema's text was checked. Lengths count code points. The arena holds
 * unescaped copies where they are needed. False: the first rule that is broken is in *fault. */
bool schema_fits(struct arena *a, const struct ccp_json *schema, const struct ccp_json *value,
                 struct schema_fault *fault);

#endif

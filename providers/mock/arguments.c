/*
 * Makes tool arguments from a JSON schema: the required properties, each with the first value the schema allows.
 *
 * enum, const and default win; then the type decides. Local references ($ref) are followed. This is no full
 * generator: patterns and lengths are not looked at. Depth is bounded, so recursive schemas end.
 */
#include "mock.h"

#define MAX_DEPTH 12

struct maker {
    struct mock_out *out;
    const struct ccp_json *root;
};

static void put_value(struct maker *m, const struct ccp_json *schema, unsigned depth);

/* "#/a/b/c" within the root schema; NULL when it leads nowhere. */
static const struct ccp_json *resolve(const struct ccp_json *root, struct ccp_span ref)
{
    const struct ccp_json *at = root;
    if (!ccp_span_starts(ref, CCP_SPAN("#/")))
        return NULL;
    ref = ccp_span_skip(ref, 2);
    while (at != NULL && ref.n != 0) {
        size_t n = ccp_span_find(ref, '/');
        const struct ccp_json *member = at->type == CCP_JSON_OBJECT ? at->child : NULL;
        while (member != NULL && !ccp_span_eq(member->key, ccp_span_of(ref.p, n)))
            member = member->next;
        at = member;
        ref = ccp_span_skip(ref, n + 1);
    }
    return at;
}

static const struct ccp_json *property(const struct ccp_json *schema, struct ccp_span name)
{
    const struct ccp_json *properties = ccp_json_get(schema, "properties");
    if (properties == NULL || properties->type != CCP_JSON_OBJECT)
        return NULL;
    for (const struct ccp_json *p = properties->child; p != NULL; p = p->next)
        if (ccp_span_eq(p->key, name))
            return p;
    return NULL;
}

static void put_object(struct maker *m, const struct ccp_json *schema, unsigned depth)
{
    const struct ccp_json *required = ccp_json_get(schema, "required");
    const char *comma = "";
    mock_putz(m->out, "{");
    if (required != NULL && required->type == CCP_JSON_ARRAY && depth < MAX_DEPTH) {
        for (const struct ccp_json *name = required->child; name != NULL; name = name->next) {
            if (name->type != CCP_JSON_STRING)
                continue;
            mock_putz(m->out, comma);
            mock_put(m->out, name->raw);
            mock_putz(m->out, ":");
            put_value(m, property(schema, ccp_json_inner(name)), depth + 1);
            comma = ",";
        }
    }
    mock_putz(m->out, "}");
}

static void put_array(struct maker *m, const struct ccp_json *schema, unsigned depth)
{
    bool one = mock_json_count(ccp_json_get(schema, "minItems")) != 0 && depth < MAX_DEPTH;
    mock_putz(m->out, "[");
    if (one)
        put_value(m, ccp_json_get(schema, "items"), depth + 1);
    mock_putz(m->out, "]");
}

static void put_number(struct maker *m, const struct ccp_json *schema)
{
    const struct ccp_json *least = ccp_json_get(schema, "minimum");
    const struct ccp_json *most = ccp_json_get(schema, "maximum");
    if (least != NULL && least->type == CCP_JSON_NUMBER)
        mock_put(m->out, least->raw);
    else if (most != NULL && most->type == CCP_JSON_NUMBER)
        mock_put(m->out, most->raw);
    else
        mock_putz(m->out, "1");
}

/* The name of the type: the first one of a list; a schema without a type that has properties is an object. */
static struct ccp_span type_of(const struct ccp_json *schema)
{
    const struct ccp_json *type = ccp_json_get(schema, "type");
    if (type != NULL && type->type == CCP_JSON_ARRAY)
        type = type->child;
    if (type == NULL && ccp_json_get(schema, "properties") != NULL)
        return CCP_SPAN("object");
    return ccp_json_inner(type);
}

/* Gemini writes the names of types in capitals. */
static void put_typed(struct maker *m, const struct ccp_json *schema, unsigned depth)
{
    struct ccp_span type = type_of(schema);
    if (ccp_span_ieq(type, CCP_SPAN("object")))
        put_object(m, schema, depth);
    else if (ccp_span_ieq(type, CCP_SPAN("array")))
        put_array(m, schema, depth);
    else if (ccp_span_ieq(type, CCP_SPAN("integer")) || ccp_span_ieq(type, CCP_SPAN("number")))
        put_number(m, schema);
    else if (ccp_span_ieq(type, CCP_SPAN("boolean")))
        mock_putz(m->out, "true");
    else if (ccp_span_ieq(type, CCP_SPAN("null")))
        mock_putz(m->out, "null");
    else
        mock_putz(m->out, "\"mock\"");
}

/* Where the value is really described: behind $ref, or in the first choice of anyOf, oneOf, allOf. */
static const struct ccp_json *inner_schema(struct maker *m, const struct ccp_json *schema)
{
    static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
    struct ccp_span ref = ccp_json_inner(ccp_json_get(schema, "$ref"));
    if (ref.n != 0)
        return resolve(m->root, ref);
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        const struct ccp_json *list = ccp_json_get(schema, choices[i]);
        if (list != NULL && list->type == CCP_JSON_ARRAY && list->child != NULL)
            return list->child;
    }
    return NULL;
}

static void put_value(struct maker *m, const struct ccp_json *schema, unsigned depth)
{
    const struct ccp_json *given = ccp_json_get(schema, "const"), *inner;
    const struct ccp_json *allowed = ccp_json_get(schema, "enum");
    if (given == NULL && allowed != NULL && allowed->type == CCP_JSON_ARRAY)
        given = allowed->child;
    if (given == NULL)
        given = ccp_json_get(schema, "default");
    if (given != NULL)
        mock_compact(m->out, given->raw);
    else if (depth < MAX_DEPTH && (inner = inner_schema(m, schema)) != NULL)
        put_value(m, inner, depth + 1);
    else
        put_typed(m, schema, depth);
}

void mock_arguments(struct mock_out *out, const struct ccp_json *schema)
{
    struct maker m = {out, schema};
    const struct ccp_json *inner = schema;
    for (unsigned i = 0; i < MAX_DEPTH && inner != NULL && ccp_json_get(inner, "properties") == NULL; i++)
        inner = inner_schema(&m, inner);
    put_object(&m, inner != NULL ? inner : schema, 0);
}

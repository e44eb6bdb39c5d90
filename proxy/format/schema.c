/*
 * See schema.h. One walk over the schema, written as it goes; depth is bounded by the JSON parser.
 */
#include <format/schema.h>

struct walk {
    struct prompt *p;
    struct out *o;
    bool openapi, closed;
};

static void put_key(struct out *o, struct ccp_span key)
{
    if (o->comma)
        buf_add(o->b, CCP_SPAN(","));
    buf_add(o->b, CCP_SPAN("\""));
    buf_add(o->b, key);
    buf_add(o->b, CCP_SPAN("\":"));
    o->comma = false;
}

static bool one_of(struct ccp_span word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (ccp_span_is(word, *words))
            return true;
    return false;
}

static bool is_nullable(const struct walk *w, const struct ccp_json *schema)
{
    return w->openapi && prompt_true(ccp_json_get(schema, "nullable"));
}

static void write_type(struct out *o, struct ccp_span word, bool nullable)
{
    char lower[32];
    if (word.n > sizeof(lower))
        return;
    for (size_t i = 0; i < word.n; i++)
        lower[i] = word.p[i] >= 'A' && word.p[i] <= 'Z' ? (char)(word.p[i] | 0x20) : word.p[i];
    if (nullable)
        out_array(o, "type");
    out_text(o, nullable ? NULL : "type", ccp_span_of(lower, word.n));
    if (nullable) {
        out_word(o, NULL, "null");
        out_end(o, ']');
    }
}

/* "12" -> 12; anything else as it stands. */
static void write_count(struct out *o, const struct ccp_json *m)
{
    struct ccp_span digits = ccp_json_inner(m);
    bool number = digits.n != 0 && digits.n < 16;
    for (size_t i = 0; number && i < digits.n; i++)
        number = digits.p[i] >= '0' && digits.p[i] <= '9';
    while (number && digits.n > 1 && digits.p[0] == '0')
        digits = ccp_span_skip(digits, 1);
    out_raw(o, NULL, number ? digits : m->raw);
}

static void write_schema(struct walk *w, const struct ccp_json *schema);

static void write_list(struct walk *w, const struct ccp_json *list, bool add_null)
{
    out_array(w->o, NULL);
    for (const struct ccp_json *e = list->child; e != NULL; e = e->next)
        write_schema(w, e);
    if (add_null)
        out_raw(w->o, NULL, CCP_SPAN("{\"type\":\"null\"}"));
    out_end(w->o, ']');
}

static void write_named(struct walk *w, const struct ccp_json *schemas)
{
    out_object(w->o, NULL);
    for (const struct ccp_json *m = schemas->child; m != NULL; m = m->next) {
        put_key(w->o, m->key);
        write_schema(w, m);
    }
    out_end(w->o, '}');
}

static void write_enum(struct out *o, const struct ccp_json *list, bool add_null)
{
    out_array(o, NULL);
    for (const struct ccp_json *e = list->child; e != NULL; e = e->next)
        out_node(o, NULL, e);
    if (add_null)
        out_null(o, NULL);
    out_end(o, ']');
}

/* Words that only steer Gemini's own decoder, or say a number's width, which JSON Schema has no format for. */
static bool is_gemini_word(const struct ccp_json *m)
{
    static const char *const words[] = {"nullable", "propertyOrdering", NULL};
    static const char *const formats[] = {"enum", "int32", "int64", "float", "double", NULL};
    return one_of(m->key, words) || (ccp_span_is(m->key, "format") && one_of(ccp_json_inner(m), formats)) ||
           (ccp_span_is(m->key, "type") && prompt_is(m, "TYPE_UNSPECIFIED"));
}

/* What decoders that enforce a schema do not know. */
static bool is_unenforced(const struct ccp_json *m)
{
    static const char *const words[] = {"minimum",
                                        "maximum",
                                        "exclusiveMinimum",
                                        "exclusiveMaximum",
                                        "multipleOf",
                                        "minLength",
                                        "maxLength",
                                        "maxItems",
                                        "uniqueItems",
                                        "minProperties",
                                        "maxProperties",
                                        "not",
                                        "if",
                                        "then",
                                        "else",
                                        "contains",
                                        "propertyNames",
                                        "dependentRequired",
                                        "minContains",
                                        "maxContains",
                                        "patternProperties",
                                        "unevaluatedProperties",
                                        NULL};
    static const char *const formats[] = {"date-time", "time", "date", "duration", "email", "hostname",
                                          "uri",       "ipv4", "ipv6", "uuid",     NULL};
    int64_t least;
    if (ccp_span_is(m->key, "format"))
        return !one_of(ccp_json_inner(m), formats);
    if (ccp_span_is(m->key, "minItems"))
        return !(prompt_int(m, &least) && least <= 1) && !prompt_is(m, "0") && !prompt_is(m, "1");
    return one_of(m->key, words);
}

static bool is_left_out(struct walk *w, const struct ccp_json *m)
{
    if (w->openapi && is_gemini_word(m))
        return true;
    if (!w->closed)
        return false;
    if (ccp_span_is(m->key, "additionalProperties")) {
        if (m->type != CCP_JSON_FALSE)
            prompt_drop(w->p, "additionalProperties");
        return true; /* written at the end */
    }
    if (is_unenforced(m))
        prompt_drop_span(w->p, m->key);
    return is_unenforced(m);
}

static struct ccp_span key_for(const struct walk *w, struct ccp_span key)
{
    if (w->openapi && ccp_span_is(key, "example"))
        return CCP_SPAN("examples");
    return w->closed && ccp_span_is(key, "oneOf") ? CCP_SPAN("anyOf") : key;
}

/* The value of a key that stands already. */
static void write_value(struct walk *w, const struct ccp_json *m, bool nullable)
{
    static const char *const counts[] = {"minItems",      "maxItems",      "minLength", "maxLength",
                                         "minProperties", "maxProperties", NULL};
    static const char *const named[] = {"properties", "$defs", "definitions", "defs", "patternProperties", NULL};
    static const char *const lists[] = {"anyOf", "oneOf", "allOf", "prefixItems", NULL};
    static const char *const inner[] = {"items", "additionalProperties", "not", NULL};
    if (w->openapi && one_of(m->key, counts))
        write_count(w->o, m);
    else if (m->type == CCP_JSON_OBJECT && one_of(m->key, named))
        write_named(w, m);
    else if (m->type == CCP_JSON_ARRAY && one_of(m->key, lists))
        write_list(w, m, nullable && ccp_span_is(m->key, "anyOf"));
    else if (m->type == CCP_JSON_OBJECT && one_of(m->key, inner))
        write_schema(w, m);
    else if (m->type == CCP_JSON_ARRAY && ccp_span_is(m->key, "enum"))
        write_enum(w->o, m, nullable);
    else
        out_node(w->o, NULL, m);
}

static void write_member(struct walk *w, const struct ccp_json *m, bool nullable)
{
    if (w->openapi && ccp_span_is(m->key, "type") && m->type == CCP_JSON_STRING) {
        write_type(w->o, ccp_json_inner(m), nullable);
        return;
    }
    bool example = w->openapi && ccp_span_is(m->key, "example");
    put_key(w->o, key_for(w, m->key));
    if (example)
        out_array(w->o, NULL);
    write_value(w, m, nullable);
    if (example)
        out_end(w->o, ']');
}

static bool is_object_type(const struct ccp_json *schema)
{
    const struct ccp_json *type = ccp_json_get(schema, "type");
    if (type == NULL)
        return ccp_json_get(schema, "properties") != NULL;
    if (type->type == CCP_JSON_ARRAY)
        for (const struct ccp_json *e = type->child; e != NULL; e = e->next)
            if (prompt_is(e, "object"))
                return true;
    return prompt_is(type, "object") || prompt_is(type, "OBJECT");
}

/* An element, or the value of a key that stands already. */
static void write_schema(struct walk *w, const struct ccp_json *schema)
{
    if (schema->type != CCP_JSON_OBJECT) {
        out_node(w->o, NULL, schema);
        return;
    }
    bool nullable = is_nullable(w, schema);
    out_object(w->o, NULL);
    for (const struct ccp_json *m = schema->child; m != NULL; m = m->next)
        if (!is_left_out(w, m))
            write_member(w, m, nullable);
    if (w->closed && is_object_type(schema))
        out_bool(w->o, "additionalProperties", false);
    out_end(w->o, '}');
}

static bool write_walked(struct walk w, const char *key, const struct ccp_json *schema)
{
    if (key != NULL)
        out_key(w.o, key);
    write_schema(&w, schema);
    return !w.o->b->failed || prompt_no_memory(w.p);
}

bool schema_write(struct prompt *p, struct out *o, const char *key, const struct ccp_json *schema, bool openapi)
{
    if (schema != NULL && openapi)
        return write_walked((struct walk){p, o, true, false}, key, schema);
    if (schema == NULL)
        out_raw(o, key, CCP_SPAN("{\"type\":\"object\",\"properties\":{}}"));
    else
        out_node(o, key, schema);
    return !o->b->failed || prompt_no_memory(p);
}

bool schema_write_closed(struct prompt *p, struct out *o, const char *key, const struct ccp_json *schema, bool openapi)
{
    return schema != NULL ? write_walked((struct walk){p, o, openapi, true}, key, schema)
                          : schema_write(p, o, key, NULL, false);
}

/*
 * Is a text a schema that schema.c can apply? Each keyword has one form; the first thing that is wrong is told.
 */
#include <wire/json.h>
#include <wire/schema_impl.h>

#define SCHEMA_MAX ((size_t)64 << 10)

static const char *check(const struct ccp_json *schema);

static const char *check_type(const struct ccp_json *v)
{
    static const char *const types[] = {"null", "boolean", "number", "integer", "string", "array", "object"};
    const struct ccp_json *one = v->type == CCP_JSON_ARRAY ? v->child : v;
    if (one == NULL)
        return "\"type\" is an empty list";
    for (; one != NULL; one = v->type == CCP_JSON_ARRAY ? one->next : NULL) {
        bool known = false;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
            known = known || (one->type == CCP_JSON_STRING && ccp_span_is(ccp_json_inner(one), types[i]));
        if (!known)
            return "\"type\" is not a type of JSON, or a list of them";
    }
    return NULL;
}

static const char *check_properties(const struct ccp_json *v)
{
    const char *wrong = v->type == CCP_JSON_OBJECT ? NULL : "\"properties\" is not an object";
    for (const struct ccp_json *m = v->child; m != NULL && wrong == NULL; m = m->next)
        wrong = check(m);
    return wrong;
}

static const char *check_required(const struct ccp_json *v)
{
    if (v->type != CCP_JSON_ARRAY)
        return "\"required\" is not a list of names";
    for (const struct ccp_json *m = v->child; m != NULL; m = m->next)
        if (m->type != CCP_JSON_STRING)
            return "\"required\" is not a list of names";
    return NULL;
}

static const char *check_additional(const struct ccp_json *v)
{
    return v->type == CCP_JSON_TRUE || v->type == CCP_JSON_FALSE ? NULL : check(v);
}

static const char *check_enum(const struct ccp_json *v)
{
    return v->type == CCP_JSON_ARRAY && v->count != 0 ? NULL : "\"enum\" is not a list with something in it";
}

static const char *check_number(const struct ccp_json *v)
{
    return v->type == CCP_JSON_NUMBER ? NULL : "\"minimum\" or \"maximum\" is not a number";
}

static const char *check_count(const struct ccp_json *v)
{
    return schema_type_is(v, CCP_SPAN("integer")) && schema_number(v) >= 0
               ? NULL
               : "a length or a number of items is not an integer from 0";
}

static const char *check_nothing(const struct ccp_json *v)
{
    (void)v;
    return NULL;
}

static const struct {
    const char *name;
    const char *(*check)(const struct ccp_json *v);
} keywords[] = {
    {"type", check_type},
    {"properties", check_properties},
    {"required", check_required},
    {"additionalProperties", check_additional},
    {"items", check},
    {"enum", check_enum},
    {"minimum", check_number},
    {"maximum", check_number},
    {"minLength", check_count},
    {"maxLength", check_count},
    {"minItems", check_count},
    {"maxItems", check_count},
    {"title", check_nothing},
    {"description", check_nothing},
    {"default", check_nothing},
};

static const char *check_keyword(const struct ccp_json *m)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
        if (ccp_span_is(m->key, keywords[i].name))
            return keywords[i].check(m);
    return "it holds a keyword that ccproxy does not know (see docs/plugins.md for those it does)";
}

static const char *check(const struct ccp_json *schema)
{
    if (schema->type != CCP_JSON_OBJECT)
        return "a schema is not an object";
    for (const struct ccp_json *m = schema->child; m != NULL; m = m->next) {
        for (const struct ccp_json *other = schema->child; other != m; other = other->next)
            if (ccp_span_eq(m->key, other->key))
                return "a keyword stands twice";
        const char *wrong = check_keyword(m);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *schema_check(struct ccp_span text)
{
    struct arena a;
    struct ccp_json *root = NULL;
    if (text.n > SCHEMA_MAX)
        return "it is longer than 64 KiB";
    arena_init(&a, NULL, (size_t)16 << 20);
    enum ccp_status status = json_parse(&a, text, &root, NULL);
    const char *wrong = status == CCP_OVERLOADED ? "not enough memory"
                        : status != CCP_OK       ? "it is not valid JSON"
                                                 : check(root);
    arena_end(&a);
    return wrong;
}

/*
 * Does a value fit a schema? See schema.h. Recursion is bounded by the depth of the schema, which the parser bounds.
 */
#include <wire/json.h>
#include <wire/schema_impl.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct walk {
    struct arena *a;
    struct schema_fault *fault;
    size_t depth; /* bytes of fault->path that are written */
};

static bool broken(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool broken(struct walk *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->fault->what, sizeof(w->fault->what), fmt, ap);
    va_end(ap);
    return false;
}

/* Goes one step down the path; returns what leads back. A path that is too long ends with the step before. */
static size_t descend(struct walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static size_t descend(struct walk *w, const char *fmt, ...)
{
    size_t before = w->depth, room = sizeof(w->fault->path) - w->depth;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(w->fault->path + w->depth, room, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < room)
        w->depth += (size_t)n;
    else
        w->fault->path[w->depth] = '\0';
    return before;
}

static void ascend(struct walk *w, size_t before)
{
    w->depth = before;
    w->fault->path[before] = '\0';
}

/* -- texts and numbers -- */

static struct ccp_span unescaped(struct walk *w, struct ccp_span raw, bool escaped)
{
    struct ccp_span text = escaped ? json_unescape(w->a, raw) : raw;
    w->fault->no_memory = w->fault->no_memory || text.p == NULL;
    return text.p != NULL ? text : CCP_SPAN("");
}

static struct ccp_span text_of(struct walk *w, const struct ccp_json *string)
{
    return unescaped(w, ccp_json_inner(string), string->escaped);
}

static bool same_key(struct walk *w, const struct ccp_json *a, const struct ccp_json *b)
{
    return ccp_span_eq(unescaped(w, a->key, a->key_escaped), unescaped(w, b->key, b->key_escaped));
}

static struct ccp_json *member(struct walk *w, const struct ccp_json *object, const struct ccp_json *named)
{
    for (struct ccp_json *m = object != NULL ? object->child : NULL; m != NULL; m = m->next)
        if (same_key(w, m, named))
            return m;
    return NULL;
}

double schema_number(const struct ccp_json *number)
{
    char text[400];
    size_t n = number->raw.n < sizeof(text) - 1 ? number->raw.n : sizeof(text) - 1;
    memcpy(text, number->raw.p, n);
    text[n] = '\0';
    return strtod(text, NULL);
}

static size_t code_points(struct ccp_span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* -- equality, for enum: members in any order, numbers by value -- */

static bool equal(struct walk *w, const struct ccp_json *a, const struct ccp_json *b);

static bool equal_parts(struct walk *w, const struct ccp_json *a, const struct ccp_json *b)
{
    const struct ccp_json *other = b->child;
    for (const struct ccp_json *m = a->child; m != NULL; m = m->next) {
        if (a->type == CCP_JSON_OBJECT)
            other = member(w, b, m);
        if (other == NULL || !equal(w, m, other))
            return false;
        other = other->next;
    }
    return true;
}

static bool equal(struct walk *w, const struct ccp_json *a, const struct ccp_json *b)
{
    if (a->type != b->type || a->count != b->count)
        return false;
    switch (a->type) {
    case CCP_JSON_NUMBER:
        return ccp_span_eq(a->raw, b->raw) || schema_number(a) == schema_number(b);
    case CCP_JSON_STRING:
        return ccp_span_eq(text_of(w, a), text_of(w, b));
    default:
        return equal_parts(w, a, b);
    }
}

/* -- rules -- */

bool schema_type_is(const struct ccp_json *value, struct ccp_span type)
{
    static const char *const names[] = {
        [CCP_JSON_NULL] = "null",     [CCP_JSON_FALSE] = "boolean", [CCP_JSON_TRUE] = "boolean",
        [CCP_JSON_NUMBER] = "number", [CCP_JSON_STRING] = "string", [CCP_JSON_ARRAY] = "array",
        [CCP_JSON_OBJECT] = "object",
    };
    if (ccp_span_is(type, "integer")) {
        double v = value->type == CCP_JSON_NUMBER ? schema_number(value) : NAN;
        return isfinite(v) && v == floor(v);
    }
    return ccp_span_is(type, names[value->type]);
}

static bool fits_type(struct walk *w, const struct ccp_json *type, const struct ccp_json *value)
{
    bool fits = type->type == CCP_JSON_STRING && schema_type_is(value, ccp_json_inner(type));
    for (const struct ccp_json *one = type->child; one != NULL && !fits; one = one->next)
        fits = schema_type_is(value, ccp_json_inner(one));
    if (fits)
        return true;
    if (type->type == CCP_JSON_STRING)
        return broken(w, "must be of type %.*s", CCP_FMT(ccp_json_inner(type)));
    return broken(w, "must be of one of the types %.*s", (int)(type->raw.n < 100 ? type->raw.n : 100), type->raw.p);
}

static bool fits_enum(struct walk *w, const struct ccp_json *choices, const struct ccp_json *value)
{
    for (const struct ccp_json *one = choices->child; one != NULL; one = one->next)
        if (equal(w, one, value))
            return true;
    return broken(w, "must be one of %.*s%s", (int)(choices->raw.n < 120 ? choices->raw.n : 120), choices->raw.p,
                  choices->raw.n < 120 ? "" : "...");
}

/* `have` against a rule's number; most: it may not be larger. */
static bool fits_bound(struct walk *w, const struct ccp_json *bound, double have, bool most, const char *of)
{
    if (bound == NULL || (most ? have <= schema_number(bound) : have >= schema_number(bound)))
        return true;
    return broken(w, "must %s%s %.*s%s", of[0] != '\0' ? "have " : "be ", most ? "at most" : "at least",
                  (int)(bound->raw.n < 40 ? bound->raw.n : 40), bound->raw.p, of);
}

static bool fits_bounds(struct walk *w, const struct ccp_json *schema, const struct ccp_json *value)
{
    static const struct {
        enum ccp_json_type type;
        const char *least, *most, *of;
    } rules[] = {{CCP_JSON_NUMBER, "minimum", "maximum", ""},
                 {CCP_JSON_STRING, "minLength", "maxLength", " characters"},
                 {CCP_JSON_ARRAY, "minItems", "maxItems", " items"}};
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (value->type != rules[i].type)
            continue;
        double have = value->type == CCP_JSON_NUMBER   ? schema_number(value)
                      : value->type == CCP_JSON_STRING ? (double)code_points(text_of(w, value))
                                                       : (double)value->count;
        return fits_bound(w, ccp_json_get(schema, rules[i].least), have, false, rules[i].of) &&
               fits_bound(w, ccp_json_get(schema, rules[i].most), have, true, rules[i].of);
    }
    return true;
}

static bool fits(struct walk *w, const struct ccp_json *schema, const struct ccp_json *value);

static bool fits_required(struct walk *w, const struct ccp_json *required, const struct ccp_json *object)
{
    for (const struct ccp_json *name = required != NULL ? required->child : NULL; name != NULL; name = name->next) {
        struct ccp_json named = {.key = ccp_json_inner(name), .key_escaped = name->escaped};
        if (member(w, object, &named) == NULL)
            return broken(w, "\"%.*s\" is missing", (int)(named.key.n < 64 ? named.key.n : 64), named.key.p);
    }
    return true;
}

static bool fits_member(struct walk *w, const struct ccp_json *schema, const struct ccp_json *m)
{
    const struct ccp_json *own = member(w, ccp_json_get(schema, "properties"), m);
    const struct ccp_json *others = ccp_json_get(schema, "additionalProperties");
    size_t before = descend(w, ".%.*s", (int)(m->key.n < 64 ? m->key.n : 64), m->key.p);
    if (own == NULL)
        own = others;
    if (own != NULL && own->type == CCP_JSON_FALSE)
        return broken(w, "is not known here");
    if (own != NULL && own->type == CCP_JSON_OBJECT && !fits(w, own, m))
        return false;
    ascend(w, before);
    return true;
}

static bool fits_items(struct walk *w, const struct ccp_json *items, const struct ccp_json *array)
{
    size_t i = 0;
    for (const struct ccp_json *one = array->child; one != NULL && items != NULL; one = one->next) {
        size_t before = descend(w, "[%zu]", i++);
        if (!fits(w, items, one))
            return false;
        ascend(w, before);
    }
    return true;
}

static bool fits(struct walk *w, const struct ccp_json *schema, const struct ccp_json *value)
{
    const struct ccp_json *type = ccp_json_get(schema, "type"), *choices = ccp_json_get(schema, "enum");
    if ((type != NULL && !fits_type(w, type, value)) || (choices != NULL && !fits_enum(w, choices, value)) ||
        !fits_bounds(w, schema, value))
        return false;
    if (value->type == CCP_JSON_ARRAY)
        return fits_items(w, ccp_json_get(schema, "items"), value);
    if (value->type != CCP_JSON_OBJECT)
        return true;
    for (const struct ccp_json *m = value->child; m != NULL; m = m->next)
        if (!fits_member(w, schema, m))
            return false;
    return fits_required(w, ccp_json_get(schema, "required"), value);
}

bool schema_fits(struct arena *a, const struct ccp_json *schema, const struct ccp_json *value,
                 struct schema_fault *fault)
{
    *fault = (struct schema_fault){.path = "$"};
    struct walk w = {a, fault, 1};
    return fits(&w, schema, value) && !fault->no_memory;
}

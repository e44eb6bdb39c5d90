/*
 * See fields.h.
 */
#include <format/fields.h>
#include <stdio.h>

enum loss_class { DROP, REJECT, SILENT };

static const enum loss_class losses[] = {
#define X(id, loss, what) loss,
#include <format/param.def>
#undef X
};

const struct field *fields_find(const struct field *table, enum param param)
{
    for (; table->name != NULL; table++)
        if (table->param == param)
            return table;
    return NULL;
}

/* Is this row the member `key` of the object at `prefix`, or an object on the way to one? */
enum match { NO_MATCH, ON_THE_WAY, MATCH };

static enum match match(const struct field *row, struct ccp_span prefix, struct ccp_span key)
{
    /* No byte of a key is NUL, so these stop at the end of a shorter name. */
    if (strncmp(row->name, prefix.p, prefix.n) != 0 || strncmp(row->name + prefix.n, key.p, key.n) != 0)
        return NO_MATCH;
    char after = row->name[prefix.n + key.n];
    return after == '\0' ? MATCH : after == '.' ? ON_THE_WAY : NO_MATCH;
}

static const struct field *lookup(const struct field *table, struct ccp_span prefix, struct ccp_span key,
                                  bool *on_the_way)
{
    *on_the_way = false;
    for (; table->name != NULL; table++) {
        enum match m = match(table, prefix, key);
        if (m == MATCH)
            return table;
        *on_the_way = *on_the_way || m == ON_THE_WAY;
    }
    return NULL;
}

static void unknown(struct prompt *p, const char *prefix, struct ccp_span key)
{
    struct ccp_span pieces[] = {ccp_span_z(prefix), key};
    if (prompt_drops_full(p))
        return;
    struct ccp_span name = arena_cat(p->a, pieces, 2);
    if (name.p == NULL)
        prompt_no_memory(p);
    else
        prompt_drop_span(p, name);
}

bool fields_read(struct prompt *p, const struct field *table, const struct ccp_json *object, const char *prefix)
{
    if (object == NULL || object->type != CCP_JSON_OBJECT)
        return true;
    for (const struct ccp_json *m = object->child; m != NULL; m = m->next) {
        bool on_the_way;
        const struct field *row = lookup(table, ccp_span_z(prefix), m->key, &on_the_way);
        if (m->type == CCP_JSON_NULL)
            continue;
        if (row == NULL && !on_the_way)
            unknown(p, prefix, m->key);
        if (row == NULL)
            continue;
        p->param_names[row->param] = row->name;
        if (row->how == FIELD_MOVE)
            p->params[row->param] = m;
    }
    return p->status == CCP_OK;
}

void fields_seen(struct prompt *p, enum param param, const char *name)
{
    if (p->param_names[param] == NULL)
        p->param_names[param] = name;
}

static bool says(const struct ccp_json *m)
{
    if (m->type == CCP_JSON_NULL)
        return false;
    if (m->type == CCP_JSON_STRING)
        return ccp_json_inner(m).n != 0;
    return m->type < CCP_JSON_ARRAY || m->count != 0;
}

void fields_drop_rest(struct prompt *p, const struct ccp_json *object, const char *prefix, const char *const *known)
{
    if (object == NULL || object->type != CCP_JSON_OBJECT)
        return;
    for (const struct ccp_json *m = object->child; m != NULL; m = m->next) {
        const char *const *k = known;
        while (*k != NULL && !ccp_span_is(m->key, *k))
            k++;
        if (*k == NULL && says(m))
            unknown(p, prefix, m->key);
    }
}

void fields_drop_below(struct prompt *p, enum param param, const char *rest)
{
    if (p->param_names[param] != NULL)
        unknown(p, p->param_names[param], ccp_span_z(rest));
}

/* What a value that moves must be, whatever the format; NULL: it is looked at elsewhere, or free. */
static const char *expected(enum param param, const struct ccp_json *value)
{
    bool truth = value->type == CCP_JSON_TRUE || value->type == CCP_JSON_FALSE;
    switch (param) {
    case PARAM_TEMPERATURE:
    case PARAM_TOP_P:
    case PARAM_TOP_K:
    case PARAM_SEED:
    case PARAM_FREQUENCY_PENALTY:
    case PARAM_PRESENCE_PENALTY:
    case PARAM_MAX_TOKENS:
    case PARAM_TOP_LOGPROBS:
        return value->type != CCP_JSON_NUMBER ? "a number" : NULL;
    case PARAM_LOGPROBS:
    case PARAM_STORE:
        return !truth ? "true or false" : NULL;
    case PARAM_USER:
    case PARAM_VERBOSITY:
    case PARAM_CACHE_KEY:
    case PARAM_CACHE_RETENTION:
        return value->type != CCP_JSON_STRING ? "a string" : NULL;
    case PARAM_METADATA:
    case PARAM_LOGIT_BIAS:
    case PARAM_PREDICTION:
        return value->type != CCP_JSON_OBJECT ? "an object" : NULL;
    default:
        return NULL;
    }
}

static bool right_type(struct prompt *p, enum param param)
{
    const struct ccp_json *value = p->params[param];
    const char *what = value != NULL && p->param_names[param] != NULL ? expected(param, value) : NULL;
    return what == NULL || prompt_fail(p, "%s: %s is expected", p->param_names[param], what);
}

bool fields_check(struct prompt *p, const struct field *table)
{
    for (int i = 0; i < PARAM_COUNT; i++) {
        if (!right_type(p, (enum param)i))
            return false;
        if (p->param_names[i] == NULL || losses[i] == SILENT || fields_find(table, (enum param)i) != NULL)
            continue;
        if (losses[i] == REJECT)
            return prompt_fail(p, "%s cannot be carried over to this provider's format", p->param_names[i]);
        prompt_drop(p, p->param_names[i]);
    }
    return true;
}

void fields_write(struct prompt *p, const struct field *table, const char *prefix, struct out *o)
{
    struct ccp_span before = ccp_span_z(prefix);
    bool written[PARAM_COUNT] = {false};
    for (; table->name != NULL; table++) {
        const char *rest = table->name + before.n;
        if (table->how != FIELD_MOVE || p->params[table->param] == NULL || written[table->param] ||
            !ccp_span_starts(ccp_span_z(table->name), before) || strchr(rest, '.') != NULL)
            continue;
        written[table->param] = true;
        out_node(o, rest, p->params[table->param]);
    }
}

/*
 * JSON back into a record: see describe_impl.h. The text comes from a child process that ran foreign code, or from a
 * file of the cache; each value is checked for its type and range before it is taken.
 */
#include <plugin/describe_impl.h>

#include <base/fault.h>

#include <limits.h>

struct reader {
    struct arena *a;
    char *why;
    size_t max;
};

static bool read_struct(struct reader *r, const struct shape *s, const json_t *from, void *to,
                        const struct place *place);

static void *take(struct reader *r, size_t n, const struct place *place)
{
    void *p = CCP_FAULT("plugin.describe") ? NULL : arena_zalloc(r->a, n);
    if (p == NULL)
        place_say(place, r->why, r->max, "out of memory");
    return p;
}

static bool odd(struct reader *r, const struct place *place)
{
    return place_say(place, r->why, r->max, "is not what it should be");
}

static bool read_text(struct reader *r, const json_t *v, struct ccp_span *out, const struct place *place)
{
    size_t n = json_string_length(v);
    if (!json_is_string(v) || n >= DESCRIBE_TEXT_MAX || memchr(json_string_value(v), '\0', n) != NULL)
        return odd(r, place);
    *out = CCP_FAULT("plugin.describe") ? (struct ccp_span){NULL, 0}
                                        : arena_dup(r->a, ccp_span_of(json_string_value(v), n));
    return out->p != NULL || place_say(place, r->why, r->max, "out of memory");
}

static bool read_texts(struct reader *r, const json_t *v, const char ***out, const struct place *place)
{
    size_t n = json_array_size(v);
    struct ccp_span text;
    if (!json_is_array(v) || n > DESCRIBE_LIST_MAX)
        return odd(r, place);
    const char **list = *out = take(r, (n + 1) * sizeof(*list), place);
    for (size_t i = 0; list != NULL && i < n; i++) {
        if (!read_text(r, json_array_get(v, i), &text, place))
            return false;
        list[i] = text.p;
    }
    return list != NULL;
}

static bool read_number(struct reader *r, const json_t *v, int64_t least, int64_t most, int64_t *out,
                        const struct place *place)
{
    *out = json_integer_value(v);
    return (json_is_integer(v) && *out >= least && *out <= most) || odd(r, place);
}

static bool read_ports(struct reader *r, const json_t *v, uint16_t **out, const struct place *place)
{
    size_t n = json_array_size(v);
    int64_t port;
    if (!json_is_array(v) || n > DESCRIBE_LIST_MAX)
        return odd(r, place);
    *out = take(r, (n + 1) * sizeof(**out), place);
    for (size_t i = 0; *out != NULL && i < n; i++) {
        if (!read_number(r, json_array_get(v, i), 1, UINT16_MAX, &port, place))
            return false;
        (*out)[i] = (uint16_t)port;
    }
    return *out != NULL;
}

static bool read_pairs(struct reader *r, const json_t *v, size_t n, struct ccp_header *out, const struct place *place)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(v, i);
        if (!json_is_array(pair) || json_array_size(pair) != 2)
            return odd(r, place);
        if (!read_text(r, json_array_get(pair, 0), &out[i].name, place) ||
            !read_text(r, json_array_get(pair, 1), &out[i].value, place))
            return false;
    }
    return true;
}

static bool read_headers(struct reader *r, const json_t *v, struct ccp_header **out, const struct place *place)
{
    size_t n = json_array_size(v);
    if (!json_is_array(v) || n > DESCRIBE_LIST_MAX)
        return odd(r, place);
    *out = take(r, (n + 1) * sizeof(**out), place);
    return *out != NULL && read_pairs(r, v, n, *out, place);
}

static bool read_list(struct reader *r, const struct shape *s, const json_t *v, void **out, const struct place *place)
{
    size_t n = json_array_size(v);
    if (!json_is_array(v) || n > DESCRIBE_LIST_MAX)
        return odd(r, place);
    *out = take(r, (n + 1) * s->size, place);
    for (size_t i = 0; *out != NULL && i < n; i++) {
        struct place here = {place->up, place->name, i, place->depth};
        void *to = (char *)*out + i * s->size;
        if (!read_struct(r, s, json_array_get(v, i), to, &here))
            return false;
        if (memcmp(to, &(const void *){NULL}, s->fields[0].type == FIELD_TEXT ? sizeof(void *) : sizeof(int)) == 0)
            return odd(r, &here); /* an end in the middle */
    }
    return *out != NULL;
}

static bool read_lists(struct reader *r, const struct shape *s, const json_t *v, void **out, const struct place *place)
{
    if (!json_is_array(v) || json_array_size(v) != CCP_FORMAT_MAX)
        return odd(r, place);
    for (size_t i = 0; i < CCP_FORMAT_MAX; i++)
        if (!json_is_null(json_array_get(v, i)) && !read_list(r, s, json_array_get(v, i), &out[i], place))
            return false;
    return true;
}

static bool read_one(struct reader *r, const struct shape *s, const json_t *v, void **out, const struct place *place)
{
    *out = take(r, s->size, place);
    return *out != NULL && read_struct(r, s, v, *out, place);
}

static bool read_scalar(struct reader *r, const struct field *f, const json_t *v, void *at, const struct place *place)
{
    static const struct {
        int64_t least, most;
    } range[] = {[FIELD_INT] = {INT_MIN, INT_MAX},
                 [FIELD_UINT] = {0, UINT_MAX},
                 [FIELD_INT64] = {INT64_MIN, INT64_MAX},
                 [FIELD_UINT64] = {0, INT64_MAX}};
    int64_t n;
    if (!read_number(r, v, range[f->type].least, range[f->type].most, &n, place))
        return false;
    if (f->type == FIELD_INT)
        *(int *)at = (int)n;
    else if (f->type == FIELD_UINT)
        *(unsigned *)at = (unsigned)n;
    else
        *(int64_t *)at = n;
    return true;
}

static bool read_value(struct reader *r, const struct field *f, const json_t *v, void *at, const struct place *place)
{
    struct ccp_span text;
    switch (f->type) {
    case FIELD_TEXT:
        if (!read_text(r, v, &text, place))
            return false;
        *(const char **)at = text.p;
        return true;
    case FIELD_TEXTS:
        return read_texts(r, v, at, place);
    case FIELD_BOOL:
        *(bool *)at = json_is_true(v);
        return json_is_boolean(v) || odd(r, place);
    case FIELD_PORTS:
        return read_ports(r, v, at, place);
    case FIELD_HEADERS:
        return read_headers(r, v, at, place);
    case FIELD_PAIRS:
        return (json_array_size(v) == CCP_FORMAT_MAX && read_pairs(r, v, CCP_FORMAT_MAX, at, place)) || odd(r, place);
    case FIELD_ONE:
        return read_one(r, f->of, v, at, place);
    case FIELD_LIST:
        return read_list(r, f->of, v, at, place);
    case FIELD_LISTS:
        return read_lists(r, f->of, v, at, place);
    case FIELD_CALL:
        return json_is_boolean(v) || odd(r, place);
    default:
        return read_scalar(r, f, v, at, place);
    }
}

static bool read_struct(struct reader *r, const struct shape *s, const json_t *from, void *to,
                        const struct place *place)
{
    unsigned depth = place != NULL ? place->depth + 1 : 0;
    if (!json_is_object(from) || depth >= DESCRIBE_DEPTH_MAX)
        return odd(r, place);
    for (const struct field *f = s->fields; f->name != NULL; f++) {
        const json_t *v = json_object_get(from, f->name);
        struct place here = {place, f->name, SIZE_MAX, depth};
        if (v != NULL && !read_value(r, f, v, (char *)to + f->offset, &here))
            return false;
    }
    return true;
}

bool describe_read(const json_t *json, struct arena *a, const struct ccp_plugin **out, char *why, size_t max)
{
    static const struct ccp_sizes sizes = CCP_SIZES_HERE;
    struct reader r = {a, why, max};
    struct ccp_plugin *m = take(&r, sizeof(*m), NULL);
    if (m == NULL || !read_struct(&r, &shape_plugin, json, m, NULL))
        return false;
    /* In this core's layout, whatever the object's is. */
    m->abi = (struct ccp_abi){CCP_ABI_MAGIC, CCP_ABI_MAJOR, CCP_ABI_MINOR, sizeof(*m), &sizes};
    *out = m;
    return true;
}

/*
 * A record as JSON: see describe_impl.h. Members that are NULL, false or 0 are left out.
 */
#include <plugin/describe_impl.h>

#include <base/fault.h>

struct writer {
    char *why;
    size_t max;
};

static json_t *write_struct(struct writer *w, const struct shape *s, const void *from, const struct place *place);

static json_t *refuse(struct writer *w, const struct place *place, const char *text)
{
    place_say(place, w->why, w->max, "%s", text);
    return NULL;
}

/* Text of someone else: bounded, and UTF-8 or refused. */
static json_t *write_text(struct writer *w, const char *p, size_t n, const struct place *place)
{
    if (n >= DESCRIBE_TEXT_MAX)
        return refuse(w, place, "the text is longer than 64 KiB, or has no end");
    json_t *v = CCP_FAULT("plugin.json") ? NULL : json_stringn(p, n);
    return v != NULL ? v : refuse(w, place, "the text is not UTF-8, or there is no memory");
}

static json_t *write_z(struct writer *w, const char *z, const struct place *place)
{
    return write_text(w, z, strnlen(z, DESCRIBE_TEXT_MAX), place);
}

/* Takes `value` in any case. */
static bool append(struct writer *w, json_t *list, json_t *value, const struct place *place)
{
    if (value == NULL)
        return false;
    if (json_array_append_new(list, value) == 0)
        return true;
    return refuse(w, place, "out of memory") != NULL;
}

static json_t *write_texts(struct writer *w, const char *const *v, const struct place *place)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && v[i] != NULL; i++)
        if (i == DESCRIBE_LIST_MAX || !append(w, list, write_z(w, v[i], place), place)) {
            if (i == DESCRIBE_LIST_MAX)
                refuse(w, place, "the list has no end: it must end with NULL");
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *write_ports(struct writer *w, const uint16_t *v, const struct place *place)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && v[i] != 0; i++)
        if (i == DESCRIBE_LIST_MAX || !append(w, list, json_integer(v[i]), place)) {
            if (i == DESCRIBE_LIST_MAX)
                refuse(w, place, "the list has no end: it must end with 0");
            json_decref(list);
            return NULL;
        }
    return list;
}

static bool write_pair(struct writer *w, json_t *list, const struct ccp_header *h, const struct place *place)
{
    json_t *pair = json_array();
    if (pair != NULL && append(w, pair, write_text(w, h->name.p != NULL ? h->name.p : "", h->name.n, place), place) &&
        append(w, pair, write_text(w, h->value.p != NULL ? h->value.p : "", h->value.n, place), place))
        return append(w, list, pair, place);
    json_decref(pair);
    return false;
}

/* `n` pairs, or up to an empty name. */
static json_t *write_headers(struct writer *w, const struct ccp_header *v, size_t n, const struct place *place)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && (n != 0 ? i < n : v[i].name.n != 0); i++)
        if (i == DESCRIBE_LIST_MAX || !write_pair(w, list, &v[i], place)) {
            if (i == DESCRIBE_LIST_MAX)
                refuse(w, place, "the list has no end: it must end with an empty name");
            json_decref(list);
            return NULL;
        }
    return list;
}

static bool is_end(const struct shape *s, const void *element)
{
    static const void *const none = NULL;
    static const int zero = 0;
    return s->fields[0].type == FIELD_TEXT ? memcmp(element, &none, sizeof(none)) == 0
                                           : memcmp(element, &zero, sizeof(zero)) == 0;
}

static json_t *write_list(struct writer *w, const struct shape *s, const char *v, const struct place *place)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && !is_end(s, v + i * s->size); i++) {
        struct place here = {place->up, place->name, i, place->depth};
        if (i == DESCRIBE_LIST_MAX || !append(w, list, write_struct(w, s, v + i * s->size, &here), &here)) {
            if (i == DESCRIBE_LIST_MAX)
                refuse(w, place, "the list has no end: its last element must be empty");
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *write_lists(struct writer *w, const struct shape *s, const void *const *v, const struct place *place)
{
    json_t *all = json_array();
    for (size_t i = 0; all != NULL && i < CCP_FORMAT_MAX; i++)
        if (!append(w, all, v[i] != NULL ? write_list(w, s, v[i], place) : json_null(), place)) {
            json_decref(all);
            return NULL;
        }
    return all;
}

static json_t *write_number(struct writer *w, uint64_t value, const struct place *place)
{
    if (value > INT64_MAX)
        return refuse(w, place, "the number is too large");
    return json_integer((json_int_t)value);
}

/* A pointer's value; function pointers have the same size here (POSIX: dlsym). */
static const void *pointer_at(const void *p)
{
    const void *v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static json_t *write_pointed(struct writer *w, const struct field *f, const void *to, const struct place *place)
{
    switch (f->type) {
    case FIELD_TEXT:
        return write_z(w, to, place);
    case FIELD_TEXTS:
        return write_texts(w, to, place);
    case FIELD_PORTS:
        return write_ports(w, to, place);
    case FIELD_HEADERS:
        return write_headers(w, to, 0, place);
    case FIELD_ONE:
        return write_struct(w, f->of, to, place);
    case FIELD_LIST:
        return write_list(w, f->of, to, place);
    default:
        return json_true();
    }
}

static json_t *write_value(struct writer *w, const struct field *f, const void *at, const struct place *place)
{
    switch (f->type) {
    case FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case FIELD_INT:
        return json_integer(*(const int *)at);
    case FIELD_UINT:
        return json_integer(*(const unsigned *)at);
    case FIELD_INT64:
        return json_integer(*(const int64_t *)at);
    case FIELD_UINT64:
        return write_number(w, *(const uint64_t *)at, place);
    case FIELD_PAIRS:
        return write_headers(w, at, CCP_FORMAT_MAX, place);
    case FIELD_LISTS:
        return write_lists(w, f->of, at, place);
    default:
        return write_pointed(w, f, pointer_at(at), place);
    }
}

static bool is_zero(const struct field *f, const void *at)
{
    static const char zero[CCP_FORMAT_MAX * sizeof(struct ccp_header)];
    static const size_t sizes[] = {
        [FIELD_TEXT] = sizeof(void *),
        [FIELD_TEXTS] = sizeof(void *),
        [FIELD_BOOL] = sizeof(bool),
        [FIELD_INT] = sizeof(int),
        [FIELD_UINT] = sizeof(unsigned),
        [FIELD_INT64] = sizeof(int64_t),
        [FIELD_UINT64] = sizeof(uint64_t),
        [FIELD_PORTS] = sizeof(void *),
        [FIELD_HEADERS] = sizeof(void *),
        [FIELD_PAIRS] = CCP_FORMAT_MAX * sizeof(struct ccp_header),
        [FIELD_ONE] = sizeof(void *),
        [FIELD_LIST] = sizeof(void *),
        [FIELD_LISTS] = CCP_FORMAT_MAX * sizeof(void *),
        [FIELD_CALL] = sizeof(void *),
    };
    return memcmp(at, zero, sizes[f->type]) == 0;
}

static json_t *write_struct(struct writer *w, const struct shape *s, const void *from, const struct place *place)
{
    unsigned depth = place != NULL ? place->depth + 1 : 0;
    json_t *out = depth < DESCRIBE_DEPTH_MAX ? json_object() : NULL;
    if (out == NULL)
        return refuse(w, place, depth < DESCRIBE_DEPTH_MAX ? "out of memory" : "is nested too deeply");
    for (const struct field *f = s->fields; f->name != NULL; f++) {
        const char *at = (const char *)from + f->offset;
        struct place here = {place, f->name, SIZE_MAX, depth};
        if (is_zero(f, at))
            continue;
        json_t *value = write_value(w, f, at, &here);
        if (value == NULL || json_object_set_new(out, f->name, value) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

json_t *describe_write(const struct ccp_plugin *record, char *why, size_t max)
{
    struct writer w = {why, max};
    snprintf(why, max, "out of memory");
    return write_struct(&w, &shape_plugin, record, NULL);
}

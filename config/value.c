/*
 * One value: from a node into the C type of its row, and into the canonical JSON that `config show` prints and
 * config_same compares.
 *
 * An absent value leaves the zero that the caller put there. No fault repeats a value, except a short word that was
 * written in place for an enum.
 */
#include <config/config_impl.h>

#include <base/url.h>
#include <math.h>

json_t *value_wrong_kind(struct value_in *in, const struct config_tree *node, const char *expected)
{
    fault_at(in->c, node, in->name, false, "expected %s, found %s", expected, tree_kind_name(node));
    return NULL;
}

json_t *value_made(struct value_in *in, json_t *value)
{
    if (value == NULL)
        in->c->no_memory = true;
    return value;
}

bool value_text_fine(struct value_in *in, struct config_tree *node)
{
    size_t bad;
    const char *what = config_utf8(node->text, &bad) ? NULL : "not valid UTF-8";
    for (size_t i = 0; what == NULL && i < node->text.n; i++) {
        unsigned char ch = (unsigned char)node->text.p[i];
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
            what = "control characters and line ends are not allowed here";
    }
    if (what != NULL)
        fault_at(in->c, node, in->name, false, "%s", what);
    return what == NULL;
}

static bool ranged(const struct ccp_config_row *row)
{
    return row->min != 0 || row->max != 0;
}

/* "between 1KiB and 1GiB", in the row's own unit. */
static void range_fault(struct value_in *in)
{
    char low[32], high[32];
    struct ccp_span a, b;
    const struct ccp_config_row *row = in->row;
    if (row->type == CCP_SIZE) {
        a = units_show_size((uint64_t)row->min, low, sizeof(low));
        b = units_show_size((uint64_t)row->max, high, sizeof(high));
    } else if (row->type == CCP_DURATION) {
        a = units_show_duration((uint64_t)row->min, low, sizeof(low));
        b = units_show_duration((uint64_t)row->max, high, sizeof(high));
    } else {
        a = ccp_span_of(low, (size_t)snprintf(low, sizeof(low), "%lld", (long long)row->min));
        b = ccp_span_of(high, (size_t)snprintf(high, sizeof(high), "%lld", (long long)row->max));
    }
    if (row->max < row->min)
        fault_at(in->c, in->node, in->name, false, "must be at least %.*s", CCP_FMT(a));
    else
        fault_at(in->c, in->node, in->name, false, "must be between %.*s and %.*s", CCP_FMT(a), CCP_FMT(b));
}

static bool in_range(struct value_in *in, double v, int64_t exact, bool whole)
{
    const struct ccp_config_row *row = in->row;
    bool low = whole ? exact < row->min : v < (double)row->min;
    bool high = row->max >= row->min && (whole ? exact > row->max : v > (double)row->max);
    if (!ranged(row) || (!low && !high))
        return true;
    range_fault(in);
    return false;
}

static json_t *bind_bool(struct value_in *in)
{
    if (in->node->kind != NODE_BOOL)
        return value_wrong_kind(in, in->node, "true or false");
    *(bool *)in->out = in->node->integer != 0;
    return value_made(in, json_boolean(in->node->integer != 0));
}

static json_t *bind_int(struct value_in *in)
{
    if (in->node->kind != NODE_INT)
        return value_wrong_kind(in, in->node, "an integer");
    if (!in_range(in, 0, in->node->integer, true))
        return NULL;
    *(int64_t *)in->out = in->node->integer;
    return value_made(in, json_integer(in->node->integer));
}

static json_t *bind_double(struct value_in *in)
{
    double v = in->node->kind == NODE_INT ? (double)in->node->integer : in->node->real;
    if ((in->node->kind != NODE_FLOAT && in->node->kind != NODE_INT) || !isfinite(v))
        return value_wrong_kind(in, in->node, "a finite number");
    if (!in_range(in, v, 0, false))
        return NULL;
    *(double *)in->out = v;
    return value_made(in, json_real(v));
}

static json_t *bind_size(struct value_in *in)
{
    uint64_t v = (uint64_t)in->node->integer;
    const char *what = NULL;
    char room[32];
    if (in->node->kind == NODE_STRING)
        what = units_size(in->node->text, &v);
    else if (in->node->kind != NODE_INT)
        return value_wrong_kind(in, in->node, "a size");
    else if (in->node->integer < 0)
        what = "must not be negative";
    if (what != NULL) {
        fault_at(in->c, in->node, in->name, false, "%s", what);
        return NULL;
    }
    if (!in_range(in, 0, (int64_t)v, true))
        return NULL;
    *(uint64_t *)in->out = v;
    struct ccp_span shown = units_show_size(v, room, sizeof(room));
    return value_made(in, json_stringn(shown.p, shown.n));
}

static const char *seconds(const struct config_tree *node, uint64_t *ms)
{
    double v = node->kind == NODE_INT ? (double)node->integer : node->real;
    if (!isfinite(v) || v < 0)
        return "must not be negative";
    if (v > 1e12)
        return "too long";
    *ms = node->kind == NODE_INT ? (uint64_t)node->integer * 1000 : (uint64_t)llround(v * 1000);
    return NULL;
}

static json_t *bind_duration(struct value_in *in)
{
    uint64_t v = 0;
    char room[32];
    const char *what;
    if (in->node->kind == NODE_STRING)
        what = units_duration(in->node->text, &v);
    else if (in->node->kind == NODE_INT || in->node->kind == NODE_FLOAT)
        what = seconds(in->node, &v);
    else
        return value_wrong_kind(in, in->node, "a duration");
    if (what != NULL) {
        fault_at(in->c, in->node, in->name, false, "%s", what);
        return NULL;
    }
    if (!in_range(in, 0, (int64_t)v, true))
        return NULL;
    *(uint64_t *)in->out = v;
    struct ccp_span shown = units_show_duration(v, room, sizeof(room));
    return value_made(in, json_stringn(shown.p, shown.n));
}

static const char *url_wrong(struct ccp_span text)
{
    struct url url;
    const char *what = text.n == 0 ? NULL : url_parse(text, &url);
    if (what == NULL && text.n != 0 && (url.query.n != 0 || ccp_span_find(text, '?') < text.n))
        what = "a URL here has no query";
    return what;
}

static json_t *bind_string(struct value_in *in)
{
    if (in->node->kind != NODE_STRING)
        return value_wrong_kind(in, in->node, "a string");
    if (!value_text_fine(in, in->node))
        return NULL;
    const char *what = (in->row->flags & CCP_ROW_URL) != 0 ? url_wrong(in->node->text) : NULL;
    if (what != NULL) {
        fault_at(in->c, in->node, in->name, false, "not a URL that can be used: %s", what);
        return NULL;
    }
    struct ccp_span own = arena_dup(&in->c->arena, in->node->text);
    if (own.p == NULL)
        return value_made(in, NULL);
    *(struct ccp_span *)in->out = own;
    return value_made(in, json_stringn(own.p, own.n));
}

/* Splits "a|b|c" in place of a copy; returns the number of names. */
static size_t choices_of(struct config *c, const char *choices, const char **names, size_t max)
{
    struct ccp_span rest = arena_dup(&c->arena, ccp_span_z(choices));
    size_t n = 0;
    while (rest.p != NULL && rest.n != 0 && n < max) {
        size_t bar = ccp_span_find(rest, '|');
        ((char *)rest.p)[bar] = '\0'; /* the end has a NUL already */
        names[n++] = rest.p;
        rest = ccp_span_skip(rest, bar + 1);
    }
    return n;
}

static void enum_fault(struct value_in *in, struct ccp_span text, const char *const *names, size_t n)
{
    struct ccp_span list = CCP_SPAN("");
    const char *near = in->node->foreign ? NULL : config_nearest(text, names, n);
    for (size_t i = 0; i < n; i++) {
        struct ccp_span more = arena_printf(&in->c->arena, "%.*s%s%s", CCP_FMT(list), i != 0 ? ", " : "", names[i]);
        list = more.p != NULL ? more : list;
    }
    if (near != NULL)
        fault_at(in->c, in->node, in->name, false,
                 "unknown value \"%.*s\", expected one of: %.*s (did you mean \"%s\"?)",
                 CCP_FMT(fault_clean(in->c, text)), CCP_FMT(list), near);
    else
        fault_at(in->c, in->node, in->name, false, "unknown value, expected one of: %.*s", CCP_FMT(list));
}

static json_t *bind_enum(struct value_in *in)
{
    const char *names[32];
    size_t n = choices_of(in->c, in->row->choices, names, 32);
    struct ccp_span text = in->node->text;
    if (in->node->kind == NODE_BOOL && (in->row->flags & CCP_ROW_BOOL_ENUM) != 0)
        text = ccp_span_z(in->node->integer != 0 ? "true" : "false");
    else if (in->node->kind != NODE_STRING)
        return value_wrong_kind(in, in->node, "a string");
    for (size_t i = 0; i < n; i++)
        if (ccp_span_ieq(text, ccp_span_z(names[i]))) {
            *(int *)in->out = (int)i;
            return value_made(in, json_string(names[i]));
        }
    enum_fault(in, text, names, n);
    return NULL;
}

json_t *value_bind(struct value_in *in)
{
    static json_t *(*const binders[])(struct value_in *) = {
        [CCP_BOOL] = bind_bool, [CCP_INT] = bind_int,           [CCP_DOUBLE] = bind_double,
        [CCP_SIZE] = bind_size, [CCP_DURATION] = bind_duration, [CCP_STRING] = bind_string,
        [CCP_ENUM] = bind_enum, [CCP_SECRET] = value_secret,    [CCP_LIST] = value_list,
        [CCP_MAP] = value_map,  [CCP_TABLES] = value_tables,
    };
    if (in->node == NULL)
        return value_made(in, json_null());
    if (in->row->type != CCP_SECRET)
        in->node = interpret(in->c, in->row, in->node, in->name);
    return in->node != NULL ? binders[in->row->type](in) : NULL;
}

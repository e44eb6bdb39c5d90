/*
 * Faults: what is wrong, and where it stands.
 *
 * All of them are collected; the text begins with the place ("ccproxy.toml:12", "env SERVER__PORT") and names the
 * key. No caller may put a value into a fault that could be a secret. Names of files, variables and keys are anybody's:
 * what a terminal could take for a command, or is not UTF-8, leaves here as "?".
 */
#include <config/config_impl.h>

/* A section may be bound twice; its faults are said once. */
static bool said(const struct config *c, struct ccp_span text)
{
    for (size_t i = 0; i < c->fault_n; i++)
        if (ccp_span_eq(c->faults[i].text, text))
            return true;
    return false;
}

/* In place: the text was just printed into our arena. */
static void make_readable(struct ccp_span text)
{
    char *p = (char *)text.p;
    size_t bad;
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = '?';
    while (!config_utf8(text, &bad)) {
        ((char *)text.p)[bad] = '?';
        text = ccp_span_skip(text, bad + 1);
    }
}

static void add(struct config *c, bool warning, struct ccp_span text)
{
    if (text.p != NULL)
        make_readable(text);
    if (text.p != NULL && said(c, text))
        return;
    if (c->fault_n == c->fault_cap) {
        size_t cap = c->fault_cap != 0 ? c->fault_cap * 2 : 16;
        struct config_fault *more = arena_alloc(&c->arena, cap * sizeof(*more));
        if (more == NULL) {
            c->no_memory = true;
            return;
        }
        if (c->fault_n != 0)
            memcpy(more, c->faults, c->fault_n * sizeof(*more));
        c->faults = more;
        c->fault_cap = cap;
    }
    if (text.p == NULL)
        c->no_memory = true;
    else
        c->faults[c->fault_n++] = (struct config_fault){text, warning};
}

struct ccp_span fault_clean(struct config *c, struct ccp_span name)
{
    size_t n = name.n < 80 ? name.n : 80;
    char *copy = arena_alloc(&c->arena, n + 4);
    if (copy == NULL)
        return CCP_SPAN("?");
    for (size_t i = 0; i < n; i++)
        copy[i] = (unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f ? '?' : name.p[i];
    if (n < name.n) {
        while (n != 0 && ((unsigned char)copy[n - 1] & 0xc0) == 0x80)
            n--; /* not in the middle of a character */
        if (n != 0 && (unsigned char)copy[n - 1] >= 0xc0)
            n--;
        memcpy(copy + n, "...", 3);
        n += 3;
    }
    return ccp_span_of(copy, n);
}

struct ccp_span origin_text(struct config *c, const struct config_tree *node)
{
    struct ccp_span out = CCP_SPAN("default");
    if (node == NULL || node->layer == LAYER_DEFAULT)
        return out;
    if (node->layer == LAYER_FILE)
        out = arena_printf(&c->arena, "%.*s:%u", CCP_FMT(c->file), node->line);
    else if (node->layer == LAYER_STATE)
        out = arena_printf(&c->arena, "%.*s:%u", CCP_FMT(c->state), node->line);
    else if (node->layer == LAYER_ENV)
        out = arena_printf(&c->arena, "env %.*s", CCP_FMT(fault_clean(c, node->via)));
    else
        out = arena_printf(&c->arena, "flag %.*s", CCP_FMT(fault_clean(c, node->via)));
    if (out.p == NULL) {
        c->no_memory = true;
        return CCP_SPAN("?");
    }
    return out;
}

struct ccp_span join_path(struct config *c, struct ccp_span path, struct ccp_span key)
{
    if (path.n == 0)
        return key;
    if (key.n == 0)
        return path;
    struct ccp_span out = arena_printf(&c->arena, "%.*s.%.*s", CCP_FMT(path), CCP_FMT(key));
    if (out.p == NULL)
        c->no_memory = true;
    return out.p != NULL ? out : key;
}

static void vfault(struct config *c, const struct config_tree *node, struct ccp_span name, bool warning,
                   const char *fmt, va_list ap)
{
    struct ccp_span what = arena_vprintf(&c->arena, fmt, ap);
    if (what.p == NULL) {
        c->no_memory = true;
        return;
    }
    struct ccp_span where = origin_text(c, node);
    if (node != NULL && node->layer == LAYER_STATE && !warning && !c->candidate) /* nobody wrote it by hand */
        what = arena_printf(&c->arena, "%.*s; it was set while ccproxy ran: take the line out of that file",
                            CCP_FMT(what));
    if (what.p == NULL)
        what = CCP_SPAN("?");
    if (node != NULL && node->layer == LAYER_DEFAULT && node->via.n != 0) /* nobody set it but this variable */
        where = arena_printf(&c->arena, "env %.*s", CCP_FMT(fault_clean(c, node->via)));
    if (name.n == 0)
        add(c, warning, arena_printf(&c->arena, "%.*s: %.*s", CCP_FMT(where), CCP_FMT(what)));
    else
        add(c, warning,
            arena_printf(&c->arena, "%.*s: %.*s: %.*s", CCP_FMT(where), CCP_FMT(fault_clean(c, name)), CCP_FMT(what)));
}

void fault_at(struct config *c, const struct config_tree *node, struct ccp_span name, bool warning, const char *fmt,
              ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfault(c, node, name, warning, fmt, ap);
    va_end(ap);
}

void fault_plain(struct config *c, bool warning, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(c, warning, arena_vprintf(&c->arena, fmt, ap));
    va_end(ap);
}

/* The table itself, where it is written first; the top level is no place. */
static struct config_tree *table_place(struct config *c, struct ccp_span path)
{
    for (int layer = 0; layer < LAYERS && path.n != 0; layer++) {
        struct config_tree *table = tree_find(c->layers[layer], path);
        if (table != NULL)
            return table;
    }
    return NULL;
}

/* Where path.key is set, else where its table stands. "security.keys[2]" is looked up as "security.keys". */
static struct config_tree *place(struct config *c, struct ccp_span path, struct ccp_span key)
{
    struct bound *b = bound_find(c, path, key);
    if (b != NULL && b->node != NULL && b->node->layer != LAYER_DEFAULT)
        return b->node;
    for (int layer = LAYERS - 1; layer >= 0 && b == NULL && key.n != 0; layer--) {
        struct config_tree *node = tree_get(c, layer, path, key);
        if (node != NULL)
            return node;
    }
    return table_place(c, ccp_span_of(path.p, ccp_span_find(path, '[')));
}

void config_fault(struct config *c, const char *path, const char *key, bool warning, const char *fmt, ...)
{
    struct ccp_span p = ccp_span_z(path), k = ccp_span_z(key);
    va_list ap;
    va_start(ap, fmt);
    vfault(c, place(c, p, k), join_path(c, p, k), warning, fmt, ap);
    va_end(ap);
}

const struct config_fault *config_faults(const struct config *c, size_t *n)
{
    static const struct config_fault memory = {CCP_LIT("not enough memory for the configuration"), false};
    if (c->no_memory) {
        *n = 1;
        return &memory;
    }
    *n = c->fault_n;
    return c->faults;
}

bool config_ok(const struct config *c)
{
    for (size_t i = 0; i < c->fault_n; i++)
        if (!c->faults[i].warning)
            return false;
    return !c->no_memory;
}

/*
 * ${NAME} and ${NAME:-default} in strings of the file and of defaults; $${ stands for ${.
 *
 * What comes in is not looked at again, so a variable's text cannot ask for another one. An empty variable takes the
 * default, as in a shell; one that is not set and has no default is a fault.
 */
#include <config/config_impl.h>

struct expansion {
    struct config *c;
    char *out; /* NULL = only count */
    size_t n;
    bool foreign;
    struct ccp_span missing, variable; /* the first one that was asked for */
    const char *wrong;
};

static void put(struct expansion *e, struct ccp_span s)
{
    if (e->out != NULL && s.n != 0)
        memcpy(e->out + e->n, s.p, s.n);
    e->n += s.n;
}

static bool name_fine(struct ccp_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool letter = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_';
        if (!letter && !(i != 0 && ch >= '0' && ch <= '9'))
            return false;
    }
    return name.n != 0;
}

/* `inner` is what stands between the braces. */
static void put_variable(struct expansion *e, struct ccp_span inner)
{
    size_t colon = ccp_span_find(inner, ':');
    struct ccp_span name = ccp_span_of(inner.p, colon), rest = ccp_span_skip(inner, colon);
    if (!name_fine(name) || (rest.n != 0 && !ccp_span_starts(rest, CCP_SPAN(":-")))) {
        e->wrong = "expected ${NAME} or ${NAME:-default} ($${ for a literal ${)";
        return;
    }
    struct ccp_span value = environ_get(e->c, name);
    if (!e->foreign)
        e->variable = name;
    e->foreign = true;
    if (value.n == 0 && rest.n != 0)
        value = ccp_span_skip(rest, 2);
    else if (value.p == NULL)
        e->missing = name;
    put(e, value);
}

static void run(struct expansion *e, struct ccp_span text)
{
    while (text.n != 0 && e->wrong == NULL && e->missing.p == NULL) {
        if (ccp_span_starts(text, CCP_SPAN("$${"))) {
            put(e, CCP_SPAN("${"));
            text = ccp_span_skip(text, 3);
        } else if (ccp_span_starts(text, CCP_SPAN("${"))) {
            size_t close = ccp_span_find(text, '}');
            if (close == text.n)
                e->wrong = "\"${\" without \"}\" ($${ for a literal ${)";
            else
                put_variable(e, ccp_span_of(text.p + 2, close - 2));
            text = ccp_span_skip(text, close + 1);
        } else {
            put(e, ccp_span_of(text.p, 1));
            text = ccp_span_skip(text, 1);
        }
    }
    if (e->wrong == NULL && e->n > CONFIG_TEXT_MAX)
        e->wrong = "too long after expansion";
}

bool expand_node(struct config *c, struct config_tree *node, struct ccp_span name)
{
    struct expansion e = {.c = c};
    bool ours = node->layer == LAYER_FILE || node->layer == LAYER_DEFAULT;
    if (node->kind != NODE_STRING || node->expanded || !ours || ccp_span_find(node->text, '$') == node->text.n)
        return true;
    run(&e, node->text);
    if (e.missing.p != NULL)
        fault_at(c, node, name, false, "environment variable %.*s is not set (${%.*s:-} makes it optional)",
                 CCP_FMT(e.missing), CCP_FMT(e.missing));
    else if (e.wrong != NULL)
        fault_at(c, node, name, false, "%s", e.wrong);
    if (e.missing.p != NULL || e.wrong != NULL)
        return false;
    char *out = arena_alloc(&c->arena, e.n + 1);
    if (out == NULL) {
        c->no_memory = true;
        return false;
    }
    if (node->layer == LAYER_DEFAULT && e.foreign)
        node->via = arena_dup(&c->arena, e.variable);
    e.out = out;
    e.n = 0;
    run(&e, node->text);
    out[e.n] = '\0';
    tree_wipe_text(node);
    node->text = ccp_span_of(out, e.n);
    node->expanded = true;
    node->foreign = e.foreign;
    return true;
}

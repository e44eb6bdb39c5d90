/*
 * The environment: a copy for ${NAME}, and a tree of the variables whose names could be keys.
 *
 * SERVER__PORT stands for server.port. The environment is not ours: nothing here is a fault, and a variable only
 * counts when a row asks for it or when it stands below a table that we know.
 */
#include <config/config_impl.h>

static struct ccp_span lower(struct config *c, struct ccp_span s)
{
    struct ccp_span copy = arena_dup(&c->arena, s);
    for (size_t i = 0; copy.p != NULL && i < copy.n; i++)
        if (copy.p[i] >= 'A' && copy.p[i] <= 'Z')
            ((char *)copy.p)[i] += 'a' - 'A';
    return copy;
}

static size_t next_level(struct ccp_span name)
{
    for (size_t i = 0; i + 1 < name.n; i++)
        if (name.p[i] == '_' && name.p[i + 1] == '_')
            return i;
    return name.n;
}

/* "A__B" is ours to read; "__A", "A__" and "A____B" are not names of keys. */
static bool could_be_key(struct ccp_span name)
{
    unsigned levels = 0;
    while (name.n != 0 && levels++ < 8) {
        size_t n = next_level(name);
        if (n == 0 || n + 2 == name.n)
            return false;
        name = ccp_span_skip(name, n == name.n ? n : n + 2);
    }
    return name.n == 0 && levels != 0;
}

static struct config_tree *descend(struct config *c, struct config_tree *node, struct ccp_span rest,
                                   struct ccp_span name)
{
    while (node != NULL && rest.n != 0) {
        size_t n = next_level(rest);
        struct ccp_span key = lower(c, ccp_span_of(rest.p, n));
        struct config_tree *child = key.p != NULL ? tree_child(node, key) : NULL;
        if (child == NULL && key.p != NULL && (child = tree_new(c, node, NODE_TABLE, key, LAYER_ENV)) != NULL)
            child->via = name;
        node = child;
        rest = ccp_span_skip(rest, n == rest.n ? n : n + 2);
    }
    return node;
}

static void add_variable(struct config *c, struct env_var *v)
{
    struct config_tree *root = c->layers[LAYER_ENV], *node;
    if (!could_be_key(v->name) || (node = descend(c, root, v->name, v->name)) == NULL)
        return;
    node->kind = NODE_TEXT;
    node->via = v->name;
    tree_text(c, node, v->value);
}

void environ_load(struct config *c, char **environ)
{
    size_t n = 0;
    while (environ != NULL && environ[n] != NULL)
        n++;
    c->env = arena_alloc(&c->arena, (n + 1) * sizeof(*c->env));
    if (c->env == NULL)
        c->no_memory = true;
    for (size_t i = 0; c->env != NULL && i < n; i++) {
        struct ccp_span whole = arena_dup(&c->arena, ccp_span_z(environ[i]));
        size_t eq = whole.p != NULL ? ccp_span_find(whole, '=') : 0;
        if (whole.p == NULL)
            c->no_memory = true;
        else if (eq != whole.n && eq != 0) {
            c->env[c->env_n] = (struct env_var){ccp_span_of(whole.p, eq), ccp_span_skip(whole, eq + 1)};
            add_variable(c, &c->env[c->env_n++]);
        }
    }
}

struct ccp_span environ_get(const struct config *c, struct ccp_span name)
{
    for (size_t i = 0; i < c->env_n; i++)
        if (ccp_span_eq(c->env[i].name, name))
            return c->env[i].value;
    return ccp_span_of(NULL, 0);
}

void environ_wipe(struct config *c)
{
    for (size_t i = 0; i < c->env_n; i++)
        secret_wipe((char *)c->env[i].value.p, c->env[i].value.n);
    c->env_n = 0;
}

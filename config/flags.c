/*
 * Flags: "server.port=9000", or with the flag's own name in front, "--port server.port=9000".
 *
 * A later flag wins over an earlier one. The text is read as a type when its row is known. A fault never repeats
 * what was written behind "=", nor a whole word without one: it could be a token.
 */
#include <config/config_impl.h>

/* Next part of a dotted key; a part may be quoted. False = not a key. */
static bool next_part(struct ccp_span *key, struct ccp_span *part)
{
    char quote = key->n != 0 && (key->p[0] == '"' || key->p[0] == '\'') ? key->p[0] : 0;
    struct ccp_span rest = ccp_span_skip(*key, quote != 0);
    size_t n = ccp_span_find(rest, quote != 0 ? quote : '.');
    if (n == 0 || (quote != 0 && n == rest.n))
        return false;
    *part = ccp_span_of(rest.p, n);
    rest = ccp_span_skip(rest, n + (quote != 0));
    if (rest.n != 0 && (rest.p[0] != '.' || rest.n == 1))
        return false;
    *key = ccp_span_skip(rest, 1);
    return true;
}

static void set(struct config *c, struct ccp_span key, struct ccp_span value, struct ccp_span via)
{
    struct config_tree *node = c->layers[LAYER_FLAG];
    struct ccp_span whole = key, part;
    for (int levels = 0; key.n != 0 && node != NULL; levels++) {
        if (levels == 16 || !next_part(&key, &part)) {
            fault_plain(c, false, "flag %.*s: %.*s: not a key", CCP_FMT(via), CCP_FMT(fault_clean(c, whole)));
            return;
        }
        struct config_tree *child = tree_child(node, part);
        if (child == NULL && (child = tree_new(c, node, NODE_TABLE, part, LAYER_FLAG)) != NULL)
            child->via = via;
        node = child;
    }
    if (node == NULL)
        return;
    node->kind = NODE_TEXT;
    node->via = via;
    tree_text(c, node, value);
}

static void add_set(struct config *c, struct ccp_span entry)
{
    struct ccp_span via = CCP_SPAN("--set");
    size_t space = ccp_span_find(entry, ' ');
    if (ccp_span_starts(entry, CCP_SPAN("--")) && space < ccp_span_find(entry, '=')) {
        via = arena_dup(&c->arena, ccp_span_of(entry.p, space));
        entry = ccp_span_skip(entry, space + 1);
    }
    size_t eq = ccp_span_find(entry, '=');
    if (via.p == NULL)
        c->no_memory = true;
    else if (eq == entry.n || eq == 0)
        fault_plain(c, false, "flag %.*s: expected key=value", CCP_FMT(via));
    else
        set(c, ccp_span_trim(ccp_span_of(entry.p, eq)), ccp_span_skip(entry, eq + 1), via);
}

void flags_load(struct config *c, const char *const *sets)
{
    for (size_t i = 0; sets != NULL && sets[i] != NULL; i++)
        add_set(c, ccp_span_z(sets[i]));
}

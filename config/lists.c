/*
 * Values with several strings: arrays (CCP_LIST) and tables of strings (CCP_MAP).
 *
 * Every string is expanded and checked by itself, so one fault names each bad one. A value stands only when all of
 * its strings do.
 */
#include <config/config_impl.h>

/* One string of a list or map; p = NULL = a fault was added. */
static struct ccp_span item_text(struct value_in *in, struct config_tree *node)
{
    struct ccp_span none = {NULL, 0};
    if (node->kind != NODE_STRING) {
        value_wrong_kind(in, node, "a string");
        return none;
    }
    if (!expand_node(in->c, node, in->name) || !value_text_fine(in, node))
        return none;
    struct ccp_span own = arena_dup(&in->c->arena, node->text);
    if (own.p == NULL)
        in->c->no_memory = true;
    return own;
}

static size_t count(const struct config_tree *node)
{
    size_t n = 0;
    for (const struct config_tree *m = node->child; m != NULL; m = m->next)
        n++;
    return n;
}

json_t *value_list(struct value_in *in)
{
    bool single = in->node->kind == NODE_STRING, fine = true;
    if (!single && in->node->kind != NODE_ARRAY)
        return value_wrong_kind(in, in->node, "an array of strings");
    size_t n = single ? 1 : count(in->node), i = 0;
    struct ccp_span *v = arena_alloc(&in->c->arena, (n + 1) * sizeof(*v));
    json_t *shown = json_array();
    if (v == NULL || shown == NULL) {
        json_decref(shown);
        return value_made(in, NULL);
    }
    for (struct config_tree *m = single ? in->node : in->node->child; i < n; i++, m = m->next) {
        v[i] = item_text(in, m);
        fine = v[i].p != NULL && fine;
        if (fine)
            json_array_append_new(shown, json_stringn(v[i].p, v[i].n));
    }
    if (!fine) {
        json_decref(shown);
        return NULL;
    }
    *(struct ccp_list *)in->out = (struct ccp_list){v, n};
    return shown;
}

struct wiping {
    struct ccp_span text;
};

static void wipe_later(void *arg)
{
    struct wiping *w = arg;
    secret_wipe((char *)w->text.p, w->text.n);
}

/* The value of a map entry for show; what may hold a credential is kept aside and masked. */
static json_t *entry_shown(struct value_in *in, struct ccp_span value)
{
    if ((in->row->flags & CCP_ROW_SECRET_VALUES) == 0 || value.n == 0)
        return json_stringn(value.p, value.n);
    struct wiping *w = arena_alloc(&in->c->arena, sizeof(*w));
    if (w != NULL)
        w->text = value;
    if (w == NULL || !arena_defer(&in->c->arena, wipe_later, w) || !secret_keep(in, secret_new(value)))
        return NULL;
    return json_string("***");
}

json_t *value_map(struct value_in *in)
{
    bool fine = true;
    size_t n, i = 0;
    if (in->node->kind != NODE_TABLE)
        return value_wrong_kind(in, in->node, "a table of strings");
    n = count(in->node);
    struct ccp_header *v = arena_alloc(&in->c->arena, (n + 1) * sizeof(*v));
    json_t *shown = json_object();
    if (v == NULL || shown == NULL) {
        json_decref(shown);
        return value_made(in, NULL);
    }
    struct value_in entry = *in;
    for (struct config_tree *m = in->node->child; m != NULL; m = m->next, i++) {
        entry.name = join_path(in->c, in->name, m->key);
        v[i] = (struct ccp_header){arena_dup(&in->c->arena, m->key), item_text(&entry, m)};
        fine = v[i].name.p != NULL && v[i].value.p != NULL && fine;
        entry.node = m;
        if (fine && json_object_setn_new(shown, m->key.p, m->key.n, entry_shown(&entry, v[i].value)) != 0)
            fine = value_made(in, NULL) != NULL;
    }
    in->secrets = entry.secrets;
    if (!fine) {
        json_decref(shown);
        return NULL;
    }
    *(struct ccp_map *)in->out = (struct ccp_map){v, n};
    return shown;
}

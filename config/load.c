/*
 * The snapshot's life: made by one thread, then shared and counted.
 *
 * The last reference wipes every text that was read and frees all bound memory; secrets have their own count.
 */
#include <config/config_impl.h>

struct config *config_new(void)
{
    struct config *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    atomic_init(&c->refs, 1);
    arena_init(&c->arena, NULL, 0);
    c->file = c->state = CCP_SPAN("");
    for (int layer = 0; layer < LAYERS; layer++)
        if ((c->layers[layer] = tree_new(c, NULL, NODE_TABLE, CCP_SPAN(""), layer)) == NULL) {
            config_unref(c);
            return NULL;
        }
    return c;
}

struct config *config_load(const struct config_source *source)
{
    struct config *c = config_new();
    if (c == NULL)
        return NULL;
    environ_load(c, source->environ);
    flags_load(c, source->sets);
    file_load(c, source);
    state_load(c, source);
    return c;
}

struct config *config_ref(struct config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void config_unref(struct config *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    environ_wipe(c);
    for (struct config_tree *node = c->nodes; node != NULL; node = node->all)
        tree_wipe_text(node);
    for (struct bound *b = c->bound; b != NULL; b = b->next)
        json_decref(b->value);
    arena_end(&c->arena);
    free(c);
}

struct ccp_span config_file(const struct config *c)
{
    return c->file;
}

struct ccp_span config_state(const struct config *c)
{
    return c->state;
}

bool config_untrusted(const struct config *c)
{
    return c->untrusted;
}

struct arena *config_arena(struct config *c)
{
    return &c->arena;
}

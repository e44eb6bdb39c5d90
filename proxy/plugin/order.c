/*
 * Dependency order of plugins: depth first over `needs`, in the order of the list, so that the result is stable.
 */
#include <base/arena.h>
#include <plugin/runtime.h>

enum mark { UNSEEN, VISITING, PLACED };

struct walk {
    const struct ccp_plugin *const *manifests;
    size_t n, placed;
    size_t *order;
    enum mark *marks;
    struct arena *a;
};

static size_t find(const struct walk *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->manifests[i]->name, name) == 0)
            return i;
    return w->n;
}

/* Depth is bounded by the number of plugins: a plugin that is being visited is a cycle. */
static const char *visit(struct walk *w, size_t i)
{
    const struct ccp_plugin *m = w->manifests[i];
    if (w->marks[i] == PLACED)
        return NULL;
    if (w->marks[i] == VISITING)
        return arena_printf(w->a, "plugin %s needs itself (a cycle of needs)", m->name).p;
    w->marks[i] = VISITING;
    for (size_t k = 0; m->needs != NULL && m->needs[k] != NULL; k++) {
        size_t other = find(w, m->needs[k]);
        if (other == w->n)
            return arena_printf(w->a, "plugin %s needs %s, which is not there or not enabled", m->name, m->needs[k]).p;
        const char *wrong = visit(w, other);
        if (wrong != NULL)
            return wrong;
    }
    w->marks[i] = PLACED;
    w->order[w->placed++] = i;
    return NULL;
}

const char *order_plugins(const struct ccp_plugin *const *manifests, size_t n, size_t *order, struct arena *a)
{
    struct walk w = {manifests, n, 0, order, arena_zalloc(a, n * sizeof(enum mark)), a};
    if (w.marks == NULL)
        return "out of memory";
    for (size_t i = 0; i < n; i++) {
        const char *wrong = visit(&w, i);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

/*
 * Dependency order of plugins: depth first over what they need, in the order of the list, so that the result is stable.
 *
 * `needs` and `requires` must be there; `after` and `uses` only decide the order. A plugin that cannot have what it
 * needs is left out, with it those that need it; a cycle leaves out everything on it, named with its whole way round.
 */
#include <base/arena.h>
#include <plugin/runtime.h>

enum mark { UNSEEN, VISITING, PLACED, OUT };

struct walk {
    const struct ccp_plugin *const *manifests;
    size_t n, placed, depth;
    size_t *order, *way; /* way: those being visited, from the outermost */
    enum mark *marks;
    struct ccp_span *why;
    struct arena *a;
};

static void visit(struct walk *w, size_t i);

static size_t find(const struct walk *w, struct ccp_span name)
{
    for (size_t i = 0; i < w->n; i++)
        if (ccp_span_is(name, w->manifests[i]->name))
            return i;
    return w->n;
}

static size_t find_service(const struct walk *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        for (const struct ccp_service *s = w->manifests[i]->provides; s != NULL && s->name != NULL; s++)
            if (strcmp(s->name, name) == 0)
                return i;
    return w->n;
}

static void leave_out(struct walk *w, size_t i, struct ccp_span why)
{
    if (w->why[i].p == NULL)
        w->why[i] = why.p != NULL ? why : CCP_SPAN("out of memory");
    w->marks[i] = OUT;
}

/* "a -> b -> a" for the part of the way that begins at `i`; everything on it is left out. */
static void name_cycle(struct walk *w, size_t i)
{
    size_t from = 0;
    while (w->way[from] != i)
        from++;
    struct ccp_span text = CCP_SPAN("it needs itself: ");
    for (size_t k = from; k <= w->depth && text.p != NULL; k++)
        text = arena_printf(w->a, "%.*s%s%s", CCP_FMT(text), w->manifests[k < w->depth ? w->way[k] : i]->name,
                            k < w->depth ? " -> " : "");
    for (size_t k = from; k < w->depth; k++)
        leave_out(w, w->way[k], text);
}

/* `must`: i cannot be opened without `other`. */
static void depend(struct walk *w, size_t i, size_t other, bool must)
{
    if (w->marks[other] == VISITING) {
        if (must) /* what only prefers an order takes the one it can have */
            name_cycle(w, other);
        return;
    }
    visit(w, other);
    if (must && w->marks[other] == OUT && w->marks[i] != OUT)
        leave_out(w, i,
                  arena_printf(w->a, "it needs %s, which cannot be opened: %.*s", w->manifests[other]->name,
                               CCP_FMT(w->why[other])));
}

/* "ratings >= 1.2" */
static void depend_on_plugin(struct walk *w, size_t i, const char *text, bool must)
{
    struct ccp_span name = ccp_span_z(text);
    name.n = strcspn(text, " <>=");
    size_t other = find(w, name);
    bool there = other < w->n, fits = there && version_fits(w->manifests[other]->version, ccp_span_z(text + name.n));
    if (must && !there)
        leave_out(w, i, arena_printf(w->a, "it needs plugin %.*s, which is not there or not enabled", CCP_FMT(name)));
    else if (must && !fits)
        leave_out(w, i, arena_printf(w->a, "it needs %s, but version %s is there", text, w->manifests[other]->version));
    else if (there)
        depend(w, i, other, must);
}

static void depend_on_service(struct walk *w, size_t i, const char *name, bool must)
{
    size_t other = find_service(w, name);
    if (other < w->n)
        depend(w, i, other, must);
    else if (must)
        leave_out(w, i, arena_printf(w->a, "it requires service %s, which no enabled plugin provides", name));
}

static void each(struct walk *w, size_t i, const char *const *list, bool must,
                 void (*on_one)(struct walk *, size_t, const char *, bool))
{
    for (size_t k = 0; list != NULL && list[k] != NULL && w->marks[i] != OUT; k++)
        on_one(w, i, list[k], must);
}

/* Depth is bounded by the number of plugins: one that is being visited is a cycle. */
static void visit(struct walk *w, size_t i)
{
    const struct ccp_plugin *m = w->manifests[i];
    if (w->marks[i] != UNSEEN)
        return;
    w->marks[i] = VISITING;
    w->way[w->depth++] = i;
    each(w, i, m->needs, true, depend_on_plugin);
    each(w, i, m->requires, true, depend_on_service);
    each(w, i, m->after, false, depend_on_plugin);
    each(w, i, m->uses, false, depend_on_service);
    w->depth--;
    if (w->marks[i] == OUT)
        return;
    w->marks[i] = PLACED;
    w->order[w->placed++] = i;
}

size_t order_plugins(const struct ccp_plugin *const *manifests, size_t n, size_t *order, struct ccp_span *why,
                     struct arena *a)
{
    struct walk w = {.manifests = manifests, .n = n, .order = order, .why = why, .a = a};
    w.marks = arena_zalloc(a, (n + 1) * sizeof(enum mark));
    w.way = arena_zalloc(a, (n + 1) * sizeof(size_t));
    if (w.marks == NULL || w.way == NULL)
        return SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        why[i] = (struct ccp_span){NULL, 0};
    for (size_t i = 0; i < n; i++)
        visit(&w, i);
    return w.placed;
}

/*
 * Records of other sizes: see adopt_impl.h.
 *
 * Structs only grow at their end, so a smaller one is the beginning of ours. The one thing that differs is the stride
 * of lists, and the record tells it (abi.sizes).
 */
#include <plugin/adopt_impl.h>
#include <plugin/describe_impl.h>
#include <plugin/runtime.h>

#include <base/fault.h>

struct adopt {
    const struct ccp_sizes *sizes; /* as the record was built */
    struct arena *a;
    char *why;
    size_t max;
};

static bool copy_struct(struct adopt *ad, const struct shape *s, size_t size, const void *from, void *to,
                        const struct place *place);

/* Size of such a struct where the record was built. 0 = unknown there, or no size that could be. */
static size_t size_of(const struct adopt *ad, const struct shape *s)
{
    uint32_t size;
    if (s->size_at + sizeof(size) > ad->sizes->size)
        return 0;
    memcpy(&size, (const char *)ad->sizes + s->size_at, sizeof(size));
    return size <= s->size && size % sizeof(int) == 0 ? size : 0;
}

static void *take(struct adopt *ad, size_t n, const struct place *place)
{
    void *p = CCP_FAULT("plugin.adopt") ? NULL : arena_zalloc(ad->a, n);
    if (p == NULL)
        place_say(place, ad->why, ad->max, "out of memory");
    return p;
}

static bool ends(const struct shape *s, const void *element)
{
    static const char zero[sizeof(void *)];
    return memcmp(element, zero, s->fields[0].type == FIELD_TEXT ? sizeof(void *) : sizeof(int)) == 0;
}

static bool copy_list(struct adopt *ad, const struct shape *s, const char *from, void **out, const struct place *place)
{
    size_t stride = size_of(ad, s), n = 0;
    if (stride == 0)
        return place_say(place, ad->why, ad->max, "the record does not say how large a %s is: rebuild it", s->name);
    while (n <= DESCRIBE_LIST_MAX && !ends(s, from + n * stride))
        n++;
    if (n > DESCRIBE_LIST_MAX)
        return place_say(place, ad->why, ad->max, "the list has no end: its last element must be empty");
    char *to = take(ad, (n + 1) * s->size, place);
    for (size_t i = 0; to != NULL && i < n; i++) {
        struct place here = {place->up, place->name, i, place->depth};
        if (!copy_struct(ad, s, stride, from + i * stride, to + i * s->size, &here))
            return false;
    }
    *out = to;
    return to != NULL;
}

static bool copy_one(struct adopt *ad, const struct shape *s, const void *from, void **out, const struct place *place)
{
    size_t size = size_of(ad, s);
    if (size == 0)
        return place_say(place, ad->why, ad->max, "the record does not say how large a %s is: rebuild it", s->name);
    *out = take(ad, s->size, place);
    return *out != NULL && copy_struct(ad, s, size, from, *out, place);
}

/* Replaces the pointers at `at` by pointers to copies. */
static bool copy_pointed(struct adopt *ad, const struct field *f, void **at, const struct place *place)
{
    size_t n = f->type == FIELD_LISTS ? CCP_FORMAT_MAX : 1;
    for (size_t i = 0; i < n; i++)
        if (at[i] != NULL && !(f->type == FIELD_ONE ? copy_one(ad, f->of, at[i], &at[i], place)
                                                    : copy_list(ad, f->of, at[i], &at[i], place)))
            return false;
    return true;
}

static bool copy_struct(struct adopt *ad, const struct shape *s, size_t size, const void *from, void *to,
                        const struct place *place)
{
    unsigned depth = place != NULL ? place->depth + 1 : 0;
    if (depth >= DESCRIBE_DEPTH_MAX)
        return place_say(place, ad->why, ad->max, "is nested too deeply");
    memcpy(to, from, size < s->size ? size : s->size);
    for (const struct field *f = s->fields; f->name != NULL; f++) {
        struct place here = {place, f->name, SIZE_MAX, depth};
        if (f->of != NULL && !copy_pointed(ad, f, (void **)((char *)to + f->offset), &here))
            return false;
    }
    return true;
}

bool adopt_record(const struct ccp_plugin *record, struct arena *a, const struct ccp_plugin **out, char *why,
                  size_t max)
{
    struct adopt ad = {record->abi.sizes, a, why, max};
    const char *refused = abi_refusal(&record->abi);
    if (refused == NULL && (ad.sizes == NULL || ad.sizes->size < sizeof(uint32_t) * 2))
        refused = "its record does not tell its sizes: its abi must be CCP_ABI_HERE";
    if (refused != NULL)
        return place_say(NULL, why, max, "%s", refused);
    struct ccp_plugin *m = take(&ad, sizeof(*m), NULL);
    if (m == NULL || !copy_struct(&ad, &shape_plugin, record->abi.size, record, m, NULL))
        return false;
    *out = m;
    return true;
}

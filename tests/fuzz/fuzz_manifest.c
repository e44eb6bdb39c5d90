/*
 * Descriptions of plugins of any bytes, as a child process or a file of the cache may bring them: what is read is sound
 * for whoever walks it, and written and read again it is the same.
 */
#include "fuzz.h"

#include <plugin/adopt_impl.h>
#include <plugin/describe_impl.h>
#include <plugin/runtime_impl.h>

/* Settings are what the core does most with: each row must lie inside its struct. */
static void bind(const struct ccp_plugin *m)
{
    struct config_section section;
    struct config *c = config_load(&(struct config_source){.file = "/dev/null"});
    MUST(c != NULL);
    if (section_of_plugin(c, "plugins.it", m, &section))
        config_bind(c, &section);
    config_unref(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ccp_plugin *m = NULL, *back = NULL;
    char why[400] = "";
    struct arena a;
    arena_init(&a, NULL, 8 << 20);
    json_t *json = json_loadb((const char *)data, size, 0, NULL);
    if (json != NULL && describe_read(json, &a, &m, why, sizeof(why)) && m->name != NULL &&
        adopt_check(m, m->name, false, why, sizeof(why))) {
        json_t *first = describe_write(m, why, sizeof(why));
        MUST(first != NULL);
        MUST(describe_read(first, &a, &back, why, sizeof(why)) || a.used > (4 << 20));
        json_t *second = back != NULL ? describe_write(back, why, sizeof(why)) : NULL;
        MUST(second == NULL || json_equal(first, second));
        bind(m);
        json_decref(first);
        json_decref(second);
    } else {
        MUST(json == NULL || why[0] != '\0' || m->name == NULL);
    }
    json_decref(json);
    arena_end(&a);
    return 0;
}

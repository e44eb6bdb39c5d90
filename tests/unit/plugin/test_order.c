/*
 * Plugins in order of their needs, and the interface version a record must have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/arena.h>
#include <plugin/runtime.h>

/* A set of plugins as text: "a:b,c d" = a needs b and c, d needs nothing. */
struct set {
    struct ccp_plugin plugins[16];
    const struct ccp_plugin *list[16];
    const char *needs[16][8];
    char text[256];
    size_t n;
};

static void make(struct set *s, const char *text)
{
    *s = (struct set){.n = 0};
    snprintf(s->text, sizeof(s->text), "%s", text);
    char *save = NULL, *inner = NULL;
    for (char *one = strtok_r(s->text, " ", &save); one != NULL; one = strtok_r(NULL, " ", &save)) {
        char *needs = strchr(one, ':');
        size_t k = 0;
        if (needs != NULL) {
            *needs = '\0';
            for (char *n = strtok_r(needs + 1, ",", &inner); n != NULL; n = strtok_r(NULL, ",", &inner))
                s->needs[s->n][k++] = n;
        }
        s->plugins[s->n] = (struct ccp_plugin){.name = one, .needs = needs != NULL ? s->needs[s->n] : NULL};
        s->list[s->n] = &s->plugins[s->n];
        s->n++;
    }
}

static const char *ordered(const char *text, struct arena *a)
{
    static char out[256];
    struct set s;
    size_t order[16];
    make(&s, text);
    const char *wrong = order_plugins(s.list, s.n, order, a);
    if (wrong != NULL)
        return wrong;
    out[0] = '\0';
    for (size_t i = 0; i < s.n; i++)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i != 0 ? " " : "", s.plugins[order[i]].name);
    return out;
}

static void good_orders(void **state)
{
    static const char *const table[][2] = {
        {"", ""},
        {"a", "a"},
        {"a b c", "a b c"}, /* without needs the list's own order stays */
        {"a:b b", "b a"},
        {"a:b b:c c", "c b a"},
        {"a:b,c b:d c:d d", "d b c a"},
        {"c a:c b:a,c", "c a b"},
        {"a:b,b b", "b a"},
    };
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(ordered(table[i][0], &a), table[i][1]);
    arena_end(&a);
}

static void missing_and_cycles(void **state)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    assert_non_null(strstr(ordered("a:x", &a), "plugin a needs x"));
    assert_non_null(strstr(ordered("b a:b,zz", &a), "plugin a needs zz"));
    assert_non_null(strstr(ordered("a:a", &a), "cycle"));
    assert_non_null(strstr(ordered("a:b b:a", &a), "cycle"));
    assert_non_null(strstr(ordered("x a:b b:c c:d d:b", &a), "cycle"));
    arena_end(&a);
    arena_init(&a, NULL, 1);
    assert_non_null(strstr(ordered("a b", &a), "memory"));
    arena_end(&a);
}

static void interface_versions(void **state)
{
    static const struct ccp_plugin sound = {CCP_ABI_HERE};
    assert_null(abi_refusal(&sound.abi));
    struct ccp_abi abi = sound.abi;
    abi.magic ^= 1;
    assert_non_null(strstr(abi_refusal(&abi), "plugin record"));
    abi = sound.abi;
    abi.major++;
    assert_non_null(strstr(abi_refusal(&abi), "major"));
    abi = sound.abi;
    abi.minor++;
    assert_non_null(strstr(abi_refusal(&abi), "minor"));
    abi = sound.abi;
    abi.size += 8;
    assert_non_null(strstr(abi_refusal(&abi), "size"));
    abi.size = sizeof(struct ccp_abi) - 1;
    assert_non_null(strstr(abi_refusal(&abi), "size"));
    abi.size = 0;
    assert_non_null(abi_refusal(&abi));
}

static void built_in_plugins_are_sound(void **state)
{
    const struct ccp_plugin *const *all = registry_builtin();
    size_t n = 0;
    for (; all[n] != NULL; n++) {
        assert_null(abi_refusal(&all[n]->abi));
        assert_true(all[n]->summary != NULL && all[n]->version != NULL && all[n]->name != NULL);
        assert_int_equal(all[n]->kind == CCP_PLUGIN_PROVIDER, all[n]->provider != NULL);
        for (size_t k = 0; k < n; k++)
            assert_string_not_equal(all[n]->name, all[k]->name);
    }
    assert_true(n >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_orders),
        cmocka_unit_test(missing_and_cycles),
        cmocka_unit_test(interface_versions),
        cmocka_unit_test(built_in_plugins_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

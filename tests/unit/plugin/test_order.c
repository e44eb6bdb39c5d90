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

static char out[1024];

/* "b a | c: why" */
static const char *show(const struct ccp_plugin *const *list, size_t n, struct arena *a)
{
    size_t order[16], at = 0;
    struct ccp_span why[16];
    size_t placed = order_plugins(list, n, order, why, a);
    if (placed == SIZE_MAX)
        return "no memory";
    out[0] = '\0';
    for (size_t i = 0; i < placed; i++)
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s", i != 0 ? " " : "", list[order[i]]->name);
    for (size_t i = 0; i < n; i++)
        if (why[i].p != NULL)
            at += (size_t)snprintf(out + at, sizeof(out) - at, " | %s: %.*s", list[i]->name, CCP_FMT(why[i]));
    return out;
}

static const char *ordered(const char *text, struct arena *a)
{
    struct set s;
    make(&s, text);
    return show(s.list, s.n, a);
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
    static const char *const table[][2] = {
        {"a:x", " | a: it needs plugin x, which is not there or not enabled"},
        {"b a:b,zz", "b | a: it needs plugin zz, which is not there or not enabled"},
        {"a:b b:x c", "c | a: it needs b, which cannot be opened: it needs plugin x, which is not there or not enabled "
                      "| b: it needs "
                      "plugin x, which is not there or not enabled"},
        {"a:a b", "b | a: it needs itself: a -> a"},
        {"a:b b:a", " | a: it needs itself: a -> b -> a | b: it needs itself: a -> b -> a"},
    };
    struct arena a;
    arena_init(&a, NULL, 0);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(ordered(table[i][0], &a), table[i][1]);
    const char *far = ordered("x a:b b:c c:d d:b", &a); /* a is not on the cycle, but needs it */
    assert_true(strncmp(far, "x |", 3) == 0);
    assert_non_null(strstr(far, "d: it needs itself: b -> c -> d -> b"));
    assert_non_null(strstr(far, "a: it needs b, which cannot be opened"));
    arena_end(&a);
    arena_init(&a, NULL, 1);
    assert_string_equal(ordered("a b", &a), "no memory");
    arena_end(&a);
}

static void versions_services_and_wishes(void **state)
{
    static const struct ccp_service gives[] = {{"ratings/1", ""}, {.name = NULL}};
    static const char *const old[] = {"b >= 2.0", NULL}, *const fits[] = {"b >= 1.2", NULL},
                             *const wish[] = {"b", NULL}, *const nobody[] = {"zz", NULL},
                             *const service[] = {"ratings/1", NULL}, *const newer[] = {"ratings/2", NULL};
    struct ccp_plugin a = {.name = "a", .version = "1"}, b = {.name = "b", .version = "1.10.1", .provides = gives};
    const struct ccp_plugin *list[] = {&a, &b};
    struct arena arena;
    arena_init(&arena, NULL, 0);
    a.needs = old;
    assert_string_equal(show(list, 2, &arena), "b | a: it needs b >= 2.0, but version 1.10.1 is there");
    a.needs = fits;
    assert_string_equal(show(list, 2, &arena), "b a");
    a.needs = NULL;
    a.after = wish;
    assert_string_equal(show(list, 2, &arena), "b a");
    a.after = nobody;
    assert_string_equal(show(list, 2, &arena), "a b");
    b.after = (const char *const[]){"a", NULL};
    a.after = wish; /* wishes that contradict each other hurt nobody */
    assert_int_equal(strlen(show(list, 2, &arena)), 3);
    a.after = b.after = NULL;
    a.requires = service;
    assert_string_equal(show(list, 2, &arena), "b a");
    a.requires = newer;
    assert_string_equal(show(list, 2, &arena),
                        "b | a: it requires service ratings/2, which no enabled plugin provides");
    a.requires = NULL;
    a.uses = newer;
    assert_string_equal(show(list, 2, &arena), "a b");
    arena_end(&arena);
}

static void version_texts(void **state)
{
    static const struct {
        const char *have, *want;
        bool fits;
    } table[] = {
        {"1.2.3", "", true},        {"1.2.3", ">= 1.2", true}, {"1.2.3", ">=1.2.3", true}, {"1.2.3", "> 1.2.3", false},
        {"1.10", ">= 1.9", true},   {"1.2", "= 1.2.0", true},  {"1.2.1", "= 1.2", false},  {"2", "< 3", true},
        {"3.0", "< 3", false},      {"3.0", "<= 3", true},     {"1.2.3", "1.2", true},     {"1.2.3", "2", false},
        {"1.2.3", ">= x", false},   {"1.2.3", ">= 1.", false}, {"", ">= 1", false},        {"1..2", ">= 1", false},
        {"1.2-beta", "> 0", false}, {"1.2", ">=", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (version_fits(table[i].have, ccp_span_z(table[i].want)) != table[i].fits)
            fail_msg("%s %s", table[i].have, table[i].want);
}

static const struct ccp_plugin sound = {CCP_ABI_HERE};

static void interface_versions(void **state)
{
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
        cmocka_unit_test(versions_services_and_wishes),
        cmocka_unit_test(version_texts),
        cmocka_unit_test(interface_versions),
        cmocka_unit_test(built_in_plugins_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

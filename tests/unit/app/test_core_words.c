/*
 * The words that plugins may not have (plugin/conflicts.c knows them by heart) are those of this program's own options.
 * Its commands are compared by blackbox/plugins_cli, from what `help` prints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The program's own files are not in a library. */
#include "../../../proxy/app/options.c"

static void every_shared_option_is_taken(void **state)
{
    const struct arg_option *const tables[] = {help_options, json_options, config_options, serve_options};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct arg_option *o = tables[i]; o->name != NULL; o++)
            if (!runtime_core_option(o->name))
                fail_msg("a plugin could take --%s", o->name);
    assert_false(runtime_core_option("ratings"));
}

static void first_words_are_taken(void **state)
{
    assert_true(runtime_core_command("serve", false));
    assert_true(runtime_core_command("config anything", false));
    assert_false(runtime_core_command("configure", false));
    assert_true(runtime_core_command("login", true));
    assert_false(runtime_core_command("login", false));
    assert_false(runtime_core_command("serve", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shared_option_is_taken),
        cmocka_unit_test(first_words_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

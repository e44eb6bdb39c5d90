/*
 * From a command line, an environment and a file to settings: who wins, and what the plugin switches do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

/* The program's own files are not in a library. */
#include "../../../proxy/app/args.c"
#undef NAMES_MAX
#include "../../../proxy/app/load.c"
#include "../../../proxy/app/options.c"
#include "../../../proxy/app/state.c"
#include "../../../proxy/app/switches.c"
#include "../../../proxy/app/vault.c"

static const struct arg_option *const tables[] = {config_options, serve_options, help_options, NULL};
static const struct command command = {.name = "test", .options = tables};

struct run {
    struct cli cli;
    char *argv[24], *environ[8];
    char file[64];
    int argc;
    struct runtime *rt;
    char faults[1024];
};

static void collect(void *arg, bool warning, struct ccp_span text)
{
    struct run *r = arg;
    size_t n = strlen(r->faults);
    snprintf(r->faults + n, sizeof(r->faults) - n, "%s%.*s\n", warning ? "warning: " : "", CCP_FMT(text));
}

static void write_file(struct run *r, const char *text)
{
    snprintf(r->file, sizeof(r->file), "/tmp/ccproxy_test_load_XXXXXX");
    int fd = mkstemp(r->file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* words and variables: separated by spaces. */
static void split(char **out, int *n, const char *words)
{
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        out[(*n)++] = strndup(words, length);
        words += words[length] == ' ' ? length + 1 : length;
    }
}

static void begin(struct run *r, const char *file, const char *variables, const char *words)
{
    int variable_n = 0;
    *r = (struct run){.cli = {.command = &command}};
    write_file(r, file);
    split(r->argv, &r->argc, "--config");
    r->argv[r->argc++] = strdup(r->file);
    split(r->argv, &r->argc, words);
    split(r->environ, &variable_n, variables);
    assert_true(vault_open(&r->cli.vault, r->environ));
    assert_true(args_parse(tables, r->argc, r->argv, &r->cli.args));
    r->rt = load_runtime(&r->cli, NULL, collect, r);
}

static void end(struct run *r)
{
    runtime_unref(r->rt);
    args_release(&r->cli.args);
    vault_close(&r->cli.vault);
    for (int i = 0; i < r->argc; i++)
        free(r->argv[i]);
    for (char **v = r->environ; *v != NULL; v++)
        free(*v);
    unlink(r->file);
}

static bool active(struct run *r, const char *name)
{
    struct plugin_instance *p = runtime_plugin(r->rt, ccp_span_z(name));
    assert_non_null(p);
    return p->state == PLUGIN_ACTIVE;
}

static void test_precedence(void **state)
{
    struct run r;
    begin(&r, "[server]\nport = 1\nworkers = 1\nmax_in_flight = 1\n", "SERVER__PORT=2 SERVER__WORKERS=2", "--port 3");
    assert_non_null(r.rt);
    assert_int_equal(r.rt->settings.server.port, 3);
    assert_int_equal(r.rt->settings.server.workers, 2);
    assert_int_equal(r.rt->settings.server.max_in_flight, 1);
    end(&r);
}

static void test_again_after_the_wipe(void **state)
{
    struct run r;
    begin(&r, "", "ANTHROPIC_API_KEY=sk-1", "--auth-token sesame --set security.keys=[{name=\"b\",token=\"t\"}]");
    assert_non_null(r.rt);
    assert_string_equal(r.environ[0], "ANTHROPIC_API_KEY=");
    assert_string_equal(r.argv[3], "");
    struct runtime *again = load_runtime(&r.cli, NULL, collect, &r);
    assert_non_null(again);
    assert_true(secret_equals(again->settings.security.auth_token, CCP_SPAN("sesame")));
    assert_int_equal(again->settings.security.keys.n, 1);
    assert_true(runtime_provider(again, CCP_SPAN("claude_api"))->usable);
    runtime_unref(again);
    end(&r);
}

static void test_all_faults(void **state)
{
    struct run r;
    begin(&r, "[server]\nprot = 1\nport = 99999\n", "", "--set server.http2=perhaps");
    assert_null(r.rt);
    assert_non_null(strstr(r.faults, ":2: server.prot: unknown key (did you mean \"port\"?)"));
    assert_non_null(strstr(r.faults, ":3: server.port: "));
    assert_non_null(strstr(r.faults, "server.http2"));
    end(&r);
}

static void test_disable(void **state)
{
    struct run r;
    begin(&r, "disabled_plugins = [\"gemini\"]\n", "", "--disable-plugin mock --disable-plugin openai");
    assert_non_null(r.rt);
    assert_true(active(&r, "claude_api"));
    assert_false(active(&r, "mock"));
    assert_false(active(&r, "openai"));
    assert_false(active(&r, "gemini"));
    end(&r);
}

static void test_enable_adds(void **state)
{
    struct run r;
    begin(&r, "enabled_plugins = [\"mock\"]\n", "", "--enable-plugin gemini");
    assert_non_null(r.rt);
    assert_true(active(&r, "mock"));
    assert_true(active(&r, "gemini"));
    assert_false(active(&r, "openai"));
    end(&r);
}

static void test_enable_takes_from_disabled(void **state)
{
    struct run r;
    begin(&r, "disabled_plugins = [\"mock\", \"gemini\"]\n", "", "--enable-plugin mock");
    assert_non_null(r.rt);
    assert_true(active(&r, "mock"));
    assert_false(active(&r, "gemini"));
    assert_true(active(&r, "openai"));
    end(&r);
}

static void test_own_switch_wins(void **state)
{
    struct run r;
    begin(&r, "[plugins.mock]\nenabled = false\n", "", "--enable-plugin mock");
    assert_non_null(r.rt);
    assert_false(active(&r, "mock"));
    end(&r);
}

static void test_disable_last_of_enabled(void **state)
{
    struct run r;
    begin(&r, "", "ENABLED_PLUGINS=mock", "--disable-plugin mock");
    assert_non_null(r.rt);
    assert_false(active(&r, "mock"));
    assert_false(active(&r, "openai"));
    end(&r);
}

static void test_unknown_names(void **state)
{
    struct run r;
    begin(&r, "", "", "--enable-plugin mokc");
    assert_null(r.rt);
    assert_non_null(strstr(r.faults, "there is no plugin \"mokc\""));
    end(&r);
    begin(&r, "enabled_plugins = [\"mock\"]\n", "", "--enable-plugin mokc");
    assert_null(r.rt);
    end(&r);
    begin(&r, "", "", "--disable-plugin mokc");
    assert_non_null(r.rt);
    assert_non_null(strstr(r.faults, "warning: "));
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),      cmocka_unit_test(test_again_after_the_wipe),
        cmocka_unit_test(test_all_faults),      cmocka_unit_test(test_disable),
        cmocka_unit_test(test_enable_adds),     cmocka_unit_test(test_enable_takes_from_disabled),
        cmocka_unit_test(test_own_switch_wins), cmocka_unit_test(test_disable_last_of_enabled),
        cmocka_unit_test(test_unknown_names),
    };
    setenv("STATE_DIRECTORY", "/nonexistent", 1); /* nothing of this machine is read */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ${NAME}, "file:" secrets, and that no secret shows anywhere. */
#include <base/secret.h>
#include <config/config_impl.h>

#include "rows.h"

static struct all a;

static void token_is(const char *z)
{
    assert_non_null(a.token);
    assert_true(secret_equals(a.token, ccp_span_z(z)));
}

static void expansion(void **state)
{
    struct config *c = all_load(&a,
                                "[server]\nname = 'a${A}b${B:-two}c${E:-three}d${E}e$${X}f$g'\nport = '${PORT:-77}'\n"
                                "hosts = ['${A}', '${N:-}']\nheaders = {k = '${A}'}\nkeys = [{name = '${A}'}]\n"
                                "flag = '${OFF}'\nwait = '${T:-3s}'\n",
                                ENV("A=1${B}", "E=", "OFF=no"), NULL);
    assert_ok(c);
    assert_span(a.name, "a1${B}btwocthreede${X}f$g");
    assert_int_equal(a.port, 77);
    assert_span(a.hosts.v[0], "1${B}");
    assert_span(a.hosts.v[1], "");
    assert_span(a.headers.v[0].value, "1${B}");
    assert_span(((struct key_row *)a.keys.v)[0].name, "1${B}");
    assert_false(a.flag);
    assert_int_equal(a.wait, 3000);
    config_unref(c);
}

static void bad_expansion(void **state)
{
    struct config *c = all_load(&a,
                                "[server]\nname = '${NOT_SET}'\nurl = '${open'\nhosts = '${a b}'\n"
                                "headers = {k = '${}'}\nport = '${WORD}'\nmode = '${WORD}'\ntoken = '${GONE}'\n",
                                ENV("WORD=sk-secret"), NULL);
    assert_fault(c, "c.toml:2: server.name: environment variable NOT_SET is not set");
    assert_fault(c, "c.toml:3: server.url: \"${\" without \"}\"");
    assert_fault(c, "c.toml:4: server.hosts: expected ${NAME}");
    assert_fault(c, "c.toml:5: server.headers.k: expected ${NAME}");
    assert_fault(c, "c.toml:6: server.port: expected an integer");
    assert_fault(c, "c.toml:7: server.mode: unknown value, expected one of");
    assert_fault(c, "c.toml:8: server.token: environment variable GONE is not set");
    assert_int_equal(support_fault_count(c), 7);
    assert_false(support_has_fault(c, "sk-secret"));
    config_unref(c);
}

static void not_expanded_from_environment(void **state)
{
    struct config *c = all_load(&a, "", ENV("SERVER__TOKEN=pa${ss", "SERVER__NAME=${HOME}"), NULL);
    assert_ok(c);
    token_is("pa${ss");
    assert_span(a.name, "${HOME}");
    config_unref(c);
}

static void sources_of_secrets(void **state)
{
    struct config *c = all_load(&a, "", NULL, NULL);
    assert_ok(c);
    assert_null(a.token);
    config_unref(c);
    c = all_load(&a, "", ENV("TOKEN=from-default"), NULL);
    assert_ok(c);
    token_is("from-default");
    config_unref(c);
    c = all_load(&a, "[server]\ntoken = ''\n", ENV("TOKEN=from-default"), NULL);
    assert_null(a.token);
    config_unref(c);
    c = all_load(&a, "[server]\ntoken = 5\n", NULL, NULL);
    assert_fault(c, "server.token: expected a string, found an integer");
    config_unref(c);
    c = all_load(&a, "[server]\ntoken = \"sk-line\\nbreak\"\n", NULL, NULL);
    assert_fault(c, "server.token: control characters");
    assert_false(support_has_fault(c, "sk-line"));
    config_unref(c);
}

static struct config *with_secret_file(const void *bytes, size_t n, mode_t mode)
{
    char path[96], text[160];
    snprintf(path, sizeof(path), "%s/secret", support_dir);
    snprintf(text, sizeof(text), "[server]\ntoken = 'file:%s'\n", path);
    support_write(path, bytes, n, mode);
    struct config *c = all_load(&a, text, NULL, NULL);
    unlink(path);
    return c;
}

static void secret_files(void **state)
{
    static char big[64 * 1024 + 1];
    struct config *c = with_secret_file("tok\r\n\n", 6, 0600);
    assert_ok(c);
    assert_int_equal(support_fault_count(c), 0);
    token_is("tok");
    config_unref(c);
    c = with_secret_file("tok", 3, 0644);
    assert_ok(c);
    assert_fault(c, "server.token: secret file: group or others may read it");
    config_unref(c);
    memset(big, 'x', sizeof(big));
    c = with_secret_file(big, sizeof(big), 0600);
    assert_fault(c, "secret file: too large (64 KiB at most)");
    config_unref(c);
    c = with_secret_file(big, sizeof(big) - 1, 0600);
    assert_ok(c);
    config_unref(c);
    c = with_secret_file("\n", 1, 0600);
    assert_fault(c, "secret file: is empty");
    config_unref(c);
    c = with_secret_file("a\nb", 3, 0600);
    assert_fault(c, "server.token: control characters");
    config_unref(c);
}

static void odd_secret_files(void **state)
{
    char path[96];
    snprintf(path, sizeof(path), "SERVER__TOKEN=file:%s/fifo", support_dir);
    assert_int_equal(mkfifo(path + strlen("SERVER__TOKEN=file:"), 0600), 0);
    struct config *c = all_load(&a, "", ENV(path), NULL);
    assert_fault(c, "env SERVER__TOKEN: server.token: secret file: is a FIFO");
    unlink(path + strlen("SERVER__TOKEN=file:"));
    config_unref(c);
    c = all_load(&a, "", ENV("SERVER__TOKEN=file:/"), NULL);
    assert_fault(c, "secret file: is a directory");
    config_unref(c);
    c = all_load(&a, "", ENV("SERVER__TOKEN=file:relative"), NULL);
    assert_fault(c, "\"file:\" needs an absolute path");
    config_unref(c);
    c = all_load(&a, "", ENV("SERVER__TOKEN=file:/nonexistent/x"), NULL);
    assert_fault(c, "secret file: cannot read: No such file");
    config_unref(c);
    c = all_load(&a, "[server]\nname = 'file:/etc/hostname'\n", NULL, NULL);
    assert_ok(c);
    assert_span(a.name, "file:/etc/hostname"); /* secret rows only */
    config_unref(c);
}

static void readable_configuration(void **state)
{
    static const char text[] = "[server]\ntoken = 'sk-literal'\nkeys = [{name = 'a', token = 'sk-2'}]\n";
    support_write(support_file, text, strlen(text), 0644);
    struct config *c = config_load(&(struct config_source){.file = support_file});
    all_bind(c, &a);
    config_finish(c);
    assert_ok(c);
    assert_int_equal(support_fault_count(c), 1);
    assert_fault(c, "c.toml:2: server.token: this file holds a secret and others may read it");
    config_unref(c);
}

static void bound_twice(void **state)
{
    struct all b;
    struct config *c = support_load("[server]\ntoken = 'sk-literal'\n", NULL, NULL);
    all_bind(c, &a);
    all_bind(c, &b);
    config_finish(c);
    assert_ok(c);
    token_is("sk-literal");
    assert_ptr_equal(a.token, b.token);
    config_unref(c);
}

static void kept_beyond_the_snapshot(void **state)
{
    struct config *c = all_load(&a, "[server]\ntoken = 'sk-literal'\n", NULL, NULL);
    struct ccp_secret *s = secret_ref(a.token);
    config_ref(c);
    config_unref(c);
    token_is("sk-literal");
    config_unref(c);
    assert_true(secret_equals(s, CCP_SPAN("sk-literal")));
    secret_unref(s);
}

static bool all_zero(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != 0)
            return false;
    return s.n != 0;
}

/* The tree's own texts: a secret's when it is bound, all others and the copy of the environment at the end. */
static void wiped(void **state)
{
    struct config *c = support_load("[server]\ntoken = 'sk-literal'\ntokn = 'sk-typo'\nname = '${VAR}'\n",
                                    ENV("VAR=sk-var", "OTHER__TOKEN=sk-other"), NULL);
    struct ccp_span token = tree_get(c, LAYER_FILE, CCP_SPAN("server"), CCP_SPAN("token"))->text;
    struct ccp_span typo = tree_get(c, LAYER_FILE, CCP_SPAN("server"), CCP_SPAN("tokn"))->text;
    struct ccp_span other = tree_get(c, LAYER_ENV, CCP_SPAN("other"), CCP_SPAN("token"))->text;
    struct ccp_span var = environ_get(c, CCP_SPAN("VAR"));
    assert_span(token, "sk-literal");
    assert_span(typo, "sk-typo");
    assert_span(other, "sk-other");
    assert_span(var, "sk-var");
    all_bind(c, &a);
    assert_true(all_zero(token));
    config_finish(c);
    assert_true(all_zero(typo));
    assert_true(all_zero(other));
    assert_true(all_zero(var));
    assert_span(a.name, "sk-var"); /* what was bound stays */
    assert_false(support_has_fault(c, "sk-"));
    config_unref(c);
}

static void never_shown(void **state)
{
    struct ccp_buf out;
    struct config *c = all_load(&a,
                                "[server]\ntoken = 'sk-one'\nkeys = [{name = 'k', token = 'sk-two'}]\n"
                                "headers = {authorization = 'sk-three'}\n",
                                NULL, NULL);
    struct config_section s = {.path = "server", .rows = all_rows};
    assert_ok(c);
    for (int json = 0; json < 2; json++) {
        buf_init(&out, 1 << 20);
        assert_true(config_show(c, &s, 1, json, &out));
        assert_false(support_contains(buf_span(&out), "sk-"));
        assert_true(support_contains(buf_span(&out), "***"));
        buf_release(&out);
    }
    config_unref(c);
}

/* A token typed without quotes must not come back in the parser's words. */
static void syntax_errors_do_not_quote(void **state)
{
    static const char *const lines[] = {"token = sk-abcdefgh",           "token = 'sk-abcdefgh",
                                        "token = 12sk-abcdefgh",         "token = 123456789123456789123456789",
                                        "token = \"sk-abcdefgh\\q\"",    "token = truesk-abcdefgh",
                                        "token = 1979-05-27sk-abcdefgh", "sk-abcdefgh",
                                        "token = 0xsk-abcdefgh",         "token = [sk-abcdefgh]"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        struct config *c = all_load(&a, lines[i], NULL, NULL);
        assert_false(config_ok(c));
        assert_fault(c, "c.toml:1:");
        assert_false(support_has_fault(c, "abcd"));
        assert_false(support_has_fault(c, "sk-"));
        assert_false(support_has_fault(c, "23456"));
        config_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expansion),
        cmocka_unit_test(bad_expansion),
        cmocka_unit_test(not_expanded_from_environment),
        cmocka_unit_test(sources_of_secrets),
        cmocka_unit_test(secret_files),
        cmocka_unit_test(odd_secret_files),
        cmocka_unit_test(readable_configuration),
        cmocka_unit_test(bound_twice),
        cmocka_unit_test(kept_beyond_the_snapshot),
        cmocka_unit_test(wiped),
        cmocka_unit_test(never_shown),
        cmocka_unit_test(syntax_errors_do_not_quote),
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}

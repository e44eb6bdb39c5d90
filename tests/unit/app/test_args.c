/*
 * Options: every spelling, every mistake, and that secrets leave argv.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The program's own files are not in a library. */
#include "../../../proxy/app/args.c"

static const struct arg_option table_a[] = {
    {"verbose", 'v', ARG_FLAG, NULL, "more", NULL},
    {"quiet", 'q', ARG_FLAG, NULL, "less", NULL},
    {"port", 'p', ARG_VALUE, "PORT", "port", "server.port"},
    {.name = NULL},
};
static const struct arg_option table_b[] = {
    {"auth-token", 0, ARG_SECRET, "TOKEN", "key", "security.auth_token"},
    {"set", 0, ARG_SET, "KEY=VALUE", "any key", NULL},
    {"name", 'n', ARG_LIST, "NAME", "again and again", NULL},
    {.name = NULL},
};
static const struct arg_option *const tables[] = {table_a, table_b, NULL};

struct line {
    char *argv[16];
    int argc;
    struct args args;
    bool fine;
};

/* Parses words separated by single spaces; argv is writable, as the system's is. */
static void parse(struct line *l, const char *words)
{
    *l = (struct line){.argc = 0};
    while (*words != '\0') {
        size_t n = strcspn(words, " ");
        l->argv[l->argc++] = strndup(words, n);
        words += words[n] == ' ' ? n + 1 : n;
    }
    l->fine = args_parse(tables, l->argc, l->argv, &l->args);
}

static void end(struct line *l)
{
    args_release(&l->args);
    for (int i = 0; i < l->argc; i++)
        free(l->argv[i]);
}

static void takes(const char *words, const char *name, const char *value, size_t operands)
{
    struct line l;
    parse(&l, words);
    assert_true(l.fine);
    const char *got = args_get(&l.args, name);
    if (value == NULL)
        assert_null(got);
    else
        assert_string_equal(got, value);
    assert_int_equal(l.args.operand_n, operands);
    end(&l);
}

static void refuses(const char *words, const char *text)
{
    struct line l;
    parse(&l, words);
    assert_false(l.fine);
    if (strstr(l.args.error, text) == NULL)
        fail_msg("\"%s\" gave \"%s\", wanted \"%s\"", words, l.args.error, text);
    end(&l);
}

static void test_spellings(void **state)
{
    takes("", "port", NULL, 0);
    takes("--port 80", "port", "80", 0);
    takes("--port=80", "port", "80", 0);
    takes("--port=", "port", "", 0);
    takes("-p 80", "port", "80", 0);
    takes("-p80", "port", "80", 0);
    takes("-vqp80", "port", "80", 0);
    takes("-vqp 80", "quiet", "", 0);
    takes("--port 80 --port=81", "port", "81", 0);
    takes("--port -1", "port", "-1", 0);
    takes("one --port 80 two", "port", "80", 2);
    takes("-- --port 80", "port", NULL, 2);
    takes("-", "port", NULL, 1);
}

static void test_mistakes(void **state)
{
    refuses("--prot 80", "did you mean --port?");
    refuses("--nothing-like-it", "unknown option --nothing-like-it");
    refuses("-x", "unknown option -x");
    refuses("--port", "--port needs a value");
    refuses("-vp", "--port needs a value");
    refuses("--verbose=yes", "--verbose takes no value");
    refuses("-\x01", "unknown option");
}

static void test_lists_keep_order(void **state)
{
    struct line l;
    parse(&l, "--name a -n b --name=c");
    assert_true(l.fine);
    assert_int_equal(l.args.hit_n, 3);
    assert_string_equal(l.args.hits[0].value, "a");
    assert_string_equal(l.args.hits[1].value, "b");
    assert_string_equal(l.args.hits[2].value, "c");
    end(&l);
}

static void test_secrets_leave_argv(void **state)
{
    struct line l;
    parse(&l, "--auth-token sesame --auth-token=open --set plugins.x.api_key=k123 --set server.port=9");
    assert_true(l.fine);
    assert_string_equal(args_get(&l.args, "auth-token"), "open");
    assert_string_equal(l.args.hits[0].value, "sesame");
    assert_string_equal(l.args.hits[2].value, "plugins.x.api_key=k123");
    assert_string_equal(l.argv[1], "");
    assert_string_equal(l.argv[2], "--auth-token=");
    assert_string_equal(l.argv[4], "plugins.x.api_key=");
    assert_string_equal(l.argv[6], "server.port=9");
    end(&l);
}

static void test_secret_keys(void **state)
{
    assert_true(args_key_is_secret(CCP_SPAN("security.auth_token")));
    assert_true(args_key_is_secret(CCP_SPAN("ANTHROPIC_API_KEY")));
    assert_true(args_key_is_secret(CCP_SPAN("PLUGINS__OPENAI__HEADERS")));
    assert_true(args_key_is_secret(CCP_SPAN("HTTPS_PROXY")));
    assert_false(args_key_is_secret(CCP_SPAN("server.port")));
    assert_false(args_key_is_secret(CCP_SPAN("HOME")));
}

/* Words as in takes(); nothing is read, so that what may be a secret stays for the reading that follows. */
static bool unknown(const char *words)
{
    struct line l = {.argc = 0};
    for (const char *at = words; *at != '\0';) {
        size_t n = strcspn(at, " ");
        l.argv[l.argc++] = strndup(at, n);
        at += at[n] == ' ' ? n + 1 : n;
    }
    bool answer = args_unknown(tables, l.argc, l.argv);
    for (int i = 0; i < l.argc; i++)
        free(l.argv[i]);
    return answer;
}

static void unknown_ones_are_noticed(void **state)
{
    assert_true(unknown("--port 1 --colour red"));
    assert_true(unknown("--colour=red"));
    assert_true(unknown("--verbose --colour"));
    assert_false(unknown("--port 1 -v -n x --quiet operand"));
    assert_false(unknown("--auth-token --colour"));
    assert_false(unknown("--name=x -- --colour"));
    assert_true(unknown("--name=x --colour"));
    assert_false(unknown(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_ones_are_noticed),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_lists_keep_order),
        cmocka_unit_test(test_secrets_leave_argv),
        cmocka_unit_test(test_secret_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

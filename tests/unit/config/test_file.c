/* Odd files, where files are looked for, and text that is not TOML. */
#include "rows.h"

static struct all a;

static struct config *load_bytes(const void *bytes, size_t n, mode_t mode)
{
    support_write(support_file, bytes, n, mode);
    struct config *c = config_load(&(struct config_source){.file = support_file});
    assert_non_null(c);
    all_bind(c, &a);
    config_finish(c);
    return c;
}

static void refused(const void *bytes, size_t n, const char *fault)
{
    struct config *c = load_bytes(bytes, n, 0600);
    assert_false(config_ok(c));
    assert_fault(c, fault);
    assert_int_equal(support_fault_count(c), 1);
    config_unref(c);
}

static void accepted(const char *text, int64_t port)
{
    struct config *c = load_bytes(text, strlen(text), 0600);
    assert_ok(c);
    assert_int_equal(a.port, port);
    config_unref(c);
}

static void plain_oddities(void **state)
{
    accepted("", 8000);
    accepted("\xef\xbb\xbf[server]\nport = 1\n", 1);
    accepted("[server]\r\nport = 2\r\n", 2);
    accepted("[server]\nport = 3", 3);
    accepted("# \xc3\xa4 comment only", 8000);
    struct config *c = load_bytes("\xef\xbb\xbf[server]\r\nprot = 1\r\n", 23, 0600);
    assert_fault(c, "c.toml:2: server.prot");
    config_unref(c);
}

static void not_text(void **state)
{
    refused("\x7f"
            "ELF\0\0",
            6, "c.toml:1:5: not a text file (zero byte)");
    refused("[server]\nname = \"\xff\xfe\"\n", 21, "c.toml:2:9: not valid UTF-8");
    refused("# \xed\xa0\x80", 5, "c.toml:1:3: not valid UTF-8");
    refused("# \xf4\x90\x80\x80", 6, "not valid UTF-8");
    refused("# \xc0\xaf", 4, "not valid UTF-8");
}

static void not_toml(void **state)
{
    refused("[server]\nport = \n", 17, "c.toml:2:");
    refused("[server\n", 8, "c.toml:1:");
    refused("[server]\n[server]\n", 18, "c.toml:2:");
    refused("[server]\nport = 1\nport = 2\n", 27, "c.toml:3:");
    refused("a = \"\"\"open\n", 12, "c.toml:");
    refused("[server]\n[server]\n", 18, "redefine");
}

static void too_big(void **state)
{
    size_t n = (4 << 20) + 1;
    char *bytes = malloc(n);
    memset(bytes, '#', n);
    refused(bytes, n, "c.toml: too large (4 MiB at most)");
    struct config *c = load_bytes(bytes, n - 1, 0600);
    assert_ok(c);
    config_unref(c);
    free(bytes);
}

static char *repeat(const char *head, const char *unit, size_t times, const char *tail)
{
    size_t h = strlen(head), u = strlen(unit), t = strlen(tail);
    char *text = malloc(h + u * times + t + 1);
    memcpy(text, head, h);
    for (size_t i = 0; i < times; i++)
        memcpy(text + h + i * u, unit, u);
    memcpy(text + h + u * times, tail, t + 1);
    return text;
}

static void deep_one(const char *head, const char *unit, size_t times, const char *tail)
{
    char *text = repeat(head, unit, times, tail);
    refused(text, strlen(text), "nested too deep");
    free(text);
}

static void deep(void **state)
{
    deep_one("[a", ".a", 1000, "]\n");
    deep_one("[a", " . \"a.b\"", 1000, "]\n");
    deep_one("[[a", ".a", 1000, "]]\n");
    deep_one("a", ".a", 1000, " = 1\n");
    deep_one("a = ", "[", 1000, "");
    deep_one("a = ", "{a=", 1000, "1");
    deep_one("a = ", "[\n", 1000, "");
    deep_one("[a", ".a", 1 << 20, "]\n");
    deep_one("a = '''\n''' # \"\nb = ", "[", 65, "");
    deep_one("[a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a]\n", "a.", 40, "b = 1\n");
    char *wide = repeat("x = [", "1.5, ", 1000, "]\n");
    struct config *c = load_bytes(wide, strlen(wide), 0600);
    assert_false(support_has_fault(c, "deep"));
    config_unref(c);
    free(wide);
    wide = repeat("x = '", "[", 1000, "' # [[[[\ny = \"\"\"\n[[\"[\\\"\"\"\"\n");
    c = load_bytes(wide, strlen(wide), 0600);
    assert_false(support_has_fault(c, "deep"));
    config_unref(c);
    free(wide);
}

static void not_regular(void **state)
{
    char path[96];
    struct config *c = config_load(&(struct config_source){.file = support_dir});
    assert_fault(c, ": is a directory");
    assert_false(config_ok(c));
    config_unref(c);
    snprintf(path, sizeof(path), "%s/fifo", support_dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    c = config_load(&(struct config_source){.file = path});
    assert_fault(c, "fifo: is a FIFO, not a regular file");
    config_unref(c);
    unlink(path);
    c = config_load(&(struct config_source){.file = "/dev/null"});
    assert_fault(c, "/dev/null: is not a regular file");
    config_unref(c);
    c = config_load(&(struct config_source){.file = "/nonexistent/c.toml"});
    assert_fault(c, "/nonexistent/c.toml: cannot read: No such file or directory");
    config_unref(c);
    if (geteuid() != 0) {
        c = load_bytes("", 0, 0);
        assert_fault(c, "c.toml: cannot read: Permission denied");
        config_unref(c);
    }
    c = load_bytes("", 0, 0606);
    assert_fault(c, "c.toml: anyone may write this file");
    assert_ok(c);
    config_unref(c);
}

/* In a folder of its own: which file is found, and whether it is trusted. */
static void search_order(void **state)
{
    char old[256], xdg[96], home[96], named[96], path[160];
    assert_non_null(getcwd(old, sizeof(old)));
    assert_int_equal(chdir(support_dir), 0);
    snprintf(xdg, sizeof(xdg), "XDG_CONFIG_HOME=%s", support_dir);
    snprintf(home, sizeof(home), "HOME=%s", support_dir);
    snprintf(named, sizeof(named), "CONFIG_FILE=%s/named.toml", support_dir);
    struct config_source here = {.environ = ENV(xdg, home), .cwd_allowed = true};
    assert_int_equal(mkdir("ccproxy", 0700), 0);
    support_write("ccproxy/config.toml", "x = 1", 5, 0600);

    struct config *c = config_load(&here);
    snprintf(path, sizeof(path), "%s/ccproxy/config.toml", support_dir);
    assert_span(config_file(c), path);
    assert_false(config_untrusted(c));
    config_unref(c);

    support_write("ccproxy.toml", "[server]\nport = 2", 17, 0600);
    c = config_load(&here);
    assert_span(config_file(c), "ccproxy.toml");
    assert_true(config_untrusted(c));
    assert_true(config_set_untrusted(c, "server", "port"));
    assert_false(config_set_untrusted(c, "server", "name"));
    config_unref(c);

    support_write(".ccproxy.toml", "", 0, 0600);
    c = config_load(&here);
    assert_span(config_file(c), ".ccproxy.toml");
    config_unref(c);

    here.cwd_allowed = false;
    c = config_load(&here);
    assert_span(config_file(c), path);
    config_unref(c);

    here.cwd_allowed = true;
    here.environ = ENV(xdg, named);
    c = config_load(&here);
    assert_fault(c, "named.toml: cannot read: No such file");
    config_unref(c);
    support_write("named.toml", "", 0, 0600);
    c = config_load(&here);
    assert_ok(c);
    assert_true(support_contains(config_file(c), "/named.toml"));
    assert_false(config_untrusted(c));
    config_unref(c);

    here.file = "ccproxy.toml"; /* asked for by name: trusted */
    c = config_load(&here);
    assert_false(config_untrusted(c));
    config_unref(c);

    unlink("named.toml"), unlink(".ccproxy.toml"), unlink("ccproxy.toml"), unlink("ccproxy/config.toml");
    rmdir("ccproxy");
    assert_int_equal(chdir(old), 0);
}

static void search_list(void **state)
{
    struct ccp_span paths[8];
    struct arena arena;
    arena_init(&arena, NULL, 0);
    setenv("XDG_CONFIG_HOME", "relative", 1);
    setenv("HOME", "/h", 1);
    setenv("CONFIG_FILE", "f.toml", 1);
    assert_int_equal(config_search(paths, 8, &arena, true), 5);
    assert_span(paths[0], "f.toml");
    assert_span(paths[1], ".ccproxy.toml");
    assert_span(paths[3], "/h/.config/ccproxy/config.toml");
    assert_span(paths[4], "/etc/ccproxy/config.toml");
    unsetenv("CONFIG_FILE");
    assert_int_equal(config_search(paths, 8, &arena, false), 2);
    assert_int_equal(config_search(paths, 1, &arena, true), 1);
    arena_end(&arena);
}

/* Bytes of a good file changed at random places: parse or refuse, never crash. */
static void mutations(void **state)
{
    static const char text[] = "enabled = [\"a\", 'b']\n[server]\nport = 0x1f\nname = \"\"\"x\\ty\"\"\"\nwait = 1.5\n"
                               "headers = {a = '${A:-b}', \"c.d\" = 'e'}\n[[server.keys]]\nname = 'k'\n[p.\"q\".r]\n";
    static const char odd[] = "[]{}\"'=.,#\\\n\r\t$0ae_-+:TZ\x80\xff";
    char copy[sizeof(text)];
    uint32_t seed = 12345;
    for (int i = 0; i < 3000; i++) {
        memcpy(copy, text, sizeof(text));
        for (int j = 0; j < 1 + i % 4; j++) {
            seed = seed * 1664525 + 1013904223;
            copy[(seed >> 8) % (sizeof(text) - 1)] = odd[(seed >> 20) % (sizeof(odd) - 1)];
        }
        struct config *c = load_bytes(copy, sizeof(text) - 1, 0600);
        size_t n;
        const struct config_fault *f = config_faults(c, &n);
        for (size_t k = 0; k < n; k++)
            assert_true(f[k].text.n != 0);
        config_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_oddities), cmocka_unit_test(not_text),    cmocka_unit_test(not_toml),
        cmocka_unit_test(too_big),        cmocka_unit_test(deep),        cmocka_unit_test(not_regular),
        cmocka_unit_test(search_order),   cmocka_unit_test(search_list), cmocka_unit_test(mutations),
    };
    return cmocka_run_group_tests(tests, support_setup, support_teardown);
}

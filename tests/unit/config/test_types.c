/* Every type of row with good and bad values, and all faults of one file at once. */
#include "rows.h"

static struct all a;

static struct config *line(const char *text)
{
    char whole[512];
    snprintf(whole, sizeof(whole), "[server]\n%s\n", text);
    return all_load(&a, whole, NULL, NULL);
}

/* The last good one; `a` points into it. */
static struct config *held;

static void good(const char *text)
{
    config_unref(held);
    held = line(text);
    assert_ok(held);
}

static int release(void **state)
{
    config_unref(held);
    return support_teardown(state);
}

static void bad(const char *text, const char *fault)
{
    struct config *c = line(text);
    assert_false(config_ok(c));
    assert_fault(c, fault);
    assert_fault(c, "c.toml:2: server.");
    config_unref(c);
}

static void booleans(void **state)
{
    good("flag = false");
    assert_false(a.flag);
    bad("flag = 1", "flag: expected true or false, found an integer");
    bad("flag = 'true'", "flag: expected true or false, found a string");
}

static void integers(void **state)
{
    good("port = 0");
    assert_int_equal(a.port, 0);
    good("port = 0xffff");
    assert_int_equal(a.port, 65535);
    bad("port = 65536", "port: must be between 0 and 65535");
    bad("port = -1", "port: must be between 0 and 65535");
    bad("port = '8000'", "port: expected an integer, found a string");
    bad("port = 1.5", "port: expected an integer, found a number");
    bad("port = 1979-05-27", "port: expected an integer, found a date");
}

static void doubles(void **state)
{
    good("rate = 1");
    assert_true(a.rate == 1.0);
    good("rate = 0.25");
    assert_true(a.rate == 0.25);
    bad("rate = 1.01", "rate: must be between 0 and 1");
    bad("rate = nan", "rate: expected a finite number");
    bad("rate = []", "rate: expected a finite number, found an array");
}

static void sizes(void **state)
{
    good("size = 2048");
    assert_int_equal(a.size, 2048);
    good("size = '1 KiB/s'");
    assert_int_equal(a.size, 1024);
    bad("size = 1", "size: must be between 1KiB and 1GiB");
    bad("size = -1", "size: must not be negative");
    bad("size = '1 parsec'", "size: expected a size");
    bad("size = true", "size: expected a size, found a boolean");
}

static void durations(void **state)
{
    good("wait = 5");
    assert_int_equal(a.wait, 5000);
    good("wait = 0.5");
    assert_int_equal(a.wait, 500);
    good("wait = '1m30s'");
    assert_int_equal(a.wait, 90000);
    bad("wait = '2h'", "wait: must be between 0s and 1h");
    bad("wait = -0.1", "wait: must not be negative");
    bad("wait = 9223372036854775807", "wait: too long");
    bad("wait = 'soon'", "wait: expected a duration");
}

static void strings(void **state)
{
    good("name = 'x'\nurl = 'https://h.example/v1'");
    assert_span(a.name, "x");
    assert_int_equal(a.name.p[a.name.n], 0);
    good("url = ''");
    bad("name = 3", "name: expected a string, found an integer");
    bad("name = \"a\\nb\"", "name: control characters");
    bad("name = \"a\\u0000b\"", "name: control characters");
    bad("url = 'ftp://h/'", "url: not a URL");
    bad("url = 'https://h/?a=b'", "url: not a URL");
    bad("url = 'https://u:pass@h/'", "url: not a URL");
}

static void enums(void **state)
{
    good("mode = 'JSON'");
    assert_int_equal(a.mode, 2);
    good("h2c = true");
    assert_int_equal(a.h2c, 1);
    good("h2c = 'loopback'");
    assert_int_equal(a.h2c, 2);
    bad("mode = 'jsn'", "mode: unknown value \"jsn\", expected one of: auto, text, json (did you mean \"json\"?)");
    bad("mode = 'sk-something'", "mode: unknown value, expected one of: auto, text, json");
    bad("mode = true", "mode: expected a string, found a boolean");
}

static void lists_and_maps(void **state)
{
    good("hosts = 'one'");
    assert_int_equal(a.hosts.n, 1);
    good("hosts = []");
    assert_int_equal(a.hosts.n, 0);
    good("headers = {b = '1', A = '2'}");
    assert_int_equal(a.headers.n, 2);
    assert_span(a.headers.v[0].name, "b");
    assert_span(a.headers.v[1].name, "A");
    bad("hosts = 3", "hosts: expected an array of strings");
    bad("hosts = ['a', 3]", "hosts: expected a string, found an integer");
    bad("headers = ['a']", "headers: expected a table of strings");
    bad("headers = {a = 1}", "headers.a: expected a string, found an integer");
}

static void tables(void **state)
{
    good("keys = ['short', {name = 'long', token = 't', admin = true}]");
    assert_int_equal(a.keys.n, 2);
    good("[[server.keys]]\nname = 'x'\n[[server.keys]]\nname = 'y'");
    assert_int_equal(a.keys.n, 2);
    bad("keys = [{token = 't'}]", "keys[0].name: missing");
    bad("keys = [{name = 'a', tokn = 't'}]", "keys[0].tokn: unknown key (did you mean \"token\"?)");
    bad("keys = [1]", "keys[0]: expected tables or strings, found an integer");
    bad("keys = {}", "keys: expected an array of tables, found a table");
}

static void bad_environment(void **state)
{
    struct config *c =
        all_load(&a, "",
                 ENV("SERVER__PORT=many", "SERVER__FLAG=maybe", "SERVER__SIZE=", "SERVER__WAIT=x", "SERVER__MODE=jsonn",
                     "SERVER__KEYS={}", "SERVER__RATE=", "SERVER__NAME=\xff", "SERVER__URL=http://h\nx"),
                 NULL);
    assert_fault(c, "env SERVER__PORT: server.port: expected an integer");
    assert_fault(c, "env SERVER__FLAG: server.flag: expected true or false");
    assert_fault(c, "env SERVER__SIZE: server.size: expected a size");
    assert_fault(c, "env SERVER__WAIT: server.wait: expected a duration");
    assert_fault(c, "env SERVER__MODE: server.mode: unknown value");
    assert_fault(c, "env SERVER__KEYS: server.keys: expected a JSON array");
    assert_fault(c, "env SERVER__RATE: server.rate: expected a number");
    assert_fault(c, "env SERVER__NAME: server.name: not valid UTF-8");
    assert_fault(c, "env SERVER__URL: server.url: control characters");
    assert_int_equal(support_fault_count(c), 9);
    config_unref(c);
}

static void all_at_once(void **state)
{
    struct config *c =
        all_load(&a, "[server]\nport = 'x'\nflag = 3\nprot = 1\nmode = 'tex'\n[server.keys]\n[servre]\nx = 1\n",
                 ENV("SERVER__SIZE=big", "SERVER__WIAT=1"), SETS("server.nme=x"));
    assert_fault(c, "c.toml:2: server.port: expected an integer");
    assert_fault(c, "c.toml:3: server.flag: expected true or false");
    assert_fault(c, "c.toml:4: server.prot: unknown key (did you mean \"port\"?)");
    assert_fault(c, "c.toml:5: server.mode: unknown value \"tex\"");
    assert_fault(c, "c.toml:6: server.keys: expected an array of tables");
    assert_fault(c, "c.toml:7: servre: unknown table (did you mean \"server\"?)");
    assert_fault(c, "env SERVER__SIZE: server.size");
    assert_fault(c, "env SERVER__WIAT: server.wiat: unknown key (did you mean \"wait\"?)");
    assert_fault(c, "flag --set: server.nme: unknown key (did you mean \"name\"?)");
    assert_int_equal(support_fault_count(c), 9);
    config_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(booleans),        cmocka_unit_test(integers),       cmocka_unit_test(doubles),
        cmocka_unit_test(sizes),           cmocka_unit_test(durations),      cmocka_unit_test(strings),
        cmocka_unit_test(enums),           cmocka_unit_test(lists_and_maps), cmocka_unit_test(tables),
        cmocka_unit_test(bad_environment), cmocka_unit_test(all_at_once),
    };
    return cmocka_run_group_tests(tests, support_setup, release);
}

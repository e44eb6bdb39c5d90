/*
 * Files that are not TOML, files that nearly are, and files that nest: refused with a place or bound, and never more.
 *
 * The invalid ones were written for this test along the grammar of TOML 1.0; the mutations start from valid files and
 * are the same in every run.
 */
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const invalid[] = {
    /* keys */
    "= 1",
    "a",
    "a =",
    "a 1",
    "a = 1 b = 2",
    "a b = 1",
    "a. = 1",
    ".a = 1",
    "a..b = 1",
    "\"a = 1",
    "'a = 1",
    "\"\"\"a\"\"\" = 1",
    "a\n= 1",
    "a =\n1",
    "{} = 1",
    "a=1=2",
    "a!b = 1",
    "\"a\\x\" = 1",
    "\xc3\xa4 = 1",
    "a.b = 1\na.b.c = 2",
    "a = 1\na = 2",
    "a = 1\n'a' = 2",
    "a.b = 1\n\"a\".'b' = 2",
    /* tables */
    "[",
    "[]",
    "[a",
    "[a]]",
    "[[a]",
    "[[]]",
    "[a] b = 1",
    "[a]\n[a]",
    "[.a]",
    "[a.]",
    "[a..b]",
    "[a\n]",
    "[\"a]",
    "[a]x",
    "[[a] ]",
    "a = 1\n[a]",
    "a = 1\n[a.b]",
    "[[a]]\n[a]",
    "[a]\n[[a]]",
    "a = []\n[[a]]",
    "[a.b]\n[a]\nb = 1",
    "[a]\nb.c = 1\n[a.b]\nd = 2",
    "a = {}\n[a.b]",
    "[a] [b]",
    "[ a b ]",
    "[a]=1",
    "[a#b]",
    "[[a\n]]",
    "[ [a] ]",
    /* strings */
    "a = \"",
    "a = \"b",
    "a = 'b",
    "a = \"\"\"b",
    "a = '''b",
    "a = \"b\nc\"",
    "a = 'b\nc'",
    "a = \"\\q\"",
    "a = \"\\u12\"",
    "a = \"\\ud800\"",
    "a = \"\\U00110000\"",
    "a = \"\\U1234567\"",
    "a = \"\x01\"",
    "a = '\x7f'",
    "a = \"\"\"\x02\"\"\"",
    "a = \"b\" c",
    "a = \"b\"\"",
    "a = 'b''c'",
    "a = \"\"\"\"\"\"\"\"\"",
    "a = \"\\x41\"",
    "a = \"\\ \"",
    "a = b",
    "a = \"\r\"",
    "a = \"\x1b[0m\"",
    /* numbers */
    "a = 01",
    "a = +",
    "a = -",
    "a = 1_",
    "a = _1",
    "a = 1__2",
    "a = 0x",
    "a = 0xg",
    "a = 0o8",
    "a = 0b2",
    "a = +0x1",
    "a = 0X1",
    "a = 1.",
    "a = .1",
    "a = 1.e1",
    "a = 1e",
    "a = 1e+",
    "a = 1.2.3",
    "a = 1_.2",
    "a = 1._2",
    "a = 1e_2",
    "a = infinity",
    "a = NaN",
    "a = --1",
    "a = 9223372036854775808",
    "a = -9223372036854775809",
    "a = 0x10000000000000000",
    "a = 1 2",
    "a = 0_1",
    "a = 1,2",
    "a = 00",
    /* dates */
    "a = 1979-13-01",
    "a = 1979-02-30",
    "a = 1979-5-27",
    "a = 24:00:00",
    "a = 12:60:00",
    "a = 1979-05-27T",
    "a = 1979-05-27T25:00:00Z",
    "a = 79-05-27",
    "a = 12:00:00.",
    "a = 1979-05-27T07:32:00+25:00",
    /* booleans, arrays, inline tables */
    "a = True",
    "a = TRUE",
    "a = truee",
    "a = t",
    "a = [",
    "a = ]",
    "a = [1",
    "a = [1,,2]",
    "a = [,]",
    "a = [,1]",
    "a = [1 2]",
    "a = [1]]",
    "a = {",
    "a = }",
    "a = {b}",
    "a = {b=1",
    "a = {b=1,}",
    "a = {,}",
    "a = {b=1 c=2}",
    "a = {b=1,b=2}",
    "a = {b=1}\na.c = 2",
    "a = {b=1}}",
    "a = {b\n=1}",
    "a = {b=1,\nc=2}",
    "a = [1]\na.b = 1",
    "a = {b.c=1,b=2}",
    "a = [{]}",
    "a = {[}",
    "a = true false",
    "a = [1}",
    /* what is not text */
    "a = 1 # \x01",
    "# \x7f",
    "a\x01 = 1",
    "\x0b"
    "a = 1",
    "a = 1\x0c",
    "\xff",
    "# \xc0\x80",
    "# \xed\xa0\x80",
    "# \xf4\x90\x80\x80",
    "a = \"\xc3\"",
    "a = 1\rb = 2",
    "\xef\xbb\xbf\xef\xbb\xbf"
    "a = 1",
    "\xef\xbb",
    "a = 1\n\xfe\xff",
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

static void test_invalid(void **state)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < COUNT(invalid); i++) {
        struct config *c = support_load(invalid[i], NULL, NULL); /* not bound: an unknown key would be a fault, too */
        char place[128];
        snprintf(place, sizeof(place), "%s:", support_file);
        if (config_ok(c) || !support_has_fault(c, place))
            print_error("taken, or refused without a place: %s\n", invalid[i]), wrong++;
        config_unref(c);
    }
    assert_int_equal(wrong, 0);
}

static const char *const seeds[] = {
    "[server]\nport = 9000\nhosts = [\"a\", 'b']\nsize = \"1 MiB\"\nwait = 1.5\nflag = false\nmode = \"json\"\n",
    "[server]\ntoken = \"${TOKEN:-x}\"\nurl = \"https://h:8443/v1\"\nrate = 0.25\nh2c = true\nname = '''a'''\n",
    "[server]\nheaders = { a = \"b\", \"c-d\" = \"e\" }\n[[server.keys]]\nname = \"n\"\ntoken = "
    "\"t\"\n[[server.keys]]\nname = \"m\"\n",
    "# c\r\nserver.port = 0x1F\r\nserver.keys = [ \"one\", { name = \"two\", admin = true } ]\r\nserver.size = "
    "1_024\r\n",
};

static unsigned next(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* One to four changes: a byte, a piece gone, a piece twice, a piece of grammar put in. */
static size_t mutate(char *text, size_t n, size_t room, unsigned *seed)
{
    static const char *const pieces[] = {"[",     "]",     "{",     "}",    "=",    "\"",  "'''",        "\"\"\"",
                                         "\n",    "\r",    ".",     ",",    "#",    "\\",  "${",         "}",
                                         "[[",    "a.a.a", "1e999", "\xff", "\x00", "inf", "1979-05-27", "\xef\xbb\xbf",
                                         "file:/"};
    for (unsigned changes = 1 + next(seed, 4); changes != 0 && n != 0; changes--) {
        size_t at = next(seed, (unsigned)n), length = 1 + next(seed, 12);
        length = length < n - at ? length : n - at;
        switch (next(seed, 4)) {
        case 0:
            text[at] = (char)next(seed, 256);
            break;
        case 1:
            memmove(text + at, text + at + length, n - at - length);
            n -= length;
            break;
        case 2:
            if (n + length <= room) {
                memmove(text + at + length, text + at, n - at);
                n += length;
            }
            break;
        default: {
            const char *piece = pieces[next(seed, COUNT(pieces))];
            size_t size = *piece != '\0' ? strlen(piece) : 1;
            if (n + size <= room) {
                memmove(text + at + size, text + at, n - at);
                memcpy(text + at, piece, size);
                n += size;
            }
        }
        }
    }
    return n;
}

static void test_mutations(void **state)
{
    enum { MUTATIONS = 10000 };
    unsigned seed = 20261121, taken = 0;
    char *env[] = {"TOKEN=t", NULL};
    struct all v;
    for (size_t i = 0; i < COUNT(seeds); i++) {
        struct config *c = all_load(&v, seeds[i], env, NULL);
        assert_ok(c);
        config_unref(c);
    }
    for (int i = 0; i < MUTATIONS; i++) {
        char text[1024];
        const char *from = seeds[(size_t)i % COUNT(seeds)];
        size_t n = strlen(from), faults;
        memcpy(text, from, n);
        n = mutate(text, n, sizeof(text), &seed);
        support_write(support_file, text, n, 0600);
        struct config *c = config_load(&(struct config_source){.file = support_file, .environ = env});
        assert_non_null(c);
        all_bind(c, &v);
        config_finish(c);
        config_faults(c, &faults);
        assert_true(config_ok(c) || faults != 0);
        taken += config_ok(c);
        config_unref(c);
    }
    /* both happen, else the mutations would prove nothing */
    assert_in_range(taken, MUTATIONS / 100, MUTATIONS * 3 / 4);
    printf("figure CFG-05 %zu invalid files refused with their place; %d mutations: %u taken, %u refused, 0 crashes\n",
           COUNT(invalid), (int)MUTATIONS, taken, MUTATIONS - taken);
}

struct nesting {
    const char *before, *open, *middle, *close, *after;
};

static const struct nesting nestings[] = {
    {"a = ", "[", "1", "]", ""},     {"a = ", "{a=", "1", "}", ""},    {"[a", ".a", "]", "", ""},
    {"[[a", ".a", "]]", "", ""},     {"a", ".a", " = 1", "", ""},      {"a = ", "[", "", "", ""},
    {"a = ", "{a=", "", "", ""},     {"", "[a]\n[a.b]\n", "", "", ""}, {"", "[[a]]\n", "", "", ""},
    {"a = ", "[{a=", "1", "}]", ""},
};

static void fill(struct ccp_buf *out, const struct nesting *with, unsigned depth)
{
    buf_init(out, 1 << 20);
    buf_addz(out, with->before);
    for (unsigned i = 0; i < depth; i++)
        buf_addz(out, with->open);
    buf_addz(out, with->middle);
    for (unsigned i = 0; i < depth; i++)
        buf_addz(out, with->close);
    buf_addz(out, with->after);
}

static void test_nesting(void **state)
{
    static const unsigned depths[] = {1000, 100000};
    for (size_t i = 0; i < COUNT(nestings) * COUNT(depths); i++) {
        struct timespec from, to;
        struct ccp_buf text;
        struct all v;
        fill(&text, &nestings[i / COUNT(depths)], depths[i % COUNT(depths)]);
        support_write(support_file, text.p, text.n, 0600);
        buf_release(&text);
        clock_gettime(CLOCK_MONOTONIC, &from);
        struct config *c = config_load(&(struct config_source){.file = support_file});
        assert_non_null(c);
        all_bind(c, &v);
        config_finish(c);
        clock_gettime(CLOCK_MONOTONIC, &to);
        assert_false(config_ok(c));
        assert_true(to.tv_sec - from.tv_sec <= 8); /* seconds: sanitizers and a busy machine are in it */
        config_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_invalid, support_setup, support_teardown),
        cmocka_unit_test_setup_teardown(test_mutations, support_setup, support_teardown),
        cmocka_unit_test_setup_teardown(test_nesting, support_setup, support_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Strings by blocks against strings byte by byte: the same end, the same place and words of a failure, wherever
 * escapes, quotes and bad bytes fall in a block.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <wire/json_lex_impl.h>
#include <wire/scan_impl.h>

/* One byte or one escape at a time. Returns the words of the failure or NULL; *p is the place. */
static const char *plainly(const char **p, const char *end)
{
    for (++*p; *p != end;) {
        unsigned char c = (unsigned char)**p;
        size_t left = (size_t)(end - *p);
        if (c == '"')
            return ++*p, NULL;
        if (c < 0x20)
            return "a control byte inside a string";
        if (c >= 0x80) {
            size_t n = scan_utf8(*p, end);
            if (n == 0)
                return "not UTF-8";
            *p += n;
        } else if (c != '\\') {
            ++*p;
        } else if (left < 2) {
            break;
        } else if ((*p)[1] == 'u') {
            if (left < 6 || json_hex4(*p + 2) < 0)
                return "\\u needs four hex digits";
            *p += 6;
        } else if (memchr("\"\\/bfnrt", (*p)[1], 8) == NULL) {
            return "there is no such escape";
        } else {
            *p += 2;
        }
    }
    return "the text ends inside a string";
}

static unsigned long long seed = 88172645463325252ull;

static unsigned draw(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

/* Mostly what is right, so that blocks are filled; `wild` in a thousand pieces is anything. */
static size_t make(char *text, size_t n, unsigned wild)
{
    static const char *const good[] = {"a", "b", " ", "\\n", "\\\\", "\\\"", "\\t", "\\u00e9", "\xc3\xa9", "xyzxyzxyz"};
    size_t at = 1;
    text[0] = '"';
    while (at + 10 < n) {
        if (draw(1000) < wild) {
            text[at++] = "\"\\u\x1f\x7f\x80\xff\x00qG"[draw(10)];
            continue;
        }
        const char *piece = good[draw(10)];
        memcpy(text + at, piece, strlen(piece));
        at += strlen(piece);
    }
    if (draw(4) != 0)
        text[at++] = '"';
    return at;
}

static void check(const char *text, size_t n)
{
    const char *at = text;
    const char *what = plainly(&at, text + n);
    struct json_lex l = {.p = text, .end = text + n};
    assert_int_equal(json_lex_string(&l), what == NULL);
    if (what == NULL) {
        assert_ptr_equal(l.p, at);
        assert_int_equal(l.escaped, memchr(text, '\\', (size_t)(at - text)) != NULL);
        return;
    }
    assert_string_equal(l.what, what);
    /* Both stop in front of an unfinished escape or behind it, at the end of the text. */
    if (strcmp(what, "the text ends inside a string") != 0)
        assert_ptr_equal(l.p, at);
}

static void random_strings(void **state)
{
    (void)state;
    for (int round = 0; round < 60000; round++) {
        size_t max = 12 + draw(400);
        char *text = malloc(max);
        assert_non_null(text);
        check(text, make(text, max, (unsigned[]){0, 1, 10, 200}[round % 4]));
        free(text);
    }
}

/* A run of backslashes of each length, at each place of a block, before a quote. */
static void runs_of_backslashes(void **state)
{
    (void)state;
    for (size_t before = 0; before < 70; before++) {
        for (size_t run = 1; run < 140; run++) {
            char text[400];
            size_t n = 0;
            text[n++] = '"';
            memset(text + n, 'x', before);
            n += before;
            memset(text + n, '\\', run);
            n += run;
            text[n++] = '"';
            memset(text + n, 'y', 80);
            n += 80;
            text[n++] = '"';
            check(text, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_strings), cmocka_unit_test(runs_of_backslashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The block scans and their scalar forms stop at the same byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <wire/scan_impl.h>

/* The same file once more, as a processor without SSE2 would see it. */
#undef WIRE_SCAN_IMPL_H
#undef __SSE2__
#define scan_is_plain scalar_is_plain
#define scan_plain    scalar_plain
#define scan_eol      scalar_eol
#define scan_control  scalar_control
#define scan_utf8     scalar_utf8
#include <wire/scan_impl.h>
#undef scan_plain
#undef scan_eol
#undef scan_control

static void every_byte_everywhere(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 140; n += n < 70 ? 1 : 23) {
        char *text = malloc(n + 1);
        memset(text, 'x', n + 1);
        for (size_t at = 0; at < n; at++) {
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                const char *want = scalar_plain(text, text + n), *eol = scalar_eol(text, text + n);
                bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                assert_ptr_equal(want, text + (plain ? n : at));
                assert_ptr_equal(eol, text + (c != '\n' && c != '\r' ? n : at));
                assert_ptr_equal(scan_plain(text, text + n), want);
                assert_ptr_equal(scan_eol(text, text + n), eol);
                const char *control = scalar_control(text, text + n);
                assert_ptr_equal(control, text + (c < 0x20 || c == 0x7f ? at : n));
                assert_ptr_equal(scan_control(text, text + n), control);
            }
            text[at] = 'x';
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_byte_everywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

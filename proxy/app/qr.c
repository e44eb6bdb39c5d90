/*
 * QR codes on a terminal: two modules in each character cell by half blocks, with the quiet zone that scanners need.
 *
 * Colours are set, dark on light, whatever the terminal's own are: not all scanners take the inverse.
 */
#include <app/terminal.h>

#include <qrencode.h>

#define QUIET 4

static bool is_dark(const QRcode *code, int x, int y)
{
    bool inside = x >= 0 && y >= 0 && x < code->width && y < code->width;
    return inside && (code->data[y * code->width + x] & 1) != 0;
}

static void print_code(FILE *out, const QRcode *code)
{
    /* upper half dark, lower half dark */
    static const char *const cells[2][2] = {{" ", "\xe2\x96\x84"}, {"\xe2\x96\x80", "\xe2\x96\x88"}};
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        fputs("\033[30;107m", out);
        for (int x = -QUIET; x < code->width + QUIET; x++)
            fputs(cells[is_dark(code, x, y)][is_dark(code, x, y + 1)], out);
        fputs("\033[0m\n", out);
    }
}

bool qr_print(FILE *out, const char *text)
{
    unsigned columns, rows;
    if (!terminal_draws(out) || !terminal_utf8())
        return false;
    QRcode *code = QRcode_encodeData((int)strlen(text), (const unsigned char *)text, 0, QR_ECLEVEL_L);
    if (code == NULL) /* too long for any, or memory */
        return false;
    terminal_size(out, &columns, &rows);
    unsigned side = (unsigned)code->width + 2 * QUIET;
    bool fits = side <= columns && (side + 1) / 2 + 4 <= rows;
    if (fits)
        print_code(out, code);
    QRcode_free(code);
    return fits;
}

/*
 * What the commands that talk with people need of a terminal: its size, a spinner, QR codes. Without a terminal all of
 * it is silent.
 */
#ifndef APP_TERMINAL_H
#define APP_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* May this stream get what only a screen understands? A terminal that is not "dumb". */
bool terminal_draws(FILE *out);
bool terminal_utf8(void); /* by LC_ALL, LC_CTYPE, LANG */
void terminal_size(FILE *out, unsigned *columns, unsigned *rows);

/* A turning mark with a text on standard error. */
struct spinner {
    unsigned turns;
    bool shown;
};
void spinner_turn(struct spinner *s, const char *text);
void spinner_clear(struct spinner *s); /* before anything else is printed */

/* Prints `text` as a QR code when `out` is a terminal where it fits; false = nothing was printed. */
bool qr_print(FILE *out, const char *text);

#endif

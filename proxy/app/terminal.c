/*
 * The terminal: see terminal.h.
 */
#include <app/terminal.h>

#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_draws(FILE *out)
{
    const char *term = getenv("TERM");
    return isatty(fileno(out)) && (term == NULL || strcmp(term, "dumb") != 0);
}

bool terminal_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < 3; i++) {
        const char *text = getenv(names[i]);
        if (text != NULL && text[0] != '\0')
            return strcasestr(text, "utf-8") != NULL || strcasestr(text, "utf8") != NULL;
    }
    return false;
}

void terminal_size(FILE *out, unsigned *columns, unsigned *rows)
{
    struct winsize w = {0};
    *columns = 80;
    *rows = 24;
    if (ioctl(fileno(out), TIOCGWINSZ, &w) != 0)
        return;
    *columns = w.ws_col != 0 ? w.ws_col : *columns;
    *rows = w.ws_row != 0 ? w.ws_row : *rows;
}

void spinner_turn(struct spinner *s, const char *text)
{
    static const char marks[] = "|/-\\";
    if (!terminal_draws(stderr))
        return;
    fprintf(stderr, "\r%c %s ", marks[s->turns++ % 4], text);
    fflush(stderr);
    s->shown = true;
}

void spinner_clear(struct spinner *s)
{
    if (s->shown)
        fputs("\r\033[K", stderr);
    s->shown = false;
}

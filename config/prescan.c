/*
 * A look at the text before the TOML parser gets it.
 *
 * Refuses what is not text, and bounds how deep brackets and dotted keys may nest: the parser bounds values but not
 * `[a.a.a...]`, and frees its tables by recursion. It reads just enough of TOML to know strings and comments, and
 * may accept what the parser then refuses, never the other way round except for depth.
 */
#include <config/config_impl.h>

static size_t utf8_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
                 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                               : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0; /* overlong, surrogate, beyond U+10FFFF */
    return len;
}

bool config_utf8(struct ccp_span text, size_t *bad)
{
    for (size_t i = 0, len; i < text.n; i += len) {
        len = utf8_length((const unsigned char *)text.p + i, text.n - i);
        if (len == 0) {
            *bad = i;
            return false;
        }
    }
    return true;
}

struct scan {
    struct ccp_span text;
    size_t at;
    unsigned depth, dots;
};

static bool at_three(const struct scan *s, char quote)
{
    return s->at + 2 < s->text.n && s->text.p[s->at] == quote && s->text.p[s->at + 1] == quote &&
           s->text.p[s->at + 2] == quote;
}

/* From an opening quote to behind the closing one; a line end also closes a one-line string. */
static void skip_string(struct scan *s)
{
    char quote = s->text.p[s->at];
    bool multi = at_three(s, quote);
    s->at += multi ? 3 : 1;
    while (s->at < s->text.n) {
        char ch = s->text.p[s->at];
        if (ch == '\\' && quote == '"')
            s->at += 2;
        else if (multi && at_three(s, quote)) {
            s->at += 3;
            while (s->at < s->text.n && s->text.p[s->at] == quote)
                s->at++; /* up to two quotes may stand directly before the end */
            return;
        } else if (!multi && (ch == quote || ch == '\n')) {
            s->at += ch == quote;
            return;
        } else
            s->at++;
    }
    s->at = s->text.n;
}

static void skip_comment(struct scan *s)
{
    while (s->at < s->text.n && s->text.p[s->at] != '\n')
        s->at++;
}

static const char *step(struct scan *s)
{
    char ch = s->text.p[s->at];
    if (ch == '"' || ch == '\'') {
        skip_string(s);
        return NULL;
    }
    if (ch == '#') {
        skip_comment(s);
        return NULL;
    }
    s->at++;
    if (ch == '.')
        return ++s->dots > TOML_MAX_DEPTH ? "nested too deep" : NULL;
    if (ch != '\n' && ch != '=' && ch != ',' && ch != '[' && ch != ']' && ch != '{' && ch != '}')
        return NULL;
    s->dots = 0;
    if (ch == '[' || ch == '{')
        return ++s->depth > TOML_MAX_DEPTH ? "nested too deep" : NULL;
    if ((ch == ']' || ch == '}') && s->depth != 0)
        s->depth--;
    return NULL;
}

static void position(struct ccp_span text, size_t at, unsigned *line, unsigned *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        if (text.p[i] == '\n')
            ++*line, *column = 1;
        else if (((unsigned char)text.p[i] & 0xc0) != 0x80)
            ++*column;
    }
}

const char *config_prescan(struct ccp_span text, unsigned *line, unsigned *column)
{
    struct scan s = {.text = text};
    const char *what = NULL;
    size_t bad = ccp_span_find(text, '\0');
    *line = *column = 1;
    if (bad < text.n)
        what = "not a text file (zero byte)";
    else if (!config_utf8(text, &bad))
        what = "not valid UTF-8";
    while (what == NULL && s.at < text.n) {
        bad = s.at;
        what = step(&s);
    }
    if (what != NULL)
        position(text, bad, line, column);
    return what;
}

/*
 * What becomes of a request's field on its way into another format, by the tables that the translation itself works by
 * (format/fields.h, param.def). Shared by the program that prints docs/translation.md and the test that tries it.
 */
#ifndef TRANSLATION_OUTCOME_H
#define TRANSLATION_OUTCOME_H

#include <ctype.h>
#include <format/translate.h>
#include <string.h>

enum outcome { DROP, REJECT, SILENT, CARRIED };

static const struct {
    enum outcome loss;
    const char *what;
} params[] = {
#define X(id, loss, what) {loss, what},
#include <format/param.def>
#undef X
};

static inline bool begins(const char *text, const char *with)
{
    return text != NULL && strncmp(text, with, strlen(with)) == 0;
}

/* A row that says that the format's own code never carries the field on, whoever reads or writes it: its note is
 * "dropped" or "dropped: why", but not "dropped for some models". */
static inline enum outcome never(const struct field *row)
{
    static const char *const words[] = {[DROP] = "dropped", [REJECT] = "refused"};
    for (int i = DROP; i <= REJECT; i++)
        if (begins(row->note, words[i])) {
            char behind = row->note[strlen(words[i])];
            if (behind == '\0' || behind == ':')
                return (enum outcome)i;
        }
    return CARRIED;
}

/* The same letters, whatever their case, underscores left out: another spelling of one member. */
static inline bool same_member(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (*a == '\0')
            return true;
    }
}

/* Of two rows with one name a reader takes the first; the other one is for writing. */
static inline bool seen_before(const struct field *table, const struct field *row)
{
    for (const struct field *r = table; r != row; r++)
        if (same_member(r->name, row->name))
            return true;
    return false;
}

static inline enum outcome outcome_of(const struct field *from, const struct field *targets)
{
    const struct field *to = fields_find(targets, from->param);
    enum outcome own = never(from);
    if (own != CARRIED)
        return own;
    if (to == NULL || begins(to->note, "never written"))
        return params[from->param].loss;
    return never(to);
}

#endif

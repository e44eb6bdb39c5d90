/*
 * Prints the tables of docs/translation.md: what becomes of each request field and of each kind of content on its way
 * from one format to another, out of the tables that the translation itself works by (format/fields.h, param.def).
 *
 * It knows no format: a new one appears as a new section and a new column. tests/translation/render puts the tables
 * into the page.
 */
#include "outcome.h"

#include <stdio.h>

static const char *const part_names[] = {
#define X(id, what) what,
#include <format/part.def>
#undef X
};

static const char *title(int f)
{
    static const char *const titles[] = {"Anthropic Messages", "OpenAI Chat Completions", "OpenAI Responses", "Gemini"};
    return (size_t)f < sizeof(titles) / sizeof(titles[0]) ? titles[f] : format_of((enum ccp_format)f)->id;
}

/* Inside of tables and lists: nothing that means something there. */
static void text(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '|' || *s == '<')
            putchar('\\');
        putchar(*s);
    }
}

static const char *const losses[] = {[DROP] = "dropped", [REJECT] = "refused", [SILENT] = "–"};

/* The outcome for all targets, if they agree; else CARRIED. */
static enum outcome lost_everywhere(int f, const struct field *row)
{
    int first = f == 0 ? 1 : 0;
    enum outcome all = outcome_of(row, format_of((enum ccp_format)first)->fields);
    for (int t = 0; t < CCP_FORMAT_COUNT; t++)
        if (t != f && outcome_of(row, format_of((enum ccp_format)t)->fields) != all)
            return CARRIED;
    return all;
}

static void cell(const struct field *from, const struct field *targets)
{
    enum outcome outcome = outcome_of(from, targets);
    const struct field *to = fields_find(targets, from->param);
    if (outcome != CARRIED)
        printf(" | %s", losses[outcome]);
    else
        printf(" | `%s`%s", to->name, to->note != NULL ? "\\*" : "");
}

/* One line for all that never arrives anywhere. */
static void lost(int f, enum outcome outcome, const char *says)
{
    const struct field *table = format_of((enum ccp_format)f)->fields;
    int n = 0;
    for (const struct field *row = table; row->name != NULL; row++) {
        if (seen_before(table, row) || lost_everywhere(f, row) != outcome)
            continue;
        bool more = row->note != NULL && strcmp(row->note, losses[outcome]) != 0;
        printf("%s`%s`%s", n++ == 0 ? says : ", ", row->name, more ? "\\*" : "");
    }
    printf(n != 0 ? ".\n\n" : "");
}

static void fields_of(int f)
{
    const struct field *table = format_of((enum ccp_format)f)->fields;
    printf("### From %s\n\n| field | is", title(f));
    for (int t = 0; t < CCP_FORMAT_COUNT; t++)
        if (t != f)
            printf(" | to %s", title(t));
    printf(" |\n| --- | ---");
    for (int t = 1; t < CCP_FORMAT_COUNT; t++)
        printf(" | ---");
    printf(" |\n");
    for (const struct field *row = table; row->name != NULL; row++) {
        if (seen_before(table, row) || lost_everywhere(f, row) != CARRIED)
            continue;
        printf("| `%s`%s | %s", row->name, row->note != NULL ? "\\*" : "", params[row->param].what);
        for (int t = 0; t < CCP_FORMAT_COUNT; t++)
            if (t != f)
                cell(row, format_of((enum ccp_format)t)->fields);
        printf(" |\n");
    }
    printf("\n");
    lost(f, DROP, "Dropped, whatever the target: ");
    lost(f, REJECT, "Refused: ");
    lost(f, SILENT, "Left out, as only its own provider has a use for it: ");
}

static void notes_on(int f)
{
    printf("**%s**\n\n", title(f));
    for (const struct field *row = format_of((enum ccp_format)f)->fields; row->name != NULL; row++)
        if (row->note != NULL && strcmp(row->note, losses[DROP]) != 0 && strcmp(row->note, losses[REJECT]) != 0) {
            printf("- `%s`: ", row->name);
            text(row->note);
            printf("\n");
        }
    printf("\n");
}

static void depths(void)
{
    printf("| effort | tokens |\n| --- | ---: |\n");
    for (int e = EFFORT_NONE; e <= EFFORT_MAX; e++)
        printf("| `%s` | %lld |\n", effort_word((enum effort)e), (long long)effort_budget((enum effort)e));
}

static void contents(void)
{
    printf("| content");
    for (int t = 0; t < CCP_FORMAT_COUNT; t++)
        printf(" | into %s", title(t));
    printf(" |\n| ---");
    for (int t = 0; t < CCP_FORMAT_COUNT; t++)
        printf(" | ---");
    printf(" |\n");
    for (int kind = 0; kind < PART_KINDS; kind++) {
        printf("| %s", part_names[kind]);
        for (int t = 0; t < CCP_FORMAT_COUNT; t++) {
            const struct part_field *part = &format_of((enum ccp_format)t)->parts[kind];
            printf(" | ");
            if (part->name != NULL)
                printf("`%s`%s", part->name, part->note != NULL ? ": " : "");
            text(part->note != NULL ? part->note : part->name != NULL ? "" : "–");
        }
        printf(" |\n");
    }
}

int main(int argc, char **argv)
{
    bool all = argc < 2;
    if (all || strcmp(argv[1], "fields") == 0)
        for (int f = 0; f < CCP_FORMAT_COUNT; f++)
            fields_of(f);
    if (all || strcmp(argv[1], "notes") == 0)
        for (int f = 0; f < CCP_FORMAT_COUNT; f++)
            notes_on(f);
    if (all || strcmp(argv[1], "contents") == 0)
        contents();
    if (all || strcmp(argv[1], "depths") == 0)
        depths();
    return fflush(stdout) != 0;
}

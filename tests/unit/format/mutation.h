/*
 * For the tests of tests/grammar: good texts out of fixtures or tables, and one small change each that a judge must
 * refuse for the reason the table names.
 */
#ifndef UNIT_FORMAT_MUTATION_H
#define UNIT_FORMAT_MUTATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <grammar/grammar.h>
#include <stdio.h>
#include <stdlib.h>

enum { A = CCP_FORMAT_ANTHROPIC, C = CCP_FORMAT_OPENAI_CHAT, R = CCP_FORMAT_OPENAI_RESPONSES, G = CCP_FORMAT_GEMINI };
enum question { REQUEST, STREAM, WHOLE, ERROR, SHAPE };

static const char *const names[CCP_FORMAT_COUNT] = {[A] = "anthropic", [C] = "chat", [R] = "responses", [G] = "gemini"};
static const char *const files[] = {[REQUEST] = "request.json", [STREAM] = "stream.sse", [WHOLE] = "response.json"};

static const char *ask(int f, enum question q, struct ccp_span text, bool may_fail)
{
    enum ccp_format format = (enum ccp_format)f;
    switch (q) {
    case REQUEST:
        return grammar_request(format, text, false);
    case SHAPE:
        return grammar_request_shape(format, text, false);
    case STREAM:
        return grammar_stream(format, text, may_fail);
    case WHOLE:
        return grammar_whole(format, text);
    default:
        return grammar_error(format, text);
    }
}

/* The file's text, NUL-terminated. */
static char *fixture(const char *scenario, int f, enum question q)
{
    char path[500], *text = malloc(1 << 20);
    snprintf(path, sizeof(path), "%s/wire/scenarios/%s/%s.%s", FIXTURES, scenario, names[f], files[q]);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s is missing", path);
    size_t n = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    text[n] = '\0';
    return text;
}

/* -- one change -- */

/* Puts `to` for the first `from`; "from" may name a later one as "3:from" (counted from 0). */
static char *change(const char *text, const char *from, const char *to)
{
    unsigned skip = 0;
    if (from[0] >= '0' && from[0] <= '9' && from[1] == ':') {
        skip = (unsigned)(from[0] - '0');
        from += 2;
    }
    const char *hit = strstr(text, from);
    while (hit != NULL && skip-- != 0)
        hit = strstr(hit + 1, from);
    if (hit == NULL)
        fail_msg("the text holds no %s: %.300s", from, text);
    size_t before = (size_t)(hit - text), room = strlen(text) + strlen(to) + 1;
    char *changed = malloc(room);
    snprintf(changed, room, "%.*s%s%s", (int)before, text, to, hit + strlen(from));
    return changed;
}

struct mutation {
    int f;
    enum question q;
    const char *text; /* a scenario's name, or the text itself */
    const char *from, *to;
    const char *reason; /* occurs in what the judge says */
};

static void judge(const struct mutation *m, const char *good)
{
    char *bad = change(good, m->from, m->to);
    bool ends_in_error =
        m->q == STREAM && (strstr(good, "\"error\":{") != NULL || strstr(good, "event: error") != NULL);
    const char *wrong = ask(m->f, m->q, ccp_span_z(good), ends_in_error);
    if (wrong != NULL)
        fail_msg("%s -> %s: the text was not good at first: %s", m->from, m->to, wrong);
    wrong = ask(m->f, m->q, ccp_span_z(bad), ends_in_error);
    if (wrong == NULL)
        fail_msg("%s: %s -> %s passes", names[m->f], m->from, m->to);
    if (strstr(wrong, m->reason) == NULL)
        fail_msg("%s: %s -> %s is refused because: %s (not: %s)", names[m->f], m->from, m->to, wrong, m->reason);
    free(bad);
}

static void run(const struct mutation *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool scenario = strchr(list[i].text, '{') == NULL;
        char *text = scenario ? fixture(list[i].text, list[i].f, list[i].q) : NULL;
        judge(&list[i], scenario ? text : list[i].text);
        free(text);
    }
}
#define RUN(list) run(list, sizeof(list) / sizeof(*(list)))

#endif

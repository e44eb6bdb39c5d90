/*
 * Reading .case files: sections, messages in them, and the lines of a body that begin with '@'.
 */
#include <testing/case_file.h>

#include <stdio.h>
#include <stdlib.h>

static void malformed(struct test_case *c, const char *what, struct ccp_span at)
{
    if (c->wrong[0] == '\0')
        snprintf(c->wrong, sizeof(c->wrong), "%s: \"%.*s\"", what, (int)(at.n < 100 ? at.n : 100), at.p);
}

static struct ccp_span read_whole(struct test_case *c, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        malformed(c, "cannot be read", ccp_span_z(path));
        return (struct ccp_span){"", 0};
    }
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = arena_alloc(&c->memory, n + 1);
    n = fread(p, 1, n, f);
    fclose(f);
    return (struct ccp_span){p, n};
}

struct ccp_span case_line(struct ccp_span *rest)
{
    size_t end = ccp_span_find(*rest, '\n');
    struct ccp_span line = {rest->p, end};
    *rest = ccp_span_skip(*rest, end < rest->n ? end + 1 : rest->n);
    return line;
}

struct ccp_span case_word(struct ccp_span *rest)
{
    size_t end = ccp_span_find(*rest, ' ');
    struct ccp_span word = {rest->p, end};
    *rest = ccp_span_trim(ccp_span_skip(*rest, end));
    return word;
}

long case_number(struct ccp_span s)
{
    char text[24] = "";
    if (s.n < sizeof(text))
        memcpy(text, s.p, s.n);
    return strtol(text, NULL, 10);
}

/* \n \r \t \\ \xHH */
static struct ccp_span unescape(struct test_case *c, struct ccp_span s)
{
    char *out = arena_alloc(&c->memory, s.n + 1);
    size_t o = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\\' || i + 1 == s.n) {
            out[o++] = s.p[i];
            continue;
        }
        char kind = s.p[++i];
        if (kind == 'x' && i + 2 < s.n) {
            char hex[3] = {s.p[i + 1], s.p[i + 2], '\0'};
            out[o++] = (char)strtol(hex, NULL, 16);
            i += 2;
        } else {
            out[o++] = kind == 'n' ? '\n' : kind == 'r' ? '\r' : kind == 't' ? '\t' : kind;
        }
    }
    return (struct ccp_span){out, o};
}

static void body_append(struct test_case *c, struct case_body *b, struct ccp_span piece)
{
    struct ccp_span both[] = {b->exact, piece};
    b->exact = arena_cat(&c->memory, both, 2);
    b->has_exact = true;
}

/* "@file wire/x.json [length]" */
static struct ccp_span file_piece(struct test_case *c, struct ccp_span rest)
{
    struct ccp_span name = case_word(&rest);
    char path[512];
    snprintf(path, sizeof(path), "%s/%.*s", c->files, CCP_FMT(name));
    struct ccp_span all = read_whole(c, path);
    if (rest.n != 0 && (size_t)case_number(rest) < all.n)
        all.n = (size_t)case_number(rest);
    return all;
}

static void body_directive(struct test_case *c, struct case_body *b, struct ccp_span line)
{
    struct ccp_span rest = line;
    struct ccp_span word = case_word(&rest);
    if (ccp_span_is(word, "@file"))
        body_append(c, b, file_piece(c, rest));
    else if (ccp_span_is(word, "@esc"))
        body_append(c, b, unescape(c, ccp_span_skip(line, 5)));
    else if (ccp_span_is(word, "@client"))
        body_append(c, b, c->client.body.exact);
    else if (ccp_span_is(word, "@upstream") && c->up_n != 0)
        body_append(c, b, c->up[c->up_n - 1].answer.body.exact);
    else if (ccp_span_is(word, "@empty"))
        body_append(c, b, CCP_SPAN(""));
    else if (ccp_span_is(word, "@has") && b->has_n < CASE_WANTS)
        b->has[b->has_n++] = unescape(c, rest);
    else if (ccp_span_is(word, "@lacks") && b->lacks_n < CASE_WANTS)
        b->lacks[b->lacks_n++] = unescape(c, rest);
    else
        malformed(c, "unknown body directive", line);
}

static void read_body(struct test_case *c, struct case_body *b, struct ccp_span text)
{
    while (text.n != 0 && text.p[text.n - 1] == '\n')
        text.n--;
    b->checked = true;
    if (text.n == 0 || text.p[0] != '@') {
        b->exact = text;
        b->has_exact = true;
        return;
    }
    while (text.n != 0) {
        struct ccp_span line = case_line(&text);
        if (line.n != 0)
            body_directive(c, b, line);
    }
}

static void read_header(struct test_case *c, struct case_message *m, struct ccp_span line)
{
    if (m->header_n == CASE_HEADERS) {
        malformed(c, "too many headers", line);
        return;
    }
    struct case_want *w = &m->headers[m->header_n++];
    *w = (struct case_want){.absent = line.p[0] == '!'};
    if (w->absent) {
        w->name = ccp_span_trim(ccp_span_skip(line, 1));
        return;
    }
    size_t colon = 1 + ccp_span_find(ccp_span_skip(line, 1), ':'); /* a pseudo header begins with one */
    if (colon >= line.n) {
        malformed(c, "not a header", line);
        return;
    }
    w->name = ccp_span_of(line.p, colon);
    w->value = ccp_span_trim(ccp_span_skip(line, colon + 1));
    w->any = ccp_span_is(w->value, "*");
    w->contains = w->value.n > 1 && w->value.p[0] == '~';
    if (w->contains)
        w->value = ccp_span_skip(w->value, 1);
}

static void read_message(struct test_case *c, struct case_message *m, struct ccp_span text)
{
    m->first = ccp_span_trim(case_line(&text));
    while (text.n != 0) {
        struct ccp_span line = case_line(&text);
        if (line.n == 0) {
            if (ccp_span_find(text, '\n') != 0 && text.n != 0)
                read_body(c, &m->body, text);
            return;
        }
        read_header(c, m, line);
    }
}

static void read_events(struct test_case *c, struct ccp_span text)
{
    c->events_checked = true;
    while (text.n != 0) {
        struct ccp_span line = ccp_span_trim(case_line(&text));
        if (line.n != 0 && c->event_n < CASE_EVENTS)
            c->events[c->event_n++] = line;
    }
}

static void read_section(struct test_case *c, struct ccp_span name, struct ccp_span text)
{
    struct case_upstream *last = c->up_n != 0 ? &c->up[c->up_n - 1] : NULL;
    if (ccp_span_is(name, "config")) {
        c->config = text;
    } else if (ccp_span_is(name, "client")) {
        read_message(c, &c->client, text);
    } else if (ccp_span_is(name, "upstream request") && c->up_n < CASE_UPSTREAMS) {
        read_message(c, &c->up[c->up_n++].request, text);
    } else if (ccp_span_is(name, "upstream") && c->up_n <= CASE_UPSTREAMS) {
        if (last == NULL || last->answer.first.p != NULL)
            last = &c->up[c->up_n++];
        read_message(c, &last->answer, text);
    } else if (ccp_span_is(name, "expect")) {
        read_message(c, &c->expect, text);
    } else if (ccp_span_is(name, "events")) {
        read_events(c, text);
    } else {
        malformed(c, "unknown section", name);
    }
}

void case_read(struct test_case *c, const char *path, const char *files)
{
    *c = (struct test_case){.path = path, .files = files};
    arena_init(&c->memory, NULL, 0);
    struct ccp_span rest = read_whole(c, path), name = {NULL, 0};
    const char *start = rest.p;
    while (rest.n != 0) {
        struct ccp_span line = case_line(&rest);
        bool section = ccp_span_starts(line, CCP_SPAN("== "));
        if (!section && name.p == NULL && line.n != 0 && line.p[0] != '#')
            malformed(c, "text before the first section", line);
        if (!section && rest.n != 0)
            continue;
        const char *end = section ? line.p : line.p + line.n;
        if (name.p != NULL)
            read_section(c, name, ccp_span_of(start, (size_t)(end - start)));
        name = ccp_span_trim(ccp_span_skip(line, 3));
        start = rest.p;
    }
    if (c->client.first.p == NULL || c->expect.first.p == NULL)
        malformed(c, "needs at least the sections client and expect", CCP_SPAN(""));
}

void case_release(struct test_case *c)
{
    arena_end(&c->memory);
}

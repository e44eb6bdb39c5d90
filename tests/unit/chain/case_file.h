/*
 * A .case file, taken apart. The format is described in tests/case/README.md.
 *
 * Everything is a span into the file's text or into memory of the case's arena. A malformed file is a failed test
 * with its line, never a guess.
 */
#ifndef UNIT_CASE_FILE_H
#define UNIT_CASE_FILE_H

#include <base/arena.h>
#include <ccproxy/ccproxy.h>

#define CASE_HEADERS   40
#define CASE_WANTS     40
#define CASE_UPSTREAMS 4
#define CASE_EVENTS    16

/* A header, or what is expected of one. */
struct want {
    struct ccp_span name, value;
    bool absent, any, contains;
};

struct body_want {
    bool checked;
    struct ccp_span exact;
    bool has_exact;
    struct ccp_span has[CASE_WANTS], lacks[CASE_WANTS];
    size_t has_n, lacks_n;
};

/* One message: a first line, headers, perhaps a body. */
struct message {
    struct ccp_span first;
    struct want headers[CASE_HEADERS];
    size_t header_n;
    struct body_want body;
};

struct upstream_script {
    struct message request; /* expected; first.p NULL = anything */
    struct message answer;  /* "200", "200 cut", "fail UPSTREAM text" */
};

struct test_case {
    const char *path;
    struct arena memory;
    struct ccp_span config;
    struct message client, expect;
    struct upstream_script up[CASE_UPSTREAMS];
    size_t up_n;
    struct ccp_span events[CASE_EVENTS];
    size_t event_n;
    bool events_checked;
    char wrong[256]; /* what is malformed, or empty */
};

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

/* The next line without its line feed; *rest moves behind it. */
static struct ccp_span take_line(struct ccp_span *rest)
{
    size_t end = ccp_span_find(*rest, '\n');
    struct ccp_span line = {rest->p, end};
    *rest = ccp_span_skip(*rest, end < rest->n ? end + 1 : rest->n);
    return line;
}

static struct ccp_span take_word(struct ccp_span *rest)
{
    size_t end = ccp_span_find(*rest, ' ');
    struct ccp_span word = {rest->p, end};
    *rest = ccp_span_trim(ccp_span_skip(*rest, end));
    return word;
}

static long number_of(struct ccp_span s)
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

static void body_append(struct test_case *c, struct body_want *b, struct ccp_span piece)
{
    struct ccp_span both[] = {b->exact, piece};
    b->exact = arena_cat(&c->memory, both, 2);
    b->has_exact = true;
}

/* "@file wire/x.json [length]" */
static struct ccp_span file_piece(struct test_case *c, struct ccp_span rest)
{
    struct ccp_span name = take_word(&rest);
    char path[512];
    snprintf(path, sizeof(path), "%s/%.*s", FIXTURES, CCP_FMT(name));
    struct ccp_span all = read_whole(c, path);
    if (rest.n != 0 && (size_t)number_of(rest) < all.n)
        all.n = (size_t)number_of(rest);
    return all;
}

static void body_directive(struct test_case *c, struct body_want *b, struct ccp_span line)
{
    struct ccp_span rest = line;
    struct ccp_span word = take_word(&rest);
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

static void read_body(struct test_case *c, struct body_want *b, struct ccp_span text)
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
        struct ccp_span line = take_line(&text);
        if (line.n != 0)
            body_directive(c, b, line);
    }
}

static void read_header(struct test_case *c, struct message *m, struct ccp_span line)
{
    if (m->header_n == CASE_HEADERS) {
        malformed(c, "too many headers", line);
        return;
    }
    struct want *w = &m->headers[m->header_n++];
    *w = (struct want){.absent = line.p[0] == '!'};
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

static void read_message(struct test_case *c, struct message *m, struct ccp_span text)
{
    m->first = ccp_span_trim(take_line(&text));
    while (text.n != 0) {
        struct ccp_span line = take_line(&text);
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
        struct ccp_span line = ccp_span_trim(take_line(&text));
        if (line.n != 0 && c->event_n < CASE_EVENTS)
            c->events[c->event_n++] = line;
    }
}

static void read_section(struct test_case *c, struct ccp_span name, struct ccp_span text)
{
    struct upstream_script *last = c->up_n != 0 ? &c->up[c->up_n - 1] : NULL;
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

static void case_read(struct test_case *c, const char *path)
{
    *c = (struct test_case){.path = path};
    arena_init(&c->memory, NULL, 0);
    struct ccp_span rest = read_whole(c, path), name = {NULL, 0};
    const char *start = rest.p;
    while (rest.n != 0) {
        struct ccp_span line = take_line(&rest);
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

#endif

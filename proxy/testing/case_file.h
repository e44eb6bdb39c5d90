/*
 * A .case file, taken apart. The format is described in docs/plugins.md and tests/case/README.md.
 *
 * Everything is a span into the file's text or into memory of the case's arena. A malformed file is a failed test
 * with its line, never a guess.
 */
#ifndef TESTING_CASE_FILE_H
#define TESTING_CASE_FILE_H

#include <base/arena.h>
#include <ccproxy/ccproxy.h>

#define CASE_HEADERS   40
#define CASE_WANTS     40
#define CASE_UPSTREAMS 4
#define CASE_EVENTS    16

/* A header, or what is expected of one. */
struct case_want {
    struct ccp_span name, value;
    bool absent, any, contains;
};

struct case_body {
    bool checked;
    struct ccp_span exact;
    bool has_exact;
    struct ccp_span has[CASE_WANTS], lacks[CASE_WANTS];
    size_t has_n, lacks_n;
};

/* One message: a first line, headers, perhaps a body. */
struct case_message {
    struct ccp_span first;
    struct case_want headers[CASE_HEADERS];
    size_t header_n;
    struct case_body body;
};

struct case_upstream {
    struct case_message request; /* expected; first.p NULL = anything */
    struct case_message answer;  /* "200", "200 cut", "fail UPSTREAM text" */
};

struct test_case {
    const char *path;
    const char *files; /* folder that @file paths are relative to */
    struct arena memory;
    struct ccp_span config;
    struct case_message client, expect;
    struct case_upstream up[CASE_UPSTREAMS];
    size_t up_n;
    struct ccp_span events[CASE_EVENTS];
    size_t event_n;
    bool events_checked;
    char wrong[256]; /* what is malformed, or empty */
};

/* Reads the file; c->wrong says what is malformed. `files` is the folder that @file paths are relative to. To be
 * released also when it is wrong. */
void case_read(struct test_case *c, const char *path, const char *files);
void case_release(struct test_case *c);

/* The next line without its line feed, the next word without its space; *rest moves behind it. */
struct ccp_span case_line(struct ccp_span *rest);
struct ccp_span case_word(struct ccp_span *rest);
long case_number(struct ccp_span s); /* 0 for what is none */

#endif

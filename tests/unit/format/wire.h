/*
 * What the tests of translation stand on: the four formats by the names of their fixtures, files, and one call each
 * for a request and for an answer on its way through the product.
 */
#ifndef UNIT_FORMAT_WIRE_H
#define UNIT_FORMAT_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <format/translate.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A, C, R, G, FORMATS };                   /* Anthropic, Chat, Responses, Gemini */
extern const char *const format_names[FORMATS]; /* "anthropic", "chat", "responses", "gemini": as fixtures are called */
extern const enum ccp_format formats_of[FORMATS];
int format_named(const char *name); /* also "gemini-codeassist"; -1 = none of the four */

/* -- files -- */
struct file {
    char *p; /* NUL-terminated beyond n */
    size_t n;
};
struct file file_read(const char *path); /* p = NULL: there is none */
/* A fixture below tests/fixtures/wire; fails the test when it is missing. */
struct file fixture(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Names in a folder that end in `ending`, sorted; ended by NULL. Freed by names_free. */
char **files_in(const char *folder, const char *ending);
void names_free(char **names);

/* -- requests -- */
struct asked {
    int from, to;
    const char *model, *provider; /* upstream's; NULL: the fixture's model, the format's own name */
    bool compatible, stream;
    size_t budget; /* bytes that the request may take; 0 = any */
};
struct sent_up {
    bool ok;
    enum ccp_status status;
    struct file body;   /* what upstream gets; empty when refused */
    char error[400];    /* why it was refused */
    char dropped[1000]; /* ", " between the names */
    size_t arena;       /* bytes the request took */
};
struct sent_up send_up(const struct asked *how, const char *body, size_t n);
void sent_up_free(struct sent_up *s);
const char *fixture_model(int format); /* "claude-test-1" */

/* -- answers -- */
struct cuts {
    size_t step;   /* bytes per read; 0 = all at once */
    uint32_t seed; /* not 0: reads of random sizes from 1 to 64 bytes */
};
struct answered {
    int from, to;
    bool from_stream, stream;
    struct cuts cuts;
    const char *provider;
    bool no_usage, json_array;
    const struct failure *why; /* the transport failed at the end */
    size_t max;                /* 0 = 64 MiB */
};
struct sent_down {
    bool done, broken, ok; /* ok: no call said that memory ended */
    struct file body;      /* what the client gets; of a broken whole answer: the error body */
    enum failure_kind kind;
    char error[400];
    size_t scratch;
};
struct sent_down send_down(const struct answered *how, const char *body, size_t n);
void sent_down_free(struct sent_down *s);

/* -- a generator of numbers that is the same everywhere (xorshift) -- */
uint32_t rnd(uint32_t *seed);
uint32_t rnd_below(uint32_t *seed, uint32_t n);

/* Says what is wrong where, and fails. */
#define judge(problem, ...)                                                                                            \
    do {                                                                                                               \
        const char *judge_problem = (problem);                                                                         \
        if (judge_problem != NULL && judge_problem[0] != '\0') {                                                       \
            print_error(__VA_ARGS__);                                                                                  \
            print_error(": %s\n", judge_problem);                                                                      \
            wrong++;                                                                                                   \
        }                                                                                                              \
    } while (0)
/* How much was wrong since the test began: a table of cases tells all of it before it fails. */
extern int wrong;
#define all_right() (assert_int_equal(wrong, 0))
int begin_test(void **state); /* cmocka's setup: wrong = 0 */

bool long_run(void); /* ./test --long */

#endif

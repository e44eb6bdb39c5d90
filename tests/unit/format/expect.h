/*
 * What an answer should be, in neutral words, and how it may look to a client of each format.
 */
#ifndef UNIT_FORMAT_EXPECT_H
#define UNIT_FORMAT_EXPECT_H

#include "answer.h"

struct expectation {
    json_t *root; /* as the file has it */
    json_t *parts;
    const char *stop;  /* NULL: ends with an error */
    const char *error; /* "truncated": any message */
    int64_t count[COUNTS];
    bool usage;
};
/* A fixture below tests/fixtures/wire. */
struct expectation expectation_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What a judge found in an answer, as an expectation for others. */
struct expectation expectation_from(const struct answer *a);
void expectation_free(struct expectation *e);

/* Compares by the fixtures' rules what a client of format `to` got of an upstream of format `from`. NULL: as expected;
 * else what is not. The text lives until the next call. */
const char *compare_answer(const struct answer *a, const struct expectation *e, int from, int to);

#endif

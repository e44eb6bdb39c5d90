/*
 * The verdict on a case: it is played whole, byte by byte, at random cuts and with a client that pauses; the outcome
 * must be the expected one each time. Then the client leaves and the worker ends everything at early moments: then only
 * the rules of chain/chain.h judge, and what must never happen (half an answer that ends like a whole one).
 */
#ifndef TESTING_CASE_JUDGE_H
#define TESTING_CASE_JUDGE_H

#include <testing/stage.h>

/* Reads and plays one file, in builds with fault points also with each of the first allocations refused. `extra` as in
 * case_runtime, `files` as in case_read. False: `text` says how the outcome differs. */
bool case_judge_file(const char *path, const char *files, const struct ccp_plugin *const *extra, char *text,
                     size_t max);

#endif

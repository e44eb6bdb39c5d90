/*
 * The child process of discovery: what a shared object declares, told by a process that may die of it.
 */
#ifndef PLUGIN_PROBE_H
#define PLUGIN_PROBE_H

#include <base/buf.h>
#include <jansson.h>

#define PROBE_WORD "(plugin-probe)" /* argv[1] of the child; no command can be called that */

enum {
    PROBE_FD = 3,         /* where the child finds the object */
    PROBE_EMPTY_FD = 4,   /* an empty regular file */
    PROBE_WORDS_MAX = 400 /* bytes of its standard error that are passed on */
};

enum probe_result {
    PROBE_TOLD,   /* *answer is an object with "manifest" or "refused" */
    PROBE_FAILED, /* it died, hung, or told nonsense; `why` */
};

/* Runs the child for the object behind `fd`, which must be frozen. Blocks for `ms` at most. */
enum probe_result probe_run(int fd, const char *name, uint64_t ms, json_t **answer, char *why, size_t max);

#endif

/*
 * A recorded answer of a vendor: its bytes as an upstream would send them, and what it says.
 */
#ifndef UNIT_FORMAT_RECORDING_H
#define UNIT_FORMAT_RECORDING_H

#include "expect.h"
#include "wire.h"

struct recording {
    int format;
    bool stream;
    struct file body;
    const char *problem;   /* NULL: it could be read */
    bool broken;           /* it ends with an error */
    bool more;             /* another answer follows in the file */
    bool fragments;        /* text came in fragments */
    json_t *texts;         /* {text, thinking}: everything said, in one string each */
    json_t *calls;         /* [{name, arguments}]; id when it has one */
    int64_t input, output; /* all input and all output tokens; 0 = it does not tell */
};
/* Number `nth` (from 0) of the answers in a file. */
struct recording recording_of(const char *path, size_t nth);
void recording_free(struct recording *r);
/* NULL: the answer that a client of format `to` got says what was recorded. */
const char *compare_recorded(const struct answer *a, const struct recording *r, int to);

#endif

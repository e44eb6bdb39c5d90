/*
 * An answer collected from its deltas: for clients that do not stream, and for formats whose stream repeats everything
 * at the end. Part by part, in order.
 */
#ifndef FORMAT_COLLECT_H
#define FORMAT_COLLECT_H

#include <format/delta.h>

struct collected {
    struct collected *next;
    enum part_kind kind;
    struct ccp_buf id, name, space, text; /* ctexts; text: of a call, its arguments' JSON text */
    struct ccp_buf proof, origin;         /* of `proof_kind` */
    enum proof_kind proof_kind;
    bool custom, closed;
};

struct collect {
    struct collected *first, *last;
    struct ccp_buf id, model, sequence;
    struct usage usage;
    enum stop stop;
    size_t held, max; /* bytes in all buffers */
    bool full;        /* more than max was to be taken */
};

void collect_init(struct collect *c, size_t max);
void collect_release(struct collect *c);
/* Takes one delta (not ERROR). False: no memory, or more than max. */
bool collect_put(struct collect *c, const struct delta *d);
/* The arguments of a collected call as JSON object text, for formats that hold objects: unescaped and checked. What is
 * no JSON object is wrapped: {"_raw":"..."}. *good tells which. p = NULL: no memory. */
struct ccp_span collect_arguments(struct arena *a, const struct collected *call, bool *good);

#endif

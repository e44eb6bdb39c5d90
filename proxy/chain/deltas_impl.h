/*
 * What the halves of reading answers share: deltas.c (the middlewares and what they are shown) and deltas_body.c (how
 * deltas are made of an answer that passes in its own format).
 */
#ifndef CHAIN_DELTAS_IMPL_H
#define CHAIN_DELTAS_IMPL_H

#include <chain/exchange_impl.h>
#include <format/translate.h>

struct delta_reader {
    const struct middleware_entry *m;
    bool started, ended; /* it was shown START; it was shown STOP or ERROR */
};

enum reading {
    READ_EVENTS,
    READ_ARRAY, /* Gemini's stream without alt=sse */
    READ_WHOLE, /* as one piece, when it is there: also what is in a content coding */
};

struct deltas {
    struct delta_reader *readers; /* innermost first */
    size_t reader_n;
    unsigned parts; /* opened so far */
    bool refused;
    struct arena scratch; /* of one event */
    void (*open_head)(struct exchange *x);

    /* deltas_body.c */
    enum reading reading;
    bool looked; /* the first byte that is no white space was seen */
    struct translation t;
    struct ccp_buf held; /* not given yet */
    size_t scanned;      /* bytes of it that were looked through for the end of an event */
    size_t fed;          /* that were read */
    size_t shown;        /* that may be given: every delta of them was seen */
    struct sse_boundary boundary;
    unsigned depth; /* of containers in an array */
    bool quoted, escaped;
};

#endif

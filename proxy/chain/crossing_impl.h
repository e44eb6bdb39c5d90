/*
 * What the two halves of a crossing share: crossing.c (the request) and crossing_answer.c.
 */
#ifndef CHAIN_CROSSING_IMPL_H
#define CHAIN_CROSSING_IMPL_H

#include <chain/exchange_impl.h>
#include <format/translate.h>

#define CROSSING_ERROR_MAX (64u * 1024) /* of an upstream's error answer */

struct crossing {
    const struct wire_format *to; /* spoken upstream */
    struct ccp_buf body;          /* as it goes upstream */
    struct names *names;
    struct ccp_span dropped;
    uint64_t estimate; /* of a count */
    bool include_usage, count;
    struct arena scratch;
    struct translation t;
    bool answering; /* the upstream's head is there */
    bool failing;   /* its status is one of failure; what comes is the reason */
    enum coding coding;
    struct ccp_buf reason; /* what is not translated as it comes: a failure's body, a count, a coded answer */
};

#endif

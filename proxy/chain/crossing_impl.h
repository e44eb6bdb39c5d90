/*
 * What the halves of a crossing share: crossing.c (the request), fit.c (what a provider wants of a body beyond its
 * format) and crossing_answer.c.
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
    uint64_t estimate; /* of a count */
    bool include_usage, count;
    struct arena scratch;
    struct translation t;
    bool answering; /* the upstream's head is there */
    bool failing;   /* its status is one of failure; what comes is the reason */
    enum coding coding;
    struct ccp_buf reason; /* what is not translated as it comes: a failure's body, a count, a coded answer */
};

/* Does the upstream count tokens, or are they estimated? */
bool crossing_counts(const struct exchange *x);
/* Keeps the prompt's losses for x-ccproxy-dropped. False = failed: no memory, or the client wants no losses. */
bool crossing_note_losses(struct exchange *x, const struct prompt *p);

/* The rules that hold for this exchange's body, or NULL. */
const struct ccp_body_rule *fit_rules(const struct exchange *x);
/* Must a body be changed? No memory is taken. CCP_BAD_JSON: *error (may be NULL) says where. */
enum ccp_status fit_look(const struct ccp_body_rule *rules, struct ccp_span body, bool *needed,
                         struct ccp_json_error *error);
/* Applies them (NULL = none) to a tree whose edits live in p->a. False: p->status and p->error. */
bool fit_tree(const struct ccp_body_rule *rules, struct prompt *p, struct ccp_json *root);
/* The same for a body that was just written in the provider's format; it is replaced. */
bool fit_written(const struct exchange *x, struct prompt *p, struct ccp_buf *body);

#endif

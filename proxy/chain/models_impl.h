/*
 * Model lists: what models.c (choosing, writing) and models_fetch.c (asking upstreams) share.
 */
#ifndef CHAIN_MODELS_IMPL_H
#define CHAIN_MODELS_IMPL_H

#include <chain/exchange_impl.h>

struct model_entry {
    struct ccp_span id, name;
    const struct provider *provider;
    int64_t input, output; /* token limits, 0 = unknown */
};

/* One upstream's list as a worker remembers it; lives in its own arena, replaced whole. */
struct model_list {
    struct arena arena;
    struct model_entry *v;
    size_t n;
    uint64_t expires_ms; /* 0 = never asked */
};

/* The remembered list of a provider, or NULL when it is missing or too old. */
const struct model_list *models_cached(const struct exchange *x, const struct provider *p);
/* Asks the upstreams of these providers and parks the exchange until all answered; a provider that fails is
 * remembered as empty for a while. False = nothing could be started. */
bool models_fetch(struct exchange *x, const struct provider *const *providers, size_t n);
/* Reads an answer in that format into the list (its arena must be fresh). False = not a model list. */
bool models_parse(struct model_list *l, const struct provider *p, enum ccp_format format, struct ccp_span body);

#endif

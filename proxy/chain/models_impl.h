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
    unsigned served;       /* CCP_SPEAKS(...) where the list tells (ccp_model_list.endpoints), else 0 */
};

/* One upstream's list as a worker remembers it; lives in its own arena, replaced whole. */
struct model_list {
    struct arena arena;
    struct model_entry *v;
    size_t n;
    uint64_t expires_ms; /* 0 = never asked */
    uint64_t asked_ms;   /* when somebody last set out to ask */
};

/* The remembered list of a provider, or NULL when it is missing or too old. */
const struct model_list *models_cached(const struct exchange *x, const struct provider *p);
/* Is there one to choose by: a fresh one, or an old one while another exchange asks for the next? */
bool models_known(const struct exchange *x, const struct provider *p);
/* Formats that the model is served in, as far as the list says; 0 = it says nothing, or there is none. */
unsigned models_served(const struct exchange *x, const struct provider *p, struct ccp_span model);
/* Is there a credential of our own to ask with? */
bool models_may_ask(const struct exchange *x, const struct provider *p);
/* Asks the upstreams of these providers and parks the exchange until all answered; of a provider that fails
 * the old list is kept for a while, or none. False = nothing could be started. */
bool models_fetch(struct exchange *x, const struct provider *const *providers, size_t n);
/* Where in an answer the models stand: the provider's own record, else its format's. */
const struct ccp_model_list *models_shape(const struct provider *p, enum ccp_format *format);
/* Reads an answer of that shape into the list (its arena must be fresh). False = not a model list. */
bool models_parse(struct model_list *l, const struct provider *p, struct ccp_span body);

#endif

/*
 * Conversations by chance, the same for the same seed: what a client could say in any of the formats.
 */
#ifndef UNIT_FORMAT_GENERATE_H
#define UNIT_FORMAT_GENERATE_H

#include "request.h"

/* A conversation of `steps` exchanges and a question at the end, in neutral words (request.h). Texts hold everything
 * that JSON can: quotes, escapes, NUL, pairs of surrogates; arguments big numbers and odd spellings. */
json_t *conversation(uint32_t *seed, unsigned steps);

#endif

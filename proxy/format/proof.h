/*
 * Proofs of thinking on their way through a client that only knows its own format (wire reference F.5).
 *
 * A proof is bound to the provider that made it. On the way down it is wrapped, "ccp1.<provider>.<base64>", into the
 * opaque field that the client's format has; clients copy such fields. On the way up it is unwrapped, and prompt_proof
 * gives it only to the provider that made it. A proof of the client's own kind (same format on both sides) stays bare.
 *
 * Where it goes when the client's format has no such field on that kind of part:
 *   Anthropic  an empty thinking block with the wrapped text as signature, before a tool_use. The proof of a text is
 *              left out: it comes last, and clients take a message's last block for its answer (Gemini recommends
 *              to send it back, but only insists on those of calls)
 *   Responses  a reasoning item without summary and with encrypted_content: before a function_call, after a message
 *   Chat       on calls extra_content.google.thought_signature; else reasoning_details[{type:"reasoning.encrypted"}]
 *   Gemini     thoughtSignature of the part itself (base64 of the wrapped text); for THINKING on the thought part
 * Readers undo that: a thinking part without text whose proof is PROOF_THOUGHT belongs to the CALL right behind it,
 * else to the TEXT right before it (proof_attach).
 */
#ifndef FORMAT_PROOF_H
#define FORMAT_PROOF_H

#include <format/delta.h>
#include <format/out.h>

/* Writes the proof as a string member; `native` is the kind the client's format has. Nothing when kind is NONE. */
void proof_write(struct out *o, const char *key, const struct proof *proof, enum proof_kind native);
/* What the client sent in its opaque field, unwrapped if it is wrapped; an empty text gives PROOF_NONE. False: no
 * memory (noted). */
bool proof_read(struct prompt *p, struct proof *proof, enum proof_kind native, ctext text);
/* Moves misplaced PROOF_THOUGHTs of an assistant turn to the part they belong to; see above. */
void proof_attach(struct turn *turn);

#endif
